"""What came past the hub at the gateway: stored before it is answered, shown, and never twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dispatch.case_actions import AssignUnit, ChooseHospital, OpenCase
from hospital_gateway.actions import Acknowledge, Actions, Dismiss, Note
from hospital_gateway.bay_desk import BayDesk
from hospital_gateway.bay_store import PLACE
from hospital_gateway.errors import BayRefusedError, PairingError
from streams.bay_code import BayContent
from streams.bay_messages import (
    VERSION,
    BayHandover,
    CarriedFact,
    Closing,
    Opening,
    Portion,
    digest_after,
)
from streams.clock import SystemClock
from streams.codec import decode, encode, encode_body
from streams.delivery import examine
from streams.errors import StorageError
from streams.health import REFUSED
from streams.identity import new_id
from streams.journal import Journal
from streams.messages import (
    Body,
    CaseNote,
    Envelope,
    Numeric,
    PreAlert,
    Vitals,
)
from streams.outbox import Draft, Outbox
from streams.topics import path
from tests.refusing_journal import RefusingOnce
from tests.unit.test_case_record import Hub
from tests.unit.test_inbound import HERE, Gateway

UNIT, SECRET = "unit-1", "s" * 40


class Vehicle:
    """A vehicle with a case that nobody heard of."""

    def __init__(self, folder: Path, case: str | None = None) -> None:
        self.outbox = Outbox(folder / f"{new_id()}.sqlite", UNIT, SystemClock())
        self.case = case or new_id()
        self.made: list[Envelope] = []

    def make(self, kind: str, body: Body, **fields: Any) -> Envelope:
        envelope = self.outbox.add("hub", Draft(kind, body, case=self.case, patient="1", **fields))
        self.made.append(envelope)
        return envelope

    def run(self) -> None:
        """Make what a run makes."""
        self.make("pre_alert", PreAlert(pathway="stemi", severity="red", age_years=60, sex="male"))
        for rate in (118.0, 120.0, 122.0):
            at_ns = SystemClock().wall_ns()
            value = Numeric(value=rate, measured_ns=at_ns)
            self.make("vitals", Vitals(device="monitor", heart_rate_per_min=value))
        self.make("case_note", CaseNote(text="cold and clammy", at_ns=SystemClock().wall_ns()))

    def carried(self) -> list[CarriedFact]:
        return [CarriedFact(0, 0, encode(envelope)) for envelope in self.made]


class Bay(Gateway):
    """A gateway with its bay."""

    def start(self) -> None:
        super().start()
        self.told: list[dict[str, Any]] = []
        self.now_ns = SystemClock().wall_ns() + 1_000_000_000
        self.desk = BayDesk(
            hospital=(HERE, "First"), region="north", drill=False, store=self.store,
            clock=SystemClock(), hub_now_ns=lambda: self.now_ns, show=self.inbound.show_bay,
            tell=self.told.append,
        )  # fmt: skip
        self.actions = Actions(
            hospital=HERE, roles=["charge nurse"], board=self.board, outbox=self.outbox,
            clock=SystemClock(), offset_ns=lambda: 0, made=lambda: None,
            destination=self.bay.destination,
        )  # fmt: skip

    def let_in(self, vehicle: Vehicle, secret: str = SECRET, **changed: Any) -> None:
        fields: dict[str, Any] = {
            "version": VERSION, "code": self.desk.make_code("desk").code, "session": secret,
            "unit": UNIT, "label": "Medic 1", "region": "north", "case": vehicle.case,
            "drill": False, "facts": max(1, len(vehicle.made)), "wall_ns": self.now_ns,
        } | changed  # fmt: skip
        self.session = self.desk.open(Opening(**fields)).name

    async def hand_over(self, vehicle: Vehicle, secret: str = SECRET) -> Envelope:
        """Hand all over; return the fact that says so."""
        self.let_in(vehicle, secret)
        facts = vehicle.carried()
        await self.desk.take(secret, Portion(first=0, expected=len(facts), facts=facts))
        return await self.close(vehicle, facts, secret)

    async def close(
        self, vehicle: Vehicle, facts: list[CarriedFact], secret: str = SECRET
    ) -> Envelope:
        digest = ""
        for fact in facts:
            digest = digest_after(digest, fact.data)
        body = BayHandover(
            hospital=HERE, at_ns=SystemClock().wall_ns(), way="network", facts=len(facts),
            digest=digest, session=self.session,
        )  # fmt: skip
        said = vehicle.make("bay_handover", body)
        await self.desk.close(secret, Closing(digest=digest, handover=encode(said)))
        return said

    async def hear(self, town: Town, case: str) -> None:
        """Take all that the hub has of a case."""
        await self.give(*await town.hub.journal.facts(case=case, limit=None))


class Town:
    """The gateway with its bay, and the real hub's record on a journal of its own."""

    def __init__(self, hub: Hub, here: Bay) -> None:
        self.hub, self.here = hub, here

    async def tell(self, envelope: Envelope) -> None:
        """Bring a fact of a vehicle to the hub."""
        topic = path("unit", "north", envelope.source, envelope.kind)
        await self.hub.record.take([examine(topic, encode(envelope), 1, "unit")])

    async def coverage(self, vehicle: Vehicle) -> None:
        """Bring to the hub, in this order, all that the vehicle made."""
        for envelope in vehicle.made:
            await self.tell(envelope)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    (tmp_path / "hub").mkdir()
    at_hub = Journal(f"sqlite:///{tmp_path / 'hub' / 'journal.sqlite'}")
    here = RefusingOnce(f"sqlite:///{tmp_path / 'journal.sqlite'}")
    async with at_hub, here:
        yield Town(Hub(tmp_path / "hub", at_hub), Bay(tmp_path, here))


def counts(bay: Bay, case: str) -> dict[str, int]:
    """How many lines of each kind and how many points the board shows."""
    found: dict[str, int] = {}
    for line in bay.board.lines(case):
        found[line["kind"]] = found.get(line["kind"], 0) + 1
    curves = bay.board.whole(case)["curves"]
    return found | {"points": sum(len(c) for p in curves.values() for c in p.values())}


async def test_case_nobody_heard_of_is_on_the_board_as_soon_as_it_is_stored(town: Town) -> None:
    here, vehicle = town.here, Vehicle(town.here.folder)
    vehicle.run()
    await here.hand_over(vehicle)
    assert here.board.cases() == [vehicle.case]
    card = here.board.card(vehicle.case)
    assert card.status == "arrived"
    assert card.patients[0].pathway == "stemi"
    assert card.patients[0].vitals["heart_rate_per_min"].value == 122.0
    assert card.unit_names == {UNIT: "Medic 1"}
    assert card.bay is not None
    assert (card.bay.confirmed, card.bay.closed, card.bay.waiting) == (False, True, 6)
    assert counts(here, vehicle.case) == {
        "pre_alert": 1, "case_note": 1, "bay_handover": 1, "points": 3,
    }  # fmt: skip


async def test_handover_is_there_after_a_crash_at_any_piece_and_goes_on(town: Town) -> None:
    here, vehicle = town.here, Vehicle(town.here.folder)
    vehicle.run()
    facts = vehicle.carried()
    here.let_in(vehicle)
    for number, fact in enumerate(facts):
        portion = Portion(first=number, expected=len(facts), facts=[fact])
        assert (await here.desk.take(SECRET, portion)).stored == number + 1
        await here.restart()
        assert here.desk.progress(SECRET).stored == number + 1
        assert here.board.cases() == [vehicle.case]
    await here.close(vehicle, facts)
    await here.restart()
    card = here.board.card(vehicle.case)
    assert card.bay is not None
    assert (card.bay.stored, card.bay.waiting) == (5, 6)


async def test_piece_repeated_whole_or_in_part_changes_nothing(town: Town) -> None:
    here, vehicle = town.here, Vehicle(town.here.folder)
    vehicle.run()
    facts = vehicle.carried()
    here.let_in(vehicle)
    for first, last in ((0, 3), (0, 3), (1, 4), (0, 5), (0, 5)):
        portion = Portion(first=first, expected=5, facts=facts[first:last])
        await here.desk.take(SECRET, portion)
    assert here.desk.progress(SECRET).stored == 5
    await here.close(vehicle, facts)
    shown = counts(here, vehicle.case)
    await here.hand_over(vehicle, "t" * 40)  # the crew does all of it once more
    assert counts(here, vehicle.case) == shown | {"bay_handover": 2}


async def test_piece_beyond_a_gap_and_a_close_of_less_are_refused(town: Town) -> None:
    here, vehicle = town.here, Vehicle(town.here.folder)
    vehicle.run()
    facts = vehicle.carried()
    here.let_in(vehicle)
    with pytest.raises(BayRefusedError, match="go on with fact 0"):
        await here.desk.take(SECRET, Portion(first=2, expected=5, facts=facts[2:]))
    await here.desk.take(SECRET, Portion(first=0, expected=5, facts=facts[:2]))
    with pytest.raises(BayRefusedError, match="2 of 5"):
        await here.close(vehicle, facts)
    card = here.board.card(vehicle.case)
    assert card.bay is not None
    assert not card.bay.closed


async def test_coverage_back_brings_the_hubs_copies_and_nothing_stands_twice(town: Town) -> None:
    here, vehicle = town.here, Vehicle(town.here.folder)
    vehicle.run()
    await here.hand_over(vehicle)
    before = counts(here, vehicle.case)
    await town.coverage(vehicle)
    await here.hear(town, vehicle.case)
    after = counts(here, vehicle.case)
    made_by_hub = {"case_opened": 1, "unit_assigned": 1, "hospital_chosen": 1}
    assert after == before | made_by_hub
    card = here.board.card(vehicle.case)
    assert card.bay is not None
    assert (card.bay.confirmed, card.bay.waiting, card.bay.differing) == (True, 0, 0)
    assert card.status == "arrived"
    assert card.chain.proven == card.chain.last == 9
    assert here.store.facts(vehicle.case) == []
    replica = [fact.data for fact in await here.journal.facts(case=vehicle.case)]
    assert replica == [fact.data for fact in await town.hub.journal.facts(case=vehicle.case)]
    assert {encode(one) for one in vehicle.made} <= set(replica)


@pytest.mark.parametrize("cut", range(1, 10))
async def test_hubs_copies_coming_piece_by_piece_never_show_anything_twice(
    town: Town, cut: int
) -> None:
    here, vehicle = town.here, Vehicle(town.here.folder)
    vehicle.run()
    await here.hand_over(vehicle)
    before = counts(here, vehicle.case)
    await town.coverage(vehicle)
    facts = await town.hub.journal.facts(case=vehicle.case)
    await here.give(*facts[:cut])
    now = counts(here, vehicle.case)
    assert {kind: now[kind] for kind in before} == before
    assert here.board.card(vehicle.case).status == "arrived"
    await here.restart()
    assert {kind: counts(here, vehicle.case)[kind] for kind in before} == before
    await here.give(*facts[cut:])
    assert here.board.card(vehicle.case).bay.confirmed  # type: ignore[union-attr]


async def test_handover_after_the_hubs_copies_came_shows_nothing_twice(town: Town) -> None:
    here, vehicle = town.here, Vehicle(town.here.folder)
    vehicle.run()
    vehicle.make("bay_handover", BayHandover(hospital=HERE, at_ns=1, way="qr", facts=5))
    await town.coverage(vehicle)
    await here.hear(town, vehicle.case)
    before = counts(here, vehicle.case)
    await here.hand_over(vehicle)
    assert counts(here, vehicle.case) == before | {"bay_handover": 2}
    assert here.store.waiting(vehicle.case) == [vehicle.made[-1].id]


async def test_fact_that_differs_from_the_hubs_is_told_and_the_hubs_is_shown(town: Town) -> None:
    here, vehicle = town.here, Vehicle(town.here.folder)
    vehicle.run()
    told = REFUSED.labels("bay", "differs")
    before = told._value.get()
    await here.hand_over(vehicle)
    forged = encode_body(CaseNote(text="changed on the way", at_ns=SystemClock().wall_ns()))
    note = msgspec.structs.replace(vehicle.made[4], body=forged)
    for envelope in [*vehicle.made[:4], note, *vehicle.made[5:]]:
        await town.tell(envelope)
    await here.hear(town, vehicle.case)
    lines = [one["said"]["text"] for one in here.board.lines(vehicle.case) if one["id"] == note.id]
    assert lines == ["changed on the way"]
    card = here.board.card(vehicle.case)
    assert card.bay is not None
    assert (card.bay.differing, card.bay.waiting) == (1, 0)
    assert told._value.get() == before + 1


async def test_acts_wait_for_the_hub_to_know_and_reach_it_with_their_own_time_and_id(
    town: Town,
) -> None:
    here, vehicle = town.here, Vehicle(town.here.folder)
    vehicle.run()
    await here.hand_over(vehicle)
    case = vehicle.case
    made = here.actions.perform(Acknowledge(case=case, role="charge nurse"))
    here.actions.perform(Note(case=case, text="in bay 2"))
    at_ns = decode(here.outbox.waiting(f"bay/{case}", "urgent", 0, 1)[0].data).source_ns
    assert here.outbox.depth("hub").waiting == {}
    await here.restart()
    here.actions.restore()
    (mark,) = here.board.card(case).seen
    assert mark.state == "made"
    await town.coverage(vehicle)
    await here.hear(town, case)
    (sent,) = here.outbox.waiting("hub", "urgent", 0, 9)
    envelope = decode(sent.data)
    assert (envelope.id, envelope.kind) == (made["id"], "acknowledged")
    assert abs(envelope.source_ns - at_ns) < 1_000_000
    assert len(here.outbox.waiting("hub", "facts", 0, 9)) == 1
    assert here.outbox.depth(f"bay/{case}").waiting == {}
    topic = path("hospital", "north", HERE, "acknowledged")
    ((judged, stored),) = await town.hub.record.take([examine(topic, sent.data, 1, "hospital")])
    assert stored is not None, judged


async def test_case_that_was_sent_elsewhere_is_here_until_the_hub_knows_better(town: Town) -> None:
    here, hub = town.here, town.hub
    case = await hub.act(OpenCase(address="Long Street"))
    await hub.act(AssignUnit(case=case, unit=UNIT))
    await hub.act(ChooseHospital(case=case, hospital=HERE))
    await hub.act(ChooseHospital(case=case, hospital="second-hospital", reason="cath lab"))
    told = await hub.journal.facts(case=case)
    await here.give(*told[:4])  # up to the word to stand down
    assert here.board.card(case).status == "stood_down"
    vehicle = Vehicle(here.folder, case)
    vehicle.run()
    await here.hand_over(vehicle)
    assert here.board.card(case).status == "arrived"
    await town.coverage(vehicle)
    await here.give(*(await hub.journal.facts(case=case))[4:])
    assert here.board.card(case).status == "arrived"
    await hub.act(ChooseHospital(case=case, hospital="second-hospital", reason="transfer"))
    await here.give(*(await hub.journal.facts(case=case))[-2:-1])
    assert here.board.card(case).status == "stood_down", "the hub knew of the hand-over"


async def test_hubs_own_facts_come_with_the_vehicle_and_say_who_and_where(town: Town) -> None:
    here, hub = town.here, town.hub
    case = await hub.act(OpenCase(address="12 Long Street"))
    await hub.act(AssignUnit(case=case, unit=UNIT))
    vehicle = Vehicle(here.folder, case)
    vehicle.run()
    known = [
        CarriedFact(fact.case_sequence or 0, fact.corrected_ns, fact.data)
        for fact in await hub.journal.facts(case=case)
    ]
    here.let_in(vehicle)
    facts = [*known, *vehicle.carried()]
    await here.desk.take(SECRET, Portion(first=0, expected=len(facts), facts=facts))
    assert here.board.card(case).address == "12 Long Street"
    await here.close(vehicle, facts)
    await town.coverage(vehicle)
    await here.hear(town, case)
    assert counts(here, case)["case_opened"] == 1
    assert here.board.card(case).bay.confirmed  # type: ignore[union-attr]


async def test_what_is_no_fact_of_the_case_is_refused_and_counted_and_the_rest_is_taken(
    town: Town,
) -> None:
    here, vehicle, other = town.here, Vehicle(town.here.folder), Vehicle(town.here.folder)
    vehicle.run()
    other.run()
    drill = vehicle.outbox.add(
        "hub", Draft("case_note", CaseNote(text="x", at_ns=1), case=vehicle.case, drill=True)
    )
    hub = msgspec.structs.replace(vehicle.made[0], source="hub", id=new_id())
    strange = [b"", b"\xc1", encode(other.made[0]), encode(drill), encode(hub)]
    facts = [*vehicle.carried(), *(CarriedFact(0, 0, data) for data in strange)]
    here.let_in(vehicle)
    progress = await here.desk.take(SECRET, Portion(first=0, expected=10, facts=facts))
    assert (progress.stored, progress.refused) == (10, 5)
    assert progress.reason
    await here.close(vehicle, facts)
    assert len(here.store.waiting(vehicle.case)) == 6
    assert here.store.waiting(other.case) == []


@pytest.mark.parametrize(
    "changed", [{"region": "south"}, {"drill": True}, {"version": 2}, {"code": "1"}]
)
async def test_vehicle_that_is_not_for_this_board_is_not_let_in(
    town: Town, changed: dict[str, Any]
) -> None:
    with pytest.raises((BayRefusedError, PairingError)):
        town.here.let_in(Vehicle(town.here.folder), **changed)
    with pytest.raises(PairingError):
        town.here.desk.progress(SECRET)


async def test_session_ends_after_a_while_and_a_stranger_has_none(town: Town) -> None:
    here, vehicle = town.here, Vehicle(town.here.folder)
    vehicle.run()
    here.let_in(vehicle)
    with pytest.raises(PairingError):
        here.desk.progress("x" * 40)
    here.now_ns += 3 * 3600 * 10**9
    with pytest.raises(PairingError):
        here.desk.progress(SECRET)


async def test_full_disk_stores_nothing_and_answers_nothing(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, vehicle = town.here, Vehicle(town.here.folder)
    vehicle.run()
    facts = vehicle.carried()
    here.let_in(vehicle)
    with monkeypatch.context() as full:
        here.store._file._db.execute("PRAGMA max_page_count = 1")
        large = [CarriedFact(0, 0, encode(vehicle.make(
            "case_note", CaseNote(text="x" * 3900, at_ns=1)))) for _ in range(40)]  # fmt: skip
        facts += large
        with pytest.raises(StorageError):
            await here.desk.take(SECRET, Portion(first=0, expected=45, facts=facts))
        del full
    assert here.desk.progress(SECRET).stored == 0
    here.store._file._db.execute("PRAGMA max_page_count = 1000000")
    progress = await here.desk.take(SECRET, Portion(first=0, expected=45, facts=facts))
    assert progress.stored == 45


async def test_qr_codes_read_at_a_seat_are_shown_and_settled_like_the_rest(town: Town) -> None:
    here, vehicle = town.here, Vehicle(town.here.folder)
    vehicle.run()
    content = BayContent(
        version=VERSION, unit=UNIT, label="Medic 1", region="north", case=vehicle.case,
        drill=False, wall_ns=SystemClock().wall_ns(), all_facts=9, carried=vehicle.carried(),
    )  # fmt: skip
    for _ in range(2):  # two people read them
        await here.desk.read_code(content, "desk")
    before = counts(here, vehicle.case)
    assert before == {"pre_alert": 1, "case_note": 1, "points": 3}
    card = here.board.card(vehicle.case)
    assert card.bay is not None
    assert (card.bay.way, card.bay.stored, card.bay.expected) == ("qr", 5, 9)
    vehicle.make("bay_handover", BayHandover(hospital=HERE, at_ns=1, way="qr", facts=5))
    await town.coverage(vehicle)
    await here.hear(town, vehicle.case)
    assert {kind: counts(here, vehicle.case)[kind] for kind in before} == before
    assert here.board.card(vehicle.case).bay.confirmed  # type: ignore[union-attr]


async def test_patient_whom_the_hub_does_not_know_can_be_taken_off_the_board(town: Town) -> None:
    here, vehicle = town.here, Vehicle(town.here.folder)
    vehicle.run()
    await here.hand_over(vehicle)
    here.actions.perform(Dismiss(case=vehicle.case))
    assert here.board.cases() == []
    await here.restart()
    assert here.board.cases() == []
    await town.coverage(vehicle)
    await here.hear(town, vehicle.case)
    assert here.board.cases() == [vehicle.case], "the hub says that the patient is here"


async def test_facts_without_the_hubs_time_are_placed_by_the_vehicles_clock_at_the_bay(
    town: Town,
) -> None:
    here, vehicle = town.here, Vehicle(town.here.folder)
    vehicle.run()
    ahead_ns = 3600 * 10**9
    unknown = [
        msgspec.structs.replace(
            one, offset_ns=None, uncertainty_ns=None, source_ns=one.source_ns + ahead_ns
        )
        for one in vehicle.made
    ]
    vehicle.made = unknown
    here.let_in(vehicle, wall_ns=SystemClock().wall_ns() + ahead_ns)
    facts = vehicle.carried()
    await here.desk.take(SECRET, Portion(first=0, expected=5, facts=facts))
    lines = here.board.lines(vehicle.case)
    assert all(abs(line["noted_ms"] - here.now_ns / 1e6) < 60_000 for line in lines)
    assert {line["time"] for line in lines} == {"unknown"}


def test_places_of_the_bay_are_beyond_any_the_hub_gives() -> None:
    assert PLACE > 10**12
