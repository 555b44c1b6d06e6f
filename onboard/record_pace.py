"""How much of the ECG's record goes at once: it has no hurry, and what is urgent waits behind it.

Pure: times are arguments, in seconds of a monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from onboard.ecg_keeping import LEAST_RECORD_BYTES, RECORD_BYTES

QUEUE_S, WAITS_S = 0.1, 5.0
"""No block is begun into a longer queue, unless it waited for so long; none at all while live ECG
is held, or before a train has told why there was a queue: at 64 kbit/s each holds up a vital sign
by half a second, and one that was made for a wide link by three."""

WINDOW = 16
"""Blocks on the way on a link with room for video; on a narrower one they go one by one."""

BLOCK_TAKES_S = 0.2
"""A new block is no larger than what the link carries in so long, for what is urgent waits behind
it; within the bounds of ``onboard.ecg_keeping``."""

LARGE_TAKES_S, LARGE_WAITS_S = 1.0, 60.0
"""On a narrow link a block that would take longer, made when the link was wider, waits for so
long; then one goes."""


@dataclass(frozen=True, slots=True)
class RecordLimit:
    """What the record may do.

    Attributes:
        on_the_way: Blocks without a receipt at the most; 0 begins none.
        block_bytes: Size at which a new block is closed.
        largest_bytes: Larger blocks are not begun; None sets no limit.
    """

    on_the_way: int
    block_bytes: int
    largest_bytes: int | None = None


class RecordPace:
    """Decides for one vehicle."""

    def __init__(self, now: float) -> None:
        """Begin before anything is known."""
        self._block_bytes = RECORD_BYTES
        self._began = self._large_at = now

    def look(
        self,
        now: float,
        *,
        queue_s: float,
        capacity_bps: float | None,
        narrow: bool,
        empties: bool,
        untold: bool,
    ) -> RecordLimit:
        """Return what may go at ``now``.

        Args:
            now: Monotonic time.
            queue_s: How long a packet stands in the queue of the uplink.
            capacity_bps: What the uplink carries, if it is known.
            narrow: Whether it has no room for video.
            empties: Whether live ECG is held, so that a queue gets shorter.
            untold: Whether a queue stood and no train has told yet what the link carries.
        """
        if capacity_bps is not None:
            fitting = round(BLOCK_TAKES_S * capacity_bps / 8)
            self._block_bytes = min(RECORD_BYTES, max(LEAST_RECORD_BYTES, fitting))
        if untold or (queue_s > QUEUE_S and (empties or now - self._began < WAITS_S)):
            return RecordLimit(0, self._block_bytes)
        self._began = now
        if not narrow:
            self._large_at = now
            return RecordLimit(WINDOW, self._block_bytes)
        if now - self._large_at >= LARGE_WAITS_S:
            self._large_at = now
            return RecordLimit(1, self._block_bytes)
        large = round(LARGE_TAKES_S * (capacity_bps or 0) / 8)
        return RecordLimit(1, self._block_bytes, max(2 * LEAST_RECORD_BYTES, large))

    def blind(self) -> RecordLimit:
        """Return what may go over a path of which nothing is known."""
        return RecordLimit(1, self._block_bytes)

    def free(self) -> RecordLimit:
        """Return what may go while nobody looks."""
        return RecordLimit(WINDOW, self._block_bytes)
