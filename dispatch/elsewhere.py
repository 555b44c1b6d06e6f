"""Which units of neighbouring districts would be at a case sooner than our own. Pure.

A suggestion decides nothing, and a neighbour's unit is not ours to send: it can be asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dispatch.arrival import Drive, Travel, drive, straight_drive
from dispatch.capabilities import abilities_needed
from dispatch.cases import Case, position_of
from dispatch.neighbours import Neighbour
from dispatch.suggestion import UNABLE, Suggestion
from streams.district_messages import DistrictUnit
from streams.messages import Position

MOST: Final = 2

OLD_POSITION_S: Final = 60.0
"""A unit of a neighbour whose place is older is not offered: nobody here can ask it."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A neighbour's unit that would be there sooner.

    Attributes:
        way: Its way to the case.
        best_s: How long the best of ours takes; None where none of ours can go.
    """

    neighbour: Neighbour
    unit: DistrictUnit
    way: Drive
    best_s: float | None

    @property
    def saves_s(self) -> float | None:
        """How much sooner than the best of ours; None where none of ours can go."""
        return None if self.best_s is None else self.best_s - self.way.seconds


def suggest_elsewhere(
    case: Case,
    neighbours: Iterable[Neighbour],
    own: Sequence[Suggestion],
    travel: Travel,
    now_ns: int,
) -> list[Elsewhere]:
    """Return the free units of neighbours that are nearer by time than ours, best first.

    None for an exercise, for a case without a place, and of a neighbour whose word is old.

    Args:
        case: The case.
        neighbours: Who is there.
        own: What is suggested of our own units.
        travel: How long ways take.
        now_ns: The hub's clock.
    """
    scene = position_of(case)
    if scene is None or case.drill:
        return []
    able = [one.drive_s for one in own if one.drive_s is not None and not UNABLE & set(one.why)]
    best_s = min(able, default=None)
    times = travel.roads.times_to(scene) if travel.roads is not None else None
    found = []
    for neighbour, unit, position in _free(case, neighbours, now_ns):
        at = (position.latitude_deg, position.longitude_deg)
        seconds = times.seconds(at, position.heading_deg) if times is not None else None
        if seconds is None:
            seconds = straight_drive(at, scene, travel).seconds
        if best_s is None or seconds < best_s:
            found.append((seconds, neighbour, unit, position))
    found.sort(key=lambda one: (one[0], one[1].region, one[2].name))
    shown = []
    for _, neighbour, unit, position in found[:MOST]:
        at = (position.latitude_deg, position.longitude_deg)
        way = drive(at, scene, travel, position.heading_deg)
        shown.append(Elsewhere(neighbour, unit, way, best_s))
    return shown


def _free(
    case: Case, neighbours: Iterable[Neighbour], now_ns: int
) -> Iterator[tuple[Neighbour, DistrictUnit, Position]]:
    """Return the units that could go, and where they are."""
    needed = abilities_needed(case.severity, case.pre_alert.pathway if case.pre_alert else None)
    for neighbour in neighbours:
        if not neighbour.connected or neighbour.is_stale(now_ns):
            continue
        stated = any(unit.abilities for unit in neighbour.units)
        for unit in neighbour.units:
            able = not stated or needed <= set(unit.abilities)
            if unit.position is not None and able and _can_go(unit, unit.position, now_ns):
                yield neighbour, unit, unit.position


def _can_go(unit: DistrictUnit, position: Position, now_ns: int) -> bool:
    age_s = (now_ns - position.measured_ns) / 1e9
    return unit.status == "free" and unit.serves and age_s < OLD_POSITION_S
