"""Reading numbers, times and places out of text, strictly: what is not plain is refused.

``float()`` takes ``nan``, ``1_0`` and digits of other scripts; a place must not.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from dispatch.location.errors import LocationError
from streams.geodesy import SourceDatum, to_wgs84
from streams.messages import GivenPlace, Position

SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000
LAST_NS = 2**63 - 1
LARGEST_RADIUS_M = 20_100_000.0  # half round the earth
NULL_ISLAND_DEG = 1e-5  # phones cut coordinates to five decimals

_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,2})?"
)
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,20}))?"
    r"(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_SHOWN = 60


def quoted(text: str) -> str:
    """Return what was found, short enough for a message and a log line."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def read_number(field: str, text: str, low: float, high: float) -> float:
    """Return a decimal number between two bounds, both included.

    Raises:
        LocationError: It is not a number or lies outside.
    """
    if not _NUMBER.fullmatch(text):
        raise LocationError(field, f"{quoted(text)} is not a number")
    value = float(text)
    if not low <= value <= high:
        raise LocationError(field, f"{quoted(text)} is not between {low:g} and {high:g}")
    return value + 0.0  # -0.0 is shown as 0.0


def read_whole(field: str, text: str, low: int, high: int) -> int:
    """Return a whole number between two bounds, both included.

    Raises:
        LocationError: It is not a whole number or lies outside.
    """
    if not _WHOLE.fullmatch(text):
        raise LocationError(field, f"{quoted(text)} is not a whole number")
    value = int(text)
    if not low <= value <= high:
        raise LocationError(field, f"{quoted(text)} is not between {low} and {high}")
    return value


def read_latitude(field: str, text: str) -> float:
    """Return degrees north."""
    return read_number(field, text, -90, 90)


def read_longitude(field: str, text: str) -> float:
    """Return degrees east."""
    return read_number(field, text, -180, 180)


def read_radius(field: str, text: str) -> float | None:
    """Return metres, None for 0: phones write 0 where they do not know (Android ELS, SMS)."""
    return read_number(field, text, 0, LARGEST_RADIUS_M) or None


def read_compact_time(field: str, text: str) -> int:
    """Return the nanoseconds of ``yyyyMMddHHmmss`` in UTC (TS 103 625, attribute top)."""
    if not re.fullmatch(r"[0-9]{14}", text):
        raise LocationError(field, f"{quoted(text)} is not a time of 14 digits")
    try:
        moment = datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise LocationError(field, f"{quoted(text)} is no date and time") from None
    return in_time(field, int(moment.timestamp()) * SECOND_NS)


def read_instant(field: str, text: str) -> int:
    """Return the nanoseconds of an RFC 3339 time; without a zone it is UTC.

    Raises:
        LocationError: It is none, or outside of 1970 to 2262.
    """
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        raise LocationError(field, f"{quoted(text.strip())} is not a time")
    whole, fraction, zone = match.groups()
    try:
        moment = datetime.fromisoformat(whole + ("+00:00" if zone in (None, "Z") else zone))
        seconds = int(moment.timestamp())
    except (ValueError, OverflowError):
        raise LocationError(field, f"{quoted(text.strip())} is no date and time") from None
    return in_time(field, seconds * SECOND_NS + int((fraction or "0")[:9].ljust(9, "0")))


def in_time(field: str, nanoseconds: int) -> int:
    """Return a time that a message can carry.

    Raises:
        LocationError: It is before 1970 or after 2262.
    """
    if not 0 <= nanoseconds <= LAST_NS:
        raise LocationError(field, "the time is not between 1970 and 2262")
    return nanoseconds


def is_null_island(latitude: float, longitude: float) -> bool:
    """Whether it is where the equator meets the prime meridian: nobody, and no answer."""
    return abs(latitude) < NULL_ISLAND_DEG and abs(longitude) < NULL_ISLAND_DEG


def position_at(
    latitude: float,
    longitude: float,
    *,
    source: str,
    measured_ns: int,
    datum: SourceDatum = "wgs84",
    radius_m: float | None = None,
    confidence: float | None = None,
    altitude_m: float | None = None,
    speed_mps: float | None = None,
    heading_deg: float | None = None,
) -> Position:
    """Return a position in WGS-84 that keeps what its source gave in another datum."""
    given = None
    if datum != "wgs84":
        given = GivenPlace(datum=datum, latitude_deg=latitude, longitude_deg=longitude)
        latitude, longitude = to_wgs84(datum, latitude, longitude)
    return Position(
        latitude_deg=latitude,
        longitude_deg=longitude,
        measured_ns=measured_ns,
        source=source,
        radius_m=radius_m,
        confidence=confidence if radius_m is not None else None,
        altitude_m=altitude_m,
        speed_mps=speed_mps,
        heading_deg=heading_deg,
        given=given,
    )
