"""The hub's side of ``streams.transport.webrtc``: topics over the vehicles' data channels.

There is no broker between that would know rights, so this side keeps them: a vehicle may publish
only what belongs to its own resource and only kinds that vehicles make, and gets only what
belongs to its resource. Which one that is is said by the caller, once, for both directions.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Self

from dispatch.relay import Relay
from streams import topics
from streams.errors import ForerunError, MalformedError, TransportError
from streams.transport import Delivery
from streams.transport.subscriptions import (
    QUEUE_MESSAGES,
    DropCount,
    Subscription,
    check_pattern,
    matches,
)
from streams.transport.webrtc import TRANSPORT_LABEL, pack_delivery, unpack_delivery


class RelayTransport:
    """All vehicles that have a transport channel at a relay, as one transport.

    Use it with ``async with``; it takes messages while it is entered. It lives through an end
    and a new beginning of the relay.

    Attributes:
        malformed: Messages that were no deliveries.
        foreign: Messages of a topic that is not the sender's own, or not of its making.
    """

    def __init__(
        self,
        relay: Relay,
        resource_of: Callable[[str], str | None],
        *,
        queue_limit: int = QUEUE_MESSAGES,
    ) -> None:
        """Prepare; entered, it takes the relay's messages labelled ``TRANSPORT_LABEL``.

        Args:
            relay: The relay.
            resource_of: Gives the resource that a topic belongs to, such as ``unit-7/data`` for
                ``ems/north/unit-7/vitals``; None for a topic that no vehicle has.
            queue_limit: Messages that wait for one slow subscriber.
        """
        self.malformed = self.foreign = 0
        self._relay = relay
        self._resource_of = resource_of
        self._queue_limit = queue_limit
        self._drops = DropCount("relay")
        self._subscriptions: list[Subscription] = []

    async def __aenter__(self) -> Self:
        """Begin to take messages."""
        self._relay.take_messages(TRANSPORT_LABEL, self._take)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Take no more, and end all subscriptions."""
        self._relay.leave_messages(TRANSPORT_LABEL, self._take)
        for subscription in self._subscriptions:
            subscription.end()

    @property
    def dropped(self) -> int:
        """Messages dropped because a subscriber was slow, since the start."""
        return self._drops.total

    async def publish(self, topic: str, data: bytes) -> None:
        """Send ``data`` to the vehicle that ``topic`` belongs to.

        Raises:
            TopicError: ``topic`` has a wildcard or an impossible token.
            OversizedError: More than a data channel takes.
            TransportError: The vehicle has no path now, or it is full.
        """
        frame = pack_delivery(topic, data)
        resource = self._resource_of(topic)
        if resource is None or not self._relay.send(resource, TRANSPORT_LABEL, frame):
            raise TransportError(f"no data channel for {topic}")
        await asyncio.sleep(0)  # lets the channel work off a burst

    @contextlib.asynccontextmanager
    async def subscribe(self, pattern: str) -> AsyncIterator[AsyncIterator[Delivery]]:
        """Subscribe to what vehicles publish.

        Raises:
            TopicError: ``pattern`` has an empty or impossible token.
        """
        check_pattern(pattern)
        subscription = Subscription(pattern, self._drops, limit=self._queue_limit)
        self._subscriptions.append(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.remove(subscription)

    def _take(self, resource: str, _label: str, message: bytes) -> None:
        try:
            delivery = unpack_delivery(message)
        except MalformedError:
            self.malformed += 1
            return
        if self._resource_of(delivery.topic) != resource or not _is_made_by_units(delivery.topic):
            self.foreign += 1
            return
        for subscription in self._subscriptions:
            if matches(subscription.pattern, delivery.topic):
                subscription.put(delivery.topic, delivery.data)


def _is_made_by_units(topic: str) -> bool:
    try:
        address = topics.parse(topic)
    except ForerunError:
        return False
    return address.scope == "unit" and "unit" in address.topic.makers
