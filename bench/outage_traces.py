"""Drives vehicles through recorded traces of mobile networks, several at once."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.board_log import Seen
from bench.boxed_city import OutageCity
from bench.faults import USUAL
from bench.frame import BenchError
from bench.network_conditions import LinkChange
from bench.network_traces import Trace
from bench.outage_faults import AFTER_S, AT_ONCE, BEFORE_S, RETURN_S, give_up
from bench.outage_ledger import board_delays, longest_silence_s
from bench.outage_trial import (
    Account,
    begin_trial,
    end_trial,
    take_stock,
    wait_returned,
    wall_minus_monotonic_s,
)
from streams.errors import ForerunError


@dataclass(slots=True, kw_only=True)
class Drive(Account):
    """A trace as it was driven.

    Attributes:
        trace: The trace, as long as it was played.
        begin_s: Monotonic time at which it began.
        end_s: And ended; the link was then as usual.
        seen: What the board saw from its begin on.
        silence_s: Longest time without vitals at the board.
    """

    trace: Trace
    begin_s: float = 0.0
    end_s: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    silence_s: float = 0.0

    @property
    def outage_s(self) -> float:
        """The longest stretch in which nothing passed to the city."""
        return max((end - begin for begin, end in cuts_to_city(self.trace)), default=0.0)


def cuts_to_city(trace: Trace) -> list[tuple[float, float]]:
    """Return (begin, end) in s of every stretch in which nothing passes to the city."""
    found: list[tuple[float, float]] = []
    ends = [step.at_s for step in trace.steps[1:]] + [trace.duration_s]
    for step, end in zip(trace.steps, ends, strict=True):
        if step.link.up.cut is not None:
            joins = bool(found) and found[-1][1] == step.at_s
            found.append((found.pop()[0] if joins else step.at_s, end))
    return found


async def drive_all(
    city: OutageCity, traces: Sequence[Trace], said: Callable[[str], None]
) -> list[Drive]:
    """Drive through traces, each with a vehicle of its own.

    Args:
        city: The city in the box; it has a vehicle for each.
        traces: As long as they are to be played.
        said: Takes a sentence for each that is done.
    """
    drives = [Drive(trace=trace, vehicle=f"unit-{n}") for n, trace in enumerate(traces, start=1)]
    room = asyncio.Semaphore(AT_ONCE)

    async def one(drive: Drive) -> None:
        async with room:
            try:
                await _drive(city, drive)
            except (ForerunError, BenchError, OSError, sqlite3.Error) as error:
                drive.problem = f"{type(error).__name__}: {error}"
                await give_up(city, drive.vehicle)
            said(f"{drive.trace.name}: {drive.problem or 'driven'}")

    async with asyncio.TaskGroup() as group:
        for drive in drives:
            group.create_task(one(drive), name=f"outage.trace[{drive.trace.name}]")
    await take_stock(city, drives)
    return drives


async def _drive(city: OutageCity, drive: Drive) -> None:
    assert city.box is not None
    name = drive.vehicle
    city.links[name] = (USUAL,)
    trial = await begin_trial(city, name)
    drive.cases.append(trial.played.case)
    await asyncio.sleep(BEFORE_S)
    usual = LinkChange(name, up=USUAL.up, down=USUAL.down)
    script = [*drive.trace.script(name), (drive.trace.duration_s, usual)]
    effects = await (await city.box.play(script)).finished()
    drive.begin_s, drive.end_s = effects[0].at_s, effects[-1].at_s
    drive.back_s = await wait_returned(trial, drive.end_s, was_cut=False, within_s=RETURN_S)
    await asyncio.sleep(AFTER_S)
    drive.arrived = await end_trial(city, trial)
    drive.seen = [seen for seen in trial.seen() if seen.at_s >= drive.begin_s]
    drive.delays_ms = board_delays(drive.seen, wall_minus_monotonic_s())
    drive.silence_s = longest_silence_s(drive.seen, "vitals", drive.begin_s, drive.end_s)
