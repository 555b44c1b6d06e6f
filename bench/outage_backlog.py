"""An urgent fact made while an hour of ECG waits: how long it takes once the link is back.

The agent itself makes the backlog: it replays a record of real ECG at speed 0 while its link is
cut, so outbox and recordings hold what an hour without a link would have left.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np
import wfdb

from bench.board_log import read_log
from bench.boxed_city import OutageCity
from bench.city import City
from bench.faults import USUAL
from bench.frame import BenchError
from bench.network_conditions import Conditions, Cut, CutChange, Link, LinkChange
from bench.outage_ledger import Tally, tally
from bench.outage_trial import Trial, end_trial, wall_minus_monotonic_s, watch_board
from bench.stage import sensors
from onboard.ecg_keeping import RECORD_S as BLOCK_S

LONG_S = 1.5 * 3600.0
"""Length of the record: an hour still waits after the repeats."""

WIDTHS = {
    "1 Mbit/s": Link.alike(Conditions(delay_ms=25.0, rate_kbps=1000)),
    "no limit": USUAL,
}
CUT_S = 3.0
LATEST_S = 20.0
STUCK_S = 30.0
"""So long the backlog may not grow before the agent counts as stuck."""

_LOOK_S = 0.02


@dataclass(slots=True)
class Urgent:
    """What was found.

    Attributes:
        after_s: Per width, of each repeat: from the return of the link, with the fact made right
            after it, until it was at the board, s; infinite: not within ``LATEST_S``.
        waiting_min: Minutes of ECG that waited at each of these.
        waiting_mib: What waited in the outbox at the start, MiB.
        tally: The account.
    """

    after_s: dict[str, list[float]] = field(default_factory=lambda: {one: [] for one in WIDTHS})
    waiting_min: list[float] = field(default_factory=list)
    waiting_mib: float = 0.0
    tally: Tally = field(default_factory=Tally)


def write_long_record(source: Path, seconds: float, folder: Path) -> Path:
    """Write a WFDB record that repeats another one's samples for so long; return it.

    Args:
        source: The record, without suffix.
        seconds: Least length.
        folder: Where it goes.
    """
    record = wfdb.rdrecord(str(source), physical=False)
    times = int(np.ceil(seconds * record.fs / record.sig_len))
    wfdb.wrsamp(
        "hours", fs=record.fs, units=record.units, sig_name=record.sig_name,
        d_signal=np.tile(record.d_signal, (times, 1)), fmt=["16"] * record.n_sig,
        adc_gain=record.adc_gain, baseline=record.baseline, write_dir=str(folder),
    )  # fmt: skip
    return folder / "hours"


def with_backlog(city: City, record: Path) -> City:
    """Return the city with a first vehicle that replays a record as fast as it can."""
    unit = replace(city.units[0], record=record)
    tables = sensors(unit, city.calls[0], city.hospitals[0])
    for table in tables:
        if table["name"] == "ecg":
            table |= {"speed": 0, "loop": False, "frame_ms": 500}
    return replace(city, units=(replace(unit, sensors=tuple(tables)), *city.units[1:]))


async def measure_urgent(city: OutageCity, repeats: int, said: Callable[[str], None]) -> Urgent:
    """Make the backlog, let the link return again and again, and time an urgent fact each time.

    Args:
        city: The city in the box; its first vehicle is that of ``with_backlog``.
        repeats: How often, of each width.
        said: Takes a sentence for each.

    Raises:
        BenchError: The agent does not make the backlog.
    """
    assert city.box is not None
    unit = city.stage.city.units[0]
    name, found = unit.name, Urgent()
    city.links[name] = (USUAL,)
    await city.start_unit(unit)
    played = await city.play(unit)
    await city.box.apply(CutChange(name))
    log = city.stage.folder / f"board-{name}.jsonl"
    trial = Trial(unit, played, log, watch_board(city, played, log), time.monotonic())
    outbox = city.running.outbox(name)
    await _until_made(outbox)
    found.waiting_mib = _waiting(outbox)[1] / 2**20
    for repeat in range(repeats):
        for width, link in WIDTHS.items():
            await city.box.apply(LinkChange(name, up=_cut(link.up), down=_cut(link.down)))
            await asyncio.sleep(CUT_S)
            found.waiting_min.append(_waiting(outbox)[0] / 60)
            effect = await city.box.apply(LinkChange(name, up=link.up, down=link.down))
            seconds = await _urgent_s(city, trial, effect.at_s)
            found.after_s[width].append(seconds)
            said(f"{width}, {repeat + 1}: {seconds:.2f} s, {found.waiting_min[-1]:.0f} min waited")
    await city.box.apply(LinkChange(name, up=USUAL.up, down=USUAL.down))
    await end_trial(city, trial)
    found.tally = (await tally(city.stage, {name: [played.case]}))[name]
    return found


def _cut(conditions: Conditions) -> Conditions:
    return msgspec.structs.replace(conditions, cut=Cut.DROPPED)


async def _urgent_s(city: OutageCity, trial: Trial, over_s: float) -> float:
    """Make an urgent fact as the crew does; return when it was at the board, s from the return."""
    name = trial.unit.name
    over_ms = (over_s + wall_minus_monotonic_s()) * 1000
    alert = city.call_of(trial.unit).alert
    await city.running.client.act(city.stage.url(name), "pre_alert", **alert)
    while time.monotonic() < over_s + LATEST_S:
        for seen in reversed(read_log(trial.log)):
            if seen.what == "pre_alert" and seen.true_ms >= over_ms:
                return seen.at_s - over_s
        await asyncio.sleep(_LOOK_S)
    return float("inf")


async def _until_made(outbox: Path) -> None:
    """Wait until the whole record is in the outbox.

    Raises:
        BenchError: It does not grow any more.
    """
    most, grown_s = -1.0, time.monotonic()
    while not _count(outbox, "SELECT count(*) FROM facts WHERE kind = 'ecg_ended'"):
        seconds, _ = _waiting(outbox)
        if seconds > most:
            most, grown_s = seconds, time.monotonic()
        elif time.monotonic() > grown_s + STUCK_S:
            raise BenchError(f"the backlog stands at {most / 60:.0f} min of ECG")
        await asyncio.sleep(0.5)


def _waiting(outbox: Path) -> tuple[float, float]:
    """Return how many seconds of ECG wait in an outbox, and how many bytes."""
    blocks = _count(outbox, "SELECT count(*) FROM facts WHERE kind = 'ecg_record'")
    octets = _count(outbox, "SELECT coalesce(sum(length(data)), 0) FROM facts")
    return BLOCK_S * blocks, octets


def _count(outbox: Path, query: str) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{outbox}?mode=ro", uri=True)) as database:
        return int(database.execute(query).fetchone()[0])
