"""What the sensors give becomes facts, recordings and stream messages, bound to the patient."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from prometheus_client import Counter

from onboard.ecg_path import EcgPath, OpenRecording
from onboard.finite_values import without_impossible
from onboard.outgoing import Outgoing
from onboard.positions import Positions
from onboard.sensors import (
    EcgBegan,
    EcgChunk,
    EcgFinished,
    Reading,
    Sensor,
    SensorSettings,
)
from onboard.situation import Binding
from onboard.vital_signs import VitalSigns
from streams.clock import Clock
from streams.messages import Body, DeviceEvent, Position, SensorState, Vitals
from streams.outbox import Draft

SECOND_NS = 1_000_000_000

IMPOSSIBLE = Counter(
    "forerun_values_impossible_total", "Values left out because they are no numbers", ["sensor"]
)

log = structlog.get_logger(__name__)


class Intake:
    """Takes the readings of all sensors, each sensor's in order."""

    def __init__(
        self,
        *,
        outgoing: Outgoing,
        ecg: EcgPath,
        positions: Positions,
        vital_signs: VitalSigns,
        binding: Callable[[], Binding],
        clock: Clock,
        most_unsent: int,
    ) -> None:
        """Prepare.

        Args:
            outgoing: Makes the facts.
            ecg: Takes what is ECG.
            positions: Takes the positions.
            vital_signs: Keeps the newest values for the page.
            binding: Tells to whom the sensors belong now.
            clock: This machine's.
            most_unsent: A replay at speed 0 waits while more facts than this wait.
        """
        self.changed: Callable[[str], None] = lambda _part: None
        self.framed: Callable[[OpenRecording, bytes, int], None] = lambda *_: None
        self._outgoing = outgoing
        self._ecg = ecg
        self._positions = positions
        self._vital_signs = vital_signs
        self._binding = binding
        self._clock = clock
        self._most_unsent = most_unsent
        self._impossible: dict[str, tuple[int, int]] = {}

    async def take(self, sensor: Sensor, table: SensorSettings, reading: Reading) -> None:
        """Take one reading; what a full disk does not take waits in memory.

        Raises:
            StorageError: A sample of the ECG is missing.
        """
        live = getattr(table, "speed", 1.0) != 0
        if not live:
            await self._wait_for_room()
        match reading:
            case EcgBegan():
                self._ecg.began(sensor.name, sensor.origin, reading)
                self.changed("ecg")
            case EcgChunk():
                self._take_chunk(sensor, reading, live=live)
            case EcgFinished():
                self._ecg.finished(sensor.name, reading.setup_id)
                self.changed("ecg")
            case Position() | Vitals():
                self._take_measured(sensor, reading)
            case DeviceEvent():
                self._make("device_event", reading, sensor)
            case SensorState():
                self._make("sensor_state", reading, sensor)

    def _take_measured(self, sensor: Sensor, reading: Position | Vitals) -> None:
        now_ns = self._clock.monotonic_ns()
        measured, left_out = without_impossible(reading)
        if left_out:
            IMPOSSIBLE.labels(sensor.name).inc(len(left_out))
            self._say_impossible(sensor.name, left_out, now_ns)
        match measured:
            case Position():
                self._positions.take(measured, sensor.origin, sensor.name, now_ns)
            case Vitals():
                self._make("vitals", measured, sensor)
                self._vital_signs.take(measured, sensor.origin, sensor.name, now_ns)
                self.changed("vitals")

    def _say_impossible(self, sensor: str, left_out: list[str], now_ns: int) -> None:
        """Log it, at most once a second for each sensor."""
        unsaid, said_ns = self._impossible.get(sensor, (0, -SECOND_NS))
        unsaid += len(left_out)
        if now_ns - said_ns >= SECOND_NS:
            log.warning(
                "values that are no numbers are left out", sensor=sensor, number=unsaid,
                such_as=left_out,
            )  # fmt: skip
            unsaid, said_ns = 0, now_ns
        self._impossible[sensor] = unsaid, said_ns

    def _take_chunk(self, sensor: Sensor, chunk: EcgChunk, *, live: bool) -> None:
        now_ns = self._clock.monotonic_ns()
        recording, frame = self._ecg.chunk(sensor.name, chunk, now_ns, live=live)
        if recording.kept.samples == len(chunk.samples):  # its first: it may be a new one
            self.changed("ecg")
        if live:
            self.framed(recording, frame, chunk.newest_ns)

    def _make(self, kind: str, body: Body, sensor: Sensor) -> None:
        binding = self._binding()
        draft = Draft(kind, body, sensor.origin, binding.case, binding.patient)
        self._outgoing.make_or_hold(draft)

    async def _wait_for_room(self) -> None:
        while self._outgoing.unsent > self._most_unsent:
            self._outgoing.freed.clear()
            await self._outgoing.freed.wait()
