"""Sockets in the network in a box, for its tests: UDP ports that take notes, TCP that echoes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import AsyncIterator

from bench.network_conditions import CITY_ADDRESS
from bench.network_namespace import Namespace
from bench.network_space import missing

UNIT = "unit-7"
BOUND_S = 20.0


def why_not() -> str | None:
    """Say why the box cannot be tried here, also where root is not enough (containers)."""
    if (sentence := missing()) is not None:
        return sentence
    tried = subprocess.run(
        ["unshare", "--net", "true"], capture_output=True, text=True, check=False
    )
    return tried.stderr.strip() or None if tried.returncode else None


class Port(asyncio.DatagramProtocol):
    """A UDP port somewhere in the box; notes what comes as (monotonic time, number, sender)."""

    transport: asyncio.DatagramTransport

    def __init__(self, *, echo: bool = False) -> None:
        self.came: list[tuple[float, int, str]] = []
        self._echo = echo

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.came.append((time.monotonic(), int.from_bytes(data[:4], "big"), addr[0]))
        if self._echo:
            self.transport.sendto(data, addr)

    def has(self, count: int) -> bool:
        """Whether so many packets have come."""
        return len(self.came) >= count

    @property
    def numbers(self) -> list[int]:
        return [number for _, number, _ in self.came]

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.transport.get_extra_info("sockname")
        return host, port

    def send(self, number: int, to: Port, size: int = 100, host: str = CITY_ADDRESS) -> None:
        """Send a numbered packet of that many bytes of UDP payload."""
        self.transport.sendto(number.to_bytes(4, "big").ljust(size, b"\0"), (host, to.address[1]))


@contextlib.asynccontextmanager
async def port(
    where: Namespace, host: str = "0.0.0.0", *, echo: bool = False
) -> AsyncIterator[Port]:
    opened = where.open_socket(kind=socket.SOCK_DGRAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    opened.setblocking(False)
    opened.bind((host, 0))
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_datagram_endpoint(lambda: Port(echo=echo), sock=opened)
    made.transport = transport
    try:
        yield made
    finally:
        transport.close()


@contextlib.asynccontextmanager
async def echo_server(where: Namespace, host: str) -> AsyncIterator[int]:
    """A TCP server that sends back what it gets, behind the peer's address; yields its port."""
    transports = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        transports.append(writer.transport)
        writer.write(writer.get_extra_info("peername")[0].encode() + b"\n")
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    listener = where.open_socket()
    listener.bind((host, 0))
    async with await asyncio.start_server(serve, sock=listener) as server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            for transport in transports:
                transport.abort()


@contextlib.asynccontextmanager
async def connection(
    where: Namespace, to: tuple[str, int], source: str | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, str]]:
    """A TCP connection; yields reader, writer and the address under which the server sees it."""
    opened = where.open_socket()
    opened.setblocking(False)
    if source is not None:
        opened.bind((source, 0))
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(BOUND_S):
        await loop.sock_connect(opened, to)
        reader, writer = await asyncio.open_connection(sock=opened)
        seen = (await reader.readline()).decode().strip()
    try:
        yield reader, writer, seen
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def echoed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> bool:
    async with asyncio.timeout(BOUND_S):
        writer.write(data)
        return await reader.readexactly(len(data)) == data
