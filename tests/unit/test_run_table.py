"""The run as a table: what follows what, and what is refused with both names."""

from __future__ import annotations

from typing import get_args

import pytest

from onboard.errors import ImpossibleEventError
from onboard.run import TABLE, Event, State, possible, step

STATES: tuple[State, ...] = get_args(State)
EVENTS: tuple[Event, ...] = get_args(Event)


@pytest.mark.parametrize("event", ["assigned", "released", "closed"])
@pytest.mark.parametrize("state", STATES)
def test_step_word_of_the_hub_is_taken_in_every_state(state: State, event: Event) -> None:
    assert step(state, event)[0] in STATES


@pytest.mark.parametrize(
    ("state", "event"),
    [(s, e) for s in STATES for e in EVENTS if (s, e) not in TABLE],
)
def test_step_impossible_pair_is_refused_with_both_names(state: State, event: Event) -> None:
    with pytest.raises(ImpossibleEventError) as caught:
        step(state, event)
    assert repr(state) in str(caught.value)
    assert repr(event) in str(caught.value)
    assert event not in possible(state)


def test_step_ordinary_run_goes_from_idle_to_ended() -> None:
    state: State = "idle"
    effects: list[str] = []
    events: tuple[Event, ...] = ("assigned", "start", "stamp", "alert", "note", "end")
    for event in events:
        state, made = step(state, event)
        effects += made
    assert state == "ended"
    assert effects == ["take_case", "begin", "finish"]


@pytest.mark.parametrize("event", ["released", "closed", "assigned"])
def test_step_hub_never_ends_a_run_that_is_on(event: Event) -> None:
    state, effects = step("running", event)
    assert state == "running"
    assert "finish" not in effects


def test_step_start_after_the_end_undoes_it() -> None:
    assert step("ended", "start") == ("running", ("begin",))
