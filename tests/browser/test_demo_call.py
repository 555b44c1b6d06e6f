"""The call that the demonstration leaves to its visitor, handled by keyboard alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from bench.city import HUB, build
from bench.running_city import RunningCity, running
from bench.stage import Stage
from tests.browser.conftest import FindFaults, OpenPage, TakeScreenshot
from tests.conftest import WaitFor
from tests.hub_town import BOUND_S

Look = Callable[[Page, str], Awaitable[None]]

SAID = {
    "en": ("Moyu South Road, Metro Line 11, exit 2", "speech slurred, right arm weak", "son waits"),
    "zh-CN": ("墨玉南路 地铁11号线2号口", "说话含糊，右臂无力", "儿子在路边等候"),
}
"""Address, complaint and note as the dispatcher types them."""


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[RunningCity]:
    """Two vehicles and two hospitals with synthetic patients; the last call rings.

    Ask for it before ``open_page``: the pages are then looked at before the services end.
    """
    stop = asyncio.Event()
    async with running(Stage(tmp_path / "city", build(2, 2, None, None), headless=True)) as found:
        unit, call = found.stage.city.units[-1], found.stage.city.calls[-1]
        async with asyncio.TaskGroup() as group:
            group.create_task(found.play_for_person(unit, call, stop), name="demo.call")
            yield found
            stop.set()


@pytest.fixture
def look(screenshot: TakeScreenshot, axe_faults: FindFaults) -> Look:
    """A function that keeps a picture of a step and finds no fault in it."""

    async def take(page: Page, name: str) -> None:
        language = await page.evaluate("document.documentElement.lang")
        await screenshot(page, f"demo-{language}-{name}")
        assert await axe_faults(page) == []

    return take


async def the_case(city: RunningCity) -> dict[str, Any]:
    (found,) = await city.client.get(city.urls[HUB], "/api/cases")
    return dict(found)


async def see_all_keys(page: Page, city: RunningCity, look: Look) -> None:
    """All keys are a key away, and none of them does anything meanwhile."""
    sheet = page.locator("dialog.key-sheet")
    await page.keyboard.press("?")
    await expect(sheet).to_be_visible()
    await look(page, "2-keys")
    await page.keyboard.press("a")
    await page.keyboard.press("Escape")
    await expect(sheet).not_to_be_visible()
    assert (await the_case(city))["call"]["phase"] == "ringing"


async def answer(page: Page, address: str, complaint: str, look: Look) -> None:
    """Take the call, ask where and what, say how urgent, confirm the place that the phone told."""
    await page.keyboard.press("a")
    await expect(page.locator("[name=address]")).to_be_focused()
    await look(page, "3-answered")
    for text in (address, complaint):
        await page.keyboard.type(text)
        await page.keyboard.press("Tab")
    for _ in range(3):  # from the least urgent to the most urgent
        await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    await expect(page.locator(".case-head .address")).to_contain_text(address)
    await page.keyboard.press("c")
    await expect(page.locator(".confirmed")).to_be_visible()
    await look(page, "4-located")


async def send(page: Page, look: Look) -> None:
    """Send the unit and choose the hospital that are recommended."""
    await page.keyboard.press("u")
    await expect(page.locator(".question")).to_be_visible()
    await look(page, "5-unit")
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-party=unit] .delivery")).to_be_visible()
    await page.keyboard.press("h")
    await expect(page.locator(".question")).to_be_visible()
    await look(page, "6-hospital")
    await page.keyboard.press("Enter")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_demo_call_is_handled_by_keyboard_alone(
    city: RunningCity, open_page: OpenPage, look: Look, wait_for: WaitFor, language: str
) -> None:
    address, complaint, note = SAID[language]
    page: Page = await open_page(city.page(HUB), width=1920, height=1080, language=language)
    await expect(page.locator(".ringing-count")).to_be_visible()
    await expect(page.locator(".best")).to_contain_text("±")  # located before it is answered
    await look(page, "1-rings")
    await see_all_keys(page, city, look)
    await answer(page, address, complaint, look)
    told = await the_case(city)
    assert (told["address"], told["complaint"], told["severity"]) == (address, complaint, "red")
    assert told["position_confirmed"] is True
    await send(page, look)

    async def departed() -> bool:
        return bool((await the_case(city))["stage"] == "departed")

    await wait_for(departed, "the crew drives to the hospital", BOUND_S)
    await page.keyboard.press("t")
    await page.keyboard.type(note)
    await page.keyboard.press("Enter")
    await expect(page.locator(".timeline")).to_contain_text(note)
    await look(page, "7-under-way")
    await page.keyboard.press("Escape")  # out of the field of notes
    await page.keyboard.press("x")
    await expect(page.locator(".row-call")).to_have_count(0)
    await look(page, "8-over")

    told = await the_case(city)
    assert told["unit"]
    assert told["hospital"]
    assert told["call"]["phase"] == "ended"
