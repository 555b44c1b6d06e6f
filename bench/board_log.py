"""A board that writes down what it gets, and when: the ruler of ``forerun bench outage``.

    python -m bench.board_log URL TOKEN CA CASE ADDRESS FILE

It receives as the page does (state and ECG over the WebSocket, every ECG frame decoded, video by
WHEP with its time code read back), connects again by itself as the page does, and writes one
line per thing that came, see ``Seen``. ``ADDRESS`` is the local one for the video.
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
from typing import Any, TextIO

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

AGAIN_S = 0.25
"""The page's first pause before it connects again (``socket.js``, ``media_session.js``)."""

SILENCE_S = 6.0
"""A WebSocket that says nothing for so long is given up, as the page does."""

NO_PICTURE_S = 7.0
"""A video session without a picture for so long is built again. Of a hub that is gone a browser
says "disconnected" after 5 s, and the page waits 2 s more; aiortc alone would wait 30 s."""

_HEAD = struct.Struct("<BB26sdB")
"""Head of a frame as ``hospital_gateway.live`` documents it."""


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """Something that came to the board.

    Attributes:
        at_s: Monotonic time.
        what: ``vitals``, ``ecg`` or ``video``, or the kind of another fact.
        true_ms: When it was true, ms since 1970: a fact was made, the newest sample or the
            picture was taken.
    """

    at_s: float
    what: str
    true_ms: float


def read_log(path: Path) -> list[Seen]:
    """Return what a board wrote so far; a line that is being written is left out."""
    text = path.read_bytes() if path.exists() else b""
    lines = text[: text.rfind(b"\n") + 1].splitlines()
    return [msgspec.json.decode(line, type=Seen) for line in lines]


class BoardLog:
    """One page's worth of receiving."""

    def __init__(
        self,
        url: str,
        token: str,
        trust: ssl.SSLContext,
        *,
        case: str,
        address: str,
        out: TextIO,
    ) -> None:
        self._url, self._token, self._trust = url, token, trust
        self._case, self._address, self._out = case, address, out
        self._setups: dict[str, EcgSetup] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_state(), name="board_log.state")
            group.create_task(self._watch_video(), name="board_log.video")

    def _note(self, what: str, true_ms: float) -> None:
        seen = Seen(time.monotonic(), what, true_ms)
        self._out.write(msgspec.json.encode(seen).decode() + "\n")

    async def _watch_state(self) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                connector = aiohttp.TCPConnector(ssl=self._trust)
                async with (
                    aiohttp.ClientSession(headers=headers, connector=connector) as session,
                    session.ws_connect(
                        f"{self._url}/ws",
                        max_msg_size=0,
                        timeout=aiohttp.ClientWSTimeout(ws_receive=SILENCE_S, ws_close=1.0),
                    ) as socket,
                ):
                    await self._hear(socket)
            await asyncio.sleep(AGAIN_S)

    async def _hear(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        looks = False
        while True:
            message = await socket.receive()
            if message.type is aiohttp.WSMsgType.TEXT:
                self._take_state(json.loads(message.data))
            elif message.type is aiohttp.WSMsgType.BINARY:
                self._take_frame(message.data)
            elif message.type in (
                aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.ERROR,
            ):  # fmt: skip
                return
            if not looks and self._setups:
                looks = True
                await socket.send_json({"type": "look", "cases": [self._case]})

    def _take_state(self, message: dict[str, Any]) -> None:
        for case in message.get("cases", [message]):
            if case.get("case", (case.get("card") or {}).get("case")) != self._case:
                continue
            for patient in (case.get("card") or {}).get("patients", []):
                if patient["ecg"]:
                    setup = msgspec.convert(patient["ecg"]["setup"], EcgSetup)
                    self._setups[setup.setup_id] = setup
        if message.get("type") == "case" and message["card"]["case"] == self._case:
            for kind, made_ms in message.get("facts", []):
                self._note(kind, made_ms)

    def _take_frame(self, data: bytes) -> None:
        _, flags, case, newest_ms, length = _HEAD.unpack_from(data)
        setup = self._setups.get(data[_HEAD.size : _HEAD.size + length].decode())
        if flags & 1 or setup is None or case.decode() != self._case:
            return
        with contextlib.suppress(EcgBlockError):
            decode_frame(setup, data[_HEAD.size + length :])
            self._note("ecg", newest_ms)

    async def _watch_video(self) -> None:
        signalling = Signalling(f"{self._url}/whep/{self._case}/cabin", self._token, self._trust)
        while True:
            peer = PeerConnection(PeerSettings(addresses=(self._address,)))
            try:
                peer.addTransceiver("video", direction="recvonly")
                await connect_peer(peer, signalling)
                await self._read_video(peer.getTransceivers()[0].receiver.track)
            except (TransportError, CredentialError, MediaStreamError, TimeoutError):
                await asyncio.sleep(AGAIN_S)
            finally:
                await close_peer(peer)

    async def _read_video(self, track: Any) -> None:
        while True:
            async with asyncio.timeout(NO_PICTURE_S):
                frame: VideoFrame = await track.recv()
            luma = frame.to_ndarray(format="gray").astype(np.uint8, copy=False)
            taken_ms = read_time_code(luma, int(time.time() * 1000))
            if taken_ms is not None:
                self._note("video", taken_ms)


def main(arguments: list[str]) -> int:
    """Run until SIGTERM."""
    url, token, authority, case, address, file = arguments
    service.set_up_logs("board-log")
    trust = client_context(Path(authority))
    with Path(file).open("a", buffering=1, encoding="ascii") as out:
        board = BoardLog(url, token, trust, case=case, address=address, out=out)
        return service.run(board.run)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
