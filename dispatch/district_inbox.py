"""Facts of neighbouring districts: into the journal, and from there, once, to who follows them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from dispatch.case_record import CaseRecord
from dispatch.ingest import Ingest
from dispatch.journal_tail import JournalTail
from streams.cancellation import heed_cancellation
from streams.chain import Stored
from streams.codec import any_body
from streams.district_messages import DistrictBody
from streams.errors import StorageError
from streams.health import DROPPED, REFUSED
from streams.journal import Journal
from streams.outbox import Outbox
from streams.topics import kinds
from streams.transport import Delivery

KINDS: Final = frozenset(kinds("hub", "district", facts=True))
"""Facts that go between districts."""

MARK: Final = "districts_followed"

WAITING: Final = 512
"""Facts that may wait for the journal; beyond, what comes is dropped, counted, and comes again."""

BATCH: Final = 64
RETRY_S: Final = 1.0

Follower = Callable[[str, Stored], Awaitable[None]]
"""Is given the region that told a fact, and the fact as it stands in our journal."""

log = structlog.get_logger(__name__)


class _Came:
    """A message of core NATS, which keeps nothing, as the ingest takes it."""

    def __init__(self, delivery: Delivery) -> None:
        self.topic, self.data = delivery.topic, delivery.data

    async def ack(self) -> None:
        """There is nobody to tell but the source, and the receipt does that."""


class DistrictInbox:
    """Stores the facts of neighbours, and hands each new one on."""

    def __init__(
        self, ingest: Ingest, record: CaseRecord, journal: Journal, outbox: Outbox
    ) -> None:
        """Prepare; ``start`` begins.

        Args:
            ingest: Examines, stores, answers.
            record: Tells what is stored.
            journal: Where facts are read that memory does not hold.
            outbox: Keeps how far the follower came.
        """
        self._ingest = ingest
        self._record = record
        self._outbox = outbox
        self._came: asyncio.Queue[_Came] = asyncio.Queue(WAITING)
        self._follower: Follower | None = None
        self._tail = JournalTail(journal, outbox.mark(MARK), KINDS)
        self._tail.wake.set()
        record.follow(self._tail.take)

    def follow(self, follower: Follower) -> None:
        """Have each fact of a neighbour given to ``follower``, in the order of the journal.

        Each is given once, also what was stored before this life and not given then. Where the
        process dies meanwhile, the last ones (at most a page) are given again: whoever acts upon
        one asks for the action under an id of its own, such as the fact's. A ``StorageError``
        has a fact given again after a second; any other error is written to the log, and the
        next one is given.

        Args:
            follower: One per hub; a second one takes the place of the first.
        """
        self._follower = follower

    def put(self, delivery: Delivery) -> None:
        """Take a message that came on the topic of a fact."""
        if self._came.full():
            DROPPED.labels("hub.district_facts").inc()
            return
        self._came.put_nowait(_Came(delivery))

    def start(self, group: asyncio.TaskGroup) -> None:
        """Start its tasks."""
        group.create_task(self._store(), name="hub.district_facts")
        if self._follower is not None:
            group.create_task(self._hand_on(), name="hub.district_follower")

    async def _store(self) -> None:
        while True:
            heed_cancellation()  # answering, below, may have swallowed one
            batch = [await self._came.get()]
            while len(batch) < BATCH and not self._came.empty():
                batch.append(self._came.get_nowait())
            await self._ingest.take("district", batch)

    async def _hand_on(self) -> None:
        while True:
            await self._tail.wake.wait()
            self._tail.wake.clear()
            try:
                while facts := await self._next():
                    await self._hand_all(facts)
            except StorageError as error:
                log.error("not handed on, tried again", error=str(error))  # noqa: TRY400 -- the text says all
                self._tail.read_again()
                await asyncio.sleep(RETRY_S)
                self._tail.wake.set()

    async def _next(self) -> list[Stored]:
        """Return what is to be handed on next."""
        from_disk, until = self._tail.has_gap, self._record.position
        facts = await self._tail.next()
        if from_disk and not facts:
            self._note(until)  # so that the next start does not look through all of it again
            return await self._tail.next()
        return facts

    async def _hand_all(self, facts: list[Stored]) -> None:
        """Hand on facts in their order; how far it came is on the disk once for all of them."""
        done = self._tail.position
        try:
            for fact in facts:
                await self._hand(fact)
                done = fact.position
        finally:
            self._note(done)

    async def _hand(self, fact: Stored) -> None:
        assert self._follower is not None
        try:
            body = any_body(fact.envelope)
            if isinstance(body, DistrictBody):
                await self._follower(body.region, fact)
        except StorageError:
            raise
        except Exception:
            REFUSED.labels("hub", "fault").inc()
            log.exception("fact of a neighbour not taken", id=fact.envelope.id)

    def _note(self, position: int) -> None:
        """Keep how far it came; where the disk refuses that, memory knows it until the next."""
        if position <= self._tail.position:
            return
        self._tail.position = position
        try:
            self._outbox.add_all([], (MARK, position))
        except StorageError as error:
            log.error("mark not kept", error=str(error))  # noqa: TRY400 -- the text says all
