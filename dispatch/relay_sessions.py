"""The relay's two kinds of session: a source (WHIP) and a viewer (WHEP), one peer each."""

from __future__ import annotations

import re
import secrets
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import structlog
from aiortc import RTCDataChannel
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    pack_remb_fci,
    unpack_remb_fci,
)

from dispatch.forwarding import Codec, Inbound, Leg, Track
from dispatch.offers import Role, describe_codec
from dispatch.packet_tap import PacketTap
from dispatch.reception import SteadyBitrate
from dispatch.rtp import ABS_SEND_TIME_URI, read_packet
from streams.webrtc import PeerConnection

OnMessage = Callable[[str, str, bytes], None]
"""Takes a data-channel message: resource, label, bytes."""

HEARTBEAT = b""
"""What the relay sends on a data channel: an empty message, so its peer sees the path live."""

MAX_MESSAGE_BYTES = 64 * 1024
MAX_CHANNELS = 8
_MAX_BUFFERED_BYTES = 64 * 1024
_CNAME = 1
_CNAME_LINE = re.compile(r"^a=ssrc:\d+ cname:(\S+)", re.MULTILINE)

log = structlog.get_logger("dispatch.relay")


class Session(ABC):
    """One peer connection and its place in the relay.

    Attributes:
        role: ``publish`` or ``view``.
        id: Unguessable; part of the session's URL.
        resource: Such as ``unit-7/cabin``.
        identity: Who opened it, as the authorisation said.
        peer: Its peer connection.
        tap: Its packets; None for a session with data channels only.
        opened_at: Monotonic time.
        heard_at: Monotonic time of the last RTP or RTCP packet, or of the opening.
        ended: Why it is over, or None while it is not.
    """

    role: ClassVar[Role]

    def __init__(self, resource: str, identity: str, peer: PeerConnection) -> None:
        """Wrap a peer connection that has taken its offer and not yet answered."""
        self.id = secrets.token_urlsafe(18)
        self.resource = resource
        self.identity = identity
        self.peer = peer
        self.opened_at = self.heard_at = time.monotonic()
        self.ended: str | None = None
        self.tap: PacketTap | None = None
        peer.on("connectionstatechange", self._state_changed)
        if peer.getTransceivers():
            self.tap = PacketTap(
                peer,
                on_rtp=self._rtp_received,
                on_rtcp=self._rtcp_received,
                on_connected=self._media_may_flow,
            )

    @property
    def answer(self) -> str:
        """The session description that answers the offer."""
        return str(self.peer.localDescription.sdp)

    @property
    def etag(self) -> str:
        """Entity tag of the ICE session (RFC 9725, section 4.3); there are no ICE restarts."""
        return f'"{self.id[:12]}"'

    @property
    def connected(self) -> bool:
        """Whether media or data may flow."""
        if self.tap is not None:
            return self.tap.connected
        return str(self.peer.connectionState) == "connected"

    def _state_changed(self) -> None:
        state = str(self.peer.connectionState)
        if state in ("failed", "closed"):
            self.ended = self.ended or ("never connected" if not self.connected else "path lost")
        elif state == "connected" and self.tap is None:
            self._media_may_flow()

    @abstractmethod
    def _media_may_flow(self) -> None:
        """The path stands."""

    @abstractmethod
    def _rtp_received(self, data: bytes) -> None:
        """Take an RTP packet."""

    def _rtcp_received(self, data: bytes) -> None:
        self.heard_at = time.monotonic()
        try:
            packets = RtcpPacket.parse(data)
        except (ValueError, IndexError, struct.error):
            return
        for packet in packets:
            self._take_rtcp(packet)

    @abstractmethod
    def _take_rtcp(self, packet: AnyRtcpPacket) -> None:
        """Take one RTCP packet of a compound."""

    def _send_rtcp(self, packets: Sequence[AnyRtcpPacket]) -> None:
        if self.tap is not None:
            self.tap.send_rtcp(b"".join(bytes(packet) for packet in packets))


class SourceSession(Session):
    """A publisher: its media goes to the resource's tracks, its messages to a callback.

    Attributes:
        inbound: What it sends, by kind.
        channels: Its open data channels, by label.
        messages: Data-channel messages received.
        message_octets: Their bytes.
        messages_refused: Messages too large, or whose taker failed.
        is_present: Whether it is the resource's source now; nothing it sends counts before.
    """

    role = "publish"

    def __init__(
        self,
        resource: str,
        identity: str,
        peer: PeerConnection,
        *,
        tracks: dict[str, Track],
        on_message: OnMessage,
        on_connected: Callable[[SourceSession], None],
        on_report: Callable[[RtcpSrPacket], None],
    ) -> None:
        """Prepare the session; call it before the answer is set.

        Args:
            resource: Such as ``unit-7/cabin``.
            identity: Who publishes.
            peer: Has taken the offer.
            tracks: The resource's tracks by kind; those missing are added when media flows.
            on_message: Takes data-channel messages.
            on_connected: Called when media or data may flow.
            on_report: Takes its sender reports.
        """
        super().__init__(resource, identity, peer)
        self.inbound: dict[str, Inbound] = {}
        self.channels: dict[str, RTCDataChannel] = {}
        self.messages = self.message_octets = self.messages_refused = 0
        self.is_present = False
        self.bitrate = SteadyBitrate()
        self._on_message = on_message
        self._on_connected = on_connected
        self._on_report = on_report
        self._by_payload_type: dict[int, Inbound] = {}
        self._reports: dict[int, tuple[int, float]] = {}
        self._ssrc = 1
        for transceiver in peer.getTransceivers():
            self._ssrc = transceiver.sender._ssrc
            self._prepare(transceiver, tracks)
        peer.on("datachannel", self._channel_opened)

    def _prepare(self, transceiver: Any, tracks: dict[str, Track]) -> None:
        codecs = {c.payloadType: describe_codec(c) for c in transceiver._codecs}
        inbound = Inbound(
            tracks.setdefault(transceiver.kind, Track(transceiver.kind)),
            codecs,
            send_time_id=_send_time_id(transceiver),
            ask_again=self._ask_again,
            ask_key_frame=self._ask_key_frame,
        )
        self.inbound[transceiver.kind] = inbound
        self._by_payload_type.update(dict.fromkeys(codecs, inbound))

    def _media_may_flow(self) -> None:
        self._on_connected(self)

    def _rtp_received(self, data: bytes) -> None:
        packet = read_packet(data)
        if packet is None or not self.is_present:
            return
        inbound = self._by_payload_type.get(packet.payload_type)
        if inbound is not None:
            self.heard_at = now = time.monotonic()
            inbound.take(packet, now)

    def _ask_again(self, ssrc: int, missing: Sequence[int]) -> None:
        nack = RtcpRtpfbPacket(RTCP_RTPFB_NACK, self._ssrc, ssrc, lost=list(missing))
        self._send_rtcp([RtcpRrPacket(self._ssrc), nack])

    def _ask_key_frame(self, ssrc: int) -> None:
        self._send_rtcp([RtcpRrPacket(self._ssrc), RtcpPsfbPacket(RTCP_PSFB_PLI, self._ssrc, ssrc)])

    def _take_rtcp(self, packet: AnyRtcpPacket) -> None:
        if not isinstance(packet, RtcpSrPacket):
            return
        middle = packet.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF
        self._reports[packet.ssrc] = (middle, time.monotonic())
        if self.is_present:
            self._on_report(packet)

    def sender_clock(self, packet: RtcpSrPacket) -> tuple[Track, int] | None:
        """Return the track and its viewers' RTP time for a sender report, or None."""
        for inbound in self.inbound.values():
            if inbound.ssrc == packet.ssrc:
                mapped = inbound.track.map_timestamp(inbound, packet.sender_info.rtp_timestamp)
                return None if mapped is None else (inbound.track, mapped)
        return None

    def report(self, now: float, target_bps: int | None) -> None:
        """Send a receiver report, with the bit rate to keep to; call it at least once a second.

        The source takes reports as the sign that its path lives, so one is sent even before
        the first packet.
        """
        packets: list[AnyRtcpPacket] = [RtcpRrPacket(self._ssrc, self._receiver_infos(now))]
        video = self.inbound.get("video")
        if target_bps is not None and video is not None and video.ssrc is not None:
            told = self.bitrate.update(target_bps, now)
            fci = pack_remb_fci(told, [video.ssrc])
            packets.append(RtcpPsfbPacket(RTCP_PSFB_APP, self._ssrc, 0, fci))
        self._send_rtcp(packets)

    def _receiver_infos(self, now: float) -> list[RtcpReceiverInfo]:
        infos = []
        for inbound in self.inbound.values():
            reception, ssrc = inbound.reception, inbound.ssrc
            if reception is None or ssrc is None:
                continue
            last, heard = self._reports.get(ssrc, (0, now))
            infos.append(
                RtcpReceiverInfo(
                    ssrc=ssrc,
                    fraction_lost=reception.take_fraction_lost(),
                    packets_lost=reception.lost,
                    highest_sequence=reception.highest,
                    jitter=reception.jitter,
                    lsr=last,
                    dlsr=min(int((now - heard) * 65536), 0xFFFFFFFF) if last else 0,
                )
            )
        return infos

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        if len(self.channels) >= MAX_CHANNELS:
            channel.close()
            return
        self.channels[channel.label] = channel

        def take(message: str | bytes) -> None:
            self._take_message(channel.label, message)

        channel.on("message", take)

    def _take_message(self, label: str, message: str | bytes) -> None:
        data = message.encode() if isinstance(message, str) else message
        self.heard_at = time.monotonic()
        if not data:
            return  # the other side's heartbeat
        if len(data) > MAX_MESSAGE_BYTES or not self.is_present:
            self.messages_refused += 1
            return
        self.messages += 1
        self.message_octets += len(data)
        try:
            self._on_message(self.resource, label, data)
        except Exception:
            # One bad message must not end the channel; its taker is somebody else's code.
            self.messages_refused += 1
            log.exception("message not taken", resource=self.resource, label=label)

    def send(self, label: str, data: bytes) -> bool:
        """Send a message down a data channel that the source opened; False when it cannot go."""
        channel = self.channels.get(label)
        if channel is None or channel.readyState != "open":
            return False
        if channel.bufferedAmount + len(data) > _MAX_BUFFERED_BYTES:
            return False
        channel.send(data)
        return True

    def beat(self) -> None:
        """Send a heartbeat down one data channel: each costs an answer on a narrow uplink."""
        for label in self.channels:
            if self.send(label, HEARTBEAT):
                return


class ViewerSession(Session):
    """A viewer: one leg per kind of media.

    Attributes:
        legs: Its copies, by kind.
    """

    role = "view"

    def __init__(
        self,
        resource: str,
        identity: str,
        peer: PeerConnection,
        *,
        tracks: dict[str, Track],
        want_key_frame: Callable[[Track], None],
    ) -> None:
        """Prepare the session; call it before the answer is set.

        Args:
            resource: Such as ``unit-7/cabin``.
            identity: Who views.
            peer: Has taken the offer.
            tracks: The resource's tracks by kind; those missing are added.
            want_key_frame: Asks the present source of a track.
        """
        super().__init__(resource, identity, peer)
        self.legs: dict[str, Leg] = {}
        self._tracks = tracks
        self._want_key_frame = want_key_frame
        self._sent_before = 0
        self._cname = b""
        tap = self.tap
        if tap is None:
            return
        for transceiver in peer.getTransceivers():
            payload_types: dict[Codec, int] = {}
            for codec in transceiver._codecs:
                payload_types.setdefault(describe_codec(codec), int(codec.payloadType or 0))
            self.legs[transceiver.kind] = Leg(
                tap.send_rtp,
                transceiver.sender._ssrc,
                payload_types,
                _send_time_id(transceiver),
            )
            tracks.setdefault(transceiver.kind, Track(transceiver.kind))

    def _media_may_flow(self) -> None:
        if self.ended is not None:
            return  # it left while its connection was being made
        found = _CNAME_LINE.search(self.answer)
        self._cname = found.group(1).encode() if found else b"forerun"
        for kind, leg in self.legs.items():
            track = self._tracks[kind]
            track.add(leg)
            self._want_key_frame(track)

    def leave(self) -> None:
        """Take its legs off the tracks."""
        for kind, leg in self.legs.items():
            if leg in self._tracks[kind].legs:
                self._tracks[kind].legs.remove(leg)

    def was_sent_something(self) -> bool:
        """Whether packets went to it since the last call."""
        sent = sum(leg.sent for leg in self.legs.values())
        before, self._sent_before = self._sent_before, sent
        return sent > before

    def _rtp_received(self, data: bytes) -> None:
        """Viewers send no media."""

    def _take_rtcp(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpRrPacket):
            for report in packet.reports:
                for leg in self.legs.values():
                    if leg.ssrc == report.ssrc:
                        leg.loss = report.fraction_lost / 256
        elif isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            for kind, leg in self.legs.items():
                if leg.ssrc == packet.media_ssrc:
                    self._tracks[kind].repair(leg, packet.lost)
        elif isinstance(packet, RtcpPsfbPacket):
            self._take_feedback(packet)

    def _take_feedback(self, packet: RtcpPsfbPacket) -> None:
        if packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
            if "video" in self.legs:
                self._want_key_frame(self._tracks["video"])
        elif packet.fmt == RTCP_PSFB_APP:
            try:
                bitrate_bps, ssrcs = unpack_remb_fci(packet.fci)
            except (ValueError, struct.error):
                return
            for leg in self.legs.values():
                if leg.ssrc in ssrcs:
                    leg.bitrate_bps = bitrate_bps

    def send_report(self, kind: str, ntp_timestamp: int, rtp_timestamp: int) -> None:
        """Pass on a source's sender report: it is what keeps sound and picture together."""
        leg = self.legs.get(kind)
        if leg is None or leg.sent == 0:
            return
        info = RtcpSenderInfo(
            ntp_timestamp=ntp_timestamp,
            rtp_timestamp=rtp_timestamp,
            packet_count=leg.sent & 0xFFFFFFFF,
            octet_count=leg.octets & 0xFFFFFFFF,
        )
        name = RtcpSourceInfo(ssrc=leg.ssrc, items=[(_CNAME, self._cname)])
        self._send_rtcp([RtcpSrPacket(leg.ssrc, info), RtcpSdesPacket([name])])


def _send_time_id(transceiver: Any) -> int:
    for extension in transceiver._headerExtensions:
        if extension.uri == ABS_SEND_TIME_URI and 1 <= extension.id <= 14:
            return int(extension.id)
    return 0
