"""The processes of `forerun bench relay`: two relays, the sources, the viewers.

Each runs alone, so that the CPU of a relay is its process's and nothing else's. They are led by
lines of JSON on standard input, and answer each with one line on standard output:

    relay, media-relay    say their port; {"do": "clear"} ends all sessions
    sources               {"do": "publish", "url": ..., "count": n}, {"do": "clear"}
    viewers               say their port (for sources that publish to them directly);
                          {"do": "view", "url": ..., "count": n}, {"do": "begin"},
                          {"do": "end"}, {"do": "clear"}

    python -m bench.relay_workers ROLE [FRAMES]
"""

from __future__ import annotations

import asyncio
import json
import logging
import statistics
import sys
import time
from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgpack
import structlog
from aiohttp import web
from aiortc import RTCSessionDescription
from aiortc.codecs import vpx
from aiortc.contrib.media import MediaRelay
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtp import RtcpRrPacket

from dispatch.packet_tap import PacketTap
from dispatch.relay import Relay, RelaySettings
from dispatch.rtp import read_packet
from dispatch.whip_whep import add_relay_routes
from streams.webrtc import PeerConnection, PeerSettings, Signalling, close_peer, connect_peer

LOOPBACK = PeerSettings(addresses=("127.0.0.1",))
FPS = 25
BITRATE_BPS = 1_000_000
STAMP_BYTES = 8
"""The time of sending stands in the last bytes of each frame; a VP8 decoder does not look there."""

_REPORT_EVERY_S = 1.0


class Worker(ABC):
    """One process: answers commands until its input ends."""

    port: int | None = None

    async def run(self) -> None:
        """Say that it is ready, then answer each command."""
        async with AsyncExitStack() as stack:
            await self.start(stack)
            _say({"ready": True, "port": self.port})
            while line := await asyncio.to_thread(sys.stdin.readline):
                command = json.loads(line)
                _say(await self.obey(command))
            await self.obey({"do": "clear"})

    async def start(self, stack: AsyncExitStack) -> None:  # noqa: B027 - not all have something
        """Begin what runs for the whole life of the process."""

    @abstractmethod
    async def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Do one command and return the answer."""

    async def serve(self, stack: AsyncExitStack, app: web.Application) -> None:
        """Serve an application on a free port of 127.0.0.1."""
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]


class RelayWorker(Worker):
    """Our relay, as the hub runs it."""

    async def start(self, stack: AsyncExitStack) -> None:
        self._relay = await stack.enter_async_context(Relay(RelaySettings(peer=LOOPBACK)))
        app = web.Application()
        add_relay_routes(app, self._relay, _let_in)
        await self.serve(stack, app)

    async def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        for session in list(self._relay._sessions.values()):
            self._relay.end(session)
        return {"done": command["do"]}


class MediaRelayWorker(Worker):
    """aiortc's MediaRelay: decodes each source and encodes it again for each viewer."""

    def __init__(self) -> None:
        vpx.MIN_BITRATE = vpx.DEFAULT_BITRATE = vpx.MAX_BITRATE = BITRATE_BPS
        self._tracks: dict[str, MediaStreamTrack] = {}
        self._peers: list[PeerConnection] = []
        self._media_relay = MediaRelay()

    async def start(self, stack: AsyncExitStack) -> None:
        app = web.Application()
        app.router.add_post("/whip/{resource:.+}", self._publish)
        app.router.add_post("/whep/{resource:.+}", self._view)
        await self.serve(stack, app)

    async def _publish(self, request: web.Request) -> web.Response:
        peer = PeerConnection(LOOPBACK)
        self._peers.append(peer)
        resource = request.match_info["resource"]
        peer.on("track", lambda track: self._tracks.update({resource: track}))
        return await _answer(peer, request)

    async def _view(self, request: web.Request) -> web.Response:
        peer = PeerConnection(LOOPBACK)
        self._peers.append(peer)
        track = self._tracks[request.match_info["resource"]]
        peer.addTrack(self._media_relay.subscribe(track, buffered=False))
        return await _answer(peer, request)

    async def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        for peer in self._peers:
            await close_peer(peer)
        self._peers.clear()
        self._tracks.clear()
        return {"done": command["do"]}


class SourcesWorker(Worker):
    """Publishers that send coded frames again and again, each with its time of sending."""

    def __init__(self, frames: list[bytes]) -> None:
        self._frames = frames
        self._peers: list[PeerConnection] = []

    async def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        if command["do"] == "clear":
            for peer in self._peers:
                await close_peer(peer)
            self._peers.clear()
        else:
            for index in range(command["count"]):
                await self._publish(f"{command['url']}/whip/bench/{index}", index)
        return {"done": command["do"]}

    async def _publish(self, url: str, index: int) -> None:
        peer = PeerConnection(LOOPBACK)
        self._peers.append(peer)
        track = CodedTrack(self._frames, phase=index * 0.618 % 1)
        transceiver = peer.addTransceiver(track, direction="sendonly")
        _offer_vp8(transceiver)
        transceiver.sender._send_keyframe = track.restart  # type: ignore[method-assign]
        await connect_peer(peer, Signalling(url))


class CodedTrack(MediaStreamTrack):
    """Coded frames in a loop that begins with a key frame, 25 a second."""

    kind = "video"

    def __init__(self, frames: list[bytes], phase: float) -> None:
        super().__init__()
        self._coded = frames
        self._at = self._count = 0
        self._started = time.monotonic() + phase / FPS

    def restart(self) -> None:
        """Go on with the key frame, as an encoder does when it is asked for one."""
        self._at = 0

    async def recv(self) -> av.Packet[Any]:
        await asyncio.sleep(max(0.0, self._started + self._count / FPS - time.monotonic()))
        frame = self._coded[self._at % len(self._coded)]
        packet: av.Packet[Any] = av.Packet(frame + time.monotonic_ns().to_bytes(STAMP_BYTES, "big"))
        packet.pts, packet.time_base = self._count * 90_000 // FPS, Fraction(1, 90_000)
        self._at += 1
        self._count += 1
        return packet


class ViewersWorker(Worker):
    """Viewers that count packets and read the time of sending, without decoding."""

    def __init__(self) -> None:
        self._peers: list[PeerConnection] = []
        self._taps: list[PacketTap] = []
        self._frames: list[int] = []
        self._packets = self._octets = 0
        self._delays_ms: list[float] = []

    async def start(self, stack: AsyncExitStack) -> None:
        app = web.Application()
        app.router.add_post("/whip/{resource:.+}", self._take_directly)
        await self.serve(stack, app)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        reports = tasks.create_task(self._report(), name="bench.viewers.reports")
        stack.callback(reports.cancel)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_EVERY_S)
            for tap in self._taps:
                tap.send_rtcp(bytes(RtcpRrPacket(ssrc=1)))

    async def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        if command["do"] == "view":
            for index in range(command["count"]):
                await self._view(f"{command['url']}/whep/bench/{index}")
        elif command["do"] == "begin":
            self._begin()
        elif command["do"] == "end":
            return self._end()
        else:
            self._taps.clear()
            for peer in self._peers:
                await close_peer(peer)
            self._peers.clear()
            self._frames.clear()
        return {"done": command["do"]}

    async def _view(self, url: str) -> None:
        peer = PeerConnection(LOOPBACK)
        self._peers.append(peer)
        transceiver = peer.addTransceiver("video", direction="recvonly")
        _offer_vp8(transceiver)
        self._tap(peer)
        await connect_peer(peer, Signalling(url))

    async def _take_directly(self, request: web.Request) -> web.Response:
        peer = PeerConnection(LOOPBACK)
        self._peers.append(peer)
        return await _answer(peer, request, before=lambda: self._tap(peer))

    def _tap(self, peer: PeerConnection) -> None:
        index = len(self._frames)
        self._frames.append(0)
        self._taps.append(
            PacketTap(
                peer,
                on_rtp=lambda data: self._take(index, data),
                on_rtcp=lambda _data: None,
                on_connected=lambda: None,
            )
        )

    def _take(self, index: int, data: bytes) -> None:
        now = time.monotonic_ns()
        self._packets += 1
        self._octets += len(data)
        packet = read_packet(data)
        if packet is None or not packet.marker:
            return
        self._frames[index] += 1
        sent = int.from_bytes(data[-STAMP_BYTES:], "big")
        self._delays_ms.append((now - sent) / 1e6)

    def _begin(self) -> None:
        self._frames = [0] * len(self._frames)
        self._packets = self._octets = 0
        self._delays_ms = []
        self._began = time.monotonic()

    def _end(self) -> dict[str, Any]:
        seconds = time.monotonic() - self._began
        delays = self._delays_ms
        cuts = statistics.quantiles(delays, n=100) if len(delays) > 1 else [float("nan")] * 99
        return {
            "seconds": seconds,
            "frames": sum(self._frames),
            "fewest_fps": min(self._frames, default=0) / seconds,
            "packets": self._packets,
            "mbit_per_s": 8 * self._octets / seconds / 1e6,
            "p50_ms": cuts[49],
            "p95_ms": cuts[94],
            "p99_ms": cuts[98],
        }


async def _answer(peer: PeerConnection, request: web.Request, before: Any = None) -> web.Response:
    await peer.setRemoteDescription(RTCSessionDescription(sdp=await request.text(), type="offer"))
    if before is not None:
        before()
    await peer.setLocalDescription(await peer.createAnswer())
    return web.Response(
        status=201,
        text=peer.localDescription.sdp,
        content_type="application/sdp",
        headers={"Location": "/none"},
    )


def _offer_vp8(transceiver: Any) -> None:
    known = transceiver.sender.getCapabilities("video").codecs
    transceiver.setCodecPreferences([codec for codec in known if codec.name == "VP8"])


async def _let_in(_request: web.Request, _resource: str, _role: str) -> str:
    return "bench"


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    """Be the process of one role."""
    # Standard output is for answers only.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    role = arguments[0]
    if role == "sources":
        worker: Worker = SourcesWorker(msgpack.unpackb(Path(arguments[1]).read_bytes()))
    else:
        kinds = {"relay": RelayWorker, "media-relay": MediaRelayWorker, "viewers": ViewersWorker}
        worker = kinds[role]()  # type: ignore[abstract]
    asyncio.run(worker.run())


if __name__ == "__main__":
    main(sys.argv[1:])
