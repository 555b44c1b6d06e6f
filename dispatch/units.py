"""The units and hospitals of the region, and what is known of each unit now. Pure.

What a unit *does* (its case, its stage) follows from the cases alone and is never stored a
second time, so assigning a unit cannot reset anything. Here is what its streams say.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import msgspec

from dispatch.aed import AedList
from dispatch.arrival import Place
from dispatch.capabilities import Ability, Capability
from dispatch.capacity import Capacity, newest
from dispatch.district import DistrictRules, ShiftText
from dispatch.errors import UnknownError
from dispatch.guidance.protocol import Library
from dispatch.incident_rules import IncidentRules
from dispatch.partner_settings import Partners
from streams.chain import Stored
from streams.codec import any_body
from streams.messages import (
    Arrival,
    Latitude,
    Longitude,
    Name,
    Origin,
    Pathway,
    Position,
    SensorState,
    ShortText,
    Track,
)
from streams.topics import TOPICS, find

TRACK_KEPT = 600
"""Positions kept per unit: ten minutes at 1 Hz; the record has all of them."""

UNDER_WAY_MPS = 3.0
"""From this speed on a receiver's heading can be believed."""

SILENT_S = 60.0
"""A unit not heard for so long counts as out of reach."""


class UnitSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A unit as the configuration names it.

    Attributes:
        abilities: What it can do beyond basic life support.
        shifts: When it serves, in the district's time; empty means always.
        drill: Whether it is one of exercises: sent to those and to nothing else.
    """

    name: Name
    label: ShortText = ""
    abilities: tuple[Ability, ...] = ()
    shifts: tuple[ShiftText, ...] = ()
    drill: bool = False


class HospitalSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A hospital as the configuration names it.

    Attributes:
        abilities: Pathways it takes; empty means all.
        capabilities: What it has at all hours; empty means that it is not stated.
        drill: Whether it is one of exercises: chosen for those and for nothing else.
    """

    name: Name
    label: ShortText = ""
    latitude_deg: Latitude
    longitude_deg: Longitude
    abilities: tuple[Pathway, ...] = ()
    capabilities: tuple[Capability, ...] = ()
    drill: bool = False

    @property
    def place(self) -> Place:
        """Where it is."""
        return self.latitude_deg, self.longitude_deg

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.label or self.name


@dataclass(slots=True)
class Unit:
    """A unit and its streams.

    Attributes:
        name: As in topics.
        label: For people.
        abilities: What it can do beyond basic life support.
        shifts: When it serves; empty means always.
        drill: Whether it is one of exercises.
        position: The newest position by the time of measuring, by the hub's clock.
        position_origin: Whether that is live, of a recording or of a model.
        track: The last positions, oldest first.
        heard_ns: When anything came from it last, by the hub's clock; 0 for never.
        sensors: State of each sensor, the reason with it.
        arrival: The last estimate that was sent out, with its case.
    """

    name: str
    label: str
    abilities: tuple[Ability, ...] = ()
    shifts: tuple[str, ...] = ()
    drill: bool = False
    position: Position | None = None
    position_origin: Origin = "live"
    track: deque[Position] = field(default_factory=lambda: deque(maxlen=TRACK_KEPT))
    heard_ns: int = 0
    sensors: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    arrival: tuple[str, Arrival] | None = None

    @property
    def place(self) -> Place | None:
        """Where it was last."""
        if self.position is None:
            return None
        return self.position.latitude_deg, self.position.longitude_deg

    @property
    def heading_deg(self) -> float | None:
        """Where it is heading; None while it stands, for then the receiver's word is chance."""
        position = self.position
        if position is None or (position.speed_mps or 0.0) < UNDER_WAY_MPS:
            return None
        return position.heading_deg

    def is_in_reach(self, now_ns: int) -> bool:
        """Whether it was heard lately."""
        return self.heard_ns > 0 and now_ns - self.heard_ns < SILENT_S * 1e9

    def has_fresh_position(self, now_ns: int) -> bool:
        """Whether its position is younger than the staleness limit of the topic."""
        limit_s = TOPICS["position"].stale_after_s or 0.0
        return self.position is not None and now_ns - self.position.measured_ns <= limit_s * 1e9


class Fleet:
    """All units and hospitals of the configuration.

    Attributes:
        district: The rules for the units.
        incidents: The rules for mass-casualty incidents.
        capacities: What hospitals last stated, by name; one that is not there stated nothing.
        partners: Police, fire and others who can be told of a case.
    """

    def __init__(
        self,
        units: tuple[UnitSettings, ...],
        hospitals: tuple[HospitalSettings, ...],
        district: DistrictRules | None = None,
        incidents: IncidentRules | None = None,
    ) -> None:
        """Take what the configuration names."""
        self.units = {
            unit.name: Unit(
                unit.name, unit.label or unit.name, unit.abilities, unit.shifts, unit.drill
            )
            for unit in units
        }
        self.hospitals = {hospital.name: hospital for hospital in hospitals}
        self.district = district or DistrictRules()
        self.incidents = incidents or IncidentRules()
        self.capacities: dict[str, Capacity] = {}
        self.partners = Partners()
        self.protocols = Library({}, {}, frozenset(), {})
        self.aeds: AedList | None = None

    def unit(self, name: str) -> Unit:
        """Return a unit.

        Raises:
            UnknownError: The configuration has none of that name.
        """
        try:
            return self.units[name]
        except KeyError:
            raise UnknownError("unit", name, ", ".join(sorted(self.units))) from None

    def hospital(self, name: str) -> HospitalSettings:
        """Return a hospital.

        Raises:
            UnknownError: The configuration has none of that name.
        """
        try:
            return self.hospitals[name]
        except KeyError:
            raise UnknownError("hospital", name, ", ".join(sorted(self.hospitals))) from None

    def units_for(self, *, drill: bool) -> list[Unit]:
        """Return the units of exercises, or those of the real thing; no unit is of both."""
        return [unit for unit in self.units.values() if unit.drill == drill]

    def hospitals_for(self, *, drill: bool) -> list[HospitalSettings]:
        """Return the hospitals of exercises, or those of the real thing."""
        return [hospital for hospital in self.hospitals.values() if hospital.drill == drill]

    def take(self, fact: Stored) -> None:
        """Fold a stored fact in: where a unit was, its sensors, what a hospital has room for."""
        if fact.envelope.kind == "hospital_state":
            self._take_room(fact)
            return
        unit = self.units.get(fact.envelope.source)
        if unit is None or "district" in find(fact.envelope.kind).scopes:
            return  # a neighbour's hub may be named as one of our units
        unit.heard_ns = max(unit.heard_ns, fact.received_ns)
        if fact.envelope.kind not in ("track", "sensor_state"):
            return
        body = any_body(fact.envelope)
        offset_ns = fact.corrected_ns - fact.envelope.source_ns
        if isinstance(body, Track):
            for position in body.positions:
                place(unit, position, offset_ns, fact.envelope.origin)
        elif isinstance(body, SensorState):
            unit.sensors[body.sensor] = (body.state, body.reason)

    def _take_room(self, fact: Stored) -> None:
        name = fact.envelope.source
        room = newest(self.capacities.get(name), fact)
        if room is not None and name in self.hospitals:
            self.capacities[name] = room


def place(unit: Unit, position: Position, offset_ns: int, origin: Origin) -> bool:
    """Note a position, its time moved to the hub's clock; False when it is not the newest."""
    measured_ns = max(0, position.measured_ns + offset_ns)
    if unit.position is not None and measured_ns <= unit.position.measured_ns:
        return False
    unit.position = msgspec.structs.replace(position, measured_ns=measured_ns)
    unit.position_origin = origin
    unit.track.append(unit.position)
    return True
