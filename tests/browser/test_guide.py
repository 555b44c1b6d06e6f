"""The life-support guide: a seat walks it by keys, the caller sees each step with its picture."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from dispatch.guidance.settings import GuidanceSettings
from tests.browser.conftest import FindFaults, OpenPage, TakeScreenshot
from tests.call_sources import Outside
from tests.hub_town import Town, a_town

PHONE: dict[str, Any] = {"width": 360, "height": 740}
AEDS = "name\tlatitude\tlongitude\thours\nTown hall\t31.2306\t121.4740\t24/7\n"


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


async def press(page: Page, keys: str) -> None:
    """Press keys, each once the card shows what the one before led to."""
    for key in keys.split():
        before = await page.locator(".guide-text").inner_text()
        await page.keyboard.press(key)
        await expect(page.locator(".guide-text")).not_to_have_text(before)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_guide_leads_by_keys_to_compressions_and_the_caller_sees_each_step(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot, axe_faults: FindFaults,
    language: str,
) -> None:  # fmt: skip
    (town.state / "aeds.tsv").write_text(AEDS)
    settings = GuidanceSettings(aeds=str(town.state / "aeds.tsv"))
    async with town.open_hub(guidance=settings):
        outside = Outside(town)
        case = await outside.ring()
        await outside.locate(31.2304, 121.4737, radius_m=20)
        console = await open_page(
            f"{town.hub.url}/?key={town.seat.token}", width=1920, height=1080, language=language
        )
        await console.locator(f"[data-case='{case}']").click()
        phone = await open_page(town.hub.link_for(case), language=language, **PHONE)
        await expect(console.locator(".talk")).to_be_visible()
        await console.evaluate("document.activeElement.blur()")
        await console.keyboard.press("z")
        await expect(console.locator(".guide-keys")).to_be_focused()
        shown = phone.locator(".step p")
        await expect(shown).to_have_text(await console.locator(".guide-text").inner_text())
        await press(console, "2 2 1 Enter Enter")  # not awake, not breathing, adult
        await expect(console.locator(".guide-times")).to_contain_text("110/min")
        await expect(shown).to_have_text(await console.locator(".guide-text").inner_text())
        await expect(phone.locator(".step")).to_contain_text("110 / min")
        await expect(console.locator(".guide")).to_contain_text("Town hall")
        await console.keyboard.press("f")  # a shock
        await expect(console.locator("[data-mark=first_shock]")).to_have_count(0)
        await console.keyboard.press("r")  # another one pushes
        await expect(console.locator(".timeline")).to_contain_text(
            "rescuer" if language == "en" else "换人"
        )
        await screenshot(console, f"guide-{language}-1920")
        await screenshot(phone, f"guide-caller-{language}-360")
        for page in (console, phone):
            assert await axe_faults(page) == []
        await console.keyboard.press("x")  # to end it wants a reason
        await console.keyboard.type("the crew is at the door")
        await console.keyboard.press("Enter")
        await expect(console.locator(".timeline")).to_contain_text("the crew is at the door")
        lines = await town.get(f"/api/cases/{case}/timeline")
        (stopped,) = [line["data"] for line in lines if line["data"].get("act") == "stopped"]
        assert stopped["reason"] == "the crew is at the door"
        steps = [line["data"] for line in lines if line["kind"] == "guidance_step"]
        assert all(step["source"] for step in steps if step.get("step"))
        await expect(phone.locator(".step")).to_have_count(0)
        marks = [line["data"]["mark"] for line in lines if line["kind"] == "guidance_mark"]
        assert marks == ["first_shock", "rescuer_change"]


async def test_guide_that_another_seat_moved_says_so_and_answers_nothing_unseen(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        started = await town.act("start_guide", case=case)
        assert started["made"] == ["guidance_step"]
        assert (await town.act("start_guide", case=case))["made"] == []
        lines = await town.get(f"/api/cases/{case}/timeline")
        (step,) = [line["data"] for line in lines if line["kind"] == "guidance_step"]
        at = {key: step[key] for key in ("run", "protocol", "step")}
        await town.act("answer_guide", case=case, answer="no", **at)
        told = await town.act("answer_guide", case=case, answer="yes", status=409, **at)
        assert told["conflict"]["kind"] == "guide_moved"
