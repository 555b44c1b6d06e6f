"""The hub hears of a run only afterwards: it opens the case, and chooses who has the patient."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from dispatch.case_actions import AssignUnit, ChooseHospital, CloseCase, OpenCase
from streams.bay_messages import BayHandover
from streams.chain import verify
from streams.identity import new_id
from streams.journal import Journal
from streams.messages import CaseNote, Milestone, RunEnded, RunStarted
from tests.unit.test_case_record import Hub, Unit, hub, journal

__all__ = ["hub", "journal"]  # fixtures

TOLD = {
    "run_started": RunStarted(),
    "milestone": Milestone(stage="arrived", at_ns=1),
    "case_note": CaseNote(text="cold", at_ns=1),
}


def bay(hospital: str = "first-hospital") -> BayHandover:
    return BayHandover(hospital=hospital, at_ns=1, way="network", facts=3)


@pytest.mark.parametrize("order", list(itertools.permutations(TOLD)))
async def test_facts_of_a_case_nobody_heard_of_open_it_whichever_comes_first(
    hub: Hub, tmp_path: Path, order: tuple[str, ...]
) -> None:
    unit, case = Unit(tmp_path), new_id()
    for kind in order:
        await unit.say(hub, kind, TOLD[kind], case)
    assert await hub.kinds() == ["case_opened", "unit_assigned", *order]
    known = await hub.case(case)
    assert known.unit == "unit-1"
    assert known.is_open


async def test_case_of_a_unit_that_is_not_of_this_hub_is_not_opened(
    hub: Hub, tmp_path: Path
) -> None:
    with pytest.raises(AssertionError):  # refused: nothing is stored
        await Unit(tmp_path, "unit-9").say(hub, "run_started", RunStarted(), new_id())
    assert await hub.kinds() == []


async def test_handover_at_the_bay_chooses_that_hospital_and_stands_the_other_down(
    hub: Hub, tmp_path: Path, journal: Journal
) -> None:
    unit = Unit(tmp_path)
    case = await hub.act(OpenCase(address="Long Street"))
    await hub.act(AssignUnit(case=case, unit="unit-1"))
    await hub.act(ChooseHospital(case=case, hospital="second-hospital"))
    await unit.say(hub, "bay_handover", bay(), case)
    assert (await hub.kinds())[-3:] == ["bay_handover", "hospital_stood_down", "hospital_chosen"]
    known = await hub.case(case)
    assert known.hospital == "first-hospital"
    told = [entry.data for entry in known.entries if entry.kind == "hospital_stood_down"]
    assert told == [
        {"hospital": "second-hospital", "reason": "handed over at the bay of first-hospital"}
    ]
    verify(iter(await journal.facts(case=case)))


async def test_handover_where_the_hospital_is_chosen_changes_nothing(
    hub: Hub, tmp_path: Path
) -> None:
    unit = Unit(tmp_path)
    case = await hub.act(OpenCase(address="Long Street"))
    await hub.act(AssignUnit(case=case, unit="unit-1"))
    await hub.act(ChooseHospital(case=case, hospital="first-hospital"))
    await unit.say(hub, "bay_handover", bay(), case)
    assert (await hub.kinds())[-1] == "bay_handover"


async def test_transfer_after_the_handover_was_known_is_not_undone(
    hub: Hub, tmp_path: Path, journal: Journal
) -> None:
    unit, case = Unit(tmp_path), new_id()
    await unit.say(hub, "bay_handover", bay(), case)
    await hub.act(ChooseHospital(case=case, hospital="second-hospital", reason="cath lab"))
    await unit.say(hub, "case_note", CaseNote(text="moved on", at_ns=1), case)
    assert (await hub.case(case)).hospital == "second-hospital"
    hub.outbox.close()
    again = Hub(tmp_path, journal)
    await again.record.restore()
    assert (await again.case(case)).hospital == "second-hospital"


async def test_handover_of_a_case_that_was_closed_meanwhile_still_reaches_the_hospital(
    hub: Hub, tmp_path: Path
) -> None:
    unit = Unit(tmp_path)
    case = await hub.act(OpenCase(address="Long Street"))
    await hub.act(AssignUnit(case=case, unit="unit-1"))
    await hub.act(CloseCase(case=case, outcome="not_found"))
    await unit.say(hub, "bay_handover", bay(), case)
    known = await hub.case(case)
    assert (known.hospital, known.is_open) == ("first-hospital", False)


async def test_hub_killed_between_the_handover_and_its_decision_decides_at_the_start(
    hub: Hub, tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit, case = Unit(tmp_path), new_id()
    with monkeypatch.context() as killed:
        killed.setattr("dispatch.case_record.reconciling", lambda _case, _fleet: [])
        await unit.say(hub, "bay_handover", bay(), case)
    assert (await hub.kinds())[-1] == "bay_handover"
    hub.outbox.close()
    again = Hub(tmp_path, journal)
    await again.record.restore()
    assert (await again.kinds())[-1] == "hospital_chosen"


async def test_handover_at_a_hospital_that_is_not_known_keeps_the_fact_and_chooses_nobody(
    hub: Hub, tmp_path: Path
) -> None:
    unit, case = Unit(tmp_path), new_id()
    await unit.say(hub, "bay_handover", bay("far-hospital"), case)
    await unit.say(hub, "case_note", CaseNote(text="and on", at_ns=1), case)
    assert (await hub.case(case)).hospital is None
    assert "hospital_chosen" not in await hub.kinds()


async def test_late_run_of_the_crews_own_takes_no_unit_from_the_case_it_is_on(
    hub: Hub, tmp_path: Path
) -> None:
    unit, own = Unit(tmp_path), new_id()
    called = await hub.act(OpenCase(address="Long Street"))
    await hub.act(AssignUnit(case=called, unit="unit-1"))
    await unit.say(hub, "run_started", RunStarted(), own)
    bound = hub.record.book.of_unit("unit-1")
    assert bound is not None
    assert bound.id == called
    await unit.say(hub, "run_ended", RunEnded(reason="handed_over"), own)
    await unit.say(hub, "run_ended", RunEnded(reason="handed_over"), called)
    assert hub.record.book.of_unit("unit-1") is None
