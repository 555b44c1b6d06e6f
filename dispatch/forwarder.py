"""Facts of cases on their way to the units and hospitals concerned, and how far they came.

What goes where is the router's (``dispatch.case_routing``); here it is written to the outbox
together with the journal position that it covers, in one transaction, and sent by one task per
destination until the other side says that it stored it. After a crash it goes on there.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

import structlog

from dispatch import refilling
from dispatch.case_routing import DECIDING, DISTRICT, Forward, Router, draft_of, wants
from dispatch.journal_tail import PAGE, JournalTail, facts_between
from streams import topics
from streams.chain import Stored
from streams.clock import Clock
from streams.codec import decode, encode, open_body
from streams.delivery import Sender
from streams.errors import StorageError
from streams.health import REFUSED, WAITING
from streams.journal import Journal
from streams.link_messages import OutboxState
from streams.messages import CaseFact, Envelope, Lane, Receipt
from streams.outbox import Draft, Outbox
from streams.topics import LANES, Scope

MARK: Final = "forwarded"
RETRY_S = 1.0

Publish = Callable[[str, bytes], Awaitable[None]]
"""Sends bytes to a topic; raises ``TransportError`` when there is no path."""

Changed = Callable[[str], None]
"""Is told a case of which something was delivered."""

log = structlog.get_logger(__name__)


class Forwarder:
    """Routes stored facts into the outbox and keeps a sender for each destination.

    Attributes:
        senders: By destination.
    """

    def __init__(
        self,
        journal: Journal,
        outbox: Outbox,
        *,
        region: str,
        publish: Publish,
        clock: Clock,
        changed: Changed,
    ) -> None:
        """Prepare; ``run`` does the work.

        Args:
            journal: Where facts are read when memory does not hold them.
            outbox: The hub's.
            region: For the topics.
            publish: Sends to the broker.
            clock: The hub's clocks.
            changed: Told after a receipt.
        """
        self.senders: dict[str, Sender] = {}
        self._journal = journal
        self._outbox = outbox
        self._region = region
        self._publish = publish
        self._clock = clock
        self._changed = changed
        self._router = Router()
        self._tail = JournalTail(journal, outbox.mark(MARK))
        self._on_way: dict[str, dict[Lane, deque[tuple[int, str, int]]]] = {}
        self._missing: dict[tuple[str, str], set[int]] = defaultdict(set)

    def take(self, fact: Stored) -> None:
        """Take a stored fact, in the order of the journal; ``run`` forwards it."""
        self._tail.take(fact)

    async def restore(self, cases: Iterable[str]) -> None:
        """Read from the outbox what is still on its way, and from the journal who has what.

        Args:
            cases: Those of which ``reached`` will be asked; others are learned when they go on.

        Raises:
            StorageError: Outbox or journal cannot be read.
        """
        for party in self._outbox.destinations():
            for lane in LANES:
                after = 0
                while entries := self._outbox.waiting(party, lane, after, PAGE):
                    for entry in entries:
                        self._note_on_way(party, decode(entry.data))
                    after = entries[-1].sequence
        for case in cases:
            await self._learn(case, self._tail.position)

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Forward until cancelled; senders become tasks of ``group``."""
        self.start_senders(group)
        while True:
            self._tail.wake.clear()
            if not await self.step(group) and not self._tail.has_more:
                await self._tail.wake.wait()

    def start_senders(self, group: asyncio.TaskGroup) -> None:
        """Start a sender for whoever something was sent to before."""
        for party in self._outbox.destinations():
            if not party.startswith(DISTRICT):  # ``dispatch.districts`` has its own
                self._start_sender(party, group)

    async def step(self, group: asyncio.TaskGroup) -> bool:
        """Forward what is next, at most a page of it; return False where there was nothing."""
        try:
            facts = await self._tail.next()
            if facts:
                await self._forward(facts, group)
        except StorageError as error:
            log.error("journal or outbox refuses", error=str(error))  # noqa: TRY400
            await self._begin_again()
            return True
        return bool(facts)

    def take_receipt(self, party: str, receipt: Receipt) -> None:
        """Take a receipt of a unit or hospital (``unit/<name>``, ``hospital/<name>``)."""
        sender = self.senders.get(party)
        if sender is None or receipt.epoch != self._outbox.epoch:
            return
        sender.take_receipt(receipt)
        cases = set()
        for lane, stored in receipt.stored.items():
            line = self._on_way.get(party, {}).get(lane, deque())
            while line and line[0][0] <= stored:
                _, case, number = line.popleft()
                self._note_arrived((party, case), number)
                cases.add(case)
        self._show_depth(party)
        for case in cases:
            self._changed(case)

    def heard_again(self, party: str) -> None:
        """Say that a destination is back after a silence: send now, not at the next repeat."""
        if sender := self.senders.get(party):
            sender.path_is_new()

    def path_is_new(self) -> None:
        """Say that the connection to the broker is a new one."""
        for sender in self.senders.values():
            sender.path_is_new()

    def reached(self, party: str, case: str, case_sequence: int) -> bool | None:
        """Whether a fact of a case is stored at a destination; None when it does not go there."""
        if self._router.reached(party, case) < case_sequence:
            return None
        return case_sequence not in self._missing.get((party, case), ())

    async def _forward(self, facts: list[Stored], group: asyncio.TaskGroup) -> None:
        drafts: list[tuple[str, Draft]] = []
        for fact in facts:
            case = fact.envelope.case
            if fact.envelope.kind == "copy_lost":
                await self._refill(fact, group)
            if case is not None and not self._router.knows(case):
                await self._learn(case, fact.position - 1)
            for order in self._router.take(fact):
                found = await self._facts_of(order, fact)
                party = order.destination
                drafts += [(party, draft_of(one)) for one in found if wants(party, one.envelope)]
        position = facts[-1].position
        self._add(drafts, (MARK, position), group)
        self._tail.position = position

    async def _refill(self, lost: Stored, group: asyncio.TaskGroup) -> None:
        """Send a party that lost its copy all facts of its open cases once more."""
        party = await refilling.party_of(lost, self._journal)
        if party is None:
            return
        log.error("copy lost at a destination, sent again", destination=party)
        async for facts in refilling.pages_for(party, lost.position, self._journal):
            self._add([(party, draft_of(one)) for one in facts], None, group)

    def _add(
        self,
        drafts: list[tuple[str, Draft]],
        mark: tuple[str, int] | None,
        group: asyncio.TaskGroup,
    ) -> None:
        """Write drafts into the outbox and have them sent; none of an exercise."""
        if leaks := [draft for _, draft in drafts if draft.drill]:
            REFUSED.labels("forwarder", "drill").inc(len(leaks))
            log.error("fact of an exercise not forwarded", facts=len(leaks))
            drafts = [(party, draft) for party, draft in drafts if not draft.drill]
        made = self._outbox.add_all(drafts, mark)
        cases = set()
        for (party, _), envelope in zip(drafts, made, strict=True):
            self._note_on_way(party, envelope)
            cases.add(envelope.case)
            self._start_sender(party, group)
            self.senders[party].wake()
        for party in {party for party, _ in drafts}:
            self._show_depth(party)
        for case in cases:
            self._changed(case or "")

    async def _learn(self, case: str, until: int) -> None:
        """Learn a case's route as it was when the journal stood at position ``until``."""
        last = await self._journal.last_number(case, until)
        if last:
            deciding = await self._journal.facts(case=case, kinds=DECIDING, until=until, limit=None)
            self._router.learn(case, deciding, last)

    async def _begin_again(self) -> None:
        """Go back to where the outbox has the mark: the router is ahead of what was written."""
        known, self._router = self._router.cases(), Router()
        self._tail.read_again()
        while True:
            await asyncio.sleep(RETRY_S)
            with contextlib.suppress(StorageError):
                for case in known:
                    await self._learn(case, self._tail.position)
                return

    async def _facts_of(self, order: Forward, newest: Stored) -> list[Stored]:
        if order.returns:
            order = await refilling.whole_if_lost(order, self._journal)
        if order.until == order.after + 1:
            return [newest]
        return await facts_between(self._journal, order.case, order.after, order.until)

    def _start_sender(self, party: str, group: asyncio.TaskGroup) -> None:
        if party in self.senders:
            return
        scope, _, name = party.partition("/")
        checked: Scope = "hospital" if scope == "hospital" else "unit"

        async def publish(kind: str, data: bytes) -> None:
            await self._publish(topics.path(checked, self._region, name, kind), data)

        async def say(state: OutboxState) -> None:
            await publish("outbox_down", encode(self._outbox.envelope(Draft("outbox_down", state))))

        sender = Sender(self._outbox, party, publish, self._clock, say=say)
        self.senders[party] = sender
        group.create_task(sender.run(), name=f"hub.sender[{party}]")

    def _note_on_way(self, party: str, envelope: Envelope) -> None:
        if envelope.case is None or envelope.kind != "case_fact":
            return
        number = open_body(envelope, CaseFact).case_sequence
        lanes = self._on_way.setdefault(party, {})
        lanes.setdefault(envelope.lane, deque()).append((envelope.sequence, envelope.case, number))
        self._missing[party, envelope.case].add(number)

    def _note_arrived(self, at: tuple[str, str], number: int) -> None:
        if (missing := self._missing.get(at)) is not None:
            missing.discard(number)
            if not missing:
                del self._missing[at]

    def _show_depth(self, party: str) -> None:
        for lane in LANES:
            waiting = len(self._on_way.get(party, {}).get(lane, ()))
            WAITING.labels(party, lane).set(waiting)
