"""Envelopes to bytes and back: MessagePack, versioned, size-limited, typed by msgspec.

Decoding trusts nothing: size first, then version and kind, then the types and ranges of every
field. Whatever the bytes are, only ``MessageError`` comes out. A number that is none (NaN) or has
no end is refused: it passes every comparison of ranges, and JSON has no word for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from streams.errors import MalformedError, OversizedError, VersionError
from streams.messages import VERSION, Body, Envelope
from streams.topics import CARRIERS, LARGEST_BYTES, find

AnyBody = TypeVar("AnyBody", bound=Body)

_encoder = msgspec.msgpack.Encoder()
_envelope_decoder = msgspec.msgpack.Decoder(Envelope)


class _Head(msgspec.Struct, array_like=True):
    """The first two fields, read before the rest is looked at."""

    version: Any
    kind: Any


_head_decoder = msgspec.msgpack.Decoder(_Head)


@cache
def _body_decoder(body: type[Body]) -> msgspec.msgpack.Decoder[Body]:
    return msgspec.msgpack.Decoder(body)


@cache
def _may_hold_floats(body: type[Body]) -> bool:
    """Whether a value of this type can have a float in it; a waveform block has none."""
    seen: set[type] = set()

    def look(info: object) -> bool:
        if isinstance(info, msgspec.inspect.FloatType | msgspec.inspect.AnyType):
            return True
        if isinstance(info, msgspec.inspect.StructType):
            if info.cls in seen:
                return False
            seen.add(info.cls)
        if not isinstance(info, msgspec.Struct):
            return isinstance(info, tuple) and any(map(look, info))
        return any(look(getattr(info, name)) for name in info.__struct_fields__)

    return look(msgspec.inspect.type_info(body))


def _is_finite(value: object) -> bool:
    match value:
        case float():
            return math.isfinite(value)
        case msgspec.Struct():
            return all(_is_finite(getattr(value, name)) for name in value.__struct_fields__)
        case list() | tuple():
            return all(map(_is_finite, value))
        case Mapping():
            return all(map(_is_finite, value.values()))
    return True


def encode_body(body: Body) -> msgspec.Raw:
    """Encode a body for an envelope."""
    return msgspec.Raw(_encoder.encode(body))


def encode(envelope: Envelope) -> bytes:
    """Encode an envelope.

    Raises:
        OversizedError: It is over the limit of its kind; cut the content before sending.
        UnknownKindError: Its kind is not in the table of topics.
    """
    data = _encoder.encode(envelope)
    limit = find(envelope.kind).limit_bytes
    if len(data) > limit:
        raise OversizedError(len(data), limit)
    return data


def decode(data: bytes) -> Envelope:
    """Decode an envelope; its body stays encoded.

    Raises:
        OversizedError: Over the limit of its kind, or of every kind.
        VersionError: An envelope of another version.
        UnknownKindError: A kind that the table does not have.
        MalformedError: Truncated, of the wrong type, or out of range.
    """
    if len(data) > LARGEST_BYTES:
        raise OversizedError(len(data), LARGEST_BYTES)
    try:
        head = _head_decoder.decode(data)
        if type(head.version) is not int or head.version != VERSION:
            raise VersionError(head.version, VERSION)
        topic = find(head.kind)
        if len(data) > topic.limit_bytes:
            raise OversizedError(len(data), topic.limit_bytes)
        envelope = _envelope_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(f"not an envelope: {error}") from error
    if topic.is_fact and envelope.kind not in CARRIERS and envelope.lane != topic.lane:
        raise MalformedError(f"{envelope.kind} belongs in lane {topic.lane}, not {envelope.lane}")
    if topic.is_fact and envelope.sequence < 1:
        raise MalformedError(f"{envelope.kind}: sequences start at 1, not {envelope.sequence}")
    if topic.case_only and envelope.case is None:
        raise MalformedError(f"{envelope.kind} means nothing without a case")
    return envelope


def open_body(envelope: Envelope, expected: type[AnyBody]) -> AnyBody:
    """Decode the body, which the caller knows to be of type ``expected``.

    Raises:
        MalformedError: It is of another type, truncated or out of range.
    """
    body = any_body(envelope)
    if not isinstance(body, expected):
        raise MalformedError(f"{envelope.kind}: not a {expected.__name__}")
    return body


def any_body(envelope: Envelope) -> Body:
    """Decode the body as the table of topics says for its kind.

    Raises:
        UnknownKindError: The table does not have the kind.
        MalformedError: Truncated, of the wrong type, or out of range.
    """
    kind = find(envelope.kind).body
    try:
        body = _body_decoder(kind).decode(envelope.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(f"{envelope.kind}: {error}") from error
    if _may_hold_floats(kind) and not _is_finite(body):
        raise MalformedError(f"{envelope.kind}: a number in it is none, or has no end")
    return body
