"""A hand-over at the bay without any network: facts as a cycle of QR codes. Pure.

    facts ─▶ MessagePack ─▶ zlib ─▶ numbered frames, each the text of one QR code ─▶ shown in turn

A frame is ``FB1:DIGEST:INDEX:COUNT:DATA``. DIGEST is the first 8 bytes of the SHA-256 of the
whole compressed content, in hex: it says which frames belong together, and when they are
complete that they are right. DATA is Base45 (RFC 9285): all of the frame is in the alphabet that
QR codes hold at 5.5 bits a character, so it costs 3 % and every reader gives it back as text.

Whoever holds something before the camera can have written anything: sizes are checked before
anything is unpacked, and unpacking stops at a limit.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable
from typing import Annotated

import msgspec

from streams.bay_messages import VERSION, CarriedFact
from streams.errors import MessageError
from streams.messages import Count, Identifier, Name, ShortText, Time

FRAME_BYTES = 560
"""Of content in one frame: version 19 of QR at level M, 93 modules, which a camera reads well."""

MOST_FRAMES = 60
"""12 s for a cycle at five a second; who misses one waits for the next cycle."""

MOST_PACKED = FRAME_BYTES * MOST_FRAMES
MOST_UNPACKED = 2 * 1024 * 1024
"""Facts shrink to a third; what would grow beyond this is no hand-over."""

MOST_CARRIED = 5000

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUES = {letter: value for value, letter in enumerate(_ALPHABET)}
_FRAME = re.compile(r"FB1:([0-9A-F]{16}):(\d{1,3}):(\d{1,3}):([0-9A-Z $%*+\-./:]+)", re.ASCII)
_MOST_TEXT = 1000


class BayCodeError(MessageError):
    """What the camera read is no hand-over, or not all of one; the text says what is wrong."""

    reason = "bay_code"


class BayContent(msgspec.Struct, frozen=True, kw_only=True):
    """What the QR codes hold.

    Attributes:
        wall_ns: The vehicle's wall clock as it made them: for facts that know no better time.
        all_facts: How many facts the run has without its waveform.
        carried: Those that are here: all, or with fewer vital signs where they would not fit.
    """

    version: int
    unit: Name
    label: ShortText
    region: Name
    case: Identifier
    drill: bool
    wall_ns: Time
    all_facts: Count
    carried: Annotated[list[CarriedFact], msgspec.Meta(min_length=1, max_length=MOST_CARRIED)]


_decoder = msgspec.msgpack.Decoder(BayContent)


def frames_of(content: BayContent) -> list[str] | None:
    """Return the texts of the QR codes for a content; None when it is too much for them."""
    packed = zlib.compress(msgspec.msgpack.encode(content), 9)
    if len(packed) > MOST_PACKED:
        return None
    digest = _digest(packed)
    pieces = [packed[at : at + FRAME_BYTES] for at in range(0, len(packed), FRAME_BYTES)]
    return [
        f"FB1:{digest}:{index}:{len(pieces)}:{to_base45(piece)}"
        for index, piece in enumerate(pieces)
    ]


def content_of(frames: Iterable[str]) -> BayContent:
    """Return what the QR codes hold, given their texts in any order, any of them repeated.

    Raises:
        BayCodeError: Not frames of ours, not of one content, not all of it, damaged, too large,
            or of another version.
    """
    pieces, count, digest = _pieces(frames)
    missing = count - len(pieces)
    if missing:
        raise BayCodeError(f"{missing} of {count} QR codes were not read yet")
    packed = b"".join(pieces[index] for index in range(count))
    if _digest(packed) != digest:
        raise BayCodeError("the QR codes do not fit together: read them again")
    try:
        content = _decoder.decode(_unpack(packed))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BayCodeError(f"what the QR codes hold is no hand-over: {error}") from error
    if content.version != VERSION:
        raise BayCodeError(f"the QR codes are of version {content.version}, this is {VERSION}")
    return content


def _pieces(frames: Iterable[str]) -> tuple[dict[int, bytes], int, str]:
    pieces: dict[int, bytes] = {}
    known: tuple[str, str] | None = None
    for text in frames:
        found = _FRAME.fullmatch(text) if len(text) <= _MOST_TEXT else None
        if found is None:
            raise BayCodeError("a QR code that is no part of a hand-over")
        digest, index_text, count, data = found.groups()
        known = known or (digest, count)
        if (digest, count) != known:
            raise BayCodeError("QR codes of two hand-overs: read one of them from its beginning")
        index, piece = int(index_text), from_base45(data)
        if not 0 <= index < int(count) <= MOST_FRAMES or len(piece) > FRAME_BYTES:
            raise BayCodeError(f"QR code {index} of {count} is beyond what a hand-over has")
        if pieces.setdefault(index, piece) != piece:
            raise BayCodeError(f"QR code {index} was read twice and differs: read them again")
    if known is None:
        raise BayCodeError("no QR code was read")
    return pieces, int(known[1]), known[0]


def _unpack(packed: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        unpacked = unpacking.decompress(packed, MOST_UNPACKED)
    except zlib.error as error:
        raise BayCodeError(f"the QR codes cannot be unpacked: {error}") from error
    if not unpacking.eof or unpacking.unused_data:
        raise BayCodeError(f"the QR codes hold more than {MOST_UNPACKED} bytes, or are cut off")
    return unpacked


def _digest(packed: bytes) -> str:
    return hashlib.sha256(packed).hexdigest()[:16].upper()


def to_base45(data: bytes) -> str:
    """Return bytes as Base45 (RFC 9285, section 4)."""
    letters: list[str] = []
    for at in range(0, len(data), 2):
        pair = data[at : at + 2]
        value = int.from_bytes(pair, "big")
        for _ in range(len(pair) + 1):
            value, digit = divmod(value, 45)
            letters.append(_ALPHABET[digit])
    return "".join(letters)


def from_base45(text: str) -> bytes:
    """Return the bytes of a Base45 text.

    Raises:
        BayCodeError: It is none.
    """
    found = bytearray()
    for letters in (text[at : at + 3] for at in range(0, len(text), 3)):
        values = [_VALUES.get(letter, 0) for letter in letters]
        value = sum(digit * 45**place for place, digit in enumerate(values))
        length = len(letters) - 1
        if length == 0 or value >= 256**length or any(one not in _VALUES for one in letters):
            raise BayCodeError("a QR code holds what is no Base45")
        found += value.to_bytes(length, "big")
    return bytes(found)
