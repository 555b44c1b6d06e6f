"""One hospital's gateway as a service: what runs, and what holds it together.

inbound   facts from JetStream to journal and board, receipts back
live      positions, ETAs and ECG frames to the pages
sender    this hospital's own facts to the hub
clock     the hub's time
pages     state to the browsers, and the audit log
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from hospital_gateway.actions import Actions
from hospital_gateway.bay_desk import BayDesk
from hospital_gateway.bay_merge import BayMerge
from hospital_gateway.bay_server import BayServer, bay_addresses
from hospital_gateway.bay_store import BayStore
from hospital_gateway.board import Board
from hospital_gateway.ecg_tail import ecg_tail
from hospital_gateway.gap_asking import GapAsking
from hospital_gateway.inbound import Inbound
from hospital_gateway.latency import Latencies
from hospital_gateway.media_proxy import MediaProxy
from hospital_gateway.pages import Pages
from hospital_gateway.room import KIND as ROOM
from hospital_gateway.room import Room
from hospital_gateway.server import Server
from hospital_gateway.settings import Settings
from hospital_gateway.upstream import Upstream
from streams.authority import client_context, server_context
from streams.broker_rights import stream_name
from streams.clock import Clock, OffsetEstimate, SteadyClock, SystemClock
from streams.codec import decode, encode, open_body
from streams.credentials import Credential, read_own_credential
from streams.delivery import Sender
from streams.errors import CredentialError, ForerunError, StorageError, TransportError
from streams.health import REFUSED, WAITING, Check
from streams.journal import Journal
from streams.link_messages import OutboxState
from streams.messages import Receipt, TimeReply, TimeRequest
from streams.outbox import Draft, Outbox
from streams.page_server import admission, own_state, page_certificate, said_ready
from streams.service import listening
from streams.topics import TOPICS, find, path
from streams.transport import Delivery
from streams.transport.nats import NatsTransport

TIME_EVERY_S = 2.0
"""How often the hub is asked for its time; its answer also shows that it lives."""

FIRST_TIMES = 3
"""Comparisons made at once after the start, so that times are right from the first fact on."""

HOUSEKEEPING_S = 1.0

FORGET_EVERY_NS = 3600 * 10**9
"""How often cases that ended long ago leave the memory."""

CREDENTIAL_RETRY_S = 5.0

log = structlog.get_logger(__name__)


class Gateway:
    """The parts of one gateway; ``serve`` runs them."""

    def __init__(
        self, settings: Settings, journal: Journal, transport: NatsTransport, clock: Clock,
        credential: Credential,
    ) -> None:  # fmt: skip
        """Put the parts together; nothing runs yet.

        Args:
            settings: All settings.
            journal: Already open.
            transport: Already entered.
            clock: This machine's clocks.
            credential: This gateway's own.
        """
        self.settings, self.journal, self.transport = settings, journal, transport
        self.clock, self.credential = clock, credential
        self.offset = OffsetEstimate()
        self.outbox = Outbox(
            Path(settings.state) / "outbox.sqlite", settings.name, clock, self.offset
        )
        self.board = Board(settings.name)
        self.bay_store = BayStore(Path(settings.state) / "bay.sqlite")
        self.bay_merge = BayMerge(self.bay_store, self.board, self.outbox, clock)
        self.latencies = Latencies()
        self.upstream = Upstream()
        self.media = MediaProxy(
            board=self.board, hub=settings.hub, credential=credential,
            tls=client_context(Path(settings.authority)), note=self._note,
        )  # fmt: skip
        self.pages = Pages(
            board=self.board, journal=journal, hub_now_ns=self.hub_now_ns,
            heading=_heading(settings), ended=self.media.end_case,
        )  # fmt: skip
        self.pages.recorded = lambda case: ecg_tail(journal, self.bay_store, case)
        self.sender = Sender(self.outbox, "hub", self._publish_fact, clock, say=self._say_held)
        self.actions = Actions(
            hospital=settings.name, roles=settings.roles, board=self.board, outbox=self.outbox,
            clock=clock, offset_ns=self.offset_ns, made=self._made,
            destination=self.bay_merge.destination,
        )  # fmt: skip
        self.room = Room(
            hospital=settings.name, roles=settings.roles, drill=credential.drill,
            outbox=self.outbox, journal=journal, clock=clock, hub_now_ns=self.hub_now_ns,
            changed=self._room_changed,
        )  # fmt: skip
        self.pages.room = self.room.shown
        self.inbound = Inbound(
            region=settings.region, hospital=settings.name, journal=journal, outbox=self.outbox,
            board=self.board, bay=self.bay_merge, latencies=self.latencies,
            hub_now_ns=self.hub_now_ns, publish=self._publish,
        )  # fmt: skip
        self.inbound.changed, self.inbound.released = self.pages.changed, self._made
        self.bay = BayDesk(
            hospital=(settings.name, settings.label), region=settings.region,
            drill=credential.drill, store=self.bay_store, clock=clock,
            hub_now_ns=self.hub_now_ns, show=self.inbound.show_bay, tell=self.pages.tell,
        )  # fmt: skip
        self.gaps = GapAsking(
            inbox=lambda: journal.inbox, lost=lambda: journal.lost,
            ask=self.inbound.ask, clock=clock, hub_now_ns=self.hub_now_ns, tell=self.pages.tell,
        )  # fmt: skip

    # --- clocks ------------------------------------------------------------------------------

    def offset_ns(self) -> int:
        """Return what to add to this machine's wall clock to get the hub's; 0 while unknown."""
        estimate = self.offset.at(self.clock.wall_ns(), self.clock.monotonic_ns())
        return estimate.offset_ns if estimate else 0

    def hub_now_ns(self) -> int:
        """Return the hub's time, as far as it is known here."""
        return self.clock.wall_ns() + self.offset_ns()

    # --- what runs ---------------------------------------------------------------------------

    async def run(self, ready: asyncio.Event) -> None:
        """Restore the board, then run all parts until cancelled."""
        facts = await self.inbound.restore()
        self.board.forget(self.hub_now_ns())
        waiting = self.actions.restore()
        await self.room.restore()
        log.info("board restored", facts=facts, cases=len(self.board.cases()), waiting=waiting)
        name = f"hospital[{self.settings.name}]"
        async with asyncio.TaskGroup() as group:
            for kind in (
                "position",
                "ecg_live",
                "arrival",
                "receipt_down",
                "time_reply",
                "outbox_down",
            ):
                group.create_task(self._read(kind), name=f"{name}.{kind}")
            for part, work in (
                ("inbound", self._pull()),
                ("receipts", self.inbound.repeat_receipts()),
                ("gaps", self.gaps.run()),
                ("sender", self.sender.run()),
                ("clock", self._ask_time()),
                ("pages", self.pages.run()),
                ("media", self.media.run()),
                ("housekeeping", self._keep_house()),
            ):
                group.create_task(work, name=f"{name}.{part}")
            ready.set()

    async def _pull(self) -> None:
        stream = stream_name("to_hospitals", self.settings.region, drill=self.credential.drill)
        while True:
            batches = self.transport.pull(stream, self.settings.name)
            try:
                async with contextlib.aclosing(batches):
                    await self.inbound.run(batches)  # type: ignore[arg-type]
            except CredentialError as error:
                log.error("no right to read facts", error=str(error))  # noqa: TRY400
                await asyncio.sleep(CREDENTIAL_RETRY_S)

    async def _read(self, kind: str) -> None:
        while True:
            try:
                async with self.transport.subscribe(self._topic(kind)) as deliveries:
                    async for delivery in deliveries:
                        if kind == "outbox_down":
                            await self._take_held(delivery)
                        else:
                            self._take(kind, delivery)
            except CredentialError as error:
                log.error("no right to read", kind=kind, error=str(error))  # noqa: TRY400
            await asyncio.sleep(CREDENTIAL_RETRY_S)

    def _take(self, kind: str, delivery: Delivery) -> None:
        if kind == "receipt_down":
            self._take_receipt(delivery)
        elif kind == "time_reply":
            self._take_time(delivery)
        else:
            state = self.pages.live.take(delivery.topic, delivery.data)
            if state is not None:
                self.pages.tell(state.message, state.case)

    async def _take_held(self, delivery: Delivery) -> None:
        try:
            if await self.inbound.take_held(delivery.topic, delivery.data):
                self.sender.wake()
        except ForerunError as error:
            log.error("word of the hub not taken", error=str(error))  # noqa: TRY400

    def _take_receipt(self, delivery: Delivery) -> None:
        try:
            receipt = open_body(decode(delivery.data), Receipt)
        except ForerunError as error:
            REFUSED.labels("receipt", error.reason).inc()
            return
        self.sender.take_receipt(receipt)
        self.room.take_receipt()
        if receipt.epoch == self.outbox.epoch:
            for refusal in receipt.refused:
                self.board.refused(refusal.id, refusal.text)
                self.room.refused(refusal.id, refusal.text)
                self.pages.changed.set()

    def _take_time(self, delivery: Delivery) -> None:
        wall_ns, monotonic_ns = self.clock.wall_ns(), self.clock.monotonic_ns()
        try:
            reply = open_body(decode(delivery.data), TimeReply)
        except ForerunError as error:
            REFUSED.labels("time", error.reason).inc()
            return
        self.offset.add(reply.t1_ns, reply.t2_ns, reply.t3_ns, wall_ns, monotonic_ns)
        self.upstream.heard(monotonic_ns)

    async def _ask_time(self) -> None:
        asked = 0
        while True:
            if self.transport.connected:
                draft = Draft("time_request", TimeRequest(t1_ns=self.clock.wall_ns()))
                with contextlib.suppress(TransportError):
                    await self._publish("time_request", encode(self.outbox.envelope(draft)))
                    asked += 1
            await asyncio.sleep(0.3 if asked < FIRST_TIMES else TIME_EVERY_S)

    async def _keep_house(self) -> None:
        connections = self.transport.connections
        due_ns = self.clock.monotonic_ns() + FORGET_EVERY_NS
        while True:
            if self.transport.connections != connections:
                connections = self.transport.connections
                self.sender.path_is_new()
            told = self.upstream.look(
                connected=self.transport.connected, now_ns=self.clock.monotonic_ns(),
                hub_now_ms=self.hub_now_ns() / 1e6,
            )  # fmt: skip
            if told is not None:
                self.pages.upstream = told
                self.pages.tell({"type": "upstream", "upstream": told})
            with contextlib.suppress(StorageError):  # the sender tells and tries again
                for lane, count in self.outbox.depth("hub").waiting.items():
                    WAITING.labels("hub", lane).set(count)
            if self.clock.monotonic_ns() >= due_ns:
                due_ns = self.clock.monotonic_ns() + FORGET_EVERY_NS
                self.board.forget(self.hub_now_ns())
                with contextlib.suppress(StorageError):  # a full disk is told by what it stops
                    self.bay.forget()
                self.pages.changed.set()
            await asyncio.sleep(HOUSEKEEPING_S)

    # --- small things ------------------------------------------------------------------------

    def _topic(self, kind: str) -> str:
        settings = self.settings
        return path("hospital", settings.region, settings.name, kind, drill=self.credential.drill)

    async def _publish(self, kind: str, data: bytes) -> None:
        await self.transport.publish(self._topic(kind), data)

    async def _say_held(self, state: OutboxState) -> None:
        draft = Draft("outbox_up", state, drill=self.credential.drill)
        await self._publish("outbox_up", encode(self.outbox.envelope(draft)))

    async def _publish_fact(self, kind: str, data: bytes) -> None:
        try:
            # Without an id for JetStream to know it by: a repeat must reach the hub, or a
            # receipt that was lost would never be said again.
            await self.transport.publish_stored(self._topic(kind), data)
        except CredentialError as error:
            log.error("no right to publish", kind=kind, error=str(error))  # noqa: TRY400
            raise TransportError(str(error)) from error

    async def _note(self, who: str, what: str, case: str) -> None:
        await self.pages.note(who, what, case)

    def _made(self) -> None:
        self.sender.wake()
        self.pages.changed.set()

    def _room_changed(self) -> None:
        self.sender.wake()
        self.pages.tell({"type": "room", "room": self.room.shown()})

    def checks(self) -> dict[str, Check]:
        """Return the state of each part, for ``/healthz``."""
        transport, problem = self.transport, self.inbound.problem
        broken = [one.case for one in self.board.arrivals if self.board.chain(one.case).broken]
        return {
            "broker": Check(
                ok=transport.connected,
                text="connected" if transport.connected else str(transport.refusal or "no path"),
            ),
            "hub": Check(ok=self.upstream.state == "live", text=self.upstream.state),
            "journal": Check(ok=problem is None, text=problem or "facts are stored"),
            "gaps": self.gaps.check(),
            "copies": Check(
                ok=not broken,
                text=f"do not fit the hub's chain: {', '.join(broken)}" if broken else "proven",
            ),
        }

    def app(self) -> web.Application:
        """Return the web application."""
        settings = self.settings
        server = Server(
            hospital={"name": settings.name, "label": settings.label},
            board=self.board, pages=self.pages, actions=self.actions,
            latencies=self.latencies, hub_now_ns=self.hub_now_ns,
            bay=BayServer(self.bay, lambda: bay_addresses(settings), self._note),
            room=self.room,
        )  # fmt: skip
        return server.app(admission(settings), self.checks, self.media)


async def serve(settings: Settings) -> None:
    """Run a gateway until it is cancelled.

    Raises:
        ConfigError: A file that the settings name is missing or wrong, the port is taken, or
            another gateway runs in the same state folder.
        StorageError: Journal or outbox cannot be opened.
    """
    credential = read_own_credential(
        Path(settings.credential), "hospital", settings.name, settings.region
    )
    tls = server_context(page_certificate(settings))
    with own_state(settings, "gateway"):
        await _serve(settings, credential, tls)


async def _serve(settings: Settings, credential: Credential, tls: ssl.SSLContext) -> None:
    trust = client_context(Path(settings.authority))
    broker = NatsTransport(settings.broker.url, credential, trust)
    async with Journal(settings.journal_url) as journal, broker:
        gateway = Gateway(settings, journal, broker, SteadyClock(SystemClock()), credential)
        try:
            async with gateway.media, _running(gateway) as finished:
                listen = settings.listen
                async with listening(gateway.app(), listen.host, listen.port, tls) as port:
                    with said_ready(settings, port):
                        await finished
        finally:
            gateway.outbox.close()
            gateway.bay_store.close()


@contextlib.asynccontextmanager
async def _running(gateway: Gateway) -> AsyncIterator[asyncio.Task[None]]:
    """Run the gateway's tasks while the block runs; gives the task, once the board is there."""
    ready = asyncio.Event()
    name = f"hospital[{gateway.settings.name}]"
    task = asyncio.create_task(gateway.run(ready), name=name)
    waiting = asyncio.create_task(ready.wait(), name=f"{name}.ready")
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        yield task
    finally:
        waiting.cancel()
        task.cancel()
        await asyncio.wait({task, waiting})


def _heading(settings: Settings) -> dict[str, Any]:
    return {
        "hospital": {"name": settings.name, "label": settings.label},
        "roles": settings.roles,
        "needs": settings.needs,
        "stale_s": {
            kind: find(kind).stale_after_s for kind in ("vitals", "position", "arrival", ROOM)
        },
        "kinds": sorted(TOPICS),
    }
