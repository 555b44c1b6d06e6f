"""Live ECG frames as the ladder wants them: at once, joined, or with fewer samples.

A frame of 100 ms costs more in headers and envelope than in samples. On a narrow link three go as
one, some tenths of a second later, and where that is still too much only every n-th sample goes,
with no filter between: the live trace is then as coarse as a monitor of a lower rate draws it, and
is marked so. The record is made elsewhere and always complete.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streams.ecg_block import EcgSetup, FrameEncoder
from streams.health import DROPPED
from streams.messages import EcgLive

USUAL_HZ = 500.0
"""Sampling rate of a monitor's diagnostic ECG; the table of the ladder counts with it."""

JOINED_S = 0.3
"""Length of signal in a joined frame."""


@dataclass(frozen=True, slots=True)
class LiveShape:
    """How live frames go out.

    Attributes:
        every: Every n-th sample goes, of a signal of ``USUAL_HZ``; of a faster one fewer.
        joined: Whether frames wait for each other until ``JOINED_S`` is together.
        held: Whether none goes; what comes meanwhile is dropped and counted.
    """

    every: int = 1
    joined: bool = False
    held: bool = False


class LiveFrames:
    """The live frames of one recording."""

    def __init__(self, setup: EcgSetup) -> None:
        """Begin with nothing kept."""
        self._setup = setup
        self._encoder = FrameEncoder(setup)
        self._kept: list[npt.NDArray[np.int32]] = []
        self._samples = 0

    def take(
        self,
        first: int,
        samples: npt.NDArray[np.int32],
        frame: bytes,
        newest_ns: int,
        shape: LiveShape,
    ) -> EcgLive | None:
        """Take a chunk; return what goes out now, if anything.

        Args:
            first: Number of its first sample since the start of the recording.
            samples: (n, leads) ADC integers.
            frame: The same, encoded.
            newest_ns: Wall clock of the source at its newest sample.
            shape: How frames go out now.
        """
        if shape.held:
            DROPPED.labels("ecg_live").inc()
            self._kept.clear()
            self._samples = 0
            return None
        setup_id = self._setup.setup_id
        if shape == LiveShape() and not self._kept:
            return EcgLive(setup_id=setup_id, frame=frame, newest_ns=newest_ns)
        self._kept.append(samples)
        self._samples += len(samples)
        rate_hz = self._setup.sampling_frequency_hz
        if shape.joined and self._samples < JOINED_S * rate_hz:
            return None
        began = first + len(samples) - self._samples
        together = np.concatenate(self._kept)
        self._kept.clear()
        self._samples = 0
        every = shape.every
        if every > 1:
            every *= max(1, round(rate_hz / USUAL_HZ))
        skipped = -began % every
        thin = together[skipped::every]
        if not len(thin):
            return None
        newest = skipped + (len(thin) - 1) * every
        late_ns = round((len(together) - 1 - newest) / rate_hz * 1e9)
        return EcgLive(
            setup_id=setup_id,
            frame=self._encoder.encode((began + skipped) // every, thin),
            newest_ns=max(0, newest_ns - late_ns),
            every=every,
        )
