"""Which fact of a case goes to whom: the assigned unit, the chosen hospital, nobody else. Pure.

A hospital gets, from the moment it is chosen, every fact of the case from the first one on. When
another is chosen it gets the word to stand down and nothing after that. The assigned unit gets
what it did not make itself and has a use for. Both follow from the journal alone, so a hub that
crashed routes on exactly where it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from streams.chain import Stored
from streams.codec import any_body
from streams.messages import (
    CaseFact,
    Envelope,
    HospitalChosen,
    HospitalStoodDown,
    UnitAssigned,
    UnitReleased,
)
from streams.outbox import Draft
from streams.topics import Scope, find

DECIDING = frozenset({"unit_assigned", "unit_released", "hospital_chosen", "hospital_stood_down"})
"""Kinds that change who gets what; the bodies of all others stay closed."""


NOT_FOR_UNITS = frozenset(
    {"vitals", "track", "location_refused", "caller_position", "partner_told", "caller_message"}
    | {"text_channel"}
    | {"case_shared", "case_unshared", "unit_asked", "unit_unasked", "unit_answered", "unit_lent"}
)
"""Beside waveforms: a crew gets the place to which it is sent with the case itself."""

ROUTES_KEPT = 5000
"""Cases whose route stays in memory, those that last got a fact; others are learned anew."""


@dataclass(frozen=True, slots=True)
class Forward:
    """An order: these facts of a case go to this destination.

    Attributes:
        destination: ``hospital/<name>`` or ``unit/<name>``.
        case: The case.
        after: The last case_sequence that went there before; 0 for none.
        until: The case_sequence of the fact that caused the order, the last to go.
        returns: Whether it had a part in the case before, lost it, and has one again from this
            fact on.
    """

    destination: str
    case: str
    after: int
    until: int
    returns: bool = False


@dataclass(slots=True)
class _Route:
    unit: str | None = None
    hospital: str | None = None
    sent: dict[str, int] = field(default_factory=dict)

    def parties(self) -> list[str]:
        """Return who gets the case's facts now."""
        found = []
        if self.hospital is not None:
            found.append(destination("hospital", self.hospital))
        if self.unit is not None:
            found.append(destination("unit", self.unit))
        return found


class Router:
    """Follows the journal and says what goes where. ``take`` each fact once, in order.

    A case of which there were facts before must be known (``knows``) or be learned first.
    """

    def __init__(self) -> None:
        self._routes: dict[str, _Route] = {}

    def knows(self, case: str) -> bool:
        """Whether the case's route is in memory."""
        return case in self._routes

    def cases(self) -> list[str]:
        """Return the cases whose route is in memory."""
        return list(self._routes)

    def learn(self, case: str, deciding: Iterable[Stored], last: int) -> None:
        """Set a case's route to where it is after its facts up to number ``last`` were taken.

        What was sent in between follows from the facts that decide alone, for a case's numbers
        have no gap.

        Args:
            case: The case.
            deciding: Its facts of ``DECIDING`` kinds, in order.
            last: The number of its last fact that was taken.
        """
        route = _Route()
        for fact in deciding:
            if fact.envelope.drill:
                continue
            number = fact.case_sequence or 0
            route.sent.update(dict.fromkeys(route.parties(), number - 1))
            leaving = self._decide(route, fact.envelope)
            route.sent.update(dict.fromkeys([*leaving, *route.parties()], number))
        route.sent.update(dict.fromkeys(route.parties(), last))
        self._keep(case, route)

    def take(self, fact: Stored) -> list[Forward]:
        """Return the orders that follow from one fact; none for facts without a case."""
        envelope, number = fact.envelope, fact.case_sequence
        if envelope.case is None or number is None or envelope.drill:
            return []  # an exercise stays inside the hub
        route = self._routes.get(envelope.case) or _Route()
        self._keep(envelope.case, route)
        before = route.parties()
        leaving = self._decide(route, envelope) if envelope.kind in DECIDING else []
        orders = []
        for party in dict.fromkeys([*leaving, *route.parties()]):
            after = route.sent.get(party, 0)
            # A party that missed facts while it had no part in the case gets them now.
            returns = after > 0 and party not in before
            orders.append(Forward(party, envelope.case, after, number, returns))
            route.sent[party] = number
        return orders

    def reached(self, destination: str, case: str) -> int:
        """Return up to which case_sequence facts of a case were sent on; 0 for none."""
        route = self._routes.get(case)
        return route.sent.get(destination, 0) if route else 0

    def gets(self, destination: str, case: str) -> bool:
        """Whether a case's facts go to a destination now."""
        route = self._routes.get(case)
        return route is not None and destination in route.parties()

    def _keep(self, case: str, route: _Route) -> None:
        self._routes.pop(case, None)
        self._routes[case] = route  # the newest stands last
        while len(self._routes) > ROUTES_KEPT:
            del self._routes[next(iter(self._routes))]

    @staticmethod
    def _decide(route: _Route, envelope: Envelope) -> list[str]:
        """Change the route; return who leaves with this fact as the last one."""
        body = any_body(envelope)
        match body:
            case UnitAssigned():
                leaving = {route.unit, body.released} - {body.unit, None}
                route.unit = body.unit
                return [destination("unit", unit) for unit in sorted(filter(None, leaving))]
            case UnitReleased() if route.unit == body.unit:
                route.unit = None
                return [destination("unit", body.unit)]
            case HospitalStoodDown() if route.hospital == body.hospital:
                route.hospital = None
                return [destination("hospital", body.hospital)]
            case HospitalChosen():
                route.hospital = body.hospital
        return []


DISTRICT = "district/"
"""How the outbox's destinations of neighbouring districts begin."""


def destination(scope: Scope, name: str) -> str:
    """Return the outbox's destination for a unit or a hospital."""
    return f"{scope}/{name}"


def wants(destination: str, envelope: Envelope) -> bool:
    """Whether a destination has a use for a fact of a case that is routed to it."""
    scope, _, name = destination.partition("/")
    if scope == "hospital":
        return True
    own = envelope.source == name
    return not own and envelope.kind not in NOT_FOR_UNITS and envelope.kind[:4] != "ecg_"


def draft_of(fact: Stored) -> Draft:
    """Return the draft that carries a stored fact on, byte for byte, in the fact's own lane."""
    if fact.case_sequence is None or fact.hash is None:
        raise ValueError(f"fact {fact.envelope.id} belongs to no case")
    body = CaseFact(
        case_sequence=fact.case_sequence,
        hash=fact.hash,
        corrected_ns=fact.corrected_ns,
        received_ns=fact.received_ns,
        fact=fact.data,
    )
    return Draft(
        kind="case_fact",
        body=body,
        origin=fact.envelope.origin,
        case=fact.envelope.case,
        patient=fact.envelope.patient,
        drill=fact.envelope.drill,
        lane=find(fact.envelope.kind).lane,
    )
