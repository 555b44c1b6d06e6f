"""Facts from units and hospitals into the journal: examine, store, acknowledge, tell the source.

Only after the journal's commit is a fact acknowledged to JetStream and its source told, by a
receipt for its whole outbox. Whatever comes twice is stored once and receipted again, because a
repeat means that a receipt was lost. Whatever is refused is kept, counted and told.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Protocol

import structlog

from dispatch.case_record import CaseRecord
from streams import topics
from streams.chain import Arrived, Gone, Refused
from streams.clock import Clock
from streams.codec import encode
from streams.delivery import Examined, examine
from streams.errors import ForerunError, StorageError, TransportError
from streams.health import LATENCY
from streams.inbox import Line
from streams.journal import Journal
from streams.link_messages import OutboxState
from streams.messages import Receipt, Refusal
from streams.outbox import Draft, Outbox
from streams.topics import Party, Scope

RETRY_S = 1.0
MOST_REFUSALS = 100
"""Refusals in one receipt, as many as the message takes; the others are told with the next."""

_MAKERS: Final[dict[Scope, Party]] = {"unit": "unit", "hospital": "hospital", "district": "hub"}
"""Who makes the facts that come in a scope."""

Publish = Callable[[str, bytes], Awaitable[None]]
log = structlog.get_logger(__name__)


class Waiting(Protocol):
    """A message of a JetStream batch: the part of ``transport.jetstream.Stored`` used here."""

    @property
    def topic(self) -> str:
        """Where it came, with ``/``."""

    @property
    def data(self) -> bytes:
        """Its bytes."""

    async def ack(self) -> None:
        """Say that it is stored for good."""


class Ingest:
    """Takes batches of messages of one scope into the record."""

    def __init__(
        self,
        record: CaseRecord,
        journal: Journal,
        outbox: Outbox,
        *,
        region: str,
        publish: Publish,
        clock: Clock,
    ) -> None:
        """Prepare.

        Args:
            record: Where facts go.
            journal: Its inbox says what receipts tell.
            outbox: Gives receipts their envelope.
            region: For the topics.
            publish: Sends receipts.
            clock: The hub's clocks.
        """
        self.working: dict[Scope, bool] = {"unit": True, "hospital": True}
        self._record = record
        self._journal = journal
        self._outbox = outbox
        self._region = region
        self._publish = publish
        self._clock = clock

    async def run(self, scope: Scope, batches: AsyncIterator[Sequence[Waiting]]) -> None:
        """Take batches until cancelled."""
        async for batch in batches:
            await self.take(scope, batch)

    async def take(self, scope: Scope, batch: Sequence[Waiting]) -> None:
        """Take one batch: it is stored when this returns, however often the journal refused."""
        received_ns = self._clock.wall_ns()
        maker = _MAKERS[scope]
        items = [examine(one.topic, one.data, received_ns, maker) for one in batch]
        while True:
            try:
                outcome = await self._record.take(items)
                break
            except StorageError as error:
                self.working[scope] = False
                log.exception("journal refuses", error=str(error))
                await asyncio.sleep(RETRY_S)
        self.working[scope] = True
        for _, fact in outcome:
            if fact is not None and fact.envelope.offset_ns is not None:
                delay_s = max(0, fact.received_ns - fact.corrected_ns) / 1e9
                LATENCY.labels(fact.envelope.kind, "hub").observe(delay_s)
        try:
            for one in batch:
                await one.ack()
        except TransportError as error:
            log.info("not acknowledged, will come again", error=str(error))
        ids = [one.envelope.id if isinstance(one, Examined) else None for one in items]
        await self._tell(scope, list(zip([judged for judged, _ in outcome], ids, strict=True)))

    async def _tell(
        self, scope: Scope, judged: Sequence[tuple[Arrived | Refused, str | None]]
    ) -> None:
        """Send each source that had part in the batch a receipt for its outbox."""
        refused: dict[tuple[str, str], list[Refusal]] = defaultdict(list)
        for item, fact_id in judged:
            if item.line is None:
                continue
            told = refused[item.line.source, item.line.epoch]
            if isinstance(item, Refused):
                name = fact_id or f"{item.line.lane} {item.sequence}"
                told.append(Refusal(id=name, reason=item.reason, text=item.text))
        for (source, epoch), refusals in refused.items():
            await self._send_state(scope, source, epoch, refusals[:MOST_REFUSALS])

    async def take_held(self, scope: Scope, name: str, state: OutboxState) -> None:
        """Take a source's word of what it still holds, and answer with what is stored here.

        What it does not hold any more and is not here was acknowledged by an earlier copy of
        this journal: it is given up, loudly, and delivery goes on behind it.
        """
        now_ns = self._clock.wall_ns()
        lines = {lane: Line(name, state.epoch, lane) for lane in state.held}
        known = [Gone(lines[lane], low, now_ns) for lane, low in state.held.items()]
        try:
            await self._journal.give_up(known)
        except StorageError as error:
            log.error("not given up", source=name, error=str(error))  # noqa: TRY400
            return
        await self._send_state(scope, name, state.epoch, [])

    async def _send_state(
        self, scope: Scope, source: str, epoch: str, refused: list[Refusal]
    ) -> None:
        """Tell a source what is stored of one of its outboxes."""
        inbox = self._journal.inbox
        receipt = Receipt(
            epoch=epoch,
            stored=inbox.lines(source, epoch),
            refused=refused,
            ahead=inbox.lines_ahead(source, epoch),
        )
        await self.send_receipt(scope, source, receipt)

    async def send_receipt(self, scope: Scope, name: str, receipt: Receipt) -> None:
        """Publish a receipt; when that fails the source repeats and gets another.

        A neighbour's hub is named as in the journal, ``<region>/<hub>``: the region is told.
        """
        kind = "district_receipt" if scope == "district" else "receipt_down"
        envelope = self._outbox.envelope(Draft(kind, receipt))
        topic = topics.path(scope, self._region, name.partition("/")[0], kind)
        with contextlib.suppress(TransportError):
            try:
                await self._publish(topic, encode(envelope))
            except TransportError:
                raise
            except ForerunError as error:
                log.exception("receipt not sent", to=name, error=str(error))
