"""What the hub sends of a case: stored once, answered always, then shown."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from onboard.logbook import Logbook
from onboard.situation import Fact
from streams.codec import any_body, decode, open_body
from streams.delivery import Examined
from streams.errors import MalformedError, MessageError, StorageError
from streams.health import DUPLICATES, REFUSED, STORED
from streams.inbox import MOST_RANGES, Line
from streams.link_messages import OutboxState
from streams.losses import Lost, tell
from streams.messages import CaseFact, Envelope, Lane, Receipt, Refusal

log = structlog.get_logger(__name__)


class Incoming:
    """Takes ``case_fact`` messages; each fact reaches the crew once, whatever is repeated."""

    def __init__(self, logbook: Logbook, take: Callable[[Fact], None]) -> None:
        """Prepare.

        Args:
            logbook: Where the facts are stored before they are answered.
            take: Called with each fact that is new, after it is stored.
        """
        self._logbook = logbook
        self._take = take

    def take(self, examined: Examined) -> Receipt:
        """Store the fact of a ``case_fact`` and return the receipt for its sender.

        A fact that cannot be read is refused and counts as answered: repeating it is useless.
        When the disk fails the receipt says less than was sent, and the hub sends it again.
        """
        outer = examined.envelope
        line = Line(outer.source, outer.epoch, outer.lane)
        refused: list[Refusal] = []
        try:
            self._store(outer, line)
        except MessageError as error:
            REFUSED.labels("onboard", error.reason).inc()
            refused.append(Refusal(id=outer.id, reason=error.reason, text=str(error)))
            self._pass_over(line, outer.sequence)
        except StorageError:
            log.exception("fact not stored", id=outer.id)
        stored = self._logbook.inbox.lines(outer.source, outer.epoch)
        return Receipt(epoch=outer.epoch, stored=stored, refused=refused)

    def missing_of(self, source: str, state: OutboxState) -> dict[Lane, list[tuple[int, int]]]:
        """Return what a source does not hold any more and is not here."""
        inbox = self._logbook.inbox.copy()
        lines = {lane: Line(source, state.epoch, lane) for lane in state.held}
        found = {lane: inbox.give_up(lines[lane], low) for lane, low in state.held.items()}
        return {lane: ranges[:MOST_RANGES] for lane, ranges in found.items() if ranges}

    def give_up(self, source: str, state: OutboxState, at_ns: int) -> Receipt:
        """Take that as gone, loudly; return what is to be told to the source.

        Raises:
            StorageError: The disk fails.
        """
        for lane, low in state.held.items():
            line = Line(source, state.epoch, lane)
            ranges = self._logbook.give_up(line, low, at_ns)
            tell([Lost(line, first, last, at_ns) for first, last in ranges])
        return Receipt(epoch=state.epoch, stored=self._logbook.inbox.lines(source, state.epoch))

    def _store(self, outer: Envelope, line: Line) -> None:
        carried = open_body(outer, CaseFact)
        fact = decode(carried.fact)
        if fact.case != outer.case:
            raise MalformedError(f"the fact is of case {fact.case}, its message of {outer.case}")
        any_body(fact)
        if self._logbook.take(line, outer.sequence, fact, carried):
            STORED.labels(fact.kind).inc()
            self._take(
                Fact(
                    fact, own=False, at_hub_ns=carried.corrected_ns,
                    case_sequence=carried.case_sequence,
                )
            )  # fmt: skip
        else:
            DUPLICATES.inc()

    def _pass_over(self, line: Line, sequence: int) -> None:
        try:
            self._logbook.pass_over(line, sequence)
        except StorageError:
            log.exception("refusal not stored")
