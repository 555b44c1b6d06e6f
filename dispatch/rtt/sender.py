"""Makes packets of real-time text (RFC 4103): grouped, paced, each with the blocks before it.

Text waits at most one interval. When there is no more of it, packets go on until all of it has
been repeated; then one now and then, empty, so that the other side notices a loss at the very end
and the way through address translators stays open. Pure: the time goes in, packets come out.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from dispatch.rtp import MARKER, build_header
from dispatch.rtt.payload import LONGEST_AGE, Block, write_redundant
from streams.errors import ForerunError
from streams.graphemes import append
from streams.t140 import BYTE_ORDER_MARK
from streams.t140_typing import CHARACTERS_PER_S, INTERVAL_S, CharacterAllowance

GENERATIONS = 2
"""Blocks of earlier packets in each packet (RFC 4103, section 4.1, recommends two)."""

KEEP_ALIVE_S = 10.0
"""Between empty packets while nothing is typed (RFC 6263 asks for one in 15 s)."""

_PAUSE_INTERVALS = 1.5
"""Intervals without a packet after which the next text is marked as the first after a pause."""

MOST_BACKLOG = 10_000
"""Characters that wait to be sent: six minutes at 30 a second."""


class TextBacklogError(ForerunError):
    """More text waits than a call can carry; what was to be added was not taken."""

    retry = True
    reason = "text_backlog"


@dataclass(frozen=True)
class Stream:
    """Where one side's packets begin, drawn at random (RFC 3550, section 5.1)."""

    ssrc: int
    sequence: int
    timestamp: int


class TextSender:
    """Sends the text of one call, beginning with T.140's byte order mark."""

    def __init__(
        self,
        stream: Stream,
        *,
        text_type: int,
        red_type: int | None = None,
        generations: int = GENERATIONS,
        interval_s: float = INTERVAL_S,
        characters_per_s: float = CHARACTERS_PER_S,
    ) -> None:
        """Begin a stream; its first packet is due at once.

        Args:
            stream: Its source, first sequence number and first timestamp.
            text_type: The payload type of ``text/t140``.
            red_type: That of ``text/red``; without it no redundancy is sent.
            generations: How many earlier blocks each packet carries, 0 to 16.
            interval_s: Between two packets, at most 0.5 (section 5.1).
            characters_per_s: What the other side takes (``cps`` in its session description).
        """
        self._stream = stream
        self._text_type = text_type
        self._red_type = red_type
        self._interval_s = interval_s
        self._allowance = CharacterAllowance(characters_per_s)
        self._waiting = [BYTE_ORDER_MARK]
        generations = 0 if red_type is None else generations
        self._earlier: deque[tuple[int, bytes]] = deque(
            [(stream.timestamp, b"")] * generations, maxlen=generations
        )
        self._sent = 0
        self._began: float | None = None
        self._last: float | None = None

    def write(self, text: str) -> None:
        """Add T.140 to what is sent; a character as people see it is never divided.

        Raises:
            TextBacklogError: Too much waits already.
        """
        if len(self._waiting) + len(text) > MOST_BACKLOG:
            raise TextBacklogError(f"{len(self._waiting)} characters wait already")
        for character in text:
            append(self._waiting, character)

    @property
    def is_idle(self) -> bool:
        """Whether all text is sent and repeated."""
        return not self._waiting and not any(data for _, data in self._earlier)

    def due(self, now: float) -> float | None:
        """Return when to call `take`; None where nothing is to be sent any more."""
        if self._last is None:
            return now
        soonest = self._last + self._interval_s
        repeats = any(data for _, data in self._earlier)
        if self._waiting:
            ready = self._allowance.when(len(self._waiting[0]), now)
            return soonest if repeats else max(soonest, ready)
        if repeats:
            return soonest
        return None if self._red_type is None else self._last + KEEP_ALIVE_S

    def take(self, now: float) -> bytes | None:
        """Return the packet that is due, or None."""
        due = self.due(now)
        if due is None or now < due - 1e-9:
            return None
        self._began = now if self._began is None else self._began
        has_paused = self._last is None or now > self._last + _PAUSE_INTERVALS * self._interval_s
        data = self._next_block(now)
        timestamp = (self._stream.timestamp + round((now - self._began) * 1000)) & 0xFFFFFFFF
        packet = self._build(timestamp, data, marker=bool(data) and has_paused)
        self._earlier.append((timestamp, data))
        self._sent += 1
        self._last = now
        return packet

    def _next_block(self, now: float) -> bytes:
        taken = 0
        for cluster in self._waiting:
            if not self._allowance.covers(len(cluster), now):
                break
            self._allowance.spend(len(cluster))
            taken += 1
        block = "".join(self._waiting[:taken])
        del self._waiting[:taken]
        return block.encode()

    def _build(self, timestamp: int, data: bytes, *, marker: bool) -> bytes:
        stream = self._stream
        payload_type = self._text_type if self._red_type is None else self._red_type
        header = build_header(
            0,
            MARKER if marker else 0,
            payload_type,
            (stream.sequence + self._sent) & 0xFFFF,
            timestamp,
            stream.ssrc,
        )
        if self._red_type is None:
            return header + data
        blocks = [Block(old, self._age(timestamp, at)) for at, old in self._earlier]
        return header + write_redundant((*blocks, Block(data)), self._text_type)

    @staticmethod
    def _age(timestamp: int, earlier: int) -> int:
        return min(LONGEST_AGE, (timestamp - earlier) & 0xFFFFFFFF)
