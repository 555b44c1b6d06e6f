"""Datums of China and the local plane: published points, an independent check, round trips."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import geocoordinates_ffi
import pytest
from geopy.distance import geodesic
from hypothesis import given
from hypothesis import strategies as st

from streams.geodesy import LocalPlane, SourceDatum, from_wgs84, to_wgs84

MILLIMETRE = 0.001

# All of China, its islands included, and some of its neighbours.
CHINA = st.tuples(st.floats(3.4, 53.6), st.floats(73.4, 135.1))
TOWNS = {
    "Seoul": (37.5665, 126.9780),
    "Hong Kong": (22.3193, 114.1694),
    "Taipei": (25.0330, 121.5654),
    "Ulaanbaatar": (47.8864, 106.9057),
    "Vladivostok": (43.1155, 131.8855),
    "Vienna": (48.2082, 16.3738),
}


def apart_m(one: tuple[float, float], other: tuple[float, float]) -> float:
    return float(geodesic(one, other).meters)


def test_gcj02_of_the_published_point_is_the_published_one(shared_data: Path) -> None:
    datum = json.loads((shared_data / "vectors.json").read_text())["datum"]
    assert datum["order"] == "lon, lat"
    longitude, latitude = datum["wgs84"]

    assert from_wgs84("gcj02", latitude, longitude) == pytest.approx(
        tuple(reversed(datum["gcj02"])), abs=1e-13
    )


def test_gcj02_and_bd09_agree_with_the_points_all_implementations_publish() -> None:
    wgs = (39.915, 116.404)
    gcj = from_wgs84("gcj02", *wgs)
    assert gcj == pytest.approx((39.91640428150164, 116.41024449916938), abs=1e-13)

    # Published: BD-09 of the GCJ-02 point (39.915, 116.404); ours takes WGS-84.
    bd = from_wgs84("bd09", *to_wgs84("gcj02", *wgs))
    assert apart_m(bd, (39.92133699351021, 116.41036949371029)) < MILLIMETRE
    # Known bad values: an old test's, and those of a package with a wrong BD-09.
    assert apart_m(bd, (39.92133699351021, 116.41033392216508)) > 1
    assert apart_m(bd, (39.92110201866144, 116.41045943858484)) > 20


def test_bd09_back_is_better_than_the_published_one_step() -> None:
    one_step = (39.90865673957631, 116.39762729119315)  # published for BD-09 (39.915, 116.404)
    exact = from_wgs84("gcj02", *to_wgs84("bd09", 39.915, 116.404))

    assert apart_m(exact, one_step) < 1
    assert apart_m(from_wgs84("bd09", *to_wgs84("bd09", 39.915, 116.404)), (39.915, 116.404)) < (
        MILLIMETRE
    )


@given(CHINA, st.sampled_from(["gcj02", "bd09"]))
def test_any_place_of_china_comes_back_within_a_millimetre(
    place: tuple[float, float], datum: SourceDatum
) -> None:
    assert apart_m(to_wgs84(datum, *from_wgs84(datum, *place)), place) < MILLIMETRE
    assert apart_m(from_wgs84(datum, *to_wgs84(datum, *place)), place) < MILLIMETRE


@given(CHINA)
def test_any_place_of_china_is_where_an_independent_library_has_it(
    place: tuple[float, float],
) -> None:
    wgs = geocoordinates_ffi.Wgs84(lat=place[0], lon=place[1])
    gcj = geocoordinates_ffi.wgs84_to_gcj02(wgs)
    bd = geocoordinates_ffi.wgs84_to_bd09(wgs)
    back = geocoordinates_ffi.gcj02_to_wgs84_refined(
        geocoordinates_ffi.Gcj02(lat=place[0], lon=place[1])
    )

    assert apart_m(from_wgs84("gcj02", *place), (gcj.lat, gcj.lon)) < MILLIMETRE
    assert apart_m(from_wgs84("bd09", *place), (bd.lat, bd.lon)) < MILLIMETRE
    assert apart_m(to_wgs84("gcj02", *place), (back.lat, back.lon)) < MILLIMETRE


@pytest.mark.parametrize("town", TOWNS)
def test_a_position_without_a_tag_is_shifted_nowhere(town: str) -> None:
    assert to_wgs84("wgs84", *TOWNS[town]) == TOWNS[town]
    assert from_wgs84("wgs84", *TOWNS[town]) == TOWNS[town]


def test_seoul_is_shifted_by_its_tag_alone_and_vienna_never() -> None:
    seoul, vienna = TOWNS["Seoul"], TOWNS["Vienna"]
    assert 300 < apart_m(to_wgs84("gcj02", *seoul), seoul) < 700
    assert to_wgs84("gcj02", *vienna) == vienna
    assert to_wgs84("bd09", *vienna) == vienna


def test_a_recorded_drive_in_shanghai_drawn_in_gcj02_returns_to_its_lane(
    shared_data: Path,
) -> None:
    folder = shared_data / "gps" / "shanghai_vehicle"
    rows: list[tuple[float, float]] = []
    for file in sorted(folder.glob("*.csv")):
        with file.open(newline="") as lines:
            for row in list(csv.DictReader(lines))[::20]:
                names = {name.lower(): name for name in row}
                lat = next(names[n] for n in names if n.startswith("lat"))
                lon = next(names[n] for n in names if n.startswith("lon"))
                rows.append((float(row[lat]), float(row[lon])))
    assert len(rows) > 100
    for place in rows:
        drawn = from_wgs84("gcj02", *place)
        assert 100 < apart_m(drawn, place) < 700
        assert apart_m(to_wgs84("gcj02", *drawn), place) < MILLIMETRE


@given(
    st.tuples(st.floats(-75, 75), st.floats(-180, 180)),
    st.floats(0, 5000),
    st.floats(0, 2 * math.pi),
)
def test_the_plane_keeps_distances_within_a_thousandth(
    place: tuple[float, float], distance_m: float, angle: float
) -> None:
    plane = LocalPlane(*place)
    east, north = distance_m * math.sin(angle), distance_m * math.cos(angle)
    there = plane.to_degrees(east, north)

    assert apart_m(place, there) == pytest.approx(distance_m, rel=2e-3, abs=0.01)
    assert plane.to_metres(*there) == pytest.approx((east, north), abs=0.01)
