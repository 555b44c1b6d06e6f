"""Which fact of a case goes to which neighbouring district, and with whom a case is shared. Pure.

A case has one home: the hub where its call rang, or where it was opened. Nobody else writes into
its journal. A call that nobody answers is shared with the neighbours that are connected: from the
first one on all its facts go there, until the fact ``case_unshared``, which is the last. Both
follow from the journal alone, so a hub that crashed shares on exactly where it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Literal

from dispatch.cases import Case
from streams.chain import Stored
from streams.codec import any_body
from streams.district_messages import CaseShared, CaseUnshared
from streams.outbox import Draft

SHARING: Final = frozenset({"case_shared", "case_unshared"})
"""Kinds that change with whom a case is shared."""

STAYS_HOME: Final = frozenset({"vitals", "track", "ecg_live", "ecg_record", "ecg_started",
                               "ecg_ended", "partner_told"})  # fmt: skip
"""What a call does not need: the waveforms, values and ways, and what partners were told."""

CASES_KEPT: Final = 5000
"""Cases of which it is known with whom they are shared; others are learned anew."""

Why = Literal["overflow", "unattended"]
WhyNot = Literal["answered", "ended", "closed"]

BETWEEN: Final = "/"
"""Stands between region and seat in the name of a neighbour's seat."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order: the facts of ``case`` after ``after`` and up to ``until`` go to ``region``."""

    region: str
    case: str
    after: int
    until: int


@dataclass(slots=True)
class _Way:
    shared: set[str] = field(default_factory=set)
    sent: dict[str, int] = field(default_factory=dict)


class Sharing:
    """Follows the journal and says with whom what is shared. ``take`` each fact once, in order.

    A case of which there were facts before must be known (``knows``) or be learned first.
    """

    def __init__(self) -> None:
        self._ways: dict[str, _Way] = {}

    def knows(self, case: str) -> bool:
        """Whether it is in memory with whom a case is shared."""
        return case in self._ways

    def of(self, case: str) -> frozenset[str]:
        """Return with whom a case is shared now."""
        way = self._ways.get(case)
        return frozenset(way.shared) if way else frozenset()

    def was(self, case: str) -> frozenset[str]:
        """Return with whom a case is or was shared."""
        way = self._ways.get(case)
        return frozenset(way.sent) if way else frozenset()

    def shared(self) -> list[str]:
        """Return the cases that are shared now."""
        return [case for case, way in self._ways.items() if way.shared]

    def learn(self, case: str, deciding: Iterable[Stored], last: int) -> None:
        """Set a case to where it was after its fact number ``last``.

        Args:
            case: The case.
            deciding: Its facts of ``SHARING`` kinds up to there, in order.
            last: The number of its last fact that was taken.
        """
        way = _Way()
        for fact in deciding:
            self._decide(way, fact)
            way.sent.update(dict.fromkeys(way.shared, 0))
            if isinstance(body := any_body(fact.envelope), CaseUnshared):
                way.sent[body.region] = fact.case_sequence or 0
        way.sent.update(dict.fromkeys(way.shared, last))
        self._keep(case, way)

    def take(self, fact: Stored) -> list[Order]:
        """Return what is to be sent because of a fact; nothing of an exercise ever is."""
        envelope, number = fact.envelope, fact.case_sequence
        if envelope.case is None or number is None or envelope.drill:
            return []
        way = self._ways.get(envelope.case) or _Way()
        self._keep(envelope.case, way)
        leaving = self._decide(way, fact) if envelope.kind in SHARING else set()
        orders = []
        for region in sorted(leaving | way.shared):
            orders.append(Order(region, envelope.case, way.sent.get(region, 0), number))
            way.sent[region] = number
        return orders

    def _keep(self, case: str, way: _Way) -> None:
        self._ways.pop(case, None)
        self._ways[case] = way  # the newest stands last
        while len(self._ways) > CASES_KEPT:
            del self._ways[next(iter(self._ways))]

    @staticmethod
    def _decide(way: _Way, fact: Stored) -> set[str]:
        """Change with whom it is shared; return who leaves with this fact as the last one."""
        body = any_body(fact.envelope)
        if isinstance(body, CaseShared):
            way.shared.add(body.region)
        elif isinstance(body, CaseUnshared) and body.region in way.shared:
            way.shared.discard(body.region)
            return {body.region}
        return set()


def goes(fact: Stored) -> bool:
    """Whether a neighbour with whom the case is shared has a use for a fact of it."""
    return fact.envelope.kind not in STAYS_HOME


def region_of(seat: str) -> str:
    """Return the region of a neighbour's seat, or an empty string for one of our own."""
    region, slash, _ = seat.partition(BETWEEN)
    return region if slash else ""


def seat_name(region: str, seat: str) -> str:
    """Return the name under which a neighbour's seat does something here."""
    return f"{region}{BETWEEN}{seat}"


def to_share(
    case: Case, shared: frozenset[str], connected: Iterable[str], overflow_s: float, now_ns: int
) -> list[Draft]:
    """Return the facts by which a case comes to be shared with whom it is to be.

    A call that nobody answers goes to all that are connected; one that a neighbour's seat has
    stays with that neighbour alone, until the case is closed; one that a seat of ours has with
    nobody. Who is cut off meanwhile is told when it is back.

    Args:
        case: The case as it stands.
        shared: With whom it is shared now.
        connected: The neighbours that are there.
        overflow_s: After how long nobody's call is shared, seconds; 0 for never.
        now_ns: The hub's clock.
    """
    call = case.call
    if call is None or case.drill:
        return []
    if not case.is_open:
        return [_unshared(case, region, "closed") for region in sorted(shared)]
    if call.phase in ("ringing", "unattended"):
        waits_ns = now_ns - call.since_ns
        if not overflow_s or waits_ns < overflow_s * 1e9:
            return []
        why: Why = "overflow" if call.phase == "ringing" else "unattended"
        return [_shared(case, region, why) for region in sorted(set(connected) - shared)]
    seat = call.seat or (call.seats[-1] if call.seats and call.phase == "ended" else "")
    if not seat and call.phase != "ended":
        return []  # the caller is gone, somebody has to call back: whoever saw it still does
    why_not: WhyNot = "answered" if seat else "ended"
    leaving = shared - {region_of(seat)}
    return [_unshared(case, region, why_not, seat) for region in sorted(leaving)]


def _shared(case: Case, region: str, why: Why) -> Draft:
    return _draft(case, "case_shared", CaseShared(region=region, why=why))


def _unshared(case: Case, region: str, why: WhyNot, seat: str = "") -> Draft:
    return _draft(case, "case_unshared", CaseUnshared(region=region, why=why, seat=seat))


def _draft(case: Case, kind: str, body: CaseShared | CaseUnshared) -> Draft:
    return Draft(kind, body, origin=case.opened_as, case=case.id, drill=case.drill)
