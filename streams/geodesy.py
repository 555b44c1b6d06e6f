"""Datums of positions and a plane around a place. Pure; the order is latitude, longitude.

China's public maps are not drawn in WGS-84: GCJ-02 (Amap, Tencent, WeChat) shifts it by 100 to
700 m, BD-09 (Baidu) shifts GCJ-02 once more. Neither has a published standard; what is used
everywhere, and here, is the formula that was found in 2010 (a polynomial with sines on the
ellipsoid of Krasovsky 1940), and the published vectors agree with it.

**A place is never shifted because of where it is.** The usual test "in China" is a rectangle
that holds Seoul, Ulaanbaatar, Hong Kong and Taipei. Only a source that is known to speak GCJ-02
or BD-09 is converted, by its tag; without one a position is WGS-84. The rectangle stays what it
is in all implementations: outside of it the formula is not defined and a tagged place stays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

SourceDatum = Literal["wgs84", "gcj02", "bd09"]
"""What a source or a map layer can be in; between parts of this software all is WGS-84."""

Degrees = tuple[float, float]
"""(latitude, longitude)."""

_AXIS_M = 6_378_245.0  # semi-major axis and eccentricity squared of Krasovsky 1940
_ECCENTRICITY_2 = 0.00669342162296594323
_BD_WAVE = math.pi * 3000 / 180
_BD_SHIFT = (0.006, 0.0065)  # latitude, longitude
_CLOSE_DEG = 1e-12  # 0.1 micrometres
_ROUNDS = 30  # five are enough; a bound for places where the formula has no inverse

WGS84_AXIS_M = 6_378_137.0
WGS84_ECCENTRICITY_2 = 6.69437999014e-3


def to_wgs84(datum: SourceDatum, latitude: float, longitude: float) -> Degrees:
    """Return a place of a source in WGS-84.

    Args:
        datum: What the source is known to speak; never guessed from the place.
        latitude: Degrees north.
        longitude: Degrees east.

    Returns:
        (latitude, longitude). Going back gives the place within 1 mm.
    """
    if datum == "gcj02":
        return _gcj02_to_wgs84(latitude, longitude)
    if datum == "bd09":
        return _gcj02_to_wgs84(*_bd09_to_gcj02(latitude, longitude))
    return latitude, longitude


def from_wgs84(datum: SourceDatum, latitude: float, longitude: float) -> Degrees:
    """Return a place of WGS-84 as a map layer of another datum draws it."""
    if datum == "gcj02":
        return _wgs84_to_gcj02(latitude, longitude)
    if datum == "bd09":
        return _gcj02_to_bd09(*_wgs84_to_gcj02(latitude, longitude))
    return latitude, longitude


def _in_formula(latitude: float, longitude: float) -> bool:
    """Whether the formula is defined there: a rectangle, which is not China."""
    return 72.004 <= longitude <= 137.8347 and 0.8293 <= latitude <= 55.8271


def _shift(latitude: float, longitude: float) -> Degrees:
    """Return by how much GCJ-02 differs from WGS-84 at a place of WGS-84, in degrees."""
    x, y = longitude - 105.0, latitude - 35.0
    root = math.sqrt(abs(x))
    waves = 20 * math.sin(6 * x * math.pi) + 20 * math.sin(2 * x * math.pi)
    north = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root
    north += 2 / 3 * (waves + 20 * math.sin(y * math.pi) + 40 * math.sin(y / 3 * math.pi))
    north += 2 / 3 * (160 * math.sin(y / 12 * math.pi) + 320 * math.sin(y / 30 * math.pi))
    east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root
    east += 2 / 3 * (waves + 20 * math.sin(x * math.pi) + 40 * math.sin(x / 3 * math.pi))
    east += 2 / 3 * (150 * math.sin(x / 12 * math.pi) + 300 * math.sin(x / 30 * math.pi))
    sine = math.sin(math.radians(latitude))
    bend = 1 - _ECCENTRICITY_2 * sine * sine
    meridian_m = _AXIS_M * (1 - _ECCENTRICITY_2) / (bend * math.sqrt(bend))
    parallel_m = _AXIS_M / math.sqrt(bend) * math.cos(math.radians(latitude))
    return math.degrees(north / meridian_m), math.degrees(east / parallel_m)


def _wgs84_to_gcj02(latitude: float, longitude: float) -> Degrees:
    if not _in_formula(latitude, longitude):
        return latitude, longitude
    north, east = _shift(latitude, longitude)
    return latitude + north, longitude + east


def _gcj02_to_wgs84(latitude: float, longitude: float) -> Degrees:
    """Search the place whose GCJ-02 this is: w <- g - shift(w), which contracts by 0.01."""
    if not _in_formula(latitude, longitude):
        return latitude, longitude
    found = latitude, longitude
    for _ in range(_ROUNDS):
        north, east = _shift(*found)
        better = latitude - north, longitude - east
        moved = max(abs(better[0] - found[0]), abs(better[1] - found[1]))
        found = better
        if moved < _CLOSE_DEG:
            break
    return found


def _gcj02_to_bd09(latitude: float, longitude: float) -> Degrees:
    if not _in_formula(latitude, longitude):
        return latitude, longitude
    return _bd09_curve(latitude, longitude)


def _bd09_curve(latitude: float, longitude: float) -> Degrees:
    radius = math.hypot(latitude, longitude) + 2e-5 * math.sin(latitude * _BD_WAVE)
    angle = math.atan2(latitude, longitude) + 3e-6 * math.cos(longitude * _BD_WAVE)
    return (
        radius * math.sin(angle) + _BD_SHIFT[0],
        radius * math.cos(angle) + _BD_SHIFT[1],
    )


def _bd09_to_gcj02(latitude: float, longitude: float) -> Degrees:
    """Search the place whose BD-09 this is; the usual one step leaves up to 2 m."""
    if not _in_formula(latitude - _BD_SHIFT[0], longitude - _BD_SHIFT[1]):
        return latitude, longitude
    found = latitude - _BD_SHIFT[0], longitude - _BD_SHIFT[1]
    for _ in range(_ROUNDS):
        there = _bd09_curve(*found)
        off = latitude - there[0], longitude - there[1]
        found = found[0] + off[0], found[1] + off[1]
        if max(abs(off[0]), abs(off[1])) < _CLOSE_DEG:
            break
    return found


@dataclass(frozen=True, slots=True)
class LocalPlane:
    """Metres east and north of a place, on the ellipsoid's radii of curvature there.

    Within 50 km of the place distances are right to 1 %, within 5 km to 0.1 % (below 75 degrees
    of latitude). Across the 180th meridian the short way is taken.

    Attributes:
        latitude: Of the place, degrees, WGS-84.
        longitude: Of the place.
    """

    latitude: float
    longitude: float

    def _scale(self) -> Degrees:
        sine = math.sin(math.radians(self.latitude))
        bend = 1 - WGS84_ECCENTRICITY_2 * sine * sine
        north = WGS84_AXIS_M * (1 - WGS84_ECCENTRICITY_2) / (bend * math.sqrt(bend))
        east = WGS84_AXIS_M / math.sqrt(bend) * math.cos(math.radians(self.latitude))
        return math.radians(north), math.radians(max(east, 1.0))  # a pole has no east

    def to_metres(self, latitude: float, longitude: float) -> tuple[float, float]:
        """Return (east, north) in metres of a place in degrees."""
        north, east = self._scale()
        away = (longitude - self.longitude + 540) % 360 - 180
        return away * east, (latitude - self.latitude) * north

    def to_degrees(self, east_m: float, north_m: float) -> Degrees:
        """Return (latitude, longitude) of what lies so many metres east and north."""
        north, east = self._scale()
        longitude = self.longitude + east_m / east
        if not -180 <= longitude <= 180:
            longitude = (longitude + 540) % 360 - 180
        return max(-90.0, min(90.0, self.latitude + north_m / north)), longitude
