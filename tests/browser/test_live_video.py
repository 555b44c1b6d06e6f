"""The cabin's picture from a live vehicle: at the console, and at the hospital that may see it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from bench.city import HUB, build
from bench.running_city import Played, RunningCity, running
from bench.stage import Stage
from tests.browser.conftest import OpenPage, TakeScreenshot, Until

CITY_S = 60.0
"""How long a first picture may take while all services of a city share this machine."""

AT_ONCE_S = 2.0
"""How long a hospital that is no longer the receiving one may still get pictures."""

PLAYS = (
    "document.querySelector('.cabin[data-phase=live] video')?.videoWidth > 0"
    " && document.querySelector('.cabin video').currentTime > 1"
)
AT = "document.querySelector('.cabin video').currentTime"

VIEW_BESIDE_THE_PAGE = """async (path) => {
  const { subscribe } = await import("/static/shared/whep.js");
  const video = document.body.appendChild(document.createElement("video"));
  window.beside = subscribe(path, "", video, {
    onchange: (state) => (window.phases ??= []).push(state.phase),
  });
}"""
"""A view that the page itself does not end: only the hub can."""

LAST_FRAME_S = "(window.beside.state.lastFrameAt ?? 0) / 1000"


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[RunningCity]:
    """One vehicle, two hospitals, everything drawn; ask for it before ``open_page``."""
    async with running(Stage(tmp_path / "city", build(1, 2, None, None), headless=True)) as found:
        yield found


async def play(city: RunningCity) -> Played:
    """Bring the vehicle on its way to a hospital, its camera on."""
    return await city.play(city.stage.city.units[0], city.stage.city.calls[0], acknowledge=False)


async def wait_until_playing(page: Page, until: Until) -> None:
    await until(page, PLAYS, timeout_s=CITY_S)
    at = await page.evaluate(AT)
    await until(page, f"{AT} > {at} + 1", timeout_s=CITY_S)


async def test_console_shows_the_cabin_of_a_live_vehicle_when_asked_and_only_then(
    city: RunningCity, open_page: OpenPage, until: Until, screenshot: TakeScreenshot
) -> None:
    await play(city)
    console = await open_page(city.page(HUB))
    await expect(console.locator(".video")).to_contain_text("the camera is on")
    assert await console.locator("video").count() == 0, "nobody is made to watch"
    await console.keyboard.press("v")
    await wait_until_playing(console, until)
    await expect(console.locator(".cabin video")).to_be_in_viewport(ratio=0.9)
    await screenshot(console, "console-cabin-video")
    await console.keyboard.press("v")
    await expect(console.locator("video")).to_have_count(0)


async def test_diverted_hospital_loses_the_picture_at_once_and_the_new_one_gets_it(
    city: RunningCity, open_page: OpenPage, until: Until, screenshot: TakeScreenshot
) -> None:
    played = await play(city)
    (other,) = {one.name for one in city.stage.city.hospitals} - {played.hospital}
    logged = ("403", "404", "Failed to load resource")  # what the old hospital is refused
    old = await open_page(city.page(played.hospital, f"#/case/{played.case}"), may_log=logged)
    await wait_until_playing(old, until)
    await old.evaluate(VIEW_BESIDE_THE_PAGE, f"/whep/{played.case}/cabin")
    await until(old, "window.beside.state.live", timeout_s=CITY_S)

    await city.client.act(
        city.urls[HUB], "choose_hospital",
        case=played.case, hospital=other, previous=played.hospital, reason="cath lab is down",
    )  # fmt: skip
    diverted = time.time()
    await expect(old.locator(".cabin[data-phase=off]")).to_have_count(1, timeout=5_000)
    assert await old.evaluate("document.querySelector('.cabin video').srcObject") is None
    await until(old, "window.phases.includes('refused')", timeout_s=20)
    assert await old.evaluate(LAST_FRAME_S) < diverted + AT_ONCE_S
    assert await old.evaluate("window.beside.video.srcObject") is None, "no last picture stays"
    await screenshot(old, "patient-diverted")

    new = await open_page(city.page(other, f"#/case/{played.case}"))
    await wait_until_playing(new, until)
    assert await old.evaluate(LAST_FRAME_S) < diverted + AT_ONCE_S, "and none comes later"
