"""Calls: who has one, who is told, and what becomes of a call that nobody has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.call_actions import (
    AnswerCall,
    CallAction,
    CallBack,
    CallBackDone,
    DeclineCall,
    EndCall,
    GiveUpCall,
    HoldCall,
    LinkCase,
    MarkSilent,
    OfferCall,
    UnlinkCase,
    WithdrawCall,
    decide_call,
    decide_link,
)
from dispatch.case_actions import AssignUnit, CloseCase, decide
from dispatch.cases import Case, CaseBook
from dispatch.errors import ConflictError, UnknownError
from dispatch.units import Fleet, HospitalSettings, UnitSettings
from streams.call_messages import CallStep, Line, Step
from streams.identity import new_id
from streams.messages import CaseOpened
from streams.outbox import Draft
from streams.text_messages import TextChannel
from tests.case_facts import START_NS, Pages

FLEET = Fleet(
    (UnitSettings(name="unit-1", label="Ambulance 1"),),
    (HospitalSettings(name="first", latitude_deg=31.2, longitude_deg=121.4),),
)


class Exchange:
    """Calls that ring, and seats that act on them, folded as the hub does."""

    def __init__(self) -> None:
        self.pages = Pages()
        self.book = CaseBook()

    def ring(self, number: str = "+8613800000001", line: Line = "voice") -> str:
        case = new_id()
        opened = CaseOpened(address="", complaint="", alias="Heron Blue")
        rang = CallStep(step="rang", number=number, call=f"pbx-{case}", line=line)
        self.take(Draft("case_opened", opened, case=case), Draft("call_step", rang, case=case))
        return case

    def hear(self, case: str, step: Step) -> None:
        """The exchange says what happened on the line."""
        self.take(Draft("call_step", CallStep(step=step), case=case))

    def read(self, case: str, state: Literal["opened", "lost"]) -> None:
        """The caller's page opens, or goes away."""
        body = TextChannel(session="page-1", state=state, way="page")
        self.take(Draft("text_channel", body, case=case))

    def act(self, seat: str, action: CallAction) -> None:
        self.take(*decide_call(action, self.case(action.case), self.book, seat))

    def take(self, *drafts: Draft) -> None:
        for draft in drafts:
            self.book.take(self.pages.add(draft.kind, draft.body, case=draft.case))

    def case(self, name: str) -> Case:
        found = self.book.get(name)
        assert found is not None
        return found

    def phase(self, case: str) -> tuple[str | None, str]:
        call = self.case(case).call
        assert call is not None
        return call.phase, call.seat


@pytest.fixture
def town() -> Exchange:
    return Exchange()


def test_call_that_two_seats_answer_has_one_and_the_other_is_told_who(town: Exchange) -> None:
    case = town.ring()
    town.act("seat-1", AnswerCall(case=case))
    with pytest.raises(ConflictError, match="seat-1 has the call") as told:
        town.act("seat-2", AnswerCall(case=case))
    alias = town.case(case).alias
    assert told.value.conflict == {"kind": "taken", "seat": "seat-1", "alias": alias}
    assert town.phase(case) == ("talking", "seat-1")


def test_seat_that_talks_cannot_answer_another_voice_but_can_write_with_many(
    town: Exchange,
) -> None:
    first, second, text = town.ring(), town.ring(), town.ring(line="text")
    town.act("seat-1", AnswerCall(case=first))
    with pytest.raises(ConflictError, match="hold or end that call first"):
        town.act("seat-1", AnswerCall(case=second))
    town.act("seat-1", AnswerCall(case=text))
    town.act("seat-1", HoldCall(case=first))
    town.act("seat-1", AnswerCall(case=second))
    assert town.phase(first) == ("held", "seat-1")
    assert town.phase(second) == town.phase(text) == ("talking", "seat-1")


def test_call_given_to_another_seat_stays_until_that_one_takes_it(town: Exchange) -> None:
    case = town.ring()
    town.act("seat-1", AnswerCall(case=case))
    town.act("seat-1", OfferCall(case=case, to="seat-2"))
    with pytest.raises(ConflictError, match="not offered to this seat"):
        town.act("seat-3", DeclineCall(case=case))
    with pytest.raises(ConflictError, match="seat-1 has the call"):
        town.act("seat-3", AnswerCall(case=case))
    town.act("seat-2", DeclineCall(case=case, reason="busy"))
    assert town.phase(case) == ("talking", "seat-1")
    town.act("seat-1", OfferCall(case=case, to="seat-2"))
    town.act("seat-1", WithdrawCall(case=case))
    town.act("seat-1", OfferCall(case=case, to="seat-2"))
    town.act("seat-2", AnswerCall(case=case))
    assert town.phase(case) == ("talking", "seat-2")
    with pytest.raises(ConflictError, match="seat-2 has the call"):
        town.act("seat-1", EndCall(case=case))


def test_call_whose_seat_is_gone_waits_for_any_seat(town: Exchange) -> None:
    case = town.ring()
    town.act("seat-1", AnswerCall(case=case))
    town.hear(case, "seat_lost")
    assert town.phase(case) == ("unattended", "")
    town.act("seat-2", AnswerCall(case=case))
    assert town.phase(case) == ("talking", "seat-2")


def test_call_lost_before_an_answer_is_called_back_or_given_up_with_the_reason(
    town: Exchange,
) -> None:
    case = town.ring()
    town.hear(case, "hung_up")
    assert town.phase(case) == ("lost", "")
    town.act("seat-1", CallBack(case=case))
    with pytest.raises(ConflictError, match="seat-1 has the call"):
        town.act("seat-2", CallBack(case=case))
    town.act("seat-1", CallBackDone(case=case, connected=False))
    assert town.phase(case) == ("lost", "")
    town.act("seat-2", CallBack(case=case))
    town.act("seat-2", CallBackDone(case=case, connected=True))
    assert town.phase(case) == ("talking", "seat-2")
    town.act("seat-2", EndCall(case=case))
    town.act("seat-1", CallBack(case=case))
    town.act("seat-1", CallBackDone(case=case, connected=False))
    town.act("seat-1", GiveUpCall(case=case, reason="called three times"))
    call = town.case(case).call
    assert call is not None
    assert (call.phase, call.call_backs, call.seats) == ("ended", 3, ["seat-1", "seat-2"])


@pytest.mark.parametrize("line", ["text", "voice"])
def test_call_that_was_ended_is_taken_back_while_the_caller_reads_and_not_else(
    town: Exchange, line: Line
) -> None:
    case = town.ring(line=line)
    town.act("seat-1", AnswerCall(case=case))
    town.act("seat-1", EndCall(case=case))
    with pytest.raises(ConflictError, match="nobody reads") as told:
        town.act("seat-1", AnswerCall(case=case))
    assert told.value.conflict["kind"] == "unreachable"
    town.read(case, "opened")
    town.act("seat-1", AnswerCall(case=case))
    assert town.phase(case) == ("talking", "seat-1")
    town.act("seat-1", EndCall(case=case))
    town.read(case, "lost")
    with pytest.raises(ConflictError, match="nobody reads"):
        town.act("seat-1", AnswerCall(case=case))


def test_call_of_a_closed_case_is_not_taken_back_and_a_talking_seat_takes_back_no_voice(
    town: Exchange,
) -> None:
    case, other = town.ring(), town.ring()
    town.act("seat-1", AnswerCall(case=case))
    town.act("seat-1", EndCall(case=case))
    town.read(case, "opened")
    town.act("seat-1", AnswerCall(case=other))
    with pytest.raises(ConflictError, match="speaks on another line"):
        town.act("seat-1", AnswerCall(case=case))
    closing = CloseCase(case=case, outcome="cancelled")
    town.take(*decide(closing, town.book, FLEET, START_NS, new_id(), seat="").drafts)
    with pytest.raises(ConflictError, match="was closed"):
        town.act("seat-2", AnswerCall(case=case))


def test_call_that_is_silent_is_marked_until_it_is_over(town: Exchange) -> None:
    case = town.ring()
    with pytest.raises(ConflictError, match="'silent'"):
        town.act("seat-1", MarkSilent(case=case))
    town.act("seat-1", AnswerCall(case=case))
    town.act("seat-1", MarkSilent(case=case))
    call = town.case(case).call
    assert call is not None
    assert call.silent
    town.hear(case, "hung_up")
    assert (call.phase, call.silent) == ("ended", False)


def test_call_step_that_is_impossible_is_refused_with_both_names(town: Exchange) -> None:
    case = town.ring()
    with pytest.raises(ConflictError, match="a call that is ringing cannot become 'held'"):
        town.act("seat-1", HoldCall(case=case))


def test_case_opened_by_hand_has_no_call_to_answer(town: Exchange) -> None:
    case = new_id()
    opened = CaseOpened(address="Long Street", complaint="", alias="Otter Red")
    town.take(Draft("case_opened", opened, case=case))
    with pytest.raises(ConflictError, match="opened by hand"):
        town.act("seat-1", AnswerCall(case=case))


def test_cases_linked_are_one_event_and_no_unit_goes_twice(town: Exchange) -> None:
    main, double = town.ring(), town.ring("+8613800000002")
    town.take(*decide_link(LinkCase(case=double, to=main), town.case(double), town.book))
    assert (town.case(double).linked_to, town.case(main).linked) == (main, [double])
    with pytest.raises(ConflictError, match="goes on in another one"):
        decide(
            AssignUnit(case=double, unit="unit-1"), town.book, FLEET, START_NS, new_id(), seat=""
        )
    third = town.ring("+8613800000003")
    town.take(*decide_link(LinkCase(case=third, to=double), town.case(third), town.book))
    assert town.case(third).linked_to == main, "links never chain"
    with pytest.raises(ConflictError, match="linked already"):
        decide_link(LinkCase(case=main, to=town.ring()), town.case(main), town.book)
    town.take(
        *decide_link(UnlinkCase(case=third, reason="another car"), town.case(third), town.book)
    )
    assert (town.case(third).linked_to, town.case(main).linked) == (None, [double])
    closing = CloseCase(case=main, outcome="handed_over")
    for ringing in (main, double):
        with pytest.raises(ConflictError, match="is on the line"):
            decide(closing, town.book, FLEET, START_NS, new_id(), seat="")
        town.hear(ringing, "hung_up")
    town.take(*decide(closing, town.book, FLEET, START_NS, new_id(), seat="").drafts)
    assert (town.case(double).outcome, town.case(main).outcome) == ("duplicate", "handed_over")
    assert town.case(third).is_open


def test_case_cannot_be_linked_to_itself_to_nothing_or_away_from_its_unit(town: Exchange) -> None:
    case, other = town.ring(), town.ring()
    with pytest.raises(ConflictError, match="in itself"):
        decide_link(LinkCase(case=case, to=case), town.case(case), town.book)
    with pytest.raises(UnknownError):
        decide_link(LinkCase(case=case, to=new_id()), town.case(case), town.book)
    with pytest.raises(ConflictError, match="not linked"):
        decide_link(UnlinkCase(case=case, reason="no"), town.case(case), town.book)
    send = decide(AssignUnit(case=case, unit="unit-1"), town.book, FLEET, START_NS, "", seat="")
    town.take(*send.drafts)
    with pytest.raises(ConflictError, match="unit-1 is under way"):
        decide_link(LinkCase(case=case, to=other), town.case(case), town.book)


ACTIONS: list[Callable[[str], CallAction]] = [
    lambda case: AnswerCall(case=case),
    lambda case: HoldCall(case=case),
    lambda case: OfferCall(case=case, to="seat-2"),
    lambda case: DeclineCall(case=case),
    lambda case: WithdrawCall(case=case),
    lambda case: MarkSilent(case=case),
    lambda case: EndCall(case=case),
    lambda case: CallBack(case=case),
    lambda case: CallBackDone(case=case, connected=True),
    lambda case: CallBackDone(case=case, connected=False),
    lambda case: GiveUpCall(case=case, reason="gone"),
]
SEATS = ["seat-1", "seat-2", "seat-3"]


@given(
    st.lists(
        st.one_of(
            st.tuples(st.integers(0, 2), st.sampled_from(ACTIONS), st.sampled_from(SEATS)),
            st.tuples(st.integers(0, 2), st.sampled_from(["hung_up", "seat_lost"])),
        ),
        max_size=40,
    )
)
def test_seats_never_speak_on_two_lines_and_no_call_is_ever_without_a_next_step(
    steps: list[tuple[int, Callable[[str], CallAction], str] | tuple[int, Step]],
) -> None:
    town = Exchange()
    cases = [town.ring(), town.ring(), town.ring()]
    for step in steps:
        case = cases[step[0]]
        if len(step) == 2:
            town.hear(case, step[1])
        else:
            try:
                town.act(step[2], step[1](case))
            except ConflictError as refused:
                assert refused.conflict["kind"]
        speaking = [
            seat for phase, seat in map(town.phase, cases) if phase in ("talking", "calling")
        ]
        assert len(speaking) == len(set(speaking))
        for phase, seat in map(town.phase, cases):
            has_seat = phase in ("talking", "held", "offered", "calling")
            assert bool(seat) == has_seat, (phase, seat)
