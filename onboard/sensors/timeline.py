"""A recording as moments in time: waveforms cut into chunks, events and vitals between them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from typing import Literal

from onboard.sensors.pace import NS, Pace
from onboard.sensors.readings import EcgBegan, EcgChunk, EcgFinished, Reading, Samples
from streams.ecg_block import EcgSetup, Lead
from streams.identity import new_id


@dataclass(frozen=True, slots=True)
class Moment:
    """Readings that are due at one moment of a recording.

    Attributes:
        offset_s: Recorded time since the recording's start.
        give: Makes the readings, given the wall clock (ns) at which the moment is played.
    """

    offset_s: float
    give: Callable[[int], Iterable[Reading]]


@dataclass(frozen=True, slots=True, eq=False)
class Waveform:
    """A stretch of waveform without a gap in time.

    Attributes:
        leads: Its leads, in the order of the columns.
        rate_hz: Samples a second of each lead.
        samples: (n, leads) ADC integers, n at least 1.
        device: What recorded it.
        start_s: Recorded time at its first sample.
        purpose: As in ``EcgBegan``.
    """

    leads: tuple[Lead, ...]
    rate_hz: float
    samples: Samples
    device: str
    start_s: float = 0.0
    purpose: Literal["rhythm", "twelve_lead"] = "rhythm"

    def setup(self) -> EcgSetup:
        """Return a description under an id of its own: every recording is told apart."""
        return EcgSetup(new_id(), self.rate_hz, self.leads)


async def play(pace: Pace, moments: Iterable[Moment]) -> AsyncGenerator[Reading, None]:
    """Give the readings of moments, which come in the order of their time."""
    for moment in moments:
        at_ns = await pace.reach(round(moment.offset_s * NS))
        for reading in moment.give(at_ns):
            yield reading


def in_order(*sequences: Iterable[Moment]) -> Iterator[Moment]:
    """Merge sequences of moments, each in order, into one."""
    return merge(*sequences, key=lambda moment: moment.offset_s)


def stream(waveform: Waveform, frame_ms: int) -> Iterator[Moment]:
    """Give a waveform in chunks, each when its newest sample is due."""
    setup = waveform.setup()

    def began(at_ns: int) -> list[Reading]:
        return [EcgBegan(setup, at_ns, waveform.device, waveform.purpose)]

    def chunk(first: int, end: int) -> Callable[[int], list[Reading]]:
        def give(at_ns: int) -> list[Reading]:
            readings: list[Reading] = [EcgChunk(setup, first, waveform.samples[first:end], at_ns)]
            if end == len(waveform.samples):
                readings.append(EcgFinished(setup.setup_id, end))
            return readings

        return give

    yield Moment(waveform.start_s, began)
    for first, end in chunk_bounds(len(waveform.samples), waveform.rate_hz, frame_ms):
        yield Moment(waveform.start_s + (end - 1) / waveform.rate_hz, chunk(first, end))


def at_once(waveform: Waveform, frame_ms: int, ready_s: float) -> Moment:
    """Give a stored waveform as a whole at ``ready_s``, when the device had finished it.

    Its first sample is stamped so that its last one falls on that moment.
    """
    setup = waveform.setup()
    count = len(waveform.samples)

    def give(at_ns: int) -> Iterator[Reading]:
        start_ns = at_ns - round((count - 1) / waveform.rate_hz * NS)
        yield EcgBegan(setup, start_ns, waveform.device, waveform.purpose)
        for first, end in chunk_bounds(count, waveform.rate_hz, frame_ms):
            newest_ns = start_ns + round((end - 1) / waveform.rate_hz * NS)
            yield EcgChunk(setup, first, waveform.samples[first:end], newest_ns)
        yield EcgFinished(setup.setup_id, count)

    return Moment(ready_s, give)


def chunk_bounds(count: int, rate_hz: float, frame_ms: int) -> Iterator[tuple[int, int]]:
    """Give the first and the end sample of each chunk; none is empty, none is left out.

    Where the rate does not divide, the chunks differ by one sample and do not drift.
    """
    first, frame = 0, 0
    while first < count:
        frame += 1
        end = min(count, round(frame * frame_ms * rate_hz / 1000))
        if end > first:
            yield first, end
            first = end
