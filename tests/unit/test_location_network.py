"""Positions as JSON: the operator's network and the caller's browser."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from geopy.distance import geodesic

from dispatch.location.errors import LocationError, NoLocationError
from dispatch.location.network import LARGEST_BODY, read_browser, read_network
from streams.geodesy import from_wgs84

NOW_NS = 1_700_000_000_000_000_000
SHANGHAI = (31.2304, 121.4737)


def network(**changes: Any) -> bytes:
    said = {"number": "+8621123456", "lat": 31.2304, "lon": 121.4737, "radius": 350}
    said |= {"confidence": 0.9, "time": "2026-11-23T04:05:06.5Z", "method": "cell"}
    return msgspec.json.encode({k: v for k, v in (said | changes).items() if v != "absent"})


def browser(**coords: Any) -> bytes:
    said = {"latitude": 31.2304, "longitude": 121.4737, "accuracy": 12.5, "altitude": None}
    return msgspec.json.encode({"coords": said | coords, "timestamp": 1_699_999_999_000.7})


def test_network_position_is_read_with_number_radius_and_time() -> None:
    reading = read_network(network(extra=[1]), NOW_NS)
    (position,) = reading.positions

    assert (position.latitude_deg, position.longitude_deg) == SHANGHAI
    assert (position.radius_m, position.confidence) == (350, 0.9)
    assert position.measured_ns == 1_795_406_706_500_000_000
    assert (position.source, position.given) == ("network/cell", None)
    assert reading.number == "+8621123456"


def test_network_position_in_gcj02_is_converted_and_keeps_what_was_given() -> None:
    lat, lon = from_wgs84("gcj02", *SHANGHAI)
    (position,) = read_network(network(lat=lat, lon=lon, datum="gcj02"), NOW_NS).positions

    assert geodesic((position.latitude_deg, position.longitude_deg), SHANGHAI).meters < 0.001
    assert position.datum == "wgs84"
    assert position.given is not None
    assert (position.given.datum, position.given.latitude_deg) == ("gcj02", lat)


def test_network_position_without_a_tag_is_not_shifted_even_in_china() -> None:
    (position,) = read_network(network(), NOW_NS).positions
    assert (position.latitude_deg, position.longitude_deg) == SHANGHAI


def test_network_position_without_time_is_of_now_and_in_milliseconds_is_read() -> None:
    late = read_network(network(time=None), NOW_NS)
    assert late.positions[0].measured_ns == NOW_NS
    assert late.warnings
    given = read_network(network(time=1_699_999_999_123), NOW_NS)
    assert given.positions[0].measured_ns == 1_699_999_999_123_000_000


@pytest.mark.parametrize("changes", [{"lat": None, "lon": None}, {"lat": 0, "lon": 0.0}])
def test_network_that_does_not_know_yields_no_position_and_keeps_the_number(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(NoLocationError) as caught:
        read_network(network(**changes), NOW_NS)
    assert caught.value.reading.number == "+8621123456"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (network(number="absent"), "number"),
        (network(number="112; drop"), "number"),
        (network(number="112\n"), "number"),
        (network(lat=None), "lat"),
        (network(lon="absent"), "lon"),
        (network(lat="31.2"), "lat"),
        (network(lat=91), "lat"),
        (network(radius=-1), "radius"),
        (network(confidence=95), "confidence"),
        (network(datum="gcj-02"), "datum"),
        (network(time="noon"), "time"),
        (network(time=-1), "time"),
        (network(method="CELL ID"), "method"),
        (network().replace(b"31.2304", b"NaN"), "body"),
        (b"[1]", "body"),
        (b"", "body"),
        (b"\xff", "body"),
        (b"[" * 10_000, "body"),
        (b" " * (LARGEST_BODY + 1), "body"),
    ],
)
def test_network_position_that_is_bad_names_the_field(body: bytes, field: str) -> None:
    with pytest.raises(LocationError) as caught:
        read_network(body, NOW_NS)
    assert caught.value.field == field


def test_browser_position_is_at_95_percent_and_keeps_the_movement() -> None:
    (position,) = read_browser(browser(speed=1.5, heading=359.9), NOW_NS).positions

    assert (position.radius_m, position.confidence) == (12.5, 0.95)
    assert position.measured_ns == 1_699_999_999_000_000_000
    assert (position.speed_mps, position.heading_deg) == (1.5, 359.9)
    assert position.source == "browser"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (browser(latitude=None), "coords.latitude"),
        (browser(latitude=0, longitude=0), "coords.latitude"),
        (browser(accuracy="close"), "coords.accuracy"),
        (b'{"timestamp": 5}', "coords"),
        (browser().replace(b'"timestamp":1', b'"timestamp":-1'), "timestamp"),
    ],
)
def test_browser_position_that_is_bad_names_the_field(body: bytes, field: str) -> None:
    with pytest.raises(LocationError) as caught:
        read_browser(body, NOW_NS)
    assert caught.value.field == field
