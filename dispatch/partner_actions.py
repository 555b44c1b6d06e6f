"""What a seat may do with partners, and which facts that makes. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, TypeAlias

import msgspec

from dispatch.cap import as_cap
from dispatch.cases import Case
from dispatch.errors import ConflictError
from dispatch.partner_book import Message, Partnership
from dispatch.partner_message import NOTE_KEPT, as_json, telling, use_of
from dispatch.partner_settings import PartnerSettings
from dispatch.units import Fleet
from streams.messages import Identifier, Name
from streams.outbox import Draft
from streams.partner_messages import Change, PartnerTold, Purpose

MESSAGES_KEPT = 100
"""To one partner in one case; whoever has more to say calls."""

PartnerNote = Annotated[str, msgspec.Meta(max_length=NOTE_KEPT)]
Why = Annotated[str, msgspec.Meta(min_length=1, max_length=NOTE_KEPT, pattern=r"\S")]
Purposes = Annotated[tuple[Purpose, ...], msgspec.Meta(min_length=1, max_length=8)]

LOCAL_DIGITS = 8
"""The last of a number, by which it is found in a text whatever stands before them."""

_DIGITS = re.compile(r"\D")
_PHONE = re.compile(r"\+?[0-9][0-9 ()-]{5,30}")


class _PartnerAction(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="action"
):
    id: Identifier | None = None
    case: Identifier
    partner: Name


class TellPartner(_PartnerAction, frozen=True, kw_only=True, tag="tell_partner"):
    """Tell a partner of the case; told before, it is an update of that.

    Attributes:
        purposes: What for, the event first.
        note: What the dispatcher adds.
        with_number: Let the police have the caller's number, for a call-back.
    """

    purposes: Purposes
    note: PartnerNote = ""
    with_number: bool = False


class CancelPartner(_PartnerAction, frozen=True, kw_only=True, tag="cancel_partner"):
    """Tell a partner that it is not needed any more."""

    note: Why


PartnerAction: TypeAlias = TellPartner | CancelPartner


def decide_partner(
    action: PartnerAction, case: Case, fleet: Fleet, now_ns: int, *, message: str, seat: str
) -> tuple[Draft, ...]:
    """Return the fact that has a partner told.

    Args:
        action: What is asked for.
        case: The case.
        fleet: Units, and the partners.
        now_ns: The hub's wall clock.
        message: ULID for the message.
        seat: Who asks.

    Raises:
        UnknownError: No such partner.
        ConflictError: There is nothing to say or to cancel, or it would say too much.
    """
    partner = fleet.partners.find(action.partner)
    before = case.partners.get(partner.name, Partnership())
    if len(before.messages) >= MESSAGES_KEPT:
        raise ConflictError(f"{partner.title} was told {MESSAGES_KEPT} times: call", kind="many")
    standing, sender = before.standing, fleet.partners.sender(partner)
    change, purposes = _change(action, case, partner, standing)
    with_number = isinstance(action, TellPartner) and action.with_number
    told = telling(
        case,
        fleet,
        fleet.partners,
        partner,
        message=message,
        now_ns=now_ns,
        change=change,
        references=[(sender, one.asked.message, one.asked.stated) for one in standing],
        purposes=purposes,
        note=action.note,
        number=number_of(case) if with_number else "",
        seat=seat,
    )
    body = PartnerTold(
        state="asked",
        partner=partner.name,
        name=partner.title,
        message=told.identifier,
        change=change,
        format=partner.format,
        purposes=purposes,
        note=action.note,
        with_number=with_number,
        seat=seat,
        document=as_cap(told) if partner.format == "cap" else as_json(told),
        stated=told.sent,
    )
    return (Draft("partner_told", body, origin=case.opened_as, case=case.id, drill=case.drill),)


def _change(
    action: PartnerAction, case: Case, partner: PartnerSettings, standing: Sequence[Message]
) -> tuple[Change, tuple[Purpose, ...]]:
    """Return what the message is to those before it, and what for; refuse what cannot be."""
    if isinstance(action, TellPartner):
        _check(action, case, partner)
        return ("update" if standing else "alert"), tuple(dict.fromkeys(action.purposes))
    if not standing:
        raise ConflictError(
            f"{partner.title} was told nothing that stands", kind="not_told", partner=partner.name
        )
    return "cancel", standing[-1].asked.purposes


def _check(action: TellPartner, case: Case, partner: PartnerSettings) -> None:
    """Refuse what a partner can do nothing with, and what it is not to know."""
    if not case.is_open:
        raise ConflictError("the case was closed", kind="closed", case=case.id)
    if case.linked_to is not None:
        raise ConflictError(
            "the case goes on in another one: tell partners there",
            kind="linked",
            case=case.linked_to,
        )
    if use_of(case) != "Actual" and not partner.exercises:
        raise ConflictError(
            f"the case is not real, and {partner.title} takes no exercises and tests",
            kind="exercise", partner=partner.name,
        )  # fmt: skip
    if not case.address.strip() and case.position is None and case.located is None:
        raise ConflictError("no place is known yet: there is nowhere to go", kind="no_place")
    if action.with_number:
        if partner.kind != "police":
            raise ConflictError(
                f"the caller's number is for the police alone, not for {partner.title}",
                kind="not_police", partner=partner.name,
            )  # fmt: skip
        if not number_of(case):
            raise ConflictError("the caller's number is not known", kind="no_number")
    elif any(holds_number(text, case) for text in (action.note, case.address)):
        raise ConflictError(
            "the caller's number stands in the note or the address: take it out, or tick that it "
            "may go",
            kind="number",
        )


def number_of(case: Case) -> str:
    """Return the caller's number, empty where it is not known; never the caller's name."""
    for said in (case.call.number if case.call is not None else "", case.caller or ""):
        if _PHONE.fullmatch(said.strip()):
            return said.strip()
    return ""


def holds_number(text: str, case: Case) -> bool:
    """Whether the caller's number stands in a text, with or without its country and spaces."""
    digits = _DIGITS.sub("", number_of(case))
    return bool(digits) and digits[-LOCAL_DIGITS:] in _DIGITS.sub("", text)
