"""The forwarding core: one published track in, the same packets out to each viewer.

    Inbound          what the present source sends: loss, repairs, the rate its link carries
      └─▶ Track      the track as viewers see it, across changes of source: one continuous
            │        sequence and clock, a short history for repairs, key-frame requests
            └─▶ Leg  one viewer's copy: its own ssrc and payload type

No task, no queue, no decoder: a packet is forwarded in the call that received it, and UDP never
waits, so a stalled viewer cannot hold up another. What its socket will not take is dropped
and counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from aiortc.rate import RemoteBitrateEstimator

from dispatch.reception import KeyFrameRequests, Reception, RepairBudget, Repairs
from dispatch.rtp import (
    Packet,
    build_header,
    build_header_with_send_time,
    read_send_time,
    send_time,
    sequence_distance,
    starts_key_frame,
)

HISTORY_PACKETS = 256
"""Packets kept per track for repairs: about 2 s at 1 Mbit/s, 0.3 MB."""

TORN_S, TORN_PACKETS = 0.5, 8
"""So many packets lost in so long a silence are no part of a live picture any more."""

_REORDERING = 512
"""Packets after a change of source in which one from before its key frame may still come."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A codec as negotiated on one side.

    Attributes:
        name: ``VP8``, ``H264`` or ``opus``.
        variant: What else must be equal for exact agreement (H.264's profile), or empty.
        clock_rate: In Hz.
    """

    name: str
    variant: str
    clock_rate: int


@dataclass(slots=True)
class Leg:
    """One viewer's copy of a track.

    Attributes:
        send: Sends one packet; returns False when it was dropped.
        ssrc: The viewer knows the track by it.
        payload_types: The viewer's payload type for each codec it accepted.
        send_time_id: Id of the abs-send-time extension at this viewer, or 0.
        waits_for_key_frame: Whether nothing is sent until a key frame begins.
        sent: Packets sent, repairs not counted.
        octets: Payload bytes sent, repairs not counted.
        dropped: Packets that the socket would not take.
        repaired: Packets sent again on request.
        unsupported: Packets not sent because the viewer does not know the codec.
        bitrate_bps: What the viewer estimates its own link to carry, or None.
        loss: Its last reported loss, 0 to 1.
    """

    send: Callable[[bytes], bool]
    ssrc: int
    payload_types: Mapping[Codec, int]
    send_time_id: int = 0
    waits_for_key_frame: bool = True
    sent: int = 0
    octets: int = 0
    dropped: int = 0
    repaired: int = 0
    unsupported: int = 0
    bitrate_bps: int | None = None
    loss: float = 0.0
    _budget: RepairBudget = field(default_factory=RepairBudget)

    def payload_type(self, codec: Codec) -> int | None:
        """Return the viewer's payload type for a codec: the exact one, or the same by name."""
        exact = self.payload_types.get(codec)
        if exact is not None:
            return exact
        for known, payload_type in self.payload_types.items():
            if known.name == codec.name:
                return payload_type
        return None

    def forward(self, kept: Kept, ticks: int) -> None:
        """Send one packet in the normal way."""
        payload_type = self.payload_type(kept.codec)
        if payload_type is None:
            self.unsupported += 1
        elif self.send(self._build(kept, payload_type, ticks)):
            self.sent += 1
            self.octets += len(kept.payload)
            self._budget.sent()
        else:
            self.dropped += 1

    def repair(self, kept: Kept, ticks: int) -> bool:
        """Send one packet again, within the viewer's budget."""
        payload_type = self.payload_type(kept.codec)
        if payload_type is None or not self._budget.take():
            return False
        if not self.send(self._build(kept, payload_type, ticks)):
            return False
        self.repaired += 1
        return True

    def _build(self, kept: Kept, payload_type: int, ticks: int) -> bytes:
        head = (kept.flags, kept.marker, payload_type, kept.sequence, kept.timestamp, self.ssrc)
        if self.send_time_id:
            return build_header_with_send_time(*head, self.send_time_id, ticks) + kept.payload
        return build_header(*head) + kept.payload


class Kept(NamedTuple):
    """One packet of a track, as viewers see it but for their ssrc and payload type."""

    sequence: int
    timestamp: int
    flags: int
    marker: int
    codec: Codec
    payload: bytes


class Track:
    """One kind of media of a resource, continuous for its viewers whoever sends it.

    Attributes:
        kind: ``video`` or ``audio``.
        legs: The viewers' copies.
        codec: Of the present source, or None before the first packet.
        key_frames: When to ask for a key frame (video only).
        forwarded: Packets that went to viewers (once, however many viewers).
        discarded: Packets not forwarded: before a key frame, or from before the source changed.
        last_packet_at: Monotonic time of the last forwarded packet, or None.
    """

    def __init__(self, kind: str) -> None:
        """Make a track that has no source yet."""
        self.kind = kind
        self.legs: list[Leg] = []
        self.codec: Codec | None = None
        self.key_frames = KeyFrameRequests()
        self.forwarded = self.discarded = 0
        self.last_packet_at: float | None = None
        self._source: Inbound | None = None
        self._anchor = self._since_anchor = 0
        self._sequence_offset = self._timestamp_offset = 0
        self._last_sequence = self._last_timestamp = 0
        self._history: list[Kept | None] = [None] * HISTORY_PACKETS

    def add(self, leg: Leg) -> None:
        """Let a viewer in; it gets packets from the next key frame on."""
        leg.waits_for_key_frame = self.kind == "video"
        self.legs.append(leg)

    def forward(self, source: Inbound, packet: Packet, codec: Codec, now: float) -> None:
        """Take one packet of the present source and send it to every viewer."""
        video = self.kind == "video"
        begins = not video or starts_key_frame(codec.name, packet.data, packet.payload_at)
        if source is not self._source:
            if not begins:
                self.discarded += 1
                self.key_frames.wanted = True
                return
            self._continue_with(source, packet, codec, now)
        elif self._is_before_anchor(packet.sequence):
            self.discarded += 1
            return
        if video and begins:
            self.key_frames.arrived()
        kept = self._keep(packet, codec, now)
        ticks = send_time(time.time())
        for leg in self.legs:
            if leg.waits_for_key_frame:
                if not begins:
                    continue
                leg.waits_for_key_frame = False
            leg.forward(kept, ticks)
        self.forwarded += 1

    def restart(self) -> None:
        """Let viewers wait for a key frame, and see no gap before it: as after another source."""
        self._source = None
        self.key_frames.wanted = True

    def _continue_with(self, source: Inbound, packet: Packet, codec: Codec, now: float) -> None:
        """Map a new source's numbers so that viewers see the old ones go on."""
        self._source, self.codec = source, codec
        self._anchor, self._since_anchor = packet.sequence, 0
        if self.last_packet_at is None:
            self._sequence_offset = self._timestamp_offset = 0
            return
        elapsed = max(1, int((now - self.last_packet_at) * codec.clock_rate))
        self._sequence_offset = self._last_sequence + 1 - packet.sequence
        self._timestamp_offset = self._last_timestamp + elapsed - packet.timestamp

    def _is_before_anchor(self, sequence: int) -> bool:
        if self._since_anchor > _REORDERING:
            return False
        self._since_anchor += 1
        return sequence_distance(sequence, self._anchor) < 0

    def _keep(self, packet: Packet, codec: Codec, now: float) -> Kept:
        sequence = packet.sequence + self._sequence_offset & 0xFFFF
        timestamp = packet.timestamp + self._timestamp_offset & 0xFFFFFFFF
        first = self.last_packet_at is None
        if first or sequence_distance(sequence, self._last_sequence) > 0:
            self._last_sequence, self._last_timestamp = sequence, timestamp
        self.codec, self.last_packet_at = codec, now
        kept = Kept(
            sequence,
            timestamp,
            packet.flags,
            packet.marker,
            codec,
            packet.data[packet.payload_at :],
        )
        self._history[sequence % HISTORY_PACKETS] = kept
        return kept

    def repair(self, leg: Leg, sequences: Sequence[int]) -> None:
        """Answer a viewer's NACK from the history.

        What is not there was lost before it came here; the relay itself asks the source for it.
        """
        ticks = send_time(time.time())
        for sequence in sequences:
            kept = self._history[sequence % HISTORY_PACKETS]
            if kept is not None and kept.sequence == sequence and not leg.repair(kept, ticks):
                return

    def map_timestamp(self, source: Inbound, timestamp: int) -> int | None:
        """Return a source's RTP time in the viewers' clock, or None before its first packet."""
        if source is not self._source:
            return None
        return timestamp + self._timestamp_offset & 0xFFFFFFFF


class Inbound:
    """What one source session sends of one kind.

    Attributes:
        track: Where it goes.
        codecs: The codec of each payload type agreed with the source.
        ssrc: Of the source, once heard.
        reception: Loss and jitter, once heard.
        octets: Payload bytes received.
        repairs_asked: Packets asked for again.
        bitrate_bps: What the source's link is estimated to carry, or None.
    """

    def __init__(
        self,
        track: Track,
        codecs: Mapping[int, Codec],
        *,
        send_time_id: int,
        ask_again: Callable[[int, Sequence[int]], None],
        ask_key_frame: Callable[[int], None],
    ) -> None:
        """Prepare for a source's packets.

        Args:
            track: Where they go.
            codecs: The codec of each payload type agreed with the source.
            send_time_id: Id of the abs-send-time extension, or 0.
            ask_again: Sends a NACK: ssrc and missing sequence numbers.
            ask_key_frame: Sends a PLI for an ssrc.
        """
        self.track = track
        self.codecs = codecs
        self.ssrc: int | None = None
        self.reception: Reception | None = None
        self.octets = self.repairs_asked = 0
        self.bitrate_bps: int | None = None
        self._send_time_id = send_time_id
        self._ask_again = ask_again
        self._ask_key_frame = ask_key_frame
        self._repairs = Repairs()
        self._estimator = RemoteBitrateEstimator() if send_time_id else None
        self._frame_octets = 0
        self._last_at = 0.0

    def take(self, packet: Packet, now: float) -> None:
        """Take one packet that arrived at ``now`` (monotonic, s)."""
        codec = self.codecs[packet.payload_type]
        if packet.ssrc != self.ssrc or self.reception is None:
            self.ssrc = packet.ssrc
            self.reception = Reception(codec.clock_rate)
            self._repairs = Repairs()
        self.reception.take(packet.sequence, packet.timestamp, now)
        self.octets += packet.payload_size
        track = self.track
        if track.kind == "video":
            self._repair(packet, now)
            self._estimate(packet, now)
        track.forward(self, packet, codec, now)
        if track.key_frames.wanted:
            self.want_key_frame(now)

    def _repair(self, packet: Packet, now: float) -> None:
        """Ask for what is missing; where that is of no use, for a key frame.

        Viewers would see the gap late: a browser's patience is 3 s, aiortc's 128 packets.
        """
        repairs, silent_s = self._repairs, now - self._last_at
        gap, given_up = repairs.gap(packet.sequence), repairs.given_up
        self._last_at = now
        if gap > repairs.limit or (gap >= TORN_PACKETS and silent_s >= TORN_S):
            self._repairs = Repairs()
            self._repairs.take(packet.sequence, now)
            self.track.restart()
            return
        missing = repairs.take(packet.sequence, now)
        if missing:
            self.repairs_asked += len(missing)
            self._ask_again(packet.ssrc, missing)
        if repairs.given_up > given_up:
            self.track.key_frames.wanted = True

    def want_key_frame(self, now: float) -> None:
        """Ask the source for a key frame, unless it was asked just now."""
        if self.ssrc is not None and self.track.key_frames.want(now):
            self._ask_key_frame(self.ssrc)

    def _estimate(self, packet: Packet, now: float) -> None:
        """Feed the estimator once a frame: a frame's packets leave in one burst."""
        self._frame_octets += packet.payload_size
        if not packet.marker or self._estimator is None:
            return
        ticks = read_send_time(packet.data, self._send_time_id)
        if ticks is not None:
            estimate = self._estimator.add(
                abs_send_time=ticks,
                arrival_time_ms=int(now * 1000),
                payload_size=self._frame_octets,
                ssrc=packet.ssrc,
            )
            if estimate is not None:
                self.bitrate_bps = estimate[0]
        self._frame_octets = 0
