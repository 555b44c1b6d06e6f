"""What was freed by an acknowledgement that this receiver does not remember.

A receiver with a new disk, or with an older copy of its own, waits for facts that its source
freed long ago. The source says what it still holds (``OutboxState``); what lies below and is not
here is written down as gone, counted and logged, and delivery goes on
(``streams/DECISIONS.md``, 28).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import Counter

from streams.inbox import Line

COUNTED = Counter(
    "forerun_facts_gone_total",
    "Facts freed by an acknowledgement that this receiver does not remember",
    ["source", "lane"],
)

MOST_WORDS = 5
"""Losses that ``/healthz`` names, the last ones."""

SHOWN_NS = 24 * 3600 * 10**9
"""So long people are told; the ledger and the journal tell it for good."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Lost:
    """Facts of one line that are gone.

    Attributes:
        line: The line.
        first: The lowest of their numbers.
        last: The highest.
        at_ns: When that was found, by this receiver's wall clock.
    """

    line: Line
    first: int
    last: int
    at_ns: int

    @property
    def facts(self) -> int:
        """How many."""
        return self.last - self.first + 1

    def __str__(self) -> str:
        """Say it in words."""
        return (
            f"{self.facts} facts of {self.line.source}, lane {self.line.lane}, numbers "
            f"{self.first} to {self.last}, were freed by an acknowledgement that is not "
            "remembered here"
        )


def lost_for_page(lost: Sequence[Lost], now_ns: int) -> list[dict[str, str | int | float | bool]]:
    """Return what a page gets of what was lost in the last day, by source.

    Args:
        lost: What is gone.
        now_ns: This receiver's wall clock.
    """
    found: dict[str, list[Lost]] = {}
    for one in lost:
        if now_ns - one.at_ns < SHOWN_NS:
            found.setdefault(one.line.source, []).append(one)
    return [
        {
            "source": source,
            "facts": sum(one.facts for one in ones),
            "since_ms": ones[0].at_ns // 1_000_000,
            "gone": True,
        }
        for source, ones in sorted(found.items())
    ]


def lost_in_words(lost: Sequence[Lost]) -> str:
    """Return what ``/healthz`` adds; empty when nothing was lost."""
    return "".join(f"; {one}" for one in lost[-MOST_WORDS:])


def tell(lost: Sequence[Lost]) -> None:
    """Count it and say it aloud."""
    for one in lost:
        COUNTED.labels(one.line.source, one.line.lane).inc(one.facts)
        log.error("facts are gone", text=str(one), epoch=one.line.epoch)
