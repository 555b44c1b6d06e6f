"""When the unit will be there: by road where the roads are known, else by a straight line. Pure.

Without a file of roads, or where a place is on none of them, the way is the geodesic on WGS-84
(Karney, doi:10.1007/s00190-012-0578-z, through geopy) with a detour factor and a mean speed. The
``method`` of an estimate says which it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from geopy.distance import geodesic

from dispatch import road_snapping
from dispatch.roads import Roads
from streams.messages import Arrival, Stage

Place = road_snapping.Place
"""(latitude, longitude) in degrees, WGS-84."""

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Travel:
    """How fast units get through the town.

    Attributes:
        speed_mps: Mean speed of a whole drive, stops included; for straight lines.
        detour: Road distance over straight-line distance; 1.2 to 1.4 in grid-like cities.
        on_scene_s: Mean time between reaching the scene and leaving it.
        handover_s: Mean time between reaching the hospital and being free.
        roads: The roads; None where the hub has no file of them.
    """

    speed_mps: float = 11.0
    detour: float = 1.3
    on_scene_s: float = 900.0
    handover_s: float = 1200.0
    roads: Roads | None = None


@dataclass(frozen=True, slots=True)
class Drive:
    """A drive between two places, and how it was found.

    Attributes:
        seconds: How long it takes.
        metres: How long it is.
        by_road: Whether along the roads; else along a straight line, with the detour factor.
    """

    seconds: float
    metres: float
    by_road: bool


@dataclass(frozen=True, slots=True)
class Leg:
    """What a unit still has to do before it is at the hospital.

    Attributes:
        at: Where the unit is.
        at_ns: When it was there, by the hub's clock.
        scene: Where the patient is, if known.
        hospital: Where the unit goes.
        stage: The furthest stage of the run.
        on_scene_ns: When it reached the scene, if it did.
        heading_deg: Where the unit is heading, if it is under way.
    """

    at: Place
    at_ns: int
    scene: Place | None
    hospital: Place
    stage: Stage | None
    on_scene_ns: int | None = None
    heading_deg: float | None = None


def distance_m(one: Place, other: Place) -> float:
    """Return the geodesic distance in metres."""
    return float(geodesic(one, other).meters)


def straight_drive(one: Place, other: Place, travel: Travel) -> Drive:
    """Return the drive as it would be along a straight line, with the detour factor."""
    metres = distance_m(one, other) * travel.detour
    return Drive(metres / travel.speed_mps, metres, by_road=False)


def drive(one: Place, other: Place, travel: Travel, heading_deg: float | None = None) -> Drive:
    """Return the drive between two places: by road where there is a way, else straight.

    Args:
        one: Where it begins.
        other: Where it ends.
        travel: How it is driven.
        heading_deg: Where the unit is heading, if it is under way already.
    """
    way = travel.roads.way(one, other, heading_deg) if travel.roads is not None else None
    if way is None:
        return straight_drive(one, other, travel)
    return Drive(way.seconds, way.metres, by_road=True)


def estimate(leg: Leg, travel: Travel, now_ns: int) -> Arrival | None:
    """Estimate the arrival at the hospital; None once the unit is there.

    Before the patient is on board the way goes by the scene, with the usual time spent there.
    The drive counts from the time of the position, not from now: a unit that is silent is
    still taken to be moving, and the age of its position is the age of the estimate.
    """
    if leg.stage in ("arrived", "handed_over"):
        return None
    leaves_ns, way = leg.at_ns, ""
    stay_ns = round(travel.on_scene_s * SECOND_NS)
    stops = [leg.at, leg.hospital]
    if leg.stage in ("on_scene", "patient_contact"):
        leaves_ns = max(now_ns, (leg.on_scene_ns or leg.at_ns) + stay_ns)
        way = ", from the scene"
    elif leg.stage != "departed" and leg.scene is not None:
        stops.insert(1, leg.scene)
        leaves_ns += stay_ns
        way = ", by the scene"
    drives = _drives(stops, travel, leg.heading_deg)
    at_ns = leaves_ns + round(sum(each.seconds for each in drives) * SECOND_NS)
    return Arrival(  # never before now
        at_ns=max(at_ns, now_ns),
        position_ns=leg.at_ns,
        distance_m=sum(each.metres for each in drives),
        method=_method(drives[0], travel) + way,
    )


def _drives(stops: list[Place], travel: Travel, heading_deg: float | None) -> list[Drive]:
    """Return the drives from stop to stop: all by road, or all straight where one has no way."""
    pairs = list(pairwise(stops))
    headings = [heading_deg, *([None] * (len(pairs) - 1))]  # of the unit, at its place alone
    found = [drive(*pair, travel, heading) for pair, heading in zip(pairs, headings, strict=True)]
    if all(each.by_road for each in found):
        return found
    return [straight_drive(one, other, travel) for one, other in pairs]


def _method(first: Drive, travel: Travel) -> str:
    if first.by_road:
        return "road"
    return f"straight line x {travel.detour:g} at {travel.speed_mps * 3.6:.0f} km/h"
