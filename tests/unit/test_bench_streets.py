"""The demonstration's synthetic streets: the same each time, drivable, and said to be synthetic."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from bench.city import build
from bench.stage import Stage
from bench.streets import NAME, write_streets
from dispatch.arrival import distance_m
from dispatch.road_files import read_roads
from dispatch.road_graph import ROAD_CLASSES
from dispatch.roads import Roads
from dispatch.settings import Settings
from streams.config import load


@pytest.fixture
def streets(tmp_path: Path) -> Roads:
    return Roads(read_roads(write_streets(tmp_path / NAME)))


def test_streets_are_the_same_each_time_and_say_what_they_are(tmp_path: Path) -> None:
    one, other = (write_streets(tmp_path / name) for name in ("one.geojson", "other.geojson"))
    assert one.read_bytes() == other.read_bytes()
    drawn = json.loads(one.read_text())
    assert "SYNTHETIC" in drawn["name"]
    assert all(one["properties"]["name"].startswith("Synthetic") for one in drawn["features"])


def test_streets_reach_every_unit_hospital_and_call_of_the_city(streets: Roads) -> None:
    city = build(4, 15, None, None)
    places = [(one.latitude_deg, one.longitude_deg) for one in city.units]
    places += [(one.latitude_deg, one.longitude_deg) for one in city.hospitals]
    places += [
        (call.case["position"]["latitude_deg"], call.case["position"]["longitude_deg"])
        for call in city.calls
    ]
    for one, other in pairwise(places):
        way = streets.way(one, other)
        assert way is not None
        assert way.metres >= 0.99 * distance_m(one, other)


def test_streets_have_one_way_ones_and_two_fast_roads(streets: Roads) -> None:
    graph = streets.graph
    links = set(zip(graph.start.tolist(), graph.end.tolist(), strict=True))
    assert any((end, start) not in links for start, end in links)
    kinds = {ROAD_CLASSES[kind] for kind in graph.road_class.tolist()}
    assert {"motorway", "trunk", "residential"} <= kinds
    assert graph.usable.all(), "nowhere can one drive in and not out"


def test_hub_of_the_demonstration_is_told_the_streets(tmp_path: Path) -> None:
    stage = Stage(tmp_path, build(1, 1, None, None), headless=True)
    settings = load(stage.write_hub("tls://127.0.0.1:4222"), Settings)
    assert settings.roads.file.endswith(NAME)
    assert settings.roads.open(tmp_path) is not None


def test_city_of_the_demonstration_states_what_units_and_hospitals_can(tmp_path: Path) -> None:
    stage = Stage(tmp_path, build(3, 4, None, None), headless=True)
    settings = load(stage.write_hub("tls://127.0.0.1:4222"), Settings)
    assert [unit.abilities for unit in settings.units] == [
        ("advanced_life_support",), ("advanced_life_support",), ()]  # fmt: skip
    first, _, children, all_takes = settings.hospitals
    assert first.capabilities == ("cath_lab", "stroke_unit")
    assert "children" in children.capabilities
    assert all_takes.capabilities == ()
