"""The recogniser that calls use: voices in, texts out, the engine in a process of its own."""

from __future__ import annotations

import asyncio
import bisect
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from dispatch.speech import wire
from dispatch.speech.engine import HEARING_RATE_HZ, EngineState, Heard, Hearing, Language
from dispatch.speech.engine_process import EngineProcess, Patience, python_command
from dispatch.speech.settings import SpeechSettings

WORKER = "dispatch.speech.recognition_worker"

MARKS_S = 90.0
"""For so long it is known when sound was fed: longer than any utterance and its reading."""

MOST_FINALS = 256
"""Texts that nobody takes; the oldest go then."""


class ListenedVoice:
    """One voice of a `Recognition`; see ``engine.Hearing``."""

    def __init__(
        self, number: int, language: Language | None, owner: Recognition, *, refused: bool
    ) -> None:
        """Only `Recognition.listen` makes them."""
        self.number = number
        self.language = language
        self._owner = owner
        self._refused = refused
        self._fed = 0
        self._dropped = 0
        self._marks: deque[tuple[int, float]] = deque()
        self._finals: deque[Heard] = deque(maxlen=MOST_FINALS)
        self._draft: Heard | None = None
        self._unfinished: Heard | None = None
        self._utterance = 0
        self._news = asyncio.Event()
        self._closed = False

    @property
    def state(self) -> EngineState:
        """Whether this voice is listened to now."""
        if self._refused:
            most = self._owner.most_voices
            detail = f"{most} voices are listened to already"
            return EngineState("off", "too_many_voices", detail)
        return self._owner.state

    @property
    def dropped_s(self) -> float:
        """How much of what was fed never reached the engine, s."""
        return self._dropped / HEARING_RATE_HZ

    def feed(self, pcm: bytes) -> bool:
        """Hand over a block of sound; false where it was dropped."""
        if self._closed or not pcm:
            return False
        at, count = self._fed, len(pcm) // 2
        self._fed += count
        self._mark()
        taken = not self._refused and self._owner.send(
            wire.Sound(self.number, at, pcm[: 2 * count])
        )
        if not taken:
            self._dropped += count
        return taken

    def end_utterance(self) -> None:
        """Take what was fed so far as the end of a sentence."""
        if not self._closed and not self._refused:
            self._owner.send(wire.EndUtterance(self.number))

    def close(self) -> None:
        """Hear no more of it; the iteration ends."""
        if not self._closed:
            self._closed = True
            self._owner.forget(self.number)
            self._news.set()

    async def __aiter__(self) -> AsyncIterator[Heard]:
        """Iterate over drafts and finals."""
        while True:
            self._news.clear()
            while self._finals:
                yield self._finals.popleft()
            if self._draft is not None:
                draft, self._draft = self._draft, None
                yield draft
                continue
            if self._closed:
                return
            await self._news.wait()

    def opening(self) -> wire.Open:
        """Return what makes an engine listen, from here on."""
        return wire.Open(self.number, self.language, self._fed, self._utterance + 1)

    def take(self, text: wire.Text) -> None:
        """Take what the engine made of it."""
        now = self._owner.clock()
        heard = Heard(
            utterance=text.utterance,
            final=text.final,
            text=text.text,
            language=text.language,
            confidence=text.confidence,
            begin_s=text.begin / HEARING_RATE_HZ,
            end_s=text.end / HEARING_RATE_HZ,
            latency_s=now - self._fed_at(text.end, now),
            after_begin_s=now - self._fed_at(text.begin, now),
        )
        self._utterance = max(self._utterance, text.utterance)
        self._give(heard)

    def lose(self) -> None:
        """The engine is gone: a draft that it left is all that will come of that utterance."""
        if self._unfinished is not None:
            left = self._unfinished
            self._give(replace(left, final=True, confidence=left.confidence / 2))

    def _give(self, heard: Heard) -> None:
        if heard.final:
            if self._draft is not None and self._draft.utterance <= heard.utterance:
                self._draft = None
            self._unfinished = None
            self._finals.append(heard)
        else:
            self._draft = self._unfinished = heard
        self._news.set()

    def _mark(self) -> None:
        self._marks.append((self._fed, self._owner.clock()))
        while self._marks[0][0] < self._fed - MARKS_S * HEARING_RATE_HZ:
            self._marks.popleft()

    def _fed_at(self, sample: int, now: float) -> float:
        """Return when a sample was fed, on the clock; the oldest time known when that is past."""
        place = bisect.bisect_left(self._marks, sample, key=lambda mark: mark[0])
        return self._marks[place][1] if place < len(self._marks) else now


class Recognition:
    """A `Recogniser` whose engine is whisper in a process of its own.

    ``async with`` it; voices may come before it is ready and hear nothing until then.
    """

    def __init__(
        self,
        settings: SpeechSettings,
        cache: Path,
        *,
        clock: Callable[[], float] = time.monotonic,
        patience: Patience | None = None,
        command: Sequence[str] = (),
    ) -> None:
        """Prepare it.

        Args:
            settings: What the operator chose.
            cache: Folder for models that come in parts; of the service's state.
            clock: Monotonic seconds.
            patience: How long what may take.
            command: Another engine that speaks ``wire``; empty for ours.
        """
        self.clock = clock
        self.most_voices = settings.most_voices
        self._voices: dict[int, ListenedVoice] = {}
        self._last = 0
        options = msgspec.json.encode(settings).decode()
        off = EngineState("off", "switched_off", "the settings have recognition = false")
        self._process = EngineProcess(
            "recognition",
            command or python_command(WORKER, options, str(cache)),
            on_answer=self._take,
            on_ready=self._open_all,
            on_gone=self._lose_all,
            patience=patience,
            off=None if settings.recognition else off,
        )

    async def __aenter__(self) -> Self:
        """Start the engine; it is ready some seconds later."""
        await self._process.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the engine and all voices."""
        for voice in list(self._voices.values()):
            voice.close()
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

    def listen(self, language: Language | None = None) -> Hearing:
        """Listen to one more voice."""
        self._last += 1
        refused = len(self._voices) >= self.most_voices
        voice = ListenedVoice(self._last, language, self, refused=refused)
        if not refused:
            self._voices[voice.number] = voice
            self._process.send(voice.opening())
        return voice

    def send(self, request: wire.Request) -> bool:
        """Hand a request of a voice to the engine; false where it was dropped."""
        return self._process.send(request)

    def forget(self, number: int) -> None:
        """A voice is listened to no more."""
        if self._voices.pop(number, None) is not None:
            self._process.send(wire.Close(number))

    def _take(self, answer: wire.Answer) -> None:
        if isinstance(answer, wire.Text) and answer.voice in self._voices:
            self._voices[answer.voice].take(answer)

    def _open_all(self) -> None:
        for voice in self._voices.values():
            self._process.send(voice.opening())

    def _lose_all(self) -> None:
        for voice in self._voices.values():
            voice.lose()
