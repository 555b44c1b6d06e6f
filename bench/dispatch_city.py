"""Reading a JEMSS city: stations, hospitals, roads in two forms, and how its calls are drawn.

JEMSS.jl (University of Auckland) describes an ambulance service in a folder: models/1 with CSV
tables and the call generator's XML, data/roads with OpenStreetMap's roads, and its own network
made of these with a travel time per arc and mode. Times in its files are days, lengths km.
"""

from __future__ import annotations

import ast
import csv
import io
import operator
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bench.frame import BenchError
from dispatch.road_graph import ROAD_CLASSES, RoadGraph
from dispatch.road_snapping import Place

DAY_S: Final = 86_400.0

_OPERATORS: Final[dict[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Add: operator.add,
    ast.Sub: operator.sub,
}


@dataclass(frozen=True, slots=True)
class Station:
    """An ambulance station with the number of units that fit."""

    name: str
    place: Place
    capacity: int


@dataclass(frozen=True, slots=True)
class Demand:
    """The call generator's distributions, times in seconds.

    Attributes:
        between_s: Mean time between calls; exponential.
        priorities: Share of high, medium and low priority.
        dispatch_s: From the call to the unit's leaving; fixed.
        on_scene_s: Mean time on scene; exponential.
        transported: Share of cases that go to a hospital.
        handover: Shape, and scale in seconds, of the time at the hospital; Weibull.
    """

    between_s: float
    priorities: tuple[float, ...]
    dispatch_s: float
    on_scene_s: float
    transported: float
    handover: tuple[float, float]


@dataclass(frozen=True, slots=True)
class JemssCity:
    """A city of the set.

    Attributes:
        name: Its folder.
        stations: Where units stand.
        hospitals: Where patients are brought.
        units: How many units its own study has.
        demand: How calls are drawn.
        osm: File with the roads as OpenStreetMap has them.
        network: File with JEMSS' own network; None where it is absent.
    """

    name: str
    stations: tuple[Station, ...]
    hospitals: tuple[tuple[str, Place], ...]
    units: int
    demand: Demand
    osm: Path
    network: Path | None


def find_city(data: Path) -> tuple[JemssCity, list[str]]:
    """Return the first city below a folder that has roads, and a line for each that has none.

    Raises:
        BenchError: There is none.
    """
    left_out: list[str] = []
    with_roads: list[tuple[Path, Path]] = []
    for folder in _folders(data):
        roads = sorted((folder / "data" / "roads").glob("*/*.zip"))
        with_roads += [(folder, one) for one in roads[:1]]
        if not roads:
            left_out.append(f"{folder.name}: no file of roads in the set")
    if with_roads:
        return _read(*with_roads[0]), left_out
    raise BenchError(
        f"no city with roads in {data}; wanted is the folder city_jemss of the shared data"
        + "".join(f" ({line})" for line in left_out)
    )


def read_network(path: Path) -> RoadGraph:
    """Read JEMSS' own network with its times for lights and siren (mode 1).

    Nodes without off-road access lie on motorways and trunk roads; links between two such are
    given that class here.

    Raises:
        BenchError: The file is not as JEMSS writes it.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            nodes = _table(packed.read("nodes.csv").decode(), "index")
            arcs = _table(packed.read("arcs.csv").decode(), "index")
        number = {row["index"]: place for place, row in enumerate(nodes)}
        access = np.array([float(row["offRoadAccess"]) > 0 for row in nodes])
        start = np.array([number[row["fromNode"]] for row in arcs])
        end = np.array([number[row["toNode"]] for row in arcs])
        closed, street = ROAD_CLASSES.index("motorway"), ROAD_CLASSES.index("secondary")
        return RoadGraph.build(
            latitude_deg=[float(row["y"]) for row in nodes],
            longitude_deg=[float(row["x"]) for row in nodes],
            start=start,
            end=end,
            seconds=[float(row["mode_1"]) * DAY_S for row in arcs],
            metres=[float(row["distance"]) * 1000 for row in arcs],
            road_class=np.where(access[start] & access[end], street, closed),
        )
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise BenchError(f"{path.name} is no JEMSS network: {error}") from error


def _folders(data: Path) -> Iterator[Path]:
    for base in (data, data / "city_jemss"):
        for folder in (base, *(sorted(base.iterdir()) if base.is_dir() else ())):
            if (folder / "models" / "1" / "stations").is_dir():
                yield folder


def _read(folder: Path, osm: Path) -> JemssCity:
    model = folder / "models" / "1"
    network = model / "travel" / "roads" / "roads.zip"
    try:
        stations = _table(_text(model / "stations" / "stations_1.csv"), "index")
        hospitals = _table(_text(model / "hospitals" / "hospitals_1.csv"), "index")
        units = _table(_text(model / "ambulances" / "ambulances_1.csv"), "index")
        name = next(key for key in stations[0] if key.startswith("name"))
        return JemssCity(
            name=folder.name,
            stations=tuple(
                Station(row[name], (float(row["y"]), float(row["x"])), int(row["capacity"]))
                for row in stations
            ),
            hospitals=tuple(
                (row["Facility name"], (float(row["y"]), float(row["x"]))) for row in hospitals
            ),
            units=len(units),
            demand=_demand(_text(model / "calls" / "reps" / "test" / "gen_config.xml")),
            osm=osm,
            network=network if network.is_file() else None,
        )
    except (OSError, KeyError, ValueError, IndexError, StopIteration) as error:
        raise BenchError(f"{folder.name} is no JEMSS city: {error!r}") from error


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _table(text: str, first: str) -> list[dict[str, str]]:
    """Return the rows below the heading that begins with ``first``."""
    lines = text.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(f"{first},"))
    rows = csv.DictReader(io.StringIO("\n".join(lines[begin:])))
    return [row for row in rows if row[first]]


def _demand(xml: str) -> Demand:
    def law(element: str, name: str) -> str:
        match = re.search(rf"<{element}\b[^>]*>\s*{name}\((.*)\)\s*</{element}>", xml)
        if match is None:
            raise ValueError(f"<{element}> is no {name}")
        return match[1]

    shape, scale = law("handoverDuration", "Weibull").split(",")
    shares = law("priority", "Categorical").strip("[] ").split(",")
    return Demand(
        between_s=_number(law("interarrivalTime", "Exponential")) * DAY_S,
        priorities=tuple(_number(share) for share in shares),
        dispatch_s=_number(law("dispatchDelay", "Normal").split(",")[0]) * DAY_S,
        on_scene_s=_number(law("onSceneDuration", "Exponential")) * DAY_S,
        transported=_number(law("transport", "Bernoulli")),
        handover=(_number(shape), _number(scale) * DAY_S),
    )


def _number(text: str) -> float:
    """Return what a sum such as ``40/60/60/24`` comes to."""

    def value(node: ast.expr) -> float:
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return float(node.value)
        raise ValueError(f"{text!r} is no sum of numbers")

    return value(ast.parse(text.strip(), mode="eval").body)
