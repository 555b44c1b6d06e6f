"""Facts in the real JetStream: kept, shared, read in batches, dropped loudly."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
from prometheus_client import REGISTRY

from streams.broker_rights import stream_name
from streams.errors import TransportError
from streams.transport.jetstream import Stored, StreamWatch
from streams.transport.nats import NatsTransport

if TYPE_CHECKING:
    from tests.integration.broker.conftest import City

WaitFor = Callable[..., Awaitable[None]]

BOUND_S = 15.0


async def test_facts_survive_a_restart_and_a_kill_of_the_server(
    city: City, wait_for: WaitFor
) -> None:
    stream = stream_name("from_units", "north")
    async with city.nats("hub-north") as hub, city.mqtt("unit-7") as unit:
        await hub.ensure_streams("north")
        await hub.ensure_consumer(stream, "hub")
        for number in range(10):
            await unit.publish("ems/north/unit-7/vitals", str(number).encode())
        await city.broker.restart()
        # Not "until it is disconnected": it may have connected again while the broker started.
        await wait_for(lambda: hub.connections == 2 and hub.connected, "the hub is back")
        batch = await city.first_batch(hub, stream, "hub")
        assert [stored.data for stored in batch] == [str(n).encode() for n in range(10)]

        await unit.wait_connected(BOUND_S)
        await unit.publish("ems/north/unit-7/vitals", b"10")
        os.kill(city.endpoints.pid, signal.SIGKILL)
        with pytest.raises(TransportError, match="ended"):
            async with asyncio.timeout(BOUND_S):
                await city.broker.wait()
        await city.broker.restart()
        await hub.wait_connected(BOUND_S)
        got: list[bytes] = []
        async with asyncio.timeout(BOUND_S):
            while b"10" not in got:
                got += [stored.data for stored in await city.first_batch(hub, stream, "hub")]
    # The server writes acknowledgements after a while: what it had not written comes again.
    assert set(got) <= {str(n).encode() for n in range(11)}
    assert got.count(b"10") == 1


async def test_reader_gets_a_lone_fact_at_once_and_a_crowd_in_batches(
    city: City, wait_for: WaitFor
) -> None:
    stream = stream_name("to_hospitals", "north")
    async with city.nats("hub-north") as hub, city.nats("first-hospital") as hospital:
        reading = contextlib.aclosing(hospital.pull(stream, "first-hospital"))
        async with asyncio.timeout(BOUND_S), reading as batches:
            # The gateway may be there before the hub has made its consumer.
            waiting = asyncio.ensure_future(anext(batches))
            await hub.ensure_streams("north")
            await hub.ensure_hospital_consumer("north", "first-hospital")
            await hub.publish_stored("er/north/first-hospital/case_fact", b"alone")
            lone = await waiting
            assert [stored.data for stored in lone] == [b"alone"]
            for number in range(600):
                await hub.publish_stored("er/north/first-hospital/case_fact", b"%d" % number)
            crowd: list[Stored] = []
            batches_needed = 0
            while len(crowd) < 600:
                batch = await anext(batches)
                batches_needed += 1
                crowd += batch
            for stored in [*lone, *crowd]:
                await stored.ack()
        assert [int(stored.data) for stored in crowd] == list(range(600))
        assert batches_needed < 300

        async def empty() -> bool:
            return bool((await hub.jetstream().stream_info(stream)).state.messages == 0)

        await wait_for(empty, "what was acknowledged is gone")


async def test_two_readers_of_one_consumer_share_the_facts(city: City, wait_for: WaitFor) -> None:
    stream = stream_name("from_units", "north")
    seen: list[tuple[str, bytes]] = []

    async def read(name: str, hub: NatsTransport) -> None:
        async with contextlib.aclosing(hub.pull(stream, "hub", batch=4)) as batches:
            async for batch in batches:
                for stored in batch:
                    await stored.ack()
                    seen.append((name, stored.data))

    async with (
        city.nats("hub-north") as one,
        city.nats("hub-north") as two,
        city.mqtt("unit-7") as unit,
        asyncio.timeout(BOUND_S),
    ):
        await one.ensure_streams("north")
        await one.ensure_consumer(stream, "hub")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(read(n, hub)) for n, hub in (("one", one), ("two", two))]
            for number in range(40):
                await unit.publish("ems/north/unit-7/vitals", str(number).encode())
            await wait_for(lambda: len(seen) == 40, "all facts")
            for task in tasks:
                task.cancel()
    assert sorted(int(data) for _, data in seen) == list(range(40))
    assert {name for name, _ in seen} == {"one", "two"}


async def test_publish_stored_without_a_stream_says_so(city: City) -> None:
    async with city.nats("hub-north") as hub:
        with pytest.raises(TransportError, match="stream"):
            await hub.publish_stored("er/north/first-hospital/case_fact", b"x")


async def test_full_stream_drops_the_oldest_and_the_drop_is_counted(city: City) -> None:
    stream = stream_name("to_hospitals", "north")
    watch = StreamWatch()
    async with city.nats("hub-north") as hub:
        await hub.ensure_streams("north")
        js = hub.jetstream()
        config = (await js.stream_info(stream)).config
        config.max_bytes = 2_000_000
        await js.update_stream(config)
        counts = []
        for _ in range(3):
            for _ in range(4):
                await hub.publish_stored("er/north/first-hospital/case_fact", b"x" * 500_000)
            await watch.look(js, [stream])
            labels = {"stream": stream}
            counts.append(REGISTRY.get_sample_value("forerun_stream_discarded_total", labels))
    assert counts[1] is not None
    assert counts[2] == counts[1] + 4
