"""Bodies that the hubs of neighbouring districts exchange.

A hub tells its neighbours facts, which they store and answer, and once a second how its units
and hospitals are. What a fact means is not looked at on the way: it is an envelope in an
envelope, so that a neighbour of an older release keeps what it cannot read yet.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from streams.messages import (
    Body,
    Count,
    Identifier,
    Latitude,
    Longitude,
    Name,
    Origin,
    Position,
    Severity,
    ShortText,
    Text,
    Time,
)

Word = Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
"""A word of a list that grows: a status, a capability. Whoever does not know one shows it."""

Words = Annotated[tuple[Word, ...], msgspec.Meta(max_length=12)]

LABEL_LENGTH = 80
Label = Annotated[str, msgspec.Meta(max_length=LABEL_LENGTH)]
"""A name for people."""

MOST_UNITS = 300
MOST_HOSPITALS = 100
"""What one state tells of; the message then is within its limit whatever the names are."""


class DistrictBody(Body, frozen=True, kw_only=True):
    """Base of the facts that one district tells another.

    Attributes:
        region: The district that tells it; must be the one of the topic. It stands in the body
            because the journal keeps no topic, and hubs of two districts may have one name.
    """

    region: Name


class DistrictFact(DistrictBody, frozen=True, kw_only=True):
    """A fact of one district on its way to a neighbour, as it was made.

    Attributes:
        fact: The encoded envelope, byte for byte.
        case: The case of which it speaks, under the id that it has in ``region``.
        number: Its place in that case; 0 where it is not told.
        corrected_ns: When it was made, by the clock of that district's hub; 0 likewise.
    """

    fact: Annotated[bytes, msgspec.Meta(min_length=1)]
    case: Identifier | None = None
    number: Count = 0
    corrected_ns: Time = 0


class DistrictUnit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A unit as its own hub sees it.

    Attributes:
        name: As in its topics.
        label: For people.
        status: ``free``, or the step of its run (`dispatch.unit_status.Status`).
        abilities: What it can do beyond basic life support.
        serves: Whether it is on shift.
        position: The newest, its time by that hub's clock; None while unknown.
        heard_ns: When anything came from it last, by that hub's clock; 0 for never.
        origin: Whether its position is live, replayed or made up.
    """

    name: Name
    label: Label = ""
    status: Word = "free"
    abilities: Words = ()
    serves: bool = True
    position: Position | None = None
    heard_ns: Time = 0
    origin: Origin = "live"


class DistrictHospital(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A hospital as the hub of its district sees it.

    Attributes:
        name: As in its topics.
        label: For people.
        latitude_deg: WGS-84.
        longitude_deg: WGS-84.
        abilities: Pathways it takes; empty means all.
        capabilities: What it has at all hours; empty means that it is not stated.
        beds: Free beds in its emergency department; None where it does not say.
        resus_bays: Free resuscitation bays; None where it does not say.
        diversion: Whether it asks for patients to be taken elsewhere.
        stated_ns: When it stated its room, by its hub's clock; 0 for never.
        bound: Open cases on their way there.
    """

    name: Name
    label: Label = ""
    latitude_deg: Latitude
    longitude_deg: Longitude
    abilities: Words = ()
    capabilities: Words = ()
    beds: Count | None = None
    resus_bays: Count | None = None
    diversion: bool = False
    stated_ns: Time = 0
    bound: Count = 0


class DistrictState(Body, frozen=True, kw_only=True):
    """The units and hospitals of a district; all of them, so the freshest replaces the others.

    Attributes:
        at_ns: When, by that hub's clock: the age of everything in it is counted from here.
        units: At most 300.
        hospitals: At most 100.
        left_out: Units and hospitals beyond those, which are not told.
    """

    at_ns: Time
    units: Annotated[list[DistrictUnit], msgspec.Meta(max_length=MOST_UNITS)] = []  # noqa: RUF012 - msgspec makes a new one each time
    hospitals: Annotated[list[DistrictHospital], msgspec.Meta(max_length=MOST_HOSPITALS)] = []  # noqa: RUF012 - msgspec makes a new one each time
    left_out: Count = 0


class CaseShared(Body, frozen=True, kw_only=True):
    """From the first one on, the case's facts go to a neighbour too; a fact of the case.

    Attributes:
        why: ``overflow``: nobody answered its call; ``unattended``: its caller's seat is gone.
    """

    region: Name
    why: Literal["overflow", "unattended"]


class CaseUnshared(Body, frozen=True, kw_only=True):
    """The last fact of the case that goes to a neighbour.

    Attributes:
        seat: Of ``answered``: who has the call.
    """

    region: Name
    why: Literal["answered", "ended", "closed"]
    seat: ShortText = ""


class UnitAsked(Body, frozen=True, kw_only=True):
    """A neighbour is asked for one of its units; a fact of the case.

    Attributes:
        request: Names it from here on, in both districts.
        label: The unit's name for people, as its district told it.
    """

    request: Identifier
    region: Name
    unit: Name
    label: Label = ""
    seat: ShortText = ""
    reason: Text | None = None


class UnitUnasked(Body, frozen=True, kw_only=True):
    """A request for a neighbour's unit is taken back; a fact of the case."""

    request: Identifier
    region: Name
    unit: Name
    label: Label = ""
    seat: ShortText = ""


class UnitAnswered(Body, frozen=True, kw_only=True):
    """What the neighbour said to a request for a unit; a fact of the case.

    Attributes:
        there: The case that it opened for it.
    """

    request: Identifier
    region: Name
    unit: Name
    label: Label = ""
    accepted: bool
    seat: ShortText = ""
    reason: Text | None = None
    there: Identifier | None = None


class UnitLent(Body, frozen=True, kw_only=True):
    """What was said here to a neighbour's request; of the case opened for it, if it was granted.

    Attributes:
        region: Who asked.
        other: Its case.
    """

    request: Identifier
    region: Name
    other: Identifier
    unit: Name
    label: Label = ""
    accepted: bool
    seat: ShortText = ""
    reason: Text | None = None


class DistrictRequest(DistrictBody, frozen=True, kw_only=True):
    """What a seat of ``region`` wants done with a case that the other district shares with it.

    Attributes:
        seat: Its name there.
        request: Its id, a ULID that the page made; a repeat is answered as done.
        action: As ``dispatch.case_actions`` reads it, in JSON.
    """

    seat: Name
    case: Identifier
    request: Identifier
    action: Annotated[bytes, msgspec.Meta(min_length=2, max_length=20_000)]


class DistrictAnswer(DistrictBody, frozen=True, kw_only=True):
    """What became of a request; each is answered once."""

    request: Identifier
    case: Identifier
    ok: bool
    error: Text = ""
    conflict: dict[str, str] = {}  # noqa: RUF012 - msgspec makes a new one each time


class UnitRequest(DistrictBody, frozen=True, kw_only=True):
    """``region`` asks for a unit of the other district, and what it needs to know to go."""

    request: Identifier
    case: Identifier
    alias: ShortText
    address: Text
    complaint: Text = ""
    severity: Severity = "unknown"
    position: Position | None = None
    unit: Name
    seat: ShortText = ""
    reason: Text | None = None


class UnitRequestEnded(DistrictBody, frozen=True, kw_only=True):
    """``region`` takes a request back."""

    request: Identifier
    case: Identifier


class UnitReply(DistrictBody, frozen=True, kw_only=True):
    """What ``region`` says to a request.

    Attributes:
        case: Of who asked.
        there: The case that was opened for it.
    """

    request: Identifier
    case: Identifier
    unit: Name
    label: Label = ""
    accepted: bool
    seat: ShortText = ""
    reason: Text | None = None
    there: Identifier | None = None
