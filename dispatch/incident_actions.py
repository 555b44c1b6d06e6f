"""What a seat or a script may do with a mass-casualty incident, and which facts that makes. Pure.

An incident is declared on a case, the main one; its patients are entries of that case's journal.
A patient who is transported gets a case of its own, so that everything that works for a case works
for a patient: unit, hospital, forwarding, hand-over. All of it is decided at once or not at all.
"""

from __future__ import annotations

import msgspec

from dispatch.cases import Case, CaseBook
from dispatch.errors import ConflictError, DispatchError, UnknownError
from dispatch.incident import GONE, HERE, Incident, Patient
from dispatch.incident_requests import (
    MS_NS,
    CloseIncident,
    DeclareIncident,
    IncidentAction,
    MergePatient,
    MovePatient,
    TagPatient,
    TransportPatient,
)
from dispatch.sending import check_room, check_world, draft_for, taking
from dispatch.triage import method_for, triage
from dispatch.units import Fleet
from streams.incident_messages import (
    IncidentClosed,
    IncidentDeclared,
    PatientMoved,
    PatientTagged,
    Tag,
    Where,
)
from streams.messages import (
    CaseAmended,
    CaseOpened,
    HospitalChosen,
    HospitalStoodDown,
    Severity,
    UnitAssigned,
)
from streams.outbox import Draft

AHEAD_NS = 60_000_000_000
"""A time may be this much ahead of the hub's clock: the clocks of seats differ."""

MOST_PATIENTS = 2000
"""Of one incident; beyond, declare another one for another part of the place."""

SEVERITY: dict[Tag, Severity] = {
    "immediate": "red",
    "delayed": "yellow",
    "minor": "green",
    "expectant": "unknown",
}
"""Of the patient's own case: an expectant one is no priority, and not known to be harmless."""


def decide_incident(
    action: IncidentAction,
    main: Case,
    book: CaseBook,
    fleet: Fleet,
    *,
    now_ns: int,
    new_case: str,
    seat: str,
) -> tuple[Draft, ...]:
    """Return the facts that an action makes, the main one last.

    Args:
        action: What is asked for.
        main: The case on which the incident is, or is to be, declared; open.
        book: All cases.
        fleet: Units, hospitals, and the rules for incidents.
        now_ns: The hub's clock.
        new_case: Id for a case that is opened.
        seat: Who asks.

    Raises:
        ConflictError: It would break a capacity, use a code twice, take a unit from its case,
            mix an exercise with the real thing; or the incident is over.
        UnknownError: No such patient, unit or hospital.
        DispatchError: The code or the time cannot be, or the findings give no tag yet.
    """
    if isinstance(action, DeclareIncident):
        return (_declare(action, main, seat),)
    incident = main.incident
    if incident is None:
        raise ConflictError("no incident is declared on this case", kind="no_incident")
    if not incident.is_open:
        raise ConflictError("the incident was closed: declare it again", kind="incident_closed")
    desk = _Desk(main, incident, book, fleet, now_ns=now_ns, seat=seat)
    match action:
        case TagPatient():
            return desk.tag(action)
        case MovePatient():
            return desk.move(action)
        case MergePatient():
            return desk.merge(action)
        case TransportPatient():
            return desk.transport(action, new_case)
        case CloseIncident():
            return desk.close(action)


def where_now(patient: Patient, book: CaseBook) -> Where:
    """Return where a patient is: of one who is transported, what the own case says."""
    own = book.get(patient.own) if patient.where == "transported" else None
    if own is None:
        return patient.where
    if own.stage == "handed_over" or own.outcome == "handed_over":
        return "handed_over"
    if own.is_open:
        return "transported"
    return "scene" if own.outcome in ("cancelled", "duplicate") else "left"


class _Desk:
    """What is the same for all actions on one incident."""

    def __init__(
        self,
        main: Case,
        incident: Incident,
        book: CaseBook,
        fleet: Fleet,
        *,
        now_ns: int,
        seat: str,
    ) -> None:
        self._main, self._incident, self._book, self._fleet = main, incident, book, fleet
        self._now_ns, self._seat = now_ns, seat

    def tag(self, action: TagPatient) -> tuple[Draft, ...]:
        code = self._read(action.code)
        patient = self._incident.patients.get(code)
        if action.again:
            patient = self._find(action.code)
        elif patient is not None:
            raise _known(patient)
        else:
            self._check_unused(code)
            if len(self._incident.patients) >= MOST_PATIENTS:
                raise ConflictError(
                    f"an incident has {MOST_PATIENTS} patients at most", kind="many"
                )
        body = self._tagged(action, code, patient)
        drafts = self._tell_own_case(patient, body) if patient is not None else ()
        return *drafts, draft_for(self._main, "patient_tagged", body)

    def move(self, action: MovePatient) -> tuple[Draft, ...]:
        code = self._read(action.code)
        patient = self._incident.patients.get(code)
        if patient is None or not patient.tags:
            raise UnknownError("patient", code)
        self._check_not_under_way(patient)
        body = PatientMoved(
            code=code, to=action.to, at_ns=self._at_ns(action.at_ms), area=action.area,
            reason=action.reason,
        )  # fmt: skip
        return (draft_for(self._main, "patient_moved", body),)

    def merge(self, action: MergePatient) -> tuple[Draft, ...]:
        patient, into = self._find(action.code), self._read(action.into)
        if into == patient.code:
            raise ConflictError(f"{into} cannot go on in itself", kind="same", code=into)
        self._check_not_under_way(patient)
        drafts = []
        if into in self._incident.patients:
            self._find(into)
        else:
            self._check_unused(into)
            taken_over = msgspec.structs.replace(patient.tags[-1], code=into)
            drafts.append(draft_for(self._main, "patient_tagged", taken_over))
        body = PatientMoved(
            code=patient.code, to="merged", at_ns=self._now_ns, into=into, reason=action.reason
        )
        return *drafts, draft_for(self._main, "patient_moved", body)

    def transport(self, action: TransportPatient, new_case: str) -> tuple[Draft, ...]:
        patient = self._find(action.code)
        self._check_transportable(patient)
        main, reason = self._main, (action.reason or "").strip()
        overridden = action.override and bool(reason)
        if patient.tag == "expectant" and not overridden:
            raise ConflictError(
                f"{patient.code} is expectant: to send this patient, override with a reason",
                kind="expectant", code=patient.code,
            )  # fmt: skip
        unit, hospital = self._fleet.unit(action.unit), self._fleet.hospital(action.hospital)
        check_world(drill=hospital.drill, case=main, title=hospital.title)
        begun = self._begun(patient)
        severity = SEVERITY[patient.tag]
        if not overridden:
            but = begun.id if begun else ""
            check_room(hospital, severity, self._fleet, self._book, self._now_ns, but=but)
        own = begun or self._opened(patient, new_case)
        drafts = [] if begun else self._opening(patient, own)
        drafts += taking(unit, own, self._book, override=action.override, reason=reason)
        if own.unit != unit.name:
            assigned = UnitAssigned(
                unit=unit.name, reason=reason or None, released=own.unit, name=unit.label
            )
            drafts.append(draft_for(own, "unit_assigned", assigned))
        if own.hospital not in (None, hospital.name):
            stood_down = HospitalStoodDown(hospital=own.hospital, reason=reason or None)
            drafts.append(draft_for(own, "hospital_stood_down", stood_down))
        if own.hospital != hospital.name:
            chosen = HospitalChosen(
                hospital=hospital.name, name=hospital.title, reason=reason or None,
                previous=own.hospital,
            )  # fmt: skip
            drafts.append(draft_for(own, "hospital_chosen", chosen))
        moved = PatientMoved(
            code=patient.code, to="transported", at_ns=self._now_ns, own=own.id, unit=unit.name,
            hospital=hospital.name, reason=reason or None,
        )  # fmt: skip
        return *drafts, draft_for(main, "patient_moved", moved)

    def close(self, action: CloseIncident) -> tuple[Draft, ...]:
        here = [p for p in self._incident.tagged() if where_now(p, self._book) in HERE]
        reason = (action.reason or "").strip()
        if here and not reason:
            raise ConflictError(
                f"patients still at the scene: {len(here)}, the first is {here[0].code}; "
                f"to close the incident all the same, say why",
                kind="still_here", count=str(len(here)),
            )  # fmt: skip
        body = IncidentClosed(reason=reason or None, seat=self._seat)
        return (draft_for(self._main, "incident_closed", body),)

    def _read(self, code: str) -> str:
        return self._fleet.incidents.wristbands.read(code)

    def _find(self, typed: str) -> Patient:
        """Return the patient of a code; one that goes on under another one is said so."""
        code = self._read(typed)
        patient = self._incident.patients.get(code)
        if patient is None or not patient.tags:
            raise UnknownError("patient", code)
        if patient.where == "merged":
            raise ConflictError(
                f"{code} goes on under {patient.into}", kind="merged", code=code, into=patient.into
            )
        return patient

    def _check_unused(self, code: str) -> None:
        """Refuse a code that another incident has, open or over: a wristband is worn once."""
        for other in self._book.recent():
            if other.incident is None or other.id == self._main.id:
                continue
            patient = other.incident.patients.get(code)
            if patient is not None:
                raise ConflictError(
                    f"the wristband {code} is of the incident at {other.address!r} "
                    f"({other.alias}), {patient.tag if patient.tags else 'not tagged'}; this is "
                    f"{self._main.address!r} ({self._main.alias})",
                    kind="code", code=code, case=other.id,
                )  # fmt: skip

    def _tagged(self, action: TagPatient, code: str, patient: Patient | None) -> PatientTagged:
        age = action.age_years
        if age is None and patient is not None:
            age = patient.age_years
        method = action.method or method_for(age, looks_child=action.looks_child)
        tag, reason = action.tag, ""
        if method == "hand":
            if tag is None:
                raise DispatchError("a triage by hand wants its tag")
        else:
            found = triage(action.findings, method)
            if found.tag is None:
                raise DispatchError(f"no tag yet by {method}: look at {found.ask}")
            if tag not in (None, found.tag):
                raise DispatchError(
                    f"the findings are {found.tag} by {method}, not {tag}: a person's own "
                    f"judgement is method 'hand'"
                )
            tag, reason = found.tag, found.reason or ""
        return PatientTagged(
            code=code, tag=tag, method=method, at_ns=self._at_ns(action.at_ms),
            findings=action.findings, reason=reason, by=action.by or self._seat,
            age_years=action.age_years, looks_child=action.looks_child,
            needs=tuple(sorted(set(action.needs))),
        )  # fmt: skip

    def _tell_own_case(self, patient: Patient, body: PatientTagged) -> tuple[Draft, ...]:
        """Return what tells the case of a patient who was sent already of another triage."""
        own = self._book.get(patient.own)
        if own is None or not own.is_open:
            return ()
        here = msgspec.structs.replace(body, incident=self._main.id)
        drafts = [draft_for(own, "patient_tagged", here)]
        if SEVERITY[body.tag] != own.severity:
            amended = CaseAmended(severity=SEVERITY[body.tag])
            drafts.append(draft_for(own, "case_amended", amended))
        return tuple(drafts)

    def _check_not_under_way(self, patient: Patient) -> None:
        if where_now(patient, self._book) == "transported":
            raise ConflictError(
                f"{patient.code} is on the way to a hospital: close that case first",
                kind="transported", code=patient.code, case=patient.own or "",
            )  # fmt: skip

    def _check_transportable(self, patient: Patient) -> None:
        where = where_now(patient, self._book)
        if where in ("transported", "handed_over"):
            own = self._book.get(patient.own)
            to = f" to {own.hospital_name} with {own.unit}" if own and own.hospital else ""
            raise ConflictError(
                f"{patient.code} was sent{to} already",
                kind="transported", code=patient.code, case=patient.own or "",
            )  # fmt: skip
        if where in GONE:
            raise ConflictError(
                f"{patient.code} is not at the scene ({where}): say first where this patient is",
                kind=where, code=patient.code,
            )  # fmt: skip

    def _begun(self, patient: Patient) -> Case | None:
        """Return an own case whose opening was stored and the rest of the decision was not."""
        wanted = (self._main.id, patient.code)
        found = (case for case in self._book.open() if case.patient_of == wanted)
        return next(found, None)

    def _opened(self, patient: Patient, new_case: str) -> Case:
        main = self._main
        return Case(
            new_case, alias=patient.code, address=main.address, opened_as=main.opened_as,
            drill=main.drill,
        )  # fmt: skip

    def _opening(self, patient: Patient, own: Case) -> list[Draft]:
        """Return what opens a patient's own case: at the same place, under the code."""
        main, last = self._main, patient.tags[-1]
        opened = CaseOpened(
            address=main.address,
            complaint=main.complaint or self._incident.kind,
            alias=patient.code,
            severity=SEVERITY[patient.tag],
            position=main.position or main.located,
            age_years=patient.age_years,
        )
        tagged = msgspec.structs.replace(last, incident=main.id)
        return [
            draft_for(own, "case_opened", opened),
            draft_for(own, "patient_tagged", tagged),
        ]

    def _at_ns(self, at_ms: int | None) -> int:
        at_ns = self._now_ns if at_ms is None else at_ms * MS_NS
        if at_ns > self._now_ns + AHEAD_NS:
            ahead_s = (at_ns - self._now_ns) // 1_000_000_000
            raise DispatchError(f"at_ms is {ahead_s} s in the future: it tells what was or is")
        return at_ns


def _declare(action: DeclareIncident, main: Case, seat: str) -> Draft:
    if action.drill != main.drill:
        what = "an exercise" if main.drill else "real"
        raise ConflictError(
            f"this case is {what}: an exercise begins with a case that is opened as one",
            kind="drill", case=main.id,
        )  # fmt: skip
    if main.linked_to is not None or main.patient_of is not None:
        other = main.linked_to or (main.patient_of or ("", ""))[0]
        raise ConflictError("the case is part of another one: declare it there", kind="linked",
                            case=other)  # fmt: skip
    if main.hospital is not None:
        raise ConflictError(
            f"the case has a hospital ({main.hospital_name}), which would get the tags of all "
            f"patients: open another case for the incident",
            kind="has_hospital", hospital=main.hospital,
        )  # fmt: skip
    body = IncidentDeclared(
        kind=action.kind, estimated=action.estimated, seat=seat, text=action.text
    )
    return draft_for(main, "incident_declared", body)


def _known(patient: Patient) -> ConflictError:
    if not patient.tags:
        return ConflictError(f"{patient.code} is used already", kind="known", code=patient.code)
    last = patient.tags[-1]
    return ConflictError(
        f"{patient.code} is a patient of this incident already ({last.tag}, by {last.by}): "
        f"another patient needs another wristband, another triage says `again`",
        kind="known", code=patient.code, tag=last.tag,
    )  # fmt: skip
