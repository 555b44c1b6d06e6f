"""A picture of a drive through a recorded trace: the link above, the latencies below."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from bench.network_conditions import Conditions
from bench.outage_traces import Drive, cuts_to_city
from bench.outage_trial import wall_minus_monotonic_s

SIZE_IN = (10.0, 5.5)
DPI = 110
MOST_POINTS = 600
"""Of one series in the JSON; of more, every n-th is kept."""

_COLOURS = {"vitals": "#b3261e", "ecg": "#1b7f3b", "video": "#3a5fb0"}
_WORDS = {"vitals": "vital signs", "ecg": "live ECG", "video": "video"}


def series_of(drive: Drive) -> dict[str, Any]:
    """Return what the picture shows, for the JSON.

    ``link`` has rows of time (s), rate to the city (kbit/s; None: no limit), delay to the city
    (ms), and whether it is cut; ``latency_ms`` per kind rows of time of arrival (s) and age (ms).
    """
    shift_s = wall_minus_monotonic_s()
    latency: dict[str, list[tuple[float, float]]] = {}
    for what in _COLOURS:
        points = [
            (
                round(seen.at_s - drive.begin_s, 2),
                round((seen.at_s + shift_s) * 1000 - seen.true_ms, 1),
            )
            for seen in drive.seen
            if seen.what == what
        ]
        latency[what] = _thinned(points)
    link = [
        (step.at_s, step.link.up.rate_kbps, step.link.up.delay_ms, step.link.up.cut is not None)
        for step in drive.trace.steps
    ]
    return {"link": _thinned(link), "latency_ms": latency}


def draw(drive: Drive, folder: Path) -> Path:
    """Draw a drive as PNG into a folder; return the file."""
    figure = Figure(figsize=SIZE_IN, dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1, sharex=True)
    _draw_link(above, drive)
    _draw_latency(below, drive)
    figure.suptitle(drive.trace.name, fontsize=10)
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", drive.trace.name.partition(" [")[0])
    file = folder / f"{name}.png"
    figure.savefig(file)
    return file


def _draw_link(axes: Any, drive: Drive) -> None:
    steps = drive.trace.steps
    times = [step.at_s for step in steps] + [drive.trace.duration_s]
    rated = any(step.link.up.rate_kbps for step in steps)

    def value(conditions: Conditions) -> float:
        if rated:
            return 0.0 if conditions.cut else (conditions.rate_kbps or 0.0)
        return conditions.delay_ms

    for words, colour, values in (
        ("to the city", "#333333", [value(step.link.up) for step in steps]),
        ("from the city", "#aaaaaa", [value(step.link.down) for step in steps]),
    ):
        axes.step(times, [*values, values[-1]], where="post", lw=0.8, color=colour, label=words)
    axes.set_ylabel("rate, kbit/s" if rated else "delay one way, ms")
    axes.set_yscale("symlog", linthresh=100 if rated else 10)
    axes.set_ylim(bottom=0)
    _shade_cuts(axes, drive)
    axes.legend(loc="upper right", fontsize=8)


def _draw_latency(axes: Any, drive: Drive) -> None:
    for what, points in series_of(drive)["latency_ms"].items():
        if points:
            times, ages = zip(*points, strict=True)
            axes.plot(
                times, [max(1.0, age) for age in ages], ".", ms=3, color=_COLOURS[what],
                label=_WORDS[what],
            )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylabel("age at the board, ms")
    axes.set_xlabel("time of arrival, s from the begin of the trace")
    axes.axvline(drive.trace.duration_s, lw=0.8, color="#888888")
    _shade_cuts(axes, drive)
    axes.legend(loc="upper right", fontsize=8)


def _shade_cuts(axes: Any, drive: Drive) -> None:
    for begin, end in cuts_to_city(drive.trace):
        axes.axvspan(begin, end, color="#f2c9c5", lw=0)


def _thinned(rows: list[Any]) -> list[Any]:
    return list(itertools.islice(rows, 0, None, max(1, -(-len(rows) // MOST_POINTS))))
