"""Recorded or drawn tracks: points in time, and how they are replayed as positions."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path

from onboard.errors import SensorError
from onboard.sensors.pace import NS
from onboard.sensors.readings import Ended, Reading
from onboard.sensors.replay import Replay, Table
from streams.messages import Position, SensorState

LARGEST_FILE_BYTES = 64 * 1024 * 1024
LONGEST_GAP_S = 3600.0
"""A longer hole is where two recordings were put into one file: it is not waited for."""

CUT_STEP_S = 1.0
"""What is waited at such a place instead."""


@dataclass(frozen=True, slots=True)
class TrackPoint:
    """A position of a track.

    Attributes:
        offset_s: Recorded time since the start of the track.
        radius_m: At 95 %; None where the recording says nothing of it.
    """

    offset_s: float
    latitude_deg: float
    longitude_deg: float
    radius_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None


@dataclass(frozen=True, slots=True)
class TrackCondition:
    """From this moment on something is so that a person should know: no fix, a cut."""

    offset_s: float
    text: str


Track = Sequence[TrackPoint | TrackCondition]


class TrackTime:
    """Adds up recorded time from stamps that may jump; pure."""

    def __init__(self) -> None:
        self.offset_s = 0.0
        self._last_s: float | None = None

    def advance(self, at_s: float | None, *, wraps_s: float | None = None) -> str | None:
        """Go on to a stamp; return words where the recording was cut, else None.

        Args:
            at_s: Seconds; None where the moment has no stamp, which counts as one second.
            wraps_s: The stamp starts again after so many seconds (a day).
        """
        if at_s is None:
            self.offset_s += CUT_STEP_S
            self._last_s = None
            return None
        last_s, self._last_s = self._last_s, at_s
        if last_s is None:
            self.offset_s += CUT_STEP_S if self.offset_s else 0.0
            return None
        step_s = at_s - last_s
        if wraps_s is not None:
            step_s = (step_s + wraps_s / 2) % wraps_s - wraps_s / 2
        if -60 <= step_s <= LONGEST_GAP_S:
            self.offset_s += max(0.0, step_s)  # receivers sometimes step back by some tenths
            return None
        self.offset_s += CUT_STEP_S
        return f"the recording's time jumps by {step_s:.0f} s here; played on without waiting"


def position_of(point: TrackPoint, measured_ns: int, source: str) -> Position:
    """Return the message of a point; its confidence belongs to its radius."""
    return Position(
        latitude_deg=point.latitude_deg,
        longitude_deg=point.longitude_deg,
        measured_ns=measured_ns,
        source=source,
        radius_m=point.radius_m,
        confidence=None if point.radius_m is None else 0.95,
        speed_mps=point.speed_mps,
        heading_deg=point.heading_deg,
    )


def is_place(latitude_deg: float, longitude_deg: float) -> bool:
    """Whether the two numbers are a place on Earth."""
    finite = math.isfinite(latitude_deg) and math.isfinite(longitude_deg)
    return finite and abs(latitude_deg) <= 90 and abs(longitude_deg) <= 180


def read_bytes(name: str, path: str) -> bytes:
    """Return a file's bytes.

    Raises:
        SensorError: It cannot be read, or is over `LARGEST_FILE_BYTES`.
    """
    try:
        size = Path(path).stat().st_size
        if size > LARGEST_FILE_BYTES:
            raise SensorError(name, f"{path}: {size} bytes are over {LARGEST_FILE_BYTES}")
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise SensorError(name, f"{path}: cannot be read ({error})") from error


class TrackReplay(Replay[Table], ABC):
    """Replays a track as positions; the kinds of files differ in how it is read.

    Attributes:
        origin: ``replay``, or ``synthetic`` for a drawn route.
        source: What the positions name as their source.
    """

    source = "replay"

    @abstractmethod
    def read(self) -> Track:
        """Read the track; runs in a thread.

        Raises:
            SensorError: It cannot be read or has no position.
        """

    async def readings(self) -> AsyncGenerator[Reading, None]:
        """Give a position per point, and the conditions, as recorded."""
        track = await asyncio.to_thread(self.read)
        points = sum(isinstance(item, TrackPoint) for item in track)
        while True:
            self._pace.start()
            async for reading in self._play(track):
                yield reading
            if not self.settings.loop:
                break
        yield Ended(f"end of the track after {points} positions")

    async def _play(self, track: Track) -> AsyncGenerator[Reading, None]:
        for item in track:
            at_ns = await self._pace.reach(round(item.offset_s * NS))
            if isinstance(item, TrackPoint):
                yield position_of(item, at_ns, self.source)
            else:
                yield SensorState(sensor=self.name, state="running", reason=item.text)
