"""Keys on the console: they do what the page says, and nothing where the page says nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from dispatch.settings import Sms
from tests.browser.conftest import OpenPage
from tests.call_sources import NUMBER, Outside, message_gateway
from tests.hub_town import Town, a_town
from tests.partner_stand_in import control_room


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


async def console(town: Town, open_page: OpenPage, case: str, language: str = "en") -> Page:
    """Open the console on a case, with nothing in focus."""
    page = await open_page(f"{town.hub.url}/?key={town.seat.token}", language=language)
    await page.locator(f"[data-case='{case}']").click()
    await page.evaluate("document.activeElement.blur()")
    return page


async def call(town: Town, case: str) -> dict[str, Any]:
    found: dict[str, Any] = (await town.get(f"/api/cases/{case}"))["call"]
    return found


async def test_enter_answers_a_question_that_was_opened_by_a_focused_button(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        case = await town.open_case()
        page = await console(town, open_page, case)
        await page.get_by_role("button", name="Close case").focus()
        await page.keyboard.press("Enter")
        await expect(page.locator("[data-confirm]")).to_be_visible()
        await page.keyboard.press("Enter")  # nobody has said how it ended
        await expect(page.locator(".queue > ol .row")).to_have_count(1)
        await page.keyboard.type("h")
        await expect(page.locator("[name=outcome]")).to_have_value("handed_over")
        await page.keyboard.press("Enter")
        await expect(page.locator(".queue > ol .row")).to_have_count(0)
        assert (await town.get(f"/api/cases/{case}"))["outcome"] == "handed_over"


@pytest.mark.parametrize(
    ("language", "words"), [("en", "on the line: answer and end"), ("zh-CN", "还在线")]
)
async def test_case_whose_caller_rings_is_not_closed_and_the_page_says_why(
    town: Town, open_page: OpenPage, language: str, words: str
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        page = await console(town, open_page, case, language)
        await page.locator(".case-head button").last.click()
        await page.locator("[name=outcome]").select_option("cancelled")
        await page.keyboard.press("Enter")
        await expect(page.locator(".problem")).to_contain_text(words)
        assert (await call(town, case))["phase"] == "ringing"
        assert (await town.get(f"/api/cases/{case}"))["closed_ms"] is None


async def test_page_loaded_anew_shows_the_call_on_this_seat_s_line(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        outside = Outside(town)
        mine = await outside.ring()
        page = await console(town, open_page, mine)
        await page.keyboard.press("a")
        await expect(page.locator(".call-bar")).to_contain_text("you")
        for number in range(3):
            await outside.ring(f"+861380000001{number}", f"pbx-1{number}")
        await expect(page.locator(".ringing-count")).to_contain_text("3")
        await expect(page.locator(".queue > ol .row").first).to_have_attribute("data-case", mine)
        await page.reload()
        await expect(page.locator(".call-bar")).to_contain_text("you")
        await expect(page.locator(".row[aria-current=true]")).to_have_attribute("data-case", mine)


async def test_link_is_sent_to_a_caller_only_after_a_question_and_never_out_of_another_form(
    town: Town, open_page: OpenPage
) -> None:
    police, fire = control_room(town), control_room(town, "fire")
    async with message_gateway() as (url, sent), police.open(), fire.open():
        partners = (police.settings(), fire.settings(kind="fire"))
        async with town.open_hub(sms=Sms(gateway=url), partners=partners):
            case = await Outside(town).ring()
            page = await console(town, open_page, case)
            question = page.locator(".question")
            await page.keyboard.press("f")
            await page.keyboard.press("f")  # the fire brigade: no number to give
            for key in "pxabn":
                await page.keyboard.press(key)
            await expect(question).to_contain_text("fire")
            assert (await call(town, case))["phase"] == "ringing", "A means nothing in this form"
            await page.keyboard.press("Escape")
            await expect(question).to_have_count(0)
            await page.keyboard.press("p")
            await expect(question).to_contain_text(NUMBER)
            await page.keyboard.press("Escape")
            await page.keyboard.press("p")
            await page.keyboard.press("Enter")
            _, message = await sent.get()
            assert message["to"] == NUMBER
            await expect(question).to_have_count(0)
            assert sent.empty(), "one message, and no other"
