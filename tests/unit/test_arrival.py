"""Estimated arrival and suggestions: distances on the ellipsoid, and words for what they are."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.arrival import Leg, Travel, distance_m, estimate
from dispatch.case_actions import OpenCase, Place
from dispatch.cases import CaseBook
from dispatch.hospital_choice import suggest_hospitals
from dispatch.roads import RoadRules, Roads
from dispatch.suggestion import suggest_units
from dispatch.units import Fleet, HospitalSettings, UnitSettings, place
from streams.identity import new_id
from streams.messages import CaseOpened, Position, PreAlert, Stage, UnitAssigned
from tests.case_facts import SECOND_NS, START_NS, Pages
from tests.choice_town import BANKS
from tests.road_town import at

TRAVEL = Travel(speed_mps=10.0, detour=1.3, on_scene_s=600)
SCENE, HOSPITAL = (31.20, 121.40), (31.30, 121.40)
LEG = Leg(at=(31.10, 121.40), at_ns=START_NS, scene=SCENE, hospital=HOSPITAL, stage="en_route")


def test_distance_of_a_degree_of_latitude_is_that_of_the_ellipsoid() -> None:
    # WGS-84 meridian arc from 31 to 32 degrees: 110.87 km (a sphere would say 111.19).
    assert distance_m((31.0, 121.0), (32.0, 121.0)) == pytest.approx(110_866, abs=15)


def test_estimate_before_the_scene_goes_by_it_and_stays_there() -> None:
    found = estimate(LEG, TRAVEL, START_NS)
    assert found is not None
    road_m = 1.3 * (distance_m(LEG.at, SCENE) + distance_m(SCENE, HOSPITAL))
    assert found.distance_m == pytest.approx(road_m)
    assert (found.at_ns - START_NS) / SECOND_NS == pytest.approx(road_m / 10 + 600)
    assert "by the scene" in found.method
    assert found.position_ns == START_NS


def test_estimate_after_departure_is_the_drive_alone() -> None:
    found = estimate(replace(LEG, stage="departed"), TRAVEL, START_NS)
    assert found is not None
    seconds = 1.3 * distance_m(LEG.at, HOSPITAL) / 10
    assert (found.at_ns - START_NS) / SECOND_NS == pytest.approx(seconds)
    assert "scene" not in found.method


def test_estimate_on_scene_counts_what_is_left_of_the_stay() -> None:
    leg = replace(LEG, at=SCENE, stage="on_scene", on_scene_ns=START_NS - 400 * SECOND_NS)
    found = estimate(leg, TRAVEL, START_NS)
    assert found is not None
    drive_s = 1.3 * distance_m(SCENE, HOSPITAL) / 10
    assert (found.at_ns - START_NS) / SECOND_NS == pytest.approx(drive_s + 200)


def test_estimate_at_the_hospital_is_none() -> None:
    assert estimate(replace(LEG, stage="arrived"), TRAVEL, START_NS) is None


def test_estimate_by_road_takes_the_way_and_says_so() -> None:
    travel = Travel(on_scene_s=600, roads=Roads(BANKS, RoadRules(off_road_mps=2.0, reach_m=500)))
    leg = replace(LEG, at=at(-2000, 0), scene=at(0, 0), hospital=at(0, 600))
    found = estimate(leg, travel, START_NS)
    assert found is not None
    assert found.method == "road, by the scene"
    assert found.distance_m == pytest.approx(2000 + 8600, abs=3)
    assert (found.at_ns - START_NS) / SECOND_NS == pytest.approx(200 + 600 + 860, abs=0.5)
    nearer = estimate(replace(leg, at=at(-1000, 0)), travel, START_NS)
    assert nearer is not None
    assert nearer.at_ns < found.at_ns, "it moves with the position"


def test_estimate_where_one_part_has_no_road_is_straight_and_says_so() -> None:
    travel = replace(TRAVEL, roads=Roads(BANKS, RoadRules(reach_m=500)))
    leg = replace(LEG, at=at(-2000, 0), scene=at(0, -5000), hospital=at(0, 600))
    found = estimate(leg, travel, START_NS)
    assert found is not None
    assert found.method == "straight line x 1.3 at 36 km/h, by the scene"
    straight_m = distance_m(leg.at, at(0, -5000)) + distance_m(at(0, -5000), leg.hospital)
    assert found.distance_m == pytest.approx(1.3 * straight_m)


stages: st.SearchStrategy[Stage | None] = st.sampled_from(
    [None, "en_route", "on_scene", "patient_contact", "departed"]
)
latitudes, longitudes = st.floats(-80, 80), st.floats(-179, 179)


@given(stages, latitudes, longitudes, st.integers(0, 3600), st.booleans())
def test_estimate_is_never_in_the_past_nor_negative(
    stage: Stage | None, latitude: float, longitude: float, silent_s: int, has_scene: bool
) -> None:
    leg = replace(LEG, at=(latitude, longitude), stage=stage, scene=SCENE if has_scene else None)
    now_ns = START_NS + silent_s * SECOND_NS
    found = estimate(leg, TRAVEL, now_ns)
    assert found is not None
    assert found.at_ns >= now_ns
    assert found.distance_m >= 0
    assert found.position_ns == START_NS, "the age of the estimate is that of its position"


def town() -> tuple[Fleet, CaseBook, Pages, str]:
    fleet = Fleet(
        tuple(UnitSettings(name=f"unit-{n}") for n in range(1, 6)),
        (
            HospitalSettings(name="near", latitude_deg=31.21, longitude_deg=121.4,
                             abilities=("trauma",)),
            HospitalSettings(name="far", latitude_deg=31.4, longitude_deg=121.4),
        ),
    )  # fmt: skip
    book, pages, case = CaseBook(), Pages(), new_id()
    at = Position(latitude_deg=31.2, longitude_deg=121.4, measured_ns=START_NS, source="d")
    opened = CaseOpened(address="a", complaint="", alias="b", position=at)
    book.take(pages.add("case_opened", opened, case=case))
    for number, north in ((1, 0.05), (2, 0.01), (3, 0.002), (4, 0.001)):
        unit = fleet.units[f"unit-{number}"]
        place(unit, Position(latitude_deg=31.2 + north, longitude_deg=121.4,
                             measured_ns=START_NS, source="gnss"), 0, "live")  # fmt: skip
        unit.heard_ns = START_NS
    return fleet, book, pages, case


def test_suggestion_of_units_is_the_nearest_free_one_in_reach() -> None:
    fleet, book, pages, case = town()
    book.take(pages.add("unit_assigned", UnitAssigned(unit="unit-3"), case=new_id()))
    fleet.units["unit-4"].heard_ns = START_NS - 3600 * SECOND_NS
    found_case = book.get(case)
    assert found_case is not None
    found = suggest_units(found_case, fleet, book, TRAVEL, START_NS)
    assert [one.name for one in found] == ["unit-2", "unit-1", "unit-4"]
    assert found[0].why == ("nearest",), "of those that can go"
    assert found[1].why == ("farther",)
    assert found[2].why == ("out_of_reach",)
    assert found[0].drive_s == pytest.approx(1.3 * 1108.7 / 10, rel=0.01)


def test_suggestion_of_hospitals_prefers_one_that_takes_the_pathway() -> None:
    fleet, book, pages, case = town()
    found_case = book.get(case)
    assert found_case is not None
    assert [one.name for one in suggest_hospitals(found_case, fleet, book, TRAVEL, START_NS)] == [
        "near",
        "far",
    ]
    alert = PreAlert(pathway="stemi", severity="red")
    book.take(pages.add("pre_alert", alert, case=case, source="unit-1"))
    found = suggest_hospitals(found_case, fleet, book, TRAVEL, START_NS)
    assert [one.name for one in found] == ["far", "near"]
    assert "not_for_pathway" in found[1].why


def test_suggestion_without_a_position_names_no_distance() -> None:
    fleet, book, pages, _ = town()
    case = new_id()
    opened = CaseOpened(address="a", complaint="", alias="b")
    found_case = book.take(pages.add("case_opened", opened, case=case))
    assert found_case is not None
    for one in (
        *suggest_units(found_case, fleet, book, TRAVEL, START_NS),
        *suggest_hospitals(found_case, fleet, book, TRAVEL, START_NS),
    ):
        assert one.distance_m is None
        assert "no_case_position" in one.why


def test_place_of_an_action_is_checked_for_range() -> None:
    for bad in (b'{"latitude_deg": 91, "longitude_deg": 0}', b'{"latitude_deg": 1}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(bad, type=Place)
    data = b'{"action": "open_case", "address": "  "}'
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(data, type=OpenCase)
