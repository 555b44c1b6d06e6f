"""An incident as its facts say: patients by their codes, in order, whatever comes first."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.errors import DispatchError
from dispatch.incident import Incident, counts, fold, in_order, to_transport
from dispatch.incident_rules import IncidentSettings
from dispatch.wristband import WristbandScheme
from streams.errors import ConfigError
from streams.identity import new_id
from streams.incident_messages import (
    IncidentClosed,
    IncidentDeclared,
    PatientMoved,
    PatientTagged,
    Tag,
    Where,
)

MINUTE_NS = 60_000_000_000
NOW_NS = 100 * MINUTE_NS


def tagged(code: str, tag: Tag, at_min: float = 0, **more: Any) -> PatientTagged:
    return PatientTagged(
        code=code, tag=tag, method="start", at_ns=round(at_min * MINUTE_NS), **more
    )


def moved(code: str, to: Where, at_min: float = 1, **more: Any) -> PatientMoved:
    return PatientMoved(code=code, to=to, at_ns=round(at_min * MINUTE_NS), **more)


def an_incident(*bodies: PatientTagged | PatientMoved | IncidentClosed) -> Incident:
    incident = fold(None, IncidentDeclared(kind="rail", estimated=40), 0)
    for body in bodies:
        incident = fold(incident, body, NOW_NS)
    assert incident is not None
    return incident


def order(*bodies: PatientTagged | PatientMoved) -> list[str]:
    return [one.code for one in in_order(an_incident(*bodies).tagged(), NOW_NS)]


def test_immediate_go_before_delayed_before_minor_and_the_longest_wait_first() -> None:
    assert order(
        tagged("M", "minor", 0), tagged("D", "delayed", 1),
        tagged("I2", "immediate", 30), tagged("I1", "immediate", 2), tagged("X", "expectant", 0),
    ) == ["I1", "I2", "D", "M", "X"]  # fmt: skip


def test_within_five_minutes_burns_and_children_go_first() -> None:
    bodies = (
        tagged("A", "delayed", 41), tagged("B", "delayed", 42, needs=("burns",)),
        tagged("C", "delayed", 43, age_years=5), tagged("Z", "delayed", 10),
    )  # fmt: skip
    assert order(*bodies) == ["Z", "B", "C", "A"]


def test_expectant_are_treated_last_and_not_proposed_for_transport() -> None:
    incident = an_incident(tagged("X", "expectant"), tagged("M", "minor"))
    assert [one.code for one in to_transport(incident.tagged(), NOW_NS)] == ["M"]
    assert counts(incident.tagged()) == {"immediate": 0, "delayed": 0, "minor": 1, "expectant": 1}


def test_triage_again_counts_by_its_time_and_keeps_the_history_and_the_wait() -> None:
    incident = an_incident(tagged("T-1", "immediate", 20), tagged("T-1", "delayed", 3))
    patient = incident.patients["T-1"]
    assert (patient.tag, [one.tag for one in patient.tags]) == (
        "immediate",
        ["delayed", "immediate"],
    )
    assert patient.since_ns == 3 * MINUTE_NS


def test_age_that_was_said_once_stays_known() -> None:
    incident = an_incident(tagged("T-1", "minor", 1, age_years=6), tagged("T-1", "delayed", 2))
    assert (incident.patients["T-1"].age_years, incident.patients["T-1"].is_child) == (6, True)


def test_patient_is_where_the_last_move_says_and_transport_knows_its_case() -> None:
    own = new_id()
    incident = an_incident(
        moved("T-1", "transported", 9, own=own),
        tagged("T-1", "minor"),
        moved("T-1", "treatment", 4),
    )
    patient = incident.patients["T-1"]
    assert (patient.where, patient.own) == ("transported", own)


def test_wristband_that_was_replaced_goes_on_under_the_other_code() -> None:
    incident = an_incident(
        tagged("T-1", "delayed"), tagged("T-2", "minor", 5), moved("T-1", "merged", into="T-2"),
        tagged("T-3", "minor", 6), moved("T-2", "merged", 7, into="T-3"),
    )  # fmt: skip
    assert [one.code for one in incident.tagged()] == ["T-3"]
    followed = incident.follow("T-1")
    assert followed is not None
    assert followed.code == "T-3"
    assert incident.follow("T-9") is None
    assert incident.patients["T-3"].merged == ["T-2"]


def test_codes_that_go_on_in_each_other_end_somewhere() -> None:
    incident = an_incident(
        tagged("A", "minor"), tagged("B", "minor"),
        moved("A", "merged", into="B"), moved("B", "merged", into="A"),
    )  # fmt: skip
    assert incident.follow("A") is not None


def test_incident_is_open_until_closed_and_again_when_declared_again() -> None:
    incident = an_incident(tagged("A", "minor"), IncidentClosed(reason="dark"))
    assert (incident.is_open, incident.still_here) == (False, "dark")
    again = fold(incident, IncidentDeclared(kind="rail"), 5)
    assert again is not None
    assert again.is_open
    assert "A" in again.patients
    assert fold(None, tagged("A", "minor"), 5) is None


codes = st.sampled_from(["A", "B", "C"])
minutes = st.integers(0, 50)
facts = st.lists(
    st.one_of(
        st.builds(tagged, codes, st.sampled_from(["immediate", "delayed", "minor"]), minutes),
        st.builds(moved, codes, st.sampled_from(["scene", "treatment", "left", "lost"]), minutes),
    ),
    max_size=15,
    unique_by=lambda body: (type(body), body.code, body.at_ns),
)


@given(facts, st.randoms())
def test_facts_in_any_order_give_the_same_patients(
    bodies: list[PatientTagged | PatientMoved], random: Any
) -> None:
    shuffled = list(bodies)
    random.shuffle(shuffled)
    one, other = an_incident(*bodies), an_incident(*shuffled)
    assert {c: (p.tags, p.moves) for c, p in one.patients.items()} == {
        c: (p.tags, p.moves) for c, p in other.patients.items()
    }
    assert order(*bodies) == order(*shuffled)


def test_wristband_code_is_read_in_capitals_and_refused_with_the_pattern() -> None:
    scheme = WristbandScheme()
    assert scheme.read(" t-00 17 ") == "T-0017"
    with pytest.raises(DispatchError, match="no wristband code"):
        scheme.read("no code")


@pytest.mark.parametrize(("check", "right", "wrong"), [("luhn", "79927398713", "79927398710"),
                                                       ("damm", "5724", "5727")])  # fmt: skip
def test_wristband_with_a_wrong_check_digit_is_mistyped(check: str, right: str, wrong: str) -> None:
    scheme = IncidentSettings(wristband="[0-9]+", check_digit=check).rules().wristbands  # type: ignore[arg-type]
    assert scheme.read(right) == right
    with pytest.raises(DispatchError, match="mistyped"):
        scheme.read(wrong)


@given(st.text("0123456789", min_size=2, max_size=12), st.sampled_from(["luhn", "damm"]), st.data())
def test_check_digit_finds_every_single_wrong_digit(
    number: str, check: str, data: st.DataObject
) -> None:
    scheme = WristbandScheme(re.compile("[0-9]+"), check)  # type: ignore[arg-type]

    def good(code: str) -> bool:
        try:
            return bool(scheme.read(code))
        except DispatchError:
            return False

    code = next(number + str(digit) for digit in range(10) if good(number + str(digit)))
    at = data.draw(st.integers(0, len(code) - 1))
    other = data.draw(st.sampled_from([one for one in "0123456789" if one != code[at]]))
    assert not good(code[:at] + other + code[at + 1 :])


def test_pattern_that_is_none_stops_the_start_with_its_name() -> None:
    with pytest.raises(ConfigError, match="wristband"):
        IncidentSettings(wristband="[")
