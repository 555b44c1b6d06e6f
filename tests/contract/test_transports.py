"""One contract, held by each transport: MQTT, NATS, WebRTC and memory.

What a transport may do differently is said by its rig (``ordered``, ``refuses_subscriptions``,
``hears_hub``, ``largest_bytes``) and by nothing else; the rigs are in ``transport_rigs``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from dispatch.relay import Relay
from streams.credentials import Credential
from streams.errors import CredentialError, OversizedError, TopicError, TransportError
from streams.transport import Delivery
from streams.transport.memory import Faults, MemoryNetwork, MemoryTransport
from streams.transport.mqtt import MqttTransport
from streams.transport.nats import NatsTransport
from streams.transport.webrtc import WebRtcTransport
from streams.webrtc import Signalling
from tests.contract.transport_rigs import BOUND_S, RIGS, HubReader, Rig

REFUSING = [name for name, (make, _, _) in RIGS.items() if make.refuses_subscriptions]


async def next_of(messages: AsyncIterator[Delivery]) -> Delivery:
    async with asyncio.timeout(BOUND_S):
        return await anext(messages)


async def numbers_of(rig: Rig, messages: AsyncIterator[Delivery], count: int) -> list[int]:
    """Read so many numbers; where no order is promised, the order is not looked at."""
    found = [int((await next_of(messages)).data) for _ in range(count)]
    return found if rig.ordered else sorted(found)


async def test_publish_binary_data_arrives_byte_for_byte(rig: Rig) -> None:
    async with rig.connected("sender") as sender, rig.connected("reader") as reader:
        for data in (bytes(range(256)), b"", b"\x00", b"\r\n-ERR\r\n"):
            async with reader.subscribe(rig.topics[0]) as messages:
                await sender.publish(rig.topics[0], data)

                assert await next_of(messages) == Delivery(rig.topics[0], data)


async def test_subscribe_with_plus_gets_what_matches_and_nothing_else(rig: Rig) -> None:
    async with (
        rig.connected("sender") as sender,
        rig.connected("reader") as reader,
        reader.subscribe(rig.pattern) as messages,
    ):
        await sender.publish(rig.topics[1], b"other kind")
        await sender.publish(rig.topics[0], b"this kind")

        assert await next_of(messages) == Delivery(rig.topics[0], b"this kind")


async def test_publish_many_on_one_topic_keeps_their_order(rig: Rig) -> None:
    async with rig.connected("sender") as sender, rig.connected("reader") as reader:
        for topic in (rig.topics[0], rig.topics[2]):
            async with reader.subscribe(topic) as messages:
                for number in range(200):
                    await sender.publish(topic, str(number).encode())

                found = await numbers_of(rig, messages, 200)
            assert found == list(range(200))


async def test_publish_largest_message_arrives_and_larger_is_refused(rig: Rig) -> None:
    size = rig.largest_bytes(rig.topics[0])
    largest = (bytes(range(256)) * (size // 256 + 1))[:size]
    async with (
        rig.connected("sender") as sender,
        rig.connected("reader") as reader,
        reader.subscribe(rig.topics[0]) as messages,
    ):
        with pytest.raises(OversizedError):
            await sender.publish(rig.topics[0], largest + b"x")
        await sender.publish(rig.topics[0], largest)

        assert (await next_of(messages)).data == largest


async def test_publish_without_path_raises_transport_error(rig: Rig) -> None:
    async with rig.connected("sender") as sender:
        await rig.cut()
        await sender.wait_disconnected(BOUND_S)

        with pytest.raises(TransportError):
            await sender.publish(rig.topics[0], b"data")
        with pytest.raises(TransportError):
            await sender.wait_connected(0.05)


async def test_slow_subscriber_loses_the_oldest_and_they_are_counted(
    rig: Rig, wait_for: Callable[..., Any]
) -> None:
    async with (
        rig.connected("sender") as sender,
        rig.connected("reader", queue_limit=10) as reader,
        reader.subscribe(rig.topics[0]) as messages,
    ):
        for number in range(35):
            await sender.publish(rig.topics[0], str(number).encode())
        await wait_for(lambda: reader.dropped == 25, "25 drops")

        found = await numbers_of(rig, messages, 10)
        assert found == list(range(25, 35))
        assert sender.dropped == 0


async def test_two_subscribers_each_get_everything_once(rig: Rig) -> None:
    async with (
        rig.connected("sender") as sender,
        rig.connected("reader") as reader,
        rig.connected("reader") as other,
        reader.subscribe(rig.pattern) as first,
        reader.subscribe(rig.pattern) as second,
        other.subscribe(rig.pattern) as third,
    ):
        for number in range(3):
            await sender.publish(rig.topics[0], str(number).encode())

        for messages in (first, second, third):
            found = await numbers_of(rig, messages, 3)
            assert found == [0, 1, 2]


async def test_subscriber_that_leaves_does_not_end_the_other(rig: Rig) -> None:
    async with (
        rig.connected("sender") as sender,
        rig.connected("reader") as reader,
        reader.subscribe(rig.pattern) as stays,
    ):
        async with reader.subscribe(rig.pattern) as leaves:
            await sender.publish(rig.topics[0], b"1")
            assert (await next_of(leaves)).data == b"1"
        await sender.publish(rig.topics[0], b"2")

        assert await numbers_of(rig, stays, 2) == [1, 2]


async def test_topic_with_unicode_arrives_as_it_was(rig: Rig) -> None:
    topic = "ems/north/救護車-Ünit-七/case_fact"
    async with contextlib.AsyncExitStack() as stack:
        heard_by = await stack.enter_async_context(rig.connected(rig.hears_hub))
        hub = await stack.enter_async_context(rig.connected("reader"))
        messages = await stack.enter_async_context(heard_by.subscribe("ems/north/+/case_fact"))
        await hub.publish(topic, "心電圖 ♥".encode())

        assert await next_of(messages) == Delivery(topic, "心電圖 ♥".encode())


@pytest.mark.parametrize(
    "topic",
    ["ems/north/+/vitals", "ems/north/#", "ems/north/*/vitals", "ems/north/>", "ems//unit-7/vitals",
     "", "/", "ems/north/unit.7/vitals", "ems/north/unit 7/vitals", "ems/north/unit\n7/vitals",
     "ems/north/unit-7/vitals/", "ems/north/\x00/vitals"],
)  # fmt: skip
async def test_publish_to_what_is_no_topic_raises_topic_error(topic: str) -> None:
    nobody = Credential(name="unit-7", role="unit", region="north", secret="s")
    async with (
        MemoryTransport(MemoryNetwork()) as memory,
        MqttTransport("127.0.0.1", 9, nobody, None) as mqtt,
        NatsTransport("nats://127.0.0.1:9", nobody, None) as nats,
        WebRtcTransport(Signalling("http://127.0.0.1:9/whip/unit-7/data")) as webrtc,
        HubReader(Relay(), "unit-7/data") as hub,
    ):
        for transport in (memory, mqtt, nats, webrtc, hub):
            with pytest.raises(TopicError):
                await transport.publish(topic, b"data")


async def test_publish_without_right_is_not_delivered(rig: Rig) -> None:
    async with (
        rig.connected("sender") as sender,
        rig.connected("reader") as reader,
        reader.subscribe(rig.pattern) as messages,
        reader.subscribe(rig.own_pattern) as own_messages,
    ):
        await sender.publish(rig.hub_made_topic, b"forged")
        await sender.publish(rig.foreign_topic, b"forged")
        await sender.publish(rig.topics[0], b"own")

        assert await next_of(messages) == Delivery(rig.topics[0], b"own")
        assert await next_of(own_messages) == Delivery(rig.topics[0], b"own")


@pytest.mark.parametrize("rig", REFUSING, indirect=True)
async def test_subscribe_without_right_raises_credential_error_and_stays_usable(rig: Rig) -> None:
    async with rig.connected("sender") as sender, rig.connected("reader") as reader:
        for pattern in (rig.foreign_pattern, rig.pattern, "+/+/+/+"):
            with pytest.raises(CredentialError):
                async with sender.subscribe(pattern):
                    pass
        async with reader.subscribe(rig.topics[0]) as messages:
            await sender.publish(rig.topics[0], b"data")

            assert (await next_of(messages)).data == b"data"


@pytest.mark.parametrize("rig", sorted(RIGS.keys() - REFUSING), indirect=True)
async def test_subscribe_that_is_never_refused_gets_nothing_of_another(rig: Rig) -> None:
    async with (
        rig.connected("sender") as sender,
        rig.connected("neighbour") as neighbour,
        rig.connected("reader") as hub,
        sender.subscribe("+/+/+/+") as everything,
        neighbour.subscribe(rig.foreign_pattern) as theirs,
    ):
        await hub.publish(rig.foreign_pattern, b"theirs")
        assert await next_of(theirs) == Delivery(rig.foreign_pattern, b"theirs")
        await hub.publish(rig.hub_made_topic, b"own")

        assert await next_of(everything) == Delivery(rig.hub_made_topic, b"own")


async def test_unknown_credential_is_said_and_nothing_can_be_sent(rig: Rig) -> None:
    async with rig.connect("stranger") as stranger:
        with pytest.raises(CredentialError):
            await stranger.wait_connected(BOUND_S)
        with pytest.raises(TransportError):
            await stranger.publish(rig.topics[0], b"data")


async def test_cancelled_publish_leaves_the_transport_usable(rig: Rig) -> None:
    large = b"x" * (rig.largest_bytes(rig.topics[0]) // 2)
    async with (
        rig.connected("sender") as sender,
        rig.connected("reader") as reader,
        reader.subscribe(rig.topics[1]) as messages,
    ):
        for turns in range(6):
            task = asyncio.create_task(sender.publish(rig.topics[0], large))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
        await sender.publish(rig.topics[1], b"after")

        assert (await next_of(messages)).data == b"after"


async def test_cancelled_reader_loses_no_message(rig: Rig) -> None:
    found: list[int] = []
    async with (
        rig.connected("sender") as sender,
        rig.connected("reader") as reader,
        reader.subscribe(rig.topics[0]) as messages,
    ):
        for number in range(5):
            waiting = asyncio.ensure_future(anext(messages))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting})
            if not waiting.cancelled():
                found.append(int(waiting.result().data))
            await sender.publish(rig.topics[0], str(number).encode())
        while len(found) < 5:
            found.append(int((await next_of(messages)).data))
    assert (found if rig.ordered else sorted(found)) == list(range(5))


async def test_path_that_comes_back_serves_the_subscriptions_made_before(rig: Rig) -> None:
    async with rig.connected("sender") as sender, rig.connected("reader") as reader:
        before = sender.connections
        async with reader.subscribe(rig.topics[0]) as made_before:
            await rig.cut()
            await sender.wait_disconnected(BOUND_S)
            await reader.wait_disconnected(BOUND_S)
            async with reader.subscribe(rig.topics[1]) as made_without_path:
                await rig.restore()
                await sender.wait_connected(BOUND_S)
                await reader.wait_connected(BOUND_S)
                await sender.publish(rig.topics[0], b"again")
                await sender.publish(rig.topics[1], b"too")

                assert (await next_of(made_before)).data == b"again"
                assert (await next_of(made_without_path)).data == b"too"
        assert sender.connections == before + 1


async def test_wait_for_the_loss_ends_also_when_the_path_is_back_at_once(rig: Rig) -> None:
    async with rig.connected("sender") as sender:
        before = sender.connections
        async with asyncio.TaskGroup() as group:
            group.create_task(sender.wait_disconnected(BOUND_S))
            await asyncio.sleep(0)  # it waits now
            await rig.cut()
            await rig.restore()
        await sender.wait_connected(BOUND_S)
        assert sender.connections == before + 1


async def test_closed_transport_ends_its_subscriptions(rig: Rig) -> None:
    async with contextlib.AsyncExitStack() as outer, contextlib.AsyncExitStack() as inner:
        await outer.enter_async_context(rig.connected("sender"))
        reader = await inner.enter_async_context(rig.connected("reader"))
        messages = await outer.enter_async_context(reader.subscribe(rig.topics[0]))
        await inner.aclose()

        async with asyncio.timeout(BOUND_S):
            assert [message async for message in messages] == []


async def test_memory_faults_drop_repeat_and_reorder_as_told() -> None:
    network = MemoryNetwork(seed=1)
    found: dict[str, list[int]] = {}
    for name in ("drop", "duplicate", "reorder"):
        network.faults = replace(Faults(), **{name: 0.5})
        transport = MemoryTransport(network)
        async with transport, transport.subscribe("a/b") as messages:
            for number in range(100):
                await transport.publish("a/b", str(number).encode())
            network.faults = Faults()
            for number in (100, 101):  # the first frees what was held back
                await transport.publish("a/b", str(number).encode())
            seen: list[int] = []
            while 101 not in seen:
                seen.append(int((await next_of(messages)).data))
            found[name] = seen

    assert found["drop"] == sorted(found["drop"])
    assert 20 < len(found["drop"]) < 80
    assert len(found["duplicate"]) > 120
    assert sorted(set(found["duplicate"])) == list(range(102))
    assert found["reorder"] != sorted(found["reorder"])
    assert sorted(found["reorder"]) == list(range(102))
