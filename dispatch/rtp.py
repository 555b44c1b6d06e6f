"""RTP at the level of bytes: what a relay reads and rewrites, and nothing more.

The relay never decodes. Of each packet it reads the fixed header (RFC 3550, section 5.1), one
header extension (abs-send-time) and the first bytes of the payload, which say whether a key
frame begins. Everything here is pure.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

FIXED_HEADER = struct.Struct("!BBHII")
_HEADER_WITH_SEND_TIME = struct.Struct("!BBHIIHHI")

VERSION_2 = 0x80
PADDING = 0x20
EXTENSION = 0x10
MARKER = 0x80
ONE_BYTE_EXTENSIONS = 0xBEDE
"""Profile of one-byte header extensions (RFC 8285, section 4.2)."""

ABS_SEND_TIME_URI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
_SEND_TIME_TICKS_PER_S = 1 << 18
_SEND_TIME_MASK = 0xFFFFFF

_VP8_EXTENDED, _VP8_START, _VP8_PARTITION = 0x80, 0x10, 0x07
_H264_IDR, _H264_SPS, _H264_STAP_A, _H264_FU_A = 5, 7, 24, 28
_H264_TYPE = 0x1F
_H264_FU_START = 0x80


class Packet(NamedTuple):
    """One RTP packet as it came.

    Attributes:
        data: All its bytes.
        flags: Its padding bit, in place (``PADDING`` or 0).
        marker: Its marker bit, in place (``MARKER`` or 0).
        payload_type: 0 to 127.
        sequence: 16 bits.
        timestamp: 32 bits, in units of the codec's clock.
        ssrc: 32 bits.
        payload_at: Where the payload begins in ``data``.
        padding: Bytes of padding at the end.
    """

    data: bytes
    flags: int
    marker: int
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload_at: int
    padding: int

    @property
    def payload_size(self) -> int:
        """Bytes of payload without padding."""
        return len(self.data) - self.payload_at - self.padding


def read_packet(data: bytes) -> Packet | None:
    """Read the header of one RTP packet; None when it is no RTP packet.

    Args:
        data: A packet after SRTP's unprotect.
    """
    size = len(data)
    if size < FIXED_HEADER.size:
        return None
    first, second, sequence, timestamp, ssrc = FIXED_HEADER.unpack_from(data)
    if first & 0xC0 != VERSION_2:
        return None
    payload_at = FIXED_HEADER.size + 4 * (first & 0x0F)
    if first & EXTENSION:
        if size < payload_at + 4:
            return None
        payload_at += 4 + 4 * int.from_bytes(data[payload_at + 2 : payload_at + 4], "big")
    padding = 0
    if first & PADDING:
        padding = data[-1]
        if padding == 0:
            return None
    if payload_at + padding > size:
        return None
    return Packet(
        data,
        first & PADDING,
        second & MARKER,
        second & 0x7F,
        sequence,
        timestamp,
        ssrc,
        payload_at,
        padding,
    )


def read_send_time(data: bytes, extension_id: int) -> int | None:
    """Return the abs-send-time of a packet, in 2^-18 s modulo 64 s, or None if it has none.

    Args:
        data: A packet that ``read_packet`` accepted.
        extension_id: The extension's id from the session description, 1 to 14.
    """
    if not data[0] & EXTENSION:
        return None
    at = FIXED_HEADER.size + 4 * (data[0] & 0x0F)
    if data[at] << 8 | data[at + 1] != ONE_BYTE_EXTENSIONS:
        return None
    end = at + 4 + 4 * (data[at + 2] << 8 | data[at + 3])
    at += 4
    while at < end:
        head = data[at]
        if head == 0:  # padding between elements
            at += 1
            continue
        length = (head & 0x0F) + 1
        if head >> 4 == extension_id and length == 3 and at + 4 <= end:
            return int.from_bytes(data[at + 1 : at + 4], "big")
        at += 1 + length
    return None


def send_time(unix_s: float) -> int:
    """Return the abs-send-time for an instant.

    The NTP epoch is a multiple of 64 s before the Unix epoch, so it falls out of the modulus.
    """
    return int(unix_s * _SEND_TIME_TICKS_PER_S) & _SEND_TIME_MASK


def build_header(  # noqa: PLR0917 - the fields of the wire, in its order; called per packet
    flags: int, marker: int, payload_type: int, sequence: int, timestamp: int, ssrc: int
) -> bytes:
    """Return a fixed header without extensions."""
    return FIXED_HEADER.pack(VERSION_2 | flags, marker | payload_type, sequence, timestamp, ssrc)


def build_header_with_send_time(  # noqa: PLR0917 - as above
    flags: int,
    marker: int,
    payload_type: int,
    sequence: int,
    timestamp: int,
    ssrc: int,
    extension_id: int,
    ticks: int,
) -> bytes:
    """Return a header whose only extension is abs-send-time.

    Args:
        flags: ``PADDING`` or 0; the rest as in ``Packet``.
        marker: ``MARKER`` or 0.
        payload_type: 0 to 127.
        sequence: 16 bits.
        timestamp: 32 bits.
        ssrc: 32 bits.
        extension_id: 1 to 14.
        ticks: From ``send_time``.
    """
    return _HEADER_WITH_SEND_TIME.pack(
        VERSION_2 | EXTENSION | flags,
        marker | payload_type,
        sequence,
        timestamp,
        ssrc,
        ONE_BYTE_EXTENSIONS,
        1,
        (extension_id << 4 | 2) << 24 | ticks,
    )


def starts_key_frame(codec: str, data: bytes, at: int) -> bool:
    """Whether the payload at ``at`` begins a frame that a decoder can start with.

    VP8: RFC 7741, sections 4.2 and 4.3. H.264: RFC 6184, sections 5.6 to 5.8. For any other
    codec (audio) every packet is a start.

    Args:
        codec: ``VP8``, ``H264`` or another codec's name.
        data: The packet.
        at: Where its payload begins.
    """
    if codec == "VP8":
        return _starts_vp8_key_frame(data, at)
    if codec == "H264":
        return _starts_h264_key_frame(data, at)
    return True


def _starts_vp8_key_frame(data: bytes, at: int) -> bool:
    size = len(data)
    if size <= at:
        return False
    first = data[at]
    if not first & _VP8_START or first & _VP8_PARTITION:
        return False
    at += 1
    if first & _VP8_EXTENDED:
        if size <= at:
            return False
        present = data[at]
        at += 1
        if present & 0x80:  # picture id, one byte or two
            if size <= at:
                return False
            at += 2 if data[at] & 0x80 else 1
        at += (present >> 6) & 1  # TL0PICIDX
        at += 1 if present & 0x30 else 0  # TID or KEYIDX
    return size > at and not data[at] & 1


def _starts_h264_key_frame(data: bytes, at: int) -> bool:
    if len(data) < at + 2:
        return False
    kind = data[at] & _H264_TYPE
    if kind == _H264_FU_A:
        part = data[at + 1]
        return bool(part & _H264_FU_START) and part & _H264_TYPE in (_H264_IDR, _H264_SPS)
    if kind == _H264_STAP_A:
        if len(data) < at + 4:
            return False
        kind = data[at + 3] & _H264_TYPE
    # Encoders send the parameter sets before the picture; a decoder needs them first.
    return kind in (_H264_SPS, _H264_IDR)


def sequence_distance(newer: int, older: int) -> int:
    """Return ``newer - older`` for 16-bit sequence numbers, -32768 to 32767."""
    distance = (newer - older) & 0xFFFF
    return distance - 0x10000 if distance & 0x8000 else distance
