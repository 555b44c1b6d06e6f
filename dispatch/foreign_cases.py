"""Calls of neighbouring districts that are shared with this one, as their homes tell. Pure.

They are kept apart from our own cases: nothing here assigns a unit, tells a hospital, or writes
into a case. Each is folded from the facts that came, which are the home's own; one that its home
shares no more is kept for a while, so that a page can say who has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from dispatch.cases import Case, CaseBook
from streams.chain import Stored
from streams.codec import any_body, decode, open_body
from streams.district_messages import (
    CaseShared,
    CaseUnshared,
    DistrictAnswer,
    DistrictFact,
    DistrictRequest,
)
from streams.health import DROPPED
from streams.messages import Envelope

KEPT: Final = 1000
"""Cases of one neighbour that are kept; beyond, those that are shared no more go first."""

LEFT_KEPT: Final = 50
"""Of those shared no more, so many of one neighbour are kept."""

REQUESTS_KEPT: Final = 50
"""Requests of one case that are shown."""


@dataclass(slots=True)
class Asked:
    """What a seat of ours asked the home of a case to do.

    Attributes:
        action: Kind of the action.
        text: What was typed, so that it is not lost when it is refused.
        answer: What the home said; None while it did not.
    """

    request: str
    seat: str
    action: str
    text: str
    at_ns: int
    answer: DistrictAnswer | None = None


@dataclass(slots=True)
class Foreign:
    """A case of a neighbour.

    Attributes:
        region: Its home.
        case: As its facts say; never in our own book.
        position: Of its first fact in our journal.
        left: The last word on it, once its home shares it no more.
        asked: What seats of ours asked for, by request.
        numbers: Places of its facts that came.
    """

    region: str
    id: str
    position: int
    book: CaseBook = field(default_factory=CaseBook)
    left: CaseUnshared | None = None
    asked: dict[str, Asked] = field(default_factory=dict)
    numbers: set[int] = field(default_factory=set)
    left_number: int = 0

    @property
    def case(self) -> Case:
        """The case as it stands."""
        return self.book.get(self.id) or Case(self.id)

    @property
    def is_shown(self) -> bool:
        """Whether it is to be done something about here."""
        return self.left is None and bool(self.case.opened_ns)

    @property
    def waiting(self) -> list[Asked]:
        """What its home has not answered yet."""
        return [one for one in self.asked.values() if one.answer is None]


class ForeignCases:
    """All of them. ``take`` each ``district_fact`` once, in the order of our journal.

    Attributes:
        changed: Told a case that looks different now.
    """

    def __init__(self, region: str) -> None:
        """Prepare; ``region`` is our own."""
        self.changed: Callable[[str], None] = lambda _case: None
        self._region = region
        self._all: dict[str, Foreign] = {}

    def get(self, case: str | None) -> Foreign | None:
        """Return a case, or None where no neighbour shares one of that id."""
        return self._all.get(case) if case is not None else None

    def shown(self) -> list[Foreign]:
        """Return those that are shared with us now, the oldest first."""
        return [one for one in self._all.values() if one.is_shown]

    def first_position(self) -> int | None:
        """Return the place in our journal from which all of them can be read again."""
        return min((one.position for one in self._all.values()), default=None)

    def take(self, fact: Stored) -> None:
        """Fold a fact of a neighbour in."""
        carried = open_body(fact.envelope, DistrictFact)
        envelope = decode(carried.fact)
        if envelope.case is None or envelope.case != carried.case or envelope.drill:
            return
        one = self._all.get(envelope.case)
        if one is None:
            one = self._all[envelope.case] = Foreign(carried.region, envelope.case, fact.position)
            self._bound(carried.region)
        if one.region != carried.region or carried.number in one.numbers:
            return  # nobody but its home speaks of a case
        one.numbers.add(carried.number)
        self._decide(one, envelope, carried.number)
        one.book.take(
            Stored(
                position=fact.position,
                envelope=envelope,
                data=carried.fact,
                case_sequence=carried.number,
                corrected_ns=carried.corrected_ns or envelope.source_ns,
                received_ns=fact.received_ns,
                hash=None,
            )
        )
        self._all_changed(one)

    def ask(self, body: DistrictRequest, action: str, text: str, at_ns: int) -> None:
        """Note what a seat of ours asks for."""
        one = self._all.get(body.case)
        if one is None:
            return
        one.asked[body.request] = Asked(body.request, body.seat, action, text, at_ns)
        while len(one.asked) > REQUESTS_KEPT:
            del one.asked[next(iter(one.asked))]
        self._all_changed(one)

    def answered(self, body: DistrictAnswer) -> Asked | None:
        """Note what the home says to a request; return the request, or None if it is not known."""
        one = self._all.get(body.case)
        asked = one.asked.get(body.request) if one is not None else None
        if one is None or one.region != body.region or asked is None:
            return None
        if body.ok:
            del one.asked[body.request]
        asked.answer = body
        self._all_changed(one)
        return asked

    def understood(self, case: str, seat: str) -> None:
        """Forget what was refused, once its seat has seen it."""
        one = self._all.get(case)
        if one is None:
            return
        for asked in [a for a in one.asked.values() if a.answer is not None and a.seat == seat]:
            del one.asked[asked.request]
        self._all_changed(one)

    def speaking(self, seat: str, but: str = "") -> Foreign | None:
        """Return the spoken call of a neighbour that a seat of ours (``region/seat``) has."""
        for one in self._all.values():
            call = one.case.call
            if one.id == but or call is None or one.left is not None or not call.is_spoken:
                continue
            if call.seat == seat and call.phase in ("talking", "offered", "calling"):
                return one
        return None

    def _decide(self, one: Foreign, envelope: Envelope, number: int) -> None:
        """Note that it is shared with us or no more: the later fact counts."""
        body = any_body(envelope)
        if not isinstance(body, CaseShared | CaseUnshared) or body.region != self._region:
            return
        if number > one.left_number:
            one.left_number = number
            one.left = body if isinstance(body, CaseUnshared) else None

    def _bound(self, region: str) -> None:
        there = [one for one in self._all.values() if one.region == region]
        left = [one for one in there if one.left is not None]
        too_many = left[: max(0, len(left) - LEFT_KEPT)]
        if len(there) - len(too_many) > KEPT:
            too_many = [*too_many, next(one for one in there if one not in too_many)]
            DROPPED.labels("hub.foreign_cases").inc()
        for one in too_many:
            del self._all[one.id]

    def _all_changed(self, one: Foreign) -> None:
        self.changed(one.id)


def counts(cases: ForeignCases) -> Counter[str]:
    """Return how many cases each neighbour shares with us now."""
    return Counter(one.region for one in cases.shown())


def typed(action: bytes) -> str:
    """Return what a person typed in an action, for the page to show while it waits."""
    try:
        fields = msgspec.json.decode(action)
    except msgspec.DecodeError:
        return ""
    if not isinstance(fields, dict):
        return ""
    found = [fields.get(name) for name in ("text", "address", "complaint", "reason", "number")]
    return " · ".join(str(one) for one in found if one)[:4000]
