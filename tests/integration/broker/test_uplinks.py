"""Two uplinks to the real broker: failover without a handshake, copies, nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from onboard.uplinks import Member, Uplinks
from streams.errors import CredentialError, TransportError
from streams.transport.mqtt import MqttTransport
from streams.transport.source import Source
from tests.integration.broker.tcp_link import BOUND_S, Link, linked

if TYPE_CHECKING:
    from tests.integration.broker.conftest import City

WaitFor = Callable[..., Awaitable[None]]

VITALS = "ems/north/unit-7/vitals"
URGENT = "ems/north/unit-7/run_started"
DOWN = "ems/north/unit-7/receipt_down"


@pytest.fixture
async def links(city: City) -> AsyncIterator[tuple[Link, Link]]:
    async with linked(city.endpoints.mqtt_port) as one, linked(city.endpoints.mqtt_port) as two:
        yield one, two


def member(city: City, link: Link, name: str, address: str, *, copies: bool = False) -> Member:
    unit, source = city.credentials["unit-7"], Source(address=address)
    transport = MqttTransport("127.0.0.1", link.port, unit, city.tls, source=source, name=name)
    return Member(name, transport, source, copies)


def pair(city: City, links: tuple[Link, Link], *, copies: bool = False) -> Uplinks:
    return Uplinks(
        [
            member(city, links[0], "first", "127.0.0.2"),
            member(city, links[1], "second", "127.0.0.3", copies=copies),
        ]
    )


async def test_uplinks_of_one_vehicle_do_not_throw_each_other_out(
    city: City, links: tuple[Link, Link], wait_for: WaitFor
) -> None:
    async with pair(city, links) as uplinks:
        await wait_for(lambda: links[0].accepted and links[1].accepted, "both")
        await wait_for(lambda: uplinks.in_use == "first", "the first in use")
        for _ in range(3):
            await uplinks.publish(VITALS, b"x")
        members = uplinks._members
        await wait_for(lambda: all(one.transport.connected for one in members), "both connected")
        assert [one.transport.connections for one in members] == [1, 1]
        assert uplinks.source() == Source(address="127.0.0.2")
        assert uplinks.media_addresses() == ("127.0.0.2",)


async def test_uplink_that_goes_silent_is_left_for_the_other_which_stands_already(
    city: City, links: tuple[Link, Link], wait_for: WaitFor
) -> None:
    async with (
        pair(city, links) as uplinks,
        city.nats("hub-north") as hub,
        hub.subscribe(VITALS) as messages,
    ):
        members = uplinks._members
        await wait_for(lambda: all(one.transport.connected for one in members), "both connected")
        await wait_for(lambda: uplinks.in_use == "first", "the first in use")
        before = uplinks.connections
        links[0].stall()
        await wait_for(lambda: uplinks.in_use == "second", "the second in use", BOUND_S)
        assert uplinks.connections > before, "who repeats is told that the path is another"
        assert uplinks.media_addresses() == ("127.0.0.3",)
        await uplinks.post(VITALS, b"by the second")
        async with asyncio.timeout(BOUND_S):
            assert (await anext(messages)).data == b"by the second"
        assert members[1].transport.connections == 1, "it stood all the time"

        links[0].flow()
        await wait_for(lambda: members[0].transport.connected, "the first connected", BOUND_S)
        assert uplinks.in_use == "second", "the first has not settled"


async def test_facts_over_both_arrive_by_each_and_a_dead_one_holds_up_nothing(
    city: City, links: tuple[Link, Link], wait_for: WaitFor
) -> None:
    async with (
        pair(city, links, copies=True) as uplinks,
        city.nats("hub-north") as hub,
        hub.subscribe(URGENT) as messages,
    ):
        members = uplinks._members
        await wait_for(lambda: all(one.transport.connected for one in members), "both connected")
        await uplinks.post(URGENT, b"1")
        async with asyncio.timeout(BOUND_S):
            assert [(await anext(messages)).data for _ in range(2)] == [b"1", b"1"]
            links[0].stall()
            await uplinks.post(URGENT, b"2")
            assert (await anext(messages)).data == b"2", "before the first is given up"


async def test_message_from_the_hub_comes_once_whatever_lives(
    city: City, links: tuple[Link, Link], wait_for: WaitFor
) -> None:
    async with pair(city, links) as uplinks, city.nats("hub-north") as hub:
        members = uplinks._members
        await wait_for(lambda: all(one.transport.connected for one in members), "both connected")
        async with uplinks.subscribe(DOWN) as deliveries, asyncio.timeout(2 * BOUND_S):
            await hub.publish(DOWN, b"1")
            await hub.publish(DOWN, b"2")
            await hub.publish(DOWN, b"2")
            assert [(await anext(deliveries)).data for _ in range(3)] == [b"1", b"2", b"2"]
            links[0].stall()
            await hub.publish(DOWN, b"3")
            assert (await anext(deliveries)).data == b"3", "by the other, at once"


async def test_uplinks_that_are_all_dead_say_so_and_come_back(
    city: City, links: tuple[Link, Link], wait_for: WaitFor
) -> None:
    async with pair(city, links) as uplinks:
        await uplinks.wait_connected(BOUND_S)
        for link in links:
            link.stall()
        await uplinks.wait_disconnected(BOUND_S)
        await wait_for(lambda: not uplinks.connected, "both given up", BOUND_S)
        assert uplinks.in_use == ""
        with pytest.raises(TransportError):
            await uplinks.publish(VITALS, b"x")
        links[1].flow()
        await uplinks.wait_connected(BOUND_S)
        assert uplinks.in_use == "second"
        assert uplinks.has_room


async def test_uplinks_with_a_refused_credential_say_so(
    city: City, links: tuple[Link, Link]
) -> None:
    city.credentials["unit-7"] = city.credentials["unit-8"].__class__(
        name="unit-7", role="unit", region="north", secret="wrong"
    )
    async with pair(city, links) as uplinks:
        with pytest.raises(CredentialError):
            await uplinks.wait_connected(BOUND_S)
        with contextlib.suppress(CredentialError):
            async with uplinks.subscribe(DOWN):
                assert not uplinks.connected
