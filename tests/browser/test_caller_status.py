"""What the caller's page says of the call: who reads, what its end means, what stays then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.conftest import FindFaults, OpenPage, TakeScreenshot
from tests.call_sources import Outside
from tests.hub_town import Town, a_town

PHONE: dict[str, Any] = {"width": 360, "height": 740}


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


async def stands(phone: Page, call: str, help_: str = "none") -> None:
    """Wait until the page says that call and help stand so."""
    status = phone.locator(".status")
    await expect(status).to_have_attribute("data-call", call)
    await expect(status).to_have_attribute("data-help", help_)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_caller_reads_where_call_and_help_stand_and_writing_rings_again(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot, axe_faults: FindFaults,
    language: str,
) -> None:  # fmt: skip
    async with town.open_hub():
        case = await Outside(town).ring()
        phone = await open_page(town.hub.link_for(case), language=language, **PHONE)
        await stands(phone, "ringing")
        await screenshot(phone, f"caller-rings-{language}-360")
        consoles = [
            await open_page(f"{town.hub.url}/?key={seat.token}", language=language)
            for seat in (town.seat, town.issue("seat-2", "seat"))
        ]
        await town.act("answer_call", case=case)
        await stands(phone, "read")
        await town.act("assign_unit", case=case, unit="unit-1")
        await stands(phone, "read", "assigned")
        await screenshot(phone, f"caller-read-{language}-360")
        await town.act("end_call", case=case)
        await stands(phone, "ended", "assigned")
        said = "rings again" if language == "en" else "再次呼叫"
        await expect(phone.locator(".status")).to_contain_text(said)
        await expect(phone.locator(".conversation")).to_contain_text(said)  # where one writes, too
        await screenshot(phone, f"caller-ended-{language}-360")
        assert await axe_faults(phone) == []
        row = f".queue [data-case='{case}']"
        for console in consoles:
            await expect(console.locator(row)).not_to_have_class("rings")
        await phone.locator("[name=text]").press_sequentially("w")
        await stands(phone, "waits", "assigned")
        for console in consoles:
            await expect(console.locator(f"{row}.rings")).to_be_visible()
        await consoles[1].keyboard.press("a")
        await stands(phone, "read", "assigned")
        timeline = consoles[1].locator(".timeline")
        await expect(timeline).to_contain_text(
            "writes after the end" if language == "en" else "结束后又写字"
        )
        await phone.set_viewport_size({"width": 320, "height": 640})
        assert await phone.evaluate("document.documentElement.scrollWidth") <= 320


async def test_page_without_a_connection_does_not_say_that_somebody_reads(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        phone = await open_page(town.hub.link_for(case), may_log=("net::",), **PHONE)
        await town.act("answer_call", case=case)
        await stands(phone, "read")
        await phone.context.set_offline(True)
        await stands(phone, "cut")
        await phone.context.set_offline(False)
        await expect(phone.locator(".status")).to_have_attribute(
            "data-call", "read", timeout=15_000
        )


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_closed_case_leaves_the_conversation_and_says_how_to_get_help_again(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot, axe_faults: FindFaults,
    language: str,
) -> None:  # fmt: skip
    dialled = "120" if language == "en" else ""
    async with town.open_hub():
        case = await Outside(town).ring(dialled=dialled)
        phone = await open_page(town.hub.link_for(case), language=language, **PHONE)
        await phone.locator("[name=text]").press_sequentially("press here if it hurts again?\n")
        await expect(phone.locator(".lines .waiting")).to_have_count(0)
        for action in ("answer_call", "end_call"):
            await town.act(action, case=case)
        await town.act("close_case", case=case, outcome="treated")
        for _ in range(2):  # and once it is loaded anew
            notice = phone.locator("[role=alert].told")
            await expect(notice).to_contain_text("closed" if language == "en" else "已结束")
            if dialled:
                await expect(notice.locator("a")).to_have_attribute("href", f"tel:{dialled}")
            else:
                await expect(notice).to_contain_text("急救电话")
            await expect(phone.locator(".lines")).to_contain_text("press here if it hurts again?")
            await expect(phone.locator("[name=text], .questions, .status")).to_have_count(0)
            await screenshot(phone, f"caller-closed-{language}-360")
            assert await axe_faults(phone) == []
            await phone.reload()


async def lines(town: Town, case: str) -> list[str]:
    found: dict[str, Any] = await town.get(f"/api/cases/{case}")
    return [one["text"] for one in found["talk"]["turns"]]


async def a_field(town: Town, open_page: OpenPage) -> tuple[str, Page, Locator]:
    """Return a case, its caller's page, and the field in which the caller writes."""
    case = await Outside(town).ring()
    phone = await open_page(town.hub.link_for(case), **PHONE)
    return case, phone, phone.locator("[name=text]")


async def test_long_texts_go_whole_by_enter_typed_or_pasted(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        case, phone, field = await a_field(town, open_page)
        waiting = phone.locator(".lines .waiting")
        await field.fill("x" * 1999)
        await field.press("x")
        await field.press("Enter")
        await expect(field).to_have_value("")
        await expect(waiting).to_have_count(0, timeout=20_000)
        assert await lines(town, case) == ["x" * 2000]
        long = ("seven " * 417)[:2500]
        await field.focus()
        await phone.keyboard.insert_text(long)  # as a paste puts it in: all at once
        await expect(field).not_to_have_value(long)  # what was too long went as a line of its own
        await field.press("Enter")
        await expect(waiting).to_have_count(0, timeout=30_000)
        first, second = (await lines(town, case))[1:]
        assert first + second == long.rstrip() or first + second == long
        assert first.endswith("seven ")
        assert len(first) <= 2000


async def test_more_than_can_wait_at_once_goes_all_the_same(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        case, phone, field = await a_field(town, open_page)
        wanted = [f"line {number} " + "y" * 1100 for number in range(11)]
        await field.fill("\n".join([*wanted, "end"]))
        await expect(field).to_have_value("end")
        await field.press("Enter")
        await expect(phone.locator(".lines .waiting")).to_have_count(0, timeout=90_000)
        assert await lines(town, case) == [*wanted, "end"]


async def test_enter_that_an_input_method_takes_ends_no_line(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        phone = await open_page(town.hub.link_for(case), language="zh-CN", **PHONE)
        field = phone.locator("[name=text]")
        await field.fill("我爸")
        for late in ({"isComposing": True}, {"keyCode": 229}):
            taken: bool = await field.evaluate(
                "(field, more) => !field.dispatchEvent(new KeyboardEvent('keydown',"
                " { key: 'Enter', bubbles: true, cancelable: true, ...more }))",
                late,
            )
            assert not taken, "the page leaves the key to the method"
        await expect(field).to_have_value("我爸")
        await field.press("Enter")
        await expect(field).to_have_value("")


async def test_text_that_reorders_others_stands_apart_and_as_it_was_written(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        console = await open_page(f"{town.hub.url}/?key={town.seat.token}", width=1920, height=1080)
        await console.locator(f"[data-case='{case}']").click()
        phone = await open_page(town.hub.link_for(case), **PHONE)
        await phone.locator("[name=text]").fill("take \u202e05\u202c\u2067 mg\tnow")
        await phone.locator("[name=text]").press("Enter")
        await expect(phone.locator(".lines .waiting")).to_have_count(0)
        for said in (console.locator(".turn.caller .said"), phone.locator(".lines .caller .said")):
            await expect(said).to_have_text("take 05 mg now")
            apart = await said.evaluate("(one) => getComputedStyle(one).unicodeBidi")
            assert apart == "isolate"
        assert await lines(town, case) == ["take 05 mg now"]
