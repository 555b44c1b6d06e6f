"""An exercise never reaches anything real: no unit, no hospital, no phone, no other case."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.call_actions import LinkCase, SendLink
from dispatch.case_actions import AddNote, AssignUnit, ChooseHospital, CloseCase, ReleaseUnit
from dispatch.case_routing import Router
from dispatch.district_picture import picture
from dispatch.errors import ConflictError, DispatchError
from dispatch.hospital_choice import suggest_hospitals
from dispatch.incident_requests import (
    CloseIncident,
    DeclareIncident,
    TagPatient,
    TransportPatient,
)
from dispatch.suggestion import suggest_units
from dispatch.unit_requests import Card, grant
from streams.district_messages import UnitRequest
from streams.messages import CaseNote, HospitalChosen, UnitAssigned
from tests.incident_town import DRILL_HOSPITAL, DRILL_UNITS, HOSPITALS, UNITS, IncidentTown


def refused(town: IncidentTown, action: Any, kind: str = "drill") -> None:
    with pytest.raises(DispatchError) as told:
        town.act(action)
    assert getattr(told.value, "conflict", {}).get("kind") == kind


def test_real_unit_and_hospital_are_not_for_an_exercise_nor_the_reverse() -> None:
    town = IncidentTown()
    drill, live = town.open(drill=True), town.open()
    refused(town, AssignUnit(case=drill, unit="unit-1", override=True, reason="because"))
    refused(town, AssignUnit(case=live, unit="drill-unit-1", override=True, reason="because"))
    refused(town, ChooseHospital(case=drill, hospital="near", reason="because"))
    refused(town, ChooseHospital(case=live, hospital=DRILL_HOSPITAL, reason="because"))
    refused(town, LinkCase(case=drill, to=live))
    refused(town, LinkCase(case=live, to=drill))
    refused(town, SendLink(case=drill, number="+8613800000001"))
    for name in (drill, live):
        case = town.case(name)
        assert (case.unit, case.hospital, case.linked, case.linked_to) == (None, None, [], None)


def test_incident_is_an_exercise_where_its_case_is_one_and_nowhere_else() -> None:
    town = IncidentTown()
    drill, live = town.open(drill=True), town.open()
    refused(town, DeclareIncident(case=live, kind="fire", drill=True))
    refused(town, DeclareIncident(case=drill, kind="fire"))
    town.act(DeclareIncident(case=drill, kind="fire", drill=True))
    town.tag(drill, "T-1", "minor")
    send = TransportPatient(case=drill, code="T-1", unit="unit-1", hospital=DRILL_HOSPITAL)
    refused(town, send)
    send = TransportPatient(case=drill, code="T-1", unit="drill-unit-1", hospital="near")
    refused(town, send)
    own = town.send(drill, "T-1", "drill-unit-1", DRILL_HOSPITAL)
    assert own.drill
    assert all(fact.envelope.drill for fact in town.pages.facts if fact.envelope.case != live)
    assert town.forwarded == []


def test_suggestions_of_an_exercise_are_of_exercises_and_the_reverse() -> None:
    town = IncidentTown()
    for drill, units, hospitals in (
        (True, set(DRILL_UNITS), {DRILL_HOSPITAL}),
        (False, set(UNITS), set(HOSPITALS)),
    ):
        case = town.case(town.open(drill=drill))
        found = suggest_units(case, town.fleet, town.book, town.travel, town.now_ns)
        assert {one.name for one in found} <= units
        near = suggest_hospitals(case, town.fleet, town.book, town.travel, town.now_ns)
        assert {one.name for one in near} <= hospitals


def test_neighbours_are_told_of_nothing_that_is_for_exercises() -> None:
    town = IncidentTown()
    told = picture(town.fleet, town.book, town.now_ns)
    assert {one.name for one in told.units} == set(UNITS)
    assert {one.name for one in told.hospitals} == set(HOSPITALS)


def test_neighbour_that_asks_for_a_unit_of_exercises_gets_none() -> None:
    town = IncidentTown()
    asked = UnitRequest(
        region="south", request="0" * 26, case="1" * 26, alias="a", address="b", complaint="",
        unit="drill-unit-1",
    )  # fmt: skip
    with pytest.raises(ConflictError, match="for exercises"):
        grant(Card(asked, 1, 1), town.fleet, town.book, new_case="2" * 26, seat="s", reason=None)


def test_exercise_that_was_routed_all_the_same_goes_nowhere_also_after_a_restart() -> None:
    town = IncidentTown()
    case = town.open(drill=True)
    # As no action makes it: the facts alone.
    town.store("unit_assigned", UnitAssigned(unit="unit-1"), case, drill=True)
    town.store("hospital_chosen", HospitalChosen(hospital="near", name="near"), case, drill=True)
    assert town.forwarded == []
    again = Router()
    again.learn(case, town.pages.facts, len(town.pages.facts))
    note = town.pages.add("case_note", CaseNote(text="x", at_ns=1), case=case, drill=True)
    assert again.take(note) == []
    assert not again.gets("hospital/near", case)
    assert again.reached("unit/unit-1", case) == 0
    assert town.book.hospital_of_unit("unit-1") is None, "its streams are nobody's either"


UNIT = st.sampled_from(["unit-1", "unit-2", *DRILL_UNITS])
HOSPITAL = st.sampled_from(["near", "far", DRILL_HOSPITAL])
CASE = st.integers(0, 3)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("assign"), CASE, UNIT, st.booleans()),
        st.tuples(st.just("choose"), CASE, HOSPITAL, st.booleans()),
        st.tuples(st.just("transport"), CASE, UNIT, HOSPITAL),
        st.tuples(st.just("tag"), CASE, st.sampled_from(["T-1", "T-2", "T-3"]), st.booleans()),
        st.tuples(
            st.sampled_from(["note", "release", "link", "end", "over", "link_sms", "declare"]),
            CASE, CASE, st.booleans(),
        ),
    ),
    max_size=40,
)  # fmt: skip


@given(steps)
def test_no_fact_of_an_exercise_is_ever_routed_and_no_case_is_of_both(
    chosen: list[tuple[str, int, Any, Any]],
) -> None:
    town = IncidentTown()
    cases = [town.open(str(number), drill=number % 2 == 1) for number in range(4)]
    for step in chosen:
        try:
            town.act(_action(town, cases, step))
        except DispatchError:
            continue
    assert all(not fact.envelope.drill for _, fact in town.forwarded)
    drills = {cases[1], cases[3]} | {c.id for c in town.book.recent() if c.drill}
    for fact in town.pages.facts:
        assert fact.envelope.drill == (fact.envelope.case in drills)
    for case in town.book.recent():
        assert case.unit is None or town.fleet.unit(case.unit).drill == case.drill
        assert case.hospital is None or town.fleet.hospital(case.hospital).drill == case.drill
        assert case.patient_of is None or town.case(case.patient_of[0]).drill == case.drill


def _action(town: IncidentTown, cases: list[str], step: tuple[str, int, Any, Any]) -> Any:
    what, number, one, other = step
    case = cases[number]
    actions: dict[str, Callable[[], Any]] = {
        "assign": lambda: AssignUnit(case=case, unit=one, override=other, reason="because"),
        "choose": lambda: ChooseHospital(case=case, hospital=one, reason="because"),
        "transport": lambda: TransportPatient(
            case=case, code=f"T-{number % 3 + 1}", unit=one, hospital=other, override=True,
            reason="because",
        ),
        "tag": lambda: TagPatient(case=case, code=one, tag="minor", method="hand", again=other),
        "note": lambda: AddNote(case=case, text="heard"),
        "release": lambda: ReleaseUnit(
            case=case, unit=town.case(case).unit or "unit-1", reason="no more"
        ),
        "link": lambda: LinkCase(case=case, to=cases[one]),
        "end": lambda: CloseIncident(case=case, reason="over"),
        "over": lambda: CloseCase(case=case, outcome="cancelled"),
        "link_sms": lambda: SendLink(case=case, number="+8613800000001"),
        "declare": lambda: DeclareIncident(case=case, kind="fire", drill=other),
    }  # fmt: skip
    return actions[what]()
