"""Bodies of a call: its steps, where its caller is, what of that could not be read."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from streams.messages import Body, Identifier, Position, ShortText, Text

Line = Literal["voice", "video", "text", "sms", "app", "ecall"]
"""By which means the caller came."""

Step = Literal[
    "rang", "answered", "held", "offered", "taken", "declined", "withdrawn", "seat_lost",
    "silent", "hung_up", "called_back", "connected", "unanswered", "gave_up", "wrote",
]  # fmt: skip
"""What may happen to a call; ``dispatch.calls`` has the table of what follows from it. ``wrote``:
its caller goes on writing, and nobody has it any more."""


class CallStep(Body, frozen=True, kw_only=True):
    """One step of a call. The call is the case that it opened when it rang.

    Attributes:
        seat: The seat that did it, or that it happened to; empty when the exchange says it.
        to_seat: Of ``offered``: to whom.
        call: Of ``rang``: the exchange's own name of the call, by which it speaks of it later.
        number: Of ``rang``: who calls, E.164 with its plus; empty when withheld.
        dialled: Of ``rang``: the number that was called.
        line: Of ``rang``.
    """

    step: Step
    seat: ShortText = ""
    to_seat: ShortText = ""
    reason: Text | None = None
    call: ShortText = ""
    number: ShortText = ""
    dialled: ShortText = ""
    line: Line = "voice"


class CallerPosition(Body, frozen=True, kw_only=True):
    """Where a caller is, as one source says; without a case while no call of the number is known.

    Attributes:
        position: None where the source knows an address and no coordinates.
        number: Of whom it speaks, E.164; empty where the source does not say.
        fix: Id that the hub gave to the reading: when it is put to a case, it has the same one.
        civic: The address that came with it.
        language: That the caller's phone is set to, as BCP 47 says it.
        warnings: What was odd about the message that brought it.
    """

    position: Position | None
    fix: Identifier
    number: ShortText = ""
    civic: Text | None = None
    language: ShortText = ""
    warnings: tuple[ShortText, ...] = ()


class LocationRefused(Body, frozen=True, kw_only=True):
    """A message that was to tell where a caller is and does not.

    Attributes:
        source: By which way it came: ``aml``, ``pidf_lo`` …
        field: What of it is wrong.
        text: Why, in words.
        number: Of whom it would have spoken; empty where it does not say.
        message: Its beginning, as it came.
    """

    source: ShortText
    field: ShortText
    text: Text
    number: ShortText = ""
    message: Text = ""


class CallerMessage(Body, frozen=True, kw_only=True):
    """A text message to a caller: asked for by a seat, sent by the gateway, or not.

    Attributes:
        number: To whom.
        text: What is sent; ``{link}`` stands for the address at which the phone tells where it is.
        seat: Who asked.
        reason: Why it was not sent.
    """

    state: Literal["asked", "sent", "failed"]
    number: ShortText
    text: Text = ""
    seat: ShortText = ""
    reason: Text | None = None


class Surge(Body, frozen=True, kw_only=True):
    """More calls come than usual, or no longer: pages work in another way meanwhile.

    Attributes:
        is_on: Whether it is so from now on.
        seat: Who said so; empty where the rate of calls did.
        fixed: Whether a seat wants it to stay so whatever the rate.
        per_hour: Calls an hour, by those of the last minutes.
        usual_per_hour: What the settings call usual.
    """

    is_on: bool
    seat: ShortText = ""
    fixed: bool = False
    per_hour: Annotated[float, msgspec.Meta(ge=0)] = 0
    usual_per_hour: Annotated[float, msgspec.Meta(ge=0)] = 0


class CaseLinked(Body, frozen=True, kw_only=True):
    """Two cases are one event; each has the fact in its journal.

    Attributes:
        other: The other case.
        is_duplicate: Whether this case is the one that goes on in the other.
        linked: False when it turned out that they are two after all.
    """

    other: Identifier
    is_duplicate: bool
    linked: bool = True
    reason: Text | None = None
