"""A hub's decisions on incidents without its disk: cases, units, hospitals with stated room."""

from __future__ import annotations

from typing import Any

from dispatch.arrival import Travel
from dispatch.capacity import Capacity
from dispatch.case_actions import OneCase, OpenCase, Place, decide
from dispatch.case_routing import Forward, Router
from dispatch.cases import Case, CaseBook
from dispatch.incident_actions import where_now
from dispatch.incident_requests import DeclareIncident, TagPatient, TransportPatient
from dispatch.units import Fleet, HospitalSettings, UnitSettings
from streams.chain import Stored
from streams.identity import new_id
from streams.incident_messages import Tag
from streams.messages import Body
from tests.case_facts import SECOND_NS, START_NS, Pages

SCENE = (31.23, 121.47)
UNITS = tuple(f"unit-{number}" for number in range(1, 51))
HOSPITALS = {"near": 31.235, "middle": 31.26, "far": 31.32}
DRILL_UNITS = ("drill-unit-1", "drill-unit-2")
DRILL_HOSPITAL = "drill-hospital"


class IncidentTown:
    """Acts and folds as the hub does; ``now_ns`` is moved by the test."""

    def __init__(self) -> None:
        self.pages, self.book, self.router = Pages(), CaseBook(), Router()
        self.fleet = Fleet(
            (*(UnitSettings(name=name) for name in UNITS),
             *(UnitSettings(name=name, drill=True) for name in DRILL_UNITS)),
            (*(HospitalSettings(name=name, latitude_deg=lat, longitude_deg=SCENE[1])
               for name, lat in HOSPITALS.items()),
             HospitalSettings(name=DRILL_HOSPITAL, latitude_deg=31.2, longitude_deg=121.4,
                              drill=True)),
        )  # fmt: skip
        for unit in self.fleet.units.values():
            unit.heard_ns = START_NS
        self.travel = Travel()
        self.now_ns = START_NS
        self.forwarded: list[tuple[Forward, Stored]] = []

    def state(
        self, hospital: str, beds: int | None, resus_bays: int | None, *, diversion: bool = False
    ) -> None:
        """Let a hospital state its room now."""
        self.fleet.capacities[hospital] = Capacity(beds, resus_bays, diversion, self.now_ns)

    def act(self, action: OneCase, seat: str = "seat-1") -> str:
        """Do an action; return its case."""
        decision = decide(action, self.book, self.fleet, self.now_ns, new_id(), seat=seat)
        for draft in decision.drafts:
            self.store(draft.kind, draft.body, draft.case, drill=draft.drill)
        return decision.case

    def store(
        self, kind: str, body: Body, case: str | None, *, source: str = "hub", drill: bool = False
    ) -> None:
        """Store a fact, made now."""
        at_s = (self.now_ns - START_NS) / SECOND_NS
        fact = self.pages.add(kind, body, case=case, source=source, at_s=at_s, drill=drill)
        self.book.take(fact)
        self.forwarded += [(order, fact) for order in self.router.take(fact)]

    def open(self, address: str = "Long Street bridge", *, drill: bool = False) -> str:
        """Open a case at the scene."""
        place = Place(latitude_deg=SCENE[0], longitude_deg=SCENE[1])
        return self.act(OpenCase(address=address, position=place, drill=drill))

    def declare(self, address: str = "Long Street bridge", *, drill: bool = False) -> str:
        """Open a case and declare an incident on it."""
        case = self.open(address, drill=drill)
        self.act(DeclareIncident(case=case, kind="rail", estimated=40, drill=drill))
        return case

    def tag(self, case: str, code: str, tag: Tag, **more: Any) -> None:
        """Tag a patient by hand."""
        self.act(TagPatient(case=case, code=code, tag=tag, method="hand", **more))

    def send(self, case: str, code: str, unit: str, hospital: str, **more: Any) -> Case:
        """Transport a patient; return the own case."""
        self.act(TransportPatient(case=case, code=code, unit=unit, hospital=hospital, **more))
        incident = self.case(case).incident
        assert incident is not None
        own = incident.patients[code].own
        assert own is not None
        return self.case(own)

    def case(self, name: str) -> Case:
        """Return a case."""
        found = self.book.get(name)
        assert found is not None
        return found

    def where(self, case: str, code: str) -> str:
        """Where a patient is."""
        incident = self.case(case).incident
        assert incident is not None
        return where_now(incident.patients[code], self.book)
