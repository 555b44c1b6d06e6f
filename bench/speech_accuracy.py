"""Error rates and time of each setting of the recogniser, and of plain faster-whisper."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bench.speech_clips import Clip, Errors, errors_of
from dispatch.speech import wire
from dispatch.speech.hanzi import Simplifier
from dispatch.speech.listening import Listening
from dispatch.speech.schedule import Reading
from dispatch.speech.voice_activity import VoiceActivity
from dispatch.speech.whisper import Whisper

IN_USE = "window 10 s, beam 1 (in use)"
PEER = "faster-whisper, defaults"

Read = Callable[[Clip], tuple[str, float]]
"""Reads a clip; returns the text and its confidence (NaN where there is none)."""


@dataclass(slots=True)
class Result:
    """What one setting made of all clips.

    Attributes:
        heard: Text by clip.
        confidence: By clip.
        seconds: Time by clip, one list over the repeats.
    """

    heard: dict[str, str] = field(default_factory=dict)
    confidence: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def errors(self, clips: Sequence[Clip], language: str) -> Errors:
        """Return the errors in one language, over all its clips."""
        simplify = Simplifier()
        each = [errors_of(c, self.heard[c.name], simplify) for c in clips if c.language == language]
        return Errors(sum(one.wrong for one in each), sum(one.of for one in each))

    @property
    def median_s(self) -> float:
        """Time of a clip: the median over repeats, the mean over clips."""
        return float(np.mean([np.median(times) for times in self.seconds.values()]))


def readers(
    folder: Path, threads: int, activity: Callable[[], VoiceActivity]
) -> Mapping[str, Read]:
    """Return what reads a clip, by the setting's name."""
    short = Whisper(folder, threads=threads)
    whole = Whisper(folder, threads=threads, window_s=30.0)
    plain = _plain(folder, threads)
    return {
        IN_USE: lambda clip: in_utterances(clip, short, activity),
        "window 10 s, beam 5": lambda clip: in_utterances(clip, short, activity, beam=5),
        "window 10 s, beam 1, no VAD": lambda clip: as_a_whole(clip, short),
        "window 30 s, beam 1": lambda clip: in_utterances(clip, whole, activity),
        "window 30 s, beam 5": lambda clip: in_utterances(clip, whole, activity, beam=5),
        "faster-whisper, beam 1, VAD": lambda clip: (
            transcribe(
                plain, clip, beam_size=1, temperature=0.0, condition_on_previous_text=False,
                max_new_tokens=60, vad_filter=True,
            ),
            float("nan"),
        ),
        PEER: lambda clip: (transcribe(plain, clip), float("nan")),
    }  # fmt: skip


def measure(read: Read, clips: Sequence[Clip], into: Result) -> None:
    """Read all clips once."""
    for clip in clips:
        began = time.perf_counter()
        text, confidence = read(clip)
        into.seconds.setdefault(clip.name, []).append(time.perf_counter() - began)
        into.heard[clip.name] = text
        into.confidence[clip.name] = confidence


def in_utterances(
    clip: Clip, whisper: Whisper, activity: Callable[[], VoiceActivity], *, beam: int = 1
) -> tuple[str, float]:
    """Read a clip as a call does, utterance by utterance, but only its finals."""
    listening = Listening(activity)
    listening.open(wire.Open(1, clip.language, 0, 1))
    listening.sound(wire.Sound(1, 0, clip.pcm), 0.0)
    listening.end_utterance(1, 0.0)
    texts, sure = [], []
    while (job := listening.schedule.next(0.0)) is not None:
        sound, language = listening.sound_of(job)
        found = whisper.read(sound, language, beam=beam)
        reading = Reading(found.text, found.language, found.confidence, job.end, thorough=True)
        listening.done(job, reading)
        texts.append(found.text)
        sure.append(found.confidence)
    return " ".join(texts), float(np.mean(sure)) if sure else float("nan")


def as_a_whole(clip: Clip, whisper: Whisper) -> tuple[str, float]:
    """Read a clip without looking where somebody speaks."""
    found = whisper.read(clip.samples, clip.language)
    return found.text, found.confidence


def transcribe(model: Any, clip: Clip, **options: Any) -> str:
    """Read a clip as faster-whisper's own example does."""
    segments, _ = model.transcribe(clip.samples, language=clip.language, **options)
    return " ".join(segment.text.strip() for segment in segments)


def _plain(folder: Path, threads: int) -> Any:
    from faster_whisper import WhisperModel  # noqa: PLC0415 - of the extra `speech`

    return WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=threads)
