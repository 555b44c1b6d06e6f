"""A journal whose disk fails at the wrong moment."""

from __future__ import annotations

from collections.abc import Sequence

from streams.chain import Arrived, Refused, Stored
from streams.errors import StorageError
from streams.journal import Journal


class RefusingOnce(Journal):
    """Stores what it gets, and says once, after ``refuses`` was set, that it did not."""

    refuses = False

    async def append_all(self, arrived: Sequence[Arrived | Refused]) -> list[Stored | None]:
        """Store; then perhaps raise, as a disk that fails after the commit."""
        stored = await super().append_all(arrived)
        if self.refuses:
            self.refuses = False
            raise StorageError("the disk is gone")
        return stored
