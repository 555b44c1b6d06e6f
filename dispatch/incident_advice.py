"""What is advised for an incident: who goes next, to which hospital, with which unit. Pure.

The plan is for all who wait and not for the next one alone, so that the near hospital's bays are
there for those who need them. It is made anew whenever something changes, and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dispatch.arrival import Place, Travel, straight_drive
from dispatch.cases import Case, CaseBook, position_of
from dispatch.hospital_room import Room, room_of
from dispatch.incident import HERE, Patient, to_transport
from dispatch.incident_actions import SEVERITY, where_now
from dispatch.load_sharing import Load, Share, Target, share
from dispatch.suggestion import Suggestion, suggest_units
from dispatch.units import Fleet

MOST_PLANNED = 200
"""Patients for whom a hospital is looked for at once, the first ones; later ones follow."""


@dataclass(frozen=True, slots=True)
class IncidentAdvice:
    """The plan.

    Attributes:
        order: Who waits for transport, the first to go first.
        share: To which hospital each is to go, and for whom there is no room.
        targets: The hospitals, by name, with what is left and the time on the road.
        rooms: What each hospital has left, by name, with what that rests on.
        by_road: Whether the times are along the roads.
        units: For who is next, or where nobody fits anywhere for the first: the best units.
    """

    order: list[Patient]
    share: Share
    targets: dict[str, Target]
    rooms: dict[str, Room]
    by_road: bool
    units: list[Suggestion]

    @property
    def next(self) -> Patient | None:
        """The first in the order for whom there is a hospital."""
        return next((one for one in self.order if one.code in self.share.hospitals), None)


def advise(
    main: Case, fleet: Fleet, book: CaseBook, travel: Travel, now_ns: int
) -> IncidentAdvice | None:
    """Return what is advised for the incident of a case; None where there is none that is open.

    Args:
        main: The case on which it is declared.
        fleet: Units and hospitals, of exercises where the case is one.
        book: All cases.
        travel: How long ways take.
        now_ns: The hub's clock.
    """
    if main.incident is None or not main.incident.is_open:
        return None
    here = [one for one in main.incident.tagged() if where_now(one, book) in HERE]
    order = to_transport(here, now_ns)
    scene = position_of(main)
    rooms, targets, by_road = {}, {}, travel.roads is not None
    for hospital in fleet.hospitals_for(drill=main.drill):
        room = rooms[hospital.name] = room_of(hospital.name, fleet, book, now_ns)
        seconds, road = _drive_s(scene, hospital.place, travel)
        by_road &= road
        targets[hospital.name] = Target(
            hospital.name, room.left(resus=True), room.left(resus=False),
            frozenset(hospital.capabilities), seconds,
        )  # fmt: skip
    loads = [Load(one.code, one.tag, one.needs) for one in order[:MOST_PLANNED]]
    plan = share(loads, list(targets.values()))
    advice = IncidentAdvice(order, plan, targets, rooms, by_road, [])
    if not order:
        return advice
    units = _units_for(advice.next or order[0], main, fleet, book, travel, now_ns=now_ns)
    return replace(advice, units=units)


def _units_for(
    patient: Patient, main: Case, fleet: Fleet, book: CaseBook, travel: Travel, *, now_ns: int
) -> list[Suggestion]:
    """Return the best units for a patient, as if the own case were there already."""
    own = Case(
        main.id, position=main.position, located=main.located, severity=SEVERITY[patient.tag],
        age_years=patient.age_years, drill=main.drill,
    )  # fmt: skip
    return suggest_units(own, fleet, book, travel, now_ns)


def _drive_s(scene: Place | None, hospital: Place, travel: Travel) -> tuple[float, bool]:
    """Return the seconds from the scene, and whether along the roads; 0 without a scene."""
    if scene is None:
        return 0.0, False
    seconds = travel.roads.times_from(scene).seconds(hospital) if travel.roads else None
    if seconds is None:
        return straight_drive(scene, hospital, travel).seconds, False
    return seconds, True
