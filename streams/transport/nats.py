"""NATS by nats-py: how the hub and the hospital gateways reach the broker.

The core part is the ``Transport`` of the package; on top of it stand the JetStream calls, which
wait for what JetStream says: ``publish_stored``, ``pull``, ``ensure_streams``.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Iterator

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as ClientSubscription
from nats.js import JetStreamContext
from prometheus_client import Counter

from streams.broker_rights import flow_subjects, inbox_prefix, stream_name, subject, topic
from streams.cancellation import heed_cancellation
from streams.credentials import Credential
from streams.errors import CredentialError, TransportError
from streams.transport import jetstream
from streams.transport.connection import ConnectedTransport
from streams.transport.jetstream import BATCH, Stored, ensure_streams
from streams.transport.subscriptions import (
    QUEUE_MESSAGES,
    Subscription,
    check_size,
    check_topic,
    matches,
)

__all__ = ["NatsTransport", "Stored", "ensure_streams"]

PING_S = 5
"""A dead connection is noticed after at most three times this."""

_REMEMBERED = 256
"""Refused subjects that are remembered."""

_VIOLATION = re.compile(
    r'permissions violation for (publish|subscription) to "([^"]*)"', re.IGNORECASE
)

ERRORS = Counter(
    "forerun_nats_errors_total", "Errors that the NATS server or its client reported", ["reason"]
)

log = structlog.get_logger(__name__)


class NatsTransport(ConnectedTransport):
    """A connection to a NATS server; see ``ConnectedTransport``.

    A publish that the rights forbid is not delivered and not raised (the server tells it
    later): it is counted in ``forerun_nats_errors_total{reason="publish"}`` and logged.
    """

    def __init__(
        self,
        url: str,
        credential: Credential,
        ssl_context: ssl.SSLContext | None,
        *,
        timeout_s: float = 5.0,
        queue_limit: int = QUEUE_MESSAGES,
    ) -> None:
        """Prepare the connection.

        Args:
            url: Such as ``tls://host:4222``, or ``wss://host:443`` through a proxy; several
                servers of a cluster with commas between.
            credential: Who connects.
            ssl_context: ``streams.authority.client_context(...)``; None only for a server on
                this machine that has no TLS.
            timeout_s: Longest wait for an answer.
            queue_limit: Messages that wait for one slow subscriber.
        """
        super().__init__("nats", queue_limit)
        self._urls = [part.strip() for part in url.split(",")]
        self._credential = credential
        self._ssl_context = ssl_context
        self._timeout_s = timeout_s
        self._client: Client | None = None
        self._at_server: dict[Subscription, ClientSubscription] = {}
        self._refused: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._last_error = ""
        self._said_s = float("-inf")

    async def publish(self, topic: str, data: bytes) -> None:
        """Send ``data``; returning says only that it is on its way.

        Raises:
            TopicError: ``topic`` has a wildcard or an impossible token.
            OversizedError: More than anything in the table of topics.
            TransportError: There is no connection, or it was lost.
        """
        check_topic(topic)
        check_size(data)
        with self._errors_translated() as client:
            async with asyncio.timeout(self._timeout_s):
                await client.publish(subject(topic), data)

    async def publish_stored(self, topic: str, data: bytes) -> int:
        """Send ``data`` into the JetStream stream of its topic; return its sequence there.

        Args:
            topic: A topic of a fact.
            data: The bytes.

        Raises:
            TopicError: ``topic`` has a wildcard or an impossible token.
            OversizedError: More than anything in the table of topics.
            CredentialError: No right to publish there.
            TransportError: No connection, no answer, or no stream takes the topic.
        """
        check_topic(topic)
        check_size(data)
        name = subject(topic)
        self._refused.pop(("publish", name.lower()), None)
        with self._errors_translated() as client:
            context = client.jetstream(timeout=self._timeout_s)
            try:
                answer = await context.publish(name, data)
            except nats.js.errors.NoStreamResponseError as error:
                raise TransportError(f"no stream takes {topic}: start the hub first") from error
            except nats.errors.TimeoutError as error:  # a refusal is no answer
                if self._was_refused("publish", name):
                    raise self._no_right("publish", name) from error
                raise
        return answer.seq

    async def ensure_streams(self, region: str) -> tuple[str, ...]:
        """Make the streams of ``region``; see ``streams.transport.jetstream.ensure_streams``."""
        return await ensure_streams(self.jetstream(), region)

    async def ensure_hospital_consumer(
        self, region: str, hospital: str, *, drill: bool = False
    ) -> None:
        """Make the consumer by which ``hospital``, and nobody else, reads its facts; hub only.

        Raises:
            StorageError: The server refuses.
            TransportError: There is no answer.
        """
        await jetstream.ensure_consumer(
            self.jetstream(),
            stream_name("to_hospitals", region, drill=drill),
            hospital,
            flow_subjects("to_hospitals", region, hospital, drill=drill),
        )

    async def ensure_consumer(
        self, stream: str, durable: str, patterns: Iterable[str] = ()
    ) -> None:
        """Make a durable consumer of topics under ``patterns``; hub only.

        Raises:
            StorageError: The server refuses, such as when it would overlap another.
            TransportError: There is no answer.
        """
        await jetstream.ensure_consumer(
            self.jetstream(), stream, durable, [subject(pattern) for pattern in patterns]
        )

    async def pull(
        self, stream: str, durable: str, *, batch: int = BATCH
    ) -> AsyncGenerator[list[Stored], None]:
        """Yield batches from a consumer as facts come, over lost connections too.

        Close it with ``contextlib.aclosing`` if the loop can end before the program does.
        Acknowledge each fact after the commit (``Stored.ack``); what is not acknowledged comes
        again after ``jetstream.ACK_WAIT_S``, then perhaps out of order.

        Args:
            stream: See ``streams.broker_rights.stream_name``.
            durable: The consumer: for a hospital its own name. Waits for one not yet made.
            batch: Most facts in a batch.

        Raises:
            CredentialError: No right to this consumer, or the credential is refused.
        """
        while True:
            try:
                await self.wait_connected()
                with self._errors_translated() as client:
                    reading = jetstream.read_batches(
                        client, stream, durable, batch, lambda s: self._was_refused("publish", s)
                    )
                    async with contextlib.aclosing(reading):
                        async for found in reading:
                            yield found
            except TransportError as error:
                heed_cancellation()  # nats-py makes one that meets a closing connection an error
                log.info("reading interrupted", stream=stream, error=str(error))
                await asyncio.sleep(0.1)

    def jetstream(self) -> JetStreamContext:
        """Return nats-py's JetStream context of the present connection.

        Raises:
            TransportError: There is no connection.
        """
        with self._errors_translated() as client:
            return client.jetstream(timeout=self._timeout_s)

    @contextlib.asynccontextmanager
    async def _open(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        client, lost = Client(), asyncio.Event()
        try:
            await self._connect(client, lost)
            self._client = client
            await self._begin_all()
            yield lambda: _until(lost)
        finally:
            self._client = None
            self._at_server.clear()
            with contextlib.suppress(nats.errors.Error, OSError):
                await client.close()

    async def _connect(self, client: Client, lost: asyncio.Event) -> None:
        name = self._credential.name

        async def on_lost() -> None:
            lost.set()

        try:
            async with asyncio.timeout(2 * self._timeout_s):
                await client.connect(
                    self._urls,
                    user=name,
                    password=self._credential.secret,
                    name=name,
                    tls=self._ssl_context,
                    inbox_prefix=inbox_prefix(name),
                    error_cb=self._note_error,
                    disconnected_cb=on_lost,
                    closed_cb=on_lost,
                    # Connecting again is ours, see ConnectedTransport.
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=self._timeout_s,  # type: ignore[arg-type]
                    ping_interval=PING_S,
                )
        except (nats.errors.Error, OSError, TimeoutError) as error:
            reason = str(error) or self._last_error or type(error).__name__
            if "authorization violation" in reason.lower():
                raise CredentialError(
                    f"{self._urls[0]} refuses the credential of {name}"
                ) from error
            if isinstance(error, nats.errors.NoServersError):
                reason = self._last_error or reason
            raise TransportError(f"{self._urls[0]}: {reason}") from error

    async def _note_error(self, error: Exception) -> None:
        self._last_error = str(error)
        violation = _VIOLATION.search(self._last_error)
        if violation:
            # In lower case throughout, because nats-py lowers what the server said.
            self._refused[violation[1].lower(), violation[2].lower()] = None
            if len(self._refused) > _REMEMBERED:
                self._refused.popitem(last=False)
        reason = violation[1].lower() if violation else type(error).__name__
        ERRORS.labels(reason).inc()
        if time.monotonic() - self._said_s >= 1:  # a flood of them must not fill the log
            self._said_s = time.monotonic()
            log.warning("nats error", reason=reason, error=self._last_error)

    @contextlib.contextmanager
    def _errors_translated(self) -> Iterator[Client]:
        client = self._client
        if client is None or client.is_closed:
            raise TransportError(f"no connection to {self._urls[0]}")
        try:
            yield client
        except (nats.errors.Error, OSError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise TransportError(f"{self._urls[0]}: {reason}") from error

    def _was_refused(self, what: str, name: str) -> bool:
        return (what, name.lower()) in self._refused

    def _no_right(self, what: str, name: str) -> CredentialError:
        return CredentialError(f"{self._credential.name} has no right to {what} {topic(name)}")

    async def _begin(self, subscription: Subscription) -> None:
        name = subject(subscription.pattern)

        async def take(message: Msg) -> None:
            # The reader of a consumer names the subject to which the server delivers, with no
            # check of rights: a gateway could send its own facts to another's subscription.
            # They still bear their first subject, so what does not belong here is seen.
            found = topic(message.subject)
            if matches(subscription.pattern, found):
                subscription.put(found, message.data)
            else:
                await self._note_error(_MisdirectedError(f"{found} came to {name}"))

        self._refused.pop(("subscription", name.lower()), None)
        with self._errors_translated() as client:
            at_server = await client.subscribe(name, cb=take)
            self._at_server[subscription] = at_server
            # The server answers in order: a refusal is here when this returns.
            await jetstream.settle(client, self._timeout_s)
        if self._was_refused("subscription", name):
            raise self._no_right("subscribe to", name)

    async def _stop(self, subscription: Subscription) -> None:
        at_server = self._at_server.pop(subscription, None)
        if at_server is not None:
            with self._errors_translated():
                await at_server.unsubscribe()


class _MisdirectedError(Exception):
    """A message that somebody had delivered to a subject of ours."""


async def _until(lost: asyncio.Event) -> None:
    await lost.wait()
