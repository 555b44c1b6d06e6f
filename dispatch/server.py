"""Opening the hub: journal, outbox, broker, certificate, pages; and closing it all again.

    async with serving(settings) as hub:
        hub.url, hub.record.book, hub.relay …

What is opened is closed in the opposite order. A task that fails ends the service.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import structlog
from prometheus_client import REGISTRY

from dispatch.hub import Hub, Parts
from dispatch.relay_stats import RelayCollector
from dispatch.settings import Settings
from streams import service
from streams import web as pages
from streams.authority import Authority, Pair, client_context, server_context
from streams.clock import Clock, SystemClock
from streams.credentials import Roster, Verified, read_credential
from streams.errors import ConfigError, CredentialError
from streams.journal import Journal
from streams.outbox import Outbox
from streams.private_files import held_alone, make_private_directory, write_private
from streams.transport.nats import NatsTransport

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def serving(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Hub]:
    """Run a hub while the block runs; it serves from the moment this is entered.

    Raises:
        ConfigError: A file, an address or a port is unusable, or another hub runs in the state.
        StorageError: Journal or outbox cannot be opened, or belong to another hub.
        CredentialError: The broker refuses the hub's credential.
    """
    clock = clock or SystemClock()
    state = Path(settings.state)
    make_private_directory(state)
    credential = read_credential(Path(settings.credential))
    if (credential.role, credential.name) != ("hub", settings.name):
        raise ConfigError(f"{settings.credential} is of {credential.name}, a {credential.role}")
    trust = client_context(Path(settings.authority) if settings.authority else None)
    transport = NatsTransport(settings.broker.url, credential, trust)
    verify = _verifier(Roster(Path(settings.roster)), settings.region)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(held_alone(state, "hub"))
        outbox = Outbox(state / "outbox.sqlite", settings.name, clock)
        stack.callback(outbox.close)
        journal = await stack.enter_async_context(Journal(settings.journal_url))
        await stack.enter_async_context(transport)
        hub = Hub(Parts(settings, journal, outbox, transport, clock, verify))
        await stack.enter_async_context(hub.relay)
        await hub.restore()
        collector = RelayCollector(hub.relay.snapshot)
        REGISTRY.register(collector)
        stack.callback(REGISTRY.unregister, collector)
        await stack.enter_async_context(_working(hub))
        tls = server_context(_certificate(settings))
        listen = settings.listen
        hub.port = await stack.enter_async_context(
            service.listening(hub.application(), listen.host, listen.port, tls)
        )
        yield hub


async def run(settings: Settings) -> None:
    """Run the hub until cancelled; ``ready.json`` in its state says that it serves."""
    ready = Path(settings.state) / "ready.json"
    async with serving(settings) as hub:
        await hub.link.ready.wait()
        told = {"port": hub.port, "url": hub.url, "pid": os.getpid()}
        write_private(ready, msgspec.json.encode(told))
        log.info("hub serves", **told)
        try:
            await asyncio.Event().wait()
        finally:
            ready.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def _working(hub: Hub) -> AsyncIterator[None]:
    """Run the hub's tasks while the block runs; one that fails ends the block."""
    async with asyncio.TaskGroup() as group:
        work = group.create_task(hub.work(), name="hub")
        try:
            yield
        finally:
            work.cancel()


def _certificate(settings: Settings) -> Pair:
    tls = settings.tls
    if tls.certificate:
        return Pair(Path(tls.certificate), Path(tls.key))
    addresses = [settings.listen.host, *tls.addresses]
    return Authority(Path(tls.authority)).server_certificate("hub", addresses)


def _verifier(roster: Roster, region: str) -> pages.Verify:
    def verify(token: str) -> Verified:
        holder = roster.verify(token)
        if holder.region != region or holder.drill:
            raise CredentialError(f"{holder.name} is not of this region")
        return holder

    return verify
