"""Writes a case as a hub would: numbered, chained, stored. For tests of whoever reads cases."""

from __future__ import annotations

from typing import Any

from streams.chain import GENESIS, Stored, link
from streams.codec import encode, encode_body
from streams.ecg_block import EcgSetup, Lead
from streams.identity import new_id
from streams.messages import (
    VERSION,
    Body,
    CaseOpened,
    EcgStarted,
    Envelope,
    HospitalChosen,
    HospitalStoodDown,
    Milestone,
    Numeric,
    PreAlert,
    Stage,
    UnitAssigned,
    Vitals,
)
from streams.topics import find

SECOND = 1_000_000_000
START_NS = 1_790_000_000 * SECOND
"""An arbitrary moment in 2026."""


class CaseWriter:
    """One case's facts in the hub's order."""

    def __init__(self, case: str | None = None, *, drill: bool = False) -> None:
        self.case = case or new_id()
        self.drill = drill
        self.facts: list[Stored] = []
        self.now_ns = START_NS
        self._epochs: dict[str, str] = {}
        self._sequences: dict[tuple[str, str], int] = {}

    def add(
        self, body: Body, kind: str, source: str = "hub", *, offset_ns: int = 0, **fields: Any
    ) -> Stored:
        """Append a fact that `source` made now, its own clock being `offset_ns` behind."""
        lane = find(kind).lane
        key = (source, lane)
        self._sequences[key] = self._sequences.get(key, 0) + 1
        envelope = Envelope(
            version=VERSION,
            kind=kind,
            id=new_id(),
            source=source,
            epoch=self._epochs.setdefault(source, new_id()),
            lane=lane,
            sequence=self._sequences[key],
            source_ns=self.now_ns - offset_ns,
            monotonic_ns=0,
            offset_ns=offset_ns,
            uncertainty_ns=0,
            origin=fields.pop("origin", "live"),
            body=encode_body(body),
            case=self.case,
            drill=self.drill,
            **fields,
        )
        data = encode(envelope)
        number = len(self.facts) + 1
        previous = self.facts[-1].hash or b"" if self.facts else GENESIS
        received_ns = self.now_ns + SECOND // 10
        stored = Stored(
            number, envelope, data, number, self.now_ns, received_ns,
            link(previous, number, self.now_ns, received_ns, data),
        )  # fmt: skip
        self.facts.append(stored)
        self.now_ns += SECOND
        return stored

    def open(self, complaint: str = "chest pain", **fields: Any) -> Stored:
        body = CaseOpened(
            address="12 Long Street", complaint=complaint, alias="Blue Heron", **fields
        )
        return self.add(body, "case_opened")

    def assign(self, unit: str = "unit-1") -> Stored:
        return self.add(UnitAssigned(unit=unit), "unit_assigned")

    def choose(self, hospital: str = "first-hospital") -> Stored:
        return self.add(HospitalChosen(hospital=hospital, name=hospital.title()), "hospital_chosen")

    def stand_down(self, hospital: str, reason: str | None = None) -> Stored:
        return self.add(HospitalStoodDown(hospital=hospital, reason=reason), "hospital_stood_down")

    def alert(self, patient: str | None = "1", unit: str = "unit-1", **fields: Any) -> Stored:
        body = PreAlert(**{"pathway": "stemi", "severity": "red", **fields})
        return self.add(body, "pre_alert", unit, patient=patient)

    def vitals(
        self,
        patient: str | None = "1",
        unit: str = "unit-1",
        *,
        offset_ns: int = 0,
        origin: str = "live",
        **values: float,
    ) -> Stored:
        measured_ns = self.now_ns - offset_ns
        numerics = {
            code: Numeric(value=value, measured_ns=measured_ns) for code, value in values.items()
        }
        body = Vitals(device="monitor", **numerics)
        return self.add(body, "vitals", unit, patient=patient, offset_ns=offset_ns, origin=origin)

    def stage(
        self,
        stage: Stage,
        at_ns: int | None = None,
        *,
        offset_ns: int = 0,
        corrects: str | None = None,
    ) -> Stored:
        own_ns = (self.now_ns if at_ns is None else at_ns) - offset_ns
        body = Milestone(stage=stage, at_ns=own_ns, corrects=corrects)
        return self.add(body, "milestone", "unit-1", offset_ns=offset_ns)

    def ecg(self, setup: EcgSetup, patient: str | None = "1", **fields: Any) -> Stored:
        body = EcgStarted(setup=setup, start_ns=self.now_ns, device="monitor")
        return self.add(body, "ecg_started", "unit-1", patient=patient, **fields)


def twelve_leads(setup_id: str = "ecg-1") -> EcgSetup:
    """A 12-lead at 500 Hz, 1000 ADC units per mV."""
    names = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
    leads = tuple(Lead(name=name, gain=1000.0) for name in names)
    return EcgSetup(setup_id=setup_id, sampling_frequency_hz=500.0, leads=leads)
