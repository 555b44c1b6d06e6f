"""Random walks through the guide: any order and any repeat of its facts gives the same state."""

from __future__ import annotations

import random
from functools import cache
from typing import Any

import msgspec
from hypothesis import event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dispatch.errors import DispatchError
from dispatch.guidance.loading import load
from dispatch.guidance.protocol import Library
from dispatch.guidance.resuscitation import times
from dispatch.guidance.run import Guide
from streams.guidance_messages import GuidanceStep
from tests.guidance_seat import RANG_NS, SECOND_NS, Seat

MARKS = ["recognition", "hands_on_chest", "first_shock", "rescuer_change"]


@cache
def library() -> Library:
    return load(switches=("aspirin", "naloxone"))


class GuideMachine(RuleBasedStateMachine):
    """A dispatcher who does anything at any time, and a journal that is read in any order."""

    def __init__(self) -> None:
        """Begin with a call that has just rung."""
        super().__init__()
        self.seat = Seat(library())

    @initialize(protocol=st.sampled_from(sorted(load().protocols)))
    def begin(self, protocol: str) -> None:
        self.seat.start(protocol)

    def _is_on(self) -> bool:
        return self.seat.guide.current is not None

    @rule(seconds=st.floats(0, 200))
    def wait(self, seconds: float) -> None:
        self.seat.wait(seconds)

    @precondition(_is_on)
    @rule(number=st.integers(0, 4))
    def answer(self, number: int) -> None:
        answers = self.seat.step.answers
        if answers:
            self.seat.answer(answers[number % len(answers)].id)

    @precondition(_is_on)
    @rule()
    def go_on(self) -> None:
        if self.seat.step.to is not None:
            self.seat.done()

    @precondition(_is_on)
    @rule()
    def skip(self) -> None:
        if self.seat.step.way_past is not None:
            self.seat.skip()

    @precondition(_is_on)
    @rule(number=st.integers(0, 1000))
    def override(self, number: int) -> None:
        protocols = list(library().protocols.values())
        protocol = protocols[number % len(protocols)]
        self.seat.go_to(protocol.id, protocol.step[number % len(protocol.step)].id)

    @precondition(_is_on)
    @rule()
    def back(self) -> None:
        before = self.seat.run.trail()
        if len(before) > 1:
            self.seat.back()
            assert self.seat.run.place == before[-2]

    @precondition(_is_on)
    @rule(
        mark=st.sampled_from(MARKS),
        earlier_s=st.integers(-600, 600),
        withdrawn=st.booleans(),
    )
    def note(self, mark: str, earlier_s: int, withdrawn: bool) -> None:
        at_ms = (self.seat.now_ns - earlier_s * SECOND_NS) // 1_000_000
        try:
            self.seat.note(mark, at_ms=at_ms, withdrawn=withdrawn, reason="as told")
        except DispatchError as error:
            event(str(error))

    @precondition(_is_on)
    @rule()
    def stop_and_start(self) -> None:
        self.seat.stop()
        self.seat.start()

    @invariant()
    def times_are_not_negative(self) -> None:
        for run in self.seat.guide.runs.values():
            for now_ns in (self.seat.now_ns, RANG_NS):
                seen = times(run, rang_ns=RANG_NS, now_ns=now_ns)
                values = msgspec.to_builtins(seen).values()
                assert all(one is None or one >= 0 for one in values)
                assert seen.metronome_per_min == 0 or 100 <= seen.metronome_per_min <= 120

    @invariant()
    def guide_stands_where_its_last_fact_says(self) -> None:
        run = self.seat.guide.current
        if run is not None:
            assert run.trail()[-1] == run.place
            assert run.place is not None
            assert library().step(*run.place)

    def teardown(self) -> None:
        """Read the facts again: shuffled, repeated, and as they travel."""
        order = random.Random(len(self.seat.facts))
        facts = [*self.seat.facts, *order.choices(self.seat.facts or [None], k=5)]
        order.shuffle(facts)
        again = Guide()
        for fact in facts:
            if fact is not None:
                kind: Any = type(fact)
                again.take(msgspec.msgpack.decode(msgspec.msgpack.encode(fact), type=kind))
        assert again == self.seat.guide
        assert len(msgspec.msgpack.encode(self.seat.facts)) < 16 * 1024 * max(1, len(facts))
        assert [one.id for one in again.newest_first] == [
            one.id for one in self.seat.guide.newest_first
        ]
        for run_id, run in again.runs.items():
            same = self.seat.guide.runs[run_id]
            assert (run.place, run.trail()) == (same.place, same.trail())
            assert (run.moments(), run.rescuer_changes()) == (
                same.moments(),
                same.rescuer_changes(),
            )
            assert run.steps[0] == next(
                one
                for one in self.seat.facts
                if isinstance(one, GuidanceStep) and one.run == run_id
            )


TestGuideMachine = GuideMachine.TestCase
TestGuideMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
