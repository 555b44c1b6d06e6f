"""The situation as a fold of facts, and what the crew's actions make of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.actions import Action, decide
from onboard.errors import ImpossibleEventError, RefusedActionError
from onboard.situation import Binding, Fact, Situation
from streams.codec import encode_body
from streams.identity import new_id
from streams.messages import (
    VERSION,
    Acknowledged,
    Body,
    CaseAmended,
    CaseClosed,
    CaseOpened,
    Envelope,
    HospitalChosen,
    HospitalStoodDown,
    Milestone,
    PreAlert,
    UnitAssigned,
    UnitReleased,
)
from streams.topics import find

SECOND = 1_000_000_000
NOW = 1_800_000_000 * SECOND
CASE, OTHER = new_id(), new_id()


class Story:
    """Facts as they come to a vehicle, second by second."""

    def __init__(self) -> None:
        self.situation = Situation("unit-1")
        self.facts: list[Fact] = []
        self.now_ns = NOW

    def fact(
        self, kind: str, body: Body, case: str = CASE, *, own: bool = False,
        sequence: int | None = None,
    ) -> tuple[Any, ...]:  # fmt: skip
        self.now_ns += SECOND
        envelope = Envelope(
            version=VERSION, kind=kind, id=new_id(), source="unit-1" if own else "hub",
            epoch=new_id(), lane=find(kind).lane, sequence=1, source_ns=self.now_ns,
            monotonic_ns=0, offset_ns=None, uncertainty_ns=None, origin="live",
            body=encode_body(body), case=case,
        )  # fmt: skip
        self.facts.append(Fact(envelope, own, self.now_ns, case_sequence=sequence))
        return self.situation.take(self.facts[-1])

    def assign(self, case: str = CASE, address: str = "12 Long Street") -> tuple[Any, ...]:
        opened = CaseOpened(address=address, complaint="chest pain", alias="Blue Heron")
        self.fact("case_opened", opened, case)
        return self.fact("unit_assigned", UnitAssigned(unit="unit-1"), case)

    def act(self, action: str, **fields: Any) -> list[Envelope]:
        wanted: Action = msgspec.convert({"action": action, **fields}, Action)
        made = decide(wanted, self.situation, self.now_ns)
        for kind, body in made:
            self.fact(kind, body, self.situation.current or "", own=True)
        return [fact.envelope for fact in self.facts[len(self.facts) - len(made) :]]


@pytest.fixture
def story() -> Story:
    return Story()


def test_situation_assignment_shows_the_case(story: Story) -> None:
    assert story.assign() == ("take_case",)
    assert story.situation.state == "assigned"
    assert story.situation.case is not None
    assert story.situation.case.opened is not None
    assert story.situation.case.opened.address == "12 Long Street"


def test_situation_another_unit_assigned_changes_nothing(story: Story) -> None:
    story.fact("unit_assigned", UnitAssigned(unit="unit-2"))
    assert story.situation.state == "idle"


def test_situation_binding_is_the_unknown_patient_only_while_the_run_is_on(story: Story) -> None:
    story.assign()
    assert story.situation.binding == Binding()
    story.act("start_run")
    assert story.situation.binding == Binding(CASE, "1")
    story.act("end_run")
    assert story.situation.binding == Binding()


def test_situation_second_case_waits_and_follows_after_the_run(story: Story) -> None:
    story.assign()
    story.act("start_run")
    story.assign(OTHER)
    assert story.situation.current == CASE
    story.act("end_run")
    assert (story.situation.current, story.situation.state) == (OTHER, "assigned")


def test_situation_second_case_taken_back_does_not_follow(story: Story) -> None:
    story.assign()
    story.act("start_run")
    story.assign(OTHER)
    story.fact("unit_released", UnitReleased(unit="unit-1"), OTHER)
    story.act("end_run")
    assert (story.situation.current, story.situation.state) == (CASE, "ended")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("unit_released", UnitReleased(unit="unit-1")),
        ("unit_assigned", UnitAssigned(unit="unit-2", released="unit-1")),
        ("case_closed", CaseClosed(outcome="cancelled")),
    ],
)
def test_situation_case_taken_away_before_the_run_leaves_idle(
    story: Story, kind: str, body: Body
) -> None:
    story.assign()
    story.fact(kind, body)
    assert (story.situation.state, story.situation.case) == ("idle", None)


def test_situation_case_taken_away_in_the_run_is_said_and_the_run_goes_on(story: Story) -> None:
    story.assign()
    story.act("start_run")
    story.fact("unit_released", UnitReleased(unit="unit-1"))
    assert story.situation.state == "running"
    assert story.situation.case is not None
    assert not story.situation.case.ours


def test_situation_amendment_changes_only_what_it_names(story: Story) -> None:
    story.assign()
    story.fact("case_amended", CaseAmended(severity="red"))
    assert story.situation.case is not None
    opened = story.situation.case.opened
    assert opened is not None
    assert (opened.severity, opened.complaint) == ("red", "chest pain")


def test_situation_stood_down_hospital_is_no_longer_the_receiver(story: Story) -> None:
    story.assign()
    story.fact("hospital_chosen", HospitalChosen(hospital="first-hospital", name="First"))
    story.fact("hospital_stood_down", HospitalStoodDown(hospital="first-hospital"))
    assert story.situation.case is not None
    assert story.situation.case.hospital is None


def test_seen_acknowledgement_before_the_delivery_covers_nothing(story: Story) -> None:
    story.assign()
    story.act("start_run")
    (alert,) = story.act("pre_alert", pathway="stemi")
    seen = Acknowledged(hospital="first-hospital", role="charge nurse")
    story.fact("acknowledged", seen)
    story.situation.delivered({alert.id}, story.now_ns + SECOND)
    case = story.situation.case
    assert case is not None
    (entry,) = case.bodies(PreAlert)
    assert case.seen(entry) is None
    story.now_ns += SECOND
    story.fact("acknowledged", seen)
    found = case.seen(case.bodies(PreAlert)[0])
    assert found is not None
    assert found.body == seen


def test_action_start_without_a_case_is_refused_with_both_names(story: Story) -> None:
    with pytest.raises(ImpossibleEventError, match=r"'start' .* 'idle'"):
        story.act("start_run")


def test_action_pre_alert_of_a_time_critical_pathway_is_red_by_itself(story: Story) -> None:
    story.assign()
    story.act("start_run")
    story.act("pre_alert", pathway="stroke", age_years=60, sex="male")
    assert story.situation.case is not None
    body = story.situation.case.bodies(PreAlert)[0].body
    assert isinstance(body, PreAlert)
    assert (body.severity, body.age_years, body.age_is_estimate) == ("red", 60, True)


def test_action_second_stamp_without_a_time_is_refused(story: Story) -> None:
    story.assign()
    story.act("start_run")
    story.act("milestone", stage="on_scene")
    with pytest.raises(RefusedActionError, match="at_ms"):
        story.act("milestone", stage="on_scene")


def test_action_correction_names_what_it_corrects_and_has_its_true_time(story: Story) -> None:
    story.assign()
    story.act("start_run")
    (first,) = story.act("milestone", stage="on_scene")
    true_ms = (story.now_ns - 300 * SECOND) // 1_000_000
    story.act("milestone", stage="on_scene", at_ms=true_ms)
    assert story.situation.case is not None
    body = story.situation.case.stamps()["on_scene"].body
    assert isinstance(body, Milestone)
    assert (body.corrects, body.at_ns) == (first.id, true_ms * 1_000_000)


def test_action_time_by_the_hubs_clock_is_kept_by_the_vehicles() -> None:
    story = Story()
    story.assign()
    story.act("start_run")
    wanted: Action = msgspec.convert(
        {"action": "note", "text": "late", "at_ms": NOW // 1_000_000}, Action
    )
    ((_, body),) = decide(wanted, story.situation, NOW - 400 * SECOND, offset_ns=412 * SECOND)
    assert getattr(body, "at_ns") == NOW - 412 * SECOND  # noqa: B009 - any body


@pytest.mark.parametrize("seconds", [3600, -25 * 3600])
def test_action_impossible_time_is_refused(story: Story, seconds: int) -> None:
    story.assign()
    with pytest.raises(RefusedActionError, match="at_ms"):
        story.act("note", text="x", at_ms=(story.now_ns + seconds * SECOND) // 1_000_000)


@given(st.lists(st.sampled_from(["assign", "other", "release", "close", "start", "end", "note"])))
def test_situation_any_story_gives_the_same_when_folded_again(events: list[str]) -> None:
    story = Story()
    for event in events:
        if event in ("assign", "other"):
            story.assign(CASE if event == "assign" else OTHER)
        elif event == "release":
            story.fact("unit_released", UnitReleased(unit="unit-1"))
        elif event == "close":
            story.fact("case_closed", CaseClosed(outcome="cancelled"))
        else:
            action = {"start": "start_run", "end": "end_run", "note": "note"}[event]
            fields = {"text": "x"} if event == "note" else {}
            try:
                story.act(action, **fields)
            except ImpossibleEventError:
                continue
    again = Situation("unit-1")
    for fact in story.facts:
        again.take(fact)
    known = story.situation
    assert (again.state, again.current, again.queue) == (known.state, known.current, known.queue)
    assert (again.state in ("assigned", "running", "ended")) == (again.case is not None)


Told = tuple[str, Body]
MOVED: list[Told] = [
    ("case_opened", CaseOpened(address="12 Long Street", complaint="", alias="x")),
    ("unit_assigned", UnitAssigned(unit="unit-1")),
    ("hospital_chosen", HospitalChosen(hospital="first-hospital", name="First")),
    ("case_amended", CaseAmended(address="14 Long Street")),
    ("hospital_stood_down", HospitalStoodDown(hospital="first-hospital")),
    ("hospital_chosen", HospitalChosen(hospital="second-hospital", name="Second")),
    ("case_amended", CaseAmended(address="16 Long Street", severity="red")),
]
TAKEN_AWAY: list[Told] = [
    *MOVED,
    ("unit_released", UnitReleased(unit="unit-1")),
    ("unit_assigned", UnitAssigned(unit="unit-2")),
    ("case_closed", CaseClosed(outcome="cancelled")),
]
GIVEN_BACK: list[Told] = [*TAKEN_AWAY, ("unit_assigned", UnitAssigned(unit="unit-1"))]


def shown(told: list[Told], order: list[int]) -> tuple[Any, ...]:
    """Return what the crew is shown of a case whose facts came in this order."""
    story = Story()
    for number in order:
        kind, body = told[number]
        story.fact(kind, body, sequence=number + 1)
    case = story.situation.find(CASE)
    assert case is not None
    return (
        story.situation.state, story.situation.current, case.opened, case.hospital, case.ours,
        case.closed,
    )  # fmt: skip


def test_situation_hospital_that_comes_again_after_its_successor_is_not_the_receiver() -> None:
    _, _, _, hospital, _, _ = shown(MOVED, [0, 1, 3, 4, 5, 6, 2])
    assert hospital is not None
    assert hospital.hospital == "second-hospital"


def test_situation_assignment_that_comes_after_its_end_gives_no_case() -> None:
    state, current, *_ = shown(TAKEN_AWAY, [0, 2, 3, 4, 5, 6, 7, 8, 9, 1])
    assert (state, current) == ("idle", None)


@given(st.sampled_from([MOVED, TAKEN_AWAY, GIVEN_BACK]), st.data())
def test_situation_hubs_facts_in_any_order_show_the_same(
    told: list[Told], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(told))))
    assert shown(told, order) == shown(told, list(range(len(told))))
