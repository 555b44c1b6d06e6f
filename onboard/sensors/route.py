"""Positions along a drawn route, for demonstrations and drills; always synthetic."""

from __future__ import annotations

import math

from geopy.distance import geodesic

from onboard.sensors.settings import RouteSettings, Waypoint
from onboard.sensors.track import Track, TrackPoint, TrackReplay
from streams.messages import Origin

PERIOD_S = 1.0


class Route(TrackReplay[RouteSettings]):
    """Drives the route once a second, straight between waypoints, and stays at its end."""

    origin: Origin = "synthetic"
    source = "synthetic"

    def read(self) -> Track:
        """Lay the positions out along the route; nothing can fail."""
        return trace(self.settings)


def trace(route: RouteSettings) -> list[TrackPoint]:
    """Return a position per second along the route, and one at its last waypoint."""
    points: list[TrackPoint] = []
    offset_s = 0.0
    legs = list(zip(route.waypoints, route.waypoints[1:], strict=False))
    next_s = 0.0
    for start, end in legs:
        heading = heading_deg(start, end)
        while next_s < offset_s + start.stop_s:
            points.append(_at(start, next_s, route.radius_m, 0.0, heading))
            next_s += PERIOD_S
        offset_s += start.stop_s
        length_m = geodesic(_pair(start), _pair(end)).meters
        speed_mps = start.speed_mps or route.speed_mps
        duration_s = length_m / speed_mps
        while next_s < offset_s + duration_s:
            share = (next_s - offset_s) / duration_s
            place = Waypoint(
                latitude_deg=start.latitude_deg + share * (end.latitude_deg - start.latitude_deg),
                longitude_deg=start.longitude_deg
                + share * (end.longitude_deg - start.longitude_deg),
            )
            points.append(_at(place, next_s, route.radius_m, speed_mps, heading))
            next_s += PERIOD_S
        offset_s += duration_s
    last = route.waypoints[-1]
    until_s = offset_s + last.stop_s
    arrival_heading = points[-1].heading_deg if points else None
    while next_s <= until_s:
        points.append(_at(last, max(next_s, offset_s), route.radius_m, 0.0, arrival_heading))
        next_s += PERIOD_S
    points.append(_at(last, until_s, route.radius_m, 0.0, arrival_heading))
    return points


def _pair(point: Waypoint) -> tuple[float, float]:
    return (point.latitude_deg, point.longitude_deg)


def _at(
    point: Waypoint, at_s: float, radius_m: float, speed_mps: float, heading: float | None
) -> TrackPoint:
    return TrackPoint(
        offset_s=at_s,
        latitude_deg=point.latitude_deg,
        longitude_deg=point.longitude_deg,
        radius_m=radius_m,
        speed_mps=speed_mps,
        heading_deg=heading,
    )


def heading_deg(start: Waypoint, end: Waypoint) -> float:
    """Return the initial heading of the great circle, degrees clockwise from north."""
    phi_1, phi_2 = math.radians(start.latitude_deg), math.radians(end.latitude_deg)
    east = math.radians(end.longitude_deg - start.longitude_deg)
    y = math.sin(east) * math.cos(phi_2)
    x = math.cos(phi_1) * math.sin(phi_2) - math.sin(phi_1) * math.cos(phi_2) * math.cos(east)
    return math.degrees(math.atan2(y, x)) % 360
