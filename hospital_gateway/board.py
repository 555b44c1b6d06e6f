"""The board: cases, the proof of their copies, and what was done here but is not yet in them.

No asyncio and no network: ``inbound.py``, ``live.py`` and ``actions.py`` tell it what came,
``pages.py`` asks what has changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from hospital_gateway.arrivals import Arrival, Arrivals, Bay, Change
from hospital_gateway.bay_store import PLACE
from hospital_gateway.cards import (
    Card,
    Chain,
    Line,
    Mark,
    card_of,
    line_of,
    milliseconds,
    point_of,
    rank,
    trends_of,
)
from hospital_gateway.errors import NotCurrentError, UnknownCaseError
from hospital_gateway.replica_chain import Link, ReplicaChain
from streams.chain import Stored
from streams.health import REFUSED
from streams.messages import Acknowledged, Origin
from streams.source_clocks import SourceClocks

Curve = list[tuple[float, float | None]]
Curves = dict[str, dict[str, Curve]]

FORGET_AFTER_NS = 24 * 3600 * 1_000_000_000
"""A case that ended leaves the memory after this; the journal keeps it."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Eta:
    """When the unit will be here, as the hub last estimated (ms, hub's clock).

    Its origin is that of the position and of the case, the less real of the two.
    """

    at_ms: float
    position_ms: float
    distance_m: float
    method: str
    origin: Origin = "live"


@dataclass(slots=True)
class Delta:
    """What a case gained since the pages were last told.

    Attributes:
        curves: New points by patient label ("" is unassigned) and vital sign.
        lines: New lines of the timeline.
        facts: Kind and time of making (ms) of facts whose way to the screen is measured.
        again: Whether these are all curves and lines: other times became known.
    """

    curves: Curves = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    facts: list[tuple[str, float]] = field(default_factory=list)
    again: bool = False


@dataclass(slots=True)
class _Pending:
    id: str
    body: Acknowledged
    at_ns: int
    state: str = "made"
    problem: str | None = None


class Board:
    """What this hospital knows of the patients who are coming."""

    def __init__(self, hospital: str) -> None:
        """Begin empty.

        Args:
            hospital: Name of this hospital.
        """
        self.arrivals = Arrivals(hospital)
        self.etas: dict[str, Eta] = {}
        self.dismissed: dict[str, int] = {}
        self.clocks = SourceClocks()
        self.untimed: set[str] = set()
        """Cases of which the times of some facts became known: to be read again."""
        self._chains: dict[str, ReplicaChain] = {}
        self._pending: dict[str, list[_Pending]] = {}
        self._deltas: dict[str, Delta] = {}

    # --- what came ---------------------------------------------------------------------------

    def link_fits(self, case: str, link: Link) -> bool:
        """Check a fact against the chain of its case before it is stored; loud if it does not.

        The fact is stored all the same unless its place is taken: what the hub sent is kept,
        and the case is marked.
        """
        chain = self._chains.setdefault(case, ReplicaChain())
        if chain.add(link):
            return True
        REFUSED.labels("chain", "mismatch").inc()
        log.error(
            "copy of a case does not fit the hub's chain", case=case, place=link.case_sequence,
            broken=chain.broken,
        )  # fmt: skip
        self._deltas.setdefault(case, Delta())
        return False

    def resume_chain(self, case: str, hashes: Mapping[int, bytes], broken: int) -> int:
        """Go on with the proof of a copy that is stored; return up to where it is proven.

        Args:
            case: The case.
            hashes: The stored values of its chain, by place.
            broken: The first place found broken in an earlier life of this process; 0 for none.
        """
        chain = self._chains[case] = ReplicaChain.resumed(hashes, broken)
        return chain.proven

    def take(self, fact: Stored) -> Change | None:
        """Fold a stored fact in."""
        placed, again = self.clocks.take(fact)
        self.untimed |= again
        change = self.arrivals.take(placed)
        if change is None:
            return None
        case = change.arrival.case
        self._pending[case] = [p for p in self._pending.get(case, ()) if p.id != fact.envelope.id]
        delta = self._deltas.setdefault(case, Delta())
        if change.entry is not None:
            delta.lines.append(line_of(change.entry, change.arrival.chosen_ns))
        curves = delta.curves.setdefault(change.patient or "", {}) if change.points else {}
        for code, point in change.points.items():
            curves.setdefault(code, []).append(point_of(point))
        if fact.corrected_ns >= change.arrival.chosen_ns > 0 and fact.envelope.lane != "record":
            delta.facts.append((fact.envelope.kind, milliseconds(fact.corrected_ns)))
        return change

    def read_again(self, case: str, facts: Sequence[Stored], numbers: Iterable[int] = ()) -> None:
        """Fold a case from its stored facts, anew where it was known before.

        Args:
            case: The case.
            facts: Its facts; those that the board does not look into may be left out.
            numbers: Places of all facts that are stored.
        """
        self.arrivals.drop(case)
        for fact in facts:
            self.untimed |= self.clocks.take(fact)[1]
        self.untimed.discard(case)
        for fact in facts:
            self.arrivals.take(self.clocks.place(fact))
        arrival = self.arrivals.get(case)
        if arrival is not None:
            arrival.facts.update(numbers)
            made = {fact.envelope.id for fact in facts}
            self._pending[case] = [p for p in self._pending.get(case, ()) if p.id not in made]
            lines = [line_of(entry, arrival.chosen_ns) for entry in arrival.timeline.entries]
            self._deltas[case] = Delta(curves=trends_of(arrival), lines=lines, again=True)

    def set_bay(self, case: str, bay: Bay | None) -> None:
        """Say how a case was handed over at the bay."""
        self.arrivals.set_bay(case, bay)
        self._deltas.setdefault(case, Delta())

    def take_eta(self, case: str, eta: Eta) -> bool:
        """Take an estimate for a current case; return whether it was wanted and newer."""
        arrival = self.arrivals.get(case)
        known = self.etas.get(case)
        if arrival is None or not arrival.is_current:
            return False
        if known is not None and known.position_ms > eta.position_ms:
            return False
        self.etas[case] = eta
        return True

    # --- what was done here ------------------------------------------------------------------

    def made(self, case: str, id_: str, body: Acknowledged, at_ns: int) -> None:
        """Show an acknowledgement at once, before the hub has it."""
        self._pending.setdefault(case, []).append(_Pending(id_, body, at_ns))
        self._deltas.setdefault(case, Delta())

    def refused(self, id_: str, text: str) -> None:
        """Show that the hub refused what was done here."""
        for case, pending in self._pending.items():
            for one in pending:
                if one.id == id_:
                    one.state, one.problem = "refused", text
                    self._deltas.setdefault(case, Delta())

    def dismiss(self, case: str) -> int:
        """Take an ended case off the board; return the place of the fact that ended it.

        Raises:
            UnknownCaseError: Nothing is known of it.
            NotCurrentError: It has not ended: a patient on the way cannot be dismissed.
        """
        arrival = self.known(case)
        if arrival.status not in ("stood_down", "closed") and not arrival.is_past_the_hub:
            raise NotCurrentError(case, arrival.status)
        self.dismissed[case] = _ending(arrival)
        self._deltas.setdefault(case, Delta())
        return self.dismissed[case]

    # --- what is shown -----------------------------------------------------------------------

    def known(self, case: str) -> Arrival:
        """Return a case.

        Raises:
            UnknownCaseError: Nothing is known of it, or not yet that it comes here.
        """
        arrival = self.arrivals.get(case)
        if arrival is None or arrival.status == "pending":
            raise UnknownCaseError(case)
        return arrival

    def current(self, case: str) -> Arrival:
        """Return a case whose patient is on the way here or at the door.

        Raises:
            UnknownCaseError: Nothing is known of it.
            NotCurrentError: It is not.
        """
        arrival = self.known(case)
        if not arrival.is_current:
            raise NotCurrentError(case, arrival.status)
        return arrival

    def is_shown(self, case: str) -> bool:
        """Whether the case has a place on the board."""
        arrival = self.arrivals.get(case)
        if arrival is None or arrival.status == "pending":
            return False
        if arrival.is_current and not arrival.is_past_the_hub:
            return True
        return self.dismissed.get(case, 0) < _ending(arrival)

    def card(self, case: str) -> Card:
        """Return the card of a case that is known."""
        pending = [
            Mark(
                role=one.body.role, person=one.body.person, at_ms=milliseconds(one.at_ns),
                state=one.state, problem=one.problem,
            )
            for one in self._pending.get(case, ())
        ]  # fmt: skip
        return card_of(self.known(case), self.chain(case), pending)

    def chain(self, case: str) -> Chain:
        """Return how far the copy of a case is proven."""
        chain = self._chains.get(case, ReplicaChain())
        return Chain(
            proven=chain.proven, last=chain.last, missing=chain.missing, broken=list(chain.broken)
        )

    def cases(self) -> list[str]:
        """Return the cases on the board, the most urgent first, then who comes first."""
        shown = [self.card(one.case) for one in self.arrivals if self.is_shown(one.case)]
        ranked = sorted(shown, key=lambda card: rank(card, self._at_ms(card.case)))
        return [card.case for card in ranked]

    def whole(self, case: str) -> dict[str, Any]:
        """Return all that a page needs to show a case from nothing, but for its timeline."""
        return {
            "card": msgspec.to_builtins(self.card(case)),
            "curves": trends_of(self.known(case)),
            "eta": self._eta(case),
        }

    def lines(self, case: str) -> list[dict[str, Any]]:
        """Return the timeline of a case, oldest line first."""
        arrival = self.known(case)
        entries = arrival.timeline.entries
        return [msgspec.to_builtins(line_of(entry, arrival.chosen_ns)) for entry in entries]

    def take_changes(self) -> dict[str, Delta]:
        """Return what changed since the last call, by case, and begin anew."""
        changed, self._deltas = self._deltas, {}
        return changed

    def forget(self, now_ns: int) -> int:
        """Drop cases that ended long ago from memory; return how many. Pages are told."""
        shown = [one.case for one in self.arrivals if self.is_shown(one.case)]
        count = self.arrivals.forget(now_ns - FORGET_AFTER_NS)
        for kept in (self.etas, self.dismissed, self._chains, self._pending):
            for case in [case for case in kept if self.arrivals.get(case) is None]:
                kept.pop(case)
        for case in shown:
            if self.arrivals.get(case) is None:
                self._deltas[case] = Delta()
        return count

    def hide_if_over(self, case: str, now_ns: int) -> None:
        """Keep a case off the board that was forgotten and got a late fact."""
        arrival = self.arrivals.get(case)
        long_ago_ns = now_ns - FORGET_AFTER_NS
        if arrival is not None and not arrival.is_current and arrival.newest_ns < long_ago_ns:
            self.dismissed[case] = _ending(arrival)

    def _at_ms(self, case: str) -> float | None:
        eta = self.etas.get(case)
        return eta.at_ms if eta else None

    def _eta(self, case: str) -> dict[str, Any] | None:
        eta = self.etas.get(case)
        return msgspec.to_builtins(eta) if eta else None


def _ending(arrival: Arrival) -> int:
    """Return the place of the fact with which the case ended here; 0 while it has not.

    A patient of whom only the bay knows, the people here may dismiss: a place beyond the hub's.
    """
    if arrival.is_past_the_hub:
        return PLACE
    if arrival.status == "stood_down":
        return arrival.decision.sequence
    return arrival.closed.sequence if arrival.status == "closed" else 0
