"""Small road networks for tests: streets on a grid of metres round one point."""

from __future__ import annotations

from collections.abc import Iterable

from dispatch.road_graph import ROAD_CLASSES, RoadGraph, metres_per_degree
from dispatch.road_snapping import Place

MIDDLE: Place = (31.2, 121.4)
NORTH_M, EAST_M = (float(each) for each in metres_per_degree(MIDDLE[0]))

Street = tuple[int, int, float, str, bool]
"""From node, to node, metres per second, class, whether it is one-way."""


def at(east_m: float, north_m: float) -> Place:
    """Return the place so many metres from the middle."""
    return MIDDLE[0] + north_m / NORTH_M, MIDDLE[1] + east_m / EAST_M


def graph_of(nodes: list[tuple[float, float]], streets: Iterable[Street]) -> RoadGraph:
    """Build a graph of nodes (metres east and north) and straight streets between them."""
    links: list[tuple[int, int, float, float, int]] = []
    for start, end, speed, name, oneway in streets:
        (x, y), (u, v) = nodes[start], nodes[end]
        metres = ((u - x) ** 2 + (v - y) ** 2) ** 0.5
        one = (metres / speed, metres, ROAD_CLASSES.index(name))
        links.append((start, end, *one))
        if not oneway:
            links.append((end, start, *one))
    places = [at(*node) for node in nodes]
    columns = list(zip(*links, strict=True)) if links else [()] * 5
    return RoadGraph.build(
        latitude_deg=[place[0] for place in places],
        longitude_deg=[place[1] for place in places],
        start=columns[0],
        end=columns[1],
        seconds=columns[2],
        metres=columns[3],
        road_class=columns[4],
    )
