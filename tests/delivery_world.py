"""One vehicle and the hub around the worst of networks, for tests that choose what happens.

The parts are the real ones: outbox and journal on disk, sender, examination, ingest, receipts.
Only clocks and wires are stand-ins: what lies on a wire stays there until the test takes it.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from dispatch.case_record import CaseRecord
from dispatch.ingest import Ingest
from streams import topics
from streams.chain import Arrived, Refused, Stored, verify
from streams.codec import decode, encode, open_body
from streams.delivery import Examined, Sender, examine
from streams.errors import TransportError
from streams.identity import new_id
from streams.inbox import Line
from streams.journal import Journal
from streams.link_messages import OutboxState
from streams.messages import (
    CaseNote,
    EcgRecord,
    Lane,
    Numeric,
    Receipt,
    RunStarted,
    SensorState,
    Vitals,
)
from streams.outbox import Draft, Outbox

REGION, UNIT = "north", "unit-7"
SECOND_NS = 1_000_000_000
CASES = tuple(new_id() for _ in range(3))
MOST_STEPS = 400
"""Steps in which all must be delivered once the network is healthy."""


@dataclass
class HandClock:
    """Clocks that the test sets."""

    wall: int = 1_800_000_000 * SECOND_NS
    monotonic: int = 10 * SECOND_NS

    def wall_ns(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.monotonic


@dataclass
class OnWire:
    """A message under way, as the broker holds it for its reader."""

    topic: str
    data: bytes
    acknowledged: Callable[[OnWire], None]

    async def ack(self) -> None:
        self.acknowledged(self)


class PlainRecord:
    """Stores what came, and judges nothing; tells a follower what is stored."""

    def __init__(
        self, journal: Journal, follower: Callable[[Stored], None] = lambda _: None
    ) -> None:
        self.journal, self.follower = journal, follower

    async def take(
        self, items: Sequence[Examined | Arrived | Refused]
    ) -> list[tuple[Arrived | Refused, Stored | None]]:
        taken = [one.arrived if isinstance(one, Examined) else one for one in items]
        stored = await self.journal.append_all(taken)
        for fact in stored:
            if fact is not None:
                self.follower(fact)
        return list(zip(taken, stored, strict=True))


def draft(lane: Lane, case: int, size: int) -> Draft:
    """Return a fact of a lane, of one of the cases."""
    of = CASES[case]
    match lane:
        case "urgent":
            return Draft("run_started", RunStarted(crew="c" * (size % 100)), case=of)
        case "vitals":
            pulse = Numeric(value=float(size), measured_ns=1)
            return Draft("vitals", Vitals(device="m", heart_rate_per_min=pulse), case=of)
        case "record":
            return Draft("ecg_record", EcgRecord(setup_id="a", frames=[b"x" * size]), case=of)
    if size % 2:
        return Draft("sensor_state", SensorState(sensor="s" * (size % 100), state="running"))
    return Draft("case_note", CaseNote(text="n" * size, at_ns=size), case=of)


@dataclass
class World:
    """The vehicle, the hub, and what is under way between them.

    Attributes:
        up: Facts under way.
        down: Receipts under way.
        words: What the vehicle said that it holds, under way.
        stands: Whether the broker's streams stand; else facts are taken and lost.
        versions: The bytes under which each fact was made or numbered anew, by its id.
        forgotten: Facts that the hub stored and lost again with its disk.
        lost_with_vehicle: Facts that the vehicle lost with its disk.
    """

    folder: Path
    loop: asyncio.AbstractEventLoop
    clock: HandClock = field(default_factory=HandClock)
    up: list[OnWire] = field(default_factory=list)
    down: list[bytes] = field(default_factory=list)
    words: list[bytes] = field(default_factory=list)
    connected: bool = True
    stands: bool = True
    versions: dict[str, set[bytes]] = field(default_factory=dict)
    sent: set[str] = field(default_factory=set)
    forgotten: set[str] = field(default_factory=set)
    lost_with_vehicle: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.hub_outbox = Outbox(self.folder / "hub-outbox.sqlite", "hub", self.clock, boot="h")
        self.start_vehicle()
        self.start_hub()

    def run(self, work: Awaitable[Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(work, 60))

    def close(self) -> None:
        self.outbox.close()
        self.hub_outbox.close()
        self.run(self.journal.__aexit__(None, None, None))

    # --- the vehicle ---------------------------------------------------------------------------

    def start_vehicle(self) -> None:
        self.outbox = Outbox(self.folder / "outbox.sqlite", UNIT, self.clock, boot="b")
        self.sender = Sender(
            self.outbox, "hub", self._publish, self.clock,
            newest_case_first=True, say=self._say, waits_for_answer=True,
        )  # fmt: skip
        self.sender.path_is_new()

    def restart_vehicle(self, copy: Path | None = None) -> None:
        """Kill it and start it again, perhaps with an older copy of its outbox."""
        self.outbox.close()
        if copy is not None:
            waited = self.waiting()
            put_back(copy, self.folder / "outbox.sqlite")
        self.start_vehicle()
        if copy is not None:
            self.lost_with_vehicle |= waited - self.waiting()

    def make(self, lane: Lane, case: int, size: int) -> None:
        made = self.outbox.add("hub", draft(lane, case, size))
        self.versions[made.id] = {encode(made)}

    def send(self) -> None:
        """Let the sender do what it does in one turn."""
        self.run(self.sender.step())

    async def _publish(self, kind: str, data: bytes) -> None:
        if not self.connected:
            raise TransportError("no path")
        self._check_turn(data)
        if self.stands:
            topic = topics.path("unit", REGION, UNIT, kind)
            self.up.append(OnWire(topic, data, self._taken))

    async def _say(self, state: OutboxState) -> None:
        if not self.connected:
            raise TransportError("no path")
        self.words.append(encode(self.outbox.envelope(Draft("outbox_up", state))))

    def _taken(self, message: OnWire) -> None:
        self.up[:] = [one for one in self.up if one is not message]

    def _check_turn(self, data: bytes) -> None:
        """A fact leaves for the first time only after all before it in its lane, or its case."""
        fact = decode(data)
        before = self.outbox.waiting("hub", fact.lane, 0, 10_000)
        for entry in before:
            if entry.sequence >= fact.sequence:
                break
            other = decode(entry.data)
            if fact.lane != "record" or other.case == fact.case:
                assert other.id in self.sent or fact.id in self.sent, "out of its turn"
        self.sent.add(fact.id)

    def waiting(self) -> set[str]:
        """Return the ids of the facts that the outbox holds; note under which bytes."""
        found = set()
        with sqlite3.connect(self.folder / "outbox.sqlite") as db:
            for name, data in db.execute("SELECT id, data FROM facts"):
                found.add(name)
                self.versions[name].add(data)
        db.close()
        return found

    # --- the hub -------------------------------------------------------------------------------

    def start_hub(self) -> None:
        self.journal: Journal = self.run(
            Journal(f"sqlite:///{self.folder / 'journal.sqlite'}").__aenter__()
        )
        self.ingest = Ingest(
            cast("CaseRecord", PlainRecord(self.journal)),  # the part of it that is used
            self.journal, self.hub_outbox, region=REGION, publish=self._answer, clock=self.clock,
        )  # fmt: skip

    def restart_hub(self, copy: Path | None = None) -> None:
        """Kill it and start it again, perhaps with an older copy of its journal or an empty one."""
        self.run(self.journal.__aexit__(None, None, None))
        had = self.journaled()
        if copy is not None:
            put_back(copy, self.folder / "journal.sqlite")
        self.start_hub()
        self.forgotten = (self.forgotten | had.keys()) - self.journaled().keys()

    async def _answer(self, topic: str, data: bytes) -> None:
        del topic
        if not self.stands:
            raise TransportError("the broker's streams are not made yet")
        self.down.append(data)

    def deliver(self, which: Sequence[OnWire], *, dies: str = "") -> None:
        """Give messages to the hub, which may die before the commit or before it answers."""
        if dies == "before the commit":
            return
        if dies:
            now_ns = self.clock.wall_ns()
            items = [examine(one.topic, one.data, now_ns, "unit") for one in which]
            self.run(self.ingest._record.take(items))
            return
        self.run(self.ingest.take("unit", which))
        self.forgotten -= self.journaled().keys()

    def hear(self, word: bytes) -> None:
        """Let the hub hear what the vehicle holds."""
        if not self.stands:
            return
        state = open_body(decode(word), OutboxState)
        self.run(self.ingest.take_held("unit", UNIT, state))

    def answer(self, receipt: bytes) -> None:
        """Give a receipt to the vehicle."""
        self.waiting()
        self.sender.take_receipt(open_body(decode(receipt), Receipt))
        self.waiting()

    def journaled(self) -> dict[str, bytes]:
        """Return what stands in the journal, by id."""
        with sqlite3.connect(self.folder / "journal.sqlite") as db:
            rows = db.execute("SELECT id, data FROM facts").fetchall()
        db.close()
        return dict(rows)

    # --- what must hold ------------------------------------------------------------------------

    def check(self) -> None:
        """Check what holds at every moment."""
        waiting, journaled = self.waiting(), self.journaled()
        for name, data in journaled.items():
            assert data in self.versions[name], "a fact in the journal that was not made"
        freed = self.versions.keys() - waiting - self.lost_with_vehicle
        assert freed <= journaled.keys() | self.forgotten, "freed and not stored"

    def exchange(self) -> None:
        """Let both sides do a turn, and bring over what is under way, in its order."""
        self.send()
        for word in drained(self.words):
            self.hear(word)
        if self.up:
            self.deliver(list(self.up))
        for receipt in drained(self.down):
            self.answer(receipt)

    def heal(self) -> None:
        """Let the network be good from now on; then everything must arrive."""
        self.connected = self.stands = True
        for _ in range(2):  # what a receipt of long ago has freed is told on the next path
            self.sender.path_is_new()
            self._settle()
        self.check()
        journaled = self.journaled()
        assert not self.waiting(), "the outbox is not empty"
        assert not self.journal.inbox.torn(), "the hub waits for what will never come"
        made = self.versions.keys() - self.lost_with_vehicle - self.forgotten
        assert made <= journaled.keys(), "made and not in the journal"
        self._check_journal()

    def _settle(self) -> None:
        for _ in range(MOST_STEPS):
            self.exchange()
            inbox, held = self.journal.inbox, self.outbox.held("hub")
            behind = any(
                inbox.stored(Line(UNIT, self.outbox.epoch, lane)) < low - 1
                for lane, low in held.items()
            )
            if not (self.waiting() or self.up or behind):
                return
            self.clock.monotonic += SECOND_NS // 2

    def _check_journal(self) -> None:
        for case in CASES:
            facts = self.run(self.journal.facts(case=case, limit=None))
            verify(iter(facts))
        counts = self.run(self.journal.count())
        assert counts["facts"] == len(self.journaled())
        gone = {
            (one.line.lane, number)
            for one in self.journal.lost
            for number in range(one.first, one.last + 1)
        }
        for name in self.forgotten:  # none is missing without a word
            numbers = {(decode(d).lane, decode(d).sequence) for d in self.versions[name]}
            assert numbers & gone, "forgotten in silence"


def copy_of(database: Path, to: Path) -> None:
    """Copy a database as it is now, as a backup does."""
    source, target = sqlite3.connect(database), sqlite3.connect(to)
    source.backup(target)
    source.close()
    target.close()


def put_back(copy: Path, to: Path) -> None:
    """Put a copy in a database's place; where there is no copy, nothing."""
    for ending in ("-wal", "-shm"):
        to.with_name(to.name + ending).unlink(missing_ok=True)
    if copy.exists():
        shutil.copy(copy, to)
    else:
        to.unlink(missing_ok=True)


def drained(messages: list[bytes]) -> list[bytes]:
    found = list(messages)
    messages.clear()
    return found
