"""Opening the hub: journal, outbox, broker, certificate, pages; and closing it all again.

    async with serving(settings) as hub:
        hub.url, hub.record.book, hub.relay …

What is opened is closed in the opposite order. A task that fails ends the service.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from prometheus_client import REGISTRY

from dispatch.address_search import opened_search
from dispatch.hub import Hub, Parts
from dispatch.hub_clock import hub_clock
from dispatch.relay_stats import RelayCollector
from dispatch.settings import Settings
from dispatch.speech.recognition import Recognition
from dispatch.speech.synthesis import Synthesis
from streams.authority import client_context, server_context
from streams.clock import Clock, SystemClock
from streams.credentials import read_own_credential
from streams.journal import Journal
from streams.outbox import Outbox
from streams.page_server import admission, own_state, page_certificate, said_ready
from streams.service import listening
from streams.transport.nats import NatsTransport


@contextlib.asynccontextmanager
async def serving(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Hub]:
    """Run a hub while the block runs; it serves from the moment this is entered.

    Raises:
        ConfigError: A file, an address or a port is unusable, or another hub runs in the state.
        StorageError: Journal or outbox cannot be opened, or belong to another hub.
        CredentialError: The broker refuses the hub's credential.
    """
    state, listen = Path(settings.state), settings.listen
    credential = read_own_credential(
        Path(settings.credential), "hub", settings.name, settings.region
    )
    trust = client_context(Path(settings.authority) if settings.authority else None)
    tls = server_context(page_certificate(settings))
    transport = NatsTransport(settings.broker.url, credential, trust)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(own_state(settings, "hub"))
        journal = await stack.enter_async_context(Journal(settings.journal_url))
        clock = clock or await hub_clock(journal, SystemClock())
        outbox = Outbox(state / "outbox.sqlite", settings.name, clock)
        stack.callback(outbox.close)
        await stack.enter_async_context(transport)
        search = await stack.enter_async_context(opened_search(settings.places, settings.hospitals))
        verify = admission(settings)
        hears = await stack.enter_async_context(Recognition(settings.speech, state / "speech"))
        speaks = await stack.enter_async_context(Synthesis(settings.speech))
        parts = Parts(
            settings, journal, outbox, transport, clock, verify, search, hears=hears, speaks=speaks
        )
        hub = Hub(parts)
        await stack.enter_async_context(hub.relay)
        await hub.restore()
        collector = RelayCollector(hub.relay.snapshot)
        REGISTRY.register(collector)
        stack.callback(REGISTRY.unregister, collector)
        await stack.enter_async_context(_working(hub))
        hub.port = await stack.enter_async_context(
            listening(hub.application(), listen.host, listen.port, tls)
        )
        yield hub


async def run(settings: Settings) -> None:
    """Run the hub until cancelled; ``ready.json`` in its state says that it serves."""
    async with serving(settings) as hub:
        await hub.link.ready.wait()
        with said_ready(settings, hub.port):
            await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def _working(hub: Hub) -> AsyncIterator[None]:
    """Run the hub's tasks while the block runs; one that fails ends the block."""
    async with asyncio.TaskGroup() as group:
        work = group.create_task(hub.work(), name="hub")
        try:
            yield
        finally:
            work.cancel()
