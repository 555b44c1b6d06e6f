"""The cases as the journal says, and what an action does to them."""

from __future__ import annotations

import os
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch import case_pages
from dispatch.case_actions import (
    AmendCase,
    AssignUnit,
    ChooseHospital,
    CloseCase,
    Decision,
    OneCase,
    OpenCase,
    ReleaseUnit,
    decide,
)
from dispatch.cases import CLOSED_KEPT, Case, CaseBook
from dispatch.errors import ConflictError, UnknownError
from dispatch.units import Fleet, HospitalSettings, UnitSettings
from streams.codec import any_body
from streams.identity import new_id
from streams.messages import (
    CaseClosed,
    CaseOpened,
    Milestone,
    Numeric,
    PreAlert,
    RunEnded,
    RunStarted,
    Severity,
    Stage,
    UnitAssigned,
    Vitals,
)
from tests.case_facts import SECOND_NS, START_NS, Pages

CASE, OTHER = new_id(), new_id()


class Desk:
    """Acts and folds, as the hub does, without its disk."""

    def __init__(self) -> None:
        self.pages = Pages()
        self.book = CaseBook()
        self.fleet = Fleet(
            tuple(UnitSettings(name=f"unit-{n}", label=f"Ambulance {n}") for n in (1, 2, 3)),
            tuple(
                HospitalSettings(name=name, latitude_deg=31.2, longitude_deg=121.4)
                for name in ("first-hospital", "second-hospital")
            ),
        )

    def act(self, action: OneCase, new_case: str = CASE) -> Decision:
        decision = decide(action, self.book, self.fleet, START_NS, new_case, seat="seat-1")
        for draft in decision.drafts:
            fact = self.pages.add(draft.kind, draft.body, case=draft.case, origin=draft.origin)
            self.book.take(fact)
        return decision

    def unit_says(self, kind: str, body: object, unit: str = "unit-1", **options: object) -> None:
        fact = self.pages.add(kind, body, source=unit, **options)  # type: ignore[arg-type]
        self.book.take(fact)

    def case(self, case: str = CASE) -> Case:
        found = self.book.get(case)
        assert found is not None
        return found


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.act(OpenCase(address="Long Street", severity="yellow"))
    return made


def heart_rate(value: float, at_s: float) -> Vitals:
    measured = Numeric(value=value, measured_ns=START_NS + round(at_s * SECOND_NS))
    return Vitals(device="m", heart_rate_per_min=measured)


@given(st.sampled_from(["red", "yellow", "green", "unknown"]))
def test_severity_shown_is_the_severity_saved(severity: Severity) -> None:
    desk = Desk()
    desk.act(OpenCase(address="Long Street", severity=severity))
    shown = case_pages.summary(desk.case(), lambda *_: None)
    assert shown["severity"] == severity
    assert desk.pages.facts[0].envelope.kind == "case_opened"


def test_assigned_unit_is_named_as_people_call_it(desk: Desk) -> None:
    desk.act(AssignUnit(case=CASE, unit="unit-1"))
    body = any_body(desk.pages.facts[-1].envelope)
    assert body == UnitAssigned(unit="unit-1", name="Ambulance 1")


def test_assigning_a_busy_unit_changes_nothing_without_override(desk: Desk) -> None:
    desk.act(AssignUnit(case=CASE, unit="unit-1"))
    desk.unit_says("milestone", Milestone(stage="on_scene", at_ns=START_NS), case=CASE)
    desk.act(OpenCase(address="Short Street"), OTHER)
    for action in (
        AssignUnit(case=OTHER, unit="unit-1"),
        AssignUnit(case=OTHER, unit="unit-1", override=True),
        AssignUnit(case=OTHER, unit="unit-1", reason="but why not"),
    ):
        with pytest.raises(ConflictError, match="Long Street"):
            desk.act(action)
    assert desk.book.of_unit("unit-1") is desk.case(CASE)
    assert desk.case(CASE).stage == "on_scene"


def test_overriding_releases_the_unit_from_its_case_first(desk: Desk) -> None:
    desk.act(AssignUnit(case=CASE, unit="unit-1"))
    desk.act(OpenCase(address="Short Street"), OTHER)
    decision = desk.act(AssignUnit(case=OTHER, unit="unit-1", override=True, reason="arrest"))
    assert [(d.kind, d.case) for d in decision.drafts] == [
        ("unit_released", CASE),
        ("unit_assigned", OTHER),
    ]
    assert desk.case(CASE).unit is None
    assert desk.case(CASE).units == {"unit-1"}, "its late facts still belong to the case"
    assert desk.book.of_unit("unit-1") is desk.case(OTHER)


def test_of_two_seats_that_send_different_units_the_second_is_told(desk: Desk) -> None:
    desk.act(AssignUnit(case=CASE, unit="unit-1"))
    with pytest.raises(ConflictError, match="unit-1"):
        desk.act(AssignUnit(case=CASE, unit="unit-2"))
    desk.act(AssignUnit(case=CASE, unit="unit-2", replaces="unit-1"))
    assert desk.case().unit == "unit-2"
    assert desk.book.of_unit("unit-1") is None
    with pytest.raises(ConflictError, match="unit-2"):
        desk.act(AssignUnit(case=CASE, unit="unit-3", replaces="unit-1"))


def test_chosen_hospital_is_there_and_the_old_one_is_stood_down_before(desk: Desk) -> None:
    desk.act(ChooseHospital(case=CASE, hospital="first-hospital"))
    assert desk.case().hospital == "first-hospital"
    decision = desk.act(ChooseHospital(case=CASE, hospital="second-hospital"))
    assert [draft.kind for draft in decision.drafts] == ["hospital_stood_down", "hospital_chosen"]
    assert desk.case().hospital == "second-hospital"
    with pytest.raises(ConflictError, match="look again"):
        desk.act(ChooseHospital(case=CASE, hospital="first-hospital", previous="first-hospital"))
    with pytest.raises(UnknownError, match="no-hospital"):
        desk.act(ChooseHospital(case=CASE, hospital="no-hospital"))


def test_case_closed_by_the_hub_stays_closed_whatever_comes_late(desk: Desk) -> None:
    desk.act(AssignUnit(case=CASE, unit="unit-1"))
    desk.act(CloseCase(case=CASE, outcome="handed_over"))
    for kind, body in (
        ("run_started", RunStarted()),
        ("milestone", Milestone(stage="departed", at_ns=START_NS)),
        ("run_ended", RunEnded(reason="clear")),
        ("vitals", heart_rate(80, 1)),
    ):
        desk.unit_says(kind, body, case=CASE)
    assert not desk.case().is_open
    assert desk.case().outcome == "handed_over"
    assert desk.book.of_unit("unit-1") is None
    for action in (
        AssignUnit(case=CASE, unit="unit-2"),
        ReleaseUnit(case=CASE, unit="unit-1", reason="x"),
        CloseCase(case=CASE, outcome="died"),
    ):
        with pytest.raises(ConflictError, match="was closed"):
            desk.act(action)


def test_end_of_a_run_frees_the_unit_and_not_another_run(desk: Desk) -> None:
    desk.act(AssignUnit(case=CASE, unit="unit-1"))
    desk.unit_says("run_ended", RunEnded(reason="clear"), case=CASE, unit="unit-2")
    assert desk.book.of_unit("unit-1") is not None
    desk.unit_says("run_ended", RunEnded(reason="clear"), case=CASE)
    assert desk.book.of_unit("unit-1") is None
    assert desk.case().is_open, "only the hub closes a case"
    desk.act(OpenCase(address="Short Street"), OTHER)
    desk.act(AssignUnit(case=OTHER, unit="unit-1"))
    assert desk.book.of_unit("unit-1") is desk.case(OTHER)


def test_second_patient_is_a_second_row_and_never_overwrites_the_first(desk: Desk) -> None:
    for patient, value in (("mother", 92.0), ("newborn", 141.0), (None, 60.0)):
        desk.unit_says("vitals", heart_rate(value, 1), case=CASE, patient=patient)
    shown = case_pages.detail(desk.case(), lambda *_: None)["patients"]
    rates = {one["patient"]: one["signs"]["heart_rate_per_min"]["value"] for one in shown}
    assert rates == {"mother": 92.0, "newborn": 141.0, None: 60.0}


@given(st.permutations(range(12)))
def test_newest_vital_sign_is_the_newest_measured_in_any_order(order: list[int]) -> None:
    pages, book = Pages(), CaseBook()
    for second in order:
        body = heart_rate(50.0 + second, second)
        book.take(pages.add("vitals", body, case=CASE, source="unit-1", at_s=second))
    case = book.get(CASE)
    assert case is not None
    sign = case.vitals[None]["heart_rate_per_min"]
    assert sign.newest.value == 61.0
    times = [one.at_ns for one in sign.values]
    assert times == sorted(times)


@given(st.lists(st.sampled_from(["on_scene", "departed", "arrived"]), max_size=6), st.randoms())
def test_corrected_stage_wins_whichever_comes_first(stages: list[Stage], shuffled: object) -> None:
    pages, book = Pages(), CaseBook()
    book.take(pages.add("case_opened", CaseOpened(address="a", complaint="", alias="b"), case=CASE))
    wrong, right = new_id(), new_id()
    facts = [
        pages.add("milestone", Milestone(stage="on_scene", at_ns=START_NS + 900 * SECOND_NS),
                  case=CASE, source="unit-1", fact_id=wrong),
        pages.add("milestone", Milestone(stage="on_scene", at_ns=START_NS + 60 * SECOND_NS,
                                         corrects=wrong), case=CASE, source="unit-1",
                  fact_id=right),
    ]  # fmt: skip
    shuffled.shuffle(facts)  # type: ignore[attr-defined]
    for fact in facts:
        book.take(fact)
    case = book.get(CASE)
    assert case is not None
    assert case.stages["on_scene"] == START_NS + 60 * SECOND_NS


def test_older_pre_alert_that_comes_late_does_not_win(desk: Desk) -> None:
    new = PreAlert(pathway="stemi", severity="red", age_years=61)
    old = PreAlert(pathway="other", severity="green", age_years=30)
    desk.unit_says("pre_alert", new, case=CASE, at_s=60)
    desk.unit_says("pre_alert", old, case=CASE, at_s=20)
    assert (desk.case().severity, desk.case().age_years) == ("red", 61)
    assert desk.case().severity_by == "unit-1"


def test_amending_changes_only_what_is_named(desk: Desk) -> None:
    desk.act(AmendCase(case=CASE, age_years=61, severity="red"))
    case = desk.case()
    assert (case.address, case.age_years, case.severity) == ("Long Street", 61, "red")
    with pytest.raises(ConflictError):
        desk.act(AmendCase(case=CASE))


@pytest.mark.parametrize("zone", ["UTC", "Asia/Shanghai", "America/New_York"])
def test_times_are_utc_and_corrected_whatever_the_zone(
    desk: Desk, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "TZ", zone)
    time.tzset()
    try:
        # The vehicle's clock is 412 s behind the hub's.
        body = Milestone(stage="arrived", at_ns=START_NS + 10 * SECOND_NS)
        desk.unit_says("milestone", body, case=CASE, at_s=12, offset_s=412)
        shown = case_pages.detail(desk.case(), lambda *_: None)
        assert shown["stages"]["arrived"] == (START_NS + 422 * SECOND_NS) // 1_000_000
        entry = shown["entries"][-1]
        assert entry["at_ms"] == (START_NS + 422 * SECOND_NS) // 1_000_000
        assert entry["noted_ms"] == (START_NS + 424 * SECOND_NS) // 1_000_000
    finally:
        monkeypatch.undo()
        time.tzset()


def test_old_closed_cases_leave_memory(desk: Desk) -> None:
    cases = [new_id() for _ in range(CLOSED_KEPT + 5)]
    for number, case in enumerate(cases):
        desk.act(OpenCase(address=f"Street {number}"), case)
        fact = desk.pages.add("unit_assigned", UnitAssigned(unit="unit-3"), case=case)
        desk.book.take(fact)
        desk.book.take(desk.pages.add("case_closed", CaseClosed(outcome="treated"), case=case))
    assert [case.id for case in desk.book.recent()] == [CASE, *cases[5:]], "the open one stays"
    assert desk.book.get(cases[0]) is None
    assert desk.book.of_unit("unit-3") is None


def test_unit_that_is_not_the_recommended_one_is_sent_only_with_the_reason(desk: Desk) -> None:
    with pytest.raises(ConflictError, match="Ambulance 1 is recommended") as told:
        desk.act(AssignUnit(case=CASE, unit="unit-2", recommended="unit-1"))
    assert told.value.conflict["kind"] == "not_recommended"
    desk.act(AssignUnit(case=CASE, unit="unit-2", recommended="unit-1", reason="has the incubator"))
    body = any_body(desk.pages.facts[-1].envelope)
    assert isinstance(body, UnitAssigned)
    assert (body.recommended, body.reason) == ("unit-1", "has the incubator")
    desk.act(AssignUnit(case=CASE, unit="unit-3", replaces="unit-2", recommended="unit-3"))
    followed = any_body(desk.pages.facts[-1].envelope)
    assert isinstance(followed, UnitAssigned)
    assert followed.recommended is None
