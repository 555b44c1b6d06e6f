"""JetStream: the streams that carry facts, the consumers, and reading in batches.

JetStream carries and fans out; it is not the record. Its ``sync_interval`` stays at the
server's default of two minutes, so a power cut of the broker can lose what it had taken: the
outbox of each maker waits for the *application's* own receipt and sends again. (``always``
would cap the broker at about 1,000 messages a second.)

Streams have the *work queue* policy: a fact leaves the stream when its reader has acknowledged
it, so that a stream holds what is on the way and no second copy of patients' data. A stream
that is full drops its oldest facts (they come again from their outboxes), loudly: see
``StreamWatch``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from prometheus_client import Counter, Gauge

from streams.broker_rights import FLOWS, Flow, flow_kinds, flow_subjects, stream_name, topic
from streams.cancellation import heed_cancellation, heeding
from streams.errors import CredentialError, StorageError, TransportError
from streams.topics import LARGEST_BYTES, Retention, find

ACK_WAIT_S = 30.0
"""A fact without acknowledgement for so long is delivered again."""

MAX_ACK_PENDING = 4096
"""Facts of one consumer that may be out without acknowledgement."""

BATCH = 256
"""Most facts in one batch."""

BATCH_BYTES = 8 * 1024 * 1024
"""Most bytes that one request may bring: twelve of the largest facts."""

STREAM_BYTES = 1024**3
"""Room of a live stream; an outage of its reader longer than this lasts drops the oldest."""

DRILL_BYTES = STREAM_BYTES // 4

_DAY_S = 24 * 3600.0

_AGE_S: dict[Retention, float] = {"record": 3 * _DAY_S, "track": _DAY_S, "none": 3600.0}
"""Longest stay of an unread fact, by its class of keeping; the record itself is elsewhere."""

_REQUEST_S = 10.0
_RETRY_S = 0.5

BACKLOG = Gauge("forerun_stream_messages", "Facts that wait in a stream", ["stream"])
FILLED = Gauge("forerun_stream_filled_ratio", "Bytes in a stream by its limit", ["stream"])
DISCARDED = Counter(
    "forerun_stream_discarded_total",
    "Facts that left a full stream, at most this many of them unread",
    ["stream"],
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Stored:
    """A fact from a stream.

    Attributes:
        topic: Its topic, with ``/``.
        data: Its bytes.
        sequence: Its number in the stream.
        deliveries: How often it was delivered, this time included.
    """

    topic: str
    data: bytes
    sequence: int
    deliveries: int
    _message: Msg

    async def ack(self) -> None:
        """Say that it is stored for good; call it after the commit.

        Raises:
            TransportError: The connection is lost; it will be delivered again.
        """
        try:
            await self._message.ack()
        except nats.errors.MsgAlreadyAckdError:
            return
        except (nats.errors.Error, OSError) as error:
            raise TransportError(f"acknowledgement not sent: {error}") from error


def stream_config(flow: Flow, region: str, *, drill: bool = False) -> StreamConfig:
    """Return the configuration of a flow's stream, derived from the table of topics."""
    rows = [find(kind) for kind in flow_kinds(flow)]
    return StreamConfig(
        name=stream_name(flow, region, drill=drill),
        subjects=list(flow_subjects(flow, region, drill=drill)),
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=max(_AGE_S[row.retention] for row in rows),
        max_bytes=DRILL_BYTES if drill else STREAM_BYTES,
        max_msg_size=LARGEST_BYTES,
        duplicate_window=120,
    )


async def ensure_streams(js: JetStreamContext, region: str) -> tuple[str, ...]:
    """Make or bring up to date the streams of a region, live and drill; return their names.

    The hub calls it at each start, before anybody publishes.

    Raises:
        StorageError: The server refuses, such as for lack of room on its disk.
        TransportError: There is no answer.
    """
    names = []
    for flow in FLOWS:
        for drill in (False, True):
            config = stream_config(flow, region, drill=drill)
            names.append(config.name or "")
            try:
                await _add_or_update(js, config)
            except nats.js.errors.APIError as error:
                raise StorageError(f"stream {config.name}: {error.description}") from error
            except (nats.errors.Error, OSError) as error:
                raise TransportError(f"stream {config.name}: no answer: {error}") from error
    return tuple(names)


async def _add_or_update(js: JetStreamContext, config: StreamConfig) -> None:
    try:
        await heeding(js.add_stream(config))
    except nats.js.errors.BadRequestError:  # there with other settings
        await heeding(js.update_stream(config))


async def ensure_consumer(
    js: JetStreamContext, stream: str, durable: str, subjects: Iterable[str] = ()
) -> None:
    """Make or bring up to date a durable pull consumer with explicit acknowledgement.

    Args:
        js: Of a hub; nobody else has the right.
        stream: See ``streams.broker_rights.stream_name``.
        durable: Its name. For a hospital it is the hospital's name, to which its rights belong.
        subjects: What it reads; all of the stream when empty. Consumers of one stream must not
            overlap, because a fact goes to one reader.

    Raises:
        StorageError: The server refuses.
        TransportError: There is no answer.
    """
    config = ConsumerConfig(
        durable_name=durable,
        filter_subjects=list(subjects) or None,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT_S,
        max_ack_pending=MAX_ACK_PENDING,
    )
    try:
        await heeding(js.add_consumer(stream, config))
    except nats.js.errors.APIError as error:
        raise StorageError(f"consumer {durable} of {stream}: {error.description}") from error
    except (nats.errors.Error, OSError) as error:
        raise TransportError(f"consumer {durable} of {stream}: no answer: {error}") from error


async def read_batches(
    client: Client,
    stream: str,
    durable: str,
    batch: int,
    refused: Callable[[str], bool],
) -> AsyncGenerator[list[Stored], None]:
    """Yield what a consumer has, as soon as it has something, until the connection is lost.

    nats-py's own ``fetch`` waits until a batch is full or time is up; this gives the first
    fact at once and together with it whatever else is there.

    Args:
        client: A connected client.
        stream: The stream.
        durable: The consumer.
        batch: Most facts in one batch.
        refused: Whether the server refused a publish to this subject.

    Raises:
        CredentialError: No right to this consumer.
        TransportError: The connection is lost.
    """
    request_subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
    inbox = await client.subscribe(client.new_inbox(), pending_msgs_limit=4 * batch + 16)
    try:
        due, asked_before = 0, False
        while True:
            if due <= 0:
                await _request(client, request_subject, inbox.subject, batch)
                if not asked_before:
                    await settle(client)
                    asked_before = True
                due = batch
            if refused(request_subject):
                raise CredentialError(f"no right to read {stream} as {durable}")
            heed_cancellation()  # before the long wait: what was awaited above may swallow it
            messages = await _next(inbox, batch)
            found = [_stored(message) for message in messages if not _status(message)]
            if found:
                yield found
            due -= len(found)
            status = next((s for m in messages if (s := _status(m))), None)
            if status or not messages:
                due = 0  # the request ended: 404 and 408 when idle, 409 when it was cut short
            if status == "503":
                # The consumer is not there yet: the hub makes it.
                log.info("no such consumer", stream=stream, durable=durable)
                await asyncio.sleep(_RETRY_S)
    finally:
        if not client.is_closed:
            await inbox.unsubscribe()


async def settle(client: Client, timeout_s: float = 5.0) -> None:
    """Wait until the server has taken, or refused, all that was sent before.

    Twice, because nats-py writes the first PING past what still waits in its buffer.
    """
    for _ in range(2):
        await heeding(client.flush(timeout=timeout_s))  # type: ignore[arg-type]


async def _request(client: Client, subject: str, inbox: str, batch: int) -> None:
    request = {"batch": batch, "max_bytes": BATCH_BYTES, "expires": int(_REQUEST_S * 1e9)}
    await client.publish(subject, json.dumps(request).encode(), reply=inbox)


async def _next(inbox: Subscription, most: int) -> list[Msg]:
    """Return what came, at least one message unless the request's time is up."""
    try:
        messages = [await inbox.next_msg(timeout=_REQUEST_S + 2)]
    except nats.errors.TimeoutError:
        return []
    while inbox.pending_msgs and len(messages) < most:
        messages.append(await inbox.next_msg(timeout=1))
    return messages


def _status(message: Msg) -> str | None:
    return (message.headers or {}).get("Status") if not message.data else None


def _stored(message: Msg) -> Stored:
    metadata = message.metadata
    return Stored(
        topic=topic(message.subject),
        data=message.data,
        sequence=metadata.sequence.stream,
        deliveries=metadata.num_delivered,
        _message=message,
    )


class StreamWatch:
    """Turns the state of streams into metrics and, when one is full, into an error in the log."""

    def __init__(self) -> None:
        self._first: dict[str, int] = {}

    async def look(self, js: JetStreamContext, streams: Iterable[str]) -> None:
        """Look once; call it every few seconds.

        Raises:
            TransportError: There is no answer.
        """
        for name in streams:
            try:
                info = await heeding(js.stream_info(name))
            except (nats.errors.Error, OSError) as error:
                raise TransportError(f"stream {name}: no answer: {error}") from error
            self.take(
                name,
                messages=info.state.messages,
                size=info.state.bytes,
                limit=info.config.max_bytes or 0,
                first=info.state.first_seq,
            )

    def take(self, name: str, *, messages: int, size: int, limit: int, first: int) -> None:
        """Take in one reading of a stream.

        Args:
            name: The stream.
            messages: Facts in it.
            size: Bytes in it.
            limit: Most bytes that it holds.
            first: Sequence of its oldest fact.
        """
        BACKLOG.labels(name).set(messages)
        FILLED.labels(name).set(size / limit if limit > 0 else 0)
        before = self._first.get(name, first)
        self._first[name] = first
        full = limit > 0 and size + 2 * LARGEST_BYTES > limit
        if full and first > before:
            DISCARDED.labels(name).inc(first - before)
            log.error(
                "stream full: its oldest facts are dropped and must be sent again",
                stream=name,
                dropped_at_most=first - before,
                waiting=messages,
            )
