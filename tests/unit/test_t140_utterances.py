"""When a sentence of real-time text is complete, and what happens when it is changed after that."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given

from streams.t140 import T140Display
from streams.utterances import LONGEST, Utterance, Utterances
from tests.t140_texts import received


class Writer:
    """Somebody who writes five characters a second, and who listens."""

    def __init__(self) -> None:
        self.display, self.utterances, self.now = T140Display(), Utterances(), 0.0
        self.heard: list[Utterance] = []

    def write(self, text: str) -> list[str]:
        """Write, and return what was heard meanwhile."""
        before = len(self.heard)
        for character in text:
            self.pause(0.2)
            taken = self.display.take(character)
            self.heard += self.utterances.take(self.display, taken, self.now)
        return [utterance.text for utterance in self.heard[before:]]

    def pause(self, seconds: float) -> list[str]:
        """Wait, and return what was heard meanwhile."""
        before = len(self.heard)
        self.now += seconds
        due = self.utterances.due()
        if due is not None and due <= self.now:
            self.heard += self.utterances.wait(self.display, self.now)
        return [utterance.text for utterance in self.heard[before:]]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Help! My husband fell.", ["Help!", "My husband fell."]),
        ("着火了！快来。几楼？五楼", ["着火了！", "快来。", "几楼？"]),
        ("He fell 3.5 m. Come. ", ["He fell 3.5 m. Come."]),
        (
            "Dr. Smith at No. 5 St. James Rd. he said. ",
            ["Dr. Smith at No.", "5 St. James Rd. he said."],
        ),
        ("No. I can not", ["No."]),
        ("it is 5. Come ", ["it is 5."]),
        ("1. breathe in\n2. call J. Doe\n", ["1. breathe in", "2. call J. Doe"]),
        ("what?!?! where", ["what?"]),
        ("他说：“快来！”然后", ["他说：“快来！"]),
        ("wait... what. ", ["wait.", "what."]),
        ("at 5 p.m. today e.g. now.", ["at 5 p.m. today e.g. now."]),
        ("\n\n. ! \n", []),
        ("🔥\n", ["🔥"]),
    ],
)
def test_sentences_are_heard_at_their_end(text: str, sentences: list[str]) -> None:
    assert Writer().write(text) == sentences


def test_sentence_is_heard_with_its_last_character_and_not_later() -> None:
    writer = Writer()
    assert writer.write("He is not breathing") == []
    assert writer.write(".") == ["He is not breathing."]


def test_pasted_text_is_heard_sentence_by_sentence_with_its_quotes() -> None:
    writer = Writer()
    taken = writer.display.take("他说：“快来！”然后。\nSecond line\nthird")
    heard = writer.utterances.take(writer.display, taken, 0.0)
    assert [found.text for found in heard] == ["他说：“快来！”", "然后。", "Second line"]
    assert [found.reason for found in heard] == ["punctuation", "punctuation", "line"]


def test_pause_ends_what_has_no_punctuation() -> None:
    writer = Writer()
    writer.write("四楼没有电梯")
    assert writer.pause(1.4) == []
    assert writer.pause(0.2) == ["四楼没有电梯"]
    assert writer.pause(10) == []
    assert writer.write("\n") == []


def test_pause_within_a_word_lasts_longer_and_its_rest_is_heard_whole() -> None:
    writer = Writer()
    writer.write("need an ambu")
    assert writer.pause(2.0) == []
    assert writer.pause(0.6) == ["need an ambu"]
    assert writer.write("lance.") == ["ambulance."]
    assert writer.heard[-1].corrects


def test_sentence_that_is_changed_afterwards_is_heard_again_as_a_correction() -> None:
    writer = Writer()
    assert writer.write("I am here. Room 5!") == ["I am here.", "Room 5!"]
    assert writer.write("\b\b6!") == ["Room 6!"]
    assert [found.corrects for found in writer.heard] == [False, False, True]
    assert writer.write(" Hurry!") == ["Hurry!"]
    assert not writer.heard[-1].corrects


def test_erasing_what_was_not_yet_heard_corrects_nothing() -> None:
    writer = Writer()
    assert writer.write("Yes. nob\b\b\bno!") == ["Yes.", "no!"]
    assert not any(found.corrects for found in writer.heard)


def test_lost_text_in_a_sentence_is_said_with_it() -> None:
    writer = Writer()
    assert writer.write("he is \ufffdathing.") == ["he is \ufffdathing."]
    assert writer.heard[-1].is_damaged


def test_sentence_without_an_end_is_cut_between_words() -> None:
    writer = Writer()
    text = "and then " * 40
    heard = writer.write(text)
    assert heard
    assert all(len(part) <= LONGEST for part in heard)
    rest = writer.utterances.finish(writer.display)
    assert " ".join([*heard, *(found.text for found in rest)]) == text.strip()


def test_rest_is_heard_when_the_writer_is_gone() -> None:
    writer = Writer()
    writer.write("they are insi")
    assert [found.text for found in writer.utterances.finish(writer.display)] == ["they are insi"]
    assert writer.utterances.finish(writer.display) == []


@given(received)
def test_utterances_of_any_text_are_in_order_and_leave_no_word_out(text: str) -> None:
    display, utterances, now = T140Display(kept=50), Utterances(), 0.0
    text = text.replace("\b", "")
    heard: list[Utterance] = []
    for character in text:
        now += 0.2
        heard += utterances.take(display, display.take(character), now)
    heard += utterances.finish(display)
    whole = T140Display()
    whole.take(text)
    assert all(a.end <= b.end for a, b in itertools.pairwise(heard))
    said: set[int] = set()
    for found in heard:
        assert whole.between(found.begin, found.end).strip() == found.text
        said |= set(range(found.begin, found.end))
    left_out = "".join(c for at, c in enumerate(whole.characters(0)) if at not in said)
    assert not any(character.isalnum() for character in left_out)
