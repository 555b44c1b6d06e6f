"""The shared page language in a real browser: values, ECG strip, socket, map, both themes.

`gallery/` shows every part in every state; its screenshots are in `screenshots/` after a run.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from streams.ecg_block import Lead, describe, encode_frame
from tests.gallery_server import GalleryServer, serve_gallery


@pytest.fixture
async def gallery() -> AsyncIterator[GalleryServer]:
    """The gallery on a free port of 127.0.0.1."""
    async with serve_gallery() as server:
        yield server


Opened = Callable[..., Awaitable[Any]]


@pytest.fixture
def show(gallery: GalleryServer, open_page: Opened, until: Opened) -> Opened:
    """A function that opens the gallery and waits until its ECG runs."""

    async def open_gallery(query: str = "", **options: Any) -> Any:
        page = await open_page(gallery.url + query, **options)
        await until(page, "window.gallery?.drawn.length > 20", 20)
        return page

    return open_gallery


@pytest.mark.parametrize(
    "view",
    [
        {"theme": "dark", "language": "en", "width": 1920, "height": 1080},
        {"theme": "light", "language": "zh", "width": 1280, "height": 800},
    ],
    ids=["dark-en-1920", "light-zh-1280"],
)
async def test_gallery_in_both_themes_has_no_serious_fault(
    show: Opened,
    until: Opened,
    screenshot: Any,
    axe_faults: Any,
    view: dict[str, Any],
) -> None:
    page = await show(**view)
    await until(page, "gallery.silent.state.value === 'not live'", 15)
    await screenshot(page, "gallery-{theme}-{language}-{width}".format(**view), whole=True)
    # Hollow figures have the colour of their ground on purpose; their stroke carries the contrast.
    await page.add_style_tag(content=".tile.stale .tile-number { color: var(--text) !important }")
    assert await axe_faults(page) == []


async def test_stale_value_shows_hollow_with_its_age_in_words(show: Opened) -> None:
    page = await show()
    tile = page.locator(".tile.console", has_text="BP")
    assert "3 min old" in await tile.inner_text()
    stroke = "(e) => parseFloat(getComputedStyle(e).webkitTextStrokeWidth)"
    assert await tile.locator(".tile-number").evaluate(stroke) > 0
    fresh = page.locator(".tile.console.high .tile-number")
    assert await fresh.evaluate(stroke) == 0


@pytest.mark.parametrize(("theme", "blue"), [("dark", "#56b4e9"), ("light", "#0072b2")])
async def test_first_curve_has_the_blue_that_its_ground_can_bear(
    show: Opened, theme: str, blue: str
) -> None:
    page = await show(theme=theme)
    marker = page.locator(".trend-chart .u-marker").nth(1)  # the first is that of the time
    colour = await marker.evaluate("(e) => getComputedStyle(e).borderTopColor")
    assert "#" + "".join(f"{int(part):02x}" for part in re.findall(r"\d+", colour)) == blue


async def test_invalid_value_is_struck_and_says_the_devices_reason(show: Opened) -> None:
    page = await show()
    tile = page.locator(".tile.console.invalid")
    assert await tile.locator("s").inner_text() == "62"
    assert "sensor off" in await tile.inner_text()


MINUTE_MS = 60_000


@pytest.mark.parametrize(
    ("name", "signs", "shown"),
    [
        ("heart_rate_per_min", {"heart_rate_per_min": (81.6, 2)}, ("82", "stale", None)),
        ("temperature_celsius", {"temperature_celsius": (37.0, 0)}, ("37.0", "fresh", None)),
        (
            "nibp",
            {"nibp_systolic_mmhg": (121.0, 4), "nibp_diastolic_mmhg": (70.0, 5)},
            ("121/70", "fresh", None),
        ),
        (
            "nibp",
            {"nibp_systolic_mmhg": (121.0, 4), "nibp_diastolic_mmhg": (70.0, 11)},
            ("121/70", "stale", None),
        ),
        ("abp", {"abp_systolic_mmhg": (121.0, 2)}, ("121/–", "stale", None)),
        (
            "abp",
            {"abp_systolic_mmhg": (121.0, 0), "abp_diastolic_mmhg": (70.0, 0, "invalid", "damped")},
            ("121/70", "invalid", "damped"),
        ),
        ("spo2_percent", {"heart_rate_per_min": (80.0, 0)}, None),
    ],
)
async def test_vital_sign_is_rounded_paired_and_stale_alike_on_every_page(
    gallery: GalleryServer,
    open_page: Opened,
    name: str,
    signs: dict[str, tuple[Any, ...]],
    shown: tuple[str, str, str | None] | None,
) -> None:
    page = await open_page(gallery.url)
    readings = {
        code: {
            "value": value,
            "at_ms": 1e12 - age_min * MINUTE_MS,
            "validity": said[0] if said else "valid",
            "reason": said[1] if said else None,
            "origin": "live",
        }
        for code, (value, age_min, *said) in signs.items()
    }
    found = await page.evaluate(
        """async ([name, signs]) => {
          const { vitalSign } = await import("/static/shared/vital_signs.js");
          const { stateOf } = await import("/static/shared/value_tile.js");
          const sign = vitalSign(name, signs, 60);
          return sign && [sign.value.value, stateOf(sign.value, 1e12), sign.value.reason ?? null];
        }""",
        [name, readings],
    )
    assert found == (shown and list(shown))


async def test_language_switch_changes_every_text_at_once_and_is_kept(
    show: Opened, until: Opened
) -> None:
    page = await show()
    await page.get_by_role("button", name="中文").click()
    assert "连接正常" in await page.locator(".status-bar").inner_text()
    await page.reload()
    await until(page, "window.gallery?.drawn.length > 0", 20)
    assert "连接正常" in await page.locator(".status-bar").inner_text()
    assert await page.evaluate("document.documentElement.lang") == "zh-CN"


async def test_ecg_in_each_layout_and_scale_draws_every_sample_once(
    show: Opened, until: Opened
) -> None:
    page = await show("?jitter=0")
    for name in ("rows", "50", "20", "scroll", "12.5", "3×4", "sweep"):
        await page.locator(".ecg-controls").get_by_role("button", name=name, exact=True).click()
        before = await page.evaluate("gallery.drawn.length")
        await until(page, f"gallery.drawn.length > {before} + 5", 10)
    drawn = await page.evaluate("gallery.drawn.slice()")
    for earlier, later in itertools.pairwise(drawn):
        # Only the gap of the feed may stand between two redraws.
        step = later["oldestIndex"] - earlier["newestIndex"]
        assert step == 1 or earlier["newestIndex"] < 700 <= later["oldestIndex"] + 300


async def test_ecg_calibration_pulse_is_one_millivolt_for_200_ms(show: Opened) -> None:
    page = await show()
    scale = "{speed: 25, gain: 10, pxPerMm: 4}"
    measured = await page.evaluate(
        "async () => (await import('/static/shared/ecg_calipers.js'))"
        f".measure(5 * 4, -10 * 4, {scale})"
    )
    assert measured == {"ms": 200, "bpm": 300, "mv": 1}


async def test_ecg_gap_is_left_empty_and_invalid_samples_are_not_drawn_as_signal(
    show: Opened,
    until: Opened,
) -> None:
    page = await show("?jitter=0")
    await until(page, "gallery.strip.buffer.end > 1400", 15)
    kept = await page.evaluate(
        "(({buffer}) => [buffer.has(399), buffer.has(400), buffer.has(699), buffer.has(700),"
        " Number.isNaN(buffer.at(1, 1000)), Number.isNaN(buffer.at(0, 1000)), buffer.has(1000)])"
        "(gallery.strip)"
    )
    assert kept == [True, False, False, True, True, False, True]


async def test_ecg_frame_that_comes_late_is_drawn_where_it_belongs(
    show: Opened, until: Opened
) -> None:
    page = await show("?jitter=0")
    await until(page, "gallery.strip.buffer.end > 900", 15)
    ink = """() => {
      const canvas = document.querySelector(".sheet .ecg-trace");
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      let inked = 0;
      for (let i = 3; i < data.length; i += 4) inked += data[i] > 40 ? 1 : 0;
      return inked;
    }"""
    await page.evaluate("gallery.feeds.forEach(clearInterval)")
    await page.wait_for_timeout(400)  # the play head runs out
    before = await page.evaluate(ink)
    await page.evaluate(
        "gallery.strip.push(400, gallery.strip.buffer.sourceTimeMs(400),"
        " gallery.strip.leads.map(() => new Float32Array(300).fill(0.2)))"
    )
    await until(page, f"({ink})() !== {before}", 5)
    assert await page.evaluate("gallery.strip.buffer.has(500)")


async def test_ecg_blocks_become_millivolts_and_what_is_no_voltage_is_left_out(
    gallery: GalleryServer, open_page: Opened
) -> None:
    leads = (
        Lead(name="II", gain=200.0, baseline=100, invalid=-32768),
        Lead(name="PLETH", gain=1.0, physical_unit="NU"),
        Lead(name="V1", gain=1.0, physical_unit="uV"),
    )
    setup = describe(250.0, leads)
    samples = np.array([[300, -32768, 100], [1, 2, 3], [500, -500, 0]], dtype=np.int32)
    frame = encode_frame(setup, 4000, samples.T)
    page = await open_page(gallery.url)
    fed = await page.evaluate(
        """async ([setup, bytes]) => {
          const { EcgFeed } = await import("/static/shared/ecg_feed.js");
          const feed = new EcgFeed(setup);
          await feed.take(Uint8Array.from(bytes), 1e12);
          await feed.take(Uint8Array.from(bytes.slice(0, -1)), 1e12);
          const { buffer, leads } = feed.strip;
          const read = (lead) => [4000, 4001, 4002].map((i) => String(buffer.at(lead, i)));
          return { leads, leftOut: feed.leftOut, refused: feed.refused, II: read(0), V1: read(1),
            after: buffer.sourceTimeMs(4250) - 1e12 };
        }""",
        [json.loads(msgspec.json.encode(setup)), list(frame)],
    )
    assert fed == {
        "leads": ["II", "V1"],
        "leftOut": ["PLETH"],
        "refused": 1,
        "II": ["1", "NaN", "0"],
        "V1": ["0.5", "-0.5", "0"],
        "after": 1000,
    }


async def test_ecg_play_head_runs_evenly_and_as_late_as_needed_and_no_later(
    gallery: GalleryServer, open_page: Opened
) -> None:
    page = await open_page(gallery.url)
    # 100 ms frames, each up to 30 ms late, the 50th by 350 ms; redraws every 16 ms for 20 s.
    found = await page.evaluate(
        """async () => {
          const { Playout } = await import("/static/shared/ecg_playout.js");
          const playout = new Playout(500, 10);
          const frames = Array.from({ length: 200 }, (_, n) => ({ first: n * 50,
            atMs: 1000 + (n + 1) * 100 + ((n * 7) % 31) + (n === 50 ? 350 : 0) }));
          let end = 0, before = -1, back = 0, holds = 0, worst = 0;
          for (let now = 1000; now < 21000; now += 16) {
            while (frames.length && frames[0].atMs <= now) {
              const { first } = frames.shift();
              end = Math.max(end, first + 50);
              playout.arrived(first, now);
            }
            const head = playout.position(now, end);
            if (head < before) back += 1;
            if (now > 4000 && head === before) holds += 1;
            if (now > 12000) worst = Math.max(worst, now - 1000 - head * 2);
            before = head;
          }
          return { back, holds, worst };
        }"""
    )
    assert found["back"] == 0
    assert found["holds"] < 40  # out of 1060: the late frame, and the rare ones
    assert 100 <= found["worst"] <= 180  # ms behind the source: frame, lateness, margin


async def test_ecg_without_data_for_two_seconds_says_since_when(show: Opened) -> None:
    page = await show()
    message = page.locator(".ecg-message", has_text="ECG not live since")
    await message.wait_for(timeout=10_000)
    assert re.search(r"since \d\d:\d\d:\d\d, for \d+ s", await message.inner_text())
    assert await page.evaluate("gallery.strip.state.value") == "live"


async def test_ecg_frozen_holds_its_picture_while_samples_go_on(
    show: Opened, until: Opened
) -> None:
    page = await show()
    await page.get_by_role("button", name="Freeze").click()
    end, drawn = await page.evaluate("[gallery.strip.buffer.end, gallery.drawn.length]")
    await until(page, f"gallery.strip.buffer.end > {end} + 200", 10)
    assert await page.evaluate("gallery.drawn.length") == drawn
    await page.get_by_role("button", name="Live", exact=True).click()
    await until(page, f"gallery.drawn.length > {drawn}", 10)


async def test_page_that_loses_its_server_says_since_when_and_comes_back(
    show: Opened, gallery: GalleryServer, screenshot: Any, wait_for: Any
) -> None:
    page = await show(may_log=("WebSocket",))
    await gallery.cut()
    bar = page.locator(".not-live")
    await bar.wait_for(timeout=5000)
    assert re.search(r"Not live since \d\d:\d\d:\d\d", await bar.inner_text())
    assert await page.evaluate("document.documentElement.dataset.link") == "lost"
    assert await page.evaluate("gallery.socket.send({type: 'accept'})") is False
    await screenshot(page, "gallery-not-live")
    gallery.refusing = False
    await page.locator(".live-again").wait_for(timeout=15_000)
    assert await bar.count() == 0
    assert await page.evaluate("gallery.socket.send({type: 'hello'})") is True
    await wait_for(lambda: gallery.heard == [{"type": "hello"}], "the server hears the page")


async def test_page_whose_connection_is_open_but_silent_says_not_live(
    show: Opened, gallery: GalleryServer
) -> None:
    page = await show(may_log=("WebSocket",))
    assert await page.locator(".not-live").count() == 0
    gallery.ticking = False
    gallery.refusing = True
    await page.locator(".not-live").wait_for(timeout=8000)


async def test_trend_chart_shows_values_only_under_the_pointer_and_nothing_moves(
    show: Opened,
) -> None:
    page = await show(language="zh")
    chart = page.locator(".trend-chart")
    await chart.scroll_into_view_if_needed()
    values = chart.locator(".u-value")
    height = "(e) => e.getBoundingClientRect().height"
    before = await chart.evaluate(height)
    assert [text.strip() for text in await values.all_inner_texts()] == ["", "", ""]
    await chart.locator(".u-over").hover()
    time_, rate, pressure = await values.all_inner_texts()
    assert re.fullmatch(r"\d\d:\d\d:\d\d", time_)
    assert float(rate) > 80
    assert float(pressure) > 80
    assert await chart.evaluate(height) == before


async def test_map_without_tiles_asks_no_other_server_and_shows_names_as_text(
    show: Opened,
) -> None:
    asked: list[str] = []
    page = await show()
    page.on("request", lambda request: asked.append(request.url))
    await page.locator(".map-pin").first.wait_for()
    await page.evaluate("gallery.map.fit()")
    assert await page.locator(".map-pin b").count() == 0  # a caller's name is never HTML
    assert "<b>caller</b>" in await page.locator(".map-pin.caller").inner_text()
    assert await page.locator(".map-pin.unit.stale").count() == 1
    assert await page.locator("path.map-graticule").count() > 4
    assert not [url for url in asked if "127.0.0.1" not in url]


INK_OF_CHART = """async (values) => {
  const { html, render } = await import("/static/shared/view.js");
  const { TrendChart } = await import("/static/shared/trend_chart.js");
  const points = values.map((value, i) => ({ atMs: 1.7e12 + i * 1000, value }));
  const box = document.body.appendChild(document.createElement("div"));
  render(html`<${TrendChart} series=${[{ label: "HR", unit: "/min", points }]} />`, box);
  let canvas;
  while (!(canvas = box.querySelector("canvas"))) await new Promise(requestAnimationFrame);
  await new Promise((done) => setTimeout(done, 100)); // it draws in the turn after
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let pixels = 0, right = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i] !== 0x56 || data[i + 1] !== 0xb4 || data[i + 2] !== 0xe9) continue;
    pixels += 1;
    right = Math.max(right, (i / 4) % canvas.width / canvas.width);
  }
  box.remove();
  return { pixels, right };
}"""
"""Pixels of the first curve's own colour in a chart of these values, one a second, and how far to
the right the last of them stands, 0 to 1."""


@pytest.mark.parametrize(
    ("values", "drawn"),
    [([118.0], True), ([118.0, None, 120.0, None, 119.0], True), ([None, None], False)],
)
async def test_trend_chart_shows_a_value_that_stands_alone_as_a_point(
    gallery: GalleryServer, open_page: Opened, values: list[float | None], drawn: bool
) -> None:
    page = await open_page(gallery.url, theme="dark")
    ink = await page.evaluate(INK_OF_CHART, values)
    assert (ink["pixels"] > 4) is drawn
    assert (ink["right"] > 0.9) is drawn, "the newest stands at the right end"


CROWD = """() => {
  const { map } = gallery;
  for (const id of ["scene", "er", "a7", "a9", "caller"]) map.remove(id);
  const put = (id, kind, lat, lon, more) =>
    map.setMarker({ id, kind, lat, lon, label: `Ambulance ${id}`, ...more });
  put("1", "unit", 31.2, 121.4, { chosen: true });
  put("2", "unit", 31.2002, 121.4004);
  put("3", "unit", 31.2004, 121.3996);
  put("4", "unit", 31.1996, 121.3998);
  put("scene", "scene", 31.2, 121.4001, { chosen: true, label: "嘉定区曹安公路4800号" });
  put("far", "hospital", 31.25, 121.5);
}"""
"""Pins nearly on top of each other, and one far off."""

SHOWN_LABELS = """() => [...document.querySelectorAll(".map-pin span")]
  .filter((one) => getComputedStyle(one).visibility === "visible")
  .map((one) => ({ text: one.textContent, box: one.getBoundingClientRect().toJSON() }))"""


async def test_map_labels_of_a_crowd_cover_neither_each_other_nor_the_maps_edge(
    show: Opened, until: Opened, screenshot: Any
) -> None:
    page = await show()
    await until(page, "document.querySelectorAll('.map-pin[data-side]').length === 5")
    await page.evaluate(CROWD)
    await until(page, "document.querySelectorAll('.map-pin[data-side]').length === 6")
    await page.locator(".map").scroll_into_view_if_needed()
    await screenshot(page, "gallery-map-crowd")
    shown = await page.evaluate(SHOWN_LABELS)
    texts = {one["text"] for one in shown}
    assert {"Ambulance 1", "嘉定区曹安公路4800号", "Ambulance far"} <= texts
    for one, other in itertools.combinations([one["box"] for one in shown], 2):
        assert (
            one["right"] <= other["left"]
            or other["right"] <= one["left"]
            or one["bottom"] <= other["top"]
            or other["bottom"] <= one["top"]
        )
    frame = await page.locator(".map").bounding_box()
    assert frame is not None
    for one in shown:
        assert frame["x"] <= one["box"]["left"]
        assert one["box"]["right"] <= frame["x"] + frame["width"]


async def test_map_hidden_label_shows_with_the_keyboards_focus_which_a_moving_pin_keeps(
    show: Opened, until: Opened
) -> None:
    page = await show()
    await until(page, "document.querySelectorAll('.map-pin[data-side]').length === 5")
    await page.evaluate(CROWD)
    await until(page, "document.querySelector('.map-pin[data-side=none]') !== null")
    hidden = page.locator(".map-marker:has([data-side=none])").first
    label = await hidden.get_attribute("title")
    await page.keyboard.press("Tab")  # from here on the focus is the keyboard's
    await hidden.focus()
    focused = "document.activeElement.title"
    assert await page.evaluate(focused) == label
    assert label in {one["text"] for one in await page.evaluate(SHOWN_LABELS)}
    number = str(label).removeprefix("Ambulance ")
    await page.evaluate(
        "(id) => gallery.map.setMarker({ id, kind: 'unit', lat: 31.2003, lon: 121.4,"
        " label: `Ambulance ${id}` })",
        number,
    )
    assert await page.evaluate(focused) == label


async def test_map_whose_library_cannot_be_fetched_says_so_and_comes_when_it_can(
    show: Opened, until: Opened
) -> None:
    page = await show(may_log=("net::ERR_FAILED",))
    await page.route("**/vendor/leaflet.js*", lambda route: route.abort())
    await page.reload()
    await until(page, "document.querySelector('.map')?.dataset.missing?.includes('trying again')")
    await page.unroute("**/vendor/leaflet.js*")
    await until(page, "document.querySelectorAll('.map-pin[data-side]').length === 5", 20)
    assert await page.locator(".map").get_attribute("data-missing") is None
