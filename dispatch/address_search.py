"""Finding the place of an address that is said: settings, and the API.

    GET /api/places?q=Long+Street&case=…   {"found": [{"name": …}, …], "trouble": null}

Without settings the list that comes with Forerun is searched, and the hub's own hospitals.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from aiohttp import web

from dispatch.case_record import CaseRecord
from dispatch.cases import position_of
from dispatch.location.gazetteer import Gazetteer, ListedPlace
from dispatch.location.geocoder import (
    AddressSearch,
    GeocoderKind,
    GeocoderSearch,
    GeocoderSettings,
    ListSearch,
)
from dispatch.units import HospitalSettings
from streams.errors import ConfigError
from streams.geodesy import SourceDatum

MOST = 5
HOSPITAL_RADIUS_M = 200.0
LONGEST = 200


class PlaceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where addresses are searched; ``dispatch.toml`` says what each is."""

    list: str = ""
    geocoder: GeocoderKind | Literal[""] = ""
    url: str = ""
    language: str = ""
    datum: SourceDatum = "wgs84"
    timeout_s: Annotated[float, msgspec.Meta(gt=0, le=30)] = 2.0


@contextlib.asynccontextmanager
async def opened_search(
    settings: PlaceSettings, hospitals: tuple[HospitalSettings, ...]
) -> AsyncIterator[AddressSearch]:
    """Give the search of the settings while the block runs.

    Raises:
        ConfigError: The list cannot be read, or the geocoder's address is none.
    """
    gazetteer = Gazetteer([*_listed(settings.list), *map(_hospital, hospitals)])
    if not settings.geocoder:
        yield ListSearch(gazetteer)
        return
    geocoder = GeocoderSettings(
        settings.geocoder, settings.url, settings.timeout_s, settings.language, settings.datum
    )
    async with GeocoderSearch(gazetteer, geocoder) as search:
        yield search


class PlaceApi:
    """The handler."""

    def __init__(self, record: CaseRecord, search: AddressSearch) -> None:
        """Prepare; ``add_routes`` puts it into an application."""
        self._record = record
        self._search = search

    def add_routes(self, app: web.Application) -> None:
        """Add the door to an application whose guard lets in seats only."""
        app.router.add_get("/api/places", self.places)

    async def places(self, request: web.Request) -> web.Response:
        """Answer with the places that fit best; of equally good ones the nearer to the case."""
        query = request.query.get("q", "")[:LONGEST]
        case = self._record.book.get(request.query.get("case"))
        near = position_of(case) if case is not None else None
        result = await self._search.search(query, limit=MOST, near=near)
        found = [asdict(one) for one in result.found]
        body = msgspec.json.encode({"found": found, "trouble": result.trouble})
        return web.Response(body=body, content_type="application/json")


def _listed(name: str) -> tuple[ListedPlace, ...]:
    if not name:
        text = resources.files("dispatch").joinpath("places.tsv").read_text(encoding="utf-8")
        return Gazetteer.read(text).places
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"[places] list {name}: {error}") from error
    return Gazetteer.read(text, name).places


def _hospital(one: HospitalSettings) -> ListedPlace:
    return ListedPlace(
        one.title, (one.name,), one.latitude_deg, one.longitude_deg, HOSPITAL_RADIUS_M
    )
