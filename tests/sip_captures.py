"""Messages out of packet captures: classic pcap files, IPv4, UDP and TCP put together.

A reader of its own because the captures need little (one file format, three link types) and what
they do need, TCP put together by sequence number, the small packet libraries lack.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

_LINK_HEADER = {0: 4, 1: 14, 12: 0, 101: 0, 113: 16}  # loopback, Ethernet, raw IP, Linux
_CONTENT_LENGTH = re.compile(rb"(?:Content-Length|\nl)[ \t]*:[ \t]*([0-9]+)", re.IGNORECASE)
_FIRST_LINE = re.compile(rb"(?:[A-Z]{3,10} [^\r\n ]{1,300} (?:SIP|HTTP)/|SIP/2\.0 |HTTP/1\.)")


def packets(capture: bytes) -> Iterator[bytes]:
    """Yield the IPv4 packets of a capture; none where the file is damaged."""
    if capture[:4] != b"\xd4\xc3\xb2\xa1":
        return
    link = struct.unpack_from("<I", capture, 20)[0]
    at = 24
    while at + 16 <= len(capture):
        size = struct.unpack_from("<I", capture, at + 8)[0]
        frame = capture[at + 16 : at + 16 + size]
        at += 16 + size
        if link == 1 and frame[12:14] != b"\x08\x00":
            continue
        packet = frame[_LINK_HEADER[link] :]
        if packet and packet[0] >> 4 == 4:
            yield packet


def streams(capture: bytes) -> list[bytes]:
    """Return what each side of each connection sent, and each datagram."""
    pieces: dict[tuple[bytes, ...], dict[int, bytes]] = {}
    for number, packet in enumerate(packets(capture)):
        payload = packet[(packet[0] & 15) * 4 : int.from_bytes(packet[2:4], "big")]
        ends = packet[12:20] + payload[:4]
        if packet[9] == 17:
            pieces[(ends, b"udp", bytes(str(number), "ascii"))] = {0: payload[8:]}
        elif packet[9] == 6:
            sequence = int.from_bytes(payload[4:8], "big")
            data = payload[(payload[12] >> 4) * 4 :]
            kept = pieces.setdefault((ends, b"tcp"), {})
            if len(data) > len(kept.get(sequence, b"")):
                kept[sequence] = data
    return [b"".join(kept[at] for at in sorted(kept)) for kept in pieces.values()]


def messages(file: Path) -> list[bytes]:
    """Return the SIP and HTTP messages of a capture, headers and body, in order."""
    found: list[bytes] = []
    for stream in streams(file.read_bytes()):
        rest = stream
        while (start := _FIRST_LINE.search(rest)) is not None:
            head, gap, body = rest[start.start() :].partition(b"\r\n\r\n")
            if not gap:
                break
            stated = _CONTENT_LENGTH.search(head)
            # HTTP/1.0 answers go on to the end; some bodies are longer than they state.
            following = _FIRST_LINE.search(body)
            size = following.start() if following else len(body)
            if stated is not None and following is None:
                size = max(int(stated[1]), 0) if not head.startswith(b"HTTP") else size
            found.append(head + gap + body[:size])
            rest = body[size:]
    return found
