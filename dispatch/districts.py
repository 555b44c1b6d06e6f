"""What this hub and the hubs of the neighbouring districts tell each other.

Facts go from outbox to journal with the delivery that all others have (``streams.delivery``): on
disk here before they are sent, repeated until the other hub's receipt, stored there once. Between
the two there is core NATS and nothing that keeps anything. Once a second each hub tells how its
units and hospitals are; that is also how a neighbour is known to be there.

    districts.send("south", Draft("district_fact", DistrictFact(region="north", fact=...)))
    districts.follow(take)      # each fact of a neighbour, once it is stored
    districts.neighbours.all()  # who is there, their units and hospitals
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import structlog

from dispatch.case_record import CaseRecord
from dispatch.case_routing import DISTRICT
from dispatch.district_inbox import DistrictInbox, Follower
from dispatch.errors import UnknownError
from dispatch.ingest import Ingest
from dispatch.neighbours import Neighbours, NeighbourSettings
from streams import topics
from streams.cancellation import heed_cancellation
from streams.chain import Stored
from streams.clock import Clock
from streams.codec import encode, open_body
from streams.delivery import Examined, Sender, examine, line_source
from streams.district_messages import DistrictFact, DistrictState
from streams.errors import StorageError, TopicError, TransportError
from streams.health import DROPPED, REFUSED, WAITING, Check
from streams.journal import Journal
from streams.link_messages import OutboxState
from streams.messages import Envelope, Receipt
from streams.outbox import Draft, Outbox
from streams.topics import LANES, find
from streams.transport import Delivery

STATE_S = 1.0
"""How often a hub tells its neighbours how its units and hospitals are."""

LOOK_S = 0.5
"""How often is looked who has fallen silent."""

log = structlog.get_logger(__name__)


class Connection(Protocol):
    """The part of a transport that is used here; see ``streams.transport.Transport``."""

    async def publish(self, topic: str, data: bytes) -> None:
        """Send ``data`` to ``topic``; raises ``TransportError`` when there is no path."""

    def subscribe(self, pattern: str) -> AbstractAsyncContextManager[AsyncIterator[Delivery]]:
        """Subscribe to ``pattern``."""


class Districts:
    """Tells neighbours and listens to them.

    Attributes:
        neighbours: Who is there, and what they last said.
        senders: By region.
        inbox: What came of their facts.
        changed: Told a region of which the connection, or what it says, is another.
    """

    def __init__(
        self,
        settings: Iterable[NeighbourSettings],
        *,
        region: str,
        record: CaseRecord,
        journal: Journal,
        outbox: Outbox,
        transport: Connection,
        clock: Clock,
        picture: Callable[[], DistrictState],
    ) -> None:
        """Prepare; ``run`` does the work.

        Args:
            settings: The neighbours.
            region: Our own.
            record: Where their facts go.
            journal: Its inbox says what receipts tell.
            outbox: Where ours wait for them.
            transport: The connection to our broker.
            clock: The hub's clocks.
            picture: What to tell of our units and hospitals now.
        """
        self.neighbours = Neighbours(settings)
        self.changed: Callable[[str], None] = lambda _region: None
        self._region = region
        self._outbox = outbox
        self._transport = transport
        self._clock = clock
        self._picture = picture
        self._ingest = Ingest(
            record, journal, outbox, region=region, publish=transport.publish, clock=clock
        )
        self.inbox = DistrictInbox(self._ingest, record, journal, outbox)
        self.senders = {one: self._sender(one) for one in self.neighbours.regions()}

    def send(self, region: str, draft: Draft) -> Envelope:
        """Have a neighbour's hub told a fact; it is on the disk when this returns.

        Args:
            region: The neighbour.
            draft: Of a kind that goes between districts, such as ``carrying`` gives.

        Raises:
            UnknownError: The configuration has no such neighbour.
            TopicError: The kind does not go between districts, or is no fact.
            StorageError: The disk refuses; nothing was made.
            OversizedError: The body is too large for its kind.
        """
        return self.send_all([(region, draft)])[0]

    def send_all(
        self, drafts: Iterable[tuple[str, Draft]], mark: tuple[str, int] | None = None
    ) -> list[Envelope]:
        """Like ``send`` for several, with a mark of the outbox, all or none.

        Raises:
            UnknownError: See ``send``; likewise the others.
        """
        wanted = list(drafts)
        for region, draft in wanted:
            if region not in self.senders:
                raise UnknownError("neighbour", region, ", ".join(sorted(self.senders)))
            row = find(draft.kind)
            if "district" not in row.scopes or not row.is_fact:
                raise TopicError(draft.kind, "is no fact that goes between districts")
        made = self._outbox.add_all([(DISTRICT + to, draft) for to, draft in wanted], mark)
        for region, _ in wanted:
            self.senders[region].wake()
        return made

    def carrying(self, fact: Stored) -> Draft:
        """Return the draft that carries a fact of our journal to a neighbour, in its lane."""
        envelope = fact.envelope
        body = DistrictFact(
            region=self._region,
            fact=fact.data,
            case=envelope.case,
            number=fact.case_sequence or 0,
            corrected_ns=fact.corrected_ns,
        )
        return Draft(
            "district_fact",
            body,
            origin=envelope.origin,
            drill=envelope.drill,
            lane=find(envelope.kind).lane,
        )

    def follow(self, follower: Follower) -> None:
        """Have each fact of a neighbour given to ``follower``; see ``DistrictInbox.follow``."""
        self.inbox.follow(follower)

    def start(self, group: asyncio.TaskGroup) -> None:
        """Start its tasks; without neighbours there are none."""
        self._warn_of_strangers()
        if not self.senders:
            return
        for region, sender in self.senders.items():
            group.create_task(self._listen(region), name=f"hub.district[{region}]")
            group.create_task(sender.run(), name=f"hub.sender[{DISTRICT}{region}]")
        group.create_task(self._tell_state(), name="hub.district_state")
        group.create_task(self._look(), name="hub.neighbours")
        self.inbox.start(group)

    def check(self) -> Check:
        """Return what ``/healthz`` says: that a neighbour is away is no fault of this hub."""
        now_ns = self._clock.wall_ns()
        words = [
            f"{one.region} {'connected' if one.connected else 'away'} for "
            f"{max(0, now_ns - one.since_ns) / 1e9:.0f} s, facts waiting: {one.waiting}"
            for one in self.neighbours.all()
            if one.since_ns
        ]
        return {"ok": True, "text": "; ".join(words) or "none"}

    def _sender(self, region: str) -> Sender:
        async def publish(kind: str, data: bytes) -> None:
            neighbour = self.neighbours.get(region)
            if neighbour is None or not neighbour.connected:
                raise TransportError(f"{region} is silent")
            topic = topics.path("district", self._region, region, kind)
            await self._transport.publish(topic, data)

        async def say(state: OutboxState) -> None:
            envelope = self._outbox.envelope(Draft("district_outbox", state))
            await publish("district_outbox", encode(envelope))

        return Sender(
            self._outbox, DISTRICT + region, publish, self._clock, say=say, waits_for_answer=True
        )

    def _warn_of_strangers(self) -> None:
        for party in self._outbox.destinations():
            region = party.removeprefix(DISTRICT)
            if party.startswith(DISTRICT) and region not in self.senders:
                waiting = sum(self._outbox.depth(party).waiting.values())
                log.warning("no neighbour any more", region=region, facts_waiting=waiting)

    async def _listen(self, region: str) -> None:
        pattern = topics.path("district", region, self._region, "+")
        async with self._transport.subscribe(pattern) as deliveries:
            heed_cancellation()  # subscribing may have swallowed one
            async for delivery in deliveries:
                heed_cancellation()
                try:
                    await self._take(region, delivery)
                except Exception:  # a fault in one message: all others must go on coming
                    REFUSED.labels("hub", "fault").inc()
                    log.exception("not taken", topic=delivery.topic)

    async def _take(self, region: str, delivery: Delivery) -> None:
        row = topics.TOPICS.get(delivery.topic.rpartition("/")[2])
        if row is not None and row.is_fact:
            self.inbox.put(delivery)
            self._hear(region)
            return
        now_ns = self._clock.wall_ns()
        examined = examine(delivery.topic, delivery.data, now_ns, "hub")
        if not isinstance(examined, Examined):
            REFUSED.labels("hub", examined.reason).inc()
            return
        envelope = examined.envelope
        match envelope.kind:
            case "district_state":
                state = open_body(envelope, DistrictState)
                if self.neighbours.take(region, envelope, state, now_ns):
                    self.changed(region)
                else:
                    DROPPED.labels("hub.district_state").inc()
            case "district_receipt":
                self.senders[region].take_receipt(open_body(envelope, Receipt))
            case "district_outbox":
                source = line_source(examined.address, envelope.source)
                held = open_body(envelope, OutboxState)
                await self._ingest.take_held("district", source, held)
        self._hear(region)

    def _hear(self, region: str) -> None:
        """Note that a neighbour speaks; one that is back is sent everything at once."""
        if self.neighbours.hear(region, self._clock.wall_ns(), self._clock.monotonic_ns()):
            log.info("neighbour connected", region=region)
            self.senders[region].path_is_new()
            self.changed(region)

    async def _tell_state(self) -> None:
        while True:
            heed_cancellation()
            started_ns = self._clock.monotonic_ns()
            try:
                state = Draft("district_state", self._picture())
                data = encode(self._outbox.envelope(state))
                for region in self.senders:
                    topic = topics.path("district", self._region, region, "district_state")
                    await self._transport.publish(topic, data)
            except TransportError:
                DROPPED.labels("hub.district_state").inc()
            except Exception:  # a fault in a view: facts must go on
                REFUSED.labels("hub", "fault").inc()
                log.exception("state not told")
            took_s = (self._clock.monotonic_ns() - started_ns) / 1e9
            await asyncio.sleep(max(STATE_S / 10, STATE_S - took_s))

    async def _look(self) -> None:
        while True:
            for region in self.neighbours.look(self._clock.wall_ns(), self._clock.monotonic_ns()):
                log.warning("neighbour silent", region=region)
                self.changed(region)
            for neighbour in self.neighbours.all():
                try:
                    waiting = self._outbox.depth(DISTRICT + neighbour.region).waiting
                except StorageError as error:
                    log.error("outbox not read", error=str(error))  # noqa: TRY400 -- the text says all
                    continue
                neighbour.waiting = sum(waiting.values())
                for lane in LANES:
                    WAITING.labels(DISTRICT + neighbour.region, lane).set(waiting.get(lane, 0))
            await asyncio.sleep(LOOK_S)
