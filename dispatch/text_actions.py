"""What a seat may write to a caller, and note of how to talk with one. Pure."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

from dispatch.cases import Case
from dispatch.errors import ConflictError
from dispatch.sending import draft_for
from streams.call_messages import CallerMessage
from streams.messages import Identifier, ShortText, Text, Time
from streams.outbox import Draft
from streams.text_messages import CallerProfile, Need, Share, TextTurn

MS_NS = 1_000_000
MESSAGE_LINES = ("sms", "app")
"""Lines on which a caller without a page gets whole messages."""

Moment = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)]
Said = Annotated[str, msgspec.Meta(min_length=1, max_length=2000, pattern=r"\S")]


class _TextAction(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="action"
):
    id: Identifier | None = None
    case: Identifier


class SayText(_TextAction, frozen=True, kw_only=True, tag="say_text"):
    """Tell the caller something in writing; a turn that was said before is corrected by it.

    Attributes:
        turn: Name of the turn, a ULID of the page's.
        text: The whole of it, as it is to stand there.
        way: How it came about.
        begun_ms: When its first key or sound was, by the hub's clock; now when absent.
        ended_ms: When its last sound was, of ``speech``; now when absent.
        heard: What the recognition heard, before the seat corrected it.
        confidence: How sure the recognition was.
    """

    turn: Identifier
    text: Said
    way: Literal["page", "speech", "canned", "guide"] = "page"
    language: ShortText = ""
    begun_ms: Moment | None = None
    ended_ms: Moment | None = None
    heard: Text | None = None
    confidence: Share | None = None


class NoteProfile(_TextAction, frozen=True, kw_only=True, tag="note_profile"):
    """Note how one has to talk with the caller; no needs take back what was noted."""

    needs: Annotated[tuple[Need, ...], msgspec.Meta(max_length=4)]
    language: ShortText = ""


TextAction: TypeAlias = SayText | NoteProfile


def decide_text(action: TextAction, case: Case, now_ns: Time, seat: str) -> tuple[Draft, ...]:
    """Return the facts that writing to a caller makes; the last one is the turn.

    Args:
        action: What is asked for.
        case: The case of the call.
        now_ns: The hub's wall clock.
        seat: Who asks.

    Raises:
        ConflictError: Nobody would read it, it is the caller's own turn, or it changes nothing.
    """
    if isinstance(action, NoteProfile):
        profile = CallerProfile(
            needs=tuple(dict.fromkeys(action.needs)), language=action.language, seat=seat
        )
        before = case.talk.profile or CallerProfile(needs=())
        if (before.needs, before.language) == (profile.needs, profile.language):
            raise ConflictError("it is noted so already", kind="same", case=case.id)
        return (draft_for(case, "caller_profile", profile),)
    before_turn = case.talk.turns.get(action.turn)
    if before_turn is not None and before_turn.who != "dispatcher":
        raise ConflictError("what the caller wrote stays as it is", kind="not_yours", case=case.id)
    text = action.text.strip()
    if before_turn is not None and before_turn.finished and before_turn.text == text:
        raise ConflictError("it says so already", kind="same", case=case.id)
    begun_ns, ended_ns = _moment(action.begun_ms, now_ns), _moment(action.ended_ms, now_ns)
    heard, confidence = action.heard, action.confidence
    spoken = action.way == "speech" and before_turn is None
    latency_ms = (now_ns - ended_ns) // MS_NS if spoken else None
    if before_turn is not None:  # corrected once it was said: what was heard, and its place, stay
        begun_ns, ended_ns = before_turn.begun_ns, before_turn.ended_ns
        latency_ms = before_turn.latency_ms
        heard, confidence = heard or before_turn.heard, confidence or before_turn.confidence
    turn = TextTurn(
        turn=action.turn, who="dispatcher", way=action.way, text=text,
        begun_ns=begun_ns, ended_ns=max(begun_ns, ended_ns), language=action.language, seat=seat,
        heard=heard, confidence=confidence,
        latency_ms=latency_ms,
    )  # fmt: skip
    drafts = [] if case.talk.sessions else [_as_message(case, text, seat)]
    return (*drafts, draft_for(case, "text_turn", turn))


def _moment(told_ms: int | None, now_ns: Time) -> Time:
    return now_ns if told_ms is None else min(told_ms * MS_NS, now_ns)


def _as_message(case: Case, text: str, seat: str) -> Draft:
    """Return what has a whole message sent, to a caller who has no page of ours."""
    call = case.call
    if call is None or call.line not in MESSAGE_LINES or not call.number.startswith("+"):
        raise ConflictError(
            "the caller has no page to read it on: send the link first (P)",
            kind="no_reader", case=case.id,
        )  # fmt: skip
    if case.drill:
        raise ConflictError("an exercise sends no messages to phones", kind="drill", case=case.id)
    body = CallerMessage(state="asked", number=call.number, text=text, seat=seat)
    return draft_for(case, "caller_message", body)
