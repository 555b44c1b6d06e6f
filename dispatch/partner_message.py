"""What a partner is told of a case: the minimum, and no way for more to get in. Pure.

Whoever writes a message gets a ``Telling`` and never a case: what stands here leaves the building
and nothing else does. The complaint, the patient's age, sex, alias, severity, vital signs and
pathway have no field. The address and the note are what a dispatcher wrote as such; the caller's
number goes only where the seat says so, and then only to the police.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from dispatch.caller_place import evaluate
from dispatch.cases import Case
from dispatch.partner_settings import Partners, PartnerSettings
from dispatch.units import Fleet
from streams.identity import is_id
from streams.partner_messages import Change, Purpose

SECOND_NS = 1_000_000_000
ADDRESS_KEPT = 500
NOTE_KEPT = 1000
REFERENCES_KEPT = 10
"""Earlier messages that are named: the first, and the last nine."""

# What XML 1.0 cannot carry, escaped or not (XML 1.0, section 2.2).
_UNFIT = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Use = Literal["Actual", "Exercise", "Test"]
"""CAP 1.2, section 3.2.1, ``status``: whether anybody is to act on it."""


@dataclass(frozen=True, slots=True)
class Telling:
    """All that a message says.

    Attributes:
        identifier: Unique; ``message_name`` makes it.
        sent: ISO 8601 with the district's offset, to the second.
        references: Of an update or cancellation: ``(sender, identifier, sent)`` of what it is to.
        incident: Ties messages of one case together; says nothing by itself.
        place: Latitude and longitude in degrees, WGS-84, and radius in metres, None if not known.
        units: Names for people of the units that go.
        contact: Whom to call back at dispatch.
        number: The caller's; empty unless it was asked for.
        seen: Whether a crew is there and has seen it.
    """

    identifier: str
    sender: str
    sent: str
    use: Use
    change: Change
    to: str
    region: str
    references: tuple[tuple[str, str, str], ...]
    incident: str
    purposes: tuple[Purpose, ...]
    address: str
    place: tuple[float, float, float | None] | None
    units: tuple[str, ...]
    contact: str
    note: str
    number: str
    seen: bool


def _place(case: Case, now_ns: int) -> tuple[float, float, float | None] | None:
    """Return where a case is, no more precise than the console believes it to be now."""
    if case.position is not None:
        position, radius_m = case.position, case.position.radius_m
    else:
        best = evaluate(case, now_ns)
        if best.position is None:
            return None
        position, radius_m = best.position, best.radius_m
    return position.latitude_deg, position.longitude_deg, radius_m


def message_name(case: str, message: str) -> str:
    """Return a message's identifier; the case can be told from it (``case_of``)."""
    return f"{case}.{message}"


def case_of(identifier: str) -> str | None:
    """Return the case of a message's identifier; None where it is none of ours."""
    case, dot, message = identifier.partition(".")
    return case if dot and is_id(case) and is_id(message) else None


def use_of(case: Case) -> Use:
    """Return whether a case is real: nothing played or practised may move a police car."""
    if case.drill:
        return "Exercise"
    return "Actual" if case.opened_as == "live" else "Test"


def telling(
    case: Case,
    fleet: Fleet,
    partners: Partners,
    to: PartnerSettings,
    *,
    message: str,
    now_ns: int,
    change: Change,
    references: Sequence[tuple[str, str, str]],
    purposes: tuple[Purpose, ...],
    note: str,
    number: str,
    seat: str,
) -> Telling:
    """Take the minimum out of a case.

    Args:
        case: The case.
        fleet: Knows the unit's name and the district's time zone.
        partners: Know who we are.
        to: Who is told.
        message: ULID of the message.
        now_ns: The hub's wall clock.
        change: What it is to the messages before.
        references: Those.
        purposes: What for.
        note: What the seat adds.
        number: The caller's, where it may go; else empty.
        seat: Who tells.
    """
    place = _place(case, now_ns)
    unit = fleet.units.get(case.unit or "")
    return Telling(
        identifier=message_name(case.id, message),
        sender=partners.sender(to),
        sent=stated(now_ns, fleet.district.zone),
        use=use_of(case),
        change=change,
        to=to.name,
        region=partners.region,
        references=_bounded(references),
        incident=case.id,
        purposes=purposes,
        address=fit(case.address)[:ADDRESS_KEPT],
        place=place,
        units=(fit(unit.label),) if unit is not None else (),
        contact=", ".join(filter(None, (fit(to.contact), seat))),
        note=fit(note)[:NOTE_KEPT],
        number=fit(number),
        seen="on_scene" in case.stages,
    )


def fit(text: str) -> str:
    """Return text as XML can carry it: without control characters and margins."""
    return _UNFIT.sub("", text.replace("\r", "\n")).strip()


def stated(at_ns: int, zone: datetime.tzinfo) -> str:
    """Return a time as CAP writes it; UTC is ``-00:00`` (CAP 1.2, section 3.3.2)."""
    at = datetime.datetime.fromtimestamp(at_ns // SECOND_NS, zone)
    text = at.isoformat(timespec="seconds")
    return text.replace("+00:00", "-00:00")


def as_json(told: Telling) -> str:
    """Return a message for a plain webhook; absent is what is not known or not asked for."""
    place: dict[str, Any] = {"address": told.address}
    if told.place is not None:
        place |= {"latitude_deg": told.place[0], "longitude_deg": told.place[1]}
        if told.place[2] is not None:
            place["radius_m"] = round(told.place[2], 1)
    body: dict[str, Any] = {
        "message": told.identifier,
        "sender": told.sender,
        "sent": told.sent,
        "to": told.to,
        "use": told.use,
        "change": told.change,
        "references": [identifier for _, identifier, _ in told.references],
        "incident": told.incident,
        "purposes": list(told.purposes),
        "place": place,
        "units": list(told.units),
        "contact": told.contact,
        "note": told.note,
    }
    if told.number:
        body["call_back"] = told.number
    return msgspec.json.encode(body).decode()


def _bounded(references: Sequence[tuple[str, str, str]]) -> tuple[tuple[str, str, str], ...]:
    if len(references) <= REFERENCES_KEPT:
        return tuple(references)
    return (references[0], *references[1 - REFERENCES_KEPT :])
