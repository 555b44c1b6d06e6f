"""A neighbour's unit is asked for, granted, refused, taken back: each once."""

from __future__ import annotations

import pytest

from dispatch import unit_requests
from dispatch.arrival import Travel
from dispatch.cases import Case, CaseBook
from dispatch.elsewhere import suggest_elsewhere
from dispatch.errors import ConflictError, UnknownError
from dispatch.neighbours import Neighbour
from dispatch.suggestion import Suggestion
from dispatch.unit_requests import Cards, OwnRequests
from dispatch.units import Fleet, UnitSettings
from streams.district_messages import DistrictUnit, UnitAnswered, UnitAsked, UnitReply, UnitRequest
from streams.identity import new_id
from streams.messages import Position, UnitAssigned
from tests.unit.test_case_sharing import stored

NOW_NS = 10**18
TRAVEL = Travel(speed_mps=10.0, detour=1.0, on_scene_s=0, handover_s=0)


def at(latitude_deg: float, age_s: float = 1.0) -> Position:
    return Position(
        latitude_deg=latitude_deg, longitude_deg=121.0, source="gnss",
        measured_ns=NOW_NS - round(age_s * 1e9),
    )  # fmt: skip


def south(*units: DistrictUnit, connected: bool = True) -> Neighbour:
    found = Neighbour("south", "South district", connected=connected, state_ns=NOW_NS)
    found.units = units
    return found


def case_at(latitude_deg: float) -> Case:
    return Case(new_id(), address="Long Street", position=at(latitude_deg), opened_ns=NOW_NS)


def asked_for(case: Case, own: OwnRequests) -> UnitAsked:
    (draft,) = unit_requests.ask(
        case, south(DistrictUnit(name="unit-9")), "unit-9", own,
        request=new_id(), seat="anna", reason=None,
    )  # fmt: skip
    assert isinstance(draft.body, UnitAsked)
    own.take(stored("unit_asked", draft.body, case.id, 1, 1))
    return draft.body


def request_there(cards: Cards) -> UnitRequest:
    body = UnitRequest(
        region="north", request=new_id(), case=new_id(), alias="x", address="Long Street",
        unit="unit-1", position=at(31.2), severity="red",
    )  # fmt: skip
    cards.take(stored("unit_request", body, None, None, 1))
    return body


def test_unit_that_a_neighbour_does_not_have_cannot_be_asked_for() -> None:
    with pytest.raises(UnknownError):
        unit_requests.ask(
            case_at(31), south(), "unit-9", OwnRequests(), request=new_id(), seat="a", reason=None
        )


def test_unit_that_is_asked_for_already_is_not_asked_for_twice() -> None:
    own, case = OwnRequests(), case_at(31)
    asked_for(case, own)
    with pytest.raises(ConflictError, match="already"):
        asked_for(case, own)


def test_reply_counts_once_and_only_of_whom_was_asked() -> None:
    own, case = OwnRequests(), case_at(31)
    asked = asked_for(case, own)
    reply = UnitReply(
        region="south", request=asked.request, case=case.id, unit="unit-9", accepted=False,
        reason="needed here",
    )  # fmt: skip
    stranger = UnitReply(
        region="west", request=asked.request, case=case.id, unit="unit-9", accepted=True
    )
    assert unit_requests.answered(case, stranger, own) == []
    (draft,) = unit_requests.answered(case, reply, own)
    assert isinstance(draft.body, UnitAnswered)
    own.take(stored("unit_answered", draft.body, case.id, 2, 2))
    assert unit_requests.answered(case, reply, own) == []
    wanted = own.get(asked.request)
    assert wanted is not None
    assert wanted.state == "refused"


def test_request_for_a_case_that_is_closed_is_taken_back() -> None:
    own, case = OwnRequests(), case_at(31)
    asked = asked_for(case, own)
    assert unit_requests.no_longer_needed(case, own) == []
    case.closed_ns = NOW_NS
    (draft,) = unit_requests.no_longer_needed(case, own)
    own.take(stored("unit_unasked", draft.body, case.id, 2, 2))
    assert unit_requests.no_longer_needed(case, own) == []
    with pytest.raises(ConflictError):
        unit_requests.take_back(case, asked.request, own, "anna")


def test_granted_request_opens_a_case_with_its_unit_and_is_decided_once() -> None:
    fleet, cards = Fleet((UnitSettings(name="unit-1", label="One"),), ()), Cards()
    body = request_there(cards)
    new_case = new_id()
    drafts = unit_requests.grant(
        cards.get(body.request), fleet, CaseBook(), new_case=new_case, seat="ben", reason=None
    )
    assert [draft.kind for draft in drafts] == ["case_opened", "unit_lent", "unit_assigned"]
    assert {draft.case for draft in drafts} == {new_case}
    assert isinstance(drafts[-1].body, UnitAssigned)
    cards.take(stored("unit_lent", drafts[1].body, new_case, 2, 2))
    with pytest.raises(ConflictError):
        cards.get(body.request)
    cards.take(stored("unit_request", body, None, None, 3))
    assert cards.waiting() == [], "one that comes again is known"


def test_refused_request_makes_a_fact_of_no_case() -> None:
    fleet, cards = Fleet((UnitSettings(name="unit-1"),), ()), Cards()
    body = request_there(cards)
    (draft,) = unit_requests.refuse(cards.get(body.request), fleet, "ben", "needed here")
    assert draft.case is None


def suggested(drive_s: float) -> list[Suggestion]:
    return [Suggestion("unit-1", drive_s * 10, drive_s, ("nearest",))]


def test_neighbour_s_unit_is_offered_only_when_it_is_sooner_free_fresh_and_there() -> None:
    case = case_at(31.0)  # 0.01 degrees are 1.1 km, 111 s at 10 m/s
    near = DistrictUnit(name="near", position=at(31.01), heard_ns=NOW_NS)
    (found,) = suggest_elsewhere(case, [south(near)], suggested(300), TRAVEL, NOW_NS)
    assert found.unit.name == "near"
    assert found.saves_s == pytest.approx(300 - 111, abs=2)
    assert suggest_elsewhere(case, [south(near)], suggested(60), TRAVEL, NOW_NS) == []
    assert suggest_elsewhere(case, [south(near, connected=False)], [], TRAVEL, NOW_NS) == []
    for unit in (
        DistrictUnit(name="busy", position=at(31.01), status="on_scene"),
        DistrictUnit(name="old", position=at(31.01, age_s=120)),
        DistrictUnit(name="off", position=at(31.01), serves=False),
        DistrictUnit(name="nowhere"),
    ):
        assert suggest_elsewhere(case, [south(unit)], [], TRAVEL, NOW_NS) == [], unit.name
    case.drill = True
    assert suggest_elsewhere(case, [south(near)], [], TRAVEL, NOW_NS) == []
