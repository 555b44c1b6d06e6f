"""Who watches a connection notices that it is a new one, however quickly it came back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from dispatch import broker_link
from dispatch.broker_link import BrokerLink
from onboard.incoming import Incoming
from onboard.link import Link
from onboard.logbook import Logbook
from onboard.outgoing import Outgoing
from streams.clock import OffsetEstimate, SystemClock
from streams.outbox import Outbox
from streams.transport.memory import MemoryNetwork, MemoryTransport

WaitFor = Callable[..., Awaitable[None]]


@asynccontextmanager
async def running(work: Awaitable[None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_vehicle_link_lost_and_back_at_once_is_told(
    tmp_path: Path, wait_for: WaitFor
) -> None:
    clock, network = SystemClock(), MemoryNetwork()
    outbox = Outbox(tmp_path / "outbox.sqlite", "unit-7", clock)
    logbook = Logbook(tmp_path / "logbook.sqlite")
    link = Link(
        MemoryTransport(network), address=("north", "unit-7"), outbox=outbox,
        outgoing=Outgoing(outbox, logbook), incoming=Incoming(logbook, lambda _fact: None),
        offset=OffsetEstimate(), clock=clock,
    )  # fmt: skip
    told: list[int] = []
    link.changed = lambda: told.append(link.state.since_ns)
    try:
        async with running(link.run()):
            await wait_for(lambda: len(told) == 1 and network.published, "the first connection")
            await network.cut()
            await network.restore()
            # Sooner than the link looks by itself, every 5 s.
            await wait_for(lambda: len(told) == 2, "the second connection", 3)
            assert link.state.connected
    finally:
        outbox.close()
        logbook.close()


class QuickTransport:
    """A hub's connection that is lost and back while the region's streams are being made."""

    def __init__(self) -> None:
        self.connections = 1
        self.made_at: list[int] = []

    async def wait_connected(self) -> None:
        """There always is one."""

    async def wait_disconnected(self, timeout_s: float) -> None:
        await asyncio.sleep(timeout_s)

    async def ensure_streams(self, region: str) -> tuple[str, ...]:
        self.made_at.append(self.connections)
        await asyncio.sleep(0)
        self.connections = 2
        return ()

    async def ensure_consumer(self, stream: str, name: str) -> None:
        """Nothing to keep."""

    def jetstream(self) -> None:
        """No streams are looked at."""


class Paths:
    def __init__(self) -> None:
        self.new = 0

    def path_is_new(self) -> None:
        self.new += 1


async def test_hub_link_lost_and_back_while_streams_are_made_makes_them_again(
    wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_link, "WATCH_S", 3600.0)
    transport, paths = QuickTransport(), Paths()
    link = BrokerLink(
        cast(Any, transport), name="hub", region="north", hospitals=(), ingest=cast(Any, None),
        live=cast(Any, None), forwarder=cast(Any, paths),
    )  # fmt: skip
    async with running(link._keep_streams()):
        await wait_for(lambda: paths.new == 2, "the second connection")
    assert transport.made_at == [1, 2]
