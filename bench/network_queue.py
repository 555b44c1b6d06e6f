"""One direction of a link as a pure model: a queue, a rate, loss, and packets under way.

Nothing here reads a clock or moves a byte: packets and times come in, packets come out.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import deque

from bench.network_conditions import Conditions, Counters, Cut

LATE_S = 0.002
"""Later than this a delivery is counted as late: what the box promises to keep."""


class LinkQueue:
    """One direction of a link.

    The caller offers packets as they come, asks for those that are due, and calls again at
    ``next_s`` at the latest. Times are seconds of one clock and never go back.

    Attributes:
        conditions: What the link is like now.
        counters: What it has counted.
        next_s: When something happens next; infinite while nothing waits.
    """

    def __init__(self, conditions: Conditions, seed: int | str, now: float = 0.0) -> None:
        """Make an empty link.

        Args:
            conditions: What it is like.
            seed: Of its chance: the same seed and packets give the same losses.
            now: The time.
        """
        self.conditions = conditions
        self.counters = Counters()
        self.next_s = math.inf
        self._chance = random.Random(seed)
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._under_way: list[tuple[float, int, bytes]] = []
        self._departed = 0
        self._last_arrival = -math.inf
        # The packet at the head was still to be sent by this many bytes at this time.
        self._left = 0.0
        self._left_at = now

    def offer(self, packet: bytes, now: float) -> None:
        """Take a packet into the link, or drop and count it."""
        self._serve(now)
        counters, size = self.counters, len(packet)
        counters.packets += 1
        counters.octets += size
        if self.conditions.cut is Cut.DROPPED:
            counters.dropped_cut += 1
        elif self._waiting_bytes + size > self.conditions.room_bytes:
            counters.dropped_queue += 1
        else:
            if not self._waiting:
                self._left, self._left_at = float(size), now
            self._waiting.append(packet)
            self._waiting_bytes += size
            self._serve(now)
        self._plan()

    def turn_away(self, packet: bytes) -> None:
        """Count a packet whose address the uplink does not have."""
        self.counters.packets += 1
        self.counters.octets += len(packet)
        self.counters.dropped_address += 1

    def due(self, now: float) -> list[bytes]:
        """Return the packets that have arrived by now, in the order of their arrival."""
        if now < self.next_s:
            return []
        self._serve(now)
        arrived = []
        counters = self.counters
        while self._under_way and self._under_way[0][0] <= now:
            at, _, packet = heapq.heappop(self._under_way)
            arrived.append(packet)
            if now - at > LATE_S:
                counters.late += 1
                counters.latest_ms = max(counters.latest_ms, round(1000 * (now - at), 3))
        counters.delivered += len(arrived)
        counters.delivered_octets += sum(map(len, arrived))
        self._plan()
        return arrived

    def not_taken(self, packet: bytes) -> None:
        """Correct the count for a packet of ``due`` that met an interface that is down."""
        self.counters.delivered -= 1
        self.counters.delivered_octets -= len(packet)
        self.counters.dropped_down += 1

    def change(self, conditions: Conditions, now: float) -> None:
        """Let other conditions hold from now on.

        The packet that is being sent goes on at the new rate; what is under way arrives as it
        would have. A cut that drops also drops what waits.
        """
        self._serve(now)
        rate = self.conditions.bytes_per_s
        if self._waiting and self.conditions.cut is None and rate is not None:
            self._left -= (now - self._left_at) * rate
        self._left_at = now
        self.conditions = conditions
        if conditions.cut is Cut.DROPPED:
            self.counters.dropped_cut += len(self._waiting)
            self._forget_waiting()
        self._serve(now)
        self._plan()

    def lose_all(self) -> None:
        """Lose what waits and what is under way: the address they were for is gone."""
        self.counters.dropped_address += len(self._waiting) + len(self._under_way)
        self._forget_waiting()
        self._under_way.clear()
        self._last_arrival = -math.inf
        self._plan()

    def counted(self) -> Counters:
        """Return the counters, with what waits now."""
        self.counters.waiting = len(self._waiting) + len(self._under_way)
        return self.counters

    def _forget_waiting(self) -> None:
        self._waiting.clear()
        self._waiting_bytes = 0

    def _serve(self, now: float) -> None:
        """Send what there was time to send."""
        if self.conditions.cut is not None:
            return
        rate = self.conditions.bytes_per_s
        while self._waiting:
            sent_at = self._left_at if rate is None else self._left_at + self._left / rate
            if sent_at > now:
                return
            packet = self._waiting.popleft()
            self._waiting_bytes -= len(packet)
            self._depart(packet, sent_at)
            self._left_at = sent_at
            if self._waiting:
                self._left = float(len(self._waiting[0]))

    def _depart(self, packet: bytes, now: float) -> None:
        """Lose a packet that was sent, or put it under way."""
        conditions, chance = self.conditions, self._chance
        if conditions.loss and chance.random() < conditions.loss:
            self.counters.dropped_loss += 1
            return
        delay_ms = conditions.delay_ms
        if conditions.jitter_ms:
            spread_ms = chance.uniform(-conditions.jitter_ms, conditions.jitter_ms)
            delay_ms = max(0.0, delay_ms + spread_ms)
        arrival = max(now + delay_ms / 1000, self._last_arrival)
        if conditions.reordered and chance.random() < conditions.reordered:
            arrival += conditions.reorder_ms / 1000
        else:
            self._last_arrival = arrival
        self._departed += 1  # keeps the order of packets that arrive at the same time
        heapq.heappush(self._under_way, (arrival, self._departed, packet))

    def _plan(self) -> None:
        next_s = self._under_way[0][0] if self._under_way else math.inf
        if self._waiting and self.conditions.cut is None:
            rate = self.conditions.bytes_per_s
            sent_at = self._left_at if rate is None else self._left_at + self._left / rate
            next_s = min(next_s, sent_at)
        self.next_s = next_s
