"""What the relay accepts in a session description, and why it refuses the rest.

RFC 9725, section 4.4: one bundle, at most one audio and one video track; whatever cannot be
served as a whole is refused with 406, so that there are no half-working sessions.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from aiortc import RTCRtpCodecCapability, RTCRtpSender
from aiortc.sdp import MediaDescription, SessionDescription

from dispatch.forwarding import Codec

Role = Literal["publish", "view"]

MEDIA_CODECS = {"video": ("VP8", "H264"), "audio": ("opus",)}
"""What is forwarded. Retransmission streams (RTX) are not offered: repairs go in place."""

_SIMULCAST = re.compile(r"^a=simulcast:.*\bsend\s+(\S+)", re.MULTILINE)
_SENDS = ("sendonly", "sendrecv")
_RECEIVES = ("recvonly", "sendrecv")


class OfferError(Exception):
    """An offer that the relay refuses.

    Attributes:
        status: HTTP status: 400 for what is no offer, 406 for what cannot be served.
    """

    def __init__(self, status: Literal[400, 406], text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True)
class Section:
    """One audio or video section of an offer.

    Attributes:
        kind: ``audio`` or ``video``.
        codecs: What both sides know, in the offer's order.
    """

    kind: str
    codecs: tuple[RTCRtpCodecCapability, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A checked offer.

    Attributes:
        sdp: As it came.
        sections: Its audio and video.
        data: Whether it has a data-channel section.
    """

    sdp: str
    sections: tuple[Section, ...]
    data: bool


def read_offer(text: str, role: Role) -> Offer:
    """Check an offer.

    Args:
        text: The session description (RFC 8866).
        role: ``publish`` for WHIP, ``view`` for WHEP.

    Raises:
        OfferError: It is malformed (400) or cannot be served (406); the text says why.
    """
    if not text.startswith("v=0"):
        raise OfferError(400, "the body is no session description: it must start with v=0")
    try:
        description = SessionDescription.parse(text)
    except Exception as error:
        # aiortc's parser asserts, indexes and converts; any of it means malformed.
        raise OfferError(400, f"malformed session description: {error or 'no detail'}") from error
    media = description.media
    if not media:
        raise OfferError(400, "the offer has no media section")
    for section in media:
        if not section.ice or not section.ice.usernameFragment or not section.ice.password:
            raise OfferError(400, "the offer lacks ice-ufrag or ice-pwd")
        if not section.dtls or not section.dtls.fingerprints or section.dtls.role is None:
            raise OfferError(400, "the offer lacks a DTLS fingerprint or setup role")
    _check_shape(description)
    _check_simulcast(text)
    sections = tuple(_read_section(m, role) for m in media if m.kind != "application")
    return Offer(text, sections, any(m.kind == "application" for m in media))


def _check_shape(description: SessionDescription) -> None:
    kinds = [section.kind for section in description.media]
    unknown = set(kinds) - {"audio", "video", "application"}
    if unknown:
        raise OfferError(406, f"media of kind {', '.join(sorted(unknown))} is not relayed")
    for kind in ("audio", "video", "application"):
        if kinds.count(kind) > 1:
            raise OfferError(406, f"more than one {kind} section: offer one (RFC 9725, 4.4)")
    bundles = [group.items for group in description.group if group.semantic == "BUNDLE"]
    mids = [section.rtp.muxId for section in description.media]
    if (bundles or len(mids) > 1) and (len(bundles) != 1 or set(bundles[0]) != set(mids)):
        raise OfferError(406, "all media sections must be in one BUNDLE group (RFC 9725, 4.4)")


def _check_simulcast(text: str) -> None:
    # Taken as it is, a browser would send only the first encoding, often the smallest.
    for match in _SIMULCAST.finditer(text):
        if len(re.split(r"[;,]", match.group(1))) > 1:
            raise OfferError(406, "simulcast is not relayed: offer one encoding, full size")


def _read_section(media: MediaDescription, role: Role) -> Section:
    wanted = _SENDS if role == "publish" else _RECEIVES
    if (media.direction or "sendrecv") not in wanted:
        verb = "send" if role == "publish" else "receive"
        raise OfferError(406, f"the {media.kind} section does not {verb}: {media.direction}")
    if not media.rtcp_mux:
        raise OfferError(406, f"the {media.kind} section lacks rtcp-mux")
    codecs = _common_codecs(media)
    if not codecs:
        names = " or ".join(MEDIA_CODECS[media.kind])
        raise OfferError(406, f"no {media.kind} codec in common: offer {names}")
    return Section(media.kind, codecs)


def _common_codecs(media: MediaDescription) -> tuple[RTCRtpCodecCapability, ...]:
    """Return what aiortc knows of the codecs relayed, in the order of the offer."""
    offered = [codec.name.lower() for codec in media.rtp.codecs]
    capabilities = RTCRtpSender.getCapabilities(media.kind).codecs
    names = [name.lower() for name in MEDIA_CODECS[media.kind]]
    known = [c for c in capabilities if c.name.lower() in names and c.name.lower() in offered]
    return tuple(sorted(known, key=lambda codec: offered.index(codec.name.lower())))


def describe_codec(codec: object) -> Codec:
    """Return the relay's view of an aiortc codec's parameters."""
    name = codec.name  # type: ignore[attr-defined]
    parameters = codec.parameters  # type: ignore[attr-defined]
    variant = str(parameters.get("profile-level-id", "")).lower()
    rate = codec.clockRate  # type: ignore[attr-defined]
    return Codec(name=name, variant=variant, clock_rate=rate)
