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


def tell(lost: Sequence[Lost]) -> None:
    """Count it and say it aloud."""
    for one in lost:
        COUNTED.labels(one.line.source, one.line.lane).inc(one.facts)
        log.error("facts are gone", text=str(one), epoch=one.line.epoch)
