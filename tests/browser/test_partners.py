"""Police and fire on the console in headless Chromium: told by keys alone, answers seen at once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from dispatch.partner_settings import PartnerSettings
from streams.partner_messages import PartnerAnswered
from tests.call_sources import NUMBER
from tests.hub_town import Town, a_town
from tests.partner_stand_in import ControlRoom, a_case, alert_of, cap_answer, control_room, text_of
from tests.vehicle_town import running
from tests.vehicle_town import town as vehicle_town

Pictures = Callable[[Page, str], Awaitable[None]]


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


@pytest.fixture
async def police(town: Town) -> AsyncIterator[ControlRoom]:
    room = control_room(town)
    async with room.open():
        yield room


@pytest.fixture
def pictures(screenshot: Any, axe_faults: Any) -> Pictures:
    """A function that takes a screenshot and finds no fault."""

    async def take(page: Page, name: str) -> None:
        await screenshot(page, name)
        assert await axe_faults(page) == []

    return take


def console(town: Town) -> str:
    return f"{town.hub.url}/?key={town.seat.token}"


def settings_of(police: ControlRoom, fire: ControlRoom) -> tuple[PartnerSettings, ...]:
    """Police who take messages, and a fire brigade that is given up soon."""
    return (
        police.settings(label="City police", contact="021-5550 0120"),
        fire.settings(label="Fire brigade", kind="fire", retry_minutes=0.02),
    )


async def show(page: Page, case: str) -> None:
    """Show a case, with no field or button in focus."""
    await page.locator(f"[data-case='{case}']").click()
    await expect(page.locator(".partners")).to_be_visible()
    await page.evaluate("document.activeElement.blur()")


async def press(page: Page, keys: str) -> None:
    for key in keys.split():
        await page.keyboard.press(key)


async def test_police_are_told_by_keys_alone_and_what_leaves_is_said_before(
    town: Town, police: ControlRoom, open_page: Any, screenshot: Any, axe_faults: Any
) -> None:
    fire = control_room(town, "fire")
    async with town.open_hub(partners=settings_of(police, fire)):
        page: Page = await open_page(console(town), width=1920, height=1080)
        case = await a_case(town)
        await town.act("assign_unit", case=case, unit="unit-1")
        await show(page, case)
        question, row = page.locator(".question"), page.locator("[data-partner=police]")
        await press(page, "f")
        await expect(question).to_contain_text("Tell City police?")
        await expect(question).to_contain_text("Nothing about the patient leaves the building")
        await expect(page.locator("[data-confirm]")).to_be_disabled()
        await press(page, "2 4 p t")
        await page.keyboard.type("knife, man in a red jacket")
        await expect(question).to_contain_text(f"The caller's number {NUMBER} leaves")
        await expect(question).to_contain_text("violence, hazardous material; “knife")
        await expect(question).to_contain_text("Ambulance 1 goes there")
        await screenshot(page, "partners-question-1920")
        assert await axe_faults(page) == []
        await press(page, "Escape Escape f Enter")
        await expect(row).to_contain_text("delivered")
        await expect(question).to_have_count(0)
        alert = alert_of(police.taken[0])
        assert [one.text for one in alert.within("category")][:2] == ["Security", "CBRNE"]
        assert "man in a red jacket" in police.taken[0], "what was typed outlived Escape"
        assert NUMBER in police.taken[0]
        await press(page, "f")
        await expect(question).to_contain_text("Tell City police what is new?")
        await press(page, "f")
        await expect(question).to_contain_text("Tell Fire brigade?")
        await expect(page.locator("[name=with_number]")).to_have_count(0)


async def test_answers_and_what_was_not_delivered_are_seen_in_both_languages(
    town: Town, police: ControlRoom, free_port: Any, open_page: Any, pictures: Pictures
) -> None:
    fire = control_room(town, "fire")
    fire.port = free_port()
    async with town.open_hub(partners=settings_of(police, fire)):
        page: Page = await open_page(console(town), width=1920, height=1080)
        chinese: Page = await open_page(console(town), language="zh-CN")
        case = await a_case(town)
        for one in (page, chinese):
            await show(one, case)
        tell: dict[str, Any] = {
            "case": case,
            "purposes": ["fire", "trapped"],
            "note": "third floor",
        }
        await town.act("tell_partner", partner="police", **tell)
        await town.act("tell_partner", partner="fire", **tell)
        row, burnt = page.locator("[data-partner=police]"), page.locator("[data-partner=fire]")
        await expect(row).to_contain_text("delivered")
        told = alert_of(police.taken[0])
        reference = ",".join(text_of(told, one) for one in ("sender", "identifier", "sent"))
        await police.answer(cap_answer(reference, "Update", code="en_route", note="two cars"))
        await expect(row).to_contain_text("on the way")
        await expect(burnt).to_contain_text("NOT TOLD: call them", timeout=20_000)
        await expect(burnt).to_contain_text("its server does not answer")
        timeline = page.locator(".timeline")
        await expect(timeline).to_contain_text("City police: on the way: two cars")
        await expect(timeline).to_contain_text("Fire brigade was NOT told")
        await pictures(page, "partners-told-1920")
        await expect(chinese.locator("[data-partner=police]")).to_contain_text("前往途中")
        await chinese.keyboard.press("f")
        asked = chinese.locator(".question")
        await expect(asked).to_contain_text("患者信息和呼救人电话均不会发出")
        await pictures(chinese, "partners-question-zh-1280")
        await chinese.keyboard.press("Escape")
        await chinese.locator(".partners").scroll_into_view_if_needed()
        await pictures(chinese, "partners-told-zh-1280")
        await page.get_by_role("button", name="Close case").click()
        await expect(page.locator(".question")).to_contain_text("City police was told and is not")
        await page.keyboard.press("Escape")
        await row.get_by_role("button", name="Not needed").click()
        await page.locator("[name=reason]").fill("it was a drill of theirs")
        await page.keyboard.press("Enter")
        await expect(row).to_contain_text("told that it is not needed")
        assert text_of(alert_of(police.taken[1]), "note") == "it was a drill of theirs"


async def test_crew_sees_on_its_tablet_that_the_police_are_there(
    tmp_path: Path, open_page: Any, until: Any, screenshot: Any
) -> None:
    async with vehicle_town(tmp_path) as site, running(site) as started:
        page: Page = await open_page(f"{started.vehicle.url}/?key={started.vehicle.token}")
        case = started.hub.call()
        hub = started.hub
        said = PartnerAnswered(
            partner="police", name="City police", status="on_scene", message="m", note="flat open",
            at_ns=hub.now_ns(),
        )  # fmt: skip
        hub.tell(case, "partner_answered", said)
        await until(page, "document.body.textContent.includes('City police: on scene: flat open')")
        await screenshot(page, "partners-tablet")
        text = await page.locator("body").inner_text()
        assert text.count("City police: on scene: flat open") == 1, "said once"
