"""What a caller's page writes: characters once, lines with names, whole again after a restart."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.text_book import Conversation
from dispatch.text_session import LONGEST_LINE, MOST_TAKEN, CallerWriting, TextGapError
from streams.t140 import LINE_SEPARATOR, T140Display

SESSION = "01M83NCZH7DD9GW522XZ9DRHNH"
PIECES = st.lists(
    st.text(alphabet="ab é你👩‍🦰\b" + LINE_SEPARATOR, max_size=12), min_size=1, max_size=12
)


def names() -> Callable[[], str]:
    numbers: Iterator[int] = itertools.count()
    return lambda: f"{next(numbers):026}"


def writing() -> CallerWriting:
    return CallerWriting(SESSION, "page", names())


def store(one: CallerWriting, book: Conversation) -> None:
    """Store what waits, as the desk does."""
    lines = one.unstored(10**18, 0)
    for line, body in [(line, one.turn_of(line)) for line in lines]:
        book.take(body)
        line.stored = body.text, body.finished


def stored_lines(book: Conversation) -> list[str]:
    return [turn.text for turn in book.turns.values() if turn.text]


def test_line_has_its_name_from_its_first_character_to_its_end() -> None:
    one = writing()
    (first,) = one.take(0, "a", 5)
    assert (first.turn, first.text, first.finished, first.begun_ns) == ("0" * 26, "a", False, 5)
    changed = one.take(1, "b" + LINE_SEPARATOR + "c", 9)
    assert [(line.text, line.finished, line.begun_ns) for line in changed] == [
        ("ab", True, 5), ("c", False, 9),
    ]  # fmt: skip
    assert changed[0].turn == first.turn


def test_what_came_before_is_left_out_and_a_gap_is_named() -> None:
    one = writing()
    one.take(0, "abc", 1)
    assert one.take(0, "abc", 1) == []
    one.take(1, "bcd", 1)
    assert (one.taken, one.lines[0].text) == (4, "abcd")
    with pytest.raises(TextGapError, match="4 to 6 are missing"):
        one.take(6, "x", 1)
    assert one.taken == 4


def test_endless_line_is_ended_and_endless_writing_is_refused() -> None:
    one = writing()
    for _ in range(3):
        one.take(one.taken, "x" * (LONGEST_LINE // 2), 1)
    assert [line.finished for line in one.lines] == [True, False]
    with pytest.raises(TextGapError, match="no person"):
        one.take(one.taken, "y" * (MOST_TAKEN + 1), 1)


def test_nothing_waits_before_a_pause_and_all_of_it_after_one() -> None:
    one = writing()
    one.take(0, "ab", 1000)
    assert one.unstored(1500, 1000) == []
    assert one.unstored(2000, 1000) == one.lines


@given(PIECES)
def test_any_pieces_give_the_lines_that_one_whole_gives(pieces: list[str]) -> None:
    one, display = writing(), T140Display()
    for piece in pieces:
        if piece:
            one.take(one.taken, piece, 1)
    display.take("".join(pieces))
    assert [line.text for line in one.lines if line.text] == [
        line for line in display.lines if line
    ]


@given(PIECES, st.data())
def test_restart_anywhere_with_all_sent_again_loses_and_doubles_nothing(
    pieces: list[str], data: st.DataObject
) -> None:
    """The hub ends at any moment; the page sends from where the new one says it has come to."""
    whole, book, one = "".join(pieces), Conversation(), writing()
    new_turn = names()
    one = CallerWriting(SESSION, "page", new_turn)
    for number, piece in enumerate(pieces):
        if piece:
            one.take(one.taken, piece, number)
        if data.draw(st.booleans(), label="stored"):
            store(one, book)
        if data.draw(st.booleans(), label="restart"):
            one = CallerWriting.again(SESSION, "page", new_turn, book.turns.values())
            sent = "".join(pieces[: number + 1])
            if sent[one.taken :]:
                one.take(one.taken, sent[one.taken :], number)
    store(one, book)
    display = T140Display()
    display.take(whole)
    assert stored_lines(book) == [line for line in display.lines if line]
