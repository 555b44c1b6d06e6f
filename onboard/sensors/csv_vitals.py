"""Vitals from a CSV file, such as the exports of Vital Recorder at 1 Hz."""

from __future__ import annotations

import csv
import io
import math

from onboard.errors import SensorError
from onboard.sensors.settings import CsvVitalsSettings
from onboard.sensors.track import read_bytes
from onboard.sensors.vitals_columns import find_columns
from onboard.sensors.vitals_replay import VitalsRecording, VitalsReplay, measured_columns

LONGEST_GAP_S = 24 * 3600.0
_TIME_UNITS_S = {"t_s": 1.0, "t_ms": 0.001, "minute": 60.0}


class CsvVitals(VitalsReplay[CsvVitalsSettings]):
    """Replays a CSV file whose first column is the time and whose others are named numerics."""

    def read(self) -> VitalsRecording:
        """Read the file.

        Raises:
            SensorError: It has no time column, no vital sign or no row.
        """
        path = self.settings.path
        data = read_bytes(self.name, path)
        try:
            return self._decode(data)
        except (ValueError, csv.Error) as error:
            raise SensorError(self.name, f"{path}: not a CSV of vitals: {error}") from error

    def _decode(self, data: bytes) -> VitalsRecording:
        lines = csv.reader(io.StringIO(data.decode("utf-8-sig")))
        names = next(lines, [])
        unit_s = _TIME_UNITS_S.get(names[0] if names else "")
        if unit_s is None:
            raise ValueError(f"the first column is not one of {', '.join(_TIME_UNITS_S)}")
        columns = find_columns(names)
        offsets_s: list[float] = []
        rows: list[list[float]] = []
        for cells in lines:
            row = [_number(cell) for cell in cells] + [math.nan] * (len(names) - len(cells))
            at_s = row[0] * unit_s if row else math.nan
            before_s = offsets_s[-1] if offsets_s else at_s
            if not 0 <= at_s - before_s <= LONGEST_GAP_S:  # also refuses NaN and infinity
                raise ValueError(f"row {len(rows) + 2}: the time is missing, goes back or leaps")
            if offsets_s and at_s - offsets_s[-1] < self.settings.every_s:
                continue
            offsets_s.append(at_s)
            rows.append(row)
        columns = measured_columns(columns, rows)
        if not columns:
            raise ValueError("no column is a vital sign with a value")
        return VitalsRecording(columns, [at_s - offsets_s[0] for at_s in offsets_s], rows)


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
