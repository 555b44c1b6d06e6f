"""What all replays begin with: their settings and their pace."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

from onboard.sensors.pace import Pace, Sleep
from onboard.sensors.settings import ReplayTable
from streams.clock import Clock
from streams.messages import Origin

Table = TypeVar("Table", bound=ReplayTable)


class Replay(Generic[Table]):
    """A sensor that plays what was recorded.

    Attributes:
        name: Name of the sensor.
        settings: Its table.
        origin: ``replay``.
    """

    origin: Origin = "replay"

    def __init__(self, settings: Table, clock: Clock, sleep: Sleep = asyncio.sleep) -> None:
        self.name: str = settings.name
        self.settings: Table = settings
        self._pace = Pace(clock, sleep, settings.speed)
