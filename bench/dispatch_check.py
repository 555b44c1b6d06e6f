"""The true minimum, by other means: networkx searches, and every link is looked at for a place.

Shares with the product the links and what its documentation says of a place on the roads; no
code. A search ends at the time that the product claims: were any unit nearer it would be found
within that, were the claim too short nothing would be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import networkx as nx
import numpy as np

from dispatch.road_graph import RoadGraph, metres_per_degree
from dispatch.road_snapping import Place
from dispatch.roads import RoadRules

_SCENE = "scene"
_ON_ROAD_M = 25.0
_MOST_IMPORTANT_WITHOUT_HOUSES = 1
_SMALLEST_PART = 100


@dataclass(frozen=True, slots=True)
class _OnLink:
    """A place on a road: the links there and back, how far along, and how far off."""

    start: int
    end: int
    share: float
    there_s: float
    back_s: float
    off_m: float


class TrueTimes:
    """Times on the same links, found slowly."""

    def __init__(self, graph: RoadGraph, rules: RoadRules) -> None:
        """Copy the links into a directed graph of networkx."""
        self._rules = rules
        self._against = nx.DiGraph()  # each link turned round: searches begin at the scene
        self._against.add_nodes_from(range(graph.nodes))
        self._seconds: dict[tuple[int, int], float] = {}
        for start, end, seconds in zip(
            graph.start.tolist(), graph.end.tolist(), graph.seconds.tolist(), strict=True
        ):
            self._seconds[start, end] = seconds
            self._against.add_edge(end, start, seconds=seconds)
        self._links = self._places_of_links(graph)
        self._known: dict[Place, _OnLink | None] = {}

    def least(
        self, scene: Place, units: Mapping[str, Place], claimed_s: float
    ) -> tuple[float, str] | None:
        """Return the least time of the units to a scene, and whose; None if none within it."""
        to = self._on_link(scene)
        if to is None:
            return None
        factor, off_mps = self._rules.emergency_factor, self._rules.off_road_mps
        times = self._times_to(to, (claimed_s + 1) * factor)
        found = []
        for name, where in units.items():
            at = self._on_link(where)
            if at is not None:
                road_s = self._road_s(at, to, times)
                found.append((road_s / factor + (at.off_m + to.off_m) / off_mps, name))
        least = min(found, default=(math.inf, ""))
        return least if math.isfinite(least[0]) else None

    def _times_to(self, to: _OnLink, cutoff_s: float) -> dict[object, float]:
        """Return the seconds from each node to a place, as far as ``cutoff_s``."""
        self._against.add_node(_SCENE)
        for node, seconds in (
            (to.start, _part(to.share, to.there_s)),
            (to.end, _part(1 - to.share, to.back_s)),
        ):
            if math.isfinite(seconds):
                self._against.add_edge(_SCENE, node, seconds=seconds)
        try:
            times: dict[object, float] = nx.single_source_dijkstra_path_length(
                self._against, _SCENE, cutoff=cutoff_s, weight="seconds"
            )
            return times
        finally:
            self._against.remove_node(_SCENE)

    def _road_s(self, at: _OnLink, to: _OnLink, times: Mapping[object, float]) -> float:
        ways = [
            _part(1 - at.share, at.there_s) + times.get(at.end, math.inf),
            _part(at.share, at.back_s) + times.get(at.start, math.inf),
        ]
        if (at.start, at.end) == (to.start, to.end):
            ahead = to.share - at.share
            ways.append(_part(ahead, at.there_s) if ahead >= 0 else _part(-ahead, at.back_s))
        return min(ways)

    def _on_link(self, where: Place) -> _OnLink | None:
        if where not in self._known:
            self._known[where] = self._look(where)
        return self._known[where]

    def _look(self, where: Place) -> _OnLink | None:
        links = self._links
        east = (where[1] - links["longitude"]) * links["east_m"]
        north = (where[0] - links["latitude"]) * links["north_m"]
        share = ((east - links["x"]) * links["dx"] + (north - links["y"]) * links["dy"]) / links[
            "squared"
        ]
        share = np.clip(share, 0, 1)
        off_m = np.sqrt(
            (links["x"] + share * links["dx"] - east) ** 2
            + (links["y"] + share * links["dy"] - north) ** 2
        )
        streets = links["kind"] > _MOST_IMPORTANT_WITHOUT_HOUSES
        rounds = (
            (off_m <= _ON_ROAD_M, off_m),
            (streets & (off_m <= self._rules.reach_m), np.where(streets, off_m, np.inf)),
            (off_m <= self._rules.reach_m, off_m),
        )
        for allowed, distance in rounds:
            if allowed.any():
                best = int(np.argmin(distance))
                start, end = int(links["start"][best]), int(links["end"][best])
                there_s = self._seconds[start, end]
                back_s = self._seconds.get((end, start), math.inf)
                return _OnLink(start, end, float(share[best]), there_s, back_s, float(off_m[best]))
        return None

    def _places_of_links(self, graph: RoadGraph) -> dict[str, np.ndarray]:
        """Return where the links lie on which a place may be found, each road once."""
        along = self._against.reverse(copy=False)
        parts = list(nx.strongly_connected_components(along))
        enough = min(_SMALLEST_PART, max(map(len, parts)))
        part = {node: n for n, nodes in enumerate(parts) if len(nodes) >= enough for node in nodes}
        kept = [
            number
            for number, (start, end) in enumerate(
                zip(graph.start.tolist(), graph.end.tolist(), strict=True)
            )
            if start in part
            and part[start] == part.get(end)
            and (start < end or (end, start) not in self._seconds)
        ]
        latitude = (graph.latitude_deg.min() + graph.latitude_deg.max()) / 2
        longitude = (graph.longitude_deg.min() + graph.longitude_deg.max()) / 2
        north_m, east_m = metres_per_degree(float(latitude))
        x = (graph.longitude_deg - longitude) * east_m
        y = (graph.latitude_deg - latitude) * north_m
        start, end = graph.start[kept], graph.end[kept]
        dx, dy = x[end] - x[start], y[end] - y[start]
        return {
            "latitude": latitude, "longitude": longitude, "north_m": north_m, "east_m": east_m,
            "start": start, "end": end, "kind": graph.road_class[kept],
            "x": x[start], "y": y[start], "dx": dx, "dy": dy,
            "squared": np.maximum(dx**2 + dy**2, 1e-9),
        }  # fmt: skip


def _part(share: float, seconds: float) -> float:
    """Return a share of a link's time; of nothing it is nothing, closed or not."""
    return 0.0 if share == 0 else share * seconds
