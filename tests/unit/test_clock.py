"""The offset estimate: right within its own uncertainty, whatever the clocks do."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.clock import DRIFT_PPM, OffsetEstimate

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
