"""Which of two readings is the newer one, whatever the clocks were set to in between. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heard:
    """When a reading came, and from whom.

    Attributes:
        sensor: Who gave it.
        measured_ns: When it was measured, by the wall clock as the sensor knows it.
        at_ns: When it came, by the monotonic clock.
    """

    sensor: str
    measured_ns: int
    at_ns: int

    def replaces(self, known: Heard | None, silent_ns: int) -> bool:
        """Whether this is to be shown instead of the one known.

        One sensor's readings come in order, so that the last is the newest also after its clock
        was set back. Between sensors the later measurement counts, until the one known has
        been silent for ``silent_ns``.
        """
        return (
            known is None
            or self.sensor == known.sensor
            or self.measured_ns >= known.measured_ns
            or self.at_ns - known.at_ns > silent_ns
        )
