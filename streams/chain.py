"""The chain of a case's facts: what a stored fact is, and how each is tied to the one before.

``hash(n) = SHA-256(hash(n-1) ‖ n ‖ corrected_ns ‖ received_ns ‖ SHA-256(fact))``
with 8-byte big-endian integers and 32 zero bytes for ``hash(0)``. The hub assigns ``n``; a
gateway keeps the same numbers and hashes, and checks them, so both sides sign the same head.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from streams.errors import StorageError
from streams.inbox import Line
from streams.messages import Envelope

GENESIS = bytes(32)
"""The chain's value before the first fact of a case."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A fact to be stored.

    Attributes:
        data: The encoded envelope, byte for byte.
        received_ns: When it came here.
        corrected_ns: When it was made, by the hub's clock.
        line: The numbered line on which it came here; None for this party's own facts.
        sequence: Its number on that line.
        case_sequence: Its number in the case, where another party already gave it one.
        hash: The chain's value after it, where another party already computed it.
        stored_ns: When it is stored here, by the hub's clock, where ``received_ns`` is another
            party's word; not part of the chain.
    """

    data: bytes
    received_ns: int
    corrected_ns: int
    line: Line | None = None
    sequence: int = 0
    case_sequence: int | None = None
    hash: bytes | None = None
    stored_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A fact as it stands in the journal.

    Attributes:
        position: Its place in this journal, rising over all cases.
        envelope: The decoded envelope.
        data: The encoded envelope.
        case_sequence: Its place in its case, from 1; None for facts without a case.
        corrected_ns: When it was made, by the hub's clock.
        received_ns: When the hub stored it.
        hash: The chain's value after it; None for facts without a case.
        stored_ns: When it was stored here, where that is not the hub; None at the hub.
        time: Whether ``corrected_ns`` is what the journal has, a later estimate, or only the
            source's own clock (see ``streams.source_clocks``).
    """

    position: int
    envelope: Envelope
    data: bytes
    case_sequence: int | None
    corrected_ns: int
    received_ns: int
    hash: bytes | None
    stored_ns: int | None = None
    time: Literal["known", "estimated", "unknown"] = "known"


@dataclass(frozen=True, slots=True)
class Refused:
    """A message that was not taken, kept for whoever looks into it."""

    received_ns: int
    topic: str
    reason: str
    text: str
    data: bytes
    line: Line | None = None
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Gone:
    """A source's word that it holds nothing of a line below a number any more.

    What is not here of that was acknowledged once and cannot come again: it is taken as gone.
    """

    line: Line
    below: int
    at_ns: int


def link(
    previous: bytes, case_sequence: int, corrected_ns: int, received_ns: int, data: bytes
) -> bytes:
    """Return the chain's value after a fact, 32 bytes."""
    digest = hashlib.sha256(data).digest()
    return link_digest(previous, case_sequence, corrected_ns, received_ns, digest)


def link_digest(
    previous: bytes, case_sequence: int, corrected_ns: int, received_ns: int, digest: bytes
) -> bytes:
    """Return the chain's value after a fact of which only the SHA-256 is kept, 32 bytes."""
    parts = (case_sequence, corrected_ns, received_ns)
    numbers = b"".join(number.to_bytes(8, "big") for number in parts)
    return hashlib.sha256(previous + numbers + digest).digest()


def verify(facts: Iterator[Stored]) -> bytes:
    """Check the chain of one case, given in the order of ``case_sequence``; return its head.

    Raises:
        StorageError: A fact is missing, changed or out of place; the text names it.
    """
    previous = GENESIS
    for number, fact in enumerate(facts, start=1):
        if fact.case_sequence != number:
            raise StorageError(f"fact {number} of the case is missing")
        expected = link(previous, number, fact.corrected_ns, fact.received_ns, fact.data)
        if fact.hash != expected:
            raise StorageError(f"fact {number} of the case ({fact.envelope.id}) was changed")
        previous = expected
    return previous
