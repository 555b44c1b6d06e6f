"""What vehicle and hospital say to each other at the bay, where there may be no network but theirs.

The vehicle's agent speaks to the hospital's gateway over HTTPS, in MessagePack:

    POST /bay/open    Opening           -> Opened     the code from the board opens a session, once
    POST /bay/facts   Portion           -> Progress   facts, byte for byte, in pieces
    POST /bay/close   Closing           -> Progress   that was all; with the fact that says so
    GET  /bay/state                     -> Progress   where to go on after a cut or a crash

All but the first carry ``Authorization: Bearer SESSION``. The session outlives a crash of either.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec

from streams.messages import Body, Count, Identifier, Name, ShortText, Time

VERSION = 1
"""Of this protocol and of the QR code's content."""

MOST_FACTS = 200_000
"""In one hand-over: a day of ECG is 43,200."""

PORTION_FACTS = 500
PORTION_BYTES = 1024 * 1024
"""Of one piece: facts, and bytes of them. One fact may be larger, alone."""

Way = Literal["network", "qr"]


class BayHandover(Body, frozen=True, kw_only=True):
    """A vehicle handed its case over at a hospital's bay, past the hub.

    Attributes:
        hospital: Where the patient is.
        at_ns: When, by the source's wall clock.
        way: ``network``: the gateway said that it stores all of it. ``qr``: the crew was told so.
        facts: How many.
        digest: ``digest_after`` all of them, hex; empty for ``qr``.
        session: The session's name, as the board shows it; empty for ``qr``.
    """

    hospital: Name
    at_ns: Time
    way: Way
    facts: Count
    digest: ShortText = ""
    session: ShortText = ""


class CarriedFact(msgspec.Struct, frozen=True, array_like=True):
    """A fact as it is carried past the hub.

    Attributes:
        case_sequence: Its place in the case's journal where the vehicle knows it: what the hub
            told it before coverage went. 0 for the vehicle's own.
        corrected_ns: When it was made, by the hub's clock, where the hub said so; else 0.
        data: The encoded envelope, byte for byte.
    """

    case_sequence: Count
    corrected_ns: Time
    data: bytes


def digest_after(before: str, data: bytes) -> str:
    """Return the digest of a hand-over after one more fact: a chain of SHA-256, hex; "" begins."""
    return hashlib.sha256(bytes.fromhex(before) + hashlib.sha256(data).digest()).hexdigest()


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """The vehicle presents the code that stands on the board.

    Attributes:
        session: A secret that the vehicle made for this hand-over: whoever has it may go on with
            it. Made here, so that an answer that was lost can be asked for again.
        wall_ns: The vehicle's wall clock now: for facts that know no better time.
    """

    version: int
    code: ShortText
    session: Annotated[str, msgspec.Meta(min_length=32, max_length=100)]
    unit: Name
    label: ShortText
    region: Name
    case: Identifier
    drill: bool
    facts: Annotated[int, msgspec.Meta(ge=1, le=MOST_FACTS)]
    wall_ns: Time


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """Who this hospital is; ``name`` is that of the session, for people."""

    name: ShortText
    hospital: Name
    label: ShortText


class Portion(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the hand-over: facts from number ``first`` on, counted from 0.

    ``expected`` is how many there are by now: a run that goes on makes more meanwhile.
    """

    first: Count
    expected: Annotated[int, msgspec.Meta(ge=1, le=MOST_FACTS)]
    facts: Annotated[list[CarriedFact], msgspec.Meta(max_length=PORTION_FACTS)]


class Closing(msgspec.Struct, frozen=True, kw_only=True):
    """The vehicle has sent all; ``handover`` is the fact that says so, ``digest`` is over all."""

    digest: ShortText
    handover: bytes


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """What the hospital has.

    Attributes:
        stored: Facts from the first on that are on its disk.
        expected: All that were announced.
        digest: Over those stored.
        closed: Whether it has the last word too.
        refused: Of those stored, how many it could not take into its view, with the first reason.
    """

    stored: Count
    expected: Count
    digest: ShortText
    closed: bool
    refused: Count = 0
    reason: ShortText = ""
