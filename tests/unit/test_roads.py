"""Travel times on the roads: one-way, off the road, unreachable, and against another search."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.road_chains import Chains
from dispatch.road_graph import RoadGraph
from dispatch.roads import RoadRules, Roads
from tests.road_town import EAST_M, NORTH_M, Street, at, graph_of

RULES = RoadRules(emergency_factor=1.0, off_road_mps=2.0, reach_m=300.0)

# A block of 1 km x 1 km, driven round in one direction at 10 m/s, with a two-way road out of it.
BLOCK = graph_of(
    [(0, 0), (1000, 0), (1000, 1000), (0, 1000), (3000, 0)],
    [(0, 1, 10, "residential", True), (1, 2, 10, "residential", True),
     (2, 3, 10, "residential", True), (3, 0, 10, "residential", True),
     (1, 4, 20, "primary", False)],
)  # fmt: skip


def roads(graph: RoadGraph = BLOCK, rules: RoadRules = RULES) -> Roads:
    return Roads(graph, rules)


def test_way_along_one_link_is_its_part_of_the_link() -> None:
    way = roads().way(at(200, 0), at(700, 0))
    assert way is not None
    assert way.seconds == pytest.approx(50, abs=0.01)
    assert way.metres == pytest.approx(500, abs=0.1)


def test_way_against_a_one_way_street_goes_round_the_block() -> None:
    way = roads().way(at(700, 0), at(200, 0))
    assert way is not None
    assert way.seconds == pytest.approx(350, abs=0.01)
    assert way.metres == pytest.approx(3500, abs=0.5)
    corners = [at(1000, 0), at(1000, 1000), at(0, 1000), at(0, 0)]
    assert way.places[2:-2] == tuple(pytest.approx(corner) for corner in corners)


def test_way_off_the_road_counts_at_both_ends() -> None:
    way = roads().way(at(2000, 40), at(2500, -60))
    assert way is not None
    assert way.seconds == pytest.approx(500 / 20 + (40 + 60) / 2, abs=0.01)
    assert way.metres == pytest.approx(600, abs=0.1)
    assert way.places[0] == at(2000, 40)
    assert way.places[-1] == at(2500, -60)


def test_way_with_lights_is_quicker_on_the_road_alone() -> None:
    fast = RoadRules(emergency_factor=1.25, off_road_mps=2.0, reach_m=300.0)
    way = roads(rules=fast).way(at(2000, 40), at(2500, 0))
    assert way is not None
    assert way.seconds == pytest.approx(25 / 1.25 + 20, abs=0.01)


def test_way_to_the_place_itself_is_nothing() -> None:
    way = roads().way(at(700, 0), at(700, 0))
    assert way is not None
    assert way.seconds == pytest.approx(0, abs=1e-6)


def test_way_of_a_place_far_off_any_road_is_none() -> None:
    town = roads()
    assert town.way(at(500, 400), at(700, 0)) is None
    assert town.way(at(700, 0), at(500, 400)) is None
    assert town.times_from(at(500, 400)).seconds(at(700, 0)) is None


def test_place_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="no place"):
        roads().way((math.nan, 121.4), at(0, 0))


def test_parts_that_no_road_joins_have_no_way_between_them() -> None:
    graph = graph_of(
        [(0, 0), (1000, 0), (0, 5000), (1000, 5000)],
        [(0, 1, 10, "residential", False), (2, 3, 10, "residential", False)],
    )
    town = roads(graph)
    assert town.way(at(100, 0), at(100, 5000)) is None
    assert town.way(at(100, 5000), at(900, 5000)) is not None


def test_place_beside_a_road_that_leaves_the_map_is_found_on_the_town_behind_it() -> None:
    graph = graph_of(
        [(0, 0), (1000, 0), (0, 100), (1000, 100)],
        [(0, 1, 10, "residential", False), (2, 3, 10, "residential", True)],
    )
    snap = roads(graph).snap(at(500, 90))
    assert snap is not None
    assert snap.off_road_m == pytest.approx(90, abs=0.1)


def test_place_near_a_motorway_is_on_the_street_unless_it_stands_on_the_motorway() -> None:
    graph = graph_of(
        [(0, 0), (1000, 0), (0, 200), (1000, 200)],
        [(0, 1, 30, "motorway", False), (2, 3, 10, "residential", False),
         (0, 2, 10, "tertiary", False)],
    )  # fmt: skip
    house, crash = roads(graph).snap(at(500, 60)), roads(graph).snap(at(500, 10))
    assert house is not None
    assert house.off_road_m == pytest.approx(140, abs=0.1)
    assert crash is not None
    assert crash.off_road_m == pytest.approx(10, abs=0.1)


# Two carriageways 16 m apart, joined at their ends.
DIVIDED = graph_of(
    [(0, 0), (4000, 0), (4000, 16), (0, 16)],
    [(0, 1, 20, "primary", True), (1, 2, 20, "primary", True), (2, 3, 20, "primary", True),
     (3, 0, 20, "primary", True)],
)  # fmt: skip


@pytest.mark.parametrize(("heading_deg", "seconds"), [(88.0, 50), (None, 150), (272.0, 150)])
def test_vehicle_is_on_the_carriageway_that_is_driven_as_it_heads(
    heading_deg: float | None, seconds: float
) -> None:
    """The receiver is 3 m off, nearer to the other side; ahead on the own side lies the scene."""
    way = roads(DIVIDED).way(at(1000, 9), at(2000, -5), heading_deg)
    assert way is not None
    assert way.seconds == pytest.approx(seconds + 5 / 2 + 7 / 2, abs=3)


def test_vehicle_that_heads_along_no_road_is_on_the_nearest() -> None:
    snap = roads(DIVIDED).snap(at(1000, 9), 0.0)
    assert snap is not None
    assert snap.off_road_m == pytest.approx(7, abs=0.1)


def test_vehicle_on_a_two_way_street_may_head_either_way() -> None:
    for heading_deg in (90.0, 270.0):
        snap = roads().snap(at(2000, 3), heading_deg)
        assert snap is not None
        assert snap.off_road_m == pytest.approx(3, abs=0.1)


def test_graph_keeps_the_quicker_of_two_links_and_cannot_be_changed() -> None:
    graph = RoadGraph.build(
        latitude_deg=[31.2, 31.21], longitude_deg=[121.4, 121.4],
        start=[0, 0, 1, 0], end=[1, 1, 0, 0], seconds=[90, 60, 70, 5], metres=[900, 900, 900, 1],
        road_class=[5, 5, 5, 5],
    )  # fmt: skip
    assert list(graph.seconds) == [60, 70]
    with pytest.raises(ValueError, match="read-only"):
        graph.seconds[0] = 1


@pytest.mark.parametrize(("key", "value"), [("end", [7]), ("seconds", [math.nan]), ("metres", [])])
def test_graph_of_what_cannot_be_is_refused(key: str, value: list[float]) -> None:
    arrays: dict[str, list[float]] = {
        "latitude_deg": [31.2, 31.3], "longitude_deg": [121.4, 121.4], "start": [0],
        "end": [1], "seconds": [9.0], "metres": [90.0], "road_class": [5],
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"link|finite|length"):
        RoadGraph.build(**(arrays | {key: value}))


def test_graph_without_links_has_no_way() -> None:
    assert roads(graph_of([(0, 0), (10, 0)], [])).way(at(0, 0), at(10, 0)) is None


spots = st.tuples(st.integers(-100, 900), st.integers(-100, 900))
town_streets = st.lists(
    st.tuples(
        st.integers(0, 8), st.integers(0, 8), st.sampled_from([5.0, 10.0, 25.0]),
        st.just("residential"), st.booleans(),
    ).filter(lambda street: street[0] != street[1]),
    min_size=1, max_size=24,
)  # fmt: skip


@given(town_streets, spots, spots)
def test_times_equal_those_of_a_search_over_links_cut_at_both_places(
    streets: list[Street], one: tuple[int, int], other: tuple[int, int]
) -> None:
    """The other search cuts the links where the places are and relaxes them all, n times."""
    nodes = [(400.0 * (n % 3) + 7 * n, 400.0 * (n // 3) - 5 * n) for n in range(9)]
    town = roads(graph_of(nodes, streets), RoadRules(off_road_mps=2.0, reach_m=2000.0))
    expected = _relaxed(town, at(*one), at(*other))
    forth = town.times_to(at(*other)).way(at(*one))
    back = town.times_from(at(*one)).way(at(*other))
    for found in (forth, back):
        if expected is None:
            assert found is None
        else:
            assert found is not None
            assert found.seconds == pytest.approx(expected, abs=1e-5)


RINGS = graph_of(
    [(0, 0), (300, 40), (600, 0), (900, 300), (600, 600), (300, 560), (0, 600), (-90, 300),
     (600, -400), (1200, -400), (1200, 0)],
    [*((n, (n + 1) % 8, 8 + n, "residential", False) for n in range(8)),
     (2, 8, 10, "residential", True), (8, 9, 10, "residential", True),
     (9, 10, 10, "residential", True), (10, 2, 10, "residential", True)],
)  # fmt: skip
"""A ring of bends, driven both ways, and at one of its nodes a ring driven one way."""


@given(spots, spots)
def test_way_is_as_long_as_the_line_through_its_places(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    town = roads(RINGS, RoadRules(off_road_mps=2.0, reach_m=2000.0))
    forth, back = town.way(at(*one), at(*other)), town.times_from(at(*one)).way(at(*other))
    assert forth is not None
    assert back is not None
    assert back.seconds == pytest.approx(forth.seconds, abs=1e-6)
    for way in (forth, back):
        assert way.places[0] == at(*one)
        assert way.places[-1] == at(*other)
        metres = sum(
            math.hypot((v - y) * NORTH_M, (u - x) * EAST_M)
            for (y, x), (v, u) in pairwise(way.places)
        )
        assert way.metres == pytest.approx(metres, abs=1.0)


def test_chains_hold_every_bend_and_leave_the_junction() -> None:
    chains = Chains.of(RINGS)
    assert len(chains.junctions) == 1
    assert len(chains.start) == 0, "both rings come back to where they begin"
    assert sorted(set(chains.nodes.tolist())) == list(range(11))


def _relaxed(town: Roads, one: tuple[float, float], other: tuple[float, float]) -> float | None:
    begin, end = town.snap(one), town.snap(other)
    if begin is None or end is None:
        return None
    graph = town.graph
    links = [(int(u), int(v), float(s)) for u, v, s in zip(graph.start, graph.end, graph.seconds,
                                                           strict=True)]  # fmt: skip
    for number, snap in ((graph.nodes, begin), (graph.nodes + 1, end)):
        for u, v, s in list(links):
            # A link may be cut already: then it is found again by where its ends lie on it.
            share = {snap.one: 0.0, snap.other: 1.0}
            if number > graph.nodes and (begin.one, begin.other) == (snap.one, snap.other):
                share[graph.nodes] = begin.share
            if u not in share or v not in share or u == v:
                continue
            inside = (share[u] <= snap.share <= share[v], share[v] <= snap.share <= share[u])
            if any(inside) and share[u] != share[v]:
                part = (snap.share - share[u]) / (share[v] - share[u])
                links += [(u, number, s * part), (number, v, s * (1 - part))]
            elif share[u] == share[v] == snap.share:
                links += [(u, number, 0.0), (number, v, 0.0)]
        for node, reached in ((snap.one, snap.share == 0), (snap.other, snap.share == 1)):
            if reached:
                links += [(node, number, 0.0), (number, node, 0.0)]
        if number > graph.nodes and (begin.one, begin.other, begin.share) == (
            snap.one, snap.other, snap.share):  # fmt: skip
            links += [(graph.nodes, number, 0.0)]
    times = np.full(graph.nodes + 2, np.inf)
    times[graph.nodes] = 0
    for _ in range(graph.nodes + 2):
        for u, v, s in links:
            times[v] = min(times[v], times[u] + s)
    found = float(times[graph.nodes + 1])
    return None if math.isinf(found) else found + (begin.off_road_m + end.off_road_m) / 2.0
