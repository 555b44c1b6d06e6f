"""What a caller writes cannot hide or reorder what others read, by whichever door it comes."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.text_session import CallerWriting
from streams.plain_text import plain
from streams.t140 import LINE_SEPARATOR

HOSTILE = (
    "\0\x1b\x7f\x85\x9b\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
)
REORDERS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def hides(text: str) -> list[str]:
    """Return what of a text is not seen and acts on what is."""
    return [
        one
        for one in text.replace("\n", "")
        if unicodedata.category(one) == "Cc" or unicodedata.bidirectional(one) in REORDERS
    ]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("take 50\u202e05", "take 5005"),
        ("\u2066no\u2069 yes", "no yes"),
        ("a\0b\x1bc\x7fd\x9be", "abcde"),
        ("a\tb", "a b"),
        ("a\r\nb\rc\u2028d\u2029e\x85f\ng", "a\nb\nc\nd\ne\nf\ng"),
        ("מספר 7\u200f, \u061c٣", "מספר 7\u200f, \u061c٣"),
        ("👩\u200d🦰 नमस\u200dते می\u200cخواهم", "👩\u200d🦰 नमस\u200dते می\u200cخواهم"),
    ],
)
def test_plain_text_has_all_that_is_seen_and_nothing_that_only_acts(
    written: str, shown: str
) -> None:
    assert plain(written) == shown


@given(st.text(alphabet=st.one_of(st.sampled_from(HOSTILE + "a你\t\r\n"), st.characters())))
def test_plain_text_never_reorders_or_hides_and_stays_as_it_is(written: str) -> None:
    shown = plain(written)
    assert hides(shown) == []
    assert plain(shown) == shown
    assert [one for one in shown if one.isalnum()] == [one for one in written if one.isalnum()]


def test_line_that_is_typed_reaches_nobody_with_what_reorders_it() -> None:
    numbers = itertools.count()
    one = CallerWriting("0" * 26, "page", lambda: f"{next(numbers):026}")
    (line,) = one.take(0, "take \u202e05\u202c mg\0." + LINE_SEPARATOR, 1)
    assert line.text == "take 05 mg."
    assert one.turn_of(line).text == "take 05 mg."
    assert [said.text for said in one.sentences(2)] == ["take 05 mg."]


def test_backspace_takes_what_its_writer_sees_as_one_and_nothing_beside_it() -> None:
    """A client of its own holds an override as a character, and erases it as one."""
    numbers = itertools.count()
    one = CallerWriting("0" * 26, "t140", lambda: f"{next(numbers):026}")
    one.take(0, "floor 5\u202e", 1)
    (line,) = one.lines
    assert line.text == "floor 5"
    one.take(8, "\b\b7", 2)
    assert line.text == "floor 7"
