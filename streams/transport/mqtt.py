"""MQTT by aiomqtt: the vehicle's uplink. Version 3.1.1 only, because NATS speaks no other.

What the broker acknowledges is not delivery: NATS acknowledges (PUBACK) a publish that the
rights forbid, and drops it. Who needs delivery waits for the application's own receipt.

Sessions are clean: what is made while there is no connection waits in the outbox of its maker,
not in the broker. Subscriptions ask for QoS 0, because NATS delivers what the hub publishes at
QoS 0 whatever is asked, and a QoS 1 subscription would cost one JetStream consumer each.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import math
import secrets
import socket
import ssl
import termios
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, cast

import aiomqtt
from paho.mqtt.reasoncodes import ReasonCode

from streams.credentials import Credential
from streams.errors import CredentialError, TransportError
from streams.topics import TOPICS
from streams.transport.connection import ConnectedTransport
from streams.transport.subscriptions import (
    QUEUE_MESSAGES,
    Subscription,
    check_size,
    check_topic,
    matches,
)

KEEPALIVE_S = 10
"""A dead connection is noticed after at most twice this."""

SLOWEST_BYTES_PER_S = 16_000
"""A proxy on the way may hold bytes that look delivered: they get this rate on top of the
patience with a path that shows no progress."""

WEBSOCKET_PATH = "/mqtt"
"""Where NATS speaks MQTT on its WebSocket listener."""

_REFUSED_CODES = {4, 5, 134, 135}
"""CONNACK of MQTT 3.1.1, section 3.2.2.3 (4 and 5), and how paho maps them to MQTT 5."""


class MqttTransport(ConnectedTransport):
    """A connection to an MQTT broker; see ``ConnectedTransport``.

    Two subscriptions of one transport to different patterns that overlap may both get a
    message twice: MQTT 3.1.1, section 3.3.5, lets the broker send one copy for each.
    """

    def __init__(
        self,
        host: str,
        port: int,
        credential: Credential,
        ssl_context: ssl.SSLContext | None,
        *,
        websocket: bool = False,
        keepalive_s: int = KEEPALIVE_S,
        timeout_s: float = 5.0,
        queue_limit: int = QUEUE_MESSAGES,
    ) -> None:
        """Prepare the connection.

        Args:
            host: The broker's name or address.
            port: 8883 for MQTT over TLS, 443 for WebSocket as a rule.
            credential: Who connects.
            ssl_context: ``streams.authority.client_context(...)``; None only for a broker on
                this machine that has no TLS.
            websocket: MQTT over WebSocket at ``/mqtt`` instead of plain TCP.
            keepalive_s: See ``KEEPALIVE_S``.
            timeout_s: Longest wait for the broker's answer to a connect or a subscribe, and
                longest time without any progress of a publish. A large message on a narrow
                link may take longer, as long as it moves.
            queue_limit: Messages that wait for one slow subscriber.
        """
        super().__init__("mqtt", queue_limit)
        self._host = host
        self._port = port
        self._credential = credential
        self._ssl_context = ssl_context
        self._websocket = websocket
        self._keepalive_s = keepalive_s
        self._timeout_s = timeout_s
        self._client: aiomqtt.Client | None = None
        self._subscribing = asyncio.Lock()
        self._publishing: dict[asyncio.Timeout, int] = {}
        """What is being published, with its bytes."""
        self._answers = 0
        """Messages and acknowledgements that came: the sign that the path lives."""

    async def publish(self, topic: str, data: bytes) -> None:
        """Send ``data`` at the QoS that the table of topics gives the kind of ``topic``.

        Returns when the broker has it (QoS 1) or when it left this process (QoS 0). Cancelling
        leaves the transport usable; whether the message went is then unknown.

        Raises:
            TopicError: ``topic`` has a wildcard or an impossible token.
            OversizedError: More than anything in the table of topics.
            TransportError: There is no connection, or it was lost or made no progress.
        """
        check_topic(topic)
        check_size(data)
        client = self._client
        if client is None or not self._connected:
            raise TransportError(f"no connection to {self._host}:{self._port}")
        row = TOPICS.get(topic.rpartition("/")[2])
        try:
            with self._watched(len(data)) as scope:
                async with scope:
                    # The time limit is the watch's: no progress, not a slow link.
                    await client.publish(topic, data, row.qos if row else 0, timeout=math.inf)
                    self._answers += 1
        except TimeoutError:
            raise TransportError(f"connection to {self._host} lost while publishing") from None
        except aiomqtt.MqttError as error:
            raise TransportError(f"{self._host}: {error}") from error

    @contextlib.contextmanager
    def _watched(self, size: int) -> Iterator[asyncio.Timeout]:
        scope = asyncio.timeout(None)
        self._publishing[scope] = size
        try:
            yield scope
        finally:
            del self._publishing[scope]

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        client = self._new_client()
        await self._connect(client)
        self._client = client
        try:
            await self._begin_all()
            yield lambda: self._until_lost(client)
        finally:
            self._client = None
            self._give_up_publishing()
            with contextlib.suppress(aiomqtt.MqttError):
                await client.__aexit__(None, None, None)

    def _new_client(self) -> aiomqtt.Client:
        name = self._credential.name
        client = aiomqtt.Client(
            self._host,
            self._port,
            username=name,
            password=self._credential.secret,
            # The name makes the broker's log readable; the rest keeps a second process of the
            # same vehicle from throwing out the first.
            identifier=f"{name}-{secrets.token_hex(4)}",
            protocol=aiomqtt.ProtocolVersion.V311,
            clean_session=True,
            transport="websockets" if self._websocket else "tcp",
            websocket_path=WEBSOCKET_PATH if self._websocket else None,
            timeout=self._timeout_s,
            keepalive=self._keepalive_s,
            tls_context=self._ssl_context,
            # aiomqtt's own queue would drop the newest, uncounted: this one holds nothing and
            # hands on to the subscribers' queues, which drop the oldest and count.
            queue_type=cast("type[asyncio.Queue[aiomqtt.Message]]", self._new_handover),
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        # The blocking part of connecting runs in a thread that cannot be cancelled.
        client._client.connect_timeout = self._timeout_s
        client.pending_calls_threshold = 1000  # below it, aiomqtt logs a line per publish
        return client

    def _new_handover(self, maxsize: int) -> _Handover:
        return _Handover(self._take, maxsize)

    def _take(self, message: aiomqtt.Message) -> None:
        self._answers += 1
        topic, data = str(message.topic), message.payload
        for subscription in self._subscriptions:
            if matches(subscription.pattern, topic):
                subscription.put(topic, data)

    async def _connect(self, client: aiomqtt.Client) -> None:
        entering = asyncio.create_task(client.__aenter__(), name="mqtt.connect")
        try:
            await asyncio.shield(entering)
        except asyncio.CancelledError:
            # Let the thread finish and close what it opened, else its socket would stay.
            with contextlib.suppress(aiomqtt.MqttError):
                await entering
            client._client.disconnect()
            raise
        except aiomqtt.MqttError as error:
            client._client.disconnect()  # aiomqtt leaves the socket of a refused one open
            if _code(getattr(error, "rc", None)) in _REFUSED_CODES:
                name = self._credential.name
                raise CredentialError(f"{self._host} refuses the credential of {name}") from error
            raise TransportError(f"{self._host}:{self._port}: {error}") from error

    async def _until_lost(self, client: aiomqtt.Client) -> None:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(self._watch_progress(client), name="mqtt.watch")
            end = group.create_task(_disconnection(client), name="mqtt.end")
            await asyncio.wait({watch, end}, return_when=asyncio.FIRST_COMPLETED)
            watch.cancel()
            end.cancel()

    async def _watch_progress(self, client: aiomqtt.Client) -> None:
        """Return when something is being published and nothing moved for ``timeout_s``.

        Bytes that the other side's TCP acknowledges count as movement: age alone would give up
        a good but narrow link, and then send the same bytes again for ever.
        """
        seen, quiet_s, step_s = (-1, -1), 0.0, min(0.5, self._timeout_s / 4)
        while quiet_s < self._timeout_s + sum(self._publishing.values()) / SLOWEST_BYTES_PER_S:
            await asyncio.sleep(step_s)
            now = (self._answers, _unacknowledged_bytes(client))
            if not self._publishing or now != seen:
                quiet_s = 0.0
            quiet_s += step_s
            seen = now

    def _give_up_publishing(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for scope in self._publishing:
            scope.reschedule(now_s)

    async def _begin(self, subscription: Subscription) -> None:
        client = self._client
        if client is None:
            raise TransportError(f"no connection to {self._host}:{self._port}")
        async with self._subscribing:
            try:
                codes = await client.subscribe(subscription.pattern, qos=0)
            except aiomqtt.MqttError as error:
                raise TransportError(f"{self._host}: {error}") from error
        if any(_code(code) >= 128 for code in codes):
            name = self._credential.name
            raise CredentialError(f"{self._host} refuses {name} to read {subscription.pattern}")

    async def _stop(self, subscription: Subscription) -> None:
        client, pattern = self._client, subscription.pattern
        async with self._subscribing:
            if client is None or any(other.pattern == pattern for other in self._subscriptions):
                return
            with contextlib.suppress(aiomqtt.MqttError):
                await client.unsubscribe(pattern)


class _Handover(asyncio.Queue[aiomqtt.Message]):
    """A queue that keeps nothing: what is put goes to ``take`` at once."""

    def __init__(self, take: Callable[[aiomqtt.Message], None], maxsize: int) -> None:
        super().__init__(maxsize)
        self._take = take

    def put_nowait(self, item: aiomqtt.Message) -> None:
        self._take(item)


async def _disconnection(client: aiomqtt.Client) -> None:
    with contextlib.suppress(aiomqtt.MqttError):
        async for _ in client.messages:  # the queue stays empty: only the end comes out
            pass


def _code(code: Any) -> int:
    return int(code.value) if isinstance(code, ReasonCode) else int(code or 0)


def _unacknowledged_bytes(client: aiomqtt.Client) -> int:
    """Return how many bytes the other side's TCP has not acknowledged (Linux, SIOCOUTQ)."""
    found = array.array("i", [0])
    connection = client._client.socket()
    try:
        if connection is not None:
            fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, found)
    except (OSError, ValueError):
        return 0  # another system, or the socket is gone: acknowledgements count alone
    return found[0]
