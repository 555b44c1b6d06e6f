"""Neighbouring districts for tests: a real broker each, joined over links that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import nats
from nats.aio.client import Client as NatsClient

from streams.authority import client_context
from streams.broker import Broker, BrokerSettings, Endpoints, Ports, credentials_directory
from streams.broker_neighbours import NeighbourSettings
from streams.credentials import Credential, credential_path, issue
from streams.transport.nats import NatsTransport
from tests.integration.broker.tcp_link import Link, linked
from tests.waiting import until

BOUND_S = 15.0
ANY_PORTS = Ports(mqtt=0, websocket=0, nats=0, monitor=0, health=0, leaf=0)


@dataclass
class District:
    """A district's broker, and its hub's credential."""

    region: str
    state: Path
    broker: Broker
    hub: Credential

    @property
    def endpoints(self) -> Endpoints:
        return self.broker.endpoints

    @property
    def credentials(self) -> Path:
        return credentials_directory(self.state)

    @property
    def tls(self) -> Any:
        assert self.endpoints.ca_path is not None
        return client_context(Path(self.endpoints.ca_path))

    def transport(self) -> NatsTransport:
        """The hub's connection, to be entered."""
        return NatsTransport(self.endpoints.nats_url, self.hub, self.tls)

    @contextlib.asynccontextmanager
    async def client(self, errors: list[str] | None = None) -> AsyncIterator[NatsClient]:
        """Connect with the hub's credential and no check of topics on this side."""
        told = [] if errors is None else errors

        async def note(error: Exception) -> None:
            told.append(str(error))

        client = await nats.connect(
            self.endpoints.nats_url, user=self.hub.name, password=self.hub.secret, tls=self.tls,
            inbox_prefix=f"_INBOX_{self.hub.name}", error_cb=note, allow_reconnect=False,
        )  # fmt: skip
        try:
            yield client
        finally:
            await client.close()

    async def leaves(self) -> list[dict[str, Any]]:
        """Leaf-node connections as the server tells them."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.endpoints.monitor_url}/leafz") as answer,
        ):
            found: dict[str, Any] = await answer.json()
            return list(found.get("leafs") or [])


@dataclass
class Neighbourhood:
    """Districts, and the links between them by (who dials, who is dialled)."""

    folder: Path
    districts: dict[str, District] = field(default_factory=dict)
    links: dict[tuple[str, str], Link] = field(default_factory=dict)

    def __getitem__(self, region: str) -> District:
        return self.districts[region]

    async def joined(self, *pairs: tuple[str, str]) -> None:
        """Wait until the brokers of these pairs, or of all, are joined."""
        for one, other in pairs or tuple(self.links):
            account = "~".join(sorted((one, other)))
            for region in (one, other):

                async def is_there(region: str = region, account: str = account) -> bool:
                    return any(f["account"] == account for f in await self[region].leaves())

                await until(is_there, f"{region} is joined by {account}", BOUND_S)


def give(folder: Path, by: str, to: str) -> Path:
    """Make the credential by which `to` may dial `by`; return the file that `to` holds."""
    directory = credentials_directory(folder / by)
    name = f"from-{to}"
    issue(directory, name, "district", by, place=to)
    held = folder / f"{to}-at-{by}.toml"
    shutil.copy(credential_path(directory, name), held)
    return held


@contextlib.asynccontextmanager
async def a_district(
    folder: Path,
    region: str,
    neighbours: Sequence[NeighbourSettings] = (),
    *,
    leaf_port: int = 0,
) -> AsyncIterator[District]:
    """Run a district's broker."""
    state = folder / region
    hub = issue(credentials_directory(state), "hub", "hub", region)
    ports = msgspec.structs.replace(ANY_PORTS, leaf=leaf_port)
    settings = BrokerSettings(ports=ports, neighbours=tuple(neighbours))
    async with Broker(settings, state) as broker:
        yield District(region, state, broker, hub)


@contextlib.asynccontextmanager
async def neighbours(folder: Path, *dialling: tuple[str, str]) -> AsyncIterator[Neighbourhood]:
    """Run districts that are joined; each pair is (who dials, who is dialled), without a ring."""
    found = Neighbourhood(folder)
    regions = list(dict.fromkeys(region for pair in reversed(dialling) for region in pair[::-1]))
    regions.sort(key=lambda region: any(who == region for who, _ in dialling))
    async with contextlib.AsyncExitStack() as stack:
        waiting = [*regions]
        while waiting:
            region = next(
                one for one in waiting
                if all(to in found.districts for who, to in dialling if who == one)
            )  # fmt: skip
            waiting.remove(region)
            settings = []
            for _, to in (pair for pair in dialling if pair[0] == region):
                where = found[to].endpoints
                link = await stack.enter_async_context(linked(where.leaf_port))
                found.links[region, to] = link
                settings.append(
                    NeighbourSettings(
                        region=to,
                        url=f"tls://localhost:{link.port}",
                        credential=str(give(folder, to, region)),
                        authority=str(where.ca_path),
                    )
                )
            district = await stack.enter_async_context(a_district(folder, region, settings))
            found.districts[region] = district
        yield found


async def settle(client: NatsClient) -> None:
    """Wait until the server has taken all that was sent to it."""
    async with asyncio.timeout(BOUND_S):
        await client.flush()
