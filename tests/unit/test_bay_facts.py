"""What a vehicle hands over: all that is on board of the case, each once; in QR codes what fits."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from onboard.bay_facts import WITHOUT_WAVEFORM, code_of, facts_of
from onboard.bay_handover import portion_of
from onboard.errors import ImpossibleEventError, RefusedActionError
from onboard.logbook import Logbook
from onboard.run import TABLE, step
from streams.bay_code import content_of
from streams.bay_messages import PORTION_BYTES, PORTION_FACTS, CarriedFact, digest_after
from streams.clock import SystemClock
from streams.codec import decode, encode
from streams.identity import new_id
from streams.inbox import Line
from streams.messages import (
    CaseFact,
    CaseNote,
    CaseOpened,
    EcgRecord,
    Numeric,
    UnitAssigned,
    Vitals,
)
from streams.outbox import Draft, Outbox
from tests.lone_vehicle import LoneVehicle, lone_vehicle

UNIT = "unit-1"


class Board:
    """Outbox and logbook of a vehicle."""

    def __init__(self, folder: Path) -> None:
        self.outbox = Outbox(folder / "outbox.sqlite", UNIT, SystemClock())
        self.hub = Outbox(folder / "hub.sqlite", "hub", SystemClock())
        self.logbook = Logbook(folder / "logbook.sqlite")
        self.case = new_id()

    def vitals(self, count: int, case: str | None = None) -> list[str]:
        made = []
        for rate in range(count):
            numeric = Numeric(value=60.0 + rate % 90, measured_ns=SystemClock().wall_ns())
            body = Vitals(device="monitor", heart_rate_per_min=numeric)
            draft = Draft("vitals", body, case=case or self.case)
            made.append(self.outbox.add("hub", draft).id)
        return made

    def note(self, text: str = "cold") -> str:
        envelope = self.outbox.add(
            "hub", Draft("case_note", CaseNote(text=text, at_ns=1), case=self.case)
        )
        self.logbook.add_own(envelope)
        return envelope.id

    def told(self, place: int) -> CarriedFact:
        """Have a fact of the hub in the logbook."""
        body = CaseOpened(address="Long Street", complaint="", alias="")
        fact = self.hub.envelope(Draft("case_opened", body, case=self.case), "urgent", place)
        carried = CaseFact(
            case_sequence=place, hash=bytes(32), corrected_ns=1000 + place, received_ns=1,
            fact=encode(fact),
        )  # fmt: skip
        self.logbook.take(Line("hub", fact.epoch, "urgent"), place, fact, carried)
        return CarriedFact(place, 1000 + place, encode(fact))

    def code(self) -> tuple[list[str], list[str]]:
        """Return the ids that are in the QR codes, and their texts."""
        facts = facts_of(self.logbook, self.outbox, self.case, WITHOUT_WAVEFORM)
        content, frames = code_of(
            facts, unit=UNIT, label="", region="north", drill=False, wall_ns=1
        )
        assert content_of(frames) == content
        return [decode(fact.data).id for fact in content.carried], frames


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return Board(tmp_path)


def ids(facts: list[CarriedFact]) -> list[str]:
    return [decode(fact.data).id for fact in facts]


def test_facts_are_those_of_the_hub_in_their_order_and_all_own_ones_of_the_case_once(
    board: Board,
) -> None:
    second, first = board.told(2), board.told(1)
    note = board.note()
    signs = board.vitals(3)
    board.vitals(2, case=new_id())
    block = board.outbox.add(
        "hub", Draft("ecg_record", EcgRecord(setup_id="a", frames=[b"x"]), case=board.case)
    )
    found = facts_of(board.logbook, board.outbox, board.case)
    assert found[:2] == [first, second]
    assert sorted(ids(found)[2:]) == sorted([note, *signs, block.id])
    assert {(one.case_sequence, one.corrected_ns) for one in found[2:]} == {(0, 0)}
    assert block.id not in ids(facts_of(board.logbook, board.outbox, board.case, WITHOUT_WAVEFORM))


def test_fact_that_the_hub_has_is_handed_over_from_the_logbook_with_the_same_bytes(
    board: Board,
) -> None:
    note = board.note()
    (waiting,) = board.outbox.waiting("hub", "facts", 0, 1)
    board.outbox._file._db.execute("DELETE FROM facts")
    (found,) = facts_of(board.logbook, board.outbox, board.case)
    assert (ids([found]), found.data) == ([note], waiting.data)


def test_code_of_a_short_run_holds_all_of_it(board: Board) -> None:
    made = {board.note(), *board.vitals(20)}
    carried, _ = board.code()
    assert set(carried) == made


def test_code_of_a_long_run_has_fewer_vital_signs_and_always_the_newest(board: Board) -> None:
    notes = {board.note(f"note {number}") for number in range(5)}
    signs = board.vitals(1500)
    carried, frames = board.code()
    kept = [one for one in carried if one in set(signs)]
    assert notes <= set(carried)
    assert signs[-1] in kept
    assert 50 < len(kept) <= 750
    places = [signs.index(one) for one in kept]
    steps = {later - earlier for earlier, later in itertools.pairwise(places)}
    assert len(steps) == 1, "evenly thinned"
    assert len(frames) <= 60


def test_code_of_more_than_anybody_writes_is_refused(board: Board) -> None:
    for number in range(40):
        letters = random.Random(number).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=3900)
        board.note("".join(letters))
    with pytest.raises(ValueError, match="too large"):
        board.code()


@pytest.mark.parametrize(("size", "expected"), [(10, PORTION_FACTS), (100_000, 10)])
def test_portion_is_bounded_by_number_and_by_size(size: int, expected: int) -> None:
    facts = [CarriedFact(0, 0, bytes(size))] * 600
    assert len(portion_of(facts, 0)) == expected
    assert len(portion_of(facts, 599)) == 1


def test_portion_of_one_fact_larger_than_the_bound_is_that_fact() -> None:
    facts = [CarriedFact(0, 0, bytes(PORTION_BYTES + 1))] * 2
    assert len(portion_of(facts, 0)) == 1


def test_digest_tells_order_and_content() -> None:
    one = digest_after(digest_after("", b"a"), b"b")
    assert one != digest_after(digest_after("", b"b"), b"a")
    assert one != digest_after("", b"ab")


# --- a run of the crew's own -----------------------------------------------------------------


@pytest.fixture
async def vehicle(tmp_path: Path) -> AsyncIterator[LoneVehicle]:
    async with lone_vehicle(tmp_path) as found:
        yield found


async def test_crew_begins_a_run_of_its_own_without_a_call(vehicle: LoneVehicle) -> None:
    with pytest.raises((ImpossibleEventError, RefusedActionError)):
        await vehicle.act("start_run")
    await vehicle.act("start_run", own=True)
    situation = vehicle.agent.situation
    assert situation.state == "running"
    (started,) = vehicle.facts("run_started")
    assert started.case == situation.current is not None
    await vehicle.act("note", text="unknown male")
    (note,) = vehicle.facts("case_note")
    assert note.case == started.case
    await vehicle.act("end_run")
    await vehicle.act("start_run", own=True)
    cases = [fact.case for fact in vehicle.facts("run_started")]
    assert len(set(cases)) == 2, "the next patient is another case"


async def test_own_run_asked_for_twice_with_one_id_begins_once(vehicle: LoneVehicle) -> None:
    name = new_id()
    await vehicle.act("start_run", own=True, id=name)
    answer = await vehicle.act("start_run", own=True, id=name)
    assert answer["already"]
    assert len(vehicle.facts("run_started")) == 1


async def test_own_run_goes_on_after_a_restart(tmp_path: Path) -> None:
    async with lone_vehicle(tmp_path) as first:
        await first.act("start_run", own=True)
        case = first.agent.situation.current
    async with lone_vehicle(tmp_path) as again:
        assert (again.agent.situation.state, again.agent.situation.current) == ("running", case)


async def test_hubs_word_of_the_crews_own_case_changes_nothing_for_the_crew(
    vehicle: LoneVehicle,
) -> None:
    await vehicle.act("start_run", own=True)
    case = str(vehicle.agent.situation.current)
    vehicle.tell(case, "case_opened", CaseOpened(address="x", complaint="", alias=""))
    await vehicle.act("end_run")
    vehicle.tell(case, "unit_assigned", UnitAssigned(unit=UNIT, own=True))
    assert vehicle.agent.situation.state == "ended"


async def test_call_that_comes_during_an_own_run_waits(vehicle: LoneVehicle) -> None:
    await vehicle.act("start_run", own=True)
    called = vehicle.assign()
    assert vehicle.agent.situation.queue == [called]


def test_handover_is_possible_with_a_patient_only() -> None:
    assert {state for state, event in TABLE if event == "bay"} == {"running", "ended"}
    with pytest.raises(ImpossibleEventError):
        step("assigned", "begin")
