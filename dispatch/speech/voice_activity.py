"""Whether a frame of sound is speech: silero's model, as the package faster-whisper carries it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dispatch.speech.utterances import FRAME

Samples = NDArray[np.float32]
"""Mono sound at 16 kHz, -1 to 1."""

CONTEXT = 64
"""Samples of the frame before that the model wants to see with each frame."""

STATE = (1, 1, 128)


class VoiceActivity(Protocol):
    """Follows one voice."""

    def probability(self, frame: Samples) -> float:
        """Return how probably the next ``FRAME`` samples are speech, 0 to 1."""


class Silero:
    """Follows one voice with the model that all voices share; 0.2 ms a frame."""

    def __init__(self, run: Callable[..., list[Any]]) -> None:
        """Take the model's ``run``; see ``load_silero``."""
        self._run = run
        self._hidden = np.zeros(STATE, np.float32)
        self._cell = np.zeros(STATE, np.float32)
        self._context = np.zeros(CONTEXT, np.float32)

    def probability(self, frame: Samples) -> float:
        """Return how probably the next ``FRAME`` samples are speech, 0 to 1."""
        if frame.shape != (FRAME,):
            raise ValueError(f"a frame has {FRAME} samples and not {frame.shape}")
        shown = np.concatenate([self._context, frame])[np.newaxis]
        self._context = frame[-CONTEXT:]
        answer, self._hidden, self._cell = self._run(
            None, {"input": shown, "h": self._hidden, "c": self._cell}
        )
        return float(np.ravel(answer)[0])


def load_silero() -> Callable[[], VoiceActivity]:
    """Load the model; returns what makes a follower for one more voice.

    Raises:
        ImportError: faster-whisper or onnxruntime is not installed.
    """
    from faster_whisper.vad import get_vad_model  # noqa: PLC0415 - only where it is used

    session = get_vad_model().session
    return lambda: Silero(session.run)
