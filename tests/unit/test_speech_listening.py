"""Voices of calls: their sound, holes in it, what is kept of it."""

from __future__ import annotations

import numpy as np

from dispatch.speech import wire
from dispatch.speech.listening import KEPT_S, MOST_HOLE_S, Listening
from dispatch.speech.schedule import Job, Reading, Told
from dispatch.speech.utterances import FRAME, samples
from dispatch.speech.voice_activity import Samples

BLOCK_S = 0.02


class Loudness:
    """Takes what is loud for speech."""

    def probability(self, frame: Samples) -> float:
        assert frame.shape == (FRAME,)
        return 0.9 if float(np.abs(frame).max()) > 0.1 else 0.0


class Caller:
    """Feeds one voice with speech (a tone) and silence."""

    def __init__(self, listening: Listening, voice: int = 1, language: str | None = "en") -> None:
        self.listening = listening
        self.voice = voice
        self.at = 0
        self.now = 0.0
        chosen = {"en": "en", "zh": "zh"}.get(language or "")
        listening.open(wire.Open(voice, chosen, 0, 1))  # type: ignore[arg-type]

    def feed(self, seconds: float, amplitude: int, *, lost: bool = False) -> list[Told]:
        told: list[Told] = []
        for _ in range(round(seconds / BLOCK_S)):
            count = samples(BLOCK_S)
            pcm = np.full(count, amplitude, np.int16).tobytes()
            self.now += BLOCK_S
            if not lost:
                told += self.listening.sound(wire.Sound(self.voice, self.at, pcm), self.now)
            self.at += count
        return told

    def speak(self, seconds: float) -> list[Told]:
        return self.feed(seconds, 8000)

    def pause(self, seconds: float) -> list[Told]:
        return self.feed(seconds, 0)

    def lose(self, seconds: float) -> None:
        self.feed(seconds, 0, lost=True)

    def read(self, text: str = "words", language: str = "en") -> tuple[Job, Samples, Told | None]:
        job = self.listening.schedule.next(self.now)
        assert job is not None
        sound, _ = self.listening.sound_of(job)
        of = "zh" if language == "zh" else "en"
        reading = Reading(text, of, 0.9, job.end, thorough=not job.rough)  # type: ignore[arg-type]
        return job, sound, self.listening.done(job, reading)


def test_final_reading_gets_exactly_the_sound_of_the_utterance() -> None:
    caller = Caller(Listening(Loudness))
    caller.pause(5.0)
    caller.speak(2.0)
    assert caller.pause(1.0) == []
    job, sound, told = caller.read()
    assert job.kind == "final"
    assert len(sound) == job.end - job.begin
    assert np.count_nonzero(sound > 0.1) == samples(2.0)
    assert told is not None
    assert told.final
    assert abs(told.begin - samples(5.0)) <= FRAME
    assert abs(told.end - samples(7.0)) <= FRAME


def test_language_that_nobody_set_is_kept_once_it_was_found_in_enough_speech() -> None:
    listening = Listening(Loudness)
    caller = Caller(listening, language=None)
    caller.speak(2.0)
    job = caller.read(language="zh")[0]
    assert job.kind == "first"
    caller.pause(1.0)
    caller.speak(1.0)
    caller.pause(1.0)
    second = listening.schedule.next(caller.now)
    assert second is not None
    assert listening.sound_of(second)[1] == "zh"


def test_short_hole_is_silence_and_a_long_one_ends_the_utterance() -> None:
    caller = Caller(Listening(Loudness))
    caller.speak(1.0)
    caller.lose(0.3)
    caller.speak(1.0)
    caller.pause(1.0)
    _, sound, _ = caller.read()
    assert np.count_nonzero(sound > 0.1) == samples(2.0)
    caller.speak(1.0)
    caller.lose(5.0)
    caller.speak(1.0)
    first, sound, told = caller.read("before")
    assert (first.kind, first.utterance) == ("final", 2)
    assert samples(1.0) - FRAME < np.count_nonzero(sound > 0.1) <= samples(1.0)
    assert told is not None
    caller.pause(1.0)
    last, sound, told = caller.read("after")
    assert (last.kind, last.utterance) == ("final", 3)
    assert told is not None
    assert told.begin > told.end - samples(1.1)
    assert told.end == caller.at - samples(1.0) or abs(told.end - caller.at + samples(1.0)) <= FRAME


def test_hole_of_minutes_costs_no_memory() -> None:
    listening = Listening(Loudness)
    caller = Caller(listening)
    caller.speak(1.0)
    caller.lose(2 * MOST_HOLE_S)
    caller.speak(1.0)
    kept = listening._voices[1].pcm
    assert len(kept) < 2 * samples(KEPT_S + 2.0)
    caller.pause(1.0)
    assert caller.read()[0].utterance == 2


def test_silence_and_finished_speech_are_forgotten() -> None:
    listening = Listening(Loudness)
    caller = Caller(listening)
    for _ in range(5):
        caller.speak(1.0)
        caller.pause(20.0)
        assert caller.read()[0].kind == "final"
    caller.pause(1.0)
    assert len(listening._voices[1].pcm) <= 2 * samples(KEPT_S + 0.1)


def test_sentence_that_is_ended_by_hand_is_read_at_once() -> None:
    listening = Listening(Loudness)
    caller = Caller(listening)
    caller.speak(1.0)
    assert listening.end_utterance(1, caller.now) == []
    assert caller.read()[0].kind == "final"


def test_voice_that_goes_on_in_a_new_process_keeps_its_count() -> None:
    listening = Listening(Loudness)
    listening.open(wire.Open(7, "en", samples(60.0), 5))
    tone = np.full(samples(1.0), 8000, np.int16).tobytes()
    listening.sound(wire.Sound(7, samples(60.0), tone), 0.0)
    listening.end_utterance(7, 0.0)
    job = listening.schedule.next(0.0)
    assert job is not None
    assert (job.utterance, job.begin) == (5, samples(60.0))
    assert len(listening.sound_of(job)[0]) == job.end - job.begin


def test_sound_of_a_voice_that_is_closed_is_nothing() -> None:
    listening = Listening(Loudness)
    caller = Caller(listening)
    caller.speak(1.0)
    listening.close(1)
    assert caller.speak(1.0) == []
    assert listening.end_utterance(1, 2.0) == []
    assert listening.schedule.next(2.0) is None
