"""Which patient goes to which hospital: no capacity is broken, nobody who fits is left."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from dispatch.capabilities import Capability
from dispatch.load_sharing import Load, Target, share, takes_resus_bay
from streams.incident_messages import Need, Tag

BURNS: frozenset[Need] = frozenset({"burns"})


def loads(*tags: Tag) -> list[Load]:
    return [Load(f"T-{number}", tag) for number, tag in enumerate(tags, 1)]


def test_immediate_take_resuscitation_bays_and_others_beds() -> None:
    near = Target("near", resus_bays=1, beds=1, seconds=300)
    far = Target("far", resus_bays=1, beds=5, seconds=900)
    made = share(loads("immediate", "immediate", "delayed", "minor"), [near, far])
    assert made.hospitals == {"T-1": "near", "T-2": "far", "T-3": "near", "T-4": "far"}
    assert made.unplaced == []


def test_who_fits_nowhere_is_said_and_is_the_least_urgent() -> None:
    made = share(loads("minor", "delayed", "minor", "immediate"), [Target("one", 0, 1)])
    assert made.hospitals == {"T-2": "one"}
    assert made.unplaced == ["T-1", "T-3", "T-4"]
    assert share(loads("immediate"), []).unplaced == ["T-1"]
    assert share([], [Target("one", 1, 1)]).hospitals == {}


def test_among_equals_the_first_in_the_order_goes_nearer_and_is_placed() -> None:
    near, far = Target("near", 0, 1, seconds=60), Target("far", 0, 1, seconds=600)
    made = share(loads("delayed", "delayed", "delayed"), [far, near])
    assert made.hospitals == {"T-1": "near", "T-2": "far"}
    assert made.unplaced == ["T-3"]


def test_burns_go_to_the_burn_centre_though_it_is_farther_and_elsewhere_when_it_is_full() -> None:
    centre = Target("centre", 0, 1, frozenset({"burn_centre"}), seconds=3000)
    near = Target("near", 0, 2, frozenset({"children"}), seconds=60)
    burnt = [Load("B-1", "minor"), Load("B-2", "delayed", BURNS), Load("B-3", "minor", BURNS)]
    made = share(burnt, [near, centre])
    assert made.hospitals["B-1"] == "near"
    assert sorted(made.hospitals) == ["B-1", "B-2", "B-3"]
    assert Counter(made.hospitals.values()) == {"near": 2, "centre": 1}
    assert made.hospitals["B-3"] == "centre" or made.hospitals["B-2"] == "centre"


def test_hospital_that_states_no_capability_is_not_known_to_lack_any() -> None:
    assert Target("one", 1, 1).lacks(BURNS) == []
    stated = Target("one", 1, 1, frozenset({"children"}))
    assert stated.lacks(BURNS) == ["burn_centre"]
    assert stated.lacks(frozenset({"child"})) == []


tags: st.SearchStrategy[Tag] = st.sampled_from(["immediate", "delayed", "minor"])
needs: st.SearchStrategy[frozenset[Need]] = st.frozensets(st.sampled_from(["burns", "child"]))
capabilities: st.SearchStrategy[frozenset[Capability]] = st.frozensets(
    st.sampled_from(["burn_centre", "children", "trauma_centre"])
)
waiting = st.lists(st.tuples(tags, needs), max_size=25).map(
    lambda made: [Load(f"T-{number}", tag, wants) for number, (tag, wants) in enumerate(made)]
)
hospitals = st.lists(
    st.tuples(st.integers(-2, 6), st.integers(-2, 9), capabilities, st.floats(0, 7200)), max_size=5
).map(lambda made: [Target(f"h-{number}", *one) for number, one in enumerate(made)])


@given(waiting, hospitals)
def test_no_capacity_is_exceeded_and_nobody_is_left_who_fits_somewhere(
    patients: list[Load], targets: list[Target]
) -> None:
    made = share(patients, targets)
    by_code = {one.code: one for one in patients}
    assert set(made.hospitals) | set(made.unplaced) == set(by_code)
    assert not set(made.hospitals) & set(made.unplaced)
    for target in targets:
        sent = [by_code[code] for code, name in made.hospitals.items() if name == target.name]
        resus = sum(takes_resus_bay(one.tag) for one in sent)
        assert resus <= max(0, target.resus_bays)
        assert len(sent) - resus <= max(0, target.beds)
        for code in made.unplaced:
            taken = resus if takes_resus_bay(by_code[code].tag) else len(sent) - resus
            assert taken >= target.room_for(by_code[code].tag), "it still had room"
    placed = [by_code[code].tag for code in made.hospitals]
    if "minor" in placed:
        assert "delayed" not in [by_code[code].tag for code in made.unplaced]


@given(waiting, hospitals)
def test_share_serves_as_many_needs_as_any_swap_of_two_would(
    patients: list[Load], targets: list[Target]
) -> None:
    made, by_name = share(patients, targets), {one.name: one for one in targets}
    by_code = {one.code: one for one in patients}
    for one, at in made.hospitals.items():
        for other, elsewhere in made.hospitals.items():
            if takes_resus_bay(by_code[one].tag) != takes_resus_bay(by_code[other].tag):
                continue
            here, there = by_name[at], by_name[elsewhere]
            stands = len(here.lacks(by_code[one].needs)) + len(there.lacks(by_code[other].needs))
            swapped = len(there.lacks(by_code[one].needs)) + len(here.lacks(by_code[other].needs))
            assert stands <= swapped
