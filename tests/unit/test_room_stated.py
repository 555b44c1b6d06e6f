"""What counts of the statements of a hospital's room, in whatever order they come."""

from __future__ import annotations

import itertools
from dataclasses import replace

import msgspec
import pytest

from dispatch import case_pages
from dispatch.cases import CaseBook
from dispatch.units import Fleet, HospitalSettings
from streams.chain import Stored
from streams.hospital_messages import HospitalState
from streams.identity import new_id
from streams.messages import CaseOpened, HospitalChosen, Milestone
from tests.case_facts import SECOND_NS, START_NS, Pages

HERE = "first-hospital"


def a_fleet() -> Fleet:
    return Fleet((), (HospitalSettings(name=HERE, latitude_deg=31.2, longitude_deg=121.4),))


def stated(pages: Pages, beds: int, at_s: float = 0, **options: float | None) -> Stored:
    body = HospitalState(beds=beds)
    return pages.add("hospital_state", body, case=None, source=HERE, at_s=at_s, **options)  # type: ignore[arg-type]


def test_room_of_no_statement_is_not_known() -> None:
    fleet = a_fleet()
    shown = case_pages.hospital(fleet.hospital(HERE), fleet, CaseBook())
    assert (shown["room"], shown["bound"]) == (None, 0)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_room_newest_statement_counts_in_any_order_of_coming(order: tuple[int, ...]) -> None:
    pages, fleet = Pages(), a_fleet()
    made = [stated(pages, beds, at_s=60 * beds) for beds in range(3)]
    for index in order:
        fleet.take(made[index])
    assert fleet.capacities[HERE].beds == 2
    assert fleet.capacities[HERE].stated_ns == START_NS + 120 * SECOND_NS


def test_room_stated_while_the_clock_was_wrong_is_replaced_by_what_was_stated_after() -> None:
    pages, fleet = Pages(), a_fleet()
    ahead = stated(pages, 9, at_s=3600, offset_s=None, late_s=-3500)  # an hour fast, not known yet
    fleet.take(ahead)
    assert fleet.capacities[HERE].stated_ns == ahead.received_ns, "not from the future"
    fleet.take(stated(pages, 1, at_s=3660, offset_s=-3600))
    assert fleet.capacities[HERE].beds == 1


def test_room_of_a_new_disk_counts_from_its_first_statement() -> None:
    pages, fleet = Pages(), a_fleet()
    for beds in (4, 5):
        fleet.take(stated(pages, beds))
    other = msgspec.structs.replace(pages.facts[0].envelope, epoch=new_id())
    fleet.take(replace(pages.facts[0], envelope=other))
    assert fleet.capacities[HERE].beds == 4


def test_room_stated_in_an_exercise_changes_nothing() -> None:
    pages, fleet = Pages(), a_fleet()
    fleet.take(stated(pages, 3))
    drill = stated(pages, 0)
    fleet.take(replace(drill, envelope=msgspec.structs.replace(drill.envelope, drill=True)))
    assert fleet.capacities[HERE].beds == 3


def test_room_of_a_hospital_that_is_not_of_this_region_is_not_kept() -> None:
    pages, fleet = Pages(), a_fleet()
    body = HospitalState(beds=1)
    fleet.take(pages.add("hospital_state", body, case=None, source="elsewhere"))
    assert fleet.capacities == {}


def test_room_shows_who_is_bound_there_until_at_the_door() -> None:
    pages, fleet, book = Pages(), a_fleet(), CaseBook()
    case = new_id()
    for kind, body in (
        ("case_opened", CaseOpened(address="a", complaint="", alias="b")),
        ("hospital_chosen", HospitalChosen(hospital=HERE, name="First")),
    ):
        book.take(pages.add(kind, body, case=case))
    bound = [case_pages.hospital(fleet.hospital(HERE), fleet, book)["bound"]]
    book.take(pages.add("milestone", Milestone(stage="handed_over", at_ns=START_NS), case=case))
    bound.append(case_pages.hospital(fleet.hospital(HERE), fleet, book)["bound"])
    assert bound == [1, 0]
