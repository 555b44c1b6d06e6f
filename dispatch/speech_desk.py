"""The bridge between a caller who writes and a seat that speaks, both at once.

What a seat says is recognised while it is said: a draft stands in front of the caller, with what
has to be confirmed left open, and the final text after it. What the caller writes is spoken to the
seat sentence by sentence. Without engines, or with ones that are late, all of it goes on as text,
and the seat's page says so.

    GET /speech   WebSocket of a seat's page

The page sends ``listen``, ``pause`` and ``stop`` and its microphone's sound as binary messages
(mono, 16 kHz, signed 16 bits), ``voice`` for the case whose caller it wants to hear, ``started``
when a sentence begins to sound, ``say`` to hear something again, ``discard`` for what is not to be
said. It is told ``engines``, ``listening``, ``heard``, ``settled``, ``speaking`` and ``spoken``;
sound comes as binary messages: the number of its ``speaking`` in four octets (big-endian), then
mono sound at 24 kHz, signed 16 bits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import structlog
from aiohttp import web

from dispatch.case_record import CaseRecord
from dispatch.errors import UnknownError
from dispatch.seat_voice import SeatVoice, Spoken, Wanted
from dispatch.sending import draft_for
from dispatch.speech.engine import Heard, Hearing, Language, Recogniser, Synthesiser
from dispatch.spoken_turns import SpokenTurn, spoken_turn, told
from dispatch.text_actions import SayText
from dispatch.text_desk import Sentence, TextDesk
from streams.chain import Stored
from streams.clock import Clock
from streams.codec import any_body
from streams.errors import ForerunError, StorageError
from streams.health import REFUSED
from streams.identity import new_id
from streams.messages import Identifier
from streams.text_messages import TextSpoken, TextTurn
from streams.web import HOLDER, PageSocket, RequestError, serve_page

LAST_S = 8.0
"""For the last sentence to be read once a microphone is off; more than a late engine needs."""
HELD = 32
"""Utterances of one case that wait for a seat; beyond, the oldest is not said any more."""
MOST_SOUND_BYTES = 32_000
"""Of one message of a page: a second."""
MS_NS = 1_000_000

Read = TypeVar("Read")
Act = Callable[[bytes, str], Awaitable[dict[str, Any]]]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Listening:
    """A seat's microphone in one case."""

    case: str
    hearing: Hearing
    turns: dict[int, str] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None

    def turn(self, utterance: int) -> str:
        """Return the turn of an utterance; those that are over are forgotten."""
        self.turns = {number: one for number, one in self.turns.items() if number >= utterance}
        return self.turns.setdefault(utterance, new_id())


@dataclass(slots=True)
class _SeatPage:
    """One open page of a seat."""

    seat: str
    voice: SeatVoice
    listening: _Listening | None = None


class _Listen(msgspec.Struct, frozen=True, kw_only=True):
    case: Identifier
    language: Literal["en", "zh"] | None = None


class _Voice(msgspec.Struct, frozen=True, kw_only=True):
    case: Identifier | None
    language: Language = "en"


class _Say(msgspec.Struct, frozen=True, kw_only=True):
    text: Annotated[str, msgspec.Meta(max_length=2000)]
    language: Language


class _Started(msgspec.Struct, frozen=True, kw_only=True):
    number: int


class _Discard(msgspec.Struct, frozen=True, kw_only=True):
    case: Identifier
    turn: Identifier


class SpeechDesk:
    """Listens to seats and speaks to them."""

    def __init__(
        self,
        record: CaseRecord,
        texts: TextDesk,
        act: Act,
        clock: Clock,
        *,
        hears: Recogniser,
        speaks: Synthesiser,
    ) -> None:
        """Prepare; ``run`` does the work.

        Args:
            record: The cases.
            texts: The text channel; its sentences are spoken from here on.
            act: Does a seat's action, as the console's own.
            clock: The hub's clocks.
            hears: Turns what seats say into text.
            speaks: Turns what callers write into speech.
        """
        self._record = record
        self._texts = texts
        self._act = act
        self._clock = clock
        self._hears = hears
        self._speaks = speaks
        self._pages: dict[PageSocket, _SeatPage] = {}
        self._held: dict[str, dict[str, SpokenTurn]] = {}
        self._group: asyncio.TaskGroup | None = None
        texts.say = self.say

    async def run(self) -> None:
        """Follow the engines, and carry what they make, until cancelled."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            try:
                group.create_task(self._watch(self._hears), name="speech.hears")
                group.create_task(self._watch(self._speaks), name="speech.speaks")
                await asyncio.Event().wait()
            finally:
                self._group = None

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Serve one page of a seat."""
        seat: str = request[HOLDER].name

        def joined(page: PageSocket) -> None:
            voice = SeatVoice(page, self._speaks)
            self._pages[page] = _SeatPage(seat, voice)
            self._start(voice.run(), f"speech.voice[{seat}]")
            page.send_state(_encode(self._engines()))

        return await serve_page(
            request, joined, self._left, self._hear, self._clock.wall_ns, heard=self._feed
        )

    def say(self, case: str, sentence: Sentence) -> None:
        """Speak a sentence of a caller to the seats that listen to that case."""
        for at in self._pages.values():
            if at.voice.case == case:
                at.voice.add(Wanted(sentence.text, "sentence", sentence))

    def take(self, fact: Stored) -> None:
        """Forget what waited of a seat's speech, once it was said or its case is over."""
        kind, case = fact.envelope.kind, fact.envelope.case or ""
        if kind == "text_turn" and case in self._held:
            body = any_body(fact.envelope)
            assert isinstance(body, TextTurn)
            self._settle(case, body.turn)
        elif kind == "case_closed":
            for turn in list(self._held.get(case, ())):
                self._settle(case, turn)
            for at in self._pages.values():
                if at.listening is not None and at.listening.case == case:
                    self._stop(at)

    def _settle(self, case: str, turn: str) -> None:
        held = self._held.get(case, {})
        if held.pop(turn, None) is not None:
            self._tell(case, {"type": "settled", "case": case, "turn": turn})
        if not held:
            self._held.pop(case, None)

    def _left(self, page: PageSocket) -> None:
        at = self._pages.pop(page, None)
        if at is not None:
            at.voice.end()
            self._stop(at)

    async def _hear(self, page: PageSocket, message: dict[str, Any]) -> None:
        at = self._pages[page]
        match message.get("type"):
            case "listen":
                await self._listen(page, at, _read(message, _Listen))
            case "pause":
                if at.listening is not None:
                    at.listening.hearing.end_utterance()
            case "stop":
                self._stop(at)
            case "voice":
                wanted = _read(message, _Voice)
                at.voice.follow(wanted.case, wanted.language)
                for spoken in self._held.get(wanted.case or "", {}).values():
                    page.send_state(_encode(told(wanted.case or "", spoken)))
            case "say":
                say = _read(message, _Say)
                at.voice.add(Wanted(say.text, "again", language=say.language))
            case "started":
                await self._note_spoken(at, at.voice.started(_read(message, _Started).number))
            case "discard":
                gone = _read(message, _Discard)
                self._texts.draft(gone.case, at.seat, gone.turn, "")
                self._settle(gone.case, gone.turn)
            case kind:
                raise RequestError(f"a message of type {kind!r} is not understood")

    def _feed(self, page: PageSocket, sound: bytes) -> None:
        listening = self._pages[page].listening
        if listening is None or len(sound) > MOST_SOUND_BYTES or len(sound) % 2:
            REFUSED.labels("speech", "sound").inc()
            return
        listening.hearing.feed(sound)

    async def _listen(self, page: PageSocket, at: _SeatPage, wanted: _Listen) -> None:
        case = await self._record.case(wanted.case)
        if case is None or not case.is_open:
            raise UnknownError("open case", wanted.case)
        self._stop(at)
        listening = _Listening(case.id, self._hears.listen(wanted.language))
        at.listening = listening
        state = listening.hearing.state
        answer = {"type": "listening", "case": case.id, "usable": state.usable}
        page.send_state(_encode({**answer, "reason": state.reason}))
        listening.task = self._start(
            self._follow(page, at.seat, listening), f"speech.hearing[{at.seat}]"
        )

    def _stop(self, at: _SeatPage) -> None:
        """Listen no more; what was said by now is still read to its end."""
        listening, at.listening = at.listening, None
        if listening is not None:
            listening.hearing.end_utterance()
            self._start(self._close_soon(listening), f"speech.closing[{at.seat}]")

    @staticmethod
    async def _close_soon(listening: _Listening) -> None:
        """Leave the recogniser the time to read the last sentence."""
        if listening.task is not None:
            await asyncio.wait([listening.task], timeout=LAST_S)
        listening.hearing.close()

    async def _follow(self, page: PageSocket, seat: str, listening: _Listening) -> None:
        """Show what is heard of a seat to its caller, and to itself."""
        unfinished = ""
        async for heard in listening.hearing:
            turn = listening.turn(heard.utterance)
            await self._take(page, seat, listening.case, turn, heard)
            unfinished = "" if heard.final else turn
        if unfinished:
            self._texts.draft(listening.case, seat, unfinished, "")
            settled = {"type": "settled", "case": listening.case, "turn": unfinished}
            page.send_state(_encode(settled))

    async def _take(self, page: PageSocket, seat: str, case: str, turn: str, heard: Heard) -> None:
        known = self._record.book.get(case)
        if known is None or not known.is_open:
            return
        has_page = bool(known.talk.sessions)
        spoken = spoken_turn(turn, heard, self._clock.wall_ns(), has_page=has_page)
        if not spoken.text:
            self._texts.draft(case, seat, turn, "")
        elif not spoken.wait:
            spoken = await self._send(seat, case, spoken)
        if spoken.text and spoken.wait:
            begun_ms = spoken.begun_ns // MS_NS
            self._texts.draft(case, seat, turn, spoken.shown, at_ms=begun_ms)
        if spoken.text and heard.final and spoken.wait:
            self._hold(case, seat, spoken)
            if spoken.read_back and page in self._pages:
                read_back = Wanted(spoken.read_back, "read_back", language=heard.language)
                self._pages[page].voice.add(read_back)
        page.send_state(_encode(told(case, spoken)))

    async def _send(self, seat: str, case: str, spoken: SpokenTurn) -> SpokenTurn:
        """Say an utterance that needs no confirmation; it waits where that fails."""
        action = SayText(
            case=case, turn=spoken.turn, text=spoken.text, way="speech",
            language=spoken.language, begun_ms=spoken.begun_ns // MS_NS,
            ended_ms=spoken.ended_ns // MS_NS, heard=spoken.text, confidence=spoken.confidence,
        )  # fmt: skip
        try:
            await self._act(msgspec.json.encode(action), seat)
        except ForerunError as error:
            REFUSED.labels("speech", error.reason).inc()
            log.warning("speech not said", case=case, error=str(error))
            return replace(spoken, wait="not_stored")
        return spoken

    def _hold(self, case: str, seat: str, spoken: SpokenTurn) -> None:
        held = self._held.setdefault(case, {})
        held[spoken.turn] = spoken
        while len(held) > HELD:
            oldest = next(iter(held))
            self._texts.draft(case, seat, oldest, "")
            self._settle(case, oldest)

    async def _note_spoken(self, at: _SeatPage, spoken: Spoken | None) -> None:
        """Note in the journal when a seat heard a caller's sentence."""
        sentence = spoken.sentence if spoken is not None else None
        case = self._record.book.get(spoken.case or "") if spoken is not None else None
        if case is None or sentence is None or not sentence.turn:
            return
        body = TextSpoken(
            turn=sentence.turn, text=sentence.text, seat=at.seat,
            written_ns=sentence.at_ns, begun_ns=self._clock.wall_ns(), corrects=sentence.corrects,
        )  # fmt: skip
        try:
            await self._record.add(lambda: [draft_for(case, "text_spoken", body)])
        except StorageError as error:
            REFUSED.labels("speech", error.reason).inc()

    async def _watch(self, engine: Recogniser | Synthesiser) -> None:
        while True:
            await engine.changed()
            text = _encode(self._engines())
            for page in self._pages:
                page.send_state(text)

    def _engines(self) -> dict[str, Any]:
        def state(engine: Recogniser | Synthesiser) -> dict[str, Any]:
            now = engine.state
            words = {"condition": now.condition, "reason": now.reason, "engine": now.engine}
            return {**words, "languages": now.languages}

        return {"type": "engines", "hears": state(self._hears), "speaks": state(self._speaks)}

    def _tell(self, case: str, message: dict[str, Any]) -> None:
        text = _encode(message)
        for page, at in self._pages.items():
            if at.voice.case == case:
                page.send_state(text)

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None] | None:
        """Run something beside; not while the hub ends."""
        if self._group is None:
            work.close()
            return None
        return self._group.create_task(work, name=name)


def _read(message: dict[str, Any], kind: type[Read]) -> Read:
    try:
        return msgspec.convert(message, kind)
    except msgspec.ValidationError as error:
        raise RequestError(str(error)) from error


def _encode(message: dict[str, Any]) -> str:
    return msgspec.json.encode(message).decode()
