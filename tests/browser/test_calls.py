"""Calls on the console in headless Chromium: rung by a real exchange's HTTP, answered by keys."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from dispatch.settings import Calls, Sms
from tests.call_sources import NUMBER, Outside, aml, message_gateway
from tests.hub_town import Town, Vehicle, a_town


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


def console(town: Town, seat: str = "") -> str:
    token = town.issue(seat, "seat").token if seat else town.seat.token
    return f"{town.hub.url}/?key={token}"


async def test_call_is_located_answered_and_sent_by_keyboard_alone(
    town: Town, tmp_path: Path, open_page: Any, screenshot: Any, axe_faults: Any
) -> None:
    unit = Vehicle("unit-1", tmp_path)
    async with town.open_hub() as hub, town.join(unit):
        outside = Outside(town)
        page: Page = await open_page(console(town), width=1920, height=1080)
        await expect(page.locator(".case-column")).to_contain_text("No case is open")
        case = await outside.ring()
        await outside.locate(31.2320, 121.4760, radius_m=450)
        row = page.locator(f"[data-case='{case}']")
        await expect(row).to_contain_text("rings")
        await expect(page.locator(".ringing-count")).to_contain_text("1")
        await row.click()
        await expect(page.locator(".best")).to_contain_text("operator's network")
        await outside.say("/exchange/aml-sms", {"number": NUMBER, "text": aml()})
        await expect(page.locator(".best")).to_contain_text("phone (AML) · satellites")
        await screenshot(page, "calls-ringing-1920")
        await page.locator(".queue").hover()
        await page.mouse.move(900, 900)
        await page.keyboard.press("a")
        await expect(page.locator("[name=address]")).to_be_focused()
        await expect(page.locator(".call-state")).to_contain_text("talks: you")
        await page.keyboard.type("No. 8 Garden Road")
        await page.keyboard.press("Enter")
        await expect(page.locator(".address")).to_have_text("No. 8 Garden Road")
        await page.keyboard.press("c")
        await expect(page.locator(".confirmed")).to_be_visible()
        await page.locator(".choice").first.wait_for()
        await page.keyboard.press("u")
        await page.keyboard.press("Enter")
        await expect(page.locator("[data-party=unit] .party-name")).to_contain_text("Ambulance 1")
        await page.keyboard.press("s")
        await expect(page.locator(".call-bar")).to_contain_text("Nobody speaks")
        await screenshot(page, "calls-talking-1920")
        assert await axe_faults(page) == []
        await page.keyboard.press("o")
        await expect(page.locator(".call-state")).to_contain_text("on hold")
        await page.keyboard.press("a")
        await expect(page.locator(".call-state")).to_contain_text("talks: you")
        await page.keyboard.press("x")
        await expect(page.locator(".call-state")).to_contain_text("call over")
        found = hub.record.book.get(case)
        assert found is not None
        assert found.position is not None
        assert (found.address, found.unit) == ("No. 8 Garden Road", "unit-1")
        assert (found.position.source, found.position_confirmed) == ("aml/gnss", True)


async def test_call_that_another_seat_took_is_told_and_given_on(
    town: Town, open_page: Any, screenshot: Any
) -> None:
    async with town.open_hub(calls=Calls(seat_grace_s=60)):
        outside = Outside(town)
        one: Page = await open_page(console(town, "anna"))
        other: Page = await open_page(console(town, "ben"), language="zh-CN")
        case = await outside.ring(line="text")
        for page in (one, other):
            await expect(page.locator(f"[data-case='{case}'].rings")).to_be_visible()
        await one.keyboard.press("a")
        await expect(one.locator(".call-state")).to_contain_text("talks: you")
        await expect(other.locator(f"[data-case='{case}']")).to_contain_text("通话：anna")
        await one.keyboard.press("Escape")
        await one.locator("[name=offer]").select_option("ben")
        await expect(other.locator(".ringing-count")).to_be_visible()
        await screenshot(other, "calls-offered-zh-1280")
        await other.keyboard.press("a")
        await expect(other.locator(".call-state")).to_contain_text("通话：您")
        await expect(one.locator(".call-state")).to_contain_text("talks: ben")
        await one.evaluate("document.activeElement.blur()")
        raced = await town.act("answer_call", case=case, status=409)
        assert (raced["conflict"]["kind"], raced["conflict"]["seat"]) == ("taken", "ben")


async def test_calls_of_one_event_are_proposed_linked_and_parted(
    town: Town, open_page: Any, screenshot: Any
) -> None:
    async with town.open_hub():
        outside = Outside(town)
        page: Page = await open_page(console(town))
        first = await outside.ring(line="text")
        await outside.locate(31.2304, 121.4737, radius_m=60)
        await town.act("amend_case", case=first, address="Long Street bridge", complaint="crash")
        second = await outside.ring("+8613800000002", "pbx-2", line="text")
        await outside.locate(31.2309, 121.4740, radius_m=60, number="+8613800000002")
        await page.locator(f"[data-case='{second}']").click()
        await expect(page.locator(".same-event")).to_contain_text("Long Street bridge")
        await expect(page.locator(".same-event")).to_contain_text("same place")
        await screenshot(page, "calls-same-event-1280")
        await page.keyboard.press("l")
        await expect(page.locator(".same-event")).to_contain_text("Goes on in Long Street bridge")
        await expect(page.locator(f".queue ol [data-case='{second}']")).to_be_visible()  # it rings
        for action in ("answer_call", "end_call"):
            await town.act(action, case=second)
        await expect(page.locator(f".queue ol [data-case='{second}']")).to_have_count(0)
        await expect(page.locator(f"[data-case='{first}']")).to_contain_text("+1 calls")
        await page.get_by_role("button", name="Not the same").click()
        await page.locator("[name=reason]").fill("another crash")
        await page.keyboard.press("Enter")
        await expect(page.locator(f".queue ol [data-case='{second}']")).to_be_visible()


async def test_caller_who_is_gone_is_called_back_or_given_up(town: Town, open_page: Any) -> None:
    async with town.open_hub():
        outside = Outside(town)
        page: Page = await open_page(console(town))
        case = await outside.ring()
        await page.locator(f"[data-case='{case}']").click()
        await outside.step("pbx-1", "hung_up")
        await expect(page.locator(".call-state")).to_contain_text("caller gone: call back")
        await page.keyboard.press("b")
        await expect(page.locator(".call-state")).to_contain_text("calls back: you")
        await page.keyboard.press("x")
        await expect(page.locator(".call-state")).to_contain_text("caller gone")
        await page.locator("[name=give_up]").fill("dialled by a child, mother said so")
        await page.keyboard.press("Enter")
        await expect(page.locator(".call-state")).to_contain_text("call over")
        await expect(page.locator(".timeline")).to_contain_text("dialled by a child")


async def test_position_that_disagrees_or_grows_old_is_said_and_replaces_nothing(
    town: Town, open_page: Any, screenshot: Any
) -> None:
    async with town.open_hub():
        outside = Outside(town)
        page: Page = await open_page(console(town), width=1920, height=1080)
        case = await outside.ring()
        await page.locator(f"[data-case='{case}']").click()
        await outside.locate(31.2304, 121.4737, radius_m=40)
        await page.locator("[data-key=confirm-place]").wait_for()
        await page.keyboard.press("c")
        await expect(page.locator(".confirmed")).to_be_visible()
        far = {"number": NUMBER, "text": aml(31.2704)}
        await outside.say("/exchange/aml-sms", far)
        located = page.locator(".located")
        await expect(located).to_contain_text("one of them is wrong")
        await expect(located).to_contain_text("from the place that was confirmed")
        bad = {"number": NUMBER, "text": aml().replace("lc=68", "lc=banana")}
        await outside.say("/exchange/aml-sms", bad, status=422)
        await expect(located).to_contain_text("not readable: 1")
        await located.locator("summary").click()
        await expect(located).to_contain_text("lc")
        await expect(located).to_contain_text("Confirm this place instead")
        await screenshot(page, "calls-disagree-1920")
        found = await outside.seen(case)
        assert found["position"]["latitude_deg"] == pytest.approx(31.2304)
        assert found["position_confirmed"]


async def test_ring_to_best_position_on_the_screen_is_measured_by_the_page(
    town: Town, open_page: Any, wait_for: Any
) -> None:
    async with town.open_hub():
        outside = Outside(town)
        page: Page = await open_page(console(town))
        for number in range(3):
            caller = f"+861380000010{number}"
            case = await outside.ring(caller, f"pbx-{number}")
            await page.locator(f"[data-case='{case}']").click()
            await outside.locate(31.2304, 121.4737, radius_m=60 + number, number=caller)
            await expect(page.locator(".best")).to_contain_text("± 60 m")
        count = re.compile(r'forerun_latency_seconds_count{kind="position",place="console"} (\d+)')

        async def measured() -> bool:
            found = count.search(await town.get("/metrics"))
            return found is not None and float(found[1]) >= 3

        await wait_for(measured, "three positions measured", 10)


async def test_address_that_is_typed_finds_its_place_by_keyboard(
    town: Town, open_page: Any, screenshot: Any, axe_faults: Any
) -> None:
    async with town.open_hub():
        outside = Outside(town)
        page: Page = await open_page(console(town))
        case = await outside.ring()
        await outside.locate(31.2600, 121.4737, radius_m=60)
        await expect(page.locator(f"[data-case='{case}']")).to_be_visible()
        await page.keyboard.press("a")
        await expect(page.locator("[name=address]")).to_be_focused()
        await page.keyboard.type("Peoples Squre")  # as it is typed in haste
        await expect(page.locator("[data-hit]").first).to_contain_text("人民广场")
        await screenshot(page, "calls-address-1280")
        assert await axe_faults(page) == []
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(page.locator("[name=address]")).to_have_value("人民广场")
        await expect(page.locator("[name=complaint]")).to_be_focused()
        await page.keyboard.type("fell")
        await page.keyboard.press("Enter")
        await expect(page.locator(".address")).to_have_text("人民广场")
        found = await outside.seen(case)
        assert found["position"]["source"] == "address/gazetteer"
        assert found["position"]["latitude_deg"] == pytest.approx(31.2304)
        located = page.locator(".located")
        await expect(located).to_contain_text("3.3 km from the place that was confirmed")
        assert found["place"]["latitude_deg"] == pytest.approx(31.2600), "it warns, and no more"


async def test_surge_orders_by_urgency_shortens_the_form_and_writes_to_all_who_wait(
    town: Town, open_page: Any, screenshot: Any, axe_faults: Any, wait_for: Any
) -> None:
    calls = Calls(usual_per_hour=12, seat_grace_s=60)
    async with message_gateway() as (url, messages):
        sms = Sms(gateway=url, token="secret")
        async with town.open_hub(calls=calls, sms=sms):
            outside = Outside(town)
            page: Page = await open_page(console(town))
            cases = []
            for number in range(10):
                caller = f"+86138000000{number:02}"
                cases.append(await outside.ring(caller, f"pbx-{number}"))
                latitude = 31.2304 if number in (0, 7) else 31.05 + number / 100
                await outside.locate(latitude, 121.4737, radius_m=60, number=caller)
            await expect(page.locator(".surge-bar")).to_contain_text("10 times the usual calls")
            repeat = page.locator(f"[data-case='{cases[7]}']")
            await expect(repeat).to_contain_text("maybe as")
            await town.act("amend_case", case=cases[5], severity="red")
            await expect(page.locator(".queue ol .row").first).to_have_attribute(
                "data-case", cases[5]
            )
            rows = await page.locator(".queue ol .row").evaluate_all(
                "rows => rows.map((row) => row.dataset.case)"
            )
            in_order = [cases[5], *(c for c in cases if c not in (cases[5], cases[7])), cases[7]]
            assert rows == in_order, "urgent first, then the longest wait, a likely repeat last"
            await page.locator(f"[data-case='{cases[0]}']").click()  # another than the next one
            await page.evaluate("document.activeElement.blur()")
            await expect(page.locator("[data-call=answer_call]")).to_contain_text("⇧A")
            await page.keyboard.press("a")
            await expect(page.locator(f"[data-case='{cases[5]}']")).to_contain_text("talks: you")
            await expect(page.locator("[name=address]")).to_be_focused()
            await expect(page.locator("[name=age]")).to_have_count(0)
            await screenshot(page, "surge-1280")
            assert await axe_faults(page) == []
            await page.keyboard.press("Escape")
            await page.locator("[data-key=notify]").click()
            await expect(page.locator(".surge-bar")).to_contain_text("9 phones get this text")
            await screenshot(page, "surge-notice-1280")
            await page.get_by_role("button", name="Send to 9").click()
            await wait_for(lambda: messages.qsize() == 9, "nine messages", 10)
            await expect(page.locator("[name=notice]")).to_have_count(0)
            await page.get_by_role("button", name="End the surge").click()
            await expect(page.locator(".surge-bar")).to_have_count(0)


async def test_case_is_printed_whole_without_what_is_only_for_the_screen(
    town: Town, open_page: Any, screenshot: Any
) -> None:
    async with town.open_hub():
        outside = Outside(town)
        await outside.say("/exchange/aml-sms", {"number": "+8613800000099", "text": aml()})
        page: Page = await open_page(console(town))
        case = await outside.ring()
        await outside.locate(31.2304, 121.4737, radius_m=40)
        await town.act("amend_case", case=case, address="Long Street 5", complaint="chest pain")
        for number in range(60):
            await town.act("note", case=case, text=f"note {number}")
        await page.locator(f"[data-case='{case}']").click()
        await expect(page.locator(".queue")).to_contain_text("Positions without a call: 1")
        await expect(page.locator(".story")).to_contain_text("note 59")
        await page.evaluate("dispatchEvent(new Event('beforeprint'))")
        await page.emulate_media(media="print")
        await expect(page.locator(".print-only")).to_contain_text(case)
        for hidden in (".queue", ".town", ".keys", ".choices", ".note"):
            await expect(page.locator(hidden).first).to_be_hidden()
        await expect(page.locator(".fixes")).to_contain_text("operator's network")
        tall = await page.evaluate("document.documentElement.scrollHeight")
        assert tall > 60 * 20, "the whole timeline is on the paper, not what fits the screen"
        await screenshot(page, "case-printed", whole=True)
        await page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert await page.evaluate("document.documentElement.dataset.theme") == "dark"


async def test_unit_that_is_not_recommended_wants_the_reason_and_both_stand_on_the_timeline(
    town: Town, open_page: Any
) -> None:
    async with town.open_hub():
        await town.open_case("Long Street 5")
        page: Page = await open_page(console(town))
        await page.locator(".choice").nth(1).wait_for()
        await page.keyboard.press("u")
        await expect(page.locator("[data-confirm]")).to_be_enabled()
        await page.keyboard.press("2")
        await expect(page.locator(".question")).to_contain_text("Recommended is Ambulance 1")
        await expect(page.locator("[data-confirm]")).to_be_disabled()
        await page.locator(".question [name=reason]").fill("has the incubator")
        await page.keyboard.press("Enter")
        await expect(page.locator("[data-party=unit] .party-name")).to_contain_text("Ambulance 2")
        await expect(page.locator(".timeline")).to_contain_text("recommended was Ambulance 1")
        await expect(page.locator(".timeline")).to_contain_text("has the incubator")
