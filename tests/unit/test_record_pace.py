"""The record's pace: whole windows on a wide link, small single blocks on a narrow one."""

from __future__ import annotations

import pytest

from onboard.ecg_keeping import LEAST_RECORD_BYTES, RECORD_BYTES
from onboard.record_pace import LARGE_WAITS_S, WAITS_S, WINDOW, RecordLimit, RecordPace


def look(
    pace: RecordPace,
    now: float,
    queue_s: float = 0.0,
    kbps: float | None = 2000,
    *,
    narrow: bool = False,
    empties: bool = False,
    untold: bool = False,
) -> RecordLimit:
    capacity_bps = None if kbps is None else kbps * 1000
    return pace.look(
        now, queue_s=queue_s, capacity_bps=capacity_bps, narrow=narrow, empties=empties,
        untold=untold,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("kbps", "size"), [(None, RECORD_BYTES), (2000, RECORD_BYTES), (400, 10_000), (64, 5_000)]
)
def test_new_block_takes_no_more_of_the_link_than_stated(kbps: float | None, size: int) -> None:
    assert look(RecordPace(0.0), 1.0, kbps=kbps) == RecordLimit(WINDOW, size)


def test_block_is_not_begun_into_a_queue_unless_it_waited_and_never_while_it_is_emptied() -> None:
    pace = RecordPace(0.0)
    assert look(pace, 1.0, queue_s=0.2).on_the_way == 0
    assert look(pace, WAITS_S + 0.1, queue_s=0.2).on_the_way == WINDOW
    assert look(pace, WAITS_S + 0.2, queue_s=0.2).on_the_way == 0, "one wait lets one look through"
    assert look(pace, 90.0, queue_s=0.2, empties=True).on_the_way == 0
    assert look(pace, 91.0, untold=True).on_the_way == 0, "the queue is gone, its cause not known"


def test_block_from_a_wider_link_waits_on_a_narrow_one_and_then_goes_alone() -> None:
    pace = RecordPace(0.0)
    assert look(pace, 1.0).largest_bytes is None
    kept = RecordLimit(1, LEAST_RECORD_BYTES, 2 * LEAST_RECORD_BYTES)
    assert look(pace, 2.0, kbps=64, narrow=True) == kept
    assert look(pace, 0.9 + LARGE_WAITS_S, kbps=64, narrow=True) == kept
    assert look(pace, 1.1 + LARGE_WAITS_S, kbps=64, narrow=True).largest_bytes is None
    assert look(pace, 1.2 + LARGE_WAITS_S, kbps=64, narrow=True) == kept
    assert look(pace, 2.0 + LARGE_WAITS_S, kbps=400, narrow=True).largest_bytes == 50_000


def test_pace_of_an_unknown_path_is_one_block_of_the_size_known_last() -> None:
    pace = RecordPace(0.0)
    look(pace, 1.0, kbps=64, narrow=True)
    assert pace.blind() == RecordLimit(1, LEAST_RECORD_BYTES)
    assert pace.free() == RecordLimit(WINDOW, LEAST_RECORD_BYTES)
