"""Which waiting fact goes next, and when silence means *again*. Pure: the time is an argument.

Lanes are served in the order of the table of topics: as long as an urgent fact may be sent,
nothing else is. Within a lane facts go in their order; the record lane of a vehicle may go by
cases, the newest first (``streams/DECISIONS.md``, 15).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

from streams.messages import Lane, Receipt
from streams.outbox import Entry, Outbox
from streams.topics import LANES

SECOND_NS = 1_000_000_000

WINDOW: dict[Lane, int] = {"urgent": 64, "vitals": 64, "facts": 64, "record": 16}
"""Facts per lane that may be on the way without a receipt."""

RESEND_NS = 2 * SECOND_NS
"""Silence after which facts on the way are sent again; doubled each time, up to the limit. A
line on which receipts are known to take longer is given twice that time."""

ASKED_AT_ONCE = 16
"""Facts that are sent at once of those that the other side asked for again."""

RESEND_LIMIT_NS = 30 * SECOND_NS


class SendPlan:
    """Decides what to send.

    Attributes:
        resent: Facts sent again so far.
        windows: Facts per lane that may be on the way; less than ``WINDOW`` on a narrow link.
        largest_record: Bytes of a fact of the record lane; a larger one, and what is behind it,
            waits. None sets no limit.
    """

    def __init__(self, *, newest_case_first: bool = False) -> None:
        """Begin with nothing on the way.

        Args:
            newest_case_first: Whether the record lane goes by cases; the other side's receipts
                then say what they have beyond a gap.
        """
        self.resent = 0
        self.windows = dict(WINDOW)
        self.largest_record: int | None = None
        self._lanes: dict[Lane, _LanePlan] = {
            lane: _ByCase(lane) if newest_case_first and lane == "record" else _InOrder(lane)
            for lane in LANES
        }

    def restart(self) -> None:
        """Take everything without a receipt as lost: the path is a new one."""
        for lane in self._lanes.values():
            self.resent += lane.start_again()
            lane.patience_ns = lane.usual_ns

    def take_receipt(self, receipt: Receipt, now_ns: int) -> None:
        """Note what the other side has."""
        for name, stored in receipt.stored.items():
            lane = self._lanes.get(name)
            if lane is not None:
                ahead = None if receipt.ahead is None else receipt.ahead.get(name, [])
                lane.take_receipt(stored, ahead, now_ns)
        for name, ranges in receipt.asked.items():
            if name in self._lanes:
                self._lanes[name].ask_again(ranges)

    def next(
        self,
        outbox: Outbox,
        destination: str,
        now_ns: int,
        *,
        held: Collection[Lane] = (),
    ) -> list[Entry]:
        """Return what to send now: from one lane, at most a few, so that urgent facts cut in.

        Args:
            outbox: Where facts wait.
            destination: For whom.
            now_ns: Monotonic time.
            held: Lanes of which nothing is begun now.
        """
        for name, lane in self._lanes.items():
            self.resent += lane.lose_patience(now_ns)  # also while held: it says when to look
            if name in held:
                continue
            again = lane.asked_for(outbox, destination)
            if again:
                self.resent += len(again)
                return again
            room = self.windows[name] - lane.on_the_way
            if room <= 0:
                continue
            entries = lane.waiting(outbox, destination, 1 if name == "record" else room)
            if name == "record" and self._is_too_large(entries):
                continue
            if entries:
                lane.begin(entries[-1].sequence, now_ns)
                return entries
        return []

    def _is_too_large(self, entries: Sequence[Entry]) -> bool:
        most = self.largest_record
        return most is not None and any(len(entry.data) > most for entry in entries)

    def sent(self, entry: Entry) -> None:
        """Note that an entry left."""
        self._lanes[entry.lane].note_sent(entry.sequence)

    def wake_after_ns(self, now_ns: int) -> int:
        """Return after how long ``next`` may have something even if nothing happens."""
        due = [
            lane.quiet_since_ns + lane.patience_ns - now_ns
            for lane in self._lanes.values()
            if lane.on_the_way
        ]
        return max(0, min(due, default=RESEND_LIMIT_NS))


class _LanePlan(ABC):
    """One lane: what is on the way, since when nothing was heard, how long that is borne."""

    def __init__(self, lane: Lane) -> None:
        self.quiet_since_ns = 0
        self.patience_ns = RESEND_NS
        self.usual_ns = RESEND_NS
        self._lane = lane
        self._answer_ns: int | None = None
        self._timed: tuple[int, int] | None = None
        """A sequence that was sent once only, and when: its receipt tells how long one takes."""
        self._repeated: set[int] = set()
        """Sequences without a receipt that were sent before: theirs tells nothing."""
        self._asked: list[tuple[int, int]] = []

    def ask_again(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Note what the other side misses although it has something that came later."""
        self._asked = list(ranges)

    def asked_for(self, outbox: Outbox, destination: str) -> list[Entry]:
        """Return some of what was asked for again; each is sent once for each time it is asked."""
        while self._asked:
            first, last = self._asked.pop(0)
            waiting = outbox.waiting(destination, self._lane, first - 1, ASKED_AT_ONCE)
            found = [entry for entry in waiting if entry.sequence <= last]
            if found:
                self._repeated.update(entry.sequence for entry in found)
                if found[-1].sequence < last:
                    self._asked.insert(0, (found[-1].sequence + 1, last))
                return found
        return []

    def begin(self, last: int, now_ns: int) -> None:
        """Note that entries up to ``last`` are about to leave."""
        if not self.on_the_way:
            self.quiet_since_ns = now_ns
        if self._timed is None and last not in self._repeated:
            self._timed = (last, now_ns)

    def lose_patience(self, now_ns: int) -> int:
        """Take as lost what is on the way if it is silent for too long; return how much."""
        if not self.on_the_way or now_ns - self.quiet_since_ns < self.patience_ns:
            return 0
        self.quiet_since_ns = now_ns
        self.patience_ns = min(2 * self.patience_ns, RESEND_LIMIT_NS)
        return self.start_again()

    def start_again(self) -> int:
        """Take as lost what is on the way; return how much that was."""
        self._timed = None
        lost = self._forget()
        self._repeated.update(lost)
        return len(lost)

    def take_receipt(
        self, stored: int, ahead: Sequence[tuple[int, int]] | None, now_ns: int
    ) -> None:
        """Note what the other side has."""
        self._repeated = {one for one in self._repeated if not self._has(one, stored, ahead)}
        if not self._free(stored, ahead):
            return
        self.quiet_since_ns = now_ns
        if self._timed is not None and self._has(self._timed[0], stored, ahead):
            took_ns = now_ns - self._timed[1]
            known_ns = took_ns if self._answer_ns is None else self._answer_ns
            self._answer_ns = known_ns + (took_ns - known_ns) // 4
            self.usual_ns = max(RESEND_NS, min(2 * self._answer_ns, RESEND_LIMIT_NS))
            self._timed = None
            self.patience_ns = self.usual_ns
        elif self._timed is not None:
            self.patience_ns = self.usual_ns
        # What was sent twice says nothing about the time that a receipt takes: until something
        # was sent once only, the patience that was enough is kept (Karn's rule, RFC 6298, 3).

    @staticmethod
    def _has(sequence: int, stored: int, ahead: Sequence[tuple[int, int]] | None) -> bool:
        return sequence <= stored or any(first <= sequence <= last for first, last in ahead or ())

    @property
    @abstractmethod
    def on_the_way(self) -> int:
        """Facts on the way."""

    @abstractmethod
    def waiting(self, outbox: Outbox, destination: str, limit: int) -> list[Entry]:
        """Return what goes next, at most ``limit``."""

    @abstractmethod
    def note_sent(self, sequence: int) -> None:
        """Note that one left."""

    @abstractmethod
    def _free(self, stored: int, ahead: Sequence[tuple[int, int]] | None) -> bool:
        """Take off what has arrived; return whether that is news."""

    @abstractmethod
    def _forget(self) -> Collection[int]:
        """Take nothing as being on the way; return what was."""


class _InOrder(_LanePlan):
    """Facts in the order of their numbers."""

    _stored = 0
    _sent = 0

    @property
    def on_the_way(self) -> int:
        return self._sent - self._stored

    def waiting(self, outbox: Outbox, destination: str, limit: int) -> list[Entry]:
        return outbox.waiting(destination, self._lane, self._sent, limit)

    def note_sent(self, sequence: int) -> None:
        if self._stored == 0 and sequence > 1 and self._sent == 0:
            self._stored = sequence - 1  # freed in an earlier life of this process
        self._sent = max(self._sent, sequence)

    def _free(self, stored: int, ahead: Sequence[tuple[int, int]] | None) -> bool:
        del ahead  # what is there beyond a gap is sent again with the gap; it does no harm
        if stored <= self._stored:
            return False
        self._stored, self._sent = stored, max(stored, self._sent)
        return True

    def _forget(self) -> Collection[int]:
        lost = range(self._stored + 1, self._sent + 1)
        self._sent = self._stored
        return lost


class _ByCase(_LanePlan):
    """Facts of the case of the newest one first, within a case in the order of their numbers.

    Where the other side's receipts do not say what it has beyond a gap (``ahead``), nothing but
    the order of the numbers ever frees anything: then that is the order.
    """

    def __init__(self, lane: Lane) -> None:
        super().__init__(lane)
        self._on_the_way: set[int] = set()
        self._stored = 0
        self._plain = False

    @property
    def on_the_way(self) -> int:
        return len(self._on_the_way)

    def waiting(self, outbox: Outbox, destination: str, limit: int) -> list[Entry]:
        if self._plain:
            after = max(self._on_the_way, default=self._stored)
            return outbox.waiting(destination, self._lane, after, limit)
        return outbox.waiting_by_case(destination, self._lane, self._on_the_way, limit)

    def note_sent(self, sequence: int) -> None:
        self._on_the_way.add(sequence)

    def _free(self, stored: int, ahead: Sequence[tuple[int, int]] | None) -> bool:
        if (ahead is None) != self._plain:
            self._plain = ahead is None
            self._on_the_way.clear()
        self._stored = max(self._stored, stored)
        arrived = {one for one in self._on_the_way if self._has(one, stored, ahead)}
        self._on_the_way -= arrived
        return bool(arrived)

    def _forget(self) -> Collection[int]:
        lost, self._on_the_way = self._on_the_way, set()
        return lost
