"""Is the copy of a case's journal here what the hub wrote? Pure.

A gateway keeps the hub's numbers and hashes (``streams.journal``). Facts come in any order, so
a link is checked as soon as the fact before it is here: the copy is proven up to the first gap,
and further whenever a gap is filled. What does not fit is never taken back silently: the case
is marked, and stays so.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from streams.chain import GENESIS, link_digest


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
        proven: Every fact up to this place is here and fits.
        broken: Places whose fact does not fit, lowest first; empty in health.
    """

    proven: int = 0
    broken: list[int] = field(default_factory=list)
    _links: dict[int, Link] = field(default_factory=dict)
    _head: bytes = GENESIS

    @property
    def head(self) -> bytes:
        """The chain's value at ``proven``, 32 bytes: what both sides can sign."""
        return self._head

    @property
    def last(self) -> int:
        """The highest place of which the fact is here."""
        return max(self._links, default=0)

    @property
    def missing(self) -> int:
        """How many facts below ``last`` have not come yet."""
        return self.last - len(self._links)

    def conflicts(self, link: Link) -> bool:
        """Whether another fact, or other bytes, already stand at this place."""
        known = self._links.get(link.case_sequence)
        return known is not None and known != link

    def add(self, link: Link) -> bool:
        """Take a link; return False when it, or one that it completes, does not fit."""
        if self.conflicts(link):
            self._mark(link.case_sequence)
            return False
        self._links.setdefault(link.case_sequence, link)
        return self._advance()

    def _advance(self) -> bool:
        fits = True
        while (following := self._links.get(self.proven + 1)) is not None:
            if self.broken and self.broken[0] <= following.case_sequence:
                break
            expected = link_digest(
                self._head,
                following.case_sequence,
                following.corrected_ns,
                following.received_ns,
                following.digest,
            )
            if expected != following.hash:
                self._mark(following.case_sequence)
                fits = False
                break
            self.proven, self._head = following.case_sequence, following.hash
        return fits

    def _mark(self, case_sequence: int) -> None:
        if case_sequence not in self.broken:
            self.broken = sorted([*self.broken, case_sequence])
