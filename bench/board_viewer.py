"""A stand-in for the board's page where no browser is installed: receives, decodes, reports.

It does what the page does up to the drawing: takes state and waveform frames over the page's
WebSocket, decodes every ECG frame, receives the cabin video by WHEP, decodes it and reads the
time code back, and reports the ages to the gateway. Run as a process of its own:
``python -m bench.board_viewer URL TOKEN CA CASE``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import struct
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np
from aiortc.mediastreams import MediaStreamError
from av import VideoFrame

from streams import service
from streams.authority import client_context
from streams.ecg_block import EcgBlockError, EcgSetup, decode_frame
from streams.errors import CredentialError, TransportError
from streams.timecode import read_time_code
from streams.webrtc import PeerConnection, PeerSettings, Signalling, close_peer, connect_peer

REPORT_S = 1.0
AGAIN_S = 1.0
_HEAD = struct.Struct("<BB26sdB")
"""Head of a frame as ``hospital_gateway.live`` documents it."""


class BoardViewer:
    """One page's worth of receiving."""

    def __init__(self, url: str, token: str, trust: ssl.SSLContext, case: str) -> None:
        self._url, self._token, self._trust, self._case = url, token, trust, case
        self._ages_ms: dict[str, list[float]] = {"ecg": [], "fact": [], "video": []}
        self._setups: dict[str, EcgSetup] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_state(), name="viewer.state")
            group.create_task(self._watch_video(), name="viewer.video")

    async def _watch_state(self) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        connector = aiohttp.TCPConnector(ssl=self._trust)
        async with (
            aiohttp.ClientSession(headers=headers, connector=connector) as session,
            session.ws_connect(f"{self._url}/ws", max_msg_size=0) as socket,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._report(socket), name="viewer.report")
            await socket.send_json({"type": "look", "cases": [self._case]})
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._take_state(json.loads(message.data))
                elif message.type is aiohttp.WSMsgType.BINARY:
                    self._take_frame(message.data)

    def _take_state(self, message: dict[str, Any]) -> None:
        for case in message.get("cases", [message]):
            for patient in (case.get("card") or {}).get("patients", []):
                if patient["ecg"]:
                    setup = msgspec.convert(patient["ecg"]["setup"], EcgSetup)
                    self._setups[setup.setup_id] = setup
        if message.get("type") == "case":
            now_ms = time.time() * 1000
            self._ages_ms["fact"] += [now_ms - made_ms for _, made_ms in message.get("facts", [])]

    def _take_frame(self, data: bytes) -> None:
        _, flags, _, newest_ms, length = _HEAD.unpack_from(data)
        setup_id = data[_HEAD.size : _HEAD.size + length].decode()
        setup = self._setups.get(setup_id)
        if flags & 1 or setup is None:
            return
        with contextlib.suppress(EcgBlockError):
            frame = decode_frame(setup, data[_HEAD.size + length :])
            behind_ms = np.arange(len(frame.samples)) * 1000 / setup.sampling_frequency_hz
            self._ages_ms["ecg"] += list(time.time() * 1000 - newest_ms + behind_ms)

    async def _watch_video(self) -> None:
        signalling = Signalling(f"{self._url}/whep/{self._case}/cabin", self._token, self._trust)
        while True:
            peer = PeerConnection(PeerSettings(addresses=("127.0.0.1",)))
            try:
                peer.addTransceiver("video", direction="recvonly")
                await connect_peer(peer, signalling)
                await self._read_video(peer.getTransceivers()[0].receiver.track)
            except (TransportError, CredentialError, MediaStreamError):
                await asyncio.sleep(AGAIN_S)
            finally:
                await close_peer(peer)

    async def _read_video(self, track: Any) -> None:
        while True:
            frame: VideoFrame = await track.recv()
            luma = frame.to_ndarray(format="gray").astype(np.uint8, copy=False)
            now_ms = time.time() * 1000
            shown_ms = read_time_code(luma, int(now_ms))
            if shown_ms is not None:
                self._ages_ms["video"].append(now_ms - shown_ms)

    async def _report(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            for kind, ages_ms in self._ages_ms.items():
                if ages_ms:
                    await socket.send_json(
                        {"type": "drawn", "kind": kind, "latencies_ms": ages_ms[:2000]}
                    )
                    ages_ms.clear()


def main(arguments: list[str]) -> int:
    """Run the viewer until SIGTERM."""
    url, token, authority, case = arguments
    service.set_up_logs("board-viewer")
    return service.run(lambda: BoardViewer(url, token, client_context(Path(authority)), case).run())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
