"""Clocks: readings, a wall clock that never jumps, and the estimate of the offset to the hub.

The estimate is that of NTP (RFC 5905, section 8 and 10), made against the monotonic clock: of
the last exchanges the one that says most counts; half its round trip, plus what the clocks may
have drifted since, is the uncertainty.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

DRIFT_PPM = 50
"""How far a vehicle's quartz may run from the hub's, parts per million, until it is measured."""

KEPT = 8
"""Exchanges that are remembered (RFC 5905's clock filter has eight stages)."""

STEP_NS = 128_000_000
"""Two clocks that differ by more all of a sudden were set (RFC 5905's STEPT, section 11.3)."""

SLEW_PPM = 500
"""How fast a steady clock follows the machine's (the most that NTP slews)."""

ANCHOR_EVERY_NS = 64_000_000_000
ANCHORS = 32
"""Exchanges kept to measure the drift, and how far they are apart: half an hour."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock(Protocol):
    """Reads the time; tests bring their own."""

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; may jump."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary moment; never jumps."""


class SystemClock:
    """The clocks of this machine.

    The monotonic one is CLOCK_BOOTTIME where there is one: it goes on while the machine sleeps,
    which CLOCK_MONOTONIC does not, and a sleep would look like a jump of the wall clock.
    """

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds since the machine's start, its sleep included."""
        return time.clock_gettime_ns(_STEADY)


_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def boot_name() -> str:
    """Return a name for the life of this machine's monotonic clock: another one after a reboot.

    Empty where the system does not tell; then nothing is concluded from monotonic times.
    """
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")[:12]
    except (OSError, ValueError):
        return ""


class SteadyClock:
    """A wall clock that never jumps and never runs backwards while its process lives.

    It begins with the machine's wall clock and goes by the monotonic one. What NTP slews is
    followed; a step (daylight saving set by hand, a clock set back, NTP's first answer) is not
    but at that pace: times of one run stay in order, and apart by what really passed.
    """

    def __init__(self, machine: Clock, *, after_ns: int = 0) -> None:
        """Begin now.

        Args:
            machine: The clocks that this one rests on.
            after_ns: It begins no earlier than this, such as the newest time in a journal.
        """
        self._machine = machine
        self._looked_ns = machine.monotonic_ns()
        self._offset_ns = max(machine.wall_ns(), after_ns) - self._looked_ns
        self._slewed_ppb = 0

    @property
    def behind_machine_ns(self) -> int:
        """What the machine's wall clock is ahead of this one; negative when it was set back."""
        return self._machine.wall_ns() - self._machine.monotonic_ns() - self._offset_ns

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; never less than before."""
        now_ns = self._machine.monotonic_ns()
        difference_ns = self._machine.wall_ns() - now_ns - self._offset_ns
        # Parts of a nanosecond are kept: a clock that is read often must not lose them.
        most_ppb = max(0, now_ns - self._looked_ns) * SLEW_PPM * 1000 + self._slewed_ppb
        most_ns, self._slewed_ppb = divmod(most_ppb, 10**9)
        self._offset_ns += max(-most_ns, min(difference_ns, most_ns))
        self._looked_ns = max(now_ns, self._looked_ns)
        return now_ns + self._offset_ns

    def monotonic_ns(self) -> int:
        """Nanoseconds since the machine's start."""
        return self._machine.monotonic_ns()


@dataclass(frozen=True, slots=True)
class Exchange:
    """One comparison with the hub's clock.

    Attributes:
        hub_minus_monotonic_ns: What to add to our monotonic clock to get the hub's wall clock.
        delay_ns: Round trip without the hub's own time.
        at_ns: Our monotonic clock at the answer's arrival.
    """

    hub_minus_monotonic_ns: int
    delay_ns: int
    at_ns: int


@dataclass(frozen=True, slots=True)
class Offset:
    """An estimate: the hub's time is the wall clock plus ``offset_ns`` ± ``uncertainty_ns``."""

    offset_ns: int
    uncertainty_ns: int


@dataclass(frozen=True, slots=True)
class Anchor:
    """What is known of the hub's clock, for a later life of this process on the same machine.

    Attributes:
        hub_minus_monotonic_ns: What to add to our monotonic clock to get the hub's wall clock.
        uncertainty_ns: Half width of that.
        at_ns: Our monotonic clock when that was so.
    """

    hub_minus_monotonic_ns: int
    uncertainty_ns: int
    at_ns: int


class OffsetEstimate:
    """Estimates the offset of this wall clock to the hub's; pure, time is an argument.

    Our wall clock may jump as it likes: only the monotonic one is compared. The hub's time that
    is told never runs backwards: where a better exchange says that less time has passed, it goes
    at half speed until that is true, and the uncertainty says so.
    """

    def __init__(self) -> None:
        self.steps = 0
        """How often the hub's clock was seen to be set."""
        self._exchanges: deque[Exchange] = deque(maxlen=KEPT)
        self._anchors: deque[Exchange] = deque(maxlen=ANCHORS)
        self._told: tuple[int, int] | None = None

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
        self._add(Exchange(offset_ns + wall_ns - monotonic_ns, delay_ns, monotonic_ns))

    def restore(self, anchor: Anchor) -> None:
        """Take what an earlier life of this process on this boot of the machine knew."""
        known = Exchange(
            anchor.hub_minus_monotonic_ns, 2 * max(0, anchor.uncertainty_ns), anchor.at_ns
        )
        self._add(known)

    def anchor(self, monotonic_ns: int) -> Anchor | None:
        """Return what is to be kept for a later life, or None before the first exchange."""
        best = self._best(monotonic_ns)
        if best is None:
            return None
        hub_ns, uncertainty_ns = best
        return Anchor(hub_ns - monotonic_ns, uncertainty_ns, monotonic_ns)

    def at(self, wall_ns: int, monotonic_ns: int) -> Offset | None:
        """Return the best estimate now, or None before the first exchange."""
        best = self._best(monotonic_ns)
        if best is None:
            return None
        hub_ns, uncertainty_ns = best
        told_ns = self._forwards(hub_ns, monotonic_ns)
        return Offset(told_ns - wall_ns, uncertainty_ns + abs(told_ns - hub_ns))

    def _add(self, exchange: Exchange) -> None:
        expected = self._best(exchange.at_ns)
        if expected is not None:
            hub_ns, uncertainty_ns = expected
            gap_ns = abs(hub_ns - exchange.at_ns - exchange.hub_minus_monotonic_ns)
            gap_ns -= uncertainty_ns + exchange.delay_ns // 2
            if gap_ns > 0:  # both cannot be true any more: the newer is
                self._exchanges.clear()
            if gap_ns > STEP_NS:
                self._anchors.clear()
                self.steps += 1
        self._exchanges.append(exchange)
        last = self._anchors[-1] if self._anchors else None
        if last is None or exchange.at_ns - last.at_ns >= ANCHOR_EVERY_NS:
            self._anchors.append(exchange)
        elif exchange.delay_ns < last.delay_ns:
            self._anchors[-1] = exchange

    def _best(self, monotonic_ns: int) -> tuple[int, int] | None:
        """Return the hub's time and its uncertainty, ns, or None."""
        if not self._exchanges:
            return None
        rate_ppb, error_ppb = self._drift()

        def uncertainty(exchange: Exchange) -> int:
            age_ns = abs(monotonic_ns - exchange.at_ns)
            return exchange.delay_ns // 2 + age_ns * error_ppb // 10**9

        best = min(self._exchanges, key=uncertainty)
        drifted_ns = (monotonic_ns - best.at_ns) * rate_ppb // 10**9
        hub_ns = monotonic_ns + best.hub_minus_monotonic_ns + drifted_ns
        return hub_ns, uncertainty(best)

    def _drift(self) -> tuple[int, int]:
        """Return how fast the hub's clock runs against ours, and the error of that, in 1e-9.

        Two exchanges far apart bound it: each is wrong by half its round trip at the most.
        """
        least = (0, DRIFT_PPM * 1000)
        if len(self._anchors) < 2:
            return least
        first, last = self._anchors[0], self._anchors[-1]
        span_ns = last.at_ns - first.at_ns
        if span_ns < ANCHOR_EVERY_NS:
            return least
        change_ns = last.hub_minus_monotonic_ns - first.hub_minus_monotonic_ns
        rate_ppb = change_ns * 10**9 // span_ns
        error_ppb = (first.delay_ns + last.delay_ns) * 10**9 // (2 * span_ns) + 1
        if error_ppb >= DRIFT_PPM * 1000 >= abs(rate_ppb) - error_ppb:
            return least  # what was measured does not say more than what is usual
        # A quartz changes its rate with the temperature, by some 1e-6.
        return rate_ppb, error_ppb + 5_000

    def _forwards(self, hub_ns: int, monotonic_ns: int) -> int:
        """Return the hub's time, but never less than was told before."""
        if self._told is not None:
            at_ns, told_ns = self._told
            if monotonic_ns < at_ns:
                return min(hub_ns, told_ns)
            hub_ns = max(hub_ns, told_ns + (monotonic_ns - at_ns) // 2)
        self._told = (monotonic_ns, hub_ns)
        return hub_ns
