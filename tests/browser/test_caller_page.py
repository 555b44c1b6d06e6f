"""The caller's page in Chromium at a phone's size: its link comes by SMS, places go back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from bench.streets import EAST, NORTH, SOUTH, WEST, write_streets
from dispatch.road_files import RoadSettings
from dispatch.settings import Sms
from tests.call_sources import NUMBER, Outside, message_gateway
from tests.hub_town import Town, a_town

PHONE = {"width": 360, "height": 740}
TOWN_HALL = ((SOUTH + NORTH) / 2, (WEST + EAST) / 2)
FIRST_PAINT_BYTES = 150_000
"""What a slow phone may have to load before it sees the page."""


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


async def link_of(messages: asyncio.Queue[Any]) -> str:
    """Return the link of the next message."""
    authorization, message = await asyncio.wait_for(messages.get(), 10)
    assert (authorization, message["to"]) == ("Bearer secret", NUMBER)
    found = re.search(r"https://\S+/here/\S+", message["text"])
    assert found is not None, message
    assert len(message["text"]) <= 160
    return found[0]


async def test_caller_page_shows_the_dispatcher_where_the_phone_is_as_it_moves(
    town: Town, open_page: Any, screenshot: Any, axe_faults: Any
) -> None:
    async with message_gateway() as (url, messages):
        sms = Sms(gateway=url, token="secret", text="Help: {link}")
        async with town.open_hub(sms=sms):
            console: Page = await open_page(f"{town.hub.url}/?key={town.seat.token}")
            case = await Outside(town).ring()
            await console.locator(f"[data-case='{case}']").click()
            await console.keyboard.press("p")
            await expect(console.locator(".question")).to_contain_text(NUMBER)
            await console.keyboard.press("Enter")
            await expect(console.locator(".timeline")).to_contain_text("Message sent to")
            phone: Page = await open_page(
                await link_of(messages), may_log=("409", "net::"), **PHONE
            )
            await phone.context.grant_permissions(["geolocation"])
            place = {"latitude": 31.2304, "longitude": 121.4737, "accuracy": 18}
            await phone.context.set_geolocation(place)  # type: ignore[arg-type]
            await screenshot(phone, "caller-asked-360")
            assert await axe_faults(phone) == []
            await phone.get_by_role("button", name="Show where I am").click()
            await expect(phone.locator(".told")).to_contain_text(
                "The dispatcher sees where you are"
            )
            await expect(phone.locator(".told")).to_contain_text("To about 18 m")
            await expect(console.locator(".best")).to_contain_text("± 20 m")
            await expect(console.locator(".best")).to_contain_text("caller's page")
            await phone.locator(".map .map-pin").wait_for()
            await screenshot(phone, "caller-known-360", whole=True)
            await phone.context.set_geolocation({**place, "latitude": 31.2324})  # type: ignore[arg-type]
            await expect(console.locator(".best")).to_contain_text("31.23240°")
            await phone.locator(".map").click(position={"x": 220, "y": 60})
            await expect(phone.locator(".told")).to_contain_text("As you set it on the map")
            await console.locator(".fixes summary").click()
            await expect(console.locator(".fixes")).to_contain_text("set by hand")
            await phone.get_by_role("button", name="中文").click()
            await expect(phone.locator("h1")).to_have_text("急救中心")
            await screenshot(phone, "caller-zh-360", whole=True)
            for action in ("answer_call", "end_call"):
                await town.act(action, case=case)
            await town.act("close_case", case=case, outcome="cancelled")
            await phone.context.set_geolocation(place)  # type: ignore[arg-type]
            await expect(phone.locator(".told")).to_contain_text("事件已结束")


async def test_maps_draw_the_roads_of_the_town_where_there_are_no_tiles(
    town: Town, tmp_path: Path, open_page: Any, screenshot: Any
) -> None:
    streets = write_streets(tmp_path / "streets.geojson")
    async with town.open_hub(roads=RoadSettings(file=str(streets))):
        outside = Outside(town)
        case = await outside.ring()
        await outside.locate(*TOWN_HALL, radius_m=200)
        console: Page = await open_page(f"{town.hub.url}/?key={town.seat.token}")
        await console.locator(f"[data-case='{case}']").click()
        await console.locator(".map[data-roads]").wait_for()
        lines = int(await console.locator(".map").get_attribute("data-roads") or 0)
        await screenshot(console, "console-roads-1280")
        phone: Page = await open_page(town.hub.link_for(case), **PHONE)
        await phone.context.grant_permissions(["geolocation"])
        place = {"latitude": TOWN_HALL[0], "longitude": TOWN_HALL[1], "accuracy": 18}
        await phone.context.set_geolocation(place)  # type: ignore[arg-type]
        await phone.get_by_role("button", name="Show where I am").click()
        await phone.locator(".map[data-roads]").wait_for()
        around = int(await phone.locator(".map").get_attribute("data-roads") or 0)
        assert 0 < around < lines, "a phone gets those around it"
        await screenshot(phone, "caller-roads-360", whole=True)


async def test_caller_page_says_when_the_phone_refuses_or_the_link_is_none(
    town: Town, open_page: Any, screenshot: Any
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        link = town.hub.link_for(case)
        phone: Page = await open_page(link, **PHONE)
        await phone.get_by_role("button", name="Show where I am").click()
        await expect(phone.locator(".told.wrong")).to_contain_text("does not allow it")
        await screenshot(phone, "caller-denied-360")
        may_log = ("403",)
        wrong: Page = await open_page(link[:-1] + "!", may_log=may_log, **PHONE)
        await expect(wrong.locator(".told.wrong")).to_contain_text("not complete or not valid")


async def test_caller_page_goes_on_by_itself_after_a_cut(town: Town, open_page: Any) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        cut = ("ERR_INTERNET_DISCONNECTED",)
        phone: Page = await open_page(town.hub.link_for(case), may_log=cut, **PHONE)
        await phone.context.grant_permissions(["geolocation"])
        place = {"latitude": 31.2304, "longitude": 121.4737, "accuracy": 18}
        await phone.context.set_geolocation(place)  # type: ignore[arg-type]
        await phone.context.set_offline(True)
        await phone.get_by_role("button", name="Show where I am").click()
        await expect(phone.locator(".told")).to_contain_text("No connection")
        await phone.context.set_offline(False)
        await expect(phone.locator(".told")).to_contain_text("The dispatcher sees where you are")
        found = await Outside(town, "pbx-2").seen(case)
        assert found["place"]["source"] == "browser"


async def test_caller_page_is_light_enough_for_a_slow_phone(town: Town, open_page: Any) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        phone: Page = await open_page(town.hub.link_for(case), **PHONE)
        await phone.get_by_role("button", name="Show where I am").wait_for()
        sizes: list[int] = await phone.evaluate(
            "['navigation', 'resource'].flatMap((kind) => performance.getEntriesByType(kind))"
            ".map((one) => one.transferSize)"
        )
        loaded = sum(sizes)
        assert 0 < loaded < FIRST_PAINT_BYTES, loaded
        width = await phone.evaluate("document.documentElement.scrollWidth")
        assert width <= PHONE["width"]


async def test_message_gateway_that_refuses_is_told_on_the_case(town: Town, wait_for: Any) -> None:
    async with message_gateway(500) as (url, messages):
        sms = Sms(gateway=url, token="secret")
        async with town.open_hub(sms=sms):
            case = await Outside(town).ring()
            await town.act("send_link", case=case)
            await link_of(messages)

            async def links() -> list[dict[str, Any]]:
                lines = await town.get(f"/api/cases/{case}/timeline")
                return [line["data"] for line in lines if line["kind"] == "caller_message"]

            async def told() -> bool:
                return len(await links()) == 2

            await wait_for(told, "the gateway's refusal on the case", 10)
            asked, failed = await links()
            assert (asked["state"], failed["state"]) == ("asked", "failed")
            assert "500" in failed["reason"]


async def test_caller_page_works_in_a_browser_that_keeps_nothing(
    town: Town, open_page: Any
) -> None:
    async with town.open_hub():
        case = await Outside(town).ring()
        phone: Page = await open_page("about:blank", **PHONE)
        await phone.add_init_script(
            "for (const name of ['sessionStorage', 'localStorage'])"
            " Object.defineProperty(window, name, { get() { throw new DOMException('no'); } });"
        )
        await phone.goto(town.hub.link_for(case))
        await phone.locator(".answer", has_text="Fall").click()
        await phone.locator("[name=text]").press_sequentially("from the roof\n")
        await expect(phone.locator(".lines .caller:not(.waiting)")).to_have_count(2)
        await expect(phone.locator(".back")).to_contain_text("Fall")
        await phone.locator(".leave").click()
        await phone.wait_for_url("about:blank")
