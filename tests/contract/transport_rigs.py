"""What the contract test needs of each kind of transport, and in what kinds may differ.

A rig is a sender, a reader who may read what the sender publishes, and the means to break the
path between them. MQTT and NATS speak to the real broker over TLS. WebRTC has no broker between:
the sender is a vehicle, the reader is the hub at the other end of its data channel.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

import pytest
from aiohttp import web

from dispatch.offers import Role as MediaRole
from dispatch.relay import Relay, RelaySettings
from dispatch.relay_transport import RelayTransport
from dispatch.whip_whep import add_relay_routes
from streams.authority import Authority, client_context, server_context
from streams.broker import Broker
from streams.credentials import Credential, Role, Roster
from streams.errors import TransportError
from streams.service import listening
from streams.topics import LARGEST_BYTES
from streams.transport import Transport
from streams.transport.memory import MemoryNetwork, MemoryTransport
from streams.transport.mqtt import MqttTransport
from streams.transport.nats import NatsTransport
from streams.transport.webrtc import LARGEST_MESSAGE_BYTES, WebRtcTransport, pack_delivery
from streams.web import token_of
from streams.webrtc import PeerSettings, Signalling

BOUND_S = 15.0

LOOPBACK = PeerSettings(addresses=("127.0.0.1",))


class Connected(Transport, Protocol):
    """A transport that says whether there is a path; ``connections`` is asked of senders only."""

    connections: int

    async def wait_connected(self, timeout_s: float = 10.0) -> None: ...
    async def wait_disconnected(self, timeout_s: float) -> None: ...


class Rig(ABC):
    """One kind of transport; the first three attributes are all in which kinds may differ."""

    ordered: ClassVar[bool] = True
    """Whether messages of one topic arrive in the order in which they were published."""

    refuses_subscriptions: ClassVar[bool] = True
    """Whether a subscription without right raises; where not, it must stay without messages."""

    hears_hub: ClassVar[str] = "reader"
    """Who reads what the hub publishes: anybody with the right, or the vehicle alone."""

    topics: ClassVar[tuple[str, str, str]] = (
        "ems/north/unit-7/vitals",
        "ems/north/unit-7/milestone",
        "ems/north/unit-7/ecg_live",
    )
    """Topics of the sender: the first two of facts, the third of a stream."""

    pattern: ClassVar[str] = "ems/north/+/vitals"
    foreign_topic: ClassVar[str] = "ems/north/unit-8/vitals"
    foreign_pattern: ClassVar[str] = "ems/north/unit-8/receipt_down"
    hub_made_topic: ClassVar[str] = "ems/north/unit-7/case_fact"
    """Below the sender's own name, yet of a kind that only the hub makes."""

    own_pattern: ClassVar[str] = "ems/north/unit-7/+"

    def __init__(self, credentials: dict[str, Credential]) -> None:
        self.credentials = credentials

    def largest_bytes(self, topic: str) -> int:
        """Return the size of the largest data that ``topic`` takes.

        It is the same for every topic, unless topic and data share one message of limited size.
        """
        del topic
        return LARGEST_BYTES

    @abstractmethod
    def connect(self, who: str, **options: Any) -> contextlib.AbstractAsyncContextManager[Any]:
        """Return a transport for ``sender``, ``reader`` or ``stranger``."""

    @abstractmethod
    async def cut(self) -> None: ...

    @abstractmethod
    async def restore(self) -> None: ...

    @contextlib.asynccontextmanager
    async def connected(self, who: str, **options: Any) -> AsyncIterator[Connected]:
        async with self.connect(who, **options) as transport:
            await transport.wait_connected(BOUND_S)
            yield transport


class MemoryRig(Rig):
    def __init__(self, credentials: dict[str, Credential]) -> None:
        super().__init__(credentials)
        self.network = MemoryNetwork()

    def connect(self, who: str, **options: Any) -> MemoryTransport:
        if who == "stranger":
            pytest.skip("a memory network checks rights, not secrets")
        return MemoryTransport(self.network, self.credentials[who], **options)

    async def cut(self) -> None:
        await self.network.cut()

    async def restore(self) -> None:
        await self.network.restore()


class BrokerRig(Rig):
    def __init__(self, credentials: dict[str, Credential], broker: Broker) -> None:
        super().__init__(credentials)
        self.broker = broker
        self.endpoints = broker.endpoints
        assert self.endpoints.ca_path is not None
        self.tls = client_context(Path(self.endpoints.ca_path))

    async def cut(self) -> None:
        await self.broker.stop()

    async def restore(self) -> None:
        await self.broker.start()


class MqttRig(BrokerRig):
    websocket = False

    def connect(self, who: str, **options: Any) -> MqttTransport:
        where = self.endpoints
        port = where.websocket_port if self.websocket else where.mqtt_port
        return MqttTransport(
            where.host, port, self.credentials[who], self.tls, websocket=self.websocket, **options
        )


class MqttOverWebsocketRig(MqttRig):
    websocket = True


class NatsRig(BrokerRig):
    topics = (
        "er/north/first-hospital/acknowledged",
        "er/north/first-hospital/case_note",
        "er/north/first-hospital/receipt_up",
    )
    pattern = "er/north/+/acknowledged"
    foreign_topic = "er/north/second-hospital/acknowledged"
    foreign_pattern = "er/north/second-hospital/receipt_down"
    hub_made_topic = "er/north/first-hospital/arrival"
    own_pattern = "er/north/first-hospital/+"

    def connect(self, who: str, **options: Any) -> NatsTransport:
        return NatsTransport(self.endpoints.nats_url, self.credentials[who], self.tls, **options)


class HubReader(RelayTransport):
    """The hub's side, which itself has no path to wait for: here its path is the one vehicle's."""

    def __init__(self, relay: Relay, resource: str, **options: Any) -> None:
        super().__init__(relay, resource_of, **options)
        self._at, self._resource = relay, resource

    async def wait_connected(self, timeout_s: float = 10.0) -> None:
        await self._wait(timeout_s, stands=True)

    async def wait_disconnected(self, timeout_s: float) -> None:
        await self._wait(timeout_s, stands=False)

    async def _wait(self, timeout_s: float, *, stands: bool) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while self._stands() is not stands:  # noqa: ASYNC110 - the relay has no event
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise TransportError(f"hub: no change after {timeout_s:g} s") from None

    def _stands(self) -> bool:
        found = self._at.snapshot().resources.get(self._resource)
        return found is not None and found.source is not None


class WebRtcRig(Rig):
    """A vehicle at the hub's real relay, over HTTPS and a data channel on 127.0.0.1."""

    ordered = False
    refuses_subscriptions = False
    hears_hub = "sender"

    def __init__(self, credentials: dict[str, Credential], directory: Path, roster: Roster) -> None:
        super().__init__(credentials)
        self.relay = Relay(RelaySettings(peer=LOOPBACK))
        self._roster = roster
        authority = Authority(directory)
        authority.ensure()
        authority.ensure()
        self._tls = server_context(authority.server_certificate("hub", ["127.0.0.1"]))
        self._trust = client_context(authority.ca_path)
        self._serving = contextlib.AsyncExitStack()
        self._port = 0

    async def __aenter__(self) -> Self:
        """Keep a port for as long as the rig stands, and serve."""
        self._keeps_port = socket.socket()
        self._keeps_port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._keeps_port.bind(("127.0.0.1", 0))  # never listens: the relay comes back to it
        self._port = self._keeps_port.getsockname()[1]
        await self.restore()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()
        self._keeps_port.close()

    def largest_bytes(self, topic: str) -> int:
        return LARGEST_MESSAGE_BYTES - len(pack_delivery(topic, b""))

    def connect(self, who: str, **options: Any) -> HubReader | WebRtcTransport:
        if who == "reader":
            return HubReader(self.relay, "unit-7/data", **options)
        credential = self.credentials[who]
        url = f"https://127.0.0.1:{self._port}/whip/{credential.name}/data"
        # Seconds in which this process gets no turn are no silence of the other side.
        options = {"peer": LOOPBACK, "silence_s": 6.0, **options}
        return WebRtcTransport(Signalling(url, credential.token, self._trust), **options)

    async def cut(self) -> None:
        await self._serving.aclose()

    async def restore(self) -> None:
        await self._serving.enter_async_context(self.relay)
        app = web.Application()
        add_relay_routes(app, self.relay, self._authorise)
        await self._serving.enter_async_context(listening(app, "127.0.0.1", self._port, self._tls))

    async def _authorise(self, request: web.Request, resource: str, role: MediaRole) -> str:
        holder = self._roster.verify(token_of(request))
        if role != "publish" or resource != f"{holder.name}/data":
            raise web.HTTPForbidden(text=f"{holder.name} may not {role} {resource}")
        return holder.name


def resource_of(topic: str) -> str | None:
    """Return whose data channel a topic belongs to; a name that no address takes has another."""
    root, _, name, _ = topic.split("/") if topic.count("/") == 3 else ("", "", "", "")
    if root != "ems":
        return None
    return f"{name if name.isascii() else 'unit-7'}/data"


RIGS: dict[str, tuple[type[Any], str, Role]] = {
    "memory": (MemoryRig, "unit-7", "unit"),
    "mqtt": (MqttRig, "unit-7", "unit"),
    "mqtt-websocket": (MqttOverWebsocketRig, "unit-7", "unit"),
    "nats": (NatsRig, "first-hospital", "hospital"),
    "webrtc": (WebRtcRig, "unit-7", "unit"),
}
