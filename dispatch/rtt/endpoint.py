"""The real-time text of one call on a UDP port: what a SIP gateway of the exchange sends, and ours.

The gateway negotiates (addresses, payload types); here is the port that it is told. Nothing runs
between packets but one timer, so an idle call costs nothing.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import structlog

from dispatch.rtt.payload import TextPayloadError
from dispatch.rtt.receiver import WAIT_S, Received, TextReceiver
from dispatch.rtt.sender import GENERATIONS, Stream, TextSender
from streams.t140_typing import CHARACTERS_PER_S

OPEN_S = 5.0
"""In which the port has to be open."""

CLOSE_S = 1.0
"""In which what was given to the socket has left it."""

PACKETS_PER_S = 100
"""Packets that are read in a second; a sender by the standard needs four."""

_log = structlog.get_logger()

End = Literal["closed", "silence", "error"]
"""Why a call's text is over: by us, nothing came for too long, or the socket failed."""

Address = tuple[str, int]


@dataclass(frozen=True)
class TextMedia:
    """What the session description of a call says about its text.

    Attributes:
        text_type: Payload type of ``text/t140``, 96 to 127 as a rule.
        red_type: Payload type of ``text/red``; None where it was not agreed on.
        remote: Where our text goes, and from whose host theirs has to come. None: it is that from
            which the first readable packet comes.
        characters_per_s: What the other side takes (``a=fmtp … cps=``).
        generations: Earlier blocks in each of our packets.
        wait_s: How long a gap in theirs is waited for.
        silence_s: A call from which nothing comes for so long is over; None: never.
    """

    text_type: int
    red_type: int | None = None
    remote: Address | None = None
    characters_per_s: float = CHARACTERS_PER_S
    generations: int = GENERATIONS
    wait_s: float = WAIT_S
    silence_s: float | None = 3600.0


@dataclass
class Refused:
    """Datagrams that were not taken.

    Attributes:
        by_field: Unreadable ones, by what was wrong.
        foreign: From another host than the call's.
        flooded: Over ``PACKETS_PER_S``.
    """

    by_field: Counter[str] = field(default_factory=Counter)
    foreign: int = 0
    flooded: int = 0


class TextEndpoint(asyncio.DatagramProtocol):
    """The port of one call; `open_text_endpoint` makes it.

    Attributes:
        receiver: Its counts say what was lost, recovered and repeated.
        refused: What was not taken.
        local: Address and port that the other side is to be told.
        ended: Why it is over; None while it is not.
    """

    def __init__(
        self,
        media: TextMedia,
        on_text: Callable[[Received], None],
        on_end: Callable[[End], None],
    ) -> None:
        """Prepare a call's text; see `open_text_endpoint`."""
        self.receiver = TextReceiver(
            text_type=media.text_type, red_type=media.red_type, wait_s=media.wait_s
        )
        self.refused = Refused()
        self.local: Address = ("", 0)
        self.ended: End | None = None
        self._sender = TextSender(
            Stream(secrets.randbits(32), secrets.randbits(16), secrets.randbits(32)),
            text_type=media.text_type,
            red_type=media.red_type,
            generations=media.generations,
            characters_per_s=media.characters_per_s,
        )
        self._media = media
        self._remote = media.remote
        self._on_text = on_text
        self._on_end = on_end
        self._transport: asyncio.DatagramTransport | None = None
        self._is_closed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._heard = self._loop.time()
        self._allowed = float(PACKETS_PER_S)
        self._allowed_at = self._heard

    @property
    def is_sent(self) -> bool:
        """Whether all our text was sent, with all its repetitions."""
        return self._sender.is_idle

    def send(self, text: str) -> None:
        """Send T.140 to the other side, as soon as it is known where that is.

        Raises:
            TextBacklogError: Too much waits already; nothing was taken.
        """
        self._sender.write(text)
        self._run()

    def end(self, reason: End) -> None:
        """Close the port; what still waits behind a gap is told first. Again: does nothing."""
        if self.ended is not None:
            return
        self.ended = reason
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            self._transport.close()
        try:
            self._tell(self.receiver.finish())
        finally:
            self._on_end(reason)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the port (asyncio calls it)."""
        # Python 3.11's own transport of datagrams does not inherit from DatagramTransport.
        self._transport = cast(asyncio.DatagramTransport, transport)
        host, port, *_ = transport.get_extra_info("sockname")
        self.local = (host, port)
        self._run()

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Take one datagram (asyncio calls it)."""
        if self.ended is not None:
            return
        now = self._loop.time()
        if self._remote is not None and addr[0] != self._remote[0]:
            self.refused.foreign += 1
        elif not self._is_allowed(now):
            self.refused.flooded += 1
        else:
            try:
                found = self.receiver.take(data, now)
            except TextPayloadError as error:
                self.refused.by_field[error.field] += 1
                return
            self._heard = now
            self._remote = self._remote or (addr[0], addr[1])
            self._tell(found)
            self._run()

    def error_received(self, exc: Exception) -> None:
        """Note that a datagram did not arrive: the other side may only not be there yet."""
        self.refused.by_field["unreachable"] += 1
        _log.debug("text_rtp.unreachable", error=str(exc), remote=self._remote)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed (asyncio calls it)."""
        self._is_closed.set()
        self.end("error" if exc is not None else "closed")

    async def closed(self) -> None:
        """Wait until the port is free again, after `end`; what could not be sent is dropped."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._is_closed.wait()
        except TimeoutError:
            if self._transport is not None:
                self._transport.abort()

    def _is_allowed(self, now: float) -> bool:
        grown = self._allowed + (now - self._allowed_at) * PACKETS_PER_S
        self._allowed, self._allowed_at = min(float(PACKETS_PER_S), grown), now
        if self._allowed < 1:
            return False
        self._allowed -= 1
        return True

    def _tell(self, found: list[Received]) -> None:
        for received in found:
            self._on_text(received)

    def _run(self) -> None:
        """Do what is due now, and set the timer to what is due next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.ended is not None or self._transport is None:
            return
        now = self._loop.time()
        silent_at = None if self._media.silence_s is None else self._heard + self._media.silence_s
        if silent_at is not None and now >= silent_at:
            self.end("silence")
            return
        try:
            self._tell(self.receiver.wait(now))
        finally:
            if self._remote is not None and (packet := self._sender.take(now)) is not None:
                self._transport.sendto(packet, self._remote)
            times = [silent_at, self.receiver.due()]
            times += [self._sender.due(now)] if self._remote is not None else []
            soonest = min((time for time in times if time is not None), default=None)
            if soonest is not None:
                self._timer = self._loop.call_at(max(soonest, now + 0.001), self._run)


@asynccontextmanager
async def open_text_endpoint(
    local: Address,
    media: TextMedia,
    *,
    on_text: Callable[[Received], None],
    on_end: Callable[[End], None],
) -> AsyncIterator[TextEndpoint]:
    """Open the port of one call's text; leaving the context ends it.

    Args:
        local: Address and port to listen on; port 0 lets the system choose.
        media: What the session description says.
        on_text: Called with text as it can be shown; it must not wait.
        on_end: Called once, with the reason.

    Raises:
        OSError: The port cannot be opened.
        TimeoutError: It is not open in time.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(OPEN_S):
        _, endpoint = await loop.create_datagram_endpoint(
            lambda: TextEndpoint(media, on_text, on_end), local_addr=local
        )
    try:
        yield endpoint
    finally:
        endpoint.end("closed")
        await endpoint.closed()
