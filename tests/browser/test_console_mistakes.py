"""Mistakes at the console: what can be taken back, what is not offered, and who else is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import OpenPage, TakeScreenshot
from tests.call_sources import Outside
from tests.hub_town import Town, a_town

PHONE: dict[str, Any] = {"width": 360, "height": 740}


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


async def console(
    town: Town, open_page: OpenPage, case: str, *, seat: str = "", language: str = "en"
) -> Page:
    """Open the console on a case, with nothing in focus."""
    key = town.issue(seat, "seat").token if seat else town.seat.token
    page = await open_page(f"{town.hub.url}/?key={key}", language=language, width=1920, height=1080)
    await page.locator(f"[data-case='{case}']").click()
    await page.evaluate("document.activeElement.blur()")
    return page


async def phase(page: Page, name: str) -> None:
    await expect(page.locator(f".call-bar[data-phase={name}]")).to_be_visible()


@pytest.mark.parametrize(
    ("language", "ended"), [("en", "You ended the call with"), ("zh-CN", "您结束了与")]
)
async def test_call_ended_by_mistake_is_taken_back_by_one_key_while_its_caller_reads(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot, language: str, ended: str
) -> None:
    async with town.open_hub():
        outside = Outside(town)
        case = await outside.ring(line="text")
        page = await console(town, open_page, case, language=language)
        await page.keyboard.press("a")
        await phase(page, "talking")
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press("Escape")
        await page.keyboard.press("x")
        await phase(page, "ended")
        await expect(page.locator(".call-ended")).to_contain_text(ended)
        await expect(page.locator("[data-again]")).to_have_count(0)  # nobody reads yet
        await page.keyboard.press("A")
        await phase(page, "ended")

        await open_page(town.hub.link_for(case), **PHONE)
        await expect(page.locator("[data-again]")).to_be_visible()
        await screenshot(page, f"call-ended-{language}-1920")
        await page.keyboard.press("a")  # the next call, and there is none
        await phase(page, "ended")
        await page.keyboard.press("A")
        await phase(page, "talking")
        await expect(page.locator(".call-ended")).to_have_count(0)
        await expect(page.locator("[name=address]")).to_have_count(0)  # it goes on where it was
        await page.keyboard.press("x")
        await expect(page.locator(".call-ended")).to_be_visible()
        await page.keyboard.press("t")
        await page.keyboard.type("hung up by mistake, back now")
        await page.keyboard.press("Enter")
        await expect(page.locator(".timeline")).to_contain_text("back now")
        await expect(page.locator(".call-ended")).to_have_count(0)  # something else was done


async def test_lines_of_two_seats_have_their_names_and_who_has_the_call_is_said_before_sending(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring(line="text")
        one = await console(town, open_page, case, seat="anna")
        other = await console(town, open_page, case, seat="ben")
        await open_page(town.hub.link_for(case), **PHONE)
        for page in (one, other):
            await expect(page.locator(".talk-head [role=status]")).to_contain_text("is open")
        await one.keyboard.press("a")
        await phase(other, "talking")
        await expect(other.locator(".talk-other")).to_contain_text("anna has this call")
        await expect(one.locator(".talk-other")).to_have_count(0)
        await one.locator("[name=talk]").fill("Where are you?")
        await expect(other.locator(".turn.live")).to_contain_text("anna")
        await one.locator("[name=talk]").press("Enter")
        await other.locator("[name=talk]").fill("Which floor?")
        await other.locator("[name=talk]").press("Enter")
        for page, names in ((one, ["you", "ben"]), (other, ["anna", "you"])):
            lines = page.locator(".turn.dispatcher")
            await expect(lines).to_have_count(2)
            for number, name in enumerate(names):
                await expect(lines.nth(number).locator(".muted").first).to_contain_text(name)
        await screenshot(other, "talk-two-seats-1920")


async def test_help_is_said_to_be_on_its_way_only_once_a_unit_was_sent(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring(line="text")
        page = await console(town, open_page, case)
        await page.keyboard.press("a")
        await page.keyboard.press("Escape")
        await page.keyboard.press("Escape")
        field = page.locator("[name=talk]")
        await field.fill("/")
        offered = page.locator(".canned li")
        await expect(offered).to_have_count(9)
        await expect(offered.first).to_contain_text("arranging help")
        await expect(page.locator(".canned")).not_to_contain_text("on the way")
        await town.act("assign_unit", case=case, unit="unit-1")
        await expect(offered.first).to_contain_text("on the way")
        await expect(page.locator(".canned")).not_to_contain_text("arranging")
        await field.fill("/1")
        await expect(field).to_have_value("Help is on the way. Stay with me.")


async def test_how_a_case_ended_is_chosen_by_nobody_but_the_seat(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        case = await town.open_case()
        page = await console(town, open_page, case)
        await page.get_by_role("button", name="Close case").click()
        outcome = page.locator("[name=outcome]")
        await expect(outcome).to_have_value("")
        await expect(outcome).to_be_focused()
        await expect(page.locator("[data-confirm]")).to_be_disabled()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Escape")
        await page.keyboard.press("Escape")
        await expect(page.locator(".question")).to_have_count(0)
        assert (await town.get(f"/api/cases/{case}"))["closed_ms"] is None
        await page.get_by_role("button", name="Close case").click()
        await outcome.select_option("treated")
        await outcome.press("Enter")
        await expect(page.locator(".queue > ol .row")).to_have_count(0)
        assert (await town.get(f"/api/cases/{case}"))["outcome"] == "treated"


async def test_wrong_key_opens_a_page_in_words_in_both_languages(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot
) -> None:
    async with town.open_hub():
        page = await open_page(
            f"{town.hub.url}/?key=seat-1.wrong", language="zh-CN", may_log=("401",)
        )
        for words in ("What to do", "怎么办", "does not open with that key"):
            await expect(page.locator("main")).to_contain_text(words)
        assert not (await page.locator("body").inner_text()).startswith("{")
        await screenshot(page, "no-entry-1280")
