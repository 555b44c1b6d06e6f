"""What comes out of packets of real-time text: characters in order, losses marked once.

RFC 4103, sections 4 and 5: a gap in the sequence numbers is filled from the redundancy of later
packets; what that does not fill is waited for, and then marked with U+FFFD. A repeat is dropped,
and so is what comes after it was marked. Pure: packets and the time go in, text comes out.

Never is a character shown that was not sent there, so redundancy is used only where it cannot
mislead:

* a redundant block counts for the packet that its place says (section 4.2), and only when its
  timestamp lies after that of the packet before: senders that leave empty blocks out, against
  section 4.2, would otherwise have text repeated;
* in packets with contributing sources (a mixer, RFC 9071) places say nothing, for each source has
  blocks of its own: there redundancy is not used at all.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

from dispatch.rtp import MARKER, Packet, read_packet, sequence_distance
from dispatch.rtt.payload import Block, TextPayloadError, read_plain, read_redundant
from dispatch.rtt.text_blocks import BlockDecoder
from streams.t140 import BYTE_ORDER_MARK

WAIT_S = 1.0
"""How long a gap is waited for (RFC 4103, section 5.4)."""

MOST_SOURCES = 4
"""Sources (SSRC) that are followed at the same time; the one silent longest gives way."""

MOST_WAITING = 64
"""Blocks held behind a gap; then it is marked whatever the time."""

LONGEST_JUMP, LONGEST_STEP_BACK = 3000, 100
"""Sequence numbers beyond these are another stream's, until two follow on each other (RFC 3550,
appendix A.1: MAX_DROPOUT and MAX_MISORDER)."""

_BOM = BYTE_ORDER_MARK.encode()


@dataclass(frozen=True)
class Received:
    """Text of one source, in order.

    Attributes:
        text: T.140; U+FFFD stands for each gap.
        ssrc: Whose it is.
    """

    text: str
    ssrc: int


@dataclass
class Counts:
    """What was seen; numbers of packets where nothing else is said.

    Attributes:
        received: Packets that could be read.
        recovered: Blocks that were taken from redundancy.
        repeated: Packets that had been received before.
        late: Packets that came after their gap was marked.
        gaps: Marks set.
        restarts: Sources that began anew at another sequence number.
        displaced: Sources given up for newer ones.
        unproven_starts: Sources before whose first text more may have been sent: it did not begin
            with T.140's byte order mark.
    """

    received: int = 0
    recovered: int = 0
    repeated: int = 0
    late: int = 0
    gaps: int = 0
    restarts: int = 0
    displaced: int = 0
    unproven_starts: int = 0


@dataclass(frozen=True)
class _Held:
    """A block that waits for those before it.

    Attributes:
        arrived: When.
        timestamp: Its own.
        is_redundant: Whether it came with a later packet only.
    """

    data: bytes
    arrived: float
    timestamp: int
    is_redundant: bool


class TextReceiver:
    """Receives the text of one call.

    Attributes:
        counts: What was seen so far.
    """

    def __init__(self, *, text_type: int, red_type: int | None = None, wait_s: float = WAIT_S):
        """Begin without any source.

        Args:
            text_type: The payload type of ``text/t140`` by the session description, 0 to 127.
            red_type: That of ``text/red``; None where it was not negotiated.
            wait_s: How long a gap is waited for.
        """
        self.counts = Counts()
        self._text_type = text_type
        self._red_type = red_type
        self._wait_s = wait_s
        self._sources: OrderedDict[int, _Source] = OrderedDict()

    def take(self, data: bytes, now: float) -> list[Received]:
        """Take one RTP packet and return the text that can be shown now.

        Raises:
            TextPayloadError: It is no packet of this call's text; nothing of it was taken.
        """
        packet = read_packet(data)
        if packet is None:
            raise TextPayloadError("rtp", "no packet of RTP version 2 whose header is whole")
        blocks = self._read(packet)
        self.counts.received += 1
        answer: list[Received] = []
        if packet.ssrc not in self._sources:
            answer += self._make_room()
            self._sources[packet.ssrc] = _Source(self.counts, self._wait_s)
        self._sources.move_to_end(packet.ssrc)
        has_mixer = bool(data[0] & 0x0F)
        text = self._sources[packet.ssrc].take(packet, blocks[-1:] if has_mixer else blocks, now)
        return answer + _of(packet.ssrc, text)

    def wait(self, now: float) -> list[Received]:
        """Return the text behind gaps that were waited for long enough, the marks before it."""
        return [
            found
            for ssrc, source in self._sources.items()
            for found in _of(ssrc, source.go_on(now))
        ]

    def due(self) -> float | None:
        """Return when to call `wait`; None while nothing is waited for."""
        times = [due for source in self._sources.values() if (due := source.due()) is not None]
        return min(times, default=None)

    def finish(self) -> list[Received]:
        """The call is over: return what still waits."""
        return [
            found for ssrc, source in self._sources.items() for found in _of(ssrc, source.finish())
        ]

    def _read(self, packet: Packet) -> tuple[Block, ...]:
        payload = packet.data[packet.payload_at : len(packet.data) - packet.padding]
        if packet.payload_type == self._red_type:
            return read_redundant(payload, self._text_type)
        if packet.payload_type == self._text_type:
            return read_plain(payload)
        raise TextPayloadError("payload type", f"{packet.payload_type} was not negotiated")

    def _make_room(self) -> list[Received]:
        if len(self._sources) < MOST_SOURCES:
            return []
        ssrc, source = self._sources.popitem(last=False)
        self.counts.displaced += 1
        return _of(ssrc, source.finish())


def _of(ssrc: int, text: str) -> list[Received]:
    return [Received(text, ssrc)] if text else []


class _Source:
    """The sequence of one SSRC. Sequence numbers here never wrap."""

    def __init__(self, counts: Counts, wait_s: float) -> None:
        self._counts = counts
        self._wait_s = wait_s
        self._decoder = BlockDecoder()
        self._next: int | None = None
        """The sequence number to be shown next; None until it is known where the text begins."""
        self._shown_timestamp: int | None = None
        self._newest = 0
        self._held: dict[int, _Held] = {}
        self._marked: deque[int] = deque(maxlen=256)
        """Numbers that were given up, to tell a late packet from a repeated one."""
        self._stray: tuple[int, Packet, tuple[Block, ...]] | None = None

    def take(self, packet: Packet, blocks: tuple[Block, ...], now: float) -> str:
        """Take one packet and return what can be shown."""
        if not self._held and self._next is None:
            self._newest = packet.sequence + (1 << 16)
        distance = sequence_distance(packet.sequence, self._newest & 0xFFFF)
        if distance > LONGEST_JUMP or distance < -LONGEST_STEP_BACK:
            return self._take_stray(packet, blocks, now)
        self._stray = None
        number = self._newest + distance
        self._newest = max(self._newest, number)
        self._place(number, packet.timestamp, blocks, now)
        text = ""
        if self._next is None and self._is_start(packet, blocks):
            text = self._begin()
        return text + self.go_on(now)

    def due(self) -> float | None:
        """Return when what is held is shown whatever is missing before it."""
        if not self._held:
            return None
        return min(held.arrived for held in self._held.values()) + self._wait_s

    def go_on(self, now: float) -> str:
        """Return what can be shown now; gaps that are old enough are marked."""
        text = self._show_consecutive()
        while (due := self.due()) is not None and (now >= due or len(self._held) > MOST_WAITING):
            text += self._give_up() + self._show_consecutive()
        return text

    def finish(self) -> str:
        """Return all that is held, marks where something is missing."""
        text = self._show_consecutive()
        while self._held:
            text += self._give_up() + self._show_consecutive()
        return text + self._decoder.finish()

    def _take_stray(self, packet: Packet, blocks: tuple[Block, ...], now: float) -> str:
        """Keep a packet from elsewhere; a second one right after it says that we are there."""
        before, self._stray = self._stray, (packet.sequence, packet, blocks)
        if before is None or sequence_distance(packet.sequence, before[0]) != 1:
            return ""
        text = self.finish()
        self._counts.restarts += 1
        self._stray, self._next, self._shown_timestamp = None, None, None
        self._marked.clear()
        self._newest = before[0] + (1 << 16)
        self._place(self._newest, before[1].timestamp, before[2], now)
        self._newest += 1
        self._place(self._newest, packet.timestamp, blocks, now)
        self._next = min(self._held)
        return text + self._mark() + self.go_on(now)

    def _place(self, number: int, timestamp: int, blocks: tuple[Block, ...], now: float) -> None:
        """Put the blocks of one packet where they belong."""
        shown = self._next is not None and number < self._next
        known = self._held.get(number)
        if shown or (known is not None and not known.is_redundant):
            if number in self._marked:
                self._counts.late += 1
            else:
                self._counts.repeated += 1
            return
        arrived = now if known is None else known.arrived
        self._put(number, _Held(blocks[-1].data, arrived, timestamp, is_redundant=False))
        # From the newest back, so that each is checked against what is known before its place.
        for back, block in enumerate(reversed(blocks[:-1]), start=1):
            at = number - back
            if at in self._held or (self._next is not None and at < self._next):
                continue
            its_own = (timestamp - block.age) & 0xFFFFFFFF
            if block.data and not self._may_stand(at, its_own):
                continue
            self._held[at] = _Held(block.data, now, its_own, is_redundant=True)
            self._counts.recovered += 1

    def _put(self, number: int, held: _Held) -> None:
        """Place a packet's own block; what redundancy said after it must be younger."""
        for at, other in list(self._held.items()):
            is_older = not _is_after(other.timestamp, held.timestamp)
            if at > number and other.is_redundant and other.data and is_older:
                del self._held[at]
        self._held[number] = held

    def _may_stand(self, number: int, timestamp: int) -> bool:
        """Whether a redundant block with text can be that of this packet, by its timestamp."""
        before = [at for at, held in self._held.items() if at < number and not held.is_redundant]
        if before:
            return _is_after(timestamp, self._held[max(before)].timestamp)
        return self._shown_timestamp is None or _is_after(timestamp, self._shown_timestamp)

    def _is_start(self, packet: Packet, blocks: tuple[Block, ...]) -> bool:
        """Whether the text begins with this packet, so that nothing before it is waited for.

        The marker is set on the first packet and after a pause (RFC 4103, section 5.2); T.140
        begins with a byte order mark.
        """
        return bool(packet.marker & MARKER) or any(block.data.startswith(_BOM) for block in blocks)

    def _show_consecutive(self) -> str:
        text = ""
        while self._next is not None and (held := self._held.pop(self._next, None)) is not None:
            self._next += 1
            if not held.is_redundant or held.data:
                self._shown_timestamp = held.timestamp
            text += self._decoder.take(held.data)
        return text

    def _give_up(self) -> str:
        """Go on at the oldest block that is held, and mark what is missing before it."""
        if self._next is None:
            return self._begin()
        first = min(self._held)
        self._marked.extend(range(max(self._next, first - 256), first))
        self._next = first
        return self._mark()

    def _begin(self) -> str:
        """Begin with the oldest block that is held, whatever may have been before it."""
        self._next = min(self._held)
        oldest = next((held for _, held in sorted(self._held.items()) if held.data), None)
        if oldest is not None and oldest.data.startswith(_BOM):
            return ""
        self._counts.unproven_starts += 1
        # Before redundancy full of text there was, as a rule, more.
        first = self._held[self._next]
        return self._mark() if first.is_redundant and first.data else ""

    def _mark(self) -> str:
        self._counts.gaps += 1
        return self._decoder.lose()


def _is_after(timestamp: int, other: int) -> bool:
    """Whether a timestamp is later, modulo 2^32."""
    return 0 < (timestamp - other) & 0xFFFFFFFF < 1 << 31
