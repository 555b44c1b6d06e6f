"""One trial: a vehicle with a patient drives while something happens; what came is written down.

trial = await begin_trial(city, "unit-3")      # run started, all live at the board
...                                            # what happens
await end_trial(city, trial)                   # run ended, everything has arrived or not
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.board_log import Seen, read_log
from bench.boxed_city import OutageCity
from bench.city import HUB, Unit
from bench.frame import BenchError
from bench.outage_ledger import Tally, back_after_s, tally
from bench.processes import Child
from bench.running_city import Played

LIVE = ("vitals", "ecg", "video")
"""What must be seen at the board again."""

SETTLE_S = 60.0
"""How long a run may take until everything is live at the board."""

DRAIN_S = 120.0
"""How long everything may take to arrive once its run has ended."""

VITALS_FRESH_S = 1.5
"""Vitals come once a second: one so old at the return of the link was the newest there was."""

_LOOK_S = 0.1


@dataclass(slots=True, kw_only=True)
class Account:
    """What came of a trial.

    Attributes:
        vehicle: Whose.
        back_s: After how long vitals, live ECG and video were at the board again; None: not.
        delays_ms: How old everything was when it came to the board, ms, by what it was.
        arrived: Whether everything had arrived when the agent was ended.
        tally: Facts and samples.
        problem: Why it could not be played to its end.
        cases: The cases of the vehicle.
    """

    vehicle: str
    back_s: dict[str, float | None] = field(default_factory=lambda: dict.fromkeys(LIVE))
    delays_ms: dict[str, list[float]] = field(default_factory=dict)
    arrived: bool = False
    tally: Tally = field(default_factory=Tally)
    problem: str = ""
    cases: list[str] = field(default_factory=list)


async def take_stock(city: OutageCity, accounts: Sequence[Account]) -> None:
    """Count facts and samples of trials that are over, and note them in their accounts."""
    found = await tally(city.stage, {one.vehicle: one.cases for one in accounts if one.cases})
    for one in accounts:
        one.tally = found.get(one.vehicle, one.tally)


@dataclass(slots=True)
class Trial:
    """A trial that runs.

    Attributes:
        unit: The vehicle.
        played: Its case.
        log: What its board writes.
        board: The process of the board.
        began_s: Monotonic time at which all was live.
    """

    unit: Unit
    played: Played
    log: Path
    board: Child
    began_s: float = 0.0

    def seen(self) -> list[Seen]:
        """What the board has seen so far."""
        return read_log(self.log)


async def begin_trial(city: OutageCity, name: str, before: Sequence[str] = ()) -> Trial:
    """Start a vehicle and its run, and a board that looks; return when all is live there.

    Args:
        city: The city.
        name: The vehicle.
        before: What runs the agent in place of Python alone.

    Raises:
        BenchError: It is not live in time.
        ProcessError: A process does not start.
    """
    unit = city.unit(name)
    await city.start_unit(unit, before)
    played = await city.play(unit)
    log = city.stage.folder / f"board-{name}.jsonl"
    trial = Trial(unit, played, log, watch_board(city, played, log))
    try:
        async with asyncio.timeout(SETTLE_S):
            while missing := set(LIVE) - {seen.what for seen in trial.seen()}:
                city.processes.check(trial.board)
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        words = f"{name}: no {' and no '.join(sorted(missing))} at the board in {SETTLE_S:g} s"
        raise BenchError(f"{words}; see {city.stage.folder}/logs") from None
    trial.began_s = time.monotonic()
    return trial


def watch_board(city: OutageCity, played: Played, log: Path) -> Child:
    """Start a board in the city that writes down what it gets of a case."""
    command = [
        *city.inside(HUB).prefix, sys.executable, "-m", "bench.board_log",
        city.stage.url(played.hospital), city.stage.token(played.hospital),
        str(city.stage.broker / "authority" / "ca.pem"), played.case, city.stage.address, str(log),
    ]  # fmt: skip
    return city.processes.start(f"board-{played.unit}", command)


def wall_minus_monotonic_s() -> float:
    """Return what to add to the monotonic clock of any process to get the wall clock."""
    return time.time() - time.monotonic()


def returns_s(
    trial: Trial, over_s: float, *, was_cut: bool, clock_error_s: float = 0.0
) -> dict[str, float | None]:
    """Return after how long vitals, live ECG and video were at the board again, s.

    Video and ECG must have been taken after the cause was over. After a cut the newest vitals
    that there were count, else those made after it, which costs up to a second for the next.

    Args:
        trial: The trial.
        over_s: Monotonic time at which the cause was over.
        was_cut: Whether nothing passed until then.
        clock_error_s: Of the vehicle's wall clock. The time code in the picture has it, as
            every camera's would; vitals and ECG are shown at their corrected time.
    """
    over_ms = (over_s + wall_minus_monotonic_s()) * 1000
    log = trial.seen()
    found = {}
    for what in LIVE:
        allowed_s = VITALS_FRESH_S if was_cut and what == "vitals" else 0.0
        if what == "video":
            allowed_s -= clock_error_s
        found[what] = back_after_s(log, what, over_s, over_ms - 1000 * allowed_s)
    return found


async def wait_returned(
    trial: Trial, over_s: float, *, was_cut: bool, within_s: float, clock_error_s: float = 0.0
) -> dict[str, float | None]:
    """Wait until vitals, ECG and video are at the board again; None for what was not in time."""
    until_s = time.monotonic() + within_s
    while True:
        found = returns_s(trial, over_s, was_cut=was_cut, clock_error_s=clock_error_s)
        if None not in found.values() or time.monotonic() > until_s:
            return found
        await asyncio.sleep(_LOOK_S)


async def end_trial(city: OutageCity, trial: Trial) -> bool:
    """End the run, wait until all of it is at the ER, end the agent; return whether it was.

    Raises:
        RefusedError: The vehicle refuses to end its run.
    """
    name, case = trial.unit.name, trial.played.case
    await city.running.end_run(trial.played)
    hospital = city.stage.state(trial.played.hospital) / "journal.sqlite"
    hub = city.stage.state(HUB) / "journal.sqlite"

    def arrived() -> bool:
        if city.waiting(name):
            return False
        return _facts_of(hub, case) == _facts_of(hospital, case)

    drained = await _quiet(arrived)
    await city.end_unit(name)
    await city.processes.end(trial.board)
    return drained


async def _quiet(arrived: Callable[[], bool]) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(DRAIN_S):
            quiet = 0
            while quiet < 3:  # what has just arrived may be answered
                quiet = quiet + 1 if arrived() else 0
                await asyncio.sleep(0.25)
            return True
    return False


def _facts_of(journal: Path, case: str) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as database:
        query = "SELECT count(*) FROM facts WHERE case_id = ?"
        (count,) = database.execute(query, (case,)).fetchone()
    return int(count)
