"""The crew's tablet in a browser: three taps, true times, what the ER saw, no lie when lost."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from onboard.sensors.settings import RouteSettings, Waypoint
from onboard.settings import Place
from streams.codec import open_body
from streams.messages import Arrival, CaseNote, Milestone, PreAlert, RunEnded
from tests.vehicle_town import Started, replay, running, town, write_record

GPS = RouteSettings(
    name="gps",
    waypoints=(
        Waypoint(latitude_deg=31.21, longitude_deg=121.46),
        Waypoint(latitude_deg=31.23, longitude_deg=121.48),
    ),
)
PLACE = Place(
    hospital="first-hospital", label="First Hospital", latitude_deg=31.23, longitude_deg=121.48
)
VIEWS = ("call", "patient", "vitals", "alert", "navigate")


@pytest.fixture
async def started(tmp_path: Path) -> AsyncIterator[Started]:
    """A vehicle with a recorded ECG and a drawn route, ready for a call."""
    record = write_record(tmp_path, samples=120_000)
    async with town(tmp_path) as site:
        changes = {"sensor": (replay(record), GPS), "always": ("gps",), "places": (PLACE,)}
        async with running(site, **changes) as found:
            yield found


async def open_tablet(open_page: Any, started: Started, **options: Any) -> Page:
    page: Page = await open_page(f"{started.vehicle.url}/?key={started.vehicle.token}", **options)
    return page


async def begin_run(page: Page, started: Started, until: Any) -> str:
    """Send the vehicle on a call and tap through to a run."""
    case = started.hub.call()
    started.hub.choose(case)
    await until(page, "!!document.querySelector('.main.run-button')")
    await page.click(".main.run-button")
    await until(page, "!!document.querySelector('.stamp.main')")
    return case


def has_text(selector: str, text: str) -> str:
    return f"(document.querySelector('{selector}')?.textContent ?? '').includes('{text}')"


async def test_tablet_call_appears_by_itself_with_where_and_what(
    started: Started, open_page: Any, until: Any
) -> None:
    page = await open_tablet(open_page, started)
    await until(page, has_text(".empty", "No call"))
    started.hub.call(address="1288 Century Avenue", complaint="fall from a ladder")
    await until(page, has_text(".address", "1288 Century Avenue"))
    assert await page.inner_text(".complaint") == "fall from a ladder"
    assert "RED" in await page.inner_text(".case-head")


async def test_tablet_long_complaint_leaves_severity_and_address_in_view(
    started: Started, open_page: Any, until: Any, screenshot: Any
) -> None:
    page = await open_tablet(open_page, started)
    started.hub.call(address="1288 Century Avenue", complaint="fall from a ladder " * 157)
    await until(page, has_text(".address", "1288 Century Avenue"))
    await screenshot(page, "tablet-long-complaint")
    for selector in (".case-head .severity", ".address", ".run-button"):
        box = await page.locator(selector).bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 800
    whole = "fall from a ladder " * 157
    assert await page.get_attribute(".complaint", "title") == whole
    await page.keyboard.press("2")
    await until(page, "!!document.querySelector('.complaint-whole')")
    assert await page.text_content(".complaint-whole") == whole


SHOW_OLD_VITALS = """async (ageS) => {
  const { html, render } = await import('/static/shared/view.js');
  const { VitalsView } = await import('/static/page/vitals.js');
  const { now } = await import('/static/shared/clock.js');
  const sign = (value) => ({
    value, at_ms: now.value - ageS * 1000, validity: 'valid', reason: null, origin: 'live',
    history: [],
  });
  const vitals = { heart_rate_per_min: sign(80), nibp_systolic_mmhg: sign(121),
    nibp_diastolic_mmhg: sign(70) };
  const state = {
    vitals: { value: vitals }, unit: { value: { stale_s: { vitals: 60 } } }, sensors: { value: [] },
    ecg: { shown: { value: null } }, link: { value: null },
  };
  const box = document.body.appendChild(document.createElement('div'));
  box.id = 'tried';
  render(html`<${VitalsView} state=${state} />`, box);
}"""
"""The page's own view, drawn with readings that are as old as is said."""


@pytest.mark.parametrize(("age_s", "stale"), [(240, False), (660, True)])
async def test_tablet_cuff_pressure_is_stale_only_after_ten_minutes(
    started: Started, open_page: Any, until: Any, age_s: float, stale: bool
) -> None:
    page = await open_tablet(open_page, started)
    await until(page, has_text(".empty", "No call"))
    await page.evaluate(SHOW_OLD_VITALS, age_s)
    tiles = "[...document.querySelectorAll('#tried .tile')].map(e => [e.innerText, e.className])"
    shown = await page.evaluate(tiles)
    assert ["stale" in name.split() for words, name in shown if "121/70" in words] == [stale]
    assert ["stale" in name.split() for words, name in shown if "HR" in words] == [True]


async def test_tablet_pre_alert_takes_three_taps_and_shows_its_way(
    started: Started, open_page: Any, until: Any, wait_for: Any
) -> None:
    page = await open_tablet(open_page, started)
    case = await begin_run(page, started, until)
    await page.click(".bar a[href='#/alert']")
    await until(page, "!!document.querySelector('.alert-taps')")
    begun = time.monotonic()
    taps = ("button:has-text('STEMI')", "[aria-label='Male, about 60']", ".send")
    for selector in taps:
        box = await page.locator(selector).bounding_box()
        assert box is not None
        assert box["width"] >= 64
        assert box["height"] >= 64
        await page.click(selector)
    await wait_for(lambda: started.hub.of("pre_alert"), "the alert at the hub")
    assert time.monotonic() - begun < 15
    body = open_body(started.hub.of("pre_alert")[0], PreAlert)
    assert (body.pathway, body.severity, body.age_years, body.sex) == ("stemi", "red", 60, "male")
    await until(page, has_text(".sent-way", "delivered"))
    started.hub.acknowledge(case, "charge nurse")
    await until(page, has_text(".sent-way", "seen by charge nurse"))
    assert "charge nurse" in await page.inner_text(".receiver")


async def test_tablet_wish_of_the_hospital_stands_on_every_view(
    started: Started, open_page: Any, until: Any
) -> None:
    page = await open_tablet(open_page, started)
    case = await begin_run(page, started, until)
    note = CaseNote(text="Cath lab 2 is ready", at_ns=started.hub.now_ns())
    started.hub.tell(case, "case_note", note, source="first-hospital")
    for view in VIEWS:
        await page.evaluate(f"location.hash = '#/{view}'")
        await until(page, f"!!document.querySelector('main.{view}')")
        await until(page, has_text(".wish", "Cath lab 2 is ready"))
        assert await page.locator(".wish:visible").count() == 1


async def test_tablet_stamp_is_corrected_to_its_true_time(
    started: Started, open_page: Any, until: Any, wait_for: Any
) -> None:
    page = await open_tablet(open_page, started)
    await begin_run(page, started, until)
    await page.click("button:has-text('En route')")
    await wait_for(lambda: started.hub.of("milestone"), "the stamp")
    await until(page, "!!document.querySelector('.stamp.stamped')")
    await page.click(".stamp.stamped")
    await page.click(".correction button:has-text('−5')")
    await page.click(".correction .main")
    await wait_for(lambda: len(started.hub.of("milestone")) == 2, "the correction")
    first, second = (open_body(fact, Milestone) for fact in started.hub.of("milestone"))
    assert second.corrects == started.hub.of("milestone")[0].id
    assert (first.at_ns - second.at_ns) / 1e9 == pytest.approx(300, abs=1)
    await until(page, has_text(".stamp.stamped", "corrected"))


async def test_tablet_run_ends_with_a_reason_and_the_end_can_be_undone(
    started: Started, open_page: Any, until: Any, wait_for: Any
) -> None:
    page = await open_tablet(open_page, started)
    await begin_run(page, started, until)
    await page.click(".run-row button")
    await page.click(".choices button:has-text('Handed over')")
    await wait_for(lambda: started.hub.of("run_ended"), "the end")
    await page.click("button:has-text('Continue the run')")
    await wait_for(lambda: len(started.hub.of("run_started")) == 2, "the run again")
    await until(page, "!!document.querySelector('.stamp.main')")
    (ended,) = (open_body(fact, RunEnded) for fact in started.hub.of("run_ended"))
    assert ended.reason == "handed_over"
    begun = {fact.case for fact in started.hub.of("run_started")}
    assert begun == {started.hub.of("run_ended")[0].case}, "it is the same run that goes on"


async def test_tablet_ecg_is_drawn_live_and_marked_as_a_recording(
    started: Started, open_page: Any, until: Any
) -> None:
    page = await open_tablet(open_page, started)
    await begin_run(page, started, until)
    await page.keyboard.press("3")
    await until(page, "document.querySelector('.ecg-strip')?.dataset.state === 'live'", 15)
    shot = "document.querySelector('.ecg-trace').toDataURL()"
    await until(page, f"{shot} !== (window.first ??= {shot})")
    assert "recording" in await page.inner_text(".ecg-source")
    assert "not a monitored alarm" in await page.inner_text(".ecg-foot")


async def test_tablet_lost_link_is_said_and_taps_still_count(
    started: Started, open_page: Any, until: Any, wait_for: Any
) -> None:
    page = await open_tablet(open_page, started)
    await begin_run(page, started, until)
    await started.town.broker.stop()
    await until(page, has_text(".strip-part.lost", "Not connected since"), 20)
    await page.click("button:has-text('En route')")
    await until(page, has_text(".stamp.stamped .delivery", "made here"))
    await until(page, has_text(".strip-part.lost", "Waiting to be delivered"))
    await started.town.broker.start()
    await wait_for(lambda: started.hub.of("milestone"), "the stamp at the hub", 30)
    await until(page, has_text(".stamp.stamped .delivery", "delivered"), 20)
    assert [open_body(one, Milestone).stage for one in started.hub.of("milestone")] == ["en_route"]


SHOW_OLD_LINK = """async (ageS) => {
  const { html, render } = await import('/static/shared/view.js');
  const { Strip } = await import('/static/page/strip.js');
  const { CallView } = await import('/static/page/call.js');
  const { now } = await import('/static/shared/clock.js');
  const link = { connected: true, since_ms: now.value - 600_000, refused: null, uplink: '',
    answered_ms: now.value - ageS * 1000, waiting: 2, waiting_urgent: 0,
    oldest_ms: now.value - 20_000 };
  const state = { unit: { value: null }, run: { value: { state: 'idle' } }, case: { value: null },
    link: { value: link }, socket: { link: { value: { state: 'live' } } }, can: () => false };
  const box = document.body.appendChild(document.createElement('div'));
  box.id = 'tried';
  render(html`<${Strip} state=${state} /><${CallView} state=${state} />`, box);
}"""
"""The page's own strip and empty call, drawn with a link on which dispatch answered long ago."""


@pytest.mark.parametrize("width", [1280, 800])
@pytest.mark.parametrize(("age_s", "silent"), [(15, False), (40, True)])
async def test_tablet_says_when_dispatch_does_not_answer_though_the_link_stands(
    *, started: Started, open_page: Any, until: Any, age_s: float, silent: bool, width: int
) -> None:
    page = await open_tablet(open_page, started, width=width, height=2080 - width)
    await until(page, has_text(".empty", "No call"))
    await page.evaluate(SHOW_OLD_LINK, age_s)
    strip = await page.inner_text("#tried .strip")
    assert ("Dispatch does not answer since" in strip) is silent
    assert ("Connected for 10 min" in strip) is not silent
    assert ("Nothing is lost" in strip) is silent
    assert ("Connected and ready" in await page.inner_text("#tried .empty")) is not silent
    cut = "(all) => all.map((e) => e.scrollHeight - e.clientHeight)"
    words = "#tried .strip-part[role=status] :is(strong, .small)"
    assert max(await page.eval_on_selector_all(words, cut)) <= 1, "every word is in view"


async def test_tablet_old_time_of_arrival_is_hollow_and_says_how_old(
    started: Started, open_page: Any, until: Any
) -> None:
    page = await open_tablet(open_page, started)
    case = await begin_run(page, started, until)
    for age_s, hollow in ((90, True), (1, False)):
        now_ns = started.hub.now_ns()
        arrival = Arrival(
            at_ns=now_ns + 380 * 10**9, position_ns=now_ns - age_s * 10**9,
            distance_m=4210, method="test",
        )  # fmt: skip
        await started.hub.stream("arrival", arrival, case)
        selector = ".time-to-go.hollow" if hollow else ".time-to-go:not(.hollow)"
        for view in ("call", "navigate"):
            await page.evaluate(f"location.hash = '#/{view}'")
            await until(page, f"!!document.querySelector('main.{view} {selector}')")
            words = await page.inner_text(".rests-on")
            assert ("from a position 1 min old" in words) is hollow


BROKEN_WORDS = """[...document.querySelectorAll('.pathways button')].filter((one) => {
  const range = document.createRange();
  range.selectNodeContents(one);
  const lines = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
  return lines.size > one.innerText.split(' ').length;
}).map((one) => one.innerText)"""
"""Pathways whose words stand on more lines than there are words."""


async def test_tablet_upright_keeps_words_whole_and_the_hospitals_long_wish_in_its_card(
    started: Started, open_page: Any, until: Any, screenshot: Any
) -> None:
    page = await open_tablet(open_page, started, width=800, height=1280)
    case = await begin_run(page, started, until)
    await page.evaluate("location.hash = '#/alert'")
    await until(page, "!!document.querySelector('.alert-taps')")
    assert await page.evaluate(BROKEN_WORDS) == []
    for selector in ("button:has-text('STEMI')", "[aria-label='Male, about 60']", ".send"):
        await page.click(selector)
    await until(page, "!!document.querySelector('.sent')")
    text = "bringtheoldrecords" * 40
    note = CaseNote(text=text, at_ns=started.hub.now_ns())
    started.hub.tell(case, "case_note", note, source="first-hospital")
    await until(page, "!!document.querySelector('.sent-wish')")
    await screenshot(page, "tablet-upright-long-wish")
    spill = "(e) => [e.scrollWidth - e.clientWidth, e.offsetHeight]"
    wide, high = await page.locator(".sent .card").evaluate(spill)
    assert wide <= 0
    assert high < 700
    for selector in (".steps li >> nth=2", ".again", ".strip-part.receiver", ".strip-unit h1"):
        box = await page.locator(selector).bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 800
        assert box["y"] + box["height"] <= 1280


async def test_tablet_both_languages_have_every_text(started: Started, open_page: Any) -> None:
    folder = Path(__file__).parents[2] / "onboard" / "static" / "messages"
    english, chinese = (
        json.loads((folder / f"{name}.json").read_text("utf-8")) for name in ("en", "zh-CN")
    )
    assert english.keys() == chinese.keys()
    page = await open_tablet(open_page, started, language="zh-CN")
    assert await page.inner_text(".bar") != ""
    assert "任务" in await page.inner_text(".bar")


@pytest.mark.parametrize(
    ("language", "words"), [("en", "not on the map yet"), ("zh-CN", "尚未标在地图上")]
)
async def test_tablet_map_without_a_place_of_the_scene_says_so_in_words(
    *, started: Started, open_page: Any, until: Any, screenshot: Any, axe_faults: Any,
    language: str, words: str,
) -> None:  # fmt: skip
    page = await open_tablet(open_page, started, language=language)
    started.hub.call(address="")
    await page.evaluate("location.hash = '#/navigate'")
    await until(page, has_text(".no-scene", words))
    asks = "ask dispatch where to go" if language == "en" else "询问调度前往何处"
    assert asks in await page.inner_text(".no-scene")
    assert await axe_faults(page) == []
    await screenshot(page, f"tablet-navigate-nowhere-{language}")


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1920, 1080), (800, 1280)])
async def test_tablet_views_fit_the_screen_and_have_no_serious_fault(
    *,
    started: Started,
    open_page: Any,
    until: Any,
    axe_faults: Any,
    screenshot: Any,
    width: int,
    height: int,
) -> None:
    page = await open_tablet(open_page, started, width=width, height=height)
    case = await begin_run(page, started, until)
    arrival = Arrival(
        at_ns=started.hub.now_ns() + 380 * 10**9, position_ns=started.hub.now_ns(),
        distance_m=4210, method="test",
    )  # fmt: skip
    await started.hub.stream("arrival", arrival, case)
    for view in VIEWS:
        await page.evaluate(f"location.hash = '#/{view}'")
        await until(page, f"!!document.querySelector('main.{view}')")
        if view == "navigate":
            await until(page, "!!document.querySelector('.map-pin')")
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
        small = await page.evaluate(
            "[...document.querySelectorAll('button, .bar a, .leaflet-bar a, textarea')]"
            ".filter((one) => { const box = one.getBoundingClientRect();"
            " return box.height < 48 || box.width < 48; }).map((one) => one.textContent)"
        )
        assert small == [], view
        assert await axe_faults(page) == [], view
        await screenshot(page, f"tablet-{view}-{width}")


HARD_OF_HEARING = """
const { set, get } = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
Object.defineProperty(WebSocket.prototype, 'onmessage', { get, set(take) {
  set.call(this, (event) => {
    const said = typeof event.data === 'string' ? JSON.parse(event.data) : {};
    if (window.deaf && (said.type === 'answer' || said.case)) return;
    take(event);
  });
} });
"""
"""While `deaf`, the page hears neither answers nor what became of the case."""


async def test_tablet_note_without_an_answer_tapped_again_is_made_once(
    started: Started, open_page: Any, until: Any, wait_for: Any
) -> None:
    page = await open_tablet(open_page, started)
    await page.add_init_script(HARD_OF_HEARING)
    await page.reload()
    await begin_run(page, started, until)
    await page.keyboard.press("2")
    await page.fill(".note textarea", "dog in the yard")
    await page.evaluate("window.deaf = true")
    await page.click(".note .main")
    await wait_for(lambda: started.hub.of("case_note"), "the note at the hub")
    await until(page, has_text(".problem", "No answer yet"), 10)
    await page.evaluate("window.deaf = false")
    await page.click(".note .main")
    await until(page, "document.querySelector('.note textarea').value === ''")
    await until(page, "!document.querySelector('.problem')")
    await page.fill(".note textarea", "dog in the yard")
    await page.click(".note .main")
    await wait_for(lambda: len(started.hub.of("case_note")) == 2, "the same words, meant anew")
    assert len({fact.id for fact in started.hub.of("case_note")}) == 2


async def test_tablet_tap_while_the_page_is_cut_off_says_so_in_its_language(
    started: Started, open_page: Any, until: Any
) -> None:
    page = await open_tablet(open_page, started, language="zh-CN")
    await begin_run(page, started, until)
    tap = "document.querySelector('.stamp.main').click()"
    await page.evaluate(f"() => {{ dispatchEvent(new Event('offline')); {tap}; }}")
    await until(page, has_text(".problem", "未发送"))
    assert started.hub.of("milestone") == []
    assert await page.locator(".stamp.stamped").count() == 0, "nothing looks as if it were done"
