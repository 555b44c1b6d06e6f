"""When a source says what it still holds, and when it waits for the word of the other side. Pure.

It says it on every new path; and when a receipt knows less than was freed, for then the receiver
has lost what it had stored and would wait for ever (``streams/DECISIONS.md``, 28). A vehicle
also waits on a new path until the hub has answered: a broker whose store was wiped takes facts,
acknowledges them and loses them until the hub has made its streams again, and what is sent right
after that would overtake them.
"""

from __future__ import annotations

from collections.abc import Mapping

from streams.messages import Lane, Receipt

SECOND_NS = 1_000_000_000

AGAIN_NS = SECOND_NS // 2
"""While an answer is waited for it is said so often."""

AT_MOST_EVERY_NS = SECOND_NS
"""Receipts that know less are answered no more often: some are only late."""

PATIENCE_NS = 15 * SECOND_NS
"""After so long without an answer facts are sent all the same: a broker that has its store keeps
them for a hub that is down, and the vehicle may be out of coverage when it is back."""


class Announcing:
    """Decides for one sender."""

    def __init__(self, *, waits: bool = False) -> None:
        """Begin before the first path.

        Args:
            waits: Whether facts wait on a new path until there is an answer.
        """
        self._waits = waits
        self._is_answered = not waits
        self._path_ns: int | None = None
        self._said_ns: int | None = None
        self._is_due = True

    def path_is_new(self, now_ns: int) -> None:
        """Note that the path is a new one."""
        self._is_answered = not self._waits
        self._path_ns = now_ns
        self._is_due = True
        self._said_ns = None

    def take_receipt(self, receipt: Receipt, held: Mapping[Lane, int]) -> None:
        """Note what the other side has.

        Args:
            receipt: Its receipt, which was taken by the outbox before.
            held: The lowest number that the outbox holds, per lane.
        """
        self._is_answered = True
        if any(receipt.stored.get(lane, 0) < low - 1 for lane, low in held.items()):
            self._is_due = True

    def holds_back(self, now_ns: int) -> bool:
        """Whether no fact is to be sent now."""
        if self._is_answered:
            return False
        return self._path_ns is None or now_ns - self._path_ns < PATIENCE_NS

    def is_due(self, now_ns: int) -> bool:
        """Whether it is to be said now."""
        if self._said_ns is None:
            return self._is_due
        pause_ns = now_ns - self._said_ns
        if self.holds_back(now_ns):
            return pause_ns >= AGAIN_NS
        return self._is_due and pause_ns >= AT_MOST_EVERY_NS

    def said(self, now_ns: int) -> None:
        """Note that it was said."""
        self._is_due, self._said_ns = False, now_ns

    def wake_after_ns(self, now_ns: int) -> int | None:
        """Return after how long there is something to say or to send; None for not by itself."""
        if self.holds_back(now_ns):
            return AGAIN_NS
        if self._is_due and self._said_ns is not None:
            return max(0, AT_MOST_EVERY_NS - (now_ns - self._said_ns))
        return None
