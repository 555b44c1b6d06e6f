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

Label = Annotated[str, msgspec.Meta(max_length=80)]
"""A name for people."""

MOST_UNITS = 400
MOST_HOSPITALS = 100
"""What one state tells of; the message then is within its limit whatever the names are."""


class DistrictFact(Body, frozen=True, kw_only=True):
    """A fact of one district on its way to a neighbour, as it was made.

    Attributes:
        region: The district that tells it; must be the one of the topic.
        fact: The encoded envelope, byte for byte.
        case: The case of which it speaks, under the id that it has in ``region``.
    """

    region: Name
    fact: Annotated[bytes, msgspec.Meta(min_length=1)]
    case: Identifier | None = None


class DistrictUnit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A unit as its own hub sees it.

    Attributes:
        name: As in its topics.
        label: For people.
        status: ``free``, or what it does.
        capabilities: What it can do.
        position: The newest, its time by that hub's clock; None while unknown.
        heard_ns: When anything came from it last, by that hub's clock; 0 for never.
        origin: Whether its position is live, replayed or made up.
    """

    name: Name
    label: Label = ""
    status: Word = "free"
    capabilities: Annotated[tuple[Word, ...], msgspec.Meta(max_length=12)] = ()
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
        abilities: What it takes; empty means all.
        status: ``open``, or its own word for less.
        capacity: Free places by their kind, as it states.
        stated_ns: When it stated that, by its hub's clock; 0 for never.
    """

    name: Name
    label: Label = ""
    latitude_deg: Latitude
    longitude_deg: Longitude
    abilities: Annotated[tuple[Word, ...], msgspec.Meta(max_length=24)] = ()
    status: Word = "open"
    capacity: Annotated[dict[Word, Count], msgspec.Meta(max_length=16)] = {}
    stated_ns: Time = 0


class DistrictState(Body, frozen=True, kw_only=True):
    """The units and hospitals of a district; all of them, so the freshest replaces the others.

    Attributes:
        at_ns: When, by that hub's clock: the age of everything in it is counted from here.
        units: At most 400.
        hospitals: At most 100.
        left_out: Units and hospitals beyond those, which are not told.
    """

    at_ns: Time
    units: Annotated[list[DistrictUnit], msgspec.Meta(max_length=MOST_UNITS)] = []  # noqa: RUF012 - msgspec makes a new one each time
    hospitals: Annotated[list[DistrictHospital], msgspec.Meta(max_length=MOST_HOSPITALS)] = []  # noqa: RUF012 - msgspec makes a new one each time
    left_out: Count = 0
