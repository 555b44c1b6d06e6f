"""Bodies of a mass-casualty incident: declared on a case, its patients by their wristband codes.

They stand in the journal of the main case. A patient who is to be transported becomes a case of
its own; its ``patient_tagged`` stands there too and names the incident.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from streams.messages import Age, Body, Identifier, Name, ShortText, Text, Time

Tag = Literal["immediate", "delayed", "minor", "expectant"]
"""Red, yellow, green, black of START; *expectant* is also who is dead."""

IncidentKind = Literal[
    "traffic", "rail", "fire", "explosion", "collapse", "chemical", "violence", "crowd", "other"
]
Method = Literal["start", "jumpstart", "hand"]
Need = Literal["burns", "child"]
Rate = Literal["low", "normal", "high"]
Responds = Literal["alert", "voice", "pain", "pain_inappropriate", "unresponsive"]
"""AVPU; a response to pain is appropriate (withdraws, localises) or not (posturing)."""

Where = Literal["scene", "treatment", "transported", "handed_over", "left", "lost", "merged"]
"""``left``: walked away; ``lost``: nobody knows where; ``merged``: goes on in ``into``."""

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
People = Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
"""How many, as somebody at the scene estimates it."""


class Findings(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """What was found at a patient; None is not looked at yet.

    Attributes:
        walks: Whether the patient can walk.
        breathes: Whether the patient breathes as found.
        breathes_after_airway: Of one who did not: once the airway was opened.
        breathes_after_rescue: Of a child with a pulse: after five rescue breaths.
        rate_per_min: Respiratory rate, counted.
        rate: The same where nobody counted: below, within or above the method's limits.
        pulse: Whether a radial (START) or any peripheral pulse (JumpSTART) is felt.
        refill_s: Capillary refill, in seconds.
        obeys: Whether simple commands are obeyed.
        responds: AVPU.
    """

    walks: bool | None = None
    breathes: bool | None = None
    breathes_after_airway: bool | None = None
    breathes_after_rescue: bool | None = None
    rate_per_min: Annotated[int, msgspec.Meta(ge=0, le=200)] | None = None
    rate: Rate | None = None
    pulse: bool | None = None
    refill_s: Annotated[float, msgspec.Meta(ge=0, le=60)] | None = None
    obeys: bool | None = None
    responds: Responds | None = None


class IncidentDeclared(Body, frozen=True, kw_only=True):
    """Many patients at one place. Whether it is an exercise, the envelope says.

    Attributes:
        kind: What happened.
        estimated: How many patients there may be.
        seat: Who declared it.
    """

    kind: IncidentKind
    estimated: People | None = None
    seat: ShortText = ""
    text: Text = ""


class PatientTagged(Body, frozen=True, kw_only=True):
    """A patient was triaged, for the first time or again.

    Attributes:
        code: On the wristband.
        method: ``hand`` where somebody decided without a method.
        reason: What decided, a word of ``dispatch.triage``; or a person's own.
        by: Who triaged.
        at_ns: When, by the hub's clock.
        looks_child: That the patient looks like a child, where the age is not known.
        needs: What a hospital should have for this patient.
        incident: In the patient's own case: the main case of the incident.
    """

    code: Code
    tag: Tag
    method: Method
    at_ns: Time
    findings: Findings = Findings()
    reason: ShortText = ""
    by: ShortText = ""
    age_years: Age | None = None
    looks_child: bool = False
    needs: tuple[Need, ...] = ()
    incident: Identifier | None = None


class PatientMoved(Body, frozen=True, kw_only=True):
    """A patient is elsewhere now.

    Attributes:
        to: Where.
        at_ns: When, by the hub's clock.
        area: Of the treatment area: which.
        into: Of ``merged``: the code in which this one goes on.
        own: Of ``transported``: the case that was opened for this patient.
        unit: Of ``transported``: with which unit.
        hospital: Of ``transported``: to which hospital.
        reason: Why; of a transport: why against what was proposed.
    """

    code: Code
    to: Where
    at_ns: Time
    area: ShortText = ""
    into: ShortText = ""
    own: Identifier | None = None
    unit: Name | None = None
    hospital: Name | None = None
    reason: Text | None = None


class IncidentClosed(Body, frozen=True, kw_only=True):
    """The incident is over; nobody more is tagged or transported.

    Attributes:
        reason: Why, although patients were still at the scene.
        seat: Who closed it.
    """

    reason: Text | None = None
    seat: ShortText = ""
