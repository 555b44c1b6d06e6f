"""Cases, units and hospitals as the console's page gets them: JSON-able, times in ms. Pure.

Nanoseconds do not fit a number of JavaScript, so times end in ``_ms`` here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from dispatch import call_pages, caller_video_pages, partner_pages, text_pages
from dispatch.capacity import Capacity
from dispatch.cases import Case, CaseBook
from dispatch.hospital_choice import bound_for
from dispatch.suggestion import Suggestion
from dispatch.timeline import Entry
from dispatch.unit_status import status_of
from dispatch.units import Fleet, HospitalSettings, Unit
from dispatch.vital_signs import LateSpan, Sign, late_span
from streams.call_messages import Surge
from streams.messages import Position
from streams.topics import TOPICS

TRACK_SENT = 300
"""Positions of a unit's way that a page gets at once."""

Reached = Callable[[str, str, int], bool | None]
"""``reached(destination, case, case_sequence)``: True when it is stored there, False while it
is on the way, None when it does not go there."""


def summary(case: Case, reached: Reached) -> dict[str, Any]:
    """Return what the queue shows of a case."""
    return {
        "id": case.id,
        "alias": case.alias,
        "address": case.address,
        "complaint": case.complaint,
        "severity": case.severity,
        "severity_by": case.severity_by,
        "age_years": case.age_years,
        "age_is_estimate": case.age_is_estimate,
        "sex": case.sex,
        "caller": case.caller,
        "call": call_pages.call(case),
        "linked_to": case.linked_to,
        "linked": case.linked,
        "position": _position(case.position),
        "position_confirmed": case.position_confirmed,
        "opened_ms": _ms(case.opened_ns),
        "closed_ms": _ms(case.closed_ns),
        "outcome": case.outcome,
        "unit": case.unit,
        "unit_mark": unit_mark(case, case.unit_sequence, reached),
        "hospital": case.hospital,
        "hospital_name": case.hospital_name,
        "hospital_mark": hospital_mark(case, case.hospital_sequence, reached),
        "stage": case.stage,
        "run_ended_ms": _ms(case.run_ended_ns),
        "pathway": case.pre_alert.pathway if case.pre_alert else None,
        "facts": case.facts,
        "synthetic": case.synthetic,
        "replayed": case.replayed,
        "drill": case.drill,
    }


def detail(case: Case, reached: Reached) -> dict[str, Any]:
    """Return what the page of one case shows beside its summary."""
    return {
        "stages": {stage: _ms(at_ns) for stage, at_ns in case.stages.items()},
        "patients": [
            {
                "patient": patient,
                "signs": {name: _sign(sign) for name, sign in signs.items()},
                "late": _late(late_span(signs)),
            }
            for patient, signs in case.vitals.items()
        ],
        "vitals_stale_after_s": TOPICS["vitals"].stale_after_s,
        **call_pages.located(case),
        **partner_pages.told(case),
        **text_pages.talk(case),
        **caller_video_pages.for_console(case),
        "media": case.media,
        "media_origins": case.media_origins,
        "entries": entries(case.entries, case, reached),
    }


def entries(found: Iterable[Entry], case: Case, reached: Reached) -> list[dict[str, Any]]:
    """Return lines of a timeline in the order in which things happened, however they came."""
    return [entry(one, case, reached) for one in sorted(found, key=lambda one: one.order)]


def entry(one: Entry, case: Case, reached: Reached) -> dict[str, Any]:
    """Return one line of the timeline with the way it has come: made, delivered, seen."""
    to_hospital = to_unit = None
    if one.source != case.hospital:
        to_hospital = hospital_mark(case, one.case_sequence, reached)
    if one.source != case.unit:
        to_unit = unit_mark(case, one.case_sequence, reached)
    about_unit = one.kind in ("unit_assigned", "unit_released")
    mark = (to_unit or to_hospital) if about_unit else (to_hospital or to_unit)
    return {
        "id": one.id,
        "sequence": one.case_sequence,
        "kind": one.kind,
        "at_ms": _ms(one.at_ns),
        "noted_ms": _ms(one.noted_ns),
        "source": one.source,
        "origin": one.origin,
        "data": one.data,
        "mark": mark,
        "late_ms": _ms(one.late_ns),
        "time": one.time,
    }


def unit_mark(case: Case, case_sequence: int, reached: Reached) -> dict[str, Any] | None:
    """Return how far a fact has come to the assigned unit; None when there is none."""
    if case.unit is None:
        return None
    arrived = reached(f"unit/{case.unit}", case.id, case_sequence)
    if arrived is None:
        return None
    if arrived and case.crew_sequence > case_sequence:
        return {"state": "seen", "role": "crew"}
    return {"state": "delivered" if arrived else "made"}


def hospital_mark(case: Case, case_sequence: int, reached: Reached) -> dict[str, Any] | None:
    """Return how far a fact has come to the chosen hospital; None when there is none."""
    if case.hospital is None:
        return None
    arrived = reached(f"hospital/{case.hospital}", case.id, case_sequence)
    if arrived is None:
        return None
    if arrived:
        for seen in case.seen:
            if seen.hospital == case.hospital and seen.case_sequence > case_sequence:
                return {"state": "seen", "role": seen.role}
    return {"state": "delivered" if arrived else "made"}


def unit(one: Unit, fleet: Fleet, book: CaseBook, now_ns: int) -> dict[str, Any]:
    """Return what a page shows of a unit."""
    case = book.of_unit(one.name)
    clock, rules = status_of(one.name, book), fleet.district
    arrival = None
    if one.arrival is not None and case is not None and one.arrival[0] == case.id:
        estimate = one.arrival[1]
        arrival = {
            "at_ms": _ms(estimate.at_ns),
            "position_ms": _ms(estimate.position_ns),
            "stale_after_s": TOPICS["arrival"].stale_after_s,
            "distance_m": round(estimate.distance_m),
            "method": estimate.method,
        }
    return {
        "name": one.name,
        "label": one.label,
        "drill": one.drill,
        "abilities": list(one.abilities),
        "case": case.id if case else None,
        "stage": case.stage if case else None,
        "status": clock.status,
        "status_since_ms": _ms(clock.since_ns),
        "status_times": {status: _ms(at_ns) for status, at_ns in clock.times.items()},
        "on_shift": rules.is_on_shift(one.shifts, now_ns),
        "in_area": None if one.place is None else rules.holds(one.place),
        "position": _position(one.position),
        "position_origin": one.position_origin,
        "position_stale_after_s": TOPICS["position"].stale_after_s,
        "heard_ms": _ms(one.heard_ns) if one.heard_ns else None,
        "in_reach": one.is_in_reach(now_ns),
        "sensors": {
            name: {"state": state, "reason": reason}
            for name, (state, reason) in one.sensors.items()
        },
        "arrival": arrival,
    }


def surge(state: Surge) -> dict[str, Any]:
    """Return what a page shows of a surge."""
    usual = state.usual_per_hour
    times = state.per_hour / usual if 0 < usual < math.inf else 0.0
    return {
        "is_on": state.is_on,
        "fixed": state.fixed,
        "seat": state.seat,
        "times": round(times, 1),
    }


def track(one: Unit) -> list[list[float]]:
    """Return the way of a unit, oldest first: latitude, longitude, time in ms."""
    return [
        [p.latitude_deg, p.longitude_deg, p.measured_ns // 1_000_000]
        for p in list(one.track)[-TRACK_SENT:]
    ]


def hospital(one: HospitalSettings, fleet: Fleet, book: CaseBook) -> dict[str, Any]:
    """Return what a page shows of a hospital, and what it last stated of its room."""
    room = fleet.capacities.get(one.name)
    return {
        "name": one.name,
        "label": one.title,
        "drill": one.drill,
        "latitude_deg": one.latitude_deg,
        "longitude_deg": one.longitude_deg,
        "abilities": list(one.abilities),
        "capabilities": list(one.capabilities),
        "room": None if room is None else _room(room),
        "old_after_s": TOPICS["hospital_state"].stale_after_s,
        "bound": bound_for(book)[one.name],
    }


def _room(room: Capacity) -> dict[str, Any]:
    return {
        "beds": room.beds,
        "resus_bays": room.resus_bays,
        "diversion": room.diversion,
        "reason": room.reason,
        "role": room.role,
        "stated_ms": _ms(room.stated_ns),
    }


def suggestion(one: Suggestion, fleet: Fleet) -> dict[str, Any]:
    """Return a suggestion with the name for people."""
    known = fleet.units.get(one.name)
    label = known.label if known else fleet.hospital(one.name).title
    return {
        "name": one.name,
        "label": label,
        "distance_m": None if one.distance_m is None else round(one.distance_m),
        "drive_s": None if one.drive_s is None else round(one.drive_s),
        "why": list(one.why),
        "by_road": one.by_road,
        "figures": dict(one.figures),
    }


def _sign(sign: Sign) -> dict[str, Any]:
    newest = sign.newest
    return {
        "value": newest.value,
        "at_ms": _ms(newest.at_ns),
        "validity": newest.validity,
        "reason": newest.reason,
        "origin": newest.origin,
        "history": [[_ms(one.at_ns), one.drawn] for one in sign.values],
    }


def _late(span: LateSpan | None) -> dict[str, Any] | None:
    if span is None:
        return None
    return {
        "from_ms": _ms(span.from_ns),
        "until_ms": _ms(span.until_ns),
        "most_ms": _ms(span.most_ns),
    }


def _position(position: Position | None) -> dict[str, Any] | None:
    if position is None:
        return None
    return {
        "latitude_deg": position.latitude_deg,
        "longitude_deg": position.longitude_deg,
        "radius_m": position.radius_m,
        "at_ms": _ms(position.measured_ns),
        "source": position.source,
        "speed_mps": position.speed_mps,
        "heading_deg": position.heading_deg,
    }


def _ms(time_ns: int | None) -> int | None:
    return None if time_ns is None else time_ns // 1_000_000
