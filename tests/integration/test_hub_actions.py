"""Actions that come twice or with impossible values, and what pages hear of trouble."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client import REGISTRY

from dispatch.units import HospitalSettings
from streams.identity import new_id
from streams.messages import Position
from streams.outbox import Draft
from tests.hub_town import Town, Vehicle, a_town

WaitFor = Callable[..., Any]


def faults(place: str) -> float:
    labels = {"place": place, "reason": "fault"}
    return REGISTRY.get_sample_value("forerun_refused_total", labels) or 0.0


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


async def test_note_with_an_impossible_time_is_refused_in_words(town: Town) -> None:
    async with town.open_hub():
        case = await town.open_case()
        now_ms = time.time_ns() // 1_000_000
        for at_ms in (10**15, 9_000_000_000_000, now_ms + 10 * 60_000):
            answer = await town.act("note", status=400, case=case, text="late", at_ms=at_ms)
            assert "at_ms" in answer["error"]
        await town.act("note", case=case, text="earlier", at_ms=now_ms - 3_600_000)
        await town.act("note", case=case, text="a seat's clock is ahead", at_ms=now_ms + 20_000)
        told = await town.get(f"/api/cases/{case}/timeline")
        # In the order in which things happened: what was noted of an hour ago stands first.
        assert [entry["kind"] for entry in told] == ["case_note", "case_opened", "case_note"]


async def test_used_id_is_a_repeat_only_for_the_same_action(town: Town) -> None:
    opening: dict[str, Any] = {
        "id": new_id(), "address": " Long Street ", "complaint": "fall", "age_years": 70,
        "position": {"latitude_deg": 31.2, "longitude_deg": 121.4, "radius_m": 5.5},
    }  # fmt: skip
    async with town.open_hub():
        case = (await town.act("open_case", **opening))["case"]
        other = await town.open_case("Other Street")
        note: dict[str, Any] = {"id": new_id(), "case": case, "text": "door code 4711"}
        chosen: dict[str, Any] = {
            "id": new_id(), "case": case, "hospital": "first-hospital", "previous": "",
        }  # fmt: skip
        await town.act("note", **note)
        await town.act("choose_hospital", **chosen)
    async with town.open_hub():  # what an id was used for is known after a restart
        assert (await town.act("open_case", **opening))["case"] == case
        for action, fields in (("note", note), ("choose_hospital", chosen)):
            assert (await town.act(action, **fields))["repeated"]
        for action, changed in (
            ("note", note | {"text": "door code 1234"}),
            ("note", note | {"case": other}),
            ("note", note | {"at_ms": 1}),
            ("open_case", opening | {"address": "Short Street"}),
            ("open_case", opening | {"position": None}),
            ("choose_hospital", chosen | {"hospital": "second-hospital"}),
            ("close_case", {"id": note["id"], "case": case, "outcome": "cancelled"}),
        ):
            answer = await town.act(action, status=409, **changed)
            assert "used for another action" in answer["error"]
            assert answer["conflict"]["kind"] == "id"
        told = await town.get(f"/api/cases/{case}/timeline")
        kinds = [entry["kind"] for entry in told]
        assert kinds == ["case_opened", "case_note", "hospital_chosen"]


@pytest.mark.parametrize("key", ["Z" * 26, "0" * 25, "not an id", ""])
async def test_action_with_an_id_that_is_none_is_refused(town: Town, key: str) -> None:
    async with town.open_hub():
        answer = await town.act("open_case", status=400, id=key, address="Long Street")
        assert "id" in answer["error"]
        assert await town.get("/api/cases") == []


async def test_pages_hear_of_a_lost_broker_and_of_its_return(town: Town) -> None:
    headers = {"Authorization": f"Bearer {town.seat.token}"}
    async with (
        town.open_hub() as hub,
        aiohttp.ClientSession(hub.url, headers=headers) as http,
        http.ws_connect("/ws", ssl=town.trust) as socket,
    ):
        assert (await socket.receive_json(timeout=5))["trouble"] == []
        await town.broker.stop()
        (trouble,) = await next_trouble(socket)
        assert trouble["part"] == "broker"
        assert abs(trouble["since_ms"] - time.time() * 1000) < 20_000
        assert not (await town.get("/healthz", status=503))["ok"]
        async with http.ws_connect("/ws", ssl=town.trust) as later:
            assert (await later.receive_json(timeout=5))["trouble"] == [trouble]
        await town.broker.start()
        assert await next_trouble(socket) == []


async def next_trouble(socket: aiohttp.ClientWebSocketResponse) -> list[dict[str, Any]]:
    while True:
        message = await socket.receive_json(timeout=20)
        if message["type"] == "trouble":
            return list(message["trouble"])


async def test_fault_in_a_view_is_counted_and_the_hub_goes_on(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    nowhere = HospitalSettings(name="first-hospital", latitude_deg=121.0, longitude_deg=31.0)
    unit = Vehicle("unit-1", tmp_path)
    before = [faults("hub"), faults("console")]
    async with town.open_hub(hospitals=(nowhere,)) as hub, town.join(unit):
        place = {"latitude_deg": 31.2, "longitude_deg": 121.4}
        case = await town.open_case(position=place)
        await town.act("assign_unit", case=case, unit="unit-1")
        await town.act("choose_hospital", case=case, hospital="first-hospital")
        headers = {"Authorization": f"Bearer {town.seat.token}"}
        async with (
            aiohttp.ClientSession(hub.url) as http,
            http.ws_connect("/ws", headers=headers, ssl=town.trust) as socket,
        ):
            watcher = next(iter(hub.console._pages.values()))
            watcher.case = case
            position = Position(
                latitude_deg=31.2, longitude_deg=121.4, measured_ns=time.time_ns(), source="gnss"
            )
            await unit.stream(Draft("position", position))
            await wait_for(lambda: faults("hub") > before[0], "the fault of the estimate")
            await wait_for(lambda: faults("console") > before[1], "the fault of a suggestion")
            assert not socket.closed
        await town.act("note", case=case, text="the hub goes on")
