"""Bugs of a peer system, at the hub's door: tests/browser/test_peer_bugs.py lists all of them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from streams.messages import Milestone, Numeric, RunEnded, RunStarted, Vitals
from streams.outbox import Draft
from tests.hub_town import BOUND_S, Hospital, Town, Vehicle, a_town
from tests.waiting import until


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


async def unit_of(town: Town, name: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = await town.get("/api/units")
    return next(one for one in found if one["name"] == name)


async def arrived(*vehicles: Vehicle) -> None:
    await until(lambda: not any(one.waiting() for one in vehicles), "receipts", BOUND_S)


def stamp(case: str, stage: Any, ago_s: float = 0) -> Draft:
    at_ns = time.time_ns() - round(ago_s * 1e9)
    return Draft("milestone", Milestone(stage=stage, at_ns=at_ns), case=case)


async def test_busy_unit_asked_for_elsewhere_keeps_its_status_and_its_times(
    town: Town, tmp_path: Path
) -> None:
    unit = Vehicle("unit-1", tmp_path)
    async with town.open_hub(), town.join(unit):
        one = await town.open_case("First Street")
        two = await town.open_case("Second Street")
        await town.act("assign_unit", case=one, unit="unit-1")
        unit.make(stamp(one, "en_route", 60))
        unit.make(stamp(one, "on_scene", 30))
        await arrived(unit)
        before = await unit_of(town, "unit-1")
        assert before["status"] == "on_scene"
        for fields in ({}, {"override": True}, {"override": True, "reason": " "}):
            answer = await town.act("assign_unit", status=409, case=two, unit="unit-1", **fields)
            assert answer["conflict"]["kind"] == "busy"
            after = await unit_of(town, "unit-1")
            assert (after["case"], after["status"], after["status_times"]) == (
                one, "on_scene", before["status_times"],
            )  # fmt: skip
        await town.act("assign_unit", case=two, unit="unit-1", override=True, reason="arrest")
        taken = await unit_of(town, "unit-1")
        assert (taken["case"], taken["status"]) == (two, "assigned")
        left = await town.get(f"/api/cases/{one}")
        assert set(left["stages"]) == {"en_route", "on_scene"}, "what it did there stays on record"


async def test_second_patients_row_stays_over_late_facts_and_a_restart_of_the_hub(
    town: Town, tmp_path: Path
) -> None:
    unit = Vehicle("unit-1", tmp_path)
    async with town.open_hub(), town.join(unit):
        case = await town.open_case()
        await town.act("assign_unit", case=case, unit="unit-1")
        for patient, rate in (("mother", 92.0), ("newborn", 141.0), ("mother", 93.0)):
            measured = Numeric(value=rate, measured_ns=time.time_ns())
            body = Vitals(device="m", heart_rate_per_min=measured)
            unit.make(Draft("vitals", body, case=case, patient=patient))
        await arrived(unit)
        await town.act("amend_case", case=case, complaint="birth under way")
        assert await rows(town, case) == {"mother": 93.0, "newborn": 141.0}
    async with town.open_hub():
        assert await rows(town, case) == {"mother": 93.0, "newborn": 141.0}


async def rows(town: Town, case: str) -> dict[str, float]:
    found = (await town.get(f"/api/cases/{case}"))["patients"]
    return {one["patient"]: one["signs"]["heart_rate_per_min"]["value"] for one in found}


async def test_closed_case_stays_closed_and_nothing_closes_or_opens_without_its_line(
    town: Town, tmp_path: Path
) -> None:
    unit = Vehicle("unit-1", tmp_path)
    async with town.open_hub(), town.join(unit):
        case = await town.open_case()
        await town.act("assign_unit", case=case, unit="unit-1")
        unit.make(Draft("run_started", RunStarted(), case=case))
        await arrived(unit)
        unit.make(Draft("run_ended", RunEnded(reason="handed_over"), case=case))
        await arrived(unit)
        assert (await town.get(f"/api/cases/{case}"))["closed_ms"] is None, "only a seat closes it"
        await town.act("close_case", case=case, outcome="handed_over", text="all done")
        closed = await town.get(f"/api/cases/{case}")
        for draft in (
            Draft("run_started", RunStarted(), case=case),
            stamp(case, "on_scene", 600),
            Draft("run_ended", RunEnded(reason="treated"), case=case),
        ):
            unit.make(draft)
        await arrived(unit)
        await told_that_it_is_closed(town, case)
        late = await town.get(f"/api/cases/{case}")
        assert (late["closed_ms"], late["outcome"]) == (closed["closed_ms"], "handed_over")
        assert late["facts"] > closed["facts"], "what came late is on record all the same"
        assert (await unit_of(town, "unit-1"))["case"] is None
    async with town.open_hub():
        await told_that_it_is_closed(town, case)
        again = await town.get(f"/api/cases/{case}")
        assert (again["closed_ms"], again["outcome"]) == (closed["closed_ms"], "handed_over")
        told = await town.get(f"/api/cases/{case}/timeline")
        (line,) = [one for one in told if one["kind"] == "case_closed"]
        assert (line["source"], line["data"]["outcome"], line["data"]["text"]) == (
            "hub", "handed_over", "all done",
        )  # fmt: skip
        assert sum(one["kind"] == "case_opened" for one in told) == 1


async def told_that_it_is_closed(town: Town, case: str) -> None:
    for action, fields in (
        ("assign_unit", {"unit": "unit-2"}),
        ("choose_hospital", {"hospital": "first-hospital"}),
        ("close_case", {"outcome": "died"}),
    ):
        answer = await town.act(action, status=409, case=case, **fields)
        assert answer["conflict"]["kind"] == "closed"
        assert "was closed (handed_over)" in answer["error"]


async def test_hospital_gets_nothing_of_a_unit_that_is_bound_for_another(
    town: Town, tmp_path: Path
) -> None:
    unit, other = Vehicle("unit-1", tmp_path), Vehicle("unit-2", tmp_path)
    first, second = Hospital("first-hospital", tmp_path), Hospital("second-hospital", tmp_path)
    async with town.open_hub(), town.join(unit, other, first, second):
        cases = [await town.open_case("First Street"), await town.open_case("Second Street")]
        for case, name, hospital in zip(
            cases, ("unit-1", "unit-2"), ("first-hospital", "second-hospital"), strict=True
        ):
            await town.act("assign_unit", case=case, unit=name)
            await town.act("choose_hospital", case=case, hospital=hospital)
        unit.make(stamp(cases[0], "departed"))
        other.make(stamp(cases[1], "departed"))
        for one, case in ((first, cases[0]), (second, cases[1])):
            await until(lambda one=one, case=case: "milestone" in one.kinds(case), "it", BOUND_S)  # type: ignore[misc]
        assert {fact.case for fact in first.facts} == {cases[0]}
        assert {fact.case for fact in second.facts} == {cases[1]}
