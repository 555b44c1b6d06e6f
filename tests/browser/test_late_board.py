"""Late facts on the board in Chromium: at their true time, marked in words, never as of now."""

from __future__ import annotations

from typing import Any

import pytest

from streams.messages import Milestone, Numeric, Vitals
from tests.browser.test_board import VIDEO_FAILS, Er, OpenPage, Until, er

__all__ = ["er"]  # a fixture

LATE_NS = 250 * 10**9
WORDS = {
    "en": ("came 4 min late", "came up to 4 min late"),
    "zh-CN": ("晚到 4 分钟", "的数值晚到，最多 4 分钟"),
}


async def saturation(er: Er, case: str, value: float, ago_ns: int = 0) -> None:
    made_ns = er.hub.now_ns() - ago_ns
    numeric = Numeric(value=value, measured_ns=made_ns)
    body = Vitals(device="monitor", spo2_percent=numeric)
    await er.hub.fact(case, body, "vitals", "unit-1", patient="1", made_ns=made_ns)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_late_facts_stand_at_their_time_in_words_and_the_tile_stays_as_of_now(
    er: Er, open_page: OpenPage, until: Until, screenshot: Any, language: str
) -> None:
    case = await er.patient(eta_s=300)
    await saturation(er, case, 97.0)
    page = await open_page(
        f"{er.url}#/case/{case}", width=1920, height=1080, language=language, may_log=VIDEO_FAILS
    )
    await until(page, "document.body.innerText.includes('97')")
    scene_ns = er.hub.now_ns() - LATE_NS
    stage = Milestone(stage="on_scene", at_ns=scene_ns)
    await er.hub.fact(case, stage, "milestone", "unit-1", made_ns=scene_ns)
    for step in range(5):
        await saturation(er, case, 71.0, LATE_NS - step * 5 * 10**9)
    in_line, under_trend = WORDS[language]
    await until(page, f"document.querySelector('.timeline')?.innerText.includes('{in_line}')")
    await until(page, f"document.querySelector('.trends')?.innerText.includes('{under_trend}')")
    points = f"forerun.state.cases.value.get('{case}').curves['1'].spo2_percent"
    # The trend is refreshed; the tile, drawn of the same state, stays as of now.
    await until(page, f"{points}.map((p) => p.value).join() === '71,71,71,71,71,97'")
    tiles = await page.evaluate("document.querySelector('.patient-right .tiles').innerText")
    assert "97" in tiles
    assert "71" not in tiles
    await screenshot(page, f"board-late-{language}")
