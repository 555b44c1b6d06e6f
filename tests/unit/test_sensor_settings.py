"""Sensors' settings, their opening, and the pace of replays."""

from pathlib import Path
from typing import get_args

import msgspec
import pytest

from onboard.sensors import Pace, open_sensor
from onboard.sensors.settings import GpxReplaySettings, RouteSettings, SensorSettings, Waypoint
from streams.config import load
from streams.errors import ConfigError
from tests.sensor_play import NS, START_NS, FakeTime


class Vehicle(msgspec.Struct, forbid_unknown_fields=True):
    sensor: list[SensorSettings] = []


EXAMPLE = """
[[sensor]]
kind = "wfdb"
name = "monitor"
paths = ["a/100", "physionet:mitdb/100"]
frame_ms = 200
loop = true

[[sensor]]
kind = "gpsd"
name = "gnss"

[[sensor]]
kind = "route"
name = "drive"
speed_mps = 14
waypoints = [
    { latitude_deg = 31.1, longitude_deg = 121.2, stop_s = 5 },
    { latitude_deg = 31.2, longitude_deg = 121.2 },
]
"""


def test_sensor_tables_of_several_kinds_are_read_from_toml(tmp_path: Path) -> None:
    file = tmp_path / "onboard.toml"
    file.write_text(EXAMPLE)
    monitor, gnss, drive = load(file, Vehicle).sensor
    assert monitor.name == "monitor"
    assert gnss.name == "gnss"
    assert isinstance(drive, RouteSettings)
    assert drive.waypoints[0] == Waypoint(latitude_deg=31.1, longitude_deg=121.2, stop_s=5)


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ('kind = "gpx"\nname = "a"\npath = "x"\ncolour = 1', "colour"),
        ('kind = "sonar"\nname = "a"', "sonar"),
        ('kind = "wfdb"\nname = "a"\npaths = []', "paths"),
        ('kind = "wfdb"\nname = "a"\npaths = ["x"]\nframe_ms = 50', "frame_ms"),
        ('kind = "gpx"\nname = "Not A Name"\npath = "x"', "name"),
        (
            'kind = "route"\nname = "a"\nwaypoints = [{ latitude_deg = 91, longitude_deg = 0 }]',
            "way",
        ),
        ('kind = "gpx"\nname = "a"\npath = "x"\nspeed = -1', "speed"),
    ],
)
def test_sensor_table_with_an_impossible_setting_is_refused_by_name(
    tmp_path: Path, table: str, named: str
) -> None:
    file = tmp_path / "onboard.toml"
    file.write_text(f"[[sensor]]\n{table}\n")
    with pytest.raises(ConfigError, match=named):
        load(file, Vehicle)


def test_opening_knows_every_kind_of_settings_and_touches_nothing() -> None:
    values = {
        "name": "any",
        "paths": ("/does/not/exist",),
        "path": "/does/not/exist",
        "folder": "/does/not/exist",
        "waypoints": (
            Waypoint(latitude_deg=0, longitude_deg=0),
            Waypoint(latitude_deg=0, longitude_deg=1),
        ),
    }
    for kind in get_args(SensorSettings):
        wanted = {name: values[name] for name in kind.__struct_fields__ if name in values}
        sensor = open_sensor(kind(**wanted), FakeTime())
        assert sensor.name == "any"
        assert sensor.origin in {"live", "replay", "synthetic"}


async def test_pace_at_real_time_waits_and_stamps_the_recorded_distances() -> None:
    time = FakeTime()
    pace = Pace(time, time.sleep)
    assert pace.start() == START_NS
    assert await pace.reach(2 * NS) == START_NS + 2 * NS
    assert await pace.reach(5 * NS) == START_NS + 5 * NS
    assert time.slept_s == pytest.approx(5)


async def test_pace_ten_times_faster_waits_a_tenth() -> None:
    time = FakeTime()
    pace = Pace(time, time.sleep, speed=10)
    assert await pace.reach(20 * NS) == START_NS + 2 * NS
    assert time.slept_s == pytest.approx(2)


async def test_pace_as_fast_as_taken_never_waits() -> None:
    time = FakeTime()
    pace = Pace(time, time.sleep, speed=0)
    assert await pace.reach(3600 * NS) == START_NS
    assert time.slept_s == 0


async def test_pace_with_a_late_consumer_stamps_when_it_was_due_and_catches_up() -> None:
    time = FakeTime()
    pace = Pace(time, time.sleep)
    pace.start()
    await time.sleep(7)
    assert await pace.reach(1 * NS) == START_NS + 1 * NS
    assert await pace.reach(6 * NS) == START_NS + 6 * NS
    assert await pace.reach(8 * NS) == START_NS + 8 * NS
    assert time.slept_s == pytest.approx(8)


def test_settings_default_to_real_time() -> None:
    settings = GpxReplaySettings(name="a", path="x")
    assert settings.speed == 1
    assert not settings.loop
