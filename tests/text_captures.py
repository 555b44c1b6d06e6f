"""Real-time text in packet captures: what the session descriptions announce, and its packets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.sip_captures import messages, packets

_MEDIA = re.compile(rb"m=text (\d+) RTP/\S+ ([0-9 ]+)")
_TYPE = re.compile(rb"a=rtpmap:(\d+) (t140|red)/1000", re.IGNORECASE)
_UDP = 17


@dataclass(frozen=True)
class TextPacket:
    """One RTP packet that went to a port which somebody announced for text.

    Attributes:
        sender: Address it came from.
        receiver: Address it went to.
        data: RTP, from its header on.
    """

    sender: str
    receiver: str
    data: bytes


@dataclass(frozen=True)
class TextCall:
    """The text of one capture.

    Attributes:
        text_type: Payload type of ``t140`` by the session descriptions.
        red_type: That of ``red``, if there is any.
        packets: In the order of the capture.
    """

    text_type: int
    red_type: int | None
    packets: list[TextPacket]


def text_call(file: Path) -> TextCall | None:
    """Return the text of a capture; None where no session description announces any."""
    ports: set[int] = set()
    types: dict[bytes, int] = {}
    for message in messages(file):
        for media in _MEDIA.finditer(message):
            ports.add(int(media[1]))
            announced = message[media.start() :]
            following = announced.find(b"m=", 2)
            for found in _TYPE.finditer(announced[: following if following > 0 else None]):
                types[found[2].lower()] = int(found[1])
    if b"t140" not in types:
        return None
    return TextCall(types[b"t140"], types.get(b"red"), _to_ports(file, ports, set(types.values())))


def _to_ports(file: Path, ports: set[int], types: set[int]) -> list[TextPacket]:
    """Return the packets of these payload types to these ports.

    The captures have noise in between: datagrams of random bytes at random addresses.
    """
    found = []
    for packet in packets(file.read_bytes()):
        if packet[9] != _UDP:
            continue
        datagram = packet[(packet[0] & 15) * 4 : int.from_bytes(packet[2:4], "big")]
        data = datagram[8:]
        is_announced = int.from_bytes(datagram[2:4], "big") in ports
        if is_announced and len(data) >= 12 and data[0] >> 6 == 2 and data[1] & 0x7F in types:
            found.append(TextPacket(_dotted(packet[12:16]), _dotted(packet[16:20]), data))
    return found


def _dotted(address: bytes) -> str:
    return ".".join(map(str, address))
