"""Calls against a real hub: they ring by HTTP, seats race for them, a lost seat is found."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dispatch.settings import Calls
from tests.call_sources import Outside
from tests.hub_town import BOUND_S, Town, a_town


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as made:
        yield made


@contextlib.asynccontextmanager
async def seat(town: Town, name: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Open a console's socket for a seat of its own; its snapshot is read."""
    credential = town.issue(name, "seat")
    headers = {"Authorization": f"Bearer {credential.token}"}
    async with (
        aiohttp.ClientSession(town.hub.url, headers=headers) as http,
        http.ws_connect("/ws", ssl=town.trust) as socket,
    ):
        snapshot = await socket.receive_json(timeout=BOUND_S)
        assert snapshot["seat"] == name
        yield socket


async def hear(socket: aiohttp.ClientWebSocketResponse, **wanted: Any) -> dict[str, Any]:
    """Return the next message with these fields."""
    async with asyncio.timeout(BOUND_S):
        while True:
            message: dict[str, Any] = await socket.receive_json()
            if all(message.get(name) == value for name, value in wanted.items()):
                return message


async def act(socket: aiohttp.ClientWebSocketResponse, action: str, case: str) -> None:
    await socket.send_json({"type": "action", "action": action, "case": case})


async def test_call_rings_once_however_often_it_is_told(town: Town) -> None:
    async with town.open_hub():
        exchange = Outside(town)
        first = await exchange.ring("138-0000-0001")
        assert await exchange.ring("138-0000-0001") == first
        assert await exchange.ring("", "pbx-2") != first
        found = await town.get(f"/api/cases/{first}")
        assert found["call"]["number"] == "+8613800000001"
        assert (found["call"]["phase"], found["address"]) == ("ringing", "")
        await exchange.step("pbx-1", "hung_up")
        await exchange.step("pbx-1", "hung_up")
        assert (await town.get(f"/api/cases/{first}"))["call"]["phase"] == "lost"
        told = await exchange.step("pbx-1", "connected", 409)
        assert "lost" in told["error"]
        assert "no call 'pbx-9'" in (await exchange.step("pbx-9", "hung_up", 404))["error"]
        told = await exchange.say("/exchange/calls", {"call": "  "}, 400)
        assert "$.call" in told["error"]


async def test_calls_come_from_exchanges_and_from_nobody_else(town: Town) -> None:
    async with town.open_hub():
        outside = Outside(town)
        call = b'{"call": "x"}'
        told = await outside.post("/exchange/calls", call, status=403, key=town.seat.token)
        assert "not an exchange" in told["error"]
        elsewhere = town.issue("pbx-south", "exchange", at="hub-south")
        await outside.post("/exchange/calls", call, status=403, key=elsewhere.token)
        headers = {"Authorization": f"Bearer {outside.key}"}
        async with aiohttp.ClientSession(town.hub.url, headers=headers) as http:
            answer = await http.get("/api/cases", ssl=town.trust)
            assert answer.status == 401, "an exchange reads nothing"


async def test_seats_that_race_for_a_call_hear_who_has_it(town: Town) -> None:
    async with (
        town.open_hub(),
        seat(town, "desk-1") as one,
        seat(town, "desk-2") as other,
    ):
        exchange = Outside(town)
        for number in range(20):
            case = await exchange.ring(call=f"pbx-{number}", line="text")
            await asyncio.gather(act(one, "answer_call", case), act(other, "answer_call", case))
            answers = [await hear(socket, type="answer") for socket in (one, other)]
            assert sorted(answer["ok"] for answer in answers) == [False, True]
            winner = "desk-1" if answers[0]["ok"] else "desk-2"
            lost = next(answer for answer in answers if not answer["ok"])
            found = await town.get(f"/api/cases/{case}")
            told = {"kind": "taken", "seat": winner, "alias": found["alias"]}
            assert lost["conflict"] == told
            shown = found["call"]
            assert (shown["phase"], shown["seat"]) == ("talking", winner)


async def test_seat_whose_page_is_gone_loses_its_call_and_a_restarted_hub_knows_it(
    town: Town, wait_for: Any
) -> None:
    async def phase(case: str) -> str:
        return str((await town.get(f"/api/cases/{case}"))["call"]["phase"])

    async with town.open_hub(calls=Calls(seat_grace_s=0.2)):
        exchange = Outside(town)
        async with seat(town, "desk-1") as one, seat(town, "desk-2") as other:
            case = await exchange.ring()
            await act(one, "answer_call", case)
            await hear(one, type="answer", ok=True)
            await one.close()
            await hear(other, type="seats", seats=["desk-2"])

            async def waits() -> bool:
                return await phase(case) == "unattended"

            await wait_for(waits, "the call waits for any seat", BOUND_S)
            await act(other, "answer_call", case)
            await hear(other, type="answer", ok=True)
    async with town.open_hub(calls=Calls(seat_grace_s=0.2)):

        async def waits_again() -> bool:
            return await phase(case) == "unattended"

        await wait_for(waits_again, "nobody came back after the restart", BOUND_S)
        lines = await town.get(f"/api/cases/{case}/timeline")
        steps = [line["data"] for line in lines if line["kind"] == "call_step"]
        told = [(step["step"], step.get("seat", "")) for step in steps]
        assert told == [
            ("rang", ""), ("answered", "desk-1"), ("seat_lost", "desk-1"),
            ("answered", "desk-2"), ("seat_lost", "desk-2"),
        ]  # fmt: skip
