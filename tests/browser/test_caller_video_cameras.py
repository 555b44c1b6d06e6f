"""A caller whose phone has two cameras: the other one is shown, and sound is switched off."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright, expect

from tests.browser.conftest import FLAGS, OpenPage, TakeScreenshot, Until
from tests.call_sources import Outside
from tests.hub_town import Town, a_town

ONE, TWO = "--use-fake-device-for-media-stream", "=device-count=2"
LABEL = "document.querySelector('.video-own video').srcObject?.getVideoTracks()[0].label"
SOUND = "document.querySelector('.video-own video').srcObject.getAudioTracks()[0].enabled"
ENDED = ("403", "Failed to load resource")


@pytest.fixture
async def browser(chromium_path: str) -> AsyncIterator[Browser]:
    """Chromium with two drawn cameras."""
    flags = [ONE + TWO if flag == ONE else flag for flag in FLAGS]
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=chromium_path, args=flags)
        try:
            yield started
        finally:
            await started.close()


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


async def test_other_camera_is_shown_on_the_same_path_and_sound_can_be_switched_off(
    town: Town, open_page: OpenPage, until: Until, screenshot: TakeScreenshot
) -> None:
    async with town.open_hub() as hub:
        case = await Outside(town).ring()
        link = town.hub.link_for(case)
        phone = await open_page(link, width=360, height=740, may_log=ENDED)
        await phone.get_by_role("button", name="Show what you see").click()
        await phone.locator(".video .yes").click()
        await until(phone, "document.querySelector('.video[data-link=live]')", 20)
        first = await phone.evaluate(LABEL)
        before = hub.relay.snapshot().resources[f"caller-{case}/camera"]
        await phone.get_by_role("button", name="Other camera").click()
        await until(phone, f"{LABEL} && {LABEL} !== '{first}'", 10)
        await phone.get_by_role("button", name="My sound off").click()
        assert await phone.evaluate(SOUND) is False
        await screenshot(phone, "caller-video-two-cameras-en-360")
        await phone.get_by_role("button", name="Other camera").click()
        await until(phone, f"{LABEL} === '{first}'", 10)
        now = hub.relay.snapshot().resources[f"caller-{case}/camera"]
        assert now.source == before.source
        assert now.live
        assert now.replaced == 0, "the same connection"
        await phone.locator(".video .stop").click()
        await expect(phone.locator(".video-own")).to_have_count(0)
