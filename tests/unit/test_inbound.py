"""Facts on their way onto the board: what a restart reads, what a failing disk cannot hide."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dispatch.case_routing import draft_of
from hospital_gateway.bay_merge import BayMerge
from hospital_gateway.bay_store import BayStore
from hospital_gateway.board import FORGET_AFTER_NS, Board
from hospital_gateway.inbound import Inbound
from hospital_gateway.latency import Latencies
from streams.chain import Stored
from streams.clock import SystemClock
from streams.codec import encode
from streams.errors import StorageError
from streams.identity import new_id
from streams.messages import (
    Body,
    CaseClosed,
    CaseNote,
    CaseOpened,
    EcgRecord,
    HospitalChosen,
    HospitalStoodDown,
    Numeric,
    Vitals,
)
from streams.outbox import Outbox
from streams.topics import path
from tests.case_facts import SECOND_NS, START_NS, Pages
from tests.refusing_journal import RefusingOnce

HERE = "first-hospital"


@dataclass(frozen=True)
class Message:
    """A fact from a stream."""

    topic: str
    data: bytes

    async def ack(self) -> None:
        """Nothing more is to be done."""


class Gateway:
    """A hospital's side without its network, and the hub's facts for it."""

    def __init__(self, folder: Path, journal: RefusingOnce) -> None:
        self.folder, self.journal = folder, journal
        self.hub = Outbox(folder / "hub.sqlite", "hub", SystemClock())
        self.pages = Pages()
        self.now_ns = START_NS + 60 * SECOND_NS
        self.start()

    def start(self) -> None:
        """Begin with nothing in memory."""
        self.outbox = Outbox(self.folder / "here.sqlite", HERE, SystemClock())
        self.board = Board(HERE)
        self.store = BayStore(self.folder / "bay.sqlite")
        self.bay = BayMerge(self.store, self.board, self.outbox, SystemClock())

        async def publish(kind: str, data: bytes) -> None:
            del kind, data

        self.inbound = Inbound(
            region="north", hospital=HERE, journal=self.journal, outbox=self.outbox,
            board=self.board, bay=self.bay, latencies=Latencies(),
            hub_now_ns=lambda: self.now_ns, publish=publish,
        )  # fmt: skip

    async def restart(self) -> int:
        self.outbox.close()
        self.store.close()
        self.start()
        return await self.inbound.restore()

    def message(self, fact: Stored) -> Message:
        topic = path("hospital", "north", HERE, "case_fact")
        return Message(topic, encode(self.hub.add(f"hospital/{HERE}", draft_of(fact))))

    async def give(self, *facts: Stored) -> None:
        await self.inbound.take([self.message(fact) for fact in facts])

    def case(self, *bodies: tuple[str, Body], case: str | None = None) -> tuple[str, list[Stored]]:
        case = case or new_id()
        return case, [self.pages.add(kind, body, case=case) for kind, body in bodies]


OPENED = ("case_opened", CaseOpened(address="Long Street", complaint="", alias="Blue Heron"))
CHOSEN = ("hospital_chosen", HospitalChosen(hospital=HERE, name="First"))
STOOD_DOWN = ("hospital_stood_down", HospitalStoodDown(hospital=HERE))
CLOSED = ("case_closed", CaseClosed(outcome="handed_over"))
BLOCK = ("ecg_record", EcgRecord(setup_id="a", frames=[b"x"]))
RATE = Vitals(device="m", heart_rate_per_min=Numeric(value=118.0, measured_ns=START_NS))


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Gateway]:
    journal = RefusingOnce(f"sqlite:///{tmp_path / 'journal.sqlite'}")
    async with journal:
        yield Gateway(tmp_path, journal)


async def test_board_restored_is_the_same_and_no_waveform_was_read(gateway: Gateway) -> None:
    case, facts = gateway.case(OPENED, CHOSEN, BLOCK, ("vitals", RATE), BLOCK, BLOCK)
    await gateway.give(*facts)
    before, lines = gateway.board.card(case), gateway.board.lines(case)
    assert before.chain.proven == 6
    assert await gateway.restart() == 3
    assert gateway.board.card(case) == before
    assert gateway.board.lines(case) == lines
    more = gateway.pages.add(*BLOCK, case=case)
    await gateway.give(more)
    assert gateway.board.card(case).chain.proven == 7


async def test_board_restored_reads_what_stands_behind_a_gap_and_proves_it_when_it_closes(
    gateway: Gateway,
) -> None:
    case, facts = gateway.case(OPENED, CHOSEN, BLOCK, BLOCK, BLOCK)
    await gateway.give(facts[0], facts[1], facts[3], facts[4])
    assert await gateway.restart() == 4
    chain = gateway.board.chain(case)
    assert (chain.proven, chain.last, chain.missing) == (2, 5, 1)
    await gateway.give(facts[2])
    chain = gateway.board.chain(case)
    assert (chain.proven, chain.last, chain.missing, chain.broken) == (5, 5, 0, [])


async def test_board_restored_leaves_out_what_does_not_come_here_any_more(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hospital_gateway.inbound.ENDED_READ", 1)
    diverted, first = gateway.case(OPENED, CHOSEN, STOOD_DOWN)
    again, second = gateway.case(OPENED, CHOSEN, STOOD_DOWN, CHOSEN)
    closed, third = gateway.case(OPENED, CHOSEN, CLOSED)
    ended, fourth = gateway.case(OPENED, CHOSEN, STOOD_DOWN, CHOSEN, CLOSED)
    for facts in (first, second, third, fourth):
        await gateway.give(*facts)
    await gateway.restart()
    known = {arrival.case for arrival in gateway.board.arrivals}
    assert known == {again, ended}
    assert gateway.board.card(again).status == "inbound"
    del diverted, closed


async def test_case_that_was_not_read_is_there_in_full_when_it_gets_a_fact(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hospital_gateway.inbound.ENDED_READ", 0)
    case, facts = gateway.case(OPENED, CHOSEN, ("vitals", RATE), STOOD_DOWN)
    await gateway.give(*facts)
    await gateway.restart()
    assert gateway.board.arrivals.get(case) is None
    await gateway.give(gateway.pages.add(*CHOSEN, case=case))
    card = gateway.board.card(case)
    assert (card.status, card.chain.proven) == ("inbound", 5)
    assert card.patients[0].vitals["heart_rate_per_min"].value == 118.0


async def test_case_forgotten_long_ago_stays_off_the_board_when_a_late_fact_comes(
    gateway: Gateway,
) -> None:
    case, facts = gateway.case(OPENED, CHOSEN, CLOSED)
    await gateway.give(*facts)
    assert gateway.board.cases() == [case]
    gateway.board.take_changes()
    gateway.board.dismissed["of long ago"] = 3
    gateway.now_ns = START_NS + FORGET_AFTER_NS + 60 * SECOND_NS
    assert gateway.board.forget(gateway.now_ns) == 1
    assert set(gateway.board.take_changes()) == {case}, "pages are told that it is gone"
    assert gateway.board.dismissed == {}
    await gateway.give(gateway.pages.add(*BLOCK, case=case))
    assert gateway.board.cases() == []
    assert gateway.board.chain(case).proven == 4


async def test_facts_stored_by_a_disk_that_then_failed_are_shown_all_the_same(
    gateway: Gateway,
) -> None:
    case, facts = gateway.case(OPENED, CHOSEN)
    await gateway.give(*facts)
    late = gateway.pages.add("case_note", CaseNote(text="unconscious", at_ns=START_NS), case=case)
    batch = [gateway.message(late)]
    gateway.journal.refuses = True
    with pytest.raises(StorageError):
        await gateway.inbound.take(batch)
    await gateway.inbound.take(batch)
    assert "case_note" in {line["kind"] for line in gateway.board.lines(case)}
    assert gateway.board.chain(case).proven == 3


async def test_copy_that_does_not_fit_stays_marked_after_a_restart(gateway: Gateway) -> None:
    case, facts = gateway.case(OPENED, CHOSEN, BLOCK)
    changed = gateway.pages.add(*BLOCK, case=case)
    await gateway.give(*facts)
    bad = type(changed)(
        changed.position, changed.envelope, changed.data, changed.case_sequence,
        changed.corrected_ns + 1, changed.received_ns, changed.hash,
    )  # fmt: skip
    await gateway.give(bad)
    assert gateway.board.chain(case).broken == [4]
    await gateway.restart()
    chain = gateway.board.chain(case)
    assert (chain.broken, chain.proven) == ([4], 3)
