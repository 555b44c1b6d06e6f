"""What a page gets of a case: one card, with its patients, as JSON. Pure.

Times are milliseconds since 1970 in the hub's clock (a JavaScript number holds no nanoseconds).
A card holds no age and no countdown: these are the page's business, so the same facts always
give the same card.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from hospital_gateway.arrivals import SEVERITY_RANK, Arrival, Status
from hospital_gateway.patients import Patient, Recording
from hospital_gateway.timeline import Entry
from hospital_gateway.vital_trends import Point, Trend
from streams.identity import alias
from streams.messages import Lane, Origin, Severity, Sex, Validity


class Reading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The newest value of a vital sign."""

    value: float | None
    at_ms: float
    validity: Validity
    origin: Origin
    device: str
    reason: str | None = None
    unassigned: bool = False


class Ecg(msgspec.Struct, frozen=True, kw_only=True):
    """The patient's newest recording: what the page needs to decode live frames."""

    setup: dict[str, object]
    device: str
    purpose: str
    started_ms: float
    origin: Origin
    ended: bool
    unassigned: bool = False


class LateSpan(msgspec.Struct, frozen=True, kw_only=True):
    """Values that came late: of when (ms, hub's clock), and by how much at the most (ms)."""

    from_ms: float
    until_ms: float
    most_ms: float


class PatientCard(msgspec.Struct, frozen=True, kw_only=True):
    """One patient's row.

    Attributes:
        label: The label that the crew gave, or None while unassigned.
        severity: Of the newest pre-alert; the case's while there is none.
        alert_late_ms: How late the pre-alert came; 0 when in time.
        late: What of the kept values came late; None when all came in time.
        vitals: The newest value of each vital sign.
    """

    label: str | None
    severity: Severity
    pathway: str | None
    text: str | None
    age_years: int | None
    age_is_estimate: bool
    sex: Sex
    alerted_ms: float | None
    alert_late_ms: float
    late: LateSpan | None
    vitals: dict[str, Reading]
    ecg: Ecg | None
    origins: list[Origin]


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A role has seen the case; ``made``: only here, ``delivered``: in the case's journal."""

    role: str
    person: str | None
    at_ms: float
    state: str
    problem: str | None = None


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """How far the copy of the case's journal is proven to be what the hub wrote."""

    proven: int
    last: int
    missing: int
    broken: list[int]


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """What the unit sends of picture, sound and live ECG since ``since_ms``, as it said."""

    since_ms: float
    said: dict[str, object]


class BayMark(msgspec.Struct, frozen=True, kw_only=True):
    """The case was handed over at the bay, past the hub (see ``arrivals.Bay``).

    Attributes:
        confirmed: Whether the hub knows that the patient is here, and has sent all of it.
    """

    session: str
    way: str
    unit: str
    at_ms: float
    stored: int
    expected: int
    closed: bool
    refused: int
    waiting: int
    differing: int
    confirmed: bool


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """One case on the board.

    Attributes:
        units: The unit now assigned, if there is one.
        unit_names: Names for people of all units that were sent, where the hub has told them.
        media: ``on`` or ``off`` by camera stream.
        media_origins: live, replay or synthetic by camera stream.
        needs: How one has to talk with who called, as ``CallerProfile`` has it.
        caller_video: Where the video with the caller is, as ``streams.caller_video`` has it.
    """

    case: str
    status: Status
    alias: str
    address: str | None
    complaint: str | None
    severity: Severity
    origin: Origin
    drill: bool
    opened_ms: float | None
    chosen_ms: float | None
    units: list[str]
    unit_names: dict[str, str]
    milestones: dict[str, float]
    patients: list[PatientCard]
    seen: list[Mark]
    media: dict[str, str]
    media_origins: dict[str, Origin]
    quality: Quality | None
    failed_sensors: dict[str, str]
    outcome: str | None
    closed_ms: float | None
    stood_down_reason: str | None
    diverted_to: str | None
    chain: Chain
    bay: BayMark | None = None
    needs: list[str] = []
    caller_video: str = "off"


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the timeline.

    Attributes:
        late_ms: How late it came; left out when in time.
        time: How well its time is known; left out when well.
    """

    id: str
    kind: str
    at_ms: float
    noted_ms: float
    source: str
    origin: Origin
    said: dict[str, object]
    patient: str | None = None
    late_ms: float | None = None
    time: str = "known"


def milliseconds(ns: int) -> float:
    """Return nanoseconds as milliseconds, to the microsecond."""
    return ns // 1000 / 1000


def card_of(arrival: Arrival, chain: Chain, pending: Iterable[Mark] = ()) -> Card:
    """Return the card of a case.

    Args:
        arrival: What is known of the case.
        chain: How far the copy of its journal is proven.
        pending: Acknowledgements made here that have not come back from the hub.
    """
    opened = arrival.opened
    decision = arrival.decision.value
    stood_down = arrival.status == "stood_down"
    marks = [
        Mark(role=s.role, person=s.person, at_ms=milliseconds(s.at_ns), state="delivered")
        for s in arrival.seen
    ]
    known = {mark.role for mark in marks}
    return Card(
        case=arrival.case,
        status=arrival.status,
        alias=opened.alias if opened else alias(arrival.case),
        address=opened.address if opened else None,
        complaint=opened.complaint if opened else None,
        severity=arrival.severity,
        origin=arrival.opened_origin,
        drill=arrival.drill,
        opened_ms=milliseconds(arrival.opened_at_ns) if opened else None,
        chosen_ms=milliseconds(arrival.chosen_ns) if arrival.chosen_sequence else None,
        units=arrival.units,
        unit_names=arrival.unit_names,
        milestones={stage: milliseconds(at) for stage, at in arrival.milestones.items()},
        patients=_patients(arrival),
        seen=[*marks, *(mark for mark in pending if mark.role not in known)],
        media={stream: state.state for stream, (state, _) in arrival.media.items()},
        media_origins={stream: origin for stream, (_, origin) in arrival.media.items()},
        quality=_quality(arrival),
        failed_sensors=arrival.failed_sensors,
        outcome=arrival.closed.value.outcome if arrival.closed.value else None,
        closed_ms=milliseconds(arrival.closed_ns) if arrival.closed.value else None,
        stood_down_reason=decision.reason if stood_down and decision else None,
        diverted_to=getattr(decision, "name", None) if stood_down else None,
        chain=chain,
        bay=_bay(arrival),
        needs=list(arrival.profile.value.needs) if arrival.profile.value else [],
        caller_video=arrival.caller_video,
    )


def line_of(entry: Entry, chosen_ns: int) -> Line:
    """Return a line of the timeline as a page gets it.

    Args:
        entry: The line.
        chosen_ns: From when on this hospital was to get the case's facts; 0 for not yet.
    """
    is_ours = 0 < chosen_ns <= entry.noted_ns
    late_ns = max(entry.late_ns, entry.late_here_ns if is_ours else 0)
    return Line(
        id=entry.id,
        kind=entry.kind,
        at_ms=milliseconds(entry.at_ns),
        noted_ms=milliseconds(entry.noted_ns),
        source=entry.source,
        origin=entry.origin,
        said=entry.said,
        patient=entry.patient,
        late_ms=milliseconds(late_ns) if late_ns else None,
        time=entry.time,
    )


def point_of(point: Point) -> tuple[float, float | None]:
    """Return a point as a curve draws it: time (ms) and value, None for a gap."""
    return milliseconds(point.at_ns), point.drawn


def trends_of(arrival: Arrival) -> dict[str, dict[str, list[tuple[float, float | None]]]]:
    """Return the curves by patient label ("" is unassigned) and vital sign, oldest point first."""
    return {
        label or "": {
            code: [point_of(point) for point in trend.points]
            for code, trend in sorted(patient.trends.items())
        }
        for label, patient in arrival.patients.items()
        if patient.trends
    }


def rank(card: Card, arrives_ms: float | None) -> tuple[int, float, str]:
    """Return what sorts the board: severity, then who comes first; without an ETA last."""
    eta = arrives_ms if arrives_ms is not None else float("inf")
    return SEVERITY_RANK[card.severity], eta, card.case


def _bay(arrival: Arrival) -> BayMark | None:
    bay = arrival.bay
    if bay is None:
        return None
    return BayMark(
        session=bay.session, way=bay.way, unit=bay.unit, at_ms=milliseconds(bay.at_ns),
        stored=bay.stored, expected=bay.expected, closed=bay.closed, refused=bay.refused,
        waiting=bay.waiting, differing=bay.differing,
        confirmed=not bay.waiting and not arrival.is_past_the_hub,
    )  # fmt: skip


def _quality(arrival: Arrival) -> Quality | None:
    if arrival.quality is None:
        return None
    step, at_ns = arrival.quality
    return Quality(since_ms=milliseconds(at_ns), said=msgspec.to_builtins(step))


def _patients(arrival: Arrival) -> list[PatientCard]:
    return [_patient(arrival, patient) for patient in arrival.rows()]


def _patient(arrival: Arrival, patient: Patient) -> PatientCard:
    opened = arrival.opened
    unassigned = arrival.patients.get(None)
    alone = len(arrival.rows()) == 1
    alert = patient.alert.value
    if alert is None and alone and unassigned is not None:
        alert = unassigned.alert.value  # the crew alerted before it named the only patient
    said = alert.body if alert else None
    severity: Severity = said.severity if said else "unknown"
    if severity == "unknown" and opened and (said or alone):
        severity = opened.severity
    sex: Sex = said.sex if said else "unknown"
    if sex == "unknown" and opened and alone:
        sex = opened.sex
    age, estimated = (said.age_years, said.age_is_estimate) if said else (None, True)
    if age is None and opened and alone:
        age, estimated = opened.age_years, True
    origins = patient.origins | (unassigned.origins if alone and unassigned else set())
    return PatientCard(
        label=patient.label,
        severity=severity,
        pathway=said.pathway if said else None,
        text=said.text if said else None,
        age_years=age,
        age_is_estimate=estimated,
        sex=sex,
        alerted_ms=milliseconds(alert.at_ns) if alert else None,
        alert_late_ms=milliseconds(alert.late_ns) if alert else 0,
        late=_late(arrival, patient),
        vitals=_vitals(arrival, patient),
        ecg=_ecg(arrival, patient),
        origins=sorted(origins),
    )


def _is_beside(arrival: Arrival, patient: Patient) -> Patient | None:
    """Return what is unassigned, where it may stand beside this patient: the only one."""
    if patient.label is None or len(arrival.rows()) > 1:
        return None
    return arrival.patients.get(None)


def _trends(arrival: Arrival, patient: Patient) -> Mapping[str, Trend]:
    beside = _is_beside(arrival, patient)
    return {**(beside.trends if beside else {}), **patient.trends}


def _vitals(arrival: Arrival, patient: Patient) -> dict[str, Reading]:
    several = len(arrival.rows()) > 1 or patient.label is not None
    readings = {}
    for code, trend in sorted(_trends(arrival, patient).items()):
        point = trend.newest
        if point is not None:
            readings[code] = Reading(
                value=point.value,
                at_ms=milliseconds(point.at_ns),
                validity=point.validity,
                origin=point.origin,
                device=point.device,
                reason=point.reason,
                unassigned=several and code not in patient.trends,
            )
    return readings


def _late(arrival: Arrival, patient: Patient) -> LateSpan | None:
    """Return what of the values that are kept came late, to the hub or here."""
    late: list[tuple[int, int]] = []
    for trend in _trends(arrival, patient).values():
        for point in trend.points:
            is_ours = 0 < arrival.chosen_ns <= point.at_ns
            late_ns = max(point.late_ns, point.late_here_ns if is_ours else 0)
            if late_ns:
                late.append((point.at_ns, late_ns))
    if not late:
        return None
    return LateSpan(
        from_ms=milliseconds(min(late)[0]),
        until_ms=milliseconds(max(late)[0]),
        most_ms=milliseconds(max(late_ns for _, late_ns in late)),
    )


def _ecg(arrival: Arrival, patient: Patient) -> Ecg | None:
    recording, unassigned = patient.recording, False
    ended = patient.ended
    beside = _is_beside(arrival, patient)
    if recording is None and beside is not None:
        recording, unassigned, ended = beside.recording, True, beside.ended
    if recording is None:
        return None
    return Ecg(
        setup=setup_for_page(recording),
        device=recording.device,
        purpose=recording.purpose,
        started_ms=milliseconds(recording.start_ns),
        origin=recording.origin,
        ended=recording.setup.setup_id in ended,
        unassigned=unassigned,
    )


def setup_for_page(recording: Recording) -> dict[str, object]:
    """Return the whole setup: a frame's checksum covers it, so nothing may be left out."""
    setup: dict[str, object] = msgspec.to_builtins(recording.setup)
    return setup


def lane_place(lane: Lane) -> str:
    """Return under which name the time from source to storage is counted.

    Blocks of the ECG's record are sent behind everything else, on purpose, and would hide how
    fast the rest is.
    """
    return "record_stored" if lane == "record" else "fact_stored"
