"""`forerun bench surge`: five times the usual calls for ten minutes, at a real console.

Broker and hub are processes of their own, the console runs in Chromium. Calls ring at the
exchange's door in Poisson time, most with a position, a tenth of them from one accident. A robot
with a keyboard answers as a person would: takes the next call, types the address, ends the call.
First at the usual rate, then at five times as many; of both the delay from a key to its handler
(Event Timing, W3C) is the page's own measurement.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page, async_playwright

from bench.city import HUB, build
from bench.frame import BenchError, Column, Measurement, Outcome, Promise, Session
from bench.running_city import RunningCity, running
from bench.stage import Stage
from bench.viewers import FLAGS, find_browser

TIMES: Final = 5
USUAL_SHARE: Final = 0.2
"""Of the minutes, so much is at the usual rate before."""
CENTRE: Final = (31.2900, 121.2050)
SPREAD_DEG: Final = 0.02
REPEATS_SHARE: Final = 0.1
ANSWER_S: Final = 4.0
"""Between two calls that the robot takes."""
BOUND_MS: Final = 100.0
PLACED_BOUND_MS: Final = 1000.0
SETTLED_S: Final = 15.0
SHOWN_S: Final = 1.0
"""A ring reaches the page within so long, or its queue is wrong."""
LOOK_S: Final = 0.05
COLUMNS = (
    Column("calls", "calls", 0), Column("answered", "answered", 0), Column("keys", "keys", 0),
    Column("delay_p50_ms", "key p50 ms", 1), Column("delay_p95_ms", "key p95 ms", 1),
    Column("delay_max_ms", "max ms", 0), Column("placed_p95_ms", "place shown p95 ms", 0),
    Column("open", "open at its end", 0),
)  # fmt: skip

WATCH = """() => {
  window.keyDelays = [];
  window.keysPressed = 0;
  addEventListener("keydown", () => { window.keysPressed += 1; }, true);
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) {
      if (one.name === "keydown") window.keyDelays.push(one.processingStart - one.startTime);
    }
  }).observe({ type: "event", durationThreshold: 16, buffered: true });
}"""
"""An event that took less than 16 ms is not told: its delay counts as nought."""

RANK = {"red": 0, "yellow": 1, "unknown": 2, "green": 3}


@dataclass  # without slots: playwright notes something on it
class Told:
    """What the exchange told, and what the console showed.

    Attributes:
        cases: Of the calls, in the order of their ringing.
        orders: How often the queue's order was compared.
        wrong: What was wrong with it.
        answered: Calls that the robot took.
        dice: When calls come and where from; the same each time.
        placed_ms: How long positions took to the screen, in this part.
    """

    cases: list[str] = field(default_factory=list)
    orders: int = 0
    wrong: list[str] = field(default_factory=list)
    answered: int = 0
    dice: random.Random = field(default_factory=lambda: random.Random(20221219))
    placed_ms: list[float] = field(default_factory=list)

    def take_sent(self, data: str | bytes) -> None:
        """Note what the page says of how long a position took from the hub's door to its screen."""
        message = json.loads(data)
        if message.get("type") == "drawn" and message.get("kind") == "position":
            self.placed_ms += message["latencies_ms"]


def run(session: Session) -> Outcome:
    """Run the benchmark.

    Raises:
        BenchError: There is no Chromium on this machine.
    """
    browser = find_browser()
    if browser is None:
        raise BenchError("there is no Chromium on this machine: install the package chromium")
    minutes = float(session.options.get("minutes") or 10.0)
    per_hour = float(session.options.get("per_hour") or 240.0)
    task = session.progress.add_task("usual rate, then surge", total=2)
    with tempfile.TemporaryDirectory(prefix="forerun-surge-") as folder:
        rows, told, kept = asyncio.run(
            _measure(
                Path(folder), browser, minutes, per_hour, lambda: session.progress.advance(task)
            )
        )
    usual, surge = (row.figures for row in rows)
    ratio = float(surge["delay_p95_ms"] or 0.0) / max(float(usual["delay_p95_ms"] or 0.0), 1.0)
    return Outcome(
        title=f"{TIMES} times {per_hour:g} calls an hour for {minutes:g} min, console in Chromium",
        columns=COLUMNS,
        measurements=rows,
        promises=(
            Promise("calls that the hub does not have", len(told.cases) - kept, "exactly", 0),
            Promise("wrong orders of the queue after 1 s", len(told.wrong), "exactly", 0),
            Promise("compared orders", told.orders, "at least", 3),
            Promise(
                "place on the screen p95, ms",
                float(surge["placed_p95_ms"] or 0.0),
                "at most",
                PLACED_BOUND_MS,
            ),
            Promise(
                "key delay p95 in the surge, ms",
                float(surge["delay_p95_ms"] or 0.0),
                "at most",
                BOUND_MS,
            ),
        ),
        details={"wrong": told.wrong, "delay_p95_ratio": ratio},
        notes=(f"key p95 in the surge is {ratio:.2f} of the usual one (1 ms at the least)",),
        packages=("playwright",),
    )


async def _measure(
    folder: Path, browser: Path, minutes: float, per_hour: float, advance: Any
) -> tuple[list[Measurement], Told, int]:
    stage = Stage(folder, build(2, 2, None, None), headless=True, usual_per_hour=per_hour)
    rows, told = [], Told()
    async with running(stage) as city, _console(city, browser, told) as page:
        for name, times, share in (("usual", 1, USUAL_SHARE), ("surge", TIMES, 1.0)):
            begun, told.placed_ms = len(told.cases), []
            rate_s = 3600 / (per_hour * times)
            await page.evaluate("() => { window.keyDelays = []; window.keysPressed = 0; }")
            await _play(city, page, told, minutes * 60 * share, rate_s)
            rows.append(await _row(name, city, page, told, begun))
            advance()
        known = {case["id"] for case in await city.client.get(city.urls[HUB], "/api/cases")}
        kept = sum(case in known for case in told.cases)
        for case in set(told.cases) - known:  # closed long ago is not lost
            found = await city.client.get(city.urls[HUB], f"/api/cases/{case}")
            kept += found["id"] == case
    return rows, told, kept


@contextlib.asynccontextmanager
async def _console(city: RunningCity, browser: Path, told: Told) -> AsyncIterator[Page]:
    flags = [flag for flag in FLAGS if not flag.startswith(("--headless", "--remote-debugging"))]
    async with async_playwright() as driver:
        chromium = await driver.chromium.launch(executable_path=str(browser), args=flags)
        context = await chromium.new_context(
            viewport={"width": 1920, "height": 1080}, ignore_https_errors=True
        )
        page = await context.new_page()
        page.on("websocket", lambda socket: socket.on("framesent", told.take_sent))
        await page.goto(city.page(HUB))
        await page.locator(".queue").wait_for()
        await page.evaluate(WATCH)
        yield page
        await chromium.close()


async def _play(city: RunningCity, page: Page, told: Told, seconds: float, every_s: float) -> None:
    until_s = time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        ringing = group.create_task(_ring(city, told, until_s, every_s), name="surge.calls")
        robot = group.create_task(_answer(page, told), name="surge.robot")
        comparing = group.create_task(_compare(city, page, told), name="surge.orders")
        await ringing
        await asyncio.sleep(min(SETTLED_S, seconds / 4))
        robot.cancel()
        comparing.cancel()


async def _ring(city: RunningCity, told: Told, until_s: float, every_s: float) -> None:
    hub, dice = city.urls[HUB], told.dice
    while True:
        await asyncio.sleep(dice.expovariate(1 / every_s))
        if time.monotonic() > until_s:
            return
        number = f"+8613{len(told.cases):09}"
        ring = {"call": f"surge-{len(told.cases)}", "number": number, "origin": "synthetic"}
        rung = await city.client.tell(hub, "/exchange/calls", ring)
        told.cases.append(str(rung["case"]))
        spread = 0.0003 if dice.random() < REPEATS_SHARE else SPREAD_DEG
        position = {
            "number": number, "radius": 40,
            "lat": CENTRE[0] + dice.uniform(-spread, spread),
            "lon": CENTRE[1] + dice.uniform(-spread, spread),
        }  # fmt: skip
        await city.client.tell(hub, "/exchange/positions", position)


async def _answer(page: Page, told: Told) -> None:
    """Take calls by keyboard, one after the other, until cancelled."""
    while True:
        await asyncio.sleep(ANSWER_S / 2)
        if not await page.locator(".ringing-count").count():
            continue
        await page.keyboard.press("a")
        with contextlib.suppress(Exception):  # another state of the page: the next round sees it
            await page.locator("[name=address]").wait_for(timeout=5000)
            await page.keyboard.type(f"Street {told.answered}", delay=40)
            await page.keyboard.press("Enter")
            await page.locator(".case-head .address").wait_for(timeout=5000)
            told.answered += 1
        await asyncio.sleep(ANSWER_S / 2)
        await page.keyboard.press("Escape")
        await page.keyboard.press("x")


async def _compare(city: RunningCity, page: Page, told: Told) -> None:
    """Compare the queue with what it should be; a change may take the page `SHOWN_S`."""
    while True:
        await asyncio.sleep(2.0)
        expected = await _expected(city, page)
        for _ in range(round(SHOWN_S / LOOK_S)):
            if (shown := await _shown(page)) == expected:
                break
            await asyncio.sleep(LOOK_S)
        if len(expected) < 2 or expected != await _expected(city, page):
            continue  # nothing to compare, or something changed meanwhile
        told.orders += 1
        if shown != expected:
            at = next((n for n, pair in enumerate(zip(shown, expected, strict=False))
                       if pair[0] != pair[1]), min(len(shown), len(expected)))  # fmt: skip
            told.wrong.append(
                f"place {at} of {len(expected)} ({len(shown)} shown): "
                f"{shown[at : at + 2]} for {expected[at : at + 2]}"
            )


async def _shown(page: Page) -> list[str]:
    rows: list[str] = await page.locator(".queue > ol .row").evaluate_all(
        "rows => rows.filter((one) => one.matches('.rings')).map((one) => one.dataset.case)"
    )
    return rows


async def _expected(city: RunningCity, page: Page) -> list[str]:
    """Return the ringing calls in the order that is right now, worked out anew from the API."""
    surge = await page.locator(".surge-bar").count() > 0
    cases = await city.client.get(city.urls[HUB], "/api/cases")
    ringing = [
        one for one in cases
        if not one["closed_ms"] and not one["linked_to"] and one["call"]
        and one["call"]["phase"] in ("ringing", "unattended")
    ]  # fmt: skip
    ringing.sort(
        key=lambda one: (
            surge and one["maybe"] is not None, RANK[one["severity"]], one["call"]["rang_ms"]
        )
    )  # fmt: skip
    return [one["id"] for one in ringing]


async def _row(name: str, city: RunningCity, page: Page, told: Told, begun: int) -> Measurement:
    slow: list[float] = await page.evaluate("() => window.keyDelays")
    pressed = int(await page.evaluate("() => window.keysPressed"))
    delays = sorted([0.0] * max(0, pressed - len(slow)) + slow)
    cases = await city.client.get(city.urls[HUB], "/api/cases")
    return Measurement(
        name,
        {
            "calls": len(told.cases) - begun,
            "answered": told.answered,
            "keys": len(delays),
            "delay_p50_ms": _quantile(delays, 0.5),
            "delay_p95_ms": _quantile(delays, 0.95),
            "delay_max_ms": delays[-1] if delays else 0.0,
            "placed_p95_ms": _quantile(told.placed_ms, 0.95),
            "open": sum(not one["closed_ms"] for one in cases),
        },
    )


def _quantile(figures: list[float], share: float) -> float:
    """Return a quantile (nearest rank below); 0 of nothing."""
    return sorted(figures)[int((len(figures) - 1) * share)] if figures else 0.0
