"""Where the audit log cannot be written no page is shown anything; later it gets all."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from onboard.sensors import EcgBegan, EcgChunk, Reading
from onboard.tablet import Tablet
from streams.clock import SystemClock
from streams.ecg_block import EcgSetup, Lead
from streams.errors import StorageError
from streams.messages import Origin
from streams.service import listening
from tests.lone_vehicle import LoneVehicle, lone_vehicle

SETUP = EcgSetup("one", 500.0, (Lead("II", 200.0),))


@dataclass
class Ecg:
    """Gives 50 ms of ECG at a time, much faster than a monitor does."""

    name: str = "monitor"
    origin: Origin = "live"

    async def readings(self) -> AsyncGenerator[Reading, None]:
        yield EcgBegan(SETUP, SystemClock().wall_ns(), "test")
        first = 0
        while True:
            await asyncio.sleep(0.01)
            samples = np.zeros((25, 1), dtype=np.int32)
            yield EcgChunk(SETUP, first, samples, SystemClock().wall_ns())
            first += 25


@dataclass
class Crew:
    """One who is let in."""

    name: str = "crew-1"
    role: str = "seat"


@dataclass
class Page:
    """What an open page hears."""

    said: list[dict[str, Any]] = field(default_factory=list)
    frames: int = 0

    def hears(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.said if one["type"] == kind]

    async def listen(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            if message.type is aiohttp.WSMsgType.TEXT:
                self.said.append(json.loads(message.data))
            elif message.type is aiohttp.WSMsgType.BINARY:
                self.frames += 1


@pytest.fixture
async def vehicle(tmp_path: Path) -> AsyncIterator[LoneVehicle]:
    async with lone_vehicle(tmp_path, Ecg) as found:
        yield found


@contextlib.asynccontextmanager
async def open_page(vehicle: LoneVehicle) -> AsyncIterator[Page]:
    """Serve the tablet and open one page."""
    tablet, page = Tablet(vehicle.agent), Page()
    async with contextlib.AsyncExitStack() as stack:
        port = await stack.enter_async_context(
            listening(tablet.app(lambda _token: Crew()), "127.0.0.1", 0, None)
        )
        headers = {"Authorization": "Bearer crew-1.x"}
        http = await stack.enter_async_context(aiohttp.ClientSession(headers=headers))
        telling = asyncio.create_task(tablet.run(), name="tablet")
        stack.callback(telling.cancel)
        socket = await http.ws_connect(f"http://127.0.0.1:{port}/ws")
        stack.push_async_callback(socket.close)
        hearing = asyncio.create_task(page.listen(socket), name="page")
        stack.callback(hearing.cancel)
        yield page


async def test_tablet_without_its_audit_log_shows_no_ecg_and_makes_up_for_it(
    vehicle: LoneVehicle, monkeypatch: pytest.MonkeyPatch, wait_for: Any
) -> None:
    def full(*_: object) -> None:
        raise StorageError("no space left on device")

    async with open_page(vehicle) as page:
        await wait_for(lambda: page.hears("snapshot"), "the empty page")
        monkeypatch.setattr(vehicle.agent.logbook, "note_read", full)
        case = vehicle.assign()
        await wait_for(lambda: page.hears("error"), "the page told that nothing is shown")
        await vehicle.act("start_run")
        recorded = vehicle.agent.ecg
        await wait_for(
            lambda: [one for one in recorded.running if one.kept.samples > 500], "1 s of ECG"
        )
        assert page.frames == 0
        assert case not in json.dumps(page.said)
        monkeypatch.undo()
        await wait_for(lambda: len(page.hears("snapshot")) == 2, "all parts, afterwards")
        assert page.hears("snapshot")[1]["case"]["id"] == case
        await wait_for(lambda: page.frames > 0, "ECG")
