"""The display of real-time text: every code of T.140, however the text is cut."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.graphemes import LONGEST, split
from streams.t140 import MISSING, T140Display
from tests.t140_texts import CHARACTERS, LINES, received, typed


def shown(*pieces: str, kept: int = 8000) -> list[str]:
    """The lines that a display shows after these pieces."""
    display = T140Display(kept=kept)
    for piece in pieces:
        display.take(piece)
    return display.lines


def cut(text: str, seed: int) -> list[str]:
    """The text in pieces of one to four code points."""
    chance = random.Random(seed)
    pieces = []
    while text:
        size = chance.randint(1, 4)
        pieces.append(text[:size])
        text = text[size:]
    return pieces


@pytest.mark.parametrize("character", CHARACTERS)
def test_backspace_erases_a_character_as_people_see_it(character: str) -> None:
    assert split(f"x{character}")[-1] == character
    assert shown(f"12{character}\b") == ["12"]
    assert shown(f"12{character}\b\b") == ["1"]


@pytest.mark.parametrize("line", LINES)
def test_line_separator_in_each_form_begins_one_line_and_is_erased_by_one_backspace(
    line: str,
) -> None:
    assert shown(f"a{line}b") == ["a", "b"]
    assert shown(*f"a{line}b") == ["a", "b"]
    assert shown(f"a{line}\bb") == ["ab"]


def test_lone_returns_and_feeds_each_begin_a_line() -> None:
    assert shown("a\rb\nc\u2029d\u0085e") == ["a", "b", "c", "d", "e"]
    assert shown("\r\r\n\n") == ["", "", "", ""]
    assert shown("a\r", "\ufeff", "\nb") == ["a", "b"]


def test_flags_are_erased_in_pairs_and_a_fifth_letter_alone() -> None:
    letters = "\U0001f1e8\U0001f1f3\U0001f1e9\U0001f1ea\U0001f1e6"
    assert shown(letters + "\b") == [letters[:4]]
    assert shown(letters + "\b\b") == [letters[:2]]


def test_control_sequences_are_consumed_and_text_around_them_stays() -> None:
    assert shown("a\x1b[1;31mb\x9b0mc") == ["abc"]
    assert shown("a\x98anything at all\x9cb\x1bXmore\x1b\\c") == ["abc"]
    assert shown("a\x1bab\x1b(Bc") == ["abc"]
    assert shown("a\x00\x01\x7f\x81b\ufeff") == ["ab"]
    assert shown("a\x9b3\x18b") == ["ab"]


def test_unended_sequence_never_silences_a_caller() -> None:
    assert shown("a\x98lost\nhelp") == ["a", "help"]
    assert shown("a\x98lost\ufffdhelp") == ["a\ufffdhelp"]
    assert shown("a\x98" + "x" * 255 + "help") == ["ahelp"]
    assert shown("a\x9b" + "1" * 31 + "12") == ["a12"]
    assert shown("a\x1b救命") == ["a救命"]


def test_alerts_are_counted_and_never_shown() -> None:
    display = T140Display()
    assert display.take("a\a\ab").alerts == 2
    assert display.text == "ab"
    assert display.take("c").alerts == 0


def test_lost_text_is_one_mark_however_often_it_is_said() -> None:
    assert shown("ab\ufffd\ufffd", "\ufffdcd\ufffd") == ["ab\ufffdcd\ufffd"]


def test_what_belongs_to_a_lost_character_is_part_of_the_mark() -> None:
    assert shown("a\ufffd\u0301b") == ["a\ufffdb"]
    assert shown("a\ufffd\U0001f1f3\U0001f1e9\U0001f1eab") == ["a\ufffdb"]
    assert shown("\ufffd\u200d\U0001f467") == ["\ufffd\U0001f467"]


def test_backspace_never_erases_a_mark_nor_what_is_before_it() -> None:
    assert shown("ab\ufffdc\b\b\b\b\bd") == ["ab\ufffdd"]
    assert shown("ab\ufffd\n\b\bd") == ["ab\ufffdd"]


def test_backspace_before_the_beginning_does_nothing() -> None:
    assert shown("\b\ba\b\b\bb") == ["b"]


def test_half_a_character_at_the_end_is_marked_when_the_sender_is_gone() -> None:
    bytewise = T140Display()
    bytewise.take_bytes("救命".encode()[:-1])
    assert bytewise.text == "救"
    bytewise.finish()
    assert bytewise.text == f"救{MISSING}"
    unitwise = T140Display()
    unitwise.take("a\ud83d")
    unitwise.finish()
    assert unitwise.text == f"a{MISSING}"


def test_lone_surrogates_and_wrong_bytes_are_lost_text() -> None:
    assert shown("a\ude00b") == [f"a{MISSING}b"]
    assert shown("a\ud83d", "b") == [f"a{MISSING}b"]
    display = T140Display()
    display.take_bytes(b"a\xff\xc0\xafb")
    assert display.text == f"a{MISSING}b"


def test_marks_without_end_are_cut_into_characters() -> None:
    assert list(map(len, split("e" + "\u0301" * 100))) == [LONGEST, LONGEST, LONGEST, 11]


def test_old_lines_leave_as_finished_and_stay_out_of_reach() -> None:
    display = T140Display(kept=8)
    left = "".join(display.take(character).left for character in "one\ntwo\nthree\n")
    assert left + display.text == "one\ntwo\nthree\n"
    assert len(display.text) <= 8
    assert display.left == len(left)
    assert display.first_line == left.count("\n")
    display.take("\b" * 50 + "x")
    assert left + display.text == left + "x"


def test_piece_says_what_it_left_as_it_was() -> None:
    display = T140Display()
    display.take("Help")
    assert (display.take("\b\blp!").kept, display.end) == (2, 5)
    assert display.take("\u0301").kept == 4
    assert display.take("x").kept == 5


@given(received, st.integers())
@example("救\x1b[1m\r\nx\b\b\b\u0301", 3)
def test_display_of_any_text_is_the_same_however_it_is_cut(text: str, seed: int) -> None:
    whole, pieces = T140Display(kept=12), T140Display(kept=12)
    left = whole.take(text).left
    assert "".join(pieces.take(piece).left for piece in cut(text, seed)) == left
    assert pieces.characters(0) == whole.characters(0)
    assert (pieces.end, pieces.first_line) == (whole.end, whole.first_line)


@given(received, st.integers())
def test_display_of_any_text_is_the_same_by_bytes_and_by_halves_of_pairs(
    text: str, seed: int
) -> None:
    whole, by_bytes, by_units = T140Display(), T140Display(), T140Display()
    whole.take(text)
    for piece in cut(text.encode().decode("latin-1"), seed):
        by_bytes.take_bytes(piece.encode("latin-1"))
    units = memoryview(text.encode("utf-16-le")).cast("H")
    for piece in cut("".join(map(chr, units)), seed):
        by_units.take(piece)
    assert by_bytes.characters(0) == whole.characters(0)
    assert by_units.characters(0) == whole.characters(0)


@given(typed)
def test_backspaces_walk_back_through_everything_that_was_shown(text: str) -> None:
    display = T140Display()
    display.take(text)
    expected = display.characters(0)
    assert display.text == text.replace("\r\n", "\n").replace("\u2028", "\n")
    while expected:
        expected.pop()
        display.take("\b")
        assert display.characters(0) == expected


@given(st.binary(max_size=300))
def test_display_takes_any_bytes_and_shows_no_control_character(data: bytes) -> None:
    display = T140Display(kept=100)
    display.take_bytes(data)
    display.finish()
    assert len(display.characters(0)) <= 101
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in display.text.replace("\n", ""))
