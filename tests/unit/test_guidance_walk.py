"""The guide's engine: what a seat asks for becomes one fact, or is refused with the reason."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest

from dispatch.errors import ConflictError, DispatchError, UnknownError
from dispatch.guidance.loading import load
from dispatch.guidance.protocol import Library
from dispatch.guidance.requests import (
    ACTS,
    MADE,
    AnswerGuide,
    GoBack,
    GoOn,
    GoTo,
    GuideAction,
    NoteMoment,
    SkipStep,
    StartGuide,
    StopGuide,
    is_same,
)
from dispatch.guidance.run import Guide
from streams.guidance_messages import GuidanceMark, GuidanceStep
from tests.guidance_seat import CASE, RANG_NS, SECOND_NS, Seat, run_id


@cache
def library() -> Library:
    return load()


@pytest.fixture
def seat() -> Seat:
    return Seat(library())


def last(seat: Seat) -> GuidanceStep:
    fact = seat.facts[-1]
    assert isinstance(fact, GuidanceStep)
    return fact


def test_start_tells_all_that_is_needed_to_show_it_later(seat: Seat) -> None:
    seat.wait(12)
    seat.start()
    fact = last(seat)
    step = library().step("entry", "awake")
    assert (fact.act, fact.number, fact.at_ns) == ("started", 1, RANG_NS + 12 * SECOND_NS)
    assert (fact.protocol, fact.step, fact.kind) == ("entry", "awake", "question")
    assert fact.text == step.text
    assert fact.source == library().cite(step)
    assert (fact.version, fact.pictogram) == (library().protocol("entry").version, "tap_shoulder")
    assert fact.seat == "seat-1"


def test_answer_leads_on_and_keeps_the_callers_word(seat: Seat) -> None:
    seat.start()
    seat.answer("no")
    assert seat.at == "entry:breathing"
    fact = last(seat)
    assert (fact.act, fact.from_protocol, fact.from_step) == ("answered", "entry", "awake")
    assert fact.answer == "no"
    assert fact.answer_text is not None
    assert (fact.answer_text.en, fact.answer_text.zh) == ("No", "否")


def test_answer_leads_into_another_protocol(seat: Seat) -> None:
    seat.start()
    seat.answer("no", "gasps", "child")
    assert seat.at == "cardiac_arrest_child:flat"
    assert last(seat).timer == "recognition"


def test_answer_that_the_step_does_not_have_is_refused_with_those_it_has(seat: Seat) -> None:
    seat.start()
    with pytest.raises(UnknownError, match="known are yes, no, unsure"):
        seat.answer("perhaps")


def test_instruction_that_is_done_goes_on(seat: Seat) -> None:
    seat.start("cardiac_arrest_adult")
    seat.done()
    assert (seat.at, last(seat).act) == ("cardiac_arrest_adult:hands", "done")


def test_question_is_not_left_without_an_answer(seat: Seat) -> None:
    seat.start()
    with pytest.raises(ConflictError, match="is a question: answer it"):
        seat.done()


def test_skip_of_a_question_goes_the_way_of_who_is_not_sure(seat: Seat) -> None:
    seat.start("drowning")
    seat.answer("no", "no")
    seat.skip("the caller screams")
    assert seat.at == "drowning:flat"
    assert (last(seat).act, last(seat).reason) == ("skipped", "the caller screams")


@pytest.mark.parametrize("reason", ["", "  "])
def test_skip_without_a_reason_is_no_request(reason: str) -> None:
    raw = {
        "action": "skip_guide", "case": CASE, "run": run_id(0), "protocol": "entry",
        "step": "awake", "reason": reason,
    }  # fmt: skip
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(raw, GuideAction)
    assert isinstance(msgspec.convert(raw | {"reason": "no time"}, GuideAction), SkipStep)


def test_skip_of_what_stands_is_refused_where_nothing_comes_after(seat: Seat) -> None:
    seat.start("cardiac_arrest_adult")
    seat.done(2)
    with pytest.raises(ConflictError, match="stands until the crew is there"):
        seat.skip()


def test_override_goes_to_any_step_with_its_reason(seat: Seat) -> None:
    seat.start()
    seat.go_to("cardiac_arrest_adult", "keep", "they push already")
    assert seat.at == "cardiac_arrest_adult:keep"
    assert (last(seat).act, last(seat).reason) == ("overridden", "they push already")
    seat.go_to("choking")
    assert seat.at == "choking:age"


def test_override_to_what_is_not_there_is_refused(seat: Seat) -> None:
    seat.start()
    with pytest.raises(UnknownError, match="no protocol 'magic'"):
        seat.go_to("magic")
    with pytest.raises(UnknownError, match="no step 'choking:magic'"):
        seat.go_to("choking", "magic")


def test_override_to_a_drug_that_is_switched_off_is_refused(seat: Seat) -> None:
    seat.start("chest_pain")
    with pytest.raises(ConflictError, match="switched off: the settings do not allow 'aspirin'"):
        seat.go_to("chest_pain", "aspirin")


def test_back_goes_the_way_back_step_by_step_and_forth_again(seat: Seat) -> None:
    seat.start()
    seat.answer("no", "yes")
    assert seat.at == "unconscious_breathing:hurt"
    seat.back()
    assert (seat.at, last(seat).act) == ("entry:breathing", "back")
    seat.back()
    assert seat.at == "entry:awake"
    with pytest.raises(ConflictError, match="this is where the guide began"):
        seat.back()
    seat.answer("yes")
    seat.back()
    assert seat.at == "entry:awake"


def test_back_in_a_circle_leads_out_of_it_and_not_round(seat: Seat) -> None:
    seat.start("unconscious_breathing")
    seat.answer("no")
    seat.done(2)
    seat.done()  # time to look again
    seat.answer("yes")
    assert seat.at == "unconscious_breathing:watch"
    for expected in ("check", "watch", "tilt", "roll", "hurt"):
        seat.back()
        assert seat.at == f"unconscious_breathing:{expected}"


def test_stop_ends_the_run_and_a_new_one_may_begin(seat: Seat) -> None:
    seat.start()
    seat.stop("the crew is there")
    assert seat.guide.current is None
    assert (last(seat).act, last(seat).reason) == ("stopped", "the crew is there")
    first = last(seat).run
    assert seat.ask(StopGuide(case=CASE, run=first, reason="again")) == ()
    with pytest.raises(ConflictError, match="the guide is at its end"):
        seat.ask(GoOn(case=CASE, run=first, protocol="entry", step="wake"))
    seat.start("stroke")
    assert seat.run.id != first


def test_second_start_is_a_repeat_or_is_told_where_the_guide_is(seat: Seat) -> None:
    seat.start()
    assert seat.start() == ()
    with pytest.raises(ConflictError, match="goes on at entry:awake"):
        seat.start("stroke")


def test_two_patients_of_a_call_are_guided_side_by_side(seat: Seat) -> None:
    seat.start("childbirth", "mother")
    seat.answer("born")
    mother = seat.run.id
    seat.wait(1)
    seat.start("cardiac_arrest_infant", "baby")
    assert seat.run.patient == "baby"
    seat.ask(GoOn(case=CASE, run=mother, protocol="childbirth", step="dry"))
    assert seat.guide.runs[mother].place == ("childbirth", "cry")
    assert seat.at == "cardiac_arrest_infant:flat"


def test_second_tap_of_the_same_answer_makes_nothing(seat: Seat) -> None:
    seat.start()
    again = AnswerGuide(case=CASE, run=seat.run.id, protocol="entry", step="awake", answer="no")
    assert len(seat.ask(again)) == 1
    assert seat.ask(again) == ()
    assert seat.ask(again, seat="seat-2") == ()


def test_other_answer_to_a_step_that_is_left_is_told_where_the_guide_is(seat: Seat) -> None:
    seat.start()
    run = seat.run.id
    seat.answer("no")
    with pytest.raises(ConflictError, match="is at entry:breathing and no longer at entry:awake"):
        seat.ask(AnswerGuide(case=CASE, run=run, protocol="entry", step="awake", answer="yes"))


def test_repeats_of_every_other_action_make_nothing(seat: Seat) -> None:
    seat.start("unconscious_breathing")
    run = seat.run.id
    at = {"case": CASE, "run": run, "protocol": "unconscious_breathing"}
    skip = SkipStep(**at, step="hurt", reason="no time")
    assert [len(seat.ask(skip)) for _ in range(2)] == [1, 0]
    seat.answer("no")
    still = GoOn(**at, step="still")
    assert [len(seat.ask(still)) for _ in range(2)] == [1, 0]


def test_run_that_nobody_began_is_unknown(seat: Seat) -> None:
    with pytest.raises(UnknownError, match="no guide"):
        seat.ask(StopGuide(case=CASE, run=run_id(9), reason="x"))


def test_time_never_runs_backwards_within_a_run(seat: Seat) -> None:
    seat.start()
    first = last(seat).at_ns
    seat.wait(-30)
    seat.answer("no")
    assert last(seat).at_ns == first


def test_moment_is_noted_corrected_and_taken_back(seat: Seat) -> None:
    seat.start("cardiac_arrest_adult")
    seat.wait(60)
    seat.note("first_shock")
    assert seat.run.moments()["first_shock"] == RANG_NS + 60 * SECOND_NS
    seat.note("first_shock", at_ms=RANG_NS // 1_000_000 + 45_000)
    assert seat.run.moments()["first_shock"] == RANG_NS + 45 * SECOND_NS
    with pytest.raises(DispatchError, match="wants a reason"):
        seat.note("first_shock", withdrawn=True)
    seat.note("first_shock", withdrawn=True, reason="no shock was given")
    assert "first_shock" not in seat.run.moments()
    assert seat.note("first_shock", withdrawn=True, reason="again") == ()
    assert all(one.seat == "seat-1" for one in seat.facts)


def test_moment_noted_twice_by_one_tap_is_one(seat: Seat) -> None:
    seat.start("cardiac_arrest_adult")
    seat.wait(60)
    assert len(seat.note("rescuer_change")) == 1
    seat.wait(0.3)
    assert seat.note("rescuer_change") == ()
    seat.wait(120)
    assert len(seat.note("rescuer_change")) == 1
    assert len(seat.run.rescuer_changes()) == 2


@pytest.mark.parametrize(("after_s", "why"), [(-1, "before the call rang"), (600, "still to come")])
def test_moment_that_cannot_be_is_refused(seat: Seat, after_s: int, why: str) -> None:
    seat.start("cardiac_arrest_adult")
    with pytest.raises(DispatchError, match=why):
        seat.note("first_shock", at_ms=RANG_NS // 1_000_000 + after_s * 1000)


def test_facts_of_a_protocol_that_is_no_longer_there_still_say_where_the_guide_is() -> None:
    fact = GuidanceStep(
        run=run_id(0), act="started", number=1, at_ns=RANG_NS, protocol="old", step="gone",
        kind="instruction",
    )  # fmt: skip
    seat = Seat(library())
    seat.guide.take(fact)
    assert seat.at == "old:gone"
    with pytest.raises(UnknownError, match="no protocol 'old'"):
        seat.done()
    seat.go_to("entry")
    assert seat.at == "entry:awake"


def test_noted_moment_that_comes_before_its_run_waits_for_it() -> None:
    mark = GuidanceMark(
        run=run_id(0), mark="first_shock", number=2, at_ns=RANG_NS, noted_ns=RANG_NS
    )
    start = GuidanceStep(
        run=run_id(0), act="started", number=1, at_ns=RANG_NS, protocol="entry", step="awake"
    )
    guide = Guide()
    guide.take(mark)
    assert not guide.runs[run_id(0)].is_on
    guide.take(start)
    assert guide.current is guide.runs[run_id(0)]
    assert guide.runs[run_id(0)].moments() == {"first_shock": RANG_NS}


def test_fact_of_an_action_is_told_from_the_facts_of_all_others(seat: Seat) -> None:
    """An action that comes again with its id is a repeat only if it asks for what was done."""
    here = {"case": CASE, "run": run_id(0), "protocol": "entry"}
    child = {"case": CASE, "run": run_id(0), "protocol": "cardiac_arrest_child"}
    actions: list[GuideAction] = [
        StartGuide(case=CASE),
        AnswerGuide(**here, step="awake", answer="no"),
        GoBack(**here, step="breathing"),
        SkipStep(**here, step="awake", reason=" no time "),
        GoTo(**here, step="wake", to_protocol="cardiac_arrest_child", reason="a child"),
        GoOn(**child, step="flat"),
        NoteMoment(case=CASE, run=run_id(0), mark="first_shock"),
        NoteMoment(case=CASE, run=run_id(0), mark="first_shock", withdrawn=True, reason="none"),
        StopGuide(case=CASE, run=run_id(0), reason="the crew is there"),
    ]
    facts: list[GuidanceStep | GuidanceMark] = []
    for action in actions:
        seat.wait(5)
        facts += seat.ask(action)
    assert [[is_same(action, fact) for fact in facts] for action in actions] == [
        [row == column for column in range(len(facts))] for row in range(len(actions))
    ]
    assert {type(action) for action in actions} == set(MADE) == {*ACTS, NoteMoment}


@pytest.mark.parametrize(
    "other",
    [
        StartGuide(case=CASE, protocol="stroke"),
        AnswerGuide(case=CASE, run=run_id(0), protocol="entry", step="awake", answer="yes"),
        AnswerGuide(case=CASE, run=run_id(1), protocol="entry", step="awake", answer="no"),
        NoteMoment(case=CASE, run=run_id(0), mark="first_shock", at_ms=5),
    ],
    ids=repr,
)
def test_action_that_asks_for_something_else_is_no_repeat(seat: Seat, other: GuideAction) -> None:
    seat.start()
    seat.answer("no")
    seat.note("first_shock")
    assert not any(is_same(other, fact) for fact in seat.facts)
