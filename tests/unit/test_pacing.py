"""The pace of video packets, with a clock of the test's own."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.pacing import BURST_BYTES, Pace


def leave(pace: Pace, sizes: list[int], now: float) -> list[float]:
    """When each packet leaves, if its sender waits as it is told."""
    times = []
    for size in sizes:
        while wait_s := pace.take(size, now):
            now += max(wait_s, 1e-6)
        times.append(now)
    return times


def test_pace_of_a_key_frame_spreads_it_over_its_time() -> None:
    times = leave(Pace(400_000), [1200] * 25, 10.0)
    assert times[1] == times[0] == 10.0  # two packets may leave at once
    assert times[-1] - times[0] == pytest.approx((30_000 - BURST_BYTES) * 8 / 400_000, rel=0.01)


@given(
    rate_bps=st.floats(10_000, 5_000_000),
    sizes=st.lists(st.integers(1, 1500), min_size=1, max_size=100),
)
def test_pace_never_lets_more_than_its_rate_and_one_burst_pass(
    rate_bps: float, sizes: list[int]
) -> None:
    times = leave(Pace(rate_bps), sizes, 5.0)
    sent = 0
    for size, at in zip(sizes, times, strict=True):
        sent += size
        assert sent <= BURST_BYTES + (at - 5.0) * rate_bps / 8 + 1.0


def test_pace_of_zero_holds_until_another_rate_comes() -> None:
    pace = Pace(100_000)
    leave(pace, [1200, 1200], 0.0)
    pace.change(0, 0.0)
    assert pace.take(1200, 100.0) == math.inf
    pace.change(100_000, 100.0)
    assert pace.take(1200, 100.0) == pytest.approx(0.088, abs=0.001)


def test_pace_larger_packet_than_the_bucket_goes_when_it_is_full_and_leaves_a_debt() -> None:
    pace = Pace(80_000, burst_bytes=1000)
    assert pace.take(3000, 0.0) == 0.0
    assert pace.take(1000, 0.0) == pytest.approx(0.3)


def test_pace_of_a_clock_that_goes_back_gives_nothing_away() -> None:
    pace = Pace(80_000)
    leave(pace, [BURST_BYTES], 50.0)
    assert pace.take(BURST_BYTES, 10.0) == pytest.approx(0.25)
    assert pace.take(BURST_BYTES, 50.0) == pytest.approx(0.25)


def test_emptied_bucket_lets_nothing_leave_before_its_rate_made_room() -> None:
    pace = Pace(8_000, burst_bytes=10_000)
    assert pace.take(1_000, 1.0) == 0
    pace.empty()
    assert pace.take(1_000, 1.0) == pytest.approx(1.0)
    assert pace.take(1_000, 2.0) == 0
