"""A unit's status clock: each step with its time, from the facts of that unit alone."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch import case_pages
from dispatch.cases import CaseBook
from dispatch.district import DistrictRules
from dispatch.district_picture import picture
from dispatch.unit_status import ORDER, RunClock, status_of
from dispatch.units import Fleet, UnitSettings, place
from streams.bay_messages import BayHandover
from streams.chain import Stored
from streams.identity import new_id
from streams.messages import (
    Body,
    CaseClosed,
    CaseOpened,
    Milestone,
    Position,
    RunEnded,
    RunStarted,
    Stage,
    UnitAssigned,
    UnitReleased,
)
from tests.case_facts import SECOND_NS, START_NS, Pages

STAGES: tuple[Stage, ...] = (
    "en_route", "on_scene", "patient_contact", "departed", "arrived", "handed_over",
)  # fmt: skip


class Desk:
    """A case, and what the hub and its units say of it at stated seconds."""

    def __init__(self) -> None:
        self.pages, self.book, self.case = Pages(), CaseBook(), new_id()
        self.hub("case_opened", CaseOpened(address="a", complaint="", alias="b"), 0)

    def say(self, kind: str, body: Body, at_s: float, source: str) -> Stored:
        fact = self.pages.add(kind, body, case=self.case, source=source, at_s=at_s)
        self.book.take(fact)
        return fact

    def hub(self, kind: str, body: Body, at_s: float) -> None:
        self.say(kind, body, at_s, "hub")

    def assign(self, unit: str, at_s: float, **fields: object) -> None:
        self.hub("unit_assigned", UnitAssigned(unit=unit, **fields), at_s)  # type: ignore[arg-type]

    def stamp(
        self, stage: Stage, at_s: float, unit: str = "unit-1", corrects: str | None = None
    ) -> str:
        at_ns = START_NS + round(at_s * SECOND_NS)
        body = Milestone(stage=stage, at_ns=at_ns, corrects=corrects)
        return self.say("milestone", body, at_s, unit).envelope.id

    def status(self, unit: str = "unit-1") -> tuple[str, float | None]:
        clock = status_of(unit, self.book)
        return clock.status, None if clock.since_ns is None else _seconds(clock.since_ns)

    def times(self, unit: str = "unit-1") -> dict[str, float]:
        return {one: _seconds(at) for one, at in status_of(unit, self.book).times.items()}


def _seconds(at_ns: int) -> float:
    return (at_ns - START_NS) / SECOND_NS


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.assign("unit-1", 10)
    return made


def test_status_of_a_unit_without_a_run_is_free() -> None:
    assert status_of("unit-1", CaseBook()) == RunClock("free", None, {})


def test_status_follows_the_run_step_by_step_each_with_its_time(desk: Desk) -> None:
    seen = [desk.status()]
    for number, stage in enumerate(STAGES):
        desk.stamp(stage, 60 * (number + 1))
        seen.append(desk.status())
    desk.say("run_ended", RunEnded(reason="handed_over"), 420, "unit-1")
    seen.append(desk.status())
    assert seen == [
        ("assigned", 10), ("en_route", 60), ("on_scene", 120), ("patient_contact", 180),
        ("departed", 240), ("at_hospital", 300), ("handed_over", 360), ("clear", 420),
    ]  # fmt: skip
    assert list(desk.times().values()) == [10, 60, 120, 180, 240, 300, 360, 420]


@given(st.permutations(STAGES), st.randoms())
def test_status_is_the_same_whatever_stamp_came_first(
    stages: list[Stage], shuffled: random.Random
) -> None:
    desk, count = Desk(), shuffled.randint(1, len(stages))
    desk.assign("unit-1", 10)
    for stage in stages[:count]:
        desk.stamp(stage, 60 * (STAGES.index(stage) + 1))
    furthest = max(STAGES.index(stage) for stage in stages[:count])
    assert desk.status()[1] == 60 * (furthest + 1)
    assert len(desk.times()) == count + 1


def test_status_of_a_corrected_stamp_is_that_of_the_correction(desk: Desk) -> None:
    wrong = desk.stamp("on_scene", 100)
    desk.stamp("on_scene", 90, corrects=wrong)
    assert desk.status() == ("on_scene", 90)


def test_status_of_a_unit_that_takes_over_is_its_own_and_not_the_one_before(desk: Desk) -> None:
    desk.stamp("on_scene", 60)
    desk.stamp("departed", 120)
    desk.assign("unit-2", 200, released="unit-1")
    assert desk.status("unit-2") == ("assigned", 200)
    assert desk.status("unit-1") == ("clear", 200)
    desk.stamp("departed", 130)  # a stamp that was held up on its way
    assert desk.status("unit-2") == ("assigned", 200)
    case = desk.book.get(desk.case)
    assert case is not None
    assert case.stage is None, "its way to the hospital is by the scene"
    assert [one.kind for one in case.entries].count("milestone") == 3


def test_status_of_a_unit_sent_again_begins_anew(desk: Desk) -> None:
    desk.stamp("on_scene", 60)
    desk.hub("unit_released", UnitReleased(unit="unit-1", reason="needed elsewhere"), 70)
    assert desk.status() == ("clear", 70)
    desk.assign("unit-1", 100)
    assert desk.status() == ("assigned", 100)


def test_status_of_an_end_that_was_a_mistake_goes_on_and_the_unit_is_busy(desk: Desk) -> None:
    desk.say("run_started", RunStarted(), 20, "unit-1")
    desk.stamp("on_scene", 60)
    desk.say("run_ended", RunEnded(reason="treated"), 70, "unit-1")
    assert desk.book.of_unit("unit-1") is None
    desk.say("run_started", RunStarted(), 80, "unit-1")
    assert desk.status() == ("on_scene", 60)
    bound = desk.book.of_unit("unit-1")
    assert bound is not None
    assert bound.id == desk.case


def test_status_of_a_start_that_comes_after_the_end_leaves_the_unit_clear(desk: Desk) -> None:
    made = Pages()
    started = made.add("run_started", RunStarted(), case=desk.case, source="unit-1", at_s=20)
    ended = RunEnded(reason="treated")
    late = made.add("run_ended", ended, case=desk.case, source="unit-1", at_s=70)
    for fact in (late, started):
        desk.book.take(fact)
    assert desk.status() == ("clear", 70)


def test_status_of_a_closed_case_is_clear(desk: Desk) -> None:
    desk.stamp("on_scene", 60)
    desk.hub("case_closed", CaseClosed(outcome="cancelled"), 100)
    assert desk.status() == ("clear", 100)
    assert set(desk.times()) == {"assigned", "on_scene", "clear"}


def test_status_hand_over_that_nobody_stamped_is_that_of_the_end_at_the_latest(desk: Desk) -> None:
    desk.say("run_ended", RunEnded(reason="handed_over"), 420, "unit-1")
    assert desk.times() == {"assigned": 10, "handed_over": 420, "clear": 420}


def test_status_record_handed_over_at_the_bay_says_that_the_unit_is_there(desk: Desk) -> None:
    body = BayHandover(hospital="first-hospital", at_ns=1, way="qr", facts=3)
    desk.say("bay_handover", body, 300, "unit-1")
    assert desk.status() == ("at_hospital", 300)


def test_status_of_a_run_that_its_crew_began_counts_from_its_start() -> None:
    desk = Desk()
    desk.assign("unit-1", 500, own=True)  # the hub heard of it as the link came back
    desk.say("run_started", RunStarted(), 20, "unit-1")
    desk.stamp("on_scene", 60)
    assert desk.times() == {"assigned": 20, "on_scene": 60}


def test_unit_shows_shift_area_and_abilities() -> None:
    square = ((31.0, 121.0), (31.0, 122.0), (32.0, 122.0), (32.0, 121.0))
    unit = UnitSettings(name="unit-1", abilities=("neonatal",), shifts=("07:00-19:00",))
    fleet = Fleet((unit,), (), DistrictRules(border=square))
    one = fleet.units["unit-1"]
    noon, night = (
        round(datetime(2026, 5, 1, hour, tzinfo=UTC).timestamp()) * SECOND_NS for hour in (12, 22)
    )
    shown = case_pages.unit(one, fleet, CaseBook(), noon)
    assert (shown["on_shift"], shown["in_area"], shown["abilities"]) == (True, None, ["neonatal"])
    for longitude_deg, inside in ((121.5, True), (120.5, False)):
        at = Position(
            latitude_deg=31.5, longitude_deg=longitude_deg, measured_ns=noon, source="gnss"
        )
        one.position = None
        place(one, at, 0, "live")
        shown = case_pages.unit(one, fleet, CaseBook(), night)
        assert (shown["on_shift"], shown["in_area"]) == (False, inside)


@pytest.mark.parametrize("stages", [0, 1, 5, 6])
def test_neighbours_are_told_the_step_of_the_run_that_our_own_page_shows(
    desk: Desk, stages: int
) -> None:
    for number, stage in enumerate(STAGES[:stages]):
        desk.stamp(stage, 60 * (number + 1))
    told = picture(Fleet((UnitSettings(name="unit-1"),), ()), desk.book, START_NS).units[0]
    assert told.status == desk.status()[0]
    assert told.status in ORDER


def test_neighbours_are_told_that_a_unit_after_its_run_is_free(desk: Desk) -> None:
    desk.hub("case_closed", CaseClosed(outcome="cancelled"), 60)
    fleet = Fleet((UnitSettings(name="unit-1"),), ())
    assert picture(fleet, desk.book, START_NS).units[0].status == "free"
