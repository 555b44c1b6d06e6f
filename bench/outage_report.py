"""The rows, promises and notes of ``forerun bench outage``. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.frame import Column, Figure, Measurement, Promise
from bench.outage_faults import Played
from bench.outage_ledger import Tally, percentile
from bench.outage_traces import Drive
from bench.outage_trial import LIVE

COLUMNS = (
    Column("made", "facts"),
    Column("lost", "lost"),
    Column("duplicated", "twice"),
    Column("out_of_order", "disordered"),
    Column("samples_wrong", "samples wrong"),
    Column("outage_s", "outage s", 1),
    Column("vitals_p50_ms", "vitals p50 ms", 0),
    Column("vitals_p95_ms", "p95", 0),
    Column("vitals_p99_ms", "p99", 0),
    Column("ecg_p95_ms", "ECG p95", 0),
    Column("video_p95_ms", "video p95", 0),
    Column("vitals_back_s", "back: vitals s", 1),
    Column("ecg_back_s", "ECG", 1),
    Column("video_back_s", "video", 1),
)

NOTES = (
    "Facts: of the vehicle and, for its case, of the hub, followed from the outbox to the ER's "
    "journal. Samples wrong: of all leads, missing at the ER or other than in the file played.",
    "Latencies: from the source to the board. Back: from the end of the cause (of a process that "
    "is killed: from the killing, it is started again after 0.5 s) until something made after "
    "it is at the board, or after a cut the newest vitals there were; vitals come once a second.",
)

_ZEROS = (
    ("lost", "facts lost"),
    ("waiting", "facts still in an outbox at the end"),
    ("duplicated", "facts duplicated"),
    ("out_of_order", "facts out of order per source"),
    ("misrouted", "facts misrouted"),
    ("samples_missing", "ECG samples missing after catch-up"),
    ("samples_differing", "ECG samples differing after catch-up"),
)


def zeros(what: str, tallies: Sequence[Tally]) -> list[Promise]:
    """Return what must be nought over all of these, and that there was something at all."""
    total = [
        Promise(f"{what}: {words}", sum(getattr(one, key) for one in tallies), "exactly", 0)
        for key, words in _ZEROS
    ]
    fewest = min((one.made for one in tallies), default=0)
    return [Promise(f"{what}: fewest facts in a run", fewest, "at least", 1), *total]


def tally_figures(tally: Tally) -> dict[str, Figure]:
    """Return the figures of an account for a row."""
    return {
        "made": tally.made,
        "lost": tally.lost + tally.waiting,
        "duplicated": tally.duplicated,
        "out_of_order": tally.out_of_order,
        "samples_wrong": tally.samples_missing + tally.samples_differing,
    }


def delay_figures(delays: Mapping[str, Sequence[float]], whats: Iterable[str] = LIVE) -> dict[
    str, Figure
]:  # fmt: skip
    """Return p50, p95 and p99 (ms) of each kind of thing; None where nothing came."""
    found: dict[str, Figure] = {}
    for what in whats:
        for share in (50, 95, 99):
            value = percentile(delays.get(what, ()), share / 100)
            found[f"{what}_p{share}_ms"] = None if math.isnan(value) else round(value, 1)
    return found


def tally_details(tally: Tally) -> dict[str, Any]:
    """Return an account for the JSON."""
    counts = {
        key: getattr(tally, key)
        for key in (
            "made", "lost", "waiting", "duplicated", "out_of_order", "misrouted",
            "samples", "samples_missing", "samples_differing",
        )
    }  # fmt: skip
    hub = delay_figures(tally.hub_ms, sorted(tally.hub_ms))
    er = delay_figures(tally.er_ms, sorted(tally.er_ms))
    return {**counts, "stored_at_hub": hub, "stored_at_er": er}


def fault_row(played: Played) -> Measurement:
    """Return the row of a fault."""
    figures: dict[str, Figure] = {**tally_figures(played.tally)}
    for what in LIVE:
        figures[f"{what}_back_s"] = played.back_s[what]
    return Measurement(f"{played.fault.number} {played.fault.title}", figures)


def fault_details(played: Played) -> dict[str, Any]:
    """Return a fault for the JSON."""
    return {
        "number": played.fault.number,
        "title": played.fault.title,
        "back_s": played.back_s,
        "arrived": played.arrived,
        "problem": played.problem or None,
        **tally_details(played.tally),
    }


def fault_promises(played: Sequence[Played]) -> list[Promise]:
    """Return what must hold over all faults."""
    not_back = sum(not one.is_back for one in played)
    return [
        *zeros("faults", [one.tally for one in played]),
        Promise("faults after which not all was live again", not_back, "exactly", 0),
    ]


def drive_row(drive: Drive) -> Measurement:
    """Return the row of a drive through a trace."""
    figures: dict[str, Figure] = {
        **tally_figures(drive.tally),
        "outage_s": round(drive.outage_s, 1),
        **delay_figures(drive.delays_ms),
    }
    for what in LIVE:
        figures[f"{what}_back_s"] = drive.back_s[what]
    return Measurement(drive.trace.name, figures)


def drive_details(drive: Drive) -> dict[str, Any]:
    """Return a drive for the JSON."""
    return {
        "trace": drive.trace.name,
        "kind": drive.trace.kind,
        "seconds": drive.trace.duration_s,
        "assumptions": list(drive.trace.assumptions),
        "longest_outage_s": round(drive.outage_s, 2),
        "longest_silence_of_vitals_s": round(drive.silence_s, 2),
        "latency_ms": delay_figures(drive.delays_ms, sorted(drive.delays_ms)),
        "back_s": drive.back_s,
        "arrived": drive.arrived,
        "problem": drive.problem or None,
        **tally_details(drive.tally),
    }


def drive_promises(drives: Sequence[Drive]) -> list[Promise]:
    """Return what must hold over all drives."""
    not_driven = sum(bool(one.problem) for one in drives)
    not_back = sum(None in one.back_s.values() for one in drives)
    return [
        *zeros("traces", [one.tally for one in drives]),
        Promise("traces that could not be driven to their end", not_driven, "exactly", 0),
        Promise("traces after which not all was live again", not_back, "exactly", 0),
    ]
