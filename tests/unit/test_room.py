"""How much may be on the way: little on a narrow link, enough to fill a wide one."""

from __future__ import annotations

import pytest

from streams.transport.room import LEAST_BYTES, MOST_BYTES, QUEUE_S, Room
from streams.transport.tcp_sight import TcpSight

MESSAGE = 3_000
STEP_S = 0.02


class NarrowLink:
    """A link of so many bytes per second with a queue, and a sender with an endless backlog."""

    def __init__(self, bytes_per_s: float, round_trip_s: float) -> None:
        self.bytes_per_s = bytes_per_s
        self.round_trip_s = round_trip_s
        self.room = Room()
        self.waiting = self.acknowledged = 0.0
        self.most_waiting = 0.0
        self._on_wire: list[tuple[float, float]] = []
        self._free_at_s = 0.0

    def run(self, from_s: float, to_s: float, *, backlog: bool = True) -> None:
        self.most_waiting = 0.0
        for step in range(round(from_s / STEP_S), round(to_s / STEP_S)):
            now_s = step * STEP_S
            self._deliver(now_s)
            if step % 5 == 0:
                self.room.look(self._sight(), now_s)
            while backlog and self.room.may_take(int(self.waiting)):
                self.waiting += MESSAGE
                self._free_at_s = max(now_s, self._free_at_s) + MESSAGE / self.bytes_per_s
                self._on_wire.append((self._free_at_s + self.round_trip_s, MESSAGE))
            self.most_waiting = max(self.most_waiting, self.waiting)

    def _deliver(self, now_s: float) -> None:
        while self._on_wire and self._on_wire[0][0] <= now_s:
            _, size = self._on_wire.pop(0)
            self.waiting -= size
            self.acknowledged += size

    def _sight(self) -> TcpSight:
        return TcpSight(
            arrived=0,
            waiting_bytes=int(self.waiting),
            acknowledged_bytes=int(self.acknowledged),
            repeated=0,
            round_trip_s=self.round_trip_s,
            deviation_s=0.0,
            least_round_trip_s=self.round_trip_s,
        )


@pytest.mark.parametrize(("kbit_s", "round_trip_s"), [(64, 0.05), (250, 0.05), (800, 0.2)])
def test_room_on_a_narrow_link_leaves_no_queue_behind_which_urgent_facts_wait(
    kbit_s: int, round_trip_s: float
) -> None:
    link = NarrowLink(kbit_s * 125, round_trip_s)
    link.run(0, 20)
    behind_s = link.most_waiting / link.bytes_per_s
    assert behind_s <= MESSAGE / link.bytes_per_s + 1.3 * round_trip_s + QUEUE_S + 0.1


@pytest.mark.parametrize(("kbit_s", "round_trip_s"), [(64, 0.05), (800, 0.05), (2000, 0.2)])
def test_room_lets_a_backlog_use_most_of_the_link(kbit_s: int, round_trip_s: float) -> None:
    link = NarrowLink(kbit_s * 125, round_trip_s)
    link.run(0, 10)
    before = link.acknowledged
    link.run(10, 20)
    assert link.acknowledged - before >= 0.7 * 10 * link.bytes_per_s


def test_room_follows_a_link_that_becomes_narrow() -> None:
    link = NarrowLink(1_000_000, 0.05)
    link.run(0, 5)
    link.bytes_per_s = 8_000
    link.run(5, 25)
    link.run(25, 35)
    assert link.most_waiting <= 2 * MESSAGE + LEAST_BYTES


def test_room_is_bounded_both_ways() -> None:
    room = Room()
    assert room.limit_bytes == LEAST_BYTES
    room.rate_bytes_per_s = 1e12
    assert room.limit_bytes == MOST_BYTES


def test_room_of_an_idle_link_forgets_nothing() -> None:
    link = NarrowLink(125_000, 0.05)
    link.run(0, 5)
    known = link.room.rate_bytes_per_s
    link.run(5, 60, backlog=False)
    assert link.room.rate_bytes_per_s >= 0.5 * known
