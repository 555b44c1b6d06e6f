"""One direction of a link of the network in a box: order, times, drops, and that all is counted."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.network_conditions import Conditions, Cut, NetworkBoxError
from bench.network_queue import LinkQueue

KB = bytes(1000)


def packet(number: int, size: int = 1000) -> bytes:
    return number.to_bytes(4, "big").ljust(size, b"\0")


@dataclass
class Run:
    """A link whose clock is turned by hand; notes each arrival as (time, packet)."""

    link: LinkQueue
    now: float = 0.0
    arrived: list[tuple[float, bytes]] = field(default_factory=list)

    def until(self, time: float) -> None:
        """Let time pass, with a look at every moment that the link names."""
        while self.link.next_s <= time:
            self.now = max(self.now, self.link.next_s)
            self.arrived += [(self.now, one) for one in self.link.due(self.now)]
        self.now = max(self.now, time)

    @property
    def numbers(self) -> list[int]:
        return [int.from_bytes(one[:4], "big") for _, one in self.arrived]


def run_of(conditions: Conditions, seed: int = 1) -> Run:
    return Run(LinkQueue(conditions, seed))


def test_packet_alone_arrives_after_its_sending_and_the_delay() -> None:
    run = run_of(Conditions(delay_ms=30, rate_kbps=800))  # 1000 bytes take 10 ms
    run.link.offer(KB, 0.0)
    run.until(1.0)
    assert [at for at, _ in run.arrived] == [pytest.approx(0.040)]


def test_packets_at_once_come_one_after_another_at_the_rate() -> None:
    run = run_of(Conditions(rate_kbps=800))
    for number in range(5):
        run.link.offer(packet(number), 0.0)
    run.until(1.0)
    assert [at for at, _ in run.arrived] == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05])
    assert run.numbers == [0, 1, 2, 3, 4]


def test_packet_that_is_being_sent_goes_on_at_the_new_rate() -> None:
    run = run_of(Conditions(rate_kbps=800))
    run.link.offer(KB, 0.0)
    run.until(0.005)
    run.link.change(Conditions(rate_kbps=80), 0.005)  # half of it is left: 50 ms
    run.until(1.0)
    assert [at for at, _ in run.arrived] == [pytest.approx(0.055)]


def test_full_queue_drops_what_comes_last() -> None:
    run = run_of(Conditions(rate_kbps=800, queue_ms=100))  # room for 10 000 bytes
    for number in range(15):
        run.link.offer(packet(number), 0.0)
    run.until(1.0)
    assert run.numbers == list(range(10))
    assert run.link.counters.dropped_queue == 5


@pytest.mark.parametrize(
    ("conditions", "room"),
    [
        (Conditions(queue_bytes=10_000), 10_000),
        (Conditions(rate_kbps=8, queue_ms=100), 3000),  # two packets always have room
        (Conditions(rate_kbps=8000, queue_ms=None, queue_bytes=50_000), 50_000),
        (Conditions(rate_kbps=8000, queue_ms=10, queue_bytes=50_000), 10_000),
    ],
)
def test_room_of_a_queue_is_the_smaller_of_its_bounds(conditions: Conditions, room: int) -> None:
    assert conditions.room_bytes == room


def test_cut_that_drops_lets_nothing_through_and_empties_the_queue() -> None:
    run = run_of(Conditions(rate_kbps=800))
    for number in range(3):
        run.link.offer(packet(number), 0.0)
    run.until(0.015)  # the first has come, the second is half sent
    run.link.change(Conditions(rate_kbps=800, cut=Cut.DROPPED), 0.015)
    run.link.offer(packet(3), 0.1)
    run.until(5.0)
    run.link.change(Conditions(rate_kbps=800), 5.0)
    run.link.offer(packet(4), 5.0)
    run.until(9.0)
    assert run.numbers == [0, 4]
    assert run.link.counters.dropped_cut == 3


def test_cut_that_holds_lets_all_through_when_it_ends() -> None:
    held = Conditions(rate_kbps=800, cut=Cut.HELD)
    run = run_of(held)
    for number in range(3):
        run.link.offer(packet(number), number / 10)
    run.until(30.0)
    assert run.link.next_s == math.inf
    run.link.change(msgspec.structs.replace(held, cut=None), 30.0)
    run.until(31.0)
    assert [at for at, _ in run.arrived] == pytest.approx([30.01, 30.02, 30.03])


def test_packet_under_way_arrives_though_the_link_is_cut_behind_it() -> None:
    run = run_of(Conditions(delay_ms=100))
    run.link.offer(KB, 0.0)
    run.link.change(Conditions(cut=Cut.DROPPED), 0.05)
    run.until(1.0)
    assert [at for at, _ in run.arrived] == [pytest.approx(0.1)]


def test_shorter_delay_does_not_let_later_packets_overtake() -> None:
    run = run_of(Conditions(delay_ms=500))
    run.link.offer(packet(0), 0.0)
    run.link.change(Conditions(delay_ms=10), 0.1)
    run.link.offer(packet(1), 0.1)
    run.until(1.0)
    assert run.numbers == [0, 1]
    assert run.arrived[1][0] == pytest.approx(0.5)


def test_reordered_packets_are_overtaken_and_all_arrive() -> None:
    run = run_of(Conditions(delay_ms=10, reordered=0.1, reorder_ms=25))
    for number in range(1000):
        run.until(number / 100)
        run.link.offer(packet(number), number / 100)
    run.until(20.0)
    assert sorted(run.numbers) == list(range(1000))
    overtaken = sum(later < earlier for earlier, later in itertools.pairwise(run.numbers))
    assert 60 <= overtaken <= 140  # 100 +- 4 standard deviations


def test_lost_packets_are_the_stated_share_and_the_same_for_the_same_seed() -> None:
    def losses(seed: int) -> list[int]:
        run = run_of(Conditions(loss=0.2), seed)
        for number in range(5000):
            run.link.offer(packet(number), 0.0)
            run.until(0.0)
        assert run.link.counters.dropped_loss == 5000 - len(run.numbers)
        return run.numbers

    assert losses(1) == losses(1) != losses(2)
    assert abs(len(losses(1)) - 4000) <= 4 * math.sqrt(5000 * 0.2 * 0.8)


def test_late_look_is_counted_as_late() -> None:
    link = LinkQueue(Conditions(delay_ms=10), 1)
    link.offer(KB, 0.0)
    link.offer(KB, 0.1)
    assert link.due(0.015) == [KB]
    assert link.due(0.1115) == [KB]
    assert link.counters.late == 1
    assert link.counters.latest_ms == pytest.approx(5.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"delay_ms": -1.0},
        {"delay_ms": math.nan},
        {"loss": 1.1},
        {"reordered": -0.1},
        {"rate_kbps": 0.0},
        {"queue_ms": 0.0},
        {"queue_bytes": 0},
    ],
)
def test_conditions_that_no_link_has_are_refused_by_the_fields_name(
    wrong: dict[str, float],
) -> None:
    (name,) = wrong
    with pytest.raises(NetworkBoxError, match=name):
        Conditions(**wrong)  # type: ignore[arg-type]


CONDITIONS = st.builds(
    Conditions,
    delay_ms=st.floats(0, 300),
    jitter_ms=st.floats(0, 100),
    loss=st.sampled_from([0.0, 0.1, 1.0]),
    reordered=st.sampled_from([0.0, 0.2]),
    rate_kbps=st.none() | st.floats(1, 10_000),
    queue_ms=st.none() | st.floats(1, 2000),
    queue_bytes=st.integers(1, 20_000),
    cut=st.none() | st.sampled_from(Cut),
)
STEPS = st.lists(
    st.tuples(
        st.floats(0, 0.2),  # time that passes before it
        st.one_of(st.integers(20, 1500), CONDITIONS, st.just("lose_all"), st.just("look")),
    ),
    max_size=60,
)


@given(CONDITIONS, STEPS)
def test_every_packet_is_delivered_dropped_or_waiting_whatever_happens(
    conditions: Conditions, steps: list[tuple[float, int | Conditions | str]]
) -> None:
    run = run_of(conditions)
    link, offered = run.link, 0
    for passed, step in steps:
        if step == "look":
            run.until(run.now + passed)
        run.now += passed  # else nobody looks before the next thing happens
        match step:
            case int():
                link.offer(packet(offered, step), run.now)
                offered += 1
            case Conditions():
                link.change(step, run.now)
            case "lose_all":
                link.lose_all()
        counters = link.counted()
        assert counters.packets == offered
        assert counters.packets == counters.delivered + counters.dropped + counters.waiting
    link.change(Conditions(), run.now)
    run.until(run.now + 1000)
    assert link.counted().waiting == 0
    assert link.next_s == math.inf
    assert link.counters.delivered == len(run.arrived) == len(set(run.numbers))
    assert link.counters.delivered_octets == sum(len(one) for _, one in run.arrived)


@given(
    st.floats(0, 300), st.floats(0, 300), st.none() | st.floats(10, 10_000),
    st.lists(st.tuples(st.floats(0, 0.1), st.integers(20, 1500)), max_size=50),
)  # fmt: skip
def test_order_is_kept_and_nothing_comes_early_with_any_jitter_and_rate(
    delay_ms: float, jitter_ms: float, rate_kbps: float | None, traffic: list[tuple[float, int]]
) -> None:
    run = run_of(Conditions(delay_ms=delay_ms, jitter_ms=jitter_ms, rate_kbps=rate_kbps))
    sent = []
    for number, (passed, size) in enumerate(traffic):
        run.until(run.now + passed)
        run.link.offer(packet(number, size), run.now)
        sent.append(run.now)
    run.until(run.now + 1000)
    assert run.numbers == sorted(run.numbers)
    for at, one in run.arrived:
        sending_s = 0.0 if rate_kbps is None else len(one) * 8 / (rate_kbps * 1000)
        quickest = sending_s + max(0.0, delay_ms - jitter_ms) / 1000
        assert at - sent[int.from_bytes(one[:4], "big")] >= quickest - 1e-9


@given(st.floats(8, 10_000), st.lists(st.floats(8, 10_000), min_size=1, max_size=10))
def test_busy_link_sends_exactly_what_its_rates_allow(first: float, rates: list[float]) -> None:
    run = run_of(Conditions(rate_kbps=first, queue_ms=None, queue_bytes=10**8))
    for number in range(1200):
        run.link.offer(packet(number, 1500), 0.0)
    allowed = 0.0
    for rate, following in zip([first, *rates], [*rates, None], strict=True):
        run.until(run.now + 0.1)
        allowed += rate * 1000 * 0.1 / 8
        assert 0 <= allowed - 1500 * len(run.arrived) <= 1500 + 1e-6
        if following is not None:
            run.link.change(Conditions(rate_kbps=following, queue_ms=None), run.now)
