"""What the vehicle makes: facts into the outbox first, then everywhere else; stream frames."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog

from onboard.held_facts import HeldFacts
from onboard.logbook import KINDS, Logbook
from onboard.situation import Fact
from streams.codec import decode, encode
from streams.errors import StorageError
from streams.messages import Envelope, Lane, Receipt
from streams.outbox import Draft, Outbox, Stamp
from streams.topics import LANES

HUB = "hub"
"""The outbox's one destination."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits for the hub's receipt.

    Attributes:
        waiting: Facts by lane.
        oldest_ns: Wall clock of the oldest; None when nothing waits.
    """

    waiting: dict[Lane, int]
    oldest_ns: int | None

    @property
    def total(self) -> int:
        """Facts in all lanes."""
        return sum(self.waiting.values())


class Outgoing:
    """The one place where this vehicle's facts are made.

    A fact is in the outbox, synced, before anybody hears of it. Facts of the run also go into
    the logbook; ``recover`` repeats that for what a crash cut off between the two.

    Attributes:
        drill: Whether everything made here belongs to an exercise.
        made: Facts made since the start.
        held: Facts that the disk did not take yet.
        freed: Set at each receipt of the hub; who waits for room clears it.
    """

    def __init__(self, outbox: Outbox, logbook: Logbook, *, drill: bool = False) -> None:
        """Take over the outbox and logbook; call ``recover`` before anything else.

        Args:
            outbox: Of this vehicle.
            logbook: Of this vehicle.
            drill: Whether everything made here belongs to an exercise.
        """
        self.drill = drill
        self._outbox = outbox
        self._logbook = logbook
        self._listeners: list[Callable[[Envelope], None]] = []
        self._unkept: list[Envelope] = []
        self._backlog = Backlog({}, None)
        self.made = 0
        self.held = HeldFacts(self._make)
        self.freed = asyncio.Event()

    def listen(self, listener: Callable[[Envelope], None]) -> None:
        """Have ``listener`` called for every fact once it is on the disk."""
        self._listeners.append(listener)

    def recover(self, at_hub_ns: int) -> None:
        """Put into the logbook what a crash left only in the outbox, and count what waits.

        Args:
            at_hub_ns: Time, taken as that of receipts that came just before the crash.

        Raises:
            StorageError: The disk fails.
        """
        freed: dict[Lane, int] = {}
        for lane in LANES:
            entries = self._outbox.waiting(HUB, lane, 0, 1)
            freed[lane] = entries[0].sequence - 1 if entries else 2**63 - 1
        for lane in ("urgent", "facts"):
            after = 0
            while entries := self._outbox.waiting(HUB, lane, after, 200):
                after = entries[-1].sequence
                for entry in entries:
                    if entry.kind in KINDS:
                        self._logbook.add_own(decode(entry.data))
        self._logbook.deliver(freed, at_hub_ns)

    def make(self, drafts: Sequence[Draft], mark: tuple[str, int] | None = None) -> list[Envelope]:
        """Make facts, all or none; they are on the disk when this returns.

        What was held goes before them: a source's facts keep their order.

        Args:
            drafts: What to make.
            mark: A number to keep with them (see ``Outbox.add_all``).

        Raises:
            StorageError: The disk is full or fails; none was made.
            OversizedError: A body is too large for its kind; none was made.
        """
        self.held.release()
        return self._make(drafts, mark)

    def make_or_hold(self, draft: Draft) -> None:
        """Make a fact that nobody waits for, now or as soon as the disk takes it.

        Raises:
            OversizedError: The body is too large for its kind.
        """
        stamped = replace(draft, made=draft.made or self.stamp())
        try:
            self.make([stamped])
        except StorageError as error:
            self.held.hold(stamped, error)

    def stamp(self) -> Stamp:
        """Return this moment on this vehicle's clocks."""
        return self._outbox.stamp()

    def _make(self, drafts: Sequence[Draft], mark: tuple[str, int] | None = None) -> list[Envelope]:
        marked = [(HUB, replace(draft, drill=self.drill)) for draft in drafts]
        made = self._outbox.add_all(marked, mark)
        self.made += len(made)
        self._unkept += [envelope for envelope in made if envelope.kind in KINDS]
        try:
            self._keep()
        except StorageError as error:
            # They are made, and on their way: not to be told as undone.
            log.exception("fact is not in the logbook yet", error=str(error))
        for envelope in made:
            for listener in self._listeners:
                listener(envelope)
        return made

    def _keep(self) -> None:
        """Put into the logbook what was made since, and what it could not take before."""
        while self._unkept:
            self._logbook.add_own(self._unkept[0])
            del self._unkept[0]

    def find(self, name: str) -> Fact | None:
        """Return the fact of the run that has this id, own or the hub's.

        Raises:
            StorageError: The disk fails.
        """
        for envelope in self._unkept:
            if envelope.id == name:
                return Fact(envelope, True, envelope.source_ns + (envelope.offset_ns or 0))
        return self._logbook.find(name)

    def frame(self, draft: Draft) -> bytes:
        """Return an encoded stream message; nothing is stored."""
        return encode(self._outbox.envelope(replace(draft, drill=self.drill)))

    def mark(self, name: str) -> int:
        """Return the number kept under ``name``; 0 when there is none."""
        return self._outbox.mark(name)

    def take_receipt(self, receipt: Receipt, at_hub_ns: int) -> set[str]:
        """Note in the logbook what the hub has; return the ids of facts newly delivered."""
        if receipt.epoch != self._outbox.epoch:
            return set()
        self.freed.set()
        self._keep()
        return self._logbook.deliver(receipt.stored, at_hub_ns)

    @property
    def unsent(self) -> int:
        """How many facts have no receipt, those included that are not on the disk yet."""
        return self.backlog().total + len(self.held)

    def waiting(self, lane: Lane) -> int:
        """Return how many facts of a lane have no receipt."""
        return self._outbox.count(HUB, lane)

    def oldest_s(self, wall_ns: int) -> float:
        """Return the age of the oldest urgent fact or vital sign without a receipt; 0 for none.

        Where the disk fails it is 0, as nothing can be sent from it.
        """
        made: list[int] = []
        with contextlib.suppress(StorageError):  # the sender tells and tries again
            for lane in ("urgent", "vitals"):
                entries = self._outbox.waiting(HUB, lane, 0, 1)
                made.extend(entry.made_ns for entry in entries)
        return max(0.0, (wall_ns - min(made)) / 1e9) if made else 0.0

    def backlog(self) -> Backlog:
        """Return what waits, as it was last seen where the disk fails; cheap however much it is."""
        oldest: list[int] = []
        waiting: dict[Lane, int] = {}
        with contextlib.suppress(StorageError):  # the sender tells and tries again
            for lane in LANES:
                entries = self._outbox.waiting(HUB, lane, 0, 1)
                if entries:
                    waiting[lane] = self._outbox.count(HUB, lane)
                    oldest.append(entries[0].made_ns)
            self._backlog = Backlog(waiting, min(oldest, default=None))
        return self._backlog
