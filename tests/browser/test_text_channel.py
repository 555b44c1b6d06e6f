"""A caller who writes and a dispatcher who reads, in two pages of Chromium against a real hub."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from streams.identity import new_id
from tests.browser.conftest import FindFaults, OpenPage, TakeScreenshot
from tests.call_sources import Outside
from tests.hub_town import Town, a_town

PHONE: dict[str, Any] = {"width": 360, "height": 740}


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


async def both(town: Town, open_page: OpenPage, language: str = "en") -> tuple[Page, Page, str]:
    """Return a console that shows a call, the caller's page, and the case."""
    case = await Outside(town).ring()
    console = await open_page(
        f"{town.hub.url}/?key={town.seat.token}", width=1920, height=1080, language=language
    )
    await console.locator(f"[data-case='{case}']").click()
    phone = await open_page(town.hub.link_for(case), language=language, may_log=("net::",), **PHONE)
    await expect(console.locator(".talk")).to_contain_text(
        "the caller's page is open" if language == "en" else "呼救者页面已打开"
    )
    await console.evaluate("document.activeElement.blur()")
    return console, phone, case


async def turns(town: Town, case: str) -> list[tuple[str, str]]:
    found: dict[str, Any] = await town.get(f"/api/cases/{case}")
    return [(one["who"], one["text"]) for one in found["talk"]["turns"]]


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_caller_and_dispatcher_read_each_other_while_they_type(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot, axe_faults: FindFaults,
    language: str,
) -> None:  # fmt: skip
    async with town.open_hub():
        console, phone, case = await both(town, open_page, language)
        await screenshot(phone, f"caller-questions-{language}-360")
        assert await axe_faults(phone) == []
        for answer in (0, 0, 1):  # what, where, how many
            await phone.locator(".answer").nth(answer).click()
        await expect(console.locator(".turn.caller").nth(2)).to_contain_text("两人 · Two")
        await phone.locator("[name=text]").press_sequentially("He fell fr")
        await expect(console.locator(".turn.caller").last).to_contain_text("He fell fr")
        await expect(console.locator(".turn.caller .cursor")).to_have_count(1)
        await phone.locator("[name=text]").press_sequentially("om the roof\n")
        await expect(console.locator(".turn.caller .cursor")).to_have_count(0)

        await console.keyboard.press("i")
        await console.keyboard.type("Is he aw")
        await expect(phone.locator(".lines .draft")).to_contain_text("Is he aw")
        await console.keyboard.type("ake?")
        await console.keyboard.press("Enter")
        await expect(phone.locator(".lines .dispatcher").last).to_contain_text("Is he awake?")
        await expect(phone.locator(".lines .draft")).to_have_count(0)
        await console.keyboard.type("/")
        await screenshot(console, f"talk-canned-{language}-1920")
        await console.keyboard.type("1")
        reply = await console.locator("[name=talk]").input_value()
        assert reply, "a ready reply is seen before it is sent"
        await console.keyboard.press("Enter")
        await expect(phone.locator(".lines .dispatcher").last).to_contain_text(reply)
        await phone.locator(".needs button").first.click()
        await expect(console.locator(".talk .needs [aria-pressed=true]")).to_have_count(1)
        await screenshot(console, f"talk-{language}-1920")
        await screenshot(phone, f"caller-talk-{language}-360", whole=True)
        assert await phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        for page in (console, phone):
            assert await axe_faults(page) == []
        assert [who for who, _ in await turns(town, case)] == ["caller"] * 4 + ["dispatcher"] * 2


async def test_caller_who_writes_without_a_network_is_read_whole_when_it_is_back(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        console, phone, case = await both(town, open_page)
        field = phone.locator("[name=text]")
        await field.press_sequentially("there is sm")
        await expect(console.locator(".turn.caller")).to_contain_text("there is sm")
        await phone.context.set_offline(True)
        await field.press_sequentially("oke in the house\nsecond floor\nwe are t")
        await expect(phone.locator(".conversation")).to_contain_text("No connection")
        await phone.context.set_offline(False)
        await expect(console.locator(".turn.caller").last).to_contain_text(
            "we are t", timeout=15_000
        )
        await field.press_sequentially("wo\n")
        await expect(phone.locator(".lines .waiting")).to_have_count(0)
        assert [text for _, text in await turns(town, case)] == [
            "there is smoke in the house", "second floor", "we are two",
        ]  # fmt: skip


async def test_page_that_is_loaded_anew_while_it_sends_loses_nothing_that_was_typed(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        console, phone, case = await both(town, open_page)
        field = phone.locator("[name=text]")
        long = "there are people " * 88 + "here"
        await field.fill(long)
        await field.press("Enter")
        await field.press_sequentially("important 7\nand a h")
        await phone.reload()
        await expect(console.locator(".turn.caller").last).to_contain_text(
            "and a h", timeout=15_000
        )
        await phone.locator("[name=text]").press_sequentially("after it\n")
        await expect(console.locator(".turn.caller").last).to_contain_text("after it")
        await expect(phone.locator(".lines .waiting")).to_have_count(0)
        assert [text for _, text in await turns(town, case)] == [
            long, "important 7", "and a h", "after it",
        ]  # fmt: skip


async def test_what_was_said_wrongly_is_corrected_in_front_of_the_caller(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        console, phone, _ = await both(town, open_page)
        await console.keyboard.press("i")
        await console.keyboard.type("Take 30 mg")
        await console.keyboard.press("Enter")
        await expect(phone.locator(".lines .dispatcher")).to_contain_text("Take 30 mg")
        await console.get_by_role("button", name="Correct", exact=True).last.click()
        await expect(console.locator("[name=talk]")).to_have_value("Take 30 mg")
        await console.locator("[name=talk]").fill("Take 300 mg")
        await console.keyboard.press("Enter")
        line = phone.locator(".lines .dispatcher")
        await expect(line).to_contain_text("Take 300 mg")
        await expect(line).to_contain_text("corrected")
        await expect(line).to_have_count(1)


async def test_text_of_a_caller_is_shown_as_text_and_never_as_a_page(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        console, phone, _ = await both(town, open_page)
        nasty = "<img src=x onerror=alert(1)> </textarea><b>bold</b>"
        await phone.locator("[name=text]").fill(nasty)
        await phone.locator(".field .main").click()
        await expect(console.locator(".turn.caller .said")).to_have_text(nasty)
        await expect(phone.locator(".lines .caller .said")).to_have_text(nasty)
        assert await console.locator(".turn b, .turn img").count() == 0


async def test_caller_who_leaves_sees_nothing_more_and_the_seat_is_told(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        console, phone, _ = await both(town, open_page)
        await phone.locator(".leave").click()
        await expect(console.locator(".talk")).to_contain_text("the caller left the page")
        assert phone.url == "about:blank"


async def test_answer_that_was_begun_before_its_question_stands_behind_it_for_both(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        console, phone, case = await both(town, open_page)
        await phone.locator("[name=text]").press_sequentially("n")
        await expect(console.locator(".turn.caller")).to_contain_text("n")
        await town.act("say_text", case=case, turn=new_id(), text="Is he awake?")
        await expect(phone.locator(".lines .dispatcher")).to_contain_text("Is he awake?")
        await phone.locator("[name=text]").press_sequentially("o\n")
        wanted = ["Is he awake?", "no"]
        await expect(phone.locator(".lines .waiting")).to_have_count(0)
        await expect(phone.locator(".lines .said")).to_have_text(wanted)
        await expect(console.locator(".turn .said")).to_have_text(wanted)
        await phone.reload()
        await expect(phone.locator(".lines .said")).to_have_text(wanted)
