"""When a silent connection counts as dead: a path that is away, a slow one, a mute broker."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from streams.transport.silence import (
    CALM_S,
    LONGEST_SILENCE_S,
    MOST_DOUBLINGS,
    SILENCE_S,
    Patience,
    Sign,
    Silence,
)

STEP_S = 0.1
ANSWER_S = 5.0


def sign(arrived: float, *, read: float = 0, under_way: bool = True, repeat_s: float = 0.2) -> Sign:
    return Sign(int(arrived), (int(read),), under_way, repeat_s)


def dead_after(
    seen: Callable[[float], Sign], *, patience: Patience | None = None, until_s: float = 60.0
) -> float | None:
    """Watch for ``until_s``; return when the path was given up, if it was."""
    silence = Silence(patience or Patience(), 0.0, ANSWER_S)
    for step in range(1, round(until_s / STEP_S)):
        now_s = step * STEP_S
        if silence.look(seen(now_s), now_s) == "dead":
            return now_s
    return None


def test_path_that_goes_away_is_given_up_within_two_seconds() -> None:
    cut_s = 10.0
    # every ping is answered until the cut; then one is always under way
    found_s = dead_after(lambda now_s: sign(min(now_s, cut_s), read=min(now_s, cut_s)))
    assert found_s is not None
    assert found_s - cut_s <= SILENCE_S + STEP_S


def test_idle_path_is_asked_before_it_is_given_up() -> None:
    silence = Silence(Patience(), 0.0, ANSWER_S)
    said = [silence.look(sign(1, under_way=False), step * STEP_S) for step in range(1, 10)]
    assert said.count("ask") == 1
    assert "dead" not in said


def test_idle_path_of_a_process_that_was_stopped_is_asked_first() -> None:
    silence = Silence(Patience(), 0.0, ANSWER_S)
    assert silence.look(sign(1, under_way=False), 0.1) == "fine"
    assert silence.look(sign(1, under_way=False), 30.0) == "ask"
    assert silence.look(sign(1, under_way=True), 30.1) == "fine"
    assert silence.look(sign(2, read=1, under_way=False), 30.2) == "fine"


def test_path_with_a_round_trip_of_three_seconds_is_kept() -> None:
    # a sign every 3 s; TCP knows the round trip and repeats after 3.5 s
    assert dead_after(lambda now_s: sign(now_s // 3, read=now_s // 3, repeat_s=3.5)) is None


def test_path_of_any_round_trip_that_goes_away_is_given_up_in_bounded_time() -> None:
    found_s = dead_after(lambda _: sign(1, read=1, repeat_s=1000.0))
    assert found_s is not None
    assert found_s <= LONGEST_SILENCE_S + 3 * STEP_S


def test_congested_path_with_old_answers_is_kept() -> None:
    # acknowledgements trickle in, the program's answers are far behind but come
    assert dead_after(lambda now_s: sign(now_s * 2, read=now_s // 4)) is None


def test_broker_that_stops_while_its_system_acknowledges_is_given_up_later() -> None:
    found_s = dead_after(lambda now_s: sign(now_s * 3, read=1))
    assert found_s is not None
    assert SILENCE_S < found_s <= ANSWER_S + 2.0


def test_large_message_gets_the_time_it_needs_at_the_broker() -> None:
    def seen(now_s: float) -> Sign:
        return Sign(int(now_s * 3), (0,), True, 0.2, extra_s=20.0)

    found_s = dead_after(seen)
    assert found_s is not None
    assert found_s > 20.0


def test_false_alarms_double_the_patience_up_to_a_bound_and_calm_takes_it_back() -> None:
    patience = Patience()
    assert patience.factor(0.0) == 1
    for _ in range(10):
        patience.false_alarm(0.0)
    assert patience.factor(0.0) == 2**MOST_DOUBLINGS
    found_s = dead_after(lambda _: sign(1, read=1), patience=patience)
    assert found_s is not None
    assert found_s > SILENCE_S * 2
    assert patience.factor(CALM_S) == 2 ** (MOST_DOUBLINGS - 1)
    assert patience.factor(CALM_S * 10) == 1


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=40, max_size=200))
def test_path_is_never_given_up_while_something_came_within_two_seconds(
    seen: list[tuple[bool, bool]],
) -> None:
    silence = Silence(Patience(), 0.0, ANSWER_S)
    arrived, last_s = 0, 0.0
    for step, (comes, under_way) in enumerate(seen, 1):
        now_s = step * STEP_S
        if comes or now_s - last_s > SILENCE_S - 0.2:
            arrived, last_s = arrived + 1, now_s
        assert silence.look(sign(arrived, read=arrived, under_way=under_way), now_s) != "dead"
