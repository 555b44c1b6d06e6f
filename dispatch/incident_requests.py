"""What may be asked of a mass-casualty incident, by its pages and by scripts. Pure.

``dispatch.incident_actions`` says what follows; here stands what each action looks like, and
whether one that comes with a used id is a repeat.
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from streams.incident_messages import (
    Code,
    Findings,
    IncidentClosed,
    IncidentDeclared,
    IncidentKind,
    Method,
    Need,
    PatientMoved,
    PatientTagged,
    People,
    Tag,
)
from streams.messages import Age, Body, Identifier, Name, ShortText, Text

MS_NS = 1_000_000

Moment = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)]
"""Milliseconds since 1970; in nanoseconds it must fit the 63 bits of a Time."""


class _IncidentAction(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="action"
):
    id: Identifier | None = None
    case: Identifier


class DeclareIncident(_IncidentAction, frozen=True, kw_only=True, tag="declare_incident"):
    """Declare an incident on a case, or correct what was declared.

    Attributes:
        drill: Must be what the case is: an exercise begins with a case that was opened as one.
    """

    kind: IncidentKind
    estimated: People | None = None
    text: Text = ""
    drill: bool = False


class TagPatient(_IncidentAction, frozen=True, kw_only=True, tag="tag_patient"):
    """Note a triage.

    Attributes:
        tag: May be left out where the findings give it; must agree with them.
        method: Left out, it follows from age and look; ``hand`` wants a tag.
        again: Whether this patient was tagged before: a code that is used for two is told.
        by: Who triaged; left out, the seat.
        at_ms: When; left out, now.
    """

    code: Code
    tag: Tag | None = None
    method: Method | None = None
    findings: Findings = Findings()
    age_years: Age | None = None
    looks_child: bool = False
    needs: tuple[Need, ...] = ()
    again: bool = False
    by: ShortText = ""
    at_ms: Moment | None = None


class MovePatient(_IncidentAction, frozen=True, kw_only=True, tag="move_patient"):
    """Say where a patient is now; a merged code that moves is a patient of its own again."""

    code: Code
    to: Literal["scene", "treatment", "left", "lost"]
    area: ShortText = ""
    reason: Text | None = None
    at_ms: Moment | None = None


class MergePatient(_IncidentAction, frozen=True, kw_only=True, tag="merge_patient"):
    """Say that a patient goes on under another code: a wristband was replaced, or is a second one.

    Attributes:
        into: The code that stays; a new one takes over tag and place.
    """

    code: Code
    into: Code
    reason: Text | None = None


class TransportPatient(_IncidentAction, frozen=True, kw_only=True, tag="transport_patient"):
    """Send a patient to a hospital with a unit: opens the patient's own case.

    Attributes:
        override: Although the hospital is full, the unit is on a case, or the patient is
            expectant; wants ``reason``.
    """

    code: Code
    unit: Name
    hospital: Name
    override: bool = False
    reason: Text | None = None


class CloseIncident(_IncidentAction, frozen=True, kw_only=True, tag="close_incident"):
    """End the incident; wants a reason while patients are still at the scene."""

    reason: Text | None = None


IncidentAction: TypeAlias = (
    DeclareIncident | TagPatient | MovePatient | MergePatient | TransportPatient | CloseIncident
)

MADE: dict[type[IncidentAction], str] = {
    DeclareIncident: "incident_declared",
    TagPatient: "patient_tagged",
    MovePatient: "patient_moved",
    MergePatient: "patient_moved",
    TransportPatient: "patient_moved",
    CloseIncident: "incident_closed",
}
"""Kind of the main fact of each action, which stands in the main case."""


def read(code: str) -> str:
    """Return a typed code as it is kept, whatever the scheme: in capitals, without white space."""
    return "".join(code.split()).upper()


def is_same(action: IncidentAction, body: Body, code: str) -> bool:
    """Whether a fact is what an action asks for: the rest of it was decided then.

    Args:
        action: What is asked for.
        body: The main fact's body.
        code: The action's code as ``read`` reads it; empty where it has none.
    """
    match action, body:
        case DeclareIncident(), IncidentDeclared():
            return (action.kind, action.estimated, action.text) == (
                body.kind, body.estimated, body.text,
            )  # fmt: skip
        case CloseIncident(), IncidentClosed():
            return True
        case TagPatient(), PatientTagged():
            return body.code == code and _is_same_tag(action, body)
        case _, PatientMoved():
            return body.code == code and _is_same_move(action, body)
    return False


def _is_same_move(action: IncidentAction, body: PatientMoved) -> bool:
    match action:
        case TransportPatient():
            asked = ("transported", action.unit, action.hospital)
            return (body.to, body.unit, body.hospital) == asked
        case MergePatient():
            return (body.to, body.into) == ("merged", read(action.into))
        case MovePatient():
            return (body.to, body.area) == (action.to, action.area)
    return False


def _is_same_tag(action: TagPatient, body: PatientTagged) -> bool:
    needs = tuple(sorted(set(action.needs)))
    asked = (action.findings, action.age_years, action.looks_child, needs)
    return (
        asked == (body.findings, body.age_years, body.looks_child, body.needs)
        and action.tag in (None, body.tag)
        and action.method in (None, body.method)
        and (action.at_ms is None or action.at_ms * MS_NS == body.at_ns)
        and action.by in ("", body.by)
    )
