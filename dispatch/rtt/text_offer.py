"""What an exchange's session description says of a call's real-time text, and our answer. Pure.

RFC 8866 (SDP), RFC 3264 (offer and answer), RFC 4103, section 10 (``text/t140`` and ``text/red``):

    m=text 11000 RTP/AVP 98 100
    a=rtpmap:98 t140/1000
    a=fmtp:98 cps=30
    a=rtpmap:100 red/1000
    a=fmtp:100 98/98/98

Other media of the offer are answered with port 0: they are the exchange's matter, not ours.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Literal

from dispatch.offers import OfferError
from dispatch.rtt.endpoint import TextMedia
from dispatch.rtt.payload import MOST_GENERATIONS
from streams.t140_typing import CHARACTERS_PER_S

TAKEN_PER_S = 100
"""Characters a second that we say we take."""

MOST_BYTES = 32 * 1024
_MEDIA = re.compile(r"m=(\S+) (\d{1,5})(?:/\d+)? (\S+) ?(.*)")
_MAP = re.compile(r"a=rtpmap:(\d{1,3}) ([A-Za-z0-9-]+)/(\d+)", re.IGNORECASE)
_FORM = re.compile(r"a=fmtp:(\d{1,3}) (.*)", re.IGNORECASE)
_CONNECTION = re.compile(r"c=IN IP([46]) ([0-9A-Fa-f.:]{2,45})(?:/.*)?")
_RATE = re.compile(r"\bcps=(\d{1,5})")
_DIRECTION = re.compile(r"a=(sendrecv|sendonly|recvonly|inactive)")

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
_OPPOSITE = {
    "sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TextOffer:
    """The text of an offer.

    Attributes:
        media: For the endpoint.
        direction: What the exchange wants to do.
        profile: ``RTP/AVP`` or ``RTP/AVPF``.
        sections: Kind and format list of each medium, in the order of the offer.
        at: Which of them is ours.
        red_format: What the offer says of ``text/red``.
    """

    media: TextMedia
    direction: str
    profile: str
    sections: tuple[tuple[str, str, str], ...]
    at: int
    red_format: str


def read_text_offer(sdp: str) -> TextOffer:
    """Return the text of an offer.

    Raises:
        OfferError: It is none (400), or has no text that could be served (406).
    """
    lines = [line.strip() for line in sdp.splitlines() if line.strip()]
    if not lines or lines[0] != "v=0":
        raise OfferError(400, "the body is no session description: it must start with v=0")
    starts = [at for at, line in enumerate(lines) if line.startswith("m=")]
    sections = [lines[a:b] for a, b in zip(starts, [*starts[1:], None], strict=False)]
    headers = [_MEDIA.fullmatch(section[0]) for section in sections]
    if not sections or any(found is None for found in headers):
        raise OfferError(400, "a media line cannot be read")
    described = [(found[1], found[3], found[4]) for found in headers if found is not None]
    texts = [
        at
        for at, found in enumerate(headers)
        if found is not None and found[1] == "text" and found[2] != "0"
    ]
    if not texts:
        raise OfferError(406, "the offer has no text (m=text) with a port")
    at = texts[0]
    header, section = headers[at], sections[at]
    assert header is not None
    if header[3] not in ("RTP/AVP", "RTP/AVPF"):
        raise OfferError(406, f"{header[3]} is not served here: offer RTP/AVP")
    common = lines[: starts[0]]
    remote = _remote(common, section, int(header[2]))
    media, red_format = _types(section, header[4].split(), remote)
    found = _first(_DIRECTION, section) or _first(_DIRECTION, common)
    direction = found[1] if found else "sendrecv"
    return TextOffer(media, direction, header[3], tuple(described), at, red_format)


def text_answer(offer: TextOffer, address: str, port: int) -> str:
    """Return the answer: text at an address and port of ours, nothing else."""
    family = ipaddress.ip_address(address).version
    lines = [
        "v=0", f"o=- 0 0 IN IP{family} {address}", "s=-", f"c=IN IP{family} {address}", "t=0 0",
    ]  # fmt: skip
    for number, (kind, profile, formats) in enumerate(offer.sections):
        if number != offer.at:
            lines.append(f"m={kind} 0 {profile} {formats}".rstrip())
            continue
        media = offer.media
        types = [media.text_type] if media.red_type is None else [media.red_type, media.text_type]
        lines += [
            f"m=text {port} {offer.profile} {' '.join(map(str, types))}",
            f"a=rtpmap:{media.text_type} t140/1000",
            f"a=fmtp:{media.text_type} cps={TAKEN_PER_S}",
        ]
        if media.red_type is not None:
            lines += [
                f"a=rtpmap:{media.red_type} red/1000",
                f"a=fmtp:{media.red_type} {'/'.join([str(media.text_type)] * 3)}",
            ]
        lines.append(f"a={_OPPOSITE[offer.direction]}")
    return "".join(f"{line}\r\n" for line in lines)


def _remote(common: list[str], section: list[str], port: int) -> tuple[str, int]:
    found = _first(_CONNECTION, section) or _first(_CONNECTION, common)
    try:
        address = ipaddress.ip_address(found[2]) if found else None
    except ValueError:
        address = None
    if address is None or address.is_multicast or address.is_unspecified or port > 65535:
        raise OfferError(400, "the offer says no address (c=IN IP4 …) to which text could go")
    return str(address), port


def _types(
    section: list[str], formats: list[str], remote: tuple[str, int]
) -> tuple[TextMedia, str]:
    names = {
        int(found[1]): found[2].lower()
        for line in section
        if (found := _MAP.match(line)) and found[1] in formats and found[3] == "1000"
    }
    forms = {int(found[1]): found[2] for line in section if (found := _FORM.match(line))}
    plain = [number for number, name in names.items() if name == "t140" and number < 128]
    if not plain:
        raise OfferError(406, "the text has no format t140/1000")
    text_type = plain[0]
    rate = _RATE.search(forms.get(text_type, ""))
    media = TextMedia(
        text_type,
        remote=remote,
        characters_per_s=float(max(1, int(rate[1]))) if rate else CHARACTERS_PER_S,
    )
    for number, name in names.items():
        blocks = forms.get(number, "").replace(" ", "").split("/")
        if name == "red" and set(blocks) == {str(text_type)}:
            generations = min(max(1, len(blocks) - 1), MOST_GENERATIONS)
            return replace(media, red_type=number, generations=generations), forms[number]
    return media, ""


def _first(pattern: re.Pattern[str], lines: list[str]) -> re.Match[str] | None:
    return next((found for line in lines if (found := pattern.match(line))), None)
