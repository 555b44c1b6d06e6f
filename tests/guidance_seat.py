"""A seat that leads a caller through the life-support guide, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dispatch.guidance.protocol import Library, Step
from dispatch.guidance.requests import (
    AnswerGuide,
    GoBack,
    GoOn,
    GoTo,
    GuideAction,
    NoteMoment,
    SkipStep,
    StartGuide,
    StopGuide,
)
from dispatch.guidance.run import Guide, Run
from dispatch.guidance.walk import decide
from streams.guidance_messages import GuidanceFact

CASE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
SECOND_NS = 1_000_000_000
RANG_NS = 1_700_000_000 * SECOND_NS


def run_id(number: int) -> str:
    """Returns an id like a ULID."""
    return f"01ARZ3NDEKTSV4RRFFQ69{number:05d}"


@dataclass
class Seat:
    """Asks the engine and folds what it decides; time passes only by ``wait``."""

    library: Library
    guide: Guide = field(default_factory=Guide)
    facts: list[GuidanceFact] = field(default_factory=list)
    now_ns: int = RANG_NS
    runs: int = 0

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now_ns += round(seconds * SECOND_NS)

    def ask(self, action: GuideAction, *, seat: str = "seat-1") -> tuple[GuidanceFact, ...]:
        """Ask for an action and fold what it makes."""
        made = decide(
            self.guide, action, self.library,
            now_ns=self.now_ns, rang_ns=RANG_NS, new_run=run_id(self.runs), seat=seat,
        )  # fmt: skip
        if isinstance(action, StartGuide) and made:
            self.runs += 1
        for fact in made:
            self.guide.take(fact)
            self.facts.append(fact)
        return made

    @property
    def run(self) -> Run:
        """The run that goes on."""
        run = self.guide.current
        assert run is not None
        return run

    @property
    def at(self) -> str:
        """Where the guide is, as ``protocol:step``."""
        return ":".join(self.run.place or ("", ""))

    @property
    def step(self) -> Step:
        """The step where it is."""
        return self.library.step(*(self.run.place or ("", "")))

    def start(self, protocol: str = "entry", patient: str = "") -> tuple[GuidanceFact, ...]:
        """Start."""
        return self.ask(StartGuide(case=CASE, protocol=protocol, patient=patient))

    def _here(self) -> dict[str, Any]:
        protocol, step = self.run.place or ("", "")
        return {"case": CASE, "run": self.run.id, "protocol": protocol, "step": step}

    def answer(self, *answers: str) -> None:
        """Give answers, one after the other."""
        for answer in answers:
            self.ask(AnswerGuide(**self._here(), answer=answer))

    def done(self, times: int = 1) -> None:
        """Go on."""
        for _ in range(times):
            self.ask(GoOn(**self._here()))

    def skip(self, reason: str = "done already") -> None:
        """Skip the step."""
        self.ask(SkipStep(**self._here(), reason=reason))

    def go_to(self, protocol: str, step: str | None = None, reason: str = "it is plain") -> None:
        """Override."""
        self.ask(GoTo(**self._here(), to_protocol=protocol, to_step=step, reason=reason))

    def back(self) -> None:
        """Go back."""
        self.ask(GoBack(**self._here()))

    def stop(self, reason: str = "the crew is there") -> None:
        """Stop."""
        self.ask(StopGuide(case=CASE, run=self.run.id, reason=reason))

    def note(self, mark: Any, **more: Any) -> tuple[GuidanceFact, ...]:
        """Note a moment."""
        return self.ask(NoteMoment(case=CASE, run=self.run.id, mark=mark, **more))
