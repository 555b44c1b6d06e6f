"""What can go wrong on board, and whether trying again helps.

ForerunError
└── OnboardError                 anything the agent or a sensor says on purpose
    └── SensorError              a source cannot be read; names the sensor
        └── SensorUnreachableError   its other side does not answer now (``retry`` is true)
"""

from __future__ import annotations

from streams.errors import ForerunError


class OnboardError(ForerunError):
    """Anything the agent or a sensor says on purpose."""

    reason = "onboard"


class SensorError(OnboardError):
    """A source cannot be read; the other sensors go on.

    Attributes:
        sensor: Name of the sensor, as in the settings.
        text: What is wrong with which file or address, for a person.
    """

    reason = "sensor"

    def __init__(self, sensor: str, text: str) -> None:
        super().__init__(f"sensor {sensor}: {text}")
        self.sensor = sensor
        self.text = text


class SensorUnreachableError(SensorError):
    """The other side of the sensor does not answer now."""

    retry = True
    reason = "sensor_unreachable"
