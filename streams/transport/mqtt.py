"""MQTT by aiomqtt: the vehicle's uplink. Version 3.1.1 only, because NATS speaks no other.

What the broker acknowledges is not delivery: NATS acknowledges (PUBACK) a publish that the
rights forbid, and drops it. Who needs delivery waits for the application's own receipt, and so
need not wait for the broker: ``post``.

Sessions are clean: what is made while there is no connection waits in the outbox of its maker,
not in the broker. Subscriptions ask for QoS 0, because NATS delivers what the hub publishes at
QoS 0 whatever is asked, and a QoS 1 subscription would cost one JetStream consumer each.

A path on which nothing comes back for two seconds is given up (``streams.transport.silence``)
and a new one is dialled (``streams.transport.dialing``); so is one whose address is no longer
this machine's.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, cast

import aiomqtt
import structlog
from paho.mqtt.reasoncodes import ReasonCode

from streams.credentials import Credential
from streams.errors import CredentialError, TransportError
from streams.topics import TOPICS
from streams.transport import tcp_sight
from streams.transport.connection import ConnectedTransport
from streams.transport.dialing import Dialer, Path
from streams.transport.mqtt_client import WEBSOCKET_PATH, DialedClient
from streams.transport.room import Room
from streams.transport.silence import Patience, Sign, Silence
from streams.transport.source import ANY_SOURCE, Source
from streams.transport.subscriptions import (
    QUEUE_MESSAGES,
    Subscription,
    check_size,
    check_topic,
    matches,
)
from streams.transport.tcp_sight import TcpSight

KEEPALIVE_S = 10
"""The broker lets go of a dead connection after one and a half times this."""

SLOWEST_BYTES_PER_S = 16_000
"""A proxy on the way may hold bytes that look delivered: they get this rate on top of the
patience with a broker that does not answer."""

DIAL_S = 60.0
"""Dialling goes on for so long before the caller hears that there is no answer."""

SET_UP_S = 20.0
"""Longest wait for the broker's answer to CONNECT and SUBSCRIBE, on a path that lives."""

WATCH_EVERY_S = 0.1

_LARGE_BYTES = 4096
"""With more than this on the way, the system's acknowledgements count as progress."""

_SLOW_AT_ONCE_BYTES = 4096
"""Where the system tells nothing, so many bytes may wait for the broker's acknowledgement."""

_REFUSED_CODES = {4, 5, 134, 135}
"""CONNACK of MQTT 3.1.1, section 3.2.2.3 (4 and 5), and how paho maps them to MQTT 5."""

log = structlog.get_logger(__name__)


class MqttTransport(ConnectedTransport):
    """A connection to an MQTT broker; see ``ConnectedTransport``.

    Two subscriptions of one transport to different patterns that overlap may both get a
    message twice: MQTT 3.1.1, section 3.3.5, lets the broker send one copy for each.

    Attributes:
        sight: The last look at the connection; None without one, and on systems that do not
            tell. For whoever has to judge the link.
        given_up: Paths that were given up because they were silent.
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
        source: Source = ANY_SOURCE,
        name: str = "mqtt",
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
            timeout_s: How long the broker's program may owe an answer on a path that lives. A
                large message on a narrow link may take longer, as long as it moves.
            queue_limit: Messages that wait for one slow subscriber.
            source: Interface or address from which to connect.
            name: For logs and ``/metrics``.
        """
        super().__init__(name, queue_limit)
        self.sight: TcpSight | None = None
        self.given_up = 0
        self._host = host
        self._port = port
        self._credential = credential
        self._websocket = websocket
        self._tls = ssl_context
        self._keepalive_s = keepalive_s
        self._timeout_s = timeout_s
        self._dialer = Dialer(host, port, ssl_context, lambda: source)
        self._patience = Patience()
        self._client: DialedClient | None = None
        self._room = Room()
        self._silent_local: str | None = None
        """This side's address of the path that was given up last, if it was silent."""
        self._subscribing = asyncio.Lock()
        self._publishing: set[asyncio.Timeout] = set()

    async def publish(self, topic: str, data: bytes) -> None:
        """Send ``data`` at the QoS that the table of topics gives the kind of ``topic``.

        Returns when the broker has it (QoS 1) or when it left this process (QoS 0). Cancelling
        leaves the transport usable; whether the message went is then unknown.

        Raises:
            TopicError: ``topic`` has a wildcard or an impossible token.
            OversizedError: More than anything in the table of topics.
            TransportError: There is no connection, or it was lost or made no progress.
        """
        client = self._client_for(topic, data)
        try:
            with self._watched() as scope:
                async with scope:
                    # The time limit is the watch's: silence, not a slow link.
                    await client.publish(topic, data, _qos(topic), timeout=math.inf)
        except TimeoutError:
            raise TransportError(f"connection to {self._host} lost while publishing") from None
        except aiomqtt.MqttError as error:
            raise TransportError(f"{self._host}: {error}") from error

    async def post(self, topic: str, data: bytes) -> None:
        """Hand ``data`` over and do not wait for the broker; order is kept.

        For who waits for the application's receipt. When ``connections`` changes, what has no
        receipt may be lost.

        Raises:
            TopicError: ``topic`` has a wildcard or an impossible token.
            OversizedError: More than anything in the table of topics.
            TransportError: There is no connection.
        """
        client = self._client_for(topic, data)
        try:
            client.post(topic, data, _qos(topic))
        except aiomqtt.MqttError as error:
            raise TransportError(f"{self._host}: {error}") from error
        await asyncio.sleep(0)

    def _client_for(self, topic: str, data: bytes) -> DialedClient:
        check_topic(topic)
        check_size(data)
        client = self._client
        if client is None or not self._connected:
            raise TransportError(f"no connection to {self._host}:{self._port}")
        return client

    @property
    def has_room(self) -> bool:
        """Whether so little is on the way that what can wait may be handed over too.

        True without a connection: there, handing over says that itself.
        """
        client = self._client
        if client is None or not self._connected:
            return True
        sight = tcp_sight.look(client.path.connection)
        if sight is None:
            return client.unanswered_bytes < _SLOW_AT_ONCE_BYTES
        return self._room.may_take(sight.waiting_bytes + client.unwritten_bytes)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[asyncio.Timeout]:
        scope = asyncio.timeout(None)
        self._publishing.add(scope)
        try:
            yield scope
        finally:
            self._publishing.discard(scope)

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        path = await self._dialer.dial(DIAL_S)
        if path.at_once and path.local == self._silent_local:
            self._patience.false_alarm(time.monotonic())
        self._silent_local = None
        client = self._new_client(path)
        self._client, self._room = client, Room()
        watch = asyncio.create_task(self._watch(client), name=f"{self._place}.watch")
        try:
            await self._unless_lost(self._join(client), watch)
            await self._unless_lost(self._begin_all(), watch)
            yield lambda: self._until_lost(client, watch)
        finally:
            lost = watch.done()
            watch.cancel()
            self._client = self.sight = None
            self._give_up_publishing()
            if lost or not client.answered:
                client.abort()
            else:
                await client.leave()

    def _new_client(self, path: Path) -> DialedClient:
        client = DialedClient(
            path,
            self._host,
            self._port,
            self._credential,
            transport="websockets" if self._websocket else "tcp",
            websocket_path=WEBSOCKET_PATH if self._websocket else None,
            timeout=SET_UP_S,
            keepalive=self._keepalive_s,
            tls_context=self._tls,
            # aiomqtt's own queue would drop the newest, uncounted: this one holds nothing and
            # hands on to the subscribers' queues, which drop the oldest and count.
            queue_type=cast("type[asyncio.Queue[aiomqtt.Message]]", self._new_handover),
        )
        client._client.connect_timeout = SET_UP_S
        return client

    def _new_handover(self, maxsize: int) -> _Handover:
        return _Handover(self._take, maxsize)

    def _take(self, message: aiomqtt.Message) -> None:
        topic, data = str(message.topic), message.payload
        for subscription in self._subscriptions:
            if matches(subscription.pattern, topic):
                subscription.put(topic, data)

    async def _unless_lost(self, work: Any, watch: asyncio.Task[str]) -> None:
        """Await ``work``, but no longer than the path lives."""
        task = asyncio.create_task(work, name=f"{self._place}.set-up")
        try:
            await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise TransportError(f"{self._host}:{self._port}: {watch.result()}")
        finally:
            task.cancel()
            await asyncio.wait({task})
        task.result()

    async def _join(self, client: DialedClient) -> None:
        try:
            await client.join()
        except aiomqtt.MqttError as error:
            if _code(getattr(error, "rc", None)) in _REFUSED_CODES:
                name = self._credential.name
                raise CredentialError(f"{self._host} refuses the credential of {name}") from error
            raise TransportError(f"{self._host}:{self._port}: {error}") from error

    async def _until_lost(self, client: DialedClient, watch: asyncio.Task[str]) -> None:
        end = asyncio.create_task(_disconnection(client), name=f"{self._place}.end")
        try:
            await asyncio.wait({watch, end}, return_when=asyncio.FIRST_COMPLETED)
            why = watch.result() if watch.done() else "the other side has closed"
            log.info("connection lost", place=self._place, why=why)
        finally:
            end.cancel()
            await asyncio.wait({end})

    async def _watch(self, client: DialedClient) -> str:
        """Return when the path is dead, with the reason."""
        path = client.path
        silence = Silence(self._patience, time.monotonic(), self._timeout_s)
        address = path.watch_address()
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            now_s = time.monotonic()
            if (moved_to := address.moved_to(now_s)) is not None:
                return f"this side's address is now {moved_to}"
            self.sight = sight = tcp_sight.look(path.connection)
            if sight is not None:
                self._room.look(sight, now_s)
            verdict = silence.look(_sign(client, sight), now_s)
            if verdict == "ask":
                client.ping()
            elif verdict == "dead":
                self.given_up += 1
                self._silent_local = path.local
                return silence.why

    def _give_up_publishing(self) -> None:
        now_s = asyncio.get_running_loop().time()
        for scope in self._publishing:
            scope.reschedule(now_s)

    async def _begin_all(self) -> None:
        """Subscribe to everything in one packet: one round trip, not one for each."""
        begun: set[Subscription] = set()
        while left := [one for one in self._subscriptions if one not in begun]:
            patterns = list(dict.fromkeys(one.pattern for one in left))
            refused = await self._subscribe(patterns)
            for one in left:
                if one.pattern in refused:
                    one.end(refused[one.pattern])
            begun.update(left)

    async def _begin(self, subscription: Subscription) -> None:
        for error in (await self._subscribe([subscription.pattern])).values():
            raise error

    async def _subscribe(self, patterns: list[str]) -> dict[str, CredentialError]:
        client, name = self._client, self._credential.name
        if client is None:
            raise TransportError(f"no connection to {self._host}:{self._port}")
        async with self._subscribing:
            try:
                with self._watched() as scope:
                    async with scope:
                        codes = await client.subscribe([(pattern, 0) for pattern in patterns])
            except TimeoutError:
                raise TransportError(f"connection to {self._host} lost") from None
            except aiomqtt.MqttError as error:
                raise TransportError(f"{self._host}: {error}") from error
        return {
            pattern: CredentialError(f"{self._host} refuses {name} to read {pattern}")
            for pattern, code in zip(patterns, codes, strict=True)
            if _code(code) >= 128
        }

    async def _stop(self, subscription: Subscription) -> None:
        client, pattern = self._client, subscription.pattern
        async with self._subscribing:
            if client is None or any(other.pattern == pattern for other in self._subscriptions):
                return
            with contextlib.suppress(aiomqtt.MqttError, TimeoutError), self._watched() as scope:
                async with scope:
                    await client.unsubscribe(pattern)


def _qos(topic: str) -> int:
    row = TOPICS.get(topic.rpartition("/")[2])
    return row.qos if row else 0


def _sign(client: DialedClient, sight: TcpSight | None) -> Sign:
    extra_s = client.unanswered_bytes / SLOWEST_BYTES_PER_S
    if sight is None:  # only what the program hears counts, so it must be owed an answer
        read = client.read_bytes
        return Sign(read, (read,), True, client.path.round_trip_s, extra_s)
    large = sight.waiting_bytes > _LARGE_BYTES
    return Sign(
        arrived=sight.arrived,
        answered=(client.read_bytes, sight.acknowledged_bytes if large else -1),
        under_way=sight.waiting_bytes > 0,
        repeat_after_s=sight.round_trip_s + 4 * sight.deviation_s,
        extra_s=extra_s,
    )


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
