"""The end of the journal as a task follows it: from memory while it has all, else from disk."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection
from typing import Final

from streams.chain import Stored
from streams.journal import Journal

PAGE: Final = 200
"""Facts that are given at once."""

KEPT: Final = 2000
"""Stored facts that wait in memory; beyond, the journal is read again."""


class JournalTail:
    """Gives the facts after a position, in the order of the journal, each until it is passed.

    Attributes:
        position: Up to where its owner is done; set by the owner.
        wake: Set when there may be more.
        has_gap: Whether memory lacks some: what was stored before this life, or too much at once.
    """

    def __init__(
        self, journal: Journal, position: int, kinds: Collection[str] | None = None
    ) -> None:
        """Prepare.

        Args:
            journal: Where facts are read that memory does not hold.
            position: Up to where all was done in an earlier life.
            kinds: Only these; None for all.
        """
        self.position = position
        self.wake = asyncio.Event()
        self.has_gap = True
        self._journal = journal
        self._kinds = frozenset(kinds) if kinds is not None else None
        self._fresh: deque[Stored] = deque()

    @property
    def has_more(self) -> bool:
        """Whether ``next`` may give something."""
        return self.has_gap or bool(self._fresh)

    def take(self, fact: Stored) -> None:
        """Take a stored fact, in the order of the journal."""
        if self._kinds is not None and fact.envelope.kind not in self._kinds:
            return
        if len(self._fresh) >= KEPT:
            self.read_again()
        if not self.has_gap:
            self._fresh.append(fact)
        self.wake.set()

    def read_again(self) -> None:
        """Have the journal read anew after ``position``: what was given was not done."""
        self._fresh.clear()
        self.has_gap = True

    async def next(self) -> list[Stored]:
        """Return the facts after ``position``, at most a page; empty where there is none now.

        Raises:
            StorageError: The journal cannot be read.
        """
        if self.has_gap:
            self.has_gap = False  # what is stored from here on is kept in memory again
            page = await self._journal.facts(kinds=self._kinds, after=self.position, limit=PAGE)
            if len(page) == PAGE:
                self.read_again()
            return page
        while self._fresh and self._fresh[0].position <= self.position:
            self._fresh.popleft()
        return [self._fresh.popleft() for _ in range(min(PAGE, len(self._fresh)))]


async def facts_between(journal: Journal, case: str, after: int, until: int) -> list[Stored]:
    """Return the facts of a case with numbers from ``after`` (not included) to ``until``.

    Raises:
        StorageError: The journal cannot be read.
    """
    found: list[Stored] = []
    position = 0
    while page := await journal.facts(case=case, after=position, limit=PAGE):
        position = page[-1].position
        found += [fact for fact in page if after < (fact.case_sequence or 0) <= until]
        if (page[-1].case_sequence or 0) >= until:
            break
    return found
