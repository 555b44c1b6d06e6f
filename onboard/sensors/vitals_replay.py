"""How recorded vitals are replayed; the kinds of files differ in how they are read."""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from onboard.sensors.pace import NS
from onboard.sensors.readings import Ended, Reading
from onboard.sensors.replay import Replay
from onboard.sensors.settings import CsvVitalsSettings, WfdbVitalsSettings
from onboard.sensors.vitals_columns import Column, VitalsRows

Table = TypeVar("Table", WfdbVitalsSettings, CsvVitalsSettings)


@dataclass(frozen=True, slots=True)
class VitalsRecording:
    """Rows of numerics in time.

    Attributes:
        columns: The columns that are vital signs and have a value at least once.
        offsets_s: Recorded time of each row since the first.
        rows: The rows; NaN where a cell is empty.
    """

    columns: Sequence[Column]
    offsets_s: Sequence[float]
    rows: Sequence[Sequence[float]]


def measured_columns(columns: Sequence[Column], rows: Sequence[Sequence[float]]) -> list[Column]:
    """Return the columns that have a value in at least one row."""

    def is_value(value: float) -> bool:
        return math.isfinite(value) and value not in {0, -1}

    return [column for column in columns if any(is_value(row[column.index]) for row in rows)]


class VitalsReplay(Replay[Table], ABC):
    """Replays recorded vitals with the recorded timing."""

    @abstractmethod
    def read(self) -> VitalsRecording:
        """Read the recording; runs in a thread.

        Raises:
            SensorError: It cannot be read or has no vital signs.
        """

    async def readings(self) -> AsyncGenerator[Reading, None]:
        """Give the vitals of each row when its time has come."""
        recording = await asyncio.to_thread(self.read)
        while True:
            rows = VitalsRows(self.settings.device, recording.columns)
            self._pace.start()
            for offset_s, row in zip(recording.offsets_s, recording.rows, strict=True):
                at_ns = await self._pace.reach(round(offset_s * NS))
                yield rows.read(row, at_ns)
            if not self.settings.loop:
                break
        yield Ended(f"end of the recording after {len(recording.rows)} rows")
