"""What a voice is to the process that speaks, and how its sound becomes blocks of one rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from dispatch.speech.engine import SPEAKING_RATE_HZ, Language

Give = Callable[[bytes], bool]
"""Takes sound at the voice's rate as signed 16 bits; false when no more is wanted."""

BLOCK_S = 0.1
"""A block that goes to the service: small, so that a pause comes at once."""


FIRST_SOUND_S = 0.3
"""In this time a natural voice should have its first sound. 0.7 s are promised; digits take longer
than letters."""

LEAST_OPENING = 12
"""Characters: fewer than that are no words."""


class Voice(Protocol):
    """A loaded voice."""

    @property
    def name(self) -> str:
        """Engine and voice."""

    @property
    def languages(self) -> tuple[Language, ...]:
        """What it can say."""

    @property
    def rate_hz(self) -> int:
        """Samples a second of what it gives."""

    def say(self, text: str, language: Language, give: Give) -> None:
        """Give the sound of a text, the first of it as early as it can."""


class Pace:
    """How fast a natural voice is on this machine, now; learned from what it says."""

    def __init__(self, seconds_a_character: float) -> None:
        """Begin with what a first text took."""
        self._seconds_a_character = seconds_a_character

    def took(self, characters: int, seconds: float) -> None:
        """Learn from a text that was said: a half of it counts, the rest is what was known."""
        if characters:
            self._seconds_a_character = (self._seconds_a_character + seconds / characters) / 2

    def recover(self) -> None:
        """A text was said by another voice, because this one was too slow: hope grows a little."""
        self._seconds_a_character *= 0.9

    @property
    def opening(self) -> int:
        """Characters that it can say in time for the first sound; 0 when that is not worth it."""
        most = int(FIRST_SOUND_S / self._seconds_a_character)
        return most if most >= LEAST_OPENING else 0


class Resampler:
    """Makes sound of one voice's rate into blocks of ``SPEAKING_RATE_HZ``."""

    def __init__(self, rate_hz: int) -> None:
        """Begin with the first sample of a part."""
        import av  # noqa: PLC0415 - loads slowly, and only the engine's process needs it

        self._rate_hz = rate_hz
        self._frame = av.AudioFrame.from_ndarray
        self._resampler: Any = av.AudioResampler("s16", "mono", SPEAKING_RATE_HZ)
        self._left = b""

    def blocks(self, pcm: bytes) -> Iterator[bytes]:
        """Return whole blocks of what came so far."""
        frame = self._frame(np.frombuffer(pcm, np.int16)[np.newaxis], "s16", "mono")
        frame.sample_rate = self._rate_hz
        yield from self._cut(frame)

    def rest(self) -> Iterator[bytes]:
        """Return what is left at the end."""
        yield from self._cut(None)
        if self._left:
            yield self._left
        self._left = b""

    def _cut(self, frame: Any) -> Iterator[bytes]:
        for made in self._resampler.resample(frame):
            self._left += made.to_ndarray().astype(np.int16).tobytes()
        size = 2 * round(BLOCK_S * SPEAKING_RATE_HZ)
        while len(self._left) >= size:
            yield self._left[:size]
            self._left = self._left[size:]
