"""Where speech begins and ends: from the probability of speech in each frame to utterances.

Pure: frames in, events out, time is counted in samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from dispatch.speech.engine import HEARING_RATE_HZ

FRAME = 512
"""Samples of a frame, 32 ms: what the voice-activity model (silero) takes at 16 kHz."""


def samples(seconds: float) -> int:
    """Return how many samples of a voice that is."""
    return round(seconds * HEARING_RATE_HZ)


@dataclass(frozen=True, slots=True)
class Pauses:
    """What counts as speech and as its end.

    Attributes:
        begin_probability: At least this, for ``begin_frames`` in a row, begins an utterance.
        stay_probability: Below it, a frame within an utterance is silent.
        begin_frames: How many; a click is shorter.
        pause_s: Silence after which the text so far is worth reading: it may be all.
        end_s: Silence that ends an utterance.
        long_s: An utterance longer than this ends at the next pause of ``pause_s``.
        most_s: An utterance never gets longer: whisper sees 30 s at most.
        lead_s: Sound before the first frame that belongs to it: soft first consonants.
        least_s: Less voiced sound than this was no speech.
    """

    begin_probability: float = 0.5
    stay_probability: float = 0.35
    begin_frames: int = 2
    pause_s: float = 0.2
    end_s: float = 0.6
    long_s: float = 10.0
    most_s: float = 20.0
    lead_s: float = 0.3
    least_s: float = 0.1


Event = Literal["began", "went_on", "paused", "ended", "dismissed"]


@dataclass(slots=True)
class Stretch:
    """One utterance so far, in samples of its voice.

    Attributes:
        number: Counts them, from 1.
        begin: First sample that belongs to it, with the lead before the first voiced frame.
        first_voiced: First sample of the first voiced frame.
        voiced_end: End of the last voiced frame.
        heard_end: End of the last frame.
        voiced_frames: How many frames were voiced.
    """

    number: int
    begin: int
    first_voiced: int
    voiced_end: int
    heard_end: int
    voiced_frames: int


class Utterances:
    """Follows one voice frame by frame."""

    def __init__(self, pauses: Pauses | None = None, *, at: int = 0, number: int = 1) -> None:
        """Begin in silence.

        Args:
            pauses: What counts as an end.
            at: Number of the first sample that will come.
            number: Of the first utterance.
        """
        self.pauses = pauses or Pauses()
        self.current: Stretch | None = None
        self._at = at
        self._origin = at
        self._next = number
        self._voiced_in_row = 0
        self._ended = False

    @property
    def paused(self) -> bool:
        """Whether what is being said pauses."""
        return self.current is not None and self._paused(self.current)

    def hear(self, probability: float) -> Event | None:
        """Take the next frame; tell what it changed, if it did.

        ``ended`` and ``dismissed`` leave the stretch in ``current`` until the next frame.
        """
        self._drop_ended()
        begin, self._at = self._at, self._at + FRAME
        if self.current is None:
            return self._listen(probability, begin)
        return self._follow(self.current, probability)

    def end(self) -> Event | None:
        """Take what came so far as a whole sentence."""
        self._drop_ended()
        return self._close(self.current) if self.current is not None else None

    def skip(self, count: int) -> Event | None:
        """Leave out samples that never came; what was being said ends there."""
        event = self.end()
        self._at += count
        self._voiced_in_row = 0
        return event

    def _listen(self, probability: float, begin: int) -> Event | None:
        if probability < self.pauses.begin_probability:
            self._voiced_in_row = 0
            return None
        self._voiced_in_row += 1
        if self._voiced_in_row < self.pauses.begin_frames:
            return None
        first = begin - (self._voiced_in_row - 1) * FRAME
        lead = max(self._origin, first - samples(self.pauses.lead_s))
        self.current = Stretch(
            self._next, lead, first, self._at, self._at, voiced_frames=self._voiced_in_row
        )
        self._next += 1
        self._voiced_in_row = 0
        return "began"

    def _follow(self, stretch: Stretch, probability: float) -> Event | None:
        was_paused = self._paused(stretch)
        stretch.heard_end = self._at
        if probability >= self.pauses.stay_probability:
            stretch.voiced_end = self._at
            stretch.voiced_frames += 1
        length = stretch.heard_end - stretch.begin
        silence = stretch.heard_end - stretch.voiced_end
        paused = self._paused(stretch)
        if (
            silence >= samples(self.pauses.end_s)
            or (paused and length >= samples(self.pauses.long_s))
            or length >= samples(self.pauses.most_s)
        ):
            return self._close(stretch)
        if paused and not was_paused:
            return "paused"
        return "went_on"

    def _paused(self, stretch: Stretch) -> bool:
        return stretch.heard_end - stretch.voiced_end >= samples(self.pauses.pause_s)

    def _close(self, stretch: Stretch) -> Event:
        # What follows at once, where the limit cut a sentence, leads back no further than here.
        self._origin = stretch.voiced_end
        self._ended = True
        if stretch.voiced_frames * FRAME < samples(self.pauses.least_s):
            return "dismissed"
        return "ended"

    def _drop_ended(self) -> None:
        if self._ended:
            self.current, self._ended = None, False
