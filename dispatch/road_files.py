"""Opening a file of roads: OSM XML, plain, gzipped or zipped, or GeoJSON.

A large file takes long to read. Where the reading took more than ``WORTH_KEEPING_S``, the graph
is kept in the state's ``roads.npz``, and read from there while the file is the same.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Any, Final, cast

import msgspec
import numpy as np
import numpy.typing as npt
import structlog

from dispatch.road_geojson import read_geojson
from dispatch.road_graph import RoadGraph
from dispatch.road_osm import RoadFormatError, read_osm
from dispatch.roads import RoadRules, Roads
from streams.errors import ConfigError

MOST_BYTES: Final = 8 * 1024**3
"""Of XML after unpacking; all of China's roads with their points are less."""

MOST_JSON_BYTES: Final = 512 * 1024**2
"""Of GeoJSON, which is read in one piece."""

WORTH_KEEPING_S: Final = 3.0

_LAYOUT = 1
_ARRAYS = (
    "latitude_deg", "longitude_deg", "start", "end", "seconds", "metres", "road_class",
)  # fmt: skip

_UNREADABLE = (
    OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy raises for a file that was cut or is none of its own."""

log = structlog.get_logger(__name__)


Positive = Annotated[float, msgspec.Meta(gt=0)]


class RoadSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The roads of the district, as the configuration names them."""

    file: str = ""
    emergency_factor: Annotated[float, msgspec.Meta(ge=0.5, le=3)] = 1.2
    off_road_kmh: Positive = 15.0
    reach_m: Positive = 1500.0

    def open(self, state: Path) -> Roads | None:
        """Read the file; None where none is named.

        Args:
            state: The hub's state, in which a graph is kept that took long to read.

        Raises:
            ConfigError: The file is missing, or is no file of roads.
        """
        if not self.file:
            return None
        graph = read_roads(Path(self.file), state / "roads.npz")
        log.info("roads read", file=self.file, nodes=graph.nodes, links=graph.links)
        rules = RoadRules(self.emergency_factor, self.off_road_kmh / 3.6, self.reach_m)
        return Roads(graph, rules)


def read_roads(path: Path, keep: Path | None = None) -> RoadGraph:
    """Read the roads of a file.

    Args:
        path: ``.osm``, ``.xml``, ``.geojson`` or ``.json``; also with ``.gz``, or in a ``.zip``.
        keep: Where the graph is kept when reading took long; None keeps nothing.

    Raises:
        ConfigError: The file is missing, or is no file of roads, or has none; names the file.
    """
    try:
        size = path.stat().st_size
        mark = json.dumps([_LAYOUT, str(path.resolve()), size, path.stat().st_mtime_ns])
        graph = _read_kept(keep, mark) if keep else None
        if graph is None:
            began_s = time.monotonic()
            graph = _read(path)
            took_s = time.monotonic() - began_s
            if keep and took_s > WORTH_KEEPING_S:
                _keep(keep, mark, graph)
    # The last is zipfile's word for a compression or an encryption that it does not know.
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise ConfigError(f"roads: {path} cannot be read: {error}") from error
    except (RoadFormatError, ValueError) as error:
        raise ConfigError(f"roads: {path}: {error}") from error
    if not graph.usable.any():
        raise ConfigError(f"roads: {path} has no road on which one can drive")
    return graph


def _read(path: Path) -> RoadGraph:
    with _unpacked(path) as (file, name):
        if name.endswith((".geojson", ".json")):
            data = file.read(MOST_JSON_BYTES + 1)
            if len(data) > MOST_JSON_BYTES:
                raise RoadFormatError(f"more than {MOST_JSON_BYTES} bytes of GeoJSON")
            return read_geojson(data)
        if name.endswith((".osm", ".xml")):
            return read_osm(file, MOST_BYTES)
    raise RoadFormatError("it ends neither in .osm, .xml, .geojson nor .json, nor these with .gz")


@contextlib.contextmanager
def _unpacked(path: Path) -> Iterator[tuple[IO[bytes], str]]:
    """Open the file, or what is packed in it; give its name in lower case."""
    name = path.name.lower()
    if name.endswith(".zip"):
        with zipfile.ZipFile(path) as packed:
            inside = [one for one in packed.namelist()
                      if one.lower().endswith((".osm", ".xml", ".geojson", ".json"))]  # fmt: skip
            if len(inside) != 1:
                raise RoadFormatError(f"{len(inside)} files of roads in it, not one")
            with packed.open(inside[0]) as file:
                yield file, inside[0].lower()
    elif name.endswith(".gz"):
        with gzip.open(path) as file:
            yield cast(IO[bytes], file), name.removesuffix(".gz")
    else:
        with path.open("rb") as file:
            yield file, name


def _read_kept(keep: Path, mark: str) -> RoadGraph | None:
    """Return the graph that was kept for the same file, None where there is none."""
    try:
        with keep.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            if str(kept["mark"]) != mark:
                return None
            arrays = {name: kept[name] for name in _ARRAYS}
            if str(kept["sum"]) != _sum(arrays):
                raise ValueError("its sum is wrong")
            return RoadGraph.build(**arrays)
    except FileNotFoundError:
        return None
    except _UNREADABLE as error:
        log.warning("kept roads not readable, read anew", file=str(keep), error=str(error))
        return None


def _keep(keep: Path, mark: str, graph: RoadGraph) -> None:
    arrays = {name: getattr(graph, name) for name in _ARRAYS}
    part = keep.with_suffix(".part")
    try:
        keep.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez(file, mark=np.array(mark), sum=np.array(_sum(arrays)), **arrays)
        part.replace(keep)
    except OSError as error:  # they are read again next time
        log.warning("roads not kept", file=str(keep), error=str(error))


def _sum(arrays: dict[str, npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in _ARRAYS:
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()
