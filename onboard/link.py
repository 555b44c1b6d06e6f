"""The vehicle's link to the hub: facts up by the outbox, facts down, the clock, the words for it.

MQTT over one or several uplinks, which connect again by themselves; nothing here waits for a
link. ``Link.run`` is the task.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

import structlog

from onboard.incoming import Incoming
from onboard.outgoing import HUB, Outgoing
from streams import topics
from streams.cancellation import heed_cancellation
from streams.clock import Clock, OffsetEstimate
from streams.codec import open_body
from streams.delivery import Examined, Sender, examine
from streams.errors import CredentialError, TransportError
from streams.health import DROPPED, REFUSED
from streams.link_messages import CopyLost, OutboxState
from streams.messages import Arrival, Body, Envelope, Receipt, Refusal, TimeReply, TimeRequest
from streams.outbox import Draft, Outbox
from streams.transport import Delivery

TIME_EVERY_S = 10.0
TIME_AT_START = 3
_DOWN = ("case_fact", "receipt_down", "time_reply", "arrival", "outbox_down")

log = structlog.get_logger(__name__)


class Uplink(Protocol):
    """The part of ``onboard.uplinks.Uplinks`` that is used here."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""

    @property
    def connections(self) -> int:
        """How many there were."""

    @property
    def refusal(self) -> CredentialError | None:
        """Why the broker refuses this vehicle, if it does."""

    @property
    def in_use(self) -> str:
        """Name of the uplink in use; empty where there is just one."""

    @property
    def has_room(self) -> bool:
        """Whether facts that can wait may be handed over now."""

    async def publish(self, topic: str, data: bytes) -> None:
        """Send."""

    async def post(self, topic: str, data: bytes) -> None:
        """Hand over, without waiting for the broker."""

    def subscribe(self, pattern: str) -> AbstractAsyncContextManager[AsyncIterator[Delivery]]:
        """Subscribe."""

    async def wait_connected(self, timeout_s: float = 10.0) -> None:
        """Wait for a connection."""

    async def wait_disconnected(self, timeout_s: float) -> None:
        """Wait for the loss of it."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """How the link is.

    Attributes:
        connected: Whether the broker is reached.
        since_ns: Wall clock since when that is so.
        answered_ns: Wall clock of the hub's last receipt or time reply; None before the first.
        refused: Why the broker refuses this vehicle, if it does.
        uplink: Name of the uplink in use, where there are several.
    """

    connected: bool
    since_ns: int
    answered_ns: int | None
    refused: str | None
    uplink: str = ""


class Link:
    """Keeps facts, receipts and the clock going over an uplink."""

    def __init__(
        self,
        uplink: Uplink,
        *,
        address: tuple[str, str],
        outbox: Outbox,
        outgoing: Outgoing,
        incoming: Incoming,
        offset: OffsetEstimate,
        clock: Clock,
    ) -> None:
        """Prepare the link.

        Args:
            uplink: The transport, entered by its owner.
            address: Region and unit.
            outbox: What waits for the hub.
            outgoing: Makes the stream messages, and takes the receipts.
            incoming: Takes the hub's facts.
            offset: Takes the comparisons with the hub's clock.
            clock: This machine's.
        """
        self.sender = Sender(
            outbox, HUB, self._post, clock,
            has_room=lambda: uplink.has_room, newest_case_first=True,
            say=self._say_held, waits_for_answer=True,
        )  # fmt: skip
        self.changed: Callable[[], None] = lambda: None
        self.noted: Callable[[bool, str], None] = lambda _connected, _uplink: None
        self.compared: Callable[[], None] = lambda: None
        self.delivered: Callable[[set[str], int], None] = lambda _ids, _at: None
        self.refused: Callable[[list[Refusal]], None] = lambda _refusals: None
        self.arrival: Callable[[str, Arrival], None] = lambda _case, _arrival: None
        self._uplink = uplink
        self._region, self._unit = address
        self._epoch = outbox.epoch
        self._outgoing = outgoing
        self._incoming = incoming
        self._offset = offset
        self._clock = clock
        self._since_ns = clock.wall_ns()
        self._answered_ns: int | None = None
        self._asked: dict[int, int] = {}
        self._connected = False
        self._path = 0
        outgoing.listen(lambda _: self.sender.wake())

    @property
    def state(self) -> LinkState:
        """How it is now."""
        refusal = self._uplink.refusal
        return LinkState(
            self._connected, self._since_ns, self._answered_ns,
            str(refusal) if refusal else None, self._uplink.in_use,
        )  # fmt: skip

    @property
    def offset_ns(self) -> int:
        """What to add to this machine's wall clock to get the hub's; 0 while unknown."""
        estimate = self._offset.at(self._clock.wall_ns(), self._clock.monotonic_ns())
        return estimate.offset_ns if estimate else 0

    def hub_ns(self) -> int:
        """Return the hub's time as well as it is known."""
        return self._clock.wall_ns() + self.offset_ns

    async def publish(self, kind: str, data: bytes) -> None:
        """Publish below this unit's name.

        Raises:
            TransportError: There is no path.
        """
        await self._uplink.publish(self._topic(kind), data)

    async def _post(self, kind: str, data: bytes) -> None:
        """Hand a fact over: its receipt comes from the hub, not from the broker."""
        if self._uplink.connections != self._path:
            raise TransportError("the sender does not know of the new path yet")
        await self._uplink.post(self._topic(kind), data)

    async def _say_held(self, state: OutboxState) -> None:
        await self.publish("outbox_up", self._outgoing.frame(Draft("outbox_up", state)))

    def _topic(self, kind: str) -> str:
        return topics.path("unit", self._region, self._unit, kind, drill=self._outgoing.drill)

    async def send_freshest(self, draft: Draft) -> None:
        """Publish a stream message if there is a path; without one it is dropped and counted."""
        try:
            async with asyncio.timeout(2):
                await self.publish(draft.kind, self._outgoing.frame(draft))
        except (TransportError, TimeoutError):
            DROPPED.labels(draft.kind).inc()
        heed_cancellation()

    async def run(self) -> None:
        """Keep the link going until cancelled."""
        async with asyncio.TaskGroup() as group:
            name = f"onboard[{self._unit}]"
            group.create_task(self.sender.run(), name=f"{name}.sender")
            group.create_task(self._watch(), name=f"{name}.link")
            for kind in _DOWN:
                group.create_task(self._read(kind), name=f"{name}.{kind}")

    async def _watch(self) -> None:
        while True:
            try:
                await self._uplink.wait_connected(5)
            except TransportError:
                continue
            except CredentialError:
                self.changed()
                await asyncio.sleep(1)
                continue
            if self._uplink.connections != self._path:
                self._path = self._uplink.connections
                self._note(connected=True)
                self.sender.path_is_new()
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(self._ask_time(), name="onboard.time")
                await self._until_lost(self._path)
                asking.cancel()
            if not self._uplink.connected:
                self._note(connected=False)

    async def _until_lost(self, known: int) -> None:
        while self._uplink.connected and self._uplink.connections == known:
            try:
                await self._uplink.wait_disconnected(5)
            except TransportError:
                continue

    def _note(self, *, connected: bool) -> None:
        self._connected, self._since_ns = connected, self._clock.wall_ns()
        self.noted(connected, self._uplink.in_use)
        self.changed()

    async def _ask_time(self) -> None:
        asked = 0
        while True:
            t1_ns = self._clock.wall_ns()
            if len(self._asked) > 8:
                self._asked.clear()
            self._asked[t1_ns] = self._clock.monotonic_ns()
            await self.send_freshest(Draft("time_request", TimeRequest(t1_ns=t1_ns)))
            asked += 1
            await asyncio.sleep(0.5 if asked < TIME_AT_START else TIME_EVERY_S)

    async def _read(self, kind: str) -> None:
        pattern = self._topic(kind)
        while True:
            try:
                async with self._uplink.subscribe(pattern) as deliveries:
                    heed_cancellation()
                    async for delivery in deliveries:
                        await self._take_safely(delivery)
            except CredentialError as error:
                log.warning("subscription refused", kind=kind, error=str(error))
            await asyncio.sleep(5)

    async def _take_safely(self, delivery: Delivery) -> None:
        try:
            await self._take(delivery)
        except Exception:
            # A full disk, or our own mistake: what is a fact comes again, the link goes on.
            log.exception("message not taken", topic=delivery.topic)

    async def _take(self, delivery: Delivery) -> None:
        now_ns = self._clock.wall_ns()
        examined = examine(delivery.topic, delivery.data, now_ns, "hub")
        if not isinstance(examined, Examined):
            REFUSED.labels("onboard", examined.reason).inc()
            log.warning("message refused", topic=delivery.topic, error=examined.text)
            return
        match examined.envelope.kind:
            case "case_fact":
                await self._take_fact(examined)
            case "receipt_down":
                self._take_receipt(open_body(examined.envelope, Receipt))
            case "outbox_down":
                await self._take_held(examined.envelope)
            case "time_reply":
                self._take_time(open_body(examined.envelope, TimeReply))
            case "arrival":
                assert examined.envelope.case is not None
                self.arrival(examined.envelope.case, open_body(examined.envelope, Arrival))

    async def _take_fact(self, examined: Examined) -> None:
        receipt: Body = self._incoming.take(examined)
        await self.send_freshest(Draft("receipt_up", receipt))

    async def _take_held(self, envelope: Envelope) -> None:
        """Take the hub's word of what it still holds: what this vehicle lost is asked for."""
        source, state = envelope.source, open_body(envelope, OutboxState)
        if gone := self._incoming.missing_of(source, state):
            lost = CopyLost(epoch=state.epoch, gone=gone)
            self._outgoing.make([Draft("copy_lost", lost)])
        receipt: Body = self._incoming.give_up(source, state, self.hub_ns())
        await self.send_freshest(Draft("receipt_up", receipt))

    def _take_receipt(self, receipt: Receipt) -> None:
        self._answered_ns = self._clock.wall_ns()
        at_hub_ns = self.hub_ns()
        self.sender.take_receipt(receipt)
        ids = self._outgoing.take_receipt(receipt, at_hub_ns)
        if ids:
            self.delivered(ids, at_hub_ns)
        if receipt.refused and receipt.epoch == self._epoch:
            self.refused(receipt.refused)
        self.changed()

    def _take_time(self, reply: TimeReply) -> None:
        if self._asked.pop(reply.t1_ns, None) is None:
            return  # an answer to nobody's question, or one that came twice
        wall_ns, monotonic_ns = self._clock.wall_ns(), self._clock.monotonic_ns()
        self._answered_ns = wall_ns
        self._offset.add(reply.t1_ns, reply.t2_ns, reply.t3_ns, wall_ns, monotonic_ns)
        self.compared()
