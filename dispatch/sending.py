"""What sending a unit or choosing a hospital has to respect, whoever asks for it. Pure.

No unit is silently taken from its case; no exercise has a real unit or hospital, and nothing real
one of exercises; no patient of an incident is silently sent where there is no room.
"""

from __future__ import annotations

from dispatch.cases import Case, CaseBook
from dispatch.errors import ConflictError
from dispatch.hospital_room import Room, needs_resus_bay, room_of
from dispatch.units import Fleet, HospitalSettings, Unit
from streams.messages import Body, Severity, UnitReleased
from streams.outbox import Draft


def draft_for(case: Case, kind: str, body: Body) -> Draft:
    """Return the draft of a fact of a case: of its origin, and an exercise's where it is one."""
    return Draft(kind, body, origin=case.opened_as, case=case.id, drill=case.drill)


def check_world(*, drill: bool, case: Case, title: str) -> None:
    """Refuse what would mix an exercise and the real thing.

    Args:
        drill: Whether the unit or hospital is one of exercises.
        case: The case.
        title: The unit's or hospital's name for people.

    Raises:
        ConflictError: One is of an exercise and the other is not.
    """
    if drill == case.drill:
        return
    what = (
        "is for exercises, and this case is real" if drill else "is real, and this is an exercise"
    )
    raise ConflictError(f"{title} {what}", kind="drill", case=case.id)


def taking(
    unit: Unit, case: Case, book: CaseBook, *, override: bool, reason: str | None
) -> list[Draft]:
    """Return what takes a unit from the case that it is on; nothing where it is free.

    Args:
        unit: The unit.
        case: To which it goes.
        book: All cases.
        override: Whether to take it all the same.
        reason: Why.

    Raises:
        ConflictError: It is on another case, and nobody said that, and why, it is to leave it;
            or it is of exercises and the case is not, or the reverse.
    """
    check_world(drill=unit.drill, case=case, title=unit.label)
    other = book.of_unit(unit.name)
    if other is None or other.id == case.id:
        return []
    why = (reason or "").strip()
    if not override or not why:
        raise ConflictError(
            f"{unit.label} is on the case {other.address!r} ({other.alias}): to take it "
            f"from there, override with a reason",
            kind="busy", unit=unit.name, case=other.id, address=other.address, alias=other.alias,
        )  # fmt: skip
    taken = UnitReleased(unit=unit.name, reason=f"sent to {case.address}: {why}")
    return [draft_for(other, "unit_released", taken)]


def check_room(
    hospital: HospitalSettings,
    severity: Severity,
    fleet: Fleet,
    book: CaseBook,
    now_ns: int,
    *,
    but: str = "",
) -> None:
    """Refuse a hospital that has no room left for a patient.

    Args:
        hospital: The hospital.
        severity: The patient's: red wants a resuscitation bay.
        fleet: What hospitals stated.
        book: Who went there since.
        now_ns: The hub's clock.
        but: The patient's own case, which does not count.

    Raises:
        ConflictError: Its capacity would be broken; says by what.
    """
    room = room_of(hospital.name, fleet, book, now_ns, but=but)
    resus = needs_resus_bay(severity)
    if room.left(resus=resus) > 0:
        return
    raise ConflictError(
        f"{hospital.title} {_full(room, resus=resus)}: choose another, or override with a reason",
        kind="full", hospital=hospital.name,
    )  # fmt: skip


def _full(room: Room, *, resus: bool) -> str:
    if room.diversion:
        return "asks for patients to be taken elsewhere"
    taken, left = (
        (room.taken_resus_bays, room.resus_bays) if resus else (room.taken_beds, room.beds)
    )
    what = "resuscitation bays" if resus else "beds"
    whose = "said that it has" if room.stated == "stated" else "counts as having"
    return f"{whose} {taken + left} {what}, and {taken} went there since"
