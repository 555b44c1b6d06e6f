"""A program: an agent that keeps video while its disk fills up for real. Run by a test.

    python -m tests.full_disk_vehicle FOLDER

FOLDER lies on a small disk of its own, which this fills. It prints what it found as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import ssl
import sys
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np

from onboard import video_recorder
from onboard.actions import Action
from onboard.agent import Agent
from onboard.media import CabinCamera, LiveEcg
from onboard.sensors import EcgBegan, EcgChunk, EcgFinished, Reading
from onboard.sensors.settings import CsvVitalsSettings
from onboard.settings import Broker, CameraTable, Settings, Storage
from onboard.situation import Fact
from streams.clock import SystemClock
from streams.codec import decode, open_body
from streams.ecg_block import EcgSetup, Lead, decode_frame
from streams.errors import StorageError
from streams.identity import new_id
from streams.messages import (
    CaseOpened,
    EcgEnded,
    EcgRecord,
    Envelope,
    Numeric,
    Origin,
    UnitAssigned,
    Vitals,
)
from streams.outbox import Draft, Outbox
from streams.topics import LANES
from streams.video_messages import VideoDeleted, VideoRecording
from streams.webrtc import PeerSettings, Signalling
from tests.lone_vehicle import UNIT, NoUplink

MIB = 1024 * 1024
KEEP_FREE_MIB = 2
FULL_S = 3.0
CHUNK = 50
SETUP = EcgSetup("one", 500.0, (Lead("I", 200.0), Lead("II", 200.0)))


def samples(first: int, count: int) -> np.ndarray:
    """A signal in which each sample tells its number."""
    numbers = np.arange(first, first + count, dtype=np.int32)
    return np.stack((numbers % 4000, -(numbers % 3000)), axis=1)


@dataclass
class Monitor:
    """Gives ECG and a pulse rate ten times a second until it is told to end its recording."""

    end_ecg: asyncio.Event = field(default_factory=asyncio.Event)
    name: str = "monitor"
    origin: Origin = "live"
    chunks: int = 0
    rates: list[float] = field(default_factory=list)

    async def readings(self) -> AsyncGenerator[Reading, None]:
        yield EcgBegan(SETUP, time.time_ns(), "test")
        while True:
            await asyncio.sleep(0.1)
            if not self.end_ecg.is_set():
                first = self.chunks * CHUNK
                self.chunks += 1
                yield EcgChunk(SETUP, first, samples(first, CHUNK), time.time_ns())
            elif self.chunks > 0:
                yield EcgFinished(SETUP.setup_id, self.chunks * CHUNK)
                self.chunks = -self.chunks
            self.rates.append(60.0 + len(self.rates))
            rate = Numeric(value=self.rates[-1], measured_ns=time.time_ns())
            yield Vitals(device="monitor", heart_rate_per_min=rate)


class Filling:
    """The other program: it takes what there is, again and again."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._file = folder, folder / "filling"
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def leave(self, free_bytes: int) -> None:
        with self._file.open("ab") as file, contextlib.suppress(OSError):
            while (room := self.free() - free_bytes) > 0:
                file.write(bytes(min(room, 65536)))
                file.flush()

    def free(self) -> int:
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    def begin(self) -> None:
        self._end.clear()
        self._thread = threading.Thread(target=self._keep)
        self._thread.start()

    def end(self) -> None:
        self._end.set()
        assert self._thread is not None
        self._thread.join()
        self._file.unlink()

    def _keep(self) -> None:
        while not self._end.wait(0.02):
            self.leave(0)


def settings(folder: Path) -> Settings:
    """Of a vehicle with a monitor and a drawn picture that may be kept."""
    return Settings(
        name=UNIT, region="north", state=str(folder), credential="", authority="", roster="",
        broker=Broker(host="nowhere"), sensor=(CsvVitalsSettings(name="monitor", path="x"),),
        storage=Storage(keep_free_mib=KEEP_FREE_MIB),
        camera=CameraTable(
            source="synthetic", width=160, height=120, fps=10, sound=False, record=True,
            record_bps=400_000,
        ),
    )  # fmt: skip


@contextlib.asynccontextmanager
async def vehicle(folder: Path, monitor: Monitor) -> AsyncIterator[Agent]:
    """Run an agent without a link, with a camera."""
    known, clock = settings(folder), SystemClock()

    def camera(make: Callable[[Draft], None]) -> CabinCamera:
        nowhere = Signalling("https://127.0.0.1:9/whip", "", ssl.create_default_context())
        assert known.camera is not None
        return CabinCamera(
            known.camera, nowhere, PeerSettings(addresses=("127.0.0.1",)),
            make=make, wall_ns=clock.wall_ns,
        )  # fmt: skip

    agent = Agent(
        known, NoUplink(), clock, live_ecg=LiveEcg(None, PeerSettings()), camera=camera,
        opener=lambda *_: monitor,
    )  # fmt: skip
    agent.recover()
    ready = asyncio.Event()
    running = asyncio.create_task(agent.run(ready), name="agent")
    try:
        await asyncio.wait_for(ready.wait(), 10)
        yield agent
    finally:
        running.cancel()
        await asyncio.wait({running})
        agent.close()
        if not running.cancelled():
            running.result()


def facts(agent: Agent) -> list[Envelope]:
    """All facts that wait for the hub, lane after lane."""
    return [
        decode(entry.data) for lane in LANES for entry in agent.outbox.waiting("hub", lane, 0, 9999)
    ]


async def until(condition: Callable[[], object], what: str, within_s: float = 15.0) -> float:
    """Wait for a condition; return how long it took, s."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within_s:
            raise AssertionError(f"{what}: not within {within_s:g} s")
        await asyncio.sleep(0.02)
    return time.monotonic() - began


async def act(agent: Agent, action: str, **fields: Any) -> None:
    wanted: Action = msgspec.convert({"action": action, **fields}, Action)
    await agent.perform(wanted)


def assign(agent: Agent, hub: Outbox) -> None:
    """Send the vehicle on a call."""
    case = new_id()
    told = {"case_opened": CaseOpened(address="x", complaint="", alias=""),
            "unit_assigned": UnitAssigned(unit=UNIT)}  # fmt: skip
    for kind, body in told.items():
        made = hub.envelope(Draft(kind, body, case=case), "urgent", 1)
        agent._take(Fact(made, own=False, at_hub_ns=made.source_ns))


def kept_files(folder: Path) -> list[Path]:
    return sorted((folder / "video").glob("*/*.mkv"))


async def play(folder: Path) -> dict[str, Any]:
    """Let the disk fill in a run; return what was found."""
    video_recorder.SEGMENT_S = 1.0
    monitor, filling, found = Monitor(), Filling(folder), dict[str, Any]()
    async with vehicle(folder, monitor) as agent:
        hub = Outbox(folder / "hub.sqlite", "hub", SystemClock())
        assign(agent, hub)
        await act(agent, "start_run")
        await act(agent, "record", on=True)
        await until(lambda: len(kept_files(folder)) >= 3, "video is kept")
        before = kept_files(folder)
        filling.leave(KEEP_FREE_MIB * MIB - 20_000)
        found["oldest_gone_after_s"] = await until(lambda: not before[0].exists(), "oldest goes")
        assert agent.disk.state.state != "full"
        filling.begin()
        found["full_after_s"] = await until(lambda: agent.disk.state.state == "full", "it is full")
        monitor.end_ecg.set()
        await asyncio.sleep(FULL_S)
        found["held_facts"] = len(agent.outgoing.held)
        found["check_while_full"] = agent.checks()["disk"]
        found["recording_while_full"] = agent.video.view.why
        try:
            await act(agent, "note", text="while full")
            found["note"] = "made"
        except StorageError:
            found["note"] = "refused"
        given = len(monitor.rates)
        filling.end()
        found["back_after_s"] = await until(
            lambda: agent.disk.state.state == "ok" and not agent.outgoing.held, "room again"
        )
        await until(lambda: agent.ecg.held_bytes == 0, "the ECG is written")
        newest = max(before)
        await until(lambda: "resumed" in video_said(facts(agent)), "video goes on")
        await until(lambda: any(one > newest for one in kept_files(folder)), "video is kept again")
        await until(lambda: len(monitor.rates) > given + 5, "values go on")
        await act(agent, "end_run")
        found |= account(facts(agent), monitor)
        found["segments_play"] = [played(one) for one in kept_files(folder)]
        found["sensor_failed"] = any(one.state == "failed" for one in agent.sensors.status)
        hub.close()
    filling.leave(0)
    async with vehicle(folder, Monitor()) as agent:
        found["starts_while_full"] = agent.situation.state
    (folder / "filling").unlink()
    return found


def video_said(made: list[Envelope]) -> list[str]:
    """Return what was said of the recording, in its order."""
    return [open_body(one, VideoRecording).state for one in made if one.kind == "video_recording"]


def account(made: list[Envelope], monitor: Monitor) -> dict[str, Any]:
    """Hold what was made against what the monitor gave."""
    rates = [
        body.heart_rate_per_min.value
        for one in made if one.kind == "vitals"
        if (body := open_body(one, Vitals)).heart_rate_per_min is not None
    ]  # fmt: skip
    frames = [
        decode_frame(SETUP, frame)
        for one in made if one.kind == "ecg_record"
        for frame in open_body(one, EcgRecord).frames
    ]  # fmt: skip
    ecg = np.concatenate([frame.samples for frame in frames])
    given = samples(0, abs(monitor.chunks) * CHUNK)
    times = [one.source_ns for one in made if one.kind == "vitals"]
    numbers = [
        one.sequence for lane in LANES for one in made if one.lane == lane
    ]  # fmt: skip
    steps = [later - earlier for earlier, later in itertools.pairwise(numbers)]
    return {
        "vitals_equal": rates == monitor.rates[: len(rates)],
        "vitals_missing": len(monitor.rates) - len(rates),
        "vitals": len(rates),
        "vitals_gap_s": max(b - a for a, b in itertools.pairwise(times)) / 1e9,
        "ecg_equal": bool(np.array_equal(ecg, given)),
        "ecg_samples": len(ecg),
        "ecg_ended": [open_body(o, EcgEnded).samples for o in made if o.kind == "ecg_ended"],
        "ids_twice": len(made) - len({one.id for one in made}),
        "numbers_missing": sum(step != 1 and step > 0 for step in steps),
        "video_said": video_said(made),
        "video_deleted": [
            (open_body(o, VideoDeleted).reason, open_body(o, VideoDeleted).segments)
            for o in made if o.kind == "video_deleted"
        ],
    }  # fmt: skip


def played(path: Path) -> int:
    """How many pictures a player sees."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(play(Path(sys.argv[1])))) + "\n")
