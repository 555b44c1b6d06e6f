"""Where the guide is, folded from its facts: any order, any repeat gives the same. Pure.

The facts hold what was said and where it went, so that the fold needs no protocol: a case of
another release, or of an operator's own protocols, is read as it was.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field

import msgspec

from streams.guidance_messages import GuidanceFact, GuidanceMark, GuidanceStep, TimerMark

Place = tuple[str, str]
"""(protocol, step)."""


def _order(fact: GuidanceFact) -> tuple[int, int, bytes]:
    """Return the place of a fact in its run; the bytes decide between two made at once."""
    noted = fact.at_ns if isinstance(fact, GuidanceStep) else fact.noted_ns
    return fact.number, noted, msgspec.msgpack.encode(fact)


@dataclass(slots=True)
class Run:
    """One patient's guiding.

    Attributes:
        id: Its id.
        facts: Steps and noted moments, each once, in their order.
    """

    id: str
    facts: list[GuidanceFact] = field(default_factory=list)

    def take(self, fact: GuidanceFact) -> None:
        """Fold a fact in; one that is there already changes nothing."""
        if fact not in self.facts:
            insort(self.facts, fact, key=_order)

    @property
    def steps(self) -> list[GuidanceStep]:
        """The steps, in their order, the stop among them."""
        return [one for one in self.facts if isinstance(one, GuidanceStep)]

    @property
    def now(self) -> GuidanceStep | None:
        """The last step; None while only a noted moment has come."""
        return next((one for one in reversed(self.facts) if isinstance(one, GuidanceStep)), None)

    @property
    def place(self) -> Place | None:
        """Where the guide stands; None where it does not."""
        now = self.now
        return (now.protocol, now.step) if now is not None and now.step else None

    @property
    def is_on(self) -> bool:
        """Whether it goes on."""
        return self.place is not None

    @property
    def patient(self) -> str:
        """Which patient, in a word."""
        return next((one.patient for one in self.steps if one.patient), "")

    @property
    def started_ns(self) -> int:
        """When it began; the earliest that is known."""
        return min(
            one.at_ns if isinstance(one, GuidanceStep) else one.noted_ns for one in self.facts
        )

    @property
    def next_number(self) -> int:
        """Number of the fact that is made next."""
        return self.facts[-1].number + 1 if self.facts else 1

    def trail(self) -> list[Place]:
        """Return the steps that lead to this one, this one last; ways that were gone back, left."""
        trail: list[Place] = []
        for one in self.steps:
            place = one.protocol, one.step
            if one.act == "back" and place in trail:
                while trail[-1] != place:
                    trail.pop()
            elif one.step:
                trail.append(place)
        return trail

    def moments(self) -> dict[TimerMark, int]:
        """Return when what happens once was so, by the hub's clock: noted by hand, or by a step.

        The first step that says so counts, as going round again is no second recognition; what a
        person noted later is true instead.
        """
        found: dict[TimerMark, int] = {}
        for one in self.facts:
            if isinstance(one, GuidanceMark):
                if one.withdrawn:
                    found.pop(one.mark, None)
                else:
                    found[one.mark] = one.at_ns
            elif one.timer is not None and one.act != "back":
                found.setdefault(one.timer, one.at_ns)
        found.pop("rescuer_change", None)
        return found

    def rescuer_changes(self) -> list[int]:
        """Return when another rescuer began to push, earliest first."""
        found: list[int] = []
        for one in self.facts:
            if isinstance(one, GuidanceMark) and one.mark == "rescuer_change":
                if not one.withdrawn:
                    found.append(one.at_ns)
                elif found:
                    found.pop()
            elif isinstance(one, GuidanceStep) and one.timer == "rescuer_change":
                found.append(one.at_ns)
        return sorted(found)


@dataclass(slots=True)
class Guide:
    """All guiding of a case.

    Attributes:
        runs: By id; a call with two patients has two that go on.
    """

    runs: dict[str, Run] = field(default_factory=dict)

    def take(self, fact: GuidanceFact) -> None:
        """Fold a fact in."""
        self.runs.setdefault(fact.run, Run(fact.run)).take(fact)

    @property
    def newest_first(self) -> list[Run]:
        """The runs, the one that began last first."""
        return sorted(self.runs.values(), key=lambda one: (one.started_ns, one.id), reverse=True)

    @property
    def current(self) -> Run | None:
        """The newest one that goes on."""
        return next((one for one in self.newest_first if one.is_on), None)
