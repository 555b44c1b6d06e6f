"""The roads as lines for the map: all of them once, main roads first, no more than fit."""

from __future__ import annotations

import pytest

from dispatch.road_graph import ROAD_CLASSES
from dispatch.road_map import TOLERANCE_M, RoadLine, road_lines
from tests.road_town import EAST_M, NORTH_M, at, graph_of


def length_m(lines: list[RoadLine]) -> float:
    total = 0.0
    for line in lines:
        for (a, b), (c, d) in zip(line.points, line.points[1:], strict=False):
            total += (((c - a) * NORTH_M) ** 2 + ((d - b) * EAST_M) ** 2) ** 0.5
    return total


TOWN = graph_of(
    [(0, 0), (500, 0), (1000, 0), (1000, 700), (500, 5), (0, 700), (500, 700), (2000, 0)],
    [(0, 1, 9, "residential", False), (1, 2, 9, "residential", False),
     (2, 3, 9, "residential", True), (3, 6, 9, "residential", False),
     (6, 5, 9, "residential", False), (5, 0, 9, "residential", False),
     (1, 6, 9, "tertiary", False), (2, 7, 30, "motorway", True)],
)  # fmt: skip


def test_lines_hold_each_road_once_main_roads_first() -> None:
    lines = road_lines(TOWN)
    assert length_m(lines) == pytest.approx(1000 + 700 + 1000 + 700 + 700 + 1000, abs=10)
    kinds = [ROAD_CLASSES.index(line.road_class) for line in lines]
    assert kinds == sorted(kinds)
    assert lines[0].road_class == "motorway"


def test_lines_leave_out_points_on_the_way_and_keep_corners() -> None:
    ring = next(line for line in road_lines(TOWN) if line.road_class == "residential")
    assert len(ring.points) == 5, "the ring's corners, the first of them twice"


@pytest.mark.parametrize(("off_m", "points"), [(TOLERANCE_M - 2, 2), (TOLERANCE_M + 2, 3)])
def test_lines_keep_a_bend_that_can_be_seen(off_m: float, points: int) -> None:
    streets = [(0, 1, 9.0, "primary", False), (1, 2, 9.0, "primary", False)]
    (line,) = road_lines(graph_of([(0, 0), (500, off_m), (1000, 0)], streets))
    assert len(line.points) == points
    assert line.points[0] in (
        pytest.approx(at(0, 0), abs=1e-5),
        pytest.approx(at(1000, 0), abs=1e-5),
    )


@pytest.mark.parametrize("most", [0, 1, 2, 4, 7, 100])
def test_lines_are_no_more_than_fit(most: int) -> None:
    lines = road_lines(TOWN, most)
    assert sum(len(line.points) for line in lines) <= most
    assert (most < 2) == (not lines)


def test_lines_of_no_roads_are_none() -> None:
    assert road_lines(graph_of([], [])) == []
