"""Reading roads from GeoJSON (RFC 7946): LineStrings with OpenStreetMap's words as properties.

Roads are joined where they have a point in common, to a ten-millionth of a degree (1 cm), as OSM
keeps them; lines that only cross are a bridge. A line without ``highway`` is a residential street.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from dispatch.road_graph import RoadGraph
from dispatch.road_lines import RoadLines
from dispatch.road_osm import RoadFormatError
from dispatch.road_speeds import driven

_PER_DEGREE = 10_000_000


class _Feature(msgspec.Struct, frozen=True):
    geometry: dict[str, Any] | None = None
    properties: dict[str, Any] | None = None


class _Collection(msgspec.Struct, frozen=True):
    type: str
    features: list[_Feature]


def read_geojson(data: bytes) -> RoadGraph:
    """Read the drivable roads of a GeoJSON FeatureCollection.

    Raises:
        RoadFormatError: It is no FeatureCollection, or a coordinate is not one.
    """
    try:
        collection = msgspec.json.decode(data, type=_Collection)
    except msgspec.DecodeError as error:
        raise RoadFormatError(f"no GeoJSON FeatureCollection: {error}") from error
    if collection.type != "FeatureCollection":
        raise RoadFormatError(f"a {collection.type}, not a FeatureCollection")
    points: dict[tuple[int, int], int] = {}
    lines = RoadLines()
    for number, feature in enumerate(collection.features):
        try:
            _take(feature, points, lines)
        except (TypeError, ValueError, KeyError, IndexError, OverflowError) as error:
            raise RoadFormatError(f"feature {number}: {error}") from error
    places = np.array(list(points), np.float64).reshape(-1, 2) / _PER_DEGREE
    return lines.graph(np.arange(len(points)), places[:, 0], places[:, 1])


def _take(feature: _Feature, points: dict[tuple[int, int], int], lines: RoadLines) -> None:
    geometry = feature.geometry or {}
    if geometry.get("type") not in ("LineString", "MultiLineString"):
        return
    tags = {"highway": "residential"}
    for key, value in (feature.properties or {}).items():
        if isinstance(value, bool):
            tags[key] = "yes" if value else "no"
        elif isinstance(value, str | int | float):
            tags[key] = str(value).strip().lower()
    road = driven(tags)
    if road is None:
        lines.left_out += 1
        return
    drawn = geometry["coordinates"]
    for line in [drawn] if geometry["type"] == "LineString" else drawn:
        named = [_point(each, points) for each in line]
        if len(named) > 1:
            lines.add(named, road)


def _point(coordinates: list[float], points: dict[tuple[int, int], int]) -> int:
    longitude, latitude = float(coordinates[0]), float(coordinates[1])
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        raise ValueError(f"no place on Earth: {latitude}, {longitude} (longitude comes first)")
    key = round(latitude * _PER_DEGREE), round(longitude * _PER_DEGREE)
    return points.setdefault(key, len(points))
