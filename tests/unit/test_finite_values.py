"""A driver that gives what is no number costs that value, and nothing else."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from onboard.finite_values import without_impossible
from onboard.sensors import Reading
from streams.codec import any_body, open_body
from streams.messages import Numeric, Origin, Position, Vitals
from tests.lone_vehicle import lone_vehicle

IMPOSSIBLE = (math.nan, math.inf, -math.inf)


def vitals(**values: float) -> Vitals:
    return Vitals(device="d", **{k: Numeric(value=v, measured_ns=1) for k, v in values.items()})


def test_vitals_that_are_numbers_stay_as_they_are() -> None:
    reading = vitals(heart_rate_per_min=80.0, spo2_percent=97.0)
    assert without_impossible(reading) == (reading, [])
    unavailable = Vitals(
        device="d",
        spo2_percent=Numeric(value=None, measured_ns=1, validity="unavailable", reason="off"),
    )
    assert without_impossible(unavailable) == (unavailable, [])


@pytest.mark.parametrize("value", IMPOSSIBLE)
def test_vitals_lose_only_the_value_that_is_none(value: float) -> None:
    reading = vitals(heart_rate_per_min=value, spo2_percent=97.0)
    assert without_impossible(reading) == (vitals(spo2_percent=97.0), ["heart_rate_per_min"])
    assert without_impossible(vitals(spo2_percent=value)) == (None, ["spo2_percent"])


@pytest.mark.parametrize("value", IMPOSSIBLE)
def test_position_loses_what_it_can_do_without_or_is_none(value: float) -> None:
    place = Position(latitude_deg=1.0, longitude_deg=2.0, measured_ns=1, source="s", radius_m=value)
    left, left_out = without_impossible(place)
    assert isinstance(left, Position)
    assert (left.radius_m, left.latitude_deg, left_out) == (None, 1.0, ["radius_m"])
    nowhere = Position(latitude_deg=value, longitude_deg=2.0, measured_ns=1, source="s")
    assert without_impossible(nowhere) == (None, ["latitude_deg"])


class BadDriver:
    """Gives one value that is none beside one that is, again and again."""

    name = "monitor"
    origin: Origin = "live"

    async def readings(self) -> AsyncGenerator[Reading, None]:
        while True:
            yield vitals(heart_rate_per_min=math.nan, spo2_percent=97.0)
            await asyncio.sleep(0.02)


async def test_agent_makes_facts_that_can_be_read_of_what_a_bad_driver_gives(
    tmp_path: Path, wait_for: Any
) -> None:
    async with lone_vehicle(tmp_path, BadDriver) as vehicle:
        vehicle.assign()
        await vehicle.act("start_run")
        await wait_for(lambda: len(vehicle.facts("vitals")) > 3, "values")
        for fact in vehicle.facts("vitals"):
            any_body(fact)  # as the hub does
        body = open_body(vehicle.facts("vitals")[0], Vitals)
        assert body.heart_rate_per_min is None
        assert body.spo2_percent is not None
        assert vehicle.sensor() == "running"
