"""Facts of our journal on their way to the neighbours that they concern.

What goes to whom follows from the journal (``dispatch.case_sharing``); it is written to the
outbox together with the position up to which that was done, in one transaction, so that after a
crash it goes on there and tells nothing twice.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from dispatch.case_record import CaseRecord
from dispatch.case_sharing import SHARING, Order, Sharing, goes
from dispatch.districts import Districts
from dispatch.journal_tail import JournalTail, facts_between
from dispatch.unit_requests import reply_of, request_of
from streams.chain import Stored
from streams.codec import any_body
from streams.district_messages import UnitAsked, UnitLent, UnitRequestEnded, UnitUnasked
from streams.errors import StorageError
from streams.journal import Journal
from streams.outbox import Draft, Outbox

MARK: Final = "districts_told"

UNMARKED: Final = 2000
"""So many facts that concern nobody may pass before it is kept how far it came."""

RETRY_S: Final = 1.0

log = structlog.get_logger(__name__)


class DistrictTeller:
    """Tells neighbours of the cases that are shared with them, and of requests for units."""

    def __init__(
        self,
        record: CaseRecord,
        journal: Journal,
        outbox: Outbox,
        districts: Districts,
        region: str,
    ) -> None:
        """Prepare; ``restore`` and ``run`` follow. ``region`` is our own."""
        self._record = record
        self._journal = journal
        self._outbox = outbox
        self._districts = districts
        self._region = region
        self._sharing = Sharing()
        self._marked = outbox.mark(MARK)
        self._tail = JournalTail(journal, self._marked)

    def restore(self) -> None:
        """Begin here, where there never were neighbours before.

        Raises:
            StorageError: The outbox refuses.
        """
        if not self._marked:
            self._marked = self._tail.position = self._record.position
            self._outbox.add_all([], (MARK, self._marked))

    def take(self, fact: Stored) -> None:
        """Take a stored fact, in the order of the journal."""
        self._tail.take(fact)

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            self._tail.wake.clear()
            try:
                while facts := await self._tail.next():
                    await self._tell(facts)
            except StorageError as error:
                log.error("neighbours not told, tried again", error=str(error))  # noqa: TRY400 -- the text says all
                self._tail.position, self._sharing = self._marked, Sharing()
                self._tail.read_again()
                await asyncio.sleep(RETRY_S)
                continue
            await self._tail.wake.wait()

    async def _tell(self, facts: list[Stored]) -> None:
        drafts: list[tuple[str, Draft]] = []
        for fact in facts:
            drafts += await self._drafts_of(fact)
        known = [pair for pair in drafts if pair[0] in self._districts.senders]
        if len(known) < len(drafts):
            log.warning("no neighbour any more", facts=len(drafts) - len(known))
        position = facts[-1].position
        if known or position - self._marked > UNMARKED:
            self._districts.send_all(known, (MARK, position))
            self._marked = position
        self._tail.position = position

    async def _drafts_of(self, fact: Stored) -> list[tuple[str, Draft]]:
        envelope = fact.envelope
        if envelope.kind == "unit_lent" and (body := any_body(envelope)):
            assert isinstance(body, UnitLent)
            reply = reply_of(body, self._region, envelope.case)
            return [(body.region, Draft("unit_reply", reply, origin=envelope.origin))]
        if envelope.case is None or envelope.drill:
            return []
        if not self._sharing.knows(envelope.case):
            await self._learn(envelope.case, fact.position - 1)
        drafts = []
        for order in self._sharing.take(fact):
            found = await self._facts_of(order, fact)
            carried = [self._districts.carrying(one) for one in found if goes(one)]
            drafts += [(order.region, draft) for draft in carried]
        return drafts + await self._request(fact)

    async def _request(self, fact: Stored) -> list[tuple[str, Draft]]:
        envelope = fact.envelope
        if envelope.kind not in ("unit_asked", "unit_unasked"):
            return []
        match any_body(envelope):
            case UnitAsked() as asked:
                case = await self._record.case(envelope.case or "")
                assert case is not None, "its fact is stored"
                body = request_of(case, asked, self._region)
                return [(asked.region, Draft("unit_request", body, origin=envelope.origin))]
            case UnitUnasked() as ended:
                told = UnitRequestEnded(
                    region=self._region, request=ended.request, case=envelope.case or ""
                )
                return [(ended.region, Draft("unit_request_ended", told, origin=envelope.origin))]
        return []

    async def _learn(self, case: str, until: int) -> None:
        last = await self._journal.last_number(case, until) if until else 0
        if last:
            deciding = await self._journal.facts(case=case, kinds=SHARING, until=until, limit=None)
            self._sharing.learn(case, deciding, last)

    async def _facts_of(self, order: Order, newest: Stored) -> list[Stored]:
        """Return the facts of an order, in the order of their case."""
        if order.until == order.after + 1:
            return [newest]
        return await facts_between(self._journal, order.case, order.after, order.until)
