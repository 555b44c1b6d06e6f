"""A real board in Chromium that is put to sleep and woken, as a tablet or laptop does.

All its processes are stopped (SIGSTOP) and go on later: connections stay open, what comes for it
piles up, and to the page no time has passed but that its clock has jumped. Freezing the tab by
the DevTools protocol was tried in place of it: it leaves a headless page hidden for good.
Whether the page draws again is what it reports itself to the gateway (``reports.js``), once a
second.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil

from bench.boxed_city import OutageCity
from bench.city import HUB
from bench.frame import BenchError
from bench.outage_trial import Trial
from bench.processes import Child
from bench.viewers import FLAGS

DRAWN_S = 40.0
"""How long the page may take to draw everything for the first time, and after waking."""

SETTLED_S = 1.0
"""What the page had sent before it was stopped is counted by then."""

DRAWN = {"vitals": "fact", "ecg": "ecg", "video": "video"}
"""What the page calls what we ask for; it does not tell vitals from other facts."""


class SleepingBrowser:
    """A board in a browser of its own; see ``sleeping_browser``."""

    def __init__(self, city: OutageCity, trial: Trial, child: Child) -> None:
        self._city, self._trial, self._child = city, trial, child

    async def drawn(self) -> dict[str, int]:
        """Return how often the page said that it drew facts, ECG and video."""
        hospital = self._trial.played.hospital
        url = self._city.stage.url(hospital)
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
        """Stop the browser, let it go on after a while, and wait until it draws again.

        Returns:
            The monotonic time of its waking, and after how long each was drawn again.

        Raises:
            BenchError: It never drew, or drew on while it was stopped.
        """
        first = await self.drawing_again(dict.fromkeys(DRAWN, 0), time.monotonic())
        if missing := [what for what, after_s in first.items() if after_s is None]:
            raise BenchError(f"the page in Chromium does not draw {' and '.join(missing)}")
        family = [psutil.Process(self._child.process.pid)]
        family += family[0].children(recursive=True)
        _signal(family, signal.SIGSTOP)
        try:
            await asyncio.sleep(SETTLED_S)
            asleep = await self.drawn()
            await asyncio.sleep(seconds - SETTLED_S)
            before = await self.drawn()
        finally:
            over_s = time.monotonic()
            _signal(family, signal.SIGCONT)
        if before != asleep:
            raise BenchError("the page in Chromium went on drawing though it was stopped")
        return over_s, await self.drawing_again(before, over_s)


def _signal(family: list[psutil.Process], number: signal.Signals) -> None:
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


@contextlib.asynccontextmanager
async def sleeping_browser(
    city: OutageCity, trial: Trial, browser: Path
) -> AsyncIterator[SleepingBrowser]:
    """Open the patient's page in a Chromium in the city; it ends with the block."""
    profile = tempfile.mkdtemp(prefix="browser-", dir=city.stage.folder)
    url = city.running.page(trial.played.hospital, f"#/case/{trial.played.case}")
    prefix = city.inside(HUB).prefix
    command = [*prefix, str(browser), *FLAGS, f"--user-data-dir={profile}", url]
    child = city.processes.start(f"browser-{trial.unit.name}", command)
    try:
        yield SleepingBrowser(city, trial, child)
    finally:
        await city.processes.end(child)
