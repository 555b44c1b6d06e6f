"""When facts were made and in what order they stand, whatever clocks and links did."""

from __future__ import annotations

import random
from dataclasses import replace

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from streams.chain import Stored
from streams.clock import OffsetEstimate
from streams.codec import encode_body
from streams.identity import new_id
from streams.messages import VERSION, CaseNote, Envelope
from streams.source_clocks import SourceClocks, order_of

SECOND_NS = 1_000_000_000
CASE = new_id()
START_NS = 1_790_000_000 * SECOND_NS


class Vehicle:
    """A vehicle's clocks: a wall clock that is set at will, a quartz of its own, an estimate."""

    def __init__(self, name: str, rate_ppm: int) -> None:
        self.name, self.rate_ppm = name, rate_ppm
        self.set_ns = 0
        self.boot, self.sequence = f"boot-of-{name}", 0
        self.estimate = OffsetEstimate()
        self.made: list[tuple[int, Stored]] = []

    def clocks(self, true_ns: int) -> tuple[int, int]:
        monotonic_ns = (true_ns - START_NS) * (1_000_000 + self.rate_ppm) // 1_000_000
        return monotonic_ns + START_NS + self.set_ns, monotonic_ns

    def ask(self, true_ns: int, there_ns: int, back_ns: int) -> int:
        t1_ns, _ = self.clocks(true_ns)
        end_ns = true_ns + there_ns + back_ns
        self.estimate.add(t1_ns, true_ns + there_ns, true_ns + there_ns, *self.clocks(end_ns))
        return end_ns

    def make(self, true_ns: int) -> None:
        wall_ns, monotonic_ns = self.clocks(true_ns)
        offset = self.estimate.at(wall_ns, monotonic_ns)
        self.sequence += 1
        envelope = Envelope(
            version=VERSION, kind="case_note", id=new_id(), source=self.name, epoch="0" * 26,
            lane="facts", sequence=self.sequence, source_ns=max(0, wall_ns),
            monotonic_ns=monotonic_ns, offset_ns=offset.offset_ns if offset else None,
            uncertainty_ns=offset.uncertainty_ns if offset else None, origin="live",
            body=encode_body(CaseNote(text="n", at_ns=1)), case=CASE, boot=self.boot,
        )  # fmt: skip
        corrected_ns = envelope.source_ns + (envelope.offset_ns or 0)
        data = msgspec.msgpack.encode(envelope)
        number = len(self.made) + 1
        fact = Stored(number, envelope, data, number, corrected_ns, true_ns, None)
        self.made.append((true_ns, fact))


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["make", "make", "make", "ask", "jump"]),
        st.integers(1, 90_000),  # ms that pass
        st.integers(-7200, 7200),  # s of a jump
        st.integers(0, 3000),  # ms there
        st.integers(0, 3000),  # ms back
    ),
    min_size=1,
    max_size=60,
)


def drive(vehicle: Vehicle, moves: list[tuple[str, int, int, int, int]]) -> None:
    true_ns = START_NS
    for what, passed_ms, jump_s, there_ms, back_ms in moves:
        true_ns += passed_ms * 1_000_000
        if what == "jump":
            vehicle.set_ns += jump_s * SECOND_NS
        elif what == "ask":
            true_ns = vehicle.ask(true_ns, there_ms * 1_000_000, back_ms * 1_000_000)
        else:
            vehicle.make(true_ns)


@given(
    moves=MOVES, rate_ppm=st.integers(-500, 500), seed=st.integers(0, 2**32),
)  # fmt: skip
def test_facts_any_jump_drift_and_order_of_arrival_stand_as_they_were_made(
    moves: list[tuple[str, int, int, int, int]], rate_ppm: int, seed: int
) -> None:
    vehicle = Vehicle("unit-1", rate_ppm)
    drive(vehicle, moves)
    made = [fact for _, fact in vehicle.made]
    arrived = random.Random(seed).sample(made, len(made))
    clocks = SourceClocks()
    for fact in arrived:
        clocks.take(fact)
    shown = sorted((clocks.place(fact) for fact in arrived), key=order_of)
    known = [fact for fact in shown if fact.time != "unknown"]
    assert {fact.envelope.id for fact in shown} == {fact.envelope.id for fact in made}
    in_order = [fact.envelope.sequence for fact in known]
    assert in_order == sorted(in_order)
    if any(fact.envelope.offset_ns is not None for fact in made):
        assert known == shown


@given(moves=MOVES, seed=st.integers(0, 2**32))
def test_facts_made_before_the_hub_was_reached_get_their_true_time_later(
    moves: list[tuple[str, int, int, int, int]], seed: int
) -> None:
    vehicle = Vehicle("unit-1", 20)
    vehicle.set_ns = -412 * SECOND_NS
    drive(vehicle, moves)
    clocks = SourceClocks()
    for _, fact in random.Random(seed).sample(vehicle.made, len(vehicle.made)):
        clocks.take(fact)
    for true_ns, fact in vehicle.made:
        found = clocks.made_ns(fact.envelope)
        if fact.envelope.offset_ns is None and found is not None:
            made_ns, uncertainty_ns = found
            assert clocks.place(fact).corrected_ns == made_ns
            assert clocks.place(fact).time == "estimated"
            assert abs(made_ns - true_ns) <= uncertainty_ns + 1000


def test_facts_of_a_case_are_to_be_read_again_when_their_time_is_known() -> None:
    vehicle = Vehicle("unit-1", 0)
    vehicle.set_ns = -412 * SECOND_NS
    vehicle.make(START_NS)
    asked_ns = vehicle.ask(START_NS + SECOND_NS, 1000, 1000)
    vehicle.make(asked_ns)
    vehicle.make(asked_ns + SECOND_NS)
    (_, blind), (_, first), (_, second) = vehicle.made
    clocks = SourceClocks()
    shown, again = clocks.take(blind)
    assert (shown.time, again) == ("unknown", set())
    assert clocks.take(first)[1] == {CASE}
    assert clocks.take(second)[1] == set()
    assert abs(clocks.place(blind).corrected_ns - START_NS) < 10_000
    assert blind.corrected_ns == START_NS - 412 * SECOND_NS, "what is stored is never changed"


def test_facts_of_another_boot_or_source_teach_nothing() -> None:
    vehicle, other = Vehicle("unit-1", 0), Vehicle("unit-2", 0)
    vehicle.make(START_NS)
    other.ask(START_NS, 1000, 1000)
    other.make(START_NS + SECOND_NS)
    (_, blind), (_, told) = vehicle.made[0], other.made[0]
    clocks = SourceClocks()
    clocks.take(blind)
    assert clocks.take(told)[1] == set()
    rebooted = replace(told, envelope=msgspec.structs.replace(told.envelope, source="unit-1"))
    assert clocks.take(rebooted)[1] == set()
    assert clocks.place(blind).time == "unknown"
