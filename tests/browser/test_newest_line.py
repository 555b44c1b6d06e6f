"""What a caller wrote last is seen: in the queue, and at the foot of a case."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from dispatch.text_settings import HelpSettings
from tests.browser.conftest import OpenPage, TakeScreenshot
from tests.call_sources import Outside
from tests.hub_town import Town, a_town

PHONE: dict[str, Any] = {"width": 360, "height": 740}


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


async def test_last_words_of_a_caller_stand_in_the_queue_until_somebody_writes_after_them(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub() as hub:
        first = await Outside(town).ring("+8613800000001", "pbx-1", line="text")
        other = await Outside(town).ring("+8613800000002", "pbx-2", line="text")
        console = await open_page(f"{hub.url}/?key={town.seat.token}")
        await town.act("answer_call", case=first)
        await console.locator(f"[data-case='{other}']").click()
        phone = await open_page(hub.link_for(first), **PHONE)
        await phone.locator("[name=text]").press_sequentially("he stopped breathing\n")
        row = console.locator(f"[data-case='{first}']")
        await expect(row.locator(".row-unanswered")).to_contain_text("he stopped breathing")
        await row.click()
        await console.locator("[data-key=talk]").fill("push hard and fast")
        await console.locator("[data-key=talk]").press("Enter")
        await expect(row.locator(".row-unanswered")).to_have_count(0)


async def test_newest_line_is_in_view_whatever_lies_above_the_conversation(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot
) -> None:
    async with town.open_hub() as hub:
        case = await Outside(town).ring(line="text")
        console = await open_page(f"{hub.url}/?key={town.seat.token}", width=1280, height=800)
        await console.locator(f"[data-case='{case}']").click()
        phone = await open_page(hub.link_for(case), **PHONE)
        for number in range(8):
            await phone.locator("[name=text]").press_sequentially(f"line {number}\n")
        await expect(console.locator(".turn.caller").nth(7)).to_contain_text("line 7")
        await console.evaluate("document.activeElement.blur()")
        await console.keyboard.press("z")
        await console.locator(".guide").wait_for()
        await phone.locator(".step .answer, .step button").first.wait_for()
        await phone.locator("[name=text]").press_sequentially("he is blue")
        newest = console.locator(".newest-line")
        await expect(newest).to_contain_text("he is blue")
        await expect(newest).to_be_in_viewport(ratio=0.9)
        await expect(console.locator(".keys")).to_contain_text("first shock")
        await screenshot(console, "newest-line-1280")
        await console.keyboard.press("Escape")
        await console.keyboard.press("i")
        await expect(console.locator(".turn.caller").last).to_be_in_viewport()
        await expect(newest).to_have_count(0)


async def by_the_door(url: str, open_page: OpenPage) -> tuple[Page, str]:
    """Return a page that opened a call at /help, and the call's address."""
    phone = await open_page(f"{url}/help", may_log=("net::",), **PHONE)
    await phone.locator("#open").click()
    await phone.wait_for_url("**/here/*")
    return phone, phone.url


async def test_help_that_nobody_can_find_its_way_to_says_so_and_a_closed_door_call_opens_anew(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub(help=HelpSettings(on=True, per_address=4)) as hub:
        phone, first = await by_the_door(hub.url, open_page)
        (case,) = [one["id"] for one in await town.get("/api/cases")]
        await town.act("answer_call", case=case)
        await town.act("assign_unit", case=case, unit="unit-1")
        await expect(phone.locator("[data-place=unknown]")).to_contain_text("where you are")
        await town.act("amend_case", case=case, address="8 River Road")
        await expect(phone.locator("[data-place=unknown]")).to_have_count(0)
        await town.act("end_call", case=case)
        await town.act("close_case", case=case, outcome="cancelled")
        await phone.locator("a.call").click()
        await phone.locator("#open").click()
        await phone.wait_for_url(lambda url: "/here/" in url and url != first)


async def test_who_leaves_a_call_of_the_help_page_finds_no_way_back_to_what_was_written(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub(help=HelpSettings(on=True, per_address=4)) as hub:
        phone, first = await by_the_door(hub.url, open_page)
        await phone.locator("[name=text]").press_sequentially("he will hear me\n")
        await expect(phone.locator(".lines .caller")).to_contain_text("he will hear me")
        await phone.locator(".leave").click()
        await phone.wait_for_url("about:blank")
        await phone.goto(f"{hub.url}/help")
        await phone.locator("#open").click()
        await phone.wait_for_url(lambda url: "/here/" in url and url != first)
        await expect(phone.locator(".lines .caller")).to_have_count(0)
