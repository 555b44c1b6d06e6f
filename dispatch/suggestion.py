"""Which unit and which hospital to take: the nearest that can, and why, in one line. Pure.

Distances are geodesic and times follow from a mean speed (``dispatch.arrival``); road time
comes later, so each reason says "straight line". A suggestion decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from dispatch.arrival import Place, Travel, drive_s, road_m
from dispatch.cases import Case, CaseBook, position_of
from dispatch.units import Fleet, Unit

MOST = 3
"""The recommended one and the next two."""


Why = Literal[
    "nearest", "farther", "no_case_position", "no_position", "old_position",
    "out_of_reach", "takes_pathway", "not_for_pathway",
]  # fmt: skip
"""What speaks for or against; each has its words in the page's catalogue."""

UNABLE: frozenset[Why] = frozenset({"out_of_reach", "not_for_pathway"})


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A unit or hospital that may be taken.

    Attributes:
        name: Of the unit or hospital.
        distance_m: Estimated way, None where a position is missing.
        drive_s: Estimated driving time, None where a position is missing.
        why: What speaks for or against it; words of the page's catalogue.
    """

    name: str
    distance_m: float | None
    drive_s: float | None
    why: tuple[Why, ...]


def suggest_units(
    case: Case, fleet: Fleet, book: CaseBook, travel: Travel, now_ns: int
) -> list[Suggestion]:
    """Return the best free units for a case, best first, at most ``MOST``."""
    scene = position_of(case)
    free = [unit for unit in fleet.units.values() if book.of_unit(unit.name) is None]
    ranked = sorted((_rank(unit, scene, travel, now_ns) for unit in free), key=lambda pair: pair[0])
    return _name_nearest([suggestion for _, suggestion in ranked[:MOST]])


def suggest_hospitals(case: Case, fleet: Fleet, travel: Travel) -> list[Suggestion]:
    """Return the best hospitals for a case, best first, at most ``MOST``."""
    scene = position_of(case)
    pathway = case.pre_alert.pathway if case.pre_alert else None
    found: list[tuple[tuple[bool, float, str], Suggestion]] = []
    for hospital in fleet.hospitals.values():
        why: list[Why] = []
        takes = True
        if pathway is not None and hospital.abilities:
            takes = pathway in hospital.abilities
            why.append("takes_pathway" if takes else "not_for_pathway")
        way = _way(scene, hospital.place, travel)
        if way is None:
            why.append("no_case_position")
        metres, seconds = way or (None, None)
        suggestion = Suggestion(hospital.name, metres, seconds, tuple(why))
        found.append(((not takes, seconds or 0.0, hospital.name), suggestion))
    found.sort(key=lambda pair: pair[0])
    return _name_nearest([suggestion for _, suggestion in found[:MOST]])


def _rank(
    unit: Unit, scene: Place | None, travel: Travel, now_ns: int
) -> tuple[tuple[int, float, str], Suggestion]:
    in_reach, fresh = unit.is_in_reach(now_ns), unit.has_fresh_position(now_ns)
    way = _way(scene, unit.place, travel) if unit.place else None
    why: list[Why] = []
    if scene is None:
        why.append("no_case_position")
    if not in_reach:
        why.append("out_of_reach")
    elif unit.place is None:
        why.append("no_position")
    elif not fresh:
        why.append("old_position")
    metres, seconds = way or (None, None)
    worse = (not in_reach) * 4 + (unit.place is None) * 2 + (not fresh)
    suggestion = Suggestion(unit.name, metres, seconds, tuple(why))
    return (worse, seconds or 0.0, unit.name), suggestion


def _way(scene: Place | None, other: Place | None, travel: Travel) -> tuple[float, float] | None:
    if scene is None or other is None:
        return None
    return road_m(scene, other, travel), drive_s(scene, other, travel)


def _name_nearest(ranked: list[Suggestion]) -> list[Suggestion]:
    """Say of each that can go whether it is the nearest of them or farther."""
    able = [one for one in ranked if one.drive_s is not None and not UNABLE & set(one.why)]
    nearest = min((one.drive_s or 0.0 for one in able), default=None)
    named = []
    for one in ranked:
        word: Why = "nearest" if one.drive_s == nearest else "farther"
        named.append(replace(one, why=(word, *one.why)) if one in able else one)
    return named
