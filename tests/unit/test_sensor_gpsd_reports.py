"""Reports of gpsd: which give a position, and what is said of the others."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onboard.sensors.gpsd import judge
from streams.messages import Position

NOW_NS = 1_800_000_000_000_000_000
"""2027-01-15T08:00:00Z."""


def report(**fields: object) -> bytes:
    return json.dumps({"class": "TPV", "device": "/dev/ttyUSB0", **fields}).encode()


FIX = {"mode": 3, "lat": 31.2, "lon": 121.5, "time": "2027-01-15T08:00:00.250Z"}


def test_fix_is_a_position_with_radius_and_confidence() -> None:
    position = judge(report(**FIX, speed=10.289, track=45.5, epx=9.8, epy=4.9), NOW_NS)
    assert isinstance(position, Position)
    assert (position.latitude_deg, position.longitude_deg) == (31.2, 121.5)
    assert (position.speed_mps, position.heading_deg) == (10.289, 45.5)
    assert position.measured_ns == NOW_NS + 250_000_000
    assert position.radius_m == pytest.approx(2.4477 * 5, rel=1e-3)
    assert position.confidence == 0.95


def test_fix_with_only_the_horizontal_error_states_that() -> None:
    position = judge(report(**FIX, eph=17.1), NOW_NS)
    assert isinstance(position, Position)
    assert position.radius_m == 17.1


def test_fix_without_errors_states_no_radius() -> None:
    position = judge(report(**FIX), NOW_NS)
    assert isinstance(position, Position)
    assert position.radius_m is None
    assert position.confidence is None


@pytest.mark.parametrize(
    "time", ["2007-06-01T08:00:00.000Z", "soon", None, "", "2027-01-15T09:00:00Z"]
)
def test_time_of_another_week_counts_as_the_arrival(time: str | None) -> None:
    position = judge(report(**{**FIX, "time": time}), NOW_NS)
    assert isinstance(position, Position)
    assert position.measured_ns == NOW_NS


@pytest.mark.parametrize("mode", [0, 1])
def test_mode_below_two_is_no_fix_whatever_else_it_has(mode: int) -> None:
    assert judge(report(**{**FIX, "mode": mode}), NOW_NS) == "no fix"


def test_only_the_receiver_of_the_settings_counts() -> None:
    assert judge(report(**FIX), NOW_NS, "/dev/ttyUSB1") is None
    assert isinstance(judge(report(**FIX), NOW_NS, "/dev/ttyUSB0"), Position)


def test_gpsd_without_receiver_or_with_an_error_is_said() -> None:
    assert judge(b'{"class":"DEVICES","devices":[]}', NOW_NS) == "gpsd has no receiver"
    words = judge(b'{"class":"ERROR","message":"Unrecognized request"}', NOW_NS)
    assert words == "gpsd: Unrecognized request"


def test_position_out_of_range_is_no_fix() -> None:
    assert judge(report(**{**FIX, "lat": 91.0}), NOW_NS) == "no fix: position out of range"


def test_every_report_of_real_logs_is_understood(shared_data: Path) -> None:
    seen = 0
    for file in sorted((shared_data / "gps" / "gpsd_nmea").glob("*.chk")):
        for line in file.read_bytes().splitlines():
            found = judge(line, NOW_NS)
            if b'"TPV"' not in line:
                assert found is None
                continue
            fields = json.loads(line)
            seen += 1
            if fields["mode"] < 2:
                assert found == "no fix"
            elif "lat" in fields:
                assert isinstance(found, Position)
                assert found.latitude_deg == fields["lat"]
                assert found.radius_m is None or 0 < found.radius_m < 2000
    assert seen > 500


@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_garbage_from_gpsd_is_passed_over(line: bytes) -> None:
    assert judge(line, NOW_NS) is None


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["mode", "lat", "lon", "time", "speed", "track", "epx", "epy", "eph"])


@given(st.dictionaries(KEYS, JSON))
def test_any_values_in_a_report_never_break_the_judgement(fields: dict[str, object]) -> None:
    found = judge(report(**{"mode": 3, **fields}), NOW_NS)
    if isinstance(found, Position):
        assert abs(found.latitude_deg) <= 90
        assert found.speed_mps is None or found.speed_mps >= 0
