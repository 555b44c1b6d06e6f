"""Several uplinks as one: which is used now, facts over one or all, what comes down once.

Each uplink holds a connection of its own to the broker, all the time, so that failing over needs
no handshake. The first that lives, in the order of the settings, is *in use*: for streams, for
questions about the time, for media, and for facts. An uplink that is set so gets a copy of each
fact besides, while it has room. The hub's inbox takes repeats and its receipts free once, so
nothing else has to know.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Self

import structlog

from streams import topics
from streams.errors import CredentialError, TransportError
from streams.transport import Delivery
from streams.transport.mqtt import MqttTransport
from streams.transport.source import ANY_SOURCE, Source, address_of
from streams.transport.subscriptions import DropCount, Subscription

SETTLED_S = 10.0
"""An uplink that is preferred has to live so long before the other is left for it."""

EARLY_S = 2.0
"""After there was none, one that is preferred may come this much later and still be taken."""

LOOK_EVERY_S = 1.0
REMEMBERED = 512
"""Messages from the hub of which is known over which uplinks they came."""

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Member:
    """One uplink.

    Attributes:
        name: For people; empty where there is just one.
        transport: Its connection to the broker.
        source: Where it starts.
        copies: Whether it gets a copy of each fact while another is in use.
        alive_since_s: Monotonic time since when it is connected; None while it is not.
    """

    name: str
    transport: MqttTransport
    source: Source = ANY_SOURCE
    copies: bool = False
    alive_since_s: float | None = None


class Choice:
    """Which uplink is in use. Pure: it is given who lives since when, and the time."""

    def __init__(self) -> None:
        """Begin with none."""
        self.present: int | None = None
        self._since_s = float("-inf")

    def decide(self, alive_since_s: Sequence[float | None], now_s: float) -> int | None:
        """Return the number of the uplink to use; None while none lives.

        The present one is kept while it lives, unless one that stands before it has settled or
        has come right after it.
        """
        alive = [number for number, since in enumerate(alive_since_s) if since is not None]
        present = self.present
        if present not in alive:
            self.present = alive[0] if alive else None
            if present is None:
                self._since_s = now_s
        else:
            early = now_s - self._since_s < EARLY_S
            better = (
                number
                for number in alive
                if number < present
                and (early or now_s - (alive_since_s[number] or now_s) >= SETTLED_S)
            )
            self.present = next(better, present)
        return self.present


@dataclass(slots=True)
class _Seen:
    passed: int = 0
    came: dict[int, int] = field(default_factory=dict)


class Once:
    """Tells a second copy of a message, over another uplink, from a message sent again. Pure."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        """Remember so many messages."""
        self._seen: OrderedDict[bytes, _Seen] = OrderedDict()
        self._remembered = remembered

    def is_news(self, uplink: int, topic: str, data: bytes) -> bool:
        """Take in a message that came over an uplink; say whether to pass it on.

        What comes over the same uplink a second time was sent a second time.
        """
        key = blake2b(data, key=topic.encode()[:64], digest_size=16).digest()
        seen = self._seen.setdefault(key, _Seen())
        self._seen.move_to_end(key)
        while len(self._seen) > self._remembered:
            self._seen.popitem(last=False)
        seen.came[uplink] = seen.came.get(uplink, 0) + 1
        if seen.came[uplink] <= seen.passed:
            return False
        seen.passed += 1
        return True


class Uplinks:
    """The uplinks of a vehicle as one; use it with ``async with``.

    Attributes:
        connections: How often another path became the one in use: what was on the way may be
            lost, and whoever repeats should repeat now.
    """

    def __init__(self, members: Sequence[Member]) -> None:
        """Take over the uplinks, in the order of preference; none is entered yet."""
        self.connections = 0
        self.changed: Callable[[], None] = lambda: None
        self._members = list(members)
        self._choice = Choice()
        self._in_use: tuple[Member, int] | None = None
        self._change = asyncio.Condition()
        self._drops = DropCount("uplinks")
        self._stack = contextlib.AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Start connecting over all of them."""
        async with contextlib.AsyncExitStack() as stack:
            for member in self._members:
                await stack.enter_async_context(member.transport)
            for member in self._members:
                work = self._follow(member)
                self._tasks.append(asyncio.create_task(work, name=f"uplink[{member.name}]"))
            self._tasks.append(asyncio.create_task(self._look(), name="uplinks.look"))
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all."""
        for task in self._tasks:
            task.cancel()
        try:
            await asyncio.wait(self._tasks)
        finally:
            await self._stack.aclose()

    # --- which is in use ------------------------------------------------------------------------

    @property
    def in_use(self) -> str:
        """Name of the uplink in use; empty without one, and where there is just one."""
        return self._in_use[0].name if self._in_use else ""

    @property
    def connected(self) -> bool:
        """Whether any is connected."""
        return self._in_use is not None and self._in_use[0].transport.connected

    @property
    def refusal(self) -> CredentialError | None:
        """Why the broker refuses this vehicle, if it does and no uplink is connected."""
        if self.connected:
            return None
        found = (member.transport.refusal for member in self._members)
        return next((refusal for refusal in found if refusal is not None), None)

    def source(self) -> Source:
        """Return where media are to start: at the uplink in use, or the one preferred."""
        return (self._in_use[0] if self._in_use else self._members[0]).source

    def media_addresses(self) -> tuple[str, ...]:
        """Return this machine's address at the uplink in use; empty leaves it to the settings."""
        source = self.source()
        if source.address:
            return (source.address,)
        if not source.interface:
            return ()
        with contextlib.suppress(OSError):
            return (address_of(source.interface),)
        return ()

    async def _follow(self, member: Member) -> None:
        transport = member.transport
        while True:
            try:
                await transport.wait_connected(5)
            except CredentialError:
                await self._decide()  # tells those who wait
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            except TransportError:
                continue
            known = transport.connections
            member.alive_since_s = time.monotonic()
            await self._decide()
            while transport.connected and transport.connections == known:
                with contextlib.suppress(TransportError):
                    await transport.wait_disconnected(5)
            member.alive_since_s = None
            await self._decide()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            await self._decide()

    async def _decide(self) -> None:
        since = [member.alive_since_s for member in self._members]
        number = self._choice.decide(since, time.monotonic())
        member = None if number is None else self._members[number]
        found = None if member is None else (member, member.transport.connections)
        if found != self._in_use:
            self._in_use = found
            if found is not None:
                self.connections += 1
            log.info("uplink in use", uplink=self.in_use or None, connected=found is not None)
        async with self._change:
            self._change.notify_all()

    async def wait_connected(self, timeout_s: float = 10.0) -> None:
        """Wait until one is connected.

        Raises:
            CredentialError: The broker refuses the credential.
            TransportError: None is after ``timeout_s``.
        """
        await self._wait(lambda: self.connected or self.refusal is not None, timeout_s)
        if (refusal := self.refusal) is not None:
            raise refusal

    async def wait_disconnected(self, timeout_s: float) -> None:
        """Wait until the path in use is lost, even when the next one is in use already.

        Raises:
            TransportError: It still stands after ``timeout_s``.
        """
        present = self.connections
        await self._wait(lambda: not self.connected or self.connections != present, timeout_s)

    async def _wait(self, condition: Callable[[], bool], timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s), self._change:
                await self._change.wait_for(condition)
        except TimeoutError:
            raise TransportError(f"no change of the uplinks within {timeout_s:g} s") from None

    # --- what goes up ---------------------------------------------------------------------------

    async def publish(self, topic: str, data: bytes) -> None:
        """Send over the uplink in use, and wait for the broker where the kind asks for that.

        Raises:
            TransportError: None is connected, or it was lost.
        """
        await self._used().transport.publish(topic, data)

    async def post(self, topic: str, data: bytes) -> None:
        """Hand a fact over: to the uplink in use, and to those that get copies.

        Raises:
            TransportError: None is connected.
        """
        used = self._used()
        await used.transport.post(topic, data)
        urgent = topics.find(topic.rpartition("/")[2]).lane == topics.LANES[0]
        for member in self._members:
            copied = member.copies and member is not used and member.transport.connected
            if copied and (urgent or member.transport.has_room):
                with contextlib.suppress(TransportError):
                    await member.transport.post(topic, data)

    @property
    def has_room(self) -> bool:
        """Whether facts that can wait may be handed over now."""
        return self._in_use is None or self._in_use[0].transport.has_room

    def _used(self) -> Member:
        if self._in_use is None:
            raise TransportError("no uplink is connected")
        return self._in_use[0]

    # --- what comes down ------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def subscribe(self, pattern: str) -> AsyncIterator[AsyncIterator[Delivery]]:
        """Subscribe over all; a message that comes over several is given once.

        Raises:
            CredentialError: The broker refuses it.
        """
        if len(self._members) == 1:
            async with self._members[0].transport.subscribe(pattern) as deliveries:
                yield deliveries
            return
        merged, once = Subscription(pattern, self._drops), Once()
        async with contextlib.AsyncExitStack() as stack:
            readers: list[asyncio.Task[None]] = []
            for number, member in enumerate(self._members):
                deliveries = await stack.enter_async_context(member.transport.subscribe(pattern))
                work = _pass_on(number, deliveries, once, merged)
                readers.append(asyncio.create_task(work, name=f"uplink[{member.name}].{pattern}"))
            stack.push_async_callback(_end, readers)
            yield merged


async def _pass_on(
    number: int, deliveries: AsyncIterator[Delivery], once: Once, merged: Subscription
) -> None:
    try:
        async for delivery in deliveries:
            if once.is_news(number, delivery.topic, delivery.data):
                merged.put(delivery.topic, delivery.data)
    except CredentialError as error:
        merged.end(error)


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
