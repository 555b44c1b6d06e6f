"""Which hospital is suggested: by road, by what it has, by the room it stated, by who is coming."""

from __future__ import annotations

from typing import Any

import pytest

from dispatch.arrival import Place
from dispatch.capacity import HALF_LIFE_S, Capacity, burden_s
from dispatch.hospital_choice import suggest_hospitals
from dispatch.suggestion import Suggestion
from streams.messages import Severity
from tests.case_facts import SECOND_NS, START_NS
from tests.choice_town import Town
from tests.road_town import at

NEAR, FAR = at(1000, 0), at(3000, 0)
"""100 s and 300 s from the scene."""


def town(
    near: dict[str, Any] | None = None, far: dict[str, Any] | None = None,
    severity: Severity = "yellow", age_years: int | None = None,
) -> Town:  # fmt: skip
    hospitals: dict[str, tuple[Place, dict[str, Any]]] = {
        "near": (NEAR, near or {}),
        "far": (FAR, far or {}),
    }
    return Town(units={}, hospitals=hospitals, severity=severity, age_years=age_years)


def suggested(of: Town, now_ns: int = START_NS) -> list[Suggestion]:
    return suggest_hospitals(of.case, of.fleet, of.book, of.travel, now_ns)


def names(of: Town, now_ns: int = START_NS) -> list[str]:
    return [one.name for one in suggested(of, now_ns)]


def stated(
    *, beds: int | None = None, bays: int | None = None, diversion: bool = False
) -> Capacity:
    return Capacity(beds=beds, resus_bays=bays, diversion=diversion, stated_ns=START_NS)


def test_hospital_across_the_river_is_farther_than_the_map_says() -> None:
    hospitals: dict[str, tuple[Place, dict[str, Any]]] = {
        "across": (at(0, 600), {}),
        "far": (FAR, {}),
    }
    first, second = suggested(Town(units={}, hospitals=hospitals))
    assert (first.name, second.name) == ("far", "across")
    assert first.drive_s == pytest.approx(300, abs=0.1)
    assert first.distance_m == pytest.approx(3000, abs=1)
    assert first.by_road
    assert first.why == ("nearest",)
    assert second.distance_m == pytest.approx(8600, abs=2)


def test_hospital_with_the_cath_lab_takes_the_infarction() -> None:
    of = town({"capabilities": ("stroke_unit",)}, {"capabilities": ("cath_lab",)})
    assert names(of) == ["near", "far"], "before it is known what it is"
    of.alert("stemi")
    first, second = suggested(of)
    assert (first.name, second.name) == ("far", "near")
    assert "has_cath_lab" in first.why
    assert "lacks_cath_lab" in second.why


def test_hospital_that_states_no_capabilities_is_not_known_to_lack_any() -> None:
    of = town({}, {"capabilities": ("cath_lab",)})
    of.alert("stemi")
    assert names(of) == ["near", "far"]


def test_child_goes_where_children_are_taken() -> None:
    of = town({"capabilities": ("cath_lab",)}, {"capabilities": ("children",)}, age_years=6)
    assert names(of) == ["far", "near"]


def test_diversion_sends_the_case_on_and_is_said() -> None:
    of = town()
    of.fleet.capacities["near"] = stated(diversion=True)
    first, second = suggested(of)
    assert first.name == "far"
    assert second.why == ("nearest", "on_diversion")
    assert second.figures == {"stated_min": 0}


def test_statement_that_is_old_counts_less_and_less() -> None:
    of = town()
    of.fleet.capacities["near"] = stated(diversion=True)
    half_ns = START_NS + round(HALF_LIFE_S * SECOND_NS)
    assert names(of, half_ns) == ["far", "near"], "900 s against 200 s of way"
    two_hours_ns = START_NS + 7200 * SECOND_NS + SECOND_NS
    assert names(of, two_hours_ns + 1800 * SECOND_NS) == ["near", "far"], "56 s against 200 s"
    last = suggested(of, two_hours_ns)[0]
    assert "old_statement" in last.why


@pytest.mark.parametrize(("beds", "first"), [(0, "far"), (1, "near"), (None, "near")])
def test_hospital_without_a_bed_is_passed(beds: int | None, first: str) -> None:
    of = town()
    of.fleet.capacities["near"] = stated(beds=beds)
    assert names(of)[0] == first


def test_resuscitation_bay_counts_for_red_alone() -> None:
    for severity, first in (("red", "far"), ("green", "near")):
        of = town(severity=severity)  # type: ignore[arg-type]
        of.fleet.capacities["near"] = stated(beds=9, bays=0)
        assert names(of)[0] == first


def test_cases_on_their_way_count_and_take_the_beds() -> None:
    of = town()
    of.fleet.capacities["near"] = stated(beds=2)
    for number in range(2):
        of.choose(of.open(at(10.0 * number, 0)), "near")
    first, second = suggested(of)
    assert first.name == "far"
    assert second.why == ("nearest", "no_beds", "cases_bound")
    assert second.figures == {"beds": 2, "stated_min": 0, "bound": 2}


def test_load_does_not_count_the_case_itself() -> None:
    of = town()
    of.choose(of.case, "near")
    assert "cases_bound" not in suggested(of)[0].why


def test_burden_of_one_that_said_nothing_is_its_load_alone() -> None:
    assert burden_s(None, 0, START_NS, resus=True) == 0
    assert burden_s(None, 2, START_NS, resus=True) > 0
    assert burden_s(stated(beds=5, bays=1), 0, START_NS, resus=True) == 0
