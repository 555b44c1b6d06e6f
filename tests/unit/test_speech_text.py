"""What somebody typed, made ready to be spoken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.speech.engine import Language
from dispatch.speech.spoken_text import MOST_CHARACTERS, clean, opening, spoken_parts
from dispatch.speech.voices import FIRST_SOUND_S, Pace


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


@pytest.mark.parametrize(
    ("text", "most", "head"),
    [
        ("Yes.", 20, "Yes."),
        ("He fell down, and now he sleeps.", 20, "He fell down, "),
        ("My husband does not breathe any more.", 20, "My husband does not "),
        ("我丈夫倒在地上，没有呼吸。", 10, "我丈夫倒在地上，"),
        ("我丈夫倒在地上没有呼吸了", 6, "我丈夫倒在地"),
        ("Antidisestablishmentarianism is long", 12, "Antidisestablishmentarianism "),
    ],
)
def test_opening_of_a_text_is_a_clause_or_some_words(text: str, most: int, head: str) -> None:
    assert opening(text, most) == (head, text[len(head) :])


@given(st.text(max_size=60), st.integers(1, 40))
def test_opening_and_rest_are_the_whole_text(text: str, most: int) -> None:
    assert "".join(opening(text, most)) == text


def test_natural_voice_says_less_at_first_when_the_machine_is_slow_and_recovers() -> None:
    pace = Pace(0.01)
    assert pace.opening == round(FIRST_SOUND_S / 0.01)
    for _ in range(8):
        pace.took(10, 1.0)
    assert pace.opening == 0
    for _ in range(20):
        pace.recover()
    assert pace.opening > 0
