"""Dialling over a link that is away, slow, or refuses."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path as File

import pytest

from streams.authority import Authority, client_context, server_context
from streams.errors import TransportError
from streams.transport import dialing
from streams.transport.dialing import Dialer
from streams.transport.source import Source

WaitFor = Callable[..., Awaitable[None]]

BOUND_S = 20.0


@pytest.fixture
def deaf() -> socket.socket:
    """A listener whose queue is full: on Linux the opening packets to it are lost."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    listener.setblocking(False)
    return listener


def fill(listener: socket.socket) -> list[socket.socket]:
    """Connect until no opening packet is answered any more."""
    callers = []
    for _ in range(10):
        caller = socket.socket()
        caller.settimeout(0.3)
        callers.append(caller)
        try:
            caller.connect(listener.getsockname())
        except TimeoutError:
            return callers
    pytest.skip("this system does not drop what a full queue cannot take")


def empty(listener: socket.socket, callers: list[socket.socket]) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
    for caller in callers:
        caller.close()


async def test_first_attempt_answered_only_when_its_packet_was_repeated_is_not_at_once(
    deaf: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialing, "NEXT_AFTER_S", BOUND_S)  # the first attempt stays the only one
    callers = fill(deaf)
    try:
        async with asyncio.timeout(BOUND_S):
            first = asyncio.create_task(Dialer(*deaf.getsockname()).dial(BOUND_S))
            done, _ = await asyncio.wait({first}, timeout=0.3)
            assert not done, "its first packet was lost"
            empty(deaf, callers)
            late = await first
            late.abort()
            empty(deaf, callers)  # room for one more
            soon = await Dialer(*deaf.getsockname()).dial(BOUND_S)
    finally:
        empty(deaf, callers)
        deaf.close()
    soon.abort()
    assert (late.at_once, soon.at_once) == (False, True)


async def test_dial_while_the_link_is_away_finds_it_when_it_is_back(deaf: socket.socket) -> None:
    callers = fill(deaf)
    dialer = Dialer(*deaf.getsockname())
    try:
        async with asyncio.timeout(BOUND_S):
            dialling = asyncio.create_task(dialer.dial(BOUND_S))
            await asyncio.sleep(0)
            done, _ = await asyncio.wait({dialling}, timeout=0.5)
            assert not done
            empty(deaf, callers)
            path = await dialling
        assert not path.at_once
        path.abort()
    finally:
        empty(deaf, callers)
        deaf.close()


async def test_dial_that_nobody_answers_ends_at_its_time_and_leaves_nothing_open(
    deaf: socket.socket,
) -> None:
    callers = fill(deaf)
    try:
        with pytest.raises(TransportError, match="no answer"):
            async with asyncio.timeout(BOUND_S):
                await Dialer(*deaf.getsockname()).dial(1.2)
        left = [one for one in asyncio.all_tasks() if one.get_name().startswith("dial[")]
        assert left == []
    finally:
        empty(deaf, callers)
        deaf.close()


async def test_dial_of_a_port_where_nobody_listens_is_told_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        place = listener.getsockname()
    with pytest.raises(TransportError, match="failed"):
        async with asyncio.timeout(BOUND_S):
            await Dialer(*place).dial(10 * BOUND_S)


async def test_dial_of_an_unknown_name_goes_on_until_its_time_is_over() -> None:
    with pytest.raises(TransportError, match=r"known|no answer"):
        async with asyncio.timeout(BOUND_S):
            await Dialer("nobody.invalid", 1).dial(1.0)


async def test_dial_from_a_stated_address_starts_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        dialer = Dialer(
            "127.0.0.1", listener.getsockname()[1], source=lambda: Source(address="127.0.0.5")
        )
        path = await dialer.dial(BOUND_S)
        assert path.local == "127.0.0.5"
        assert path.at_once
        path.abort()


async def test_dial_from_an_interface_that_is_not_there_waits_for_it() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        pytest.raises(TransportError, match=r"(?i)no such device|no answer|permitted"),
    ):
        dialer = Dialer(
            "127.0.0.1", listener.getsockname()[1], source=lambda: Source(interface="none-such0")
        )
        await dialer.dial(1.0)


def test_source_knows_where_packets_would_start() -> None:
    assert Source().local_address(socket.AF_INET, ("127.0.0.1", 9)) == "127.0.0.1"
    there = Source(address="127.0.0.7")
    assert there.local_address(socket.AF_INET, ("127.0.0.1", 9)) == "127.0.0.7"
    nowhere = Source(address="192.0.2.1")  # TEST-NET-1, RFC 5737: never an address of ours
    assert nowhere.local_address(socket.AF_INET, ("127.0.0.1", 9)) is None


class SlowTls:
    """A TLS server behind a wall: the first connections get no answer, all others late."""

    def __init__(self, port: int, *, mute: int = 0, delay_s: float = 0.0) -> None:
        self.accepted = self.carried = 0
        self._port = port
        self._mute = mute
        self._delay_s = delay_s

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            await self._carry(reader, writer)
        finally:
            self.carried += 1

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.accepted <= self._mute:
            with contextlib.suppress(OSError):
                await reader.read()  # takes all, answers nothing
            writer.close()
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._port)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._copy(reader, inner_writer))
            group.create_task(self._copy(inner_reader, writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                await asyncio.sleep(self._delay_s)
                writer.write(data)
        writer.close()


@pytest.fixture
async def tls_port(tmp_path: File) -> AsyncIterator[tuple[int, ssl.SSLContext]]:
    authority = Authority(tmp_path)
    authority.ensure()
    authority.ensure()
    pair = authority.server_certificate("there", ["127.0.0.1"])

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0, ssl=server_context(pair))
    try:
        yield server.sockets[0].getsockname()[1], client_context(authority.ca_path)
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(("mute", "delay_s"), [(0, 0.0), (1, 0.0), (0, 1.2)])
async def test_dial_with_tls_over_a_path_that_stalls_or_is_slow_comes_through(
    tls_port: tuple[int, ssl.SSLContext], mute: int, delay_s: float, wait_for: WaitFor
) -> None:
    port, context = tls_port
    wall = SlowTls(port, mute=mute, delay_s=delay_s)
    server = await asyncio.start_server(wall.carry, "127.0.0.1", 0)
    try:
        async with asyncio.timeout(BOUND_S):
            dialer = Dialer("127.0.0.1", server.sockets[0].getsockname()[1], context)
            path = await dialer.dial(BOUND_S)
        assert isinstance(path.connection, ssl.SSLSocket)
        assert path.connection.version() is not None
        assert wall.accepted <= mute + 5, "attempts are not piled up"
        path.abort()
        await wait_for(lambda: wall.carried == wall.accepted, "the wall's connections to end")
    finally:
        server.close()
        await server.wait_closed()
