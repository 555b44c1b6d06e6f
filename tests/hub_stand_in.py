"""A small hub of kernel parts, over a real broker: for tests of a hospital's gateway.

It journals facts, forwards a case's facts to its hospital through an outbox, takes receipts,
answers time requests, and takes the hospital's own facts into the case. What a real hub decides
(who gets what) the test decides here.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any, Self

from streams.authority import client_context
from streams.broker import Broker, BrokerSettings, Ports, credentials_directory
from streams.broker_rights import stream_name
from streams.chain import Arrived, Stored
from streams.clock import SystemClock
from streams.codec import decode, encode, encode_body, open_body
from streams.credentials import Credential, issue
from streams.delivery import Examined, Sender, examine
from streams.identity import new_id
from streams.journal import Journal
from streams.messages import (
    VERSION,
    Arrival,
    Body,
    CaseFact,
    EcgLive,
    Envelope,
    HospitalChosen,
    HospitalStoodDown,
    Receipt,
    Refusal,
    TimeReply,
    TimeRequest,
)
from streams.outbox import Draft, Outbox
from streams.topics import find, path
from streams.transport.nats import NatsTransport

REGION = "demo"
HOSPITALS = ("first-hospital", "second-hospital")
ANY_PORTS = Ports(mqtt=0, websocket=0, nats=0, monitor=0, health=0, leaf=0)


class HubStandIn:
    """Broker and hub in one; use it with ``async with``."""

    def __init__(self, folder: Path, *, ahead_ns: int = 0) -> None:
        """Prepare.

        Args:
            folder: For everything on disk.
            ahead_ns: How far the hub's clock is ahead of this machine's.
        """
        self.folder = folder
        self.ahead_ns = ahead_ns
        self.receipts: list[Receipt] = []
        self.from_hospitals: list[Envelope] = []
        self.refuse_hospitals = False
        self.answers_time = True
        self.hospital_of: dict[str, str | None] = {}
        self._stack = contextlib.AsyncExitStack()
        self._sent: dict[tuple[str, str], int] = {}
        self._epochs: dict[str, str] = {}
        self._sequences: dict[tuple[str, str], int] = {}
        self.credentials: dict[str, Credential] = {}

    async def __aenter__(self) -> Self:
        enter = self._stack.enter_async_context
        state = self.folder / "broker"
        self.roster = credentials_directory(state)  # filled before: a running broker reloads later
        for name in HOSPITALS:
            self.credentials[name] = issue(self.roster, name, "hospital", REGION)
        self.credentials["hub"] = issue(self.roster, "hub", "hub", REGION)
        self.seat = issue(self.roster, "er-desk", "seat", REGION, place=HOSPITALS[0])
        self.seats = {HOSPITALS[0]: self.seat}
        for name in HOSPITALS[1:]:
            self.seats[name] = issue(self.roster, f"{name}-desk", "seat", REGION, place=name)
        settings = BrokerSettings(state=str(state), ports=ANY_PORTS)
        self.broker = await enter(Broker(settings, state))
        self.ca = Path(str(self.broker.endpoints.ca_path))
        url, trust = self.broker.endpoints.nats_url, client_context(self.ca)
        self.transport = await enter(NatsTransport(url, self.credentials["hub"], trust))
        await self.transport.wait_connected()
        await self.transport.ensure_streams(REGION)
        for name in HOSPITALS:
            await self.transport.ensure_hospital_consumer(REGION, name)
        await self.transport.ensure_consumer(stream_name("from_hospitals", REGION), "hub")
        self.journal = await enter(Journal(f"sqlite:///{self.folder / 'hub.sqlite'}"))
        self.outbox = Outbox(self.folder / "hub-outbox.sqlite", "hub", SystemClock())
        self._stack.callback(self.outbox.close)
        self.senders = {name: self._sender(name) for name in HOSPITALS}
        group = await enter(asyncio.TaskGroup())
        tasks = [
            group.create_task(work, name=f"hub.{number}")
            for number, work in enumerate(
                (
                    *(sender.run() for sender in self.senders.values()),
                    *(self._take_receipts(name) for name in HOSPITALS),
                    *(self._answer_time(name) for name in HOSPITALS),
                    self._take_facts(),
                )
            )
        ]
        self._stack.callback(lambda: [task.cancel() for task in tasks])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def now_ns(self) -> int:
        """The hub's clock."""
        return time.time_ns() + self.ahead_ns

    # --- facts -------------------------------------------------------------------------------

    async def fact(
        self, case: str, body: Body, kind: str, source: str = "hub", *,
        patient: str | None = None, made_ns: int | None = None, origin: Any = "live",
    ) -> Stored:  # fmt: skip
        """Journal a fact of a case as made now, and forward what its hospital lacks."""
        envelope = self.envelope(
            case, body, kind, source, patient=patient, made_ns=made_ns, origin=origin
        )
        stored = await self.journal.append(
            Arrived(encode(envelope), self.now_ns(), envelope.source_ns)
        )
        assert stored is not None
        leaving = None
        if isinstance(body, HospitalChosen):
            self.hospital_of[case] = body.hospital
        elif isinstance(body, HospitalStoodDown):
            leaving, self.hospital_of[case] = body.hospital, None
        await self._forward(case, leaving or self.hospital_of.get(case))
        return stored

    def envelope(
        self, case: str | None, body: Body, kind: str, source: str, *,
        patient: str | None = None, made_ns: int | None = None, origin: Any = "live",
    ) -> Envelope:  # fmt: skip
        """Put an envelope around a body, made by `source` whose clock is the hub's."""
        lane = find(kind).lane
        key = (source, lane)
        self._sequences[key] = self._sequences.get(key, 0) + 1
        return Envelope(
            version=VERSION,
            kind=kind,
            id=new_id(),
            source=source,
            epoch=self._epochs.setdefault(source, new_id()),
            lane=lane,
            sequence=0 if lane == "stream" else self._sequences[key],
            source_ns=self.now_ns() if made_ns is None else made_ns,
            monotonic_ns=time.monotonic_ns(),
            offset_ns=0,
            uncertainty_ns=0,
            origin=origin,
            body=encode_body(body),
            case=case,
            patient=patient,
        )

    async def _forward(self, case: str, hospital: str | None) -> None:
        if hospital is None:
            return
        key = (case, hospital)
        for fact in await self.journal.facts(case=case, after=self._sent.get(key, 0)):
            self.forward_one(hospital, fact)
            self._sent[key] = fact.position

    def forward_one(self, hospital: str, stored: Stored, **changed: Any) -> None:
        """Send one fact on, even a wrong one."""
        carrier: dict[str, Any] = {
            "case_sequence": stored.case_sequence,
            "hash": stored.hash,
            "corrected_ns": stored.corrected_ns,
            "received_ns": stored.received_ns,
            "fact": stored.data,
        }
        lane = find(stored.envelope.kind).lane
        case = changed.pop("case", stored.envelope.case)
        body = CaseFact(**(carrier | changed))
        draft = Draft("case_fact", body, stored.envelope.origin, case=case, lane=lane)
        self.outbox.add(f"hospital/{hospital}", draft)
        self.senders[hospital].wake()

    def waiting(self, hospital: str) -> int:
        """How many facts have no receipt of a hospital yet."""
        return sum(self.outbox.depth(f"hospital/{hospital}").waiting.values())

    # --- streams -----------------------------------------------------------------------------

    async def stream(
        self, hospital: str, case: str | None, body: Body, kind: str, source: str, *,
        origin: Any = "live",
    ) -> None:  # fmt: skip
        """Send a stream message to a hospital, whoever receives the case."""
        envelope = self.envelope(case, body, kind, source, origin=origin)
        await self.transport.publish(path("hospital", REGION, hospital, kind), encode(envelope))

    async def ecg(self, hospital: str, case: str, setup_id: str, frame: bytes, unit: str) -> None:
        """Send a live frame whose newest sample is of now."""
        body = EcgLive(setup_id=setup_id, frame=frame, newest_ns=self.now_ns())
        await self.stream(hospital, case, body, "ecg_live", unit)

    async def eta(
        self, hospital: str, case: str, in_s: float, old_s: float = 1.0, origin: Any = "live"
    ) -> None:
        """Send an estimate of arrival."""
        now = self.now_ns()
        body = Arrival(
            at_ns=now + int(in_s * 1e9),
            position_ns=now - int(old_s * 1e9),
            distance_m=in_s * 11,
            method="straight line",
        )
        await self.stream(hospital, case, body, "arrival", "hub", origin=origin)

    # --- what runs ---------------------------------------------------------------------------

    def _sender(self, hospital: str) -> Sender:
        async def publish(kind: str, data: bytes) -> None:
            await self.transport.publish_stored(path("hospital", REGION, hospital, kind), data)

        return Sender(self.outbox, f"hospital/{hospital}", publish, SystemClock())

    async def _take_receipts(self, hospital: str) -> None:
        topic = path("hospital", REGION, hospital, "receipt_up")
        async with self.transport.subscribe(topic) as deliveries:
            async for delivery in deliveries:
                receipt = open_body(decode(delivery.data), Receipt)
                self.receipts.append(receipt)
                self.senders[hospital].take_receipt(receipt)

    async def _answer_time(self, hospital: str) -> None:
        topic = path("hospital", REGION, hospital, "time_request")
        async with self.transport.subscribe(topic) as deliveries:
            async for delivery in deliveries:
                if not self.answers_time:
                    continue
                request = open_body(decode(delivery.data), TimeRequest)
                now = self.now_ns()
                reply = TimeReply(t1_ns=request.t1_ns, t2_ns=now, t3_ns=now)
                await self.stream(hospital, None, reply, "time_reply", "hub")

    async def _take_facts(self) -> None:
        async for batch in self.transport.pull(stream_name("from_hospitals", REGION), "hub"):
            for message in batch:
                found = examine(message.topic, message.data, self.now_ns(), "hospital")
                assert isinstance(found, Examined), found
                await self._take_fact(found)
                await message.ack()

    async def _take_fact(self, found: Examined) -> None:
        envelope, case = found.envelope, str(found.envelope.case)
        self.from_hospitals.append(envelope)
        refused = []
        if self.refuse_hospitals:
            refused = [Refusal(id=envelope.id, reason="case", text="not this hospital's case")]
            stored = {envelope.lane: envelope.sequence}
        else:
            await self.journal.append(found.arrived)
            await self._forward(case, self.hospital_of.get(case))
            stored = self.journal.inbox.lines(envelope.source, envelope.epoch)
        receipt = Receipt(epoch=envelope.epoch, stored=stored, refused=refused)
        await self.stream(envelope.source, None, receipt, "receipt_down", "hub")


def hospital_settings(
    hub: HubStandIn, hospital: str = "first-hospital", **changed: Any
) -> dict[str, Any]:
    """Return the settings of a gateway of this hub, for `Settings` or a TOML file."""
    return {
        "name": hospital,
        "label": hospital.replace("-", " ").title() + " ER",
        "region": REGION,
        "state": str(hub.folder / hospital),
        "hub": "https://127.0.0.1:1",
        "credential": str(hub.roster / "issued" / f"{hospital}.toml"),
        "roster": str(hub.roster),
        "authority": str(hub.ca),
        "broker": {"url": hub.broker.endpoints.nats_url},
        "roles": ["charge nurse", "emergency physician", "cardiologist"],
        "needs": {"stemi": ["cath lab", "resuscitation bay"]},
        **changed,
    }
