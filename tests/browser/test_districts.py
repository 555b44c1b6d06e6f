"""Two districts, a console each: a call overflows, is cut off and back; a unit is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.district_town import CLOCK, Office, offices
from tests.neighbourhood import BOUND_S, neighbours
from tests.waiting import until

NORTH_SOUTH = ("north", "south")
WAIT_MS = 20_000


async def console(office: Office, open_page: Any, language: str) -> Any:
    token = office.seat("anna").token
    page = await open_page("about:blank", language=language)
    await page.goto(f"{office.hub.url}/?key={token}")
    await page.locator(".queue").wait_for()
    return page


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_call_overflows_to_a_neighbour_s_console_and_a_unit_is_asked_for(
    tmp_path: Path, open_page: Any, screenshot: Any, language: str
) -> None:
    async with neighbours(tmp_path, NORTH_SOUTH) as town, offices(town) as found:
        north, south = found["north"], found["south"]
        south.put_unit("unit-south-1", 31.29)
        at_south = await console(south, open_page, language)
        at_north = await console(north, open_page, language)
        case = await north.ring("pbx-1")
        row = at_south.locator(f"[data-case='{case}'][data-home=north]")
        await row.wait_for(timeout=WAIT_MS)
        assert "rings" in str(await row.get_attribute("class"))
        await screenshot(at_south, f"district_rings_{language}")

        # One key takes it, for nothing of our own rings; the address is asked for first.
        await at_south.keyboard.press("a")
        address = at_south.locator(".case-head input[name=address]")
        await address.wait_for(timeout=WAIT_MS)
        await address.fill("No. 9 River Road")
        await address.press("Enter")
        await at_south.locator(".case-head h2", has_text="River Road").wait_for(timeout=WAIT_MS)
        assert await at_south.locator(".party").count() == 0, "no unit of ours can be sent"
        await at_north.locator(f".queue [data-case='{case}']").click()
        await at_north.locator(".case-head h2", has_text="River Road").wait_for(timeout=WAIT_MS)

        # Cut off in mid-call: what is typed waits, visibly, and is done after the return.
        link = town.links[NORTH_SOUTH]
        link.stall()
        await at_south.locator(".home-line.cut-off").wait_for(timeout=WAIT_MS)
        note = at_south.locator("input[name=note]")
        await note.fill("third floor, no lift")
        await note.press("Enter")
        await at_south.locator(".home-line", has_text="third floor").wait_for(timeout=WAIT_MS)
        assert await note.input_value() == "third floor, no lift", "not lost, not yet done"
        await screenshot(at_south, f"district_cut_off_{language}")
        await screenshot(at_north, f"district_cut_off_home_{language}")
        link.flow()
        await at_north.locator(".story", has_text="third floor").wait_for(timeout=WAIT_MS)
        await at_south.locator(".home-line:not(.cut-off)").wait_for(timeout=WAIT_MS)
        await until(lambda: not south.hub.desk.foreign.get(case).waiting, "answered", BOUND_S)  # type: ignore[union-attr]

        await ask_for_a_unit(found, case, at_north, at_south, screenshot, language=language)
        for page in (at_north, at_south):
            await page.close()


async def ask_for_a_unit(
    found: dict[str, Office],
    case: str,
    at_north: Any,
    at_south: Any,
    screenshot: Any,
    *,
    language: str,
) -> None:
    """A neighbour's unit is nearer: asked for, granted by one key, and its status comes back."""
    north, south = found["north"], found["south"]
    south.put_unit("unit-south-1", 31.29)
    north.put_unit("unit-north-1", 31.50)
    place = {"latitude_deg": 31.30, "longitude_deg": 121.4}
    assert (await north.act("amend_case", case=case, position=place, severity="red"))["ok"]
    await at_north.locator("[data-elsewhere=unit-south-1]").wait_for(timeout=WAIT_MS)
    await at_north.locator("body").press("4")
    await at_north.locator(".question").wait_for()
    await screenshot(at_north, f"district_ask_{language}")
    await at_north.locator("[data-confirm]").click()
    card = at_south.locator(".unit-card")
    await card.wait_for(timeout=WAIT_MS)
    await screenshot(at_south, f"district_card_{language}")
    await at_south.evaluate("document.activeElement.blur()")
    await at_south.keyboard.press("q")
    await card.wait_for(state="detached", timeout=WAIT_MS)
    await at_north.locator(".wanted[data-state=accepted]").wait_for(timeout=WAIT_MS)
    bound = south.hub.record.book.of_unit("unit-south-1")
    assert bound is not None
    assert bound.address == "No. 9 River Road"
    assert bound.id != case
    await until(
        lambda: any(u.status == "assigned" for u in north.neighbour("south").units),
        "its status is told", BOUND_S,
    )  # fmt: skip
    south.hub.record.fleet.units["unit-south-1"].heard_ns = CLOCK.wall_ns()
    await at_north.wait_for_timeout(1200)
    await screenshot(at_north, f"district_granted_{language}")
