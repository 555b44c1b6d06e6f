"""The watch over sensors: each is opened anew for each start, and stamps by the vehicle's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from onboard.sensor_watch import SensorWatch
from onboard.sensors import Ended, Sensor, SensorSettings
from onboard.sensors.readings import Reading
from onboard.sensors.settings import SyntheticPatientSettings
from streams.clock import Clock
from streams.messages import Origin
from tests.sensor_play import FakeTime


class Brief:
    """A sensor that ends at once."""

    name = "brief"
    origin: Origin = "synthetic"

    async def readings(self) -> AsyncGenerator[Reading, None]:
        yield Ended("over")


async def test_sensors_are_opened_with_the_clock_that_the_vehicle_stamps_by(wait_for: Any) -> None:
    clock = FakeTime()
    opened: list[Clock] = []

    def opener(_table: SensorSettings, given: Clock) -> Sensor:
        opened.append(given)
        return Brief()

    async def take(*_: object) -> None:
        return None

    table = SyntheticPatientSettings(name="patient")
    watch = SensorWatch(
        (table,), open_sensor=opener, take=take, stopped=lambda _: None, noted=lambda _: None,
        clock=clock,
    )  # fmt: skip
    async with asyncio.TaskGroup() as group:
        watch.start(["patient"], group, "unit-1")
        await wait_for(lambda: opened, "it is opened")
        await watch.stop(["patient"])
    assert opened == [clock]
