"""What the guide's way says of the case: proposed while nobody said it, and set by nobody."""

from __future__ import annotations

import pytest

from dispatch.guidance.loading import load
from dispatch.guidance.meaning import Proposal, meaning, proposed
from dispatch.guidance.run import Place
from streams.messages import Severity
from tests.guidance_seat import RANG_NS, Seat

LIBRARY = load()
SECOND_NS = 1_000_000_000


@pytest.fixture
def seat() -> Seat:
    return Seat(LIBRARY)


def proposal(
    seat: Seat, severity: Severity = "unknown", severity_ns: int = 0, complaint: str = ""
) -> Proposal | None:
    return proposed(
        seat.run, LIBRARY, severity=severity, severity_ns=severity_ns, complaint=complaint
    )


def at(seat: Seat) -> Place | None:
    found = meaning(seat.run, LIBRARY)
    return found[1] if found else None


def test_arrest_proposes_red_and_its_words_in_both_languages_with_the_source(seat: Seat) -> None:
    seat.start("cardiac_arrest_adult")
    found = proposal(seat)
    assert found is not None
    assert (found.severity, found.why) == ("red", "WS/T 390-2012: level 1: may die at any moment")
    assert found.complaint is not None
    assert (found.complaint.en, found.complaint.zh) == ("Cardiac arrest, adult", "心脏骤停（成人）")


def test_first_question_proposes_nothing_and_a_branch_does(seat: Seat) -> None:
    seat.start()
    assert proposal(seat) is None
    seat.go_to("entry", "breathing")
    assert at(seat) == ("entry", "breathing")
    seat.go_to("burns", "kind")
    first = proposal(seat)
    assert first is not None
    assert first.severity == "yellow"
    seat.go_to("burns", "sit")  # the airway is at risk
    seat.go_to("burns", "cover")
    found = proposal(seat)
    assert found is not None
    assert (found.severity, at(seat)) == ("red", ("burns", "sit")), "a branch counts from there on"


def test_questions_between_two_protocols_change_nothing(seat: Seat) -> None:
    seat.start("choking")
    seat.go_to("entry", "threat")
    assert at(seat) == ("choking", "age")


def test_case_that_says_so_already_is_asked_nothing(seat: Seat) -> None:
    seat.start("stroke")
    for words in ("Stroke suspected", "疑似脑卒中"):
        assert proposal(seat, "red", RANG_NS - 1, words) is None
    only_words = proposal(seat, "red", RANG_NS - 1)
    assert only_words is not None
    assert (only_words.severity, only_words.complaint is not None) == (None, True)


def test_severity_is_raised_and_never_lowered(seat: Seat) -> None:
    seat.start("trauma")
    assert proposal(seat, "red", RANG_NS - 1, "fell from a roof") is None
    raised = proposal(seat, "green", RANG_NS - 1, "fell from a roof")
    assert raised is not None
    assert (raised.severity, raised.complaint) == ("yellow", None)


def test_severity_that_somebody_chose_after_it_is_not_asked_again(seat: Seat) -> None:
    seat.start("chest_pain")
    seat.wait(5)
    assert proposal(seat, "yellow", seat.now_ns, "pain since the fall") is None
    later = proposal(seat, "yellow", RANG_NS - SECOND_NS, "pain since the fall")
    assert later is not None
    assert later.severity == "red", "it was chosen before anybody knew"


def test_words_that_a_person_wrote_stay_and_the_guides_own_are_replaced(seat: Seat) -> None:
    seat.start("choking")
    seat.go_to("cardiac_arrest_child", "flat")
    assert proposal(seat, "red", RANG_NS, "swallowed a grape") is None
    found = proposal(seat, "red", RANG_NS, "Choking")
    assert found is not None
    assert found.complaint is not None
    assert found.complaint.en == "Cardiac arrest, child"


def test_every_protocol_but_the_first_questions_says_what_it_means() -> None:
    silent = [one.id for one in LIBRARY.protocols.values() if one.means is None]
    assert silent == ["entry"]
    for name in ("cardiac_arrest_adult", "cardiac_arrest_child", "cardiac_arrest_infant"):
        means = LIBRARY.protocols[name].means
        assert means is not None
        assert means.severity == "red"
