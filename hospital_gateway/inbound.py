"""Facts of cases come in: pulled from JetStream, checked, stored, shown, and only then answered.

    JetStream ─▶ examine ─▶ open_case_fact ─▶ journal (commit) ─▶ board
                                                 └─▶ ack to JetStream, receipt to the hub

A kill between any two steps loses nothing: what was not acknowledged comes again, and the
journal takes nothing twice. What is stored is the hub's own bytes under the hub's own numbers,
so this journal is a copy of the case's chain.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from hospital_gateway.arrivals import UNFOLDED
from hospital_gateway.bay_merge import BayMerge
from hospital_gateway.board import Board
from hospital_gateway.cards import lane_place
from hospital_gateway.errors import CarriedFactError
from hospital_gateway.latency import Latencies
from hospital_gateway.replica_chain import Link
from streams.cancellation import heed_cancellation
from streams.chain import Arrived, Gone, Refused, Stored
from streams.codec import any_body, decode, encode, open_body
from streams.delivery import Examined, examine
from streams.errors import ForerunError, StorageError, TransportError
from streams.health import DUPLICATES, LATENCY, REFUSED, STORED
from streams.inbox import MOST_RANGES, Line
from streams.journal import Journal
from streams.link_messages import CopyLost, OutboxState
from streams.messages import CaseFact, Envelope, Lane, Receipt, Refusal
from streams.outbox import Draft, Outbox
from streams.topics import TOPICS, find

RETRY_S = 1.0
"""Pause after the journal refused: its disk is full or gone, and needs a person."""

RECEIPT_EVERY_S = 5.0
"""A receipt is said again so often: one that was lost would stop the hub's sending."""

SHOWN = frozenset(kind for kind, topic in TOPICS.items() if topic.is_fact) - UNFOLDED
"""Kinds that the board is built from."""

ENDED_READ = 200
"""Cases that ended last, of which the board is built at the start."""

log = structlog.get_logger(__name__)


class Message(Protocol):
    """A fact from a stream, as ``streams.transport.jetstream.Stored`` is."""

    @property
    def topic(self) -> str:
        """Its topic, with ``/``."""

    @property
    def data(self) -> bytes:
        """Its bytes."""

    async def ack(self) -> None:
        """Say that it is stored for good."""


@dataclass(frozen=True, slots=True)
class Carried:
    """A case's fact taken out of the message that brought it.

    Attributes:
        outer: The envelope that came.
        body: The carrier: numbers, hash, times.
        inner: The fact's own envelope.
        arrived: What the journal takes.
    """

    outer: Envelope
    body: CaseFact
    inner: Envelope
    arrived: Arrived


def open_case_fact(examined: Examined, *, region: str, hospital: str) -> Carried:
    """Take the case's fact out of a message and check that it is what the carrier says.

    Nothing is trusted for having come from the hub: the fact is decoded as if a stranger had
    sent it, and it must belong to the case that the carrier names.

    Raises:
        MessageError: It is not; the text names the difference.
    """
    address, outer = examined.address, examined.envelope
    if (address.scope, address.region, address.name) != ("hospital", region, hospital):
        raise CarriedFactError(f"{address} is not for {hospital} in {region}")
    body = open_body(outer, CaseFact)
    inner = decode(body.fact)
    if not find(inner.kind).is_fact or inner.kind == "case_fact":
        raise CarriedFactError(f"a {inner.kind} is no fact of a case")
    if inner.case is None or inner.case != outer.case:
        raise CarriedFactError(f"fact of case {inner.case} came as one of case {outer.case}")
    if inner.drill != outer.drill:
        raise CarriedFactError("an exercise and the real thing do not share a case")
    if body.case_sequence < 1:
        raise CarriedFactError("places in a case start at 1")
    any_body(inner)
    arrived = Arrived(
        data=body.fact,
        received_ns=body.received_ns,
        corrected_ns=body.corrected_ns,
        line=examined.arrived.line,
        sequence=examined.arrived.sequence,
        case_sequence=body.case_sequence,
        hash=body.hash,
    )
    return Carried(outer, body, inner, arrived)


class Inbound:
    """Takes batches of facts for one hospital."""

    def __init__(
        self,
        *,
        region: str,
        hospital: str,
        journal: Journal,
        outbox: Outbox,
        board: Board,
        bay: BayMerge,
        latencies: Latencies,
        hub_now_ns: Callable[[], int],
        publish: Callable[[str, bytes], Awaitable[None]],
    ) -> None:
        """Prepare.

        Args:
            region: The region.
            hospital: Name of this hospital.
            journal: Where facts are stored.
            outbox: Makes the envelopes of receipts, and keeps marks.
            board: What is shown.
            bay: What came past the hub.
            latencies: Where the time from making to storing is counted.
            hub_now_ns: The hub's clock, as far as it is known here.
            publish: Sends ``(kind, data)`` without storing; raises ``TransportError``.
        """
        self._region, self._hospital = region, hospital
        self._journal, self._outbox, self._board = journal, outbox, board
        self._latencies, self._hub_now_ns, self._publish = latencies, hub_now_ns, publish
        self._bay = bay
        self._storing = (
            asyncio.Lock()
        )  # the hub's facts and those from the bay, one after the other
        self._epochs: dict[tuple[str, str], float] = {}
        self._unsure: set[str] = set()
        self._marked: dict[str, int] = {}
        self.changed = asyncio.Event()
        self.released: Callable[[], None] = lambda: None
        self.problem: str | None = None

    async def restore(self) -> int:
        """Build the board from the journal; return how many facts were read for that.

        Only cases that come here now or ended lately are read; another one is read when it gets
        a fact.

        Raises:
            StorageError: Journal or outbox cannot be read.
        """
        journal, count = self._journal, 0
        ended = set(await journal.last_cases("case_closed", ENDED_READ))
        ended.update(await journal.last_cases("hospital_stood_down", ENDED_READ))
        begun = await journal.begun_cases("hospital_chosen", "case_closed")
        bay = self._bay.cases()
        for case in sorted(ended.union(begun, bay)):
            if case in ended or case in bay or not await self._stands_down(case):
                count += await self._load(case)
        await self._read_again()
        for case in bay:
            self._release(case)
        self._board.take_changes()
        return count

    async def _stands_down(self, case: str) -> bool:
        """Whether the last decision on a case was that it does not come here."""
        kinds = ("hospital_chosen", "hospital_stood_down")
        decisions = await self._journal.facts(case=case, kinds=kinds, limit=None)
        last = max(decisions, key=lambda fact: fact.case_sequence or 0, default=None)
        return last is not None and last.envelope.kind == "hospital_stood_down"

    async def _load(self, case: str) -> int:
        """Read a case from the journal onto the board; return how many facts were read.

        Waveforms stay where they are, but for those of which the place in the chain is not
        proven yet: all before was, when it was stored.
        """
        hashes = await self._journal.hashes(case)
        if not hashes and case not in self._bay.cases():
            return 0
        await self._bay.settle(self._journal, case)
        broken = self._outbox.mark(f"broken/{case}")
        proven = self._board.resume_chain(case, hashes, broken)
        unproven: list[Stored] = []
        if len(hashes) > proven:
            unproven = await self._journal.facts(case=case, beyond=proven, limit=None)
        for fact in unproven:
            self._prove(fact)
        facts = await self._facts(case)
        self._board.read_again(case, facts, hashes)
        self._bay.mark(case)
        if place := self._outbox.mark(f"dismissed/{case}"):
            self._board.dismissed[case] = place
        return len(facts) + len(unproven)

    async def _facts(self, case: str) -> list[Stored]:
        """Return what the board is built from: the hub's facts, and those from the bay."""
        facts = await self._journal.facts(case=case, kinds=SHOWN, limit=None)
        return facts + self._bay.facts(case)

    async def show_bay(self, case: str, names: Collection[str]) -> None:
        """Show what came past the hub, once it is stored.

        Args:
            case: The case.
            names: Ids of the facts that are new.

        Raises:
            StorageError: The journal or the bay's file cannot be read.
        """
        async with self._storing:
            if self._board.arrivals.get(case) is None:
                await self._load(case)
            else:
                await self._bay.settle(self._journal, case, names)
                self._board.untimed.add(case)
                await self._read_again()
        self.changed.set()

    def _release(self, case: str) -> None:
        """Send to the hub what was done here with a patient of whom it did not know."""
        try:
            count = self._bay.release(case)
        except StorageError as error:  # tried again with the next fact, and at the next start
            log.error("acts not sent", case=case, error=str(error))  # noqa: TRY400
            return
        if count:
            log.info("acts sent, the hub knows the patient now", case=case, count=count)
            self.released()

    async def run(self, batches: AsyncIterator[list[Message]]) -> None:
        """Take batches until cancelled."""
        async for batch in batches:
            heed_cancellation()
            while not await self._took(batch):  # noqa: ASYNC110 - nobody tells of room on a disk
                await asyncio.sleep(RETRY_S)

    async def repeat_receipts(self) -> None:
        """Say again, every few seconds, what is stored, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(RECEIPT_EVERY_S)
            recent = [key for key, at in self._epochs.items() if loop.time() - at < 60]
            for source, epoch in recent:
                await self._send_receipt(source, epoch, [])

    async def _took(self, batch: list[Message]) -> bool:
        try:
            refusals = await self.take(batch)
        except StorageError as error:
            self.problem = str(error)
            log.error("facts not stored, trying again", error=str(error))  # noqa: TRY400
            return False
        self.problem = None
        for message in batch:
            with contextlib.suppress(TransportError):  # it comes again and is known then
                await message.ack()
        for (source, epoch), told in refusals.items():
            await self._send_receipt(source, epoch, told)
        return True

    async def take(self, batch: Iterable[Message]) -> dict[tuple[str, str], list[Refusal]]:
        """Store and show a batch; return whom to answer, and what was refused.

        Raises:
            StorageError: Nothing may be acknowledged; call again with the same batch.
        """
        async with self._storing:
            return await self._store(batch)

    async def _store(self, batch: Iterable[Message]) -> dict[tuple[str, str], list[Refusal]]:
        answers: dict[tuple[str, str], list[Refusal]] = {}
        items: list[Arrived | Refused] = []
        carried: list[Carried | None] = []
        for message in batch:
            found = await self._examine(message)
            carried.append(found if isinstance(found, Carried) else None)
            items.append(found.arrived if isinstance(found, Carried) else found)
            if (line := items[-1].line) is not None:
                told = answers.setdefault((line.source, line.epoch), [])
                if isinstance(found, Refused):
                    told.append(_refusal(found))
        try:
            stored = await self._journal.append_all(items)
        except BaseException:  # part of it may be stored: these cases are read again
            self._unsure.update(str(one.inner.case) for one in carried if one is not None)
            raise
        for one, fact in zip(carried, stored, strict=True):
            if one is not None:
                self._show(one, fact)
        await self._read_again()
        for case in {str(one.inner.case) for one in carried if one is not None}:
            self._release(case)
        self.changed.set()
        loop = asyncio.get_running_loop()
        self._epochs.update(dict.fromkeys(answers, loop.time()))
        return answers

    async def _read_again(self) -> None:
        """Show true times of facts whose source did not know the hub's time yet."""
        for case in sorted(self._board.untimed):
            arrival = self._board.arrivals.get(case)
            if arrival is None:
                self._board.untimed.discard(case)
                continue
            try:
                facts = await self._facts(case)
            except StorageError as error:  # all is stored; the next fact tries again
                log.error("case not read again", case=case, error=str(error))  # noqa: TRY400
                return
            self._board.read_again(case, facts, arrival.facts)
            self._bay.mark(case)

    async def _know(self, case: str) -> None:
        """Have a case on the board as the journal has it, before it gets a fact."""
        if case in self._unsure:
            await self._journal.settle()
        elif self._board.arrivals.get(case) is not None:
            return
        if await self._load(case):
            self._board.hide_if_over(case, self._hub_now_ns())
        self._unsure.discard(case)

    async def _examine(self, message: Message) -> Carried | Refused:
        received_ns = self._hub_now_ns()
        found = examine(message.topic, message.data, received_ns, "hub")
        if isinstance(found, Examined):
            try:
                carried = open_case_fact(found, region=self._region, hospital=self._hospital)
            except ForerunError as error:
                arrived, address = found.arrived, found.address
                # The hub numbers for each hospital apart: another's number says nothing here,
                # and a receipt for it would free what this hospital has not got.
                is_ours = (address.region, address.name) == (self._region, self._hospital)
                found = Refused(
                    received_ns, message.topic, error.reason, str(error),
                    message.data, arrived.line if is_ours else None, arrived.sequence,
                )  # fmt: skip
            else:
                await self._know(str(carried.inner.case))
                self._check_chain(carried)
                stored = replace(carried.arrived, stored_ns=received_ns)
                return replace(carried, arrived=stored)
        REFUSED.labels("inbound", found.reason).inc()
        log.warning("message refused", topic=found.topic, reason=found.reason, text=found.text)
        return found

    def _check_chain(self, carried: Carried) -> None:
        case, body = str(carried.inner.case), carried.body
        link = Link.of(
            body.case_sequence, body.corrected_ns, body.received_ns, body.fact, body.hash
        )
        self._board.link_fits(case, link)
        broken = self._board.chain(case).broken
        if broken and self._marked.get(case) != broken[0]:
            self._outbox.add_all([], mark=(f"broken/{case}", broken[0]))
            self._marked[case] = broken[0]

    def _prove(self, fact: Stored) -> None:
        if fact.envelope.case and fact.case_sequence and fact.hash:
            link = Link.of(
                fact.case_sequence, fact.corrected_ns, fact.received_ns, fact.data, fact.hash
            )
            self._board.link_fits(fact.envelope.case, link)

    def _show(self, carried: Carried, fact: Stored | None) -> None:
        if fact is None:
            DUPLICATES.inc()
            return
        STORED.labels(fact.envelope.kind).inc()
        if self._takes_place(fact):
            return
        change = self._board.take(fact)
        if fact.envelope.offset_ns is None or change is None:
            return  # when it was made is not known well enough
        if not 0 < change.arrival.chosen_ns <= fact.corrected_ns:
            return  # made before this hospital was chosen: its age is not the way's
        kind = lane_place(fact.envelope.lane)
        late_ms = (self._hub_now_ns() - fact.corrected_ns) / 1e6
        for sample in self._latencies.add(kind, [late_ms]):
            LATENCY.labels(kind, "gateway").observe(sample / 1000)

    async def take_held(self, topic: str, data: bytes) -> bool:
        """Take the hub's word of what it still holds; return whether a copy here is lost.

        What it freed and is not here was stored by an earlier copy of this journal: it is given
        up, loudly, and the hub is asked, by a fact, for the cases in progress from their first
        fact on.
        """
        found = examine(topic, data, self._hub_now_ns(), "hub")
        if isinstance(found, Refused):
            REFUSED.labels("inbound", found.reason).inc()
            return False
        state = open_body(found.envelope, OutboxState)
        source, now_ns = found.envelope.source, self._hub_now_ns()
        lines = {lane: Line(source, state.epoch, lane) for lane in state.held}
        inbox = self._journal.inbox.copy()
        missing = {lane: inbox.give_up(lines[lane], low) for lane, low in state.held.items()}
        gone = {lane: ranges[:MOST_RANGES] for lane, ranges in missing.items() if ranges}
        if gone:  # the fact first: a crash in between asks once more, and that does no harm
            lost = CopyLost(epoch=state.epoch, gone=gone)
            self._outbox.add("hub", Draft("copy_lost", lost, drill=found.envelope.drill))
            await self._journal.give_up(
                [Gone(lines[lane], low, now_ns) for lane, low in state.held.items()]
            )
        await self._send_receipt(source, state.epoch, [])
        return bool(gone)

    def _takes_place(self, fact: Stored) -> bool:
        """Whether a fact from the bay was shown in this one's place: then all is read again."""
        case = str(fact.envelope.case)
        try:
            found = self._bay.takes_place(fact.envelope, fact.data)
        except StorageError as error:  # noted at the next start; the id keeps it from showing twice
            log.error("hand-over not settled", case=case, error=str(error))  # noqa: TRY400
            found = True
        if found:
            self._board.untimed.add(case)
        return found

    async def ask(self, source: str, epoch: str, asked: dict[Lane, list[tuple[int, int]]]) -> None:
        """Ask a source again for what is missing, by a receipt."""
        await self._send_receipt(source, epoch, [], asked)

    async def _send_receipt(
        self, source: str, epoch: str, refused: list[Refusal],
        asked: dict[Lane, list[tuple[int, int]]] | None = None,
    ) -> None:  # fmt: skip
        receipt = Receipt(
            epoch=epoch,
            stored=self._journal.inbox.lines(source, epoch),
            refused=refused[:100],
            asked=asked or {},
        )
        envelope = self._outbox.envelope(Draft("receipt_up", receipt))
        try:
            await self._publish("receipt_up", encode(envelope))
        except TransportError as error:
            log.debug("receipt not sent", error=str(error))


def _refusal(refused: Refused) -> Refusal:
    try:
        id_ = decode(refused.data).id
    except ForerunError:
        id_ = ""
    return Refusal(id=id_, reason=refused.reason, text=refused.text[:500])
