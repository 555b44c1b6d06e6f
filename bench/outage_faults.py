"""Plays the scripted faults (``bench.faults``), several vehicles at once where they do not meet."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.boxed_city import OutageCity
from bench.faults import USUAL, Fault, Scene, length_of, play, prepare, title_of
from bench.frame import BenchError
from bench.outage_ledger import board_delays
from bench.outage_trial import (
    Account,
    Trial,
    begin_trial,
    end_trial,
    take_stock,
    wait_returned,
    wall_minus_monotonic_s,
)
from streams.errors import ForerunError

AT_ONCE = 4
"""Vehicles that drive at the same time: their cameras and boards need a core and a half."""

BEFORE_S = 4.0
"""Undisturbed driving before the fault."""

AFTER_S = 3.0
"""And after everything is back."""

RETURN_S = 60.0
"""So long the board may take to be live again; what takes longer counts as not back."""


@dataclass(slots=True, kw_only=True)
class PlayedFault(Account):
    """A fault as it went.

    Attributes:
        fault: Which.
        title: What happened.
    """

    fault: Fault
    title: str

    @property
    def is_back(self) -> bool:
        """Whether everything was live again."""
        return not self.problem and None not in self.back_s.values()


async def play_faults(
    city: OutageCity, faults: Sequence[Fault], *, quick: bool, said: Callable[[str], None]
) -> list[PlayedFault]:
    """Play faults, each with a vehicle of its own: ``unit-1`` plays the first, and so on.

    Args:
        city: The city; it has a vehicle for each.
        faults: Which.
        quick: Whether they are shortened.
        said: Takes a sentence for each that is done.
    """
    played = [
        PlayedFault(fault=fault, title=title_of(fault, quick=quick), vehicle=f"unit-{place}")
        for place, fault in enumerate(faults, start=1)
    ]
    room = asyncio.Semaphore(AT_ONCE)

    async def one(now: PlayedFault) -> None:
        async with room:
            await _play(city, now, quick=quick)
            said(words_of(now))

    async with asyncio.TaskGroup() as group:
        # The longest first: none then runs alone at the end.
        for now in sorted(played, key=lambda now: -length_of(now.fault, quick=quick)):
            if not now.fault.touches_all:
                group.create_task(one(now), name=f"outage.fault[{now.fault.number}]")
    for now in played:
        if now.fault.touches_all:
            await one(now)
    await take_stock(city, played)
    return played


async def _play(city: OutageCity, now: PlayedFault, *, quick: bool) -> None:
    trial: Trial | None = None
    try:
        before = prepare(now.fault, city, now.vehicle)
        city.links[now.vehicle] = (USUAL,)
        trial = await begin_trial(city, now.vehicle, before)
        now.cases.append(trial.played.case)
        await asyncio.sleep(BEFORE_S)
        over = await play(now.fault, Scene(city, trial, length_of(now.fault, quick=quick)))
        now.back_s = over.back_s or await wait_returned(
            trial, over.at_s, was_cut=now.fault.was_cut, within_s=RETURN_S,
            clock_error_s=now.fault.clock_error_s,
        )  # fmt: skip
        await asyncio.sleep(AFTER_S)
        now.arrived = await end_trial(city, trial)
        during = [seen for seen in trial.seen() if seen.at_s >= trial.began_s]
        now.delays_ms = board_delays(during, wall_minus_monotonic_s())
    except (ForerunError, BenchError, OSError, sqlite3.Error) as error:
        now.problem = f"{type(error).__name__}: {error}"
        await give_up(city, now.vehicle)


async def give_up(city: OutageCity, vehicle: str) -> None:
    """End what of a trial still runs; its facts then count as they are."""
    for child in city.processes.children:
        if child.name in (f"board-{vehicle}", f"browser-{vehicle}"):
            await city.processes.end(child)
    await city.end_unit(vehicle)


def words_of(played: PlayedFault) -> str:
    """Return a sentence on how a fault went."""
    if played.problem:
        return f"fault {played.fault.number}, {played.title}: {played.problem}"
    times = ", ".join(
        f"{what} {'not' if seconds is None else f'{seconds:.1f} s'}"
        for what, seconds in played.back_s.items()
    )
    return f"fault {played.fault.number}, {played.title}: back after {times}"
