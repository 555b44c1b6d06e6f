"""Runs the sensors: each in a task of its own, begun again when that may help.

One sensor's failure never disturbs another. Start, end and failure are facts and stand on the
tablet.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import structlog

from onboard.sensors import Ended, Reading, Sensor, SensorSettings
from streams.clock import Clock
from streams.errors import ForerunError
from streams.messages import Origin, SensorState

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
CLOSE_S = 5.0
"""How long a sensor may take to close: the end of a run waits for it."""

STEADY_NS = 30_000_000_000
"""A sensor that ran this long counts as good, and its pauses start small again."""

log = structlog.get_logger(__name__)

State = Literal["waiting", "running", "ended", "failed"]


@dataclass(frozen=True, slots=True)
class SensorStatus:
    """How a sensor is.

    Attributes:
        name: Its name in the settings.
        kind: Its kind in the settings.
        state: ``waiting`` until it starts.
        origin: Of what it gives; None before it was opened.
        reason: Why it ended or failed.
        since_ns: Wall clock since when.
    """

    name: str
    kind: str
    state: State
    origin: Origin | None
    reason: str | None
    since_ns: int


class SensorWatch:
    """The sensors of one vehicle."""

    def __init__(
        self,
        tables: Iterable[SensorSettings],
        *,
        open_sensor: Callable[[SensorSettings, Clock], Sensor],
        take: Callable[[Sensor, SensorSettings, Reading], Awaitable[None]],
        stopped: Callable[[str], None],
        noted: Callable[[SensorStatus], None],
        clock: Clock,
    ) -> None:
        """Prepare; nothing runs yet.

        Args:
            tables: The settings of the sensors.
            open_sensor: Opens one, which stamps by the clock; called anew for each start.
            take: Takes each reading, in order per sensor.
            stopped: Called with the name of a sensor that stopped for whatever reason.
            noted: Called at each change of a sensor's state.
            clock: This machine's.
        """
        self._tables = {table.name: table for table in tables}
        self._open_sensor = open_sensor
        self._take = take
        self._stopped = stopped
        self._noted = noted
        self._clock = clock
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._hanging: dict[str, asyncio.Task[None]] = {}
        self._status = {
            name: SensorStatus(name, _kind(table), "waiting", None, None, clock.wall_ns())
            for name, table in self._tables.items()
        }

    @property
    def status(self) -> list[SensorStatus]:
        """How each sensor is, in the order of the settings."""
        return list(self._status.values())

    def start(self, names: Iterable[str], group: asyncio.TaskGroup, unit: str) -> None:
        """Start these sensors as tasks of ``group``; those that run are left alone."""
        for name in names:
            task = self._tasks.get(name)
            if task is None or task.done():
                watching = self._watch_after(self._hanging.get(name), self._tables[name])
                self._tasks[name] = group.create_task(watching, name=f"onboard[{unit}].{name}")

    async def stop(self, names: Iterable[str]) -> None:
        """Stop these sensors and wait until each has closed what it had open.

        One that does not close within ``CLOSE_S`` is told as failed and left to itself: no sensor
        keeps a run from ending. It is opened again only once it has closed.
        """
        tasks = {task: name for name in names if (task := self._tasks.pop(name, None))}
        for task in tasks:
            task.cancel("stopped")
        if not tasks:
            return
        _, hanging = await asyncio.wait(tasks, timeout=CLOSE_S)
        for task in hanging:
            name = tasks[task]
            self._hanging[name] = task
            log.error("sensor does not close", sensor=name, within_s=CLOSE_S)
            self._stopped(name)
            self._note(name, "failed", f"it did not close within {CLOSE_S:g} s")

    async def _watch_after(self, before: asyncio.Task[None] | None, table: SensorSettings) -> None:
        if before is not None:
            await asyncio.wait({before})
            self._hanging.pop(table.name, None)
        await self._watch(table)

    async def _watch(self, table: SensorSettings) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            started_ns = self._clock.monotonic_ns()
            try:
                return await self._run_once(table)
            except ForerunError as error:
                self._note(table.name, "failed", str(error))
                if not error.retry:
                    return None
            except Exception as error:
                # A driver's surprise must not take a patient's sensor away for good.
                log.exception("sensor failed", sensor=table.name)
                self._note(table.name, "failed", f"{type(error).__name__}: {error}")
            if self._clock.monotonic_ns() - started_ns > STEADY_NS:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _run_once(self, table: SensorSettings) -> None:
        sensor = self._open_sensor(table, self._clock)
        self._note(table.name, "running", None, sensor.origin)
        reason = "stopped"
        try:
            async with contextlib.aclosing(sensor.readings()) as readings:
                async for reading in readings:
                    if isinstance(reading, Ended):
                        reason = reading.reason
                        break
                    await self._take(sensor, table, reading)
        except asyncio.CancelledError:
            if asyncio.current_task() is not self._hanging.get(table.name):  # else it was told
                self._stopped(table.name)
                self._note(table.name, "ended", "stopped")
            raise
        except BaseException:
            self._stopped(table.name)
            raise
        self._stopped(table.name)
        self._note(table.name, "ended", reason)

    def _note(
        self, name: str, state: State, reason: str | None, origin: Origin | None = None
    ) -> None:
        known = self._status[name]
        status = SensorStatus(
            name, known.kind, state, origin or known.origin, reason, self._clock.wall_ns()
        )
        self._status[name] = status
        self._noted(status)


def as_fact(status: SensorStatus) -> SensorState:
    """Return the fact of a sensor's state.

    Raises:
        ValueError: It only waits, which is no news.
    """
    if status.state == "waiting":
        raise ValueError(f"sensor {status.name} has not started")
    return SensorState(sensor=status.name, state=status.state, reason=status.reason)


def _kind(table: SensorSettings) -> str:
    return str(table.__struct_config__.tag)
