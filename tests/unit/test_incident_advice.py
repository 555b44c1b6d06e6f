"""The plan of an incident: by road, within the room that is left, made of who is still there."""

from __future__ import annotations

from dispatch import incident_pages
from dispatch.case_actions import OpenCase
from dispatch.cases import Case
from dispatch.incident_advice import IncidentAdvice, advise
from dispatch.incident_requests import DeclareIncident
from dispatch.triage import triage
from streams.incident_messages import Findings, IncidentDeclared, PatientTagged, Tag
from tests.case_facts import START_NS
from tests.choice_town import Town
from tests.incident_town import IncidentTown
from tests.road_town import at


def plan(town: IncidentTown, main: str) -> IncidentAdvice:
    found = advise(town.case(main), town.fleet, town.book, town.travel, town.now_ns)
    assert found is not None
    return found


def test_hospital_on_the_other_bank_is_as_far_as_the_bridge_and_not_as_the_line() -> None:
    town = Town(
        units={"unit-1": at(0, 0)},
        hospitals={"over-the-river": (at(0, 600), {}), "same-bank": (at(-2000, 0), {})},
    )
    case: Case = town.case
    town.book.take(town.pages.add("incident_declared", IncidentDeclared(kind="rail"), case=case.id))
    tagged = PatientTagged(code="T-1", tag="immediate", method="hand", at_ns=START_NS)
    town.book.take(town.pages.add("patient_tagged", tagged, case=case.id))
    found = advise(case, town.fleet, town.book, town.travel, START_NS)
    assert found is not None
    assert found.by_road
    assert found.share.hospitals == {"T-1": "same-bank"}
    assert found.targets["over-the-river"].seconds > 800 > found.targets["same-bank"].seconds
    assert [one.name for one in found.units] == ["unit-1"]


def test_plan_goes_on_with_what_is_left_after_each_that_was_sent() -> None:
    town = IncidentTown()
    main = town.declare()
    town.state("near", beds=2, resus_bays=1)
    town.state("middle", beds=1, resus_bays=0)
    town.state("far", beds=0, resus_bays=0)
    tags: list[Tag] = ["minor", "immediate", "expectant", "delayed", "immediate", "minor"]
    for number, tag in enumerate(tags, 1):
        town.tag(main, f"T-{number}", tag)
    first = plan(town, main)
    assert [one.code for one in first.order] == ["T-2", "T-5", "T-4", "T-1", "T-6"]
    assert first.share.unplaced == ["T-5"]
    sent: list[tuple[str, str]] = []
    while (found := plan(town, main)).next is not None:
        code = found.next.code
        town.send(main, code, f"unit-{len(sent) + 1}", found.share.hospitals[code])
        sent.append((code, found.share.hospitals[code]))
    assert [code for code, _ in sent] == ["T-2", "T-4", "T-1", "T-6"]
    assert [name for _, name in sent].count("middle") == 1
    assert [one.code for one in found.order] == found.share.unplaced == ["T-5"]
    assert found.units, "who fits nowhere may be sent by a person all the same"


def test_incident_without_a_place_is_shared_by_room_alone() -> None:
    town = IncidentTown()
    main = town.act(OpenCase(address="somewhere on line 2"))
    town.act(DeclareIncident(case=main, kind="rail"))
    town.state("near", beds=0, resus_bays=0)
    town.tag(main, "T-1", "minor")
    found = plan(town, main)
    assert found.share.hospitals["T-1"] in ("middle", "far")
    assert not found.by_road


def test_case_without_an_open_incident_has_no_plan() -> None:
    town = IncidentTown()
    case = town.case(town.open())
    assert advise(case, town.fleet, town.book, town.travel, town.now_ns) is None
    assert incident_pages.detail(case, town.book, town.fleet, town.now_ns) is None
    assert incident_pages.advice(None, town.fleet) is None


def test_page_walks_the_same_tables_as_the_hub() -> None:
    tables = incident_pages.tables()
    answers = {"walks": "no", "breathes": "yes", "rate": "normal", "pulse": "yes", "obeys": "no"}
    step: dict[str, str] = {"ask": "walks"}
    while "ask" in step:
        step = tables["start"][step["ask"]][answers[step["ask"]]]
    found = triage(
        Findings(walks=False, breathes=True, rate="normal", pulse=True, obeys=False), "start"
    )
    assert (step["tag"], step["reason"]) == (found.tag, found.reason)
