"""One line that says how the city lives: what was made, what has arrived, how late it is."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.text import Text

from bench.city import HUB
from bench.client import RefusedError
from bench.running_city import RunningCity, facts_waiting

EVERY_S = 1.0

Latency = dict[str, dict[str, float]]


class Progress:
    """Reads a running city once a second."""

    def __init__(self, city: RunningCity) -> None:
        self._city = city

    async def run(self, show: Callable[[Text], None]) -> None:
        """Show the line until cancelled.

        Raises:
            ProcessError: A process of the city has ended by itself.
        """
        while True:
            for child in self._city.processes.children:
                self._city.processes.check(child)
            self._city.processes.look()
            with contextlib.suppress(RefusedError, OSError, TimeoutError):
                show(Text(await self._line()))
            await asyncio.sleep(EVERY_S)

    async def latencies(self) -> Latency:
        """Return p50, p95, p99 (ms) of facts, ECG and video, as the watched board saw them.

        Where no page reported facts, the time until a gateway had stored them stands in
        ``fact_stored`` alone, and ``fact`` is missing.
        """
        found: Latency = {}
        for hospital in self._city.stage.city.hospitals:
            told = await self._city.client.get(self._city.urls[hospital.name], "/api/latency")
            for kind, figures in told.items():
                if kind not in found or figures["count"] > found[kind]["count"]:
                    found[kind] = figures
        return found

    async def _line(self) -> str:
        stage = self._city.stage
        names = [HUB, *self._city.outboxes()]
        waiting = sum(facts_waiting(self._city.outbox(name)) for name in names)
        at_hub = _rows(stage.state(HUB) / "journal.sqlite")
        at_hospitals = sum(
            _rows(stage.state(one.name) / "journal.sqlite") for one in stage.city.hospitals
        )
        latencies = await self.latencies()
        cpu = sum(child.cost.cpu_percent for child in self._city.processes.children)
        parts = [
            f"{len(self._city.played)} cases",
            f"facts: {at_hub} at the hub, {at_hospitals} at hospitals, {waiting} on their way",
            *(
                f"{kind} p95 {figures['p95']:.0f} ms"
                for kind, figures in latencies.items()
                if kind in {"ecg", "fact", "video"}
            ),
            f"CPU {cpu:.0f} % of a core",
        ]
        return " · ".join(parts)


def _rows(journal: Path) -> int:
    if not journal.is_file():
        return 0
    with contextlib.closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as database:
        found: Any = database.execute("SELECT max(position) FROM facts").fetchone()
    return int(found[0] or 0)
