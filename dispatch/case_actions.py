"""What a seat or a script may do with a case, and which facts that makes. Pure.

An action is checked against the cases as they stand and becomes facts, or a clear error and
nothing at all. Who does the I/O holds a lock around deciding and storing, so of two seats that
act on one case one wins and the other is told.

As JSON each action is an object with ``action`` and the fields below; ``id``, a ULID made by
the client, makes a repeat harmless: it becomes the id of the main fact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from dispatch.call_actions import (
    CallAction,
    LinkAction,
    decide_call,
    decide_link,
)
from dispatch.caller_video_actions import VideoAction, decide_video
from dispatch.cases import Case, CaseBook
from dispatch.errors import ConflictError, DispatchError, UnknownError
from dispatch.guidance.requests import GuideAction
from dispatch.guidance.walk import decide as decide_guide
from dispatch.incident_actions import decide_incident
from dispatch.incident_requests import IncidentAction
from dispatch.partner_actions import PartnerAction, decide_partner
from dispatch.sending import check_room, check_world, draft_for, taking
from dispatch.surge import NotifyCallers, SetSurge
from dispatch.text_actions import TextAction, decide_text
from dispatch.units import Fleet
from streams.call_messages import CallStep
from streams.guidance_messages import GuidanceStep
from streams.identity import alias, is_id
from streams.messages import (
    Age,
    CaseAmended,
    CaseClosed,
    CaseNote,
    CaseOpened,
    HospitalChosen,
    HospitalStoodDown,
    Identifier,
    Latitude,
    Longitude,
    Name,
    Origin,
    Outcome,
    Position,
    Severity,
    Sex,
    ShortText,
    Text,
    UnitAssigned,
    UnitReleased,
)
from streams.outbox import Draft

MS_NS = 1_000_000
AHEAD_NS = 60_000_000_000
"""A note's time may be this much ahead of the hub's clock: the clocks of seats differ."""
Address = Annotated[str, msgspec.Meta(min_length=1, max_length=4000, pattern=r"\S")]
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=4000, pattern=r"\S")]


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place in WGS-84, with the radius within which it is meant."""

    latitude_deg: Latitude
    longitude_deg: Longitude
    radius_m: Annotated[float, msgspec.Meta(ge=0)] | None = None
    source: ShortText = "dispatcher"


class _Action(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="action"
):
    id: Identifier | None = None


class OpenCase(_Action, frozen=True, kw_only=True, tag="open_case"):
    """Open a case: the address first, the rest may follow by ``amend_case``."""

    address: Address
    complaint: Text = ""
    severity: Severity = "unknown"
    position: Place | None = None
    caller: ShortText | None = None
    age_years: Age | None = None
    sex: Sex = "unknown"
    alias: ShortText | None = None
    origin: Origin = "live"
    drill: bool = False


class AmendCase(_Action, frozen=True, kw_only=True, tag="amend_case"):
    """Add or correct what is known; absent fields stay as they are."""

    case: Identifier
    address: Address | None = None
    complaint: Text | None = None
    severity: Severity | None = None
    position: Place | None = None
    caller: ShortText | None = None
    age_years: Age | None = None
    sex: Sex | None = None


class AssignUnit(_Action, frozen=True, kw_only=True, tag="assign_unit"):
    """Send a unit.

    Attributes:
        replaces: The unit that it replaces on this case; must be the one that is there.
        override: Take the unit from the case it is on; wants ``reason``.
        recommended: The unit that the person saw as recommended; another one wants ``reason``.
    """

    case: Identifier
    unit: Name
    replaces: Name | None = None
    override: bool = False
    reason: Text | None = None
    recommended: Name | None = None


class ReleaseUnit(_Action, frozen=True, kw_only=True, tag="release_unit"):
    """Take the unit off the case."""

    case: Identifier
    unit: Name
    reason: Reason


class ChooseHospital(_Action, frozen=True, kw_only=True, tag="choose_hospital"):
    """Choose or change the receiving hospital; the one before is told to stand down.

    Attributes:
        previous: The hospital that the person saw as chosen, "" for none; when another is
            chosen by now, nothing is done. Absent: not checked.
    """

    case: Identifier
    hospital: Name
    previous: str | None = None
    reason: Text | None = None


class AddNote(_Action, frozen=True, kw_only=True, tag="note"):
    """Write a sentence on the timeline; ``at_ms`` is when it was true, now when absent."""

    case: Identifier
    text: Reason
    # In nanoseconds it must fit the 63 bits of a Time.
    at_ms: Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)] | None = None


class CloseCase(_Action, frozen=True, kw_only=True, tag="close_case"):
    """End the case."""

    case: Identifier
    outcome: Outcome
    text: Text | None = None


CaseAction = OpenCase | AmendCase | AssignUnit | ReleaseUnit | ChooseHospital | AddNote | CloseCase
OfCall = CallAction | PartnerAction | TextAction
OfEvent = LinkAction | IncidentAction | GuideAction | VideoAction
OneCase = CaseAction | OfCall | OfEvent
Action = OneCase | NotifyCallers | SetSurge


@dataclass(frozen=True, slots=True)
class Decision:
    """What an action comes to.

    Attributes:
        case: The case.
        drafts: The facts, in order; the last one is the main one and takes the action's id. None
            where it was done already.
    """

    case: str
    drafts: tuple[Draft, ...]

    def answer(self) -> dict[str, Any]:
        """Return what is told to who asked."""
        return {"ok": True, "case": self.case, "made": [draft.kind for draft in self.drafts]}


def check_id(action: Action) -> None:
    """Refuse an id that no client can have made as one.

    Raises:
        DispatchError: It is no ULID.
    """
    if action.id is not None and not is_id(action.id):
        raise DispatchError(f"id {action.id!r} is no ULID: 26 characters, the first at most 7")


def decide(
    action: OneCase, book: CaseBook, fleet: Fleet, now_ns: int, new_case: str, *, seat: str
) -> Decision:
    """Return the facts that an action makes.

    Args:
        action: What is asked for.
        book: The cases as they stand.
        fleet: Units and hospitals.
        now_ns: The hub's wall clock.
        new_case: Id for what is made: a case that is opened, a message to a partner.
        seat: Who asks.

    Raises:
        UnknownError: No such case, unit or hospital.
        ConflictError: It would silently undo something that stands.
        DispatchError: A note's time is in the future.
    """
    if isinstance(action, OpenCase):
        return _open(action, now_ns, new_case)
    case = book.get(action.case)
    if case is None:
        raise UnknownError("case", action.case)
    if isinstance(action, AddNote):
        return _note(action, case, now_ns)
    if isinstance(action, AmendCase):
        return _amend(action, case, now_ns)
    if isinstance(action, OfCall):
        return Decision(
            case.id, _of_call(action, case, book, fleet, now_ns=now_ns, message=new_case, seat=seat)
        )
    if not case.is_open:
        raise ConflictError(
            f"the case was closed ({case.outcome}): open a new one", kind="closed", case=case.id
        )
    if isinstance(action, OfEvent):
        return Decision(
            case.id, _of_event(action, case, book, fleet, now_ns=now_ns, new=new_case, seat=seat)
        )
    return _lead(action, case, book, fleet, now_ns)


def _of_call(
    action: OfCall,
    case: Case,
    book: CaseBook,
    fleet: Fleet,
    *,
    now_ns: int,
    message: str,
    seat: str,
) -> tuple[Draft, ...]:
    """Return the facts of an action that may come after the case's end too."""
    if isinstance(action, TextAction):
        return decide_text(action, case, now_ns, seat)
    if isinstance(action, CallAction):
        return decide_call(action, case, book, seat)
    return decide_partner(action, case, fleet, now_ns, message=message, seat=seat)


def _of_event(
    action: OfEvent, case: Case, book: CaseBook, fleet: Fleet, *, now_ns: int, new: str, seat: str
) -> tuple[Draft, ...]:
    """Return the facts of an action on what happens there: links, an incident, the guide."""
    if isinstance(action, IncidentAction):
        return decide_incident(action, case, book, fleet, now_ns=now_ns, new_case=new, seat=seat)
    if isinstance(action, VideoAction):
        return (decide_video(action, case, seat),)
    if isinstance(action, GuideAction):
        return _guide(action, case, fleet, now_ns, new_run=new, seat=seat)
    return decide_link(action, case, book)


def _guide(
    action: GuideAction, case: Case, fleet: Fleet, now_ns: int, *, new_run: str, seat: str
) -> tuple[Draft, ...]:
    rang_ns = case.call.rang_ns if case.call is not None else case.opened_ns
    made = decide_guide(
        case.guide, action, fleet.protocols, now_ns=now_ns, rang_ns=rang_ns, new_run=new_run,
        seat=seat,
    )  # fmt: skip
    return tuple(
        _draft(case, "guidance_step" if isinstance(fact, GuidanceStep) else "guidance_mark", fact)
        for fact in made
    )


def _lead(
    action: AssignUnit | ReleaseUnit | ChooseHospital | CloseCase,
    case: Case,
    book: CaseBook,
    fleet: Fleet,
    now_ns: int,
) -> Decision:
    match action:
        case AssignUnit():
            return _assign(action, case, book, fleet)
        case ReleaseUnit():
            return _release(action, case, fleet)
        case ChooseHospital():
            return _choose(action, case, book, fleet, now_ns)
        case CloseCase():
            return _close(action, case, book)


def _open(action: OpenCase, now_ns: int, new_case: str) -> Decision:
    body = CaseOpened(
        address=action.address.strip(),
        complaint=action.complaint.strip(),
        alias=action.alias or alias(new_case),
        severity=action.severity,
        position=_position(action.position, now_ns),
        caller=action.caller,
        age_years=action.age_years,
        sex=action.sex,
    )
    draft = Draft("case_opened", body, action.origin, new_case, drill=action.drill)
    return Decision(new_case, (draft,))


def _amend(action: AmendCase, case: Case, now_ns: int) -> Decision:
    body = CaseAmended(
        address=action.address.strip() if action.address else None,
        complaint=action.complaint,
        severity=action.severity,
        position=_position(action.position, now_ns),
        caller=action.caller,
        age_years=action.age_years,
        sex=action.sex,
    )
    if body == CaseAmended():
        raise ConflictError("nothing to change is named", kind="empty", case=case.id)
    return _one(case, "case_amended", body)


def _note(action: AddNote, case: Case, now_ns: int) -> Decision:
    at_ns = action.at_ms * MS_NS if action.at_ms is not None else now_ns
    if at_ns > now_ns + AHEAD_NS:
        ahead_s = (at_ns - now_ns) // 1_000_000_000
        raise DispatchError(f"at_ms is {ahead_s} s in the future: a note tells what was or is")
    return _one(case, "case_note", CaseNote(text=action.text, at_ns=at_ns))


def _assign(action: AssignUnit, case: Case, book: CaseBook, fleet: Fleet) -> Decision:
    unit = fleet.unit(action.unit)
    if case.unit == unit.name and case.run_ended_ns is None:
        raise ConflictError(
            f"{unit.label} is on this case already", kind="same", unit=unit.name, case=case.id
        )
    if case.unit not in (None, unit.name, action.replaces) and case.has_crew_under_way:
        raise ConflictError(
            f"the case has {case.unit}: to send {unit.label} in its place, say that it "
            f"replaces {case.unit}",
            kind="has_unit", unit=case.unit or "", case=case.id,
        )  # fmt: skip
    if case.linked_to is not None:
        raise ConflictError(
            "the case goes on in another one: send the unit there",
            kind="linked",
            case=case.linked_to,
        )
    overridden = action.recommended if action.recommended != unit.name else None
    if overridden is not None and not (action.reason or "").strip():
        raise ConflictError(
            f"{fleet.unit(overridden).label} is recommended: say why {unit.label} is sent",
            kind="not_recommended", unit=overridden, case=case.id,
        )  # fmt: skip
    drafts = taking(unit, case, book, override=action.override, reason=action.reason)
    if case.position is None and case.located is not None:  # the crew goes where the caller is
        told = CaseAmended(position=case.located, position_confirmed=False)
        drafts.append(_draft(case, "case_amended", told))
    released = case.unit if case.unit != unit.name else None
    assigned = UnitAssigned(
        unit=unit.name,
        reason=action.reason,
        released=released,
        name=unit.label,
        recommended=overridden,
    )
    return Decision(case.id, (*drafts, _draft(case, "unit_assigned", assigned)))


def _release(action: ReleaseUnit, case: Case, fleet: Fleet) -> Decision:
    unit = fleet.unit(action.unit)
    if case.unit != unit.name:
        raise ConflictError(
            f"{unit.label} is not on this case", kind="not_there", unit=unit.name, case=case.id
        )
    return _one(case, "unit_released", UnitReleased(unit=unit.name, reason=action.reason))


def _choose(
    action: ChooseHospital, case: Case, book: CaseBook, fleet: Fleet, now_ns: int
) -> Decision:
    hospital = fleet.hospital(action.hospital)
    check_world(drill=hospital.drill, case=case, title=hospital.title)
    if case.incident is not None and case.incident.is_open:
        raise ConflictError(
            "an incident is declared on this case: its patients are sent one by one",
            kind="incident", case=case.id,
        )  # fmt: skip
    if action.previous is not None and action.previous != (case.hospital or ""):
        raise ConflictError(
            f"meanwhile {case.hospital_name or 'no hospital'} is chosen: look again",
            kind="changed", hospital=case.hospital or "", case=case.id,
        )  # fmt: skip
    if case.hospital == hospital.name:
        raise ConflictError(
            f"{hospital.title} is the hospital of this case already",
            kind="same", hospital=hospital.name, case=case.id,
        )  # fmt: skip
    if case.patient_of is not None and not (action.reason or "").strip():
        check_room(hospital, case.severity, fleet, book, now_ns, but=case.id)
    drafts = []
    if case.hospital is not None:
        stood_down = HospitalStoodDown(hospital=case.hospital, reason=action.reason)
        drafts.append(_draft(case, "hospital_stood_down", stood_down))
    chosen = HospitalChosen(
        hospital=hospital.name, name=hospital.title, reason=action.reason, previous=case.hospital
    )
    return Decision(case.id, (*drafts, _draft(case, "hospital_chosen", chosen)))


def _close(action: CloseCase, case: Case, book: CaseBook) -> Decision:
    """Close a case, with it those that are the same event, and a call that nobody has any more."""
    if case.incident is not None and case.incident.is_open:
        raise ConflictError(
            "an incident is declared on this case: close the incident first",
            kind="incident", case=case.id,
        )  # fmt: skip
    others = [other for other in map(book.get, case.linked) if other and other.is_open]
    for one in (case, *others):
        if one.call is not None and one.call.has_caller:
            raise ConflictError(
                f"the caller of {one.alias} is on the line: answer and end the call first",
                kind="calling", case=one.id, alias=one.alias,
            )  # fmt: skip
    drafts = [_draft(one, "case_closed", CaseClosed(outcome="duplicate")) for one in others]
    if case.call is not None and case.call.phase == "lost":
        over = CallStep(step="gave_up", reason="the case is closed")
        drafts.append(_draft(case, "call_step", over))
    closed = CaseClosed(outcome=action.outcome, text=action.text)
    return Decision(case.id, (*drafts, _draft(case, "case_closed", closed)))


def _one(case: Case, kind: str, body: Any) -> Decision:
    return Decision(case.id, (_draft(case, kind, body),))


def _draft(case: Case, kind: str, body: Any) -> Draft:
    # A played case stays one, and an exercise too, whatever the hub adds to it.
    return draft_for(case, kind, body)


def _position(place: Place | None, now_ns: int) -> Position | None:
    if place is None:
        return None
    return Position(
        latitude_deg=place.latitude_deg,
        longitude_deg=place.longitude_deg,
        radius_m=place.radius_m,
        source=place.source,
        measured_ns=now_ns,
    )
