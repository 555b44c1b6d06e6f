"""Facts that the disk did not take, in memory until it does: in order, with their true times.

Only what nobody waits for is held. What the crew asks for is refused in words instead: it must
not be told as made while a power cut can still undo it.
"""

from __future__ import annotations

import itertools
from collections import Counter, deque
from collections.abc import Callable, Sequence

import structlog
from prometheus_client import Counter as Metric
from prometheus_client import Gauge

from streams.errors import ForerunError, StorageError
from streams.outbox import Draft

MOST = 20_000
"""Facts held; some 20 MB. A vehicle with five sensors makes them in three hours."""

BATCH = 500
"""Facts written in one transaction once there is room."""

HELD = Gauge("forerun_facts_held", "Facts in memory only, because the disk takes none")
LOST = Metric("forerun_facts_lost_total", "Facts given up because the disk took none for long")

log = structlog.get_logger(__name__)


class HeldFacts:
    """What waits for room on the disk; the oldest are given up when there are too many.

    Attributes:
        lost: Facts given up since the start.
        error: What the disk said last; empty while nothing waits.
    """

    def __init__(self, write: Callable[[Sequence[Draft]], object], most: int = MOST) -> None:
        """Begin with nothing held.

        Args:
            write: Puts drafts on the disk, all or none; raises ``StorageError``.
            most: Facts that are held at the most.
        """
        self.lost = 0
        self.error = ""
        self._write = write
        self._drafts: deque[Draft] = deque(maxlen=most)

    def __len__(self) -> int:
        """How many are held."""
        return len(self._drafts)

    def hold(self, draft: Draft, error: StorageError) -> None:
        """Hold a fact that was not written; its draft says when it was made."""
        if len(self._drafts) == self._drafts.maxlen:
            self.lost += 1
            LOST.inc()
        self._drafts.append(draft)
        self.error = str(error)
        HELD.set(len(self._drafts))

    def release(self) -> None:
        """Write what is held, oldest first.

        Raises:
            StorageError: The disk does not take all of it yet; what it took is not held any more.
        """
        while self._drafts:
            # After a failure one fact tries whether there is room: cheap while there is none.
            batch = list(itertools.islice(self._drafts, 1 if self.error else BATCH))
            try:
                self._write(batch)
            except StorageError as error:
                self.error = str(error)
                raise
            except ForerunError as error:
                if len(batch) > 1:
                    self._release_singly(len(batch))
                    continue
                log.exception("fact not made", kind=batch[0].kind, error=str(error))
            self.error = ""
            self._forget(len(batch))

    def _release_singly(self, number: int) -> None:
        """Write one by one what together holds one that can never be written."""
        for _ in range(number):
            draft = self._drafts[0]
            try:
                self._write([draft])
            except StorageError:
                raise
            except ForerunError as error:
                log.exception("fact not made", kind=draft.kind, error=str(error))
            self._forget(1)

    def _forget(self, number: int) -> None:
        for _ in range(number):
            self._drafts.popleft()
        HELD.set(len(self._drafts))

    def kinds(self) -> Counter[str]:
        """Return how many of each kind are held."""
        return Counter(draft.kind for draft in self._drafts)
