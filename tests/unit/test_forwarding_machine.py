"""Any interleaving between hub and gateway ends with each case whole where it is to be.

Hypothesis chooses what happens; the parts are real (``tests.forwarding_world``). A failure prints
the steps and a blob that repeats them. ``FORERUN_SEARCH=5000`` looks at so many runs instead of
a few.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import seed
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from dispatch import forwarder, journal_tail, refilling
from streams.errors import StorageError
from streams.messages import (
    Body,
    CaseClosed,
    CaseOpened,
    HospitalChosen,
    HospitalStoodDown,
    UnitAssigned,
)
from streams.outbox import Draft
from tests.delivery_world import CASES, SECOND_NS, UNIT, OnWire, draft
from tests.forwarding_world import ELSEWHERE, FILES, HERE, World
from tests.machine_search import LANE, PLACE, RUNS, SIZE, search
from tests.mortal_parts import Killed

ONE_RUN = search(max_examples=2, database=None)
"""The first example is the simplest one, and what Hypothesis makes of a third on is mostly a
variation of those before: so each run is a new one, with a seed of its own."""

CASE = st.sampled_from([0, 0, 1, 2])
DECISION = st.sampled_from([HERE, HERE, HERE, ELSEWHERE, ELSEWHERE, "nowhere", UNIT, "over"])
TURNS = st.lists(st.sampled_from(["forward", "send", "answer", "ask", "tell"]), min_size=1)
ON_WIRE = st.sampled_from(["deliver", "deliver", "deliver", "backwards", "repeat", "lose"])
MOMENT = st.sampled_from(["before", "after"])
COPY = st.sampled_from([None, "backup", "no copy", "no copy"])
FAULT = st.sampled_from([None, Killed("before"), Killed("after"), StorageError("disk is full")])
SPOILED = st.sampled_from(["its end", "its begin", "all of it", "the address", "the address"])


STEPS: dict[str, dict[str, st.SearchStrategy[Any]]] = {}
"""What may happen: the methods of the machine, and what Hypothesis chooses for each.

They are one rule together. Of several rules Hypothesis leaves out some in each run, and hardly
one run would then have all that a loss takes which matters.
"""

Step = TypeVar("Step", bound=Callable[..., None])


def step(**chosen: st.SearchStrategy[Any]) -> Callable[[Step], Step]:
    """Make a method one of ``STEPS``."""

    def note(method: Step) -> Step:
        STEPS[method.__name__] = chosen
        return method

    return note


def any_step() -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """Choose a step and what it is given."""
    return st.one_of(
        [st.tuples(st.just(name), st.fixed_dictionaries(given)) for name, given in STEPS.items()]
    )


class Forwarding(RuleBasedStateMachine):
    """A hub, a hospital's gateway, and everything that may happen between them."""

    @initialize(facts=st.integers(1, 5))
    def begin(self, facts: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="forwarding-"))
        self.world = World(self.folder, asyncio.new_event_loop())
        self.decide(0, HERE)
        self.drive_undisturbed("facts", 0, 2, facts)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.world.heal()
        finally:
            self.world.close()
            self.world.loop.close()
            shutil.rmtree(self.folder)

    @step(seconds=st.sampled_from([0.3, 1.1, 2.1, 16, 31]))
    def pass_time(self, seconds: float) -> None:
        self.world.clock.monotonic += int(seconds * SECOND_NS)
        self.world.clock.wall += int(seconds * SECOND_NS)

    # --- what the hub stores -------------------------------------------------------------------

    def say(self, kind: str, body: Body, case: str) -> None:
        self.world.make(Draft(kind, body, case=case), source="hub")

    def opened(self, case: int) -> str:
        """Return a case; a hub opens it with its first fact."""
        name = CASES[case]
        if not self.world.cases[name].facts:
            opened = CaseOpened(address="", complaint="", alias="Blue Heron")
            self.say("case_opened", opened, name)
        return name

    @step(lane=LANE, case=CASE, size=SIZE, count=st.integers(1, 4))
    def store(self, lane: str, case: int, size: int, count: int) -> None:
        self.opened(case)
        drafts = [draft(lane, case, size + number) for number in range(count)]  # type: ignore[arg-type]
        self.world.make(*drafts)

    @step(case=CASE, decision=DECISION)
    def decide(self, case: int, decision: str) -> None:
        """As the hub does: who was chosen before stands down first; what is over stays so."""
        name = self.opened(case)
        model = self.world.cases[name]
        if model.closed or decision == model.hospital:
            return
        if decision == UNIT:
            self.say("unit_assigned", UnitAssigned(unit=UNIT), name)
        elif decision == "over":
            self.say("case_closed", CaseClosed(outcome="handed_over"), name)
        else:
            if model.hospital is not None:
                body = HospitalStoodDown(hospital=model.hospital)
                self.say("hospital_stood_down", body, name)
            if decision != "nowhere":
                chosen = HospitalChosen(hospital=decision, name=decision)
                self.say("hospital_chosen", chosen, name)

    # --- turns and time ------------------------------------------------------------------------

    @step(turns=TURNS)
    def give_turns(self, turns: list[str]) -> None:
        """To forwarder and sender of the hub; to the gateway, which also asks for gaps."""
        world = self.world
        for turn in turns:
            match turn:
                case "forward":
                    world.forward()
                case "send":
                    world.send()
                case "answer":
                    world.answer_again()
                case "ask":
                    world.ask_for_gaps()
                case "tell":
                    world.run(world.sender.step())

    @step(hub=st.booleans(), gateway=st.booleans(), wiped=st.booleans())
    def lose_and_find_paths(self, hub: bool, gateway: bool, wiped: bool) -> None:
        """Both find theirs on a new connection; the broker may have forgotten all."""
        if wiped:
            for wire in self.world.wires.values():
                wire.clear()
        self.world.hub_finds_path()
        self.world.gateway_finds_path()
        self.world.hub_has_path, self.world.gateway_has_path = hub, gateway

    @step(lane=LANE, case=CASE, size=SIZE, turns=st.integers(0, 5))
    def drive_undisturbed(self, lane: str, case: int, size: int, turns: int) -> None:
        """All is well for a while: without this little would ever be stored and freed."""
        self.world.hub_finds_path()
        self.world.gateway_finds_path()
        for _ in range(turns):
            self.store(lane, case, size, 1)
            self.world.exchange()
        for _ in range(turns):
            self.world.exchange()
            self.pass_time(1.1)

    # --- what is under way ---------------------------------------------------------------------

    def some(self, name: str, place: int, count: int = 1) -> list[OnWire]:
        wire = self.world.wires[name]
        return [wire[(place + step) % len(wire)] for step in range(min(count, len(wire)))]

    @step(kind=PLACE, what=ON_WIRE, place=PLACE, count=st.integers(1, 8))
    def happen_on_a_wire(self, kind: int, what: str, place: int, count: int) -> None:
        kinds = [name for name, wire in self.world.wires.items() if wire]
        if not kinds:
            return
        name = kinds[kind % len(kinds)]
        some = self.some(name, place, count)
        match what:
            case "repeat":
                again = [OnWire(one.topic, one.data, one.acknowledged) for one in some]
                self.world.wires[name] += again
            case "lose":
                for one in some:
                    self.world.taken(one)
            case "deliver":
                self.world.deliver(name, some)
            case "backwards":
                self.world.deliver(name, some[::-1])

    @step(place=PLACE, cut=st.integers(1, 60), what=SPOILED)
    def spoil(self, place: int, cut: int, what: str) -> None:
        """Deliver what is no fact, or another hospital's: nothing is stored and none is freed."""
        for one in self.some("case_fact", place):
            topic, data = one.topic, one.data
            match what:
                case "its end":
                    data = data[:-cut]
                case "its begin":
                    data = data[cut:]
                case "all of it":
                    data = b"\x00" * cut
                case "the address":
                    topic = topic.replace(HERE, ELSEWHERE)
            before = self.world.stored()
            self.world.take([OnWire(topic, data, lambda _: None)])
            assert self.world.stored() == before, "spoiled, and stored"

    # --- who dies ------------------------------------------------------------------------------

    @step(fault=FAULT, writes=st.integers(0, 3))
    def disturb_the_hub(self, fault: Exception | None, writes: int) -> None:
        """Kill it now or while it forwards, or let its disk refuse then."""
        if fault is None:
            self.world.restart_hub()
        else:
            self.world.forward_with(fault, writes)

    @step(count=st.integers(1, 8), moment=MOMENT, told=st.booleans())
    def kill_the_gateway_while_it_takes(self, count: int, moment: str, told: bool) -> None:
        """Before or after its commit; what it told before that may be heard at once."""
        self.world.hub_finds_path()
        self.store("urgent", 0, 0, 1)
        self.give_turns(["forward"] * 9 + ["send"] * 2)
        if some := self.world.wires["case_fact"][-count:]:
            self.world.take(some, dies=moment)
        if told and self.world.wires["receipt_up"]:
            self.world.deliver("receipt_up", list(self.world.wires["receipt_up"]))

    @step(place=PLACE, moment=MOMENT)
    def kill_the_gateway_while_it_finds_a_loss(self, place: int, moment: str) -> None:
        """Before or after its ``copy_lost``, and in any case before it gives anything up."""
        self.world.hear_with(Killed(moment), self.some("outbox_down", place))

    @step()
    def back_the_gateway_up(self) -> None:
        self.world.back_gateway_up(self.folder / "backup")

    @step(copy=COPY, files=st.sampled_from([FILES, FILES[:1]]), turns=st.integers(0, 4))
    def kill_the_gateway(self, copy: str | None, files: tuple[str, ...], turns: int) -> None:
        """Perhaps set back to its backup; or to an empty disk. Then it may be well for a while."""
        self.world.restart_gateway(self.folder / copy if copy else None, files)
        self.drive_undisturbed("facts", 1, 2, turns)

    @rule(happens=st.deferred(any_step))
    def live(self, happens: tuple[str, dict[str, Any]]) -> None:
        name, given = happens
        getattr(self, name)(**given)

    @invariant()
    def holds(self) -> None:
        if hasattr(self, "world"):
            self.world.check()


def test_forwarding_any_interleaving_ends_with_each_case_whole_where_it_is_to_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Small pages: else no run of this length would ever need a second one.
    monkeypatch.setattr(forwarder, "PAGE", 3)
    monkeypatch.setattr(journal_tail, "PAGE", 3)
    monkeypatch.setattr(journal_tail, "KEPT", 5)
    monkeypatch.setattr(forwarder, "RETRY_S", 0)
    monkeypatch.setattr(refilling, "PAGE", 2)
    first = time.time_ns() if RUNS else 0
    for number in range(RUNS or 40):
        seed(first + number)(Forwarding)
        run_state_machine_as_test(Forwarding, settings=ONE_RUN)
