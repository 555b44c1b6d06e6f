"""The arrival board in Chromium: a real gateway, a real broker, real ECG frames."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
import pytest
from playwright.async_api import Page

from hospital_gateway.gateway import serve
from hospital_gateway.settings import Settings
from streams.ecg_block import EcgSetup, encode_frame
from streams.identity import new_id
from streams.messages import (
    CaseOpened,
    EcgStarted,
    HospitalChosen,
    HospitalStoodDown,
    MediaState,
    Milestone,
    Numeric,
    Pathway,
    PreAlert,
    Severity,
    UnitAssigned,
    Vitals,
)
from tests.case_writer import twelve_leads
from tests.hub_stand_in import HubStandIn, hospital_settings

HERE = "first-hospital"
INFORMATION = {"en": "This is not a monitored alarm", "zh-CN": "不是监护报警"}
FRAME_S = 0.1
VIDEO_FAILS = ("502", "Failed to load resource")
"""The stand-in hub has no media: the page says so, and the browser logs it."""


class OpenPage(Protocol):
    async def __call__(self, url: str, **options: Any) -> Page: ...


class Until(Protocol):
    async def __call__(self, page: Page, expression: str, timeout_s: float = 10.0) -> Any: ...


class Er:
    """A hospital, its hub, and the patients that a test sends."""

    def __init__(self, hub: HubStandIn, url: str, group: asyncio.TaskGroup) -> None:
        self.hub = hub
        self.url = f"{url}/?key={hub.seat.token}"
        self._group = group
        self.playing: list[asyncio.Task[None]] = []

    async def patient(
        self, *, unit: str = "unit-1", pathway: Pathway = "stemi", severity: Severity = "red",
        alias: str = "Blue Heron", complaint: str = "chest pain", patient: str = "1",
        eta_s: float | None = None, origin: str = "live", unit_name: str = "",
    ) -> str:  # fmt: skip
        case, hub = new_id(), self.hub
        opened = CaseOpened(address="12 Long Street", complaint=complaint, alias=alias)
        await hub.fact(case, opened, "case_opened")
        await hub.fact(case, UnitAssigned(unit=unit, name=unit_name), "unit_assigned")
        chosen = HospitalChosen(hospital=HERE, name="First Hospital")
        await hub.fact(case, chosen, "hospital_chosen")
        alert = PreAlert(pathway=pathway, severity=severity, age_years=60, sex="male")
        await hub.fact(case, alert, "pre_alert", unit, patient=patient, origin=origin)
        if eta_s is not None:  # a stream for a case that is not known yet is dropped
            async with asyncio.timeout(20):
                while hub.waiting(HERE):  # noqa: ASYNC110 - told by receipts
                    await asyncio.sleep(0.02)
            await hub.eta(HERE, case, eta_s)
        return case

    async def cuff(self, case: str, systolic: float, age_s: float) -> None:
        """Send a heart rate and a cuff pressure, both of ``age_s`` ago."""
        measured_ns = self.hub.now_ns() - int(age_s * 1e9)
        body = Vitals(
            device="monitor",
            heart_rate_per_min=Numeric(value=80, measured_ns=measured_ns),
            nibp_systolic_mmhg=Numeric(value=systolic, measured_ns=measured_ns),
            nibp_diastolic_mmhg=Numeric(value=70, measured_ns=measured_ns),
        )
        await self.hub.fact(case, body, "vitals", "unit-1", patient="1")

    async def vitals(self, case: str, rate: float, unit: str = "unit-1", **fields: Any) -> None:
        age_s = fields.pop("age_s", 0)
        measured_ns = self.hub.now_ns() - int(age_s * 1e9)
        numeric = Numeric(value=rate, measured_ns=measured_ns)
        body = Vitals(device="monitor", heart_rate_per_min=numeric)
        await self.hub.fact(
            case, body, "vitals", unit, patient=fields.pop("patient", "1"), **fields
        )

    async def play_ecg(self, case: str, unit: str = "unit-1") -> EcgSetup:
        """Send 100 ms frames of a drawn heartbeat, live, until the test ends."""
        setup = twelve_leads(f"{case}-ecg")
        started = EcgStarted(setup=setup, start_ns=self.hub.now_ns(), device="monitor")
        await self.hub.fact(case, started, "ecg_started", unit, patient="1")
        task = self._group.create_task(self._play(case, setup, unit), name="er.ecg")
        self.playing.append(task)
        return setup

    async def _play(self, case: str, setup: EcgSetup, unit: str) -> None:
        loop = asyncio.get_running_loop()
        began, count = loop.time(), int(setup.sampling_frequency_hz * FRAME_S)
        number = 0
        while True:
            first = number * count
            beat = (np.arange(first, first + count) / setup.sampling_frequency_hz) % 0.8
            lead = 1000 * np.exp(-(((beat - 0.3) / 0.012) ** 2)) + 80 * np.sin(2 * math.pi * beat)
            samples = np.outer(lead, np.linspace(0.5, 1.6, 12)).astype(np.int32)
            frame = encode_frame(setup, first, samples)
            number += 1
            await asyncio.sleep(max(0.0, began + number * FRAME_S - loop.time()))
            await self.hub.ecg(HERE, case, setup.setup_id, frame, unit)


@pytest.fixture
async def er(tmp_path: Path) -> AsyncIterator[Er]:
    async with HubStandIn(tmp_path) as hub, _gateway(hub) as url, asyncio.TaskGroup() as group:
        town = Er(hub, url, group)
        yield town
        for task in town.playing:
            task.cancel()


@contextlib.asynccontextmanager
async def _gateway(hub: HubStandIn) -> AsyncIterator[str]:
    """A gateway of the hub's first hospital; gives its address."""
    settings = msgspec.convert(hospital_settings(hub), Settings)
    serving = asyncio.create_task(serve(settings), name="test.gateway")
    ready = Path(settings.state) / "ready.json"
    try:
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            waiting = group.create_task(_until_exists(ready))
            await asyncio.wait({waiting, serving}, return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
        yield json.loads(ready.read_text())["url"]
    finally:
        serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await serving


async def _until_exists(file: Path) -> None:
    while not file.exists():  # noqa: ASYNC110, ASYNC240 - another part writes it, to memory
        await asyncio.sleep(0.02)


def text(selector: str) -> str:
    """JavaScript for what an element says, or an empty text."""
    return f"(document.querySelector({json.dumps(selector)})?.innerText ?? '')"


async def test_board_empty_says_that_nobody_comes(
    er: Er, open_page: OpenPage, until: Until, screenshot: Any, axe_faults: Any
) -> None:
    page = await open_page(er.url, width=1920, height=1080)
    await until(page, f"{text('.nobody-words')}.includes('Nobody is on the way')")
    assert INFORMATION["en"] in await page.evaluate(text(".board-foot"))
    assert await page.evaluate("document.documentElement.dataset.theme") == "light"
    assert await axe_faults(page) == []
    await screenshot(page, "board-empty")


async def test_board_patient_appears_with_headline_value_and_moving_ecg(
    er: Er, open_page: OpenPage, until: Until, screenshot: Any, axe_faults: Any
) -> None:
    page = await open_page(er.url, width=1920, height=1080)
    await until(page, "document.querySelector('.nobody-words') !== null")
    case = await er.patient(eta_s=380)
    await er.vitals(case, 118)
    await er.play_ecg(case)
    await until(page, f"{text('.arrival h2')} === 'STEMI suspected'")
    await until(page, f"{text('.tile-number')} === '118'")
    await until(page, f"/^0[56]:\\d\\d$/.test({text('.eta-figure')})")
    assert "RED" in await page.evaluate(text(".arrival .severity"))
    assert await page.evaluate(
        "parseFloat(getComputedStyle(document.querySelector('.arrival h2')).fontSize)"
    ) >= 64  # fmt: skip
    assert await page.evaluate(
        "parseFloat(getComputedStyle(document.querySelector('.tile-number')).fontSize)"
    ) >= 44  # fmt: skip
    drawn = "forerun.state.ecg && document.querySelector('.ecg-trace')?.toDataURL()"
    before = await until(page, drawn)
    await until(page, f"(({drawn}) ?? '') !== {json.dumps(before)}")
    await until(page, _latencies("ecg"), 15)
    await until(page, _latencies("fact"), 15)
    assert await axe_faults(page) == []
    await screenshot(page, "board-one")


async def test_tile_bears_the_name_of_the_sign_that_it_shows(
    er: Er, open_page: OpenPage, until: Until
) -> None:
    page = await open_page(er.url)
    case = await er.patient(eta_s=380)
    await er.cuff(case, 120, age_s=2)
    names = "[...document.querySelectorAll('.tile-label')].map((e) => e.textContent.trim())"
    first_two = f"{names}.slice(0, 2).map((words) => words.match(/^[A-Z]+/)[0]).join()"
    await until(page, f"{first_two} === 'HR,NIBP'")
    pulse = Numeric(value=77, measured_ns=er.hub.now_ns())
    body = Vitals(device="oximeter", pulse_rate_per_min=pulse)
    await er.hub.fact(case, body, "vitals", "unit-1", patient="1")
    await until(page, f"{first_two} === 'PR,NIBP'")
    shown = await page.evaluate("document.querySelector('.tile').innerText")
    assert "77" in shown
    assert "HR" not in shown, "a pulse is not called a heart rate"


def _latencies(kind: str) -> str:
    return f"fetch('/api/latency').then((a) => a.json()).then((r) => r.{kind}?.count > 0)"


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_patient_page_opens_by_key_shows_twelve_leads_and_says_information(  # noqa: PLR0917
    er: Er, open_page: OpenPage, until: Until, screenshot: Any, axe_faults: Any, language: str
) -> None:
    case = await er.patient(eta_s=200)
    await er.vitals(case, 96)
    await er.play_ecg(case)
    page = await open_page(er.url, language=language, may_log=VIDEO_FAILS)
    await until(page, "document.querySelector('.arrival canvas') !== null")  # its effects have run
    await page.keyboard.press("1")
    await until(page, f"location.hash === '#/case/{case}'")
    await until(page, "document.querySelector('.patient-ecg .ecg-strip')?.dataset.state === 'live'")
    leads = await page.evaluate(
        "document.querySelector('.patient-ecg .ecg-strip').getAttribute('aria-label')"
    )
    assert all(name in leads for name in ("aVR", "V6"))
    assert "25 mm/s" in await page.evaluate(text(".ecg-foot"))
    await until(page, "document.querySelectorAll('.timeline-row').length >= 4")
    assert INFORMATION[language] in await page.evaluate(text(".information"))
    assert await axe_faults(page) == []
    await screenshot(page, f"patient-{language}")
    await page.keyboard.press("Escape")
    await until(page, "document.querySelector('.arrivals') !== null")
    assert INFORMATION[language] in await page.evaluate(text(".board-foot"))


async def test_double_click_on_acknowledge_asks_for_the_role_and_chooses_none(
    er: Er, open_page: OpenPage, until: Until
) -> None:
    await er.patient()
    page = await open_page(er.url)
    for share in (0.1, 0.5, 0.9):  # a role may come to lie anywhere below the pointer
        await page.reload()
        await until(page, "document.querySelector('.acknowledge') !== null")
        box = await page.locator(".acknowledge").bounding_box()
        assert box
        x, y = box["x"] + share * box["width"], box["y"] + box["height"] / 2
        await page.mouse.dblclick(x, y)
        await until(page, "document.querySelector('.roles') !== null")
    assert er.hub.from_hospitals == []


async def test_acknowledge_by_role_is_delivered_kept_and_seen_at_the_other_seat(
    er: Er, open_page: OpenPage, until: Until
) -> None:
    await er.patient()
    desk, wall = await open_page(er.url), await open_page(er.url, width=1920, height=1080)
    await until(desk, "document.querySelector('.acknowledge') !== null")
    assert "not yet seen" in await desk.evaluate(text(".arrival-foot"))
    await desk.keyboard.press("Tab")
    await desk.focus(".acknowledge")
    await desk.keyboard.press("Enter")
    await until(desk, "document.activeElement?.innerText === 'charge nurse'")
    await desk.keyboard.press("Enter")
    for page in (desk, wall):
        await until(page, f"{text('.seen-by')}.includes('seen by charge nurse')")
        await until(page, "document.querySelector('.seen .delivery.delivered') !== null")
    assert [one.kind for one in er.hub.from_hospitals] == ["acknowledged"]
    await er.patient(pathway="stroke", unit="unit-2")
    await until(desk, f"{text('.acknowledge')}.includes('as charge nurse')")


async def test_unit_is_called_as_at_the_console_and_by_its_id_where_the_hub_told_no_name(
    er: Er, open_page: OpenPage, until: Until
) -> None:
    named = await er.patient(unit="unit-1", unit_name="Ambulance 1")
    nameless = await er.patient(unit="unit-2", pathway="stroke")
    page = await open_page(er.url, may_log=VIDEO_FAILS)
    await until(page, "document.querySelectorAll('.arrival').length === 2")
    assert "Ambulance 1" in await page.evaluate(text(f"[data-case='{named}']"))
    assert "unit-2" in await page.evaluate(text(f"[data-case='{nameless}']"))
    await page.evaluate(f"location.hash = '#/case/{named}'")
    for part in (".arrival-who", ".cabin figcaption", ".patient-timeline"):
        await until(page, f"{text(part)}.includes('Ambulance 1')")
    assert "unit-1" not in await page.evaluate(text(".patient"))


async def test_board_sorts_counts_the_rest_and_keeps_long_names_inside(
    er: Er, open_page: OpenPage, until: Until, screenshot: Any
) -> None:
    long = "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh of the Very Long Name Indeed"
    await er.patient(pathway="sepsis", severity="yellow", eta_s=60, unit="unit-1")
    await er.patient(pathway="stroke", severity="red", eta_s=900, unit="unit-2", alias=long)
    await er.patient(pathway="stemi", severity="red", eta_s=300, unit="unit-3")
    for number in range(4, 8):
        await er.patient(
            pathway="other", severity="green", unit=f"unit-{number}", complaint="faint " * 40
        )
    for width, height in ((1920, 1080), (1280, 800)):
        page = await open_page(er.url, width=width, height=height)
        await until(page, "document.querySelectorAll('.arrival').length === 6")
        titles = await page.evaluate(
            "[...document.querySelectorAll('.arrival h2')].map(e => e.innerText)"
        )
        assert titles[:3] == ["STEMI suspected", "Stroke suspected", "Sepsis suspected"]
        assert "and 1 more" in await page.evaluate(text(".rest"))
        overflow = await page.evaluate(
            "[document.documentElement.scrollWidth - innerWidth,"
            " document.documentElement.scrollHeight - innerHeight,"
            " ...[...document.querySelectorAll('.arrival')]"
            ".map(e => e.scrollWidth - e.clientWidth)]"
        )
        assert max(overflow) <= 1
        await screenshot(page, f"board-six-{width}")


async def test_board_second_patient_of_a_case_has_a_card_of_its_own(
    er: Er, open_page: OpenPage, until: Until
) -> None:
    case = await er.patient(pathway="obstetric")
    alert = PreAlert(pathway="paediatric", severity="yellow", age_years=0)
    await er.hub.fact(case, alert, "pre_alert", "unit-1", patient="2")
    await er.vitals(case, 150, patient="2")
    page = await open_page(er.url)
    await until(page, "document.querySelectorAll('.arrival').length === 2")
    cards = await page.evaluate("[...document.querySelectorAll('.arrival')].map(e => e.innerText)")
    assert ["Obstetric" in cards[0], "150" in cards[0]] == [True, False]
    assert ["Sick child" in cards[1], "150" in cards[1]] == [True, True]


async def test_board_origins_are_banded_and_old_values_are_hollow(
    er: Er, open_page: OpenPage, until: Until, screenshot: Any
) -> None:
    synthetic = await er.patient(origin="synthetic")
    await er.vitals(synthetic, 80, origin="synthetic")
    replay = await er.patient(pathway="stroke", origin="replay", unit="unit-2")
    await er.vitals(replay, 70, unit="unit-2", origin="replay", age_s=240)
    page = await open_page(er.url, width=1920, height=1080)
    card = "document.querySelector('[data-case=\"{}\"]')"
    await until(page, f"{card.format(synthetic)}?.dataset.band === 'synthetic'")
    await until(page, f"{card.format(replay)}?.dataset.band === 'recording'")
    assert await page.evaluate(f"{card.format(replay)}.querySelector('.tile.stale') !== null")
    assert "4 min old" in await page.evaluate(f"{card.format(replay)}.innerText")
    assert await page.evaluate(f"{card.format(synthetic)}.querySelector('.tile.fresh') !== null")
    await screenshot(page, "board-origins")


@pytest.mark.parametrize(("age_s", "state"), [(240, "fresh"), (660, "stale")])
async def test_board_cuff_pressure_is_stale_only_after_ten_minutes(
    er: Er, open_page: OpenPage, until: Until, age_s: float, state: str
) -> None:
    await er.cuff(await er.patient(), 121, age_s)
    page = await open_page(er.url)
    tiles = "[...document.querySelectorAll('.tile')].map(e => [e.innerText, e.className])"
    await until(page, f"{tiles}.some(([words]) => words.includes('121/70'))")
    shown = await page.evaluate(tiles)
    assert [state in name.split() for words, name in shown if "121/70" in words] == [True]
    assert ["stale" in name.split() for words, name in shown if "HR" in words] == [True]


async def test_board_diverted_patient_stands_down_and_arrived_one_moves_to_hand_over(
    er: Er, open_page: OpenPage, until: Until, screenshot: Any
) -> None:
    diverted, arrived = await er.patient(), await er.patient(pathway="stroke", unit="unit-2")
    page = await open_page(er.url, width=1920, height=1080)
    await until(page, "document.querySelectorAll('.arrival').length === 2")
    body = HospitalStoodDown(hospital=HERE, reason="CT is down")
    await er.hub.fact(diverted, body, "hospital_stood_down")
    door = Milestone(stage="arrived", at_ns=er.hub.now_ns() - 65 * 10**9)
    await er.hub.fact(arrived, door, "milestone", "unit-2")
    await until(page, "document.querySelectorAll('.arrival').length === 0")
    await until(page, "document.querySelectorAll('.aside').length === 2")
    aside = await page.evaluate(text(".hand-over"))
    assert "DIVERTED – STAND DOWN" in aside
    assert "CT is down" in aside
    assert await page.evaluate("/01:0\\d/.test(document.querySelector('.off-load').innerText)")
    await screenshot(page, "board-hand-over")
    await page.click(".aside.low button")
    await until(page, "document.querySelectorAll('.aside').length === 1")


async def test_board_lost_link_and_silent_hub_are_shouted(
    er: Er, open_page: OpenPage, until: Until, screenshot: Any
) -> None:
    await er.patient()
    page = await open_page(er.url, width=1920, height=1080, may_log=("ERR_INTERNET_DISCONNECTED",))
    await until(page, "document.querySelector('.arrival') !== null")
    await page.context.set_offline(True)
    await until(page, f"{text('.not-live')}.startsWith('Not live since')")
    await until(page, "document.documentElement.dataset.link === 'lost'")
    size = "parseFloat(getComputedStyle(document.querySelector('.not-live')).fontSize)"
    assert await page.evaluate(size) >= 30, "to be read from 5 m"
    await screenshot(page, "board-offline")
    await page.context.set_offline(False)
    await until(page, "document.querySelector('.not-live') === null", 15)
    await until(page, "forerun.state.upstream.value.state === 'live'", 15)
    er.hub.answers_time = False
    silent_from_ms = er.hub.now_ns() / 1e6
    await until(page, f"{text('.not-live')}.includes('dispatch does not answer')", 15)
    assert await page.evaluate("document.documentElement.dataset.upstream") == "lost"
    assert not await page.locator(".link").is_visible(), "nothing may say that the link is well"
    since_ms = await page.evaluate("forerun.state.upstream.value.since_ms")
    assert since_ms < silent_from_ms + 2500, "since the last answer, not since it was noticed"
    said = re.search(r"since (\S+), ", await page.inner_text(".not-live"))
    await page.context.set_offline(True)
    await until(page, "document.documentElement.dataset.link === 'lost'")
    assert said is not None
    assert f"since {said[1]}, " in await page.inner_text(".not-live"), "no jump to the later loss"


async def test_board_of_a_hospital_that_never_reached_its_hub_does_not_say_that_nobody_comes(
    tmp_path: Path, open_page: OpenPage, until: Until, screenshot: Any
) -> None:
    async with HubStandIn(tmp_path) as hub:
        hub.answers_time = False
        async with _gateway(hub) as url:
            page = await open_page(f"{url}/?key={hub.seat.token}")
            await until(page, f"{text('.nobody-words')} === 'Waiting for the board …'")
            await until(page, f"{text('.not-live')}.includes('dispatch does not answer')", 15)
            assert "not known" in await page.evaluate(text(".nobody-words"))
            await screenshot(page, "board-never-reached-hub")
            await page.context.close()  # before the gateway ends: its loss is not the matter


async def test_patient_page_says_that_picture_and_arrival_are_no_live_ones(
    er: Er, open_page: OpenPage, until: Until
) -> None:
    case = await er.patient(eta_s=300)
    on = MediaState(stream="cabin", state="on")
    await er.hub.fact(case, on, "media_state", "unit-1", origin="synthetic")
    page = await open_page(er.url + f"#/case/{case}", may_log=VIDEO_FAILS)
    await until(page, "document.querySelector('.cabin.banded')?.dataset.band === 'synthetic'")
    await er.hub.fact(case, on, "media_state", "unit-1", origin="replay")
    await until(page, "document.querySelector('.cabin figcaption').innerText.includes('recording')")
    assert await page.locator(".cabin.banded").count() == 0
    assert await page.locator(".eta-origin").count() == 0
    await er.hub.eta(HERE, case, 290, origin="synthetic")
    await until(page, "document.querySelector('.eta-origin')?.innerText === 'synthetic'")


TROUBLED = """
const { set, get } = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
Object.defineProperty(WebSocket.prototype, 'onmessage', { get, set(take) {
  set.call(this, (event) => {
    const said = typeof event.data === 'string' ? JSON.parse(event.data) : {};
    if (window.cut && said.type === 'answer') {
      window.cut = false;
      dispatchEvent(new Event('offline'));
      return;
    }
    const other = JSON.stringify({ type: 'error', error: 'a look failed' });
    if (said.type === 'answer') take(new MessageEvent('message', { data: other }));
    take(event);
  });
} });
"""
"""Before each answer another request fails; with `cut` the link breaks instead of the answer."""


async def test_note_is_done_though_another_request_fails_or_the_link_breaks(
    er: Er, open_page: OpenPage, until: Until
) -> None:
    case = await er.patient()
    page = await open_page(er.url, may_log=VIDEO_FAILS)
    await page.add_init_script(TROUBLED)
    await page.goto(er.url.partition("?")[0] + f"#/case/{case}")
    await page.reload()
    await until(page, "!!document.querySelector('.note-field')")
    await page.fill(".note-field input", "Cath lab 2 is ready")
    await page.click(".note-field button")
    await until(page, "document.querySelector('.note-field input').value === ''")
    await page.evaluate("window.cut = true")
    await page.fill(".note-field input", "Lift B")
    await page.click(".note-field button")
    problem = "document.querySelector('.answer-problem')?.textContent ?? ''"
    await until(page, f"({problem}).includes('connection broke')")
    await until(page, "!document.querySelector('.note-field button').disabled")
    assert await page.input_value(".note-field input") == "Lift B"
