"""A slow link as a proxy of TCP on this machine: its rate is shared, each way takes its time.

Everything passes that a phone's connection would have to carry: handshakes of TCP (as a wait) and
TLS, requests, answers, the WebSocket. All connections share one rate in each direction.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

SEGMENT = 1400
"""Bytes that go together, as in a TCP segment."""

WAITING = 64
"""Segments of a connection that are under way; then its sender waits."""


@dataclass
class _Lane:
    """One direction.

    Attributes:
        free_at: When the last segment has left, by the loop's clock.
        octets: How many bytes passed.
    """

    rate_bps: float
    free_at: float = 0.0
    octets: int = 0

    def leaves_at(self, now: float, size: int) -> float:
        """Take a segment; return when its last bit has left."""
        self.free_at = max(now, self.free_at) + size * 8 / self.rate_bps
        self.octets += size
        return self.free_at


class SlowLink:
    """Stands before a port.

    Attributes:
        port: Where to connect instead.
        down: Towards the phone.
        up: From it.
    """

    def __init__(self, behind: int, rate_bps: float, round_trip_s: float) -> None:
        """Prepare; ``slow_link`` opens it."""
        self.port = 0
        self.down, self.up = _Lane(rate_bps), _Lane(rate_bps)
        self._behind = behind
        self._round_trip_s = round_trip_s

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        await asyncio.sleep(self._round_trip_s)  # the handshake of TCP
        inner, outer = await asyncio.open_connection("127.0.0.1", self._behind)
        try:
            with contextlib.suppress(OSError):
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass_on(reader, outer, self.up), name="link.up")
                    group.create_task(self._pass_on(inner, writer, self.down), name="link.down")
        except* OSError:
            pass  # one of the two hung up
        finally:
            outer.close()
            writer.close()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lane: _Lane
    ) -> None:
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(WAITING)
        loop = asyncio.get_running_loop()

        async def arrive() -> None:
            while True:
                at, data = await under_way.get()
                await asyncio.sleep(at - loop.time())
                if not data:
                    raise ConnectionResetError
                writer.write(data)

        async with asyncio.TaskGroup() as group:
            group.create_task(arrive(), name="link.arrive")
            while True:
                data = await reader.read(SEGMENT)
                at = lane.leaves_at(loop.time(), len(data))
                await under_way.put((at + self._round_trip_s / 2, data))
                if not data:
                    return


@contextlib.asynccontextmanager
async def slow_link(behind: int, rate_bps: float, round_trip_s: float) -> AsyncIterator[SlowLink]:
    """Open a link to a port of 127.0.0.1 while the block runs."""
    link = SlowLink(behind, rate_bps, round_trip_s)
    server = await asyncio.start_server(link.serve, "127.0.0.1", 0)
    link.port = server.sockets[0].getsockname()[1]
    try:
        yield link
    finally:
        server.close()
