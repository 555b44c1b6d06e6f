"""WFDB records, read as ADC integers with their scale, and written so that nothing changes.

WFDB (the format of PhysioNet) keeps the converter's integers and a gain and baseline per signal;
so does `streams.ecg_block`. Signals of one record may have different rates (several samples a
frame): they become one part per rate, so that no sample is averaged, repeated or made up.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import wfdb

from streams.ecg_leads import MAX_I32, MAX_LEADS, MIN_I32, EcgSetup, Lead, Samples, describe
from streams.ecg_steps import find_steps
from streams.errors import ForerunError

INVALID_MARKS: dict[str, int | None] = {
    **dict.fromkeys(("80", "508"), -(2**7)),
    **dict.fromkeys(("310", "311"), -(2**9)),
    "212": -(2**11),
    **dict.fromkeys(("16", "61", "160", "516"), -(2**15)),
    **dict.fromkeys(("24", "524"), -(2**23)),
    "32": -(2**31),
    "8": None,
}
"""The integer that marks an invalid sample, by storage format (WFDB signal(5))."""

WRITTEN_FORMATS = {"80": 8, "212": 12, "16": 16, "24": 24, "32": 32}
"""The formats that are written, narrowest first, and their bits."""


class WfdbError(ForerunError):
    """A record that cannot be read or written.

    Attributes:
        record: Its name or path.
    """

    reason = "wfdb"

    def __init__(self, record: str, why: str) -> None:
        super().__init__(f"WFDB record {record}: {why}")
        self.record = record


@dataclass(frozen=True)
class WaveformPart:
    """The signals of a record that share a rate.

    Attributes:
        setup: Their description, at the rate at which they were sampled.
        samples: (n, leads) ADC integers.
    """

    setup: EcgSetup
    samples: Samples


@dataclass(frozen=True)
class WaveformRecord:
    """A WFDB record.

    Attributes:
        name: Its name.
        parts: At least one; several where signals have different rates or are more than
            `MAX_LEADS`, the fastest first.
        start: Wall clock at the first sample as the header has it, without a time zone.
        comments: The header's comment lines.
    """

    name: str
    parts: tuple[WaveformPart, ...]
    start: datetime | None
    comments: tuple[str, ...]


def read_wfdb(path: str | Path, *, physionet: str | None = None) -> WaveformRecord:
    """Read a WFDB record, of one segment or several, as ADC integers.

    Args:
        path: The record's path without suffix; one with ``.hea`` is taken too.
        physionet: A PhysioNet database such as "mitdb"; `path` is then the name of a record
            there, which is fetched over the network.

    Raises:
        WfdbError: There is no such record, or wfdb refuses it: the message says why. Where the
            network failed, its cause is an OSError.
    """
    name = str(path).removesuffix(".hea")
    if physionet is None and not Path(f"{name}.hea").is_file():
        raise WfdbError(name, f"there is no file {Path(name).name}.hea")
    try:
        record = wfdb.rdrecord(name, pn_dir=physionet, physical=False, smooth_frames=False)
        signals = [np.asarray(signal) for signal in record.e_d_signal or ()]
        if not signals or not min(map(len, signals)):
            raise WfdbError(name, "it has no samples")
        return _from_wfdb(record, signals)
    except WfdbError:
        raise
    except Exception as error:  # wfdb raises whatever its parts raise on a malformed record
        reason = str(error) or type(error).__name__
        raise WfdbError(name, f"wfdb refuses it: {reason}") from error


def _from_wfdb(record: Any, signals: list[npt.NDArray[np.integer]]) -> WaveformRecord:
    leads = [_lead(record, column) for column in range(len(signals))]
    per_frame = [number or 1 for number in record.samps_per_frame]
    parts = []
    for rate in sorted(set(per_frame), reverse=True):
        columns = [column for column, number in enumerate(per_frame) if number == rate]
        for batch in _batches(columns):
            samples = np.column_stack([signals[column] for column in batch])
            if samples.min() < MIN_I32 or samples.max() > MAX_I32:
                raise WfdbError(record.record_name, "a sample is beyond 32 bits")
            samples = samples.astype(np.int32)
            stepped = find_steps([leads[column] for column in batch], samples)
            parts.append(WaveformPart(describe(float(record.fs) * rate, stepped), samples))
    return WaveformRecord(
        record.record_name, tuple(parts), record.base_datetime, tuple(record.comments or ())
    )


def _batches(columns: list[int]) -> list[list[int]]:
    return [columns[at : at + MAX_LEADS] for at in range(0, len(columns), MAX_LEADS)]


def _lead(record: Any, column: int) -> Lead:
    storage_format = record.fmt[column]

    def of(field: str, otherwise: int) -> int:
        # A record of several segments has none of these fields; a header may leave them out.
        values = getattr(record, field, None)
        return otherwise if values is None or values[column] is None else int(values[column])

    return Lead(
        name=record.sig_name[column] or f"signal {column}",
        gain=float(record.adc_gain[column]),
        baseline=of("baseline", 0),
        physical_unit=record.units[column],
        adc_resolution_bits=of("adc_res", 0),
        adc_zero=of("adc_zero", 0),
        invalid=INVALID_MARKS[storage_format],
        block_size=of("block_size", 0),
        storage_format=storage_format,
    )


def write_wfdb(
    folder: Path,
    name: str,
    setup: EcgSetup,
    samples: Samples,
    *,
    start: datetime | None = None,
    comments: Sequence[str] = (),
    gaps: Sequence[tuple[int, int]] = (),
) -> None:
    """Write a record that wfdb reads back with the same samples, units, names and scales.

    Each lead keeps its storage format where wfdb writes it and all samples fit; else the next
    wider one is taken, and there the mark of invalid samples is that format's own.

    Args:
        folder: Where to write the ``.hea`` and ``.dat`` files.
        name: Name of the record: letters, digits, hyphens and underscores.
        setup: The leads and their rate.
        samples: (n, leads) ADC integers, n at least 1.
        start: Wall clock at the first sample; written in UTC where it has a time zone.
        comments: Lines for the header.
        gaps: Stretches that are missing, as (first, end) sample numbers, the end not included;
            they are filled with the mark of invalid samples and listed in the header.

    Raises:
        WfdbError: wfdb cannot hold it: the message says why.
    """
    if not re.fullmatch(r"[-\w]+", name, re.ASCII):
        raise WfdbError(name, "a name has letters, digits, hyphens and underscores only")
    missing = np.zeros(len(samples), np.bool_)
    for first, end in gaps:
        missing[first:end] = True
    listed = [f"missing: samples {first} to {end - 1}" for first, end in gaps]
    formats, columns = [], []
    for column, lead in enumerate(setup.leads):
        invalid = missing | (samples[:, column] == lead.invalid)
        storage_format, mark = _storage(lead, samples[~invalid, column])
        formats.append(storage_format)
        columns.append(np.where(invalid, mark, samples[:, column]))
    try:
        record = _to_wfdb(name, setup, np.column_stack(columns).astype(np.int64), formats)
        if start is not None:
            record.base_datetime = (
                start.astimezone(UTC).replace(tzinfo=None) if start.tzinfo else start
            )
        record.comments = [line for text in (*comments, *listed) for line in text.splitlines()]
        record.wrsamp(write_dir=str(folder))
    except Exception as error:  # wfdb raises bare exceptions for what its format cannot hold
        raise WfdbError(name, f"it cannot be written to {folder}: {error}") from error


def _storage(lead: Lead, valid: Samples) -> tuple[str, int]:
    """Return the narrowest format from the lead's own on that holds all, and its invalid mark."""
    own = {"508": "80", "8": "16", "524": "24"}.get(lead.storage_format, lead.storage_format)
    bits = WRITTEN_FORMATS.get(own, 16)
    low, high = (int(valid.min()), int(valid.max())) if len(valid) else (0, 0)
    for storage_format, width in WRITTEN_FORMATS.items():
        # The lowest integer of every format is its mark, so a valid sample must lie above it.
        if width >= bits and -(2 ** (width - 1)) < low and high < 2 ** (width - 1):
            return storage_format, -(2 ** (width - 1))
    return "32", MIN_I32


def _to_wfdb(
    name: str, setup: EcgSetup, signals: npt.NDArray[np.int64], formats: list[str]
) -> wfdb.Record:
    leads = setup.leads
    hz = setup.sampling_frequency_hz
    record = wfdb.Record(
        record_name=name,
        n_sig=len(leads),
        fs=int(hz) if hz.is_integer() else hz,
        sig_len=len(signals),
        d_signal=signals,
        file_name=_file_names(name, formats),
        fmt=formats,
        adc_gain=[lead.gain for lead in leads],
        baseline=[lead.baseline for lead in leads],
        units=[lead.physical_unit for lead in leads],
        adc_res=[lead.adc_resolution_bits for lead in leads],
        adc_zero=[lead.adc_zero for lead in leads],
        init_value=[int(value) for value in signals[0]],
        block_size=[lead.block_size for lead in leads],
        sig_name=[lead.name for lead in leads],
    )
    record.checksum = record.calc_checksum()
    return record


def _file_names(name: str, formats: list[str]) -> list[str]:
    """Return a file name per signal: one file for each run of signals of one format."""
    names = []
    for number, (_, run) in enumerate(itertools.groupby(formats)):
        names += [f"{name}_{number}.dat" if number else f"{name}.dat"] * len(list(run))
    return names
