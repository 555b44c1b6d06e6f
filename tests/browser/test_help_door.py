"""The page for who cannot speak, in Chromium: one button, then the conversation; and its code."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from dispatch.text_settings import HelpSettings
from tests.browser.conftest import FindFaults, OpenPage, TakeScreenshot
from tests.hub_town import Town, a_town

PHONE: dict[str, Any] = {"width": 320, "height": 640}
ON = HelpSettings(on=True, per_address=1, number="120")


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


async def test_one_press_and_the_dispatcher_reads_what_is_typed(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot, axe_faults: FindFaults
) -> None:
    async with town.open_hub(help=ON) as hub:
        console = await open_page(f"{hub.url}/?key={town.seat.token}", width=1920, height=1080)
        phone = await open_page(f"{hub.url}/help", may_log=("net::",), **PHONE)
        await screenshot(phone, "help-320")
        assert await axe_faults(phone) == []
        assert await phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        await phone.locator("#open").click()
        await phone.locator("[name=text]").press_sequentially("I am deaf, fire")
        link = phone.url
        await console.locator("[data-case]").first.click()
        await expect(console.locator(".turn.caller")).to_contain_text("I am deaf, fire")
        await phone.goto(f"{hub.url}/help")  # the same phone, once more
        await phone.locator("#open").click()
        await phone.wait_for_url(link)
        await expect(phone.locator(".lines .caller")).to_contain_text("I am deaf, fire")


async def test_who_is_turned_away_is_told_what_to_do(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot, axe_faults: FindFaults
) -> None:
    async with town.open_hub(help=ON) as hub:
        console = await open_page(f"{hub.url}/?key={town.seat.token}", width=1920, height=1080)
        first = await open_page(f"{hub.url}/help", may_log=("net::",), **PHONE)
        await first.locator("#open").click()
        await first.wait_for_url("**/here/*")
        second = await open_page(f"{hub.url}/help", may_log=("429",), **PHONE)
        await second.locator("#open").click()
        await expect(second.locator("#busy")).to_contain_text("call 120")
        await expect(second.locator("#busy")).to_contain_text("拨打 120")
        await expect(second.locator("#open")).to_be_disabled()
        await expect(console.locator(".trouble")).to_contain_text("help page turns people away")
        await screenshot(second, "help-busy-320", whole=True)
        assert await axe_faults(second) == []


async def test_code_to_print_leads_to_the_page(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot, axe_faults: FindFaults
) -> None:
    async with town.open_hub(help=ON) as hub:
        page = await open_page(f"{hub.url}/help/code")
        await page.locator("#code svg").wait_for()
        await screenshot(page, "help-code-1280")
        assert await axe_faults(page) == []
        box = await page.locator("#code svg").bounding_box()
        assert box is not None
        # What a camera would see: the drawing as pixels, read by the decoder of the hand-over.
        read = await page.evaluate(
            """async () => {
              const { decodeQR } = await import("/static/shared/vendor/qr_decode.js");
              const image = new Image();
              image.src = document.getElementById("file").href;
              await image.decode();
              const size = 400, canvas = document.createElement("canvas");
              canvas.width = canvas.height = size;
              const drawn = canvas.getContext("2d");
              drawn.fillStyle = "white";
              drawn.fillRect(0, 0, size, size);
              drawn.drawImage(image, 20, 20, size - 40, size - 40);
              return decodeQR(drawn.getImageData(0, 0, size, size));
            }"""
        )
        assert read == f"{hub.url}/help"
