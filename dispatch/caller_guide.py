"""What the caller's page is shown of the life-support guide. Pure; times in ms."""

from __future__ import annotations

from typing import Any

import msgspec

from dispatch.cases import Case
from dispatch.errors import UnknownError
from dispatch.guidance.protocol import Answer, Library
from dispatch.guidance.run import Run
from dispatch.guide_pages import told
from streams.guidance_messages import GuidanceStep

MS_NS = 1_000_000
SECOND_MS = 1000


def current(case: Case, library: Library, now_ns: int) -> dict[str, Any] | None:
    """Return the step at which the case's guide stands; None while it stands nowhere."""
    run = case.guide.current
    if run is None or run.now is None:
        return None
    return step(run.now, case, library, now_ns)


def step(body: GuidanceStep, case: Case, library: Library, now_ns: int) -> dict[str, Any]:
    """Return a step with what may be answered, and when another one is to push.

    Args:
        body: The step.
        case: Its case.
        library: The protocols in force.
        now_ns: The hub's wall clock. Ages and waits are told, as a phone's own clock may be wrong.
    """
    run = case.guide.runs.get(body.run)
    answers = [
        {"id": one.id, "text": msgspec.to_builtins(one.text)} for one in _answers(body, library)
    ]
    change = _change(run, body, now_ns) if run is not None else None
    return told(body) | {"answers": answers, "change": change}


def _answers(body: GuidanceStep, library: Library) -> tuple[Answer, ...]:
    """Return a step's answers as the protocols in force have them; none where they have none."""
    try:
        return library.step(body.protocol, body.step).answers if body.step else ()
    except UnknownError:
        return ()


def _change(run: Run, body: GuidanceStep, now_ns: int) -> dict[str, int | None] | None:
    """Return how long ago another one began to push, and in how long the next one is to."""
    begun_ns = run.moments().get("hands_on_chest")
    if not body.metronome_per_min or not body.rescuer_change_s or begun_ns is None:
        return None
    changed_ns = max(run.rescuer_changes(), default=None)
    since_ns = max(begun_ns, changed_ns or 0)
    return {
        "ago_ms": None if changed_ns is None else (now_ns - changed_ns) // MS_NS,
        "due_ms": (since_ns - now_ns) // MS_NS + body.rescuer_change_s * SECOND_MS,
    }
