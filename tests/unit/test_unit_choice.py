"""Which unit is suggested: by road and not by the map, and what speaks against one is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import get_args
from zoneinfo import ZoneInfo

import msgspec
import pytest

from dispatch import case_pages
from dispatch.district import DistrictRules, DistrictSettings
from dispatch.roads import Roads
from dispatch.suggestion import Suggestion, Why, suggest_units
from streams.errors import ConfigError
from tests.case_facts import SECOND_NS, START_NS
from tests.choice_town import Town
from tests.road_town import at, graph_of

MESSAGES = Path(__file__).parents[2] / "dispatch" / "static" / "messages"


def suggested(town: Town, now_ns: int = START_NS) -> list[Suggestion]:
    return suggest_units(town.case, town.fleet, town.book, town.travel, now_ns)


def names(town: Town, now_ns: int = START_NS) -> list[str]:
    return [one.name for one in suggested(town, now_ns)]


ACROSS, ALONG = at(0, 600), at(2500, 0)
"""600 m away beyond the river, 8.6 km by the bridge; and 2.5 km along the bank."""


def test_unit_across_the_river_is_not_the_nearest_one() -> None:
    units = {"across": ACROSS, "along": ALONG}
    first, second = suggested(Town(units=units))
    assert (first.name, second.name) == ("along", "across")
    assert first.why == ("nearest",)
    assert first.by_road
    assert first.drive_s == pytest.approx(250, abs=0.1)
    assert second.why == ("farther",)
    assert second.distance_m == pytest.approx(8600, abs=2)
    assert names(Town(units=units, roads=False)) == ["across", "along"], "on a straight line"


def test_unit_off_any_road_stands_behind_those_with_a_way() -> None:
    first, second = suggested(Town(units={"field": at(0, -900), "along": ALONG}))
    assert first.name == "along"
    assert not second.by_road
    assert "no_road_way" in second.why
    assert second.drive_s == pytest.approx(90, abs=0.1), "by the straight line, and it says so"


def test_bound_unit_is_not_suggested() -> None:
    town = Town(units={"here": SCENE_SIDE, "along": ALONG})
    town.bind("here", ("en_route", START_NS))
    assert names(town) == ["along"]


def test_bound_unit_that_hands_over_is_an_alternative_with_its_reason() -> None:
    town = Town(units={"here": SCENE_SIDE, "along": ALONG})
    town.bind("here", ("arrived", START_NS - 900 * SECOND_NS))
    first, second = suggested(town)
    assert first.name == "along"
    assert second.name == "here"
    assert second.why == ("free_soon",)
    assert second.figures == {"free_in_min": 5}


SCENE_SIDE = at(100, 0)


def test_unit_without_the_ability_stands_behind_one_that_has_it() -> None:
    units = {"basic": SCENE_SIDE, "advanced": ALONG}
    able = {"advanced": ("advanced_life_support",)}
    red = Town(units=units, abilities=able, severity="red")  # type: ignore[arg-type]
    assert names(red) == ["advanced", "basic"]
    assert suggested(red)[1].why == ("nearest", "lacks_advanced_life_support")
    yellow = Town(units=units, abilities=able)  # type: ignore[arg-type]
    assert names(yellow) == ["basic", "advanced"]


def test_abilities_that_no_unit_states_are_asked_of_none() -> None:
    first, _ = suggested(Town(units={"one": SCENE_SIDE, "two": ALONG}, severity="red"))
    assert first.why == ("nearest",)


def test_pathway_asks_for_what_it_needs() -> None:
    units = {"adults": SCENE_SIDE, "children": ALONG}
    town = Town(units=units, abilities={"children": ("paediatric",)})
    assert names(town) == ["adults", "children"]
    town.alert("paediatric")
    assert names(town) == ["children", "adults"]


def test_unit_off_its_shift_stands_behind_one_on_it() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    rules = DistrictRules(zone=zone)
    units = {"day": SCENE_SIDE, "night": ALONG}
    shifts = {"day": ("07:00-19:00",), "night": ("19:00-07:00",)}
    town = Town(units=units, shifts=shifts, district=rules)
    noon_ns = _time_of(12, zone)
    for unit in town.fleet.units.values():
        unit.heard_ns = noon_ns
    assert names(town, noon_ns) == ["day", "night"]
    midnight_ns = _time_of(0, zone)
    for unit in town.fleet.units.values():
        unit.heard_ns = midnight_ns
    first, second = suggested(town, midnight_ns)
    assert (first.name, second.name) == ("night", "day")
    assert "off_shift" in second.why


def _time_of(hour: int, zone: ZoneInfo) -> int:
    from datetime import datetime

    return int(datetime(2026, 3, 1, hour, 0, tzinfo=zone).timestamp()) * SECOND_NS


@pytest.mark.parametrize(
    ("shift", "hour", "on"),
    [("07:00-19:00", 7, True), ("07:00-19:00", 19, False), ("22:00-06:00", 23, True),
     ("22:00-06:00", 5, True), ("22:00-06:00", 6, False), ("08:00-08:00", 3, True)],
)  # fmt: skip
def test_shift_lasts_from_its_beginning_to_before_its_end(shift: str, hour: int, on: bool) -> None:
    zone = ZoneInfo("Asia/Shanghai")
    assert DistrictRules(zone=zone).is_on_shift([shift], _time_of(hour, zone)) == on


SOUTH_BANK = (at(-5000, -100), at(-5000, 300), at(5000, 300), at(5000, -100))


def test_unit_outside_the_border_is_marked_and_goes_all_the_same() -> None:
    town = Town(units={"across": ACROSS, "along": at(-3000, 0)},
                district=DistrictRules(border=SOUTH_BANK))  # fmt: skip
    along, across = suggested(town)
    assert along.why == ("nearest",)
    assert across.why == ("farther", "out_of_area")


def test_reserve_of_the_district_lets_a_unit_from_outside_go_first() -> None:
    rules = DistrictRules(border=SOUTH_BANK, keep_free=2)
    units = {"along": ALONG, "west": at(-3900, 0), "across": ACROSS}
    first, second, _ = suggested(Town(units=units, district=rules))
    assert first.name == "across"
    assert second.name == "along"
    assert second.why == ("nearest", "below_reserve")
    assert second.figures == {"left": 1, "keep": 2}


def test_reserve_of_the_district_holds_nobody_from_a_red_case() -> None:
    rules = DistrictRules(border=SOUTH_BANK, keep_free=2)
    units = {"along": ALONG, "across": ACROSS}
    first, _ = suggested(Town(units=units, district=rules, severity="red"))
    assert first.name == "along"
    assert "below_reserve" in first.why


def test_border_holds_what_is_within_it() -> None:
    corner = DistrictRules(border=(at(0, 0), at(0, 900), at(900, 900)))
    assert corner.holds(at(300, 600))
    assert not corner.holds(at(600, 300))
    assert not corner.holds(at(-1, 600))
    assert DistrictRules().holds(at(0, 0)), "without a border everything is inside"


@pytest.mark.parametrize(
    "settings",
    [DistrictSettings(time_zone="Asia/Nowhere"), DistrictSettings(time_zone="../etc/passwd"),
     DistrictSettings(border=((31.0, 121.0), (31.1, 121.0)))],
)  # fmt: skip
def test_district_that_cannot_be_stops_the_start(settings: DistrictSettings) -> None:
    with pytest.raises(ConfigError, match="district"):
        settings.rules()


@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_each_reason_has_its_words(language: str) -> None:
    catalogue = json.loads((MESSAGES / f"{language}.json").read_text())
    assert not [why for why in get_args(Why) if f"why.{why}" not in catalogue]


def test_unit_under_way_is_timed_from_the_side_on_which_it_drives() -> None:
    town = Town(units={"one": at(1000, 9)}, scene=at(2000, -5))
    roads = graph_of(
        [(0, 0), (4000, 0), (4000, 16), (0, 16)],
        [(0, 1, 20, "primary", True), (1, 2, 20, "primary", True),
         (2, 3, 20, "primary", True), (3, 0, 20, "primary", True)],
    )  # fmt: skip
    town.travel = replace(town.travel, roads=Roads(roads))
    unit = town.fleet.units["one"]
    assert unit.position is not None
    standing = suggested(town)[0].drive_s or 0.0
    moving = msgspec.structs.replace(unit.position, speed_mps=14.0, heading_deg=90.0)
    unit.position = moving
    assert (suggested(town)[0].drive_s or 0.0) < standing - 80


def test_scene_off_any_road_is_told_by_straight_lines() -> None:
    town = Town(units={"along": ALONG}, scene=at(0, -2000))
    (only,) = suggested(town)
    assert not only.by_road
    assert "no_road_way" in only.why
    shown = case_pages.suggestion(only, town.fleet)
    assert shown["by_road"] is False
    assert shown["why"] == ["nearest", "no_road_way"]
