"""``forerun demo``: a city on this machine, with recordings in place of patients.

Starts the broker, the hub, the hospitals and the vehicles as processes of their own, plays
calls, and shows where to look. ``--headless`` does the same without a person, ends by itself,
counts what arrived and fails unless everything did.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import json
import shutil
import signal
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from bench.city import HUB, City, build
from bench.ledger import account_ecg, account_facts, as_report
from bench.machine import describe_machine
from bench.progress import Progress
from bench.running_city import RunningCity, running
from bench.stage import Stage
from bench.viewers import describe_viewer, find_browser, watch
from streams.errors import ConfigError, ForerunError

MARK = ".forerun-demo"
"""Stands in a folder that a demonstration made and the next one may clear."""

BETWEEN_CALLS_S = 1.0

HEADLESS_S = 30.0
"""How long a headless run plays unless told otherwise."""


def command(arguments: list[str]) -> int:
    """Run ``forerun demo``; return 0 when it ended as it should."""
    options = _parser().parse_args(arguments)
    _check(options)
    if options.headless and options.seconds is None:
        options.seconds = HEADLESS_S
    console = Console(stderr=True)
    data = options.data or _recordings_beside_the_repository()
    city = build(options.units, options.hospitals, options.record, data)
    if data is None and options.record is None:
        console.print("No recordings at hand: the patients are synthetic, and marked so.")
    try:
        with _held_folder(options.state, console) as folder:
            return asyncio.run(_run(Stage(folder, city, options.headless), options, console))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, ForerunError):
            raise error from group
        raise


async def _run(stage: Stage, options: argparse.Namespace, console: Console) -> int:
    stop, serves = asyncio.Event(), asyncio.Event()
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def end() -> None:
        stop.set()
        if not serves.is_set():
            task.cancel()  # nothing is worth waiting for yet

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, end)
    started = time.monotonic()
    console.print(f"Starting {_words(stage.city)} …")
    report: dict[str, Any] = {}
    async with running(stage) as city:
        serves.set()
        console.print(f"Everything serves after {time.monotonic() - started:.1f} s.")
        if not options.headless:
            _print_pages(city, console)
        browser = None if options.no_browser else find_browser()
        async with _progress(city, console) as progress:
            await _play_calls(city, options, browser, stop)
            await _wait(stop, options.seconds)
            if not options.headless:
                return 0
            report["latency_ms"] = await progress.latencies()
            city.processes.look()
            report["processes"] = [asdict(child.cost) for child in city.processes.children]
            await city.end_runs()
            report["drained"] = await city.drained()
        hospitals = {one.name: stage.journal(one.name) for one in stage.city.hospitals}
        outboxes, played = city.outboxes(), city.played
    facts = await account_facts(stage.journal(HUB), hospitals, outboxes)
    units = stage.city.units
    ecg = await account_ecg(
        stage.journal(HUB),
        hospitals,
        {unit.name: stage.state(unit.name) / "ecg" for unit in units},
        {unit.name: unit.record for unit in units},
    )
    report = {
        **as_report(facts, ecg),
        **report,
        "cases": [asdict(one) for one in played],
        "viewer": describe_viewer(browser),
        "seconds": options.seconds,
        "machine": describe_machine(),
    }
    return _conclude(report, options.report, console)


async def _play_calls(
    city: RunningCity, options: argparse.Namespace, browser: Path | None, stop: asyncio.Event
) -> None:
    pairs = list(zip(city.stage.city.units, city.stage.city.calls, strict=True))
    for number, (unit, call) in enumerate(pairs):
        if stop.is_set():
            return
        if number and number == len(pairs) - 1 and not options.headless:
            await city.play_for_person(unit, call, stop)  # the last one is the visitor's
            return
        played = await city.play(unit, call, acknowledge=options.headless)
        if options.headless and number == 0:
            watch(city, played, browser)
        await _wait(stop, BETWEEN_CALLS_S)


async def _wait(stop: asyncio.Event, seconds: float | None) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


@contextlib.asynccontextmanager
async def _progress(city: RunningCity, console: Console) -> AsyncIterator[Progress]:
    """Show a line that lives; a process that ends by itself ends the demonstration."""
    progress = Progress(city)
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(progress.run(live.update), name="demo.progress")
            try:
                yield progress
            finally:
                task.cancel()
                live.console.print()


def _conclude(report: dict[str, Any], path: Path | None, console: Console) -> int:
    facts, ecg = report["facts"], report["ecg"]
    faults = [
        words
        for wrong, words in (
            (not facts["made"], "no fact was made"),
            (not report["drained"], "facts still waited at the end"),
            (facts["lost"], f"{facts['lost']} facts lost"),
            (facts["waiting"], f"{facts['waiting']} facts still in an outbox"),
            (facts["refused"], f"{facts['refused']} facts refused"),
            (facts["duplicated"], f"{facts['duplicated']} facts duplicated"),
            (facts["misrouted"], f"{facts['misrouted']} facts misrouted"),
            (not ecg["samples_source"], "no ECG was recorded"),
            (
                ecg["samples_source"] != ecg["samples_received"],
                f"{ecg['samples_source']} samples recorded, {ecg['samples_received']} received",
            ),
            (ecg["samples_differing"], f"{ecg['samples_differing']} samples differ"),
        )
        if wrong
    ]
    report["faults"] = faults
    text = json.dumps(report, indent=2, ensure_ascii=False)
    if path:
        path.write_text(text + "\n", encoding="utf-8")
    shown = {name: report[name] for name in ("facts", "ecg", "latency_ms")}
    console.print_json(json.dumps(shown))
    console.print("Everything was delivered." if not faults else f"FAILED: {'; '.join(faults)}")
    return 1 if faults else 0


def _print_pages(city: RunningCity, console: Console) -> None:
    console.print("\nOpen these (they trust the authority in broker/authority/ca.pem):")
    console.print(f"  Console      {city.page(HUB)}", soft_wrap=True, highlight=False)
    help_page = (
        f"  Help         {city.urls[HUB]}/help opens a call for who cannot speak; /help/code"
    )
    console.print(help_page, soft_wrap=True, highlight=False)
    for hospital in city.stage.city.hospitals:
        line = f"  Board        {hospital.title}: {city.page(hospital.name)}"
        console.print(line, soft_wrap=True, highlight=False)
    for unit in city.stage.city.units:
        line = f"  Tablet       {unit.name}: {city.page(unit.name)}"
        console.print(line, soft_wrap=True, highlight=False)
    if len(city.stage.city.units) > 1:
        console.print("  The last call rings for you: press A on the console.", highlight=False)
    console.print(f"  Everything lies in {city.stage.folder}; Ctrl-C ends it.\n", highlight=False)


def _words(city: City) -> str:
    return (
        f"broker, hub, {len(city.hospitals)} hospital(s) and {len(city.units)} vehicle(s), "
        "each a process of its own"
    )


@contextlib.contextmanager
def _held_folder(folder: Path, console: Console) -> Iterator[Path]:
    """Give an empty folder for this demonstration alone; clears only one that another made.

    Says so when it does: cases of the one before go with it.

    Raises:
        ConfigError: It has something else in it, cannot be made, or a demonstration runs in it.
    """
    folder = folder.resolve()
    with contextlib.ExitStack() as stack:
        try:
            if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
                raise ConfigError(
                    f"--state {folder} is not empty and not a demonstration's: not used"
                )
            folder.mkdir(parents=True, exist_ok=True)
            mark = stack.enter_context((folder / MARK).open("a"))
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left = [one for one in folder.iterdir() if one.name != MARK]
            if left:
                console.print(
                    f"Removing the demonstration before this one from {folder}; "
                    "--state DIR keeps one elsewhere."
                )
            for old in left:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        except BlockingIOError:
            raise ConfigError(
                f"a demonstration runs in {folder}: end it, or name another folder by --state"
            ) from None
        except OSError as error:
            raise ConfigError(f"--state {folder}: {error.strerror}") from error
        yield folder


def _check(options: argparse.Namespace) -> None:
    """Refuse what cannot be before minutes of running, not after them.

    Raises:
        ConfigError: An option cannot be; the text names it.
    """
    if options.seconds is not None and not 0 < options.seconds < float("inf"):
        raise ConfigError(f"--seconds {options.seconds:g}: more than 0")
    if options.report and not options.report.resolve().parent.is_dir():
        raise ConfigError(f"--report {options.report}: there is no folder for it")
    if options.data and not (options.data / "ecg12").is_dir():
        raise ConfigError(f"--data {options.data}: no folder ecg12 with recordings is there")


def _recordings_beside_the_repository() -> Path | None:
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    return folder if folder.is_dir() else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="forerun demo", description=__doc__)
    add = parser.add_argument
    add("--headless", action="store_true", help="without a person: play, count, report, end")
    add("--seconds", type=float, metavar="N", help="end after N seconds (headless: 30)")
    add("--record", type=Path, metavar="PATH", help="WFDB record that every monitor plays")
    add("--data", type=Path, metavar="DIR", help="recordings (default: ../shared/data if there)")
    add("--units", type=int, default=3, metavar="N", help="vehicles (3)")
    add("--hospitals", type=int, default=2, metavar="N", help="hospitals (2)")
    add("--report", type=Path, metavar="FILE", help="write the headless run's figures as JSON")
    state = Path(".forerun/demo")
    add("--state", type=Path, default=state, metavar="DIR", help=f"keep everything in ({state})")
    add("--no-browser", action="store_true", help="headless: do not use a Chromium")
    return parser
