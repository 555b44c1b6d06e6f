"""Plain aiomqtt and plain aiortc over the same link, as the peers of ``forerun bench outage``.

    python -m bench.outage_peers receive FOLDER SIGNALLING_PORT MQTT_PORT
    python -m bench.outage_peers send NAME ADDRESS SIGNALLING_PORT MQTT_PORT [VIDEO]

Each as its own documentation shows it. aiomqtt: one message a second with QoS 1, and its loop
"Reconnection" (five seconds of pause after an error). aiortc: a video track (a still picture, or
a file that its ``MediaPlayer`` plays) and a data channel without retransmission, built once; it
has no ICE restart and nobody builds it again. The receiver
writes per sender what came (``bench.board_log.Seen``).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TextIO

import aiomqtt
import msgspec
from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.contrib.media import MediaPlayer
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from bench.board_log import Seen

ANSWER_S = 15.0
RECONNECT_S = 5.0
"""As in aiomqtt's documentation, "Reconnection"."""

MESSAGE_EVERY_S = 1.0
FRAME_EVERY_S = 0.1
FRAME_BYTES = 400
"""About what our live frame of 12 leads takes."""

_TOPIC = "peers"


class Notes:
    """One file per sender."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, TextIO] = {}

    def add(self, name: str, what: str, true_ms: float) -> None:
        """Write down that something of a sender came."""
        if name not in self._files:
            path = self._folder / f"peer-{name}.jsonl"
            self._files[name] = path.open("a", buffering=1, encoding="ascii")
        seen = Seen(time.monotonic(), what, true_ms)
        self._files[name].write(msgspec.json.encode(seen).decode() + "\n")


def _plain() -> RTCPeerConnection:
    # Without its usual public STUN server, which is not in the box.
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def receive(folder: Path, signalling: int, mqtt: int) -> None:
    """Take what the senders send, for ever."""
    notes = Notes(folder)
    peers: set[RTCPeerConnection] = set()
    tasks: set[asyncio.Task[None]] = set()

    async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(ANSWER_S):
            offer = json.loads(await reader.readline())
        peer, name = _plain(), str(offer["name"])
        peers.add(peer)

        @peer.on("datachannel")
        def _opened(channel: RTCDataChannel) -> None:
            channel.on("message", lambda text: notes.add(name, "ecg", float(text.split()[0])))

        @peer.on("track")
        def _begun(track: MediaStreamTrack) -> None:
            task = asyncio.create_task(_watch(track, name, notes), name=f"peers.{name}")
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        await peer.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        writer.write(json.dumps(peer.localDescription.sdp).encode() + b"\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(meet, "0.0.0.0", signalling, limit=1 << 20)  # noqa: S104
    async with server, aiomqtt.Client("127.0.0.1", mqtt, identifier="receiver") as client:
        await client.subscribe(f"{_TOPIC}/+", qos=1)
        (folder / "peers-ready").touch()
        async for message in client.messages:
            name = message.topic.value.partition("/")[2]
            assert isinstance(message.payload, bytes)
            notes.add(name, "vitals", float(message.payload))


async def _watch(track: MediaStreamTrack, name: str, notes: Notes) -> None:
    while True:
        try:
            await track.recv()
        except MediaStreamError:
            return
        notes.add(name, "video", time.time() * 1000)


async def send(
    name: str, address: str, signalling: int, mqtt: int, video: Path | None = None
) -> None:
    """Send both ways, for ever."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_send_mqtt(name, address, mqtt), name="peer.aiomqtt")
        group.create_task(_send_webrtc(name, address, signalling, video), name="peer.aiortc")


async def _send_mqtt(name: str, address: str, port: int) -> None:
    client = aiomqtt.Client(address, port, identifier=name)
    while True:
        try:
            async with client:
                while True:
                    made = str(time.time() * 1000)
                    await client.publish(f"{_TOPIC}/{name}", made, qos=1)
                    await asyncio.sleep(MESSAGE_EVERY_S)
        except aiomqtt.MqttError:
            await asyncio.sleep(RECONNECT_S)


async def _send_webrtc(name: str, address: str, port: int, video: Path | None) -> None:
    peer = _plain()
    player = MediaPlayer(str(video), loop=True) if video else None  # kept: it feeds its track
    channel = peer.createDataChannel("ecg", ordered=False, maxRetransmits=0)
    peer.addTrack(player.video if player and player.video else VideoStreamTrack())
    await peer.setLocalDescription(await peer.createOffer())
    offer = {"name": name, "sdp": peer.localDescription.sdp}
    async with asyncio.timeout(ANSWER_S):
        reader, writer = await asyncio.open_connection(address, port, limit=1 << 20)
        writer.write(json.dumps(offer).encode() + b"\n")
        answer = json.loads(await reader.readline())
        writer.close()
    await peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    while True:
        if channel.readyState == "open":
            channel.send(f"{time.time() * 1000:.3f}".ljust(FRAME_BYTES))
        await asyncio.sleep(FRAME_EVERY_S)


def main(arguments: list[str]) -> None:
    """Be the receiver or a sender until killed."""
    match arguments:
        case ["receive", folder, signalling, mqtt]:
            asyncio.run(receive(Path(folder), int(signalling), int(mqtt)))
        case ["send", name, address, signalling, mqtt, *video]:
            source = Path(video[0]) if video else None
            asyncio.run(send(name, address, int(signalling), int(mqtt), source))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
