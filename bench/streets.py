"""Synthetic streets for the demonstration: a grid that no city has, drawn over its region.

They are not the streets of Shanghai: the demonstration ships without a map, and shows by them
that times follow roads. A grid of two-way and one-way streets, an expressway and a motorway that
are joined at interchanges alone, and a creek with three bridges. The same each time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

SOUTH, NORTH = 31.255, 31.320
WEST, EAST = 121.165, 121.245
"""The demonstration's region, WGS-84 (``bench.city``)."""

NAME: Final = "synthetic-streets.geojson"
NOTE: Final = "SYNTHETIC: the demonstration's streets, which are nowhere"

_ROWS, _COLUMNS = 24, 26
_AVENUE_EVERY: Final = 4
_CREEK_ROW: Final = 9
_BRIDGES: Final = (4, 12, 20)
_EXPRESSWAY_ROW, _MOTORWAY_COLUMN = 14, 16
_INTERCHANGE_EVERY: Final = 6

Point = tuple[float, float]


def write_streets(path: Path) -> Path:
    """Write the streets as GeoJSON (RFC 7946), with OpenStreetMap's words; return the path."""
    features = [*_east_west(), *_north_south(), *_expressway(), *_motorway()]
    collection = {"type": "FeatureCollection", "name": NOTE, "features": features}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(collection))
    return path


def _crossing(row: float, column: float) -> Point:
    """Return the longitude and latitude of a crossing; halves lie between two streets."""
    return (
        round(WEST + (EAST - WEST) * column / (_COLUMNS - 1), 7),
        round(SOUTH + (NORTH - SOUTH) * row / (_ROWS - 1), 7),
    )


def _street(name: str, points: list[Point], highway: str, **tags: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"name": f"Synthetic {name}", "highway": highway, "synthetic": True, **tags},
        "geometry": {"type": "LineString", "coordinates": points},
    }


def _east_west() -> list[dict[str, Any]]:
    found = []
    for row in range(_ROWS):
        points = [_crossing(row, column) for column in range(_COLUMNS)]
        if row % _AVENUE_EVERY == 0:
            found.append(_street(f"avenue {row + 1}", points, "secondary", maxspeed="50"))
        else:
            found.append(_street(f"street {row + 1}", points, "residential"))
    return found


def _north_south() -> list[dict[str, Any]]:
    """Return the streets that cross; the creek cuts all that have no bridge."""
    found = []
    for column in range(_COLUMNS):
        points = [_crossing(row, column) for row in range(_ROWS)]
        name, highway, tags = f"road {column + 1}", "residential", {}
        if column % _AVENUE_EVERY == 0:
            highway, tags = "tertiary", {"maxspeed": "50"}
        else:  # one-way, every other one the other way
            tags = {"oneway": "yes" if column % 2 else "-1"}
        if column in _BRIDGES:
            found.append(_street(name, points, highway, **tags))
            continue
        banks = points[: _CREEK_ROW + 1], points[_CREEK_ROW + 1 :]
        found += [_street(name, bank, highway, **tags) for bank in banks]
    return found


def _expressway() -> list[dict[str, Any]]:
    """Return a fast road between two rows, with ramps to the street south of it."""
    row = _EXPRESSWAY_ROW + 0.5
    columns = [each / 2 for each in range(1, 2 * _COLUMNS - 2)]
    points = [_crossing(row, column) for column in columns]
    ramps = [
        _street("ramp", [_crossing(_EXPRESSWAY_ROW, column), _crossing(row, column)], "trunk_link")
        for column in range(2, _COLUMNS - 1, _INTERCHANGE_EVERY)
    ]
    return [_street("expressway", points, "trunk", maxspeed="80"), *ramps]


def _motorway() -> list[dict[str, Any]]:
    """Return a motorway, a carriageway each way; it crosses the creek and the expressway above."""
    column, ramps = _MOTORWAY_COLUMN, list(range(1, _ROWS, _INTERCHANGE_EVERY))
    found = []
    for name, side, rows in (
        ("northbound", 0.55, list(range(ramps[0], ramps[-1] + 1))),
        ("southbound", 0.45, list(range(ramps[-1], ramps[0] - 1, -1))),
    ):
        points = [_crossing(row, column + side) for row in rows]
        found.append(_street(f"motorway {name}", points, "motorway", oneway="yes", maxspeed="100"))
        for row in ramps:
            ends = [_crossing(row, column), _crossing(row, column + side)]
            found.append(_street(f"ramp {name}", ends, "motorway_link"))
    return found
