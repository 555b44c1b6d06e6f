"""The interface between a call and whatever recognises or speaks.

A call feeds sound and reads drafts and finals, or hands over a sentence and reads sound. Nothing
of it raises in the middle of a call: what does not work is a state that the channel can say.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Protocol

Language = Literal["en", "zh"]
"""English, or Mandarin written in simplified characters."""

HEARING_RATE_HZ = 16_000
"""Samples a second of what a recogniser takes: mono, signed 16 bits, little endian."""

SPEAKING_RATE_HZ = 24_000
"""Samples a second of what a synthesiser gives: mono, signed 16 bits, little endian."""

Condition = Literal["starting", "ready", "overloaded", "off"]

Reason = Literal[
    "",
    "switched_off",
    "not_installed",
    "no_model",
    "damaged_model",
    "no_voice",
    "crashed",
    "hung",
    "late",
    "too_many_voices",
]
"""Why an engine is not ready, as a constant word: pages translate it, counters are labelled by it.

``late`` belongs to ``overloaded``; ``crashed`` and ``hung`` to ``starting``, while it is tried
again.
"""


@dataclass(frozen=True, slots=True)
class EngineState:
    """Whether an engine can be used, and if not, why.

    Attributes:
        condition: ``ready`` and ``overloaded`` engines take work, the others none.
        reason: Why it is not ready; empty when it is.
        detail: The same in English for logs, with what to do; empty when it is ready.
        languages: What it can do now.
        engine: Its name and model, such as ``whisper base int8``; empty before it started.
    """

    condition: Condition
    reason: Reason = ""
    detail: str = ""
    languages: tuple[Language, ...] = ()
    engine: str = ""

    @property
    def usable(self) -> bool:
        """Whether it takes work."""
        return self.condition in {"ready", "overloaded"}

    def __str__(self) -> str:
        """Return a sentence for the channel and for logs."""
        match self.condition:
            case "ready":
                return f"speech is on: {self.engine}"
            case "starting":
                return f"speech is starting: {self.detail}" if self.detail else "speech is starting"
            case "overloaded":
                return f"speech is late: {self.detail}"
        return f"speech is off: {self.detail}"


@dataclass(frozen=True, slots=True)
class Heard:
    """What a recogniser made of a stretch of speech.

    A draft is replaced by the next text of the same ``utterance``, and so is all of it by the
    final one. A final text may be empty: then it was no speech after all, and its drafts go.

    Attributes:
        utterance: Counts the stretches of speech of one call, from 1.
        final: Whether no better text of it will come.
        text: In simplified characters where it is Chinese; may be empty.
        language: What it was taken for.
        confidence: 0 to 1: the mean probability (geometric) that the model gave to its own words,
            less what it gave to there being no speech. It is not calibrated: 0.9 does not mean
            that nine of ten are right, but texts below ``DOUBTFUL`` are often wrong.
        begin_s: Where the speech begins, in the sound fed to the call, s.
        end_s: Where the speech that this text covers ends, s.
        latency_s: From when the last of that sound was fed until this text was here, s.
        after_begin_s: From when the first of it was fed until this text was here, s.
    """

    utterance: int
    final: bool
    text: str
    language: Language
    confidence: float
    begin_s: float
    end_s: float
    latency_s: float
    after_begin_s: float


DOUBTFUL = 0.6
"""Below this confidence a page should mark the text as doubtful."""


class Hearing(Protocol):
    """One voice that is listened to, such as the dispatcher's in one call."""

    def feed(self, pcm: bytes) -> bool:
        """Hand over a block of sound as it comes; never waits.

        Args:
            pcm: Whole samples at ``HEARING_RATE_HZ``; 10 to 100 ms are usual.

        Returns:
            False where it was dropped: no engine, or one that takes nothing at the moment.
        """

    def end_utterance(self) -> None:
        """Take what was fed so far as the end of a sentence, such as when a key is let go."""

    def close(self) -> None:
        """Hear no more of it; the iteration ends."""

    @property
    def dropped_s(self) -> float:
        """How much of what was fed never reached the engine, s."""

    @property
    def state(self) -> EngineState:
        """Whether this voice is listened to now."""

    def __aiter__(self) -> AsyncIterator[Heard]:
        """Iterate over drafts and finals. A draft that a newer text replaces may be skipped."""


class Recogniser(Protocol):
    """Turns speech into text."""

    @property
    def state(self) -> EngineState:
        """Whether it can be used now."""

    async def changed(self) -> EngineState:
        """Wait for the next change of the state and return it."""

    def listen(self, language: Language | None = None) -> Hearing:
        """Listen to one more voice. It can be called in any state.

        Args:
            language: None to find it out from the first speech, once.
        """


class Speaking(Protocol):
    """One text that is being spoken."""

    @property
    def complete(self) -> bool:
        """Whether all of it was made; false while it goes on, or when it was cut off."""

    @property
    def first_sound_s(self) -> float | None:
        """From ``speak`` to the first of its sound, s; None before."""

    def cancel(self) -> None:
        """Stop at once: no more sound comes out of the iteration."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over blocks of sound at ``SPEAKING_RATE_HZ``, the first as early as possible."""


class Synthesiser(Protocol):
    """Turns text into speech."""

    @property
    def state(self) -> EngineState:
        """Whether it can be used now."""

    async def changed(self) -> EngineState:
        """Wait for the next change of the state and return it."""

    def speak(self, text: str, language: Language) -> Speaking:
        """Speak a text, after those that wait. It can be called in any state.

        Args:
            text: As typed; it is cleaned and cut to a bound, see ``spoken_text``.
            language: Of what is not told by its script, such as digits.
        """


class Engine(Protocol):
    """What runs an engine: entered by the service, before its first call."""

    async def __aenter__(self) -> Engine:
        """Start it; do not wait until it is ready."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it."""
