"""What is advised for a case, as pages and scripts get it: units, hospitals, the same event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dispatch import case_pages, district_pages, incident_pages
from dispatch.arrival import Travel
from dispatch.calls import WAITING
from dispatch.case_record import CaseRecord
from dispatch.cases import Case
from dispatch.duplicates import Proposal, Spot, propose
from dispatch.elsewhere import suggest_elsewhere
from dispatch.hospital_choice import suggest_hospitals
from dispatch.incident_advice import advise
from dispatch.neighbours import Neighbour
from dispatch.suggestion import Suggestion, suggest_units
from streams.clock import Clock
from streams.messages import Position

NO_RADIUS_M = 100.0
"""Taken for a position that says none."""


class Advice:
    """Suggestions on the record as it stands; they decide nothing."""

    def __init__(self, record: CaseRecord, travel: Travel, clock: Clock) -> None:
        """Prepare.

        Args:
            record: Cases, units and hospitals.
            travel: How long ways take.
            clock: The hub's clocks.
        """
        self._record = record
        self._travel = travel
        self._clock = clock
        self._likely: dict[str, str | None] = {}
        self.neighbours: Callable[[], list[Neighbour]] = list

    def _elsewhere(self, case: Case, own: list[Suggestion]) -> list[dict[str, Any]]:
        now_ns = self._clock.wall_ns()
        found = suggest_elsewhere(case, self.neighbours(), own, self._travel, now_ns)
        return [district_pages.elsewhere(one) for one in found]

    def of(self, case: Case) -> dict[str, Any]:
        """Return the best units and hospitals for a case, and cases that may be the same event."""
        book, fleet, now_ns = self._record.book, self._record.fleet, self._clock.wall_ns()
        units = suggest_units(case, fleet, book, self._travel, now_ns)
        hospitals = suggest_hospitals(case, fleet, book, self._travel, now_ns)
        alike = (one for one in book.open() if one.drill == case.drill and not one.patient_of)
        others = [(other, _spot(other)) for other in alike]
        return {
            "units": [case_pages.suggestion(one, fleet) for one in units],
            "hospitals": [case_pages.suggestion(one, fleet) for one in hospitals],
            "elsewhere": self._elsewhere(case, units),
            "same_event": [_shown(one) for one in propose(case, _spot(case), others)],
            "incident": incident_pages.advice(
                advise(case, fleet, book, self._travel, now_ns), fleet
            ),
        }

    def incident(self, case: Case) -> dict[str, Any]:
        """Return what the queue shows of the incident of a case, or of which it is a patient."""
        return {
            "incident": incident_pages.summary(case, self._record.book),
            "patient_of": incident_pages.patient_of(case),
        }

    def incident_detail(self, case: Case) -> dict[str, Any]:
        """Return all of the incident of a case."""
        book, fleet, now_ns = self._record.book, self._record.fleet, self._clock.wall_ns()
        return {"incident": incident_pages.detail(case, book, fleet, now_ns)}

    def likely(self, case: Case) -> str | None:
        """Return what ``look`` found last for a case."""
        return self._likely.get(case.id)

    def look(self, case: Case) -> None:
        """Look which case a waiting call is probably about, by place or number."""
        self._likely[case.id] = self._look(case)

    def _look(self, case: Case) -> str | None:
        if case.call is None or case.call.phase not in WAITING or not case.is_open:
            return None
        older = [one for one in self._record.book.open() if one.opened_ns < case.opened_ns]
        others = [(other, _spot(other)) for other in older]
        for one in propose(case, _spot(case), others):
            if one.why[0] in ("same_place", "same_number"):
                return one.case
        return None


def _spot(case: Case) -> Spot | None:
    position: Position | None = case.position or case.located
    if position is None:
        return None
    radius_m = NO_RADIUS_M if position.radius_m is None else position.radius_m
    return Spot(position.latitude_deg, position.longitude_deg, radius_m)


def _shown(one: Proposal) -> dict[str, Any]:
    return {
        "case": one.case,
        "why": list(one.why),
        "apart_m": None if one.apart_m is None else round(one.apart_m),
        "apart_s": round(one.apart_s),
    }
