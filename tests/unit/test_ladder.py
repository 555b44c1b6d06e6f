"""The ladder: a sane table, no flapping, worse never gives better, and back at full when wide."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onboard.ladder import (
    FRESH_S,
    RUNGS,
    STEP_EVERY_S,
    Ladder,
    Measured,
    Rung,
    Step,
    brake,
    rungs_for,
)

TABLE = rungs_for(1_500_000, 25, sound=True)
TICK_S = 0.1
ENOUGH_BPS = 1.3 * TABLE[0].need_bps


def at(rung: int) -> Ladder:
    """A ladder that was placed on a rung long ago."""
    ladder = Ladder(TABLE)
    capacity = 1.16 * TABLE[rung].need_bps
    assert place(ladder, capacity) == Step(rung, "start", "start")
    return ladder


def place(ladder: Ladder, *capacities_bps: float) -> Step | None:
    """Show a new ladder one or two trains, the last of them twice; return its choice."""
    for n, capacity in enumerate((*capacities_bps, capacities_bps[-1])):
        at_s = 0.3 * n
        step = ladder.decide(at_s + 0.1, Measured(0.0, 0.0, capacity, at_s, settled=True))
        if step is not None:
            return step
    return None


@dataclass
class Drive:
    """A ladder under a link whose capacity and queue a test sets; trains go every 3 s."""

    ladder: Ladder
    now: float = 20.0
    trained_at: float = 20.0

    def go(self, seconds: float, capacity_bps: float, queue_s: float = 0.0) -> list[Step]:
        steps = []
        for _ in range(round(seconds / TICK_S)):
            self.now += TICK_S
            if self.now - self.trained_at >= (0.3 if self.ladder.troubled else 3.0):
                self.trained_at = self.now
            seen = Measured(queue_s, 0.0, capacity_bps, self.trained_at, settled=True)
            step = self.ladder.decide(self.now, seen)
            if step is not None:
                steps.append(step)
        return steps


def quality(rung: Rung) -> tuple[float, ...]:
    return (rung.video_bps, rung.fps, -rung.scale, rung.sound, -rung.ecg_every, -rung.ecg_joined)


def test_table_reduces_one_thing_after_the_other_and_the_waveform_last() -> None:
    assert [rung.need_bps for rung in RUNGS] == sorted(
        (rung.need_bps for rung in RUNGS), reverse=True
    )
    for better, worse in pairwise(RUNGS):
        assert all(b >= w for b, w in zip(quality(better), quality(worse), strict=True))
    lost: dict[str, Callable[[Rung], bool]] = {
        "bit rate": lambda rung: rung.video_bps < RUNGS[0].video_bps,
        "frame rate": lambda rung: rung.fps < RUNGS[0].fps,
        "resolution": lambda rung: rung.scale > 1,
        "video": lambda rung: rung.picture != "video",
        "sound": lambda rung: not rung.sound,
        "waveform": lambda rung: rung.ecg_joined or rung.ecg_every > 1,
    }
    first = {
        what: next(n for n, r in enumerate(RUNGS) if is_lost(r)) for what, is_lost in lost.items()
    }
    assert list(first.values()) == sorted(set(first.values()))


def test_table_fits_the_links_that_the_agent_promises_to_live_on() -> None:
    fitting = {
        kbps: next(rung for rung in TABLE if 1.15 * rung.need_bps <= kbps * 1000)
        for kbps in (800, 500, 400, 250)
    }
    assert [rung.picture for rung in fitting.values()] == ["video"] * 4
    assert all(rung.ecg_every == 1 and not rung.ecg_joined for rung in fitting.values())
    assert TABLE[-1].need_bps < 64_000


@given(most_bps=st.integers(100_000, 20_000_000), fps=st.floats(1, 60), sound=st.booleans())
def test_table_of_any_camera_begins_with_its_settings_and_never_exceeds_them(
    most_bps: int, fps: float, sound: bool
) -> None:
    table = rungs_for(most_bps, fps, sound=sound)
    assert (table[0].video_bps, table[0].fps, table[0].sound) == (most_bps, fps, sound)
    assert all(r.video_bps <= most_bps and r.fps <= fps and r.sound <= sound for r in table)
    needs = [rung.need_bps for rung in table]
    assert needs == sorted(set(needs), reverse=True)


def test_table_without_a_camera_only_thins_the_waveform() -> None:
    table = rungs_for(0, 0, sound=False)
    assert {rung.picture for rung in table} == {"off"}
    assert [(rung.ecg_every, rung.ecg_joined) for rung in table] == [
        (1, False), (1, True), (2, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kbps", "rung"), [(3000, 0), (800, 2), (500, 3), (400, 4), (250, 5), (64, 9)]
)
def test_ladder_that_starts_goes_straight_to_the_rung_that_fits(kbps: int, rung: int) -> None:
    assert place(Ladder(TABLE), kbps * 1000) == Step(rung, "start", "start")


def test_ladder_that_starts_takes_the_better_of_two_trains() -> None:
    assert place(Ladder(TABLE), 120_000, 250_000) == Step(5, "start", "start")
    assert place(Ladder(TABLE), 250_000, 200_000) == Step(5, "start", "start")
    assert place(Ladder(TABLE), 250_000, 120_000) == place(Ladder(TABLE), 120_000, 120_000)
    ladder, seen = Ladder(TABLE), Measured(0.0, 0.0, 250_000, 0.2, settled=True)
    assert [ladder.decide(0.3 + n / 10, seen) for n in range(5)] == [None] * 5, "one is not two"


def test_ladder_that_knows_nothing_takes_single_pictures_and_two_trains_place_it_anew() -> None:
    ladder = Ladder(TABLE)
    step = ladder.go_blind(10.0)
    assert step is not None
    assert (step.change, step.reason, TABLE[step.rung].picture) == ("start", "silence", "stills")
    assert not TABLE[step.rung].sound
    assert ladder.go_blind(10.1) is None, "once is enough"
    drive = Drive(ladder)
    assert drive.go(6.5, ENOUGH_BPS) == [Step(0, "start", "start")]
    assert ladder.go_blind(drive.now) == replace(step, change="down")
    assert ladder.go_blind(drive.now) is None
    assert drive.go(6.5, ENOUGH_BPS) == [Step(0, "start", "start")], "and not only after 10 s"


def test_ladder_that_knows_nothing_keeps_what_is_less_than_single_pictures() -> None:
    low = at(len(TABLE) - 1)
    assert (low.go_blind(30.0), low.rung) == (None, len(TABLE) - 1)
    without_camera = Ladder(rungs_for(0, 25, sound=False))
    assert (without_camera.go_blind(1.0), without_camera.rung) == (None, 0)


def test_ladder_that_starts_lets_go_of_a_first_train_that_came_bunched() -> None:
    assert place(Ladder(TABLE), 800_000, 250_000) == place(Ladder(TABLE), 250_000)


def test_ladder_that_starts_on_a_link_that_is_full_already_begins_at_the_bottom() -> None:
    ladder = Ladder(TABLE)
    steps = [ladder.decide(5.0 + n * TICK_S, Measured(0.9)) for n in range(40)]
    last = len(TABLE) - 1
    assert [step for step in steps if step] == [Step(last, "start", "silence")]
    drive = Drive(ladder)
    assert drive.go(15.0, ENOUGH_BPS) == [Step(0, "up", "room")]


def test_ladder_waits_with_its_start_while_trains_still_grow() -> None:
    ladder = Ladder(TABLE)
    assert ladder.decide(1.0, Measured(0.0, 0.0, 250_000, 0.9, settled=False)) is None
    assert not ladder.placed


def test_ladder_under_a_queue_measures_and_moves_once_to_what_fits() -> None:
    drive = Drive(at(0))
    steps = drive.go(5.0, 400_000, queue_s=0.5)
    assert steps == [Step(4, "down", "delay")]


def test_ladder_blind_under_a_queue_that_stands_goes_to_the_last_rung_at_once() -> None:
    ladder = at(0)
    steps = [ladder.decide(20.0 + n * TICK_S, Measured(2.0)) for n in range(150)]
    assert [step for step in steps if step] == [Step(len(TABLE) - 1, "down", "silence")]


def test_ladder_waits_from_a_queue_on_until_a_train_sent_after_it_has_told() -> None:
    ladder = at(0)
    before = Measured(0.0, 0.0, ENOUGH_BPS, 19.9, settled=True)
    ladder.decide(20.0, replace(before, queue_s=1.0))
    assert ladder.waits
    ladder.decide(20.5, before)
    assert ladder.waits, "the queue is gone, but what was known is from before it"
    ladder.decide(20.7, replace(before, capacity_at=20.6, settled=False))
    assert ladder.waits, "it takes a second train"
    ladder.decide(20.9, replace(before, capacity_at=20.8))
    assert not ladder.waits


def test_ladder_with_two_short_trains_and_no_queue_goes_down_before_there_is_one() -> None:
    drive = Drive(at(2))
    assert drive.go(2.0, 450_000) == []
    assert drive.go(6.0, 450_000) == [Step(3, "down", "capacity")]


def test_ladder_with_random_loss_on_a_wide_link_stays() -> None:
    ladder = at(0)
    for tick in range(600):
        now = 20 + tick * TICK_S
        seen = Measured(0.0, 0.25, ENOUGH_BPS, now - now % 3, settled=True)
        assert ladder.decide(now, seen) is None


def test_ladder_whose_queue_no_train_explains_goes_down_rung_by_rung() -> None:
    drive = Drive(at(0))
    steps = drive.go(30.0, ENOUGH_BPS, queue_s=0.5)
    assert [step.rung for step in steps] == [1, 2, 3]
    assert {step.reason for step in steps} == {"delay"}


def test_ladder_is_at_full_within_15_s_after_any_link_becomes_wide() -> None:
    for rung in range(1, len(TABLE)):
        drive = Drive(at(rung))
        steps = drive.go(15.0, ENOUGH_BPS)
        assert steps == [Step(0, "up", "room")], rung


def test_ladder_goes_up_once_when_trains_grow_step_by_step() -> None:
    ladder = at(9)
    capacity, steps = 64_000.0, []
    for tick in range(120):
        now = 20 + tick * TICK_S
        if tick % 4 == 0:
            capacity = min(2.5 * capacity, ENOUGH_BPS)
        seen = Measured(0.0, 0.0, capacity, now, settled=capacity >= ENOUGH_BPS)
        steps.append(ladder.decide(now, seen))
    assert [step for step in steps if step] == [Step(0, "up", "room")]


def test_ladder_waits_longer_after_each_try_that_failed() -> None:
    drive = Drive(at(3))
    pauses = []
    for _ in range(3):
        up = drive.now
        while not drive.go(TICK_S, ENOUGH_BPS):
            assert drive.now - up < 100
        pauses.append(drive.now - up)
        down = drive.now
        while not drive.go(TICK_S, 500_000, queue_s=0.6):
            assert drive.now - down < 20
    assert pauses[0] < pauses[1] < pauses[2]
    assert pauses[1] >= 15


measured = st.builds(
    Measured,
    queue_s=st.floats(0, 3),
    loss=st.floats(0, 1),
    capacity_bps=st.none() | st.floats(1_000, 5_000_000),
    capacity_at=st.just(0.0),
    settled=st.booleans(),
    oldest_s=st.floats(0, 30),
)


def stamped(seen: Measured, now: float, age_s: float) -> Measured:
    return replace(seen, capacity_at=now - age_s)


@settings(deadline=None)
@given(
    seen=st.lists(st.tuples(measured, st.floats(0, 6), st.integers(1, 80)), min_size=1, max_size=30)
)
def test_ladder_moves_at_most_once_up_and_once_down_in_ten_seconds(
    seen: list[tuple[Measured, float, int]],
) -> None:
    ladder, now, moved = Ladder(TABLE), 0.0, {"up": [-99.0], "down": [-99.0]}
    for one, age_s, ticks in seen:
        for _ in range(ticks):
            now += TICK_S
            before = ladder.rung
            step = ladder.decide(now, stamped(one, now, age_s))
            assert 0 <= ladder.rung < len(TABLE)
            assert (step is None) == (ladder.rung == before) or (
                step is not None and step.change == "start"
            )
            if ladder.rung != before:
                way = moved["up" if ladder.rung < before else "down"]
                assert now - way[-1] >= STEP_EVERY_S - 1e-6
                way.append(now)


@settings(deadline=None)
@given(
    history=st.lists(
        st.tuples(measured, st.floats(0, 6), st.integers(1, 40)), min_size=1, max_size=10
    ),
    seen=measured,
    age_s=st.floats(0, FRESH_S),
    more=st.tuples(st.floats(0, 2), st.floats(0, 1), st.floats(0, 1), st.floats(0, 10)),
)
def test_ladder_with_a_worse_path_is_never_on_a_better_rung(
    history: list[tuple[Measured, float, int]],
    seen: Measured,
    age_s: float,
    more: tuple[float, float, float, float],
) -> None:
    ladder, now = Ladder(TABLE), 0.0
    for one, age, ticks in history:
        for _ in range(ticks):
            now += TICK_S
            ladder.decide(now, stamped(one, now, age))
    worse = replace(
        seen,
        queue_s=seen.queue_s + more[0],
        loss=min(1.0, seen.loss + more[1]),
        capacity_bps=seen.capacity_bps and seen.capacity_bps * (1 - more[2]),
        oldest_s=seen.oldest_s + more[3],
    )
    other = copy.deepcopy(ladder)
    ladder.decide(now + TICK_S, stamped(seen, now + TICK_S, age_s))
    other.decide(now + TICK_S, stamped(worse, now + TICK_S, age_s))
    assert other.rung >= ladder.rung


@given(queue_s=st.floats(0, 5), more_s=st.floats(0, 5))
def test_brake_is_full_without_a_queue_shut_over_a_long_one_and_never_rises_with_it(
    queue_s: float, more_s: float
) -> None:
    assert brake(0.0) == 1.0
    assert brake(0.4) == 0.0
    assert 0.0 <= brake(queue_s + more_s) <= brake(queue_s) <= 1.0


def blind(ladder: Ladder, queues_s: list[float]) -> list[Step]:
    """Show queues, one look every 0.1 s, and no train."""
    found = [ladder.decide(20.1 + 0.1 * n, Measured(one)) for n, one in enumerate(queues_s)]
    return [step for step in found if step is not None]


def test_queue_that_is_being_emptied_is_waited_for_and_one_that_stands_is_not() -> None:
    emptied = [1.0 - 0.03 * n for n in range(30)]
    assert blind(at(0), emptied) == []
    (step,) = blind(at(0), [1.0] * 30)
    assert step == Step(len(TABLE) - 1, "down", "silence")
