"""What came late, or from a clock that was not known yet, in the hub's cases."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dispatch import case_pages
from dispatch.cases import CaseBook
from streams.identity import new_id
from streams.messages import (
    CaseOpened,
    MediaState,
    Milestone,
    Numeric,
    SensorState,
    UnitAssigned,
    Vitals,
)
from streams.source_clocks import SourceClocks
from tests.case_facts import SECOND_NS, START_NS, Pages

CASE, OTHER = new_id(), new_id()
START_MS = START_NS // 1_000_000


def heart_rate(value: float, at_s: float) -> Vitals:
    measured = Numeric(value=value, measured_ns=START_NS + round(at_s * SECOND_NS))
    return Vitals(device="m", heart_rate_per_min=measured)


def detail(book: CaseBook) -> dict[str, Any]:
    case = book.get(CASE)
    assert case is not None
    return case_pages.detail(case, lambda *_: None)


def opened() -> tuple[Pages, CaseBook]:
    pages, book = Pages(), CaseBook()
    for kind, body in (
        ("case_opened", CaseOpened(address="a", complaint="", alias="b")),
        ("unit_assigned", UnitAssigned(unit="unit-1")),
    ):
        book.take(pages.add(kind, body, case=CASE))
    return pages, book


def test_late_vital_sign_lands_at_its_time_and_the_newest_stays() -> None:
    pages, book = opened()
    for at_s, late_s in ((10.0, 0.1), (300.0, 0.1), (60.0, 240.0), (65.0, 235.0)):
        body = heart_rate(at_s, at_s)
        book.take(pages.add("vitals", body, case=CASE, source="unit-1", at_s=at_s, late_s=late_s))
    (patient,) = detail(book)["patients"]
    sign = patient["signs"]["heart_rate_per_min"]
    assert sign["value"] == 300.0
    assert [value for _, value in sign["history"]] == [10.0, 60.0, 65.0, 300.0]
    assert patient["late"] == {
        "from_ms": START_MS + 60_000, "until_ms": START_MS + 65_000, "most_ms": 240_000,
    }  # fmt: skip


def test_late_stage_stands_where_it_belongs_and_says_how_late_it_came() -> None:
    pages, book = opened()
    for at_s, late_s in ((600.0, 0.2), (120.0, 420.0)):
        body = Milestone(stage="on_scene", at_ns=START_NS + round(at_s * SECOND_NS))
        fact = pages.add("milestone", body, case=CASE, source="unit-1", at_s=at_s, late_s=late_s)
        book.take(fact)
    lines = [one for one in detail(book)["entries"] if one["kind"] == "milestone"]
    assert [(one["at_ms"] - START_MS, one["late_ms"]) for one in lines] == [
        (120_000, 420_000), (600_000, 0),
    ]  # fmt: skip


def test_media_state_that_was_overtaken_does_not_replace_a_newer_one() -> None:
    pages, book = opened()
    off = pages.add(
        "media_state", MediaState(stream="cabin", state="off"), case=CASE, source="unit-1", at_s=9,
        origin="replay",
    )  # fmt: skip
    on = pages.add(
        "media_state", MediaState(stream="cabin", state="on"), case=CASE, source="unit-1", at_s=5
    )
    for fact in (off, on):
        book.take(fact)
    assert detail(book)["media"] == {"cabin": "off"}
    assert detail(book)["media_origins"] == {"cabin": "replay"}


def test_case_read_again_shows_true_times_and_the_unit_stays_where_it_is() -> None:
    pages, book = opened()
    clocks = SourceClocks()
    facts = [*pages.facts]

    def take(kind: str, body: Any, **options: Any) -> set[str]:
        fact = pages.add(kind, body, source="unit-1", **options)
        facts.append(fact)
        placed, again = clocks.take(fact)
        book.take(placed)
        return again

    blind = Milestone(stage="en_route", at_ns=START_NS)
    take("milestone", blind, case=CASE, at_s=0, offset_s=None, late_s=900, monotonic_s=100)
    for kind, body in (
        ("case_opened", CaseOpened(address="b", complaint="", alias="c")),
        ("unit_assigned", UnitAssigned(unit="unit-1", released=None)),
    ):
        book.take(pages.add(kind, body, case=OTHER))
    state = SensorState(sensor="ecg", state="running")
    again = take("sensor_state", state, case=CASE, at_s=30, offset_s=412, monotonic_s=130)
    assert again == {CASE}
    book.read_again(CASE, [clocks.place(fact) for fact in facts if fact.envelope.case == CASE])
    (line,) = [one for one in detail(book)["entries"] if one["kind"] == "milestone"]
    assert (line["at_ms"], line["time"]) == (START_MS + 412_000, "estimated")
    bound = book.of_unit("unit-1")
    assert bound is not None
    assert bound.id == OTHER


@given(seed=st.integers(0, 2**32), late=st.lists(st.integers(0, 600), min_size=1, max_size=20))
def test_timeline_and_trend_are_the_same_whatever_came_first(seed: int, late: list[int]) -> None:
    pages, book = opened()
    facts = []
    for at_s, late_s in enumerate(late):
        options: dict[str, Any] = {"case": CASE, "source": "unit-1", "at_s": at_s}
        options |= {"late_s": late_s, "monotonic_s": at_s}
        facts.append(pages.add("vitals", heart_rate(at_s, at_s), **options))
        state = SensorState(sensor="ecg", state="running", reason=str(at_s))
        facts.append(pages.add("sensor_state", state, **options))
    for fact in random.Random(seed).sample(facts, len(facts)):
        book.take(fact)
    shown = detail(book)
    (patient,) = shown["patients"]
    history = patient["signs"]["heart_rate_per_min"]["history"]
    assert [value for _, value in history] == list(range(len(late)))
    lines = [one["data"]["reason"] for one in shown["entries"] if one["kind"] == "sensor_state"]
    assert lines == [str(number) for number in range(len(late))]
