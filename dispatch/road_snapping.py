"""Finding a place on the roads: the nearest point of the nearest street. Pure.

The nearest *point* and not the nearest node: links are up to kilometres long, and which of two
one-way carriageways is meant decides minutes. The way off the road is counted by who asks.

Motorways and trunk roads have no houses: a place is on one only within ``ON_ROAD_M``, as an
accident or a vehicle is; a house behind the noise barrier is on the next street.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from dispatch.road_graph import (
    WITHOUT_FRONTAGE,
    Floats,
    Numbers,
    RoadGraph,
    metres_per_degree,
)

Place = tuple[float, float]
"""(latitude, longitude) in degrees, WGS-84."""

ON_ROAD_M: Final = 25.0
"""GNSS in a street, and half the width of a road with several lanes."""

WITH_THE_ROAD_DEG: Final = 60.0
"""A vehicle's heading differs by less from the direction in which its road is driven."""

_SPACING_M = 50.0
"""Between two points of the search tree along a road."""


@dataclass(frozen=True, slots=True)
class Snap:
    """A place on a road between two nodes.

    Attributes:
        place: What was looked for.
        on_road: The nearest point of the road.
        off_road_m: From one to the other.
        one: Node at the road's beginning.
        other: Node at its end.
        share: How far along it lies, 0 at ``one`` to 1 at ``other``.
        there_s: Seconds of the whole link from ``one`` to ``other``; infinite where closed.
        back_s: Seconds of the link from ``other`` to ``one``; infinite where closed.
        length_m: Length of the link.
    """

    place: Place
    on_road: Place
    off_road_m: float
    one: int
    other: int
    share: float
    there_s: float
    back_s: float
    length_m: float


class RoadIndex:
    """The links of a graph by place; two directions of one road are one segment."""

    def __init__(self, graph: RoadGraph) -> None:
        """Index the usable links of ``graph``; takes some 0.1 s per 100,000."""
        self._graph = graph
        self._origin = _middle(graph)
        self._scale = tuple(float(each) for each in metres_per_degree(self._origin[0]))
        x, y = self._plane(graph.latitude_deg, graph.longitude_deg)
        self._there, self._back = _segments(graph)
        self._x, self._y = x[graph.start[self._there]], y[graph.start[self._there]]
        self._dx = x[graph.end[self._there]] - self._x
        self._dy = y[graph.end[self._there]] - self._y
        every = np.arange(len(self._there))
        frontage = every[graph.road_class[self._there] >= WITHOUT_FRONTAGE]
        self._all = self._tree(every)
        self._streets = self._tree(frontage)

    def snap(self, place: Place, reach_m: float, heading_deg: float | None = None) -> Snap | None:
        """Return the place on its road; None where none is within ``reach_m``.

        Args:
            place: The place.
            reach_m: How far off a road it may be.
            heading_deg: Where a vehicle under way is heading, clockwise from north: of two
                carriageways it is on the one that is driven so, though the other be nearer.

        Raises:
            ValueError: A coordinate is not finite.
        """
        x, y = (float(each) for each in self._plane(place[0], place[1]))
        if not (np.isfinite(x) and np.isfinite(y)):
            raise ValueError(f"no place: {place}")
        found = None
        if heading_deg is not None:
            found = self._driven(x, y, min(ON_ROAD_M, reach_m), heading_deg)
        found = found or self._nearest(self._all, x, y, min(ON_ROAD_M, reach_m))
        found = found or self._nearest(self._streets, x, y, reach_m)
        found = found or self._nearest(self._all, x, y, reach_m)
        return None if found is None else self._snap(place, *found)

    def _snap(self, place: Place, segment: int, share: float, off_road_m: float) -> Snap:
        graph, there, back = self._graph, int(self._there[segment]), int(self._back[segment])
        x = self._x[segment] + share * self._dx[segment]
        y = self._y[segment] + share * self._dy[segment]
        on_road = self._origin[0] + y / self._scale[0], self._origin[1] + x / self._scale[1]
        return Snap(
            place=place,
            on_road=(float(on_road[0]), float(on_road[1])),
            off_road_m=off_road_m,
            one=int(graph.start[there]),
            other=int(graph.end[there]),
            share=share,
            there_s=float(graph.seconds[there]),
            back_s=float(graph.seconds[back]) if back >= 0 else float("inf"),
            length_m=float(graph.metres[there]),
        )

    def _plane(self, latitude: Floats | float, longitude: Floats | float) -> tuple[Floats, Floats]:
        """Return metres east and north of the middle; 0.3 % off at 50 km from it."""
        north = (np.asarray(latitude) - self._origin[0]) * self._scale[0]
        return (np.asarray(longitude) - self._origin[1]) * self._scale[1], north

    def _tree(self, segments: npt.NDArray[np.int64]) -> tuple[cKDTree, npt.NDArray[np.int64]]:
        """Return a tree of points along the segments, and the segment of each point."""
        length = np.hypot(self._dx[segments], self._dy[segments])
        pieces = np.maximum(1, np.ceil(length / _SPACING_M)).astype(np.int64)
        of = np.repeat(np.arange(len(segments)), pieces)
        begins = np.cumsum(pieces) - pieces
        share = (np.arange(len(of)) - begins[of] + 0.5) / pieces[of]
        segment = segments[of]
        points = np.column_stack(
            (self._x[segment] + share * self._dx[segment],
             self._y[segment] + share * self._dy[segment])
        )  # fmt: skip
        return cKDTree(points), segment

    def _nearest(
        self, tree: tuple[cKDTree, npt.NDArray[np.int64]], x: float, y: float, reach_m: float
    ) -> tuple[int, float, float] | None:
        """Return segment, share and distance of the nearest point within ``reach_m``.

        Each point of a road is within half a spacing of a point of the tree, so the nearest road
        is among those with a tree point no farther than the nearest one's distance and that half.
        """
        points, of = tree
        nearest_m = float(points.query((x, y))[0]) if len(of) else float("inf")
        if nearest_m > reach_m + _SPACING_M / 2:
            return None
        close = points.query_ball_point((x, y), nearest_m + _SPACING_M / 2 + 1e-6)
        segments = np.unique(of[close])
        share, away = self._project(segments, x, y)
        return _least(segments, share, away, reach_m)

    def _driven(
        self, x: float, y: float, reach_m: float, heading_deg: float
    ) -> tuple[int, float, float] | None:
        """Return the nearest road that may be driven in a direction; None where there is none."""
        points, of = self._all
        if not len(of):
            return None
        segments = np.unique(of[points.query_ball_point((x, y), reach_m + _SPACING_M / 2)])
        drawn_deg = np.degrees(np.arctan2(self._dx[segments], self._dy[segments]))
        off_deg = np.abs((heading_deg - drawn_deg + 180) % 360 - 180)
        back = (self._back[segments] >= 0) & (off_deg > 180 - WITH_THE_ROAD_DEG)
        segments = segments[(off_deg < WITH_THE_ROAD_DEG) | back]
        share, away = self._project(segments, x, y)
        return _least(segments, share, away, reach_m)

    def _project(
        self, segments: npt.NDArray[np.int64], x: float, y: float
    ) -> tuple[Floats, Floats]:
        """Return how far along each segment its nearest point lies, and how far off that is."""
        dx, dy = self._dx[segments], self._dy[segments]
        east, north = x - self._x[segments], y - self._y[segments]
        squared = np.maximum(dx * dx + dy * dy, 1e-9)
        share = np.clip((east * dx + north * dy) / squared, 0.0, 1.0)
        return share, np.hypot(east - share * dx, north - share * dy)


def _least(
    segments: npt.NDArray[np.int64], share: Floats, away: Floats, reach_m: float
) -> tuple[int, float, float] | None:
    if not len(segments):
        return None
    best = int(np.argmin(away))
    if away[best] > reach_m:
        return None
    return int(segments[best]), float(share[best]), float(away[best])


def _middle(graph: RoadGraph) -> Place:
    if not graph.nodes:
        return 0.0, 0.0
    corners = [(float(each.min()) + float(each.max())) / 2
               for each in (graph.latitude_deg, graph.longitude_deg)]  # fmt: skip
    return corners[0], corners[1]


def _segments(graph: RoadGraph) -> tuple[Numbers, Numbers]:
    """Return each usable road once: its link there, and its link back or -1."""
    nodes = graph.nodes
    key = graph.start.astype(np.int64) * nodes + graph.end
    twin_key = graph.end.astype(np.int64) * nodes + graph.start
    at = np.minimum(np.searchsorted(key, twin_key), max(0, len(key) - 1))
    twin = np.where(key[at] == twin_key, at, -1) if len(key) else at
    first = graph.usable & ((twin < 0) | (graph.start < graph.end))
    there = np.flatnonzero(first).astype(np.int32)
    return there, twin[there].astype(np.int32)
