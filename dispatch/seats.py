"""The seats: whose page is open, and what becomes of the calls of one that is gone."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from dispatch.call_desk import CallDesk
from dispatch.case_sharing import region_of
from dispatch.cases import CaseBook
from streams.errors import StorageError

log = structlog.get_logger(__name__)


class SeatWatch:
    """Knows which seats are there, and frees the calls of those that are not.

    Attributes:
        there: Seats with an open page, sorted.
    """

    def __init__(self, calls: CallDesk, book: CaseBook, grace_s: float) -> None:
        """Prepare.

        Args:
            calls: Stores that a seat was lost.
            book: Whose call is whose.
            grace_s: A page that is loaded anew, or whose link is cut, is back within this.
        """
        self.there: list[str] = []
        self._calls = calls
        self._book = book
        self._grace_ns = round(grace_s * 1e9)
        self._missed: dict[str, int] = {}

    def are(self, seats: Sequence[str]) -> bool:
        """Take which seats are there; return whether that is new."""
        changed = list(seats) != self.there
        self.there = list(seats)
        return changed

    async def free_lost(self, now_ns: int) -> None:
        """Free the calls of seats that have been away too long.

        A call whose seat was never seen in this life of the hub counts from when that is noticed.

        Args:
            now_ns: A monotonic clock.
        """
        bound = {
            case.call.seat
            for case in self._book.recent()
            if case.call is not None
            and case.call.seat
            and case.call.is_live
            and not region_of(case.call.seat)  # a neighbour's seat is its own hub's matter
        }
        missing = bound - set(self.there)
        self._missed = {seat: self._missed.get(seat, now_ns) for seat in missing}
        for seat, since_ns in list(self._missed.items()):
            if now_ns - since_ns >= self._grace_ns:
                try:
                    await self._calls.seat_lost(seat)
                except StorageError as error:
                    log.error("calls of a seat not freed", seat=seat, error=str(error))  # noqa: TRY400 -- the next tick tries again
