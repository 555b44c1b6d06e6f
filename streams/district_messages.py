"""Bodies that the hubs of neighbouring districts exchange.

A hub tells its neighbours facts, which they store and answer, and once a second how its units
and hospitals are. What a fact means is not looked at on the way: it is an envelope in an
envelope, so that a neighbour of an older release keeps what it cannot read yet.
"""

from __future__ import annotations

from typing import Annotated

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
    """

    fact: Annotated[bytes, msgspec.Meta(min_length=1)]
    case: Identifier | None = None


class DistrictUnit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A unit as its own hub sees it.

    Attributes:
        name: As in its topics.
        label: For people.
        status: ``free``, or what it does.
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
