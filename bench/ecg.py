"""`forerun bench ecg`: bits and CPU of the ECG block against its peers, on real 12-lead records.

All figures are on one basis: bits over the samples of all 12 leads, also where a codec leaves the
four limb leads out that follow from I and II (marked "8 leads": they lose the rounding of the
four). CPU is process time, in microseconds per second of signal.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from bench.ecg_bound import prediction_bound
from bench.ecg_codecs import (
    EIGHT,
    FLAC_EIGHT,
    OURS,
    OURS_WITHOUT_STEPS,
    TWELVE,
    Codec,
    TwelveLead,
    all_codecs,
    flac_header_bytes,
)
from bench.frame import BenchError, Column, Measurement, Outcome, Promise, Session
from streams.ecg_block import describe
from streams.ecg_leads import LeadPlan, Samples, plan_of
from streams.waveform_record import WaveformRecord, WfdbError, read_wfdb

MOST_SECONDS = 60.0
"""Longer records are cut: the bound's recursive least squares takes half their time."""

DATABASES = {
    "A": "CPSC 2018",
    "E": "Georgia",
    "H": "PTB-XL",
    "J": "Chapman-Shaoxing-Ningbo",
    "s": "PTB",
    "Q": "CPSC-Extra",
    "I": "INCART",
}
"""Databases by the first letter of a record's name, as the PhysioNet challenges name them."""

COLUMNS = (
    Column("bits_per_sample", "bits/sample", 3),
    Column("bytes_per_second", "bytes/s", 0),
    Column("largest_frame_bytes", "largest frame, bytes", 0),
    Column("encode_us_per_s", "encode, us CPU/s", 0),
    Column("decode_us_per_s", "decode, us CPU/s", 0),
    Column("differing", "samples differing", 0),
)
MOST_PERCENT_OF_CORE = 0.1
MOST_OF_BOUND = 1.5


def run(session: Session) -> Outcome:
    """Measure all codecs on all 12-lead records of the data."""
    folder = session.data or _default_data()
    records, skipped = _load(folder)
    codecs = all_codecs()
    sizes = {}
    task = session.progress.add_task("sizes of what is coded", total=len(codecs))
    for codec in codecs:
        sizes[codec.name] = _sizes(codec, records)
        session.progress.advance(task)
    cpu = session.measure("ECG codecs", {codec.name: _cpu(codec, records) for codec in codecs})
    bounds = _bounds(session, records)
    rows = [_row(codec, sizes[codec.name], cpu[codec.name]) for codec in codecs]
    rows.append(Measurement("bound: 8-lead prediction", {"bits_per_sample": bounds["counted"][0]}))
    rows.append(
        Measurement("bound on the integers as stored", {"bits_per_sample": bounds["stored"][0]})
    )
    seconds = sum(record.seconds for record in records)
    return Outcome(
        title=f"12-lead ECG in frames of 200 ms: {len(records)} records, {seconds:.0f} s",
        columns=COLUMNS,
        measurements=rows,
        promises=_promises(rows, bounds["counted"][0]),
        details={
            "databases": _per_database(records, sizes, bounds),
            "records": _per_record(records, sizes, bounds),
            "skipped": skipped,
        },
        notes=_notes(records, skipped, rows),
        packages=("numpy", "wfdb", "pyflac", "pcodec", "zstandard"),
    )


def _default_data() -> Path:
    folder = Path(__file__).resolve().parents[2] / "shared" / "data" / "ecg12"
    if not folder.is_dir():
        raise BenchError("there are no recordings beside the repository; name a folder with --data")
    return folder


def _load(folder: Path) -> tuple[list[TwelveLead], list[str]]:
    """Return the 12-lead records of a folder, and a line for each record left out."""
    headers = sorted(folder.glob("*.hea"))
    if not headers:
        raise BenchError(f"there is no WFDB record in {folder}")
    records, skipped = [], []
    for header in headers:
        try:
            records.append(_twelve_of(read_wfdb(header)))
        except (WfdbError, BenchError) as error:
            skipped.append(str(error).replace(f"{folder}/", ""))
    if not records:
        raise BenchError(f"no record in {folder} can be used: {'; '.join(skipped)}")
    return records, skipped


def _twelve_of(record: WaveformRecord) -> TwelveLead:
    for part in record.parts:
        names = [lead.name.strip().lower() for lead in part.setup.leads]
        if set(TWELVE) <= set(names):
            columns = [names.index(name) for name in TWELVE]
            leads = tuple(part.setup.leads[column] for column in columns)
            most = round(MOST_SECONDS * part.setup.sampling_frequency_hz)
            samples = np.ascontiguousarray(part.samples[:most, columns])
            if samples.min() < -(2**15) or samples.max() >= 2**15:
                raise BenchError(f"{record.name}: samples beyond 16 bits, which the peers need")
            return TwelveLead(
                record.name, describe(part.setup.sampling_frequency_hz, leads), samples
            )
    raise BenchError(f"{record.name}: it has not all of the 12 leads")


def _sizes(codec: Codec, records: Sequence[TwelveLead]) -> list[dict[str, float]]:
    """Return per record the figures that do not depend on time."""
    found: list[dict[str, float]] = []
    for record in records:
        coded = codec.encode(record)
        octets = sum(map(len, coded)) - flac_header_bytes(codec, coded)
        source = codec.source(record)
        differing = int(np.count_nonzero(codec.decode(record, coded) != source))
        # FLAC of 12 leads is two streams: a frame of it is two entries, and has no one size.
        one_stream = not flac_header_bytes(codec, coded)
        found.append(
            {
                "bits_per_sample": 8 * octets / record.samples.size,
                "bytes_per_second": octets / record.seconds,
                "largest_frame_bytes": max(map(len, coded)) if one_stream else float("nan"),
                "differing": differing,
            }
        )
    return found


def _cpu(codec: Codec, records: Sequence[TwelveLead]) -> Callable[[], Mapping[str, float]]:
    def measure() -> Mapping[str, float]:
        encode, decode = 0.0, 0.0
        for record in records:
            start = time.process_time()
            coded = codec.encode(record)
            between = time.process_time()
            codec.decode(record, coded)
            encode += between - start
            decode += time.process_time() - between
        seconds = sum(record.seconds for record in records)
        return {
            "encode_us_per_s": encode / seconds * 1e6,
            "decode_us_per_s": decode / seconds * 1e6,
        }

    return measure


def _bounds(
    session: Session, records: Sequence[TwelveLead]
) -> dict[str, tuple[float, list[float]]]:
    """Return the mean and the figures per record of the bound, on both kinds of integers."""
    task = session.progress.add_task("bound of linear prediction", total=len(records))
    counted, stored = [], []
    for record in records:
        counts = _counted(plan_of(record.setup), record.samples)
        eight = [TWELVE.index(name) for name in EIGHT]
        stored.append(prediction_bound(record.eight))
        same = np.array_equal(counts, record.samples)
        counted.append(stored[-1] if same else prediction_bound(counts[:, eight]))
        session.progress.advance(task)
    return {"counted": (fmean(counted), counted), "stored": (fmean(stored), stored)}


def _counted(plan: LeadPlan, samples: Samples) -> Samples:
    """Return the samples counted in steps where a lead has such, as our codec sees them."""
    counts, _ = plan.count_steps(np.ascontiguousarray(samples.T))
    return counts.T


def _row(
    codec: Codec, sizes: Sequence[Mapping[str, float]], cpu: Mapping[str, float]
) -> Measurement:
    largest = max(size["largest_frame_bytes"] for size in sizes)
    return Measurement(
        codec.name,
        {
            "leads": codec.leads,
            "bits_per_sample": fmean(size["bits_per_sample"] for size in sizes),
            "bytes_per_second": fmean(size["bytes_per_second"] for size in sizes),
            "largest_frame_bytes": None if np.isnan(largest) else int(largest),
            "differing": int(sum(size["differing"] for size in sizes)),
            **cpu,
        },
    )


def _promises(rows: Sequence[Measurement], bound: float) -> list[Promise]:
    figures: dict[str, Any] = {row.name: row.figures for row in rows}
    ours, flac = figures[OURS], figures[FLAC_EIGHT]
    cpu_percent = (ours["encode_us_per_s"] + ours["decode_us_per_s"]) / 1e4
    bits = ours["bits_per_sample"]
    return [
        Promise("samples of 12 leads that came back different", ours["differing"], "exactly", 0),
        Promise("bits/sample, against FLAC of 8 leads", bits, "below", flac["bits_per_sample"]),
        Promise(
            "bits/sample over the bound of 8-lead prediction",
            bits / bound,
            "at most",
            MOST_OF_BOUND,
        ),
        Promise(
            "encode and decode, % of a core per 12-lead",
            cpu_percent,
            "below",
            MOST_PERCENT_OF_CORE,
        ),
    ]


def _per_record(
    records: Sequence[TwelveLead],
    sizes: Mapping[str, Sequence[Mapping[str, float]]],
    bounds: Mapping[str, tuple[float, list[float]]],
) -> dict[str, dict[str, float]]:
    return {
        record.name: {
            **{name: of_codec[number]["bits_per_sample"] for name, of_codec in sizes.items()},
            **{f"bound, {name}": of_bound[number] for name, (_, of_bound) in bounds.items()},
        }
        for number, record in enumerate(records)
    }


def _per_database(
    records: Sequence[TwelveLead],
    sizes: Mapping[str, Sequence[Mapping[str, float]]],
    bounds: Mapping[str, tuple[float, list[float]]],
) -> dict[str, dict[str, float]]:
    """Return mean bits per sample by database and codec."""
    members: dict[str, list[dict[str, float]]] = defaultdict(list)
    for name, figures in _per_record(records, sizes, bounds).items():
        members[DATABASES.get(name[0], "other")].append(figures)
    return {
        database: {name: fmean(row[name] for row in rows) for name in rows[0]}
        for database, rows in members.items()
    }


def _notes(
    records: Sequence[TwelveLead], skipped: Sequence[str], rows: Sequence[Measurement]
) -> list[str]:
    figures: dict[str, Any] = {row.name: row.figures for row in rows}
    stepped = sum(any(lead.step for lead in record.setup.leads) for record in records)
    plain = figures[OURS_WITHOUT_STEPS]["bits_per_sample"]
    return [
        "Bits over the samples of all 12 leads, mean over records; FLAC's stream header, our "
        "setup and pcodec's and zstd's dictionaries (none) are not counted.",
        f"{stepped} of {len(records)} records hold a coarser converter's integers rescaled; "
        f"counting its steps saves {plain - figures[OURS]['bits_per_sample']:.2f} bits. The bound "
        "that counts for the promise is given the same steps.",
        *(f"left out: {line}" for line in skipped),
    ]
