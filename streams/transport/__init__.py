"""Transports: bytes to a topic and back, the same over MQTT, NATS, WebRTC and memory.

A transport promises little: a message arrives as it was sent or not at all, and ``publish``
returning is *not* delivery (a broker acknowledges what its rights then drop). Who needs more
builds it on top: ``streams.delivery`` repeats until the other application acknowledges.

Topics are written with ``/`` everywhere in this code (``ems/north/unit-7/vitals``); the NATS
transport maps them to subjects with ``.``. A pattern may have ``+`` for one token.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message that arrived.

    Attributes:
        topic: Its topic, with ``/``.
        data: Its bytes.
    """

    topic: str
    data: bytes


class Transport(Protocol):
    """What each transport can do, held by ``tests/contract/test_transports.py``.

    ``publish`` raises ``TransportError`` when there is no path and ``TopicError`` for a
    topic with a wildcard or an empty token. ``subscribe`` yields an iterator over what
    arrives, bounded: when the reader is slow the oldest message is dropped and counted.
    """

    dropped: int
    """Messages dropped because a subscriber was slow, since the start."""

    async def publish(self, topic: str, data: bytes) -> None:
        """Send ``data`` to ``topic``."""

    def subscribe(self, pattern: str) -> AbstractAsyncContextManager[AsyncIterator[Delivery]]:
        """Subscribe to ``pattern``; from entering the context on nothing is missed.

        Raises:
            CredentialError: The other side refuses the subscription.
        """
