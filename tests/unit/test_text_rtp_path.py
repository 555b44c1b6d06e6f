"""Real-time text over a path that loses, repeats and reorders 20 % of its packets.

What is shown is what was sent, with some runs of characters replaced by one mark each: never a
wrong character, never one twice, never one at another place.
"""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.t140 import BACKSPACE, MISSING, T140Display
from tests.t140_texts import CHARACTERS
from tests.text_path import Passage, Weather, type_through

RUNS = 400
DISTINCT = "".join(map(chr, range(0x4E00, 0x4E00 + 60)))
"""Each character once, so that each that comes out says where it was."""


def shown_of(passage: Passage, sent: str) -> int:
    """Check one run, and return how many characters were shown.

    A start that is not proven may lack its beginning: nothing says that there was one.
    """
    display = T140Display()
    display.take(passage.text)
    at, is_marked, may_lack = -1, False, not passage.start_is_proven
    for character in [*display.text, ""]:
        if character == MISSING:
            assert not is_marked, "one gap is marked once"
            is_marked = True
            continue
        where = sent.index(character) if character else len(sent)
        assert where > at, "in order, and once"
        assert where == at + 1 or is_marked or may_lack, "what is missing is marked"
        at, is_marked, may_lack = where, False, False
    return len(display.text.replace(MISSING, ""))


@pytest.mark.parametrize("generations", [0, 1, 2, 3])
def test_text_over_a_bad_path_is_right_or_marked_at_each_redundancy(generations: int) -> None:
    shown = unproven = 0
    for seed in range(RUNS):
        passage = type_through(DISTINCT, Weather(), seed, generations=generations)
        shown += shown_of(passage, DISTINCT)
        unproven += not passage.start_is_proven
    # What is lost is lost as often as all packets that carry it are: 0.2, 0.04, 0.008, 0.0016.
    lost = 0.2 ** (generations + 1)
    assert 1 - shown / (RUNS * len(DISTINCT)) == pytest.approx(lost, abs=0.2 * lost + 0.001)
    assert unproven / RUNS <= 2 * lost


def test_text_of_many_calls_over_a_bad_path_keeps_99_of_100_characters() -> None:
    passages = [type_through(DISTINCT, Weather(), 10_000 + seed) for seed in range(2 * RUNS)]
    shown = sum(shown_of(passage, DISTINCT) for passage in passages)
    assert shown / (len(passages) * len(DISTINCT)) > 0.99


def test_packets_overtaken_by_more_than_the_wait_are_marked_and_not_shown_late() -> None:
    weather = Weather(lost=0.1, repeated=0.3, reordered=0.5, longest_s=4)
    for seed in range(RUNS // 2):
        passage = type_through(DISTINCT, weather, seed, wait_s=0.5)
        assert shown_of(passage, DISTINCT) > 0, "something is read"


def test_path_without_loss_shows_every_character_and_no_mark() -> None:
    weather = Weather(lost=0, longest_s=0.9)
    for seed in range(RUNS // 2):
        assert type_through(DISTINCT, weather, seed).text == DISTINCT
        plain = type_through(DISTINCT, weather, seed, red_type=None)
        assert plain.text == DISTINCT


def test_writing_with_corrections_over_a_bad_path_is_wrong_only_beside_a_mark() -> None:
    """Backspaces get lost like letters: what differs from the writer's screen, a mark is beside."""
    for seed in range(RUNS):
        chance = random.Random(seed)
        typed = "".join(c + BACKSPACE * chance.choice([0, 0, 0, 1, 2, 3]) for c in DISTINCT)
        passage = type_through(typed, Weather(), seed)
        writer, reader = T140Display(), T140Display()
        writer.take(typed)
        reader.take(passage.text)
        shown, right = reader.text, writer.text
        if MISSING not in passage.text and passage.start_is_proven:
            assert shown == right
        assert list(shown.replace(MISSING, "")) == sorted(set(shown) - {MISSING}), "in order, once"
        # Between two marks, whatever is right for both sides stands without a gap between it.
        for part in shown.split(MISSING):
            both = [c for c in part if c in right]
            assert "".join(both) in right
            # Letters whose backspaces were lost stand at the end of a part, before the mark.
            assert part.startswith("".join(both)) or not both
        last = shown.rsplit(MISSING, 1)[-1]
        assert right.endswith(last), "after the last mark all is as the writer sees it"


@given(st.lists(st.sampled_from(CHARACTERS), min_size=1, max_size=40), st.integers(0, 1 << 30))
def test_any_writing_comes_out_with_runs_replaced_by_marks(text: list[str], seed: int) -> None:
    passage = type_through("".join(text), Weather(), seed)
    display = T140Display()
    display.take(passage.text)
    parts = ["" if part == MISSING else re.escape(part) for part in display.characters(0)]
    marked = [".*" if part == "" else part for part in parts]
    begins = "" if passage.start_is_proven else ".*"
    assert re.fullmatch(begins + "".join(marked), "".join(text), re.DOTALL)
