"""A surge of calls: when it begins and ends, who may say so, and who is written to."""

from __future__ import annotations

import pytest

from dispatch.cases import CaseBook
from dispatch.errors import ConflictError
from dispatch.surge import (
    CALM_S,
    LEAST,
    WINDOW_S,
    NotifyCallers,
    SetSurge,
    SurgeWatch,
    decide_notify,
)
from streams.call_messages import CallerMessage, CallStep, Surge
from streams.identity import new_id
from streams.messages import CaseOpened, UnitAssigned
from streams.outbox import Draft
from tests.case_facts import SECOND_NS, START_NS, Pages

USUAL = 60.0
"""An hour: five in five minutes."""


class Town:
    """Calls that ring at stated seconds, and a watch that follows them."""

    def __init__(self, usual_per_hour: float = USUAL) -> None:
        self.pages = Pages()
        self.watch = SurgeWatch(usual_per_hour)
        self.book = CaseBook()

    def ring(self, at_s: float, number: str = "+8613800000001") -> str:
        case = new_id()
        opened = CaseOpened(address="", complaint="", alias="Heron Blue")
        rang = CallStep(step="rang", number=number, call=case)
        for kind, body in (("case_opened", opened), ("call_step", rang)):
            self.take(kind, body, case, at_s)
        return case

    def take(self, kind: str, body: object, case: str | None, at_s: float = 0) -> None:
        fact = self.pages.add(kind, body, case=case, at_s=at_s)  # type: ignore[arg-type]
        self.watch.take(fact)
        self.book.take(fact)

    def look(self, at_s: float) -> Surge | None:
        drafts = self.watch.look(START_NS + round(at_s * SECOND_NS))
        for draft in drafts:
            self.take(draft.kind, draft.body, None, at_s)
        return drafts[0].body if drafts else None  # type: ignore[return-value]


def test_surge_begins_at_five_times_the_usual_calls_and_is_said_once() -> None:
    town = Town()
    for second in range(24):
        town.ring(second * 10)
    assert town.look(240) is None, "24 in five minutes are 4.8 times as many"
    town.ring(240)
    begun = town.look(241)
    assert begun is not None
    assert (begun.is_on, begun.seat, begun.per_hour, begun.fixed) == (True, "", 300.0, False)
    assert town.look(242) is None


def test_surge_needs_some_calls_however_rare_they_are_usually() -> None:
    town = Town(usual_per_hour=1.0)
    for second in range(LEAST - 1):
        town.ring(second)
    assert town.look(10) is None
    town.ring(11)
    assert town.look(12) is not None


def test_surge_ends_after_ten_calm_minutes_and_not_between_two_waves() -> None:
    town = Town()
    for second in range(25):
        town.ring(second)
    assert town.look(30) is not None
    calm = WINDOW_S + 30
    assert town.look(calm) is None
    for second in range(25):
        town.ring(calm + CALM_S - 30 + second)
    assert town.look(calm + CALM_S) is None, "a second wave came before ten minutes were calm"
    later = calm + CALM_S + WINDOW_S + 30
    assert town.look(later) is None
    ended = town.look(later + CALM_S)
    assert ended is not None
    assert not ended.is_on


def test_surge_that_a_seat_fixed_stays_until_it_says_otherwise() -> None:
    town = Town()
    on = town.watch.decide(SetSurge(mode="on"), START_NS, "anna")
    town.take("surge", on[0].body, None)
    assert town.watch.state == Surge(is_on=True, seat="anna", fixed=True, usual_per_hour=USUAL)
    assert town.look(CALM_S * 3) is None
    with pytest.raises(ConflictError, match="so already"):
        town.watch.decide(SetSurge(mode="on"), START_NS, "ben")
    auto = town.watch.decide(SetSurge(mode="auto"), START_NS, "ben")[0].body
    assert isinstance(auto, Surge)
    assert (auto.is_on, auto.fixed) == (False, False)


def test_message_goes_to_each_waiting_number_once_and_to_nobody_else() -> None:
    town = Town()
    first = town.ring(0)
    town.ring(1)  # the same number again
    town.ring(2, "")  # withheld
    talking, sent = town.ring(3, "+8613800000003"), town.ring(4, "+8613800000004")
    town.take("call_step", CallStep(step="answered", seat="anna"), talking)
    town.take("unit_assigned", UnitAssigned(unit="unit-1"), sent)
    drafts = decide_notify(NotifyCallers(text="help comes", to="waiting"), town.book, "anna")
    assert numbers(drafts) == ["+8613800000001", "+8613800000004"]
    assert drafts[0].case == first
    drafts = decide_notify(NotifyCallers(text="help comes", to="without_unit"), town.book, "anna")
    assert numbers(drafts) == ["+8613800000001", "+8613800000003"]


def test_message_to_nobody_is_refused() -> None:
    with pytest.raises(ConflictError, match="no caller"):
        decide_notify(NotifyCallers(text="help comes", to="waiting"), Town().book, "anna")


def numbers(drafts: list[Draft]) -> list[str]:
    bodies = [draft.body for draft in drafts]
    assert all(isinstance(body, CallerMessage) and body.state == "asked" for body in bodies)
    return [body.number for body in bodies if isinstance(body, CallerMessage)]
