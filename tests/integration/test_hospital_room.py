"""What a hospital states of its room: at its gateway, on the way, at the hub, in suggestions."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from hospital_gateway.gateway import serve
from hospital_gateway.settings import Settings
from streams.credentials import credential_path
from streams.hospital_messages import HospitalState
from streams.outbox import Draft
from tests import hub_town
from tests.hospital_town import BOUND_S, HERE, Desk
from tests.hospital_town import Town as HospitalTown
from tests.hub_stand_in import HubStandIn
from tests.hub_town import Hospital, Town, a_town
from tests.waiting import until

SCENE = {"latitude_deg": 31.20, "longitude_deg": 121.455}
"""Nearer to the first hospital than to the second."""


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


@pytest.fixture
async def er(tmp_path: Path) -> AsyncIterator[HospitalTown]:
    async with HubStandIn(tmp_path) as hub:
        yield HospitalTown(hub)


@contextlib.asynccontextmanager
async def gateway(town: Town, tmp_path: Path, name: str = HERE) -> AsyncIterator[Desk]:
    """Run a hospital's real gateway beside the real hub."""
    where = town.broker.endpoints
    seat = town.issue(f"{name}-desk", "seat", at=name)
    settings = {
        "name": name, "label": name, "region": hub_town.REGION,
        "state": str(tmp_path / f"{name}-gateway"), "hub": "https://127.0.0.1:1",
        "credential": str(credential_path(Path(where.credentials), name)),
        "roster": str(where.credentials), "authority": str(where.ca_path),
        "broker": {"url": where.nats_url}, "roles": ["charge nurse"],
    }  # fmt: skip
    task = asyncio.create_task(serve(msgspec.convert(settings, Settings)), name=f"test.{name}")
    ready = tmp_path / f"{name}-gateway" / "ready.json"
    try:
        await until(
            lambda: (task.done() and task.result()) or ready.exists(), "ready.json", BOUND_S
        )
        url = json.loads(ready.read_text())["url"]
        async with Desk(url, seat.token, Path(str(where.ca_path))) as desk:
            yield desk
    finally:
        task.cancel()
        await asyncio.wait({task})


async def room_of(desk: Desk) -> Any:
    return (await desk.get("/api/board"))["room"]


def is_state(desk: Desk, state: str) -> Callable[[], Awaitable[bool]]:
    async def found() -> bool:
        room = await room_of(desk)
        return room is not None and room["state"] == state

    return found


async def next_of(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    while True:
        message: dict[str, Any] = await socket.receive_json(timeout=BOUND_S)
        if message["type"] == kind:
            return message


async def test_room_stated_at_the_gateway_moves_the_suggestion_and_outlives_the_hub(
    town: Town, tmp_path: Path
) -> None:
    async with town.open_hub() as hub, gateway(town, tmp_path) as desk:
        case = await town.open_case(position=SCENE)
        before = (await town.get(f"/api/cases/{case}/suggestions"))["hospitals"]
        assert [one["name"] for one in before] == ["first-hospital", "second-hospital"]
        headers = {"Authorization": f"Bearer {town.seat.token}"}
        async with (
            aiohttp.ClientSession(hub.url) as http,
            http.ws_connect("/ws", headers=headers, ssl=town.trust) as console,
        ):
            assert [one["room"] for one in (await next_of(console, "snapshot"))["hospitals"]] == [
                None,
                None,
            ]
            await console.send_json({"type": "watch", "case": case})
            await next_of(console, "suggestions")
            answer = await desk.act(
                action="state_room", beds=0, resus_bays=1, diversion=True, reason="CT is down",
                role="charge nurse",
            )  # fmt: skip
            assert answer["ok"]
            told = (await next_of(console, "hospitals"))["hospitals"][0]
            assert told["room"]["diversion"]
            after = (await next_of(console, "suggestions"))["hospitals"]
        assert [one["name"] for one in after] == ["second-hospital", "first-hospital"]
        assert {"on_diversion", "no_beds"} <= set(after[1]["why"])
        await until(is_state(desk, "delivered"), "the receipt", BOUND_S)
        shown = await room_of(desk)
        assert (shown["reason"], shown["role"], shown["seat"]) == (
            "CT is down", "charge nurse", f"{HERE}-desk",
        )  # fmt: skip
        first = (await town.get("/api/hospitals"))[0]
        assert abs(first["room"]["stated_ms"] - shown["stated_ms"]) < 1000
    async with town.open_hub():
        assert (await town.get("/api/hospitals"))[0] == first
        assert town.hub.record.fleet.capacities[HERE].reason == "CT is down"


async def test_room_stated_without_a_link_is_kept_over_a_restart_and_comes_later(
    er: HospitalTown,
) -> None:
    async with er.gateway() as desk:
        await desk.act(action="state_room", beds=7)
        await until(is_state(desk, "delivered"), "the first statement", BOUND_S)
        await er.hub.broker.stop()
        await desk.act(action="state_room", beds=2, resus_bays=0)
        assert (await room_of(desk))["state"] == "made"
    assert len(er.hub.from_hospitals) == 1
    await er.hub.broker.start()
    async with er.gateway() as desk:
        shown = await room_of(desk)
        assert (shown["beds"], shown["resus_bays"]) == (2, 0)
        await until(is_state(desk, "delivered"), "the second statement", 40)
    assert len(er.hub.from_hospitals) == 2
    async with er.gateway() as desk:
        assert (await room_of(desk))["state"] == "delivered"


async def test_room_refused_by_the_hub_says_why(er: HospitalTown) -> None:
    er.hub.refuse_hospitals = True
    async with er.gateway() as desk:
        await desk.act(action="state_room", beds=7)
        await until(is_state(desk, "refused"), "the refusal", BOUND_S)
        assert (await room_of(desk))["problem"] == "not this hospital's case"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "nothing is stated"),
        ({"diversion": True, "reason": " "}, "reason"),
        ({"beds": -1}, "beds"),
        ({"beds": 1000}, "beds"),
        ({"beds": 1.5}, "beds"),
        ({"beds": 1, "role": "janitor"}, "charge nurse"),
        ({"beds": 1, "case": "x"}, "case"),
    ],
)
async def test_room_that_cannot_be_is_refused_in_words_and_nothing_is_stated(
    er: HospitalTown, fields: dict[str, Any], words: str
) -> None:
    async with er.gateway() as desk:
        answer = await desk.act(status=400, action="state_room", **fields)
        assert words in answer["error"]
        assert await room_of(desk) is None


async def test_room_of_a_hospital_is_not_another_ones_to_state(town: Town, tmp_path: Path) -> None:
    first, second = Hospital("first-hospital", tmp_path), Hospital("second-hospital", tmp_path)
    async with town.open_hub(), town.join(first, second):
        second.make(Draft("hospital_state", HospitalState(beds=3)))
        await until(lambda: not second.waiting(), "its receipt", BOUND_S)
        rooms = {one["name"]: one["room"] for one in await town.get("/api/hospitals")}
        assert rooms["first-hospital"] is None
        assert rooms["second-hospital"]["beds"] == 3
        second.outbox.source = "first-hospital"  # says under its own topic what another would say
        second.make(Draft("hospital_state", HospitalState(beds=0, diversion=True)))
        second.outbox.source = "second-hospital"
        second.make(Draft("hospital_state", HospitalState(beds=4)))
        rooms_known = town.hub.record.fleet.capacities
        await until(lambda: rooms_known["second-hospital"].beds == 4, "the next one", BOUND_S)
        assert rooms_known.keys() == {"second-hospital"}
