"""Who gets which fact: the chosen hospital all of it, others nothing, in any history."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dispatch.case_routing import DECIDING, ROUTES_KEPT, Router, draft_of, wants
from streams.chain import Stored
from streams.codec import decode, open_body
from streams.identity import new_id
from streams.messages import (
    Acknowledged,
    Body,
    CaseFact,
    CaseNote,
    CaseOpened,
    EcgRecord,
    HospitalChosen,
    HospitalStoodDown,
    UnitAssigned,
    UnitReleased,
    Vitals,
)
from tests.case_facts import Pages

CASES = [new_id(), new_id()]
UNITS = ["unit-1", "unit-2"]
HOSPITALS = ["first-hospital", "second-hospital", "third-hospital"]

steps = st.lists(
    st.one_of(
        st.tuples(st.just("assign"), st.sampled_from(CASES), st.sampled_from(UNITS)),
        st.tuples(st.just("release"), st.sampled_from(CASES), st.just("")),
        st.tuples(st.just("choose"), st.sampled_from(CASES), st.sampled_from(HOSPITALS)),
        st.tuples(st.just("stand_down"), st.sampled_from(CASES), st.just("")),
        st.tuples(st.just("note"), st.sampled_from(CASES), st.sampled_from([*UNITS, "hub"])),
        st.tuples(st.just("ecg"), st.sampled_from(CASES), st.sampled_from(UNITS)),
    ),
    max_size=40,
)


class Run:
    """Writes a history as the hub does, and notes who may see each fact."""

    def __init__(self) -> None:
        self.pages = Pages()
        self.unit: dict[str, str | None] = dict.fromkeys(CASES)
        self.hospital: dict[str, str | None] = dict.fromkeys(CASES)
        for case in CASES:
            body = CaseOpened(address="a", complaint="", alias="b")
            self.add("case_opened", body, case)

    def add(self, kind: str, body: Body, case: str, source: str = "hub") -> Stored:
        return self.pages.add(kind, body, case=case, source=source)

    def step(self, what: str, case: str, name: str) -> None:
        unit, hospital = self.unit[case], self.hospital[case]
        match what:
            case "assign" if unit != name:
                self.add("unit_assigned", UnitAssigned(unit=name, released=unit), case)
                self.unit[case] = name
            case "release" if unit is not None:
                self.add("unit_released", UnitReleased(unit=unit), case)
                self.unit[case] = None
            case "choose" if hospital != name:
                if hospital is not None:
                    self.add("hospital_stood_down", HospitalStoodDown(hospital=hospital), case)
                chosen = HospitalChosen(hospital=name, name=name, previous=hospital)
                self.add("hospital_chosen", chosen, case)
                self.hospital[case] = name
            case "stand_down" if hospital is not None:
                self.add("hospital_stood_down", HospitalStoodDown(hospital=hospital), case)
                self.hospital[case] = None
            case "note":
                self.add("case_note", CaseNote(text="n", at_ns=1), case, name)
            case "ecg":
                self.add("ecg_record", EcgRecord(setup_id="a", frames=[b"x"]), case, name)

    def learned(self, before: int) -> Router:
        """A router that learned each case from its deciding facts alone, up to a position."""
        router = Router()
        for case in CASES:
            facts = [f for f in self.pages.facts[:before] if f.envelope.case == case]
            if facts:
                deciding = [fact for fact in facts if fact.envelope.kind in DECIDING]
                router.learn(case, deciding, facts[-1].case_sequence or 0)
        return router

    def routed(self, restart_at: int | None = None) -> dict[str, list[tuple[str, int]]]:
        """What each destination got, with the router learned anew at one position."""
        router, got = Router(), dict[str, list[tuple[str, int]]]()
        for index, fact in enumerate(self.pages.facts):
            if index == restart_at:
                router = self.learned(index)
            for order in router.take(fact):
                for one in self.pages.facts:
                    number = one.case_sequence or 0
                    if one.envelope.case != order.case or not order.after < number <= order.until:
                        continue
                    if wants(order.destination, one.envelope):
                        got.setdefault(order.destination, []).append((order.case, number))
        return got


@given(steps)
def test_router_hospital_gets_all_until_it_stands_down_and_others_nothing(
    history: list[tuple[str, str, str]],
) -> None:
    run = Run()
    for step in history:
        run.step(*step)
    got = run.routed()
    for hospital in HOSPITALS:
        for case in CASES:
            numbers = [n for of, n in got.get(f"hospital/{hospital}", []) if of == case]
            last = last_known(run, case, hospital)
            assert numbers == list(range(1, last + 1)), "all of it, once, in order, and no more"


def last_known(run: Run, case: str, hospital: str) -> int:
    """The last fact of a case that a hospital may have, by the plain words of the rule."""
    last, current = 0, None
    for fact in run.pages.facts:
        if fact.envelope.case != case:
            continue
        body = fact.envelope.kind
        if body == "hospital_chosen":
            current = decode_hospital(fact)
        if current == hospital:
            last = fact.case_sequence or 0
        if body == "hospital_stood_down":
            current = None
    return last


def decode_hospital(fact: Stored) -> str:
    return open_body(fact.envelope, HospitalChosen).hospital


@given(steps, st.integers(0, 60))
def test_router_learned_anew_at_any_point_routes_the_same(
    history: list[tuple[str, str, str]], restart_at: int
) -> None:
    run = Run()
    for step in history:
        run.step(*step)
    assert run.routed() == run.routed(restart_at)


@given(steps)
def test_router_unit_gets_no_fact_of_its_own_no_samples_and_no_other_case(
    history: list[tuple[str, str, str]],
) -> None:
    run = Run()
    for step in history:
        run.step(*step)
    by_number = {(f.envelope.case, f.case_sequence): f for f in run.pages.facts}
    for destination, got in run.routed().items():
        scope, _, name = destination.partition("/")
        if scope != "unit":
            continue
        assert len(got) == len(set(got)), "each once"
        cases = {case for case, _ in got}
        for case, number in got:
            envelope = by_number[case, number].envelope
            assert envelope.source != name
            assert envelope.kind != "ecg_record"
        for case in cases:
            assigned = [
                f for f in run.pages.facts
                if f.envelope.case == case and f.envelope.kind == "unit_assigned"
            ]  # fmt: skip
            assert assigned, "only of a case to which it was assigned"


def test_hospital_chosen_again_gets_what_it_missed_and_nothing_twice() -> None:
    run = Run()
    case = CASES[0]
    for step in (("choose", "first-hospital"), ("choose", "second-hospital")):
        run.step(step[0], case, step[1])
    run.step("note", case, "hub")
    run.step("choose", case, "first-hospital")
    numbers = [n for of, n in run.routed()["hospital/first-hospital"] if of == case]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) == 7


def test_router_keeps_so_many_cases_and_no_more() -> None:
    pages, router = Pages(), Router()
    first = new_id()
    for case in (first, *(new_id() for _ in range(ROUTES_KEPT))):
        router.take(pages.add("case_note", CaseNote(text="n", at_ns=1), case=case))
    assert len(router.cases()) == ROUTES_KEPT
    assert not router.knows(first), "it is learned again when it goes on"


def test_facts_without_a_case_go_nowhere() -> None:
    pages, router = Pages(), Router()
    fact = pages.add("vitals", Vitals(device="m"), case=None, source="unit-1")
    assert router.take(fact) == []


def test_draft_carries_the_fact_byte_for_byte_in_its_own_lane() -> None:
    run = Run()
    run.add("acknowledged", Acknowledged(hospital="h", role="r"), CASES[0], "first-hospital")
    run.add("ecg_record", EcgRecord(setup_id="a", frames=[b"x"]), CASES[0], "unit-1")
    for fact, lane in zip(run.pages.facts[-2:], ("urgent", "record"), strict=True):
        draft = draft_of(fact)
        assert isinstance(draft.body, CaseFact)
        assert draft.body.fact == fact.data
        assert draft.lane == lane
        assert decode(draft.body.fact).id == fact.envelope.id
