"""Times of a resuscitation: from the ring on, and how long each rescuer pushes."""

from __future__ import annotations

from functools import cache

import pytest

from dispatch.guidance.loading import load
from dispatch.guidance.protocol import Library
from dispatch.guidance.resuscitation import Times, times
from dispatch.guidance.run import Run
from tests.guidance_seat import RANG_NS, SECOND_NS, Seat, run_id


@cache
def library() -> Library:
    return load()


def now(seat: Seat) -> Times:
    return times(seat.run, rang_ns=RANG_NS, now_ns=seat.now_ns)


def recognised() -> Seat:
    """Returns a guide that came to an adult's arrest 40 s after the ring, hands not yet on."""
    seat = Seat(library())
    seat.wait(10)
    seat.start()
    seat.wait(15)
    seat.answer("no")
    seat.wait(15)
    seat.answer("gasps", "adult")
    return seat


def pushing() -> Seat:
    """Returns one where somebody pushes since 65 s after the ring."""
    seat = recognised()
    seat.wait(10)
    seat.done(2)
    seat.wait(15)
    seat.answer("pushing")
    return seat


def test_recognition_is_counted_from_the_ring() -> None:
    seat = recognised()
    assert now(seat).recognition_s == 40
    assert now(seat).hands_on_chest_s is None
    seat.wait(100)
    assert now(seat).recognition_s == 40


def test_metronome_sounds_before_the_caller_pushes_but_nothing_is_counted() -> None:
    seat = recognised()
    seat.done(2)
    seat.wait(30)
    seen = now(seat)
    assert seen.metronome_per_min == 110
    assert (seen.compressions_s, seen.rescuer_s, seen.rescuer_change_in_s) == (0, None, None)


def test_hands_on_the_chest_start_the_count_of_compressions() -> None:
    seat = pushing()
    assert now(seat).hands_on_chest_s == 65
    seat.wait(50)
    seat.answer("no")  # alone: goes on pushing
    seat.wait(10)
    seen = now(seat)
    assert (seen.compressions_s, seen.rescuer_s, seen.rescuer_change_in_s) == (60, 60, 60)
    assert not seen.is_rescuer_change_due


def test_change_of_rescuer_is_due_after_two_minutes_and_starts_the_count_again() -> None:
    seat = pushing()
    seat.answer("no")
    seat.wait(121)
    assert now(seat).is_rescuer_change_due
    assert now(seat).rescuer_change_in_s == 0
    seat.answer("helper")
    assert not now(seat).is_rescuer_change_due
    assert now(seat).rescuer_change_in_s == 120
    assert now(seat).compressions_s == 121
    seat.done()
    seat.wait(30)
    seat.note("rescuer_change")
    seat.wait(5)
    assert now(seat).rescuer_s == 5


def test_pause_for_the_shock_is_not_counted_as_compressions() -> None:
    seat = pushing()
    seat.answer("here")  # the AED is there: pads go on while one pushes
    seat.wait(20)
    seat.done()  # hands off
    seat.wait(8)
    assert now(seat).rescuer_s is None
    seat.done()
    seat.answer("yes")
    seen = now(seat)
    assert seen.first_shock_s == 65 + 20 + 8
    assert (seen.compressions_s, seen.rescuer_change_in_s) == (20, 120)
    seat.wait(10)
    assert now(seat).compressions_s == 30


def test_second_shock_and_second_round_do_not_move_the_first_moments() -> None:
    seat = pushing()
    seat.answer("here")
    seat.done(2)
    seat.answer("yes")
    first = now(seat)
    seat.wait(120)
    seat.answer("clear")
    seat.done()
    seat.answer("yes")
    assert now(seat).first_shock_s == first.first_shock_s
    seat.go_to("cardiac_arrest_adult", "flat")
    assert now(seat).recognition_s == first.recognition_s


def test_gone_back_to_a_step_makes_no_moment() -> None:
    seat = Seat(library())
    seat.start("cardiac_arrest_adult")
    run = seat.run
    seat.note("recognition", withdrawn=True, reason="breathes normally after all")
    seat.done()
    seat.back()
    assert "recognition" not in run.moments()


def test_corrected_moment_counts() -> None:
    seat = pushing()
    seat.wait(60)
    seat.note("hands_on_chest", at_ms=RANG_NS // 1_000_000 + 80_000)
    assert now(seat).hands_on_chest_s == 80
    assert now(seat).compressions_s == 45


def test_recheck_is_due_after_its_seconds() -> None:
    seat = Seat(library())
    seat.start("unconscious_breathing")
    seat.answer("no")
    seat.done(2)
    seat.wait(59)
    assert now(seat).recheck_in_s == pytest.approx(1)
    assert not now(seat).is_recheck_due
    seat.wait(1)
    assert now(seat).is_recheck_due
    seat.done()
    assert seat.at == "unconscious_breathing:check"
    assert now(seat).recheck_in_s is None


def test_stopped_guide_counts_no_further() -> None:
    seat = pushing()
    seat.wait(30)
    run = seat.run
    seat.stop()
    seat.wait(300)
    seen = times(run, rang_ns=RANG_NS, now_ns=seat.now_ns)
    assert (seen.compressions_s, seen.metronome_per_min, seen.rescuer_s) == (30, 0, None)
    assert seen.hands_on_chest_s == 65


def test_clock_that_is_behind_makes_no_negative_time() -> None:
    seat = pushing()
    seen = times(seat.run, rang_ns=RANG_NS + 3600 * SECOND_NS, now_ns=RANG_NS)
    assert (seen.recognition_s, seen.on_step_s, seen.compressions_s) == (0, 0, 0)


def test_run_of_which_nothing_has_come_has_no_times() -> None:
    seen = times(Run(run_id(0)), rang_ns=RANG_NS, now_ns=RANG_NS)
    assert (seen.recognition_s, seen.compressions_s, seen.metronome_per_min) == (None, 0, 0)
