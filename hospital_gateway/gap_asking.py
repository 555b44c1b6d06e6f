"""Asks the hub again for facts of cases that are missing before later ones that came."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from streams.clock import Clock
from streams.gaps import GapWatch, Missing, gaps_for_page, gaps_in_words
from streams.health import Check
from streams.inbox import Inbox
from streams.losses import Lost, lost_for_page, lost_in_words
from streams.messages import Lane

LOOK_S = 0.5

Ask = Callable[[str, str, dict[Lane, list[tuple[int, int]]]], Awaitable[None]]
"""Asks a source, by name and epoch, for what is missing in its lanes."""


class GapAsking:
    """Looks at the journal's inbox, asks by receipts, and tells the pages what is missing."""

    def __init__(
        self,
        *,
        inbox: Callable[[], Inbox],
        lost: Callable[[], Sequence[Lost]],
        ask: Ask,
        clock: Clock,
        hub_now_ns: Callable[[], int],
        tell: Callable[[dict[str, Any]], None],
    ) -> None:
        """Prepare; ``run`` asks.

        Args:
            inbox: What came, as it is now.
            lost: What was lost of what had come.
            ask: Sends a receipt that asks.
            clock: This machine's.
            hub_now_ns: The hub's time.
            tell: Tells all pages.
        """
        self._lost = lost
        self._inbox, self._ask, self._clock = inbox, ask, clock
        self._hub_now_ns, self._tell = hub_now_ns, tell
        self._watch = GapWatch()
        self._told = False

    async def run(self) -> None:
        """Ask, and tell, until cancelled."""
        while True:
            asks = self._watch.look(self._inbox(), self._clock.monotonic_ns())
            for (source, epoch), asked in asks.items():
                await self._ask(source, epoch, asked)
            missing = self.for_page()
            if missing or self._told:
                self._tell({"type": "missing", "missing": missing})
            self._told = bool(missing)
            await asyncio.sleep(LOOK_S)

    def missing(self) -> list[Missing]:
        """Return what is missing although it was asked for."""
        return self._watch.missing(self._clock.monotonic_ns())

    def for_page(self) -> list[dict[str, Any]]:
        """Return the same as the board's page gets it."""
        now_ms = self._hub_now_ns() // 1_000_000
        missing = gaps_for_page(self.missing(), self._clock.monotonic_ns(), now_ms)
        return [*missing, *lost_for_page(self._lost(), self._hub_now_ns())]

    def check(self) -> Check:
        """Return the same for ``/healthz``."""
        words = gaps_in_words(self.missing(), self._clock.monotonic_ns())
        return Check(ok=True, text=words + lost_in_words(self._lost()))
