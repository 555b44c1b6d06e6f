"""How late the board is: samples from the pages and from the gateway itself. Pure.

A page reports the age, by the hub's clock, of what it has just drawn; the gateway adds the age
of facts when they are stored here. Only the newest samples are kept, so a long run costs no
memory and shows what is true now.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Any

from streams.web import RequestError

KEPT = 50_000
"""Samples of one kind that are kept: about 100 s of one page's ECG."""

MOST_AT_ONCE = 2000
"""Samples that one report may carry."""

LONGEST_MS = 600_000.0
"""A sample above this is a clock that is wrong, not a latency."""

PAGE_KINDS = frozenset({"ecg", "fact", "video"})
"""What a page may report; other kinds are the gateway's own."""

PERCENTILES = (50, 95, 99)


class Latencies:
    """Samples by kind, in milliseconds."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[float]] = {}
        self._count: dict[str, int] = {}

    def add(self, kind: str, samples_ms: Iterable[float]) -> list[float]:
        """Take samples; return those that count.

        What is below zero (two clocks that differ by less than they are sure of) counts as
        zero; what is no number or beyond ``LONGEST_MS`` does not count.
        """
        good = [
            max(0.0, float(sample))
            for sample in samples_ms
            if math.isfinite(sample) and sample <= LONGEST_MS
        ]
        self._kept.setdefault(kind, deque(maxlen=KEPT)).extend(good)
        self._count[kind] = self._count.get(kind, 0) + len(good)
        return good

    def report(self) -> dict[str, dict[str, float | int]]:
        """Return per kind: samples ever, and p50, p95, p99 and max (ms) of those kept."""
        return {
            kind: {"count": self._count[kind], **summary(kept)}
            for kind, kept in sorted(self._kept.items())
            if kept
        }


def summary(samples_ms: Iterable[float]) -> dict[str, float]:
    """Return p50, p95, p99 (nearest rank) and max of at least one sample, rounded to 0.1 ms."""
    ordered = sorted(samples_ms)
    last = len(ordered) - 1
    ranks = {
        f"p{p}": ordered[min(last, math.ceil(len(ordered) * p / 100) - 1)] for p in PERCENTILES
    }
    return {name: round(value, 1) for name, value in {**ranks, "max": ordered[-1]}.items()}


def read_report(message: dict[str, Any]) -> tuple[str, list[float]]:
    """Return kind and samples of a page's ``drawn`` message.

    Raises:
        RequestError: A field is missing or of the wrong type, or there are too many samples.
    """
    kind, samples = message.get("kind"), message.get("latencies_ms")
    if kind not in PAGE_KINDS:
        raise RequestError(f"drawn: kind {kind!r} is none of {', '.join(sorted(PAGE_KINDS))}")
    if not isinstance(samples, list) or len(samples) > MOST_AT_ONCE:
        raise RequestError(f"drawn: latencies_ms wants a list of at most {MOST_AT_ONCE} numbers")
    if not all(isinstance(s, int | float) and not isinstance(s, bool) for s in samples):
        raise RequestError("drawn: latencies_ms wants numbers")
    return kind, [float(sample) for sample in samples]
