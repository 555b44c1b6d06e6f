"""What the crew's vehicle is doing: a fold of facts, its own and the hub's. Pure.

The same facts in the same order give the same situation, so it is rebuilt from the logbook
after a restart. The hub's facts may come in any order, for one that was lost comes again after
later ones: what counts is their place in the case's journal. Times ending in ``_hub_ns`` are
the hub's clock, others this vehicle's.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field, replace

import msgspec

from onboard.run import Effect, Event, State, step
from streams.caller_video import VideoState
from streams.caller_video_messages import CallerVideo
from streams.codec import any_body
from streams.messages import (
    Acknowledged,
    Body,
    CaseAmended,
    CaseClosed,
    CaseOpened,
    Envelope,
    HospitalChosen,
    HospitalStoodDown,
    Milestone,
    RunEnded,
    RunStarted,
    Stage,
    UnitAssigned,
    UnitReleased,
)
from streams.text_messages import CallerProfile, TextTurn

STAGES: tuple[Stage, ...] = (
    "en_route", "on_scene", "patient_contact", "departed", "arrived", "handed_over",
)  # fmt: skip
"""The stages of a run in their order."""

FIRST_PATIENT = "1"
"""The case's first patient, unknown until somebody knows better."""

_HOLDING: tuple[State, ...] = ("assigned", "running")

CASES_KEPT = 20
"""Cases that are remembered in memory; the logbook has the others."""


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact as it stands in the logbook.

    Attributes:
        envelope: Its envelope.
        own: Whether this vehicle made it.
        at_hub_ns: When it was made, by the hub's clock as well as it is known.
        delivered_hub_ns: When the hub's receipt for it came; None for the hub's facts, and
            while it waits.
        case_sequence: Its place in the case's journal; None for own facts, and where an older
            logbook did not keep it: then it follows all that came before.
    """

    envelope: Envelope
    own: bool
    at_hub_ns: int
    delivered_hub_ns: int | None = None
    case_sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A decoded fact of a case, for what a page shows of it."""

    id: str
    source: str
    own: bool
    body: Body
    made_ns: int
    at_hub_ns: int
    delivered_hub_ns: int | None
    origin: str
    drill: bool
    case_sequence: int = 0


@dataclass(slots=True)
class Case:
    """What is known of one case.

    Attributes:
        opened: The case as it was opened, with what was amended since.
        hospital: The receiving hospital, once chosen.
        profile: How one has to talk with who called.
        video: Where the video with the caller is.
        entries: Its facts in the order in which they came here.
        ours: Whether this unit is assigned and not released.
        closed: How the case ended, once it did.
        synthetic: Whether any of its facts is synthetic.
        drill: Whether it belongs to an exercise.
        heard: The highest place in the case's journal that is known here.
        moved: That of the newest fact that gave this unit the case or took it away.
    """

    id: str
    opened: CaseOpened | None = None
    hospital: HospitalChosen | None = None
    profile: CallerProfile | None = None
    video: VideoState = field(default_factory=VideoState)
    entries: list[Entry] = field(default_factory=list)
    ours: bool = False
    closed: CaseClosed | None = None
    synthetic: bool = False
    drill: bool = False
    heard: int = 0
    moved: int = 0

    def bodies(self, kind: type[Body]) -> list[Entry]:
        """Return the entries whose body is of ``kind``, in the order in which they came."""
        return [entry for entry in self.entries if isinstance(entry.body, kind)]

    def stamps(self) -> dict[Stage, Entry]:
        """Return the newest stamp of each stage that has one."""
        newest: dict[Stage, Entry] = {}
        for entry in self.bodies(Milestone):
            assert isinstance(entry.body, Milestone)
            newest[entry.body.stage] = entry
        return newest

    def replaced(self) -> set[str]:
        """Return the ids of turns of the caller's writing that later ones have replaced."""
        newest: dict[str, Entry] = {}
        turns = [entry for entry in self.entries if isinstance(entry.body, TextTurn)]
        for entry in sorted(turns, key=lambda entry: entry.case_sequence):
            assert isinstance(entry.body, TextTurn)
            newest[entry.body.turn] = entry
        return {entry.id for entry in turns} - {entry.id for entry in newest.values()}

    def seen(self, entry: Entry) -> Entry | None:
        """Return the acknowledgement that covers an own fact: made after its delivery.

        One made before is of the case as it was then, and covers nothing that came later.
        """
        for acknowledged in self.bodies(Acknowledged):
            assert isinstance(acknowledged.body, Acknowledged)
            current = self.hospital is None or acknowledged.body.hospital == self.hospital.hospital
            delivered_ns = entry.delivered_hub_ns
            if current and delivered_ns is not None and acknowledged.at_hub_ns >= delivered_ns:
                return acknowledged
        return None


@dataclass(frozen=True, slots=True)
class Binding:
    """To whom what the sensors give belongs now; both None is *unassigned*."""

    case: str | None = None
    patient: str | None = None


class Situation:
    """The run, its case, and the cases that wait."""

    def __init__(self, unit: str) -> None:
        """Begin idle; facts make the rest."""
        self.unit = unit
        self.state: State = "idle"
        self.current: str | None = None
        self.queue: list[str] = []
        self._cases: OrderedDict[str, Case] = OrderedDict()

    @property
    def case(self) -> Case | None:
        """The case that is shown."""
        return self._cases.get(self.current) if self.current else None

    def find(self, case: str) -> Case | None:
        """Return what is known of a case."""
        return self._cases.get(case)

    @property
    def binding(self) -> Binding:
        """The patient of the run while one is on; never a guess."""
        if self.state == "running":
            return Binding(self.current, FIRST_PATIENT)
        return Binding()

    def take(self, fact: Fact) -> tuple[Effect, ...]:
        """Fold one fact in; return what is to be done about it.

        Raises:
            MalformedError: Its body is not what its kind says.
        """
        envelope, body = fact.envelope, any_body(fact.envelope)
        if envelope.case is None:
            return ()
        case = self._case(envelope.case)
        sequence = fact.case_sequence or case.heard
        case.entries.append(
            Entry(
                envelope.id, envelope.source, fact.own, body, envelope.source_ns,
                fact.at_hub_ns, fact.delivered_hub_ns, envelope.origin, envelope.drill, sequence,
            )
        )  # fmt: skip
        case.drill = case.drill or envelope.drill
        case.synthetic = case.synthetic or envelope.origin == "synthetic"
        if sequence < case.heard:
            self._learn_again(case)
        elif not fact.own:
            self._learn(case, body, fact.at_hub_ns)
        case.heard = max(case.heard, sequence)
        return self._follow(case, body, sequence, own=fact.own)

    def delivered(self, ids: set[str], at_hub_ns: int) -> None:
        """Note that the hub has these facts."""
        for case in self._cases.values():
            for number, entry in enumerate(case.entries):
                if entry.id in ids:
                    case.entries[number] = replace(entry, delivered_hub_ns=at_hub_ns)

    def _case(self, name: str) -> Case:
        case = self._cases.setdefault(name, Case(name))
        self._cases.move_to_end(name)
        while len(self._cases) > CASES_KEPT:
            oldest = next(key for key in self._cases if key not in (self.current, *self.queue))
            del self._cases[oldest]
        return case

    def _follow(self, case: Case, body: Body, sequence: int, *, own: bool) -> tuple[Effect, ...]:
        event = self._event(case, body, own=own)
        if event is None:
            return ()
        if not own:
            if sequence < case.moved:
                return ()  # what came after it is known already
            case.moved = sequence
        if event == "assigned" and case.id == self.current and self.state in _HOLDING:
            return ()
        if event in ("released", "closed"):
            if case.id in self.queue:
                self.queue.remove(case.id)
            if case.id != self.current:
                return ()
        return self._move(event, case.id)

    def _learn_again(self, case: Case) -> None:
        """Fold what the hub said of a case once more: a fact came after later ones."""
        case.opened = case.hospital = case.closed = case.profile = None
        case.ours, case.video = False, VideoState()
        told = [entry for entry in case.entries if not entry.own]
        for entry in sorted(told, key=lambda entry: entry.case_sequence):
            self._learn(case, entry.body, entry.at_hub_ns)

    def _learn(self, case: Case, body: Body, at_hub_ns: int) -> None:
        match body:
            case CaseOpened():
                case.opened = body
            case CaseAmended():
                _amend(case, body)
            case CallerProfile():
                case.profile = body
            case CallerVideo():
                case.video.take(body, at_hub_ns)
            case HospitalChosen():
                case.hospital = body
            case HospitalStoodDown() if case.hospital and case.hospital.hospital == body.hospital:
                case.hospital = None
            case CaseClosed():
                case.closed = body
            case UnitAssigned() if body.unit == self.unit:
                case.ours, case.closed = True, None
            case UnitAssigned(released=unit) | UnitReleased(unit=unit) if unit == self.unit:
                case.ours = False

    def _event(self, case: Case, body: Body, *, own: bool) -> Event | None:
        match body:
            case UnitAssigned(own=False) if body.unit == self.unit:
                return "assigned"
            case UnitAssigned(released=unit) | UnitReleased(unit=unit) if unit == self.unit:
                return "released"
            case CaseClosed():
                return "closed"
            case RunStarted() if own:
                case.ours = case.ours or case.id != self.current
                return "start" if case.id == self.current else "begin"
            case RunEnded() if own:
                return "end"
        return None

    def _move(self, event: Event, case: str) -> tuple[Effect, ...]:
        self.state, effects = step(self.state, event)
        if "take_case" in effects:
            self.current = case
        if "queue_case" in effects and case not in self.queue:
            self.queue.append(case)
        if "drop_case" in effects:
            self.current = None
        if self.state in ("idle", "ended") and self.queue and event != "assigned":
            effects += self._move("assigned", self.queue.pop(0))
        return effects


def _amend(case: Case, body: CaseAmended) -> None:
    if case.opened is None:
        return
    learned = {name: getattr(body, name, None) for name in CaseOpened.__struct_fields__}
    case.opened = msgspec.structs.replace(
        case.opened, **{name: value for name, value in learned.items() if value is not None}
    )
