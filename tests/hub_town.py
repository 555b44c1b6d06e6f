"""A small town for the hub's tests: a real broker, the hub, and stand-ins made of kernel parts.

The stand-ins speak the real protocol over the real transports: an outbox with a sender, an
inbox, receipts. They decide nothing and show nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from dispatch.hub import Hub
from dispatch.server import serving
from dispatch.settings import BrokerSettings as HubBroker
from dispatch.settings import Listen, Media, Settings
from dispatch.speech.settings import SpeechSettings
from dispatch.units import HospitalSettings, UnitSettings
from streams import topics
from streams.authority import client_context
from streams.broker import Broker, BrokerSettings, Ports, credentials_directory
from streams.broker_rights import stream_name
from streams.chain import Arrived, verify
from streams.clock import SystemClock
from streams.codec import decode, encode, open_body
from streams.credentials import PLACED, Role, credential_path, issue
from streams.delivery import Examined, Sender, examine
from streams.inbox import Inbox
from streams.journal import Journal
from streams.link_messages import OutboxState
from streams.messages import CaseFact, Envelope, Receipt
from streams.outbox import Draft, Outbox
from streams.topics import Scope
from streams.transport.mqtt import MqttTransport
from streams.transport.nats import NatsTransport

REGION = "north"
UNITS = ("unit-1", "unit-2", "unit-3")
HOSPITALS = {"first-hospital": (31.21, 121.46), "second-hospital": (31.25, 121.50)}
BOUND_S = 15.0


class Party:
    """What vehicle and hospital have in common: an outbox to the hub, and what came from it.

    Attributes:
        facts: The case facts that came, each once, in the order of coming, opened.
        bodies: Their case facts' bodies, by case and number.
        heard: Stream messages that came, by kind.
    """

    scope: Scope

    def __init__(self, name: str, state: Path) -> None:
        self.name = name
        self.outbox = Outbox(state / f"{name}.sqlite", name, SystemClock())
        self.inbox = Inbox()
        self.facts: list[Envelope] = []
        self.bodies: dict[tuple[str, int], CaseFact] = {}
        self.repeats = 0
        self.heard: dict[str, list[Envelope]] = defaultdict(list)
        self.receipts: list[Receipt] = []
        self.sender = Sender(self.outbox, "hub", self._send, SystemClock(), say=self._say)
        self.transport: Any = None
        self.is_there = asyncio.Event()

    def make(self, draft: Draft) -> Envelope:
        """Make a fact; it leaves by itself."""
        envelope = self.outbox.add("hub", draft)
        self.sender.wake()
        return envelope

    async def stream(self, draft: Draft) -> None:
        """Send a stream message."""
        await self._send(draft.kind, encode(self.outbox.envelope(draft)))

    async def _say(self, state: OutboxState) -> None:
        await self.stream(Draft("outbox_up", state))

    async def _send(self, kind: str, data: bytes) -> None:
        await self.transport.publish(topics.path(self.scope, REGION, self.name, kind), data)

    def waiting(self) -> int:
        """How many facts have no receipt yet."""
        return sum(self.outbox.depth("hub").waiting.values())

    def kinds(self, case: str) -> list[str]:
        """Kinds of the facts of a case that came, in the order of the case."""
        found = [(number, body) for (of, number), body in self.bodies.items() if of == case]
        return [decode(body.fact).kind for _, body in sorted(found, key=lambda pair: pair[0])]

    async def listen(self, kind: str) -> None:
        """Take stream messages of one kind until cancelled."""
        pattern = topics.path(self.scope, REGION, self.name, kind)
        async with self.transport.subscribe(pattern) as deliveries:
            async for delivery in deliveries:
                envelope = decode(delivery.data)
                if kind == "receipt_down":
                    self.receipts.append(open_body(envelope, Receipt))
                    self.sender.take_receipt(self.receipts[-1])
                elif kind == "case_fact":
                    await self.take(delivery.topic, delivery.data)
                else:
                    self.heard[kind].append(envelope)

    async def take(self, topic: str, data: bytes) -> None:
        """Store a case fact and say so."""
        item = examine(topic, data, SystemClock().wall_ns(), "hub")
        assert isinstance(item, Examined), item
        line = item.arrived.line
        assert line is not None
        if self.inbox.has(line, item.envelope.sequence):
            self.repeats += 1
        else:
            body = open_body(item.envelope, CaseFact)
            await self.store(item, body)
            self.inbox.take(line, item.envelope.sequence)
            fact = decode(body.fact)
            self.facts.append(fact)
            self.bodies[fact.case or "", body.case_sequence] = body
        stored = self.inbox.lines("hub", item.envelope.epoch)
        await self.stream(Draft("receipt_up", Receipt(epoch=item.envelope.epoch, stored=stored)))

    async def store(self, item: Examined, body: CaseFact) -> None:
        """Keep a new case fact."""


class Vehicle(Party):
    """A vehicle: MQTT, and nothing else."""

    scope = "unit"

    async def run(self, town: Town) -> None:
        where = town.broker.endpoints
        credential = town.issue(self.name, "unit")
        async with MqttTransport(where.host, where.mqtt_port, credential, town.trust) as transport:
            self.transport = transport
            self.is_there.set()
            async with asyncio.TaskGroup() as group:
                for kind in ("case_fact", "receipt_down", "time_reply", "arrival"):
                    group.create_task(self.listen(kind), name=f"{self.name}.{kind}")
                group.create_task(self.sender.run(), name=f"{self.name}.sender")


class Hospital(Party):
    """A hospital's gateway: JetStream for facts, a journal of its own."""

    scope = "hospital"
    journal: Journal

    async def run(self, town: Town) -> None:
        where, credential = town.broker.endpoints, town.issue(self.name, "hospital")
        url = f"sqlite:///{town.state / self.name}-journal.sqlite"
        async with (
            NatsTransport(where.nats_url, credential, town.trust) as transport,
            Journal(url) as self.journal,
        ):
            self.transport = transport
            self.is_there.set()
            async with asyncio.TaskGroup() as group:
                for kind in ("receipt_down", "time_reply", "arrival", "position", "ecg_live"):
                    group.create_task(self.listen(kind), name=f"{self.name}.{kind}")
                group.create_task(self.sender.run(), name=f"{self.name}.sender")
                group.create_task(self._read(), name=f"{self.name}.facts")

    async def chain_holds(self, case: str) -> bool:
        """Check the copy of a case: lanes overtake each other, so it is sorted first."""
        facts = await self.journal.facts(case=case)
        verify(iter(sorted(facts, key=lambda fact: fact.case_sequence or 0)))
        return True

    async def _read(self) -> None:
        batches = self.transport.pull(stream_name("to_hospitals", REGION), self.name)
        async with contextlib.aclosing(batches):
            async for batch in batches:
                for one in batch:
                    await self.take(one.topic, one.data)
                    await one.ack()

    async def store(self, item: Examined, body: CaseFact) -> None:
        await self.journal.append(
            Arrived(
                data=body.fact,
                received_ns=body.received_ns,
                corrected_ns=body.corrected_ns,
                case_sequence=body.case_sequence,
                hash=body.hash,
            )
        )


class Town:
    """The broker, the hub and who is there."""

    def __init__(self, broker: Broker, state: Path) -> None:
        self.broker = broker
        self.state = state
        assert broker.endpoints.ca_path is not None
        self.trust = client_context(Path(broker.endpoints.ca_path))
        self.hub: Hub
        self._group: asyncio.TaskGroup
        self._http: aiohttp.ClientSession
        self.seat = self.issue("seat-1", "seat")

    def issue(self, name: str, role: Role, at: str = "hub") -> Any:
        """Issue a credential; a seat's is at the hub unless told otherwise."""
        place = at if role in PLACED else ""
        return issue(Path(self.broker.endpoints.credentials), name, role, REGION, place=place)

    def settings(self, **changes: Any) -> Settings:
        """The hub's settings."""
        where = self.broker.endpoints
        credentials = Path(where.credentials)
        settings = Settings(
            region=REGION,
            state=str(self.state / "hub"),
            credential=str(credential_path(credentials, "hub")),
            roster=str(credentials),
            authority=str(where.ca_path),
            broker=HubBroker(url=where.nats_url),
            listen=Listen(port=0),
            media=Media(addresses=("127.0.0.1",)),
            speech=SpeechSettings(recognition=False, synthesis=False),
            units=tuple(UnitSettings(name=name, label=f"Ambulance {name[-1]}") for name in UNITS),
            hospitals=tuple(
                HospitalSettings(
                    name=name,
                    label=name.replace("-", " ").title(),
                    latitude_deg=place[0],
                    longitude_deg=place[1],
                )
                for name, place in HOSPITALS.items()
            ),
        )
        return msgspec.structs.replace(settings, **changes)

    @contextlib.asynccontextmanager
    async def open_hub(self, **changes: Any) -> AsyncIterator[Hub]:
        """Run the hub while the block runs."""
        timeout = aiohttp.ClientTimeout(total=BOUND_S)
        async with serving(self.settings(**changes)) as hub:
            self.hub = hub
            await asyncio.wait_for(hub.link.ready.wait(), BOUND_S)
            headers = {"Authorization": f"Bearer {self.seat.token}"}
            async with aiohttp.ClientSession(hub.url, headers=headers, timeout=timeout) as http:
                self._http = http
                yield hub

    @contextlib.asynccontextmanager
    async def join(self, *parties: Vehicle | Hospital) -> AsyncIterator[None]:
        """Have vehicles and hospitals there while the block runs."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one.run(self), name=one.name) for one in parties]
            try:
                for one in parties:
                    await asyncio.wait_for(one.is_there.wait(), BOUND_S)
                    await one.transport.wait_connected(BOUND_S)
                yield
            finally:
                for task in tasks:
                    task.cancel()
        for one in parties:
            one.outbox.close()

    async def act(self, action: str, *, status: int = 200, **fields: Any) -> dict[str, Any]:
        """Do an action by the API as the seat."""
        answer: dict[str, Any] = await self.ask(
            "POST", "/api/action", status, {"action": action, **fields}
        )
        return answer

    async def get(self, path: str, status: int = 200) -> Any:
        """Read from the API as the seat."""
        return await self.ask("GET", path, status)

    async def ask(self, method: str, path: str, status: int, body: Any = None) -> Any:
        """Ask the API; the status must be as stated."""
        data = msgspec.json.encode(body) if body is not None else None
        async with self._http.request(method, path, data=data, ssl=self.trust) as answer:
            text = await answer.text()
            assert answer.status == status, (answer.status, text)
            return msgspec.json.decode(text) if text.startswith(("{", "[")) else text

    async def open_case(self, address: str = "No. 1 Long Street", **fields: Any) -> str:
        """Open a case; return its id."""
        answer = await self.act("open_case", address=address, **fields)
        return str(answer["case"])


@contextlib.asynccontextmanager
async def a_town(state: Path) -> AsyncIterator[Town]:
    """Give a town with its broker; the hub is opened by the test."""
    broker_state = state / "broker"
    roles: dict[str, Role] = {"hub": "hub", **dict.fromkeys(UNITS, "unit")}
    for name, role in {**roles, **dict.fromkeys(HOSPITALS, "hospital")}.items():
        issue(credentials_directory(broker_state), name, role, REGION)  # type: ignore[arg-type]
    async with Broker(BrokerSettings(ports=Ports(0, 0, 0, 0, 0, 0)), broker_state) as broker:
        yield Town(broker, state)


def numbers(party: Party, case: str) -> Sequence[int]:
    """The case_sequences of a case that a party has, sorted."""
    return sorted(number for of, number in party.bodies if of == case)
