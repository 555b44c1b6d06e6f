"""Replay of WFDB records: ECG and whatever other waveforms they hold, as ADC integers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from onboard.errors import SensorError, SensorUnreachableError
from onboard.sensors.readings import Ended, Reading
from onboard.sensors.replay import Replay
from onboard.sensors.settings import WfdbReplaySettings
from onboard.sensors.timeline import Waveform, in_order, play, stream
from streams.errors import ForerunError
from streams.messages import SensorState

if TYPE_CHECKING:
    from streams.waveform_record import WaveformRecord

PHYSIONET = "physionet:"
FETCH_S = 120.0
"""A record of half an hour has some megabytes; after this the network is held to be gone."""


class WfdbReplay(Replay[WfdbReplaySettings]):
    """Replays records one after the other, sample for sample.

    Every record begins a recording of its own, and so does every round of a loop; signals of
    different rates are recordings side by side. A record that wfdb refuses is told and passed
    over, if there are others.
    """

    async def readings(self) -> AsyncGenerator[Reading, None]:
        """Give the chunks of all records.

        Raises:
            SensorError: Not one of the records can be read; the text has the last one's reason.
        """
        played = 0
        told: set[str] = set()
        while True:
            refusal: SensorError | None = None
            played_before = played
            for path in self.settings.paths:
                try:
                    record = await self._read(path)
                except SensorError as error:
                    refusal = error
                    if len(self.settings.paths) > 1 and path not in told:
                        told.add(path)
                        yield SensorState(sensor=self.name, state="running", reason=error.text)
                    continue
                async with contextlib.aclosing(self._play(record)) as readings:
                    async for reading in readings:
                        yield reading
                played += 1
            if played == played_before and refusal is not None:
                raise refusal
            if not self.settings.loop:
                break
        yield Ended(f"end of the recording: {played} of {len(self.settings.paths)} records played")

    async def _play(self, record: WaveformRecord) -> AsyncGenerator[Reading, None]:
        waveforms = [
            Waveform(
                leads=part.setup.leads,
                rate_hz=part.setup.sampling_frequency_hz,
                samples=part.samples,
                device=self.settings.device,
            )
            for part in record.parts
        ]
        self._pace.start()
        moments = in_order(*(stream(waveform, self.settings.frame_ms) for waveform in waveforms))
        async with contextlib.aclosing(play(self._pace, moments)) as readings:
            async for reading in readings:
                yield reading

    async def _read(self, path: str) -> WaveformRecord:
        try:
            if not path.startswith(PHYSIONET):
                return await asyncio.to_thread(_read_wfdb, path, None)
            return await self._fetch(path.removeprefix(PHYSIONET))
        except SensorError:
            raise
        except (ForerunError, ValueError) as error:  # ValueError: a NUL in the path
            raise SensorError(self.name, str(error)) from error

    async def _fetch(self, name: str) -> WaveformRecord:
        database, _, record = name.rpartition("/")
        if not database or not record:
            raise SensorError(self.name, f"{name!r} is not database/record, such as mitdb/100")
        try:
            async with asyncio.timeout(FETCH_S):
                return await asyncio.to_thread(_read_wfdb, record, database)
        except TimeoutError as error:
            text = f"PhysioNet record {name}: no answer within {FETCH_S:g} s"
            raise SensorUnreachableError(self.name, text) from error
        except ForerunError as error:
            if not _is_network(error):
                raise
            text = (
                f"PhysioNet record {name}: PhysioNet cannot be reached from here; copy the record"
                f" to this machine and give its path ({error.__cause__})"
            )
            raise SensorUnreachableError(self.name, text[:2000]) from error


def _read_wfdb(path: str, physionet: str | None) -> WaveformRecord:
    """Read a record; in a thread, which also loads wfdb: that takes a second or more."""
    from streams.waveform_record import read_wfdb  # noqa: PLC0415

    return read_wfdb(path, physionet=physionet)


def _is_network(error: BaseException) -> bool:
    """Whether an OSError stands behind it, as for requests and sockets; a refusal has none."""
    cause = error.__cause__
    return isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError)
