"""The dispatcher's console in headless Chromium, against the real hub and broker."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from streams.messages import (
    Acknowledged,
    MediaState,
    Milestone,
    Numeric,
    Position,
    PreAlert,
    RunStarted,
    Vitals,
)
from streams.outbox import Draft
from tests.hub_town import Hospital, Town, Vehicle, a_town

WaitFor = Callable[..., Any]
OpenPage = Callable[..., Any]
HOLE = re.compile(
    r"\b(?:console|key|queue|case|form|party|why|ask|vitals|video|map|units|stage|entry|role|trouble)\.[a-z_]+"
)
SIZES = ((1920, 1080), (1280, 800))
LONG = (
    "Flat 1207, Staircase C, Building 14 of the Former Number Three Cotton Mill Workers' Village, "
)
LONG_NAME = (
    LONG + "Lane 1883 off Zhongshan North Second Road, behind the covered market, Putuo District"
)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


def console(town: Town) -> str:
    return f"{town.hub.url}/?key={town.seat.token}"


def measured(value: float | None, age_s: float = 0, **fields: Any) -> Numeric:
    return Numeric(value=value, measured_ns=time.time_ns() - int(age_s * 1e9), **fields)


def place(latitude_deg: float, longitude_deg: float) -> dict[str, float]:
    return {"latitude_deg": latitude_deg, "longitude_deg": longitude_deg}


async def drive(unit: Vehicle, latitude_deg: float, longitude_deg: float, steps: int = 12) -> None:
    for step in range(steps):
        position = Position(
            latitude_deg=latitude_deg - 0.001 * step,
            longitude_deg=longitude_deg + 0.0015 * step,
            measured_ns=time.time_ns() - (steps - step) * 500_000_000,
            source="gnss",
            radius_m=8.0,
            speed_mps=12.0,
            heading_deg=118.0,
        )
        await unit.stream(Draft("position", position))


async def test_console_case_is_opened_and_sent_by_keyboard_alone(
    town: Town, tmp_path: Path, wait_for: WaitFor, open_page: OpenPage
) -> None:
    unit, first = Vehicle("unit-1", tmp_path), Hospital("first-hospital", tmp_path)
    async with town.open_hub() as hub, town.join(unit, first):
        page: Page = await open_page(console(town))
        await expect(page.locator(".case-column")).to_contain_text("No case is open")
        await page.keyboard.press("n")
        await page.keyboard.type("No. 8 Garden Road")
        await page.keyboard.press("Escape")
        await page.keyboard.press("n")
        await expect(page.locator("[name=address]")).to_have_value("No. 8 Garden Road")
        await page.keyboard.press("Tab")
        await page.keyboard.type("chest pain")
        await page.keyboard.press("Tab")
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("Enter")
        await expect(page.locator(".address")).to_have_text("No. 8 Garden Road")
        await expect(page.locator(".case-head .severity")).to_contain_text("RED")
        row = page.locator(".row[aria-current=true]")
        await row.focus()
        await expect(row).to_have_css("outline-width", "3px")  # where the keyboard is, is seen
        await page.locator(".choice").first.wait_for()
        await page.keyboard.press("u")
        await expect(page.locator(".question")).to_contain_text("is sent to No. 8 Garden Road now")
        await page.keyboard.press("Enter")
        await expect(page.locator("[data-party=unit] .party-name")).to_contain_text("Ambulance 1")
        await expect(page.locator("[data-party=unit] .delivery")).to_contain_text("delivered")
        await page.keyboard.press("h")
        await page.keyboard.press("Enter")
        await expect(page.locator("[data-party=hospital]")).to_contain_text("First Hospital")
        await expect(page.locator("[data-party=hospital] .delivery")).to_contain_text("delivered")
        (case,) = hub.record.book.open()
        assert (case.severity, case.complaint) == ("red", "chest pain"), "what was shown was saved"
        assert case.hospital == "first-hospital"
        await wait_for(lambda: "hospital_chosen" in first.kinds(case.id), "the hospital")
        first.make(
            Draft(
                "acknowledged",
                Acknowledged(hospital="first-hospital", role="charge_nurse"),
                case=case.id,
            )
        )
        mark = page.locator("[data-party=hospital] .delivery")
        await expect(mark).to_contain_text("seen by charge nurse")


async def test_console_two_patients_keep_their_own_rows(
    town: Town, tmp_path: Path, wait_for: WaitFor, open_page: OpenPage
) -> None:
    unit = Vehicle("unit-1", tmp_path)
    async with town.open_hub(), town.join(unit):
        case = await town.open_case()
        await town.act("assign_unit", case=case, unit="unit-1")
        page: Page = await open_page(console(town))
        for patient, rate in (("Mother", 92.0), ("Newborn", 141.0)):
            body = Vitals(device="m", heart_rate_per_min=measured(rate))
            unit.make(Draft("vitals", body, case=case, patient=patient))
        await expect(page.locator(".vitals")).to_have_count(2)
        await expect(page.locator(".vitals").nth(0)).to_contain_text("Mother")
        await expect(page.locator(".vitals").nth(0)).to_contain_text("92")
        await expect(page.locator(".vitals").nth(1)).to_contain_text("141")


async def test_console_busy_unit_is_taken_only_with_a_reason(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub() as hub:
        one = await town.open_case("First Street")
        await town.act("assign_unit", case=one, unit="unit-1")
        two = await town.open_case("Second Street", severity="red")
        page: Page = await open_page(console(town))
        await page.locator(f"[data-case='{two}']").click()
        await page.locator("[data-party=unit] .other select").select_option("unit-1")
        question = page.locator(".question")
        await expect(question).to_contain_text("taken from its case at First Street")
        await expect(question.locator("[data-confirm]")).to_be_disabled()
        await question.locator("[name=reason]").fill("nobody else near")
        await question.locator("[data-confirm]").click()
        await expect(page.locator("[data-party=unit] .party-name")).to_contain_text("Ambulance 1")
        assert hub.record.book.get(one).unit is None  # type: ignore[union-attr]
        assert hub.record.book.get(two).unit == "unit-1"  # type: ignore[union-attr]


async def test_console_text_outlives_a_lost_hub_and_nothing_looks_live(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        await town.open_case("Quiet Street")
        page: Page = await open_page(
            console(town), may_log=("WebSocket", "ERR_", "Failed to load", "404")
        )
        await expect(page.locator(".address")).to_have_text("Quiet Street")
        await page.keyboard.press("t")
        await page.keyboard.type("door code 4711")
    await expect(page.locator(".not-live")).to_be_visible(timeout=15_000)
    await page.keyboard.press("Enter")
    await expect(page.locator(".problem")).to_contain_text("Not sent")
    await expect(page.locator("[name=note]")).to_have_value("door code 4711")


async def test_console_says_that_the_hub_lost_its_broker_until_it_is_back(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        page: Page = await open_page(console(town))
        await expect(page.locator(".link.live")).to_be_visible()
        await expect(page.locator(".trouble")).to_have_count(0)
        await town.broker.stop()
        bar = page.locator(".trouble")
        await expect(bar).to_contain_text("cannot reach the broker", timeout=15_000)
        await expect(bar).to_contain_text(re.compile(r"since \d\d:\d\d"))
        box = await bar.bounding_box()
        assert box is not None
        assert box["width"] == await page.evaluate("document.documentElement.clientWidth")
        await town.broker.start()
        await expect(bar).to_have_count(0, timeout=20_000)


async def test_console_text_of_any_length_leaves_unit_hospital_and_vitals_in_view(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        text = (LONG * 60)[:4000]
        case = await town.open_case(text, complaint="x" * 4000, caller="c" * 200)
        await town.act("note", case=case, text=text)
        page: Page = await open_page(console(town))
        await page.set_viewport_size({"width": 1280, "height": 800})
        await expect(page.locator(".timeline-row")).to_have_count(2)
        for part in ("[data-party=unit] h3", "[data-party=hospital] h3"):
            await expect(page.locator(part)).to_be_in_viewport(ratio=1)
        await expect(page.locator(".address .clamped")).to_have_attribute("title", text)
        for part in (".address", ".complaint", ".facts", ".timeline-text .clamped >> nth=0"):
            height = await page.locator(part).evaluate(
                "e => e.offsetHeight / parseFloat(getComputedStyle(e).lineHeight)"
            )
            assert height < 3.6, (part, height)


async def test_console_old_time_of_arrival_is_hollow_and_says_how_old(
    town: Town, tmp_path: Path, wait_for: WaitFor, open_page: OpenPage
) -> None:
    unit = Vehicle("unit-1", tmp_path)
    async with town.open_hub(), town.join(unit):
        case = await town.open_case(position=place(31.2335, 121.4805))
        await town.act("assign_unit", case=case, unit="unit-1")
        await town.act("choose_hospital", case=case, hospital="first-hospital")
        page: Page = await open_page(console(town))
        eta = page.locator("[data-party=hospital] .eta")
        for age_s, stale in ((90, True), (1, False)):

            async def shown(age_s: int = age_s, *, stale: bool = stale) -> bool:
                """Drive on, as the hub estimates anew only every other second; look."""
                position = Position(
                    latitude_deg=31.23, longitude_deg=121.47, source="gnss",
                    measured_ns=time.time_ns() - age_s * 10**9,
                )  # fmt: skip
                await unit.stream(Draft("position", position))
                await asyncio.sleep(0.2)
                classes = await eta.get_attribute("class") if await eta.count() else None
                return classes is not None and ("hollow" in classes) is stale

            await wait_for(shown, f"an estimate on a position of {age_s} s ago", timeout_s=20)
            old = page.locator("[data-party=hospital] .warn", has_text="position 1 min old")
            await expect(old).to_have_count(int(stale))


async def test_console_says_that_position_and_picture_are_no_live_ones(
    town: Town, tmp_path: Path, open_page: OpenPage
) -> None:
    unit = Vehicle("unit-1", tmp_path)
    async with town.open_hub(), town.join(unit):
        case = await town.open_case(position=place(31.2335, 121.4805))
        await town.act("assign_unit", case=case, unit="unit-1")
        on = MediaState(stream="cabin", state="on")
        unit.make(Draft("media_state", on, origin="replay", case=case))
        page: Page = await open_page(console(town), may_log=("Failed to load resource",))
        position = Position(
            latitude_deg=31.23, longitude_deg=121.47, source="route", measured_ns=time.time_ns()
        )
        await unit.stream(Draft("position", position, origin="synthetic"))
        await expect(page.locator(".map")).to_contain_text("synthetic")
        await page.click("[data-key=video]")
        await expect(page.locator(".cabin figcaption")).to_contain_text("recording")


async def six_cases(town: Town, unit: Vehicle, other: Vehicle, first: Hospital) -> None:
    red = await town.open_case(
        "No. 258 Fuzhou Road", complaint="chest pain, cold sweat", severity="red",
        position=place(31.2335, 121.4805), age_years=61, sex="male", caller="wife, 139 0000 0000",
    )  # fmt: skip
    await town.act("assign_unit", case=red, unit="unit-1")
    await town.act("choose_hospital", case=red, hospital="first-hospital")
    unit.make(Draft("run_started", RunStarted(crew="A"), case=red))
    alert = PreAlert(pathway="stemi", severity="red", age_years=61, sex="male")
    for stage in ("on_scene", "patient_contact", "departed"):
        unit.make(Draft("milestone", Milestone(stage=stage, at_ns=time.time_ns()), case=red))
    unit.make(Draft("pre_alert", alert, case=red))
    for step in range(12):
        body = Vitals(
            device="MRx",
            heart_rate_per_min=measured(112.0 + step, 60 - 5 * step),
            spo2_percent=measured(91.0, 60 - 5 * step, validity="questionable", reason="weak"),
            respiratory_rate_per_min=measured(26.0, 200),
            nibp_systolic_mmhg=measured(88.0, 190),
            nibp_diastolic_mmhg=measured(52.0, 190),
            etco2_mmhg=measured(None, 0, validity="unavailable", reason="sensor off"),
        )
        unit.make(Draft("vitals", body, case=red))
    await drive(unit, 31.2335, 121.4805)
    long = await town.open_case(LONG_NAME, complaint="fall from a ladder " * 6, severity="yellow",
                                position=place(31.262, 121.44), age_years=82, sex="female",
                                origin="synthetic")  # fmt: skip
    await town.act("assign_unit", case=long, unit="unit-2")
    await drive(other, 31.262, 121.44, 3)
    await town.open_case("People's Square, exit 7", complaint="unconscious person", severity="red")
    await town.open_case("88 Century Avenue", severity="green", complaint="cut on a finger")
    await town.open_case("12 Sichuan North Road", complaint="short of breath", severity="yellow",
                         position=place(31.25, 121.485))  # fmt: skip
    await town.open_case("Yan'an Elevated Road, near the tunnel")
    first.make(
        Draft(
            "acknowledged", Acknowledged(hospital="first-hospital", role="charge_nurse"), case=red
        )
    )


async def overflows(page: Page) -> list[str]:
    """Elements whose text is wider than the page, or that stick out of it."""
    found: list[str] = await page.evaluate(
        """() => [...document.querySelectorAll("body *")].filter((e) => {
            const r = e.getBoundingClientRect(), out = r.right > innerWidth + 1;
            return r.width > 0 && out && !e.closest(".leaflet-container, .keys");
        }).map((e) => e.tagName + "." + e.className)"""
    )
    return found


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_console_screenshots_look_like_a_product(  # noqa: PLR0917 - fixtures
    town: Town, tmp_path: Path, wait_for: WaitFor, open_page: OpenPage, screenshot: Any,
    axe_faults: Any, language: str,
) -> None:  # fmt: skip
    unit, other = Vehicle("unit-1", tmp_path), Vehicle("unit-2", tmp_path)
    first = Hospital("first-hospital", tmp_path)
    async with town.open_hub() as hub, town.join(unit, other, first):
        pages: list[tuple[Page, str]] = []
        quiet = ("WebSocket", "ERR_", "Failed to load", "404")
        for width, height in SIZES:
            page = await open_page(
                console(town), width=width, height=height, language=language, may_log=quiet
            )
            pages.append((page, f"console-{language}-{width}"))
            await expect(page.locator(".nothing-shown")).to_be_visible()
            await screenshot(page, f"console-{language}-{width}-empty")
            await page.keyboard.press("n")
            await screenshot(page, f"console-{language}-{width}-new")
            await page.keyboard.press("Escape")
        await six_cases(town, unit, other, first)
        await wait_for(lambda: unit.waiting() == first.waiting() == 0, "all stored")
        red = next(case for case in hub.record.book.open() if case.unit == "unit-1")
        for page, name in pages:
            await page.locator(f"[data-case='{red.id}']").click()
            await expect(page.locator(".tile").first).to_be_visible()
            await expect(page.locator(".queue .row")).to_have_count(6)
            await expect(page.locator("[data-party=hospital] .delivery.seen")).to_be_visible()
            await screenshot(page, f"{name}-six")
            assert not await overflows(page)
            assert not await axe_faults(page)
            await page.locator(".preferences button").first.click()
            await screenshot(page, f"{name}-light")
            assert not await axe_faults(page)
            await page.locator(".preferences button").first.click()
            assert not HOLE.findall(await page.locator("#page").inner_text()), "a text is missing"
            await page.locator(f"[data-case]:has-text('{LONG[:20]}')").click()
            await expect(page.locator(".case-head.banded")).to_be_visible()
            await page.keyboard.press("h")
            await screenshot(page, f"{name}-long")
            assert not await overflows(page)
    for page, name in pages:
        await expect(page.locator(".not-live")).to_be_visible(timeout=15_000)
        await screenshot(page, f"{name}-offline")
