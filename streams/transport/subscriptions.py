"""What all transports share: topics checked and matched, and the bounded queue of a subscriber.

A subscriber that is slow loses the oldest messages, never the newest, and each loss is counted.
"""

from __future__ import annotations

import asyncio
import time
import unicodedata
from collections import deque
from typing import Self

import structlog

from streams.errors import ForerunError, OversizedError, TopicError
from streams.health import DROPPED
from streams.topics import LARGEST_BYTES
from streams.transport import Delivery

QUEUE_MESSAGES = 1000
"""Messages that wait for one subscriber."""

QUEUE_BYTES = 16 * 1024 * 1024
"""Bytes that wait for one subscriber."""

log = structlog.get_logger(__name__)


def check_topic(topic: str) -> None:
    """Check that ``topic`` can be published to on every transport.

    Raises:
        TopicError: An empty token, a wildcard, a ``.``, a space or a control character: each
            means something else in MQTT than in NATS.
    """
    for token in topic.split("/"):
        _check_token(topic, token)


def check_pattern(pattern: str) -> None:
    """Check that ``pattern`` can be subscribed to: a topic, with ``+`` for whole tokens.

    Raises:
        TopicError: It cannot.
    """
    for part in pattern.split("/"):
        if part != "+":
            _check_token(pattern, part)


def _check_token(topic: str, token: str) -> None:
    if not token:
        raise TopicError(topic, "has an empty token")
    for character in token:
        if character in "+#*>." or unicodedata.category(character)[0] in "CZ":
            raise TopicError(topic, f"{character!r} is not allowed in a token")


def check_size(data: bytes) -> None:
    """Check that ``data`` is no larger than anything in the table of topics.

    Raises:
        OversizedError: It is; the broker would cut the connection for it.
    """
    if len(data) > LARGEST_BYTES:
        raise OversizedError(len(data), LARGEST_BYTES)


def matches(pattern: str, topic: str) -> bool:
    """Whether ``topic`` falls under ``pattern``, in which ``+`` stands for one token."""
    wanted, found = pattern.split("/"), topic.split("/")
    return len(wanted) == len(found) and all(
        want in ("+", token) for want, token in zip(wanted, found, strict=True)
    )


class DropCount:
    """Counts drops, and writes them to the log at most once a second with their number."""

    def __init__(self, place: str) -> None:
        """Count for ``place``, the label in ``/metrics``."""
        self.total = 0
        self._place = place
        self._counter = DROPPED.labels(place)
        self._unsaid = 0
        self._said_s = float("-inf")

    def add(self, topic: str) -> None:
        """Count one message that was dropped."""
        self.total += 1
        self._unsaid += 1
        self._counter.inc()
        now_s = time.monotonic()
        if now_s - self._said_s >= 1:
            log.warning("slow subscriber", place=self._place, dropped=self._unsaid, topic=topic)
            self._said_s, self._unsaid = now_s, 0


class Subscription:
    """The queue of one subscriber, and the iterator that empties it; for one reader.

    It ends when the transport closes, and raises when the other side takes the right away.
    """

    def __init__(
        self,
        pattern: str,
        drops: DropCount,
        *,
        limit: int = QUEUE_MESSAGES,
        limit_bytes: int = QUEUE_BYTES,
    ) -> None:
        """Prepare the queue.

        Args:
            pattern: What is subscribed to.
            drops: Where drops are counted.
            limit: Most messages that wait.
            limit_bytes: Most bytes that wait; one message always may.
        """
        self.pattern = pattern
        self._drops = drops
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._waiting: deque[Delivery] = deque()
        self._bytes = 0
        self._filled = asyncio.Event()
        self._ended = False
        self._error: ForerunError | None = None

    def put(self, topic: str, data: bytes) -> None:
        """Take a message in; of a full queue the oldest is dropped."""
        self._waiting.append(Delivery(topic, data))
        self._bytes += len(data)
        while len(self._waiting) > self._limit or (
            self._bytes > self._limit_bytes and len(self._waiting) > 1
        ):
            oldest = self._waiting.popleft()
            self._bytes -= len(oldest.data)
            self._drops.add(oldest.topic)
        self._filled.set()

    def end(self, error: ForerunError | None = None) -> None:
        """Say that nothing more will come, because of ``error`` if there is one."""
        self._ended, self._error = True, error
        self._filled.set()

    def __aiter__(self) -> Self:
        """Return itself."""
        return self

    async def __anext__(self) -> Delivery:
        """Return the oldest message that waits, or wait for one.

        Raises:
            CredentialError: The right to read this was taken away.
        """
        while not self._waiting:
            if self._ended:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._filled.clear()
            await self._filled.wait()
        delivery = self._waiting.popleft()
        self._bytes -= len(delivery.data)
        return delivery
