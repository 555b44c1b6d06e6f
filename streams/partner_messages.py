"""Bodies of what police and fire are told of a case, and what they answer."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from streams.messages import Body, Count, Name, ShortText, Text, Time

Purpose = Literal[
    "traffic_accident", "violence", "fire", "hazardous_material", "trapped", "door_opening",
    "road_block", "other",
]  # fmt: skip
"""What a partner is called for; several may be true, the first names the event."""

Change = Literal["alert", "update", "cancel"]
"""What a message is to those before it."""

PartnerFormat = Literal["cap", "json"]

PartnerStatus = Literal["received", "accepted", "refused", "en_route", "on_scene", "done"]
"""How far a partner is, by its own word."""

Document = Annotated[str, msgspec.Meta(max_length=32_000)]
"""What went out, to the letter."""


class PartnerTold(Body, frozen=True, kw_only=True):
    """A partner is to be told of a case (``asked``), and how that went.

    Attributes:
        partner: Name of the settings.
        name: Its name for people.
        message: The message's identifier, unique; every try to send it bears the same one.
        purposes: Of ``asked``: what for.
        note: Of ``asked``: what the seat wrote to it.
        with_number: Of ``asked``: whether the caller's number is in it, for a call-back.
        seat: Of ``asked``: who asked for it.
        document: Of ``asked``: all that leaves the building, as it is sent.
        stated: Of ``asked``: the time in it, as later messages refer to it.
        reason: Of ``failed``: why it was not delivered.
        tries: Of ``sent`` and ``failed``: how often it was tried.
    """

    state: Literal["asked", "sent", "failed"]
    partner: Name
    name: ShortText
    message: ShortText
    change: Change
    format: PartnerFormat
    purposes: Annotated[tuple[Purpose, ...], msgspec.Meta(max_length=8)] = ()
    note: Text = ""
    with_number: bool = False
    seat: ShortText = ""
    document: Document = ""
    stated: ShortText = ""
    reason: Text | None = None
    tries: Count = 0


class PartnerAnswered(Body, frozen=True, kw_only=True):
    """A partner says how far it is with what it was told.

    Attributes:
        partner: Name of the settings.
        name: Its name for people.
        status: Its word.
        message: The message that it answers.
        at_ns: When it was so, as the partner says; the hub's time where it does not.
        answer: The partner's own name of the answer: a repeat has the same one.
    """

    partner: Name
    name: ShortText
    status: PartnerStatus
    message: ShortText
    at_ns: Time
    note: Text = ""
    answer: ShortText = ""
