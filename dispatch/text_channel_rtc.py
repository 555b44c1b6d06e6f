"""The door by which callers write over a WebRTC data channel (RFC 8865).

    POST   /here/{token}/rtc?session=…&language=zh    an SDP offer in, 201 with the answer
    DELETE /here/{token}/rtc/{id}                     the caller goes

Any client that offers a data channel of subprotocol ``t140`` can write and read here; one that
keeps no ``session`` of its own is the same one each time, and text that may have been lost while
its channel was broken is marked (U+FFFD). A page of ours adds ``counted=1``: its characters have
numbers, so it changes between this way and its WebSocket without loss or repetition.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter, OrderedDict, deque
from dataclasses import dataclass, field

import structlog
from aiohttp import hdrs, web
from aiortc import RTCSessionDescription

from dispatch.caller_api import CallerApi
from dispatch.cases import Case
from dispatch.errors import ConflictError, UnknownError
from dispatch.offers import OfferError, read_offer
from dispatch.rtt.channel import TextChannelSession
from dispatch.rtt.channel_offer import ChannelOffer, read_channel, with_channel
from dispatch.seat_text import SeatText
from dispatch.text_desk import Hello, TextDesk
from streams.errors import ForerunError, StorageError, TransportError
from streams.health import REFUSED
from streams.identity import is_id
from streams.t140 import MISSING
from streams.web import RequestError
from streams.webrtc import SDP_TYPE, PeerConnection, PeerSettings, close_peer, without_mdns

TICK_S = 0.1
ANSWER_S = 10.0
RETRY_AFTER_S = 10
OFFERS, OFFERS_S = 20, 60.0
"""So many offers of one caller are taken in so many seconds: each costs a key and sockets."""

REMEMBERED = 256
"""Readers whose place in the conversation is known for when they come back."""

MOST_SDP_BYTES = 32 * 1024
_LANGUAGE = re.compile(r"[A-Za-z0-9-]{0,20}")

log = structlog.get_logger(__name__)


class ChannelsFullError(ForerunError):
    """As many peers are there as may be, or one caller offers too often."""

    retry = True
    reason = "rtc_full"


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """What the door allows.

    Attributes:
        peer: Interfaces to offer and servers to ask.
        most: Peers at once; 0: the door is shut.
        most_of_caller: Of one caller.
        connect_s: A peer without an open channel by then is closed.
    """

    peer: PeerSettings = field(default_factory=PeerSettings)
    most: int = 64
    most_of_caller: int = 4
    connect_s: float = 15.0


class TextChannels:
    """The peers; ``run`` serves them."""

    def __init__(self, desk: TextDesk, limits: ChannelLimits) -> None:
        """Prepare.

        Attributes:
            ended: How many sessions ended, by reason.
        """
        self.ended: Counter[str] = Counter()
        self._desk = desk
        self._limits = limits
        self._sessions: dict[str, TextChannelSession] = {}
        self._speeches: OrderedDict[tuple[str, str], SeatText] = OrderedDict()
        self._offers: OrderedDict[str, deque[float]] = OrderedDict()
        self._opening: Counter[str] = Counter()
        self._tasks: asyncio.TaskGroup | None = None

    @property
    def sessions(self) -> list[TextChannelSession]:
        """The peers that are there now, open or on their way."""
        return list(self._sessions.values())

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None

    async def open(
        self, case: Case, sdp: str, hello: Hello, *, counted: bool
    ) -> tuple[TextChannelSession, str]:
        """Take an offer; return the session and the answer.

        Raises:
            OfferError: The offer is malformed, or offers no channel for text.
            ConflictError: The case is closed.
            ChannelsFullError: There are too many.
            TransportError: No answer could be made.
        """
        if not case.is_open:
            raise ConflictError("the case is closed: nobody would read it", kind="closed")
        now = asyncio.get_running_loop().time()
        self._check_room(case.id, now)
        checked = read_offer(sdp, "publish")
        if checked.sections or not checked.data:
            raise OfferError(406, "offer one data channel, and neither audio nor video, here")
        offer = read_channel(sdp)
        peer = PeerConnection(self._limits.peer)
        self._opening[case.id] += 1
        try:
            async with asyncio.timeout(ANSWER_S):
                await _take_offer(peer, sdp)
                speech = None if counted else self._speech(case.id, hello, offer)
                session = TextChannelSession(
                    peer, case.id, hello.session, offer=offer, now=now, speech=speech
                )
                await peer.setLocalDescription(await peer.createAnswer())
        except TimeoutError as error:
            await close_peer(peer)
            raise TransportError("no answer could be made in time") from error
        except BaseException:
            await close_peer(peer)
            raise
        finally:
            self._opening[case.id] -= 1
        if self._tasks is None:
            await close_peer(peer)
            raise TransportError("the hub is ending")
        self._sessions[session.id] = session
        self._tasks.create_task(self._serve(session, case, hello), name=f"rtc[{case.id}]")
        return session, with_channel(str(peer.localDescription.sdp), offer)

    def end(self, case: str, session_id: str) -> None:
        """End a session because its client says so.

        Raises:
            UnknownError: There is none of this name.
        """
        session = self._sessions.get(session_id)
        if session is None or session.case != case:
            raise UnknownError("session", session_id[:40])
        session.closed_by_peer = True
        session.end("ended by its peer")

    def _check_room(self, case: str, now: float) -> None:
        mine = sum(one.case == case for one in self._sessions.values()) + self._opening[case]
        count = len(self._sessions) + self._opening.total()
        if count >= self._limits.most or mine >= self._limits.most_of_caller:
            REFUSED.labels("rtc", "full").inc()
            raise ChannelsFullError("there are too many channels: go on by another way")
        offers = self._offers.setdefault(case, deque())
        self._offers.move_to_end(case)
        while len(self._offers) > REMEMBERED:
            self._offers.popitem(last=False)
        while offers and offers[0] < now - OFFERS_S:
            offers.popleft()
        if len(offers) >= OFFERS:
            REFUSED.labels("rtc", "flood").inc()
            raise ChannelsFullError("too many offers: wait a moment")
        offers.append(now)

    def _speech(self, case: str, hello: Hello, offer: ChannelOffer) -> SeatText:
        """Return what types to a reader: as it was, where the reader was here before."""
        known = self._speeches.pop((case, hello.session), None)
        if known is not None:
            known.again(offer.characters_per_s)
        speech = known or SeatText(
            language=hello.language or offer.language, characters_per_s=offer.characters_per_s
        )
        self._speeches[case, hello.session] = speech
        while len(self._speeches) > REMEMBERED:
            self._speeches.popitem(last=False)
        return speech

    async def _serve(self, session: TextChannelSession, case: Case, hello: Hello) -> None:
        """Let a session in when its channel is open, and keep it going until it ends."""
        loop = asyncio.get_running_loop()
        try:
            while session.ended is None and not session.is_open:
                if loop.time() - session.opened_at > self._limits.connect_s:
                    session.end("never opened")
                await asyncio.sleep(TICK_S / 2)
            await self._let_in(session, case, hello)
            while session.ended is None:
                await session.tick(loop.time())
                await asyncio.sleep(TICK_S)
            await self._say_goodbye(session)
        except Exception:
            # One peer's surprise must not end everybody's text.
            log.exception("text channel failed", case=session.case)
            session.end("error")
        finally:
            del self._sessions[session.id]
            self.ended[session.ended or "stopped"] += 1
            self._desk.left(session.case, session)
            if session.ended in ("flood", "not counted", "text_gap"):
                REFUSED.labels("rtc", session.ended.replace(" ", "_")).inc()
            log.info("text channel ended", case=session.case, reason=session.ended)
            await close_peer(session.peer)

    async def _let_in(self, session: TextChannelSession, case: Case, hello: Hello) -> None:
        before = case.talk.sessions.get(session.name)
        was_cut = session.way == "t140" and before is not None and before.state != "closed"
        while session.ended is None and session.write is None:
            try:
                await self._desk.join(case, session, hello, way=session.way)
            except StorageError:
                await asyncio.sleep(TICK_S * 5)
                continue
            except ConflictError as error:
                session.end(error.reason)
                return
            self._replace_others(session)
            if was_cut:
                self._desk.write(case.id, session, None, MISSING)
            session.let_in(lambda at, text: self._desk.write(case.id, session, at, text))

    def _replace_others(self, session: TextChannelSession) -> None:
        """End what is left of the same client: its path is dead, or it made a new one."""
        for other in self._sessions.values():
            if other is not session and (other.case, other.name) == (session.case, session.name):
                other.end("replaced by a new channel")

    async def _say_goodbye(self, session: TextChannelSession) -> None:
        if session.closed_by_peer and session.way == "t140":
            self._speeches.pop((session.case, session.name), None)
            with contextlib.suppress(StorageError):
                await self._desk.goodbye(session.case, session)


async def _take_offer(peer: PeerConnection, sdp: str) -> None:
    try:
        description = RTCSessionDescription(sdp=without_mdns(sdp), type="offer")
        await peer.setRemoteDescription(description)
    except Exception as error:
        # aiortc raises whatever it stumbles over; the description is at fault.
        raise OfferError(400, f"unusable session description: {error or 'no detail'}") from error


class TextChannelApi:
    """The handlers."""

    def __init__(self, channels: TextChannels, callers: CallerApi) -> None:
        """Prepare; ``add_routes`` puts them into an application.

        Args:
            channels: Opens them.
            callers: Knows the tokens of callers.
        """
        self._channels = channels
        self._callers = callers

    def add_routes(self, app: web.Application) -> None:
        """Add the doors to an application."""
        app.router.add_post("/here/{token}/rtc", self.post)
        app.router.add_delete("/here/{token}/rtc/{session}", self.delete)

    async def post(self, request: web.Request) -> web.Response:
        """Take an offer and give the answer."""
        case = await self._callers.case_of(request)
        hello, counted = _hello(request, case)
        if request.content_type != SDP_TYPE:
            return web.Response(status=415, text=f"send the offer as {SDP_TYPE}\n")
        sdp = await _body(request)
        try:
            session, answer = await self._channels.open(case, sdp, hello, counted=counted)
        except OfferError as error:
            REFUSED.labels("rtc", "offer").inc()
            return web.Response(status=error.status, text=f"{error}\n")
        except (ChannelsFullError, TransportError) as error:
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            return web.Response(status=503, text=f"{error}\n", headers=headers)
        headers = {hdrs.LOCATION: f"{request.path}/{session.id}"}
        return web.Response(status=201, text=answer, content_type=SDP_TYPE, headers=headers)

    async def delete(self, request: web.Request) -> web.Response:
        """End a session."""
        case = await self._callers.case_of(request)
        self._channels.end(case.id, request.match_info["session"])
        return web.Response()


def _hello(request: web.Request, case: Case) -> tuple[Hello, bool]:
    """Return who offers, and whether it counts.

    A client that has no name for itself gets the case's: names are of one case only.
    """
    session = request.query.get("session", "")
    if session and not is_id(session):
        raise RequestError("`session` is no ULID")
    counted = request.query.get("counted") == "1"
    if counted and not session:
        raise RequestError("who counts its characters has a `session`")
    language = request.query.get("language", "")
    if not _LANGUAGE.fullmatch(language):
        raise RequestError("`language` is no language tag")
    return Hello(session=session or case.id, language=language), counted


async def _body(request: web.Request) -> str:
    try:
        async with asyncio.timeout(ANSWER_S):
            body = await request.content.read(MOST_SDP_BYTES + 1)
            while len(body) <= MOST_SDP_BYTES and (more := await request.content.read(4096)):
                body += more
    except TimeoutError as error:
        raise RequestError("the offer did not come in time") from error
    if len(body) > MOST_SDP_BYTES:
        raise RequestError(f"an offer has at most {MOST_SDP_BYTES} bytes")
    return body.decode("utf-8", "replace")
