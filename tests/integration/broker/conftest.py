"""A city: a running broker with credentials of every kind, and clients of both protocols."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import aiomqtt
import nats
import nats.errors
import nats.js.errors
import pytest
from nats.aio.client import Client as NatsClient

from streams.authority import Authority, client_context
from streams.broker import (
    Broker,
    BrokerSettings,
    Endpoints,
    Ports,
    credentials_directory,
)
from streams.credentials import Credential, issue
from streams.errors import CredentialError
from streams.transport.jetstream import Stored, settle
from streams.transport.mqtt import MqttTransport
from streams.transport.nats import NatsTransport

BOUND_S = 15.0
SETTINGS = BrokerSettings(ports=Ports(0, 0, 0, 0, 0, 0))


@dataclass
class City:
    """A running broker with its credentials."""

    broker: Broker
    state: Path
    credentials: dict[str, Credential]

    @property
    def endpoints(self) -> Endpoints:
        return self.broker.endpoints

    @property
    def tls(self) -> Any:
        return client_context(Authority(self.state / "authority").ca_path)

    def add(self, name: str, role: Any, region: str = "north", *, drill: bool = False) -> None:
        directory = credentials_directory(self.state)
        place = "hub-north" if role == "seat" else ""
        self.credentials[name] = issue(directory, name, role, region, place=place, drill=drill)

    async def add_and_wait(self, name: str) -> None:
        """Add a unit and wait until the broker, which looks every second, lets it in."""
        self.add(name, "unit")
        where, who = self.endpoints, self.credentials[name]
        async with (
            asyncio.timeout(BOUND_S),
            MqttTransport(where.host, where.mqtt_port, who, self.tls) as transport,
        ):
            while not transport.connected:
                with contextlib.suppress(CredentialError):
                    await transport.wait_connected(BOUND_S)
                await asyncio.sleep(0.01)

    @contextlib.asynccontextmanager
    async def mqtt(self, name: str) -> AsyncIterator[MqttTransport]:
        where, who = self.endpoints, self.credentials[name]
        async with MqttTransport(where.host, where.mqtt_port, who, self.tls) as transport:
            await transport.wait_connected(BOUND_S)
            yield transport

    @contextlib.asynccontextmanager
    async def nats(self, name: str) -> AsyncIterator[NatsTransport]:
        who = self.credentials[name]
        async with NatsTransport(self.endpoints.nats_url, who, self.tls) as transport:
            await transport.wait_connected(BOUND_S)
            yield transport

    def raw_mqtt(self, name: str, **options: Any) -> aiomqtt.Client:
        who = self.credentials[name]
        options = {"username": who.name, "password": who.secret, "timeout": 5, **options}
        where = self.endpoints
        return aiomqtt.Client(where.host, where.mqtt_port, tls_context=self.tls, **options)

    @contextlib.asynccontextmanager
    async def raw_nats(self, name: str, errors: list[str]) -> AsyncIterator[NatsClient]:
        who = self.credentials[name]

        async def note(error: Exception) -> None:
            errors.append(str(error))

        client = await nats.connect(
            self.endpoints.nats_url, user=who.name, password=who.secret, tls=self.tls,
            inbox_prefix=f"_INBOX_{name}", error_cb=note, allow_reconnect=False,
        )  # fmt: skip
        try:
            yield client
        finally:
            await client.close()

    async def varz(self) -> dict[str, Any]:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.endpoints.monitor_url}/varz") as answer,
        ):
            found: dict[str, Any] = await answer.json()
            return found

    async def first_batch(self, by: NatsTransport, stream: str, durable: str) -> list[Stored]:
        async with (
            asyncio.timeout(BOUND_S),
            contextlib.aclosing(by.pull(stream, durable)) as batches,
        ):
            batch = await anext(batches)
            for stored in batch:
                await stored.ack()
            return batch

    @contextlib.asynccontextmanager
    async def everything_seen(self) -> AsyncIterator[list[str]]:
        """What both hubs see, as subjects; filled while the block runs."""
        seen: list[str] = []

        async def note(message: Any) -> None:
            seen.append(message.subject)

        async with self.raw_nats("hub-north", []) as north, self.raw_nats("hub-south", []) as south:
            for client, region in ((north, "north"), (south, "south")):
                for root in ("ems", "er", "drill-ems", "drill-er"):
                    await client.subscribe(f"{root}.{region}.>", cb=note)
                await settle(client)
            yield seen


@pytest.fixture
async def city(tmp_path: Path) -> AsyncIterator[City]:
    directory = credentials_directory(tmp_path)
    issued = [
        issue(directory, "hub-north", "hub", "north"),
        issue(directory, "hub-south", "hub", "south"),
        issue(directory, "unit-7", "unit", "north"),
        issue(directory, "unit-8", "unit", "north"),
        issue(directory, "first-hospital", "hospital", "north"),
        issue(directory, "second-hospital", "hospital", "north"),
    ]
    async with Broker(SETTINGS, tmp_path) as broker:
        yield City(broker, tmp_path, {who.name: who for who in issued})
