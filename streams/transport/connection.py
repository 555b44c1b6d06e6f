"""A connection that is made, kept and made again: what MQTT and NATS have in common.

The client libraries' own reconnecting is switched off: one loop here does it for both, with
the same back-off, the same states and the same words.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

import structlog

from streams.cancellation import heed_cancellation
from streams.errors import CredentialError, ForerunError, TransportError
from streams.transport import Delivery
from streams.transport.subscriptions import DropCount, Subscription, check_pattern

FIRST_DELAY_S = 0.1
"""Pause before the first new attempt; doubled at each failure, with jitter."""

LONGEST_DELAY_S = 2.0
"""Longest pause. It is for an other side that answers and refuses; a link that is away is
dialled all the time (``streams.transport.dialing``)."""

STEADY_S = 10.0
"""An attempt that took this long starts the pauses small again."""

HELD_S = 1.0
"""A connection that held this long was good: the next attempt starts at once."""

log = structlog.get_logger(__name__)


class ConnectedTransport(ABC):
    """Base of the transports that hold a connection to a broker; use it with ``async with``.

    Entering starts connecting and returns at once, so that a vehicle can start without a link;
    ``wait_connected`` waits. Subscriptions survive a new connection.

    Attributes:
        connections: How many connections were made so far. A change means that what was on
            the way may be lost and that whoever repeats should repeat now.
        refusal: Why the broker refused the credential at the last attempt, else None.
    """

    def __init__(self, place: str, queue_limit: int) -> None:
        self.connections = 0
        self.refusal: CredentialError | None = None
        self._place = place
        self._drops = DropCount(place)
        self._queue_limit = queue_limit
        self._subscriptions: list[Subscription] = []
        self._connected = False
        self._connected_s: float | None = None
        self._change = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    @property
    def dropped(self) -> int:
        """Messages dropped because a subscriber was slow, since the start."""
        return self._drops.total

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as this side knows."""
        return self._connected

    async def wait_connected(self, timeout_s: float = 10.0) -> None:
        """Wait until there is a connection.

        Raises:
            CredentialError: The broker refuses the credential.
            TransportError: There is no connection after ``timeout_s``.
        """
        await self._wait(lambda: self._connected or self.refusal is not None, timeout_s)
        if not self._connected and self.refusal is not None:
            raise self.refusal

    async def wait_disconnected(self, timeout_s: float) -> None:
        """Wait until the present connection is lost, even when the next one is there already.

        Raises:
            TransportError: It still stands after ``timeout_s``.
        """
        present = self.connections
        await self._wait(lambda: not self._connected or self.connections != present, timeout_s)

    async def _wait(self, condition: Callable[[], bool], timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s), self._change:
                await self._change.wait_for(condition)
        except TimeoutError:
            state = "connected" if self._connected else "no connection"
            raise TransportError(f"{self._place}: {state} after {timeout_s:g} s") from None

    async def __aenter__(self) -> Self:
        """Start connecting."""
        self._task = asyncio.create_task(self._supervise(), name=f"{self._place}.connection")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connection and end all subscriptions."""
        assert self._task is not None
        self._task.cancel()
        try:
            await asyncio.wait({self._task})
        finally:
            for subscription in self._subscriptions:
                subscription.end()

    async def _supervise(self) -> None:
        delay_s = FIRST_DELAY_S
        while True:
            started_s, self._connected_s = time.monotonic(), None
            try:
                await self._hold_one_connection()
            except CredentialError as error:
                await self._note(connected=False, refusal=error)
                log.error(  # noqa: TRY400 - the trace says nothing more
                    "credential refused", place=self._place, error=str(error)
                )
            except TransportError as error:
                log.info("no connection", place=self._place, error=str(error))
            except Exception:
                # A library's surprise must not end the only path of a vehicle for good.
                log.exception("connection failed", place=self._place)
            finally:
                self._connected = False
            await self._note(connected=False, refusal=self.refusal)
            now_s = time.monotonic()
            if self._held_for_s(now_s) > HELD_S:
                delay_s = FIRST_DELAY_S
                continue
            if now_s - started_s > STEADY_S:
                delay_s = FIRST_DELAY_S
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
            delay_s = min(2 * delay_s, LONGEST_DELAY_S)

    def _held_for_s(self, now_s: float) -> float:
        return 0.0 if self._connected_s is None else now_s - self._connected_s

    async def _hold_one_connection(self) -> None:
        try:
            async with self._open() as lost:
                self.connections += 1
                self._connected_s = time.monotonic()
                await self._note(connected=True, refusal=None)
                log.info("connected", place=self._place, connections=self.connections)
                heed_cancellation()  # subscribing, above, may have swallowed one
                await lost()
        except CredentialError:
            raise
        except TransportError:
            self.refusal = None
            raise

    async def _note(self, *, connected: bool, refusal: CredentialError | None) -> None:
        self._connected, self.refusal = connected, refusal
        async with self._change:
            self._change.notify_all()

    @contextlib.asynccontextmanager
    async def subscribe(self, pattern: str) -> AsyncIterator[AsyncIterator[Delivery]]:
        """Subscribe to ``pattern``; while there is no connection, from the next one on.

        Raises:
            CredentialError: The broker refuses it. When the right is lost later, iterating
                raises it.
            TopicError: ``pattern`` has an empty or impossible token.
        """
        check_pattern(pattern)
        subscription = Subscription(pattern, self._drops, limit=self._queue_limit)
        self._subscriptions.append(subscription)
        try:
            if self._connected:
                # A connection that is lost meanwhile is no error: the next one subscribes.
                with contextlib.suppress(TransportError):
                    await self._begin(subscription)
            yield subscription
        finally:
            self._subscriptions.remove(subscription)
            await self._forget(subscription)

    async def _begin_all(self) -> None:
        for subscription in list(self._subscriptions):
            try:
                await self._begin(subscription)
            except CredentialError as error:
                subscription.end(error)

    async def _forget(self, subscription: Subscription) -> None:
        with contextlib.suppress(ForerunError):
            await self._stop(subscription)

    @abstractmethod
    def _open(self) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        """Connect and subscribe again; gives a function that returns when it is lost.

        Raises:
            CredentialError: The credential is refused.
            TransportError: There is no path, or it was lost.
        """

    @abstractmethod
    async def _begin(self, subscription: Subscription) -> None:
        """Subscribe at the broker.

        Raises:
            CredentialError: Refused.
            TransportError: The connection is lost.
        """

    @abstractmethod
    async def _stop(self, subscription: Subscription) -> None:
        """Unsubscribe at the broker, if nobody else needs it."""
