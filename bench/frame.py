"""One small frame for all benchmarks: rows, promises, machine, table and JSON.

A benchmark is a function `run(session) -> Outcome` in a module of its own. It measures its
subject and its peers in the same call, interleaved over repeats, by handing one callable per
codec, relay or store to `Session.measure`, which returns the median of every figure. What the
project promises about the figures is a list of `Promise`; the command ends with exit status 1
when one does not hold.
"""

from __future__ import annotations

import importlib
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table
from rich.text import Text

from bench.machine import describe_machine, describe_versions

Figure = int | float | str | None
"""One value of a row: a number in the unit of its column, a word, or None for "does not apply"."""

Relation = Literal["at most", "below", "at least", "exactly"]

REGISTRY: dict[str, str] = {
    "ecg": "bench.ecg:run",
    "relay": "bench.relay:run",
    "outage": "bench.outage:run",
    "dispatch": "bench.dispatch:run",
    "surge": "bench.surge:run",
    "speech": "bench.speech:run",
    "caller": "bench.caller_page:run",
    "bridge": "bench.bridge:run",
}
"""Name of each benchmark and the function that runs it; only what runs is imported."""


LINE_EVERY_S = 10.0
"""A stage that goes on for longer says so again where there is no terminal."""


class BenchError(Exception):
    """A benchmark cannot run at all: no data, a peer not installed, a name not known."""


@dataclass(frozen=True)
class Column:
    """One column of the table: the figure's key, its heading with the unit, and its digits."""

    key: str
    heading: str
    digits: int = 2


@dataclass(frozen=True)
class Measurement:
    """One row: what was measured, and its figures by key (units stand in the columns)."""

    name: str
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Promise:
    """A sentence about a figure that must be true, such as "smaller than FLAC"."""

    name: str
    figure: float
    relation: Relation
    bound: float

    @property
    def holds(self) -> bool:
        """Whether the figure keeps to its bound; a figure that is not a number never does."""
        if math.isnan(self.figure) or math.isnan(self.bound):
            return False
        return {
            "at most": self.figure <= self.bound,
            "below": self.figure < self.bound,
            "at least": self.figure >= self.bound,
            "exactly": self.figure == self.bound,
        }[self.relation]


@dataclass(frozen=True)
class Outcome:
    """All that a benchmark found.

    Attributes:
        title: One line over the table: subject, data, conditions.
        columns: The figures that the table shows, in order; rows may carry more for the JSON.
        measurements: The rows.
        promises: What must hold.
        details: Anything else worth keeping (figures per record, per database); JSON only.
        notes: Sentences under the table: bases, definitions, what was left out and why.
        packages: Distributions whose versions matter to the figures.
    """

    title: str
    columns: Sequence[Column]
    measurements: Sequence[Measurement]
    promises: Sequence[Promise] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    packages: Sequence[str] = ()


class Benchmark(Protocol):
    """What the registry names: a function that measures and returns an outcome."""

    def __call__(self, session: Session) -> Outcome:
        """Run the benchmark within the session's options."""


class Stages(Progress):
    """Shows what goes on: a bar on a terminal, elsewhere a plain line per stage.

    A stage that takes long gets a line again, at most every ``LINE_EVERY_S``: who reads the log
    of a pipeline sees that it lives.
    """

    def __init__(self, console: Console) -> None:
        """Show it on ``console``."""
        super().__init__(console=console, transient=True, disable=not console.is_terminal)
        self._began_s = self._told_s = time.monotonic()

    def add_task(self, description: str, *arguments: Any, **options: Any) -> TaskID:
        """Begin a stage."""
        self._tell(description)
        return super().add_task(description, *arguments, **options)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Say that a step of a stage is done."""
        super().advance(task_id, advance)
        task = next(task for task in self.tasks if task.id == task_id)
        if not task.finished and time.monotonic() - self._told_s >= LINE_EVERY_S:
            self._tell(f"{task.description}: {task.completed:g} of {task.total:g} done")

    def _tell(self, words: str) -> None:
        self._told_s = time.monotonic()
        if not self.console.is_terminal:
            line = f"{self._told_s - self._began_s:5.0f} s  {words}"
            self.console.print(line, markup=False, highlight=False, soft_wrap=True)


class Session:
    """One run of a benchmark: its options, its progress display and the interleaving."""

    def __init__(
        self,
        *,
        data: Path | None,
        repeats: int,
        progress: Progress,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Take the user's options.

        Args:
            data: None where the benchmark's own default counts.
            repeats: How often everything is measured.
            progress: Shows what goes on.
            options: What only one benchmark knows, by name; what is not there was not given.
        """
        self.data = data
        self.repeats = repeats
        self.progress = progress
        self.options = dict(options or {})

    def measure(
        self, what: str, cases: Mapping[str, Callable[[], Mapping[str, float]]]
    ) -> dict[str, dict[str, float]]:
        """Run every case once a repeat, in turn, and return the median of each figure.

        Interleaving spreads a noisy minute of the machine over all peers. The order is turned
        by one place each repeat, so that no peer always runs after the same one.

        Args:
            what: Words for the progress line.
            cases: For each row's name a callable that does the whole work once and returns its
                figures (CPU in the unit that the benchmark states).
        """
        names = list(cases)
        found: dict[str, list[Mapping[str, float]]] = {name: [] for name in names}
        task = self.progress.add_task(what, total=self.repeats * len(names))
        for repeat in range(self.repeats):
            first = repeat % len(names) if names else 0
            for name in names[first:] + names[:first]:
                now = f"{what}: {name} (round {repeat + 1} of {self.repeats})"
                self.progress.update(task, description=now)
                found[name].append(cases[name]())
                self.progress.advance(task)
        self.progress.update(task, description=what)
        return {name: _medians(rows) for name, rows in found.items()}


def _medians(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    keys = rows[0].keys() if rows else ()
    return {key: statistics.median(row[key] for row in rows) for key in keys}


def find_benchmark(name: str) -> Benchmark:
    """Import the module of one benchmark and return its function.

    Raises:
        BenchError: The name is not registered, or a package that it needs is not installed.
    """
    if name not in REGISTRY:
        raise BenchError(f"no benchmark is called {name!r}; there are: {', '.join(REGISTRY)}")
    module, _, function = REGISTRY[name].partition(":")
    try:
        benchmark: Benchmark = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        raise BenchError(
            f"it needs the module {error.name}, which is not installed: "
            f'`make bench ARGS="{name}"` installs all, or install the extra `bench` of forerun'
        ) from error
    return benchmark


def run_benchmark(
    name: str,
    *,
    data: Path | None,
    repeats: int,
    console: Console,
    options: Mapping[str, Any] | None = None,
) -> Report:
    """Run one registered benchmark with a progress display on `console`.

    Raises:
        BenchError: The benchmark cannot run: its message says what is missing.
    """
    benchmark = find_benchmark(name)
    started = datetime.now(tz=UTC)
    clock = time.perf_counter()
    with Stages(console) as progress:
        session = Session(data=data, repeats=repeats, progress=progress, options=options)
        outcome = benchmark(session)
    return Report(
        name=name,
        started=started,
        seconds=time.perf_counter() - clock,
        repeats=repeats,
        data=data,
        outcome=outcome,
        options=dict(options or {}),
    )


@dataclass(frozen=True)
class Report:
    """An outcome with the circumstances in which it was found."""

    name: str
    started: datetime
    seconds: float
    repeats: int
    data: Path | None
    outcome: Outcome
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every promise holds."""
        return all(promise.holds for promise in self.outcome.promises)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values for JSON."""
        outcome = self.outcome
        return {
            "benchmark": self.name,
            "title": outcome.title,
            "started": self.started.isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "options": {
                "repeats": self.repeats,
                "data": str(self.data) if self.data else None,
                **{key: str(value) for key, value in self.options.items()},
            },
            "machine": describe_machine(),
            "versions": describe_versions(outcome.packages),
            "columns": {column.key: column.heading for column in outcome.columns},
            "measurements": [{"name": row.name, **row.figures} for row in outcome.measurements],
            "promises": [
                {
                    "name": promise.name,
                    "figure": _number(promise.figure),
                    "relation": promise.relation,
                    "bound": _number(promise.bound),
                    "holds": promise.holds,
                }
                for promise in outcome.promises
            ],
            "notes": list(outcome.notes),
            "details": dict(outcome.details),
        }

    def show(self, console: Console) -> None:
        """Print the table, the promises and the notes."""
        table = Table(title=self.outcome.title, title_justify="left")
        table.add_column("")
        for column in self.outcome.columns:
            table.add_column(column.heading, justify="right")
        for row in self.outcome.measurements:
            cells = [_cell(row.figures.get(c.key), c.digits) for c in self.outcome.columns]
            table.add_row(Text(row.name), *cells)
        console.print(table)
        for promise in self.outcome.promises:
            mark, style = ("holds ", "green") if promise.holds else ("BROKEN", "bold red")
            line = f"  {promise.name}: {promise.figure:.4g}, {promise.relation} {promise.bound:.4g}"
            console.print(Text(mark, style=style) + Text(line, style="default"))
        for note in self.outcome.notes:
            console.print(Text(note, style="dim"))


def _cell(figure: Figure, digits: int) -> str:
    if figure is None:
        return "-"
    return f"{figure:,.{digits}f}" if isinstance(figure, float) else str(figure)


def _number(figure: float) -> float | None:
    """Return the figure, or None for the values that JSON does not know (NaN, infinity)."""
    return figure if math.isfinite(figure) else None
