"""Positions as JSON: the operator's network and the caller's browser. Pure.

The network posts, in UTF-8::

    {"number": "+8621123456", "lat": 31.2304, "lon": 121.4737, "radius": 350,
     "confidence": 0.9, "time": "2026-11-23T04:05:06Z", "datum": "wgs84", "method": "cell"}

``number``, ``lat`` and ``lon`` are required. ``radius`` is in metres at ``confidence`` (0 to 1,
0.95 without); ``time`` is RFC 3339 or milliseconds since 1970, the time of arrival without;
``datum`` is ``wgs84`` (default), ``gcj02`` or ``bd09``. ``lat`` and ``lon`` null or absent
together say that the network does not know. Other fields are ignored.

The browser's page posts what the W3C Geolocation API gave it: ``coords`` and ``timestamp``. Its
``accuracy`` is a radius at 95 % (section "accuracy attribute"), its datum WGS-84; a page in an
app that gives another one adds ``datum``.
"""

from __future__ import annotations

import re
from typing import Annotated, TypeVar

import msgspec

from dispatch.location.aml import SHAPES
from dispatch.location.errors import LocationError, NoLocationError
from dispatch.location.reading import Reading
from dispatch.location.values import (
    LARGEST_RADIUS_M,
    MILLISECOND_NS,
    in_time,
    is_null_island,
    position_at,
    quoted,
    read_instant,
)
from streams.geodesy import SourceDatum
from streams.messages import Latitude, Longitude

LARGEST_BODY = 16_384
DEFAULT_CONFIDENCE = 0.95

_Metres = Annotated[float, msgspec.Meta(ge=0, le=LARGEST_RADIUS_M)]
_Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)]
_AT = re.compile(r"\$\.([A-Za-z_.]{1,60})|field `([A-Za-z_]{1,60})`")

_T = TypeVar("_T")


class NetworkPosition(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator's network posts; see the module."""

    number: Annotated[str, msgspec.Meta(pattern=r"^\+?[0-9]{2,20}$")]
    lat: Latitude | None = None
    lon: Longitude | None = None
    radius: _Metres | None = None
    confidence: Annotated[float, msgspec.Meta(gt=0, le=1)] = DEFAULT_CONFIDENCE
    time: Annotated[str, msgspec.Meta(max_length=60)] | _Milliseconds | None = None
    datum: SourceDatum = "wgs84"
    method: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9._-]{1,30}$")] | None = None


class BrowserCoordinates(msgspec.Struct, frozen=True, kw_only=True):
    """``GeolocationCoordinates`` of the W3C Geolocation API."""

    latitude: Latitude
    longitude: Longitude
    accuracy: _Metres | None = None
    altitude: Annotated[float, msgspec.Meta(ge=-20_000, le=1_000_000)] | None = None
    heading: Annotated[float, msgspec.Meta(ge=0, le=360)] | None = None
    speed: Annotated[float, msgspec.Meta(ge=0, le=1000)] | None = None


class BrowserPosition(msgspec.Struct, frozen=True, kw_only=True):
    """``GeolocationPosition``, and the datum where the page knows that it is another."""

    coords: BrowserCoordinates
    timestamp: Annotated[float, msgspec.Meta(ge=0, le=9_000_000_000_000)] | None = None
    datum: SourceDatum = "wgs84"


def read_network(body: bytes | str, received_ns: int) -> Reading:
    """Read what the operator's network says of a number.

    Raises:
        NoLocationError: It does not know.
        LocationError: It is no such document; the field names what is to blame.
    """
    said = _decoded(body, NetworkPosition)
    if not SHAPES["number"].fullmatch(said.number):  # the pattern's $ lets a line end pass
        raise LocationError("number", f"{quoted(said.number)} is not + and digits")
    source = f"network/{said.method.strip()}" if said.method else "network"
    warnings: list[str] = []
    if said.lat is None and said.lon is None:
        nothing = Reading(via="network", number=said.number)
        raise NoLocationError("lat", "missing: the network does not know", nothing)
    if said.lat is None or said.lon is None:
        raise LocationError("lat" if said.lat is None else "lon", "missing")
    if is_null_island(said.lat, said.lon):
        nothing = Reading(via="network", number=said.number)
        raise NoLocationError("lat", "0, and the longitude too: no location", nothing)
    if said.time is None:
        measured_ns = received_ns
        warnings.append("time: missing; taken as measured on arrival")
    elif isinstance(said.time, str):
        measured_ns = read_instant("time", said.time)
    else:
        measured_ns = in_time("time", said.time * MILLISECOND_NS)
    position = position_at(
        said.lat,
        said.lon,
        source=source,
        measured_ns=measured_ns,
        datum=said.datum,
        radius_m=said.radius or None,
        confidence=said.confidence,
    )
    return Reading(
        via="network", positions=(position,), number=said.number, warnings=tuple(warnings)
    )


def read_browser(body: bytes | str, received_ns: int) -> Reading:
    """Read what a caller's page sends; whose it is, the page's link says.

    Raises:
        NoLocationError: The browser gives latitude and longitude 0.
        LocationError: It is no such document; the field names what is to blame.
    """
    said = _decoded(body, BrowserPosition)
    coords = said.coords
    if is_null_island(coords.latitude, coords.longitude):
        raise NoLocationError(
            "coords.latitude", "0, and the longitude too: no location", Reading(via="browser")
        )
    measured_ns, warnings = received_ns, ["timestamp: missing; taken as measured on arrival"]
    if said.timestamp is not None:
        measured_ns, warnings = in_time("timestamp", int(said.timestamp) * MILLISECOND_NS), []
    position = position_at(
        coords.latitude,
        coords.longitude,
        source="browser",
        measured_ns=measured_ns,
        datum=said.datum,
        radius_m=coords.accuracy or None,
        confidence=DEFAULT_CONFIDENCE,
        altitude_m=coords.altitude,
        speed_mps=coords.speed,
        heading_deg=coords.heading,
    )
    return Reading(via="browser", positions=(position,), warnings=tuple(warnings))


def _decoded(body: bytes | str, kind: type[_T]) -> _T:
    """Decode a body; the path in the library's message becomes the field.

    Raises:
        LocationError: It does not fit.
    """
    if len(body) > LARGEST_BODY:
        raise LocationError("body", f"longer than {LARGEST_BODY} bytes")
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        found = _AT.search(str(error))
        field = (found[1] or found[2]) if found else "body"
        raise LocationError(field, quoted(str(error))) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise LocationError("body", f"not JSON: {quoted(str(error))}") from None
