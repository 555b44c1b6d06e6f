"""What a seat may ask of the life-support guide. Pure; ``walk`` says what follows.

Whoever moves the guide names the step that stood on the screen: of two seats that tap at once the
first moves it, and the second is told, and never answers a question that it did not see.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

from streams.guidance_messages import GuidanceAct, GuidanceMark, GuidanceStep, TimerMark
from streams.messages import Body, Identifier, Name, ShortText, Text

MS_NS = 1_000_000

Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=4000, pattern=r"\S")]

Moment = Annotated[int, msgspec.Meta(ge=0, le=9_000_000_000_000)]
"""Milliseconds since 1970; in nanoseconds it must fit the 63 bits of a Time."""


class _GuideAction(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="action"
):
    id: Identifier | None = None
    case: Identifier


class StartGuide(_GuideAction, frozen=True, kw_only=True, tag="start_guide"):
    """Begin to guide: with the first questions, or in the protocol that the call is about.

    Attributes:
        patient: Which patient, in a word, where the call has several.
    """

    protocol: Name = "entry"
    patient: ShortText = ""


class _OfRun(_GuideAction, frozen=True, kw_only=True):
    run: Identifier


class _OnStep(_OfRun, frozen=True, kw_only=True):
    protocol: Name
    step: Name


class AnswerGuide(_OnStep, frozen=True, kw_only=True, tag="answer_guide"):
    """Give the caller's answer to a question, or what changed while an instruction stands."""

    answer: Name


class GoOn(_OnStep, frozen=True, kw_only=True, tag="go_on_guide"):
    """An instruction is done; of one that stands: look at the patient again."""


class SkipStep(_OnStep, frozen=True, kw_only=True, tag="skip_guide"):
    """Go on without the step; a question is left as if nobody were sure of it."""

    reason: Reason


class GoTo(_OnStep, frozen=True, kw_only=True, tag="override_guide"):
    """Go to any step of any protocol.

    Attributes:
        to_step: Empty for the protocol's first.
    """

    to_protocol: Name
    to_step: Name | None = None
    reason: Reason


class GoBack(_OnStep, frozen=True, kw_only=True, tag="back_guide"):
    """Go back to the step before, whose answer was wrong."""


class StopGuide(_OfRun, frozen=True, kw_only=True, tag="stop_guide"):
    """End the guiding: the crew is there, the caller hung up, the patient is well."""

    reason: Reason


class NoteMoment(_OfRun, frozen=True, kw_only=True, tag="note_moment"):
    """Note or correct a moment of a resuscitation; another rescuer pushing is one too.

    Attributes:
        at_ms: When it was so; left out, now.
        withdrawn: It was not so after all; wants a reason.
    """

    mark: TimerMark
    at_ms: Moment | None = None
    withdrawn: bool = False
    reason: Text | None = None


GuideAction: TypeAlias = (
    StartGuide | AnswerGuide | GoOn | SkipStep | GoTo | GoBack | StopGuide | NoteMoment
)

MADE: dict[type[GuideAction], str] = {
    **dict.fromkeys(
        (StartGuide, AnswerGuide, GoOn, SkipStep, GoTo, GoBack, StopGuide), "guidance_step"
    ),
    NoteMoment: "guidance_mark",
}
"""Kind of the fact of each action."""

ACTS: dict[type[GuideAction], GuidanceAct] = {
    StartGuide: "started",
    AnswerGuide: "answered",
    GoOn: "done",
    SkipStep: "skipped",
    GoTo: "overridden",
    GoBack: "back",
    StopGuide: "stopped",
}


def is_same(action: GuideAction, body: Body) -> bool:
    """Whether a fact is what an action asks for: the rest of it was decided then."""
    match action, body:
        case StartGuide(), GuidanceStep():
            asked = "started", action.protocol, action.patient
            return asked == (body.act, body.protocol, body.patient)
        case NoteMoment(), GuidanceMark():
            asked_for = action.run, action.mark, action.withdrawn, _plain(action.reason)
            at_is_same = action.at_ms is None or action.at_ms * MS_NS == body.at_ns
            return at_is_same and asked_for == (body.run, body.mark, body.withdrawn, body.reason)
        case StopGuide(), GuidanceStep():
            done = body.run, body.act, body.reason
            return done == (action.run, "stopped", _plain(action.reason))
        case ((AnswerGuide() | GoOn() | SkipStep() | GoTo() | GoBack()), GuidanceStep()):
            seen = body.run, body.act, body.from_protocol, body.from_step
            here = action.run, ACTS[type(action)], action.protocol, action.step
            return seen == here and _is_same_move(action, body)
    return False


def _is_same_move(action: GuideAction, body: GuidanceStep) -> bool:
    match action:
        case AnswerGuide():
            return action.answer == body.answer
        case SkipStep():
            return _plain(action.reason) == body.reason
        case GoTo():
            there = body.protocol == action.to_protocol and action.to_step in (None, body.step)
            return there and _plain(action.reason) == body.reason
    return True


def _plain(reason: str | None) -> str | None:
    return (reason or "").strip() or None
