"""Dialling: a TCP connection, with TLS where wanted, over a link that may be away.

A vehicle dials while it has no coverage. The packet that opens a connection (SYN) is then lost,
and the system repeats it after 1, 2, 4, 8 s: a link that is back is found seconds late. Here a
new attempt starts beside the waiting ones whenever none of them is within its time, as RFC 8305
("happy eyeballs", section 5) does for several addresses. Attempts that only wait are left alone
for ``LIFETIME_S``, so a path with a round trip of many seconds is found as well: the answer to
the first attempt ends the others. Whoever has got an answer is given twice that round trip for
the next one before another is started beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import random
import socket
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from streams.errors import TransportError
from streams.transport.source import ANY_SOURCE, AddressWatch, Source
from streams.transport.tcp_sight import look

NEXT_AFTER_S = 0.4
"""A new attempt starts beside those that have had no answer for so long. RFC 8305 recommends
0.25 s between addresses; a little more spares a link with a round trip of 0.3 s the second one."""

TLS_AFTER_S = 1.0
"""The same while TLS is agreed on: a path that answered is given more, since a second handshake
costs both sides kilobytes and an operator's proxy may answer for a far away hub."""

SYN_REPEAT_S = 1.0
"""After so long without an answer the system sends the opening packet again (RFC 6298, 2.1)."""

LIFETIME_S = 15.0
"""A single attempt ends after this: longer than five round trips of 3 s, or the system's third
repeat of a lost SYN."""

MOST_ATTEMPTS = 12
"""Attempts that wait at the same time; beyond, the oldest without an answer makes room."""

LOOKUP_S = 1.0
"""Longest wait for the name service where an earlier answer of it is known."""

_AWAY = {
    errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.ENODEV,
    errno.EADDRNOTAVAIL, errno.ETIMEDOUT, errno.ECONNABORTED, errno.ENONET,
}  # fmt: skip
"""Errors of a link that is away: dialling goes on. Others are the other side's word."""

log = structlog.get_logger(__name__)

Address = tuple[int, Any]
"""Family and socket address."""


@dataclass(frozen=True, slots=True)
class Path:
    """A connection that stands.

    Attributes:
        connection: The socket, non-blocking, with TLS done where it was wanted.
        round_trip_s: From the opening packet to its answer.
        at_once: Whether the first attempt's first packet was answered: the link was there all
            the time.
        local: This side's address.
        peer: The other side's address.
        source: Where a new connection would start.
    """

    connection: socket.socket
    round_trip_s: float
    at_once: bool
    local: str
    peer: Address
    source: Callable[[], Source]

    def watch_address(self) -> AddressWatch:
        """Return what tells when this side's address is another one."""
        return AddressWatch(self.source, *self.peer, self.local)

    def abort(self) -> None:
        """Close at once and forget what was not sent.

        Without it the system would go on sending what is in its buffers, for minutes, on the
        link that the next connection needs.
        """
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # Not SSLSocket's own: that would pull the TLS state away from who reads just now.
            socket.socket.shutdown(self.connection, socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self.connection.close()


@dataclass(slots=True, eq=False)
class _Attempt:
    late_at_s: float
    answered: bool = False
    task: asyncio.Task[Path] | None = None


@dataclass(slots=True)
class Dialer:
    """Dials one host and port, again and again in the life of a transport.

    Attributes:
        host: Name or address.
        port: TCP port.
        tls: For TLS; None for plain TCP.
        source: Asked at each attempt where it is to start: it may change while dialling.
    """

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    source: Callable[[], Source] = lambda: ANY_SOURCE
    _known: list[Address] = field(default_factory=list)
    _lookup: asyncio.Task[list[Address]] | None = None

    async def dial(self, timeout_s: float) -> Path:
        """Return the first connection that stands; goes on while the link is away.

        Raises:
            TransportError: The other side refuses, or there is none after ``timeout_s``.
        """
        call = _Call(self)
        try:
            async with asyncio.timeout(timeout_s):
                return await call.run()
        except TimeoutError:
            why = call.last_error or "no answer"
            raise TransportError(f"{self.host}:{self.port}: {why}") from None
        finally:
            await call.end()

    async def addresses(self) -> list[Address]:
        """Return the host's addresses; an earlier answer where the name service is silent.

        Raises:
            OSError: The name is unknown, and was never known.
        """
        with contextlib.suppress(ValueError):
            family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
            ipaddress.ip_address(self.host)
            return [(family, (self.host, self.port))]
        if self._lookup is None or self._lookup.done():
            # One at a time, and kept: a silent name service would else fill the thread pool.
            self._lookup = asyncio.create_task(self._look_up(), name=f"dial.lookup[{self.host}]")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOKUP_S if self._known else None):
                self._known = await asyncio.shield(self._lookup) or self._known
        if not self._known:
            raise OSError(errno.EHOSTUNREACH, f"no address of {self.host} is known")
        return self._known

    async def _look_up(self) -> list[Address]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except OSError as error:
            log.debug("name not found", host=self.host, error=str(error))
            return []
        return [(family, where) for family, _, _, _, where in found]


class _Call:
    """The attempts of one ``Dialer.dial``."""

    def __init__(self, dialer: Dialer) -> None:
        self.last_error = ""
        self._dialer = dialer
        self._attempts: list[_Attempt] = []
        self._started = 0

    async def run(self) -> Path:
        loop = asyncio.get_running_loop()
        begin_at_s = 0.0
        while True:
            now_s = loop.time()
            if now_s >= begin_at_s and all(one.late_at_s <= now_s for one in self._attempts):
                begin_at_s = now_s + NEXT_AFTER_S * random.uniform(0.75, 1.25)
                await self._begin()
            due_s = max([begin_at_s, *(one.late_at_s for one in self._attempts)])
            await self._wait(due_s - loop.time())
            for one in list(self._attempts):
                assert one.task is not None
                if one.task.done():
                    self._attempts.remove(one)
                    if (path := self._result_of(one.task)) is not None:
                        return path

    async def end(self) -> None:
        """End the attempts that are left."""
        tasks = [one.task for one in self._attempts if one.task is not None]
        self._attempts.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:  # one may have come through just now
            if not task.cancelled() and task.exception() is None:
                task.result().abort()

    async def _begin(self) -> None:
        try:
            addresses = await self._dialer.addresses()
        except OSError as error:
            self.last_error = str(error)
            return
        waiting = [one for one in self._attempts if not one.answered]
        if len(self._attempts) >= MOST_ATTEMPTS and waiting:
            assert waiting[0].task is not None
            waiting[0].task.cancel()
        address = addresses[self._started % len(addresses)]
        self._started += 1
        attempt = _Attempt(asyncio.get_running_loop().time() + NEXT_AFTER_S)
        attempt.task = asyncio.create_task(
            self._try(attempt, address, first=self._started == 1),
            name=f"dial[{self._dialer.host}:{self._dialer.port}]",
        )
        self._attempts.append(attempt)

    async def _wait(self, at_most_s: float) -> None:
        tasks = [one.task for one in self._attempts if one.task is not None]
        if tasks:
            await asyncio.wait(
                tasks, timeout=max(0.0, at_most_s), return_when=asyncio.FIRST_COMPLETED
            )
        else:
            await asyncio.sleep(max(0.0, at_most_s))

    def _result_of(self, task: asyncio.Task[Path]) -> Path | None:
        if task.cancelled():
            return None
        error = task.exception()
        if error is None:
            return task.result()
        if not isinstance(error, (OSError, TimeoutError, ssl.CertificateError)):
            raise error
        self.last_error = str(error) or "no answer in time"
        away = isinstance(error, TimeoutError) or getattr(error, "errno", None) in _AWAY
        if not away and not self._attempts:
            # The other side's own word; who waits how long before asking again is the caller's.
            raise TransportError(f"{self._dialer.host}:{self._dialer.port}: {error}") from error
        return None

    async def _try(self, attempt: _Attempt, address: Address, *, first: bool) -> Path:
        loop = asyncio.get_running_loop()
        family, where = address
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._dialer.source().bind(connection)
            async with asyncio.timeout(LIFETIME_S):
                began_s = loop.time()
                await loop.sock_connect(connection, where)
                round_trip_s = loop.time() - began_s
                at_once = first and not _was_repeated(connection, round_trip_s)
                self._answered(attempt, round_trip_s)
                if self._dialer.tls is not None:
                    connection = self._dialer.tls.wrap_socket(
                        connection, server_hostname=self._dialer.host, do_handshake_on_connect=False
                    )
                    await _shake_hands(connection)
            local = str(connection.getsockname()[0])
        except BaseException:
            connection.close()
            raise
        return Path(connection, round_trip_s, at_once, local, address, self._dialer.source)

    def _answered(self, attempt: _Attempt, round_trip_s: float) -> None:
        now_s = asyncio.get_running_loop().time()
        attempt.answered = True
        attempt.late_at_s = now_s + max(TLS_AFTER_S, 2 * round_trip_s)
        for other in self._attempts:
            if not other.answered and other.task is not None:
                other.task.cancel()


def _was_repeated(connection: socket.socket, took_s: float) -> bool:
    """Whether a connection stood only after the system had sent its first packet again.

    The system measures a round trip by time stamps in the packets, so from the one that was
    answered (RFC 7323, section 4); a lost one makes the difference.
    """
    sight = look(connection)
    return took_s > (SYN_REPEAT_S if sight is None else sight.round_trip_s + SYN_REPEAT_S / 2)


async def _shake_hands(connection: ssl.SSLSocket) -> None:
    """Do the TLS handshake on a non-blocking socket."""
    while True:
        try:
            connection.do_handshake()
        except ssl.SSLWantReadError:
            await _ready(connection, write=False)
        except ssl.SSLWantWriteError:
            await _ready(connection, write=True)
        else:
            return


async def _ready(connection: socket.socket, *, write: bool) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    descriptor = connection.fileno()
    add, remove = (
        (loop.add_writer, loop.remove_writer) if write else (loop.add_reader, loop.remove_reader)
    )
    add(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        remove(descriptor)
