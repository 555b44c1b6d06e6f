"""Positions of callers against a real hub: from phones, exchanges and location servers."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from dispatch.district import DistrictSettings
from dispatch.neighbours import NeighbourSettings
from dispatch.settings import Calls
from streams.service import listening
from tests.call_sources import NUMBER, Outside, aml
from tests.hub_town import BOUND_S, Town, a_town


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as made:
        yield made


async def test_aml_message_reaches_the_call_of_its_number_once(town: Town) -> None:
    async with town.open_hub():
        outside = Outside(town)
        case, message = await outside.ring(), {"number": "13800000001", "text": aml()}
        for _ in range(2):
            told = await outside.say("/exchange/aml-sms", message)
            assert told == {"ok": True, "case": case}
        (fix,) = (await outside.seen(case))["fixes"]
        assert (fix["latitude_deg"], fix["longitude_deg"]) == (31.2304, 121.4737)
        assert (fix["radius_m"], fix["confidence"], fix["source"]) == (20.0, 0.68, "aml/gnss")
        assert fix["warnings"], "its ml is wrong, which is a warning and nothing more"


async def test_position_before_the_call_waits_for_it_across_a_restart(town: Town) -> None:
    async with town.open_hub():
        outside = Outside(town)
        message = {"number": NUMBER, "text": aml()}
        told = await outside.say("/exchange/aml-sms", message)
        assert told == {"ok": True, "case": None}
        assert await outside.say("/exchange/aml-sms", message) == told
    async with town.open_hub():
        case = await outside.ring()
        assert len((await outside.seen(case))["fixes"]) == 1
        other = await outside.ring("+8613800000002", "pbx-2")
        assert (await outside.seen(other))["fixes"] == []


async def test_phone_is_answered_200_whatever_it_sends_and_the_field_is_kept(town: Town) -> None:
    async with town.open_hub():
        outside = Outside(town)
        for body in (
            b"",
            b"\xff\x00garbage",
            b"location_latitude=200&location_longitude=1",
            b"v=1",
        ):
            assert await outside.post("/aml", body) == {"ok": True}
        assert await outside.post("/aml", b"v=1&" + 300_000 * b"x") == {"ok": True}
        facts = await town.hub.record._journal.newest("location_refused", "hub", 10)
        assert len(facts) == 5
        assert all(fact.envelope.case is None for fact in facts)


async def test_bad_message_of_a_gateway_names_the_field_and_stands_in_the_case(town: Town) -> None:
    async with town.open_hub():
        outside = Outside(town)
        case = await outside.ring()
        bad = {"number": NUMBER, "text": aml(131.2)}
        told = await outside.say("/exchange/aml-sms", bad, status=422)
        assert (told["ok"], told["field"]) == (False, "lt")
        found = await outside.seen(case)
        assert [one["field"] for one in found["unread"]] == ["lt"]
        kinds = [one["kind"] for one in await town.get(f"/api/cases/{case}/timeline")]
        assert kinds == ["case_opened", "call_step", "location_refused"]


async def test_positions_come_from_exchanges_and_from_nobody_else(town: Town) -> None:
    async with town.open_hub():
        outside = Outside(town)
        for path in ("aml-sms", "sip", "pidf-lo", "positions"):
            told = await outside.post(f"/exchange/{path}", b"{}", status=403, key=town.seat.token)
            assert "not an exchange" in told["error"]
        for kind in ("caller_position", "location_refused"):
            assert await town.hub.record._journal.newest(kind, "hub", 1) == []


async def test_network_position_in_another_datum_is_converted_once(town: Town) -> None:
    async with town.open_hub():
        outside = Outside(town)
        case = await outside.ring()
        said = {"number": NUMBER, "lat": 39.91640428150164, "lon": 116.41024449916938,
                "radius": 300, "datum": "gcj02"}  # fmt: skip
        assert (await outside.say("/exchange/positions", said))["case"] == case
        (fix,) = (await outside.seen(case))["fixes"]
        assert fix["latitude_deg"] == pytest.approx(39.915, abs=1e-6)
        assert fix["longitude_deg"] == pytest.approx(116.404, abs=1e-6)
        assert fix["datum"] == "gcj02", "what the source gave is kept and said"


@pytest.mark.parametrize(
    ("lon", "note"), [(121.2, None), (121.4999, "on_border"), (121.7, "elsewhere")]
)
async def test_place_at_or_over_the_border_of_a_neighbour_names_it(
    town: Town, lon: float, note: str | None
) -> None:
    west = ((31.0, 121.0), (31.0, 121.5), (31.5, 121.5), (31.5, 121.0))
    east = tuple((lat, lon + 0.5) for lat, lon in west)
    south = NeighbourSettings(region="south", label="South district", border=east)
    async with town.open_hub(district=DistrictSettings(border=west), neighbours=(south,)):
        outside = Outside(town)
        case = await outside.ring()
        said = {"number": NUMBER, "lat": 31.2, "lon": lon, "radius": 50}
        assert (await outside.say("/exchange/positions", said))["case"] == case
        notes = (await outside.seen(case))["place"]["notes"]
        assert [one["code"] for one in notes] == ([note] if note else [])
        assert all(one["names"][-1] == "South district" for one in notes)


async def test_good_documents_and_messages_reach_the_console(town: Town, shared_data: Path) -> None:
    documents = sorted((shared_data / "pidf_lo").rglob("simple-circle*.xml"))
    assert documents, "the folder has none"
    with (shared_data / "aml" / "aml_sms.tsv").open(encoding="utf-8") as file:
        texts = [row["message"] for row in csv.DictReader(file, delimiter="\t")]
    async with town.open_hub():
        outside = Outside(town)
        case = await outside.ring()
        for document in documents:
            told = await outside.say("/exchange/pidf-lo?call=pbx-1", document.read_bytes())
            assert told["case"] == case
        assert (await outside.seen(case))["fixes"]
        for text in texts:
            headers = {"Authorization": f"Bearer {outside.key}"}
            async with (
                aiohttp.ClientSession(town.hub.url, headers=headers) as http,
                http.post(
                    "/exchange/aml-sms", json={"number": NUMBER, "text": text}, ssl=town.trust
                ) as answer,
            ):
                assert answer.status in (200, 422)
                told = await answer.json()
                assert told["ok"] or told["field"]


PLACE = """<?xml version="1.0"?><locationResponse xmlns="urn:ietf:params:xml:ns:geopriv:held">
<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:x@y"><tuple id="a"><status>
<gp:geopriv xmlns:gp="urn:ietf:params:xml:ns:pidf:geopriv10"><gp:location-info>
<gs:Circle xmlns:gs="http://www.opengis.net/pidflo/1.0" srsName="urn:ogc:def:crs:EPSG::4326">
<gml:pos xmlns:gml="http://www.opengis.net/gml">31.25 121.5</gml:pos>
<gs:radius uom="urn:ogc:def:uom:EPSG::9001">800</gs:radius></gs:Circle>
</gp:location-info><gp:usage-rules/></gp:geopriv></status></tuple></presence></locationResponse>"""

UNKNOWN = (
    '<error xmlns="urn:ietf:params:xml:ns:geopriv:held" code="locationUnknown"><message>no'
    "</message></error>"
)

Answer = Callable[[str], Awaitable[web.Response]]


@contextlib.asynccontextmanager
async def location_server(answer: Answer) -> AsyncIterator[str]:
    """Run an operator's location server; what it is asked is given to ``answer``."""

    async def locate(request: web.Request) -> web.Response:
        return await answer(await request.text())

    app = web.Application()
    app.router.add_post("/held", locate)
    async with listening(app, "127.0.0.1", 0, None) as port:
        yield f"http://127.0.0.1:{port}/held"


async def test_operator_is_asked_for_the_number_that_rings(town: Town, wait_for: Any) -> None:
    asked: list[str] = []

    async def answer(document: str) -> web.Response:
        asked.append(document)
        return web.Response(text=PLACE, content_type="application/held+xml")

    async with (
        location_server(answer) as url,
        town.open_hub(calls=Calls(held=url)),
    ):
        outside = Outside(town)
        case = await outside.ring()

        async def there() -> bool:
            return bool((await outside.seen(case))["fixes"])

        await wait_for(there, "the operator's answer", BOUND_S)
        (fix,) = (await outside.seen(case))["fixes"]
        assert (fix["latitude_deg"], fix["radius_m"]) == (31.25, 800.0)
        assert f"tel:{NUMBER}" in asked[0]
        assert fix["source"].startswith("held")


@pytest.mark.parametrize(
    ("status", "text", "field"),
    [
        (200, UNKNOWN, "error"),
        (500, "", "status"),
        (200, "<x", "document"),
        (302, "", "status"),
    ],
)
async def test_operator_that_does_not_answer_is_said_and_the_call_goes_on(
    town: Town, wait_for: Any, status: int, text: str, field: str
) -> None:
    async def answer(_: str) -> web.Response:
        return web.Response(status=status, text=text, headers={"Location": "http://127.0.0.1:1/"})

    async with location_server(answer) as url, town.open_hub(calls=Calls(held=url)):
        outside = Outside(town)
        case = await outside.ring()

        async def said() -> bool:
            return bool((await outside.seen(case))["unread"])

        await wait_for(said, "the reason on the case", BOUND_S)
        (one,) = (await outside.seen(case))["unread"]
        assert (one["source"], one["field"]) == ("held", field)


async def test_reference_is_followed_to_servers_of_the_settings_alone(
    town: Town, wait_for: Any
) -> None:
    asked = asyncio.Event()

    async def answer(_: str) -> web.Response:
        asked.set()
        return web.Response(text=PLACE, content_type="application/held+xml")

    def invite(uri: str) -> bytes:
        lines = [
            "INVITE urn:service:sos SIP/2.0", f"Geolocation: <{uri}>", "Geolocation-Routing: yes",
            "Content-Length: 0", "", "",
        ]  # fmt: skip
        return "\r\n".join(lines).encode()

    async with (
        location_server(answer) as url,
        town.open_hub(calls=Calls(location_servers=(url,))),
    ):
        outside = Outside(town)
        case = await outside.ring()
        await outside.say("/exchange/sip?call=pbx-1", invite("http://127.0.0.1:1/held"))

        async def refused() -> bool:
            return bool((await outside.seen(case))["unread"])

        await wait_for(refused, "the refusal on the case", BOUND_S)
        (one,) = (await outside.seen(case))["unread"]
        assert "location_servers" in one["text"]
        assert not asked.is_set()
        await outside.say("/exchange/sip?call=pbx-1", invite(url))

        async def there() -> bool:
            return bool((await outside.seen(case))["fixes"])

        await wait_for(there, "the place of the reference", BOUND_S)


async def test_link_of_a_caller_takes_no_flood_and_reads_nothing(town: Town) -> None:
    async with town.open_hub():
        outside = Outside(town)
        case = await outside.ring()
        link = town.hub.link_for(case).removeprefix(town.hub.url)
        for number in range(20):
            coords = {"latitude": 31.23 + number / 1000, "longitude": 121.47, "accuracy": 10}
            body = json.dumps({"coords": coords, "timestamp": 1_790_000_000_000 + number})
            assert (await outside.post(f"{link}/position", body))["ok"]
        assert 1 <= len((await outside.seen(case))["fixes"]) < 20
        async with aiohttp.ClientSession(town.hub.url) as http:
            async with http.get(f"{link}/state", ssl=town.trust) as answer:
                assert await answer.json() == {"open": True}, "and nothing of the case"
            async with http.get(f"/api/cases/{case}", ssl=town.trust) as answer:
                assert answer.status == 401
            wrong = link[:-3] + ("aaa" if link[-3:] != "aaa" else "bbb")
            async with http.post(f"{wrong}/position", data=b"{}", ssl=town.trust) as answer:
                assert answer.status == 403
