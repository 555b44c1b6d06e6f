"""The nearest AED of an operator's list: by distance, by whether one can get at it now."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.aed import AedList, read_hours
from streams.errors import ConfigError
from streams.geodesy import from_wgs84

HERE = 31.2300, 121.4700
NOON = datetime(2026, 11, 23, 12, 0)  # a Monday
NIGHT = datetime(2026, 11, 23, 2, 30)

TABLE = """\
# AEDs of the district
name\tlatitude\tlongitude\thours\tnote
Metro\t31.2310\t121.4700\t06:00-23:00\tdesk at exit 2
Gym\t31.2302\t121.4700\t10:00-22:00\t
Hotel\t31.2330\t121.4700\t24/7\tnight porter
School\t31.2305\t121.4700\t\tgate
Airport\t31.3300\t121.4700\t24/7\t
"""


def names(table: str, at: datetime, **options: Any) -> list[str]:
    found = AedList.read(table, "aed.tsv").nearest(*HERE, at, **options)
    return [one.aed.name for one in found]


def test_nearest_by_day_are_those_at_hand_first() -> None:
    assert names(TABLE, NOON) == ["Gym", "School", "Metro"]


def test_nearest_by_night_puts_closed_ones_behind_all_others() -> None:
    assert names(TABLE, NIGHT, most=9) == ["School", "Hotel", "Gym", "Metro"]


def test_nearest_says_distance_and_whether_it_is_open_or_nobody_knows() -> None:
    found = AedList.read(TABLE, "aed.tsv").nearest(*HERE, NIGHT, most=9)
    known = {one.aed.name: one for one in found}
    assert known["Metro"].distance_m == pytest.approx(111, abs=1)
    assert known["Metro"].aed.note == "desk at exit 2"
    assert {name: one.is_open for name, one in known.items()} == {
        "Metro": False, "Gym": False, "Hotel": True, "School": None,
    }  # fmt: skip


def test_nearest_leaves_out_what_nobody_fetches() -> None:
    assert "Airport" not in names(TABLE, NOON, most=9)
    assert "Airport" in names(TABLE, NOON, most=9, farthest_m=20_000)


def test_list_without_lines_knows_none() -> None:
    assert AedList.read("", "aed.tsv").nearest(*HERE, NOON) == ()


def test_list_of_another_datum_is_converted() -> None:
    latitude, longitude = from_wgs84("gcj02", *HERE)
    table = f"name,latitude,longitude,datum\n店,{latitude:.8f},{longitude:.8f},gcj02\n"
    (near,) = AedList.read("\ufeff" + table, "aed.csv").nearest(*HERE, NOON)
    assert near.distance_m < 0.1
    raw = table.replace("gcj02", "wgs84")
    (far,) = AedList.read(raw, "aed.csv").nearest(*HERE, NOON)
    assert far.distance_m > 100


def test_list_as_geojson_says_the_same_as_the_table() -> None:
    point = {"type": "Point", "coordinates": [121.4700, 31.2310]}
    properties = {"name": "Metro", "hours": "06:00-23:00", "note": "desk at exit 2"}
    text = json.dumps({
        "type": "FeatureCollection",
        "features": [{"type": "Feature", "geometry": point, "properties": properties}],
    })  # fmt: skip
    assert AedList.read(text, "aed.geojson").aeds == AedList.read(TABLE, "aed.tsv").aeds[:1]


@pytest.mark.parametrize(
    ("hours", "day", "clock", "is_open"),
    [
        ("24/7", 25, "03:00", True),
        ("08:00-20:00", 23, "07:59", False),
        ("08:00-20:00", 23, "08:00", True),
        ("08:00-20:00", 23, "20:00", False),
        ("22:00-06:00", 23, "23:30", True),
        ("22:00-06:00", 23, "05:59", True),
        ("22:00-06:00", 23, "06:00", False),
        ("08:00-24:00", 23, "23:59", True),
        ("Mo-Fr 08:00-18:00; Sa,Su 10:00-16:00", 27, "09:00", True),
        ("Mo-Fr 08:00-18:00; Sa,Su 10:00-16:00", 28, "09:00", False),
        ("Mo-Fr 08:00-18:00; Sa,Su 10:00-16:00", 29, "10:30", True),
        ("Sa 22:00-02:00", 29, "01:00", True),
        ("Sa 22:00-02:00", 28, "01:00", False),
        ("Fr-Mo 09:00-10:00", 23, "09:30", True),
        ("Fr-Mo 09:00-10:00", 24, "09:30", False),
    ],
)
def test_hours_of_a_day_hold_to_the_minute(hours: str, day: int, clock: str, is_open: bool) -> None:
    spans = read_hours(hours)
    assert spans is not None
    hour, minute = map(int, clock.split(":"))
    at = datetime(2026, 11, day, hour, minute)
    assert any(one.holds(at.weekday(), hour * 60 + minute) for one in spans) is is_open


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ("name\tlatitude\nX\t31\n", "aed.tsv, line 1: column 'longitude' is missing"),
        ("name\tlatitude\tlongitude\tcolour\n", "line 1: column 'colour' is unknown"),
        ("name\tname\tlatitude\tlongitude\n", "line 1: a column is there twice"),
        ("#\n\nname\tlatitude\tlongitude\nX\teast\t121\n", "aed.tsv, line 4, latitude: 'east'"),
        ("name\tlatitude\tlongitude\nX\t121\t31\n", "line 2, latitude: 121 is not between"),
        ("name\tlatitude\tlongitude\nX\tnan\t31\n", "line 2, latitude: nan is not between"),
        ("name\tlatitude\tlongitude\n\t31\t121\n", "line 2, name: is empty"),
        ("name\tlatitude\tlongitude\nX\t31\n", "line 2, longitude: '' is no number"),
        ("name\tlatitude\tlongitude\nX\t31\t121\t9\n", "line 2: 4 values for 3 columns"),
        ("name\tlatitude\tlongitude\tdatum\nX\t31\t121\tmars\n", "line 2, datum: 'mars'"),
        ("name\tlatitude\tlongitude\thours\nX\t31\t121\tdaily\n", "line 2, hours: 'daily'"),
        ("name\tlatitude\tlongitude\thours\nX\t31\t121\t25:00-26:00\n", "line 2, hours"),
        ("name\tlatitude\tlongitude\thours\nX\t31\t121\tMo-Xx 08:00-09:00\n", "line 2, hours"),
    ],
)
def test_list_with_a_fault_is_refused_with_file_and_line(table: str, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        AedList.read(table, "aed.tsv")
    assert where in str(caught.value)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{", "aed.json: not valid JSON"),
        ("[]", "aed.json: not a GeoJSON FeatureCollection"),
        (
            '{"features": [{"geometry": {"type": "LineString"}}]}',
            "aed.json, feature 1: not a Point",
        ),
        (
            '{"features": [{"geometry": {"type": "Point", "coordinates": [121, 31]}, '
            '"properties": {}}]}',
            "aed.json, feature 1, name: is empty",
        ),
    ],
)
def test_geojson_with_a_fault_is_refused_with_file_and_feature(text: str, where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        AedList.read(text, "aed.json")
    assert where in str(caught.value)


@given(st.text(max_size=200), st.sampled_from(["aed.tsv", "aed.json"]))
def test_list_of_any_garbage_is_read_or_refused(text: str, file: str) -> None:
    try:
        AedList.read("name\tlatitude\tlongitude\thours\n" * (file == "aed.tsv") + text, file)
    except ConfigError as error:
        assert str(error).startswith(file)
