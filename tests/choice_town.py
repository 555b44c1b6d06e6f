"""A town of two banks and one bridge, with units and hospitals, for tests of what is suggested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dispatch.arrival import Place, Travel
from dispatch.capabilities import Ability
from dispatch.cases import Case, CaseBook
from dispatch.district import DistrictRules
from dispatch.roads import RoadRules, Roads
from dispatch.units import Fleet, HospitalSettings, UnitSettings, place
from streams.identity import new_id
from streams.messages import (
    CaseOpened,
    HospitalChosen,
    Milestone,
    Pathway,
    Position,
    PreAlert,
    Severity,
    Stage,
    UnitAssigned,
)
from tests.case_facts import START_NS, Pages
from tests.road_town import at, graph_of

# The river runs between the banks at north 0 and north 600; the bridge is at east 4000.
BANKS = graph_of(
    [(-4000, 0), (0, 0), (4000, 0), (4000, 600), (0, 600), (-4000, 600)],
    [(0, 1, 10, "tertiary", False), (1, 2, 10, "tertiary", False),
     (2, 3, 10, "tertiary", False), (3, 4, 10, "tertiary", False),
     (4, 5, 10, "tertiary", False)],
)  # fmt: skip
SCENE = at(0, 0)


class Town:
    """A case at the scene, on the south bank, and what is told of units and hospitals."""

    def __init__(
        self,
        *,
        units: Mapping[str, Place | None],
        hospitals: Mapping[str, tuple[Place, dict[str, Any]]] | None = None,
        abilities: Mapping[str, tuple[Ability, ...]] | None = None,
        shifts: Mapping[str, tuple[str, ...]] | None = None,
        district: DistrictRules | None = None,
        roads: bool = True,
        scene: Place | None = SCENE,
        severity: Severity = "yellow",
        age_years: int | None = None,
    ) -> None:
        known = abilities or {}
        self.fleet = Fleet(
            tuple(UnitSettings(name=name, abilities=known.get(name, ()),
                               shifts=(shifts or {}).get(name, ())) for name in units),
            tuple(HospitalSettings(name=name, latitude_deg=where[0], longitude_deg=where[1], **more)
                  for name, (where, more) in (hospitals or {}).items()),
            district,
        )  # fmt: skip
        rules = RoadRules(off_road_mps=2.0, reach_m=500.0)
        self.travel = Travel(
            speed_mps=10.0, detour=1.0, handover_s=1200,
            roads=Roads(BANKS, rules) if roads else None,
        )  # fmt: skip
        self.book, self.pages = CaseBook(), Pages()
        self.case = self.open(scene, severity, age_years)
        for name, where in units.items():
            self.stand(name, where)

    def open(
        self, scene: Place | None, severity: Severity = "yellow", age_years: int | None = None
    ) -> Case:
        """Open a case."""
        position = _position(scene) if scene is not None else None
        opened = CaseOpened(
            address="a", complaint="", alias="b", position=position, severity=severity,
            age_years=age_years,
        )  # fmt: skip
        case = self.book.take(self.pages.add("case_opened", opened, case=new_id()))
        assert case is not None
        return case

    def stand(self, name: str, where: Place | None) -> None:
        """Let a unit be heard, from its place."""
        unit = self.fleet.units[name]
        unit.heard_ns = START_NS
        if where is not None:
            place(unit, _position(where), 0, "live")

    def bind(self, name: str, *stages: tuple[Stage, int]) -> Case:
        """Send a unit to another case; each stage with its time."""
        case = self.open(at(0, 600))
        self.book.take(self.pages.add("unit_assigned", UnitAssigned(unit=name), case=case.id))
        for stage, at_ns in stages:
            body = Milestone(stage=stage, at_ns=at_ns)
            self.book.take(self.pages.add("milestone", body, case=case.id, source=name))
        return case

    def choose(self, case: Case, hospital: str) -> None:
        """Send a case to a hospital."""
        body = HospitalChosen(hospital=hospital, name=hospital)
        self.book.take(self.pages.add("hospital_chosen", body, case=case.id))

    def alert(self, pathway: Pathway, severity: Severity = "unknown") -> None:
        """Let the crew say what it is."""
        body = PreAlert(pathway=pathway, severity=severity)
        self.book.take(self.pages.add("pre_alert", body, case=self.case.id, source="unit-1"))


def _position(where: Place) -> Position:
    return Position(
        latitude_deg=where[0], longitude_deg=where[1], measured_ns=START_NS, source="gnss"
    )
