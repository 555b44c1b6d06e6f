"""Which stretch is read next: finals first, drafts from the newest sound, nothing queued."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dispatch.speech.schedule import (
    DRAFT_EVERY_S,
    FIRST_AFTER_S,
    GIVE_UP_S,
    Job,
    Reading,
    Schedule,
    Told,
)
from dispatch.speech.utterances import Stretch, samples


def stretch(seconds: float, number: int = 1, *, silence_s: float = 0.0) -> Stretch:
    end = samples(seconds)
    return Stretch(number, 0, 0, end, end + samples(silence_s), 30)


def grow(one: Stretch, seconds: float) -> None:
    one.voiced_end += samples(seconds)
    one.heard_end = one.voiced_end


def reading(job: Job, text: str = "some words") -> Reading:
    return Reading(text, "en", 0.9, job.end, thorough=not job.rough)


def taken(job: Job | None) -> Job:
    assert job is not None
    return job


def test_final_of_a_later_voice_goes_before_the_draft_of_an_earlier_one() -> None:
    schedule = Schedule()
    schedule.began(1, stretch(2.0), 0.0)
    schedule.began(2, stretch(2.0), 1.0)
    schedule.ended(2, 1, 2.0)
    assert taken(schedule.next(2.0)).kind == "final"
    assert taken(schedule.next(2.0)).kind == "first"
    assert schedule.next(2.0) is None


def test_pause_is_read_before_drafts_and_is_the_final_text_when_the_end_comes() -> None:
    schedule = Schedule()
    ending = stretch(1.0, silence_s=0.2)
    schedule.began(1, ending, 0.0)
    other = stretch(3.0)
    schedule.began(2, other, 0.0)
    schedule.done(job := taken(schedule.next(0.5)), reading(job))
    schedule.done(job := taken(schedule.next(0.6)), reading(job))
    grow(other, 2.0)
    schedule.went_on(1, 1, paused=True)
    job = taken(schedule.next(1.2))
    assert (job.voice, job.kind, job.end) == (1, "settle", samples(1.2))
    better = reading(job, "better words")
    assert schedule.done(job, better) == Told(1, 1, False, better, 0, samples(1.0))
    told = schedule.ended(1, 1, 1.6)
    assert told is not None
    assert told.final
    assert schedule.finals_settled == 1
    assert schedule.late_s(9.0) == 0


def test_end_that_comes_while_its_pause_is_read_needs_no_second_reading() -> None:
    schedule = Schedule()
    schedule.began(1, stretch(1.0, silence_s=0.2), 0.0)
    schedule.went_on(1, 1, paused=True)
    job = taken(schedule.next(1.2))
    assert schedule.ended(1, 1, 1.6) is None
    told = schedule.done(job, reading(job))
    assert told is not None
    assert told.final
    assert schedule.next(2.0) is None


def test_speech_after_a_pause_is_read_again() -> None:
    schedule = Schedule()
    one = stretch(1.0, silence_s=0.2)
    schedule.began(1, one, 0.0)
    schedule.went_on(1, 1, paused=True)
    job = taken(schedule.next(1.2))
    schedule.done(job, reading(job))
    grow(one, 1.0)
    schedule.ended(1, 1, 2.6)
    again = taken(schedule.next(2.6))
    assert (again.kind, again.end) == ("final", samples(2.0))


def test_draft_is_made_of_all_sound_that_is_there_when_there_is_time_for_it() -> None:
    schedule = Schedule()
    one = stretch(FIRST_AFTER_S)
    schedule.began(1, one, 0.0)
    job = taken(schedule.next(0.5))
    grow(one, 3 * DRAFT_EVERY_S)
    schedule.done(job, reading(job))
    late = taken(schedule.next(3.0))
    assert (late.kind, late.end) == ("draft", one.heard_end)
    schedule.done(late, reading(late))
    assert schedule.next(3.5) is None


def test_drafts_go_to_the_voice_that_waited_longest() -> None:
    schedule = Schedule()
    voices = {number: stretch(1.0) for number in (1, 2, 3)}
    for number, one in voices.items():
        schedule.began(number, one, 0.0)
    order = []
    for now in range(1, 10):
        job = taken(schedule.next(float(now)))
        order.append(job.voice)
        schedule.done(job, reading(job, f"text {now}"))
        for one in voices.values():
            grow(one, 1.0)
    assert order == [1, 2, 3] * 3


def test_draft_with_the_same_text_is_not_shown_again() -> None:
    schedule = Schedule()
    one = stretch(1.0)
    schedule.began(1, one, 0.0)
    job = taken(schedule.next(1.0))
    assert schedule.done(job, reading(job)) is not None
    grow(one, 1.0)
    job = taken(schedule.next(2.0))
    assert schedule.done(job, reading(job)) is None


def test_first_draft_is_rough_and_never_counts_as_final() -> None:
    schedule = Schedule()
    schedule.began(1, stretch(1.0), 0.0)
    job = taken(schedule.next(1.0))
    assert job.rough
    schedule.done(job, reading(job))
    assert schedule.ended(1, 1, 1.6) is None
    assert taken(schedule.next(1.6)).kind == "final"


def test_later_draft_that_reaches_the_end_is_the_final_text() -> None:
    schedule = Schedule()
    one = stretch(1.0)
    schedule.began(1, one, 0.0)
    schedule.done(job := taken(schedule.next(1.0)), reading(job))
    grow(one, 1.0)
    schedule.done(job := taken(schedule.next(2.0)), reading(job, "more words"))
    told = schedule.ended(1, 1, 2.6)
    assert told is not None
    assert (told.final, told.reading.text) == (True, "more words")


def test_first_draft_without_a_text_is_tried_again_soon() -> None:
    schedule = Schedule()
    one = stretch(1.0)
    schedule.began(1, one, 0.0)
    schedule.done(job := taken(schedule.next(1.0)), reading(job, ""))
    assert schedule.next(1.1) is None
    grow(one, FIRST_AFTER_S)
    assert taken(schedule.next(1.5)).kind == "first"


def test_many_who_speak_at_once_get_fewer_drafts_each() -> None:
    schedule = Schedule()
    voices = {number: stretch(1.0) for number in range(1, 7)}
    for number, one in voices.items():
        schedule.began(number, one, 0.0)
        schedule.done(job := taken(schedule.next(1.0)), reading(job))
    for one in voices.values():
        grow(one, DRAFT_EVERY_S)
    assert schedule.next(2.0) is None
    for number in range(2, 7):
        schedule.closed(number)
    assert taken(schedule.next(2.0)).kind == "draft"


def test_dismissed_speech_takes_its_draft_back() -> None:
    schedule = Schedule()
    schedule.began(1, stretch(1.0), 0.0)
    job = taken(schedule.next(1.0))
    schedule.done(job, reading(job))
    told = schedule.dismissed(1, 1)
    assert told is not None
    assert (told.final, told.reading.text) == (True, "")


def test_final_that_waits_too_long_is_given_as_its_last_draft_with_less_confidence() -> None:
    schedule = Schedule()
    one = stretch(1.0)
    schedule.began(1, one, 0.0)
    job = taken(schedule.next(1.0))
    schedule.done(job, reading(job, "half of it"))
    grow(one, 2.0)
    schedule.ended(1, 1, 3.0)
    assert schedule.too_late(3.0 + GIVE_UP_S - 0.1) == []
    assert schedule.late_s(5.0) == 2.0
    (told,) = schedule.too_late(3.0 + GIVE_UP_S)
    assert told.final
    assert (told.reading.text, told.reading.confidence) == ("half of it", 0.45)
    assert schedule.given_up == 1
    assert schedule.next(20.0) is None


def test_closed_voice_is_read_no_more_and_a_reading_that_comes_late_shows_nothing() -> None:
    schedule = Schedule()
    schedule.began(1, stretch(1.0), 0.0)
    job = taken(schedule.next(1.0))
    schedule.closed(1)
    assert schedule.done(job, reading(job)) is None
    assert schedule.next(2.0) is None


@given(st.lists(st.tuples(st.integers(1, 3), st.floats(0.1, 3.0), st.booleans()), max_size=30))
def test_every_utterance_that_ends_gets_exactly_one_final_text(
    steps: list[tuple[int, float, bool]],
) -> None:
    schedule = Schedule()
    current: dict[int, Stretch] = {}
    finals: list[tuple[int, int]] = []
    ended: list[tuple[int, int]] = []
    number, now = 0, 0.0
    running: Job | None = None

    def note(told: Told | None) -> None:
        if told is not None and told.final:
            finals.append((told.voice, told.utterance))

    for voice, seconds, ends in steps:
        now += seconds
        if voice not in current:
            number += 1
            current[voice] = stretch(0.1, number)
            schedule.began(voice, current[voice], now)
        grow(current[voice], seconds)
        if running is not None:
            note(schedule.done(running, reading(running)))
        running = schedule.next(now)
        if ends:
            one = current.pop(voice)
            ended.append((voice, one.number))
            note(schedule.ended(voice, one.number, now))
    while running is not None or (running := schedule.next(now)) is not None:
        note(schedule.done(running, reading(running)))
        running = None
    assert sorted(finals) == sorted(ended)
