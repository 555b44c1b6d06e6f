"""Plays a sensor through in a test: time that only moves when the sensor waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict

import numpy as np
import numpy.typing as npt

from onboard.sensors import EcgBegan, EcgChunk, EcgFinished, Reading, SensorSettings, open_sensor

NS = 1_000_000_000
START_NS = 1_800_000_000 * NS


class FakeTime:
    """Clocks and a sleep that belong together; nothing really waits."""

    def __init__(self) -> None:
        self.slept_s = 0.0
        self._now_ns = 0

    def wall_ns(self) -> int:
        return START_NS + self._now_ns

    def monotonic_ns(self) -> int:
        return 5 * NS + self._now_ns

    async def sleep(self, seconds: float) -> None:
        self.slept_s += seconds
        self._now_ns += round(seconds * NS)
        await asyncio.sleep(0)


async def play(
    settings: SensorSettings, *, at_most: int | None = None, time: FakeTime | None = None
) -> list[Reading]:
    """Return what a sensor gives until it ends, or its first `at_most` readings."""
    time = time or FakeTime()
    sensor = open_sensor(settings, time, time.sleep)
    given: list[Reading] = []
    async with contextlib.aclosing(sensor.readings()) as readings:
        async for reading in readings:
            given.append(reading)
            if len(given) == at_most:
                break
    return given


class Recording:
    """A waveform recording put together again from what a sensor gave."""

    def __init__(self, began: EcgBegan) -> None:
        self.began = began
        self.chunks: list[EcgChunk] = []
        self.finished: EcgFinished | None = None

    @property
    def samples(self) -> npt.NDArray[np.int32]:
        return np.concatenate([chunk.samples for chunk in self.chunks])


def recordings(readings: list[Reading]) -> list[Recording]:
    """Return the recordings in their order; fails unless each is gapless and well-formed."""
    by_id: dict[str, Recording] = {}
    next_sample: dict[str, int] = defaultdict(int)
    for reading in readings:
        if isinstance(reading, EcgBegan):
            assert reading.setup.setup_id not in by_id
            by_id[reading.setup.setup_id] = Recording(reading)
        elif isinstance(reading, EcgChunk):
            setup_id = reading.setup.setup_id
            assert reading.first_sample == next_sample[setup_id]
            assert reading.samples.dtype == np.int32
            assert reading.samples.shape[1] == len(reading.setup.leads)
            next_sample[setup_id] += len(reading.samples)
            assert by_id[setup_id].finished is None
            by_id[setup_id].chunks.append(reading)
        elif isinstance(reading, EcgFinished):
            assert reading.samples == next_sample[reading.setup_id]
            by_id[reading.setup_id].finished = reading
    return list(by_id.values())
