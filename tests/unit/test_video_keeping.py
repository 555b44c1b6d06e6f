"""Whether video is kept: the setting permits it, the crew decides, the disk comes first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from onboard.errors import RefusedActionError
from onboard.settings import CameraTable, Storage
from onboard.situation import Fact, Situation
from onboard.video_keeping import VideoKeeping
from onboard.video_segments import name_of
from streams.clock import SystemClock
from streams.identity import new_id
from streams.messages import Body, CaseOpened, RunEnded, RunStarted, UnitAssigned
from streams.outbox import Draft, Outbox
from streams.video_messages import VideoDeleted, VideoRecording

UNIT = "unit-1"
MIB = 1024 * 1024
HOUR_NS = 3600 * 10**9


@dataclass
class Vehicle:
    """What is around the keeping of video; facts fold into the situation as the agent's do."""

    folder: Path
    record: bool = True
    free: int = 1000 * MIB
    camera: bool = True
    said: list[Draft] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = SystemClock()
        self.outbox = Outbox(self.folder / "outbox.sqlite", UNIT, self.clock)
        self.situation = Situation(UNIT)
        self.case = new_id()
        self.start()
        self.tell("case_opened", CaseOpened(address="x", complaint="", alias=""))
        self.tell("unit_assigned", UnitAssigned(unit=UNIT))
        self.tell("run_started", RunStarted(), own=True)

    def start(self) -> None:
        """As after a restart: the situation is what the logbook has."""
        self.keeping = VideoKeeping(
            self.folder / "video",
            CameraTable(source="synthetic", record=self.record),
            Storage(keep_free_mib=100, video_most_mib=50, video_keep_hours=1),
            situation=self.situation, camera_wanted=lambda: self.camera,
            free_bytes=lambda: self.free, make=self.make, wall_ns=self.clock.wall_ns,
        )  # fmt: skip

    def tell(self, kind: str, body: Body, *, own: bool = False) -> None:
        made = self.outbox.envelope(Draft(kind, body, case=self.case), "urgent", 1)
        self.situation.take(Fact(made, own=own, at_hub_ns=made.source_ns))

    def make(self, draft: Draft) -> None:
        self.said.append(draft)
        self.tell(draft.kind, draft.body, own=True)

    def tap(self, *, on: bool) -> None:
        self.keeping.check_allowed()
        state: Any = "started" if on else "stopped"
        self.tell("video_recording", VideoRecording(state=state), own=True)
        self.keeping.follow()

    def states(self) -> list[str]:
        return [one.body.state for one in self.said if isinstance(one.body, VideoRecording)]

    def receipts(self) -> list[tuple[str | None, str, int]]:
        return [
            (one.case, one.body.reason, one.body.segments)
            for one in self.said if isinstance(one.body, VideoDeleted)
        ]  # fmt: skip

    def segment(self, case: str, age_ns: int = 0, size: int = MIB) -> Path:
        path = self.folder / "video" / case / f"{name_of(self.clock.wall_ns() - age_ns)}.mkv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
        return path

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.keeping.run(), name="video")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


@pytest.fixture
def vehicle(tmp_path: Path) -> Vehicle:
    return Vehicle(tmp_path)


def test_video_is_kept_from_tap_to_tap_and_never_without(vehicle: Vehicle) -> None:
    vehicle.keeping.follow()
    assert (vehicle.keeping.view.allowed, vehicle.keeping.view.on) == (True, False)
    vehicle.tap(on=True)
    assert vehicle.keeping.view.on
    vehicle.tap(on=False)
    assert not vehicle.keeping.view.wanted
    assert vehicle.said == [], "the crew's word is a fact already"


def test_video_ends_with_the_run_and_does_not_come_back_with_it(vehicle: Vehicle) -> None:
    vehicle.tap(on=True)
    vehicle.tell("run_ended", RunEnded(reason="handed_over"), own=True)
    vehicle.keeping.follow()
    assert (vehicle.states(), vehicle.keeping.view.on) == (["ended"], False)
    vehicle.tell("run_started", RunStarted(), own=True)
    vehicle.keeping.follow()
    assert not vehicle.keeping.view.wanted


def test_video_goes_on_after_a_restart_in_the_run(vehicle: Vehicle) -> None:
    vehicle.tap(on=True)
    vehicle.start()
    vehicle.keeping.follow()
    assert vehicle.keeping.view.on


def test_video_stops_while_the_camera_is_off(vehicle: Vehicle) -> None:
    vehicle.tap(on=True)
    vehicle.camera = False
    vehicle.keeping.follow()
    assert (vehicle.keeping.view.on, vehicle.keeping.view.why) == (False, "camera off")
    vehicle.camera = True
    vehicle.keeping.follow()
    assert vehicle.states() == ["paused", "resumed"]


def test_video_without_the_setting_is_refused_whatever_the_crew_taps(tmp_path: Path) -> None:
    vehicle = Vehicle(tmp_path, record=False)
    with pytest.raises(RefusedActionError, match=r"camera\.record"):
        vehicle.tap(on=True)
    vehicle.tell("video_recording", VideoRecording(state="started"), own=True)
    vehicle.keeping.follow()
    assert (vehicle.keeping.view.wanted, vehicle.keeping.view.on) == (False, False)


async def test_video_makes_room_and_leaves_a_receipt_per_case_and_reason(
    vehicle: Vehicle, wait_for: Any
) -> None:
    old, ended = new_id(), new_id()
    gone = [
        vehicle.segment(old, 2 * HOUR_NS),
        vehicle.segment(ended, 3 * 10**9),
        vehicle.segment(ended, 2 * 10**9),
        vehicle.segment(vehicle.case, 5 * 10**9),
    ]
    vehicle.free = 96 * MIB
    vehicle.tap(on=True)
    async with vehicle.running():
        await wait_for(vehicle.receipts, "receipts")
        await wait_for(lambda: vehicle.keeping.view.why == "disk", "it yields")
    assert vehicle.receipts() == [(old, "age", 1), (ended, "room", 2), (vehicle.case, "room", 1)]
    assert not any(path.exists() for path in gone)
    assert vehicle.states() == ["paused"]
    assert [one.name for one in (vehicle.folder / "video").iterdir()] == []
    vehicle.free = 200 * MIB
    async with vehicle.running():
        await wait_for(lambda: vehicle.keeping.view.on, "it goes on")
    assert vehicle.states() == ["paused", "resumed"]


async def test_video_torn_beyond_repair_is_deleted_with_a_receipt(
    vehicle: Vehicle, wait_for: Any
) -> None:
    torn = vehicle.segment(vehicle.case).with_suffix(".part")
    torn.write_bytes(b"no picture")
    vehicle.start()
    async with vehicle.running():
        await wait_for(vehicle.receipts, "a receipt")
    assert vehicle.receipts() == [(vehicle.case, "damaged", 1)]
    assert not torn.exists()
