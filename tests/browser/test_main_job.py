"""The main job as its users see it: console, tablet and boards in Chromium, all services real."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from bench.city import HUB, build
from bench.running_city import RunningCity, running
from bench.stage import Stage
from tests.browser.conftest import OpenPage, TakeScreenshot, Until
from tests.conftest import WaitFor

SIZES = ((1920, 1080), (1280, 800))
SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"

WATCH_FOR_CARDS = """
window.appeared = {};
new MutationObserver(() => {
  for (const card of document.querySelectorAll("[data-case]")) {
    window.appeared[card.dataset.case] ??= performance.timeOrigin + performance.now();
  }
}).observe(document, { childList: true, subtree: true });
"""

NOTE_THE_LAST_KEY = """
addEventListener("keydown", () => {
  window.lastKeyAt = performance.timeOrigin + performance.now();
}, true);
"""

TRACE = "document.querySelector('canvas.ecg-trace').toDataURL().length"


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[RunningCity]:
    """Two vehicles and two hospitals; recordings where they are at hand, else synthetic.

    Ask for it before ``open_page``: the pages are then looked at before the services end.
    """
    played = build(2, 2, None, SHARED_DATA if SHARED_DATA.is_dir() else None)
    async with running(Stage(tmp_path / "city", played, headless=True)) as found:
        yield found


async def open_case_by_keyboard(console: Page) -> str:
    """Open a case as a dispatcher does; return its id."""
    await expect(console.locator(".case-column")).to_contain_text("No case is open")
    await console.keyboard.press("n")
    await expect(console.locator("[name=address]")).to_be_focused()
    await console.keyboard.type("88 Garden Road, gate 3")
    await console.keyboard.press("Enter")
    row = console.locator(".row[aria-current=true]")
    await expect(row).to_contain_text("88 Garden Road")
    await expect(console.locator("[name=address]")).to_have_count(0)
    return str(await row.get_attribute("data-case"))


async def send_unit_by_keyboard(console: Page) -> None:
    await console.locator("[data-party=unit] .choice.first").wait_for()
    await console.keyboard.press("u")
    await confirm_by_keyboard(console)
    await expect(console.locator("[data-party=unit] .party-name")).to_contain_text("Ambulance")


async def confirm_by_keyboard(console: Page) -> None:
    await expect(console.locator("[data-confirm]")).to_be_enabled()
    await console.keyboard.press("Enter")
    await expect(console.locator("[data-confirm]")).to_have_count(0)


async def test_case_opened_in_the_console_is_on_the_right_board_within_a_second_and_no_other(
    city: RunningCity, open_page: OpenPage, screenshot: TakeScreenshot
) -> None:
    boards = {}
    for hospital in city.stage.city.hospitals:
        boards[hospital.name] = await open_page(city.page(hospital.name), width=1920, height=1080)
        await boards[hospital.name].evaluate(WATCH_FOR_CARDS)
    console = await open_page(city.page(HUB), width=1920, height=1080)
    await console.evaluate(NOTE_THE_LAST_KEY)
    case = await open_case_by_keyboard(console)
    await send_unit_by_keyboard(console)
    await console.locator("[data-party=hospital] .choice.first").wait_for()
    await console.keyboard.press("h")
    await confirm_by_keyboard(console)
    await expect(console.locator("[data-party=hospital] .party-name")).to_contain_text("Hospital")
    chosen = await city.client.get(city.urls[HUB], f"/api/cases/{case}")
    right = boards.pop(str(chosen["hospital"]))
    await right.locator(f"[data-case='{case}']").wait_for(timeout=10_000)
    await expect(right.locator(f"[data-case='{case}']")).to_contain_text("Ambulance")
    appeared = await right.evaluate(f"window.appeared['{case}']")
    pressed = await console.evaluate("window.lastKeyAt")
    assert appeared - pressed < 1000, "milliseconds from the key to the card"
    for other in boards.values():
        assert await other.locator(f"[data-case='{case}']").count() == 0
    await screenshot(console, "main-job-console-1920x1080")
    await screenshot(right, "main-job-board-new-1920x1080")


async def test_patient_page_shows_a_moving_trace_and_the_cabin_video_plays(
    city: RunningCity,
    open_page: OpenPage,
    until: Until,
    wait_for: WaitFor,
    screenshot: TakeScreenshot,
) -> None:
    for unit, call in zip(city.stage.city.units, city.stage.city.calls, strict=True):
        await city.play(unit, call, acknowledge=True)
    played = city.played[0]
    patient = await open_page(
        city.page(played.hospital, f"#/case/{played.case}"), width=1920, height=1080
    )
    await until(
        patient,
        "document.querySelector('video')?.videoWidth > 0"
        " && document.querySelector('video').currentTime > 1",
        timeout_s=30,
    )
    await patient.locator("canvas.ecg-trace").first.wait_for()
    before = await patient.evaluate(TRACE)
    await until(patient, f"{TRACE} !== {before}", timeout_s=15)
    at = await patient.evaluate("document.querySelector('video').currentTime")
    await until(patient, f"document.querySelector('video').currentTime > {at} + 1")
    await expect(patient.locator("body")).to_contain_text("not a monitored alarm")

    async def drawn() -> bool:
        told = await city.client.get(city.urls[played.hospital], "/api/latency")
        return {"ecg", "video"} <= set(told)

    await wait_for(drawn, "the page's own latencies of ECG and video", timeout_s=20)
    pages = {
        "patient": patient,
        "board": await open_page(city.page(played.hospital), width=1920, height=1080),
        "console": await open_page(city.page(HUB), width=1920, height=1080),
        "tablet": await open_page(city.page(played.unit), width=1920, height=1080),
    }
    await expect(pages["board"].locator(".arrival").first).to_be_visible()
    await expect(pages["tablet"].locator("body")).to_contain_text("charge nurse")
    for width, height in SIZES:
        for name, page in pages.items():
            await page.set_viewport_size({"width": width, "height": height})
            await screenshot(page, f"main-job-{name}-{width}x{height}")
