"""Measures the way to the hub: round trip, standing queue, loss, and what the uplink carries.

Small *pings* tell how long a packet takes and whether it arrives. Now and then a *train* of
packets leaves in one burst; the spread of its arrivals at the hub is what the narrowest place of
the way makes of it (packet-train dispersion: Dovrolis, Ramanathan, Moore, IEEE/ACM ToN 12(6),
2004, doi:10.1109/TNET.2004.838606). A train is sized to occupy the link for ``TRAIN_S`` at the
present estimate and grows by ``GROWTH`` while it meets no limit: from 64 kbit/s to 2 Mbit/s in
four trains, and no more than a moment of anybody else's time.

Both go over a data channel, unordered and without retransmission; the hub sends the head of each
message back with the time at which it came (``dispatch.path_echo``):

    0   u8   version, 1
    1   u8   packets of its train; 0 for a ping
    2   u8   number in its train
    3   u8   0
    4   u32  number of the ping or train
    8   i64  when it was sent, ns of the sender's monotonic clock
    16  ...  up: filling; down: i64 when it came, ns of the hub's monotonic clock

Pure: times are arguments, in seconds of a monotonic clock.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from dataclasses import dataclass, field

VERSION = 1
HEAD = struct.Struct("<BBBBIq")
ECHO = struct.Struct("<BBBBIqq")

LABEL = "path"
"""Label of the data channel."""

HEADERS_BYTES = 93
"""IPv4, UDP, DTLS and SCTP around a message on the wire."""

TRAIN_S = 0.12
"""For so long a train may occupy the link, as far as is known."""

LEAST_SPREAD_S = 0.02
"""A spread below this is the noise of two event loops: the train met no limit."""

GROWTH = 2.5
"""A train that met no limit counts for so many times what was known before, at most."""

DOUBTED = 0.7
"""A train that shows less than this share of what was known, or more than that the other way, is
followed by a second one, and of the two the one nearer to what was known counts: a machine that
stands still for a moment, here or at the hub, spreads a train or bunches it."""

FIRST_BPS = 100_000.0
"""What the first train is sized for."""

LEAST_PACKETS, MOST_PACKETS = 4, 20
_LEAST_PACKET_BYTES, _MOST_PACKET_BYTES = 60, 1100
_WAIT_S = 2.5
_LEAST_OVER_S = 30.0
_LOSS_OVER_S = 4.0
_LOSS_LEAST_PINGS = 5
_GIVEN_UP_S = 10.0


@dataclass(frozen=True, slots=True)
class PathState:
    """What is known of the way.

    Attributes:
        round_trip_s: Of the newest ping that came back; None before the first.
        least_round_trip_s: The least of the last 30 s.
        queue_s: How long a packet stands in queues on the way up, at least.
        loss: Share of the pings of the last 4 s that were lost.
        capacity_bps: What the last train showed, bits per second on the wire.
        capacity_at: When that train was sent.
        settled: Whether it met the link's limit, or showed enough.
        trains: Trains that gave a figure.
    """

    round_trip_s: float | None
    least_round_trip_s: float | None
    queue_s: float
    loss: float
    capacity_bps: float | None
    capacity_at: float
    settled: bool
    trains: int


@dataclass(slots=True)
class _Train:
    sent_at: float
    wire_bytes: int
    packets: int
    arrivals: dict[int, float] = field(default_factory=dict)


class _Least:
    """The least value of the last ``_LEAST_OVER_S``."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, float]] = deque()

    def add(self, value: float, now: float) -> None:
        while self._kept and self._kept[-1][1] >= value:
            self._kept.pop()
        self._kept.append((now, value))
        while self._kept[0][0] < now - _LEAST_OVER_S:
            self._kept.popleft()

    @property
    def value(self) -> float | None:
        return self._kept[0][1] if self._kept else None


class PathProbe:
    """Makes the messages of one path and reads their echoes; a new path needs a new one."""

    def __init__(self, enough_bps: float) -> None:
        """Begin with nothing known.

        Args:
            enough_bps: A capacity beyond which nobody asks.
        """
        self._enough_bps = enough_bps
        self._number = 0
        self._pings: dict[int, float] = {}
        self._newest_back = -math.inf
        self._outcomes: deque[tuple[float, bool]] = deque()
        self._least_round_trip, self._least_way_up = _Least(), _Least()
        self._round_trip: float | None = None
        self._way_up = 0.0
        self._train: tuple[int, _Train] | None = None
        self._capacity: float | None = None
        self._capacity_at = -math.inf
        self._settled = False
        self._doubt: float | None = None
        self._sized_for: float | None = None
        self._trains = 0

    def ping(self, now: float) -> bytes:
        """Return a ping to send now."""
        self._number += 1
        self._pings[self._number] = now
        for number in [n for n, at in self._pings.items() if at < now - _GIVEN_UP_S]:
            del self._pings[number]
        return HEAD.pack(VERSION, 0, 0, 0, self._number, int(now * 1e9))

    def be_careful(self) -> None:
        """Let the next trains begin as small as the first one: the link may carry far less now.

        A train for what it carried before would itself be the next queue: three seconds of it at
        64 kbit/s. They grow as those of a new path, until one is settled.
        """
        self._sized_for = FIRST_BPS

    def train(self, now: float) -> list[bytes]:
        """Return the packets of a train to send now, in one burst."""
        known = self._sized_for or self._capacity or FIRST_BPS
        bits = min(known, self._enough_bps) * TRAIN_S
        packets = round(bits / 8 / (_MOST_PACKET_BYTES + HEADERS_BYTES))
        packets = min(MOST_PACKETS, max(LEAST_PACKETS, packets))
        size = round(bits / 8 / packets) - HEADERS_BYTES
        size = min(_MOST_PACKET_BYTES, max(_LEAST_PACKET_BYTES, size))
        self._number += 1
        self._train = (self._number, _Train(now, size + HEADERS_BYTES, packets))
        sent_ns = int(now * 1e9)
        return [
            HEAD.pack(VERSION, packets, index, 0, self._number, sent_ns).ljust(size, b"\0")
            for index in range(packets)
        ]

    def forget_ping(self) -> None:
        """Forget the ping that was made last: it could not be sent."""
        self._pings.pop(self._number, None)

    def forget_train(self) -> None:
        """Forget the train that was made last: it could not be sent."""
        self._train = None

    @property
    def has_train_under_way(self) -> bool:
        """Whether a train has been sent and not given its figure yet."""
        return self._train is not None

    def take(self, echo: bytes, now: float) -> None:
        """Take an echo that came at ``now``; what is none is left out."""
        if len(echo) != ECHO.size:
            return
        version, packets, index, _, number, sent_ns, received_ns = ECHO.unpack(echo)
        if version != VERSION:
            return
        if packets:
            self._take_of_train(number, index, received_ns / 1e9)
        else:
            self._take_ping(number, sent_ns / 1e9, received_ns / 1e9, now)

    def look(self, now: float) -> PathState:
        """Return what is known at ``now``; give up a train that does not come back."""
        if self._train is not None and now - self._train[1].sent_at > _WAIT_S:
            self._end_train()
        return PathState(
            round_trip_s=self._round_trip,
            least_round_trip_s=self._least_round_trip.value,
            queue_s=self._queue(now),
            loss=self._loss(now),
            capacity_bps=self._capacity,
            capacity_at=self._capacity_at,
            settled=self._settled,
            trains=self._trains,
        )

    def _take_ping(self, number: int, sent: float, received: float, now: float) -> None:
        if self._pings.pop(number, None) is None:
            return
        self._outcomes.append((now, False))
        # Two later ones are back: what has not come by now is lost, not overtaken.
        lost = [n for n, at in self._pings.items() if n < number and at < self._newest_back]
        for one in lost:
            del self._pings[one]
            self._outcomes.append((now, True))
        if self._train is not None and sent > self._train[1].sent_at:
            self._end_train()  # a later ping is back: what has not come of it is lost
        if sent < self._newest_back:
            return
        self._newest_back = sent
        self._round_trip, self._way_up = now - sent, received - sent
        self._least_round_trip.add(self._round_trip, now)
        self._least_way_up.add(self._way_up, now)

    def _queue(self, now: float) -> float:
        """Return the queue that the newest echo saw, or that its successor's absence tells.

        Of the ways up only differences count: the two clocks have nothing in common.
        """
        least_way, least_trip = self._least_way_up.value, self._least_round_trip.value
        if least_way is None or least_trip is None:
            return 0.0
        missing = [at for at in self._pings.values() if at > self._newest_back]
        waited = now - min(missing) - least_trip if missing else 0.0
        return max(0.0, self._way_up - least_way, waited)

    def _loss(self, now: float) -> float:
        while self._outcomes and self._outcomes[0][0] < now - _LOSS_OVER_S:
            self._outcomes.popleft()
        if len(self._outcomes) < _LOSS_LEAST_PINGS:
            return 0.0
        return sum(lost for _, lost in self._outcomes) / len(self._outcomes)

    def _take_of_train(self, number: int, index: int, received: float) -> None:
        if self._train is None or self._train[0] != number or index >= self._train[1].packets:
            return
        train = self._train[1]
        train.arrivals[index] = received
        if len(train.arrivals) == train.packets:
            self._end_train()

    def _end_train(self) -> None:
        """Take the figure of a train: all its packets are back, or no more are waited for.

        Between first and last arrival the link carried all between them, also what was lost
        behind its narrow place; what a full queue refused is at the end and is not counted.
        """
        assert self._train is not None
        train, self._train = self._train[1], None
        if len(train.arrivals) < LEAST_PACKETS - 1:
            return
        first, last = min(train.arrivals), max(train.arrivals)
        spread = train.arrivals[last] - train.arrivals[first]
        bits = (last - first) * train.wire_bytes * 8
        capacity = min(bits / max(spread, LEAST_SPREAD_S), self._enough_bps)
        limited = spread >= LEAST_SPREAD_S
        self._trains += 1
        self._capacity_at = train.sent_at
        known = self._capacity or capacity
        if self._sized_for is not None:
            self._sized_for = capacity if limited else GROWTH * self._sized_for
            if not limited and capacity < known:
                self._settled = False  # a small train that met no limit tells no limit
                return
        if self._doubt is None and not DOUBTED < capacity / known < 1 / DOUBTED:
            self._doubt, self._settled = capacity, False
            # A higher figure is of use at once: the next train is sized by it.
            self._capacity = min(max(capacity, known), GROWTH * known)
            return
        capacity, self._doubt = self._better(capacity, known, limited=limited), None
        most = GROWTH * (self._capacity or FIRST_BPS)
        if capacity > most:
            capacity, limited = most, False
        self._capacity = capacity
        self._settled = limited or capacity >= self._enough_bps
        if self._settled:
            self._sized_for = None

    def _better(self, capacity: float, known: float, *, limited: bool) -> float:
        """Return what counts of a train and the one before it that was doubted, if any."""
        if self._doubt is None:
            return capacity
        claimed_more = self._doubt >= known
        return (
            min(capacity, self._doubt) if limited and claimed_more else max(capacity, self._doubt)
        )
