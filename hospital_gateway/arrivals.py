"""Who is coming: a case's facts folded into what the arrival board shows. Pure.

    facts of a case, in any order, any of them repeated
        └─▶ Arrival     everything known of one case; newest by the case's own numbering wins
              └─▶ Card  what the board shows of it (see ``cards.py``)

The hub numbers a case's facts (``case_sequence``), so *newest* never depends on what overtook
what on the way: the same set of facts gives the same card. Times are the hub's: what a vehicle
stamped with its own clock is moved by the same amount that corrects the fact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from hospital_gateway.patients import Alert, Latest, Patient, Recording, Stamped
from hospital_gateway.timeline import Entry, Timeline, entry_of
from hospital_gateway.vital_trends import Point, Trend, points_of
from streams.bay_messages import BayHandover
from streams.caller_video import VideoState
from streams.caller_video_messages import CallerVideo
from streams.chain import Stored
from streams.codec import any_body
from streams.lateness import came_late_ns
from streams.messages import (
    Acknowledged,
    Body,
    CaseAmended,
    CaseClosed,
    CaseOpened,
    EcgEnded,
    EcgStarted,
    HospitalChosen,
    HospitalStoodDown,
    MediaState,
    Milestone,
    Origin,
    PreAlert,
    QualityStep,
    SensorState,
    Severity,
    UnitAssigned,
    UnitReleased,
    Vitals,
)
from streams.source_clocks import order_of
from streams.text_messages import CallerProfile

Status = Literal["pending", "inbound", "arrived", "closed", "stood_down"]
"""``pending``: facts have come, but not yet the one that makes this the receiving hospital."""

CURRENT: frozenset[Status] = frozenset({"inbound", "arrived"})
"""Streams, video and actions are for cases in these states only."""

AT_THE_DOOR = frozenset({"arrived", "handed_over"})
"""Stages of a run at which the patient is here."""

SEVERITY_RANK: dict[Severity, int] = {"red": 0, "yellow": 1, "green": 2, "unknown": 3}
"""The order of the board: most urgent first."""

UNFOLDED = frozenset({"ecg_record", "track"})
"""Kinds whose body the board does not look into."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A role of this hospital has seen the case."""

    id: str
    sequence: int
    role: str
    person: str | None
    at_ns: int


@dataclass(frozen=True, slots=True)
class Bay:
    """A case was handed over at this hospital's bay, past the hub.

    Attributes:
        session: Its name, as the tablet shows it too.
        way: ``network`` or ``qr``.
        unit: The vehicle, as it says.
        label: Its name for people, as it says.
        at_ns: When, by the hub's clock as it was known here.
        stored: Facts that are here.
        expected: Of how many.
        closed: Whether the vehicle said that this was all.
        refused: How many of them are no facts of this case.
        waiting: How many the hub has not confirmed.
        differing: How many differ from what the hub has under their id.
    """

    session: str
    way: str
    unit: str
    label: str
    at_ns: int
    stored: int
    expected: int
    closed: bool
    refused: int
    waiting: int
    differing: int


@dataclass(slots=True)
class Arrival:
    """Everything known of one case.

    Attributes:
        case: The case's id.
        bay: How it was handed over at the bay, if it was.
        confirmed: Whether this hospital receives it, as the hub itself last decided.
        bay_sequence: Place of the word of the hand-over in the hub's chain; 0 while not there.
        profile: How one has to talk with who called.
        facts: Places in the case of which the fact is here.
        drill: Whether it is an exercise.
    """

    case: str
    hospital: str
    facts: set[int] = field(default_factory=set)
    drill: bool = False
    bay: Bay | None = None
    confirmed: Latest[bool] = field(default_factory=Latest)
    bay_sequence: int = 0
    opening: Latest[CaseOpened] = field(default_factory=Latest)
    opened_at_ns: int = 0
    opened_origin: Origin = "live"
    profile: Latest[CallerProfile] = field(default_factory=Latest)
    decision: Latest[HospitalChosen | HospitalStoodDown] = field(default_factory=Latest)
    chosen_sequence: int = 0
    chosen_ns: int = 0
    stood_down_sequence: int = 0
    closed: Latest[CaseClosed] = field(default_factory=Latest)
    closed_ns: int = 0
    patients: dict[str | None, Patient] = field(default_factory=dict)
    timeline: Timeline = field(default_factory=Timeline)
    newest_ns: int = 0
    _amended: dict[str, Latest[object]] = field(default_factory=dict)
    _assigned: Latest[str] = field(default_factory=Latest)
    _released: dict[str, int] = field(default_factory=dict)
    _video_steps: dict[int, tuple[CallerVideo, int]] = field(default_factory=dict)
    _unit_names: dict[str, Latest[str]] = field(default_factory=dict)
    _milestones: dict[str, tuple[Stamped, Milestone]] = field(default_factory=dict)
    _seen: dict[str, Seen] = field(default_factory=dict)
    _media: dict[tuple[str, str], Latest[tuple[MediaState, Origin]]] = field(default_factory=dict)
    _sensors: dict[tuple[str, str], Latest[SensorState]] = field(default_factory=dict)
    _quality: dict[str, tuple[Latest[QualityStep], int]] = field(default_factory=dict)

    @property
    def status(self) -> Status:
        """Where the case stands, for this hospital."""
        if self.is_past_the_hub:
            return "arrived"
        if not self.chosen_sequence:
            return "pending"
        decision = self.decision.value
        if not (isinstance(decision, HospitalChosen) and decision.hospital == self.hospital):
            return "stood_down"
        if self.closed.value is not None:
            return "closed"
        at_the_door = self.bay is not None or not self.milestones.keys().isdisjoint(AT_THE_DOOR)
        return "arrived" if at_the_door else "inbound"

    @property
    def is_past_the_hub(self) -> bool:
        """Whether the patient is here and the hub has not decided that, knowing of it."""
        knew = 0 < self.bay_sequence < self.confirmed.sequence
        return self.bay is not None and not knew and self.confirmed.value is not True

    @property
    def caller_video(self) -> str:
        """Where the video with the caller is."""
        video = VideoState()
        for _, (body, at_ns) in sorted(self._video_steps.items(), key=lambda one: one[0]):
            video.take(body, at_ns)
        return video.phase

    @property
    def is_current(self) -> bool:
        """Whether this hospital receives the patient now."""
        return self.status in CURRENT

    @property
    def severity(self) -> Severity:
        """The worst severity that the crew alerted, else the one with which the case opened."""
        alerted = [
            patient.alert.value.body.severity
            for patient in self.patients.values()
            if patient.alert.value is not None
        ]
        known = [severity for severity in alerted if severity != "unknown"]
        if known:
            return min(known, key=SEVERITY_RANK.__getitem__)
        opened = self.opened
        return opened.severity if opened else "unknown"

    @property
    def opened(self) -> CaseOpened | None:
        """How the case opened, with what was learned about it since."""
        if self.opening.value is None:
            return None
        learned = {name: latest.value for name, latest in self._amended.items()}
        return msgspec.structs.replace(self.opening.value, **learned)

    @property
    def units(self) -> list[str]:
        """The unit now assigned, if there is one: the latest, unless it was released since."""
        unit = self._assigned.value
        if unit is None or self._released.get(unit, 0) > self._assigned.sequence:
            return [self.bay.unit] if self.is_past_the_hub and self.bay else []
        return [unit]

    @property
    def unit_names(self) -> dict[str, str]:
        """Names for people of the units that were sent, as far as the hub has told them."""
        told = {unit: name.value for unit, name in sorted(self._unit_names.items()) if name.value}
        return {self.bay.unit: self.bay.label, **told} if self.bay else told

    @property
    def milestones(self) -> dict[str, int]:
        """Stages reached and when (ns, hub's clock), without what a correction replaced."""
        corrected = {stone.corrects for _, stone in self._milestones.values() if stone.corrects}
        valid: dict[str, Latest[int]] = {}
        for id_, (stamped, stone) in self._milestones.items():
            if id_ not in corrected:
                latest = valid.setdefault(stone.stage, Latest())
                at_ns = max(0, stone.at_ns + stamped.shift_ns)
                latest.offer(stamped.sequence, at_ns, stamped.made)
        return {stage: latest.value or 0 for stage, latest in valid.items()}

    @property
    def seen(self) -> list[Seen]:
        """Roles of this hospital that acknowledged since it was (again) chosen, the first first."""
        kept: dict[str, Seen] = {}
        for seen in sorted(self._seen.values(), key=lambda one: one.sequence):
            if seen.sequence > self.stood_down_sequence:
                kept.setdefault(seen.role, seen)
        return list(kept.values())

    @property
    def media(self) -> dict[str, tuple[MediaState, Origin]]:
        """State and origin of each camera stream of the present unit."""
        unit = next(iter(self.units), None)
        return {
            stream: latest.value
            for (source, stream), latest in sorted(self._media.items())
            if source == unit and latest.value is not None
        }

    @property
    def failed_sensors(self) -> dict[str, str]:
        """Sensors of the present unit that failed, and why."""
        unit = next(iter(self.units), None)
        return {
            sensor: latest.value.reason or ""
            for (source, sensor), latest in sorted(self._sensors.items())
            if source == unit and latest.value is not None and latest.value.state == "failed"
        }

    @property
    def quality(self) -> tuple[QualityStep, int] | None:
        """What the present unit last said to send of picture, sound and live ECG; since when."""
        unit = next(iter(self.units), None)
        latest, at_ns = self._quality.get(unit or "", (None, 0))
        return (latest.value, at_ns) if latest is not None and latest.value is not None else None

    def rows(self) -> list[Patient]:
        """Patients to be shown, each in a row of its own, in the order of their labels.

        While no label is known there is one row, the case's patient. What is not assigned to
        anybody stands beside the only patient (marked as unassigned) and has its own row as
        soon as there are two: it is never given to one of them by a guess.
        """
        labelled = [self.patients[label] for label in sorted(filter(None, self.patients))]
        unassigned = self.patients.get(None)
        if not labelled:
            return [unassigned or Patient(None)]
        if len(labelled) > 1 and unassigned is not None and unassigned.has_content:
            return [*labelled, unassigned]
        return labelled


@dataclass(frozen=True, slots=True)
class Change:
    """What a fact added to the board.

    Attributes:
        arrival: The case it belongs to, as it is now.
        entry: Its line on the timeline, if it has one.
        points: New points of vital signs by name.
        patient: Whose points these are.
    """

    arrival: Arrival
    entry: Entry | None = None
    points: dict[str, Point] = field(default_factory=dict)
    patient: str | None = None


class Arrivals:
    """All cases of which this hospital has facts."""

    def __init__(self, hospital: str) -> None:
        """Begin with an empty board.

        Args:
            hospital: The name of this hospital.
        """
        self.hospital = hospital
        self._cases: dict[str, Arrival] = {}
        self._bays: dict[str, Bay] = {}

    def __iter__(self) -> Iterator[Arrival]:
        return iter(self._cases.values())

    def get(self, case: str) -> Arrival | None:
        """Return a case, or None if nothing is known of it."""
        return self._cases.get(case)

    def of_unit(self, unit: str) -> Arrival | None:
        """Return the current case to which a unit is assigned, the newest one."""
        found = [one for one in self if one.is_current and unit in one.units]
        return max(found, key=lambda one: one.case, default=None)

    def take(self, fact: Stored) -> Change | None:
        """Fold one fact in; None when it is known, or of no case."""
        envelope, sequence = fact.envelope, fact.case_sequence
        if envelope.case is None or sequence is None:
            return None
        arrival = self._begun(envelope.case)
        if sequence in arrival.facts:
            return None
        arrival.facts.add(sequence)
        arrival.newest_ns = max(arrival.newest_ns, fact.corrected_ns)
        arrival.drill = arrival.drill or envelope.drill
        if envelope.kind in UNFOLDED:
            return Change(arrival)
        body = any_body(envelope)
        stamped = Stamped(
            envelope.id, sequence, fact.corrected_ns,
            fact.corrected_ns - envelope.source_ns, envelope.source, envelope.origin,
            order_of(fact), came_late_ns(fact),
        )  # fmt: skip
        points = _fold_clinical(arrival, fact, stamped, body)
        _fold_run(arrival, stamped, body)
        _fold_case(arrival, stamped, body)
        _fold_decision(arrival, stamped, body)
        if fact.position >= 0:  # the hub's own word, and not what a vehicle brought of it
            _fold_confirmation(arrival, stamped, body)
        entry = entry_of(fact, body)
        if entry is not None:
            arrival.timeline.add(entry)
        return Change(arrival, entry, points, envelope.patient)

    def set_bay(self, case: str, bay: Bay | None) -> None:
        """Say how a case was handed over at the bay; a fact need not be known of it."""
        if bay is None:
            self._bays.pop(case, None)
        else:
            self._bays[case] = bay
            self._begun(case)
        if (arrival := self._cases.get(case)) is not None:
            arrival.bay = bay

    def _begun(self, case: str) -> Arrival:
        known = self._cases.get(case)
        if known is None:
            known = self._cases[case] = Arrival(case, self.hospital, bay=self._bays.get(case))
        return known

    def drop(self, case: str) -> None:
        """Forget a case so that its facts can be taken again, with other times."""
        self._cases.pop(case, None)

    def forget(self, before_ns: int) -> int:
        """Drop cases that ended, for this hospital, and have been silent since; return how many.

        The journal keeps them; this only bounds what the board holds in memory.
        """
        ended = [one.case for one in self if not one.is_current and one.newest_ns < before_ns]
        for case in ended:
            del self._cases[case]
            self._bays.pop(case, None)
        return len(ended)


def _fold_clinical(
    arrival: Arrival, fact: Stored, stamped: Stamped, body: Body
) -> dict[str, Point]:
    label = fact.envelope.patient
    points: dict[str, Point] = {}
    if not isinstance(body, PreAlert | Vitals | EcgStarted | EcgEnded):
        return points
    patient = arrival.patients.setdefault(label, Patient(label))
    patient.origins.add(stamped.origin)
    base = (
        stamped.id, stamped.sequence, stamped.at_ns,
        stamped.shift_ns, stamped.source, stamped.origin, stamped.made, stamped.late_ns,
    )  # fmt: skip
    match body:
        case PreAlert():
            patient.alert.offer(stamped.sequence, Alert(*base, body), stamped.made)
        case EcgStarted():
            start_ns = max(0, body.start_ns + stamped.shift_ns)
            recording = Recording(*base, body.setup, body.device, start_ns, body.purpose)
            known = patient.recordings.setdefault(body.setup.setup_id, Latest())
            known.offer(stamped.sequence, recording, stamped.made)
        case EcgEnded():
            patient.ended.add(body.setup_id)
        case Vitals():
            points = points_of(body, fact)
            for code, point in points.items():
                patient.trends.setdefault(code, Trend()).add(point)
    return points


def _fold_run(arrival: Arrival, stamped: Stamped, body: Body) -> None:
    match body:
        case UnitAssigned():
            arrival._assigned.offer(stamped.sequence, body.unit)
            arrival._unit_names.setdefault(body.unit, Latest()).offer(stamped.sequence, body.name)
        case UnitReleased():
            released = arrival._released.get(body.unit, 0)
            arrival._released[body.unit] = max(released, stamped.sequence)
        case Milestone():
            arrival._milestones[stamped.id] = (stamped, body)
        case MediaState():
            key = (stamped.source, body.stream)
            known_media = arrival._media.setdefault(key, Latest())
            known_media.offer(stamped.sequence, (body, stamped.origin), stamped.made)
        case SensorState():
            key = (stamped.source, body.sensor)
            arrival._sensors.setdefault(key, Latest()).offer(stamped.sequence, body, stamped.made)
        case QualityStep():
            latest, at_ns = arrival._quality.get(stamped.source, (Latest[QualityStep](), 0))
            latest.offer(stamped.sequence, body, stamped.made)
            newest = latest.sequence == stamped.sequence
            arrival._quality[stamped.source] = (latest, stamped.at_ns if newest else at_ns)
        case _:
            pass


def _fold_case(arrival: Arrival, stamped: Stamped, body: Body) -> None:
    sequence = stamped.sequence
    match body:
        case CaseOpened():
            arrival.opening.offer(sequence, body)
            if arrival.opening.sequence == sequence:
                arrival.opened_at_ns, arrival.opened_origin = stamped.at_ns, stamped.origin
        case CaseAmended():
            for name in CaseOpened.__struct_fields__:
                if (value := getattr(body, name, None)) is not None:
                    arrival._amended.setdefault(name, Latest()).offer(sequence, value)
        case CallerVideo():
            arrival._video_steps[sequence] = (body, stamped.at_ns)
        case CallerProfile():
            arrival.profile.offer(sequence, body)
        case CaseClosed():
            arrival.closed.offer(sequence, body)
            if arrival.closed.sequence == sequence:
                arrival.closed_ns = stamped.at_ns
        case Acknowledged() if body.hospital == arrival.hospital:
            arrival._seen[stamped.id] = Seen(
                stamped.id, sequence, body.role, body.person, stamped.at_ns
            )
        case _:
            pass


def _fold_decision(arrival: Arrival, stamped: Stamped, body: Body) -> None:
    """Note which hospital receives: the latest decision in the case counts."""
    sequence = stamped.sequence
    if isinstance(body, HospitalChosen | HospitalStoodDown):
        arrival.decision.offer(sequence, body)
        if body.hospital != arrival.hospital:
            return
        if isinstance(body, HospitalStoodDown):
            arrival.stood_down_sequence = max(arrival.stood_down_sequence, sequence)
        elif sequence > arrival.chosen_sequence:
            arrival.chosen_sequence, arrival.chosen_ns = sequence, stamped.at_ns


def _fold_confirmation(arrival: Arrival, stamped: Stamped, body: Body) -> None:
    """Note what the hub decided, and whether it had heard of the hand-over at the bay."""
    if isinstance(body, HospitalChosen | HospitalStoodDown):
        ours = isinstance(body, HospitalChosen) and body.hospital == arrival.hospital
        arrival.confirmed.offer(stamped.sequence, ours)
    elif isinstance(body, BayHandover) and body.hospital == arrival.hospital:
        arrival.bay_sequence = max(arrival.bay_sequence, stamped.sequence)
