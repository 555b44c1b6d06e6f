"""The end of a run and repeated taps: what is asked for is done once, whole, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from onboard.errors import RefusedActionError
from streams.codec import open_body
from streams.errors import StorageError
from streams.identity import new_id
from streams.messages import CaseNote, Envelope, SensorState
from streams.outbox import Draft
from tests.lone_vehicle import LoneVehicle, lone_vehicle


@pytest.fixture
async def vehicle(tmp_path: Path, wait_for: Any) -> AsyncIterator[LoneVehicle]:
    """A vehicle in a run, its monitor giving values."""
    async with lone_vehicle(tmp_path) as found:
        found.assign()
        await found.act("start_run")
        await wait_for(lambda: found.facts("vitals"), "the monitor's first value")
        yield found


def refuse(vehicle: LoneVehicle, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Let the disk take everything but facts of one kind."""
    add_all = vehicle.agent.outbox.add_all

    def full(drafts: Sequence[tuple[str, Draft]], mark: Any = None) -> list[Envelope]:
        if any(draft.kind == kind for _, draft in drafts):
            raise StorageError("no space left on device")
        return add_all(drafts, mark)

    monkeypatch.setattr(vehicle.agent.outbox, "add_all", full)


async def test_end_run_on_a_full_disk_leaves_the_sensors_running(
    vehicle: LoneVehicle, monkeypatch: pytest.MonkeyPatch, wait_for: Any
) -> None:
    vehicle.may_close.set()
    refuse(vehicle, monkeypatch, "run_ended")
    with pytest.raises(StorageError):
        await vehicle.act("end_run")
    before = len(vehicle.facts("vitals"))
    await wait_for(lambda: len(vehicle.facts("vitals")) > before, "values after the failed end")
    assert (vehicle.agent.situation.state, vehicle.sensor()) == ("running", "running")
    monkeypatch.undo()
    await vehicle.act("end_run")
    assert (vehicle.agent.situation.state, vehicle.sensor()) == ("ended", "ended")


async def test_end_run_whose_page_is_gone_is_done_to_its_end(
    vehicle: LoneVehicle, wait_for: Any
) -> None:
    asked = asyncio.create_task(vehicle.act("end_run"), name="page")
    await vehicle.closing.wait()
    asked.cancel()
    await asyncio.wait({asked})
    vehicle.may_close.set()
    await wait_for(lambda: vehicle.sensor() == "ended", "the monitor's end")
    assert vehicle.agent.situation.state == "ended"
    assert len(vehicle.facts("run_ended")) == 1
    again = await vehicle.act("start_run")
    assert again["state"] == "running"
    await wait_for(lambda: vehicle.sensor() == "running", "the monitor in the run that goes on")


async def test_end_run_sensors_end_is_a_fact_of_the_case(vehicle: LoneVehicle) -> None:
    case = vehicle.agent.situation.current
    vehicle.may_close.set()
    await vehicle.act("end_run")
    last = vehicle.facts("sensor_state")[-1]
    assert (last.case, last.patient) == (case, "1")
    assert open_body(last, SensorState).state == "ended"


async def test_action_asked_for_twice_is_done_once(vehicle: LoneVehicle) -> None:
    name = new_id()
    first = await vehicle.act("note", id=name, text="dog in the yard")
    second = await vehicle.act("note", id=name, text="dog in the yard")
    assert first["facts"] == second["facts"] == [{"id": name, "kind": "case_note"}]
    assert (first["already"], second["already"]) == (False, True)
    (note,) = vehicle.facts("case_note")
    assert (note.id, open_body(note, CaseNote).text) == (name, "dog in the yard")


async def test_action_repeated_after_it_is_impossible_is_still_answered_as_done(
    vehicle: LoneVehicle,
) -> None:
    name = new_id()
    vehicle.may_close.set()
    await vehicle.act("end_run", id=name)
    again = await vehicle.act("end_run", id=name)
    assert again["already"]
    assert len(vehicle.facts("run_ended")) == 1


@pytest.mark.parametrize("name", ["another fact", "Z" * 26])
async def test_action_with_an_id_that_is_not_its_own_is_refused(
    vehicle: LoneVehicle, name: str
) -> None:
    if name == "another fact":
        name = vehicle.facts("run_started")[0].id
    with pytest.raises(RefusedActionError, match="id"):
        await vehicle.act("note", id=name, text="x")
    assert vehicle.facts("case_note") == []


async def test_action_made_but_not_in_the_logbook_yet_is_told_as_made_and_kept_later(
    vehicle: LoneVehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Envelope) -> bool:
        raise StorageError("no space left on device")

    name = new_id()
    monkeypatch.setattr(vehicle.agent.logbook, "add_own", full)
    made = await vehicle.act("note", id=name, text="made")
    assert not made["already"]
    assert (await vehicle.act("note", id=name, text="made"))["already"]
    monkeypatch.undo()
    await vehicle.act("note", text="another")
    kept = [fact.envelope.id for fact in vehicle.agent.logbook.facts()]
    assert name in kept


async def test_action_while_the_agent_ends_is_refused_in_words(tmp_path: Path) -> None:
    async with lone_vehicle(tmp_path) as vehicle:
        vehicle.assign()
    with pytest.raises(RefusedActionError, match="ending"):
        await vehicle.act("start_run")
