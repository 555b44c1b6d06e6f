"""Any interleaving between hub and gateway ends with each case whole where it is to be.

Hypothesis chooses what happens; the parts are real (``tests.forwarding_world``). A failure prints
the steps and a blob that repeats them. ``FORERUN_SEARCH=5000`` looks at so many runs instead of
a few.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dispatch import forwarder, refilling
from streams.errors import StorageError
from streams.messages import CaseClosed, CaseOpened, HospitalChosen, HospitalStoodDown, UnitAssigned
from streams.outbox import Draft
from streams.topics import LANES
from tests.delivery_world import CASES, SECOND_NS, UNIT, OnWire, draft
from tests.forwarding_world import ELSEWHERE, FILES, HERE, KINDS, Killed, World

RUNS = int(os.environ.get("FORERUN_SEARCH", "0"))

SEARCH = settings(
    max_examples=RUNS or 40,
    stateful_step_count=60 if RUNS else 30,
    derandomize=not RUNS,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)

PLACE = st.integers(0, 1000)
CASE = st.integers(0, 2)
LANE = st.sampled_from(LANES)
SIZE = st.one_of(st.integers(0, 40), st.integers(0, 3000))
HOSPITAL = st.sampled_from([HERE, HERE, ELSEWHERE])
KIND = st.sampled_from(KINDS)
DEATHS = st.sampled_from(["before the commit", "before it answers"])
MOMENT = st.sampled_from(["before", "after"])
SET_BACK = st.sampled_from([FILES, FILES[:1]])


class Forwarding(RuleBasedStateMachine):
    """A hub, a hospital's gateway, and everything that may happen between them."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="forwarding-"))
        self.world = World(self.folder, asyncio.new_event_loop())

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.world.heal()
        finally:
            self.world.close()
            self.world.loop.close()
            shutil.rmtree(self.folder)

    # --- what the hub stores -------------------------------------------------------------------

    def opened(self, case: int) -> str:
        """Return a case; a hub opens it with its first fact."""
        name = CASES[case]
        if not self.world.cases[name].facts:
            opened = CaseOpened(address="", complaint="", alias="Blue Heron")
            self.world.make(Draft("case_opened", opened, case=name), source="hub")
        return name

    @rule(lane=LANE, case=CASE, size=SIZE, count=st.integers(1, 4))
    def store(self, lane: str, case: int, size: int, count: int) -> None:
        self.opened(case)
        drafts = [draft(lane, case, size + number) for number in range(count)]  # type: ignore[arg-type]
        self.world.make(*drafts)

    @rule(case=CASE, hospital=HOSPITAL)
    def choose(self, case: int, hospital: str) -> None:
        """As the hub does: who was chosen before stands down first."""
        name = self.opened(case)
        model = self.world.cases[name]
        if model.closed or model.hospital == hospital:
            return
        if model.hospital is not None:
            self.stand_down(case)
        chosen = HospitalChosen(hospital=hospital, name=hospital)
        self.world.make(Draft("hospital_chosen", chosen, case=name), source="hub")

    @rule(case=CASE)
    def stand_down(self, case: int) -> None:
        name = self.opened(case)
        hospital = self.world.cases[name].hospital
        if hospital is not None:
            body = HospitalStoodDown(hospital=hospital)
            self.world.make(Draft("hospital_stood_down", body, case=name), source="hub")

    @rule(case=CASE)
    def assign(self, case: int) -> None:
        name = self.opened(case)
        assigned = UnitAssigned(unit=UNIT)
        self.world.make(Draft("unit_assigned", assigned, case=name), source="hub")

    @rule(case=CASE)
    def close(self, case: int) -> None:
        name = self.opened(case)
        if not self.world.cases[name].closed:
            closed = CaseClosed(outcome="handed_over")
            self.world.make(Draft("case_closed", closed, case=name), source="hub")

    # --- the hub -------------------------------------------------------------------------------

    @rule(turns=st.integers(1, 4))
    def forward(self, turns: int) -> None:
        for _ in range(turns):
            self.world.forward()

    @rule(turns=st.integers(1, 6))
    def send(self, turns: int) -> None:
        for _ in range(turns):
            self.world.send()

    @rule()
    def kill_the_hub(self) -> None:
        self.world.restart_hub()

    @rule(writes=st.integers(0, 3), moment=MOMENT)
    def kill_the_hub_while_it_forwards(self, writes: int, moment: str) -> None:
        self.world.forward_with(Killed(moment), writes)

    @rule(writes=st.integers(0, 3))
    def have_the_hubs_disk_refuse(self, writes: int) -> None:
        self.world.forward_with(StorageError("the disk is full"), writes)

    @rule()
    def lose_the_hubs_path(self) -> None:
        self.world.hub_has_path = False

    @rule()
    def find_the_hubs_path(self) -> None:
        self.world.hub_has_path = True
        self.world.forwarder.path_is_new()

    @rule(seconds=st.sampled_from([0.3, 1.1, 2.1, 16, 31]))
    def pass_time(self, seconds: float) -> None:
        self.world.clock.monotonic += int(seconds * SECOND_NS)
        self.world.clock.wall += int(seconds * SECOND_NS)

    @rule(lane=LANE, case=CASE, size=SIZE, turns=st.integers(1, 6))
    def drive_undisturbed(self, lane: str, case: int, size: int, turns: int) -> None:
        """All is well for a while: without this little would ever be stored and freed."""
        self.find_the_hubs_path()
        self.find_the_gateways_path()
        self.choose(case, HERE)
        for _ in range(turns):
            self.store(lane, case, size, 2)
            self.world.exchange()

    # --- what is under way ---------------------------------------------------------------------

    def some(self, kind: str, place: int, count: int) -> list[OnWire]:
        wire = self.world.wires[kind]
        return [wire[(place + step) % len(wire)] for step in range(min(count, len(wire)))]

    def under_way(self) -> bool:
        return hasattr(self, "world") and any(self.world.wires.values())

    def facts_under_way(self) -> bool:
        return hasattr(self, "world") and bool(self.world.wires["case_fact"])

    @precondition(under_way)
    @rule(kind=KIND, place=PLACE, count=st.integers(1, 8))
    def deliver(self, kind: str, place: int, count: int) -> None:
        if some := self.some(kind, place, count):
            self.world.deliver(kind, some)

    @precondition(under_way)
    @rule(kind=KIND, place=PLACE, count=st.integers(1, 8))
    def deliver_backwards(self, kind: str, place: int, count: int) -> None:
        if some := self.some(kind, place, count)[::-1]:
            self.world.deliver(kind, some)

    @precondition(under_way)
    @rule(kind=KIND, place=PLACE)
    def repeat(self, kind: str, place: int) -> None:
        for one in self.some(kind, place, 1):
            self.world.wires[kind].append(OnWire(one.topic, one.data, one.acknowledged))

    @precondition(under_way)
    @rule(kind=KIND, place=PLACE, count=st.integers(1, 4))
    def lose(self, kind: str, place: int, count: int) -> None:
        for one in self.some(kind, place, count):
            self.world.taken(one)

    @precondition(facts_under_way)
    @rule(place=PLACE, cut=st.integers(1, 60), how=st.integers(0, 3))
    def spoil(self, place: int, cut: int, how: int) -> None:
        """Deliver what is no fact, or another hospital's: nothing is stored and none is freed."""
        (one,) = self.some("case_fact", place, 1)
        data = (one.data[:-cut], one.data[cut:], b"\x00" * cut, one.data)[how]
        topic = one.topic.replace(HERE, ELSEWHERE) if how == 3 else one.topic
        before = self.world.stored()
        self.world.take([OnWire(topic, data, lambda _: None)])
        assert self.world.stored() == before, "spoiled, and stored"

    @rule()
    def wipe_the_broker(self) -> None:
        for wire in self.world.wires.values():
            wire.clear()
        self.world.hub_has_path = self.world.gateway_has_path = False

    # --- the gateway ---------------------------------------------------------------------------

    @rule(turns=st.integers(1, 3))
    def have_the_gateway_send(self, turns: int) -> None:
        for _ in range(turns):
            self.world.run(self.world.sender.step())

    @rule()
    def lose_the_gateways_path(self) -> None:
        self.world.gateway_has_path = False

    @rule()
    def find_the_gateways_path(self) -> None:
        self.world.gateway_has_path = True
        self.world.sender.path_is_new()

    @rule()
    def answer_again(self) -> None:
        self.world.answer_again()

    @rule()
    def ask_for_gaps(self) -> None:
        self.world.ask_for_gaps()

    @precondition(facts_under_way)
    @rule(place=PLACE, count=st.integers(1, 8), dies=DEATHS)
    def kill_the_gateway_while_it_takes(self, place: int, count: int, dies: str) -> None:
        self.world.take(self.some("case_fact", place, count), dies=dies)

    @precondition(lambda self: self.world.wires["outbox_down"])
    @rule(place=PLACE, moment=MOMENT)
    def kill_the_gateway_while_it_finds_a_loss(self, place: int, moment: str) -> None:
        """Before or after its ``copy_lost``, and in any case before it gives anything up."""
        self.world.outbox.fault, self.world.outbox.writes_left = Killed(moment), 0
        try:
            self.world.deliver("outbox_down", self.some("outbox_down", place, 1))
        except Killed:
            self.world.restart_gateway()
        self.world.outbox.fault = None

    @rule()
    def kill_the_gateway(self) -> None:
        self.world.restart_gateway()

    @rule()
    def back_the_gateway_up(self) -> None:
        self.world.back_gateway_up(self.folder / "backup")

    @rule(files=SET_BACK)
    def set_the_gateway_back(self, files: tuple[str, ...]) -> None:
        """To its backup; or to an empty disk, where there is none."""
        self.world.restart_gateway(self.folder / "backup", files)

    @rule(files=SET_BACK)
    def empty_the_gateways_disk(self, files: tuple[str, ...]) -> None:
        self.world.restart_gateway(self.folder / "no copy", files)

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "world"):
            self.world.check()


def test_forwarding_any_interleaving_ends_with_each_case_whole_where_it_is_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Small pages: else no run of this length would ever need a second one.
    monkeypatch.setattr(forwarder, "PAGE", 3)
    monkeypatch.setattr(forwarder, "KEPT", 5)
    monkeypatch.setattr(forwarder, "RETRY_S", 0)
    monkeypatch.setattr(refilling, "PAGE", 2)
    run_state_machine_as_test(Forwarding, settings=SEARCH)
