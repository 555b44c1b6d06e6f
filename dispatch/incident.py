"""A mass-casualty incident as the journal of its main case says: its patients, in order. Pure.

Facts may come in any order, so what counts of a patient is what was found or done last by its
time. Nothing is forgotten: each triage stays in the patient's history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from dispatch.triage import RANK, method_for
from streams.incident_messages import (
    IncidentClosed,
    IncidentDeclared,
    IncidentKind,
    Need,
    PatientMoved,
    PatientTagged,
    Tag,
    Where,
)

SECOND_NS: Final = 1_000_000_000
WAIT_STEP_S: Final = 300.0
"""Who waits longer goes first, in steps of this: within one, children and burns go first."""

HERE: Final[frozenset[Where]] = frozenset({"scene", "treatment"})
"""Where a patient is one to be treated and transported."""

GONE: Final[frozenset[Where]] = frozenset({"left", "lost", "merged"})


@dataclass(slots=True)
class Patient:
    """A patient by the code on the wristband.

    Attributes:
        code: The code.
        tags: Each triage, by its time.
        moves: Each move, by its time.
        own: The case that was opened to transport this patient; the last one.
        merged: Codes that go on in this one.
    """

    code: str
    tags: list[PatientTagged] = field(default_factory=list)
    moves: list[PatientMoved] = field(default_factory=list)
    own: str | None = None
    merged: list[str] = field(default_factory=list)

    @property
    def tag(self) -> Tag:
        """The tag now: that of the last triage."""
        return self.tags[-1].tag

    @property
    def where(self) -> Where:
        """Where the patient is, as far as it was said."""
        return self.moves[-1].to if self.moves else "scene"

    @property
    def into(self) -> str:
        """The code in which this one goes on; empty where it does not."""
        return self.moves[-1].into if self.where == "merged" else ""

    @property
    def since_ns(self) -> int:
        """Since when the patient waits: the first triage."""
        return self.tags[0].at_ns

    @property
    def age_years(self) -> int | None:
        """The age, as it was said last."""
        return next(
            (one.age_years for one in reversed(self.tags) if one.age_years is not None), None
        )

    @property
    def is_child(self) -> bool:
        """Whether the patient is triaged as a child."""
        looks = self.tags[-1].looks_child or "child" in self.tags[-1].needs
        return method_for(self.age_years, looks_child=looks) == "jumpstart"

    @property
    def needs(self) -> frozenset[Need]:
        """What a hospital should have for this patient."""
        child: frozenset[Need] = frozenset({"child"}) if self.is_child else frozenset()
        return frozenset(self.tags[-1].needs) | child


@dataclass(slots=True)
class Incident:
    """An incident, declared on its main case.

    Attributes:
        patients: By code, merged ones too, in the order of their first triage.
        closed_ns: When it was closed.
        still_here: Why it was closed although patients were there.
    """

    kind: IncidentKind
    declared_ns: int
    estimated: int | None = None
    seat: str = ""
    text: str = ""
    patients: dict[str, Patient] = field(default_factory=dict)
    closed_ns: int | None = None
    still_here: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.closed_ns is None

    def take(self, body: PatientTagged | PatientMoved) -> None:
        """Fold a fact of a patient in; one that moves before it is tagged waits for its tag."""
        patient = self.patients.setdefault(body.code, Patient(body.code))
        if isinstance(body, PatientTagged):
            patient.tags.append(body)
            patient.tags.sort(key=_by_time)
            return
        patient.moves.append(body)
        patient.moves.sort(key=_by_time)
        patient.own = next((one.own for one in reversed(patient.moves) if one.own), None)
        if body.to == "merged":
            self._merge()

    def _merge(self) -> None:
        for patient in self.patients.values():
            patient.merged = []
        for code, patient in self.patients.items():
            if patient.into in self.patients:
                self.patients[patient.into].merged.append(code)

    def tagged(self) -> list[Patient]:
        """Return the patients that are one each: tagged, and not gone on under another code."""
        return [one for one in self.patients.values() if one.tags and one.where != "merged"]

    def follow(self, code: str) -> Patient | None:
        """Return the patient of a code, by merges to the one in which it goes on."""
        patient = self.patients.get(code)
        seen = set[str]()
        while patient is not None and patient.into and patient.code not in seen:
            seen.add(patient.code)
            patient = self.patients.get(patient.into)
        return patient if patient is not None and patient.tags else None


def fold(
    incident: Incident | None,
    body: IncidentDeclared | PatientTagged | PatientMoved | IncidentClosed,
    at_ns: int,
) -> Incident | None:
    """Return an incident after a fact of its main case; a second declaration corrects the first.

    Args:
        incident: As it was; None before it was declared.
        body: The fact's body.
        at_ns: When the fact was made, by the hub's clock.
    """
    if isinstance(body, IncidentDeclared):
        if incident is None:
            incident = Incident(body.kind, at_ns)
        incident.kind, incident.estimated = body.kind, body.estimated
        incident.seat, incident.text = body.seat, body.text
        incident.closed_ns = incident.still_here = None
    elif incident is not None and isinstance(body, IncidentClosed):
        incident.closed_ns, incident.still_here = at_ns, body.reason
    elif incident is not None and not isinstance(body, IncidentClosed):
        incident.take(body)
    return incident


def in_order(patients: Iterable[Patient], now_ns: int) -> list[Patient]:
    """Return patients in the order of treatment: by tag, then by waiting, needs within a step."""
    return sorted(patients, key=lambda one: _place(one, now_ns))


def to_transport(patients: Iterable[Patient], now_ns: int) -> list[Patient]:
    """Return who is to be transported, in that order: the expectant stay until a person decides."""
    return in_order((one for one in patients if one.tag != "expectant"), now_ns)


def counts(patients: Iterable[Patient]) -> dict[Tag, int]:
    """Return how many there are of each tag, every tag named."""
    found = Counter(one.tag for one in patients)
    return {tag: found[tag] for tag in RANK}


def _place(patient: Patient, now_ns: int) -> tuple[int, int, bool, int, str]:
    waited_s = max(0.0, (now_ns - patient.since_ns) / SECOND_NS)
    steps = int(waited_s // WAIT_STEP_S)
    return RANK[patient.tag], -steps, not patient.needs, patient.since_ns, patient.code


def _by_time(one: PatientTagged | PatientMoved) -> int:
    return one.at_ns
