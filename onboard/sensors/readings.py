"""What a sensor gives: the waveform's parts, and the bodies of facts and streams as they are."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from streams.ecg_block import EcgSetup
from streams.messages import DeviceEvent, Origin, Position, SensorState, Vitals

Samples = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class EcgBegan:
    """A waveform recording begins; comes before its first chunk.

    Attributes:
        setup: Its leads and rate; ``setup_id`` is new for every recording, also for a loop's.
        start_ns: Wall clock of this machine at sample 0.
        device: What recorded it.
        purpose: ``rhythm`` for a continuous record, ``twelve_lead`` for a stored 12-lead.
    """

    setup: EcgSetup
    start_ns: int
    device: str
    purpose: Literal["rhythm", "twelve_lead"] = "rhythm"


@dataclass(frozen=True, slots=True, eq=False)
class EcgChunk:
    """A stretch of a recording; the chunks of a setup follow each other without a gap.

    Attributes:
        setup: The setup of its ``EcgBegan``.
        first_sample: Number of its first sample since the start of the recording.
        samples: (n, leads) ADC integers; what the source marks as invalid is kept so.
        newest_ns: Wall clock of this machine at its newest sample.
    """

    setup: EcgSetup
    first_sample: int
    samples: Samples
    newest_ns: int


@dataclass(frozen=True, slots=True)
class EcgFinished:
    """A recording ended after ``samples`` per lead."""

    setup_id: str
    samples: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The source has nothing more; always the last reading, ``reason`` is for a person."""

    reason: str


Reading: TypeAlias = (
    EcgBegan | EcgChunk | EcgFinished | Vitals | Position | DeviceEvent | SensorState | Ended
)
"""What a sensor gives.

``SensorState`` is a change that the crew and the ER should see while the sensor goes on: no fix,
a link lost and found, a part of the recording that cannot be read. The agent itself makes
those for start, end and failure.
"""


class Sensor(Protocol):
    """A source of readings that the agent runs beside others."""

    @property
    def name(self) -> str:
        """Its name in the settings."""

    @property
    def origin(self) -> Origin:
        """The origin of everything it gives; it never changes."""

    def readings(self) -> AsyncGenerator[Reading, None]:
        """Give the readings as they come; may be called once.

        Raises:
            SensorError: It cannot be read; ``retry`` says whether opening it anew may help.
        """
