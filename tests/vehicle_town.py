"""A vehicle's surroundings for its tests: a real broker and a hub made of kernel parts.

The stand-in hub speaks the real protocol over the real transport: it stores, receipts, tells
the time and sends case facts. It decides nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np
import wfdb

from onboard.sensors.settings import WfdbReplaySettings
from onboard.service import serve
from onboard.settings import Broker as BrokerTable
from onboard.settings import Settings
from streams import topics
from streams.authority import client_context
from streams.broker import Broker, BrokerSettings, Ports, credentials_directory
from streams.broker_rights import stream_name
from streams.clock import SystemClock
from streams.codec import any_body, decode, encode, open_body
from streams.credentials import Credential, credential_path, issue
from streams.delivery import Examined, Sender, examine
from streams.identity import alias, new_id
from streams.inbox import Inbox
from streams.messages import (
    Acknowledged,
    Body,
    CaseFact,
    CaseOpened,
    Envelope,
    HospitalChosen,
    Position,
    Receipt,
    Refusal,
    TimeReply,
    TimeRequest,
    UnitAssigned,
)
from streams.outbox import Draft, Outbox
from streams.transport import Delivery
from streams.transport.nats import NatsTransport

REGION = "north"
UNIT = "unit-1"
CREW = "crew-1"
BOUND_S = 15.0
RECORD_RATE, RECORD_SAMPLES = 500, 5000


class StandInHub:
    """A hub as the vehicle sees it.

    Attributes:
        facts: The vehicle's facts, each once, in the order of coming.
        repeats: Facts that came again.
        heard: Stream messages by kind.
        clock_offset_ns: How far this hub's clock is ahead of the vehicle's.
        refuse: Kinds that are refused.
    """

    def __init__(self, transport: NatsTransport, state: Path) -> None:
        self.facts: list[Envelope] = []
        self.repeats = 0
        self.heard: dict[str, list[Envelope]] = defaultdict(list)
        self.clock_offset_ns = 0
        self.refuse: set[str] = set()
        self.answering = True
        self.ready = asyncio.Event()
        self._transport = transport
        self._inbox = Inbox()
        self._outbox = Outbox(state / "hub.sqlite", "hub", SystemClock())
        self._numbers: dict[str, int] = defaultdict(int)
        self._sender = Sender(self._outbox, f"unit/{UNIT}", self._publish, SystemClock())

    def now_ns(self) -> int:
        """This hub's time."""
        return time.time_ns() + self.clock_offset_ns

    def kinds(self) -> list[str]:
        """Kinds of the vehicle's facts that came."""
        return [fact.kind for fact in self.facts]

    def of(self, kind: str) -> list[Envelope]:
        """The vehicle's facts of a kind, in the order in which they were made."""
        found = [fact for fact in self.facts if fact.kind == kind]
        return sorted(found, key=lambda fact: fact.sequence)

    def waiting(self) -> int:
        """Case facts that the vehicle has not receipted."""
        return sum(self._outbox.depth(f"unit/{UNIT}").waiting.values())

    def tell(self, case: str, kind: str, body: Body, source: str = "hub") -> Envelope:
        """Make a fact of a case and send it to the vehicle."""
        draft = Draft(kind, body, case=case)
        made = self._outbox.envelope(draft, topics.find(kind).lane, 1)
        fact = msgspec.structs.replace(made, source=source, source_ns=self.now_ns())
        self.forward(fact)
        return fact

    def forward(self, fact: Envelope) -> None:
        """Send a fact as ``case_fact``."""
        assert fact.case is not None
        self._numbers[fact.case] += 1
        body = CaseFact(
            case_sequence=self._numbers[fact.case], hash=bytes(32), corrected_ns=self.now_ns(),
            received_ns=self.now_ns(), fact=encode(fact),
        )  # fmt: skip
        draft = Draft("case_fact", body, case=fact.case, lane=topics.find(fact.kind).lane)
        self._outbox.add(f"unit/{UNIT}", draft)
        self._sender.wake()

    def call(self, address: str = "12 Long Street", **known: Any) -> str:
        """Open a case and send the vehicle; return the case."""
        case = new_id()
        opened = {"complaint": "chest pain", "alias": alias(case), "severity": "red"} | known
        self.tell(case, "case_opened", CaseOpened(address=address, **opened))
        self.tell(case, "unit_assigned", UnitAssigned(unit=UNIT))
        return case

    def choose(self, case: str, hospital: str = "first-hospital") -> None:
        """Choose the receiving hospital."""
        body = HospitalChosen(hospital=hospital, name=hospital.replace("-", " ").title())
        self.tell(case, "hospital_chosen", body)

    def acknowledge(self, case: str, role: str = "charge nurse") -> None:
        """Say that the hospital has seen the case."""
        body = Acknowledged(hospital="first-hospital", role=role)
        self.tell(case, "acknowledged", body, source="first-hospital")

    async def stream(self, kind: str, body: Body, case: str | None = None) -> None:
        """Send the vehicle a stream message."""
        await self._publish(kind, encode(self._outbox.envelope(Draft(kind, body, case=case))))

    async def run(self) -> None:
        """Serve until cancelled."""
        await self._transport.wait_connected(BOUND_S)
        await self._transport.ensure_streams(REGION)
        stream = stream_name("from_units", REGION)
        await self._transport.ensure_consumer(stream, "hub")
        self.ready.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._sender.run())
            group.create_task(self._pull(stream))
            for kind in ("receipt_up", "time_request", "position", "outbox_up"):
                group.create_task(self._listen(kind))

    def close(self) -> None:
        """Close the outbox."""
        self._outbox.close()

    async def _publish(self, kind: str, data: bytes) -> None:
        await self._transport.publish(topics.path("unit", REGION, UNIT, kind), data)

    async def _pull(self, stream: str) -> None:
        async with contextlib.aclosing(self._transport.pull(stream, "hub")) as batches:
            async for batch in batches:
                for stored in batch:
                    await stored.ack()
                    if self.answering:
                        await self._take(stored.topic, stored.data)

    async def _take(self, topic: str, data: bytes) -> None:
        item = examine(topic, data, self.now_ns(), "unit")
        assert isinstance(item, Examined), item
        line, envelope = item.arrived.line, item.envelope
        assert line is not None
        refused = []
        if self._inbox.has(line, envelope.sequence):
            self.repeats += 1
        elif envelope.kind in self.refuse:
            refused.append(Refusal(id=envelope.id, reason="case", text="not this unit's case"))
        else:
            self.facts.append(envelope)
        self._inbox.take(line, envelope.sequence)
        stored = self._inbox.lines(envelope.source, envelope.epoch)
        receipt = Receipt(epoch=envelope.epoch, stored=stored, refused=refused)
        await self.stream("receipt_down", receipt)

    async def _listen(self, kind: str) -> None:
        pattern = topics.path("unit", REGION, "+", kind)
        async with self._transport.subscribe(pattern) as deliveries:
            async for delivery in deliveries:
                await self._hear(kind, delivery)

    async def _hear(self, kind: str, delivery: Delivery) -> None:
        received_ns = self.now_ns()
        envelope = decode(delivery.data)
        self.heard[kind].append(envelope)
        if kind == "receipt_up":
            self._sender.take_receipt(open_body(envelope, Receipt))
        if kind == "outbox_up" and self.answering:
            stored = self._inbox.lines(envelope.source, envelope.epoch)
            await self.stream("receipt_down", Receipt(epoch=envelope.epoch, stored=stored))
        if kind == "time_request":
            t1_ns = open_body(envelope, TimeRequest).t1_ns
            reply = TimeReply(t1_ns=t1_ns, t2_ns=received_ns, t3_ns=self.now_ns())
            await self.stream("time_reply", reply)


@dataclass
class Town:
    """Broker, hub, and the files of one vehicle."""

    state: Path
    broker: Broker
    hub: StandInHub
    unit: Credential
    crew: Credential
    settings: Settings
    extra: dict[str, Any] = field(default_factory=dict)

    def with_settings(self, **changes: Any) -> Settings:
        """Return the vehicle's settings with some changed."""
        return msgspec.structs.replace(self.settings, **changes)


@contextlib.asynccontextmanager
async def town(state: Path) -> AsyncIterator[Town]:
    """Run a broker and a stand-in hub; the vehicle is the test's to start."""
    directory = state / "broker"
    credentials = credentials_directory(directory)
    unit = issue(credentials, UNIT, "unit", REGION)
    hub_credential = issue(credentials, "hub", "hub", REGION)
    crew = issue(credentials, CREW, "seat", REGION, place=UNIT)
    free = Ports(mqtt=0, websocket=0, nats=0, monitor=0, health=0, leaf=0)
    async with Broker(BrokerSettings(ports=free, storage_mib=4096), directory) as broker:
        ends = broker.endpoints
        assert ends.ca_path is not None
        settings = Settings(
            name=UNIT, label="Medic 1", region=REGION, state=str(state / UNIT),
            credential=str(credential_path(credentials, UNIT)), authority=ends.ca_path,
            roster=str(credentials), broker=BrokerTable(host=ends.host, port=ends.mqtt_port),
        )  # fmt: skip
        trust = client_context(Path(ends.ca_path))
        async with NatsTransport(ends.nats_url, hub_credential, trust) as transport:
            hub = StandInHub(transport, state)
            serving = asyncio.create_task(hub.run(), name="hub")
            try:
                await asyncio.wait_for(hub.ready.wait(), BOUND_S)
                yield Town(state, broker, hub, unit, crew, settings)
            finally:
                serving.cancel()
                await asyncio.wait({serving})
                hub.close()


@dataclass
class Vehicle:
    """A vehicle that serves: its address and the crew's key."""

    url: str
    token: str
    http: aiohttp.ClientSession

    async def act(self, action: str, **fields: Any) -> tuple[int, dict[str, Any]]:
        """Ask for an action; return status and answer."""
        body = {"action": action, **fields}
        async with self.http.post(f"{self.url}/api/action", json=body) as answer:
            return answer.status, await answer.json()

    async def state(self) -> dict[str, Any]:
        """Return what the tablet shows."""
        async with self.http.get(f"{self.url}/api/state") as answer:
            assert answer.status == 200, await answer.text()
            found: dict[str, Any] = await answer.json()
            return found

    async def shows(self, **parts: Any) -> bool:
        """Whether the tablet shows these: ``run__state="running"`` looks inside a part."""
        state = await self.state()
        return all(_inside(state, name.split("__")) == value for name, value in parts.items())


@contextlib.asynccontextmanager
async def talking_to(settings: Settings, token: str) -> AsyncIterator[Vehicle]:
    """Wait until the vehicle serves, and talk to it as the crew."""
    ready = Path(settings.state) / "ready.json"
    until = time.monotonic() + BOUND_S
    while not ready.is_file():
        assert time.monotonic() < until, "the vehicle does not serve"
        await asyncio.sleep(0.02)
    url = msgspec.json.decode(ready.read_bytes())["url"]
    trust = client_context(Path(settings.authority))
    async with aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {token}"},
        connector=aiohttp.TCPConnector(ssl=trust),
    ) as http:
        yield Vehicle(url, token, http)


def body_of(envelope: Envelope) -> Body:
    """Decode a fact's body."""
    return any_body(envelope)


def position(latitude_deg: float, longitude_deg: float) -> Position:
    """A position now."""
    return Position(
        latitude_deg=latitude_deg, longitude_deg=longitude_deg,
        measured_ns=time.time_ns(), source="test",
    )  # fmt: skip


def _inside(state: Any, names: list[str]) -> Any:
    for name in names:
        state = state[name] if isinstance(state, dict) and name in state else None
    return state


@dataclass
class Started:
    """A vehicle that serves in this process."""

    town: Town
    settings: Settings
    vehicle: Vehicle

    @property
    def hub(self) -> StandInHub:
        return self.town.hub


@contextlib.asynccontextmanager
async def running(site: Town, **changes: Any) -> AsyncIterator[Started]:
    """Run the agent in this process."""
    settings = site.with_settings(**changes)
    task = asyncio.create_task(serve(settings), name="vehicle")
    try:
        async with talking_to(settings, site.crew.token) as vehicle:
            yield Started(site, settings, vehicle)
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled() and task.exception():
            raise task.exception()  # type: ignore[misc]


def write_record(folder: Path, samples: int = RECORD_SAMPLES) -> Path:
    """Write a WFDB record of two leads in which each sample tells its number."""
    numbers = np.arange(samples) % 30_000
    wfdb.wrsamp(
        "counted", fs=RECORD_RATE, units=["mV", "mV"], sig_name=["I", "II"],
        d_signal=np.stack((numbers, -numbers), axis=1), fmt=["16", "16"],
        adc_gain=[200.0, 200.0], baseline=[0, 0], write_dir=str(folder),
    )  # fmt: skip
    return folder / "counted"


def replay(record: Path, name: str = "ecg", **options: Any) -> WfdbReplaySettings:
    return WfdbReplaySettings(name=name, paths=(str(record),), **options)


async def begin_run(started: Started, wait_for: Any) -> str:
    """Send the vehicle on a call and start the run."""
    case = started.hub.call()
    started.hub.choose(case)
    await wait_for(lambda: started.vehicle.shows(run__state="assigned"), "the assignment")
    status, answer = await started.vehicle.act("start_run")
    assert status == 200, answer
    return case
