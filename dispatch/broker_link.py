"""The hub's side of the broker: its streams are made, facts are read, streams are listened to."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Final

import structlog

from dispatch.forwarder import Forwarder
from dispatch.ingest import Ingest
from dispatch.live_streams import LiveStreams
from streams import topics
from streams.broker_rights import Flow, stream_name
from streams.cancellation import heed_cancellation
from streams.errors import StorageError, TransportError
from streams.health import REFUSED
from streams.topics import Scope
from streams.transport.jetstream import StreamWatch
from streams.transport.nats import NatsTransport

HEARD: Final[tuple[tuple[Scope, str], ...]] = (
    ("unit", "position"),
    ("unit", "receipt_up"),
    ("unit", "time_request"),
    ("unit", "outbox_up"),
    ("hospital", "receipt_up"),
    ("hospital", "time_request"),
    ("hospital", "outbox_up"),
)
"""Stream topics that the hub listens to."""

FLOWS: Final[dict[Scope, Flow]] = {"unit": "from_units", "hospital": "from_hospitals"}
"""The JetStream flows of facts that the hub reads."""

RETRY_S = 1.0
WATCH_S = 5.0

log = structlog.get_logger(__name__)


class BrokerLink:
    """Keeps the region's streams and takes what comes in them.

    Attributes:
        ready: Set once the broker has the region's streams and consumers.
    """

    def __init__(
        self,
        transport: NatsTransport,
        *,
        name: str,
        region: str,
        hospitals: Iterable[str],
        ingest: Ingest,
        live: LiveStreams,
        forwarder: Forwarder,
    ) -> None:
        """Prepare.

        Args:
            transport: The connection, entered.
            name: The hub's, which is also that of its consumers.
            region: The region.
            hospitals: Each gets a consumer of its own.
            ingest: Takes facts.
            live: Takes streams.
            forwarder: Told when the connection is a new one.
        """
        self.ready = asyncio.Event()
        self._transport = transport
        self._name = name
        self._region = region
        self._hospitals = tuple(hospitals)
        self._ingest = ingest
        self._live = live
        self._forwarder = forwarder
        self._made_at = 0

    @property
    def streams_stand(self) -> bool:
        """Whether the streams were made since the broker was last lost: else it keeps nothing."""
        transport = self._transport
        return transport.connected and transport.connections == self._made_at

    def start(self, group: asyncio.TaskGroup) -> None:
        """Start its tasks."""
        group.create_task(self._keep_streams(), name="hub.broker")
        for scope in FLOWS:
            group.create_task(self._read_facts(scope), name=f"hub.facts[{scope}]")
        for scope, kind in HEARD:
            group.create_task(self._listen(scope, kind), name=f"hub.streams[{scope}.{kind}]")

    async def _keep_streams(self) -> None:
        """Make the region's streams at each new connection, and watch how full they are."""
        watch = StreamWatch()
        names: tuple[str, ...] = ()
        while True:
            heed_cancellation()  # nats-py swallows one that meets an answer
            try:
                await self._transport.wait_connected()
                if self._transport.connections != self._made_at:
                    made_at = self._transport.connections
                    names = await self._make_streams()
                    self._made_at = made_at
                    self.ready.set()
                    self._forwarder.path_is_new()
                await watch.look(self._transport.jetstream(), names)
            except (TransportError, StorageError) as error:
                self._made_at = 0
                log.warning("streams not ready", error=str(error))
                await asyncio.sleep(RETRY_S)
                continue
            if self._transport.connections == self._made_at:  # else it was lost and is back already
                with contextlib.suppress(TransportError):
                    await self._transport.wait_disconnected(WATCH_S)

    async def _make_streams(self) -> tuple[str, ...]:
        names = await self._transport.ensure_streams(self._region)
        for flow in FLOWS.values():
            await self._transport.ensure_consumer(stream_name(flow, self._region), self._name)
        for hospital in self._hospitals:
            await self._transport.ensure_hospital_consumer(self._region, hospital)
        return names

    async def _read_facts(self, scope: Scope) -> None:
        await self.ready.wait()
        stream = stream_name(FLOWS[scope], self._region)
        async with contextlib.aclosing(self._transport.pull(stream, self._name)) as batches:
            await self._ingest.run(scope, batches)

    async def _listen(self, scope: Scope, kind: str) -> None:
        pattern = topics.path(scope, self._region, "+", kind)
        async with self._transport.subscribe(pattern) as deliveries:
            async for delivery in deliveries:
                heed_cancellation()  # what was said of the one before may have swallowed it
                try:
                    await self._live.take(delivery, "unit" if scope == "unit" else "hospital")
                except Exception:  # a fault in a view of the freshest: facts must go on coming
                    REFUSED.labels("hub", "fault").inc()
                    log.exception("stream not taken", topic=delivery.topic)
