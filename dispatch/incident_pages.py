"""Incidents as the console's page and scripts get them: JSON-able, times in ms. Pure."""

from __future__ import annotations

from typing import Any

from dispatch import case_pages
from dispatch.cases import Case, CaseBook
from dispatch.hospital_room import Room
from dispatch.incident import HERE, Patient, counts, in_order
from dispatch.incident_actions import where_now
from dispatch.incident_advice import IncidentAdvice
from dispatch.triage import TABLES, Verdict
from dispatch.units import Fleet


def tables() -> dict[str, Any]:
    """Return the tables of triage, which the page walks as the hub does."""
    return {
        method: {
            question: {
                answer: {"tag": after.tag, "reason": after.reason}
                if isinstance(after, Verdict)
                else {"ask": after}
                for answer, after in answers.items()
            }
            for question, answers in table.items()
        }
        for method, table in TABLES.items()
    }


def summary(case: Case, book: CaseBook) -> dict[str, Any] | None:
    """Return what the queue shows of the incident of a case; None where there is none."""
    incident = case.incident
    if incident is None:
        return None
    patients = incident.tagged()
    here = [one for one in patients if where_now(one, book) in HERE]
    return {
        "kind": incident.kind,
        "estimated": incident.estimated,
        "declared_ms": _ms(incident.declared_ns),
        "closed_ms": _ms(incident.closed_ns),
        "counts": counts(patients),
        "here": counts(here),
    }


def detail(case: Case, book: CaseBook, fleet: Fleet, now_ns: int) -> dict[str, Any] | None:
    """Return all of the incident of a case, its patients in the order of treatment."""
    incident, brief = case.incident, summary(case, book)
    if incident is None or brief is None:
        return None
    ordered = in_order(incident.tagged(), now_ns)
    return brief | {
        "seat": incident.seat,
        "text": incident.text,
        "still_here": incident.still_here,
        "patients": [_patient(one, book, fleet) for one in ordered],
    }


def patient_of(case: Case) -> dict[str, Any] | None:
    """Return of which incident a case is one patient; None for every other case."""
    if case.patient_of is None:
        return None
    return {"case": case.patient_of[0], "code": case.patient_of[1], "tag": case.tag}


def advice(found: IncidentAdvice | None, fleet: Fleet) -> dict[str, Any] | None:
    """Return the plan for who waits; None where no incident is open."""
    if found is None:
        return None
    return {
        "order": [one.code for one in found.order],
        "places": {
            code: {
                "hospital": name,
                "label": fleet.hospital(name).title,
                "drive_s": round(found.targets[name].seconds),
                "lacks": found.targets[name].lacks(_needs(found, code)),
            }
            for code, name in found.share.hospitals.items()
        },
        "unplaced": found.share.unplaced,
        "by_road": found.by_road,
        "rooms": [_room(name, room, fleet) for name, room in found.rooms.items()],
        "next": found.next.code if found.next else None,
        "units": [case_pages.suggestion(one, fleet) for one in found.units],
    }


def _patient(one: Patient, book: CaseBook, fleet: Fleet) -> dict[str, Any]:
    own, last = book.get(one.own), one.tags[-1]
    unit = fleet.units.get(own.unit) if own and own.unit else None
    return {
        "code": one.code,
        "tag": one.tag,
        "reason": last.reason,
        "method": last.method,
        "by": last.by,
        "tagged_ms": _ms(last.at_ns),
        "since_ms": _ms(one.since_ns),
        "before": [each.tag for each in one.tags[:-1]],
        "where": where_now(one, book),
        "area": one.moves[-1].area if one.moves else "",
        "age_years": one.age_years,
        "is_child": one.is_child,
        "needs": sorted(one.needs),
        "merged": one.merged,
        "own": one.own,
        "unit": unit.label if unit else None,
        "hospital": own.hospital_name if own else "",
        "stage": own.stage if own else None,
    }


def _room(name: str, room: Room, fleet: Fleet) -> dict[str, Any]:
    return {
        "name": name,
        "label": fleet.hospital(name).title,
        "resus_bays": room.left(resus=True),
        "beds": room.left(resus=False),
        "taken": room.taken_resus_bays + room.taken_beds,
        "diversion": room.diversion,
        "stated": room.stated,
        "stated_ms": _ms(room.stated_ns) if room.stated_ns else None,
    }


def _needs(found: IncidentAdvice, code: str) -> Any:
    return next(one.needs for one in found.order if one.code == code)


def _ms(time_ns: int | None) -> int | None:
    return None if time_ns is None else time_ns // 1_000_000
