"""WebRTC data channel as a transport: for live data, where the freshest wins.

A ``DataUplink`` is a WHIP session with nothing but a data channel, unordered and without
retransmission, so that a lost packet never delays the next one. Keep messages below
``PACKET_BYTES``, few per second: aiortc's SCTP collapses under bulk (see the facts on
performance). ``WebRtcTransport`` carries topics over it.

The relay sends an empty message twice a second; two seconds in which nothing
at all arrives end the path and a new one is built (aiortc has no ICE restart).
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiortc import RTCDataChannel

from streams.errors import MalformedError, OversizedError, TopicError, TransportError
from streams.transport import Delivery
from streams.transport.connection import ConnectedTransport
from streams.transport.subscriptions import QUEUE_MESSAGES, Subscription, check_topic, matches
from streams.webrtc import (
    PeerConnection,
    PeerSettings,
    Progress,
    Signalling,
    close_peer,
    connect_peer,
    count_received_bytes,
)

PACKET_BYTES = 1100
"""A message up to here fits one packet and is lost or comes as a whole, at once."""

LARGEST_MESSAGE_BYTES = 64 * 1024
"""The relay takes no larger message."""

TRANSPORT_LABEL = "transport"
"""Label of the channel that carries topics."""

_WATCH_EVERY_S = 0.1
_BUFFER_BYTES = 16 * 1024
_CHUNK_BYTES = 32
_TOPIC_LENGTH_BYTES = 2


@dataclass(frozen=True, slots=True)
class UplinkCounts:
    """What went over an uplink since its start.

    Attributes:
        sent: Messages handed to a channel.
        sent_bytes: Their bytes.
        dropped: Messages dropped, the oldest first, because there was no path or it was full.
        received: Messages that came down, heartbeats not counted.
        connections: Paths built.
    """

    sent: int
    sent_bytes: int
    dropped: int
    received: int
    connections: int


class DataUplink(ConnectedTransport):
    """Sends frames up a data channel, and gives what comes down to a callback.

    Use it with ``async with``; entering returns at once, ``wait_connected`` waits.
    """

    def __init__(
        self,
        signalling: Signalling,
        *,
        label: str,
        peer: PeerSettings | None = None,
        on_message: Callable[[bytes], None] | None = None,
        kept: int = 32,
        silence_s: float = 2.0,
        connect_timeout_s: float = 10.0,
        queue_limit: int = QUEUE_MESSAGES,
        beside: Mapping[str, Callable[[bytes], None]] | None = None,
    ) -> None:
        """Prepare an uplink.

        Args:
            signalling: The WHIP endpoint of a resource of its own, such as ``unit-7/data``: a
                second publisher on a resource takes it over.
            label: Of the channel; the hub's callback gets it.
            peer: Interfaces and ICE servers.
            on_message: Takes what comes down; it must not block.
            kept: Messages kept while there is no path, or while it is full.
            silence_s: A path on which nothing arrives for so long is given up.
            connect_timeout_s: For a new path to stand.
            queue_limit: Messages that wait for one slow subscriber.
            beside: Labels of further channels on the same path, and what takes their messages.
        """
        super().__init__("webrtc", queue_limit)
        self._signalling = signalling
        self._label = label
        self._peer_settings = peer or PeerSettings()
        self._on_message = on_message
        self._kept: deque[bytes] = deque()
        self._kept_limit = kept
        self._silence_s = silence_s
        self._connect_timeout_s = connect_timeout_s
        self._channel: RTCDataChannel | None = None
        self._beside = dict(beside or {})
        self._channels_beside: dict[str, RTCDataChannel] = {}
        self._sent = self._sent_bytes = self._dropped_up = self._received = 0

    @property
    def counts(self) -> UplinkCounts:
        """What went over it since its start."""
        return UplinkCounts(
            self._sent, self._sent_bytes, self._dropped_up, self._received, self.connections
        )

    def send(self, data: bytes) -> bool:
        """Send one message, or keep it for the next path.

        Args:
            data: 1 to ``LARGEST_MESSAGE_BYTES``, better below ``PACKET_BYTES``.

        Returns:
            Whether it was handed to the channel; False when it waits (and of those that wait
            the oldest may have been dropped).

        Raises:
            OversizedError: It is too large for the relay.
            ValueError: It is empty: an empty message is a heartbeat.
        """
        if not data:
            raise ValueError("an empty message is a heartbeat")
        if len(data) > LARGEST_MESSAGE_BYTES:
            raise OversizedError(len(data), LARGEST_MESSAGE_BYTES)
        self._kept.append(data)
        self._flush()
        if not self._kept:
            return True
        while len(self._kept) > self._kept_limit:
            self._kept.popleft()
            self._dropped_up += 1
        return False

    def send_beside(self, label: str, burst: Sequence[bytes]) -> bool:
        """Send messages over a channel of ``beside`` in one burst, now or not at all.

        SCTP's window would cut a burst into pieces, one a round trip, and what waits for it
        would stand before the frames of the main channel: so the window is opened as far as
        the burst needs. Keep bursts small and rare.

        Args:
            label: Of the channel.
            burst: Messages below ``PACKET_BYTES``.

        Returns:
            Whether it was sent; False without a path, or while something waits.
        """
        channel = self._channels_beside.get(label)
        if channel is None or channel.readyState != "open" or channel.bufferedAmount:
            return False
        if len(burst) > 1:
            sctp = channel.transport
            room = sctp._flight_size + sum(len(data) + _CHUNK_BYTES for data in burst)
            sctp._cwnd = max(sctp._cwnd, room)
        for data in burst:
            channel.send(data)
        return True

    def _flush(self) -> None:
        channel = self._channel
        while self._kept and channel is not None and channel.readyState == "open":
            if channel.bufferedAmount > _BUFFER_BYTES:
                return
            data = self._kept.popleft()
            channel.send(data)
            self._sent += 1
            self._sent_bytes += len(data)

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        peer = PeerConnection(self._peer_settings)
        channel = peer.createDataChannel(self._label, ordered=False, maxRetransmits=0)
        opened = asyncio.Event()
        channel.bufferedAmountLowThreshold = _BUFFER_BYTES // 2
        channel.on("open", opened.set)
        channel.on("message", self._take)
        channel.on("bufferedamountlow", self._flush)
        beside = {label: self._open_beside(peer, label) for label in self._beside}
        session_url = ""
        try:
            session_url = await connect_peer(peer, self._signalling)
            try:
                async with asyncio.timeout(max(self._connect_timeout_s, peer.set_up_s)):
                    await opened.wait()
            except TimeoutError as error:
                raise TransportError(f"{self._signalling.url}: no path for data") from error
            self._channel, self._channels_beside = channel, beside
            self._flush()
            yield lambda: self._until_silent(peer)
        except TransportError:
            session_url = ""  # lost: the next path replaces it; only an end in order is told
            raise
        finally:
            self._channel, self._channels_beside = None, {}
            if session_url:
                await self._signalling.delete(session_url)
            await close_peer(peer)

    def _open_beside(self, peer: PeerConnection, label: str) -> RTCDataChannel:
        channel = peer.createDataChannel(label, ordered=False, maxRetransmits=0)
        take = self._beside[label]

        def take_message(message: str | bytes) -> None:
            if isinstance(message, bytes) and message:  # an empty one is a heartbeat
                take(message)

        channel.on("message", take_message)
        return channel

    async def _until_silent(self, peer: PeerConnection) -> None:
        progress = Progress(self._silence_s)
        while True:
            if peer.connectionState in ("failed", "closed"):
                raise TransportError(f"{self._signalling.url}: the path is {peer.connectionState}")
            peer.check_address(time.monotonic())
            if progress.is_dead(count_received_bytes(peer), time.monotonic()):
                raise TransportError(
                    f"{self._signalling.url}: nothing arrived for {self._silence_s:g} s"
                )
            await asyncio.sleep(_WATCH_EVERY_S)

    def _take(self, message: str | bytes) -> None:
        data = message.encode() if isinstance(message, str) else message
        if not data:
            return
        self._received += 1
        if self._on_message is not None:
            self._on_message(data)

    async def _begin(self, subscription: Subscription) -> None:
        """Nothing to do: the hub sends down what is for this side."""

    async def _stop(self, subscription: Subscription) -> None:
        """Nothing to do, as in ``_begin``."""


class WebRtcTransport(DataUplink):
    """Topics over a data channel; the hub's side is ``dispatch.relay_transport``."""

    def __init__(
        self, signalling: Signalling, *, peer: PeerSettings | None = None, **options: Any
    ) -> None:
        """Prepare a transport; ``options`` are those of ``DataUplink``."""
        super().__init__(
            signalling,
            label=TRANSPORT_LABEL,
            peer=peer,
            on_message=self._deliver,
            **options,
        )
        self.malformed = 0

    async def publish(self, topic: str, data: bytes) -> None:
        """Send ``data`` to ``topic``.

        Raises:
            TopicError: ``topic`` has a wildcard or an impossible token.
            OversizedError: More than the relay takes.
            TransportError: There is no path.
        """
        frame = pack_delivery(topic, data)
        if not self.connected:
            raise TransportError(f"{self._signalling.url}: no path")
        self.send(frame)
        await asyncio.sleep(0)  # lets the channel work off a burst

    def _deliver(self, message: bytes) -> None:
        try:
            delivery = unpack_delivery(message)
        except MalformedError:
            self.malformed += 1
            return
        for subscription in self._subscriptions:
            if matches(subscription.pattern, delivery.topic):
                subscription.put(delivery.topic, delivery.data)


def pack_delivery(topic: str, data: bytes) -> bytes:
    """Return a message: two bytes of length, big-endian, the topic in UTF-8, the data.

    Raises:
        TopicError: ``topic`` cannot be published to.
        OversizedError: The whole is more than the relay takes.
    """
    check_topic(topic)
    name = topic.encode()
    size = _TOPIC_LENGTH_BYTES + len(name) + len(data)
    if size > LARGEST_MESSAGE_BYTES:
        raise OversizedError(size, LARGEST_MESSAGE_BYTES)
    return len(name).to_bytes(_TOPIC_LENGTH_BYTES, "big") + name + data


def unpack_delivery(message: bytes) -> Delivery:
    """Read a message of ``pack_delivery``.

    Raises:
        MalformedError: It is shorter than it says, or its topic is no UTF-8 or none that can be
            published to, such as one with a wildcard.
    """
    length = int.from_bytes(message[:_TOPIC_LENGTH_BYTES], "big")
    end = _TOPIC_LENGTH_BYTES + length
    if len(message) < max(end, _TOPIC_LENGTH_BYTES):
        raise MalformedError("a data-channel message is shorter than its topic")
    try:
        topic = message[_TOPIC_LENGTH_BYTES:end].decode()
        check_topic(topic)
    except UnicodeDecodeError as error:
        raise MalformedError("the topic of a data-channel message is no UTF-8") from error
    except TopicError as error:
        raise MalformedError(f"a data-channel message is to no topic: {error}") from error
    return Delivery(topic, message[end:])
