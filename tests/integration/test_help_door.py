"""The door without a call: a case for who cannot speak, the same one each time, not for a flood."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from dispatch.help_door import Turnstile
from dispatch.text_settings import HelpSettings
from tests.conftest import WaitFor
from tests.hub_town import BOUND_S, Town, a_town

ON = HelpSettings(on=True, per_address=3, per_minute=30, number="120")
PHONE = "3f0c5a52-6f1a-4f3a-9a53-0d4b9f5a0001"


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as made:
        yield made


async def press(
    town: Town, phone: str = PHONE, *, status: int = 200, body: Any = None, origin: str = ""
) -> dict[str, Any]:
    """Press the button as a phone without any credential."""
    headers = {"Origin": origin} if origin else {}
    async with (
        aiohttp.ClientSession(town.hub.url, headers=headers) as http,
        http.post("/help", json=body or {"phone": phone}, ssl=town.trust) as answer,
    ):
        assert answer.status == status, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


async def phase(town: Town, path: str) -> Any:
    case = path.rpartition("/")[2][:26]
    return (await town.get(f"/api/cases/{case}"))["call"]


async def test_button_opens_a_ringing_text_call_and_the_same_phone_comes_back_to_it(
    town: Town,
) -> None:
    async with town.open_hub(help=ON):
        first = await press(town)
        call = await phase(town, first["path"])
        assert (call["phase"], call["line"], call["number"]) == ("ringing", "text", "")
        assert await press(town) == first
        assert await press(town, PHONE[:-1] + "2") != first
    async with town.open_hub(help=ON):  # also after a restart of the hub
        assert await press(town) == first
        case = first["path"].rpartition("/")[2][:26]
        for action in ("answer_call", "end_call"):
            await town.act(action, case=case)
        await town.act("close_case", case=case, outcome="cancelled")
        again = await press(town)
        assert again != first
        assert (await phase(town, again["path"]))["phase"] == "ringing"


async def test_pressed_twice_at_once_is_one_case(town: Town) -> None:
    async with town.open_hub(help=ON):
        both = await asyncio.gather(press(town), press(town))
        assert both[0] == both[1]


async def test_flood_from_one_address_is_told_the_truth_and_seats_see_it(
    town: Town, wait_for: WaitFor
) -> None:
    async with town.open_hub(help=ON) as hub:
        paths = [await press(town, f"{PHONE[:-1]}{number}") for number in range(3)]
        told = await press(town, f"{PHONE[:-1]}9", status=429)
        assert told["number"] == "120"
        assert 0 < told["retry_s"] <= 600
        assert await press(town, f"{PHONE[:-1]}0") == paths[0]  # who is in already is let in
        await wait_for(
            lambda: any(one["part"] == "help" for one in hub.console._trouble.standing),
            "the consoles' bar", BOUND_S,
        )  # fmt: skip
        async with (
            aiohttp.ClientSession(hub.url) as http,
            http.get("/healthz", ssl=town.trust) as r,
        ):
            assert r.status == 200, "a flood must not have the hub taken for broken"


@pytest.mark.parametrize(
    "body", [{}, {"phone": ""}, {"phone": "x" * 65}, {"phone": "../../" + PHONE}, {"phone": 7}, []]
)
async def test_garbage_opens_nothing(town: Town, body: Any) -> None:
    async with town.open_hub(help=ON):
        await press(town, body=body or {"x": 1}, status=400)
        assert await town.get("/api/cases") == []


async def test_another_site_s_page_cannot_press_it(town: Town) -> None:
    async with town.open_hub(help=ON):
        await press(town, status=403, origin="https://elsewhere.example")
        assert await town.get("/api/cases") == []


async def test_door_is_shut_unless_it_is_wanted(town: Town) -> None:
    async with town.open_hub() as hub, aiohttp.ClientSession(hub.url) as http:
        for path in ("/help", "/help/code", "/help/about"):
            async with http.get(path, ssl=town.trust) as answer:
                assert answer.status == 404


def test_turnstile_counts_by_address_and_in_all_and_forgets() -> None:
    stile = Turnstile(per_address=2, per_minute=3)
    assert [stile.wait_s("a", 0.0), stile.wait_s("a", 1.0)] == [0, 0]
    assert stile.wait_s("a", 2.0) == 598
    assert stile.wait_s("b", 2.0) == 0
    assert stile.wait_s("c", 3.0) == 57
    assert stile.refused(3.0) == 2
    assert stile.wait_s("c", 60.5) == 0
    assert stile.wait_s("a", 601.0) == 0
    assert stile.refused(601.0) == 0
