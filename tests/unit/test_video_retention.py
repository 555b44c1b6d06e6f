"""Which kept video goes first, and when more may be written."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from onboard.video_retention import Limits, VideoSegment, may_write, of_one_case, surplus

LIMITS = Limits(keep_free_bytes=1000, margin_bytes=200, most_bytes=10_000, keep_ns=100)


def segment(case: str, start_ns: int, size: int = 100) -> VideoSegment:
    return VideoSegment(Path(f"{case}/{start_ns}.mkv"), case, start_ns, size)


def test_surplus_without_room_goes_from_ended_cases_first_then_from_the_oldest() -> None:
    kept = [segment("running", 1), segment("b", 3), segment("a", 2), segment("running", 9)]
    gone = surplus(kept, "running", 950, 50, LIMITS)
    assert [(one.case, one.start_ns, why) for one, why in gone] == [
        ("a", 2, "room"), ("b", 3, "room"), ("running", 1, "room")
    ]  # fmt: skip
    assert surplus(kept, "running", 1000, 50, LIMITS) == []


def test_surplus_where_the_system_does_not_tell_the_room_is_not_the_whole_folder() -> None:
    kept = [segment("a", 1), segment("running", 2)]
    assert surplus(kept, "running", -1, 50, LIMITS) == []


def test_surplus_of_age_and_size_goes_whatever_room_there_is() -> None:
    old, big, newest = segment("a", 1), segment("b", 120, 9_000), segment("running", 150, 2_000)
    gone = surplus([newest, big, old], "running", 10**9, 160, LIMITS)
    assert gone == [(old, "age"), (big, "size")]
    assert list(of_one_case(gone)) == [("a", "age"), ("b", "size")]


def test_may_write_after_a_pause_needs_a_margin() -> None:
    assert may_write(1000, LIMITS, writing=True)
    assert not may_write(999, LIMITS, writing=True)
    assert not may_write(1199, LIMITS, writing=False)
    assert may_write(1200, LIMITS, writing=False)


@given(
    st.lists(st.tuples(st.sampled_from("abr"), st.integers(0, 99), st.integers(1, 500)),
             unique_by=lambda one: one[:2]),
    st.integers(0, 3000),
)  # fmt: skip
def test_surplus_leaves_room_or_nothing_and_takes_no_more_than_it_must(
    made: list[tuple[str, int, int]], free: int
) -> None:
    kept = [segment(*one) for one in made]
    gone = [one for one, _ in surplus(kept, "r", free, 99, LIMITS)]
    after = free + sum(one.size_bytes for one in gone)
    assert len(set(gone)) == len(gone)
    if free < 1000:
        assert after >= 1200 or len(gone) == len(kept)
        assert not gone or after - gone[-1].size_bytes < 1200
    assert not gone or gone[-1].case != "r" or all(one in gone for one in kept if one.case != "r")
