"""Sensors: what a vehicle measures, live, replayed or synthetic.

A sensor is opened from its table in ``onboard.toml`` (``[[sensor]]``, a union by ``kind``, see
``settings``) and gives readings (see ``readings``) as its own pace has them ready::

    sensor = open_sensor(settings.sensor[0], clock)
    async with contextlib.aclosing(sensor.readings()) as readings:
        async for reading in readings:
            ...

Opening reads nothing and never fails; all that can go wrong comes as ``SensorError`` out of
``readings()``. A sensor never waits for another one; what is slow to read or to compute runs in
a thread.
"""

from onboard.sensors.opening import open_sensor
from onboard.sensors.pace import Pace
from onboard.sensors.readings import (
    EcgBegan,
    EcgChunk,
    EcgFinished,
    Ended,
    Reading,
    Samples,
    Sensor,
)
from onboard.sensors.settings import SensorSettings

__all__ = [
    "EcgBegan",
    "EcgChunk",
    "EcgFinished",
    "Ended",
    "Pace",
    "Reading",
    "Samples",
    "Sensor",
    "SensorSettings",
    "open_sensor",
]
