"""A sensor that does not close keeps no run from ending, and is not opened twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streams.codec import open_body
from streams.messages import SensorState
from tests.lone_vehicle import lone_vehicle


async def test_sensor_that_does_not_close_is_told_and_the_run_ends(
    tmp_path: Path, wait_for: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onboard.sensor_watch.CLOSE_S", 0.2)
    async with lone_vehicle(tmp_path) as vehicle:
        case = vehicle.assign()
        await vehicle.act("start_run")
        await wait_for(lambda: vehicle.facts("vitals"), "the monitor's first value")
        ended = await vehicle.act("end_run")
        assert ended["state"] == "ended"
        said = vehicle.facts("sensor_state")[-1]
        assert said.case == case
        assert open_body(said, SensorState).state == "failed"
        assert "close" in (open_body(said, SensorState).reason or "")

        vehicle.closing.clear()
        await vehicle.act("start_run")
        values = len(vehicle.facts("vitals"))
        assert vehicle.sensor() == "failed", "it is not opened while it has not closed"
        vehicle.may_close.set()
        await wait_for(lambda: vehicle.sensor() == "running", "it is opened again")
        await wait_for(lambda: len(vehicle.facts("vitals")) > values, "it gives values again")
        await vehicle.act("end_run")
        assert vehicle.sensor() == "ended"
