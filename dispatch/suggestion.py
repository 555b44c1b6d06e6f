"""Which unit to send: the quickest to be there that can, and why. Pure.

Free units are ranked by their time on the roads; what speaks against one puts it behind all that
it does not speak against. A unit that is bound by a case is never among the free: it may stand
behind them, with its reason, when it is about to be handing over. A suggestion decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, cast

from dispatch.arrival import Place, Travel, drive, straight_drive
from dispatch.capabilities import Ability, abilities_needed
from dispatch.cases import Case, CaseBook, position_of
from dispatch.units import Fleet, Unit

MOST = 3
"""The recommended one and the next two."""

Why = Literal[
    "nearest", "farther", "no_case_position", "no_position", "old_position",
    "out_of_reach", "takes_pathway", "not_for_pathway", "no_road_way",
    "off_shift", "out_of_area", "below_reserve", "free_soon",
    "lacks_advanced_life_support", "lacks_critical_care", "lacks_paediatric", "lacks_neonatal",
    "lacks_bariatric", "lacks_isolation",
    "has_cath_lab", "has_stroke_unit", "has_trauma_centre", "has_burn_centre", "has_children",
    "has_obstetrics", "lacks_cath_lab", "lacks_stroke_unit", "lacks_trauma_centre",
    "lacks_burn_centre", "lacks_children", "lacks_obstetrics",
    "on_diversion", "no_beds", "beds_free", "no_resus_bay", "resus_bays_free", "old_statement",
    "cases_bound",
]  # fmt: skip
"""What speaks for or against; each has its words in the page's catalogue."""

UNABLE: frozenset[Why] = frozenset({"out_of_reach", "not_for_pathway", "off_shift", "free_soon"})

_AGAINST: Final[dict[str, int]] = {
    "old_position": 1,
    "below_reserve": 2,
    "lacks": 4,
    "free_soon": 8,
    "off_shift": 16,
    "no_road_way": 32,
    "no_position": 64,
    "out_of_reach": 128,
}
"""What weighs against a unit; one reason outweighs all that stand before it together."""

_TO_COME: Final = {"arrived": 1.0, "handed_over": 0.25}
"""Stages after which a unit is soon free, and the share of the hand-over that is then to come."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A unit or hospital that may be taken.

    Attributes:
        name: Of the unit or hospital.
        distance_m: Estimated way, None where a position is missing.
        drive_s: Estimated driving time, None where a position is missing.
        why: What speaks for or against it; words of the page's catalogue.
        by_road: Whether the way is along the roads; else it is a straight line.
        figures: Figures of the reasons, by the name that their words use: ``free_in_min``,
            ``left``, ``keep``, ``beds``, ``resus_bays``, ``bound``, ``stated_min``.
    """

    name: str
    distance_m: float | None
    drive_s: float | None
    why: tuple[Why, ...]
    by_road: bool = False
    figures: Mapping[str, int] = field(default_factory=dict)


TimeTo = Callable[[Place, float | None], tuple[float, bool]]
"""Seconds between a unit's place with its heading and the scene, and whether by road."""


def suggest_units(
    case: Case, fleet: Fleet, book: CaseBook, travel: Travel, now_ns: int
) -> list[Suggestion]:
    """Return the best units for a case, best first, at most ``MOST``.

    One search on the roads gives the times of all units.
    """
    scene = position_of(case)
    ranking = _Ranking(case, fleet, book, travel, now_ns)
    ranked = sorted(
        (
            pair
            for unit in fleet.units_for(drill=case.drill)
            if (pair := ranking.rank(unit)) is not None
        ),
        key=lambda pair: pair[0],
    )
    return name_nearest([_measured(one, fleet, scene, travel) for _, one in ranked[:MOST]])


def name_nearest(ranked: list[Suggestion]) -> list[Suggestion]:
    """Say of each that can go whether it is the nearest of them or farther."""
    able = [one for one in ranked if one.drive_s is not None and not UNABLE & set(one.why)]
    nearest = min((one.drive_s or 0.0 for one in able), default=None)
    named = []
    for one in ranked:
        word: Why = "nearest" if one.drive_s == nearest else "farther"
        named.append(replace(one, why=(word, *one.why)) if one in able else one)
    return named


class _Ranking:
    """What is the same for all units of one question."""

    def __init__(
        self, case: Case, fleet: Fleet, book: CaseBook, travel: Travel, now_ns: int
    ) -> None:
        self._scene = position_of(case)
        self._severity = case.severity
        self._fleet, self._book, self._travel, self._now_ns = fleet, book, travel, now_ns
        self._time_to = _time_to(self._scene, travel) if self._scene is not None else None
        pathway = case.pre_alert.pathway if case.pre_alert else None
        # Where no unit states what it can do nothing is known, and nothing speaks against any.
        units = fleet.units_for(drill=case.drill)
        stated = any(unit.abilities for unit in units)
        self._needed = abilities_needed(case.severity, pathway) if stated else frozenset()
        self._left = sum(self._stays(unit) for unit in units) - 1

    def rank(self, unit: Unit) -> tuple[tuple[int, float, str], Suggestion] | None:
        """Return a unit's place and suggestion; None for one that is bound and stays so."""
        why: list[Why] = []
        figures: dict[str, int] = {}
        wait_s = 0.0
        bound = self._book.of_unit(unit.name)
        if bound is not None:
            left_s = self._free_in_s(bound)
            if left_s is None:
                return None
            wait_s = left_s
            why.append("free_soon")
            figures["free_in_min"] = round(left_s / 60)
        self._look_at_duty(unit, why, figures)
        seconds, by_road = self._look_at_way(unit, why)
        worse = sum({_weight(each) for each in why})
        if "below_reserve" in why and self._severity == "red":
            worse -= _AGAINST["below_reserve"]  # said, but nobody waits for it
        suggestion = Suggestion(unit.name, None, seconds, tuple(why), by_road, figures)
        there_s = float("inf") if seconds is None else seconds + wait_s
        return (worse, there_s, unit.name), suggestion

    def _look_at_duty(self, unit: Unit, why: list[Why], figures: dict[str, int]) -> None:
        rules = self._fleet.district
        if not rules.is_on_shift(unit.shifts, self._now_ns):
            why.append("off_shift")
        why.extend(cast(Why, f"lacks_{one}") for one in sorted(self._lacking(unit)))
        if unit.place is not None and not rules.holds(unit.place):
            why.append("out_of_area")
        elif self._left < rules.keep_free and self._stays(unit):
            why.append("below_reserve")
            figures |= {"left": self._left, "keep": rules.keep_free}

    def _look_at_way(self, unit: Unit, why: list[Why]) -> tuple[float | None, bool]:
        if self._time_to is None:
            why.append("no_case_position")
        found: tuple[float | None, bool] = (None, False)
        if self._time_to is not None and unit.place is not None:
            found = self._time_to(unit.place, unit.heading_deg)
            if self._travel.roads is not None and not found[1]:
                why.append("no_road_way")
        if not unit.is_in_reach(self._now_ns):
            why.append("out_of_reach")
        elif unit.place is None:
            why.append("no_position")
        elif not unit.has_fresh_position(self._now_ns):
            why.append("old_position")
        return found

    def _lacking(self, unit: Unit) -> frozenset[Ability]:
        return self._needed - frozenset(unit.abilities)

    def _stays(self, unit: Unit) -> bool:
        """Whether a unit counts as one that is free in the district."""
        return (
            self._book.of_unit(unit.name) is None
            and unit.is_in_reach(self._now_ns)
            and self._fleet.district.is_on_shift(unit.shifts, self._now_ns)
            and (unit.place is None or self._fleet.district.holds(unit.place))
        )

    def _free_in_s(self, bound: Case) -> float | None:
        """Return when a bound unit is probably free; None where that cannot be said."""
        stage = bound.stage
        if stage is None or stage not in _TO_COME:
            return None
        since_s = max(0.0, (self._now_ns - bound.stages[stage]) / 1e9)
        return max(0.0, self._travel.handover_s * _TO_COME[stage] - since_s)


def _time_to(scene: Place, travel: Travel) -> TimeTo:
    times = travel.roads.times_to(scene) if travel.roads is not None else None

    def seconds(place: Place, heading_deg: float | None) -> tuple[float, bool]:
        found = times.seconds(place, heading_deg) if times is not None else None
        if found is None:
            return straight_drive(place, scene, travel).seconds, False
        return found, True

    return seconds


def _weight(why: Why) -> int:
    return _AGAINST["lacks"] if why.startswith("lacks_") else _AGAINST.get(why, 0)


def _measured(one: Suggestion, fleet: Fleet, scene: Place | None, travel: Travel) -> Suggestion:
    """Say how long the way is, which is only looked for where it is shown."""
    unit = fleet.units[one.name]
    if scene is None or unit.place is None:
        return one
    found = drive(unit.place, scene, travel, unit.heading_deg)
    return replace(one, distance_m=found.metres, drive_s=found.seconds)
