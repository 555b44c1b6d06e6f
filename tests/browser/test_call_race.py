"""Two browsers race for calls: each has exactly one winner, and each loser was told.

``FORERUN_RACE=500`` races for so many; by default it is fewer.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, WebSocket

from tests.call_sources import Outside
from tests.hub_town import Town, a_town

CALLS = int(os.environ.get("FORERUN_RACE", "100"))

GREEDY = """() => {
  // Presses the key that takes the next call, as fast as the page can draw.
  const press = () => {
    if (window.enough) return;
    if (document.querySelector(".ringing-count")) {
      document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "a", bubbles: true }));
    }
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    requestAnimationFrame(press);
  };
  press();
}"""
"""A new case's address field takes the focus, and keys that are typed there are text."""


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


class Seat:
    """A console that takes each call it can get; what it asked and was told is kept."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: dict[str, str] = {}
        self.told: dict[str, dict[str, Any]] = {}

    async def open(self, town: Town, open_page: Any) -> Page:
        token = town.issue(self.name, "seat").token
        page: Page = await open_page("about:blank")
        page.on("websocket", self._follow)
        await page.goto(f"{town.hub.url}/?key={token}")
        await page.locator(".queue").wait_for()
        await page.evaluate(GREEDY)
        return page

    def _follow(self, socket: WebSocket) -> None:
        socket.on("framesent", self._sent)
        socket.on("framereceived", self._received)

    def _sent(self, data: str | bytes) -> None:
        message = json.loads(data)
        if message.get("action") == "answer_call":
            self.asked[message["id"]] = message["case"]

    def _received(self, data: str | bytes) -> None:
        message = json.loads(data) if isinstance(data, str) else {}
        if message.get("type") == "answer" and message["action"] == "answer_call":
            self.told[message["id"]] = message


async def test_call_race_of_two_browsers_has_one_winner_each_and_tells_every_loser(
    town: Town, open_page: Any, wait_for: Any
) -> None:
    async with town.open_hub() as hub:
        seats = [Seat("anna"), Seat("ben")]
        pages = [await one.open(town, open_page) for one in seats]
        outside = Outside(town)
        cases = [
            await outside.ring(f"+86138{number:08}", f"pbx-{number}", line="text")
            for number in range(CALLS)
        ]

        def all_taken() -> bool:
            return all((found := hub.record.book.get(case)) and found.call and found.call.seat
                       for case in cases)  # fmt: skip

        await wait_for(all_taken, "somebody for every call", 120)
        for page in pages:
            await page.evaluate("window.enough = true")
        await wait_for(
            lambda: all(one.asked.keys() <= one.told.keys() for one in seats), "all answers", 20
        )
    won: dict[str, list[str]] = {}
    lost = 0
    for one in seats:
        for asked, case in one.asked.items():
            told = one.told[asked]
            if told["ok"]:
                won.setdefault(case, []).append(one.name)
                continue
            lost += 1
            other = next(seat.name for seat in seats if seat is not one)
            assert told["conflict"]["kind"] == "taken", told
            # its own name where it pressed twice before the page knew
            assert told["conflict"]["seat"] in (other, one.name), told
    assert sorted(won) == sorted(cases)
    assert all(len(winners) == 1 for winners in won.values())
    for case in cases:
        found = hub.record.book.get(case)
        assert found is not None
        assert found.call is not None
        assert [found.call.seat] == won[case] == found.call.seats
    assert lost, "nobody ever lost: this was no race"
