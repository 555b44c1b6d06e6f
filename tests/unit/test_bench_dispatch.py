"""The dispatch benchmark: it holds on the real city, and its own check would see a wrong answer."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import Progress

pytest.importorskip("networkx", reason="the peer comes with the extra 'bench'")

from bench import dispatch
from bench.dispatch_check import TrueTimes
from bench.dispatch_city import _number, find_city, read_network
from bench.dispatch_day import build_service, draw_calls, play
from bench.frame import BenchError, Session
from dispatch.arrival import Travel
from dispatch.road_files import read_roads
from dispatch.roads import RoadRules, Roads
from tests.choice_town import BANKS
from tests.road_town import at

RULES = RoadRules(emergency_factor=1.25, off_road_mps=2.0, reach_m=700.0)
DATA = Path(__file__).parents[2].parent / "shared" / "data" / "city_jemss"


@pytest.fixture
def data() -> Path:
    if not DATA.is_dir():
        pytest.skip("there is no city_jemss beside the repository")
    return DATA


def session(data: Path, **options: int) -> Session:
    return Session(
        data=data, repeats=1, progress=Progress(console=Console(quiet=True)), options=options
    )


def test_benchmark_on_the_real_city_finds_the_true_minimum_each_time(data: Path) -> None:
    outcome = dispatch.run(session(data, calls=12, units=20))
    true, _, _ = outcome.promises
    assert true.holds
    assert outcome.details["calls_checked"] == 12
    ours, straight = outcome.measurements
    assert 60 < float(ours.figures["mean_s"] or 0) <= float(straight.figures["mean_s"] or 0)
    assert any("utrecht" in note for note in outcome.notes), "what has no roads is named"


def test_benchmark_without_a_city_says_what_it_wants(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="city_jemss"):
        dispatch.run(session(tmp_path))


def test_true_times_equal_the_ways_of_the_product_from_anywhere() -> None:
    roads, truth = Roads(BANKS, RULES), TrueTimes(BANKS, RULES)
    randomness = random.Random(3)

    def draw() -> tuple[float, float]:
        return at(randomness.uniform(-4300, 4300), randomness.uniform(-300, 900))

    for _ in range(60):
        scene, where = draw(), draw()
        way = roads.way(where, scene)
        found = truth.least(scene, {"unit": where}, 1e6)
        assert (found is None) == (way is None)
        if way is not None:
            assert found is not None
            assert found[0] == pytest.approx(way.seconds, abs=1e-6)


def test_true_times_tell_a_claim_that_is_too_long_and_one_that_is_too_short() -> None:
    truth = TrueTimes(BANKS, RULES)
    units = {"across": at(0, 600), "along": at(2500, 0)}
    right = truth.least(at(0, 0), units, 860 / 1.25)
    assert right is not None
    assert right[1] == "along", "another was claimed, farther"
    assert right[0] == pytest.approx(200, abs=0.1)
    across = {"across": units["across"]}
    assert truth.least(at(0, 0), across, 100.0) is None, "it is not there so soon"


def test_demand_is_read_with_its_sums(data: Path) -> None:
    city, left_out = find_city(data)
    assert (city.name, len(city.stations), len(city.hospitals), city.units) == (
        "edmonton", 17, 5, 16)  # fmt: skip
    assert city.demand.between_s == pytest.approx(450)
    assert city.demand.dispatch_s == pytest.approx(40)
    assert city.demand.on_scene_s == pytest.approx(720)
    shape, scale_s = city.demand.handover
    assert shape == 2.5
    assert scale_s == pytest.approx(34.3 * 60)
    assert any("utrecht" in line for line in left_out)


@pytest.mark.parametrize("text", ["__import__('os')", "2**9", "a", "-", "'8'"])
def test_sum_of_anything_but_numbers_is_refused(text: str) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        _number(text)


def test_day_binds_units_and_lets_them_drive_home(data: Path) -> None:
    city, _ = find_city(data)
    roads = Roads(read_roads(city.osm))
    service = build_service(city, 17, Travel(roads=roads))
    calls = draw_calls(city, roads.graph, 40, 17, random.Random(1))
    day = play(service, calls, 40.0, lambda _, situation: min(
        set(situation.places) - set(situation.bound)))  # fmt: skip
    assert any(situation.bound for situation, _ in day)
    moved = {
        name
        for situation, _ in day
        for name, where in situation.places.items()
        if name not in situation.bound and where != service.homes[name]
    }
    assert moved, "somebody was asked about on the way home"


def test_network_of_jemss_is_read_in_seconds_and_metres(data: Path) -> None:
    city, _ = find_city(data)
    assert city.network is not None
    graph = read_network(city.network)
    speeds = graph.metres / graph.seconds
    assert graph.links > 60_000
    assert 40 < float(speeds.min()) * 3.6 < float(speeds.max()) * 3.6 < 110
