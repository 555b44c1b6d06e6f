"""The vehicle's uplink to the real broker on a link that stalls, narrows and breaks."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from streams.errors import TransportError
from streams.transport.mqtt import MqttTransport

if TYPE_CHECKING:
    from tests.integration.broker.conftest import City

WaitFor = Callable[..., Awaitable[None]]

BOUND_S = 15.0
CHUNK = 8 * 1024


@dataclass
class Link:
    """A TCP link that can be stalled, narrowed and cut."""

    target_port: int
    port: int = 0
    bytes_per_s: float | None = None
    flowing: asyncio.Event = field(default_factory=asyncio.Event)
    writers: list[asyncio.StreamWriter] = field(default_factory=list)
    accepted: int = 0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
        for writer in self.writers:
            if writer.transport is not None:
                writer.transport.abort()
        self.writers.clear()


@pytest.fixture
async def link(city: City) -> AsyncIterator[Link]:
    link = Link(city.endpoints.mqtt_port)
    link.flowing.set()
    # A small window, so that what is not carried waits at the sender.
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK)
    server = await asyncio.start_server(link.carry, sock=listener, limit=CHUNK)
    link.port = server.sockets[0].getsockname()[1]
    try:
        yield link
    finally:
        link.flowing.set()
        link.cut()
        server.close()
        await server.wait_closed()


async def test_large_message_on_a_narrow_link_arrives_though_it_takes_long(
    city: City, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 500 kB at 100 kB/s take 5 s, ten times the patience with a link that does not move.
    link.bytes_per_s = 100_000
    monkeypatch.setattr("streams.transport.mqtt.SLOWEST_BYTES_PER_S", float("inf"))
    unit = city.credentials["unit-7"]
    async with (
        MqttTransport("127.0.0.1", link.port, unit, city.tls, timeout_s=0.5) as uplink,
        city.nats("hub-north") as hub,
        hub.subscribe("ems/north/unit-7/ecg_record") as messages,
    ):
        await uplink.wait_connected(BOUND_S)
        async with asyncio.timeout(4 * BOUND_S):
            await uplink.publish("ems/north/unit-7/ecg_record", b"x" * 500_000)
            assert len((await anext(messages)).data) == 500_000
        assert uplink.connections == 1


async def test_link_that_stalls_while_publishing_is_given_up_and_built_anew(
    city: City, link: Link
) -> None:
    unit = city.credentials["unit-7"]
    async with MqttTransport("127.0.0.1", link.port, unit, city.tls, timeout_s=1.0) as uplink:
        await uplink.wait_connected(BOUND_S)
        link.flowing.clear()
        with pytest.raises(TransportError):
            async with asyncio.timeout(BOUND_S):
                await uplink.publish("ems/north/unit-7/vitals", b"into the tunnel")
        await uplink.wait_disconnected(BOUND_S)
        link.flowing.set()
        await uplink.wait_connected(BOUND_S)

        await uplink.publish("ems/north/unit-7/vitals", b"out of it")
        assert uplink.connections == 2


async def test_idle_link_that_dies_is_noticed_by_the_keepalive(city: City, link: Link) -> None:
    unit = city.credentials["unit-7"]
    async with MqttTransport("127.0.0.1", link.port, unit, city.tls, keepalive_s=1) as uplink:
        await uplink.wait_connected(BOUND_S)
        link.flowing.clear()
        await uplink.wait_disconnected(BOUND_S)


async def test_link_that_breaks_fails_what_is_on_the_way_and_comes_back(
    city: City, link: Link, wait_for: WaitFor
) -> None:
    unit = city.credentials["unit-7"]
    async with MqttTransport("127.0.0.1", link.port, unit, city.tls) as uplink:
        await uplink.wait_connected(BOUND_S)
        link.flowing.clear()
        async with asyncio.timeout(BOUND_S):
            publishing = [
                asyncio.create_task(uplink.publish("ems/north/unit-7/vitals", b"x"))
                for _ in range(30)  # more than paho lets be on the way at once
            ]
            await asyncio.sleep(0)
            link.cut()
            done, _ = await asyncio.wait(publishing)
        assert all(isinstance(task.exception(), TransportError) for task in done)
        link.flowing.set()
        await wait_for(lambda: uplink.connected and uplink.connections == 2, "a new connection")
        await uplink.publish("ems/north/unit-7/vitals", b"x")


async def test_close_while_the_link_is_dead_ends_soon(city: City, link: Link) -> None:
    unit = city.credentials["unit-7"]
    async with asyncio.timeout(BOUND_S):
        async with MqttTransport("127.0.0.1", link.port, unit, city.tls) as uplink:
            await uplink.wait_connected(BOUND_S)
            link.flowing.clear()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await uplink.publish("ems/north/unit-7/vitals", b"x" * 100_000)


# paho leaves the socket of a TLS handshake without answer to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_close_while_connecting_leaves_nothing_open(city: City, link: Link) -> None:
    link.flowing.clear()  # accepts, never answers
    unit = city.credentials["unit-7"]
    async with asyncio.timeout(BOUND_S):
        async with MqttTransport("127.0.0.1", link.port, unit, city.tls, timeout_s=1.0) as uplink:
            with pytest.raises(TransportError):
                await uplink.wait_connected(0.2)
