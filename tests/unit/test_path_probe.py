"""The path probe over modelled links: what it says is what the link is like."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onboard.path_probe import (
    ECHO,
    HEAD,
    HEADERS_BYTES,
    MOST_PACKETS,
    TRAIN_S,
    PathProbe,
    PathState,
)

ENOUGH_BPS = 2_000_000.0
HUB_CLOCK_S = 5_000.0
"""The hub's monotonic clock has nothing in common with the vehicle's."""


@dataclass
class ModelLink:
    """An uplink that sends one packet after the other at its rate; echoes come straight back."""

    rate_bps: float
    delay_s: float = 0.025
    loss: float = 0.0
    free_at: float = 0.0
    now: float = 100.0
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    probe: PathProbe = field(default_factory=lambda: PathProbe(ENOUGH_BPS))
    coming: list[tuple[float, bytes]] = field(default_factory=list)
    trains_bytes: list[int] = field(default_factory=list)

    def send(self, message: bytes, *, wire_bytes: int | None = None) -> None:
        size = wire_bytes or len(message) + HEADERS_BYTES
        self.free_at = max(self.free_at, self.now) + size * 8 / self.rate_bps
        if message and self.chance.random() >= self.loss:
            arrived = self.free_at + self.delay_s
            echo = ECHO.pack(*HEAD.unpack(message[: HEAD.size]), int((HUB_CLOCK_S + arrived) * 1e9))
            self.coming.append((arrived + self.delay_s, echo))

    def go(self, seconds: float, *, pings: bool = True, trains: bool = False) -> PathState:
        until, ping_due, train_due = self.now + seconds, self.now, self.now
        while self.now < until:
            self.now += 0.01
            if pings and self.now >= ping_due:
                ping_due += 0.2
                self.send(self.probe.ping(self.now))
            if trains and self.now >= train_due and not self.probe.has_train_under_way:
                train_due = self.now + 0.3
                train = self.probe.train(self.now)
                self.trains_bytes.append(sum(len(one) + HEADERS_BYTES for one in train))
                for message in train:
                    self.send(message)
            for at, echo in [one for one in self.coming if one[0] <= self.now]:
                self.probe.take(echo, at)
                self.coming.remove((at, echo))
        return self.probe.look(self.now)


@pytest.mark.parametrize("kbps", [64, 250, 500, 800, 1500])
def test_trains_on_a_narrow_link_find_its_rate_and_settle(kbps: int) -> None:
    state = ModelLink(kbps * 1000).go(3.0, trains=True)
    assert state.settled
    assert state.capacity_bps == pytest.approx(kbps * 1000, rel=0.1)


def test_trains_on_a_wide_link_grow_until_enough_is_shown_and_stay_small() -> None:
    link = ModelLink(50_000_000)
    state = link.go(3.0, trains=True)
    assert state.settled
    assert state.capacity_bps == ENOUGH_BPS
    assert all(b <= 2.6 * a for a, b in zip(link.trains_bytes, link.trains_bytes[1:], strict=False))
    assert max(link.trains_bytes) <= MOST_PACKETS * 1200


def test_trains_after_a_link_became_wide_show_it_within_four_trains() -> None:
    link = ModelLink(64_000)
    before = link.go(3.0, trains=True)
    link.rate_bps = 20_000_000
    state = link.go(3.0, trains=True)
    assert state.capacity_bps == ENOUGH_BPS
    grown = sum(one > 1_100 for one in link.trains_bytes[before.trains + 1 :])
    assert state.trains - before.trains - grown <= 4


@pytest.mark.parametrize("kbps", [64, 250, 800])
def test_train_occupies_a_known_link_for_no_longer_than_stated(kbps: int) -> None:
    link = ModelLink(kbps * 1000)
    link.go(3.0, trains=True)
    assert link.trains_bytes[-1] * 8 / link.rate_bps <= 1.1 * TRAIN_S


def test_train_that_loses_packets_behind_the_narrow_place_still_tells_the_rate() -> None:
    state = ModelLink(500_000, loss=0.2).go(6.0, trains=True)
    assert state.capacity_bps == pytest.approx(500_000, rel=0.15)


def test_train_spread_by_a_machine_that_stood_still_is_not_believed_alone() -> None:
    link = ModelLink(800_000)
    link.go(3.0, trains=True)
    known = link.probe.look(link.now)
    while link.probe.has_train_under_way:
        link.go(0.01)
    for message in link.probe.train(link.now):
        link.send(message)
    at, _ = link.coming[-1]
    *early, last = [echo for _, echo in link.coming]
    fields = list(ECHO.unpack(last))
    fields[-1] += 900_000_000  # the hub read its last packet 0.9 s late
    link.coming = [(at, echo) for echo in (*early, ECHO.pack(*fields))]
    doubted = link.go(0.3, pings=False)
    assert doubted.trains == known.trains + 1
    assert (doubted.settled, doubted.capacity_bps) == (False, known.capacity_bps)
    after = link.go(1.0, trains=True)
    assert after.settled
    assert after.capacity_bps == pytest.approx(800_000, rel=0.1)


def test_train_bunched_by_a_machine_that_stood_still_is_not_believed_alone() -> None:
    link = ModelLink(300_000)
    link.go(3.0, trains=True)
    while link.probe.has_train_under_way:
        link.go(0.01)
    for message in link.probe.train(link.now):
        link.send(message)
    fields = [list(ECHO.unpack(echo)) for _, echo in link.coming]
    late = fields[-1][-1] - 25_000_000  # the hub stood still, then read nearly all at once
    for one in fields:
        one[-1] = max(one[-1], late)
    link.coming = [(at, ECHO.pack(*one)) for (at, _), one in zip(link.coming, fields, strict=True)]
    assert not link.go(0.3, pings=False).settled
    while not link.probe.look(link.now).settled:
        link.go(0.01, trains=True)
    assert link.probe.look(link.now).capacity_bps == pytest.approx(300_000, rel=0.15)


def test_trains_after_a_link_became_narrow_show_it_at_the_second() -> None:
    link = ModelLink(1_500_000)
    before = link.go(4.0, trains=True)
    link.rate_bps = 250_000
    while link.probe.look(link.now).trains < before.trains + 3:
        link.go(0.1, trains=True)
    state = link.probe.look(link.now)
    assert state.settled
    assert state.capacity_bps == pytest.approx(250_000, rel=0.15)


def test_pings_tell_round_trip_queue_and_no_loss() -> None:
    link = ModelLink(250_000)
    calm = link.go(2.0)
    assert calm.round_trip_s == pytest.approx(0.05, abs=0.02)
    assert (calm.queue_s < 0.02, calm.loss) == (True, 0.0)
    link.send(b"", wire_bytes=15_600)  # 500 ms of somebody else's bytes
    state = link.go(0.35)
    assert 0.25 < state.queue_s < 0.55
    assert state.least_round_trip_s is not None
    assert state.least_round_trip_s < 0.07
    assert link.go(2.0).queue_s < 0.02


def test_queue_is_seen_while_nothing_comes_back_at_all() -> None:
    link = ModelLink(250_000)
    link.go(1.0)
    link.send(b"", wire_bytes=1_000_000)
    assert link.go(2.0).queue_s > 1.5


def test_loss_of_single_pings_is_counted_and_is_no_queue() -> None:
    link = ModelLink(5_000_000, loss=0.2)
    states = [link.go(0.1) for _ in range(300)]
    assert sum(state.loss for state in states) / 300 == pytest.approx(0.2, abs=0.08)
    assert sum(state.queue_s > 0.3 for state in states) < 30


@settings(deadline=None)
@given(garbage=st.binary(max_size=64))
def test_probe_takes_any_garbage_as_nothing(garbage: bytes) -> None:
    probe = PathProbe(ENOUGH_BPS)
    probe.ping(1.0)
    probe.train(1.1)
    probe.take(garbage, 1.2)
    state = probe.look(1.3)
    assert state.trains == 0


def test_probe_forgotten_ping_is_no_queue() -> None:
    link = ModelLink(1_000_000)
    link.go(1.0)
    for _ in range(10):
        link.probe.ping(link.now)
        link.probe.forget_ping()
    assert link.go(2.0, pings=False).queue_s < 0.02


def test_probe_forgotten_train_is_not_waited_for() -> None:
    probe = PathProbe(ENOUGH_BPS)
    probe.train(1.0)
    assert probe.has_train_under_way
    probe.forget_train()
    assert not probe.has_train_under_way


@pytest.mark.parametrize("kbps", [64, 250, 400, 800, 1500, 20_000])
def test_careful_trains_find_what_a_link_carries_now_and_none_fills_it(kbps: int) -> None:
    link = ModelLink(20_000_000)
    assert link.go(5.0, trains=True).capacity_bps == ENOUGH_BPS
    link.rate_bps, link.trains_bytes = kbps * 1000, []
    link.probe.be_careful()
    state = link.go(4.0, trains=True)
    assert state.settled
    assert state.capacity_bps == pytest.approx(min(kbps * 1000, ENOUGH_BPS), rel=0.1)
    assert max(link.trains_bytes) * 8 / link.rate_bps < 2.6 * TRAIN_S
