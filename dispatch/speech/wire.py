"""What goes between the service and the process of an engine: MessagePack behind its length.

The service writes to the child's standard input and reads its standard output. Samples are counted
from the first one fed to a voice, so that a block which was dropped leaves a hole of known size.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, TypeVar

import msgspec

from dispatch.speech.engine import Language, Reason
from streams.errors import ForerunError

MOST_BYTES = 4 * 2**20
"""No frame is longer: a minute of synthesised speech comes in blocks."""

_LENGTH = struct.Struct("<I")


class WireError(ForerunError):
    """Bytes that are no frame of an engine: one of the two sides is broken."""

    reason = "speech_wire"


class _Frame(msgspec.Struct, frozen=True, array_like=True, tag=True):
    pass


class Open(_Frame, frozen=True):
    """A voice is listened to from sample ``at`` on."""

    voice: int
    language: Language | None
    at: int
    utterance: int


class Sound(_Frame, frozen=True):
    """Samples of a voice, the first one being number ``at``."""

    voice: int
    at: int
    pcm: bytes


class EndUtterance(_Frame, frozen=True):
    """What came so far of a voice is a whole sentence."""

    voice: int


class Close(_Frame, frozen=True):
    """A voice is listened to no more, or a text is not to be spoken on."""

    voice: int


class Say(_Frame, frozen=True):
    """A text to be spoken, already cleaned, in parts of one language each."""

    voice: int
    parts: tuple[tuple[Language, str], ...]


class Ping(_Frame, frozen=True):
    """Are you alive?"""

    number: int


class Ready(_Frame, frozen=True):
    """The engine has loaded what it needs."""

    engine: str
    languages: tuple[Language, ...]


class Cannot(_Frame, frozen=True):
    """The engine cannot start, and trying again does not help."""

    why: Reason
    detail: str


class Text(_Frame, frozen=True):
    """What a voice said between two samples."""

    voice: int
    utterance: int
    final: bool
    text: str
    language: Language
    confidence: float
    begin: int
    end: int


class Spoken(_Frame, frozen=True):
    """Sound of a text."""

    voice: int
    pcm: bytes


class AllSpoken(_Frame, frozen=True):
    """All sound of a text has been sent; ``complete`` tells whether nothing is missing."""

    voice: int
    complete: bool


class Pong(_Frame, frozen=True):
    """Alive; how long the oldest final text waits, and how long the engine is at one thing, s."""

    number: int
    late_s: float
    busy_s: float


Request = Open | Sound | EndUtterance | Close | Say | Ping
Answer = Ready | Cannot | Text | Spoken | AllSpoken | Pong

_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)
_Decoded = TypeVar("_Decoded", Request, Answer)


def frame(message: Request | Answer) -> bytes:
    """Return the message with its length before it."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


def length_of(head: bytes) -> int:
    """Return how many bytes follow the four of a head.

    Raises:
        WireError: More than ``MOST_BYTES``.
    """
    (size,) = _LENGTH.unpack(head)
    if size > MOST_BYTES:
        raise WireError(f"a frame of {size} bytes, where {MOST_BYTES} are the most")
    return int(size)


HEAD_BYTES = _LENGTH.size


def answer_of(body: bytes) -> Answer:
    """Return what an engine says.

    Raises:
        WireError: It is no answer.
    """
    return _decode(_answers, body)


def read_request(source: BinaryIO) -> Request | None:
    """Read the next request; None when the other side has closed.

    Raises:
        WireError: It is no request, or ends in the middle.
    """
    head = source.read(HEAD_BYTES)
    if not head:
        return None
    if len(head) < HEAD_BYTES:
        raise WireError("cut off within a length")
    size = length_of(head)
    body = source.read(size)
    if len(body) < size:
        raise WireError("cut off within a frame")
    return _decode(_requests, body)


def _decode(decoder: msgspec.msgpack.Decoder[_Decoded], body: bytes) -> _Decoded:
    try:
        return decoder.decode(body)
    except msgspec.DecodeError as error:
        raise WireError(f"no frame of an engine: {error}") from error
