"""Address search: the operator's list, and a geocoder that answers, lies, fails or hangs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from dispatch.location.gazetteer import Gazetteer, similarity
from dispatch.location.geocoder import (
    AddressSearch,
    GeocoderKind,
    GeocoderSearch,
    GeocoderSettings,
    ListSearch,
)
from streams.errors import ConfigError
from streams.geodesy import from_wgs84

LIST = """# our places
name\talternatives\tlatitude\tlongitude\tradius_m
人民广场\tPeople's Square|人民公园\t31.2304\t121.4737\t250
人民路200号\t200 Renmin Road\t31.22\t121.48\t
人民路20号\t20 Renmin Road\t31.221\t121.481\t

南京东路步行街\tNanjing East Road Pedestrian Street\t31.235\t121.48\t400
静安寺\tJing'an Temple\t31.2235\t121.4453\t120
Schönbrunn Palace\tSchloss Schönbrunn\t48.1845\t16.3122\t600
"""


@pytest.fixture(scope="module")
def gazetteer() -> Gazetteer:
    return Gazetteer.read(LIST)


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("人民广场", "人民广场"),
        ("人民广", "人民广场"),
        ("我在人民广场旁边", "人民广场"),
        ("people square", "人民广场"),
        ("PEOPLE’S SQUARE", "人民广场"),
        ("Peoples Sqaure", "人民广场"),
        ("near the People's Square, by the fountain", "人民广场"),
        ("200 renmin rd", "人民路200号"),
        ("20 Renmin Road", "人民路20号"),
        ("schonbrunn", "Schönbrunn Palace"),
        ("Schloss Shonbrun", "Schönbrunn Palace"),
        ("jing an temple", "静安寺"),
    ],
)
def test_gazetteer_what_is_said_or_mistyped_finds_the_place(
    said: str, name: str, gazetteer: Gazetteer
) -> None:
    found = gazetteer.search(said)
    assert found[0].name == name
    assert found[0].quality > 0.75


def test_gazetteer_tells_position_radius_and_how_well_it_fits(gazetteer: Gazetteer) -> None:
    (exact, *_) = gazetteer.search("Jing'an Temple")
    assert (exact.latitude_deg, exact.longitude_deg, exact.radius_m) == (31.2235, 121.4453, 120)
    assert (exact.quality, exact.matched, exact.source) == (1.0, "Jing'an Temple", "gazetteer")
    assert gazetteer.search("人民路200号")[0].radius_m == 100  # the list says none


def test_gazetteer_another_house_number_is_another_house(gazetteer: Gazetteer) -> None:
    best, second = gazetteer.search("20 renmin road")[:2]
    assert (best.name, second.name) == ("人民路20号", "人民路200号")
    assert second.quality < 0.6


@pytest.mark.parametrize("said", ["", "   ", "?!", "xyzzy", "12"])
def test_gazetteer_what_fits_nothing_finds_nothing(said: str, gazetteer: Gazetteer) -> None:
    assert gazetteer.search(said) == ()


def test_gazetteer_of_equally_good_places_the_nearer_comes_first() -> None:
    rows = "name\tlatitude\tlongitude\nMain Street\t31.1\t121.1\nMain Street\t31.9\t121.9\n"
    twice = Gazetteer.read(rows)
    assert twice.search("main street", near=(31.91, 121.9))[0].latitude_deg == 31.9
    assert twice.search("main street", near=(31.11, 121.1))[0].latitude_deg == 31.1
    assert len(twice.search("main street", limit=1)) == 1


def test_gazetteer_in_another_datum_is_converted() -> None:
    lat, lon = from_wgs84("bd09", 31.2304, 121.4737)
    rows = f"name\tlatitude\tlongitude\tdatum\nPeople's Square\t{lat}\t{lon}\tbd09\n"
    (place,) = Gazetteer.read(rows).places
    assert (place.latitude_deg, place.longitude_deg) == pytest.approx((31.2304, 121.4737))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "name"),
        ("name\tlatitude\nx\t1\n", "longitude"),
        ("name\tlatitude\tlongitude\nx\tnorth\t1\n", "latitude"),
        ("name\tlatitude\tlongitude\nx\t1\n", "longitude"),
        ("name\tlatitude\tlongitude\n\t1\t1\n", "name"),
        ("name\tlatitude\tlongitude\tradius_m\nx\t1\t1\t-5\n", "radius_m"),
        ("name\tlatitude\tlongitude\tdatum\nx\t1\t1\tmars\n", "datum"),
    ],
)
def test_gazetteer_with_a_wrong_line_says_which_column(text: str, names: str) -> None:
    with pytest.raises(ConfigError, match=names):
        Gazetteer.read(text, "places.tsv")


@given(st.text(max_size=60), st.text(max_size=60))
def test_similarity_is_a_share_and_only_the_same_words_are_one(one: str, other: str) -> None:
    assert 0 <= similarity(one, other) <= 1
    if any(letter.isalnum() for letter in one) and similarity(one, one):
        assert similarity(one, one) == 1


# --- with a geocoder --------------------------------------------------------------------------

SQUARE = {"lat": "31.23", "lon": "121.47", "display_name": "People's Square, Shanghai"}
FEATURE = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [121.47, 31.23]}}
ANSWERS: dict[GeocoderKind, tuple[str, Any]] = {
    "nominatim": (
        "/search", [SQUARE | {"boundingbox": ["31.228", "31.232", "121.468", "121.472"]}],
    ),
    "photon": (
        "/api",
        {"features": [FEATURE | {"properties": {
            "name": "People's Square", "extent": [121.468, 31.232, 121.472, 31.228]}}]},
    ),
    "pelias": (
        "/v1/search",
        {"features": [FEATURE | {
            "properties": {"name": "People's Square"},
            "bbox": [121.468, 31.228, 121.472, 31.232]}]},
    ),
}  # fmt: skip

Answer = Callable[[web.Request], Any]
Serve = Callable[[str, Answer], Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a geocoder on a free port; a function of path and what it answers."""
    runners: list[web.AppRunner] = []

    async def start(path: str, answer: Answer) -> str:
        async def handle(request: web.Request) -> web.StreamResponse:
            said = answer(request)
            if asyncio.iscoroutine(said):
                said = await said
            return said if isinstance(said, web.StreamResponse) else web.json_response(said)

        app = web.Application()
        app.router.add_get(path, handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.mark.parametrize("kind", ANSWERS)
async def test_geocoder_of_each_kind_gives_name_place_and_radius(
    kind: GeocoderKind, serve: Serve
) -> None:
    asked: list[str] = []
    path, said = ANSWERS[kind]

    def answer(request: web.Request) -> Any:
        asked.append(request.query.get("q") or request.query["text"])
        return said

    url = await serve(path, answer)
    settings = GeocoderSettings(kind, url, language="en")
    async with GeocoderSearch(Gazetteer(), settings) as search:
        result = await search.search("people's square")

    assert asked == ["people's square"]
    assert result.trouble is None
    (found,) = result.found
    assert (found.latitude_deg, found.longitude_deg) == (31.23, 121.47)
    assert found.name.startswith("People's Square")
    assert found.radius_m == pytest.approx(293, rel=0.01)
    assert found.quality > 0.9
    assert found.source == kind


async def test_geocoder_and_list_are_merged_and_the_same_place_comes_once(
    gazetteer: Gazetteer, serve: Serve
) -> None:
    here = SQUARE | {"lat": "31.2304", "lon": "121.4737", "display_name": "人民广场, 黄浦区"}
    there = SQUARE | {"lat": "31.3", "lon": "121.5", "display_name": "人民广场站, 上海"}
    url = await serve("/search", lambda _: [here, there])
    async with GeocoderSearch(gazetteer, GeocoderSettings("nominatim", url)) as search:
        found = (await search.search("人民广场")).found
    assert [(one.source, one.latitude_deg) for one in found[:2]] == [
        ("gazetteer", 31.2304),
        ("nominatim", 31.3),
    ]


async def never(request: web.Request) -> None:
    await asyncio.sleep(3600)


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: web.Response(status=500),
        lambda _: web.Response(status=403),
        lambda _: web.Response(text="<html>"),
        lambda _: [{"lat": "north", "lon": "1", "display_name": "x"}],
        lambda _: {"error": "no"},
        lambda _: [5],
        never,
    ],
)
async def test_geocoder_that_fails_leaves_the_list_and_says_so(
    answer: Answer, gazetteer: Gazetteer, serve: Serve
) -> None:
    url = await serve("/search", answer)
    settings = GeocoderSettings("nominatim", url, timeout_s=0.3)
    async with GeocoderSearch(gazetteer, settings) as search:
        result = await search.search("静安寺")

    assert [one.name for one in result.found] == ["静安寺"]
    assert result.trouble is not None
    assert result.trouble.startswith("nominatim: ")


async def test_geocoder_that_is_not_there_leaves_the_list_and_says_so(
    gazetteer: Gazetteer, free_port: Callable[[], int]
) -> None:
    settings = GeocoderSettings("photon", f"http://127.0.0.1:{free_port()}", timeout_s=0.5)
    async with GeocoderSearch(gazetteer, settings) as search:
        result = await search.search("静安寺")
    assert (len(result.found), result.trouble is not None) == (1, True)


async def test_list_alone_answers_through_the_same_interface(gazetteer: Gazetteer) -> None:
    search: AddressSearch = ListSearch(gazetteer)
    result = await search.search("静安寺")
    assert (result.found[0].name, result.trouble) == ("静安寺", None)


def test_geocoder_with_an_address_that_is_none_stops_the_start() -> None:
    with pytest.raises(ConfigError, match="geocoder"):
        GeocoderSearch(Gazetteer(), GeocoderSettings("nominatim", "localhost:8080"))
