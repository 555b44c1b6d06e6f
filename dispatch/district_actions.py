"""What a seat may do with the calls and units of a neighbouring district. Pure.

An action on a case of a neighbour is an action as any other (``dispatch.case_actions``), with
``home`` beside it: the region that the case belongs to, whose hub does it. The rest are below.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

import msgspec

from dispatch.errors import DispatchError
from streams.messages import Identifier, Name, Text
from streams.web import RequestError

AT_HOME: Final = frozenset(
    {
        "answer_call", "hold_call", "mark_silent", "end_call", "call_back", "call_back_done",
        "give_up_call", "send_link", "amend_case", "note", "seat_lost", "say_text", "note_profile",
    }
)  # fmt: skip
"""What a neighbour may have done with a case that is shared with it: what belongs to the call.
Units, hospitals, partners and the end of a case are its home's."""

ANSWERING: Final = frozenset({"answer_call", "call_back", "call_back_done"})
"""These mean nothing later: they are not kept for a home that is cut off."""

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=4000, pattern=r"\S")]


class _Action(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="action"
):
    id: Identifier | None = None


class AskUnit(_Action, frozen=True, kw_only=True, tag="ask_unit"):
    """Ask a neighbour to send one of its units to a case of ours."""

    case: Identifier
    neighbour: Name
    unit: Name
    reason: Text | None = None


class TakeBackUnit(_Action, frozen=True, kw_only=True, tag="take_back_unit"):
    """Take back a request that is not answered yet."""

    case: Identifier
    request: Identifier


class GrantUnit(_Action, frozen=True, kw_only=True, tag="grant_unit"):
    """Send our unit to a neighbour's case."""

    request: Identifier
    reason: Text | None = None


class RefuseUnit(_Action, frozen=True, kw_only=True, tag="refuse_unit"):
    """Say no to a neighbour's request, and why."""

    request: Identifier
    reason: Reason


class Understood(_Action, frozen=True, kw_only=True, tag="understood"):
    """Forget what the home of a case refused to this seat."""

    case: Identifier


class TakeOverCall(_Action, frozen=True, kw_only=True, tag="take_over_call"):
    """Free a call of ours that the seat of a neighbour has which is cut off: it rings again."""

    case: Identifier


UnitAction: TypeAlias = AskUnit | TakeBackUnit | GrantUnit | RefuseUnit | Understood | TakeOverCall

_KINDS: Final = frozenset(
    {
        "ask_unit", "take_back_unit", "grant_unit", "refuse_unit", "understood", "take_over_call",
    }
)  # fmt: skip
_decoder: msgspec.json.Decoder[UnitAction] = msgspec.json.Decoder(UnitAction)


def fields_of(data: bytes) -> dict[str, Any]:
    """Return the fields of an action; empty where it is no object, which is told elsewhere."""
    try:
        fields = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def unit_action(fields: dict[str, Any], data: bytes) -> UnitAction | None:
    """Return the action if it is one about a neighbour's unit.

    Raises:
        RequestError: It is one, and a field of it is wrong.
    """
    if fields.get("action") not in _KINDS:
        return None
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise RequestError(str(error)) from error


def check_at_home(action: object) -> str:
    """Return an action's kind, if a neighbour may have it done.

    Raises:
        DispatchError: It may not.
    """
    if not isinstance(action, str) or action not in AT_HOME:
        raise DispatchError(f"{action!r} is for the case's own district alone")
    return action
