"""Bugs of a peer system, each of which a person would meet at a page: none of them is here.

Where each of that list is held, beside the tests below and in tests/integration/test_peer_bugs.py:

a hospital saw units that were bound for another one
    tests/integration/test_hub.py::test_case_runs_from_opening_to_hospital_and_nobody_else_gets_it,
    tests/integration/test_gateway.py::test_board_case_shows_on_the_chosen_hospitals_board_and_on_no_other
a destination chosen in the form was silently not saved
    test_destination_chosen_in_the_form_is_saved_shown_and_still_there_after_a_reload,
    test_destination_confirmed_while_the_hub_is_gone_is_said_not_to_be_sent
the second patient's row vanished
    tests/browser/test_console.py::test_console_two_patients_keep_their_own_rows,
    tests/unit/test_cases.py::test_second_patient_is_a_second_row_and_never_overwrites_the_first
assigning a busy unit reset its status
    tests/unit/test_cases.py::test_assigning_a_busy_unit_changes_nothing_without_override,
    tests/browser/test_console.py::test_console_busy_unit_is_taken_only_with_a_reason
the severity shown was not the severity saved
    test_severity_set_in_the_form_is_what_the_journal_has_and_every_page_shows,
    test_severity_that_another_seat_corrects_is_not_undone_by_an_older_form,
    tests/unit/test_cases.py::test_severity_shown_is_the_severity_saved
a re-opened case closed itself with no audit
    tests/unit/test_cases.py::test_case_closed_by_the_hub_stays_closed_whatever_comes_late
times were off by the UTC offset
    test_times_are_those_of_the_pages_own_zone_for_one_instant,
    tests/unit/test_cases.py::test_times_are_utc_and_corrected_whatever_the_zone
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.async_api import Browser, Page, expect

from streams.codec import any_body
from streams.messages import CaseAmended, CaseOpened, HospitalChosen
from tests.hub_town import Town, a_town

OpenPage = Callable[..., Any]
HUB_LEAVES = ("WebSocket", "ERR_")
"""What the browser logs where the hub ends before its pages do."""


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


def console(town: Town) -> str:
    return f"{town.hub.url}/?key={town.seat.token}"


async def saved(town: Town, case: str, kind: str) -> list[Any]:
    """Return the bodies of a kind that the journal has of a case."""
    facts = await town.hub._parts.journal.facts(case=case, kinds=[kind], limit=None)
    return [any_body(fact.envelope) for fact in facts]


async def choose(page: Page, hospital: str) -> None:
    await page.locator("[data-party=hospital] summary").wait_for()
    if await page.locator("[data-party=hospital] details[open]").count() == 0:
        await page.locator("[data-party=hospital] summary").click()
    await page.locator("[data-party=hospital] .other select").select_option(hospital)
    await page.locator(".question [data-confirm]").wait_for()


async def test_destination_chosen_in_the_form_is_saved_shown_and_still_there_after_a_reload(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        case = await town.open_case()
        page, late = (
            await open_page(console(town), may_log=HUB_LEAVES),
            await open_page(console(town), may_log=HUB_LEAVES),
        )
        party = "[data-party=hospital] .party-name"
        await choose(late, "first-hospital")  # asked, and not yet confirmed
        await choose(page, "second-hospital")
        await page.locator(".question [data-confirm]").click()
        for each in (page, late):
            await expect(each.locator(party)).to_contain_text("Second Hospital")
        await expect(late.locator(".question")).to_contain_text("Second Hospital is told to stand")
        await late.locator(".question [data-confirm]").click()
        for each in (page, late):
            await expect(each.locator(party)).to_contain_text("First Hospital")
        chosen: list[HospitalChosen] = await saved(town, case, "hospital_chosen")
        assert [(one.hospital, one.previous) for one in chosen] == [
            ("second-hospital", None),
            ("first-hospital", "second-hospital"),
        ]
        await page.reload()
        await expect(page.locator(party)).to_contain_text("First Hospital")


async def test_destination_confirmed_while_the_hub_is_gone_is_said_not_to_be_sent(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        case = await town.open_case()
        page = await open_page(console(town), may_log=HUB_LEAVES)
        await choose(page, "second-hospital")
    await page.locator(".not-live").wait_for(timeout=15_000)
    await page.locator(".question [data-confirm]").click()
    await expect(page.locator(".case-column")).to_contain_text("Not sent")
    await expect(page.locator(".question")).to_contain_text("Choose Second Hospital")
    async with town.open_hub():
        assert await saved(town, case, "hospital_chosen") == []


@pytest.mark.parametrize("severity", ["red", "yellow", "green", "unknown"])
async def test_severity_set_in_the_form_is_what_the_journal_has_and_every_page_shows(
    town: Town, open_page: OpenPage, severity: str
) -> None:
    words = {"red": "RED", "yellow": "YEL", "green": "GRN", "unknown": "?"}
    async with town.open_hub():
        page = await open_page(console(town), may_log=HUB_LEAVES)
        await expect(page.locator(".case-column")).to_contain_text("No case is open")
        await page.keyboard.press("n")
        await page.locator("[name=address]").fill("No. 8 Garden Road")
        await page.locator("[name=severity]").select_option(severity)
        await page.locator("[name=severity]").press("Enter")
        await expect(page.locator(".case-head .severity")).to_contain_text(words[severity])
        (case,) = town.hub.record.book.open()
        (opened,) = await saved(town, case.id, "case_opened")
        assert isinstance(opened, CaseOpened)
        assert opened.severity == severity == case.severity
        await expect(page.locator(".row .severity").first).to_contain_text(words[severity])


async def test_severity_that_another_seat_corrects_is_not_undone_by_an_older_form(
    town: Town, open_page: OpenPage
) -> None:
    async with town.open_hub():
        case = await town.open_case(severity="green")
        page = await open_page(console(town), may_log=HUB_LEAVES)
        await expect(page.locator(".case-head .severity")).to_contain_text("GRN")
        await page.keyboard.press("e")
        await page.locator("[name=complaint]").fill("not breathing")
        await town.act("amend_case", case=case, severity="red")
        await expect(page.locator(".row .severity").first).to_contain_text("RED")
        await page.locator("[name=complaint]").press("Enter")
        await expect(page.locator(".case-column")).to_contain_text("not breathing")
        amended: list[CaseAmended] = await saved(town, case, "case_amended")
        assert [(one.severity, one.complaint) for one in amended] == [
            ("red", None),
            (None, "not breathing"),
        ]
        await expect(page.locator(".case-head .severity")).to_contain_text("RED")


@pytest.mark.parametrize("zone", ["Asia/Shanghai", "America/St_Johns", "UTC"])
async def test_times_are_those_of_the_pages_own_zone_for_one_instant(
    town: Town, browser: Browser, zone: str
) -> None:
    async with town.open_hub():
        case = await town.open_case()
        at_ms = time.time_ns() // 1_000_000 - 3_600_000
        await town.act("note", case=case, text="fell an hour ago", at_ms=at_ms)
        context = await browser.new_context(ignore_https_errors=True, timezone_id=zone)
        page = await context.new_page()
        await page.goto(console(town), wait_until="load")
        told = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).strftime("%H:%M")
        note = page.locator(".story").get_by_text("fell an hour ago")
        await note.wait_for()
        assert told in await page.locator(".story").inner_text()
        clock = (await page.locator(".clock").inner_text()).split(":")
        shown_min = int(clock[0]) * 60 + int(clock[1])
        here = datetime.now(ZoneInfo(zone))
        apart_min = abs(shown_min - here.hour * 60 - here.minute)
        assert min(apart_min, 1440 - apart_min) <= 1
        await context.close()
