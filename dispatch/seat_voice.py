"""The voice that one seat's page hears: sentences in their order, sound a little ahead of time."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from dispatch.speech.engine import SPEAKING_RATE_HZ, Language, Synthesiser
from dispatch.text_desk import Sentence
from streams.health import DROPPED
from streams.web import PageSocket

AHEAD_S = 4.0
"""Sound that a page may have and has not played: it is bounded, and a stop is soon heard."""
WAITING = 16
"""Sentences that wait to be spoken; beyond, the oldest is not, and its page says so."""
STARTING = 64
"""Sentences of which the page has not said that they sound."""
BYTES_A_SECOND = 2 * SPEAKING_RATE_HZ

Why = Literal["sentence", "read_back", "again"]
"""What is spoken: a caller's sentence, what a seat has to confirm, something once more."""

CORRECTION: dict[Language, str] = {"en": "Correction: ", "zh": "更正："}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Something to be spoken; ``language`` is that of what no letter tells."""

    text: str
    why: Why
    sentence: Sentence | None = None
    language: Language | None = None


@dataclass(frozen=True, slots=True)
class Spoken:
    """Something that sounds at a seat."""

    case: str | None
    sentence: Sentence | None


class SeatVoice:
    """Speaks to one page.

    Attributes:
        case: The case whose caller is spoken to the page; None for none.
    """

    def __init__(self, page: PageSocket, speaks: Synthesiser) -> None:
        """Prepare; ``run`` speaks."""
        self.case: str | None = None
        self._language: Language = "en"
        self._page = page
        self._speaks = speaks
        self._numbers = itertools.count(1)
        self._waiting: deque[Wanted] = deque()
        self._starting: dict[int, Spoken] = {}
        self._wake = asyncio.Event()
        self._over = False
        self._ends_at = 0.0

    def follow(self, case: str | None, language: Language) -> None:
        """Speak a case's caller from here on; what waits of another is not spoken."""
        if case != self.case:
            self._waiting.clear()
        self.case, self._language = case, language

    def add(self, wanted: Wanted) -> None:
        """Speak something after what waits."""
        while len(self._waiting) >= WAITING:
            gone = self._waiting.popleft()
            DROPPED.labels("speech").inc()
            turn = gone.sentence.turn if gone.sentence else ""
            self._tell({"type": "unspoken", "turn": turn, "why": "behind"})
        self._waiting.append(wanted)
        self._wake.set()

    def started(self, number: int) -> Spoken | None:
        """Return what begins to sound at the page; None for what is not known."""
        return self._starting.pop(number, None)

    def end(self) -> None:
        """The page is gone."""
        self._over = True
        self._wake.set()

    async def run(self) -> None:
        """Speak until the page is gone."""
        while not self._over:
            self._wake.clear()
            while self._waiting and not self._over:
                await self._say(self._waiting.popleft())
            if not self._over:
                await self._wake.wait()

    async def _say(self, wanted: Wanted) -> None:
        sentence, number = wanted.sentence, next(self._numbers)
        turn = sentence.turn if sentence else ""
        if not self._speaks.state.usable:
            self._tell({"type": "unspoken", "turn": turn, "why": self._speaks.state.reason})
            return
        self._starting[number] = Spoken(self.case, sentence)
        while len(self._starting) > STARTING:
            del self._starting[next(iter(self._starting))]
        told = {"number": number, "turn": turn, "why": wanted.why, "text": wanted.text}
        self._tell({"type": "speaking", **told})
        language = wanted.language or self._language
        speaking = self._speaks.speak(spoken_text(wanted, language), language)
        head = number.to_bytes(4, "big")
        try:
            async for block in speaking:
                if self._over:
                    break
                self._page.send_frame(head + block)
                await self._keep_pace(len(block))
        finally:
            speaking.cancel()
        self._tell({"type": "spoken", "number": number, "complete": speaking.complete})

    async def _keep_pace(self, octets: int) -> None:
        """Wait while the page has sound for long enough."""
        now = asyncio.get_running_loop().time()
        self._ends_at = max(self._ends_at, now) + octets / BYTES_A_SECOND
        if self._ends_at - now > AHEAD_S:
            await asyncio.sleep(self._ends_at - now - AHEAD_S)

    def _tell(self, message: dict[str, Any]) -> None:
        self._page.send_state(msgspec.json.encode(message).decode())


def spoken_text(wanted: Wanted, language: Language) -> str:
    """Return what is said, with what it is where that is not the next of its caller's words."""
    corrects = wanted.sentence is not None and wanted.sentence.corrects
    return CORRECTION[language] + wanted.text if corrects else wanted.text
