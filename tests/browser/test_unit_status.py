"""The status clock where people see it: stamped on the tablet, shown at console and board."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from dispatch.district import DistrictSettings
from dispatch.units import UnitSettings
from streams.codec import open_body
from streams.hospital_messages import HospitalState
from streams.messages import Milestone, Position, RunEnded
from streams.outbox import Draft
from tests.browser.test_board import Er, Until, er, text
from tests.browser.test_tablet import begin_run, has_text, open_tablet, started
from tests.hub_town import Hospital, Town, Vehicle, a_town
from tests.vehicle_town import Started

__all__ = ["er", "started"]  # fixtures

OpenPage = Callable[..., Any]
HUB_LEAVES = ("WebSocket", "ERR_")
"""What the browser logs where the hub ends before its pages do."""
BORDER = ((31.0, 121.0), (31.0, 122.0), (32.0, 122.0), (32.0, 121.0))


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


async def test_tablet_hand_over_is_the_last_stage_and_is_stamped(
    started: Started, open_page: OpenPage, until: Until, wait_for: Callable[..., Any]
) -> None:
    page = await open_tablet(open_page, started)
    await begin_run(page, started, until)
    assert "Handed over" in await page.locator(".stamps .stamp").last.inner_text()
    await page.locator(".stamps .stamp").last.click()
    await wait_for(lambda: started.hub.of("milestone"), "the stamp")
    (fact,) = started.hub.of("milestone")
    assert open_body(fact, Milestone).stage == "handed_over"
    await until(page, has_text(".stamp.stamped", "Handed over"))


async def test_board_off_load_clock_ends_as_the_crew_stamps_the_hand_over(
    er: Er, open_page: OpenPage, until: Until
) -> None:
    case = await er.patient()
    now_ns = er.hub.now_ns()
    for stage, ago_s in (("arrived", 900), ("handed_over", 300)):
        body = Milestone(stage=stage, at_ns=now_ns - ago_s * 10**9)  # type: ignore[arg-type]
        await er.hub.fact(case, body, "milestone", "unit-1")
    page = await open_page(er.url)
    await until(page, f"{text('.off-load')}.includes('handed over')")
    assert "10:00" in await page.evaluate(text(".off-load")), "from the door to the hand-over"


async def test_console_unit_says_what_it_does_and_since_when_until_it_is_clear(
    town: Town, tmp_path: Path, open_page: OpenPage, screenshot: Any, axe_faults: Any
) -> None:
    unit, hospital = Vehicle("unit-1", tmp_path), Hospital("first-hospital", tmp_path)
    hour = time.gmtime().tm_hour
    away = f"{(hour + 3) % 24:02}:00-{(hour + 4) % 24:02}:00"
    units = (
        UnitSettings(name="unit-1", label="Ambulance 1", abilities=("advanced_life_support",)),
        UnitSettings(name="unit-2", label="Ambulance 2", shifts=(away,)),
    )
    rules = DistrictSettings(border=BORDER)
    async with town.open_hub(units=units, district=rules), town.join(unit, hospital):
        hospital.make(
            Draft(
                "hospital_state",
                HospitalState(beds=2, resus_bays=0, diversion=True, reason="CT is down"),
            )
        )
        place = Position(
            latitude_deg=33.0, longitude_deg=121.5, measured_ns=time.time_ns(), source="gnss"
        )
        await unit.stream(Draft("position", place))
        case = await town.open_case()
        console = f"{town.hub.url}/?key={town.seat.token}"
        page: Page = await open_page(console, may_log=HUB_LEAVES)
        one = page.locator("[data-unit=unit-1]")
        await expect(one.locator(".status")).to_contain_text("free")
        await expect(one).to_contain_text("outside the district")
        await expect(one).to_contain_text("ALS")
        await expect(page.locator("[data-unit=unit-2]")).to_contain_text("off shift")
        await town.act("assign_unit", case=case, unit="unit-1")
        await expect(one.locator(".status")).to_contain_text("assigned 00:")
        for number, (stage, words) in enumerate(
            (
                ("en_route", "en route"), ("on_scene", "on scene"),
                ("patient_contact", "with the patient"), ("departed", "to hospital"),
                ("arrived", "at hospital"), ("handed_over", "handed over"),
            )
        ):  # fmt: skip
            at_ns = time.time_ns() - (580 - number) * 10**9
            body = Milestone(stage=stage, at_ns=at_ns)  # type: ignore[arg-type]
            unit.make(Draft("milestone", body, case=case))
            await expect(one.locator(".status")).to_contain_text(f"{words} 09:")
        room = page.locator("[data-hospital=first-hospital]")
        await expect(room).to_contain_text("ON DIVERSION beds 2 · resus 0 CT is down")
        await expect(room).to_contain_text("ago")
        await expect(page.locator("[data-hospital=second-hospital]")).to_contain_text("not stated")
        assert await axe_faults(page) == []
        await screenshot(page, "console-units-en")
        chinese = await open_page(
            console, language="zh-CN", width=1920, height=1080, may_log=HUB_LEAVES
        )
        await expect(chinese.locator("[data-unit=unit-1] .status")).to_contain_text("已交接")
        await expect(chinese.locator("[data-hospital=first-hospital]")).to_contain_text("暂停接收")
        await screenshot(chinese, "console-units-zh-CN")
        unit.make(Draft("run_ended", RunEnded(reason="handed_over"), case=case))
        await expect(one.locator(".status")).to_contain_text("clear 00:")
