"""The place in a SIP message: the Geolocation header and what it points to. Pure.

RFC 6442: ``cid:`` names a part of the message's own body (by value), ``https:``, ``sip:`` and the
like a place to ask (by reference; nothing is fetched here). Read generously, for a call waits:
parts that are indented, without the empty line after their headers, without closing delimiter,
and a document that no header points to are read, with a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote

from dispatch.location.errors import LocationError
from dispatch.location.held import read_held, read_reference
from dispatch.location.pidf_lo import joined
from dispatch.location.reading import Reading
from dispatch.location.values import quoted

LARGEST_BODY = 1_048_576
"""Bytes; a call with crash data and pictures of a contact card stays below."""
MOST_PARTS = 50
DEEPEST = 4

# No pattern here looks at a run of white space twice: a message may be a megabyte of it.
_HEADER = re.compile(rb"[ \t]*([!#-'*+\-.0-9A-Z^-z|~]{1,80})[ \t]*:(.*)")
_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_LOCATION = re.compile(r"<([^<>]{1,2000})>")
_DOCUMENTS = {"application/pidf+xml", "application/held+xml"}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a body.

    Attributes:
        kind: Its media type, small letters, without parameters.
        content_id: Without angle brackets; empty where it has none.
    """

    kind: str
    content_id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class SipMessage:
    """A message taken apart.

    Attributes:
        start: The first line.
        headers: (name in small letters, value) in order.
    """

    start: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def values(self, *names: str) -> list[str]:
        """Return the values of the headers of these names."""
        return [value for name, value in self.headers if name in names]


def split_message(message: bytes) -> SipMessage:
    """Take a SIP or HTTP message apart: first line, headers, body.

    Raises:
        LocationError: It is too large.
    """
    if len(message) > LARGEST_BODY:
        raise LocationError("message", f"longer than {LARGEST_BODY} bytes")
    head, _, body = message.replace(b"\r\n", b"\n").lstrip(b"\n").partition(b"\n\n")
    lines = re.sub(rb"\n[ \t]+", b" ", head).split(b"\n")  # folded headers
    headers: list[tuple[str, str]] = []
    for line in lines[1:]:
        match = _HEADER.fullmatch(line)
        if match is not None:
            headers.append((_text(match[1]).lower(), _text(match[2])))
    return SipMessage(_text(lines[0]), tuple(headers), body)


def read_sip(message: bytes, received_ns: int) -> Reading:
    """Read a whole INVITE, MESSAGE or NOTIFY; see `read_sip_body`."""
    taken = split_message(message)
    kinds = taken.values("content-type", "c")
    return read_sip_body(
        taken.values("geolocation"), kinds[0] if kinds else "", taken.body, received_ns
    )


def read_sip_body(
    geolocation: Sequence[str], content_type: str, body: bytes, received_ns: int
) -> Reading:
    """Read what a message says about its caller's place.

    Args:
        geolocation: The values of its Geolocation headers.
        content_type: The value of its Content-Type header.
        body: Its body.
        received_ns: When it came.

    Returns:
        A reading; by reference it has only ``references``.

    Raises:
        LocationError: There is nothing; the field names header or element.
    """
    if len(body) > LARGEST_BODY:
        raise LocationError("body", f"longer than {LARGEST_BODY} bytes")
    parts = list(_parts(content_type, "", body, DEEPEST))
    documents = [part for part in parts if part.kind in _DOCUMENTS]
    uris = [uri.strip() for value in geolocation for uri in _LOCATION.findall(value)]
    if geolocation and not uris:
        raise LocationError("Geolocation", "no address in angle brackets")
    reading = Reading(via="pidf")
    troubles: list[str] = []
    errors: list[LocationError] = []
    read: list[Part] = []
    for target in [*uris[:MOST_PARTS], *documents]:
        try:
            if isinstance(target, str) and target[:4].lower() != "cid:":
                reference = read_reference("Geolocation", target)
                reading = replace(reading, references=(*reading.references, reference))
                continue
            part = _named(target, documents) if isinstance(target, str) else target
            if part in read:
                continue
            read.append(part)
            reading = joined(reading, read_held(part.body, received_ns, "pidf"))
            if uris and isinstance(target, Part):
                troubles.append("Geolocation: does not point to the document that there is")
        except LocationError as error:
            errors.append(error)
    if not (reading.positions or reading.addresses or reading.references):
        raise errors[0] if errors else LocationError("Geolocation", "missing")
    troubles += [str(error) for error in errors]
    return replace(reading, warnings=reading.warnings + tuple(dict.fromkeys(troubles)))


def _named(uri: str, documents: list[Part]) -> Part:
    """Return the part that a ``cid:`` address names (RFC 2392: percent-encoded)."""
    wanted = unquote(uri[4:])
    for part in documents:
        if part.content_id == wanted:
            return part
    raise LocationError("Geolocation", f"no part of the body is {quoted(uri)}")


def _parts(kind: str, content_id: str, body: bytes, depth: int) -> Iterator[Part]:
    """Yield the parts of a body, those of parts of parts too."""
    media = kind.partition(";")[0].strip().lower()
    boundary = _BOUNDARY.search(kind) if media.startswith("multipart/") else None
    if boundary is None:
        yield Part(media, content_id, body)
        return
    if depth == 0:
        raise LocationError("Content-Type", f"more than {DEEPEST} levels of parts")
    delimiter = b"--" + (boundary[1] or boundary[2]).encode("utf-8", "replace")
    for number, chunk in enumerate(_chunks(body, delimiter)):
        if number >= MOST_PARTS:
            raise LocationError("Content-Type", f"more than {MOST_PARTS} parts")
        headers, rest = _part_headers(chunk)
        inner = headers.get("content-type", "text/plain")
        yield from _parts(inner, headers.get("content-id", "").strip("<> \t"), rest, depth - 1)


def _chunks(body: bytes, delimiter: bytes) -> Iterator[bytes]:
    """Yield what stands between the delimiter's lines, indented or not (RFC 2046, 5.1.1)."""
    lines: list[bytes] | None = None
    for line in body.split(b"\n"):
        if line.strip() in (delimiter, delimiter + b"--"):
            if lines is not None:
                yield b"\n".join(lines)
            lines = None if line.strip() == delimiter + b"--" else []
        elif line.strip().startswith(delimiter + b"--"):  # SIP's next message right behind
            if lines is not None:
                yield b"\n".join(lines)
            return
        elif lines is not None:
            lines.append(line)
    if lines and any(line.strip() for line in lines):
        yield b"\n".join(lines)


def _part_headers(chunk: bytes) -> tuple[dict[str, str], bytes]:
    """Return a part's headers and the rest, also where no empty line divides them."""
    headers: dict[str, str] = {}
    lines = chunk.split(b"\n")
    for at, line in enumerate(lines):
        match = _HEADER.fullmatch(line)
        if match is None or not line.strip():
            first = at + 1 if not line.strip() else at
            return headers, b"\n".join(lines[first:])
        headers.setdefault(_text(match[1]).lower(), _text(match[2]))
    return headers, b""


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "replace").strip()
