"""The vehicle's uplink to the real broker on a link that stalls, narrows and breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from streams.errors import TransportError
from streams.transport.mqtt import MqttTransport
from tests.integration.broker.tcp_link import BOUND_S, Link, linked

if TYPE_CHECKING:
    from tests.integration.broker.conftest import City

WaitFor = Callable[..., Awaitable[None]]


@pytest.fixture
async def link(city: City) -> AsyncIterator[Link]:
    async with linked(city.endpoints.mqtt_port) as link:
        yield link


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
        assert not uplink.connected
        with pytest.raises(TransportError):
            await uplink.publish("ems/north/unit-7/vitals", b"into the dead link")


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
