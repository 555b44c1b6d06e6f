"""Bodies of the life-support guide: what a caller was told, step by step, and its times.

A fact holds all that is needed to show it later: the words of both languages, their source and
where the guide went next. Whoever reads it (crew, hospital, a verifier in ten years) needs none
of the protocol's files, and none of their later versions.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from streams.messages import Body, Count, Identifier, ShortText, Text, Time

GuidanceAct = Literal["started", "answered", "done", "skipped", "overridden", "back", "stopped"]
"""How the guide came to a step. ``done`` goes on from an instruction; ``skipped`` goes on without
it; ``overridden`` goes to any step of any protocol; the last two have a reason."""

StepKind = Literal["question", "instruction", "hand_over"]
"""``hand_over`` is an instruction that can stand until the crew takes over."""

TimerMark = Literal["recognition", "hands_on_chest", "first_shock", "rescuer_change"]
"""Moments of a resuscitation; all but the last happen once."""

StepName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$|^$")]
"""A protocol or a step; empty where there is none."""

Rate = Annotated[int, msgspec.Meta(ge=0, le=120)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=3600)]


class Wording(msgspec.Struct, frozen=True):
    """A sentence in both languages, which say the same."""

    en: Text
    zh: Text


class GuidanceStep(Body, frozen=True, kw_only=True):
    """The guide went to a step, and the caller was told what stands there.

    Attributes:
        run: One patient's guiding, from start to stop; the id is new at each start.
        number: 1, 2, 3 … in the run, marks counted with: the order of its facts.
        at_ns: When, by the hub's clock.
        protocol: Where the guide is now.
        version: Of that protocol's file.
        step: Where in it; empty when it was stopped.
        kind: What the step is; None when stopped.
        title: Of the protocol, for people.
        text: What the caller is told or asked.
        pictogram: Symbol shown with it.
        source: Guideline and section on which the step rests.
        timer: The moment that has come by reaching this step, if any.
        metronome_per_min: Compressions a minute while at this step; 0 for none.
        rescuer_change_s: After so many seconds of compressions another one should push.
        recheck_s: After so many seconds at this step the patient is to be looked at again.
        from_protocol: Where it came from; empty at the start.
        from_step: Likewise.
        answer: Of ``answered``: which.
        answer_text: Its words.
        reason: Why a step was skipped, overridden, or the guide stopped.
        seat: Who did it.
        patient: Which patient, in a word, where the call has several.
    """

    run: Identifier
    act: GuidanceAct
    number: Count
    at_ns: Time
    protocol: StepName
    version: ShortText = ""
    step: StepName = ""
    kind: StepKind | None = None
    title: Wording | None = None
    text: Wording | None = None
    pictogram: ShortText = ""
    source: ShortText = ""
    timer: TimerMark | None = None
    metronome_per_min: Rate = 0
    rescuer_change_s: Seconds = 0
    recheck_s: Seconds = 0
    from_protocol: StepName = ""
    from_step: StepName = ""
    answer: StepName = ""
    answer_text: Wording | None = None
    reason: Text | None = None
    seat: ShortText = ""
    patient: ShortText = ""


class GuidanceMark(Body, frozen=True, kw_only=True):
    """A moment of a resuscitation, noted or corrected by a person.

    Attributes:
        run: Of which guiding.
        number: Its place in the run, as of ``GuidanceStep``.
        at_ns: When it was so, by the hub's clock.
        noted_ns: When it was noted.
        withdrawn: Whether it turned out not to have been.
        reason: Why it was corrected or withdrawn.
    """

    run: Identifier
    mark: TimerMark
    number: Count
    at_ns: Time
    noted_ns: Time
    withdrawn: bool = False
    reason: Text | None = None
    seat: ShortText = ""


GuidanceFact = GuidanceStep | GuidanceMark
"""What a guide is folded from."""
