"""What of a seat's recognised speech may stand in front of a caller."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.speech.engine import DOUBTFUL, Heard, Language
from dispatch.spoken_turns import MASK, Wait, masked, spoken_turn, told

TURN = "01M844S5W6ZV2KKM9K51HBM23W"
NOW_NS = 1_700_000_000_000_000_000


def heard(text: str, language: Language = "en", *, final: bool = True, sure: float = 0.9) -> Heard:
    return Heard(1, final, text, language, sure, 1.0, 3.0, latency_s=0.5, after_begin_s=2.5)


@pytest.mark.parametrize(
    ("said", "language", "wait", "shown"),
    [
        ("Is he breathing", "en", "", "Is he breathing"),
        ("Take 15 mg of aspirin now", "en", "doubts", f"Take {MASK} of {MASK} now"),
        ("Yes.", "en", "doubts", f"{MASK}."),
        ("救护车十五分钟后到", "zh", "doubts", f"救护车{MASK}后到"),
        ("他还有呼吸吗", "zh", "", "他还有呼吸吗"),
    ],
)
def test_final_text_waits_and_is_masked_where_something_of_it_is_in_doubt(
    said: str, language: Language, wait: Wait, shown: str
) -> None:
    turn = spoken_turn(TURN, heard(said, language), NOW_NS, has_page=True)
    assert (turn.wait, turn.shown) == (wait, shown)


def test_draft_is_masked_like_a_final_text() -> None:
    turn = spoken_turn(TURN, heard("go to number 9", final=False), NOW_NS, has_page=True)
    assert turn.wait == "draft"
    assert "9" not in turn.shown


def test_unsure_text_waits_and_so_does_one_for_a_caller_without_a_page() -> None:
    unsure = heard("he is awake", sure=DOUBTFUL - 0.01)
    assert spoken_turn(TURN, unsure, NOW_NS, has_page=True).wait == "confidence"
    sure = heard("he is awake", sure=DOUBTFUL)
    assert spoken_turn(TURN, sure, NOW_NS, has_page=True).wait == ""
    assert spoken_turn(TURN, sure, NOW_NS, has_page=False).wait == "no_page"


def test_times_are_those_of_the_sound_and_not_of_its_reading() -> None:
    turn = spoken_turn(TURN, heard("he is awake"), NOW_NS, has_page=True)
    assert NOW_NS - turn.begun_ns == 2_500_000_000
    assert NOW_NS - turn.ended_ns == 500_000_000
    message = told("case", turn)
    assert message["ended_ms"] - message["begun_ms"] == 2000


def test_what_is_read_back_leaves_yes_and_no_out_and_says_each_value_once() -> None:
    said = heard("Yes, 15 minutes, I said 15 minutes and 50 mg")
    turn = spoken_turn(TURN, said, NOW_NS, has_page=True)
    assert "yes" not in turn.read_back.lower()
    assert turn.read_back.count("15 minutes") == 1
    assert "five zero" in turn.read_back.lower() or "5 0" in turn.read_back


@given(st.text(st.sampled_from("ab 1234567890十百零点号楼mg.,?是不"), max_size=60))
def test_no_digit_ever_stands_unmasked_in_what_waits(text: str) -> None:
    for language in ("en", "zh"):
        turn = spoken_turn(TURN, heard(text, language), NOW_NS, has_page=True)
        assert not any(sign.isdigit() for sign in turn.shown)
        assert masked(text, ()) == text
