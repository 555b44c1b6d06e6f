"""Where a caller is: ``dispatch.location.best`` over what the case has. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from dispatch.arrival import distance_m
from dispatch.call_fold import fixes_of
from dispatch.cases import Case
from dispatch.location.best import Best, Note, SpokenPlace, best_position
from dispatch.location.districts import District
from streams.clock import Clock
from streams.messages import CaseAmended
from streams.outbox import Draft

SPOKEN_RADIUS_M = 100.0
"""How far a caller may be from the place that a person confirmed, where that has no radius."""


FOLLOW_M = 30.0
"""So far a caller may be from where the crew was told before it is told anew."""


class Places:
    """Where callers are now, as pages get it."""

    def __init__(self, clock: Clock, districts: Sequence[District]) -> None:
        """Prepare.

        Args:
            clock: The hub's clocks.
            districts: Borders of this district and its neighbours.
        """
        self._clock = clock
        self._districts = tuple(districts)

    def of(self, case: Case) -> dict[str, Any] | None:
        """Return where the caller of a case is; None where no source has said."""
        if not case.fixes:
            return None
        return shown(case, evaluate(case, self._clock.wall_ns(), self._districts))


def told_to_crew(case: Case) -> list[Draft]:
    """Return the fact that tells a crew where its caller is now, as long as nobody confirmed it.

    Nothing where no unit is under way, or the caller is where the crew was told, or a person said
    where the scene is: that is never replaced.
    """
    best = case.located
    if best is None or not case.has_crew_under_way or case.position_confirmed:
        return []
    before = case.position
    if before is not None:
        moved_m = distance_m(
            (before.latitude_deg, before.longitude_deg), (best.latitude_deg, best.longitude_deg)
        )
        narrower = (best.radius_m or math.inf) < (before.radius_m or math.inf) / 2
        if moved_m < FOLLOW_M and not narrower:
            return []
    body = CaseAmended(position=best, position_confirmed=False)
    return [Draft("case_amended", body, case.opened_as, case.id, drill=case.drill)]


def evaluate(case: Case, now_ns: int, districts: Sequence[District] = ()) -> Best:
    """Return what is known of a caller's place now.

    The place that a person confirmed is what the position is held against; it is never replaced.

    Args:
        case: The case.
        now_ns: By the hub's clock.
        districts: Borders of this district and its neighbours.
    """
    return best_position(fixes_of(case), now_ns, address=_spoken(case), districts=districts)


def shown(case: Case, best: Best) -> dict[str, Any] | None:
    """Return the best position as a page gets it: times in ms; None without any."""
    if best.fix is None:
        return None
    position = best.fix.position
    civic = case.fixes[best.fix.id].body.civic if best.fix.id in case.fixes else None
    kinds = {note.kind for note in best.notes}
    return {
        "latitude_deg": position.latitude_deg,
        "longitude_deg": position.longitude_deg,
        "radius_m": best.radius_m,
        "at_ms": min(position.measured_ns, best.fix.received_ns) // 1_000_000,
        "received_ms": best.fix.received_ns // 1_000_000,
        "source": position.source,
        "stale": "stale" in kinds,
        "civic": civic,
        "districts": list(best.districts),
        "notes": [_note(note) for note in best.notes],
    }


def _note(note: Note) -> dict[str, Any]:
    return {
        "code": note.kind,
        "text": note.text,
        "names": list(note.names),
        "metres": None if note.metres is None else round(note.metres),
    }


def _spoken(case: Case) -> SpokenPlace | None:
    position = case.position
    if position is None or not case.position_confirmed:
        return None
    radius = SPOKEN_RADIUS_M if position.radius_m is None else position.radius_m
    return SpokenPlace(case.address or "?", position.latitude_deg, position.longitude_deg, radius)
