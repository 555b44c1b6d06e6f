"""Incidents against a real hub: forty patients, three hospitals, a restart, an exercise."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from dispatch.units import HospitalSettings, UnitSettings
from streams.hospital_messages import HospitalState
from streams.identity import new_id
from streams.messages import Position
from streams.outbox import Draft
from tests.hub_town import BOUND_S, Hospital, Town, Vehicle, a_town

SCENE = {"latitude_deg": 31.23, "longitude_deg": 121.47}
STATED = {"first-hospital": (9, 3), "second-hospital": (14, 5)}
"""Beds and resuscitation bays."""

ROOM = STATED | {"third-hospital": (2, 1)}
"""The third says nothing, and counts as the settings say."""

TAGS = ["immediate"] * 12 + ["delayed"] * 10 + ["minor"] * 15 + ["expectant"] * 3
DELAYED = {"walks": False, "breathes": True, "rate_per_min": 20, "pulse": True, "obeys": True}
FOUND: dict[str, dict[str, Any]] = {
    "immediate": DELAYED | {"obeys": False},
    "delayed": DELAYED,
    "minor": {"walks": True},
    "expectant": {"walks": False, "breathes": False, "breathes_after_airway": False},
}


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as made:
        yield made


def settings() -> dict[str, Any]:
    """Forty units and three hospitals, and one of each for exercises."""
    places = {"first-hospital": 31.24, "second-hospital": 31.27, "third-hospital": 31.33}
    return {
        "units": (
            *(UnitSettings(name=f"unit-{number}") for number in range(1, 41)),
            UnitSettings(name="drill-unit-1", drill=True),
        ),
        "hospitals": (
            *(HospitalSettings(name=name, latitude_deg=latitude, longitude_deg=121.47)
              for name, latitude in places.items()),
            HospitalSettings(name="drill-hospital", latitude_deg=31.2, longitude_deg=121.4,
                             drill=True),
        ),
    }  # fmt: skip


async def state_room(town: Town, tmp_path: Path, wait_for: Any) -> None:
    """Let each hospital's gateway say what it has."""
    gateways = [Hospital(name, tmp_path) for name in STATED]
    async with town.join(*gateways):
        for gateway in gateways:
            beds, resus = STATED[gateway.name]
            gateway.make(Draft("hospital_state", HospitalState(beds=beds, resus_bays=resus)))

        async def known() -> bool:
            return town.hub.record.fleet.capacities.keys() >= STATED.keys()

        await wait_for(known, "the hub knows what all have", BOUND_S)


async def plan_of(town: Town, case: str) -> dict[str, Any]:
    found: dict[str, Any] = (await town.get(f"/api/cases/{case}/suggestions"))["incident"]
    return found


async def incident_of(town: Town, case: str) -> dict[str, Any]:
    found: dict[str, Any] = (await town.get(f"/api/cases/{case}"))["incident"]
    return found


async def send_next(town: Town, case: str, number: int) -> bool:
    """Send whom the plan names, to where it names, with the next unit; False: nobody fits."""
    plan = await plan_of(town, case)
    if plan["next"] is None:
        return False
    place = plan["places"][plan["next"]]["hospital"]
    await town.act(
        "transport_patient", case=case, code=plan["next"], unit=f"unit-{number}", hospital=place
    )
    return True


async def test_forty_patients_go_to_three_hospitals_without_breaking_one_over_a_restart(
    town: Town, tmp_path: Path, wait_for: Any
) -> None:
    more = settings()
    async with town.open_hub(**more):
        await state_room(town, tmp_path, wait_for)
        main = await town.open_case("Long Street bridge", position=SCENE)
        await town.act("declare_incident", case=main, kind="rail", estimated=40)
        for number, tag in enumerate(TAGS, 1):
            fields: dict[str, Any] = {
                "code": f"T-{number:03}",
                "findings": FOUND[tag],
                "id": new_id(),
            }
            made = await town.act("tag_patient", case=main, **fields)
            assert made["made"] == ["patient_tagged"]
            again = await town.act("tag_patient", case=main, **fields)
            assert again["repeated"], "a repeat is harmless"
        assert (await incident_of(town, main))["counts"] == Counter(TAGS)
        plan = await plan_of(town, main)
        assert plan["order"][:12] == [f"T-{number:03}" for number in range(1, 13)]
        assert plan["unplaced"] == ["T-010", "T-011", "T-012"], "twelve immediate, nine bays"
        for number in range(1, 18):
            assert await send_next(town, main, number)
        before = (await incident_of(town, main), await plan_of(town, main))
    async with town.open_hub(**more):
        after = (await incident_of(town, main), await plan_of(town, main))
        assert _without_units(after) == _without_units(before)
        sent = 17
        while await send_next(town, main, sent + 1):
            sent += 1
        assert sent == 9 + 25, "nine immediate; ten delayed and fifteen minor have beds"
        incident, plan = await incident_of(town, main), await plan_of(town, main)
        own = [await town.get(f"/api/cases/{one['own']}") for one in incident["patients"]
               if one["own"]]  # fmt: skip
        for name, (beds, resus) in ROOM.items():
            there = Counter(one["severity"] == "red" for one in own if one["hospital"] == name)
            assert there[True] <= resus
            assert there[False] <= beds
        assert plan["unplaced"] == plan["order"] == ["T-010", "T-011", "T-012"]
        refused = await town.act("transport_patient", case=main, code="T-011", unit="unit-40",
                                 hospital="first-hospital", status=409)  # fmt: skip
        assert refused["conflict"] == {"kind": "full", "hospital": "first-hospital"}
        more_fields: dict[str, Any] = {
            "unit": "unit-40",
            "hospital": "first-hospital",
            "reason": "by phone",
        }
        await town.act("transport_patient", case=main, code="T-011", override=True, **more_fields)
        assert [one["alias"] for one in own] == [f"{one['patient_of']['code']}" for one in own]
        assert {one["patient_of"]["case"] for one in own} == {main}


def _without_units(found: tuple[dict[str, Any], dict[str, Any]]) -> Any:
    incident, plan = found
    return incident, {name: value for name, value in plan.items() if name != "units"}


async def test_patient_goes_the_way_of_every_case_to_unit_and_hospital(
    town: Town, tmp_path: Path, wait_for: Any
) -> None:
    unit, hospital = Vehicle("unit-1", tmp_path), Hospital("first-hospital", tmp_path)
    async with town.open_hub(), town.join(unit, hospital):
        main = await town.open_case("Long Street bridge", position=SCENE)
        await town.act("declare_incident", case=main, kind="fire")
        for code in ("T-1", "T-2"):
            await town.act("tag_patient", case=main, code=code, findings=FOUND["delayed"])
        await town.act("transport_patient", case=main, code="T-1", unit="unit-1",
                       hospital="first-hospital")  # fmt: skip
        own = (await incident_of(town, main))["patients"][0]["own"]
        for party in (unit, hospital):

            async def has_it(party: Any = party) -> bool:
                return "hospital_chosen" in party.kinds(own)

            await wait_for(has_it, f"{party.name} has the patient's case", BOUND_S)
        assert hospital.kinds(own)[:2] == ["case_opened", "patient_tagged"]
        assert await hospital.chain_holds(own)
        assert {fact.case for fact in hospital.facts} == {own}, "of no other patient a word"


async def test_exercise_stays_inside_the_hub_while_a_real_case_goes_out(
    town: Town, tmp_path: Path, wait_for: Any
) -> None:
    names = ("unit-1", "unit-2")
    unit, other = (Vehicle(name, tmp_path) for name in names)
    hospital = Hospital("first-hospital", tmp_path)
    async with town.open_hub(**settings()) as hub, town.join(unit, other, hospital):
        main = await town.open_case("Exercise: tunnel", position=SCENE, drill=True)
        await town.act("declare_incident", case=main, kind="fire", drill=True)
        await town.act("tag_patient", case=main, code="X-1", method="hand", tag="minor")
        for wrong in ({"unit": "unit-1", "hospital": "drill-hospital"},
                      {"unit": "drill-unit-1", "hospital": "first-hospital"}):  # fmt: skip
            told = await town.act("transport_patient", case=main, code="X-1", status=409,
                                  override=True, reason="try", **wrong)  # fmt: skip
            assert told["conflict"]["kind"] == "drill"
        await town.act("transport_patient", case=main, code="X-1", unit="drill-unit-1",
                       hospital="drill-hospital")  # fmt: skip
        plan = await plan_of(town, main)
        assert [one["name"] for one in plan["rooms"]] == ["drill-hospital"]
        live = await town.open_case("Real street")
        # What a real vehicle says of an exercise is refused, and its streams go nowhere.
        drill_cases = [one["id"] for one in await town.get("/api/cases") if one["drill"]]
        assert len(drill_cases) == 2
        await unit.stream(Draft("position", Position(**SCENE, measured_ns=1, source="gnss")))  # type: ignore[arg-type]
        await town.act("assign_unit", case=live, unit="unit-2")
        await town.act("choose_hospital", case=live, hospital="first-hospital")

        async def goes_out() -> bool:
            return "hospital_chosen" in hospital.kinds(live)

        await wait_for(goes_out, "the real case is at the hospital", BOUND_S)
        assert {fact.case for fact in [*hospital.facts, *other.facts, *unit.facts]} == {live}
        assert set(hub.forwarder.senders) == {"unit/unit-2", "hospital/first-hospital"}
        assert hub.forwarder.reached("hospital/drill-hospital", main, 1) is None
