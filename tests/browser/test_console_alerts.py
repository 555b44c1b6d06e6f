"""What happened with a caller stands at the top of the case; in the queue, how the caller came."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from dispatch.settings import Sms
from streams.identity import new_id
from streams.outbox import Draft
from streams.text_messages import TextTurn
from tests.browser.conftest import FindFaults, OpenPage, TakeScreenshot
from tests.call_sources import NUMBER, Outside
from tests.hub_town import Town, a_town

SECOND_NS = 1_000_000_000
PHONE: dict[str, Any] = {"width": 360, "height": 740}


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


async def console(town: Town, open_page: OpenPage, case: str, language: str = "en") -> Page:
    page = await open_page(
        f"{town.hub.url}/?key={town.seat.token}", width=1280, height=800, language=language
    )
    await page.locator(f"[data-case='{case}']").click()
    await page.evaluate("document.activeElement.blur()")
    return page


@pytest.mark.parametrize(("language", "failed"), [("en", "was NOT sent"), ("zh-CN", "未送出")])
async def test_link_that_was_not_sent_is_said_in_the_head_and_the_talk_until_it_was_seen(
    *, town: Town, open_page: OpenPage, screenshot: TakeScreenshot, axe_faults: FindFaults,
    language: str, failed: str,
) -> None:  # fmt: skip
    async with town.open_hub(sms=Sms(gateway="http://127.0.0.1:9/nobody")):
        case = await Outside(town).ring(line="text")
        page = await console(town, open_page, case, language)
        await town.act("send_link", case=case)
        alerts = page.locator("[data-alert=message]")
        await expect(alerts).to_have_count(2)
        await expect(page.locator(".talk [data-alert=message]")).to_contain_text(failed)
        await expect(alerts.first).to_contain_text(NUMBER)
        await expect(alerts.first).to_contain_text("P")  # how to try again
        await expect(alerts.first).to_be_in_viewport()
        await screenshot(page, f"link-failed-{language}-1280")
        assert await axe_faults(page) == []
        await alerts.first.locator("button").click()
        await expect(alerts).to_have_count(0)


async def test_queue_tells_a_caller_who_writes_from_one_who_speaks(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot
) -> None:
    async with town.open_hub():
        outside = Outside(town)
        spoken = await outside.ring()
        written = await outside.ring("+8613800000002", "pbx-2", line="text")
        page = await console(town, open_page, written)
        await expect(page.locator(f"[data-case='{written}'] .row-line")).to_have_text("✎ text")
        await expect(page.locator(f"[data-case='{spoken}'] .row-line")).to_have_count(0)
        await screenshot(page, "queue-text-1280")


async def test_video_that_is_refused_fails_or_ends_is_told_apart_at_the_top(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring(line="text")
        page = await console(town, open_page, case)
        phone = await open_page(town.hub.link_for(case), **PHONE)
        await expect(page.locator(".caller-video")).to_be_visible()
        alert = page.locator("[data-alert=video]")
        await town.act("ask_video", case=case)
        await phone.get_by_role("button", name="No", exact=True).click()
        await expect(page.locator("[data-video=refused]")).to_contain_text("does not want")
        await expect(page.locator(".caller-video-head")).to_contain_text("the caller said no")
        await expect(alert).to_be_in_viewport()
        await alert.locator("button").click()
        await expect(alert).to_have_count(0)
        await phone.evaluate(
            "() => { navigator.mediaDevices.getUserMedia = async () => {"
            " throw new DOMException('no', 'NotAllowedError'); }; }"
        )
        await town.act("ask_video", case=case)
        await phone.locator(".video .yes").click()
        failed = page.locator("[data-video=failed]")
        await expect(failed).to_contain_text("the phone does not give its camera")
        await expect(failed).to_contain_text("did not refuse")
        await screenshot(page, "video-failed-1280")


@pytest.mark.parametrize(("language", "begun"), [("en", "late: begun"), ("zh-CN", "迟到：始于")])
async def test_line_that_was_long_in_the_making_stands_at_its_end_and_says_when_it_was_begun(
    town: Town, open_page: OpenPage, language: str, begun: str
) -> None:
    async with town.open_hub() as hub:
        case = await Outside(town).ring(line="text")
        now_ns = time.time_ns()
        late = TextTurn(
            turn=new_id(), who="caller", way="page", text="we are in the",
            begun_ns=now_ns - 300 * SECOND_NS, ended_ns=now_ns - 10 * SECOND_NS,
        )  # fmt: skip
        asked = TextTurn(
            turn=new_id(), who="dispatcher", way="page", text="Where are you?", seat="ben",
            begun_ns=now_ns - 200 * SECOND_NS, ended_ns=now_ns - 100 * SECOND_NS,
        )  # fmt: skip
        await hub.record.add(
            lambda: [Draft("text_turn", body, case=case) for body in (late, asked)]
        )
        page = await console(town, open_page, case, language)
        lines = page.locator(".turns .turn")
        await expect(lines).to_have_count(2)
        await expect(lines.first).to_contain_text("Where are you?")
        await expect(lines.first).to_contain_text("ben")
        await expect(lines.first).not_to_contain_text(begun)
        at = time.strftime("%H:%M", time.localtime((now_ns // SECOND_NS) - 300))
        await expect(lines.last).to_contain_text(f"{begun} {at}")


async def test_caller_who_writes_after_the_end_rings_again_in_words_of_its_own(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring(line="text")
        for action in ("answer_call", "end_call"):
            await town.act(action, case=case)
        page = await console(town, open_page, case)
        phone = await open_page(town.hub.link_for(case), **PHONE)
        await phone.locator("[name=text]").press_sequentially("he fell again\n")
        row = page.locator(f"[data-case='{case}'].rings")
        await expect(row).to_contain_text("writes after the end: answer")
        await expect(page.locator(".timeline")).to_contain_text("The caller writes after the end")
        await page.keyboard.press("a")
        await expect(page.locator(".call-state")).to_contain_text("talks: you")
