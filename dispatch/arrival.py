"""When the unit will be there: straight line, detour factor, mean speed. Pure.

Road time comes later; until then the estimate says in its ``method`` what it is. The distance is
the geodesic on WGS-84 (Karney, doi:10.1007/s00190-012-0578-z, through geopy).
"""

from __future__ import annotations

from dataclasses import dataclass

from geopy.distance import geodesic

from streams.messages import Arrival, Stage

Place = tuple[float, float]
"""(latitude, longitude) in degrees, WGS-84."""

SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Travel:
    """How fast units get through the town.

    Attributes:
        speed_mps: Mean speed of a whole drive, stops included.
        detour: Road distance over straight-line distance; 1.2 to 1.4 in grid-like cities.
        on_scene_s: Mean time between reaching the scene and leaving it.
    """

    speed_mps: float = 11.0
    detour: float = 1.3
    on_scene_s: float = 900.0


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
    """

    at: Place
    at_ns: int
    scene: Place | None
    hospital: Place
    stage: Stage | None
    on_scene_ns: int | None = None


def distance_m(one: Place, other: Place) -> float:
    """Return the geodesic distance in metres."""
    return float(geodesic(one, other).meters)


def road_m(one: Place, other: Place, travel: Travel) -> float:
    """Return the estimated length of the road between two places, in metres."""
    return distance_m(one, other) * travel.detour


def drive_s(one: Place, other: Place, travel: Travel) -> float:
    """Return the estimated driving time between two places, in seconds."""
    return road_m(one, other, travel) / travel.speed_mps


def estimate(leg: Leg, travel: Travel, now_ns: int) -> Arrival | None:
    """Estimate the arrival at the hospital; None once the unit is there.

    Before the patient is on board the way goes by the scene, with the usual time spent there.
    The drive counts from the time of the position, not from now: a unit that is silent is
    still taken to be moving, and the age of its position is the age of the estimate.
    """
    if leg.stage == "arrived":
        return None
    drive_m = road_m(leg.at, leg.hospital, travel)
    leaves_ns, left_m, way = leg.at_ns, drive_m, ""
    stay_ns = round(travel.on_scene_s * SECOND_NS)
    if leg.stage in ("on_scene", "patient_contact"):
        leaves_ns = max(now_ns, (leg.on_scene_ns or leg.at_ns) + stay_ns)
        way = ", from the scene"
    elif leg.stage != "departed" and leg.scene is not None:
        to_scene_m = road_m(leg.at, leg.scene, travel)
        drive_m = road_m(leg.scene, leg.hospital, travel)
        leaves_ns += round(to_scene_m / travel.speed_mps * SECOND_NS) + stay_ns
        left_m, way = to_scene_m + drive_m, ", by the scene"
    at_ns = leaves_ns + round(drive_m / travel.speed_mps * SECOND_NS)
    method = f"straight line x {travel.detour:g} at {travel.speed_mps * 3.6:.0f} km/h{way}"
    return Arrival(  # never before now
        at_ns=max(at_ns, now_ns), position_ns=leg.at_ns, distance_m=left_m, method=method
    )
