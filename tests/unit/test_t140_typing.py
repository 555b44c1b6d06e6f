"""From a field to T.140 and back: what the other side shows is what the field holds."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.t140 import T140Display
from streams.t140_typing import (
    LONGEST_FIELD,
    CharacterAllowance,
    FieldTooLongError,
    T140Typing,
    as_sent,
)
from tests.t140_texts import fields, typed


def drain(typing: T140Typing, now: float) -> tuple[list[str], float]:
    """All that is still sent, and when it was over."""
    pieces = []
    while (due := typing.due(now)) is not None:
        now = max(now, due)
        pieces.append(typing.take(now))
        assert pieces[-1], "what is due is sent"
    assert typing.is_idle
    return pieces, now


def sent_for(*states: str) -> str:
    """What goes out when a field has these states, with all the time it needs between them."""
    typing, now, pieces = T140Typing(), 0.0, ""
    for state in states:
        typing.edit(state)
        more, now = drain(typing, now + 100)
        pieces += "".join(more)
    return pieces


def test_typing_at_the_end_sends_only_what_is_new() -> None:
    assert sent_for("h", "he", "help") == "help"


def test_edit_in_the_middle_erases_back_to_it_and_writes_again() -> None:
    assert sent_for("fire at 5", "fire at 6") == "fire at 5\b6"
    assert sent_for("no 救 me", "no 救命 me") == "no 救 me\b\b\b命 me"


def test_added_mark_joins_the_last_character_without_a_backspace() -> None:
    assert sent_for("e", "e\u0301") == "e\u0301"
    assert sent_for("\U0001f44d", "\U0001f44d\U0001f3fd") == "\U0001f44d\U0001f3fd"


def test_keyboard_that_erases_letter_by_letter_sends_whole_characters() -> None:
    assert sent_for("e\u0301", "e") == "e\u0301\be"
    assert sent_for("\U0001f1e8\U0001f1f3", "\U0001f1e8") == ("\U0001f1e8\U0001f1f3\b\U0001f1e8")


def test_new_lines_go_out_as_line_separators() -> None:
    assert sent_for("a\r\nb\nc") == "a\u2028b\u2028c"
    assert sent_for("a\nb", "ab") == "a\u2028b\b\bb"


def test_pasted_control_characters_do_nothing_at_the_other_side() -> None:
    assert sent_for("a\x1b[2J\x07\bb\x00\ufeff\tc") == "a[2Jb c"
    assert sent_for("a\ufffdb\ud800") == "a□b□"


def test_what_is_typed_and_erased_within_one_interval_is_not_sent() -> None:
    typing = T140Typing()
    typing.edit("a")
    assert typing.take(0.0) == "a"
    typing.edit("ab")
    assert typing.take(0.1) == ""
    typing.edit("a")
    assert typing.due(0.2) is None


def test_finished_line_stays_and_the_next_begins_with_an_empty_field() -> None:
    typing, display = T140Typing(), T140Display()
    typing.edit("first")
    typing.end_line()
    typing.edit("second")
    for piece in drain(typing, 0.0)[0]:
        display.take(piece)
    assert display.lines == ["first", "second"]


def test_composition_of_an_input_method_is_sent_once_it_is_committed() -> None:
    # The page tells the field only after each choice: "jiuming" is never seen here.
    assert sent_for("救命", "救命，", "救命，着火了") == "救命，着火了"


def test_pasted_text_goes_out_whole_and_no_faster_than_it_may() -> None:
    typing = T140Typing()
    typing.edit("救命" * 500)
    sent, now = [], 0.0
    while (due := typing.due(now)) is not None:
        now = max(now, due)
        sent.append((now, typing.take(now)))
    assert "".join(piece for _, piece in sent) == "救命" * 500
    assert sent[0][0] == 0.0
    assert 1000 / 30 <= now <= 1000 / 27
    for begin, _ in sent:
        assert sum(len(piece) for at, piece in sent if begin <= at < begin + 10) <= 300
    assert all(later - at >= 0.299 for (at, _), (later, _) in itertools.pairwise(sent))


def test_more_than_a_call_can_carry_is_refused_and_nothing_changes() -> None:
    typing = T140Typing()
    typing.edit("kept")
    with pytest.raises(FieldTooLongError):
        typing.edit("x" * (LONGEST_FIELD + 1))
    typing.end_line()
    typing.edit("x" * LONGEST_FIELD)
    with pytest.raises(FieldTooLongError):
        typing.end_line()
    assert "".join(drain(typing, 0.0)[0]) == "kept\u2028" + "x" * LONGEST_FIELD


@given(typed)
def test_field_as_sent_is_what_a_display_shows_of_it(field: str) -> None:
    assert "".join(as_sent(field)) == field.replace("\r\n", "\n").replace("\u2028", "\n")


@given(fields(), st.integers(), st.booleans())
def test_display_holds_what_the_field_holds_after_any_edits(
    states: list[str], seed: int, has_cuts: bool
) -> None:
    chance = random.Random(seed)
    typing, display, now = T140Typing(), T140Display(), 0.0
    lines: list[str] = []
    out: list[tuple[float, str]] = []
    for state in states:
        typing.edit(state)
        now += chance.choice([0.0, 0.05, 0.3, 2.0])
        out.append((now, typing.take(now)))
        if chance.random() < 0.1:
            typing.end_line()
            lines += ["".join(as_sent(state)), "\n"]
            typing.edit("")
    typing.edit(states[-1])
    while (due := typing.due(now)) is not None:
        now = max(now, due)
        out.append((now, typing.take(now)))
    for _, piece in out:
        for part in piece if has_cuts else [piece]:
            display.take(part)
    assert display.text == "".join(lines) + "".join(as_sent(states[-1]))
    begins = [at for at, piece in out if piece]
    assert all(later - at >= 0.2999 for at, later in itertools.pairwise(begins))
    for begin in begins:
        assert sum(len(piece) for at, piece in out if begin <= at < begin + 10) <= 300


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(1, 30)), max_size=60), st.integers(1, 60))
def test_allowance_never_gives_more_than_its_rate_in_any_ten_seconds(
    asked: list[tuple[float, int]], per_s: int
) -> None:
    allowance, now = CharacterAllowance(per_s), 0.0
    spent: list[tuple[float, int]] = []
    for after, cost in asked:
        now += after
        if cost <= per_s and allowance.covers(cost, now):
            allowance.spend(cost)
            spent.append((now, cost))
    for begin, _ in spent:
        assert sum(cost for at, cost in spent if begin <= at < begin + 10) <= 10 * per_s + 1e-6
