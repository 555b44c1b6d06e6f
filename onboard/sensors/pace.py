"""The pace of a replay: when a moment of the recording is played, by this machine's clocks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from streams.clock import Clock

Sleep = Callable[[float], Awaitable[None]]
"""Waits some seconds; ``asyncio.sleep``, or a test's own."""

NS = 1_000_000_000


class Pace:
    """Plays recorded time at ``speed`` against the monotonic clock.

    A reading is stamped with the moment at which it is played, never with the recording's own
    date, so ages and trends on the pages are right; ``origin`` says that it is a replay. At
    speed 1 the distances between stamps are the recorded ones. The stamps follow the wall clock
    when that is set while the replay runs.

    Args:
        clock: This machine's clocks.
        sleep: How to wait.
        speed: 1 is real time, N is N times faster, 0 is as fast as the readings are taken.
    """

    def __init__(self, clock: Clock, sleep: Sleep = asyncio.sleep, speed: float = 1.0) -> None:
        self._clock = clock
        self._sleep = sleep
        self._speed = speed
        self._start_ns: int | None = None

    def start(self) -> int:
        """Begin (or begin anew) now; return the wall clock at the recording's moment 0."""
        self._start_ns = self._clock.monotonic_ns()
        return self._clock.wall_ns()

    async def reach(self, offset_ns: int) -> int:
        """Wait for a moment of the recording; return the wall clock at which it was due.

        Args:
            offset_ns: Nanoseconds of recorded time since the start.
        """
        if self._start_ns is None:
            self.start()
        assert self._start_ns is not None
        if self._speed == 0:
            await self._sleep(0)
            return self._clock.wall_ns()
        due_ns = self._start_ns + round(offset_ns / self._speed)
        missing_ns = due_ns - self._clock.monotonic_ns()
        await self._sleep(max(0, missing_ns) / NS)
        late_ns = max(0, self._clock.monotonic_ns() - due_ns)
        return self._clock.wall_ns() - late_ns
