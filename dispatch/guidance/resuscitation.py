"""Times of a resuscitation: from the ring to the hands on the chest, and how long they push. Pure.

Recognition, first compression and first shock are counted from the ring of the phone, as
telecommunicator CPR is measured (AHA 2020 policy statement: recognition and first compression).
Compressions are counted only from the moment when the caller was heard to push.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from dispatch.guidance.run import Run
from streams.guidance_messages import GuidanceStep

SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Times:
    """What a page counts, in seconds; none is negative.

    Attributes:
        recognition_s: From the ring until the arrest was recognised; None until then.
        hands_on_chest_s: From the ring until somebody pushed.
        first_shock_s: From the ring until the first shock.
        on_step_s: Since the guide came to this step.
        metronome_per_min: Compressions a minute now; 0 for none.
        compressions_s: How long was pushed, pauses left out.
        rescuer_s: How long this rescuer has pushed without a pause; None while nobody does.
        rescuer_change_in_s: Until another one should; None while nobody pushes.
        is_rescuer_change_due: Whether it is time.
        recheck_in_s: Until the patient is to be looked at again; None where it is not asked.
        is_recheck_due: Whether it is time.
    """

    recognition_s: float | None
    hands_on_chest_s: float | None
    first_shock_s: float | None
    on_step_s: float
    metronome_per_min: int
    compressions_s: float
    rescuer_s: float | None
    rescuer_change_in_s: float | None
    is_rescuer_change_due: bool
    recheck_in_s: float | None
    is_recheck_due: bool


def times(run: Run, *, rang_ns: int, now_ns: int) -> Times:
    """Return the times of a run.

    Args:
        run: The run.
        rang_ns: When the call rang, by the hub's clock.
        now_ns: The hub's clock.
    """
    moments, now = run.moments(), run.now
    hands_ns = moments.get("hands_on_chest")

    def since_ring(name: int | None) -> float | None:
        return None if name is None else _seconds(rang_ns, name)

    pushed = 0.0
    stretch_ns: int | None = None
    for step, end_ns in _spans(run, now_ns):
        if step.metronome_per_min and hands_ns is not None:
            begin_ns = max(step.at_ns, hands_ns)
            pushed += _seconds(begin_ns, end_ns)
            stretch_ns = begin_ns if stretch_ns is None else stretch_ns
        else:
            stretch_ns = None
    on_step = _seconds(now.at_ns, now_ns) if now is not None else 0.0
    by_rescuer = _by_rescuer(run, stretch_ns, now_ns)
    change_s = now.rescuer_change_s if now is not None else 0
    recheck_s = now.recheck_s if now is not None else 0
    has_change = by_rescuer is not None and change_s > 0
    return Times(
        recognition_s=since_ring(moments.get("recognition")),
        hands_on_chest_s=since_ring(hands_ns),
        first_shock_s=since_ring(moments.get("first_shock")),
        on_step_s=on_step,
        metronome_per_min=now.metronome_per_min if now is not None else 0,
        compressions_s=pushed,
        rescuer_s=by_rescuer,
        rescuer_change_in_s=max(0.0, change_s - (by_rescuer or 0.0)) if has_change else None,
        is_rescuer_change_due=has_change and (by_rescuer or 0.0) >= change_s,
        recheck_in_s=max(0.0, recheck_s - on_step) if recheck_s else None,
        is_recheck_due=bool(recheck_s) and on_step >= recheck_s,
    )


def _spans(run: Run, now_ns: int) -> Iterator[tuple[GuidanceStep, int]]:
    """Yield each step with the time at which the guide left it; the last one with now."""
    steps = run.steps
    for step, after in pairwise(steps):
        yield step, after.at_ns
    if steps:
        yield steps[-1], now_ns


def _by_rescuer(run: Run, stretch_ns: int | None, now_ns: int) -> float | None:
    """Return how long the rescuer of this stretch has pushed."""
    if stretch_ns is None:
        return None
    changes = [one for one in run.rescuer_changes() if stretch_ns < one <= now_ns]
    return _seconds(changes[-1] if changes else stretch_ns, now_ns)


def _seconds(begin_ns: int, end_ns: int) -> float:
    return max(0.0, (end_ns - begin_ns) / SECOND_NS)
