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


async def shown(town: Town, open_page: OpenPage, case: str, language: str = "en") -> Page:
    """Open the console on a case, with nothing in focus."""
    page = await open_page(f"{town.hub.url}/?key={town.seat.token}", language=language)
    await page.locator(f"[data-case='{case}']").click()
    await expect(page.locator(".case-head")).to_be_visible()
    await page.evaluate("document.activeElement.blur()")
    return page


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
        await console.keyboard.press("x")  # it ends calls, and nothing within the guide
        await expect(console.locator(".guide-why")).to_have_count(0)
        await expect(console.locator(".call-bar")).not_to_have_attribute("data-phase", "ended")
        await console.keyboard.press("e")  # to end it wants a reason
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


@pytest.mark.parametrize(
    ("language", "complaint", "words"),
    [
        ("en", "Cardiac arrest, adult", "Set: RED, Cardiac arrest, adult"),
        ("zh-CN", "心脏骤停（成人）", "心脏骤停（成人）"),
    ],
)
async def test_guided_arrest_proposes_red_and_the_complaint_and_sets_them_by_one_key(
    *, town: Town, open_page: OpenPage, screenshot: TakeScreenshot, axe_faults: FindFaults,
    language: str, complaint: str, words: str,
) -> None:  # fmt: skip
    async with town.open_hub():
        case = await Outside(town).ring()
        console = await shown(town, open_page, case, language)
        await console.keyboard.press("z")
        await expect(console.locator(".guide-keys")).to_be_focused()
        await expect(console.locator(".guide-proposal")).to_have_count(0)
        await press(console, "2 2")  # not awake, not breathing
        await expect(console.locator(".guide-proposal")).to_be_visible()
        await press(console, "1")  # adult
        await expect(console.locator(".guide-proposal")).to_contain_text(words)
        await expect(console.locator(".guide-proposal")).to_contain_text("WS/T 390-2012")
        done = await console.locator(".answers .main").inner_text()
        enter = console.locator(".enter-hint strong")
        await expect(enter).to_have_text(done.replace("⏎", "").strip())
        found = await town.get(f"/api/cases/{case}")
        assert (found["severity"], found["complaint"]) == ("unknown", ""), "nothing by itself"
        await screenshot(console, f"guide-proposal-{language}-1280")
        assert await axe_faults(console) == []
        await console.keyboard.press("t")
        await expect(console.locator(".case-head .complaint")).to_have_text(complaint)
        await expect(console.locator(".guide-proposal")).to_have_count(0)
        found = await town.get(f"/api/cases/{case}")
        assert (found["severity"], found["complaint"]) == ("red", complaint)
        await expect(console.locator(".guide-keys")).to_be_focused()
        await press(console, "Enter")  # the keys go on here


async def test_severity_that_the_seat_chose_is_not_proposed_again_and_typed_words_stay(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        console = await shown(town, open_page, case)
        await town.act("start_guide", case=case, protocol="cardiac_arrest_adult")
        await expect(console.locator(".guide-proposal")).to_be_visible()
        await town.act("amend_case", case=case, severity="yellow", complaint="faint, moves again")
        await expect(console.locator(".guide-proposal")).to_have_count(0)


async def test_shock_and_change_of_rescuer_that_were_noted_by_mistake_are_taken_back(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        await town.act("start_guide", case=case, protocol="cardiac_arrest_adult")
        console = await shown(town, open_page, case)
        await console.locator(".guide-keys").focus()
        await press(console, "Enter Enter 1")  # flat, hands, pushing
        await console.keyboard.press("f")
        noted = console.locator("[data-unmark=first_shock]")
        await expect(noted).to_contain_text("take back")
        await expect(console.locator(".guide-times")).to_contain_text("first shock")
        await screenshot(console, "guide-shock-1280")
        await console.keyboard.press("Shift+F")
        await expect(noted).to_have_count(0)
        await expect(console.locator("[data-mark=first_shock]")).to_be_visible()
        await expect(console.locator(".guide-times")).not_to_contain_text("first shock")
        await console.keyboard.press("r")
        changed = console.locator("[data-unmark=rescuer_change]")
        await expect(changed).to_be_visible()
        await changed.click()
        await expect(changed).to_have_count(0)
        await expect(console.locator(".guide-keys")).to_be_focused()
        lines = await town.get(f"/api/cases/{case}/timeline")
        marks = [line["data"] for line in lines if line["kind"] == "guidance_mark"]
        assert [(one["mark"], one.get("withdrawn", False)) for one in marks] == [
            ("first_shock", False), ("first_shock", True),
            ("rescuer_change", False), ("rescuer_change", True),
        ]  # fmt: skip


async def test_guide_says_that_nobody_answered_comes_into_view_and_names_what_enter_does(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring(line="text")
        console = await shown(town, open_page, case)
        enter = console.locator(".enter-hint")
        await expect(enter).to_contain_text("does nothing now")
        await console.evaluate("document.querySelector('.case-column').scrollTop = 1e6")
        await console.keyboard.press("z")
        await expect(console.locator(".guide-keys")).to_be_focused()
        await expect(console.locator(".guide-text")).to_be_in_viewport()
        await expect(console.locator(".guide-unanswered")).to_contain_text("Nobody has answered")
        await expect(enter).to_contain_text("does nothing now")  # a question: it wants an answer
        await press(console, "3")  # not sure: an instruction
        await expect(enter).to_contain_text("Done, go on")
        await console.locator("[name=talk]").focus()
        await expect(enter).to_contain_text("says it to the caller")
        await screenshot(console, "guide-unanswered-1280")
        await console.evaluate("document.activeElement.blur()")
        before = await console.locator(".guide-text").inner_text()
        await console.keyboard.press(
            "1"
        )  # it would be an alternative unit, and Enter would send it
        await expect(console.locator(".guide-keys")).to_be_focused()
        await expect(console.locator(".question")).to_have_count(0)
        await expect(console.locator(".guide-text")).to_have_text(before)
        await console.evaluate("document.activeElement.blur()")
        await console.keyboard.press("A")
        await expect(console.locator(".guide-unanswered")).to_have_count(0)


HEARD = """async () => {
  const { speech } = await import('/static/page/speech.js');
  const one = { case: CASE, turn: '01ARZ3NDEKTSV4RRFFQ69G5FAX', text: 'give 2 breaths',
    language: 'en', confidence: 0.7, begun_ms: Date.now() - 2000, ended_ms: Date.now() - 500,
    wait: 'doubts', doubts: [{ kind: 'number', begin: 5, end: 6, read_back: '2' }] };
  speech.heard.value = new Map([[one.turn, one]]);
}"""
"""What the recognition would tell this seat's page: a sentence with a number in it."""


async def test_spoken_line_that_waits_stays_in_view_beside_the_guide_and_is_said_from_there(
    town: Town, open_page: OpenPage, screenshot: TakeScreenshot
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring(line="text")
        console = await shown(town, open_page, case)
        await open_page(town.hub.link_for(case), **PHONE)
        await expect(console.locator(".talk-head [role=status]")).to_contain_text("is open")
        await console.keyboard.press("z")
        await expect(console.locator(".guide-keys")).to_be_focused()
        await console.evaluate(HEARD.replace("CASE", repr(case)))
        held = console.locator(".turn.held")
        await expect(held).to_have_count(1)
        await expect(held).to_be_in_viewport(ratio=1)
        box, answers = await held.bounding_box(), await console.locator(".answers").bounding_box()
        assert box is not None
        assert answers is not None
        assert answers["y"] + answers["height"] <= box["y"], "the guide's answers stay in view"
        await expect(console.locator(".guide-keys")).to_be_focused()
        await screenshot(console, "guide-held-1280")
        await console.keyboard.press("F2")
        await expect(held.locator("[data-key=say-heard]")).to_be_focused()
        await expect(console.locator(".enter-hint")).to_contain_text("says it to the caller")
        await console.keyboard.press("Enter")
        await expect(console.locator(".turn.dispatcher")).to_contain_text("give 2 breaths")
        await expect(held).to_have_count(0)
        await expect(console.locator(".guide-keys")).to_be_focused()
