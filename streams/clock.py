"""Clocks: readings, and the estimate of a source's offset to the hub.

The estimate is that of NTP (RFC 5905, section 8 and 10): of the last exchanges the one with
the shortest round trip counts; half its round trip, plus what the clocks may have drifted
since, is the uncertainty.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol

DRIFT_PPM = 50
"""How far a vehicle's quartz may run from the hub's, parts per million."""

KEPT = 8
"""Exchanges that are remembered (RFC 5905's clock filter has eight stages)."""


class Clock(Protocol):
    """Reads the time; tests bring their own."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; may jump."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary moment; never jumps."""


class SystemClock:
    """The clocks of this machine."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds since the machine's start."""
        return time.monotonic_ns()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One comparison with the hub's clock.

    Attributes:
        offset_ns: What to add to this wall clock to get the hub's.
        delay_ns: Round trip without the hub's own time.
        at_ns: Monotonic time of the answer's arrival.
        wall_minus_monotonic_ns: Shows a jump of the wall clock since.
    """

    offset_ns: int
    delay_ns: int
    at_ns: int
    wall_minus_monotonic_ns: int


@dataclass(frozen=True, slots=True)
class Offset:
    """An estimate: the hub's time is the wall clock plus ``offset_ns`` ± ``uncertainty_ns``."""

    offset_ns: int
    uncertainty_ns: int


class OffsetEstimate:
    """Estimates the offset of this wall clock to the hub's; pure, time is an argument."""

    def __init__(self) -> None:
        self._exchanges: deque[Exchange] = deque(maxlen=KEPT)

    def add(self, t1_ns: int, t2_ns: int, t3_ns: int, wall_ns: int, monotonic_ns: int) -> None:
        """Take the four times of one exchange; impossible ones are ignored.

        Args:
            t1_ns: Our wall clock when the request left.
            t2_ns: The hub's wall clock when it came.
            t3_ns: The hub's wall clock when the answer left.
            wall_ns: Our wall clock now, when the answer came.
            monotonic_ns: Our monotonic clock now.
        """
        delay_ns = (wall_ns - t1_ns) - (t3_ns - t2_ns)
        if delay_ns < 0 or t3_ns < t2_ns:
            return
        offset_ns = ((t2_ns - t1_ns) + (t3_ns - wall_ns)) // 2
        self._exchanges.append(Exchange(offset_ns, delay_ns, monotonic_ns, wall_ns - monotonic_ns))

    def at(self, wall_ns: int, monotonic_ns: int) -> Offset | None:
        """Return the best estimate now, or None before the first exchange.

        A jump of our wall clock since an exchange (seen against the monotonic clock) is taken
        out of that exchange's offset, so corrected times do not jump with it.
        """
        if not self._exchanges:
            return None

        def uncertainty(exchange: Exchange) -> int:
            age_ns = max(0, monotonic_ns - exchange.at_ns)
            return exchange.delay_ns // 2 + age_ns * DRIFT_PPM // 1_000_000

        best = min(self._exchanges, key=uncertainty)
        jump_ns = (wall_ns - monotonic_ns) - best.wall_minus_monotonic_ns
        return Offset(best.offset_ns - jump_ns, uncertainty(best))
