"""`forerun bench caller`: from opening the link to the first text on the dispatcher's console.

Broker and hub are processes of their own; console and caller's page run in Chromium, the page each
time in a new profile with nothing cached. As soon as the field is there a key is pressed in it. The
link is slow in two ways: as the DevTools protocol emulates it (a latency for each request, a rate),
and as a proxy that also delays the handshakes of TCP and TLS, which the emulation leaves out, and
the WebSocket. Beside both stands what no software can beat: the bytes at the rate of the link and
the round trips that come one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from bench.city import HUB, build
from bench.frame import BenchError, Column, Measurement, Outcome, Promise, Session
from bench.running_city import RunningCity, running
from bench.slow_link import SlowLink, slow_link
from bench.stage import Stage
from bench.viewers import FLAGS, find_browser
from dispatch.caller_link import LinkSeal

RATE_BPS: Final = 300_000
ROUND_TRIP_S: Final = 0.15
BOUND_S: Final = 2.0
BOUND_BYTES: Final = 150_000
SETTLED_S: Final = 3.0
"""After the first key whatever else the page loads comes; so long its bytes are counted."""
WAIT_MS: Final = 30_000
EMULATED, PROXIED = "emulated (latency per request)", "whole link (TCP and TLS too)"
ROUND_TRIPS: Final = {
    EMULATED: {"document": 1.0, "script": 1.0},
    PROXIED: {"TCP": 1.0, "TLS 1.3": 1.0, "document": 1.0, "script": 1.0, "the key": 0.5},
}
"""One after the other; the WebSocket opens beside the script."""
COLUMNS = (
    Column("p50_s", "p50 s"), Column("p95_s", "p95 s"), Column("worst_s", "worst s"),
    Column("field_p50_s", "field there p50 s"), Column("bound_s", "physical bound s"),
    Column("first_bytes", "bytes to the first key", 0), Column("all_bytes", "bytes in all", 0),
)  # fmt: skip
WATCH = """() => {
  window.firstText = new Promise((resolve) => {
    const look = () => {
      if (!document.querySelector(".turn.caller .said")?.textContent.includes("7")) return;
      watch.disconnect();
      requestAnimationFrame(() => resolve(Date.now()));
    };
    const watch = new MutationObserver(look);
    watch.observe(document.body, { subtree: true, childList: true, characterData: true });
  });
}"""
"""Run on the console: when a 7 of the caller's stands on it, by the machine's clock."""
FIELD = """() => {
  const look = () => {
    const field = document.querySelector("[name=text]");
    if (!field) return;
    watch.disconnect();
    field.focus();
    window.fieldIsThere(performance.now());
  };
  const watch = new MutationObserver(look);
  watch.observe(document, { subtree: true, childList: true });
}"""
"""Run on the caller's page before all else: says when there is a field (playwright itself looks
every half second), and puts the cursor into it; the key is a real one."""
RESOURCES = """() => ["navigation", "resource"]
  .flatMap((kind) => performance.getEntriesByType(kind))
  .map((one) => ({ name: new URL(one.name).pathname, bytes: one.transferSize,
    asked: one.requestStart, first: one.responseStart, end: one.responseEnd }))"""


@dataclass
class _Opening:
    """One opening of the page.

    Attributes:
        shown_s: From the navigation's start to the character on the console.
        field_s: To the field.
        resources: Path, bytes with headers, and when it was asked for, began and had come, ms.
    """

    shown_s: float
    field_s: float
    resources: list[dict[str, Any]]

    @property
    def first_bytes(self) -> int:
        """Bytes that had come when the field was there."""
        before_ms = self.field_s * 1000
        return sum(one["bytes"] for one in self.resources if one["end"] <= before_ms)

    @property
    def all_bytes(self) -> int:
        """Bytes that were loaded in all."""
        return sum(one["bytes"] for one in self.resources)


@dataclass
class _Found:
    openings: dict[str, list[_Opening]] = field(default_factory=lambda: {EMULATED: [], PROXIED: []})


def run(session: Session) -> Outcome:
    """Run the benchmark; ``repeats`` openings each way.

    Raises:
        BenchError: There is no Chromium on this machine, or a character never arrived.
    """
    browser = find_browser()
    if browser is None:
        raise BenchError("there is no Chromium on this machine: install the package chromium")
    task = session.progress.add_task("openings", total=2 * session.repeats)
    with tempfile.TemporaryDirectory(prefix="forerun-caller-") as folder:
        found = asyncio.run(
            _measure(Path(folder), browser, session.repeats, lambda: session.progress.advance(task))
        )
    rows = [_row(name, openings) for name, openings in found.openings.items()]
    heaviest = max(one.all_bytes for all_ in found.openings.values() for one in all_)
    return Outcome(
        title=f"Caller's page at {RATE_BPS // 1000} kbit/s and {ROUND_TRIP_S * 1000:.0f} ms,"
        f" nothing cached: link to first character on the console, {session.repeats} openings each",
        columns=COLUMNS,
        measurements=rows,
        promises=(
            *(
                Promise(f"p95, s, {row.name}", float(row.figures["p95_s"] or 0), "at most", BOUND_S)
                for row in rows
            ),
            Promise("page weight, bytes", heaviest, "at most", BOUND_BYTES),
        ),
        details={
            "bytes_by_resource": _by_resource(found.openings[EMULATED]),
            "openings": {
                name: [asdict(one) for one in openings] for name, openings in found.openings.items()
            },
        },
        notes=_notes(found),
        packages=("playwright", "aiohttp"),
    )


def _row(name: str, openings: list[_Opening]) -> Measurement:
    shown = sorted(one.shown_s for one in openings)
    first = statistics.median(one.first_bytes for one in openings)
    return Measurement(
        name,
        {
            "p50_s": statistics.median(shown),
            "p95_s": shown[max(0, -(-95 * len(shown) // 100) - 1)],
            "worst_s": shown[-1],
            "field_p50_s": statistics.median(one.field_s for one in openings),
            "bound_s": first * 8 / RATE_BPS + sum(ROUND_TRIPS[name].values()) * ROUND_TRIP_S,
            "first_bytes": first,
            "all_bytes": statistics.median(one.all_bytes for one in openings),
        },
    )


def _by_resource(openings: list[_Opening]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for one in openings[0].resources:
        path = "/here/…" if one["name"].startswith("/here/") else one["name"]
        found[path] += one["bytes"]
    return dict(found.most_common())


def _notes(found: _Found) -> tuple[str, ...]:
    weights = ", ".join(
        f"{path.rpartition('/')[2] or path} {count}"
        for path, count in _by_resource(found.openings[EMULATED]).items()
    )
    trips = "; ".join(
        f"{name}: {' + '.join(f'{count:g} {what}' for what, count in parts.items())}"
        for name, parts in ROUND_TRIPS.items()
    )
    return (
        f"bytes by resource, with headers: {weights}",
        f"round trips in the bound: {trips}; Chromium's emulation delays no handshake",
        "the first character is the moment of the console's next frame after it stands there",
    )


async def _measure(folder: Path, browser: Path, repeats: int, advance: Any) -> _Found:
    found = _Found()
    stage = Stage(folder, build(1, 1, None, None), headless=True)
    async with running(stage) as city, _chromium(browser) as chromium:
        console = await _console(city, chromium)
        port = urlsplit(city.urls[HUB]).port or 443
        async with slow_link(port, RATE_BPS, ROUND_TRIP_S) as link:
            for number in range(repeats):
                for name in (EMULATED, PROXIED):
                    opening = await _open(
                        city, console, chromium, link=link, name=name, number=number
                    )
                    found.openings[name].append(opening)
                    advance()
    return found


@contextlib.asynccontextmanager
async def _chromium(browser: Path) -> AsyncIterator[Browser]:
    flags = [flag for flag in FLAGS if not flag.startswith(("--headless", "--remote-debugging"))]
    async with async_playwright() as driver:
        chromium = await driver.chromium.launch(executable_path=str(browser), args=flags)
        yield chromium
        await chromium.close()


async def _console(city: RunningCity, chromium: Browser) -> Page:
    context = await chromium.new_context(
        viewport={"width": 1920, "height": 1080}, ignore_https_errors=True
    )
    page = await context.new_page()
    await page.goto(city.page(HUB))
    await page.locator(".queue").wait_for()
    return page


async def _open(
    city: RunningCity, console: Page, chromium: Browser, *, link: SlowLink, name: str, number: int
) -> _Opening:
    """Let a call ring, open its link over a slow link, and wait for its first character."""
    hub = city.urls[HUB]
    ring = {"call": f"caller-{name[:4]}-{number}", "number": f"+8613{number:09}", "line": "text"}
    case = str((await city.client.tell(hub, "/exchange/calls", ring))["case"])
    await console.locator(f"[data-case='{case}']").first.click()
    await console.locator(".talk").wait_for()
    await console.evaluate(WATCH)
    path = f"/here/{LinkSeal.of(city.stage.state(HUB)).token(case)}"
    base = hub if name == EMULATED else f"https://127.0.0.1:{link.port}"
    context = await chromium.new_context(
        viewport={"width": 360, "height": 740}, ignore_https_errors=True
    )
    try:
        page = await context.new_page()
        if name == EMULATED:
            await _slow_down(context, page)
        there: asyncio.Queue[float] = asyncio.Queue(1)
        await page.expose_function("fieldIsThere", there.put_nowait)
        await page.add_init_script(f"({FIELD})()")
        async with asyncio.timeout(WAIT_MS / 1000):
            await page.goto(base + path, wait_until="commit")
            field_ms = await there.get()
            await page.keyboard.press("7")
            shown_ms = await console.evaluate("() => window.firstText")
        began_ms = await page.evaluate("performance.timeOrigin")
        await asyncio.sleep(SETTLED_S)
        resources = await page.evaluate(RESOURCES)
    except TimeoutError as error:
        raise BenchError(f"opening {number} ({name}): no character on the console") from error
    finally:
        await context.close()
    await city.client.tell(hub, f"/exchange/calls/{ring['call']}/steps", {"step": "hung_up"})
    return _Opening((shown_ms - began_ms) / 1000, field_ms / 1000, resources)


async def _slow_down(context: BrowserContext, page: Page) -> None:
    protocol = await context.new_cdp_session(page)
    await protocol.send("Network.enable")
    await protocol.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": ROUND_TRIP_S * 1000,
            "downloadThroughput": RATE_BPS / 8,
            "uploadThroughput": RATE_BPS / 8,
        },
    )
