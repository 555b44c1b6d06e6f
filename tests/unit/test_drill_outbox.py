"""Record, journal, forwarder and outbox on a disk: nothing of an exercise is to be sent."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from pathlib import Path
from typing import Any, cast

import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.case_actions import AddNote, AssignUnit, ChooseHospital, OneCase, OpenCase
from dispatch.case_record import CaseRecord
from dispatch.errors import DispatchError
from dispatch.forwarder import Forwarder
from dispatch.incident_requests import DeclareIncident, TagPatient, TransportPatient
from dispatch.units import Fleet, HospitalSettings, UnitSettings
from streams.chain import Refused, Stored
from streams.clock import SystemClock
from streams.codec import decode, encode
from streams.delivery import examine
from streams.identity import new_id
from streams.journal import Journal
from streams.messages import CaseNote, Envelope
from streams.outbox import Draft, Outbox
from streams.topics import LANES, path

UNITS = ("unit-1", "unit-2", "drill-unit")
HOSPITALS = ("first-hospital", "drill-hospital")


class NoTasks:
    """A group that starts nothing: what waits stays in the outbox."""

    def create_task(self, work: Any, *, name: str) -> None:
        work.close()


class Hub:
    """What of the hub stores and forwards."""

    def __init__(self, folder: Path, journal: Journal) -> None:
        self.journal, self.clock = journal, SystemClock()
        self.outbox = Outbox(folder / "hub.sqlite", "hub", self.clock)
        units = tuple(UnitSettings(name=one, drill=one.startswith("drill")) for one in UNITS)
        hospitals = tuple(
            HospitalSettings(
                name=one, latitude_deg=31.2, longitude_deg=121.4, drill=one.startswith("drill")
            )
            for one in HOSPITALS
        )
        self.record = CaseRecord(journal, self.outbox, Fleet(units, hospitals), self.clock)
        self.forwarder = self._forwarder()
        self.record.follow(self._take)

    def _take(self, fact: Stored) -> None:
        self.forwarder.take(fact)

    def _forwarder(self) -> Forwarder:
        async def publish(topic: str, data: bytes) -> None:
            raise AssertionError("nothing is sent here")

        return Forwarder(
            self.journal, self.outbox, region="north", publish=publish, clock=self.clock,
            changed=lambda _: None,
        )  # fmt: skip

    async def act(self, action: OneCase) -> str:
        return str((await self.record.act(action, "seat-1"))["case"])

    async def forward(self) -> None:
        while await self.forwarder.step(cast("asyncio.TaskGroup", NoTasks())):
            pass

    def waiting(self) -> list[tuple[str, Envelope]]:
        """Everything that is to be sent, with its destination."""
        return [
            (party, decode(entry.data))
            for party in self.outbox.destinations()
            for lane in LANES
            for entry in self.outbox.waiting(party, lane, 0, 10_000)
        ]


@contextlib.asynccontextmanager
async def a_hub(folder: Path) -> Any:
    async with Journal(f"sqlite:///{folder / 'journal.sqlite'}") as journal:
        hub = Hub(folder, journal)
        yield hub
        hub.outbox.close()


CASE = st.integers(0, 1)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("assign"), CASE, st.sampled_from(UNITS)),
        st.tuples(st.just("choose"), CASE, st.sampled_from(HOSPITALS)),
        st.tuples(st.just("transport"), CASE, st.sampled_from(UNITS)),
        st.tuples(st.just("note"), CASE, st.just("")),
        st.tuples(st.just("begin again"), CASE, st.just("")),
    ),
    min_size=5,
    max_size=20,
)


def action(cases: list[str], what: str, number: int, name: str) -> OneCase:
    case, drill = cases[number], number == 1
    if what == "assign":
        return AssignUnit(case=case, unit=name, override=True, reason="because")
    if what == "choose":
        return ChooseHospital(case=case, hospital=name, reason="because")
    if what == "transport":
        hospital = HOSPITALS[drill]
        return TransportPatient(case=case, code=f"T-{number}", unit=name, hospital=hospital,
                                override=True, reason="because")  # fmt: skip
    return AddNote(case=case, text="heard")


async def play(folder: Path, chosen: list[tuple[str, int, str]]) -> None:
    async with a_hub(folder) as hub:
        cases = [await hub.act(OpenCase(address="a", drill=drill)) for drill in (False, True)]
        for number, case in enumerate(cases):
            await hub.act(DeclareIncident(case=case, kind="fire", drill=number == 1))
            await hub.act(TagPatient(case=case, code=f"T-{number}", method="hand", tag="minor"))
        for what, number, name in chosen:
            if what == "begin again":
                hub.forwarder = hub._forwarder()
                await hub.forwarder.restore([one.id for one in hub.record.book.recent()])
                continue
            with contextlib.suppress(DispatchError):
                await hub.act(action(cases, what, number, name))
            await hub.forward()
        drills = {one.id for one in hub.record.book.recent() if one.drill}
        assert cases[1] in drills
        for party, envelope in hub.waiting():
            assert not envelope.drill
            assert envelope.case not in drills
            assert "drill" not in party
        for fact in await hub.journal.facts():
            assert fact.envelope.drill == (fact.envelope.case in drills)


@settings(max_examples=25, deadline=None)
@given(steps)
def test_no_fact_of_an_exercise_is_ever_in_the_outbox_whatever_is_done(
    chosen: list[tuple[str, int, str]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(Path(folder), chosen))


async def test_real_case_beside_an_exercise_is_sent_on(tmp_path: Path) -> None:
    async with a_hub(tmp_path) as hub:
        await hub.act(OpenCase(address="exercise", drill=True))
        live = await hub.act(OpenCase(address="real"))
        await hub.act(ChooseHospital(case=live, hospital="first-hospital"))
        await hub.forward()
        assert {envelope.case for _, envelope in hub.waiting()} == {live}


async def test_draft_of_an_exercise_that_came_so_far_is_dropped_and_logged(tmp_path: Path) -> None:
    async with a_hub(tmp_path) as hub:
        note = Draft("case_note", CaseNote(text="x", at_ns=1), case="0" * 26, drill=True)
        with structlog.testing.capture_logs() as logs:
            group = cast("asyncio.TaskGroup", NoTasks())
            hub.forwarder._add([("unit/unit-1", note)], None, group)
        assert hub.waiting() == []
        assert any("exercise" in line["event"] for line in logs)


async def test_fact_of_a_unit_whose_flag_is_not_that_of_its_case_is_refused(
    tmp_path: Path,
) -> None:
    async with a_hub(tmp_path) as hub:
        unit = Outbox(tmp_path / "unit.sqlite", "drill-unit", SystemClock())
        case = await hub.act(OpenCase(address="exercise", drill=True))
        await hub.act(AssignUnit(case=case, unit="drill-unit"))
        for drill, wanted in ((False, "drill"), (True, "")):
            draft = Draft("case_note", CaseNote(text="x", at_ns=1), case=case, drill=drill)
            topic = path("unit", "north", "drill-unit", "case_note", drill=drill)
            item = examine(topic, encode(unit.add("hub", draft)), 1, "unit")
            ((judged, stored),) = await hub.record.take([item])
            assert (judged.reason if isinstance(judged, Refused) else "") == wanted
            assert (stored is None) == bool(wanted)
        unit.close()


async def test_unit_of_exercises_that_speaks_in_earnest_opens_no_case(tmp_path: Path) -> None:
    async with a_hub(tmp_path) as hub:
        for name, wanted in (("drill-unit", 0), ("unit-1", 1)):
            unit = Outbox(tmp_path / f"{name}.sqlite", name, SystemClock())
            draft = Draft("case_note", CaseNote(text="x", at_ns=1), case=new_id())
            envelope = unit.add("hub", draft)
            item = examine(path("unit", "north", name, "case_note"), encode(envelope), 1, "unit")
            ((_, stored),) = await hub.record.take([item])
            assert (stored is not None, len(hub.record.book.open())) == (bool(wanted), wanted)
            unit.close()
