"""Calls as they come: each message of an exchange or a location source into the record.

The pure part is ``dispatch.intake``; here is what it needs of the journal, one at a time.
"""

from __future__ import annotations

from typing import Any

import structlog

from dispatch.call_fold import Said
from dispatch.call_pages import fix
from dispatch.caller_place import told_to_crew
from dispatch.case_record import CaseRecord
from dispatch.cases import Case
from dispatch.errors import UnknownError
from dispatch.intake import (
    Heard,
    LineStep,
    Ring,
    Unplaced,
    call_named,
    call_of,
    e164,
    line_step,
    positions,
    refusal,
    ring,
    seat_lost,
)
from streams.call_messages import LocationRefused
from streams.clock import Clock
from streams.health import REFUSED
from streams.journal import Journal
from streams.outbox import Draft

READ_AT_START = 200
"""Positions that are looked at, at start, for those that still wait for a call."""

log = structlog.get_logger(__name__)


class CallDesk:
    """Has calls, their steps and positions stored.

    Attributes:
        unplaced: Positions of which no call is known yet.
    """

    def __init__(
        self, record: CaseRecord, journal: Journal, clock: Clock, *, source: str, country: str
    ) -> None:
        """Prepare; ``restore`` follows.

        Args:
            record: The cases.
            journal: Where waiting positions are read at start.
            clock: The hub's clocks.
            source: The hub's name, as in its facts.
            country: ISO 3166 code of the country from which numbers are dialled.
        """
        self.unplaced = Unplaced()
        self._record = record
        self._journal = journal
        self._clock = clock
        self._source = source
        self._country = country

    async def restore(self) -> None:
        """Read which positions still wait for a call, and follow the record from there on.

        Raises:
            StorageError: The journal cannot be read.
        """
        for fact in await self._journal.newest("caller_position", self._source, READ_AT_START):
            self.unplaced.take(fact)
        self._record.follow(self.unplaced.take)

    async def ring(self, told: Ring) -> str:
        """Take a call that rings; return its case, the same one when it was told before.

        Raises:
            StorageError: Nothing was done, trying again helps.
        """
        case = ""

        def decide() -> list[Draft]:
            nonlocal case
            if known := call_named(self._record.book, told.call):
                case = known.id
                return []
            case, drafts = ring(told, self.unplaced, self._country, self._clock.wall_ns())
            return drafts

        await self._record.add(decide)
        return case

    async def step(self, call: str, told: LineStep) -> None:
        """Take what happened on the line of a call.

        Raises:
            UnknownError: No call of that name is known.
            ConflictError: The call is not in a state from which that is possible.
            StorageError: Nothing was done, trying again helps.
        """

        def decide() -> list[Draft]:
            case = call_named(self._record.book, call)
            if case is None:
                raise UnknownError("call", call)
            return line_step(told, case)

        await self._record.add(decide)

    async def seat_lost(self, seat: str) -> None:
        """Free the calls of a seat that is gone.

        Raises:
            StorageError: Nothing was done, trying again helps.
        """
        if await self._record.add(lambda: seat_lost(seat, self._record.book)):
            log.warning("seat is gone, its calls wait", seat=seat)

    async def located(self, heard: Heard, *, call: str = "", case: str = "") -> str | None:
        """Take what a source says of a caller's place; return the case to which it was put.

        Args:
            heard: What it says.
            call: The exchange's name of the call, where it is known; else the number decides.
            case: The case, where it is known.

        Raises:
            StorageError: Nothing was done, trying again helps.
        """
        put_to: str | None = None

        def decide() -> list[Draft]:
            nonlocal put_to
            found = self._case_of(call, heard.number, case)
            put_to = found.id if found else None
            if found is None:
                waiting = self.unplaced.recent(self._clock.wall_ns())
                known = [one.position for one in waiting if one.number == heard.number]
                if any(position in known for position in heard.positions):
                    return []
            return positions(heard, found)

        await self._record.add(decide)
        if put_to is not None:
            await self._record.add(lambda: self._follow(put_to))
        return put_to

    def _follow(self, name: str) -> list[Draft]:
        case = self._record.book.get(name)
        return told_to_crew(case) if case is not None else []

    async def not_located(self, body: LocationRefused, *, call: str = "", case: str = "") -> None:
        """Keep that a message about a caller's place could not be read, and why.

        Raises:
            StorageError: Nothing was done, trying again helps.
        """
        REFUSED.labels("location", body.source).inc()
        log.info("position not read", source=body.source, field=body.field, text=body.text)
        await self._record.add(lambda: [refusal(body, self._case_of(call, body.number, case))])

    def unplaced_now(self) -> list[dict[str, Any]]:
        """Return the positions that wait for a call, as pages show them."""
        waiting = self.unplaced.recent(self._clock.wall_ns())
        shown = [(one.number, fix(Said(one, 0))) for one in waiting]
        return [found | {"number": number} for number, found in shown if found is not None]

    def number(self, said: str) -> str:
        """Return a number as E.164 where it is one."""
        return e164(said, self._country) if said else ""

    def _case_of(self, call: str, number: str, case: str) -> Case | None:
        book = self._record.book
        if case and (known := book.get(case)):
            return known
        if call and (named := call_named(book, call)):
            return named
        return call_of(book, number, self._clock.wall_ns())
