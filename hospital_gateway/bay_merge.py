"""What came past the hub and what came from the hub, as one: shown together, each fact once.

The hub's copy of a fact takes the place of the one from the bay; what the people here did with a
patient of whom the hub did not know waits here, and goes to the hub once it knows.
"""

from __future__ import annotations

from collections.abc import Collection

from hospital_gateway.arrivals import UNFOLDED, Bay
from hospital_gateway.bay_desk import tell_difference
from hospital_gateway.bay_store import BayStore
from hospital_gateway.board import Board
from streams.chain import Stored
from streams.clock import Clock
from streams.codec import any_body, decode
from streams.journal import Journal
from streams.messages import Envelope, Receipt
from streams.outbox import Draft, Outbox, Stamp
from streams.topics import LANES

HELD = "bay/"
"""Destination in the outbox of what waits for the hub to know of a case, before its id."""


class BayMerge:
    """Joins the bay's facts to the journal's."""

    def __init__(self, store: BayStore, board: Board, outbox: Outbox, clock: Clock) -> None:
        """Prepare.

        Args:
            store: What came past the hub.
            board: What is shown.
            outbox: What was done here.
            clock: This machine's clocks.
        """
        self._store, self._board, self._outbox, self._clock = store, board, outbox, clock

    def cases(self) -> set[str]:
        """Return the cases that were handed over at the bay."""
        return set(self._store.cases)

    def facts(self, case: str) -> list[Stored]:
        """Return what the board shows of a case that the hub has not confirmed."""
        if case not in self._store.cases:
            return []
        return self._store.facts(case, without=UNFOLDED)

    def takes_place(self, envelope: Envelope, data: bytes) -> bool:
        """Note that the hub's copy of a fact is here; return whether the bay's was shown.

        Raises:
            StorageError: The disk is full or fails; it is noted at the next start.
        """
        if envelope.case is None or envelope.case not in self._store.cases:
            return False
        outcome = self._store.settle(envelope.id, data)
        if outcome == "differs":
            tell_difference(envelope.case, envelope.id)
        return outcome is not None

    async def settle(
        self, journal: Journal, case: str, names: Collection[str] | None = None
    ) -> None:
        """Note which of a case's facts the journal has: both may have come at once.

        Args:
            journal: What came from the hub.
            case: The case.
            names: Ids of the facts that are looked for; None for all that wait.
        """
        if case not in self._store.cases or not await journal.last_number(case, 2**62):
            return
        for name in self._store.waiting(case) if names is None else names:
            known = await journal.find(name)
            if known is not None:
                self.takes_place(known.envelope, known.data)

    def mark(self, case: str) -> None:
        """Tell the board how a case was handed over."""
        if case not in self._store.cases:
            return
        session = self._store.newest(case)
        if session is None:
            return
        waiting, differing = self._store.counts(case)
        bay = Bay(
            session=session.name, way=session.way, unit=session.unit, label=session.label,
            at_ns=session.opened_ns, stored=session.stored, expected=session.expected,
            closed=session.closed_ns is not None, refused=session.refused,
            waiting=waiting, differing=differing,
        )  # fmt: skip
        self._board.set_bay(case, bay)

    def destination(self, case: str) -> str:
        """Return where what is done here with a case goes: to the hub, or to wait."""
        arrival = self._board.arrivals.get(case)
        return f"{HELD}{case}" if arrival is not None and arrival.is_past_the_hub else "hub"

    def release(self, case: str) -> int:
        """Send what waited, if the hub now knows that the patient is here; return how much.

        A crash in between sends it twice, under the same id, and the hub stores it once.

        Raises:
            StorageError: The disk is full or fails; it still waits.
        """
        if case not in self._store.cases or self.destination(case) != "hub":
            return 0
        arrival = self._board.arrivals.get(case)
        if arrival is None or arrival.confirmed.value is not True:
            return 0
        held = f"{HELD}{case}"
        sent, done = [], {}
        for lane in LANES:
            for entry in self._outbox.waiting(held, lane, 0, 1000):
                sent.append(("hub", self._again(decode(entry.data))))
                done[lane] = entry.sequence
        if sent:
            self._outbox.add_all(sent)
            self._outbox.take_receipt(held, Receipt(epoch=self._outbox.epoch, stored=done))
        return len(sent)

    def _again(self, envelope: Envelope) -> Draft:
        """Return the draft of a fact that was made before, with its id and its time."""
        ago_ns = self._clock.wall_ns() - envelope.source_ns
        monotonic_ns = self._clock.monotonic_ns() - ago_ns
        made = Stamp(envelope.source_ns, monotonic_ns) if monotonic_ns >= 0 else None
        return Draft(
            envelope.kind, any_body(envelope), envelope.origin, envelope.case, envelope.patient,
            drill=envelope.drill, id=envelope.id, made=made,
        )  # fmt: skip


def destinations(outbox: Outbox) -> list[str]:
    """Return where what was done here is on its way to: the hub, and what waits for it."""
    return [one for one in outbox.destinations() if one == "hub" or one.startswith(HELD)]
