"""What a hub tells its neighbours once a second: its units and hospitals as they are now. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from dispatch.cases import CaseBook
from dispatch.unit_status import run_clock
from dispatch.units import Fleet, HospitalSettings, Unit
from streams.district_messages import (
    LABEL_LENGTH,
    MOST_HOSPITALS,
    MOST_UNITS,
    DistrictHospital,
    DistrictState,
    DistrictUnit,
)
from streams.messages import Position, least_real

SOURCE_LENGTH: Final = 40
"""Characters that are told of a position's source."""


def picture(fleet: Fleet, book: CaseBook, now_ns: int) -> DistrictState:
    """Return the state of the district.

    Where there are more units than one message takes, those heard last are told; nothing of a
    patient is told, and of a case no more than that it binds a unit.

    Args:
        fleet: Units and hospitals.
        book: The cases, which say what each unit does.
        now_ns: The hub's clock.
    """
    bound = Counter(case.hospital for case in book.open() if case.hospital is not None)
    units = sorted(fleet.units_for(drill=False), key=lambda unit: (-unit.heard_ns, unit.name))
    hospitals = sorted(fleet.hospitals_for(drill=False), key=lambda hospital: hospital.name)
    told, shown = units[:MOST_UNITS], hospitals[:MOST_HOSPITALS]
    return DistrictState(
        at_ns=now_ns,
        units=sorted((_unit(one, fleet, book, now_ns) for one in told), key=lambda u: u.name),
        hospitals=[_hospital(one, fleet, bound[one.name]) for one in shown],
        left_out=len(units) + len(hospitals) - len(told) - len(shown),
    )


def _unit(unit: Unit, fleet: Fleet, book: CaseBook, now_ns: int) -> DistrictUnit:
    case = book.of_unit(unit.name)
    return DistrictUnit(
        name=unit.name,
        label=unit.label[:LABEL_LENGTH],
        status=run_clock(unit.name, case).status if case else "free",
        abilities=_words(unit.abilities),
        serves=fleet.district.is_on_shift(unit.shifts, now_ns),
        position=_short(unit.position),
        heard_ns=unit.heard_ns,
        origin=least_real(unit.position_origin, case.opened_as if case else "live"),
    )


def _short(position: Position | None) -> Position | None:
    """Return a position without what only its own district needs."""
    if position is None:
        return None
    return msgspec.structs.replace(position, source=position.source[:SOURCE_LENGTH], given=None)


def _hospital(hospital: HospitalSettings, fleet: Fleet, bound: int) -> DistrictHospital:
    room = fleet.capacities.get(hospital.name)
    return DistrictHospital(
        name=hospital.name,
        label=hospital.title[:LABEL_LENGTH],
        latitude_deg=hospital.latitude_deg,
        longitude_deg=hospital.longitude_deg,
        abilities=_words(hospital.abilities),
        capabilities=_words(hospital.capabilities),
        beds=room.beds if room else None,
        resus_bays=room.resus_bays if room else None,
        diversion=room is not None and room.diversion,
        stated_ns=room.stated_ns if room else 0,
        bound=bound,
    )


def _words(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
