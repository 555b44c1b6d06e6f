"""Questions that a caller answers with a tap: three in pictures, and those of the guide."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from dispatch.guidance.loading import load
from tests.browser.conftest import FindFaults, OpenPage, TakeScreenshot
from tests.call_sources import Outside
from tests.hub_town import Town, a_town

PHONE: dict[str, Any] = {"width": 360, "height": 740}


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


async def said(town: Town, case: str) -> list[str]:
    found: dict[str, Any] = await town.get(f"/api/cases/{case}")
    return [one["text"] for one in found["talk"]["turns"]]


async def all_went(phone: Page) -> None:
    await expect(phone.locator(".lines .waiting")).to_have_count(0)


async def guide_of(town: Town, case: str) -> dict[str, Any]:
    """Return where the guide stands, as an action names it."""
    lines = await town.get(f"/api/cases/{case}/timeline")
    step: dict[str, Any] = [one["data"] for one in lines if one["kind"] == "guidance_step"][-1]
    return {key: step[key] for key in ("run", "protocol", "step")}


async def test_answer_in_pictures_is_corrected_by_one_tap_and_asked_once(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot, axe_faults: FindFaults
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        phone = await open_page(town.hub.link_for(case), **PHONE)
        back = phone.locator(".back")
        await expect(back).to_have_count(0)
        for answer in ("Fall", "At home", "One"):
            await phone.locator(".answer", has_text=answer).click()
        await expect(back).to_contain_text("Change my answer: One")
        await expect(phone.locator(".answer")).to_have_count(0)
        await back.click()
        await expect(back).to_contain_text("Change my answer: At home")
        await screenshot(phone, "caller-back-360")
        assert await axe_faults(phone) == []
        await phone.locator(".answer", has_text="Two").click()
        await all_went(phone)
        await phone.reload()
        await expect(back).to_contain_text("Change my answer: Two")
        await expect(phone.locator(".answer")).to_have_count(0)
        await back.click()
        await phone.get_by_role("button", name="Something else").click()
        await all_went(phone)
        assert await said(town, case) == [
            "摔倒 · Fall", "在家里 · At home", "一人 · One", "更正：两人 · Correction: Two",
            "不是：两人 · Not: Two",
        ]  # fmt: skip


async def test_answer_that_is_taken_back_and_given_again_says_nothing_twice(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        phone = await open_page(town.hub.link_for(case), **PHONE)
        await phone.locator(".answer", has_text="Fall").click()
        await phone.locator(".back").click()
        await phone.locator(".answer", has_text="Fall").click()
        await phone.get_by_role("button", name="Something else").click()  # where
        await phone.locator(".back").click()
        await phone.locator(".answer", has_text="In a car").click()
        await all_went(phone)
        assert await said(town, case) == ["摔倒 · Fall", "在车里 · In a car"]


async def test_quick_exit_leaves_no_answer_on_the_phone(town: Town, open_page: OpenPage) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        link = town.hub.link_for(case)
        phone = await open_page(link, **PHONE)
        await phone.locator(".answer", has_text="Fall").click()
        await phone.locator("[name=text]").press_sequentially("he is in the next ro")
        await phone.locator(".leave").click()
        await phone.wait_for_url("about:blank")
        await phone.goto(link)
        await phone.locator(".answer", has_text="Fall").wait_for()
        assert await phone.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_caller_answers_the_guide_in_words_and_the_dispatcher_s_key_moves_it(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot, axe_faults: FindFaults,
    language: str,
) -> None:  # fmt: skip
    async with town.open_hub():
        case = await Outside(town).ring()
        phone = await open_page(town.hub.link_for(case), language=language, **PHONE)
        await town.act("answer_call", case=case)
        await town.act("start_guide", case=case)
        choices = phone.locator(".step .choice")
        at = await guide_of(town, case)
        step = load().step(at["protocol"], at["step"])
        zh = language == "zh-CN"
        words = [one.zh if zh else one.en for one in step.answers]
        await expect(choices).to_have_text(words)
        box = await choices.first.bounding_box()
        assert box is not None
        assert box["height"] >= 64
        await screenshot(phone, f"caller-guide-answers-{language}-360")
        assert await axe_faults(phone) == []
        await choices.nth(1).dblclick()
        await expect(choices.nth(1)).to_have_attribute("aria-pressed", "true")
        await choices.nth(0).click()  # he looked again
        await all_went(phone)
        told = [f"{one.zh} · {one.en}" for one in step.answers]
        assert await said(town, case) == [told[1], told[0]]
        assert await guide_of(town, case) == at, "a caller's tap moves no guide"
        await town.act("answer_guide", case=case, answer=step.answers[1].id, **at)
        await expect(phone.locator(".step p")).not_to_have_text(step.zh if zh else step.en)
        await expect(phone.locator(".step .choice[aria-pressed=true]")).to_have_count(0)


async def test_caller_who_does_not_hear_is_shown_when_the_other_one_is_to_push(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot, axe_faults: FindFaults
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        phone = await open_page(town.hub.link_for(case), **PHONE)
        await phone.clock.install()
        await town.act("start_guide", case=case, protocol="cardiac_arrest_adult")
        for _ in range(2):
            await town.act("go_on_guide", case=case, **await guide_of(town, case))
        at = await guide_of(town, case)
        await town.act("answer_guide", case=case, answer="pushing", **at)
        await expect(phone.locator(".step")).to_contain_text("110 / min")
        change = phone.locator(".change")
        await expect(change).to_have_count(0)
        run = (await guide_of(town, case))["run"]
        await town.act("note_moment", case=case, run=run, mark="rescuer_change")
        await expect(change).to_contain_text("Change now: the other one pushes")
        await screenshot(phone, "caller-change-360")
        assert await axe_faults(phone) == []
        await phone.set_viewport_size({"width": 320, "height": 640})
        assert await phone.evaluate("document.documentElement.scrollWidth") <= 320
        await phone.clock.run_for(20_000)
        await expect(change).to_have_count(0)
        await phone.clock.run_for(105_000)
        await expect(change).to_be_visible()  # two minutes are over
