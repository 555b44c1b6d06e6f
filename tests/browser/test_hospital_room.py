"""The hospital's room on its board: stated by keys or taps, seen from across the room."""

from __future__ import annotations

from typing import Any

from streams.codec import open_body
from streams.hospital_messages import HospitalState
from tests.browser.test_board import Er, OpenPage, Until, er, text

__all__ = ["er"]  # a fixture

FITS = "document.documentElement.scrollWidth <= innerWidth && document.querySelector('#page').scrollHeight <= innerHeight"  # noqa: E501 - one expression of the page


async def test_room_is_stated_by_key_told_to_the_hub_and_stands_on_every_page(
    er: Er, open_page: OpenPage, until: Until
) -> None:
    page, other = await open_page(er.url, width=1280, height=800), await open_page(er.url)
    await until(page, f"{text('.room-now')}.includes('not stated')")
    await page.keyboard.press("r")
    await until(page, "document.activeElement?.name === 'beds'")
    await page.keyboard.type("3")
    await page.keyboard.press("Escape")  # closes, and what was begun stays
    assert await page.query_selector(".room-form") is None
    await page.keyboard.press("r")
    await until(page, "document.activeElement?.name === 'beds'")
    assert await page.input_value("[name=beds]") == "3"
    await page.fill("[name=resus_bays]", "1")
    await page.keyboard.press("Enter")
    for each in (page, other):
        await until(each, f"{text('.room-now')}.includes('beds free: 3')")
        await until(each, f"{text('.room-now')}.includes('resus bays free: 1')")
        await until(each, f"{text('.room-now')}.includes('delivered')")
    assert await page.query_selector(".room-form") is None
    (told,) = er.hub.from_hospitals
    stated = HospitalState(beds=3, resus_bays=1, seat="er-desk")
    assert open_body(told, HospitalState) == stated


async def test_room_diversion_is_tapped_wants_its_reason_and_stands_large_until_it_ends(
    er: Er, open_page: OpenPage, until: Until, screenshot: Any, axe_faults: Any
) -> None:
    for number in range(1, 7):
        await er.patient(unit=f"unit-{number}", eta_s=60 * number)
    for language in ("en", "zh-CN"):
        page = await open_page(er.url, width=1920, height=1080, language=language)
        await until(page, "document.querySelectorAll('.arrival').length === 6")
        await page.click(".room-now button")
        await page.click(".room-count:has([name=beds]) button:last-of-type")
        await page.click(".room-diversion button:last-of-type")
        assert await page.evaluate(FITS)
        await page.click(".room-save")
        assert await page.query_selector(".diversion") is None, "without a reason it is not told"
        await page.fill("[name=reason]", "CT is down, no neurosurgeon")
        await screenshot(page, f"board-room-form-{language}")
        await page.click(".room-save")
        await until(page, f"{text('.diversion')}.includes('CT is down')")
        await until(page, "document.querySelector('.diversion .delivered') !== null")
        large = "parseFloat(getComputedStyle(document.querySelector('.diversion strong')).fontSize)"
        assert await page.evaluate(large) >= 44, "readable at 5 m"
        assert await page.evaluate(FITS)
        assert "room." not in await page.evaluate("document.body.innerText")
        assert await axe_faults(page) == []
        await screenshot(page, f"board-diversion-{language}")
        await page.keyboard.press("r")
        await page.click(".room-diversion button:first-of-type")
        await page.click(".room-save")
        await until(page, "document.querySelector('.diversion') === null")


async def test_room_that_cannot_be_told_while_the_page_is_cut_off_stays_in_the_form(
    er: Er, open_page: OpenPage, until: Until
) -> None:
    page = await open_page(er.url, may_log=("Failed to load resource", "WebSocket"))
    await until(page, f"{text('.room-now')}.includes('not stated')")
    await page.keyboard.press("r")
    await page.fill("[name=beds]", "5")
    await page.evaluate("forerun.state.socket.send = () => false")
    await page.keyboard.press("Enter")
    await until(page, f"{text('.answer-problem')}.includes('lost its connection')")
    assert await page.input_value("[name=beds]") == "5"
    assert er.hub.from_hospitals == []
