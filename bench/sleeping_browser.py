"""A real board in Chromium that is put to sleep and woken, as a tablet's system does with a tab.

The page is frozen by the DevTools protocol (``Page.setWebLifecycleState``): its timers and
callbacks stand still, its connections stay open. Whether it draws again is what the page itself
reports to the gateway (``reports.js``), once a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from bench.boxed_city import OutageCity
from bench.city import HUB
from bench.frame import BenchError
from bench.outage_trial import Trial
from bench.viewers import FLAGS

START_S = 30.0
DRAWN_S = 40.0
"""How long the page may take to draw everything for the first time, and after waking."""

ASLEEP_S = 2.5
"""Longer than the page's reports are apart: then none comes any more."""

DRAWN = {"vitals": "fact", "ecg": "ecg", "video": "video"}
"""What the page calls what we ask for."""


class SleepingBrowser:
    """A board in a browser of its own; see ``sleeping_browser``."""

    def __init__(
        self, city: OutageCity, trial: Trial, page: aiohttp.ClientWebSocketResponse
    ) -> None:
        self._city, self._trial, self._page = city, trial, page
        self._orders = 0

    async def drawn(self) -> dict[str, int]:
        """Return how often the page said that it drew vitals (any fact), ECG and video."""
        url = self._city.stage.url(self._trial.played.hospital)
        told = await self._city.running.client.get(url, "/api/latency")
        return {what: int(told.get(kind, {}).get("count", 0)) for what, kind in DRAWN.items()}

    async def drawing_again(
        self, before: dict[str, int], since_s: float
    ) -> dict[str, float | None]:
        """Wait until more was drawn than before; return after how long, s, None: not in time."""
        found: dict[str, float | None] = dict.fromkeys(DRAWN)
        while None in found.values() and time.monotonic() < since_s + DRAWN_S:
            for what, count in (await self.drawn()).items():
                if found[what] is None and count > before[what]:
                    found[what] = time.monotonic() - since_s
            await asyncio.sleep(0.05)
        return found

    async def sleep(self, seconds: float) -> tuple[float, dict[str, float | None]]:
        """Freeze the page, wake it after a while, and wait until it draws again.

        Returns:
            The monotonic time of its waking, and after how long each was drawn again.

        Raises:
            BenchError: It never drew, or drew on while it was frozen.
        """
        nothing = dict.fromkeys(DRAWN, 0)
        first = await self.drawing_again(nothing, time.monotonic())
        if missing := [what for what, seconds_ in first.items() if seconds_ is None]:
            raise BenchError(f"the page in Chromium does not draw {' and '.join(missing)}")
        await self._say("Page.setWebLifecycleState", state="frozen")
        await asyncio.sleep(ASLEEP_S)
        asleep = await self.drawn()
        await asyncio.sleep(max(seconds - ASLEEP_S, 1.5))
        before = await self.drawn()
        if before != asleep:
            raise BenchError("the page in Chromium goes on drawing though it is frozen")
        over_s = time.monotonic()
        await self._say("Page.setWebLifecycleState", state="active")
        return over_s, await self.drawing_again(before, over_s)

    async def _say(self, method: str, **params: Any) -> None:
        self._orders += 1
        await self._page.send_json({"id": self._orders, "method": method, "params": params})
        async with asyncio.timeout(START_S):
            while True:
                answer = await self._page.receive_json()
                if answer.get("id") == self._orders:
                    break
        if "error" in answer:
            raise BenchError(f"Chromium refuses {method}: {answer['error'].get('message')}")


@contextlib.asynccontextmanager
async def sleeping_browser(
    city: OutageCity, trial: Trial, browser: Path
) -> AsyncIterator[SleepingBrowser]:
    """Open the patient's page in a Chromium in the city; it ends with the block.

    Raises:
        BenchError: Chromium does not start in time.
    """
    profile = Path(tempfile.mkdtemp(prefix="browser-", dir=city.stage.folder))
    place = city.inside(HUB)
    url = city.running.page(trial.played.hospital, f"#/case/{trial.played.case}")
    command = [*place.prefix, str(browser), *FLAGS, f"--user-data-dir={profile}", url]
    child = city.processes.start(f"browser-{trial.unit.name}", command)
    connector = aiohttp.TCPConnector(socket_factory=place.socket_for)
    try:
        async with aiohttp.ClientSession(connector=connector) as session:
            where = await _debugger(session, profile)
            async with session.ws_connect(where, max_msg_size=0) as page:
                yield SleepingBrowser(city, trial, page)
    finally:
        await city.processes.end(child)


async def _debugger(session: aiohttp.ClientSession, profile: Path) -> str:
    """Return the address of the page's own DevTools socket."""
    try:
        async with asyncio.timeout(START_S):
            while True:
                with contextlib.suppress(OSError, aiohttp.ClientError, IndexError, KeyError):
                    said = (profile / "DevToolsActivePort").read_text().split()
                    async with session.get(f"http://127.0.0.1:{said[0]}/json") as answer:
                        targets = await answer.json()
                    pages = [one for one in targets if one["type"] == "page"]
                    return str(pages[0]["webSocketDebuggerUrl"])
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise BenchError(f"Chromium does not start in {START_S:g} s") from None
