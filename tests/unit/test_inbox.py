"""The inbox: any order and any repeat give the same picture of what is there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.inbox import Inbox, Line

LINE = Line("unit-7", "E", "facts")
OTHER = Line("unit-7", "E", "urgent")


def test_inbox_gap_is_named_until_it_is_filled() -> None:
    inbox = Inbox()
    assert [inbox.take(LINE, number) for number in (1, 2, 5, 9)] == [1, 2, 2, 2]
    assert inbox.missing(LINE) == [(3, 4), (6, 8)]
    assert inbox.ahead(LINE) == [(5, 5), (9, 9)]
    for number in (3, 4, 6, 7, 8):
        inbox.take(LINE, number)
    assert inbox.stored(LINE) == 9
    assert inbox.missing(LINE) == []


def test_inbox_lines_do_not_mix() -> None:
    inbox = Inbox()
    inbox.take(LINE, 1)
    assert inbox.stored(OTHER) == 0
    assert not inbox.has(OTHER, 1)
    inbox.take(OTHER, 2)
    assert inbox.lines("unit-7", "E") == {"facts": 1, "urgent": 0}
    assert inbox.lines("unit-7", "another epoch") == {}


@given(st.lists(st.integers(1, 40), max_size=120))
def test_inbox_any_order_and_repeat_ends_the_same(numbers: list[int]) -> None:
    inbox = Inbox()
    for number in numbers:
        inbox.take(LINE, number)
    expected = 0
    while expected + 1 in numbers:
        expected += 1
    assert inbox.stored(LINE) == expected
    assert all(inbox.has(LINE, number) == (number in numbers) for number in range(1, 41))
    restored = Inbox()
    restored.restore(LINE, inbox.stored(LINE), inbox.ahead(LINE))
    assert restored.missing(LINE) == inbox.missing(LINE)
    copy = inbox.copy()
    copy.take(LINE, expected + 1)
    assert inbox.stored(LINE) == expected, "a copy goes ahead alone"
