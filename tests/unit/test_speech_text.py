"""What somebody typed, made ready to be spoken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.speech.engine import Language
from dispatch.speech.spoken_text import MOST_CHARACTERS, clean, spoken_parts


@pytest.mark.parametrize(
    ("text", "language", "parts"),
    [
        ("Help me.", "en", [("en", "Help me.")]),
        ("他没有呼吸。快来！", "zh", [("zh", "他没有呼吸。"), ("zh", "快来！")]),
        ("我在12号楼 apartment 4B", "zh", [("zh", "我在12号楼"), ("en", "apartment 4B")]),
        ("ambulance 12号楼", "en", [("en", "ambulance"), ("zh", "12号楼")]),
        ("120", "zh", [("zh", "120")]),
        ("120", "en", [("en", "120")]),
        ("He weighs 80.5 kg. Hurry", "en", [("en", "He weighs 80.5 kg."), ("en", "Hurry")]),
        ("call 13812345678", "en", [("en", "call 1 3 8 1 2 3 4 5 6 7 8")]),
        ("look http://a.example/x?y=1 here", "en", [("en", "look link here")]),
        ("", "en", []),
        ("?!…", "en", []),
        ("😀👍🏽", "zh", []),
    ],
)
def test_spoken_parts_of_a_text_are_cleaned_and_split_by_script(
    text: str, language: Language, parts: list[tuple[str, str]]
) -> None:
    assert list(spoken_parts(text, language)) == parts


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("<speak><break time='10s'/>help</speak>", "help"),
        ("[[h@'loU]] help", "h@'loU help"),
        ("a < b", "a b"),
        ("helllllllp", "helllp"),
        ("call 999999", "call 9 9 9 9 9 9"),
        ("2000 people", "2000 people"),
        ("no\u202eright\u200bto left", "norightto left"),
        ("he is \ufffd\ufffd at home", "he is missing text missing text at home"),
        ("a\x00\x07b", "a b"),
        ("ok 👍 now", "ok now"),
    ],
)
def test_text_that_would_order_a_voice_about_is_only_text(typed: str, said: str) -> None:
    assert clean(typed, "en") == said


def test_text_beyond_the_bound_is_cut_at_a_sentence() -> None:
    text = "This is a sentence. " * 100
    cut = clean(text, "en")
    assert len(cut) <= MOST_CHARACTERS
    assert cut.strip().endswith("sentence.")


@given(st.text(max_size=1000), st.sampled_from(["en", "zh"]))
def test_spoken_parts_of_any_text_are_bounded_and_hold_nothing_that_engines_obey(
    text: str, language: Language
) -> None:
    parts = spoken_parts(text, language)
    # Each digit of a long number may get a space behind it, and U+FFFD becomes words.
    assert sum(len(part) for _, part in parts) <= MOST_CHARACTERS
    assert not set("<>[]{}\x00") & set("".join(part for _, part in parts))
    assert all(part.strip() for _, part in parts)
