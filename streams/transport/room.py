"""How much may be on the way, so that what is urgent does not wait behind it. Pure.

A TCP connection is one queue: what was handed to it can no longer be overtaken. On a link of
64 kbit/s sixteen blocks of ECG are eight seconds of waiting for the urgent fact behind them. So
facts that can wait are handed over only while little is on the way: what the link carries in one
round trip, and ``QUEUE_S`` on top. The rate is measured from what the other side acknowledges
while something is on the way, not taken from TCP's own figure: that one keeps the best rate ever
seen of a sender who does not fill the link, however narrow the link has become.
"""

from __future__ import annotations

from streams.transport.tcp_sight import TcpSight

QUEUE_S = 0.1
"""Waiting that a backlog may add for an urgent fact, besides what is being sent just now."""

GROWTH = 1.25
"""More than one round trip's worth, so that the measured rate grows until the link is full."""

LEAST_BYTES = 1400
"""One packet may always be on the way."""

LEAST_BYTES_PER_S = 8_000
"""64 kbit/s: taken for granted, or a path with a round trip of 3 s would take minutes to show
that it carries more than one packet each 3 s."""

MOST_BYTES = 64 * 1024
"""A link that narrows all of a sudden has no more than this in its queue."""

_LEAST_PERIOD_S = 0.2


class Room:
    """Measures what a connection carries, and says whether more may be handed to it."""

    def __init__(self) -> None:
        """Begin with a new connection, of which nothing is known."""
        self.rate_bytes_per_s = 0.0
        self._least_round_trip_s = 0.0
        self._begun_s: float | None = None
        self._begun_bytes = 0
        self._busy = True

    def look(self, sight: TcpSight, now_s: float) -> None:
        """Take in one look at the connection; several times a second."""
        self._least_round_trip_s = sight.least_round_trip_s
        self._busy = self._busy and sight.waiting_bytes > 0
        if self._begun_s is None:
            self._begin(sight, now_s)
            return
        elapsed_s = now_s - self._begun_s
        if elapsed_s < max(_LEAST_PERIOD_S, 1.5 * sight.round_trip_s):
            return
        seen = (sight.acknowledged_bytes - self._begun_bytes) / elapsed_s
        if seen > self.rate_bytes_per_s:
            self.rate_bytes_per_s = seen
        elif self._busy:  # an idle link says nothing about its width
            self.rate_bytes_per_s = (self.rate_bytes_per_s + seen) / 2
        self._begin(sight, now_s)

    def _begin(self, sight: TcpSight, now_s: float) -> None:
        self._begun_s, self._begun_bytes = now_s, sight.acknowledged_bytes
        self._busy = sight.waiting_bytes > 0

    def may_take(self, on_the_way_bytes: int) -> bool:
        """Whether another message may be handed over while so many bytes are on the way."""
        return on_the_way_bytes <= self.limit_bytes

    @property
    def limit_bytes(self) -> float:
        """The bytes that may be on the way when another message is handed over."""
        rate = max(self.rate_bytes_per_s, LEAST_BYTES_PER_S)
        wanted = rate * (GROWTH * self._least_round_trip_s + QUEUE_S)
        return max(LEAST_BYTES, min(MOST_BYTES, wanted))
