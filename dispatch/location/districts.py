"""The districts of a service area, and which of them a circle touches. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from streams.errors import ConfigError
from streams.geodesy import Degrees, LocalPlane
from streams.messages import Latitude, Longitude

Border = tuple[tuple[Latitude, Longitude], ...]
"""Corners of a district's border, WGS-84; empty is without one."""

_DEGREE_M: Final = 111_320.0


def check_border(border: Border, where: str) -> None:
    """Check that a border has an inside.

    Raises:
        ConfigError: It has one or two corners.
    """
    if 0 < len(border) < 3:
        raise ConfigError(f"{where} `border` wants three corners or more")


@dataclass(frozen=True, slots=True)
class District:
    """A district by its border.

    Attributes:
        name: As people call it.
        rings: Closed lines of (latitude, longitude), WGS-84; the first point need not be
            repeated. A ring within a ring is a hole. None crosses the 180th meridian.
    """

    name: str
    rings: tuple[tuple[Degrees, ...], ...]
    _boxes: tuple[tuple[float, float, float, float], ...] = field(
        init=False, repr=False, compare=False, default=()
    )

    def __post_init__(self) -> None:
        """Look up once what every fix of every call is held against."""
        boxes = tuple(
            (min(p[0] for p in r), max(p[0] for p in r), min(p[1] for p in r), max(p[1] for p in r))
            for r in self.rings
            if r
        )
        object.__setattr__(self, "_boxes", boxes)

    def holds(self, latitude: float, longitude: float) -> bool:
        """Whether a place is inside (even-odd rule over all rings)."""
        inside = False
        for ring in filter(None, self.rings):
            before = ring[-1]
            for here in ring:
                crosses = (here[0] > latitude) != (before[0] > latitude)
                if crosses:
                    along = (latitude - here[0]) / (before[0] - here[0])
                    if longitude < here[1] + along * (before[1] - here[1]):
                        inside = not inside
                before = here
        return inside

    def is_near(self, latitude: float, longitude: float, within_m: float) -> bool:
        """Whether the box around it is within some metres of a place; cheap."""
        north = within_m / _DEGREE_M
        east = north / max(math.cos(math.radians(latitude)), 0.01)
        return any(
            low - north <= latitude <= high + north and left - east <= longitude <= right + east
            for low, high, left, right in self._boxes
        )

    def touches(self, latitude: float, longitude: float, radius_m: float) -> bool:
        """Whether a circle has a point in common with it."""
        if not self.is_near(latitude, longitude, radius_m):
            return False
        if self.holds(latitude, longitude):
            return True
        plane = LocalPlane(latitude, longitude)
        for ring in self.rings:
            corners = [plane.to_metres(*corner) for corner in ring]
            for one, other in zip(corners, corners[1:] + corners[:1], strict=True):
                if _from_origin_m(one, other) <= radius_m:
                    return True
        return False


def touched(
    districts: Sequence[District], latitude: float, longitude: float, radius_m: float
) -> tuple[str, ...]:
    """Return the names of the districts that a circle touches, the one of its centre first."""
    names = [d for d in districts if d.touches(latitude, longitude, radius_m)]
    names.sort(key=lambda d: (not d.holds(latitude, longitude), d.name))
    return tuple(d.name for d in names)


def _from_origin_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Return the distance of (0, 0) from the line between two points."""
    along = other[0] - one[0], other[1] - one[1]
    length = along[0] ** 2 + along[1] ** 2
    if length == 0:
        return math.hypot(*one)
    share = max(0.0, min(1.0, -(one[0] * along[0] + one[1] * along[1]) / length))
    return math.hypot(one[0] + share * along[0], one[1] + share * along[1])
