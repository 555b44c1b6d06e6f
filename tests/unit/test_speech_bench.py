"""How the speech benchmark compares texts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.frame import BenchError
from bench.speech_clips import Errors, edges, edit_distance, load_clips, number_words, tokens
from dispatch.speech.engine import HEARING_RATE_HZ
from dispatch.speech.whisper import repeats_itself


def unchanged(text: str) -> str:
    return text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Mr. John, he is ill-disposed.", "mister john he is ill disposed"),
        ("10 of clubs", "ten of clubs"),
        ("120 times", "one hundred twenty times"),
        ("call 5551234", "call five five five one two three four"),
        ("it's", "it's"),
    ],
)
def test_english_words_are_compared_without_case_signs_and_digits(text: str, words: str) -> None:
    assert tokens(text, "en", unchanged) == words.split()


def test_mandarin_is_compared_by_simplified_character() -> None:
    assert tokens("《廣州市》，12 ok", "zh", lambda text: text.replace("廣", "广")) == list(
        "广州市12ok"
    )


@pytest.mark.parametrize(
    ("said", "got", "errors"),
    [("a b c", "a b c", 0), ("a b c", "a c", 1), ("a b", "a x b", 1), ("a b", "", 2), ("", "a", 1)],
)
def test_edit_distance_counts_words_put_in_left_out_and_replaced(
    said: str, got: str, errors: int
) -> None:
    assert edit_distance(said.split(), got.split()) == errors


def test_error_rate_of_nothing_is_no_number() -> None:
    assert np.isnan(Errors(0, 0).percent)
    assert Errors(1, 4).percent == 25.0


def test_number_words_are_those_that_are_read() -> None:
    assert " ".join(number_words(4321)) == "four thousand three hundred twenty one"


def test_edges_of_a_clip_are_those_of_its_loud_part() -> None:
    quiet = np.full(HEARING_RATE_HZ, 10.0, np.float32)
    loud = np.full(HEARING_RATE_HZ // 2, 8000.0, np.float32)
    assert edges(np.concatenate([quiet, loud, quiet])) == pytest.approx((1.0, 1.5))


def test_folder_without_transcripts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"no TRANSCRIPTS\.tsv"):
        load_clips(tmp_path)


def test_text_that_says_the_same_again_and_again_is_noticed() -> None:
    assert repeats_itself("10 of clubs " * 14)
    assert repeats_itself("谢谢" * 40)
    assert not repeats_itself("And Mr. John Dashwood had then leisure to consider how much")
    assert not repeats_itself("1, 2, 3")
    assert not repeats_itself("")
