"""Is the copy of a case's journal here what the hub wrote? Pure.

A gateway keeps the hub's numbers and hashes (``streams.journal``). Facts come in any order, so
a link is checked as soon as the fact before it is here: the copy is proven up to the first gap,
and further whenever a gap is filled. What does not fit is never taken back silently: the case
is marked, and stays so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from streams.chain import GENESIS, link_digest

HASH_BYTES = 32


@dataclass(frozen=True, slots=True)
class Link:
    """What the hash of one fact rests on.

    Attributes:
        case_sequence: Its place in the case, from 1.
        corrected_ns: When it was made, by the hub's clock.
        received_ns: When the hub stored it.
        digest: SHA-256 of the encoded fact, 32 bytes.
        hash: The chain's value after it, as the hub told.
    """

    case_sequence: int
    corrected_ns: int
    received_ns: int
    digest: bytes
    hash: bytes

    @classmethod
    def of(
        cls, case_sequence: int, corrected_ns: int, received_ns: int, data: bytes, claimed: bytes
    ) -> Link:
        """Return the link of an encoded fact."""
        digest = hashlib.sha256(data).digest()
        return cls(case_sequence, corrected_ns, received_ns, digest, claimed)


@dataclass(slots=True)
class ReplicaChain:
    """The chain of one case, as far as it is here.

    Attributes:
        broken: Places whose fact does not fit, lowest first; empty in health.
    """

    broken: list[int] = field(default_factory=list)
    _hashes: bytearray = field(default_factory=bytearray)  # of what is proven, 32 bytes each
    _ahead: dict[int, Link] = field(default_factory=dict)

    @classmethod
    def resumed(cls, hashes: Mapping[int, bytes], broken: int = 0) -> ReplicaChain:
        """Return the chain of a copy that was checked before it was stored.

        What stands without a gap from the first fact on was proven then, or was found broken;
        what lies behind a gap is yet to be added.

        Args:
            hashes: The stored values by place.
            broken: The first place that was found broken; 0 for none.
        """
        chain = cls(broken=[broken] if broken else [])
        while (place := chain.proven + 1) in hashes and place != broken:
            chain._hashes += hashes[place]
        return chain

    @property
    def proven(self) -> int:
        """Every fact up to this place is here and fits."""
        return len(self._hashes) // HASH_BYTES

    @property
    def head(self) -> bytes:
        """The chain's value at ``proven``, 32 bytes: what both sides can sign."""
        return self._hash(self.proven)

    @property
    def last(self) -> int:
        """The highest place of which the fact is here."""
        return max(self._ahead, default=self.proven)

    @property
    def missing(self) -> int:
        """How many facts below ``last`` have not come yet."""
        return self.last - self.proven - len(self._ahead)

    def conflicts(self, link: Link) -> bool:
        """Whether another fact, or other bytes, already stand at this place."""
        if link.case_sequence <= self.proven:
            stands = self._hash(link.case_sequence)
            return not stands == link.hash == self._expected(link)
        known = self._ahead.get(link.case_sequence)
        return known is not None and known != link

    def add(self, link: Link) -> bool:
        """Take a link; return False when it, or one that it completes, does not fit."""
        if self.conflicts(link):
            self._mark(link.case_sequence)
            return False
        if link.case_sequence > self.proven:
            self._ahead.setdefault(link.case_sequence, link)
        return self._advance()

    def _hash(self, place: int) -> bytes:
        if place == 0:
            return GENESIS
        return bytes(self._hashes[(place - 1) * HASH_BYTES : place * HASH_BYTES])

    def _expected(self, link: Link) -> bytes:
        """Return the hash that a link must have after the proven one before it."""
        return link_digest(
            self._hash(link.case_sequence - 1), link.case_sequence, link.corrected_ns,
            link.received_ns, link.digest,
        )  # fmt: skip

    def _advance(self) -> bool:
        fits = True
        while (following := self._ahead.get(self.proven + 1)) is not None:
            if self.broken and self.broken[0] <= following.case_sequence:
                break
            if self._expected(following) != following.hash:
                self._mark(following.case_sequence)
                fits = False
                break
            self._hashes += following.hash
            del self._ahead[following.case_sequence]
        return fits

    def _mark(self, case_sequence: int) -> None:
        if case_sequence not in self.broken:
            self.broken = sorted([*self.broken, case_sequence])
