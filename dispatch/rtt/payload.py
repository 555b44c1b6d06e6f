"""Payloads of real-time text: a T140block, alone or with the blocks before it.

``text/t140`` is one block of UTF-8 (RFC 4103, section 3). ``text/red`` carries in front of it the
blocks of the packets before (RFC 4103, section 4; RFC 2198): a header of four bytes for each,
oldest first, one byte for the newest, then the blocks.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from streams.errors import ForerunError

_HEADER = struct.Struct("!I")
_FOLLOWED = 0x80
LONGEST_AGE = 0x3FFF
"""What 14 bits of a timestamp offset hold, in timestamp units (ms)."""

LONGEST_BLOCK = 0x3FF
"""What 10 bits of a block length hold, bytes."""

MOST_GENERATIONS = 16
"""Redundant blocks that are read from one packet; RFC 4103 recommends to send two."""

MOST_BYTES = 4096
"""Text in one packet. People type some bytes in 300 ms; a pasted page fits."""


class TextPayloadError(ForerunError):
    """A packet of real-time text that cannot be read; nothing of it is taken.

    Attributes:
        field: What of it is wrong: ``rtp``, ``payload type``, ``block header`` …
    """

    reason = "text_payload"

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")
        self.field = field


@dataclass(frozen=True)
class Block:
    """One T140block of a packet.

    Attributes:
        data: UTF-8; empty where nothing was typed in its interval.
        age: How much older than the packet's own block it is, in timestamp units (ms).
    """

    data: bytes
    age: int = 0


def read_plain(payload: bytes) -> tuple[Block, ...]:
    """Read a ``text/t140`` payload.

    Raises:
        TextPayloadError: It is longer than any text that people type.
    """
    if len(payload) > MOST_BYTES:
        raise TextPayloadError("text", f"{len(payload)} bytes are over {MOST_BYTES}")
    return (Block(payload),)


def read_redundant(payload: bytes, text_type: int) -> tuple[Block, ...]:
    """Read a ``text/red`` payload: its blocks, oldest first, the packet's own last.

    Args:
        payload: Of the RTP packet.
        text_type: The payload type of ``text/t140``; other blocks are refused.

    Raises:
        TextPayloadError: Names the field that is wrong.
    """
    sizes: list[tuple[int, int]] = []
    at = 0
    while True:
        if at >= len(payload):
            raise TextPayloadError(
                "block header", f"the payload ends at byte {at}, before the last"
            )
        if payload[at] & 0x7F != text_type:
            raise TextPayloadError("block payload type", f"{payload[at] & 0x7F} is not {text_type}")
        if not payload[at] & _FOLLOWED:
            break
        if at + 4 > len(payload):
            raise TextPayloadError("block header", f"it is cut off at byte {len(payload)}")
        if len(sizes) == MOST_GENERATIONS:
            raise TextPayloadError("block header", f"more than {MOST_GENERATIONS} generations")
        (word,) = _HEADER.unpack_from(payload, at)
        sizes.append((word >> 10 & LONGEST_AGE, word & LONGEST_BLOCK))
        at += 4
    at += 1
    blocks: list[Block] = []
    for age, size in sizes:
        if at + size > len(payload):
            raise TextPayloadError("block length", f"{size} bytes at byte {at} of {len(payload)}")
        blocks.append(Block(payload[at : at + size], age))
        at += size
    return (*blocks, *read_plain(payload[at:]))


def write_redundant(blocks: tuple[Block, ...], text_type: int) -> bytes:
    """Return a ``text/red`` payload.

    Args:
        blocks: Oldest first, the packet's own last; redundant ones of 1023 bytes at most. An age
            over 14 bits is written as the most that fits, as only empty blocks ever have it.
        text_type: The payload type of ``text/t140``.
    """
    headers = b"".join(
        _HEADER.pack(
            (_FOLLOWED | text_type) << 24 | min(block.age, LONGEST_AGE) << 10 | len(block.data)
        )
        for block in blocks[:-1]
    )
    return headers + bytes([text_type]) + b"".join(block.data for block in blocks)
