"""What may be done with an incident: codes once, capacities kept, a case for who is transported."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.call_actions import LinkCase
from dispatch.case_actions import AssignUnit, ChooseHospital, CloseCase
from dispatch.errors import ConflictError, DispatchError, UnknownError
from dispatch.hospital_room import room_of
from dispatch.incident_requests import (
    CloseIncident,
    DeclareIncident,
    MergePatient,
    MovePatient,
    TagPatient,
    TransportPatient,
)
from dispatch.repeats import is_repeat
from streams.codec import any_body
from streams.identity import new_id
from streams.incident_messages import Findings, Tag
from streams.messages import HospitalChosen, Milestone, UnitAssigned
from tests.case_facts import SECOND_NS
from tests.incident_town import SCENE, IncidentTown

MINUTE_NS = 60 * SECOND_NS
DELAYED = Findings(walks=False, breathes=True, rate_per_min=20, pulse=True, obeys=True)


@pytest.fixture
def town() -> IncidentTown:
    return IncidentTown()


def conflict(town: IncidentTown, action: Any) -> dict[str, str]:
    with pytest.raises(ConflictError) as told:
        town.act(action)
    return told.value.conflict | {"text": str(told.value)}


def test_triage_by_findings_gives_the_tag_with_its_reason(town: IncidentTown) -> None:
    main = town.declare()
    town.act(TagPatient(case=main, code=" t-17 ", findings=DELAYED))
    incident = town.case(main).incident
    assert incident is not None
    last = incident.patients["T-17"].tags[-1]
    assert (last.tag, last.method, last.reason, last.by) == ("delayed", "start", "stable", "seat-1")


def test_findings_that_give_no_tag_yet_or_another_one_are_refused(town: IncidentTown) -> None:
    main = town.declare()
    with pytest.raises(DispatchError, match="look at breathes"):
        town.act(TagPatient(case=main, code="1", findings=Findings(walks=False)))
    with pytest.raises(DispatchError, match="delayed by start, not minor"):
        town.act(TagPatient(case=main, code="1", findings=DELAYED, tag="minor"))
    with pytest.raises(DispatchError, match="wants its tag"):
        town.act(TagPatient(case=main, code="1", method="hand"))
    with pytest.raises(DispatchError, match="look at responds"):
        town.act(TagPatient(case=main, code="1", findings=DELAYED, age_years=5))
    with pytest.raises(DispatchError, match="no wristband code"):
        town.act(TagPatient(case=main, code="what", method="hand", tag="minor"))
    with pytest.raises(DispatchError, match="in the future"):
        late_ms = town.now_ns // 1_000_000 + 120_000
        town.act(TagPatient(case=main, code="1", method="hand", tag="minor", at_ms=late_ms))


def test_code_that_is_used_twice_is_refused_unless_it_is_the_same_patient_again(
    town: IncidentTown,
) -> None:
    main = town.declare()
    town.tag(main, "T-1", "minor")
    told = conflict(town, TagPatient(case=main, code="t-1", method="hand", tag="delayed"))
    assert (told["kind"], told["code"], told["tag"]) == ("known", "T-1", "minor")
    town.tag(main, "T-1", "delayed", again=True)
    with pytest.raises(UnknownError, match="T-2"):
        town.tag(main, "T-2", "delayed", again=True)


def test_code_of_another_incident_is_refused_with_both_named_also_when_that_one_is_over(
    town: IncidentTown,
) -> None:
    first, second = town.declare("Long Street"), town.declare("Harbour")
    town.tag(first, "T-1", "minor")
    for _ in range(2):
        told = conflict(town, TagPatient(case=second, code="T-1", method="hand", tag="minor"))
        assert (told["kind"], told["case"]) == ("code", first)
        assert "Long Street" in told["text"]
        assert "Harbour" in told["text"]
        if town.case(first).is_open:
            town.act(CloseIncident(case=first, reason="over"))
            town.act(CloseCase(case=first, outcome="treated"))


def test_transport_opens_a_case_at_the_place_with_unit_and_hospital(town: IncidentTown) -> None:
    main = town.declare()
    town.tag(main, "T-1", "immediate", age_years=30)
    own = town.send(main, "T-1", "unit-1", "near")
    assert (own.alias, own.unit, own.hospital) == ("T-1", "unit-1", "near")
    assert (own.severity, own.age_years, own.address) == ("red", 30, town.case(main).address)
    assert own.position is not None
    assert (own.position.latitude_deg, own.position.longitude_deg) == SCENE
    assert own.patient_of == (main, "T-1")
    assert town.where(main, "T-1") == "transported"
    assert town.book.of_unit("unit-1") is own


def test_patient_who_was_sent_is_not_sent_again_until_the_case_is_cancelled(
    town: IncidentTown,
) -> None:
    main = town.declare()
    town.tag(main, "T-1", "minor")
    own = town.send(main, "T-1", "unit-1", "near")
    again = TransportPatient(case=main, code="T-1", unit="unit-2", hospital="near")
    assert conflict(town, again)["case"] == own.id
    assert conflict(town, MovePatient(case=main, code="T-1", to="scene"))["kind"] == "transported"
    town.act(CloseCase(case=own.id, outcome="cancelled"))
    assert town.where(main, "T-1") == "scene"
    town.act(again)
    assert town.where(main, "T-1") == "transported"


def test_patient_whose_own_case_is_handed_over_is_so(town: IncidentTown) -> None:
    main = town.declare()
    town.tag(main, "T-1", "minor")
    own = town.send(main, "T-1", "unit-1", "near")
    handed = Milestone(stage="handed_over", at_ns=town.now_ns)
    town.store("milestone", handed, own.id, source="unit-1")
    assert town.where(main, "T-1") == "handed_over"


def test_triage_again_of_who_is_under_way_is_told_to_the_own_case(town: IncidentTown) -> None:
    main = town.declare()
    town.tag(main, "T-1", "minor")
    own = town.send(main, "T-1", "unit-1", "near")
    town.tag(main, "T-1", "immediate", again=True)
    assert (own.severity, own.tag) == ("red", "immediate")


def test_hospital_that_is_full_is_refused_unless_somebody_says_why(town: IncidentTown) -> None:
    main = town.declare()
    town.state("near", beds=1, resus_bays=0)
    for code, tag in (("T-1", "minor"), ("T-2", "minor"), ("T-3", "immediate")):
        town.tag(main, code, tag)  # type: ignore[arg-type]
    town.send(main, "T-1", "unit-1", "near")
    full = TransportPatient(case=main, code="T-2", unit="unit-2", hospital="near")
    told = conflict(town, full)
    assert told["kind"] == "full"
    assert "1 beds, and 1 went there since" in told["text"]
    bays = TransportPatient(case=main, code="T-3", unit="unit-2", hospital="near")
    assert "0 resuscitation bays" in conflict(town, bays)["text"]
    blank = TransportPatient(
        case=main, code="T-2", unit="unit-2", hospital="near", override=True, reason=" "
    )
    assert conflict(town, blank)["kind"] == "full"
    town.send(main, "T-2", "unit-2", "near", override=True, reason="they made room")


def test_hospital_on_diversion_has_no_room(town: IncidentTown) -> None:
    main = town.declare()
    town.state("near", beds=9, resus_bays=9, diversion=True)
    town.tag(main, "T-1", "minor")
    told = conflict(town, TransportPatient(case=main, code="T-1", unit="unit-1", hospital="near"))
    assert "elsewhere" in told["text"]


def test_hospital_that_said_nothing_takes_two_and_one_in_a_resuscitation_bay(
    town: IncidentTown,
) -> None:
    main = town.declare()
    for number in range(1, 4):
        town.tag(main, f"M-{number}", "minor")
        town.tag(main, f"I-{number}", "immediate")
    town.send(main, "M-1", "unit-1", "far")
    town.send(main, "M-2", "unit-2", "far")
    town.send(main, "I-1", "unit-3", "far")
    for code in ("M-3", "I-2"):
        full = TransportPatient(case=main, code=code, unit="unit-4", hospital="far")
        assert "counts as having" in conflict(town, full)["text"]


def test_old_statement_counts_no_more_than_none_and_a_new_one_counts_anew(
    town: IncidentTown,
) -> None:
    town.state("near", beds=20, resus_bays=0)
    town.now_ns += 61 * MINUTE_NS
    room = room_of("near", town.fleet, town.book, town.now_ns)
    assert (room.beds, room.resus_bays, room.stated) == (2, 0, "old")
    town.state("near", beds=20, resus_bays=3)
    assert room_of("near", town.fleet, town.book, town.now_ns).beds == 20


def test_patient_counts_until_the_hospital_has_spoken_after_the_arrival(
    town: IncidentTown,
) -> None:
    main = town.declare()
    town.state("near", beds=5, resus_bays=1)
    town.tag(main, "T-1", "minor")
    own = town.send(main, "T-1", "unit-1", "near")

    def beds() -> int:
        return room_of("near", town.fleet, town.book, town.now_ns).beds

    assert beds() == 4
    town.now_ns += 10 * MINUTE_NS
    town.store("milestone", Milestone(stage="arrived", at_ns=town.now_ns), own.id, source="unit-1")
    assert beds() == 4
    town.act(CloseCase(case=own.id, outcome="handed_over"))
    assert beds() == 4, "it is not in the hospital's own figure yet"
    town.now_ns += MINUTE_NS
    town.state("near", beds=4, resus_bays=1)
    assert beds() == 4


def test_another_hospital_for_a_patient_under_way_keeps_the_capacity_too(
    town: IncidentTown,
) -> None:
    main = town.declare()
    town.state("near", beds=5, resus_bays=1)
    town.state("far", beds=0, resus_bays=0)
    town.tag(main, "T-1", "minor")
    own = town.send(main, "T-1", "unit-1", "near")
    assert conflict(town, ChooseHospital(case=own.id, hospital="far"))["kind"] == "full"
    town.act(ChooseHospital(case=own.id, hospital="far", reason="asked for by the burns team"))
    assert own.hospital == "far"


def test_expectant_patient_is_sent_only_with_a_reason(town: IncidentTown) -> None:
    main = town.declare()
    town.tag(main, "T-1", "expectant")
    send = TransportPatient(case=main, code="T-1", unit="unit-1", hospital="near")
    assert conflict(town, send)["kind"] == "expectant"
    own = town.send(main, "T-1", "unit-1", "near", override=True, reason="all others are gone")
    assert own.severity == "unknown"


def test_unit_of_another_case_is_taken_only_with_a_reason(town: IncidentTown) -> None:
    main, other = town.declare(), town.open("elsewhere")
    town.act(AssignUnit(case=other, unit="unit-1"))
    town.tag(main, "T-1", "minor")
    send = TransportPatient(case=main, code="T-1", unit="unit-1", hospital="near")
    assert conflict(town, send)["kind"] == "busy"
    town.send(main, "T-1", "unit-1", "near", override=True, reason="nearest by far")
    assert town.case(other).unit is None


def test_transport_of_which_half_was_stored_goes_on_in_the_same_case(town: IncidentTown) -> None:
    main = town.declare()
    town.tag(main, "T-1", "minor")
    own = town.send(main, "T-1", "unit-1", "near")
    half = IncidentTown()
    main_facts = [fact for fact in town.pages.facts if fact.envelope.kind != "patient_moved"]
    for fact in main_facts:  # a crash came before the last one
        if fact.envelope.kind != "hospital_chosen":
            half.book.take(fact)
    half.act(TransportPatient(case=main, code="T-1", unit="unit-1", hospital="near"))
    incident = half.case(main).incident
    assert incident is not None
    assert incident.patients["T-1"].own == own.id
    assert half.case(own.id).hospital == "near"
    assert len(half.book.open()) == 2


def test_wristband_that_is_replaced_or_doubled_goes_on_under_the_other(town: IncidentTown) -> None:
    main = town.declare()
    town.tag(main, "T-1", "delayed")
    town.act(MergePatient(case=main, code="T-1", into="T-9", reason="torn off"))
    incident = town.case(main).incident
    assert incident is not None
    assert [(one.code, one.tag) for one in incident.tagged()] == [("T-9", "delayed")]
    told = conflict(town, TagPatient(case=main, code="T-1", method="hand", tag="minor", again=True))
    assert (told["kind"], told["into"]) == ("merged", "T-9")
    assert conflict(town, MergePatient(case=main, code="T-9", into="T-9"))["kind"] == "same"
    town.act(MovePatient(case=main, code="T-1", to="scene"))
    assert [one.code for one in incident.tagged()] == ["T-1", "T-9"]


def test_lost_patient_is_not_sent_until_found(town: IncidentTown) -> None:
    main = town.declare()
    town.tag(main, "T-1", "minor")
    town.act(MovePatient(case=main, code="T-1", to="lost"))
    send = TransportPatient(case=main, code="T-1", unit="unit-1", hospital="near")
    assert conflict(town, send)["kind"] == "lost"
    town.now_ns += SECOND_NS
    town.act(MovePatient(case=main, code="T-1", to="treatment", area="A"))
    town.act(send)
    with pytest.raises(UnknownError):
        town.act(MovePatient(case=main, code="T-2", to="lost"))


def test_incident_with_patients_at_the_scene_is_closed_only_with_a_reason(
    town: IncidentTown,
) -> None:
    main = town.declare()
    town.tag(main, "T-1", "minor")
    assert conflict(town, CloseCase(case=main, outcome="treated"))["kind"] == "incident"
    assert conflict(town, CloseIncident(case=main))["count"] == "1"
    town.act(CloseIncident(case=main, reason="went home"))
    assert conflict(town, CloseIncident(case=main))["kind"] == "incident_closed"
    town.act(CloseCase(case=main, outcome="treated"))


def test_incident_is_declared_only_where_its_tags_go_to_nobody_else(town: IncidentTown) -> None:
    case, other = town.open(), town.open("other")
    town.act(ChooseHospital(case=case, hospital="near"))
    assert conflict(town, DeclareIncident(case=case, kind="fire"))["kind"] == "has_hospital"
    town.act(LinkCase(case=other, to=case))
    assert conflict(town, DeclareIncident(case=other, kind="fire"))["kind"] == "linked"
    main = town.declare()
    assert conflict(town, ChooseHospital(case=main, hospital="near"))["kind"] == "incident"
    assert conflict(town, LinkCase(case=main, to=case))["kind"] == "incident"
    no_incident = town.open("third")
    tag = TagPatient(case=no_incident, code="1", method="hand", tag="minor")
    assert conflict(town, tag)["kind"] == "no_incident"


@pytest.mark.parametrize(
    ("action", "other"),
    [
        (DeclareIncident(case="", kind="fire"), DeclareIncident(case="", kind="rail")),
        (TagPatient(case="", code="T-1", findings=DELAYED),
         TagPatient(case="", code="T-1", method="hand", tag="minor")),
        (TransportPatient(case="", code="T-2", unit="unit-1", hospital="near"),
         TransportPatient(case="", code="T-2", unit="unit-1", hospital="far")),
        (MovePatient(case="", code="t-2", to="lost"), MovePatient(case="", code="T-2", to="left")),
        (MergePatient(case="", code="T-2", into="T-3"),
         MergePatient(case="", code="T-2", into="T-4")),
        (CloseIncident(case="", reason="over"), DeclareIncident(case="", kind="fire")),
    ],
)  # fmt: skip
def test_action_that_comes_again_is_a_repeat_and_another_is_not(
    town: IncidentTown, action: Any, other: Any
) -> None:
    main = town.declare()
    town.tag(main, "T-2", "minor")
    done, wrong = (msgspec.structs.replace(one, case=main, id=new_id()) for one in (action, other))
    town.act(done)
    made = town.pages.facts[-1].envelope
    assert is_repeat(done, made, any_body(made), "seat-1")
    assert not is_repeat(wrong, made, any_body(made), "seat-1")
    elsewhere = msgspec.structs.replace(done, case=new_id())
    assert not is_repeat(elsewhere, made, any_body(made), "seat-1")


steps = st.lists(
    st.tuples(
        st.sampled_from(["tag", "send", "send", "state", "arrive", "close", "elsewhere"]),
        st.integers(0, 11),
        st.sampled_from(["near", "middle", "far"]),
        st.integers(0, 3),
    ),
    max_size=60,
)


@given(steps)
def test_whatever_is_sent_without_a_reason_breaks_no_stated_capacity(
    chosen: list[tuple[str, int, str, int]],
) -> None:
    town = IncidentTown()
    main = town.declare()
    for step in chosen:
        what, number, hospital, _ = step
        town.now_ns += SECOND_NS
        try:
            _do(town, main, step)
        except (ConflictError, UnknownError):
            continue
        if what == "send":
            room = room_of(hospital, town.fleet, town.book, town.now_ns)
            incident = town.case(main).incident
            assert incident is not None
            resus = incident.patients[f"T-{number}"].tag == "immediate"
            assert (room.resus_bays if resus else room.beds) >= 0, "one too many was sent"


def _do(town: IncidentTown, main: str, step: tuple[str, int, str, int]) -> None:
    what, number, hospital, figure = step
    tags: tuple[Tag, ...] = ("immediate", "delayed", "minor")
    code, unit = f"T-{number}", f"unit-{number + 1}"
    match what:
        case "tag":
            town.tag(main, code, tags[figure % 3])
        case "send":
            town.send(main, code, unit, hospital)
        case "state":
            town.state(hospital, beds=figure, resus_bays=figure // 2)
        case "elsewhere":  # a case that has nothing to do with it goes there too
            case = town.open("elsewhere")
            town.store("unit_assigned", UnitAssigned(unit=unit), case)
            town.store("hospital_chosen", HospitalChosen(hospital=hospital, name=hospital), case)
        case _:
            bound = town.book.of_unit(unit)
            if bound is None:
                return
            if what == "arrive":
                arrived = Milestone(stage="arrived", at_ns=town.now_ns)
                town.store("milestone", arrived, bound.id, source=unit)
            else:
                town.act(CloseCase(case=bound.id, outcome="handed_over"))
