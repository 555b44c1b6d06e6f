"""One data channel of T.140 (RFC 8865): what comes on it, what goes, and whether it lives.

Two kinds of peer speak here. A foreign one sends text and nothing else. Our own page also counts:
it says in a string that T.140 displays pass over (SOS … ST, T.140 section 8.4) how many characters
of its session came before those that follow (``from 12``), and is told how many the hub has
(``taken 40``); so it may go on by its WebSocket at any moment, and nothing is twice or missing.

aiortc notices a dead path only after half a minute. Here the peer's SCTP is asked (HEARTBEAT,
RFC 9260, section 8.3), whoever it is: it must answer, and the bytes are counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import Callable
from typing import Any, Literal

import msgspec
import structlog
from aiortc import RTCDataChannel
from aiortc.rtcsctptransport import HeartbeatChunk

from dispatch.rtt.channel_offer import PROTOCOL, TAKEN_PER_S, ChannelOffer
from dispatch.seat_text import SeatText
from streams.errors import ForerunError
from streams.t140_typing import LONGEST_FIELD, CharacterAllowance
from streams.webrtc import PeerConnection, Progress, count_received_bytes

SILENCE_S = 2.0
"""A channel whose peer answers nothing for so long is given up."""

ASK_S, ASK_AGAIN_S = 1.0, 0.15
"""Between two questions to the peer's SCTP; while it owes an answer the second counts."""

MESSAGES_PER_S = 100
"""A typist's client sends three to thirty."""

MOST_BUFFERED = 16 * 1024
"""Bytes that may wait in the channel; the rest waits in what types, where drafts overtake."""

LAST_WORDS_S = 10.0
"""Once the case is closed so long, at the most, is left to tell its caller so."""

WAITING = 100
"""Messages that may wait until the session is let in."""

_FROM = re.compile("\x98from ([0-9]{1,9})\x9c")

log = structlog.get_logger(__name__)


class TextChannelSession:
    """A peer with a T.140 channel, as a reader of the text desk.

    Attributes:
        id: Unguessable; part of the session's address.
        case: Whose caller.
        name: The session's name at the text desk.
        way: By which way its text comes.
        ended: Why it is over; None while it is not.
        closed_by_peer: Whether the peer said that it goes.
    """

    def __init__(
        self,
        peer: PeerConnection,
        case: str,
        name: str,
        *,
        offer: ChannelOffer,
        now: float,
        speech: SeatText | None,
    ) -> None:
        """Wrap a peer that has taken its offer and not answered yet.

        Args:
            peer: The peer connection.
            case: Whose caller.
            name: The session's name.
            offer: What was said of the channel.
            now: The event loop's clock.
            speech: What types to it; None for a page of ours, which has a socket for that.
        """
        self.id = secrets.token_urlsafe(18)
        self.peer, self.case, self.name = peer, case, name
        self.way: Literal["page", "t140"] = "page" if speech is None else "t140"
        self.ended: str | None = None
        self.closed_by_peer = False
        self.write: Callable[[int | None, str], None] | None = None
        self.opened_at = now
        self._offer = offer
        self._speech = speech
        self._channel: RTCDataChannel | None = None
        self._waiting: list[str | bytes] = []
        self._position: int | None = None
        self._messages = CharacterAllowance(MESSAGES_PER_S)
        self._characters = float(LONGEST_FIELD)
        self._refilled = now
        self._progress = Progress(SILENCE_S)
        self._octets, self._heard, self._asked = -1, now, now
        self._over_at: float | None = None
        self._loop = asyncio.get_running_loop()
        peer.on("connectionstatechange", self._state_changed)
        peer.on("datachannel", self._take_channel)
        if offer.stream is not None:
            made = peer.createDataChannel(
                offer.label, protocol=PROTOCOL, negotiated=True, id=offer.stream
            )
            self._take_channel(made)

    @property
    def is_open(self) -> bool:
        """Whether text can pass."""
        return self._channel is not None and self._channel.readyState == "open"

    def end(self, reason: str) -> None:
        """Note that it is over, and why; the first reason counts."""
        if self.ended is not None:
            return
        self.ended = reason
        if self._speech is not None and self._is_delivered():
            self._speech.confirm()

    def send_state(self, text: str) -> None:
        """Take what the text desk tells."""
        told = msgspec.json.decode(text, type=dict[str, Any])
        if told["type"] == "closed" or not told.get("open", True):
            self._over_at = self._over_at or self._loop.time() + LAST_WORDS_S
        if self._speech is not None:
            self._speech.hear(told)
        elif told["type"] in ("taken", "welcome") and self.is_open:
            count = told.get("count", told.get("taken"))
            self._send(f"\x98taken {count}\x9c")

    def let_in(self, write: Callable[[int | None, str], None]) -> None:
        """Take what has come, and from now on what comes."""
        self.write = write
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            self._take(data)

    async def tick(self, now: float) -> None:
        """Send what is due, ask whether the peer lives, and end it if it does not."""
        if self.ended is not None or not self.is_open:
            return
        self._type(now)
        if self._over_at is not None and (self._has_said_all() or now > self._over_at):
            self.end("case closed")
            return
        octets = count_received_bytes(self.peer)
        if octets != self._octets:
            self._octets, self._heard = octets, now
        if self._progress.is_dead(octets, now):
            self.end("path lost")
        elif now - self._asked >= (ASK_S if self._heard >= self._asked else ASK_AGAIN_S):
            self._asked = now
            await self._ask()

    def _type(self, now: float) -> None:
        if self._speech is None or self._channel is None:
            return
        if self._is_delivered():
            self._speech.confirm()
        if self._offer.direction not in ("sendrecv", "recvonly"):
            return
        if self._channel.bufferedAmount < MOST_BUFFERED and (text := self._speech.take(now)):
            self._send(text)

    def _has_said_all(self) -> bool:
        return self._speech is None or (self._speech.is_idle and self._is_delivered())

    def _is_delivered(self) -> bool:
        """Whether the peer's SCTP has acknowledged all that was sent."""
        sctp: Any = self.peer.sctp
        waits = sctp._data_channel_queue or sctp._outbound_queue or sctp._sent_queue
        return not waits

    def _send(self, text: str) -> None:
        if self._channel is not None and self._channel.readyState == "open":
            self._channel.send(text)

    async def _ask(self) -> None:
        """Have the peer's SCTP answer."""
        chunk = HeartbeatChunk()
        chunk.params = [(1, secrets.token_bytes(8))]
        sctp: Any = self.peer.sctp
        with contextlib.suppress(ConnectionError):
            await sctp._send_chunk(chunk)

    def _take_channel(self, channel: RTCDataChannel) -> None:
        """Take the channel if it is for text, one of them (RFC 8865, section 4.1)."""
        is_text = channel.protocol == PROTOCOL
        loses = channel.maxRetransmits is not None or channel.maxPacketLifeTime is not None
        if self._channel is not None or not is_text or loses or not channel.ordered:
            log.info(
                "data channel refused", protocol=channel.protocol[:40], ordered=channel.ordered
            )
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._take)
        channel.on("close", self._channel_closed)

    def _channel_closed(self) -> None:
        """The channel is closed: on purpose where its streams were reset (RFC 8831, section 6.7).

        An association that ended with all its channels may have swallowed text.
        """
        sctp: Any = self.peer.sctp
        if self.ended is None and sctp.state == "connected":
            self.closed_by_peer = True
        self.end("closed by its peer")

    def _state_changed(self) -> None:
        if str(self.peer.connectionState) in ("failed", "closed"):
            self.end("path lost")

    def _take(self, data: str | bytes) -> None:
        """Take one message: one or more T140blocks."""
        if self.ended is not None:
            return
        if self.write is None:
            if len(self._waiting) >= WAITING:
                self.end("flood")
            self._waiting.append(data)
            return
        text = data if isinstance(data, str) else data.decode("utf-8", "replace")
        if not self._is_allowed(len(text)):
            self.end("flood")
            return
        if self.way == "page" and (said := _FROM.match(text)):
            self._position, text = int(said[1]), text[said.end() :]
        if not text or self._offer.direction not in ("sendrecv", "sendonly"):
            return
        if self.way == "page" and self._position is None:
            self.end("not counted")
            return
        try:
            self.write(self._position, text)
        except ForerunError as error:
            log.info("text on a data channel refused", case=self.case, error=str(error))
            self.end(error.reason)
            return
        if self._position is not None:
            self._position += len(text)

    def _is_allowed(self, characters: int) -> bool:
        now = self._loop.time()
        grown = self._characters + (now - self._refilled) * TAKEN_PER_S
        self._characters, self._refilled = min(float(LONGEST_FIELD), grown), now
        if self._characters < characters or not self._messages.covers(1, now):
            return False
        self._characters -= characters
        self._messages.spend(1)
        return True
