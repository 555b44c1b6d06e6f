"""One hub and one hospital's gateway around the worst of networks, for tests that choose.

The parts are the real ones: journals and outboxes on disk, forwarder, router, refilling, senders,
ingest, the gateway's inbound and board. Only clocks and wires are stand-ins, and the hub's views
(``PlainRecord``): what lies on a wire stays there until the test takes it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from dispatch.case_record import CaseRecord
from dispatch.forwarder import Forwarder
from dispatch.ingest import Ingest
from hospital_gateway.bay_merge import BayMerge
from hospital_gateway.bay_store import BayStore
from hospital_gateway.board import Board
from hospital_gateway.inbound import Inbound, Message
from hospital_gateway.latency import Latencies
from streams import topics
from streams.chain import Arrived, Stored, verify
from streams.codec import any_body, encode, open_body
from streams.delivery import Examined, Sender, examine
from streams.errors import TransportError
from streams.gaps import GapWatch
from streams.inbox import Line
from streams.journal import Journal
from streams.link_messages import OutboxState
from streams.messages import (
    CaseFact,
    Envelope,
    HospitalChosen,
    HospitalStoodDown,
    Lane,
    Receipt,
)
from streams.outbox import Draft, Outbox
from tests.delivery_world import (
    MOST_STEPS,
    REGION,
    SECOND_NS,
    UNIT,
    HandClock,
    OnWire,
    PlainRecord,
    copy_of,
    put_back,
)
from tests.mortal_parts import Killed, MortalJournal, MortalOutbox, NoTasks

HERE, ELSEWHERE = "first-hospital", "second-hospital"
PARTY = f"hospital/{HERE}"
FILES = ("journal.sqlite", "outbox.sqlite", "bay.sqlite")
"""What a gateway has on its disk."""

KINDS = ("case_fact", "outbox_down", "receipt_down", "copy_lost", "outbox_up", "receipt_up")
"""What is under way between hub and gateway, in both directions."""

Place = tuple[str, int]
"""A case, and a fact's number in it."""

Carrier = tuple[Lane, int]
"""A lane of the hub's outbox for the hospital, and a number in it."""


@dataclass
class CaseModel:
    """What the hospital is promised of a case, told from the hub's facts alone.

    Attributes:
        facts: The case's facts as the hub's journal has them.
        hospital: Where it goes now.
        promised: The number of the last fact that the hospital here is to have; 0 for none.
        closed: Whether it is over.
        excused: Up to this number facts may be gone: the hub heard that the hospital had lost
            its copy when the case was over, or elsewhere.
    """

    facts: list[Stored] = field(default_factory=list)
    hospital: str | None = None
    promised: int = 0
    closed: bool = False
    excused: int = 0

    def take(self, fact: Stored) -> None:
        """Follow the hub's journal."""
        self.facts.append(fact)
        body = any_body(fact.envelope)
        if isinstance(body, HospitalChosen):
            self.hospital = body.hospital
            self.excused = 0 if body.hospital == HERE else self.excused
        self.closed |= fact.envelope.kind == "case_closed"
        if self.hospital == HERE:
            self.promised = len(self.facts)
        if isinstance(body, HospitalStoodDown) and body.hospital == self.hospital:
            self.hospital = None

    @property
    def comes_here(self) -> bool:
        """Whether it is an open case of the hospital here."""
        return self.hospital == HERE and not self.closed

    def copy_lost(self) -> None:
        """Note that the hub has heard of it: an open case of this hospital comes again."""
        self.excused = 0 if self.comes_here else self.promised


@dataclass
class World:
    """The hub, the gateway, and what is under way between them.

    Attributes:
        wires: What is under way, by kind.
        hub_has_path: Whether the hub is connected, and the streams stand.
        gateway_has_path: Whether the gateway is.
        cases: What the hospital is promised.
        lost_there: Facts that the gateway had stored and lost with its disk.
    """

    folder: Path
    loop: asyncio.AbstractEventLoop
    clock: HandClock = field(default_factory=HandClock)
    wires: dict[str, list[OnWire]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    hub_has_path: bool = True
    gateway_has_path: bool = True
    cases: dict[str, CaseModel] = field(default_factory=lambda: defaultdict(CaseModel))
    lost_there: set[Place] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.made: dict[str, list[Envelope]] = defaultdict(list)
        self._carriers: dict[Place, set[Carrier]] = defaultdict(set)
        self._looked_at = 0
        self.unit_outbox = Outbox(self.folder / "unit.sqlite", UNIT, self.clock, boot="u")
        self.numbers = 0
        self.state = self.folder / "gateway"
        self.start_hub()
        self.start_gateway()

    def run(self, work: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, 60))

    def close(self) -> None:
        self._stop_hub()
        self._stop_gateway()
        self.unit_outbox.close()

    # --- the hub -------------------------------------------------------------------------------

    def start_hub(self) -> None:
        self.hub_outbox = MortalOutbox(self.folder / "hub.sqlite", "hub", self.clock, boot="h")
        self.hub_outbox.made = self.made
        self.hub_journal: Journal = self.run(
            Journal(f"sqlite:///{self.folder / 'hub-journal.sqlite'}").__aenter__()
        )
        self.forwarder = Forwarder(
            self.hub_journal, self.hub_outbox, region=REGION, publish=self._from_hub,
            clock=self.clock, changed=lambda _: None,
        )  # fmt: skip
        self.record = PlainRecord(self.hub_journal, self._follow)
        self.ingest = Ingest(
            cast("CaseRecord", self.record),  # the part of it that is used
            self.hub_journal, self.hub_outbox,
            region=REGION, publish=self._from_hub, clock=self.clock,
        )  # fmt: skip
        self.group = cast("asyncio.TaskGroup", NoTasks())
        open_cases = self.run(self.hub_journal.begun_cases("case_opened", "case_closed"))
        self.run(self.forwarder.restore(open_cases))
        self.forwarder.start_senders(self.group)

    def _stop_hub(self) -> None:
        self.hub_outbox.close()
        self.run(self.hub_journal.__aexit__(None, None, None))

    def restart_hub(self) -> None:
        """Kill it and start it again: what is stored and not yet forwarded is in its journal."""
        self._stop_hub()
        self.start_hub()

    def _follow(self, fact: Stored) -> None:
        if fact.envelope.case is not None:
            self.cases[fact.envelope.case].take(fact)
        elif fact.envelope.kind == "copy_lost":
            for model in self.cases.values():
                model.copy_lost()
        self.forwarder.take(fact)

    def make(self, *drafts: Draft, source: str = UNIT) -> None:
        """Have the hub store facts of a unit or of its own."""
        outbox = self.unit_outbox if source == UNIT else self.hub_outbox
        arrived = []
        for one in drafts:
            self.numbers += 1
            envelope = outbox.envelope(one, topics.find(one.kind).lane, self.numbers)
            now_ns = self.clock.wall_ns()
            arrived.append(Arrived(encode(envelope), now_ns, envelope.source_ns))
        self.run(self.record.take(arrived))

    def forward(self) -> bool:
        """Let the forwarder do what it does in one turn; return False where nothing is left."""
        return bool(self.run(self.forwarder.step(self.group)))

    def forward_with(self, fault: Exception, writes: int) -> None:
        """Let the forwarder go on until a fault comes, after so many of its writes, or to its end.

        Of a killed hub only what is on its disk is left.
        """
        self.hub_outbox.fault, self.hub_outbox.writes_left = fault, writes
        try:
            while self.forward():
                pass
        except Killed:
            self.restart_hub()
        self.hub_outbox.fault = None

    def hub_finds_path(self) -> None:
        self.hub_has_path = True
        self.forwarder.path_is_new()

    def send(self) -> None:
        """Let the hub's sender for the hospital do one turn."""
        if sender := self.forwarder.senders.get(PARTY):
            self.run(sender.step())

    async def _from_hub(self, topic: str, data: bytes) -> None:
        if not self.hub_has_path:
            raise TransportError("no path")
        if topics.parse(topic).name == HERE:
            self._put(topic, data)

    def _put(self, topic: str, data: bytes) -> None:
        self.wires[topics.parse(topic).topic.kind].append(OnWire(topic, data, self.taken))

    def taken(self, message: OnWire) -> None:
        for wire in self.wires.values():
            wire[:] = [one for one in wire if one is not message]

    # --- the gateway ---------------------------------------------------------------------------

    def start_gateway(self) -> None:
        self.state.mkdir(exist_ok=True)
        self.outbox = MortalOutbox(self.state / "outbox.sqlite", HERE, self.clock, boot="g")
        self.outbox.made = defaultdict(list)
        self.journal = MortalJournal(f"sqlite:///{self.state / 'journal.sqlite'}")
        self.run(self.journal.__aenter__())
        self.board, self.bay_store = Board(HERE), BayStore(self.state / "bay.sqlite")
        self.inbound = Inbound(
            region=REGION, hospital=HERE, journal=self.journal, outbox=self.outbox,
            board=self.board, bay=BayMerge(self.bay_store, self.board, self.outbox, self.clock),
            latencies=Latencies(), hub_now_ns=self.clock.wall_ns, publish=self._from_gateway,
        )  # fmt: skip
        self.sender = Sender(self.outbox, "hub", self._from_gateway, self.clock, say=self._say)
        self.gaps = GapWatch()
        self.run(self.inbound.restore())
        self.sender.path_is_new()

    def _stop_gateway(self) -> None:
        self.outbox.close()
        self.bay_store.close()
        self.run(self.journal.__aexit__(None, None, None))

    def restart_gateway(self, copy: Path | None = None, files: Sequence[str] = FILES) -> None:
        """Kill it and start it again, perhaps with some files as an older copy has them.

        Args:
            copy: The folder of the copy; one that is not there stands for an empty disk.
            files: Those that are set back.
        """
        self._stop_gateway()
        had = self.stored().keys()
        if copy is not None:
            for name in files:
                put_back(copy / name, self.state / name)
        self.start_gateway()
        self.lost_there |= had - self.stored().keys()

    def back_gateway_up(self, to: Path) -> None:
        to.mkdir(exist_ok=True)
        for name in FILES:
            (to / name).unlink(missing_ok=True)
            copy_of(self.state / name, to / name)

    def gateway_finds_path(self) -> None:
        self.gateway_has_path = True
        self.sender.path_is_new()

    async def _from_gateway(self, kind: str, data: bytes) -> None:
        if not self.gateway_has_path:
            raise TransportError("no path")
        self._put(topics.path("hospital", REGION, HERE, kind), data)

    async def _say(self, state: OutboxState) -> None:
        await self._from_gateway(
            "outbox_up", encode(self.outbox.envelope(Draft("outbox_up", state)))
        )

    def take(self, batch: Sequence[OnWire], *, dies: str = "") -> None:
        """Give facts to the gateway, which may die ``before`` or ``after`` its commit."""
        self.journal.death = Killed(dies) if dies else None
        try:
            self.run(self.inbound.run(_one_batch(batch)))
        except Killed:
            self.restart_gateway()
        self.lost_there -= self.stored().keys()

    def hear_with(self, death: Killed, words: Sequence[OnWire]) -> None:
        """Let the gateway hear what the hub holds, and die if it has to tell of a loss."""
        self.outbox.fault, self.outbox.writes_left = death, 0
        try:
            self.deliver("outbox_down", words)
        except Killed:
            self.restart_gateway()
        self.outbox.fault = None

    def answer_again(self) -> None:
        """Have the gateway say once more what it stored, as it does every few seconds."""
        self.run(self.inbound.ask("hub", self.hub_outbox.epoch, {}))

    def ask_for_gaps(self) -> None:
        asks = self.gaps.look(self.journal.inbox, self.clock.monotonic_ns())
        for (source, epoch), asked in asks.items():
            self.run(self.inbound.ask(source, epoch, asked))

    # --- what is under way ---------------------------------------------------------------------

    def deliver(self, kind: str, which: Sequence[OnWire]) -> None:
        """Bring messages of a kind to their reader. What is no fact is then off the wire."""
        if kind == "case_fact":
            self.take(which)
        elif kind == "copy_lost":
            self.run(self.ingest.take("hospital", which))
        else:
            for one in which:
                self.taken(one)
                self._hear(kind, one)

    def _hear(self, kind: str, word: OnWire) -> None:
        if kind == "outbox_down":
            if self.run(self.inbound.take_held(word.topic, word.data)):
                self.sender.wake()
            return
        maker: topics.Party = "hub" if kind == "receipt_down" else "hospital"
        found = examine(word.topic, word.data, self.clock.wall_ns(), maker)
        assert isinstance(found, Examined), found
        if kind == "receipt_down":
            self.sender.take_receipt(open_body(found.envelope, Receipt))
        elif kind == "receipt_up":
            self.forwarder.take_receipt(PARTY, open_body(found.envelope, Receipt))
        else:
            state = open_body(found.envelope, OutboxState)
            self.run(self.ingest.take_held("hospital", HERE, state))

    def exchange(self) -> None:
        """Let all parts do a turn, and bring over what is under way, in its order."""
        while self.forward():
            pass
        self.send()
        self.run(self.sender.step())
        self.ask_for_gaps()
        for kind, wire in self.wires.items():
            if wire:
                self.deliver(kind, list(wire))

    # --- what must hold ------------------------------------------------------------------------

    def stored(self) -> dict[Place, tuple[str, int, int, bytes, bytes]]:
        """Return what stands in the gateway's journal of cases, each place once."""
        db = sqlite3.connect(self.state / "journal.sqlite")
        rows = db.execute(
            "SELECT case_id, case_sequence, id, corrected_ns, received_ns, hash, data FROM facts"
        ).fetchall()
        db.close()
        found = {(case, number): tuple(rest) for case, number, *rest in rows}
        assert len(found) == len(rows), "stored twice"
        return found

    def waiting(self) -> set[Carrier]:
        """Return what waits in the hub's outbox for the hospital."""
        return {
            (lane, entry.sequence)
            for lane in topics.LANES
            for entry in self.hub_outbox.waiting(PARTY, lane, 0, 100_000)
        }

    def carriers(self) -> dict[Place, set[Carrier]]:
        """Return as what each fact was ever put into the hub's outbox for the hospital."""
        for envelope in self.made[PARTY][self._looked_at :]:
            place = (str(envelope.case), open_body(envelope, CaseFact).case_sequence)
            self._carriers[place].add((envelope.lane, envelope.sequence))
        self._looked_at = len(self.made[PARTY])
        return self._carriers

    def check(self) -> None:
        """Check what holds at every moment."""
        stored, waiting = self.stored(), self.waiting()
        for (case, number), found in stored.items():
            model = self.cases[case]
            assert number <= model.promised, "stored there, and never routed there"
            fact = model.facts[number - 1]
            wanted = (
                fact.envelope.id, fact.corrected_ns, fact.received_ns, fact.hash, fact.data,
            )  # fmt: skip
            assert found == wanted, "not as the hub has it"
        for place, carried in self.carriers().items():
            if not carried & waiting:
                assert place in stored or place in self.lost_there, "freed and not stored"

    def heal(self) -> None:
        """Let everything be good from now on; then all must be where it belongs."""
        for kind in reversed(KINDS):  # receipts first: what they free must be stored by now
            if self.wires[kind]:
                self.deliver(kind, list(self.wires[kind]))
                self.check()
        for _ in range(2):  # what a receipt of long ago has freed is told on the next path
            self.hub_finds_path()
            self.gateway_finds_path()
            self._settle()
        self.check()
        assert not self.waiting(), "the hub's outbox is not empty"
        assert not self.outbox.depth("hub").waiting, "the gateway's outbox is not empty"
        assert not self.journal.inbox.torn(), "the gateway waits for what will never come"
        assert not self.hub_journal.inbox.torn(), "the hub waits for what will never come"
        self._check_cases()
        self.restart_gateway()
        self._check_chains()

    def _settle(self) -> None:
        for _ in range(MOST_STEPS):
            self.exchange()
            inbox, held = self.journal.inbox, self.hub_outbox.held(PARTY)
            behind = any(
                inbox.stored(Line("hub", self.hub_outbox.epoch, lane)) < low - 1
                for lane, low in held.items()
            )
            under_way = any(self.wires.values()) or self.waiting()
            if not (under_way or behind or self.outbox.depth("hub").waiting):
                return
            self.clock.monotonic += SECOND_NS // 2

    def _check_cases(self) -> None:
        """All that is promised is there; of what is over or elsewhere a loss is told at least."""
        stored, carriers = self.stored(), self.carriers()
        gone = {
            (one.line.lane, number)
            for one in self.journal.lost
            for number in range(one.first, one.last + 1)
        }
        for case, model in self.cases.items():
            for place in {(case, n) for n in range(1, model.promised + 1)} - stored.keys():
                assert place[1] <= model.excused, "a case of this hospital is not whole"
                assert carriers[place] & gone, "missing in silence"
            for number in range(1, model.promised + 1):
                assert self.forwarder.reached(PARTY, case, number) is not False, "not known there"
        self._check_chains()

    def _check_chains(self) -> None:
        for case, model in self.cases.items():
            chain = self.board.chain(case)
            assert not chain.broken, "the hub's own facts do not fit"
            if not model.comes_here:
                continue
            facts = self.run(self.journal.facts(case=case, limit=None))
            verify(iter(sorted(facts, key=lambda fact: fact.case_sequence or 0)))
            assert (chain.proven, chain.missing) == (model.promised, 0), "not proven"


async def _one_batch(batch: Sequence[OnWire]) -> AsyncIterator[list[Message]]:
    yield list(batch)
