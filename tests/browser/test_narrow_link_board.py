"""The board while a vehicle's link is narrow: what is left out, in words, and the thinned ECG."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest

from streams.ecg_block import encode_frame
from streams.messages import QualityStep
from tests.browser.test_board import VIDEO_FAILS, Er, OpenPage, Until, er
from tests.case_writer import twelve_leads

__all__ = ["er"]

QUALITY_WORDS = {"en": ("Narrow link", "single pictures"), "zh-CN": ("链路变窄", "仅单张画面")}


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_patient_page_says_what_a_narrow_link_leaves_out_until_it_is_wide_again(
    er: Er, open_page: OpenPage, until: Until, language: str
) -> None:
    case = await er.patient(eta_s=200)
    narrow = QualityStep(
        rung=6, rungs=10, change="down", reason="delay", picture="stills", video_bps=20_000,
        width=320, height=240, fps=0.2, sound=True, queue_ms=640.0, capacity_bps=190_000.0,
    )  # fmt: skip
    await er.hub.fact(case, narrow, "quality_step", "unit-1")
    url = er.url + f"#/case/{case}"
    page = await open_page(url, language=language, may_log=VIDEO_FAILS)
    note, line = "document.querySelector('.narrow-link')", "document.querySelector('.timeline')"
    for words in QUALITY_WORDS[language]:
        await until(page, f"{note}?.textContent.includes({json.dumps(words)})")
    await until(page, f"{line}?.textContent.includes({json.dumps(QUALITY_WORDS[language][1])})")
    assert "640" in await page.evaluate(f"{note}.textContent")
    wide = msgspec.structs.replace(narrow, rung=0, change="up", reason="room", picture="video")
    await er.hub.fact(case, wide, "quality_step", "unit-1")
    await until(page, f"{note} === null")


async def test_thinned_live_ecg_is_drawn_at_its_true_places_without_holes(
    er: Er, open_page: OpenPage, until: Until
) -> None:
    page = await open_page(er.url)
    await until(page, "document.querySelector('.nobody-words') !== null")
    setup = twelve_leads("thinned")
    numbers = np.arange(0, 300)
    signal = np.outer(numbers, np.ones(12)).astype(np.int32)
    blocks = [
        encode_frame(setup, first // 3, signal[first : first + 150 : 3]) for first in (0, 150)
    ]
    drawn = await page.evaluate(
        """async ({ setup, blocks }) => {
          const { EcgFeed } = await import("/static/shared/ecg_feed.js");
          const feed = new EcgFeed(setup);
          const rate = setup.sampling_frequency_hz;
          for (const [n, block] of blocks.entries()) {
            await feed.take(Uint8Array.from(block), 1e12 + (n * 150 * 1000) / rate, 3);
          }
          const { buffer } = feed.strip;
          const all = Array.from({ length: 298 }, (_, n) => n);
          return { refused: feed.refused, mv: all.map((n) => buffer.at(0, n)),
            holes: all.filter((n) => !buffer.has(n)), end: buffer.end,
            ms: buffer.sourceTimeMs(297) - 1e12 };
        }""",
        {"setup": msgspec.to_builtins(setup), "blocks": [list(block) for block in blocks]},
    )
    assert (drawn["refused"], drawn["holes"], drawn["end"]) == (0, [], 298)
    step = drawn["mv"][3] / 3
    assert drawn["mv"] == pytest.approx([n * step for n in range(298)], rel=1e-4, abs=1e-6)
    assert drawn["ms"] == pytest.approx(297 * 1000 / setup.sampling_frequency_hz)
