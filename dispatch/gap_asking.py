"""Asks units, hospitals and neighbours again for facts missing before later ones that came."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from dispatch.units import Fleet
from streams.clock import Clock
from streams.gaps import GapWatch, Missing, gaps_for_page, gaps_in_words
from streams.health import Check
from streams.journal import Journal
from streams.losses import lost_for_page, lost_in_words
from streams.messages import Receipt
from streams.topics import Scope

LOOK_S = 0.5

SendReceipt = Callable[[Scope, str, Receipt], Awaitable[None]]


class GapAsking:
    """Looks at the journal's inbox, asks by receipts, and says what is still missing."""

    def __init__(
        self, journal: Journal, fleet: Fleet, send_receipt: SendReceipt, clock: Clock
    ) -> None:
        """Prepare; ``run`` asks.

        Args:
            journal: Its inbox knows the gaps.
            fleet: Who is a unit, and who a hospital.
            send_receipt: Sends a receipt; one that is lost is sent again here.
            clock: The hub's clocks.
        """
        self._journal, self._fleet = journal, fleet
        self._send_receipt, self._clock = send_receipt, clock
        self._watch = GapWatch()

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            inbox = self._journal.inbox
            asks = self._watch.look(inbox, self._clock.monotonic_ns())
            for (source, epoch), asked in asks.items():
                scope = self._scope_of(source)
                if scope is None:
                    continue
                receipt = Receipt(
                    epoch=epoch,
                    stored=inbox.lines(source, epoch),
                    ahead=inbox.lines_ahead(source, epoch),
                    asked=asked,
                )
                await self._send_receipt(scope, source, receipt)
            await asyncio.sleep(LOOK_S)

    def _scope_of(self, source: str) -> Scope | None:
        if "/" in source:
            return "district"  # ``streams.delivery.line_source``
        if source in self._fleet.units:
            return "unit"
        return "hospital" if source in self._fleet.hospitals else None

    def missing(self) -> list[Missing]:
        """Return what is missing although it was asked for."""
        return self._watch.missing(self._clock.monotonic_ns())

    def for_page(self) -> list[dict[str, Any]]:
        """Return the same as the console's page gets it."""
        now_ms = self._clock.wall_ns() // 1_000_000
        missing = gaps_for_page(self.missing(), self._clock.monotonic_ns(), now_ms)
        return [*missing, *lost_for_page(self._journal.lost, self._clock.wall_ns())]

    def check(self) -> Check:
        """Return the same for ``/healthz``: what a vehicle lacks is no fault of the hub."""
        words = gaps_in_words(self.missing(), self._clock.monotonic_ns())
        return {"ok": True, "text": words + lost_in_words(self._journal.lost)}
