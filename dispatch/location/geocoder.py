"""Address search: the operator's list at once, and a configured geocoder beside it.

The only part of this package that does I/O. The geocoder is the operator's own (Nominatim,
Pelias or Photon, through geopy): addresses of callers go nowhere else, and nothing is asked when
none is configured. It has a time limit; when it fails the list's answers stand, and the result
says what is wrong.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol
from urllib.parse import urlsplit

import structlog
from geopy.adapters import AdapterHTTPError, AioHTTPAdapter
from geopy.exc import GeopyError
from geopy.geocoders import Nominatim, Pelias, Photon

from dispatch.location.gazetteer import Found, Gazetteer, ranked, similarity
from streams.errors import ConfigError
from streams.geodesy import Degrees, LocalPlane, SourceDatum, to_wgs84

GeocoderKind = Literal["nominatim", "pelias", "photon"]

USER_AGENT = "forerun-dispatch"
LEAST_RADIUS_M = 30.0
"""Of a house: the point may be the entrance's, the roof's or the street's."""
SILENT_RADIUS_M = 100.0

_SAME_PLACE_M = 50.0
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class GeocoderSettings:
    """Which geocoder is asked.

    Attributes:
        url: Of the server, without the API's path: ``http://127.0.0.1:8080``.
        timeout_s: The dispatcher types on meanwhile.
        language: Of the names, as the server knows it; empty leaves it to the server.
        datum: Of its coordinates; OpenStreetMap's are WGS-84.
    """

    kind: GeocoderKind
    url: str
    timeout_s: float = 2.0
    language: str = ""
    datum: SourceDatum = "wgs84"


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What was found, the best first.

    Attributes:
        trouble: Why the geocoder did not answer; None where it did or none is configured.
    """

    found: tuple[Found, ...]
    trouble: str | None = None


class AddressSearch(Protocol):
    """Finds places by what a caller says."""

    async def search(
        self, query: str, *, limit: int = 8, near: Degrees | None = None
    ) -> SearchResult:
        """Return the places that fit best, the best first; never raises for a bad network."""


class ListSearch:
    """Searches the operator's list alone."""

    def __init__(self, gazetteer: Gazetteer) -> None:
        self._gazetteer = gazetteer

    async def search(
        self, query: str, *, limit: int = 8, near: Degrees | None = None
    ) -> SearchResult:
        """Return the places of the list."""
        return SearchResult(self._gazetteer.search(query, limit=limit, near=near))


class GeocoderSearch:
    """Searches the operator's list and asks a geocoder; used as ``async with``."""

    def __init__(self, gazetteer: Gazetteer, settings: GeocoderSettings) -> None:
        """Prepare.

        Raises:
            ConfigError: The address is none of http and https.
        """
        self._gazetteer = gazetteer
        self._settings = settings
        self._geocoder = _build(settings)

    async def __aenter__(self) -> GeocoderSearch:
        await self._geocoder.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._geocoder.__aexit__(kind, error, trace)

    async def search(
        self, query: str, *, limit: int = 8, near: Degrees | None = None
    ) -> SearchResult:
        """Return the places of both, each once."""
        listed = self._gazetteer.search(query, limit=limit, near=near)
        if not query.strip():
            return SearchResult(listed)
        try:
            asked, trouble = await self._ask(query, limit), None
        except (GeopyError, AdapterHTTPError, TimeoutError) as error:
            asked, trouble = (), f"{self._settings.kind}: {error or 'no answer in time'}"
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            # What geopy raises where a server answers something else than it should.
            asked, trouble = (), f"{self._settings.kind}: unreadable answer ({error!r})"
        if trouble is not None:
            log.warning("geocoder_failed", error=trouble)
        # What the operator listed himself wins over the same place from elsewhere.
        new = [one for one in asked if not any(_is_same(one, other) for other in listed)]
        return SearchResult(ranked([*listed, *new], near)[:limit], trouble)

    async def _ask(self, query: str, limit: int) -> tuple[Found, ...]:
        settings = self._settings
        said: dict[str, Any] = {"exactly_one": False, "timeout": settings.timeout_s}
        if settings.kind != "pelias":
            said["limit"] = limit
        if settings.language:
            said["language"] = settings.language
        async with asyncio.timeout(settings.timeout_s + 0.5):
            answers = await self._geocoder.geocode(query[:200], **said)
        found = [_found(one, query, settings) for one in (answers or ())[:limit]]
        return tuple(one for one in found if one is not None)


def _build(settings: GeocoderSettings) -> Any:
    parts = urlsplit(settings.url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigError(f"geocoder: {settings.url!r} is no address with http or https")
    said: dict[str, Any] = {
        "domain": (parts.netloc + parts.path).rstrip("/"),
        "scheme": parts.scheme,
        "timeout": settings.timeout_s,
        "user_agent": USER_AGENT,
        "adapter_factory": AioHTTPAdapter,
        "proxies": {},  # the system's proxy is not asked about callers
    }
    kinds: Mapping[str, Any] = {"nominatim": Nominatim, "pelias": Pelias, "photon": Photon}
    return kinds[settings.kind](**said)


def _found(answer: Any, query: str, settings: GeocoderSettings) -> Found | None:
    """Return an answer as a place; None where it has no usable coordinates."""
    latitude, longitude = float(answer.latitude), float(answer.longitude)
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        return None
    name = str(answer.address or "")[:300]
    first = name.partition(",")[0]
    latitude, longitude = to_wgs84(settings.datum, latitude, longitude)
    # What it finds is near what was asked; how near its words are says the rest.
    quality = max(similarity(query, name), similarity(query, first), 0.4)
    radius_m = _radius(answer.raw)
    return Found(name, latitude, longitude, radius_m, min(quality, 0.99), name, settings.kind)


def _radius(raw: Any) -> float:
    """Return half the diagonal of the box that an answer comes with, in metres."""
    box = _box(raw if isinstance(raw, Mapping) else {})
    if box is None or not all(map(math.isfinite, box)):
        return SILENT_RADIUS_M
    south, west, north, east = box
    plane = LocalPlane((south + north) / 2, (west + east) / 2)
    return max(LEAST_RADIUS_M, math.hypot(*plane.to_metres(north, east)))


def _box(raw: Mapping[str, Any]) -> tuple[float, float, float, float] | None:
    """Return (south, west, north, east) as each server writes it."""
    properties = raw.get("properties")
    extent = properties.get("extent") if isinstance(properties, Mapping) else None
    for numbers, order in (
        (raw.get("boundingbox"), (0, 2, 1, 3)),  # Nominatim: south, north, west, east
        (extent, (3, 0, 1, 2)),  # Photon: west, north, east, south
        (raw.get("bbox"), (1, 0, 3, 2)),  # Pelias, GeoJSON: west, south, east, north
    ):
        if isinstance(numbers, Sequence) and len(numbers) == 4:
            south, west, north, east = (float(numbers[at]) for at in order)
            return south, west, north, east
    return None


def _is_same(one: Found, other: Found) -> bool:
    away = LocalPlane(one.latitude_deg, one.longitude_deg).to_metres(
        other.latitude_deg, other.longitude_deg
    )
    return math.hypot(*away) <= _SAME_PLACE_M and similarity(one.name, other.name) > 0.6
