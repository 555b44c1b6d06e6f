"""Where an utterance begins and ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dispatch.speech.utterances import FRAME, Pauses, Utterances, samples

SPEECH, SILENCE = 0.9, 0.05


def frames(seconds: float) -> int:
    return round(samples(seconds) / FRAME)


def play(utterances: Utterances, probability: float, seconds: float) -> list[str]:
    """Returns the events of so much sound, or of what came until an utterance ended."""
    events: list[str] = []
    for _ in range(frames(seconds)):
        event = utterances.hear(probability)
        events += [event] if event else []
        if event in {"ended", "dismissed"}:
            break
    return events


def test_utterance_of_speech_then_silence_begins_pauses_and_ends() -> None:
    utterances = Utterances()
    assert play(utterances, SILENCE, 1.0) == []
    assert play(utterances, SPEECH, 1.0)[0] == "began"
    assert [e for e in play(utterances, SILENCE, 0.65) if e != "went_on"] == ["paused", "ended"]
    stretch = utterances.current
    assert stretch is not None
    assert stretch.first_voiced == frames(1.0) * FRAME
    assert stretch.begin == stretch.first_voiced - samples(Pauses().lead_s)
    assert stretch.voiced_end == frames(1.0) * 2 * FRAME


def test_utterance_with_a_short_pause_goes_on() -> None:
    utterances = Utterances()
    play(utterances, SPEECH, 0.5)
    assert "ended" not in play(utterances, SILENCE, 0.4)
    assert not utterances.paused or utterances.hear(SPEECH) == "went_on"
    assert not utterances.paused
    assert utterances.current is not None
    assert utterances.current.number == 1


def test_utterance_of_one_loud_frame_does_not_begin() -> None:
    utterances = Utterances()
    assert utterances.hear(SPEECH) is None
    assert utterances.hear(SILENCE) is None
    assert utterances.hear(SPEECH) is None


def test_utterance_too_short_for_a_word_is_dismissed() -> None:
    utterances = Utterances(Pauses(least_s=0.2))
    play(utterances, SPEECH, 0.1)
    assert play(utterances, SILENCE, 0.65)[-1] == "dismissed"


def test_utterance_without_a_pause_ends_at_the_limit_and_the_next_begins_there() -> None:
    utterances = Utterances(Pauses(most_s=2.0))
    assert play(utterances, SPEECH, 2.2)[-1] == "ended"
    first = utterances.current
    assert first is not None
    play(utterances, SPEECH, 0.2)
    second = utterances.current
    assert second is not None
    assert (second.number, second.begin) == (2, first.voiced_end)


def test_long_utterance_ends_at_the_next_short_pause() -> None:
    utterances = Utterances(Pauses(long_s=1.0))
    play(utterances, SPEECH, 1.5)
    assert play(utterances, SILENCE, 0.25)[-1] == "ended"


def test_utterance_is_ended_when_asked() -> None:
    utterances = Utterances()
    play(utterances, SPEECH, 0.5)
    assert utterances.end() == "ended"
    assert [utterances.hear(SILENCE) for _ in range(3)] == [None] * 3
    assert utterances.end() is None


def test_hole_in_the_sound_ends_what_was_being_said_and_keeps_the_count_of_samples() -> None:
    utterances = Utterances()
    play(utterances, SPEECH, 0.5)
    assert utterances.skip(samples(4.0)) == "ended"
    play(utterances, SPEECH, 0.2)
    assert utterances.current is not None
    assert utterances.current.first_voiced == frames(0.5) * FRAME + samples(4.0)


@given(st.lists(st.floats(0, 1), max_size=400))
def test_utterances_of_any_probabilities_never_overlap_nor_exceed_the_limit(
    probabilities: list[float],
) -> None:
    pauses = Pauses(long_s=1.0, most_s=2.0)
    utterances = Utterances(pauses)
    last_end = number = 0
    for probability in probabilities:
        event = utterances.hear(probability)
        stretch = utterances.current
        assert (event is None) == (stretch is None)
        if stretch is None:
            continue
        assert stretch.begin >= last_end
        assert stretch.begin <= stretch.first_voiced < stretch.voiced_end <= stretch.heard_end
        assert stretch.heard_end - stretch.begin <= samples(pauses.most_s) + FRAME
        if event in {"ended", "dismissed"}:
            assert stretch.number == number + 1
            number, last_end = stretch.number, stretch.voiced_end
