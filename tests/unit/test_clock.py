"""The offset estimate: right within its own uncertainty, whatever the clocks do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.clock import DRIFT_PPM, SLEW_PPM, OffsetEstimate, SteadyClock, boot_name

SECOND_NS = 1_000_000_000


def exchange(
    estimate: OffsetEstimate, true_offset_ns: int, wall_ns: int, there_ns: int, back_ns: int
) -> int:
    """Feed one exchange over a path with these delays; return our wall clock at its end."""
    t2_ns = wall_ns + there_ns + true_offset_ns
    end_ns = wall_ns + there_ns + back_ns
    estimate.add(wall_ns, t2_ns, t2_ns, end_ns, end_ns)
    return end_ns


def test_offset_unknown_before_the_first_exchange() -> None:
    assert OffsetEstimate().at(0, 0) is None


@given(
    offset_s=st.integers(-600, 600),
    delays=st.lists(
        st.tuples(st.integers(0, SECOND_NS), st.integers(0, SECOND_NS)), min_size=1, max_size=12
    ),
)
def test_offset_is_right_within_its_uncertainty(
    offset_s: int, delays: list[tuple[int, int]]
) -> None:
    estimate, now_ns = OffsetEstimate(), 10_000 * SECOND_NS
    for there_ns, back_ns in delays:
        now_ns = exchange(estimate, offset_s * SECOND_NS, now_ns, there_ns, back_ns)
    offset = estimate.at(now_ns, now_ns)
    assert offset is not None
    assert abs(offset.offset_ns - offset_s * SECOND_NS) <= offset.uncertainty_ns + 1


def test_offset_uncertainty_grows_with_age() -> None:
    estimate = OffsetEstimate()
    now_ns = exchange(estimate, 0, SECOND_NS, 1000, 1000)
    later_ns = now_ns + 1000 * SECOND_NS
    offset = estimate.at(later_ns, later_ns)
    assert offset is not None
    assert offset.uncertainty_ns == 1000 + 1000 * SECOND_NS * DRIFT_PPM // 1_000_000


def test_offset_follows_a_jump_of_our_wall_clock_at_once() -> None:
    estimate = OffsetEstimate()
    now_ns = exchange(estimate, 0, 10_000 * SECOND_NS, 1000, 1000)
    set_back_ns = now_ns - 3600 * SECOND_NS
    offset = estimate.at(set_back_ns, now_ns)
    assert offset is not None
    assert set_back_ns + offset.offset_ns == now_ns


def test_offset_impossible_exchange_is_ignored() -> None:
    estimate = OffsetEstimate()
    estimate.add(100, 50, 40, 110, 110)
    estimate.add(100, 50, 50, 90, 90)
    assert estimate.at(110, 110) is None


class Machine:
    """The two clocks of a machine whose wall clock can be set, and which runs at its own rate."""

    def __init__(self, wall_ns: int = 10_000 * SECOND_NS) -> None:
        self.true_ns = 0
        self.rate_ppm = 0
        self.set_ns = wall_ns

    def wall_ns(self) -> int:
        return self.monotonic_ns() + self.set_ns

    def monotonic_ns(self) -> int:
        return self.true_ns + self.true_ns * self.rate_ppm // 1_000_000


JUMPS = st.lists(
    st.tuples(st.integers(1, 600), st.integers(-7200, 7200), st.booleans()), min_size=1, max_size=30
)


@given(moves=JUMPS, after_s=st.integers(0, 20_000))
def test_steady_clock_wall_set_at_will_never_runs_backwards(
    moves: list[tuple[int, int, bool]], after_s: int
) -> None:
    machine = Machine()
    clock = SteadyClock(machine, after_ns=after_s * SECOND_NS)
    before_ns = first_ns = clock.wall_ns()
    assert first_ns == max(10_000, after_s) * SECOND_NS
    for passed_s, jump_s, looks in moves:
        machine.true_ns += passed_s * SECOND_NS
        machine.set_ns += jump_s * SECOND_NS
        if looks:
            now_ns = clock.wall_ns()
            assert now_ns >= before_ns
            before_ns = now_ns
    elapsed_ns = machine.true_ns
    error_ns = abs(clock.wall_ns() - first_ns - elapsed_ns)
    assert error_ns <= elapsed_ns * SLEW_PPM // 1_000_000 + 1


def test_steady_clock_says_how_far_the_machines_was_set() -> None:
    machine = Machine()
    clock = SteadyClock(machine)
    machine.set_ns -= 3600 * SECOND_NS
    assert clock.behind_machine_ns == -3600 * SECOND_NS


def test_steady_clock_read_often_follows_what_ntp_slews() -> None:
    machine = Machine()
    clock = SteadyClock(machine)
    for _ in range(10_000):
        machine.true_ns += 1_000_000
        machine.set_ns += 100  # 100 ppm
        clock.wall_ns()
    assert abs(clock.behind_machine_ns) <= 100


@given(
    rate_ppm=st.integers(-500, 500),
    steps=st.lists(
        st.tuples(
            st.integers(1, 120), st.integers(-7200, 7200), st.booleans(),
            st.integers(0, 2000), st.integers(0, 2000),
        ),
        min_size=1, max_size=60,
    ),
)  # fmt: skip
def test_offset_with_jumps_and_drift_keeps_the_order(
    rate_ppm: int, steps: list[tuple[int, int, bool, int, int]]
) -> None:
    """Whatever the wall clock, the quartz and the path do: what was made later is told later."""
    machine, estimate = Machine(), OffsetEstimate()
    machine.rate_ppm = rate_ppm
    told: list[int] = []
    for passed_s, jump_s, asks, there_ms, back_ms in steps:
        machine.true_ns += passed_s * SECOND_NS
        machine.set_ns += jump_s * SECOND_NS
        if asks:
            t1_ns = machine.wall_ns()
            machine.true_ns += there_ms * 1_000_000
            t2_ns = machine.true_ns
            machine.true_ns += back_ms * 1_000_000
            estimate.add(t1_ns, t2_ns, t2_ns, machine.wall_ns(), machine.monotonic_ns())
        offset = estimate.at(machine.wall_ns(), machine.monotonic_ns())
        if offset is not None:
            told.append(machine.wall_ns() + offset.offset_ns)
    assert told == sorted(told)


def talk(estimate: OffsetEstimate, machine: Machine, times: int, hub_ns: int = 0) -> None:
    """Make exchanges 10 s apart over a path of 20 ms; the hub's clock is ``hub_ns`` ahead."""
    for _ in range(times):
        machine.true_ns += 10 * SECOND_NS
        t1_ns = machine.wall_ns()
        machine.true_ns += 10_000_000
        t2_ns = machine.true_ns + hub_ns
        machine.true_ns += 10_000_000
        estimate.add(t1_ns, t2_ns, t2_ns, machine.wall_ns(), machine.monotonic_ns())


@pytest.mark.parametrize("rate_ppm", [-400, -30, 0, 30, 400])
def test_offset_after_an_hour_without_the_hub_still_knows_its_uncertainty(rate_ppm: int) -> None:
    machine, estimate = Machine(), OffsetEstimate()
    machine.rate_ppm = rate_ppm
    talk(estimate, machine, 180)
    machine.true_ns += 3600 * SECOND_NS
    offset = estimate.at(machine.wall_ns(), machine.monotonic_ns())
    assert offset is not None
    error_ns = abs(machine.wall_ns() + offset.offset_ns - machine.true_ns)
    assert error_ns <= offset.uncertainty_ns
    assert offset.uncertainty_ns < SECOND_NS // 4  # not by claiming nothing


def test_offset_hub_set_forward_is_followed_at_the_next_exchange() -> None:
    machine, estimate = Machine(), OffsetEstimate()
    talk(estimate, machine, 8)
    talk(estimate, machine, 1, hub_ns=3600 * SECOND_NS)
    offset = estimate.at(machine.wall_ns(), machine.monotonic_ns())
    assert offset is not None
    assert estimate.steps == 1
    told_ns = machine.wall_ns() + offset.offset_ns
    assert abs(told_ns - machine.true_ns - 3600 * SECOND_NS) <= offset.uncertainty_ns


def test_offset_hub_set_back_never_goes_back_and_says_how_uncertain() -> None:
    machine, estimate = Machine(), OffsetEstimate()
    talk(estimate, machine, 8)
    before = estimate.at(machine.wall_ns(), machine.monotonic_ns())
    assert before is not None
    before_ns = machine.wall_ns() + before.offset_ns
    talk(estimate, machine, 1, hub_ns=-3600 * SECOND_NS)
    after = estimate.at(machine.wall_ns(), machine.monotonic_ns())
    assert after is not None
    assert machine.wall_ns() + after.offset_ns >= before_ns
    assert after.uncertainty_ns > 3590 * SECOND_NS


def test_offset_anchor_lets_a_restarted_process_go_on_without_an_exchange() -> None:
    machine, estimate = Machine(), OffsetEstimate()
    talk(estimate, machine, 8)
    anchor = estimate.anchor(machine.monotonic_ns())
    assert anchor is not None
    machine.set_ns -= 3600 * SECOND_NS  # killed, and the clock set back meanwhile
    machine.true_ns += 5 * SECOND_NS
    again = OffsetEstimate()
    again.restore(anchor)
    offset = again.at(machine.wall_ns(), machine.monotonic_ns())
    assert offset is not None
    assert abs(machine.wall_ns() + offset.offset_ns - machine.true_ns) <= offset.uncertainty_ns


def test_boot_name_is_the_same_for_every_process_of_a_boot() -> None:
    assert boot_name() == boot_name()
    assert len(boot_name()) <= 12
