"""Protocols of the life-support guide as data: steps, answers, sources, and all of them together.

``dispatch.guidance.loading`` reads them, ``dispatch.guidance.completeness`` says whether they are
complete.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

import msgspec

from dispatch.errors import UnknownError
from dispatch.guidance.run import Place
from streams.guidance_messages import StepKind, TimerMark, Wording

StepId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Target = Annotated[
    str, msgspec.Meta(pattern=r"^([a-z0-9][a-z0-9_-]{0,39}:)?[a-z0-9][a-z0-9_-]{0,39}$")
]
"""A step of the same protocol, or ``protocol:step``."""


class Source(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A guideline.

    Attributes:
        name: How it is cited, in full.
        short: How a page shows it.
    """

    id: StepId
    name: Annotated[str, msgspec.Meta(min_length=10, max_length=400)]
    short: Annotated[str, msgspec.Meta(min_length=3, max_length=60)]
    year: Annotated[int, msgspec.Meta(ge=1980, le=2100)]


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be answered, and where it leads.

    Attributes:
        unsure: Whether this is the answer of who does not know: the way that does least harm if
            the worst is true. A question that is skipped goes this way too.
    """

    id: StepId
    en: str
    zh: str
    to: Target
    unsure: bool = False

    @property
    def text(self) -> Wording:
        """Its words."""
        return Wording(self.en, self.zh)


class Meaning(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a case is when its caller was led here: proposed to the seat, never set.

    Attributes:
        severity: How urgent at least.
        en: What has happened, in English.
        zh: The same in Chinese (mainland).
        source: Of ``sources.toml``: what says that it is so urgent.
        section: Why, in that source's words or as a topic.
    """

    severity: Literal["red", "yellow", "green"]
    en: Annotated[str, msgspec.Meta(max_length=100)]
    zh: Annotated[str, msgspec.Meta(max_length=100)]
    source: StepId
    section: Annotated[str, msgspec.Meta(min_length=3, max_length=120)]

    @property
    def text(self) -> Wording:
        """What has happened."""
        return Wording(self.en, self.zh)


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to ask or to do.

    Attributes:
        en: What is shown and said, in English.
        zh: The same in Chinese (mainland).
        spoken_en: Said in place of it, where the ear needs other words than the eye.
        spoken_zh: Likewise.
        pictogram: Symbol of the sprite of the caller's page.
        source: Of ``sources.toml``.
        section: Chapter or topic of it; in lower case it names a topic and not a heading.
        answers: Of a question: 2 to 4. Of a hand-over: what may change, up to 5.
        to: Of an instruction: what comes next. Of a hand-over: where the patient is looked at
            again, after ``recheck_s``.
        skip_to: Where it goes without this step, if not to ``to`` or the unsure answer's.
        timer: The moment that has come when this step is reached.
        metronome: Compressions a minute, 100 to 120.
        rescuer_change_s: Seconds of compressions after which another one pushes.
        recheck_s: Seconds.
        switch: The step is left out unless the operator has this switched on.
        means: What the case is once this step was reached, where it is more than the protocol's.
    """

    id: StepId
    kind: StepKind
    en: str
    zh: str
    pictogram: StepId
    source: StepId
    section: Annotated[str, msgspec.Meta(min_length=3, max_length=120)]
    spoken_en: str = ""
    spoken_zh: str = ""
    answers: tuple[Answer, ...] = ()
    to: Target | None = None
    skip_to: Target | None = None
    timer: TimerMark | None = None
    metronome: Annotated[int, msgspec.Meta(ge=100, le=120)] | None = None
    rescuer_change_s: Annotated[int, msgspec.Meta(ge=60, le=120)] | None = None
    recheck_s: Annotated[int, msgspec.Meta(ge=10, le=900)] | None = None
    switch: StepId | None = None
    means: Meaning | None = None

    @property
    def text(self) -> Wording:
        """What is shown."""
        return Wording(self.en, self.zh)

    @property
    def spoken(self) -> Wording:
        """What is said aloud."""
        return Wording(self.spoken_en or self.en, self.spoken_zh or self.zh)

    @property
    def stands(self) -> bool:
        """Whether it can stand until the crew is there."""
        return self.kind == "hand_over"

    @property
    def way_past(self) -> str | None:
        """Target of who skips it; None where it can only be left by an answer or for a reason."""
        unsure = (one.to for one in self.answers if one.unsure)
        return self.skip_to or (next(unsure, None) if self.kind == "question" else self.to)


class Words(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A sentence in both languages, as a file has it."""

    en: str
    zh: str

    @property
    def text(self) -> Wording:
        """The same, as it travels."""
        return Wording(self.en, self.zh)


class Protocol(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One protocol, as its file has it.

    Attributes:
        version: Of this file; every change of a word is a new one.
        date: Of that version.
        review: Who has reviewed it; shown wherever the protocol is.
        start: Its first step.
        means: What the case is when this protocol was reached; None says nothing.
        step: Its steps, in the order of the file.
    """

    id: StepId
    version: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    date: date
    review: Words
    title: Words
    start: StepId
    means: Meaning | None = None
    step: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1, max_length=200)]

    def find(self, name: str) -> Step | None:
        """Return the step of a name."""
        return next((one for one in self.step if one.id == name), None)

    def place(self, target: str) -> Place:
        """Return where a target of this protocol leads."""
        protocol, colon, step = target.rpartition(":")
        return (protocol, step) if colon else (self.id, target)


@dataclass(frozen=True, slots=True)
class Library:
    """All protocols that are in force.

    Attributes:
        protocols: By id.
        sources: By id.
        switches: Which steps that a medical director has to allow are allowed: ``aspirin``,
            ``naloxone``.
        files: Where each protocol was read, for errors.
    """

    protocols: Mapping[str, Protocol]
    sources: Mapping[str, Source]
    switches: frozenset[str]
    files: Mapping[str, str]

    def protocol(self, name: str) -> Protocol:
        """Return the protocol of a name.

        Raises:
            UnknownError: There is none.
        """
        try:
            return self.protocols[name]
        except KeyError:
            raise UnknownError("protocol", name, ", ".join(sorted(self.protocols))) from None

    def step(self, protocol: str, name: str) -> Step:
        """Return a step.

        Raises:
            UnknownError: No such protocol, or it has no such step.
        """
        step = self.protocol(protocol).find(name)
        if step is None:
            raise UnknownError("step", f"{protocol}:{name}")
        return step

    def arrive(self, protocol: str, target: str) -> Place:
        """Return where a target leads, past steps that are switched off.

        Raises:
            UnknownError: It leads nowhere.
        """
        place = self.protocol(protocol).place(target)
        for _ in range(200):  # steps of a protocol; the check of completeness excludes a circle
            step = self.step(*place)
            if step.switch is None or step.switch in self.switches or step.way_past is None:
                break
            place = self.protocol(place[0]).place(step.way_past)
        return place

    def cite(self, step: Step) -> str:
        """Return guideline and section of a step, as a page shows it."""
        source = self.sources[step.source]
        return f"{source.short}: {step.section}"
