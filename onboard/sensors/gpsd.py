"""Positions from a running gpsd over its JSON protocol (gpsd_json(5))."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import msgspec

from onboard.sensors.accuracy import CONFIDENCE, radius_of_gpsd
from onboard.sensors.pace import NS, Sleep
from onboard.sensors.readings import Reading
from onboard.sensors.settings import GpsdSettings
from onboard.sensors.track import is_place
from streams.clock import Clock
from streams.messages import Origin, Position, SensorState

CONNECT_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
LONGEST_REPORT_BYTES = 256 * 1024
AGREES_WITHIN_S = 10.0
"""Where receiver and wall clock differ by more, the receiver's date is not believed (week
rollover, no leap seconds yet) or this machine's clock is not set; the arrival's time counts."""

_WATCH = b'?WATCH={"enable":true,"json":true};\n'


class Report(msgspec.Struct, frozen=True, rename={"kind": "class"}):
    """What is used of gpsd's reports; ``epx``, ``epy`` and ``eph`` are metres at 95 %."""

    kind: str
    device: str | None = None
    mode: int = 0
    time: str | None = None
    lat: float | None = None
    lon: float | None = None
    speed: float | None = None
    track: float | None = None
    epx: float | None = None
    epy: float | None = None
    eph: float | None = None
    devices: list[msgspec.Raw] | None = None
    message: str | None = None


_decoder = msgspec.json.Decoder(Report)


def judge(line: bytes, wall_ns: int, device: str | None = None) -> Position | str | None:
    """Return the position of a report, or words on why there is none, or None if it is neither.

    Args:
        line: One line of gpsd.
        wall_ns: This machine's wall clock at its arrival.
        device: Only this receiver's reports count.
    """
    try:
        report = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):  # DecodeError covers wrong types
        return None
    if report.kind == "DEVICES" and report.devices == []:
        return "gpsd has no receiver"
    if report.kind == "ERROR":
        return f"gpsd: {report.message or 'error'}"[:1000]
    if report.kind != "TPV" or (device is not None and report.device != device):
        return None
    return _judge_fix(report, wall_ns)


def _judge_fix(report: Report, wall_ns: int) -> Position | str | None:
    if report.mode < 2:
        return "no fix"
    if report.lat is None or report.lon is None:
        return None  # gpsd reports the mode before the position of the same moment
    if not is_place(report.lat, report.lon):
        return "no fix: position out of range"
    radius_m = _radius(report)
    speed, course = report.speed, report.track
    return Position(
        latitude_deg=report.lat,
        longitude_deg=report.lon,
        measured_ns=_measured_ns(report.time, wall_ns),
        source="gpsd",
        radius_m=radius_m,
        confidence=None if radius_m is None else CONFIDENCE,
        speed_mps=speed if speed is not None and speed >= 0 else None,
        heading_deg=course % 360 if course is not None else None,
    )


def _radius(report: Report) -> float | None:
    if report.epx is not None and report.epy is not None:
        return radius_of_gpsd(report.epy, report.epx)
    return report.eph if report.eph is not None and report.eph > 0 else None


def _measured_ns(text: str | None, wall_ns: int) -> int:
    try:
        at = datetime.fromisoformat(text or "")
        at_ns = round(at.replace(tzinfo=at.tzinfo or UTC).timestamp() * 1e6) * 1000
    except (ValueError, OverflowError):
        return wall_ns
    return at_ns if abs(at_ns - wall_ns) <= AGREES_WITHIN_S * NS else wall_ns


class Gpsd:
    """Follows a gpsd; connects again, with growing pauses, for as long as it runs.

    Attributes:
        name: Name of the sensor.
        origin: ``live``, or ``replay`` where the settings say that gpsd is fed from a log.
    """

    def __init__(self, settings: GpsdSettings, clock: Clock, sleep: Sleep = asyncio.sleep) -> None:
        self.name: str = settings.name
        self.origin: Origin = settings.origin
        self.settings = settings
        self._clock = clock
        self._sleep = sleep
        self._pause_s = FIRST_PAUSE_S
        self._said: str | None = None

    async def readings(self) -> AsyncGenerator[Reading, None]:
        """Give positions, and the coming and going of the fix and of gpsd itself; never ends."""
        while True:
            try:
                async with contextlib.aclosing(self._follow()) as readings:
                    async for reading in readings:
                        yield reading
                reason = "gpsd closed the connection"
            except TimeoutError:
                reason = "gpsd does not answer"
            except (OSError, ValueError) as error:  # ValueError: a line without end
                reason = f"gpsd: {error}"
            address = f"{self.settings.host}:{self.settings.port}"
            state = self._say(f"{reason} ({address}); trying again", failed=True)
            if state is not None:
                yield state
            await self._sleep(self._pause_s)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    async def _follow(self) -> AsyncGenerator[Reading, None]:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(
                self.settings.host, self.settings.port, limit=LONGEST_REPORT_BYTES
            )
        try:
            writer.write(_WATCH)
            while True:
                async with asyncio.timeout(self.settings.silence_s):
                    line = await reader.readline()
                if not line:
                    return
                self._pause_s = FIRST_PAUSE_S
                found = judge(line, self._clock.wall_ns(), self.settings.device)
                words = found if isinstance(found, str) else "fix"
                state = self._say(words) if found is not None else None
                if state is not None:
                    yield state
                if isinstance(found, Position):
                    yield found
        finally:
            writer.close()

    def _say(self, words: str, *, failed: bool = False) -> SensorState | None:
        """Return the state once per change; a first fix needs no words."""
        before, self._said = self._said, words
        if words == before or (words == "fix" and before is None):
            return None
        state = "failed" if failed else "running"
        return SensorState(sensor=self.name, state=state, reason=words)  # type: ignore[arg-type]
