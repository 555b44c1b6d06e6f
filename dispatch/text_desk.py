"""The text channel of calls: characters from callers to the seats at once, and turns both ways.

What a caller types goes to the pages that watch the case as it comes, and into the journal when a
line ends or a pause begins. What a seat says goes to every page of the caller when it is stored;
while a seat still types or speaks, as a draft. A page that was away gets all of it when it is back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, Any, Literal, Protocol

import msgspec
import structlog

from dispatch import caller_guide
from dispatch.case_record import CaseRecord
from dispatch.cases import Case
from dispatch.errors import ConflictError
from dispatch.intake import call_of, wrote_again
from dispatch.sending import draft_for
from dispatch.text_pages import dialled, for_caller_status, place_of, turn, written
from dispatch.text_session import CallerWriting
from streams.chain import Stored
from streams.clock import Clock
from streams.codec import any_body
from streams.errors import StorageError
from streams.guidance_messages import GuidanceStep
from streams.health import REFUSED
from streams.identity import new_id
from streams.messages import Identifier
from streams.outbox import Draft
from streams.plain_text import plain
from streams.t140 import MISSING
from streams.text_messages import CallerProfile, Need, TextChannel, TextTurn, Way

PAUSE_NS = 2_000_000_000
"""A line that is not ended is stored after such a pause."""
LOOK_S = 0.5
LOST_NS = 5_000_000_000
"""A page that stays away so long is said to be lost."""
DRAFTS = 16
"""What seats have begun to say to one caller; beyond, the oldest is shown no more."""
SESSIONS = 8
"""Pages of one caller that may be open at once; a link is not a public place."""
MS_NS = 1_000_000

log = structlog.get_logger(__name__)


class Reader(Protocol):
    """What a caller reads on and writes with: a page's socket, a data channel, a text telephone."""

    def send_state(self, text: str) -> None:
        """Take a message, as JSON; it must not wait."""


@dataclass(slots=True)
class _Talk:
    """What of a case's writing is not stored.

    Attributes:
        writings: By session.
        pages: Open pages and other readers, each with its session, which may have two.
        gone_ns: Sessions without a page, with the monotonic time since when.
        drafts: What seats type or say and have not ended, by turn, the oldest first.
        status: How call and help stand, as the pages were told last.
        rings: Whether the caller wrote while nobody had the call, and that is not stored yet.
    """

    writings: dict[str, CallerWriting] = field(default_factory=dict)
    pages: dict[Reader, str] = field(default_factory=dict)
    gone_ns: dict[str, int] = field(default_factory=dict)
    drafts: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    rings: bool = False


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of a caller, whole enough to be spoken.

    Attributes:
        text: The sentence.
        turn: The turn in which it ends.
        at_ns: When it was complete, by the hub's clock.
        corrects: Whether it says anew what was said before.
        is_damaged: Whether text of it was lost on its way.
    """

    text: str
    turn: str
    at_ns: int
    corrects: bool = False
    is_damaged: bool = False


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller's page says first.

    Attributes:
        session: Its name for itself, a ULID that it keeps while it is open.
        language: That it is set to.
    """

    session: Identifier
    language: Annotated[str, msgspec.Meta(max_length=20)] = ""


class TextDesk:
    """Takes what callers write, and tells them what seats say."""

    def __init__(self, record: CaseRecord, clock: Clock) -> None:
        """Prepare; ``run`` stores, and ``take`` must be given each stored fact.

        Attributes:
            show: Told of a case what pages that watch it are to show at once.
            more: Asked what else a page is told when it comes.
            say: Told of a case each sentence of its caller once it is complete.
        """
        self.show: Callable[[str, dict[str, Any]], None] = lambda _case, _message: None
        self.more: Callable[[Case], dict[str, Any]] = lambda _case: {}
        self.say: Callable[[str, Sentence], None] = lambda _case, _sentence: None
        self._record = record
        self._clock = clock
        self._talks: dict[str, _Talk] = {}
        self._wake = asyncio.Event()

    async def join(
        self,
        case: Case,
        page: Reader,
        hello: Hello,
        *,
        way: Literal["page", "t140", "rtp"] = "page",
    ) -> None:
        """Let a caller's page in, tell it all that was said, and note that it can read.

        Args:
            case: The caller's.
            page: What is told from now on.
            hello: Who it is.
            way: By which way its text comes, unless the session was there before.

        Raises:
            ConflictError: Too many pages of this caller are open.
            StorageError: The journal refuses; the page asks again.
        """
        talk = self._talks.setdefault(case.id, _Talk())
        others = set(talk.pages.values()) - {hello.session}
        if len(others) >= SESSIONS:
            raise ConflictError("too many pages are open with this link", kind="pages")
        writing = talk.writings.get(hello.session)
        if writing is None:
            turns = case.talk.turns.values()
            writing = CallerWriting.again(hello.session, way, new_id, turns)
            talk.writings[hello.session] = writing
        talk.pages[page] = hello.session
        talk.gone_ns.pop(hello.session, None)
        page.send_state(_encode(self._welcome(case, talk, writing)))
        await self._note_state(case.id, hello, "opened")

    def left(self, case: str, page: Reader) -> None:
        """Note that a page is gone; ``run`` says so in the journal once it stays away."""
        talk = self._talks.get(case)
        session = talk.pages.pop(page, None) if talk else None
        if talk is not None and session is not None and session not in talk.pages.values():
            talk.gone_ns[session] = self._clock.monotonic_ns()
            self._wake.set()

    def restore(self) -> None:
        """Wait for the pages that were open when the hub ended: those that stay away are lost."""
        for case in self._record.book.open():
            names = [name for name, one in case.talk.sessions.items() if one.state == "opened"]
            if names:
                gone_ns = dict.fromkeys(names, self._clock.monotonic_ns())
                self._talks[case.id] = _Talk(gone_ns=gone_ns)

    async def goodbye(self, case: str, page: Reader) -> None:
        """Note that the caller left the page on purpose.

        Raises:
            StorageError: The journal refuses.
        """
        talk = self._talks.get(case)
        session = talk.pages.get(page) if talk else None
        if session is not None:
            await self._note_state(case, Hello(session=session), "closed")

    def write(self, case: str, page: Reader, start: int | None, text: str) -> None:
        """Take characters that a caller typed.

        Args:
            case: The caller's.
            page: Where.
            start: How many came before them; None: these are the next, as nobody counts there.
            text: T.140.

        Raises:
            TextGapError: Some before them are missing.
            ConflictError: The page never said who it is.
        """
        talk = self._talks.get(case)
        session = talk.pages.get(page) if talk else None
        if talk is None or session is None:
            raise ConflictError("say hello first", kind="no_session")
        writing = talk.writings[session]
        start = writing.taken if start is None else start
        for line in writing.take(start, text, self._clock.wall_ns()):
            self.show(case, written(case, writing, line))
            if line.text.strip() and self._is_over(case):
                talk.rings = True
            if line.finished or talk.rings:
                self._wake.set()
        self._say(case, writing)
        taken = _encode({"type": "taken", "count": writing.taken})
        for one, name in talk.pages.items():
            if name == session:  # a page that writes by its data channel, too
                one.send_state(taken)

    async def note_needs(self, case: str, needs: tuple[Need, ...], language: str) -> None:
        """Note what the caller says of himself.

        Raises:
            StorageError: The journal refuses.
        """
        body = CallerProfile(needs=tuple(dict.fromkeys(needs)), language=language)
        await self._record.add(partial(self._if_new, case, "caller_profile", body))

    def case_of_number(self, number: str) -> str | None:
        """Return the open case of the call of a number, or None."""
        found = call_of(self._record.book, number, self._clock.wall_ns())
        return found.id if found is not None and found.is_open else None

    async def take_message(
        self, case: str, text: str, way: Literal["sms", "app"], message: str
    ) -> None:
        """Take a whole message of a gateway; one that was taken before is left out.

        Raises:
            StorageError: The journal refuses; the gateway sends it again.
        """
        now_ns = self._clock.wall_ns()
        shown = plain(text).strip() or MISSING  # something came, and nobody can read it
        body = TextTurn(
            turn=new_id(), who="caller", way=way, text=shown, begun_ns=now_ns, ended_ns=now_ns,
            message=message,
        )  # fmt: skip

        def unless_known() -> list[Draft]:
            found = self._record.book.get(case)
            known = found.talk.turns.values() if found else ()
            if any((one.way, one.message) == (way, message) for one in known):
                return []
            return [*self._rings_again(case), *self._if_new(case, "text_turn", body)]

        if await self._record.add(unless_known):
            self.say(case, Sentence(body.text, body.turn, now_ns))

    def draft(
        self, case: str, seat: str, turn: str, text: str, *, at_ms: int | None = None
    ) -> None:
        """Show the caller what a seat types or says and has not ended; empty takes it back.

        Args:
            case: Whose caller.
            seat: Who.
            turn: The turn that it will be.
            text: All of it by now, as the caller may see it.
            at_ms: When it was begun, by the hub's clock; now where it begins now.
        """
        talk, known = self._talks.get(case), self._record.book.get(case)
        said = known.talk.turns.get(turn) if known else None
        if talk is None or (said is not None and said.text == text.strip()):
            return  # a draft that was overtaken by its turn
        before = talk.drafts.pop(turn, None)
        begun_ms = before["begun_ms"] if before else at_ms or self._now_ms()
        if text:
            while len(talk.drafts) >= DRAFTS:
                del talk.drafts[next(iter(talk.drafts))]
            talk.drafts[turn] = {"turn": turn, "text": text, "seat": seat, "begun_ms": begun_ms}
        self._tell(talk, {"type": "writing", "turn": turn, "text": text, "begun_ms": begun_ms})
        shown = {"case": case, "turn": turn, "who": "dispatcher", "seat": seat, "text": text}
        self.show(case, {"type": "writing", "at_ms": self._now_ms(), **shown})

    def tell(self, case: str, message: dict[str, Any]) -> None:
        """Tell all open pages of a caller something; a page that is away is not told."""
        talk = self._talks.get(case)
        if talk is not None:
            self._tell(talk, message)

    def take(self, fact: Stored) -> None:
        """Tell callers what was said to them, how call and help stand, and that a case is over."""
        kind, case = fact.envelope.kind, fact.envelope.case
        talk = self._talks.get(case or "")
        if talk is None or case is None:
            return
        self._tell_status(case, talk)
        if kind == "text_turn":
            body = any_body(fact.envelope)
            assert isinstance(body, TextTurn)
            talk.drafts.pop(body.turn, None)
            self._tell(talk, {"type": "turn", "turn": self._turn(case, body)})
        elif kind == "guidance_step":
            step = any_body(fact.envelope)
            assert isinstance(step, GuidanceStep)
            self._tell_step(case, talk, step)
        elif kind == "guidance_mark":  # another one pushes now
            self._tell_step(case, talk)
        elif kind == "case_closed":
            self._tell(talk, {"type": "closed"})

    def _tell_status(self, case: str, talk: _Talk) -> None:
        known = self._record.book.get(case)
        status = for_caller_status(known) if known is not None else talk.status
        if status != talk.status:
            talk.status = status
            self._tell(talk, {"type": "status", **status})

    def _tell_step(self, name: str, talk: _Talk, step: GuidanceStep | None = None) -> None:
        """Tell a step; without one that at which the guide stands, anew."""
        case = self._record.book.get(name)
        if case is None:
            return
        library, now_ns = self._record.fleet.protocols, self._clock.wall_ns()
        if step is not None:
            told: dict[str, Any] | None = caller_guide.step(step, case, library, now_ns)
        else:
            told = caller_guide.current(case, library, now_ns)
        if told is not None:
            self._tell(talk, {"type": "step", "step": told})

    def live(self, case: str) -> list[dict[str, Any]]:
        """Return what is being written and not stored, for a page that begins to watch a case."""
        talk = self._talks.get(case)
        if talk is None:
            return []
        found = [
            written(case, writing, line)
            for writing in talk.writings.values()
            for line in writing.lines
            if not line.is_stored and line.text
        ]
        for draft in talk.drafts.values():
            said = {"case": case, "who": "dispatcher", "at_ms": self._now_ms(), **draft}
            found.append({"type": "writing", **said})
        return found

    async def run(self) -> None:
        """Store what is written until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._wake.wait()
            self._wake.clear()
            try:
                for case, talk in list(self._talks.items()):
                    for writing in talk.writings.values():
                        self._say(case, writing)  # a pause ends a sentence as well
                    await self._ring(case, talk)
                    await self._store(case, talk)
                    self._forget(case, talk)
            except StorageError as error:
                REFUSED.labels("text", error.reason).inc()
                log.warning("writing not stored yet", error=str(error))
                await asyncio.sleep(LOOK_S)

    def _say(self, case: str, writing: CallerWriting) -> None:
        now_ns = self._clock.wall_ns()
        for one in writing.sentences(now_ns):
            turn = next((line.turn for line in reversed(writing.lines) if line.text), "")
            said = Sentence(
                one.text, turn, now_ns, corrects=one.corrects, is_damaged=one.is_damaged
            )
            self.say(case, said)

    def _is_over(self, case: str) -> bool:
        known = self._record.book.get(case)
        return known is not None and bool(wrote_again(known))

    async def _ring(self, case: str, talk: _Talk) -> None:
        """Have a call ring again whose caller goes on writing; before what was written is stored.

        If the hub ends between the two, the page sends again what was not stored, and nothing is
        left that nobody was called for.
        """
        if not talk.rings:
            return
        talk.rings = False
        try:
            await self._record.add(partial(self._rings_again, case))
        except StorageError:
            talk.rings = True
            raise

    def _rings_again(self, name: str) -> list[Draft]:
        case = self._record.book.get(name)
        return wrote_again(case) if case is not None else []

    async def _store(self, case: str, talk: _Talk) -> None:
        """Store the lines of a case that ended or pause, and pages that went away."""
        now_ns = self._clock.wall_ns()
        for writing in talk.writings.values():
            pause_ns = PAUSE_NS if writing.session in talk.pages.values() else 0
            lines = writing.unstored(now_ns, pause_ns)
            bodies = [writing.turn_of(line) for line in lines]
            if bodies:
                await self._record.add(partial(self._of_lines, case, bodies))
            for line, body in zip(lines, bodies, strict=True):
                line.stored = body.text, body.finished
        for session, since_ns in list(talk.gone_ns.items()):
            if self._clock.monotonic_ns() - since_ns >= LOST_NS:
                await self._note_state(case, Hello(session=session), "lost")
                del talk.gone_ns[session]

    def _forget(self, case: str, talk: _Talk) -> None:
        """Leave a case whose pages are gone and whose lines are stored; it is read when wanted."""
        lines = [line for one in talk.writings.values() for line in one.lines]
        if not talk.pages and not talk.gone_ns and all(line.is_stored for line in lines):
            del self._talks[case]

    async def _note_state(
        self, case: str, hello: Hello, state: Literal["opened", "lost", "closed"]
    ) -> None:
        body = TextChannel(
            session=hello.session, state=state, way=self._way(case, hello.session),
            language=hello.language,
        )  # fmt: skip
        await self._record.add(partial(self._if_new, case, "text_channel", body))

    def _way(self, case: str, session: str) -> Way:
        """Return by which way a session's text comes."""
        talk, known = self._talks.get(case), self._record.book.get(case)
        if talk is not None and session in talk.writings:
            return talk.writings[session].way
        before = known.talk.sessions.get(session) if known is not None else None
        return before.way if before is not None else "page"

    def _of_lines(self, case: str, bodies: list[TextTurn]) -> list[Draft]:
        return [draft for body in bodies for draft in self._if_new(case, "text_turn", body)]

    def _if_new(
        self, name: str, kind: str, body: TextTurn | TextChannel | CallerProfile
    ) -> list[Draft]:
        """Return the fact, unless the case has it already."""
        case = self._record.book.get(name)
        if case is None or case.talk.has(body):
            return []
        return [draft_for(case, kind, body)]

    def _welcome(self, case: Case, talk: _Talk, writing: CallerWriting) -> dict[str, Any]:
        turns = [self._turn(case.id, one) for one in case.talk.turns.values() if one.text]
        turns.sort(key=place_of)
        needs = list(case.talk.profile.needs) if case.talk.profile else []
        told = {"type": "welcome", "taken": writing.taken, "open": case.is_open, "turns": turns}
        step = caller_guide.current(case, self._record.fleet.protocols, self._clock.wall_ns())
        told |= {"needs": needs, "drafts": list(talk.drafts.values()), "step": step}
        talk.status = for_caller_status(case)
        return told | talk.status | {"dialled": dialled(case)} | self.more(case)

    def _turn(self, case: str, body: TextTurn) -> dict[str, Any]:
        known = self._record.book.get(case)
        corrected = known is not None and body.turn in known.talk.corrected
        return turn(body, corrected=corrected)

    @staticmethod
    def _tell(talk: _Talk, message: dict[str, Any]) -> None:
        text = _encode(message)
        for page in talk.pages:
            page.send_state(text)

    def _now_ms(self) -> int:
        return self._clock.wall_ns() // MS_NS


def _encode(message: dict[str, Any]) -> str:
    return msgspec.json.encode(message).decode()
