"""Shapes of the geometry markup in location documents, reduced to a circle. Pure.

RFC 5491, section 5, names the shapes and that coordinates are latitude, longitude and, in
EPSG:4979, metres above the ellipsoid. A shape becomes its centroid and the distance to its
furthest point (RFC 7459, section 5.1): at least as much confidence as the shape had.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from dispatch.location.errors import LocationError
from dispatch.location.values import (
    LARGEST_RADIUS_M,
    is_null_island,
    quoted,
    read_latitude,
    read_longitude,
    read_number,
)
from dispatch.location.xml_tree import Element
from streams.geodesy import LocalPlane

Place = tuple[float, float, float | None]
"""(latitude, longitude, altitude or None)."""

MOST_VERTICES = 500
_METRES = {"9001": 1.0, "m": 1.0, "metre": 1.0, "meter": 1.0, "9036": 1000.0, "9002": 0.3048}
_DEGREES = {"9102", "degree", "deg"}
_RADIANS = {"9101", "rad", "radian"}


@dataclass(frozen=True, slots=True)
class Circle:
    """Where and how uncertain; ``radius_m`` is None for a point."""

    latitude: float
    longitude: float
    altitude_m: float | None = None
    radius_m: float | None = None


def is_shape(element: Element) -> bool:
    """Whether the element is a shape that is known here."""
    return element.name in _SHAPES


def read_shape(element: Element) -> Circle:
    """Return the circle around a shape.

    Raises:
        LocationError: Naming the element that is to blame.
    """
    circle = _SHAPES[element.name](element)
    if is_null_island(circle.latitude, circle.longitude):
        raise LocationError("pos", "latitude and longitude are 0: no location")
    # A circle without extent says where, not how well that is known.
    return circle if circle.radius_m else replace(circle, radius_m=None)


def _dimensions(element: Element, above: int) -> int:
    """Return how many numbers a place has by ``srsName``; ``above`` is what the parent says."""
    name = element.attributes.get("srsName", "").strip()
    if not name:
        return above
    code = name.rstrip("/").replace("#", ":").replace("/", ":").rpartition(":")[2]
    if code == "4326":
        return 2
    if code == "4979":
        return 3
    raise LocationError("srsName", f"{quoted(name)} is neither EPSG:4326 nor EPSG:4979")


def _place(field: str, numbers: list[str]) -> Place:
    """Return a place of two or three numbers, latitude first in both systems."""
    if len(numbers) not in (2, 3):
        raise LocationError(field, f"{len(numbers)} numbers, not latitude and longitude")
    altitude = read_number(field, numbers[2], -20_000, 1_000_000) if len(numbers) == 3 else None
    return read_latitude(field, numbers[0]), read_longitude(field, numbers[1]), altitude


def _pos(element: Element) -> Place:
    """Return the place in ``pos``, which may stand in ``center`` as older drafts had it."""
    _dimensions(element, 0)
    holder = element
    for name in ("center", "centre"):
        for child in element.all(name):
            holder = next(child.within("Point"), child)
    found = holder.only("pos")
    if found is None:
        raise LocationError("pos", f"missing in {element.name}")
    _dimensions(found, 0)
    return _place("pos", found.text.split())


def _length(element: Element, name: str) -> float:
    """Return a length in metres; without a unit it is in metres."""
    found = element.only(name)
    if found is None:
        raise LocationError(name, f"missing in {element.name}")
    unit = found.attributes.get("uom", "m").strip().rpartition(":")[2].lower()
    if unit not in _METRES:
        raise LocationError(name, f"unit {quoted(unit)} is not known")
    return read_number(name, found.text, 0, LARGEST_RADIUS_M) * _METRES[unit]


def _angle(element: Element, name: str) -> float:
    """Return an angle in degrees; without a unit it is in degrees."""
    found = element.only(name)
    if found is None:
        raise LocationError(name, f"missing in {element.name}")
    unit = found.attributes.get("uom", "deg").strip().rpartition(":")[2].lower()
    if unit in _RADIANS:
        return math.degrees(read_number(name, found.text, -7, 7))
    if unit not in _DEGREES:
        raise LocationError(name, f"unit {quoted(unit)} is not known")
    return read_number(name, found.text, -360, 360)


def _point(element: Element) -> Circle:
    return Circle(*_pos(element))


def _circle(element: Element) -> Circle:
    return Circle(*_pos(element), radius_m=_length(element, "radius"))


def _ellipse(element: Element) -> Circle:
    axes = _length(element, "semiMajorAxis"), _length(element, "semiMinorAxis")
    return Circle(*_pos(element), radius_m=max(axes))


def _polygon(element: Element) -> Circle:
    dimensions = _dimensions(element, 0)
    rings = list(element.within("LinearRing"))
    if len(rings) != 1:
        raise LocationError("LinearRing", f"{len(rings)} of them, not one")
    places = _vertices(rings[0], _dimensions(rings[0], dimensions))
    if places[0] == places[-1]:
        places.pop()
    if len(places) < 3:
        raise LocationError("LinearRing", "fewer than three corners")
    plane = LocalPlane(places[0][0], places[0][1])
    corners = [plane.to_metres(place[0], place[1]) for place in places]
    centre = _centroid(corners)
    radius_m = max(math.dist(centre, corner) for corner in corners)
    if radius_m > LARGEST_RADIUS_M:
        raise LocationError("LinearRing", "larger than the earth")
    heights = [place[2] for place in places if place[2] is not None]
    altitude = sum(heights) / len(heights) if heights else None
    return Circle(*plane.to_degrees(*centre), altitude, radius_m)


def _vertices(ring: Element, dimensions: int) -> list[Place]:
    """Return the corners of ``pos``, ``pointProperty`` or ``posList``."""
    listed = ring.only("posList")
    if listed is None:
        groups = [found.text.split() for found in ring.within("pos")]
    else:
        numbers = listed.text.split()
        stated = _dimensions(listed, dimensions)
        if listed.attributes.get("srsDimension", "").strip() in ("2", "3"):
            stated = int(listed.attributes["srsDimension"])
        stated = stated or (3 if len(numbers) % 2 else 2)
        groups = [numbers[at : at + stated] for at in range(0, len(numbers), stated)]
    if not 3 <= len(groups) <= MOST_VERTICES:
        raise LocationError("LinearRing", f"{len(groups)} corners")
    return [_place("posList" if listed else "pos", group) for group in groups]


def _centroid(corners: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the centre of a plane polygon's area; of its corners where it has no area."""
    double_area = east = north = 0.0
    for (x, y), (next_x, next_y) in zip(corners, corners[1:] + corners[:1], strict=True):
        cross = x * next_y - next_x * y
        double_area += cross
        east += (x + next_x) * cross
        north += (y + next_y) * cross
    span = max(max(abs(x), abs(y)) for x, y in corners)
    if abs(double_area) > 1e-6 * span * span:
        centre = east / (3 * double_area), north / (3 * double_area)
        if math.hypot(*centre) <= 2 * span:
            return centre
    # No area, or a ring that crosses itself, whose centre can be anywhere: its corners' middle.
    count = len(corners)
    return sum(x for x, _ in corners) / count, sum(y for _, y in corners) / count


def _arc_band(element: Element) -> Circle:
    """Return the circle of a sector of a ring: what a base station sees (RFC 5491, 5.2.5)."""
    latitude, longitude, altitude = _pos(element)
    inner, outer = _length(element, "innerRadius"), _length(element, "outerRadius")
    if outer < inner or outer == 0:
        raise LocationError("outerRadius", "smaller than innerRadius, or 0")
    start, opening = _angle(element, "startAngle"), _angle(element, "openingAngle")
    if not 0 <= opening <= 360:
        raise LocationError("openingAngle", "not between 0 and 360 degrees")
    half = math.radians(opening) / 2
    narrowing = math.sin(half) / half if half > 1e-9 else 1.0
    away = 2 / 3 * narrowing * (outer**2 + outer * inner + inner**2) / (outer + inner)
    angles = [half * step / 32 for step in range(33)]
    edge = [(ring * math.sin(a), ring * math.cos(a)) for ring in (inner, outer) for a in angles]
    radius_m = max(math.dist((0.0, away), place) for place in edge)
    middle = math.radians(start) + half
    plane = LocalPlane(latitude, longitude)
    centre = plane.to_degrees(away * math.sin(middle), away * math.cos(middle))
    return Circle(*centre, altitude, radius_m)


def _ellipsoid(element: Element) -> Circle:
    _length(element, "verticalAxis")
    return _ellipse(element)


def _prism(element: Element) -> Circle:
    """Return the circle of a prism's base, in the middle of its height."""
    base = element.only("base")
    if base is None:
        raise LocationError("base", "missing in Prism")
    height_m = _length(element, "height")
    circle = _polygon(base)
    if circle.altitude_m is None:
        return circle
    return replace(circle, altitude_m=circle.altitude_m + height_m / 2)


_SHAPES: dict[str, Callable[[Element], Circle]] = {
    "Point": _point,
    "Circle": _circle,
    "Sphere": _circle,
    "Ellipse": _ellipse,
    "Ellipsoid": _ellipsoid,
    "Polygon": _polygon,
    "ArcBand": _arc_band,
    "Prism": _prism,
}
