"""The door by which an exchange hands over a call's real-time text as RTP (RFC 4103).

    POST   /exchange/calls/{call}/text    an SDP offer with m=text; 200 with the answer
    DELETE /exchange/calls/{call}/text    the text is over

The signalling (SIP) is the exchange's. The text ends with the call. The same offer again is
answered as before; another one moves the text to another port, and what may have been lost in
between is marked.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import msgspec
import structlog
from aiohttp import web

from dispatch.call_api import CallApi
from dispatch.case_record import CaseRecord
from dispatch.cases import Case
from dispatch.errors import ConflictError, UnknownError
from dispatch.intake import call_named
from dispatch.offers import OfferError
from dispatch.rtt.endpoint import End, TextEndpoint, open_text_endpoint
from dispatch.rtt.receiver import Received
from dispatch.rtt.sender import TextBacklogError
from dispatch.rtt.text_offer import MOST_BYTES, TextOffer, read_text_offer, text_answer
from dispatch.seat_text import SeatText
from dispatch.text_desk import Hello, TextDesk
from dispatch.text_settings import TextSettings
from streams.chain import Stored
from streams.errors import ForerunError, StorageError, TransportError
from streams.health import DROPPED, REFUSED
from streams.identity import new_id
from streams.t140 import MISSING
from streams.web import RequestError
from streams.webrtc import SDP_TYPE

TICK_S = 0.1
LAST_WORDS_S = 5.0
TYPING_S = 0.05
"""The sender of packets groups what is typed; here nothing waits for it."""

WAITING = 1000
"""Pieces of text that may wait until the session is let in."""

log = structlog.get_logger(__name__)


class NoPortError(ForerunError):
    """All ports are in use."""

    retry = True
    reason = "rtp_ports"


class RtpText:
    """The text of one call, as a reader of the text desk.

    Attributes:
        case: Whose caller.
        name: The session's name at the text desk.
        offer: What was agreed on.
        endpoint: Its port.
        ended: Why it is over; None while it is not.
    """

    def __init__(
        self, case: str, name: str, offer: TextOffer, desk: TextDesk, before: RtpText | None
    ) -> None:
        """Prepare; the port is opened by the door.

        Args:
            case: Whose caller.
            name: The session's name.
            offer: What was agreed on.
            desk: Takes what is written.
            before: What this takes the place of: what is said goes on there.
        """
        self.case, self.name, self.offer = case, name, offer
        self.endpoint: TextEndpoint
        self.ended: str | None = None
        self.over_at: float | None = None
        self.is_in = False
        self._desk = desk
        self._waiting: list[str] = []
        per_s = offer.media.characters_per_s
        self._speech = SeatText(characters_per_s=per_s, interval_s=TYPING_S)
        if before is not None:
            self._speech = before._speech
            if before.endpoint.is_sent:
                self._speech.confirm()
            self._speech.again(per_s)

    def send_state(self, text: str) -> None:
        """Take what the text desk tells."""
        self._speech.hear(msgspec.json.decode(text, type=dict[str, Any]))

    def hear(self, received: Received) -> None:
        """Take text from the exchange."""
        if self.offer.direction not in ("sendrecv", "sendonly"):
            return
        if not self.is_in:
            self._waiting.append(received.text)
            if len(self._waiting) > WAITING:
                self.end("flood")
            return
        self._write(received.text)

    def note_end(self, reason: End) -> None:
        """The port is closed."""
        self.end({"closed": "over", "silence": "silence", "error": "socket failed"}[reason])

    def end(self, reason: str) -> None:
        """Note that it is over; the first reason counts."""
        self.ended = self.ended or reason

    def let_in(self, *, may_miss: bool) -> None:
        """Pass on what has come, and from now on what comes."""
        self.is_in = True
        waiting, self._waiting = self._waiting, []
        for text in [MISSING, *waiting] if may_miss else waiting:
            self._write(text)

    def tick(self, now: float) -> None:
        """Send what is due."""
        if self.offer.direction in ("sendrecv", "recvonly") and (text := self._speech.take(now)):
            try:
                self.endpoint.send(text)
            except TextBacklogError:
                DROPPED.labels("text_rtp").inc()
        if self.over_at is not None:
            said_all = self._speech.is_idle and self.endpoint.is_sent
            if said_all or now > self.over_at:
                self.end("the call is over")

    def _write(self, text: str) -> None:
        try:
            self._desk.write(self.case, self, None, text)
        except ForerunError as error:
            log.warning("real-time text refused", case=self.case, error=str(error))
            self.end(error.reason)


class RtpDoor:
    """The calls' text; ``run`` serves it, ``take`` must be given each stored fact."""

    def __init__(self, settings: TextSettings, record: CaseRecord, desk: TextDesk) -> None:
        """Prepare.

        Args:
            settings: Where text is taken, if at all.
            record: The cases.
            desk: Takes what is written.
        """
        self._settings = settings
        self._record = record
        self._desk = desk
        self._texts: dict[str, RtpText] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._lock = asyncio.Lock()

    @property
    def texts(self) -> dict[str, RtpText]:
        """The text of each case that has some."""
        return dict(self._texts)

    async def run(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            try:
                await asyncio.Event().wait()
            finally:
                self._tasks = None

    def take(self, fact: Stored) -> None:
        """End the text of a call that is over."""
        text = self._texts.get(fact.envelope.case or "")
        if text is None or fact.envelope.kind not in ("call_step", "case_closed"):
            return
        case = self._record.book.get(fact.envelope.case)
        if case is None or not case.is_open or case.call is None or not case.call.has_caller:
            text.over_at = asyncio.get_running_loop().time() + LAST_WORDS_S
        else:
            text.over_at = None  # its caller wrote on, or a seat took it back

    async def open(self, call: str, sdp: str) -> str:
        """Take an offer for a call; return the answer.

        Raises:
            UnknownError: No call of that name, or no text is taken here.
            ConflictError: The call is over.
            OfferError: The offer is malformed, or has no text that could be served.
            NoPortError: All ports are in use.
            StorageError: Nothing was done, trying again helps.
        """
        if not self._settings.rtp_address:
            raise UnknownError("door", "text", "none: `rtp_address` in [text] is empty")
        case = call_named(self._record.book, call)
        if case is None:
            raise UnknownError("call", call)
        if not case.is_open or case.call is None or not case.call.has_caller:
            raise ConflictError("the call is over", kind="call", case=case.id)
        offer = read_text_offer(sdp)
        async with self._lock:
            known = self._texts.get(case.id)
            if known is None or known.ended is not None or known.offer != offer:
                known = await self._begin(case, offer, known)
        announced = self._settings.rtp_announced or self._settings.rtp_address
        return text_answer(offer, announced, known.endpoint.local[1])

    def end(self, call: str) -> None:
        """End the text of a call.

        Raises:
            UnknownError: It has none.
        """
        case = call_named(self._record.book, call)
        text = self._texts.get(case.id) if case is not None else None
        if text is None:
            raise UnknownError("text of call", call)
        text.end("over")

    async def _begin(self, case: Case, offer: TextOffer, before: RtpText | None) -> RtpText:
        sessions = [one for one in case.talk.sessions.values() if one.way == "rtp"]
        known = sessions[-1] if sessions else None
        text = RtpText(case.id, known.session if known else new_id(), offer, self._desk, before)
        stack = contextlib.AsyncExitStack()
        text.endpoint = await self._open_port(stack, text)
        try:
            await self._desk.join(case, text, Hello(session=text.name), way="rtp")
            if self._tasks is None:
                raise TransportError("the hub is ending")
        except BaseException:
            self._desk.left(case.id, text)
            await stack.aclose()
            raise
        if before is not None:
            before.end("replaced by another offer")
        text.let_in(may_miss=known is not None and known.state != "closed")
        self._texts[case.id] = text
        self._tasks.create_task(self._serve(text, stack), name=f"rtp[{case.id}]")
        return text

    async def _open_port(self, stack: contextlib.AsyncExitStack, text: RtpText) -> TextEndpoint:
        """Open a port of the range; even ones, as RTP has it (RFC 3550, section 11)."""
        first, last = self._settings.rtp_ports
        ports = list(range(first + first % 2, last + 1, 2)) if first else [0]
        random.shuffle(ports)
        for port in ports:
            local = (self._settings.rtp_address, port)
            opened = open_text_endpoint(
                local, text.offer.media, on_text=text.hear, on_end=text.note_end
            )
            with contextlib.suppress(OSError):
                return await stack.enter_async_context(opened)
        REFUSED.labels("rtp", "ports").inc()
        raise NoPortError("no UDP port is free for the text of a call")

    async def _serve(self, text: RtpText, stack: contextlib.AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with stack:
                while text.ended is None:
                    text.tick(loop.time())
                    await asyncio.sleep(TICK_S)
            if self._texts.get(text.case) is text:
                del self._texts[text.case]
                with contextlib.suppress(StorageError):
                    await self._desk.goodbye(text.case, text)
        except Exception:
            # One call's surprise must not end everybody's text.
            log.exception("real-time text failed", case=text.case)
        finally:
            if self._texts.get(text.case) is text:
                del self._texts[text.case]
            self._desk.left(text.case, text)
            counts = text.endpoint.receiver.counts
            log.info(
                "real-time text ended", case=text.case, reason=text.ended,
                received=counts.received, recovered=counts.recovered, gaps=counts.gaps,
            )  # fmt: skip


class RtpApi:
    """The handlers."""

    def __init__(self, door: RtpDoor, exchange: CallApi) -> None:
        """Prepare; ``add_routes`` puts them into an application.

        Args:
            door: Opens ports.
            exchange: Lets exchanges in.
        """
        self._door = door
        self._exchange = exchange

    def add_routes(self, app: web.Application) -> None:
        """Add the door to an application."""
        app.router.add_post("/exchange/calls/{call}/text", self.post)
        app.router.add_delete("/exchange/calls/{call}/text", self.delete)

    async def post(self, request: web.Request) -> web.Response:
        """Take an offer and give the answer."""
        self._exchange.admit(request)
        body = await request.read()
        if len(body) > MOST_BYTES:
            raise RequestError(f"an offer has at most {MOST_BYTES} bytes")
        try:
            answer = await self._door.open(
                request.match_info["call"], body.decode("utf-8", "replace")
            )
        except OfferError as error:
            REFUSED.labels("rtp", "offer").inc()
            return web.json_response({"error": str(error)}, status=error.status)
        return web.Response(text=answer, content_type=SDP_TYPE)

    async def delete(self, request: web.Request) -> web.Response:
        """End the text of a call."""
        self._exchange.admit(request)
        self._door.end(request.match_info["call"])
        return web.json_response({"ok": True})
