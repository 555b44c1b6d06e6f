"""Which cases are proposed as one event: by number, place and words, within hours."""

from __future__ import annotations

from dispatch.calls import Call
from dispatch.cases import Case
from dispatch.duplicates import MOST, Spot, propose, words_of
from streams.identity import new_id

HERE = Spot(31.2304, 121.4737, 50.0)
NEXT_STREET = Spot(31.2313, 121.4747, 50.0)
"""140 m from ``HERE``."""
ACROSS_TOWN = Spot(31.2600, 121.5100, 50.0)
SECOND_NS = 1_000_000_000


def case(opened_s: float = 0, **fields: str) -> Case:
    return Case(new_id(), opened_ns=round(opened_s * SECOND_NS), call=Call(), **fields)  # type: ignore[arg-type]


def test_calls_from_one_place_are_proposed_as_one_event() -> None:
    first, second = case(), case(60)
    (found,) = propose(second, NEXT_STREET, [(first, HERE), (second, NEXT_STREET)])
    assert (found.case, found.why) == (first.id, ("same_place",))
    assert found.apart_m is not None
    assert 130 < found.apart_m < 150
    assert found.apart_s == 60
    assert propose(second, ACROSS_TOWN, [(first, HERE)]) == []


def test_radius_of_a_position_counts_but_a_whole_district_is_no_place() -> None:
    first, second = case(), case()
    wide = Spot(31.2394, 121.4737, 1000.0)  # 1 km away, known to 1 km
    assert propose(second, wide, [(first, HERE)])[0].why == ("same_place",)
    assert propose(second, Spot(31.27, 121.4737, 50_000.0), [(first, HERE)]) == []


def test_words_that_are_alike_propose_in_both_languages() -> None:
    english = case(address="Long Street by the bridge", complaint="two cars crashed")
    again = case(30, address="bridge on Long Street", complaint="cars crashed")
    assert propose(again, None, [(english, None)])[0].why == ("alike_words",)
    chinese = case(address="人民路与南京路口", complaint="两车相撞")
    wieder = case(30, address="人民路南京路口", complaint="两车相撞有人受伤")
    assert propose(wieder, None, [(chinese, None)])[0].why == ("alike_words",)
    assert propose(wieder, None, [(english, None)]) == []
    far = propose(wieder, ACROSS_TOWN, [(chinese, HERE)])
    assert far == [], "the same street name across the town is another street"


def test_same_number_is_proposed_however_late_it_calls_again() -> None:
    first, later = case(caller="+8613800000001"), case(9000, caller="+8613800000001")
    assert propose(later, None, [(first, None)])[0].why == ("same_number",)
    withheld = case(caller=""), case(caller="")
    assert propose(withheld[0], None, [(withheld[1], None)]) == []


def test_events_hours_apart_are_two_events() -> None:
    first, later = case(), case(7201)
    assert propose(later, HERE, [(first, HERE)]) == []


def test_what_is_linked_or_closed_is_not_proposed_and_the_likeliest_come_first() -> None:
    linked, closed = case(linked_to=new_id()), case()
    closed.closed_ns = 1
    near = [case(number) for number in range(5)]
    both = case(50, caller="+1")
    asking = case(10, caller="+1")
    others = [(one, HERE) for one in [linked, closed, *near, both]]
    found = propose(asking, HERE, others)
    assert len(found) == MOST
    assert found[0].case == both.id
    assert found[0].why == ("same_number", "same_place")
    assert {linked.id, closed.id}.isdisjoint(one.case for one in found)
    asking.linked_to = both.id
    assert propose(asking, HERE, others) == []


def test_words_of_a_case_without_any_are_none() -> None:
    assert words_of(case()) == frozenset()
    assert words_of(case(address="一")) == {"一"}
    assert propose(case(), None, [(case(), None)]) == []
