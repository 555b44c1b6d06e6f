"""Which hospital to take: near by road, able, open, and not yet full; and why. Pure.

One that cannot take the case stands behind all that can. Among these counts the time on the
roads from the scene, and how full each is in seconds of driving (``dispatch.capacity``).
"""

from __future__ import annotations

from collections import Counter
from typing import cast

from dispatch.arrival import Place, Travel, drive, straight_drive
from dispatch.capabilities import Capability, capabilities_needed
from dispatch.capacity import HALF_LIFE_S, Capacity, burden_s
from dispatch.cases import Case, CaseBook, position_of
from dispatch.suggestion import MOST, Suggestion, Why, name_nearest
from dispatch.units import Fleet, HospitalSettings

THERE = frozenset({"arrived", "handed_over"})
"""Stages at which a case is no more on its way: the hospital's own word counts it."""


def suggest_hospitals(
    case: Case, fleet: Fleet, book: CaseBook, travel: Travel, now_ns: int
) -> list[Suggestion]:
    """Return the best hospitals for a case, best first, at most ``MOST``."""
    scene = position_of(case)
    bound = bound_for(book, but=case.id)
    resus = case.severity == "red"
    found: list[tuple[tuple[bool, float, str], Suggestion]] = []
    for hospital in fleet.hospitals_for(drill=case.drill):
        able, why = _look_at_ability(case, hospital)
        capacity = fleet.capacities.get(hospital.name)
        said, figures = _look_at_room(capacity, bound[hospital.name], now_ns, resus=resus)
        why += said
        seconds, by_road = _time_from(scene, hospital.place, travel)
        if seconds is None:
            why.append("no_case_position")
        elif travel.roads is not None and not by_road:
            why.append("no_road_way")
        burden = burden_s(capacity, bound[hospital.name], now_ns, resus=resus)
        suggestion = Suggestion(hospital.name, None, seconds, tuple(why), by_road, figures)
        found.append(((not able, (seconds or 0.0) + burden, hospital.name), suggestion))
    found.sort(key=lambda pair: pair[0])
    return name_nearest([_measured(one, fleet, scene, travel) for _, one in found[:MOST]])


def bound_for(book: CaseBook, *, but: str = "") -> Counter[str]:
    """Return how many open cases are on their way to each hospital, without the one named."""
    return Counter(
        case.hospital
        for case in book.open()
        if case.hospital is not None and case.id != but and case.stage not in THERE
    )


def _look_at_ability(case: Case, hospital: HospitalSettings) -> tuple[bool, list[Why]]:
    pathway = case.pre_alert.pathway if case.pre_alert else None
    able, why = True, list[Why]()
    if pathway is not None and hospital.abilities:
        able = pathway in hospital.abilities
        why.append("takes_pathway" if able else "not_for_pathway")
    if hospital.capabilities:  # one that states none is not known to lack any
        needed: frozenset[Capability] = capabilities_needed(pathway, case.age_years)
        for one in sorted(needed):
            has = one in hospital.capabilities
            why.append(cast(Why, f"has_{one}" if has else f"lacks_{one}"))
            able &= has
    return able, why


def _look_at_room(
    capacity: Capacity | None, bound: int, now_ns: int, *, resus: bool
) -> tuple[list[Why], dict[str, int]]:
    why: list[Why] = []
    figures: dict[str, int] = {}
    if capacity is not None:
        if capacity.diversion:
            why.append("on_diversion")
        if capacity.beds is not None:
            why.append("beds_free" if capacity.beds > bound else "no_beds")
            figures["beds"] = capacity.beds
        if resus and capacity.resus_bays is not None:
            why.append("resus_bays_free" if capacity.resus_bays else "no_resus_bay")
            figures["resus_bays"] = capacity.resus_bays
        if capacity.age_s(now_ns) > HALF_LIFE_S:
            why.append("old_statement")
        figures["stated_min"] = round(capacity.age_s(now_ns) / 60)
    if bound:
        why.append("cases_bound")
        figures["bound"] = bound
    return why, figures


def _time_from(scene: Place | None, hospital: Place, travel: Travel) -> tuple[float | None, bool]:
    if scene is None:
        return None, False
    times = travel.roads.times_from(scene) if travel.roads is not None else None
    seconds = times.seconds(hospital) if times is not None else None
    if seconds is None:
        return straight_drive(scene, hospital, travel).seconds, False
    return seconds, True


def _measured(one: Suggestion, fleet: Fleet, scene: Place | None, travel: Travel) -> Suggestion:
    """Say how long the way is; the time stays that of the search from the scene."""
    if scene is None or one.drive_s is None:
        return one
    place = fleet.hospitals[one.name].place
    way = travel.roads.times_from(scene).way(place) if travel.roads is not None else None
    metres = way.metres if way is not None else drive(scene, place, travel).metres
    return Suggestion(one.name, metres, one.drive_s, one.why, one.by_road, one.figures)
