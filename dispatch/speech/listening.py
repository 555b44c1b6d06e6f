"""The voices of all calls: their sound, where they speak, and what of it is read next.

No thread, no process, no clock of its own: the engine's process calls it with ``now``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from dispatch.speech import wire
from dispatch.speech.engine import Language
from dispatch.speech.schedule import Job, Reading, Schedule, Told
from dispatch.speech.utterances import FRAME, Pauses, Utterances, samples
from dispatch.speech.voice_activity import Samples, VoiceActivity

KEPT_S = 1.0
"""Sound before the newest that is kept while nobody speaks: the lead of the next utterance."""

MOST_HOLE_S = 30.0
"""After a longer hole, what still waits to be read from before it is given up."""

SURE_OF_LANGUAGE_S = 1.5
"""Speech from which on the language that the model found is kept for the whole call."""


@dataclass(slots=True)
class _Voice:
    utterances: Utterances
    activity: VoiceActivity
    language: Language | None
    begin: int
    fed: int
    pcm: bytearray = field(default_factory=bytearray)
    heard: int = 0


class Listening:
    """Takes what the service sends of sound; says what to read and what to tell."""

    def __init__(
        self,
        activity: Callable[[], VoiceActivity],
        *,
        pauses: Pauses | None = None,
    ) -> None:
        """Begin without voices.

        Args:
            activity: Makes a follower for one more voice.
            pauses: What counts as an end.
        """
        self._activity = activity
        self._pauses = pauses
        self._voices: dict[int, _Voice] = {}
        self.schedule = Schedule()

    def open(self, request: wire.Open) -> None:
        """Listen to one more voice, which may be one that another process was listening to."""
        self.close(request.voice)
        at = request.at
        utterances = Utterances(self._pauses, at=at, number=request.utterance)
        self._voices[request.voice] = _Voice(
            utterances, self._activity(), request.language, at, at, heard=at
        )

    def close(self, voice: int) -> None:
        """Listen to a voice no more."""
        self._voices.pop(voice, None)
        self.schedule.closed(voice)

    def sound(self, request: wire.Sound, now: float) -> list[Told]:
        """Take a block of a voice; returns texts that are final by it."""
        voice = self._voices.get(request.voice)
        if voice is None:
            return []
        told = self._skip(request.voice, voice, request.at - voice.fed, now)
        voice.pcm += request.pcm
        voice.fed += len(request.pcm) // 2
        while voice.fed - voice.heard >= FRAME:
            told += self._hear(request.voice, voice, now)
        self._forget(request.voice, voice)
        return told

    def end_utterance(self, number: int, now: float) -> list[Told]:
        """What came so far of a voice is a whole sentence."""
        voice = self._voices.get(number)
        if voice is None:
            return []
        return self._happened(number, voice, voice.utterances.end(), now)

    def sound_of(self, job: Job) -> tuple[Samples, Language | None]:
        """Return the sound of a job, and its language if that is known."""
        voice = self._voices[job.voice]
        first = 2 * (job.begin - voice.begin)
        octets = bytes(voice.pcm[first : first + 2 * (job.end - job.begin)])
        return _samples_of(octets), voice.language

    def done(self, job: Job, reading: Reading) -> Told | None:
        """Take what came of a job."""
        voice = self._voices.get(job.voice)
        sure = job.end - job.begin >= samples(SURE_OF_LANGUAGE_S) or job.kind == "final"
        if voice is not None and voice.language is None and sure and reading.text:
            voice.language = reading.language
        return self.schedule.done(job, reading)

    def _skip(self, number: int, voice: _Voice, missing: int, now: float) -> list[Told]:
        """Fill a hole with silence when it is short; end what was said before a long one."""
        if missing <= 0:
            return []
        if missing <= samples(KEPT_S):
            voice.pcm += bytes(2 * missing)
            voice.fed += missing
            return []
        whole = missing + voice.fed - voice.heard
        told = self._happened(number, voice, voice.utterances.skip(whole), now)
        if missing > samples(MOST_HOLE_S):
            self.schedule.closed(number)
        if self.schedule.earliest(number) is None:
            voice.pcm.clear()
            voice.begin = voice.fed + missing
        else:  # what waits to be read lies before the hole
            voice.pcm += bytes(2 * missing)
        voice.fed += missing
        voice.heard = voice.fed
        return told

    def _hear(self, number: int, voice: _Voice, now: float) -> list[Told]:
        first = 2 * (voice.heard - voice.begin)
        frame = _samples_of(bytes(voice.pcm[first : first + 2 * FRAME]))
        voice.heard += FRAME
        event = voice.utterances.hear(voice.activity.probability(frame))
        return self._happened(number, voice, event, now)

    def _happened(self, number: int, voice: _Voice, event: str | None, now: float) -> list[Told]:
        stretch = voice.utterances.current
        if event is None or stretch is None:
            return []
        told: Told | None = None
        if event == "began":
            self.schedule.began(number, stretch, now)
        elif event == "dismissed":
            told = self.schedule.dismissed(number, stretch.number)
        elif event == "ended":
            told = self.schedule.ended(number, stretch.number, now)
        else:
            self.schedule.went_on(number, stretch.number, paused=voice.utterances.paused)
        return [told] if told else []

    def _forget(self, number: int, voice: _Voice) -> None:
        earliest = self.schedule.earliest(number)
        keep = voice.heard - samples(KEPT_S)
        if earliest is not None:
            keep = min(keep, earliest)
        if keep > voice.begin:
            del voice.pcm[: 2 * (keep - voice.begin)]
            voice.begin = keep


def _samples_of(octets: bytes) -> Samples:
    return np.frombuffer(octets, np.int16).astype(np.float32) / 32768.0
