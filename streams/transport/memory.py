"""A transport inside one process: the contract of the others, with faults on demand.

``MemoryNetwork`` stands for the broker and the links; each ``MemoryTransport`` is one client of
it. For tests and simulations: what it drops, repeats and reorders comes from a seed.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Self

from streams.broker_rights import Rights, rights_of
from streams.credentials import Credential
from streams.errors import CredentialError, TransportError
from streams.transport import Delivery
from streams.transport.subscriptions import (
    QUEUE_MESSAGES,
    DropCount,
    Subscription,
    check_pattern,
    check_size,
    check_topic,
    matches,
)


@dataclass(frozen=True, slots=True)
class Faults:
    """What may happen to a message on its way, each as a probability from 0 to 1.

    Attributes:
        drop: It never arrives.
        duplicate: It arrives twice.
        reorder: It arrives after the next one.
    """

    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0


class MemoryNetwork:
    """What several transports share.

    Attributes:
        faults: What happens to messages; set it at any time.
        published: How many messages were published.
        restored: How often the paths came back.
        refused: How many a credential had no right to publish; they were dropped silently, as
            a broker does.
    """

    def __init__(self, faults: Faults | None = None, *, seed: int = 0) -> None:
        """Make a network without clients."""
        self.faults = faults or Faults()
        self.published = 0
        self.refused = 0
        self._random = random.Random(seed)
        self.restored = 0
        self._up = True
        self._change = asyncio.Condition()
        self._subscriptions: list[Subscription] = []
        self._held: Delivery | None = None

    @property
    def up(self) -> bool:
        """Whether there is a path."""
        return self._up

    async def cut(self) -> None:
        """Cut all paths: publishing raises, what is held back is lost."""
        self._held = None
        await self._set(up=False)

    async def restore(self) -> None:
        """Bring the paths back; subscriptions are still there."""
        self.restored += 0 if self._up else 1
        await self._set(up=True)

    async def _set(self, *, up: bool) -> None:
        self._up = up
        async with self._change:
            self._change.notify_all()

    async def wait(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Wait until a condition on ``up`` and ``restored`` holds.

        Raises:
            TransportError: That did not happen within ``timeout_s``.
        """
        try:
            async with asyncio.timeout(timeout_s), self._change:
                await self._change.wait_for(condition)
        except TimeoutError:
            raise TransportError(f"memory: no change after {timeout_s:g} s") from None

    def carry(self, delivery: Delivery) -> None:
        """Bring a message to all who subscribe, or not, as ``faults`` says."""
        self.published += 1
        if self._random.random() < self.faults.drop:
            return
        copies = 2 if self._random.random() < self.faults.duplicate else 1
        held, self._held = self._held, None
        if held is None and self._random.random() < self.faults.reorder:
            self._held = delivery
            return
        for _ in range(copies):
            self._hand_out(delivery)
        if held is not None:
            self._hand_out(held)

    def _hand_out(self, delivery: Delivery) -> None:
        for subscription in self._subscriptions:
            if matches(subscription.pattern, delivery.topic):
                subscription.put(delivery.topic, delivery.data)

    def join(self, subscription: Subscription) -> None:
        """Add a subscription."""
        self._subscriptions.append(subscription)

    def leave(self, subscription: Subscription) -> None:
        """Remove a subscription."""
        self._subscriptions.remove(subscription)


class MemoryTransport:
    """One client of a ``MemoryNetwork``; use it with ``async with`` like the others."""

    def __init__(
        self,
        network: MemoryNetwork,
        credential: Credential | None = None,
        *,
        queue_limit: int = QUEUE_MESSAGES,
    ) -> None:
        """Join ``network``.

        Args:
            network: Whom to reach.
            credential: If given, its rights at the broker hold here too.
            queue_limit: Messages that wait for one slow subscriber.
        """
        self._network = network
        self._rights = _rights(credential)
        self._drops = DropCount("memory")
        self._queue_limit = queue_limit
        self._open: list[Subscription] = []
        self.refusal: CredentialError | None = None

    @property
    def dropped(self) -> int:
        """Messages dropped because a subscriber was slow, since the start."""
        return self._drops.total

    @property
    def connected(self) -> bool:
        """Whether there is a path."""
        return self._network.up

    @property
    def connections(self) -> int:
        """How many paths there were so far, see ``ConnectedTransport``."""
        return 1 + self._network.restored

    async def wait_connected(self, timeout_s: float = 10.0) -> None:
        """Wait until there is a path.

        Raises:
            TransportError: There is none after ``timeout_s``.
        """
        await self._network.wait(lambda: self.connected, timeout_s)

    async def wait_disconnected(self, timeout_s: float) -> None:
        """Wait until the present path is cut, even when the next one is there already.

        Raises:
            TransportError: It still stands after ``timeout_s``.
        """
        present = self.connections
        await self._network.wait(
            lambda: not self.connected or self.connections != present, timeout_s
        )

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all subscriptions."""
        for subscription in self._open:
            subscription.end()

    async def publish(self, topic: str, data: bytes) -> None:
        """Bring ``data`` to all who subscribe to ``topic``.

        Raises:
            TopicError: ``topic`` has a wildcard or an impossible token.
            OversizedError: More than anything in the table of topics.
            TransportError: The network is cut.
        """
        check_topic(topic)
        check_size(data)
        await asyncio.sleep(0)  # others run here, as with a real path
        if not self._network.up:
            raise TransportError("the memory network is cut")
        if self._rights is not None and not self._rights.may_publish(topic):
            self._network.refused += 1
            return
        self._network.carry(Delivery(topic, data))

    async def post(self, topic: str, data: bytes) -> None:
        """Do as ``publish``: here is no broker for whose answer one could wait."""
        await self.publish(topic, data)

    @property
    def has_room(self) -> bool:
        """Whether facts that can wait may be handed over: always."""
        return True

    @property
    def in_use(self) -> str:
        """Name of the uplink in use: there is just one, without a name."""
        return ""

    @contextlib.asynccontextmanager
    async def subscribe(self, pattern: str) -> AsyncIterator[AsyncIterator[Delivery]]:
        """Subscribe to ``pattern``.

        Raises:
            CredentialError: The credential has no right to it.
            TopicError: ``pattern`` has an empty or impossible token.
        """
        check_pattern(pattern)
        if self._rights is not None and not self._rights.may_subscribe(pattern):
            raise CredentialError(f"no right to read {pattern}")
        subscription = Subscription(pattern, self._drops, limit=self._queue_limit)
        self._open.append(subscription)
        self._network.join(subscription)
        try:
            yield subscription
        finally:
            self._network.leave(subscription)
            self._open.remove(subscription)


def _rights(credential: Credential | None) -> Rights | None:
    if credential is None:
        return None
    return rights_of(credential.role, credential.region, credential.name, drill=credential.drill)
