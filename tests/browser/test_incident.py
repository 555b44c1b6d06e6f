"""A mass-casualty incident on the console by keyboard: declared, tagged, sent; forty patients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from dispatch.units import HospitalSettings, UnitSettings
from tests.hub_town import Town, a_town

SCENE = {"latitude_deg": 31.23, "longitude_deg": 121.47}
SETTINGS: dict[str, Any] = {
    "units": (
        *(UnitSettings(name=f"unit-{number}", label=f"Ambulance {number}")
          for number in range(1, 13)),
        UnitSettings(name="drill-unit", label="Exercise 1", drill=True),
    ),
    "hospitals": (
        HospitalSettings(name="first-hospital", label="First Hospital", latitude_deg=31.24,
                         longitude_deg=121.46, capabilities=("trauma_centre", "children")),
        HospitalSettings(name="second-hospital", label="Second Hospital", latitude_deg=31.27,
                         longitude_deg=121.5, capabilities=("burn_centre", "trauma_centre")),
        HospitalSettings(name="third-hospital", label="Third Hospital", latitude_deg=31.33,
                         longitude_deg=121.47),
        HospitalSettings(name="drill-hospital", label="Exercise Hospital", latitude_deg=31.2,
                         longitude_deg=121.4, drill=True),
    ),
}  # fmt: skip
TAGS = ["immediate", "delayed", "minor", "minor", "immediate", "delayed", "minor", "expectant"] * 5


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


def console(town: Town) -> str:
    return f"{town.hub.url}/?key={town.seat.token}"


async def shown(page: Page, case: str) -> None:
    """Show a case and take the focus from its row."""
    await page.locator(f"[data-case='{case}']").click()
    await page.evaluate("document.activeElement.blur()")


async def test_incident_is_declared_tagged_and_sent_by_keys(town: Town, open_page: Any) -> None:
    async with town.open_hub(**SETTINGS):
        main = await town.open_case("Long Street bridge", position=SCENE)
        page: Page = await open_page(console(town))
        await shown(page, main)
        await page.keyboard.press("m")
        await expect(page.locator("[name=incident_kind]")).to_be_focused()
        await page.keyboard.type("rail")
        await page.keyboard.press("Tab")
        await page.keyboard.type("40")
        await page.keyboard.press("Enter")
        await expect(page.locator(".incident-head")).to_contain_text("rail")
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press("m")
        await expect(page.locator("[name=wristband]")).to_be_focused()
        # START in six keys: does not walk, breathes, not fast, pulse, does not obey; taken.
        for code, keys, tag in (
            ("T-1", "21112", "immediate"), ("T-2", "nyyyy", None), ("T-3", "1", "minor"),
            ("T-4", "22" + "2", "expectant"), ("T-5", "21111", "delayed"),
        ):  # fmt: skip
            await page.keyboard.type(code)
            await page.keyboard.press("Enter")
            for key in keys:
                await page.keyboard.press(key)
            if tag is None:  # a rate is neither yes nor no: the key means nothing, nothing is lost
                await expect(page.locator(".triage-end")).to_have_count(0)
                await expect(page.locator(".triage-keys")).to_contain_text("over 30")
                await page.keyboard.press("d")
            assert len(keys) <= 5, "and one to take it"
            await page.keyboard.press("Enter")
            await expect(page.locator(f".patient[data-code='{code}']")).to_be_visible()
            await expect(page.locator("[name=wristband]")).to_have_value("")
        rows = await page.locator(".patient").evaluate_all("rows => rows.map(r => r.dataset.code)")
        assert rows == ["T-1", "T-2", "T-5", "T-3", "T-4"]
        found = (await town.get(f"/api/cases/{main}"))["incident"]
        tags = {one["code"]: (one["tag"], one["method"]) for one in found["patients"]}
        assert tags == {
            "T-1": ("immediate", "start"), "T-2": ("delayed", "hand"), "T-3": ("minor", "start"),
            "T-4": ("expectant", "start"), "T-5": ("delayed", "start"),
        }  # fmt: skip
        await expect(page.locator(".next")).to_contain_text("T-1")
        await expect(page.locator(".next")).to_contain_text("First Hospital")
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press("g")
        await expect(page.locator(".question")).to_contain_text("takes T-1 to First Hospital")
        await page.keyboard.press("Enter")
        await expect(page.locator(".next")).to_contain_text("T-2")
        await expect(page.locator(".gone")).to_contain_text("Sent or gone: 1")
        found = (await town.get(f"/api/cases/{main}"))["incident"]
        own = next(one["own"] for one in found["patients"] if one["code"] == "T-1")
        case = await town.get(f"/api/cases/{own}")
        assert (case["hospital"], case["alias"], case["severity"]) == (
            "first-hospital",
            "T-1",
            "red",
        )
        await expect(page.locator(f".queue ol [data-case='{own}']")).to_have_count(0)


async def test_child_is_asked_by_jumpstart_and_a_known_code_is_triage_again(
    town: Town, open_page: Any
) -> None:
    async with town.open_hub(**SETTINGS):
        main = await town.open_case("Long Street bridge", position=SCENE)
        await town.act("declare_incident", case=main, kind="fire", estimated=5)
        page: Page = await open_page(console(town))
        await shown(page, main)
        for keys, tag, method in (("c21114", "immediate", "jumpstart"), ("i", "immediate", "hand"),
                                  ("2222", "immediate", "jumpstart")):  # fmt: skip
            await page.evaluate("document.activeElement.blur()")
            await page.keyboard.press("m")
            await page.keyboard.type("k-7")
            await page.keyboard.press("Enter")
            for key in keys:
                await page.keyboard.press(key)
            if keys == "2222":  # no breath, no breath with an open airway, a pulse after Backspace
                await expect(page.locator(".triage-end")).to_contain_text("does not breathe")
                await page.keyboard.press("Backspace")
                await page.keyboard.press("1")
                await expect(page.locator(".triage-keys")).to_contain_text("5 rescue breaths")
                await page.keyboard.press("1")
            await page.keyboard.press("Enter")
            await expect(page.locator("[name=wristband]")).to_have_value("")
            found = (await town.get(f"/api/cases/{main}"))["incident"]["patients"]
            assert [(one["code"], one["tag"], one["method"]) for one in found] == [
                ("K-7", tag, method)
            ]
        assert found[0]["before"] == ["immediate", "immediate"]


async def test_patient_for_whom_the_hospital_has_no_room_is_sent_only_with_a_reason(
    town: Town, open_page: Any
) -> None:
    async with town.open_hub(**SETTINGS):
        main = await town.open_case("Long Street bridge", position=SCENE)
        await town.act("declare_incident", case=main, kind="fire")
        for number in range(1, 5):  # three hospitals that said nothing: one bay each
            await town.act(
                "tag_patient", case=main, code=f"T-{number}", method="hand", tag="immediate"
            )
        page: Page = await open_page(console(town))
        await shown(page, main)
        await expect(page.locator(".next")).to_contain_text("No room anywhere for 1: T-4")
        for number in (1, 2, 3):
            await expect(page.locator(".next-line")).to_contain_text(f"T-{number}")
            await page.keyboard.press("g")
            await page.keyboard.press("Enter")
            await expect(page.locator(".question")).to_have_count(0)
        await expect(page.locator(".next")).to_contain_text("No hospital has room")
        await page.locator("[data-code=T-4]").get_by_role("button", name="Send").click()
        await page.locator("[name=transport_hospital]").select_option("third-hospital")
        await expect(page.locator(".question")).to_contain_text("has no room left")
        await expect(page.locator("[data-confirm]")).to_be_disabled()
        await page.locator("[name=reason]").fill("they opened a bay")
        await page.keyboard.press("Enter")
        await expect(page.locator(".gone")).to_contain_text("Sent or gone: 4")


async def test_exercise_is_begun_on_the_console_and_stays_marked(
    town: Town, open_page: Any
) -> None:
    async with town.open_hub(**SETTINGS) as hub:
        page: Page = await open_page(console(town))
        await expect(page.locator(".case-column")).to_contain_text("No case is open")
        await page.keyboard.press("n")
        await page.keyboard.type("Tunnel, exercise")
        await page.locator("[name=drill]").check()
        await page.locator("[name=address]").press("Enter")
        await expect(page.locator(".case-head.banded")).to_contain_text("Tunnel, exercise")
        await expect(page.locator(".choice")).to_have_count(2)  # one unit, one hospital
        await expect(page.locator(".choice").first).to_contain_text("Exercise 1")
        await page.keyboard.press("m")
        await page.locator("[name=estimated]").press("Enter")
        await expect(page.locator(".incident.exercise .incident-head")).to_contain_text("drill")
        await page.locator("[name=wristband]").fill("X-1")
        await page.locator("[name=wristband]").press("Enter")
        await page.keyboard.press("1")
        await page.keyboard.press("Enter")
        await expect(page.locator(".next")).to_contain_text("Exercise Hospital")
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press("g")
        await expect(page.locator(".question")).to_contain_text("nobody is told")
        await page.keyboard.press("Enter")
        await expect(page.locator(".gone")).to_contain_text("Sent or gone: 1")
        cases = await town.get("/api/cases")
        assert [one["drill"] for one in cases] == [True, True]
        assert hub.forwarder.senders == {}


@pytest.mark.parametrize("look", [(1920, 1080, "en"), (1280, 800, "zh-CN")])
async def test_forty_patients_of_an_exercise_are_legible_and_banded(
    town: Town, open_page: Any, screenshot: Any, axe_faults: Any, look: tuple[int, int, str]
) -> None:
    width, height, language = look
    async with town.open_hub(**SETTINGS):
        drill = language == "en"
        main = await town.open_case("Metro line 2, East Gate station", position=SCENE, drill=drill)
        await town.act("declare_incident", case=main, kind="rail", estimated=45, drill=drill)
        for number, tag in enumerate(TAGS, 1):
            more: dict[str, Any] = {"needs": ["burns"]} if number % 7 == 0 else {}
            more |= {"age_years": 6} if number % 9 == 0 else {}
            await town.act("tag_patient", case=main, code=f"T-{number:03}", method="hand", tag=tag,
                           **more)  # fmt: skip
        page: Page = await open_page(console(town), width=width, height=height, language=language)
        await shown(page, main)
        await expect(page.locator(".patient")).to_have_count(40)
        await expect(page.locator(".next-line")).to_be_visible()
        await screenshot(page, f"incident-40-{language}-{width}")
        await page.locator(".patient").nth(25).scroll_into_view_if_needed()
        await screenshot(page, f"incident-list-{language}-{width}")
        await page.keyboard.press("m")
        await page.keyboard.type("T-999")
        await page.keyboard.press("Enter")
        await page.keyboard.press("2")
        await page.keyboard.press("1")
        await screenshot(page, f"incident-triage-{language}-{width}")
        assert await axe_faults(page) == []
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press("g")
        await expect(page.locator(".question")).to_be_visible()
        await screenshot(page, f"incident-send-{language}-{width}")
        assert await axe_faults(page) == []
        banded = page.locator(f"[data-case='{main}'].banded")
        await expect(banded).to_have_count(1 if drill else 0)
        await expect(page.locator(".case-head.banded")).to_have_count(1 if drill else 0)
        wide = "document.documentElement.scrollWidth <= innerWidth"
        assert await page.evaluate(wide)
