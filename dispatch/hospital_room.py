"""Room of hospitals for an incident: what each stated, less what went there since. Pure.

A patient counts from the moment the hospital is chosen until the hospital has made a statement
after the arrival: only then it may be in its figures. Who is red counts as a resuscitation bay,
everybody else as a bed. A hospital that did not say, or said it long ago, counts as having little:
so much that some patients can be sent before it speaks, so little that nothing is overrun.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from dispatch.capacity import Capacity
from dispatch.cases import Case, CaseBook
from dispatch.incident_rules import IncidentRules
from dispatch.units import Fleet
from streams.messages import Severity

TURNOVER_NS: Final = 4 * 3600 * 1_000_000_000
"""Of a hospital that states nothing: a patient who arrived longer ago counts no more."""

Stated = Literal["stated", "old", "never"]


@dataclass(frozen=True, slots=True)
class Room:
    """What a hospital has left.

    Attributes:
        resus_bays: Resuscitation bays; below 0 where more went there than it has.
        beds: Beds, likewise.
        diversion: Whether it asks for patients to be taken elsewhere.
        stated: Whether that rests on its own word.
        stated_ns: When it gave it; 0 where it did not.
        taken_resus_bays: How many of the bays went since.
        taken_beds: How many of the beds went since.
    """

    resus_bays: int
    beds: int
    diversion: bool
    stated: Stated
    stated_ns: int
    taken_resus_bays: int
    taken_beds: int

    def left(self, *, resus: bool) -> int:
        """Return how many more patients can go there; none while it is on diversion."""
        return 0 if self.diversion else max(0, self.resus_bays if resus else self.beds)


def room_of(name: str, fleet: Fleet, book: CaseBook, now_ns: int, *, but: str = "") -> Room:
    """Return what room a hospital has.

    Args:
        name: The hospital.
        fleet: What hospitals stated.
        book: Who went there.
        now_ns: The hub's clock.
        but: A case that does not count: the one in question.
    """
    said = fleet.capacities.get(name)
    rules = fleet.incidents
    stated = _stated(said, rules, now_ns)
    since_ns = now_ns - TURNOVER_NS if said is None or stated == "old" else said.stated_ns
    resus, beds = _taken(name, book.recent(), since_ns, but)
    return Room(
        resus_bays=_figure(said.resus_bays if said else None, rules.unstated_resus_bays, stated)
        - resus,
        beds=_figure(said.beds if said else None, rules.unstated_beds, stated) - beds,
        diversion=said is not None and said.diversion,
        stated=stated,
        stated_ns=said.stated_ns if said is not None else 0,
        taken_resus_bays=resus,
        taken_beds=beds,
    )


def needs_resus_bay(severity: Severity) -> bool:
    """Whether a case takes a resuscitation bay."""
    return severity == "red"


def _stated(said: Capacity | None, rules: IncidentRules, now_ns: int) -> Stated:
    if said is None:
        return "never"
    return "old" if said.age_s(now_ns) > rules.old_after_s else "stated"


def _figure(said: int | None, unstated: int, stated: Stated) -> int:
    if said is None:
        return unstated
    return min(said, unstated) if stated == "old" else said


def _taken(name: str, cases: Iterable[Case], since_ns: int, but: str) -> tuple[int, int]:
    """Return how many resuscitation bays and beds went to patients that are not in its figures."""
    resus = beds = 0
    for case in cases:
        if case.hospital != name or case.id == but or not _counts(case, since_ns):
            continue
        if needs_resus_bay(case.severity):
            resus += 1
        else:
            beds += 1
    return resus, beds


def _counts(case: Case, since_ns: int) -> bool:
    arrived = [case.stages[stage] for stage in ("arrived", "handed_over") if stage in case.stages]
    if arrived:
        return min(arrived) >= since_ns
    if case.closed_ns is None:
        return True
    return case.outcome == "handed_over" and case.closed_ns >= since_ns
