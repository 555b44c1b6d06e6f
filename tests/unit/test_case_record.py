"""The hub's record on its disk: what is stored is shown, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dispatch import case_record, cases
from dispatch.case_actions import Action, AddNote, AssignUnit, ChooseHospital, CloseCase, OpenCase
from dispatch.case_record import CaseRecord
from dispatch.errors import ConflictError
from dispatch.units import Fleet, HospitalSettings, UnitSettings
from streams.chain import Stored
from streams.clock import SystemClock
from streams.codec import encode
from streams.delivery import examine
from streams.errors import StorageError
from streams.identity import new_id
from streams.journal import Journal
from streams.messages import (
    Body,
    EcgRecord,
    Milestone,
    Numeric,
    Position,
    SensorState,
    Track,
    Vitals,
)
from streams.outbox import Draft, Outbox
from streams.topics import path
from tests.refusing_journal import RefusingOnce


class Hub:
    """A record on a journal of its own."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self.journal = journal
        self.outbox = Outbox(folder / "hub.sqlite", "hub", SystemClock())
        units = tuple(UnitSettings(name=f"unit-{n}") for n in (1, 2))
        hospitals = tuple(
            HospitalSettings(name=name, latitude_deg=31.2, longitude_deg=121.4)
            for name in ("first-hospital", "second-hospital")
        )
        self.record = CaseRecord(journal, self.outbox, Fleet(units, hospitals), SystemClock())
        self.told: list[str] = []
        self.record.follow(lambda fact: self.told.append(fact.envelope.kind))

    async def act(self, action: Action) -> str:
        return str((await self.record.act(action, "seat-1"))["case"])

    async def case(self, case: str) -> cases.Case:
        found = await self.record.case(case)
        assert found is not None
        return found

    async def kinds(self) -> list[str]:
        return [fact.envelope.kind for fact in await self.journal.facts()]


class Unit:
    """A unit that makes facts and hands them to the hub."""

    def __init__(self, folder: Path, name: str = "unit-1") -> None:
        self.name = name
        self.outbox = Outbox(folder / f"{name}.sqlite", name, SystemClock())

    async def say(self, hub: Hub, kind: str, body: Body, case: str | None) -> Any:
        envelope = self.outbox.add("hub", Draft(kind, body, case=case))
        item = examine(path("unit", "north", self.name, kind), encode(envelope), 1, "unit")
        ((_, stored),) = await hub.record.take([item])
        assert stored is not None
        return envelope


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with Journal(f"sqlite:///{tmp_path / 'journal.sqlite'}") as opened:
        yield opened


@pytest.fixture
def hub(tmp_path: Path, journal: Journal) -> Hub:
    return Hub(tmp_path, journal)


@pytest.mark.parametrize("moments", range(8))
async def test_action_cut_off_at_any_moment_is_done_and_shown_or_not_done(
    hub: Hub, moments: int
) -> None:
    case = await hub.act(OpenCase(address="Long Street"))
    acting = asyncio.create_task(
        hub.record.act(AssignUnit(case=case, unit="unit-1"), "seat-1"), name="act"
    )
    for _ in range(moments):
        await asyncio.sleep(0)
    acting.cancel()
    await asyncio.wait({acting})
    await hub.act(AddNote(case=case, text="next fact"))
    assert hub.told == await hub.kinds(), "every stored fact, once, in order"
    assigned = "unit_assigned" in hub.told
    assert (await hub.case(case)).unit == ("unit-1" if assigned else None)
    assert hub.record.position == len(hub.told)


async def test_action_with_the_id_of_a_units_fact_does_nothing_at_all(
    hub: Hub, tmp_path: Path
) -> None:
    unit = Unit(tmp_path)
    case = await hub.act(OpenCase(address="Long Street"))
    await hub.act(AssignUnit(case=case, unit="unit-1"))
    await hub.act(ChooseHospital(case=case, hospital="first-hospital"))
    said = await unit.say(hub, "milestone", Milestone(stage="en_route", at_ns=1), case)
    before = await hub.kinds()
    with pytest.raises(ConflictError, match="used for another action"):
        await hub.act(ChooseHospital(case=case, hospital="second-hospital", id=said.id))
    assert await hub.kinds() == before
    assert (await hub.case(case)).hospital == "first-hospital"


async def test_action_repeated_after_a_restart_is_done_once(
    hub: Hub, tmp_path: Path, journal: Journal
) -> None:
    action = OpenCase(address="Long Street", id=new_id())
    case = await hub.act(action)
    hub.outbox.close()
    again = Hub(tmp_path, journal)
    await again.record.restore()
    assert (await again.record.act(action, "seat-1"))["repeated"]
    assert await again.kinds() == ["case_opened"]
    await again.act(AddNote(case=case, text="n"))
    numbers = [(f.envelope.lane, f.envelope.sequence) for f in await journal.facts()]
    assert numbers == [("urgent", 1), ("facts", 1)]


async def test_journal_error_after_the_commit_is_read_before_the_next_decision(
    tmp_path: Path,
) -> None:
    journal = RefusingOnce(f"sqlite:///{tmp_path / 'journal.sqlite'}")
    async with journal:
        hub = Hub(tmp_path, journal)
        case = await hub.act(OpenCase(address="Long Street"))
        journal.refuses = True
        with pytest.raises(StorageError):
            await hub.act(AssignUnit(case=case, unit="unit-1"))
        with pytest.raises(ConflictError, match="is on this case already"):
            await hub.act(AssignUnit(case=case, unit="unit-1"))
        assert hub.told == await hub.kinds()
        numbers = [f.envelope.sequence for f in await journal.facts()]
        assert numbers == [1, 2]


async def test_fault_in_one_view_keeps_the_fact_from_no_other(hub: Hub) -> None:
    def faulty(_: Stored) -> None:
        raise ValueError("a view with a fault")

    hub.record._followers.insert(0, faulty)
    case = await hub.act(OpenCase(address="Long Street"))
    assert hub.told == ["case_opened"]
    assert (await hub.case(case)).address == "Long Street"


async def fill(hub: Hub, unit: Unit, *, close: bool) -> str:
    """Make a case with all that a view is built from, and waveforms between."""
    case = await hub.act(OpenCase(address="Long Street"))
    await hub.act(AssignUnit(case=case, unit=unit.name, override=True, reason="test"))
    await unit.say(hub, "milestone", Milestone(stage="en_route", at_ns=1), case)
    for rate in (80.0, 81.0):
        measured = Numeric(value=rate, measured_ns=SystemClock().wall_ns())
        body = Vitals(device="m", heart_rate_per_min=measured)
        await unit.say(hub, "vitals", body, case)
        await unit.say(hub, "ecg_record", EcgRecord(setup_id="a", frames=[b"x"]), case)
    await hub.act(ChooseHospital(case=case, hospital="first-hospital"))
    if close:
        await hub.act(CloseCase(case=case, outcome="handed_over"))
    await unit.say(hub, "ecg_record", EcgRecord(setup_id="a", frames=[b"y"]), case)
    return case


async def test_record_restored_shows_the_same_cases_without_reading_waveforms(
    hub: Hub, tmp_path: Path, journal: Journal
) -> None:
    unit = Unit(tmp_path)
    made = [await fill(hub, unit, close=close) for close in (True, False, False)]
    before = [await hub.case(case) for case in made]
    again = Hub(tmp_path, journal)
    read = await again.record.restore()
    assert [case.id for case in again.record.book.recent()] == made
    assert again.record.book.recent() == before
    facts = await journal.facts()
    assert read == sum(fact.envelope.kind != "ecg_record" for fact in facts)
    assert again.record.position == facts[-1].position
    bound = again.record.book.of_unit("unit-1")
    assert bound is not None
    assert bound.id == made[2]


async def test_record_restored_has_old_cases_when_they_are_wanted(
    hub: Hub, tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(case_record, "CLOSED_KEPT", 1)
    monkeypatch.setattr(cases, "CLOSED_KEPT", 1)
    monkeypatch.setattr(cases, "OLD_KEPT", 1)
    unit = Unit(tmp_path)
    old, older, last = [await fill(hub, unit, close=True) for _ in range(3)]
    again = Hub(tmp_path, journal)
    await again.record.restore()
    assert [case.id for case in again.record.book.recent()] == [last]
    for case in (old, older):
        found = await again.case(case)
        assert (found.outcome, found.facts) == ("handed_over", 10)
        assert found.vitals[None]["heart_rate_per_min"].newest.value == 81.0
    assert again.record.book.get(old) is None, "only so many old ones stay in memory"
    late = Milestone(stage="arrived", at_ns=2)
    await unit.say(again, "milestone", late, old)
    found = await again.case(old)
    assert (found.stage, found.facts, len(found.entries)) == ("arrived", 11, 6)
    await again.act(AddNote(case=older, text="said later"))
    assert (await again.case(older)).facts == 11
    assert [case.id for case in again.record.book.recent()] == [last], "the queue is as before"
    assert await again.record.case(new_id()) is None


async def test_record_restored_knows_where_units_were_and_how_their_sensors_are(
    hub: Hub, tmp_path: Path, journal: Journal
) -> None:
    unit = Unit(tmp_path)
    for number in range(3):
        position = Position(
            latitude_deg=31.0 + number, longitude_deg=121.0, measured_ns=number + 1, source="gnss"
        )
        await unit.say(hub, "track", Track(positions=[position]), None)
    for state in ("running", "failed"):
        body = msgspec.convert({"sensor": "monitor", "state": state}, SensorState)
        await unit.say(hub, "sensor_state", body, None)
    again = Hub(tmp_path, journal)
    await again.record.restore()
    for fleet in (hub.record.fleet, again.record.fleet):
        known = fleet.unit("unit-1")
        assert known.place == (33.0, 121.0)
        assert known.sensors["monitor"][0] == "failed"
        assert known.heard_ns > 0
