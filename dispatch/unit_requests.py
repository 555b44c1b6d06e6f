"""Units of neighbouring districts: who asks for one, and what is said to that. Pure.

The neighbour decides about its unit: a request is a card on its consoles. Who grants it opens a
case of its own there, for nobody else writes into a district's journal, and both cases say so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dispatch.cases import Case, CaseBook
from dispatch.errors import ConflictError, UnknownError
from dispatch.neighbours import Neighbour
from dispatch.units import Fleet
from streams.chain import Stored
from streams.codec import any_body
from streams.district_messages import (
    UnitAnswered,
    UnitAsked,
    UnitLent,
    UnitReply,
    UnitRequest,
    UnitRequestEnded,
    UnitUnasked,
)
from streams.messages import CaseOpened, Origin, UnitAssigned
from streams.outbox import Draft

ASKING: Final = frozenset({"unit_asked", "unit_unasked", "unit_answered"})
"""Facts of a case that tell of requests."""

CARDS_KEPT: Final = 200
"""Requests of neighbours that wait for somebody; beyond, the oldest are shown no more."""

DECIDED_KEPT: Final = 1000
"""Requests that were answered, so that one that comes again is known."""


@dataclass(slots=True)
class Wanted:
    """A request of ours for a neighbour's unit.

    Attributes:
        state: ``asked``, ``accepted``, ``refused`` or ``taken_back``.
    """

    asked: UnitAsked
    case: str
    at_ns: int
    state: str = "asked"
    answer: UnitAnswered | None = None


class OwnRequests:
    """What we asked neighbours for, by case. ``take`` each stored fact once, in order."""

    def __init__(self) -> None:
        self._all: dict[str, Wanted] = {}

    def take(self, fact: Stored) -> None:
        """Fold a fact of a case in."""
        if fact.envelope.kind not in ASKING or fact.envelope.case is None:
            return
        match any_body(fact.envelope):
            case UnitAsked() as body:
                wanted = Wanted(body, fact.envelope.case, fact.corrected_ns)
                self._all.setdefault(body.request, wanted)
            case UnitUnasked() as body if body.request in self._all:
                self._all[body.request].state = "taken_back"
            case UnitAnswered() as body if body.request in self._all:
                wanted = self._all[body.request]
                wanted.answer = body
                if wanted.state == "asked" or body.accepted:
                    wanted.state = "accepted" if body.accepted else "refused"

    def get(self, request: str) -> Wanted | None:
        """Return a request, or None where it is not known."""
        return self._all.get(request)

    def of(self, case: str) -> list[Wanted]:
        """Return the requests for a case, the oldest first."""
        return [one for one in self._all.values() if one.case == case]

    def forget(self, book: CaseBook) -> None:
        """Forget the requests of cases that are no longer in memory."""
        gone = [one for one, wanted in self._all.items() if book.get(wanted.case) is None]
        for request in gone:
            del self._all[request]


@dataclass(frozen=True, slots=True)
class Card:
    """A request of a neighbour that waits for somebody.

    Attributes:
        position: Of its fact in our journal.
    """

    request: UnitRequest
    at_ns: int
    position: int
    origin: Origin = "live"


class Cards:
    """What neighbours ask for. ``take`` each stored fact once, in the order of our journal.

    Attributes:
        changed: Told that there are others than before.
    """

    def __init__(self) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._waiting: dict[str, Card] = {}
        self._decided: dict[str, None] = {}

    def take(self, fact: Stored) -> None:
        """Fold a fact in: a neighbour's request, that it is taken back, or what we said to it."""
        match any_body(fact.envelope):
            case UnitRequest() as body:
                if body.request not in self._decided:
                    card = Card(body, fact.received_ns, fact.position, fact.envelope.origin)
                    self._waiting.setdefault(body.request, card)
            case UnitRequestEnded() as body:
                card_there = self._waiting.get(body.request)
                if card_there is None or card_there.request.region == body.region:
                    self._decide(body.request)
            case UnitLent() as body:
                self._decide(body.request)
            case _:
                return
        while len(self._waiting) > CARDS_KEPT:
            del self._waiting[next(iter(self._waiting))]
        self.changed()

    def waiting(self) -> list[Card]:
        """Return what waits for somebody, the oldest first."""
        return list(self._waiting.values())

    def get(self, request: str) -> Card:
        """Return a request that waits.

        Raises:
            ConflictError: Somebody decided about it, or it was taken back.
        """
        card = self._waiting.get(request)
        if card is None:
            raise ConflictError("the request is answered or was taken back", kind="answered")
        return card

    def first_position(self) -> int | None:
        """Return the place in our journal from which all of them can be read again."""
        return min((card.position for card in self._waiting.values()), default=None)

    def _decide(self, request: str) -> None:
        self._waiting.pop(request, None)
        self._decided[request] = None
        while len(self._decided) > DECIDED_KEPT:
            del self._decided[next(iter(self._decided))]


def ask(
    case: Case,
    neighbour: Neighbour | None,
    unit: str,
    own: OwnRequests,
    *,
    request: str,
    seat: str,
    reason: str | None,
) -> list[Draft]:
    """Return the fact by which a neighbour is asked for a unit; none where that was done.

    Raises:
        UnknownError: There is no such neighbour, or it has no such unit.
        ConflictError: The case is closed, part of an exercise, or has asked for it already.
    """
    if own.get(request) is not None:
        return []
    found = next((u for u in neighbour.units if u.name == unit), None) if neighbour else None
    if neighbour is None or found is None:
        raise UnknownError("unit of a neighbour", unit)
    if not case.is_open or case.drill:
        raise ConflictError("the case is closed or an exercise", kind="closed", case=case.id)
    for one in own.of(case.id):
        same = (one.asked.region, one.asked.unit) == (neighbour.region, unit)
        if same and one.state == "asked":
            raise ConflictError(
                f"{neighbour.label} is asked for {found.label or unit} already", kind="asked"
            )
    body = UnitAsked(
        request=request, region=neighbour.region, unit=unit, label=found.label, seat=seat,
        reason=reason,
    )  # fmt: skip
    return [_of(case, "unit_asked", body)]


def take_back(case: Case, request: str, own: OwnRequests, seat: str) -> list[Draft]:
    """Return the fact that takes a request back.

    Raises:
        ConflictError: It is answered, or not known.
    """
    wanted = own.get(request)
    if wanted is None or wanted.case != case.id or wanted.state != "asked":
        raise ConflictError("the request is answered or was taken back", kind="answered")
    return [_unasked(case, wanted, seat)]


def no_longer_needed(case: Case, own: OwnRequests) -> list[Draft]:
    """Return the facts that take back what was asked for a case that is closed."""
    waiting = [one for one in own.of(case.id) if one.state == "asked"]
    return [] if case.is_open else [_unasked(case, one, "") for one in waiting]


def request_of(case: Case, asked: UnitAsked, region: str) -> UnitRequest:
    """Return what the neighbour is told: as much of the case as a crew needs to go there.

    Args:
        case: The case as it stands.
        asked: The fact that asks.
        region: Our own.
    """
    return UnitRequest(
        region=region, request=asked.request, case=case.id, alias=case.alias,
        address=case.address, complaint=case.complaint, severity=case.severity,
        position=case.position or case.located, unit=asked.unit, seat=asked.seat,
        reason=asked.reason,
    )  # fmt: skip


def answered(case: Case, reply: UnitReply, own: OwnRequests) -> list[Draft]:
    """Return the fact of what a neighbour said; none where it stands already or nobody asked it."""
    wanted = own.get(reply.request)
    if wanted is None or wanted.case != case.id or wanted.answer is not None:
        return []
    if wanted.asked.region != reply.region:
        return []
    body = UnitAnswered(
        request=reply.request, region=reply.region, unit=reply.unit, label=reply.label,
        accepted=reply.accepted, seat=reply.seat, reason=reply.reason, there=reply.there,
    )  # fmt: skip
    return [_of(case, "unit_answered", body)]


def refuse(card: Card, fleet: Fleet, seat: str, reason: str) -> list[Draft]:
    """Return the fact that refuses a neighbour's request."""
    body = _lent(card, fleet, seat, accepted=False, reason=reason)
    return [Draft("unit_lent", body, origin=card.origin)]


def grant(
    card: Card, fleet: Fleet, book: CaseBook, *, new_case: str, seat: str, reason: str | None
) -> list[Draft]:
    """Return the facts that open a case of our own for a neighbour's, and send the unit.

    Raises:
        UnknownError: There is no such unit.
        ConflictError: It is on another case by now, or for exercises.
    """
    asked = card.request
    unit = fleet.unit(asked.unit)
    if unit.drill:
        raise ConflictError(f"{unit.label} is for exercises", kind="drill", unit=unit.name)
    if (other := book.of_unit(unit.name)) is not None:
        raise ConflictError(
            f"{unit.label} is on the case {other.address!r} ({other.alias}) by now",
            kind="busy", unit=unit.name, case=other.id,
        )  # fmt: skip
    opened = CaseOpened(
        address=asked.address, complaint=asked.complaint, alias=asked.alias,
        severity=asked.severity, position=asked.position,
    )  # fmt: skip
    assigned = UnitAssigned(unit=unit.name, reason=asked.reason, name=unit.label)
    lent = _lent(card, fleet, seat, accepted=True, reason=reason)
    return [
        Draft("case_opened", opened, origin=card.origin, case=new_case),
        Draft("unit_lent", lent, origin=card.origin, case=new_case),
        Draft("unit_assigned", assigned, origin=card.origin, case=new_case),
    ]


def reply_of(lent: UnitLent, region: str, there: str | None) -> UnitReply:
    """Return what who asked is told. ``region`` is our own, ``there`` the case opened here."""
    return UnitReply(
        region=region, request=lent.request, case=lent.other, unit=lent.unit, label=lent.label,
        accepted=lent.accepted, seat=lent.seat, reason=lent.reason, there=there,
    )  # fmt: skip


def _lent(card: Card, fleet: Fleet, seat: str, *, accepted: bool, reason: str | None) -> UnitLent:
    asked = card.request
    known = fleet.units.get(asked.unit)
    return UnitLent(
        request=asked.request, region=asked.region, other=asked.case, unit=asked.unit,
        label=known.label if known else "", accepted=accepted, seat=seat, reason=reason,
    )  # fmt: skip


def _unasked(case: Case, wanted: Wanted, seat: str) -> Draft:
    asked = wanted.asked
    body = UnitUnasked(
        request=asked.request, region=asked.region, unit=asked.unit, label=asked.label, seat=seat
    )
    return _of(case, "unit_unasked", body)


def _of(case: Case, kind: str, body: UnitAsked | UnitUnasked | UnitAnswered) -> Draft:
    return Draft(kind, body, origin=case.opened_as, case=case.id)
