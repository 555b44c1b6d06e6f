"""A TCP link between a client and the broker that can be stalled, narrowed and cut."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

BOUND_S = 15.0
CHUNK = 8 * 1024


@dataclass
class Link:
    """A TCP link that can be stalled, narrowed and cut.

    It ends the client's TCP itself, so while it is stalled the client's system still gets
    acknowledgements: what is noticed is that the broker says nothing.
    """

    target_port: int
    port: int = 0
    bytes_per_s: float | None = None
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    accepted: int = 0

    def stall(self) -> None:
        """Carry nothing more, in both directions."""
        self.flowing.clear()

    def flow(self) -> None:
        """Carry again."""
        self.flowing.set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        self.accepted += 1
        self.writers.append(writer)
        with contextlib.suppress(OSError):
            up, down = await asyncio.open_connection("127.0.0.1", self.target_port)
            self.writers.append(down)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, down, narrow=True))
                group.create_task(self._copy(up, writer, narrow=False))

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, narrow: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while True:
                await self.flowing.wait()
                data = await reader.read(CHUNK)
                if not data:
                    break
                await self.flowing.wait()
                if narrow and self.bytes_per_s:
                    await asyncio.sleep(len(data) / self.bytes_per_s)
                writer.write(data)
                await writer.drain()
        writer.close()

    def cut(self) -> None:
        """End all connections at once."""
        for writer in self.writers:
            if writer.transport is not None:
                writer.transport.abort()
        self.writers.clear()


@contextlib.asynccontextmanager
async def linked(target_port: int) -> AsyncIterator[Link]:
    """Give a link to a port of this machine, flowing."""
    link = Link(target_port)
    link.flow()
    # A small window, so that what is not carried waits at the sender.
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK)
    server = await asyncio.start_server(link.carry, sock=listener, limit=CHUNK)
    link.port = server.sockets[0].getsockname()[1]
    try:
        yield link
    finally:
        link.flow()
        link.cut()
        server.close()
        await server.wait_closed()
