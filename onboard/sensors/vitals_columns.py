"""Recorded numerics to vital signs: which column is which value, and what it is worth. Pure.

A recording writes 0, -1, an empty cell or NaN where the monitor showed no value. None of them
is ever passed on as a number: such a value is *unavailable*, with what was recorded as the
reason. A number that no patient can have is *invalid*: it is kept, and struck on the pages.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streams.messages import Numeric, Vitals

_NAMES: dict[str, str] = {
    # MIMIC numerics (WFDB), Vital Recorder (IntelliVue, CSV), and the names of HeartStart trends.
    "hr": "heart_rate_per_min",
    "ecghr": "heart_rate_per_min",
    "heartrate": "heart_rate_per_min",
    "pulse": "pulse_rate_per_min",
    "pulserate": "pulse_rate_per_min",
    "plethhr": "pulse_rate_per_min",
    "pr": "pulse_rate_per_min",
    "spo2": "spo2_percent",
    "plethsato2": "spo2_percent",
    "sao2": "spo2_percent",
    "resp": "respiratory_rate_per_min",
    "rr": "respiratory_rate_per_min",
    "awrr": "respiratory_rate_per_min",
    "nbpsys": "nibp_systolic_mmhg",
    "nbpdias": "nibp_diastolic_mmhg",
    "nbpdia": "nibp_diastolic_mmhg",
    "nbpmean": "nibp_mean_mmhg",
    "nbps": "nibp_systolic_mmhg",
    "nbpd": "nibp_diastolic_mmhg",
    "nbpm": "nibp_mean_mmhg",
    "nibpsys": "nibp_systolic_mmhg",
    "nibpdia": "nibp_diastolic_mmhg",
    "nibpdias": "nibp_diastolic_mmhg",
    "nibpmean": "nibp_mean_mmhg",
    "abpsys": "abp_systolic_mmhg",
    "abpdias": "abp_diastolic_mmhg",
    "abpdia": "abp_diastolic_mmhg",
    "abpmean": "abp_mean_mmhg",
    "abps": "abp_systolic_mmhg",
    "abpd": "abp_diastolic_mmhg",
    "abpm": "abp_mean_mmhg",
    "etco2": "etco2_mmhg",
    "co2et": "etco2_mmhg",
    "temp": "temperature_celsius",
    "temperature": "temperature_celsius",
}

RANGES: dict[str, tuple[float, float]] = {
    "heart_rate_per_min": (5, 400),
    "pulse_rate_per_min": (5, 400),
    "spo2_percent": (10, 100),
    "respiratory_rate_per_min": (1, 200),
    "nibp_systolic_mmhg": (20, 350),
    "nibp_diastolic_mmhg": (5, 300),
    "nibp_mean_mmhg": (10, 320),
    "abp_systolic_mmhg": (10, 400),
    "abp_diastolic_mmhg": (1, 350),
    "abp_mean_mmhg": (5, 380),
    "etco2_mmhg": (1, 150),
    "temperature_celsius": (10, 47),
}
"""What a monitor can measure on a living patient; beyond it a number is invalid."""

_UNITS = re.compile(r"_(bpm|mmhg|kpa|pm|%|percent|degc|degf|celsius)$", re.IGNORECASE)
_KPA_MMHG = 7.500617

CUFF = ("nibp_systolic_mmhg", "nibp_diastolic_mmhg", "nibp_mean_mmhg")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a recording that is a vital sign.

    Attributes:
        index: Its place in a row.
        field: The field of ``Vitals``.
        unit: Its unit, lower case, as far as it matters.
    """

    index: int
    field: str
    unit: str

    def convert(self, value: float) -> float:
        """Return a value of the column in the field's unit."""
        if self.unit == "kpa":
            return round(value * _KPA_MMHG, 1)
        if self.unit in {"degf", "f"}:
            return round((value - 32) / 1.8, 2)
        return value


def find_columns(names: Sequence[str], units: Sequence[str] | None = None) -> list[Column]:
    """Return the columns that are vital signs; the first of two for one field counts.

    Args:
        names: Names of the columns, with or without a unit at the end (``HR_bpm``).
        units: Their units, where they stand apart.
    """
    found: dict[str, Column] = {}
    for index, name in enumerate(names):
        match = _UNITS.search(name)
        unit = match[1] if match else (units[index] if units is not None else "")
        bare = re.sub(r"[^a-z0-9]", "", _UNITS.sub("", name).lower())
        field = _NAMES.get(bare)
        if field is not None:
            found.setdefault(field, Column(index, field, unit.strip().lower()))
    return list(found.values())


def judge(field: str, value: float, measured_ns: int) -> Numeric:
    """Return a recorded number with its validity."""
    if not math.isfinite(value):
        return missing(measured_ns, "no value recorded")
    if value in {0, -1}:
        return missing(measured_ns, f"no value: recorded as {value:g}")
    lowest, highest = RANGES[field]
    if not lowest <= value <= highest:
        reason = f"outside {lowest:g} to {highest:g}"
        return Numeric(value=value, measured_ns=measured_ns, validity="invalid", reason=reason)
    return Numeric(value=round(value, 3), measured_ns=measured_ns)


def missing(measured_ns: int, reason: str) -> Numeric:
    """Return a value that is not there, and why."""
    return Numeric(value=None, measured_ns=measured_ns, validity="unavailable", reason=reason)


class VitalsRows:
    """Turns rows of a recording into ``Vitals``.

    A cuff pressure keeps the time at which it was taken and stays in the following messages, as
    on the monitor, until the next one. A column that never has a value in the recording should
    be left out of ``columns``: what was not measured is absent.
    """

    def __init__(self, device: str, columns: Sequence[Column]) -> None:
        self._device = device
        self._columns = columns
        self._cuff: dict[str, Numeric] = {}
        self._row_before: tuple[float, ...] = ()

    def read(self, row: Sequence[float], at_ns: int) -> Vitals:
        """Return the vitals of a row; NaN stands for an empty cell."""
        values: dict[str, Numeric] = {}
        cuff_row: dict[str, float] = {}
        for column in self._columns:
            value = row[column.index]
            if math.isfinite(value) and value not in {0, -1}:
                value = column.convert(value)
            if column.field in CUFF:
                cuff_row[column.field] = value
            else:
                values[column.field] = judge(column.field, value, at_ns)
        return Vitals(device=self._device, **values, **self._take_cuff(cuff_row, at_ns))

    def _take_cuff(self, row: Mapping[str, float], at_ns: int) -> Mapping[str, Numeric]:
        """Keep a new cuff measurement; a repeated row is the same measurement."""
        pressures = tuple(row.values())
        is_new = pressures != self._row_before
        self._row_before = pressures
        if is_new:
            taken = {field: judge(field, value, at_ns) for field, value in row.items()}
            if any(numeric.validity != "unavailable" for numeric in taken.values()):
                self._cuff = taken
        return self._cuff
