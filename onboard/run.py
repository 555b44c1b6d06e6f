"""A run as a state machine: a table of (state, event) -> (state, effects), and nothing else.

    idle ──assigned──▶ assigned ──start──▶ running ──end──▶ ended ──assigned──▶ assigned
      ▲                   │                   ▲                │
      └─released, closed──┘                   └─────start──────┘   (the end was a mistake)

    idle or ended ──begin──▶ running   a run of the crew's own: no link, or waved down in the street

What the crew does is refused where the table has no pair. What the hub says is never refused:
every state has a row for it. While a run is on, the hub's word never ends it: only the crew
does, because only the crew knows whether there is a patient in the vehicle.
"""

from __future__ import annotations

from typing import Literal

from onboard.errors import ImpossibleEventError

State = Literal["idle", "assigned", "running", "ended"]
"""``idle``: no case. ``assigned``: a case, not begun. ``running``. ``ended``: late notes."""

Event = Literal[
    "assigned",
    "released",
    "closed",
    "start",
    "begin",
    "end",
    "stamp",
    "alert",
    "note",
    "camera",
    "record",
    "bay",
]
"""The first three come from the hub, the others from the crew."""

Effect = Literal["take_case", "queue_case", "drop_case", "begin", "finish"]
"""What the agent must do:

``take_case``: show the case of the event. ``queue_case``: keep it until the run is over.
``drop_case``: the case shown is no longer ours. ``begin``, ``finish``: sensors and camera.
"""

TABLE: dict[tuple[State, Event], tuple[State, tuple[Effect, ...]]] = {
    ("idle", "assigned"): ("assigned", ("take_case",)),
    ("idle", "released"): ("idle", ()),
    ("idle", "closed"): ("idle", ()),
    ("idle", "begin"): ("running", ("take_case", "begin")),
    ("assigned", "assigned"): ("assigned", ("queue_case",)),
    ("assigned", "released"): ("idle", ("drop_case",)),
    ("assigned", "closed"): ("idle", ("drop_case",)),
    ("assigned", "start"): ("running", ("begin",)),
    ("assigned", "note"): ("assigned", ()),
    ("running", "assigned"): ("running", ("queue_case",)),
    ("running", "released"): ("running", ()),
    ("running", "closed"): ("running", ()),
    ("running", "end"): ("ended", ("finish",)),
    ("running", "stamp"): ("running", ()),
    ("running", "alert"): ("running", ()),
    ("running", "note"): ("running", ()),
    ("running", "camera"): ("running", ()),
    ("running", "record"): ("running", ()),
    ("running", "bay"): ("running", ()),
    ("ended", "assigned"): ("assigned", ("take_case",)),
    ("ended", "released"): ("ended", ()),
    ("ended", "closed"): ("ended", ()),
    ("ended", "start"): ("running", ("begin",)),
    ("ended", "begin"): ("running", ("take_case", "begin")),
    ("ended", "stamp"): ("ended", ()),
    ("ended", "note"): ("ended", ()),
    ("ended", "bay"): ("ended", ()),
}
"""Every pair that can be; a pair that is not here is impossible."""


def step(state: State, event: Event) -> tuple[State, tuple[Effect, ...]]:
    """Return the next state and what is to be done.

    Raises:
        ImpossibleEventError: The table does not have the pair; the text names both.
    """
    try:
        return TABLE[state, event]
    except KeyError:
        raise ImpossibleEventError(state, event) from None


def possible(state: State) -> frozenset[Event]:
    """Return the events that a state takes: what a page offers as buttons."""
    return frozenset(event for known, event in TABLE if known == state)
