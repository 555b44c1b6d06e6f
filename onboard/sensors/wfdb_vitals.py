"""Vitals from WFDB records of numerics, such as the ``*n`` records of MIMIC."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onboard.errors import SensorError
from onboard.sensors.settings import WfdbVitalsSettings
from onboard.sensors.vitals_columns import find_columns
from onboard.sensors.vitals_replay import VitalsRecording, VitalsReplay, measured_columns

HIGHEST_RATE_HZ = 10.0
"""A faster record is a waveform, not numerics."""


class WfdbVitals(VitalsReplay[WfdbVitalsSettings]):
    """Replays a WFDB record of numerics, once a minute in MIMIC, with its gaps."""

    def read(self) -> VitalsRecording:
        """Read the record.

        Raises:
            SensorError: wfdb refuses it, it is a waveform, or no signal is a vital sign.
        """
        path = self.settings.path
        record = read_record(self.name, path)
        rate_hz = float(record.fs)
        if not 0 < rate_hz <= HIGHEST_RATE_HZ:
            raise SensorError(self.name, f"{path}: {rate_hz:g} Hz is a waveform, not numerics")
        rows: list[list[float]] = record.p_signal.tolist()
        columns = measured_columns(find_columns(record.sig_name, record.units), rows)
        if not columns:
            names = ", ".join(record.sig_name)
            raise SensorError(self.name, f"{path}: no signal is a vital sign with a value: {names}")
        return VitalsRecording(columns, [number / rate_hz for number in range(len(rows))], rows)


def read_record(name: str, path: str) -> Any:
    """Return a local record in physical units, NaN where a sample is invalid.

    Raises:
        SensorError: It is not there, or wfdb refuses it.
    """
    try:
        is_there = Path(path + ".hea").is_file()
    except ValueError:  # a NUL in the path
        is_there = False
    if not is_there:
        raise SensorError(name, f"{path}.hea: no such file; give the record without suffix")
    import wfdb  # noqa: PLC0415  (in the thread that reads: loading it takes a second or more)

    try:
        record = wfdb.rdrecord(path)
        if record.p_signal is None or record.p_signal.size == 0:
            raise ValueError("no samples")
    except Exception as error:  # wfdb raises whatever its parts raise on a malformed record
        raise SensorError(name, f"{path}: wfdb refuses the record: {error}") from error
    return record
