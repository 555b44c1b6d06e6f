"""What can go wrong on board, and whether trying again helps.

ForerunError
└── OnboardError                 anything the agent or a sensor says on purpose
    ├── ImpossibleEventError     the run cannot take this now; names state and event
    ├── RefusedActionError       an action of the crew that makes no sense; says why
    ├── BayError                 a hand-over at the bay that cannot be done; says why
    │   └── BayUnreachableError  the gateway does not answer now (``retry`` is true)
    └── SensorError              a source cannot be read; names the sensor
        └── SensorUnreachableError   its other side does not answer now (``retry`` is true)
"""

from __future__ import annotations

from streams.errors import ForerunError


class OnboardError(ForerunError):
    """Anything the agent or a sensor says on purpose."""

    reason = "onboard"


class ImpossibleEventError(OnboardError):
    """The run is in a state that does not take this event.

    Attributes:
        state: The run's state.
        event: What was to happen.
    """

    reason = "impossible"

    def __init__(self, state: str, event: str) -> None:
        super().__init__(f"{event!r} is not possible while the run is {state!r}")
        self.state = state
        self.event = event


class RefusedActionError(OnboardError):
    """An action of the crew that makes no sense now; the text says why and what to do."""

    reason = "action"


class BayError(OnboardError):
    """A hand-over at the bay that cannot be done; the text says why."""

    reason = "bay"


class BayUnreachableError(BayError):
    """The gateway at the bay does not answer now, or cannot store now."""

    retry = True


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
