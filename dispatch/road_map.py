"""The roads as lines for the console's map: main roads first, as many as fit. Pure.

Links of one class that follow each other become one line; a point that lies within
``TOLERANCE_M`` of the line without it is left out (Douglas and Peucker,
doi:10.3138/FM57-6770-U75U-7727). Two carriageways stay two lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from dispatch.road_chains import pairs_of, walk_chains
from dispatch.road_graph import ROAD_CLASSES, RoadGraph, metres_per_degree

TOLERANCE_M: Final = 12.0
"""Below what a screen shows of a whole district."""

MOST_POINTS: Final = 20_000
"""Some 600 kB of JSON; half a second's work, so it is done once."""

_DIGITS: Final = 5  # 1 m

Nodes = list[int]


@dataclass(frozen=True, slots=True)
class RoadLine:
    """A road as it is drawn.

    Attributes:
        road_class: One of ``ROAD_CLASSES``.
        points: Latitude and longitude of its points, WGS-84.
    """

    road_class: str
    points: tuple[tuple[float, float], ...]


def road_lines(graph: RoadGraph, most_points: int = MOST_POINTS) -> list[RoadLine]:
    """Return the roads as lines, main roads first.

    Args:
        graph: The roads.
        most_points: A class of roads that does not fit any more gives its longest lines, and
            the lesser classes are left out.
    """
    east_north = _plane(graph)
    lines: list[RoadLine] = []
    left = most_points
    for kind, name in enumerate(ROAD_CLASSES):
        chains = [_simplified(chain, east_north) for chain in _chains(graph, kind)]
        chains.sort(key=lambda chain: -_length_m(chain, east_north))
        for chain in chains:
            if len(chain) > left:
                return lines
            left -= len(chain)
            lines.append(RoadLine(name, tuple(_point(graph, node) for node in chain)))
    return lines


def _chains(graph: RoadGraph, kind: int) -> list[Nodes]:
    """Return the roads of a class as chains of nodes; each piece of road is in one of them."""
    of_class = graph.road_class == kind
    pairs = pairs_of(graph.start[of_class], graph.end[of_class])
    degree = np.bincount(pairs.ravel(), minlength=graph.nodes)
    return walk_chains(pairs, np.flatnonzero((degree > 0) & (degree != 2)).tolist())


def _simplified(chain: Nodes, east_north: npt.NDArray[np.float64]) -> Nodes:
    """Leave points out that lie within the tolerance of the line without them."""
    points = east_north[chain]
    kept = np.zeros(len(chain), bool)
    kept[[0, -1]] = True
    spans = [(0, len(chain) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        away = _distances(points[first + 1 : last], points[first], points[last])
        farthest = int(np.argmax(away))
        if away[farthest] > TOLERANCE_M:
            middle = first + 1 + farthest
            kept[middle] = True
            spans += [(first, middle), (middle, last)]
    return [node for node, stays in zip(chain, kept.tolist(), strict=True) if stays]


def _distances(
    points: npt.NDArray[np.float64],
    start: npt.NDArray[np.float64],
    end: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Return how far points are from the line between two others, in metres."""
    along = end - start
    squared = float(along @ along)
    if squared == 0:
        return np.asarray(np.hypot(*(points - start).T))
    share = np.clip((points - start) @ along / squared, 0, 1)
    return np.asarray(np.hypot(*(points - start - share[:, None] * along).T))


def _length_m(chain: Nodes, east_north: npt.NDArray[np.float64]) -> float:
    return float(np.hypot(*np.diff(east_north[chain], axis=0).T).sum())


def _plane(graph: RoadGraph) -> npt.NDArray[np.float64]:
    north_m, east_m = metres_per_degree(float(graph.latitude_deg.mean()) if graph.nodes else 0.0)
    return np.column_stack((graph.longitude_deg * east_m, graph.latitude_deg * north_m))


def _point(graph: RoadGraph, node: int) -> tuple[float, float]:
    return (
        round(float(graph.latitude_deg[node]), _DIGITS),
        round(float(graph.longitude_deg[node]), _DIGITS),
    )
