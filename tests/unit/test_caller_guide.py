"""What the caller's page is shown of the guide: answers to tap, and whose turn it is to push."""

from __future__ import annotations

from functools import cache

import pytest

from dispatch import caller_guide
from dispatch.cases import Case
from dispatch.guidance.loading import load
from dispatch.guidance.protocol import Library
from tests.guidance_seat import CASE, SECOND_NS, Seat


@cache
def library() -> Library:
    return load()


@pytest.fixture
def seat() -> Seat:
    return Seat(library())


def case_of(seat: Seat) -> Case:
    return Case(CASE, guide=seat.guide)


def test_question_has_its_answers_in_both_languages(seat: Seat) -> None:
    seat.start()
    shown = caller_guide.current(case_of(seat), library(), seat.now_ns)
    assert shown is not None
    assert [one["id"] for one in shown["answers"]] == [one.id for one in seat.step.answers]
    assert all(set(one["text"]) == {"en", "zh"} for one in shown["answers"])
    assert shown["change"] is None


def test_step_of_a_protocol_that_is_not_in_force_has_words_and_no_answers(seat: Seat) -> None:
    seat.start()
    others = Library({}, {}, frozenset(), {})
    shown = caller_guide.current(case_of(seat), others, seat.now_ns)
    assert shown is not None
    assert (shown["answers"], shown["text"]["en"]) == ([], seat.step.en)


def test_caller_without_a_guide_or_after_its_end_is_shown_no_step(seat: Seat) -> None:
    assert caller_guide.current(case_of(seat), library(), seat.now_ns) is None
    seat.start()
    seat.stop()
    assert caller_guide.current(case_of(seat), library(), seat.now_ns) is None


def pushing(seat: Seat) -> dict[str, int | None]:
    """Return what is told of the change of rescuers."""
    shown = caller_guide.current(case_of(seat), library(), seat.now_ns)
    assert shown is not None
    change: dict[str, int | None] = shown["change"]
    return change


def test_change_of_rescuer_is_due_by_the_time_and_said_when_it_is_noted(seat: Seat) -> None:
    seat.start("cardiac_arrest_adult")
    seat.done(2)
    seat.answer("pushing")
    while "hands_on_chest" not in seat.run.moments():
        seat.done()
    seat.go_to("cardiac_arrest_adult", "push")
    begun_ns = seat.run.moments()["hands_on_chest"]
    seat.wait(50)
    passed_ms = (seat.now_ns - begun_ns) * 1000 // SECOND_NS
    assert pushing(seat) == {"ago_ms": None, "due_ms": 120_000 - passed_ms}
    seat.wait(80)
    due_ms = pushing(seat)["due_ms"]
    assert due_ms is not None
    assert due_ms <= 0, "it is time"
    seat.note("rescuer_change")
    seat.wait(2)
    assert pushing(seat) == {"ago_ms": 2000, "due_ms": 118_000}


def test_no_text_of_a_protocol_takes_for_granted_that_the_caller_hears() -> None:
    """The loudspeaker is the one thing that steps ask for and that not everybody can use."""
    found = [
        step
        for protocol in library().protocols.values()
        for step in protocol.step
        if "loudspeaker" in step.en or "免提" in step.zh
    ]
    assert found
    for step in found:
        assert "loudspeaker if you can hear" in step.en, step.id
        assert "听得见就开免提" in step.zh, step.id
        assert "see it" in step.en
        assert "看得见" in step.zh
