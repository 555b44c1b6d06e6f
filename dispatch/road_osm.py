"""Reading roads from OpenStreetMap XML (API 0.6 format), as a stream: memory for the roads only.

Entities and document types are refused: a file of roads needs none, and they can be made to grow
without bound.
"""

from __future__ import annotations

from array import array
from typing import IO, Final
from xml.parsers import expat

import numpy as np

from dispatch.road_graph import RoadGraph
from dispatch.road_lines import RoadLines
from dispatch.road_speeds import driven

_PIECE: Final = 1 << 18
_TAGS_KEPT: Final = frozenset(
    {"highway", "maxspeed", "oneway", "junction", "access", "vehicle", "motor_vehicle",
     "emergency", "area"}
)  # fmt: skip


class RoadFormatError(ValueError):
    """A file is no file of roads; the text says what and where."""


def read_osm(file: IO[bytes], most_bytes: int) -> RoadGraph:
    """Read the drivable roads of an OSM XML file.

    Args:
        file: Opened for reading bytes, already unpacked.
        most_bytes: More is refused: a small packed file can hold any number of zeros.

    Raises:
        RoadFormatError: It is no OSM XML, a coordinate is not one, or it is too large.
        OSError: It cannot be read.
    """
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    taken = 0
    try:
        while piece := file.read(_PIECE):
            taken += len(piece)
            if taken > most_bytes:
                raise RoadFormatError(f"more than {most_bytes} bytes of XML")
            parser.Parse(piece, False)
        parser.Parse(b"", True)
    except (expat.ExpatError, RoadFormatError) as error:
        line = parser.CurrentLineNumber
        raise RoadFormatError(f"line {line}: {error}") from error
    return reader.graph()


def _refuse(*_: object) -> None:
    raise RoadFormatError("document types and entities are not taken")


class _Reader:
    """Gathers points and roads while the XML goes by."""

    def __init__(self) -> None:
        self._names = array("q")
        self._latitudes, self._longitudes = array("d"), array("d")
        self._lines = RoadLines()
        self._points: list[int] | None = None
        self._tags: dict[str, str] = {}
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and name != "osm":
            raise RoadFormatError(f"it begins with <{name}>, not with <osm>")
        try:
            self._take(name, attributes)
        except (KeyError, ValueError, OverflowError) as error:
            if isinstance(error, RoadFormatError):
                raise
            raise RoadFormatError(f"<{name}>: bad or missing {error}") from error

    def end(self, name: str) -> None:
        self._depth -= 1
        if name != "way" or self._points is None:
            return
        if "highway" in self._tags:
            road = driven(self._tags)
            if road is None:
                self._lines.left_out += 1
            elif len(self._points) > 1:
                self._lines.add(self._points, road)
        self._points = None

    def graph(self) -> RoadGraph:
        names = np.frombuffer(self._names, np.int64) if self._names else np.zeros(0, np.int64)
        return self._lines.graph(names, self._latitudes, self._longitudes)

    def _take(self, name: str, attributes: dict[str, str]) -> None:
        match name:
            case "node":
                latitude, longitude = float(attributes["lat"]), float(attributes["lon"])
                if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
                    raise RoadFormatError(f"no place on Earth: {latitude}, {longitude}")
                self._names.append(int(attributes["id"]))
                self._latitudes.append(latitude)
                self._longitudes.append(longitude)
            case "way":
                self._points, self._tags = [], {}
            case "nd" if self._points is not None:
                self._points.append(int(attributes["ref"]))
            case "tag" if self._points is not None and attributes["k"] in _TAGS_KEPT:
                self._tags[attributes["k"]] = attributes["v"].strip().lower()
