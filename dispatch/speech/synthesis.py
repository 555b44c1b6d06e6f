"""The synthesiser that calls use: texts in, sound out, the engine in a process of its own."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from types import TracebackType
from typing import Self

import msgspec

from dispatch.speech import wire
from dispatch.speech.engine import SPEAKING_RATE_HZ, EngineState, Language
from dispatch.speech.engine_process import EngineProcess, Patience, python_command
from dispatch.speech.settings import SpeechSettings
from dispatch.speech.spoken_text import spoken_parts

WORKER = "dispatch.speech.synthesis_worker"

MOST_SOUND_S = 90.0
"""Sound of one text that nobody has taken yet; a text of the bound is shorter."""


class SpokenText:
    """One text of a `Synthesis`; see ``engine.Speaking``."""

    def __init__(self, number: int, owner: Synthesis) -> None:
        """Only `Synthesis.speak` makes them."""
        self.number = number
        self._owner = owner
        self._asked = owner.clock()
        self._blocks: deque[bytes] = deque()
        self._octets = 0
        self._news = asyncio.Event()
        self._over = False
        self._complete = False
        self.first_sound_s: float | None = None

    @property
    def complete(self) -> bool:
        """Whether all of it was made; false while it goes on, or when it was cut off."""
        return self._complete

    def cancel(self) -> None:
        """Stop at once."""
        self._blocks.clear()
        if not self._over:
            self.end(complete=False)
            self._owner.forget(self.number)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over blocks of sound."""
        while True:
            self._news.clear()
            while self._blocks:
                block = self._blocks.popleft()
                self._octets -= len(block)
                yield block
            if self._over:
                return
            await self._news.wait()

    def take(self, pcm: bytes) -> None:
        """Take a block that the engine made."""
        if self._over:
            return
        if self.first_sound_s is None:
            self.first_sound_s = self._owner.clock() - self._asked
        if self._octets + len(pcm) > 2 * MOST_SOUND_S * SPEAKING_RATE_HZ:
            self.end(complete=False)
            self._owner.forget(self.number)
            return
        self._blocks.append(pcm)
        self._octets += len(pcm)
        self._news.set()

    def end(self, *, complete: bool) -> None:
        """No more of it will come."""
        self._over, self._complete = True, complete
        self._news.set()


class Synthesis:
    """A `Synthesiser` whose voices are in a process of their own; ``async with`` it."""

    def __init__(
        self,
        settings: SpeechSettings,
        *,
        clock: Callable[[], float] = time.monotonic,
        patience: Patience | None = None,
        command: Sequence[str] = (),
    ) -> None:
        """Prepare it.

        Args:
            settings: What the operator chose.
            clock: Monotonic seconds.
            patience: How long what may take.
            command: Another engine that speaks ``wire``; empty for ours.
        """
        self.clock = clock
        self._texts: dict[int, SpokenText] = {}
        self._last = 0
        options = msgspec.json.encode(settings).decode()
        off = EngineState("off", "switched_off", "the settings have synthesis = false")
        self._process = EngineProcess(
            "synthesis",
            command or python_command(WORKER, options),
            on_answer=self._take,
            on_ready=lambda: None,
            on_gone=self._lose_all,
            patience=patience,
            off=None if settings.synthesis else off,
        )

    async def __aenter__(self) -> Self:
        """Start the engine; it is ready a second later."""
        await self._process.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the engine and all that it says."""
        self._lose_all()
        await self._process.__aexit__(kind, error, trace)

    @property
    def state(self) -> EngineState:
        """Whether it can be used now."""
        return self._process.state

    @property
    def pid(self) -> int | None:
        """The engine's process, while there is one."""
        return self._process.pid

    @property
    def restarts(self) -> int:
        """How often the engine was started again."""
        return self._process.restarts

    async def changed(self) -> EngineState:
        """Wait for the next change of the state and return it."""
        return await self._process.changed()

    def speak(self, text: str, language: Language) -> SpokenText:
        """Speak a text, after those that wait."""
        self._last += 1
        spoken = SpokenText(self._last, self)
        parts = spoken_parts(text, language)
        if not parts:
            spoken.end(complete=True)
        elif self._process.send(wire.Say(spoken.number, parts)):
            self._texts[spoken.number] = spoken
        else:
            spoken.end(complete=False)
        return spoken

    def forget(self, number: int) -> None:
        """A text is not to be spoken on."""
        if self._texts.pop(number, None) is not None:
            self._process.send(wire.Close(number))

    def _take(self, answer: wire.Answer) -> None:
        match answer:
            case wire.Spoken(number, pcm) if number in self._texts:
                self._texts[number].take(pcm)
            case wire.AllSpoken(number, complete):
                spoken = self._texts.pop(number, None)
                if spoken is not None:
                    spoken.end(complete=complete)

    def _lose_all(self) -> None:
        for spoken in self._texts.values():
            spoken.end(complete=False)
        self._texts.clear()
