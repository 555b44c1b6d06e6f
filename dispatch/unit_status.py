"""A unit's status clock: what it does in its current run, and when each step was. Pure.

The steps are those of the radio's status keys: assigned, en route, on scene, patient contact,
departed, at hospital, handed over, clear. They follow from the facts of the unit alone: what
another unit did on the same case before is not this unit's, and nothing is stored a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from dispatch.cases import Case, CaseBook
from dispatch.timeline import Entry
from streams.messages import Stage

Status = Literal[
    "free", "assigned", "en_route", "on_scene", "patient_contact", "departed", "at_hospital",
    "handed_over", "clear",
]  # fmt: skip
"""In the order of a run; ``free`` is a unit of which no run is known."""

ORDER: Final[tuple[Status, ...]] = get_args(Status)

_OF_STAGE: Final[dict[Stage, Status]] = {
    "en_route": "en_route",
    "on_scene": "on_scene",
    "patient_contact": "patient_contact",
    "departed": "departed",
    "arrived": "at_hospital",
    "handed_over": "handed_over",
}


@dataclass(frozen=True, slots=True)
class RunClock:
    """Where a unit is in its run.

    Attributes:
        status: The furthest step that was reached and not corrected away.
        since_ns: When, by the hub's clock; None for ``free``.
        times: When each step was that was reached, by the hub's clock.
    """

    status: Status = "free"
    since_ns: int | None = None
    times: Mapping[Status, int] = field(default_factory=dict)


def status_of(unit: str, book: CaseBook) -> RunClock:
    """Return the clock of a unit's current run, or of its last one, which then is clear."""
    case = book.of_unit(unit) or book.last_of_unit(unit)
    return run_clock(unit, case) if case is not None else RunClock()


def run_clock(unit: str, case: Case) -> RunClock:
    """Return the clock of a unit's last run on a case; free where it never was sent there."""
    sent = [one for one in case.entries if _sends(one, unit)]
    if not sent:
        return RunClock()
    begin = max(sent, key=lambda one: one.case_sequence)
    since = [one for one in case.entries if one.case_sequence > begin.case_sequence]
    own = [one for one in since if one.source == unit]
    times: dict[Status, int] = {"assigned": _assigned_ns(begin, own)}
    times |= _stamps(own)
    for one in own:
        if one.kind == "bay_handover":  # its record was handed over there, so there it was
            times.setdefault("at_hospital", one.at_ns)
    over_ns = _over_ns(unit, case, since)
    if over_ns is not None:
        if any(one.kind == "run_ended" and one.data["reason"] == "handed_over" for one in own):
            times.setdefault("handed_over", over_ns)  # at the latest
        times["clear"] = over_ns
    status = max(times, key=ORDER.index)
    return RunClock(status, times[status], times)


def _sends(one: Entry, unit: str) -> bool:
    return one.kind == "unit_assigned" and one.data["unit"] == unit


def _assigned_ns(begin: Entry, own: list[Entry]) -> int:
    """Return when the run began to bind the unit; one that its crew began was told later."""
    started = [one.at_ns for one in own if one.kind == "run_started"]
    return min([begin.at_ns, *started]) if begin.data.get("own") else begin.at_ns


def _stamps(own: list[Entry]) -> dict[Status, int]:
    """Return the crew's stamps; a correction stands for what it corrects, whichever came first."""
    stamps = [one for one in own if one.kind == "milestone"]
    corrected = {one.data.get("corrects") for one in stamps}
    times: dict[Status, int] = {}
    for one in stamps:
        if one.id not in corrected:
            status = _OF_STAGE[one.data["stage"]]
            times[status] = max(one.at_ns, times.get(status, 0))
    return times


def _over_ns(unit: str, case: Case, since: list[Entry]) -> int | None:
    """Return when the case bound the unit no more: run ended, taken off, replaced, or closed."""
    ends = [one.at_ns for one in since if _takes_off(one, unit)]
    if case.unit != unit:
        ends += [one.at_ns for one in since if one.kind == "run_ended" and one.source == unit][-1:]
    elif case.run_ended_ns is not None:  # an end that was taken back by going on is none
        ends.append(case.run_ended_ns)
    if case.closed_ns is not None:
        ends.append(case.closed_ns)
    return min(ends, default=None)


def _takes_off(one: Entry, unit: str) -> bool:
    if one.kind == "unit_released":
        return bool(one.data["unit"] == unit)
    return one.kind == "unit_assigned" and one.data["unit"] != unit
