"""Who gets what of a case, when a call overflows, and which districts win it. Without any I/O."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from dispatch.case_sharing import Sharing, goes, region_of, seat_name, to_share
from dispatch.cases import CaseBook
from dispatch.foreign_cases import LEFT_KEPT, ForeignCases
from streams.call_messages import CallStep
from streams.chain import Stored
from streams.codec import encode, encode_body
from streams.district_messages import CaseShared, CaseUnshared, DistrictAnswer, DistrictFact
from streams.identity import new_id
from streams.messages import VERSION, Body, CaseClosed, CaseNote, CaseOpened, Envelope, Vitals
from streams.outbox import Draft
from streams.topics import find

EPOCH = new_id()
BOTH = ("south", "west")


class Home:
    """A home hub's journal of cases, in memory, and what follows from it."""

    def __init__(self) -> None:
        self.book, self.sharing = CaseBook(), Sharing()
        self.facts: list[Stored] = []
        self.sent: dict[str, list[int]] = {}

    def take(
        self, kind: str, body: Body, case: str, at_s: float = 0, drill: bool = False
    ) -> Stored:
        number = sum(fact.envelope.case == case for fact in self.facts) + 1
        fact = stored(
            kind, body, case, number, len(self.facts) + 1, at_ns=round(at_s * 1e9), drill=drill
        )
        self.facts.append(fact)
        self.book.take(fact)
        for order in self.sharing.take(fact):
            told = self.sent.setdefault(order.region, [])
            told.extend(range(order.after + 1, order.until + 1))
        return fact

    def do(self, drafts: Iterable[Draft], at_s: float = 0) -> list[str]:
        made = [self.take(d.kind, d.body, d.case or "", at_s) for d in drafts]
        return [fact.envelope.kind for fact in made]

    def ring(self, drill: bool = False) -> str:
        case = new_id()
        opened = CaseOpened(address="", complaint="", alias="x")
        self.take("case_opened", opened, case, 0.001, drill=drill)
        self.take("call_step", CallStep(step="rang", call="1", number="+1"), case, drill=drill)
        return case

    def look(self, case: str, now_s: float, connected: Iterable[str] = BOTH) -> list[Draft]:
        found = self.book.get(case)
        assert found is not None
        return to_share(found, self.sharing.of(case), connected, 10.0, round(now_s * 1e9))


def stored(
    kind: str,
    body: Body,
    case: str | None,
    number: int | None,
    position: int,
    *,
    at_ns: int = 0,
    drill: bool = False,
) -> Stored:
    """A fact as a journal has it."""
    envelope = Envelope(
        version=VERSION, kind=kind, id=new_id(), source="hub", epoch=EPOCH, lane=find(kind).lane,
        sequence=position, source_ns=at_ns, monotonic_ns=at_ns, offset_ns=0, uncertainty_ns=0,
        origin="live", body=encode_body(body), case=case, drill=drill,
    )  # fmt: skip
    return Stored(position, envelope, encode(envelope), number, at_ns, at_ns, None)


def test_call_is_shared_with_all_connected_neighbours_after_ten_seconds_and_not_before() -> None:
    home = Home()
    case = home.ring()
    assert home.look(case, 9.9) == []
    assert home.look(case, 10.0, ()) == []
    home.do(home.look(case, 10.0, ["south"]))
    assert home.sharing.of(case) == {"south"}
    home.do(home.look(case, 11.0))  # west is back
    assert home.sharing.of(case) == {"south", "west"}
    assert home.look(case, 12.0) == []
    assert home.sent["south"] == [1, 2, 3, 4], "from the first fact on, each once"
    assert home.sent["west"] == [1, 2, 3, 4]


def test_call_without_overflow_is_never_shared() -> None:
    home = Home()
    case = home.book.get(home.ring())
    assert case is not None
    assert to_share(case, frozenset(), BOTH, 0.0, 10**15) == []


def test_exercise_is_never_shared() -> None:
    home = Home()
    case = home.ring(drill=True)
    assert home.look(case, 100) == []
    home.take("case_shared", CaseShared(region="south", why="overflow"), case, drill=True)
    assert home.sent == {}


@pytest.mark.parametrize(
    ("seat", "stays"), [("south/anna", {"south"}), ("west/ben", {"west"}), ("anna", set())]
)
def test_call_that_is_answered_stays_with_the_district_of_its_seat_alone(
    seat: str, stays: set[str]
) -> None:
    home = Home()
    case = home.ring()
    home.do(home.look(case, 10))
    home.take("call_step", CallStep(step="answered", seat=seat), case, 11)
    home.do(home.look(case, 11))
    assert home.sharing.of(case) == stays
    assert home.sharing.was(case) == set(BOTH)
    last = {region: home.sent[region][-1] for region in BOTH}
    home.take("case_note", CaseNote(text="later", at_ns=0), case, 12)
    for region in BOTH:
        more = home.sent[region][-1] > last[region]
        assert more == (region in stays), "who lost it hears no more"
    home.take("case_closed", CaseClosed(outcome="cancelled"), case, 13)
    home.do(home.look(case, 13))
    assert not home.sharing.of(case)


def test_call_whose_neighbour_s_seat_is_gone_rings_at_all_again() -> None:
    home = Home()
    case = home.ring()
    home.do(home.look(case, 10))
    home.take("call_step", CallStep(step="answered", seat="south/anna"), case, 11)
    home.do(home.look(case, 11))
    home.take("call_step", CallStep(step="seat_lost", seat="south/anna"), case, 12)
    assert home.look(case, 13) == []
    home.do(home.look(case, 22.1))
    assert home.sharing.of(case) == set(BOTH)
    assert home.sent["west"] == list(range(1, home.sent["west"][-1] + 1)), "no gap, no double"


def test_sharing_that_is_learned_from_the_journal_goes_on_where_it_was() -> None:
    home = Home()
    case = home.ring()
    home.do(home.look(case, 10))
    home.take("call_step", CallStep(step="answered", seat="south/anna"), case, 11)
    home.do(home.look(case, 11))
    again = Sharing()
    deciding = [f for f in home.facts if f.envelope.kind in ("case_shared", "case_unshared")]
    again.learn(case, deciding, len(home.facts))
    note = home.take("case_note", CaseNote(text="later", at_ns=0), case, 12)
    orders = again.take(note)
    assert [(o.region, o.after, o.until) for o in orders] == [
        ("south", len(home.facts) - 1, len(home.facts))
    ]
    assert again.was(case) == set(BOTH)


def test_vital_signs_and_waveforms_stay_at_home() -> None:
    body = Vitals(device="m")
    assert not goes(stored("vitals", body, new_id(), 1, 1))
    assert goes(stored("case_note", CaseNote(text="x", at_ns=0), new_id(), 1, 1))


def test_seat_s_name_tells_its_district() -> None:
    assert region_of(seat_name("south", "anna")) == "south"
    assert region_of("anna") == ""


def carried(fact: Stored, position: int, region: str = "north") -> Stored:
    number = fact.case_sequence or 0
    body = DistrictFact(region=region, fact=fact.data, case=fact.envelope.case, number=number)
    return stored("district_fact", body, None, None, position)


def test_foreign_case_is_folded_once_in_any_order_and_leaves_by_its_home_s_word() -> None:
    home, there = Home(), ForeignCases("south")
    case = home.ring()
    home.do(home.look(case, 10))
    for position, fact in enumerate(reversed(home.facts), 1):
        there.take(carried(fact, position))
        there.take(carried(fact, position))  # a repeat changes nothing
    one = there.get(case)
    assert one is not None
    assert one.is_shown
    assert len(one.case.entries) == len(home.facts)
    there.take(carried(home.facts[0], 9, region="west"))
    assert one.region == "north", "nobody but its home speaks of a case"

    note = home.take("case_note", CaseNote(text="late", at_ns=0), case)
    left = home.take("case_unshared", CaseUnshared(region="south", why="answered"), case)
    there.take(carried(left, 10))
    there.take(carried(note, 11))  # overtaken on its way
    assert there.shown() == []


def test_foreign_cases_that_left_are_bounded() -> None:
    home, there = Home(), ForeignCases("south")
    for number in range(LEFT_KEPT + 30):
        case = home.ring()
        home.take("case_shared", CaseShared(region="south", why="overflow"), case)
        home.take("case_unshared", CaseUnshared(region="south", why="answered"), case)
        for fact in home.facts[-4:]:
            there.take(carried(fact, number + 1))
    assert len(there._all) <= LEFT_KEPT + 1


def test_answer_of_another_district_than_the_case_s_home_counts_for_nothing() -> None:
    home, there = Home(), ForeignCases("south")
    case = home.ring()
    for fact in home.facts:
        there.take(carried(fact, 1))
    answer = DistrictAnswer(region="west", request=new_id(), case=case, ok=True)
    assert there.answered(answer) is None
