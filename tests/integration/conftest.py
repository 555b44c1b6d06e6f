"""Fixtures for media: a relay on a free port, publishers and viewers that really code."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

import av
import numpy as np
import pytest
from aiohttp import web
from aiortc.mediastreams import MediaStreamTrack

from dispatch.offers import Role
from dispatch.relay import Relay, RelaySettings
from dispatch.relay_stats import ResourceStats
from dispatch.whip_whep import add_relay_routes
from streams.errors import CredentialError
from streams.webrtc import (
    PeerConnection,
    PeerSettings,
    Signalling,
    close_peer,
    connect_peer,
)

LOOPBACK = PeerSettings(addresses=("127.0.0.1",))
TOKENS = {"vehicle": "publish", "second-vehicle": "publish", "board": "view", "console": "view"}


@dataclass
class RelaySite:
    """A relay and its web server."""

    relay: Relay
    url: str
    messages: list[tuple[str, str, bytes]] = field(default_factory=list)
    tls: ssl.SSLContext | None = None

    def whip(self, resource: str = "unit-7/cabin", token: str = "vehicle") -> Signalling:
        return Signalling(f"{self.url}/whip/{resource}", token, self.tls)

    def whep(self, resource: str = "unit-7/cabin", token: str = "board") -> Signalling:
        return Signalling(f"{self.url}/whep/{resource}", token, self.tls)

    def resource(self, name: str = "unit-7/cabin") -> ResourceStats:
        return self.relay.snapshot().resources[name]


class ServeRelay(Protocol):
    """Serves a relay; see `serve_relay`."""

    def __call__(
        self,
        settings: RelaySettings | None = None,
        *,
        tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    ) -> AbstractAsyncContextManager[RelaySite]: ...


async def authorise(request: web.Request, resource: str, role: Role) -> str:
    """Take a bearer token of `TOKENS` for its role; `unit-9/...` is nobody's."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or token not in TOKENS:
        raise CredentialError("no usable bearer token")
    if TOKENS[token] != role or resource.startswith("unit-9/"):
        raise web.HTTPForbidden(text=f"{token} may not {role} {resource}")
    return token


@pytest.fixture
def serve_relay() -> ServeRelay:
    """A context with a relay on a free port of 127.0.0.1."""

    @asynccontextmanager
    async def serve(
        settings: RelaySettings | None = None,
        *,
        tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    ) -> AsyncIterator[RelaySite]:
        messages: list[tuple[str, str, bytes]] = []
        relay = Relay(
            settings or RelaySettings(peer=LOOPBACK),
            on_message=lambda resource, label, data: messages.append((resource, label, data)),
        )
        async with relay:
            app = web.Application()
            add_relay_routes(app, relay, authorise)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls[0] if tls else None)
            await site.start()
            assert site._server is not None
            port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
            scheme = "https" if tls else "http"
            try:
                yield RelaySite(
                    relay, f"{scheme}://127.0.0.1:{port}", messages, tls[1] if tls else None
                )
            finally:
                await runner.cleanup()

    return serve


class DrawnTrack(MediaStreamTrack):
    """A moving picture of one shade, 25 frames a second; the shade says which source it is."""

    kind = "video"

    def __init__(self, shade: int = 120, size: tuple[int, int] = (320, 240)) -> None:
        super().__init__()
        self.frames = 0
        width, height = size
        self._image = np.full((height * 3 // 2, width), 128, dtype=np.uint8)
        self._image[:height] = shade
        self._now = asyncio.get_running_loop().time
        self._start = self._now()

    async def recv(self) -> av.VideoFrame:
        await asyncio.sleep(max(0.0, self._start + self.frames / 25 - self._now()))
        image = self._image.copy()
        left = self.frames * 4 % (image.shape[1] - 16)
        image[:16, left : left + 16] = 235
        frame = av.VideoFrame.from_ndarray(image, format="yuv420p")
        frame.pts, frame.time_base = self.frames * 3600, Fraction(1, 90_000)
        self.frames += 1
        return frame


class ToneTrack(MediaStreamTrack):
    """A tone of 440 Hz in frames of 20 ms."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._now = asyncio.get_running_loop().time
        self._start = self._now()

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(max(0.0, self._start + self._count * 0.02 - self._now()))
        position = np.arange(960) + 960 * self._count
        wave = (8000 * np.sin(2 * np.pi * 440 * position / 48_000)).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, self._count * 960
        frame.time_base = Fraction(1, 48_000)
        self._count += 1
        return frame


@dataclass
class Viewer:
    """An aiortc viewer that decodes."""

    peer: PeerConnection
    session_url: str
    receivers: dict[str, Any]

    async def frames(self, count: int, kind: str = "video", timeout_s: float = 10.0) -> list[Any]:
        """Return the next `count` decoded frames."""
        async with asyncio.timeout(timeout_s):
            return [await self.receivers[kind].track.recv() for _ in range(count)]

    def kill(self) -> None:
        """Vanish without a word: the sockets close, nothing is said to the relay."""
        for transport in {t.receiver.transport.transport for t in self.peer.getTransceivers()}:
            for protocol in transport._connection._protocols:
                protocol.transport.abort()


class Publish(Protocol):
    """Publishes tracks; see `publish_tracks`."""

    def __call__(
        self, signalling: Signalling, *tracks: MediaStreamTrack, codec: str = "VP8"
    ) -> Awaitable[PeerConnection]: ...


class View(Protocol):
    """Opens a viewer; see `view`."""

    def __call__(self, signalling: Signalling, *kinds: str) -> Awaitable[Viewer]: ...


@pytest.fixture
async def peers() -> AsyncIterator[list[PeerConnection]]:
    """Peer connections that are closed at the end."""
    opened: list[PeerConnection] = []
    yield opened
    for peer in opened:
        await close_peer(peer)


@pytest.fixture
def publish_tracks(peers: list[PeerConnection]) -> Publish:
    """A function that publishes tracks by WHIP."""

    async def publish(
        signalling: Signalling, *tracks: MediaStreamTrack, codec: str = "VP8"
    ) -> PeerConnection:
        peer = PeerConnection(LOOPBACK)
        peers.append(peer)
        for track in tracks:
            transceiver = peer.addTransceiver(track, direction="sendonly")
            if track.kind == "video":
                known = transceiver.sender.getCapabilities("video").codecs
                transceiver.setCodecPreferences([c for c in known if c.name == codec])
        await connect_peer(peer, signalling)
        return peer

    return publish


@pytest.fixture
def view(peers: list[PeerConnection]) -> View:
    """A function that views by WHEP."""

    async def open_view(signalling: Signalling, *kinds: str) -> Viewer:
        peer = PeerConnection(LOOPBACK)
        peers.append(peer)
        receivers = {
            kind: peer.addTransceiver(kind, direction="recvonly").receiver
            for kind in kinds or ("video",)
        }
        return Viewer(peer, await connect_peer(peer, signalling), receivers)

    return open_view


@pytest.fixture
def draw() -> Callable[..., DrawnTrack]:
    """Makes a `DrawnTrack`."""
    return DrawnTrack


@pytest.fixture
def tone() -> Callable[[], ToneTrack]:
    """Makes a `ToneTrack`."""
    return ToneTrack
