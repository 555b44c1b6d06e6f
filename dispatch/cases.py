"""The cases as they stand: a fold over the journal, and nothing else. Pure.

The same facts in the same order always give the same cases, so after a crash the hub's view is
exactly its journal's. Facts of one case may come in any order of making (lanes overtake each
other, corrections come late); what is *current* is decided by the source's time, not by arrival.

In memory are the open cases, the last closed ones, and a few older ones that somebody looked at
or that got a late fact; the journal has all (``dispatch.case_record``).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

from dispatch.call_fold import Said, fold_around
from dispatch.calls import Call
from dispatch.guidance.run import Guide
from dispatch.incident import Incident, fold
from dispatch.partner_book import Partnerships
from dispatch.text_book import Conversation
from dispatch.timeline import Entry, entry_of
from dispatch.vital_signs import VitalSigns, measure, offset_ns
from streams.bay_messages import BayHandover
from streams.call_messages import CallerPosition, CallStep, CaseLinked, LocationRefused
from streams.caller_video import VideoState
from streams.caller_video_messages import CallerVideo
from streams.chain import Stored
from streams.codec import any_body
from streams.guidance_messages import GuidanceMark, GuidanceStep
from streams.incident_messages import (
    IncidentClosed,
    IncidentDeclared,
    PatientMoved,
    PatientTagged,
    Tag,
)
from streams.messages import (
    Acknowledged,
    Body,
    CaseAmended,
    CaseClosed,
    CaseOpened,
    HospitalChosen,
    HospitalStoodDown,
    MediaState,
    Milestone,
    Origin,
    Position,
    PreAlert,
    RunEnded,
    RunStarted,
    Severity,
    Sex,
    Stage,
    UnitAssigned,
    UnitReleased,
    Vitals,
)
from streams.partner_messages import PartnerAnswered, PartnerTold
from streams.source_clocks import Order, order_of
from streams.text_messages import CallerProfile, TextChannel, TextTurn

CLOSED_KEPT = 200
"""Closed cases that stay in memory; older ones are read from the journal when they are wanted."""

OLD_KEPT = 50
"""Of these, how many stay that were wanted last."""

STAGES: tuple[Stage, ...] = get_args(Stage)
"""In the order of a run."""

UNREAD = frozenset({"ecg_record", "track"})
"""Kinds that change nothing in the view; their bodies are not even decoded."""


@dataclass(frozen=True, slots=True)
class Seen:
    """Somebody at a hospital acknowledged the case.

    Attributes:
        case_sequence: The acknowledgement's own place: what stands before it was seen.
    """

    hospital: str
    role: str
    at_ns: int
    case_sequence: int


@dataclass(slots=True)
class Case:
    """One case as its journal says.

    Attributes:
        unit: The unit assigned now; stays after the run's end, until released or replaced.
        units: Every unit ever assigned: each may deliver facts of the case, however late.
        hospital: The receiving hospital now.
        severity_by: Who said the severity that is shown.
        severity_ns: When, by the hub's clock.
        position: Where the scene is, as a person said or confirmed, or as the crew was told.
        position_confirmed: Whether a person did; else it is the best that sources say.
        call: The call that opened it, if one did.
        located: The best that sources said, as it stood when the last of them spoke.
        fixes: Where sources say that the caller is, in the order of coming, by their ids.
        unread: Messages about the caller's place that could not be read.
        linked_to: The case in which it goes on, because both are one event.
        linked: Cases that go on in this one.
        partners: What police, fire and others were told, and what they answered.
        guide: Where the life-support guide is.
        talk: What was written between caller and dispatcher.
        video: Where the video with the caller is.
        stages: When the unit reached each stage, corrections applied, by the hub's clock; a unit
            that takes over begins anew.
        vitals: Per patient (None is *unassigned*) and sign; a second patient is a second row.
        facts: How many facts the case has: its last case_sequence.
        decided_sequence: Place of the last decision on the hospital.
        bay: The hospital at whose bay it was handed over, as its unit last said.
        bay_unit: That unit.
        bay_sequence: Place of its word.
        incident: The mass-casualty incident that was declared on it.
        patient_of: The main case of the incident of which it is one patient, and the code.
        tag: That patient's triage tag.
        synthetic: Whether anything in it comes from a model.
        replayed: Whether anything in it comes from a recording.
    """

    id: str
    alias: str = ""
    address: str = ""
    complaint: str = ""
    severity: Severity = "unknown"
    severity_by: str = ""
    severity_ns: int = 0
    position: Position | None = None
    position_confirmed: bool = False
    caller: str | None = None
    call: Call | None = None
    located: Position | None = None
    fixes: dict[str, Said] = field(default_factory=dict)
    unread: list[LocationRefused] = field(default_factory=list)
    linked_to: str | None = None
    linked: list[str] = field(default_factory=list)
    partners: Partnerships = field(default_factory=dict)
    talk: Conversation = field(default_factory=Conversation)
    guide: Guide = field(default_factory=Guide)
    video: VideoState = field(default_factory=VideoState)
    age_years: int | None = None
    age_is_estimate: bool = False
    sex: Sex = "unknown"
    opened_ns: int = 0
    opened_as: Origin = "live"
    closed_ns: int | None = None
    outcome: str | None = None
    unit: str | None = None
    unit_sequence: int = 0
    units: set[str] = field(default_factory=set)
    hospital: str | None = None
    hospital_name: str = ""
    hospital_sequence: int = 0
    decided_sequence: int = 0
    bay: str | None = None
    bay_unit: str = ""
    bay_sequence: int = 0
    pre_alert: PreAlert | None = None
    pre_alert_ns: int = 0
    run_started: tuple[str, int] | None = None
    run_ended_ns: int | None = None
    stages: dict[Stage, int] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    crew_sequence: int = 0
    vitals: VitalSigns = field(default_factory=dict)
    media: dict[str, Literal["on", "off"]] = field(default_factory=dict)
    media_origins: dict[str, Origin] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    incident: Incident | None = None
    patient_of: tuple[str, str] | None = None
    tag: Tag | None = None
    facts: int = 0
    synthetic: bool = False
    replayed: bool = False
    drill: bool = False
    _stamps: dict[str, tuple[Stage, int]] = field(default_factory=dict)
    _corrected: set[str] = field(default_factory=set)
    _media_orders: dict[str, Order] = field(default_factory=dict)
    _bay_order: Order | None = None
    _run_mark: tuple[str, int] | None = None

    @property
    def is_open(self) -> bool:
        """Whether the case goes on."""
        return self.closed_ns is None

    @property
    def stage(self) -> Stage | None:
        """The furthest stage that was reached and not corrected away."""
        return next((stage for stage in reversed(STAGES) if stage in self.stages), None)

    @property
    def has_crew_under_way(self) -> bool:
        """Whether the assigned unit is still bound by this case."""
        return self.is_open and self.unit is not None and self.run_ended_ns is None


class CaseBook:
    """All cases. ``take`` each stored fact once, in the order of the journal."""

    def __init__(self) -> None:
        self._cases: dict[str, Case] = {}
        self._old: dict[str, Case] = {}
        self._of_unit: dict[tuple[str, bool], tuple[int, str]] = {}
        self._closed: deque[str] = deque()

    def begin(self, case: str, *, recent: bool) -> Case:
        """Make room for a case whose facts are read from the journal; ``take`` follows.

        Args:
            case: The case.
            recent: Whether it is open or among the last closed ones; else it is an old one.
        """
        begun = Case(case)
        if recent:
            self._cases[case] = begun
        else:
            self._old[case] = begun
            while len(self._old) > OLD_KEPT:
                del self._old[next(iter(self._old))]
        return begun

    def take(self, fact: Stored) -> Case | None:
        """Fold one fact in, its time placed; return its case, or None for facts without one."""
        envelope = fact.envelope
        if envelope.case is None or fact.case_sequence is None:
            return None
        case = self.get(envelope.case) or self.begin(envelope.case, recent=True)
        case.facts = fact.case_sequence
        case.synthetic |= envelope.origin == "synthetic"
        case.replayed |= envelope.origin == "replay"
        case.drill |= envelope.drill
        if envelope.kind in UNREAD:
            return case
        body = any_body(envelope)
        entry = entry_of(fact, body)
        if entry is not None:
            case.entries.append(entry)
        self._fold(case, fact, body)
        return case

    def read_again(self, case: str, facts: Iterable[Stored]) -> None:
        """Fold a case anew: the time of some of its facts became known. Others stay as they are.

        Args:
            case: A case that is known.
            facts: Its facts that change a view, in the order of the journal, their times placed.
        """
        known = self.get(case)
        if known is None:
            return  # closed long ago: it is read from the journal when it is wanted
        begun = self.begin(case, recent=case in self._cases)
        for fact in facts:
            self.take(fact)
        begun.facts = known.facts

    def get(self, case: str | None) -> Case | None:
        """Return a case, or None if it is not in memory."""
        if case is None:
            return None
        return self._cases.get(case) or self._old.get(case)

    def open(self) -> list[Case]:
        """Return the open cases, oldest first."""
        return [case for case in self._cases.values() if case.is_open]

    def recent(self) -> list[Case]:
        """Return the open cases and the last closed ones, oldest first."""
        return list(self._cases.values())

    def of_unit(self, unit: str) -> Case | None:
        """Return the case that binds a unit now: assigned, open, and the run not ended."""
        for own in (False, True):  # one that its crew began comes late: it takes no other's place
            case = self.get(self._of_unit.get((unit, own), (0, None))[1])
            if case is not None and case.has_crew_under_way and case.unit == unit:
                return case
        return None

    def last_of_unit(self, unit: str) -> Case | None:
        """Return the case to which a unit was sent last, if that is in memory; it may be over."""
        known = [self._of_unit.get((unit, own), (0, "")) for own in (False, True)]
        return self.get(max(known)[1])

    def hospital_of_unit(self, unit: str) -> str | None:
        """Return the hospital that may see a unit's live streams now; none of an exercise's."""
        case = self.of_unit(unit)
        return case.hospital if case is not None and not case.drill else None

    def _fold(self, case: Case, fact: Stored, body: Body) -> None:
        match body:
            case CaseOpened():
                _open(case, fact, body)
            case CaseAmended():
                _amend(case, fact, body)
            case UnitAssigned():
                self._assign(case, fact, body)
            case UnitReleased() if case.unit == body.unit:
                case.unit = None
            case HospitalChosen():
                case.hospital, case.hospital_name = body.hospital, body.name
                case.hospital_sequence = case.decided_sequence = fact.case_sequence or 0
            case HospitalStoodDown() if case.hospital == body.hospital:
                case.hospital, case.hospital_name = None, ""
                case.decided_sequence = fact.case_sequence or 0
            case (
                CallStep() | CallerPosition() | LocationRefused() | CaseLinked()
                | PartnerTold() | PartnerAnswered() | TextTurn() | TextChannel() | CallerProfile()
                | GuidanceStep() | GuidanceMark() | CallerVideo()
            ):  # fmt: skip
                fold_around(case, fact, body)
            case IncidentDeclared() | PatientTagged() | PatientMoved() | IncidentClosed():
                _fold_incident(case, fact, body)
            case CaseClosed():
                case.closed_ns, case.outcome = fact.corrected_ns, body.outcome
                if case.id in self._cases:
                    self._keep_last_closed(case.id)
            case Acknowledged():
                seen = Seen(body.hospital, body.role, fact.corrected_ns, fact.case_sequence or 0)
                case.seen.append(seen)
            case _:
                _fold_unit_fact(case, fact, body)

    def _assign(self, case: Case, fact: Stored, body: UnitAssigned) -> None:
        case.unit, case.unit_sequence = body.unit, fact.case_sequence or 0
        case.units.add(body.unit)
        case.run_started = case.run_ended_ns = case._run_mark = None
        case.stages, case._stamps = {}, {}
        # Cases are read one after the other: the last assignment is that of the journal's order.
        key = (body.unit, body.own)
        if self._of_unit.get(key, (0, ""))[0] < fact.position:
            self._of_unit[key] = (fact.position, case.id)

    def _keep_last_closed(self, closed: str) -> None:
        if closed in self._closed:
            return
        self._closed.append(closed)
        while len(self._closed) > CLOSED_KEPT:
            self._cases.pop(self._closed.popleft(), None)


def _open(case: Case, fact: Stored, body: CaseOpened) -> None:
    case.opened_ns, case.opened_as = fact.corrected_ns, fact.envelope.origin
    case.alias, case.address, case.complaint = body.alias, body.address, body.complaint
    case.position, case.caller = body.position, body.caller
    case.position_confirmed = body.position is not None
    case.age_years, case.sex = body.age_years, body.sex
    case.severity, case.severity_by = body.severity, fact.envelope.source
    case.severity_ns = fact.corrected_ns


def _fold_incident(
    case: Case,
    fact: Stored,
    body: IncidentDeclared | PatientTagged | PatientMoved | IncidentClosed,
) -> None:
    if isinstance(body, PatientTagged) and body.incident is not None:  # the patient's own case
        case.patient_of, case.tag = (body.incident, body.code), body.tag
    else:
        case.incident = fold(case.incident, body, fact.corrected_ns)


def _amend(case: Case, fact: Stored, body: CaseAmended) -> None:
    for name in ("address", "complaint", "position", "caller", "sex"):
        value = getattr(body, name)
        if value is not None:
            setattr(case, name, value)
    if body.position is not None:
        case.position_confirmed = body.position_confirmed
    if body.age_years is not None:
        case.age_years, case.age_is_estimate = body.age_years, False
    if body.severity is not None:
        case.severity, case.severity_by = body.severity, fact.envelope.source
        case.severity_ns = fact.corrected_ns


def _fold_unit_fact(case: Case, fact: Stored, body: Body) -> None:
    match body:
        case RunStarted() | RunEnded():
            if fact.envelope.source == case.unit:
                _run(case, fact, body)
        case Milestone():
            _stamp(case, fact, body)
            case.crew_sequence = fact.case_sequence or 0
        case PreAlert():
            _alert(case, fact, body)
        case BayHandover():
            order = order_of(fact)
            if case._bay_order is None or order > case._bay_order:
                case.bay, case.bay_unit = body.hospital, fact.envelope.source
                case.bay_sequence, case._bay_order = fact.case_sequence or 0, order
        case Vitals():
            measure(case.vitals, fact, body)
        case MediaState():
            order = order_of(fact)
            if order >= case._media_orders.get(body.stream, order):
                case.media[body.stream], case._media_orders[body.stream] = body.state, order
                case.media_origins[body.stream] = fact.envelope.origin


def _run(case: Case, fact: Stored, body: RunStarted | RunEnded) -> None:
    """Note that the run began or ended; an end that was a mistake is taken back by going on.

    The unit's own numbers say which came last, for its clock may have been set between them.
    """
    epoch, number = fact.envelope.epoch, fact.envelope.sequence
    last = case._run_mark
    newest = last is None or last[0] != epoch or number > last[1]
    if isinstance(body, RunStarted):
        case.run_started = (body.crew or "", fact.corrected_ns)
        case.crew_sequence = fact.case_sequence or 0
    if newest:
        case.run_ended_ns = fact.corrected_ns if isinstance(body, RunEnded) else None
        case._run_mark = (epoch, number)


def _alert(case: Case, fact: Stored, body: PreAlert) -> None:
    if fact.corrected_ns < case.pre_alert_ns:
        return  # an older one that was held up on its way
    case.pre_alert, case.pre_alert_ns = body, fact.corrected_ns
    if body.severity != "unknown":
        case.severity, case.severity_by = body.severity, fact.envelope.source
        case.severity_ns = fact.corrected_ns
    if body.age_years is not None:
        case.age_years, case.age_is_estimate = body.age_years, body.age_is_estimate
    if body.sex != "unknown":
        case.sex = body.sex


def _stamp(case: Case, fact: Stored, body: Milestone) -> None:
    """Note a stage; a correction wins over what it corrects, whichever came first."""
    if case.unit not in (None, fact.envelope.source):
        return  # late word of the unit before: the timeline has it, the stage is that of this one
    case._stamps[fact.envelope.id] = (body.stage, body.at_ns + offset_ns(fact))
    if body.corrects is not None:
        case._corrected.add(body.corrects)
    case.stages = {}
    for stamp, (stage, at_ns) in case._stamps.items():
        if stamp not in case._corrected:
            case.stages[stage] = max(at_ns, case.stages.get(stage, 0))


def position_of(case: Case) -> tuple[float, float] | None:
    """Return (latitude, longitude) of the scene in degrees, WGS-84, or None.

    What a person said or the crew was told comes first; else it is the best of what sources say.
    """
    position = case.position or case.located
    return None if position is None else (position.latitude_deg, position.longitude_deg)
