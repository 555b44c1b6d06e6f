"""What a caller's page says of the call and of help: what facts say, and no more than that."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from dispatch.calls import TABLE, Phase
from dispatch.cases import Case, CaseBook
from dispatch.intake import LineStep, line_step, wrote_again
from dispatch.text_pages import dialled, for_caller_status
from streams.call_messages import CallStep, Step
from streams.identity import new_id
from streams.messages import (
    CaseClosed,
    CaseOpened,
    Milestone,
    RunEnded,
    Stage,
    UnitAssigned,
    UnitReleased,
)
from streams.text_messages import TextTurn
from tests.case_facts import START_NS, Pages

SEATED = {"answered", "held", "offered", "taken", "called_back"}


class Calls:
    """A case of which facts come."""

    def __init__(self, *, dialled: str = "120") -> None:
        self.pages, self.book, self.case_id = Pages(), CaseBook(), new_id()
        self.take("case_opened", CaseOpened(address="", complaint="", alias="Heron Blue"))
        self.take("call_step", CallStep(step="rang", call="pbx-1", number="+1", dialled=dialled))

    def take(self, kind: str, body: object, *, source: str = "hub") -> None:
        fact = self.pages.add(kind, body, case=self.case_id, source=source)  # type: ignore[arg-type]
        self.book.take(fact)

    def steps(self, *steps: Step) -> None:
        for step in steps:
            seat = "seat-1" if step in SEATED else ""
            self.take("call_step", CallStep(step=step, seat=seat))

    @property
    def case(self) -> Case:
        found = self.book.get(self.case_id)
        assert found is not None
        return found

    @property
    def call(self) -> str:
        return str(for_caller_status(self.case)["status"]["call"])

    @property
    def help(self) -> str:
        return str(for_caller_status(self.case)["status"]["help"])


@pytest.mark.parametrize(
    ("steps", "stands"),
    [
        ([], "ringing"),
        (["answered"], "read"),
        (["answered", "offered"], "read"),
        (["answered", "held"], "held"),
        (["answered", "seat_lost"], "waits"),
        (["hung_up"], "lost"),
        (["hung_up", "called_back"], "calling"),
        (["answered", "hung_up"], "over"),
        (["hung_up", "gave_up"], "over"),
        (["answered", "hung_up", "wrote"], "waits"),
        (["answered", "hung_up", "wrote", "answered"], "read"),
    ],
)
def test_caller_is_told_how_the_call_stands(steps: Sequence[Step], stands: str) -> None:
    calls = Calls()
    calls.steps(*steps)
    assert calls.call == stands


def test_caller_to_whom_a_seat_writes_before_it_answers_is_told_that_it_was_seen() -> None:
    calls = Calls()
    said = TextTurn(
        turn=new_id(), who="caller", way="page", text="fire", begun_ns=START_NS, ended_ns=START_NS
    )
    calls.take("text_turn", said)
    assert calls.call == "ringing"
    calls.take("text_turn", replace(said, turn=new_id(), who="dispatcher", seat="seat-1"))
    assert calls.call == "seen"
    calls.steps("answered")
    assert calls.call == "read"
    calls.steps("seat_lost")
    assert calls.call == "waits", "who wrote is gone"


def test_caller_is_told_that_a_dispatcher_ended_the_call() -> None:
    calls = Calls()
    calls.steps("answered")
    calls.take("call_step", CallStep(step="hung_up", seat="seat-1"))
    assert calls.call == "ended"
    calls.steps("called_back", "unanswered", "gave_up")
    assert calls.call == "over", "that was another end"


def test_page_says_that_somebody_reads_only_where_a_seat_has_the_call() -> None:
    ways: dict[Phase, list[Step]] = {"ringing": []}
    while True:  # every phase, by the shortest way to it
        more = {
            to: [*ways[phase], step]
            for (phase, step), to in TABLE.items()
            if phase in ways and to not in ways
        }
        if not more:
            break
        ways |= more
    assert set(ways) == set(TABLE.values())
    for phase, steps in ways.items():
        calls = Calls()
        calls.steps(*steps)
        call = calls.case.call
        assert call is not None
        assert call.phase == phase
        assert (calls.call == "read") == (phase in ("talking", "offered")), phase
        assert calls.call != "read" or call.seat


def test_case_without_a_call_says_of_nobody_that_he_reads() -> None:
    pages, book, case = Pages(), CaseBook(), new_id()
    opened = CaseOpened(address="8 River Road", complaint="", alias="Otter Red")
    found = book.take(pages.add("case_opened", opened, case=case))
    assert found is not None
    assert for_caller_status(found) == {"status": {"call": "none", "help": "none", "place": True}}
    assert dialled(found) == ""


@pytest.mark.parametrize(
    ("stages", "stands"),
    [
        ([], "assigned"),
        (["en_route"], "under_way"),
        (["en_route", "on_scene"], "there"),
        (["on_scene", "patient_contact"], "there"),
        (["on_scene", "departed"], "none"),
    ],
)
def test_caller_is_told_how_far_the_ambulance_is(stages: Sequence[Stage], stands: str) -> None:
    calls = Calls()
    assert calls.help == "none"
    calls.take("unit_assigned", UnitAssigned(unit="unit-1"))
    for stage in stages:
        calls.take("milestone", Milestone(stage=stage, at_ns=START_NS), source="unit-1")
    assert calls.help == stands


def test_ambulance_that_was_called_off_or_is_done_is_not_promised_any_more() -> None:
    calls = Calls()
    calls.take("unit_assigned", UnitAssigned(unit="unit-1"))
    calls.take("unit_released", UnitReleased(unit="unit-1", reason="another call"))
    assert calls.help == "none"
    calls.take("unit_assigned", UnitAssigned(unit="unit-1"))
    calls.take("run_ended", RunEnded(reason="done"), source="unit-1")
    assert calls.help == "none"


@pytest.mark.parametrize(
    ("said", "number"),
    [("120", "120"), ("+8621120", "+8621120"), ("*77#", "*77#"), ("", ""),
     ("sip:911@psap", ""), ("tel:1;x=javascript:y", "")],
)  # fmt: skip
def test_number_that_was_dialled_is_given_where_a_phone_can_call_it(said: str, number: str) -> None:
    assert dialled(Calls(dialled=said).case) == number


@pytest.mark.parametrize("steps", [["answered", "hung_up"], ["hung_up"]])
def test_caller_who_writes_after_the_end_rings_once_until_somebody_answers(
    steps: Sequence[Step],
) -> None:
    calls = Calls()
    calls.steps(*steps)
    (draft,) = wrote_again(calls.case)
    assert draft.body == CallStep(step="wrote")
    calls.take("call_step", draft.body)
    call = calls.case.call
    assert call is not None
    assert (call.phase, call.wrote, call.seat) == ("unattended", True, "")
    assert wrote_again(calls.case) == [], "it rings already"
    calls.steps("answered")
    assert wrote_again(calls.case) == [], "somebody has it"
    assert (call.phase, call.wrote) == ("talking", False)
    calls.steps("hung_up")
    assert wrote_again(calls.case) != [], "and once more after the next end"


def test_exchange_s_late_word_of_the_end_does_not_silence_a_caller_who_wrote_since() -> None:
    calls = Calls()
    calls.steps("answered", "hung_up", "wrote")
    assert line_step(LineStep(step="hung_up"), calls.case) == []
    calls.steps("answered")
    assert line_step(LineStep(step="hung_up"), calls.case) != []


@pytest.mark.parametrize(
    "steps", [[], ["answered"], ["answered", "held"], ["hung_up", "called_back"]]
)
def test_caller_whose_call_somebody_has_or_hears_makes_no_step_by_writing(
    steps: Sequence[Step],
) -> None:
    calls = Calls()
    calls.steps(*steps)
    assert wrote_again(calls.case) == []


def test_closed_case_does_not_ring_again() -> None:
    calls = Calls()
    calls.steps("answered", "hung_up")
    calls.take("case_closed", CaseClosed(outcome="treated"))
    assert wrote_again(calls.case) == []
