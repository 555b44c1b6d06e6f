"""Cases that reach the hub the other way round: from a vehicle that had no link. Pure.

A crew out of coverage begins a run by itself, and hands its patient over at a hospital's bay
past the hub. Its facts come here hours later, of a case that nobody opened and that goes to a
hospital that nobody chose. What stands in the vehicle then is what happened, and the hub makes
the facts that were missing: it opens the case, and it chooses the hospital that has the patient.
"""

from __future__ import annotations

from dispatch.cases import Case
from dispatch.errors import UnknownError
from dispatch.units import Fleet
from streams.identity import alias
from streams.messages import (
    CaseOpened,
    Envelope,
    HospitalChosen,
    HospitalStoodDown,
    UnitAssigned,
)
from streams.outbox import Draft

ADDRESS = "{unit}: begun by its crew / 由车组自行开始"
"""Where an address stands: nobody knows one until a person writes it."""


def opening(envelope: Envelope, fleet: Fleet) -> list[Draft]:
    """Return what opens a case of which the hub has no fact, for the unit that tells of it.

    Args:
        envelope: The unit's fact that came first, whichever that is: lanes overtake each other.
        fleet: Knows the unit's name for people.

    Raises:
        UnknownError: The unit is not one of this hub's, or one of exercises and its fact is not.
    """
    unit, case = fleet.unit(envelope.source), envelope.case
    assert case is not None, "only facts of a case open one"
    if unit.drill != envelope.drill:  # one of exercises opens nothing real, nor the reverse
        raise UnknownError("unit", unit.name)
    opened = CaseOpened(address=ADDRESS.format(unit=unit.label), complaint="", alias=alias(case))
    assigned = UnitAssigned(unit=unit.name, name=unit.label, own=True)
    return [
        Draft("case_opened", opened, envelope.origin, case, drill=envelope.drill),
        Draft("unit_assigned", assigned, envelope.origin, case, drill=envelope.drill),
    ]


def reconciling(case: Case, fleet: Fleet) -> list[Draft]:
    """Return what makes the hospital at whose bay a case was handed over its hospital.

    Nothing where it is so already, or where a hospital was decided on after the hub had heard of
    the hand-over: that decision knew of it.

    Args:
        case: The case, as the journal says.
        fleet: Knows the hospitals.

    Raises:
        UnknownError: The hospital is not one of this hub's.
    """
    if case.bay is None or case.bay == case.hospital or case.decided_sequence > case.bay_sequence:
        return []
    hospital = fleet.hospital(case.bay)
    drafts = []
    if case.hospital is not None:
        reason = f"handed over at the bay of {hospital.title}"
        stood_down = HospitalStoodDown(hospital=case.hospital, reason=reason)
        drafts.append(_draft(case, "hospital_stood_down", stood_down))
    reason = f"handed over at its bay by {case.bay_unit}"
    chosen = HospitalChosen(
        hospital=hospital.name, name=hospital.title, reason=reason, previous=case.hospital
    )
    return [*drafts, _draft(case, "hospital_chosen", chosen)]


def _draft(case: Case, kind: str, body: HospitalChosen | HospitalStoodDown) -> Draft:
    return Draft(kind, body, case.opened_as, case.id, drill=case.drill)
