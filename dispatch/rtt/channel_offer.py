"""What a session description says of a T.140 data channel (RFC 8864, RFC 8865, section 4). Pure.

    a=dcmap:2 subprotocol="t140";label="text"
    a=dcsa:2 fmtp:t140 cps=20
    a=dcsa:2 hlang-recv:zh en
    a=dcsa:2 sendonly

Browsers and most others leave these lines out and open the channel in band (RFC 8832); then the
defaults of RFC 8865 hold. aiortc knows neither attribute, so they are read from the text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from dispatch.offers import OfferError
from streams.t140_typing import CHARACTERS_PER_S

PROTOCOL = "t140"
TAKEN_PER_S = 300
"""Characters a second that we say we take (``cps``): who pastes need not wait ten times as long."""

LONGEST_LABEL = 100
_MOST_PER_S = 10_000
_MAP = re.compile(r"^a=dcmap:(\d{1,5}) +([^\r\n]*)", re.MULTILINE)
_PARAMETER = re.compile(r'([a-z-]+)=("[^"]*"|[^;\s]*)')
_ATTRIBUTE = r"^a=dcsa:{id} +{what}"
_RATE = r"fmtp:t140[^\r\n]*\bcps=(\d{1,6})"
_LANGUAGE = r"hlang-recv:([A-Za-z0-9-]{1,20})"
_DIRECTION = r"(sendrecv|sendonly|recvonly|inactive)\b"

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
_OPPOSITE: dict[Direction, Direction] = {
    "sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ChannelOffer:
    """A T.140 data channel as it is offered.

    Attributes:
        stream: Its SCTP stream; None where the channel is opened in band.
        label: Its name.
        characters_per_s: What the other side takes.
        language: That the other side wants to read; empty where it does not say.
        direction: What the other side wants to do.
    """

    stream: int | None = None
    label: str = ""
    characters_per_s: float = CHARACTERS_PER_S
    language: str = ""
    direction: Direction = "sendrecv"


def read_channel(sdp: str) -> ChannelOffer:
    """Return what an offer says of its T.140 channel.

    Raises:
        OfferError: It maps channels of which none is T.140, or one that loses or reorders text.
    """
    maps = [(int(found[1]), _parameters(found[2])) for found in _MAP.finditer(sdp)]
    if not maps:
        return ChannelOffer()
    ours = [(stream, fields) for stream, fields in maps if fields.get("subprotocol") == PROTOCOL]
    if not ours:
        raise OfferError(406, f'no data channel of subprotocol "{PROTOCOL}" is offered')
    stream, fields = ours[0]
    if stream > 65534:
        raise OfferError(400, f"a data channel has no stream {stream}")
    if fields.get("ordered") == "false" or {"max-retr", "max-time"} & set(fields):
        raise OfferError(406, "text wants an ordered and reliable channel (RFC 8865, section 4.1)")
    rate = _attribute(sdp, stream, _RATE)
    per_s = float(rate) if rate is not None else CHARACTERS_PER_S
    direction = cast(Direction, _attribute(sdp, stream, _DIRECTION) or "sendrecv")
    return ChannelOffer(
        stream=stream,
        label=fields.get("label", "")[:LONGEST_LABEL],
        characters_per_s=min(max(per_s, 1.0), _MOST_PER_S),
        language=_attribute(sdp, stream, _LANGUAGE) or "",
        direction=direction,
    )


def with_channel(answer: str, offer: ChannelOffer) -> str:
    """Return an answer that also says what we do with the channel, where it was mapped."""
    if offer.stream is None:
        return answer
    label = f';label="{offer.label}"' if offer.label else ""
    lines = [
        f'a=dcmap:{offer.stream} subprotocol="{PROTOCOL}"{label}',
        f"a=dcsa:{offer.stream} fmtp:{PROTOCOL} cps={TAKEN_PER_S}",
    ]
    if offer.direction != "sendrecv":
        lines.append(f"a=dcsa:{offer.stream} {_OPPOSITE[offer.direction]}")
    return answer.rstrip("\r\n") + "\r\n" + "".join(f"{line}\r\n" for line in lines)


def _parameters(text: str) -> dict[str, str]:
    return {name: value.strip('"') for name, value in _PARAMETER.findall(text)}


def _attribute(sdp: str, stream: int, what: str) -> str | None:
    found = re.search(_ATTRIBUTE.format(id=stream, what=what), sdp, re.MULTILINE)
    return found[1] if found else None
