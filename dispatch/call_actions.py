"""What a seat may do with a call, and which facts that makes. Pure.

The table of ``dispatch.calls`` says what is possible; here stands who may do it: of two seats
that answer one call the first wins, and the other is told who has it.
"""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

import msgspec

from dispatch.calls import Call
from dispatch.cases import Case, CaseBook
from dispatch.errors import ConflictError, UnknownError
from streams.call_messages import CallerMessage, CallStep, CaseLinked, Step
from streams.messages import Identifier, Name, ShortText, Text
from streams.outbox import Draft

_PHONE = re.compile(r"\+?[0-9][0-9 ()-]{2,30}")
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=4000, pattern=r"\S")]


class _CallAction(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="action"
):
    id: Identifier | None = None
    case: Identifier


class AnswerCall(_CallAction, frozen=True, kw_only=True, tag="answer_call"):
    """Take a call: one that rings, waits or is offered to this seat.

    One that was ended is taken back so while its caller can still read: a page or a text telephone
    is open. The voice of a telephone is gone then; ``CallBack`` is for that.
    """


class HoldCall(_CallAction, frozen=True, kw_only=True, tag="hold_call"):
    """Let the caller wait; any seat may go on with him."""


class OfferCall(_CallAction, frozen=True, kw_only=True, tag="offer_call"):
    """Give the call to another seat, which takes or declines it; until then both have it."""

    to: Name


class DeclineCall(_CallAction, frozen=True, kw_only=True, tag="decline_call"):
    """Say no to a call that is offered to this seat."""

    reason: Text | None = None


class WithdrawCall(_CallAction, frozen=True, kw_only=True, tag="withdraw_call"):
    """Take back the offer of this seat's call."""


class MarkSilent(_CallAction, frozen=True, kw_only=True, tag="mark_silent"):
    """Nobody speaks on the line."""


class EndCall(_CallAction, frozen=True, kw_only=True, tag="end_call"):
    """Hang up."""


class CallBack(_CallAction, frozen=True, kw_only=True, tag="call_back"):
    """Call a caller back who is gone."""


class CallBackDone(_CallAction, frozen=True, kw_only=True, tag="call_back_done"):
    """Say whether the caller who is called back answered."""

    connected: bool


class GiveUpCall(_CallAction, frozen=True, kw_only=True, tag="give_up_call"):
    """Call back no more; wants the reason."""

    reason: Reason


class SendLink(_CallAction, frozen=True, kw_only=True, tag="send_link"):
    """Send the caller a link by SMS, by which the phone tells where it is."""

    number: ShortText | None = None


class LinkCase(_CallAction, frozen=True, kw_only=True, tag="link_case"):
    """Say that the case is the same event as another, in which it goes on."""

    to: Identifier
    reason: Text | None = None


class UnlinkCase(_CallAction, frozen=True, kw_only=True, tag="unlink_case"):
    """Say that the case is an event of its own after all."""

    reason: Reason


CallAction: TypeAlias = (
    AnswerCall | HoldCall | OfferCall | DeclineCall | WithdrawCall | MarkSilent | EndCall
    | CallBack | CallBackDone | GiveUpCall | SendLink
)  # fmt: skip
LinkAction: TypeAlias = LinkCase | UnlinkCase

OWNERS: dict[type[CallAction], Step] = {
    HoldCall: "held",
    WithdrawCall: "withdrawn",
    MarkSilent: "silent",
    EndCall: "hung_up",
}
"""What only the seat does that has the call, and the step that it is."""


def decide_call(action: CallAction, case: Case, book: CaseBook, seat: str) -> tuple[Draft, ...]:
    """Return the facts that an action on a call makes.

    Args:
        action: What is asked for.
        case: The case that the call opened.
        book: All cases, for what else the seat has.
        seat: Who asks.

    Raises:
        ConflictError: Another seat has it, the seat has another call, or the call is not in a
            state from which that is possible.
    """
    if isinstance(action, SendLink):
        return (draft_of(case, "caller_message", _link_for(action, case, seat)),)
    call = case.call
    if call is None:
        raise ConflictError("the case has no call: it was opened by hand", kind="no_call")
    if isinstance(action, AnswerCall):
        if not case.is_open:
            raise ConflictError(
                f"the case was closed ({case.outcome})", kind="closed", case=case.id
            )
        body = _answer(case, call, book, seat)
    elif isinstance(action, DeclineCall):
        _check_offered(call, seat)
        body = CallStep(step="declined", seat=seat, reason=action.reason)
    elif isinstance(action, CallBack):
        if call.phase == "calling":
            raise _taken(case, call)
        if not call.number:
            raise ConflictError(
                "the number is withheld: nobody can be called back", kind="withheld", case=case.id
            )
        _check_ears(case, call, book, seat)
        body = CallStep(step="called_back", seat=seat)
    elif isinstance(action, GiveUpCall):
        body = CallStep(step="gave_up", seat=seat, reason=action.reason)
    else:
        _check_owner(case, call, seat)
        body = _owners_step(action, call, seat)
    call.after(body.step)
    return (draft_of(case, "call_step", body),)


def decide_link(action: LinkAction, case: Case, book: CaseBook) -> tuple[Draft, ...]:
    """Return the facts that link a case to another one, or part them; each case gets one.

    Raises:
        ConflictError: A unit is under way to it, it is linked already, or not linked at all.
        UnknownError: There is no such other case.
    """
    if isinstance(action, UnlinkCase):
        main = book.get(case.linked_to)
        if main is None:
            raise ConflictError("the case is not linked to another", kind="not_linked")
        return _linking(case, main, action.reason, linked=False)
    main = book.get(action.to)
    if main is None:
        raise UnknownError("case", action.to)
    main = book.get(main.linked_to) or main
    if main.id == case.id:
        raise ConflictError("a case cannot go on in itself", kind="same", case=case.id)
    if case.linked_to is not None or case.linked:
        other = case.linked_to or case.linked[0]
        raise ConflictError("the case is linked already", kind="linked", case=other)
    if case.drill != main.drill:
        raise ConflictError(
            "one of the two cases is an exercise: they are not one event", kind="drill",
            case=main.id,
        )  # fmt: skip
    if case.incident is not None or case.patient_of is not None:
        raise ConflictError(
            "an incident or one of its patients cannot go on in another case: link that one to it",
            kind="incident", case=case.id,
        )  # fmt: skip
    if case.has_crew_under_way:
        raise ConflictError(
            f"{case.unit} is under way to this case: link the other one to it, or release the unit",
            kind="has_unit", unit=case.unit or "", case=case.id,
        )  # fmt: skip
    if not main.is_open:
        raise ConflictError(
            f"the other case was closed ({main.outcome})", kind="closed", case=main.id
        )
    return _linking(case, main, action.reason, linked=True)


def draft_of(case: Case, kind: str, body: CallStep | CaseLinked | CallerMessage) -> Draft:
    """Return the draft of a fact of a case, of the same origin as its opening."""
    return Draft(kind, body, origin=case.opened_as, case=case.id, drill=case.drill)


def _answer(case: Case, call: Call, book: CaseBook, seat: str) -> CallStep:
    if call.phase == "offered" and call.offered_to == seat:
        _check_ears(case, call, book, seat)
        return CallStep(step="taken", seat=seat)
    if call.phase in ("talking", "offered", "calling"):
        raise _taken(case, call)
    if call.phase == "ended" and not case.talk.is_open:
        raise ConflictError(
            "the call is over and nobody reads: call back", kind="unreachable", case=case.id
        )
    _check_ears(case, call, book, seat)
    return CallStep(step="answered", seat=seat)


def _link_for(action: SendLink, case: Case, seat: str) -> CallerMessage:
    if case.drill:
        raise ConflictError("an exercise sends no messages to phones", kind="drill", case=case.id)
    number = (action.number or (case.call.number if case.call else "") or case.caller or "").strip()
    if not _PHONE.fullmatch(number):
        raise ConflictError("the caller's number is not known: name it", kind="no_number")
    if not case.is_open:
        raise ConflictError("the case was closed", kind="closed", case=case.id)
    return CallerMessage(state="asked", number=number, seat=seat)


def _owners_step(action: CallAction, call: Call, seat: str) -> CallStep:
    if isinstance(action, OfferCall):
        if action.to == seat:
            raise ConflictError("a seat cannot offer a call to itself", kind="same", seat=seat)
        return CallStep(step="offered", seat=seat, to_seat=action.to)
    if isinstance(action, CallBackDone):
        return CallStep(step="connected" if action.connected else "unanswered", seat=seat)
    return CallStep(step=OWNERS[type(action)], seat=seat)


def _check_owner(case: Case, call: Call, seat: str) -> None:
    if call.seat and call.seat != seat:
        raise _taken(case, call)


def _check_offered(call: Call, seat: str) -> None:
    if call.phase != "offered" or call.offered_to != seat:
        raise ConflictError("the call is not offered to this seat", kind="not_offered")


def _check_ears(case: Case, call: Call, book: CaseBook, seat: str) -> None:
    """A seat speaks with one caller at a time; texts it may write with several."""
    if not call.is_spoken:
        return
    for other in book.open():
        if other.id == case.id or other.call is None or not other.call.is_spoken:
            continue
        if other.call.seat == seat and other.call.phase in ("talking", "offered", "calling"):
            raise ConflictError(
                f"{seat} speaks on another line ({other.alias}): hold or end that call first",
                kind="speaking", case=other.id, alias=other.alias,
            )  # fmt: skip


def _taken(case: Case, call: Call) -> ConflictError:
    return ConflictError(
        f"{call.seat} has the call {case.alias}", kind="taken", seat=call.seat, alias=case.alias
    )


def _linking(case: Case, main: Case, reason: str | None, *, linked: bool) -> tuple[Draft, ...]:
    there = CaseLinked(other=case.id, is_duplicate=False, linked=linked, reason=reason)
    here = CaseLinked(other=main.id, is_duplicate=True, linked=linked, reason=reason)
    return draft_of(main, "case_linked", there), draft_of(case, "case_linked", here)
