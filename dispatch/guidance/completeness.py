"""Whether protocols are complete: an exhaustive walk over every step and every way out of it. Pure.

Complete means: every step is reached, every way leads to a step that exists, and whoever goes
any way, skipping and unsure ones too, comes after a known number of steps to an instruction that
can stand until the crew is there. A circle is allowed only where such an instruction is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from dispatch.guidance.protocol import Library, Meaning, Protocol, Step
from dispatch.guidance.run import Place

LONGEST_EN: Final = 180
"""Characters of a sentence: what a frightened person takes in at once."""
LONGEST_ZH: Final = 70

_HAN: Final = re.compile(r"[㐀-鿿]")
_LATIN_WORD: Final = re.compile(r"[A-Za-z]{2,}")
_SAME_IN_BOTH: Final = frozenset({"AED"})
"""Words that Chinese writes in Latin letters."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a protocol.

    Attributes:
        file: In which file.
        step: In which step; empty for the whole protocol.
        field: In which field.
        text: What is wrong and what to do.
    """

    file: str
    step: str
    field: str
    text: str

    def __str__(self) -> str:
        """One line for a log."""
        where = f"step {self.step!r}, " if self.step else ""
        return f"{self.file}: {where}{self.field}: {self.text}"


@dataclass(frozen=True, slots=True)
class Figures:
    """What a walk over all protocols counted.

    Attributes:
        ways: Answers, go-ons and skips that lead from one step to another.
        paths: Different rows of steps from a protocol's start to the first instruction that
            stands, over all protocols.
        later_paths: Likewise from an instruction that stands to the next one.
        longest: The most steps that anyone goes from any start to an instruction that stands.
    """

    protocols: int
    steps: int
    questions: int
    instructions: int
    hand_overs: int
    ways: int
    paths: int
    later_paths: int
    longest: int


def faults(library: Library) -> tuple[Fault, ...]:
    """Return what is wrong with the protocols, by file; nothing means that they are complete."""
    found = [
        fault for protocol in library.protocols.values() for fault in _shape(library, protocol)
    ]
    if not found:  # ways can be walked only where all of them lead somewhere
        found += _unreached(library)
        found += _circles(library)
    return tuple(found)


def ways(library: Library, place: Place) -> dict[str, Place]:
    """Return every way out of a step by its name: ``answer:yes``, ``done``, ``skip``."""
    step, protocol = library.step(*place), place[0]
    out = {f"answer:{one.id}": library.arrive(protocol, one.to) for one in step.answers}
    if step.to is not None:
        out["done"] = library.arrive(protocol, step.to)
    if step.way_past is not None:
        out["skip"] = library.arrive(protocol, step.way_past)
    return out


def figures(library: Library) -> Figures:
    """Count the walk over complete protocols."""
    steps = [one for protocol in library.protocols.values() for one in protocol.step]
    places = _places(library)
    starts = [library.arrive(one.id, one.start) for one in library.protocols.values()]
    counted: dict[Place, tuple[int, int]] = {}
    after = [
        target
        for place in places
        if library.step(*place).stands
        for target in set(ways(library, place).values())
    ]
    first = [_paths(library, place, counted) for place in starts]
    later = [_paths(library, place, counted) for place in after]
    kinds = [one.kind for one in steps]
    return Figures(
        protocols=len(library.protocols),
        steps=len(steps),
        questions=kinds.count("question"),
        instructions=kinds.count("instruction"),
        hand_overs=kinds.count("hand_over"),
        ways=sum(len(ways(library, place)) for place in places),
        paths=sum(one for one, _ in first),
        later_paths=sum(one for one, _ in later),
        longest=max(length for _, length in first + later),
    )


def _paths(
    library: Library, place: Place, counted: dict[Place, tuple[int, int]]
) -> tuple[int, int]:
    """Return (how many paths to a standing instruction, steps of the longest); no circles here."""
    if place not in counted:
        if library.step(*place).stands:
            counted[place] = 1, 1
        else:
            targets = set(ways(library, place).values())
            on = [_paths(library, target, counted) for target in targets]
            counted[place] = sum(one for one, _ in on), 1 + max(length for _, length in on)
    return counted[place]


def _places(library: Library) -> list[Place]:
    return [(one.id, step.id) for one in library.protocols.values() for step in one.step]


def _shape(library: Library, protocol: Protocol) -> Iterator[Fault]:
    """Yield what is wrong within the steps of one protocol, each looked at alone."""
    file = library.files[protocol.id]
    names = [one.id for one in protocol.step]
    for name in sorted({one for one in names if names.count(one) > 1}):
        yield Fault(file, name, "id", "two steps have it: give one another")
    if protocol.start not in names:
        yield Fault(file, "", "start", f"there is no step {protocol.start!r}: name one that is")
    for field, words in (("title", protocol.title), ("review", protocol.review)):
        yield from (Fault(file, "", field, text) for text in _words(words.en, words.zh))
    yield from (Fault(file, "", "means", text) for text in _meaning(library, protocol.means))
    for step in protocol.step:
        for field, text in (*_form(step), *_wording(step), *_targets(library, protocol, step)):
            yield Fault(file, step.id, field, text)
        yield from (Fault(file, step.id, "means", text) for text in _meaning(library, step.means))
        if step.source not in library.sources:
            yield Fault(file, step.id, "source", f"sources.toml has no {step.source!r}: add it")


def _meaning(library: Library, means: Meaning | None) -> Iterator[str]:
    if means is None:
        return
    yield from _words(means.en, means.zh)
    if means.source not in library.sources:
        yield f"sources.toml has no {means.source!r}: add it"


def _form(step: Step) -> Iterator[tuple[str, str]]:
    """Yield (field, fault) of fields that a step of its kind must or must not have."""
    names = [one.id for one in step.answers]
    if len(set(names)) < len(names):
        yield "answers", "two have the same id"
    match step.kind:
        case "question":
            yield from _question(step)
        case "instruction":
            if step.answers:
                yield "answers", "an instruction has none: ask in a question of its own"
            if step.to is None:
                yield "to", "dead end: say what comes next, or make it a hand_over"
        case "hand_over":
            yield from _hand_over(step)
    if step.recheck_s is not None and step.kind != "hand_over":
        yield "recheck_s", "only a hand_over waits"
    if step.rescuer_change_s is not None and step.metronome is None:
        yield "rescuer_change_s", "means nothing without a metronome"


def _question(step: Step) -> Iterator[tuple[str, str]]:
    unsure = sum(one.unsure for one in step.answers)
    if not 2 <= len(step.answers) <= 4:
        yield "answers", f"a question has 2 to 4, not {len(step.answers)}"
    if unsure != 1:
        yield "answers", f"exactly one must be for who is not sure, not {unsure}"
    if step.to is not None:
        yield "to", "a question goes on by its answers: take it away"


def _hand_over(step: Step) -> Iterator[tuple[str, str]]:
    if len(step.answers) > 5:
        yield "answers", f"a hand_over has 5 at most, not {len(step.answers)}"
    if (step.to is None) != (step.recheck_s is None):
        yield "recheck_s", "a hand_over has both `to` and `recheck_s`, or neither"
    if step.switch is not None:
        yield "switch", "what stands until the crew is there cannot be switched off"


def _wording(step: Step) -> Iterator[tuple[str, str]]:
    yield from (("en/zh", text) for text in _words(step.en, step.zh))
    for answer in step.answers:
        yield from ((f"answers.{answer.id}", text) for text in _words(answer.en, answer.zh))
    if bool(step.spoken_en) != bool(step.spoken_zh):
        yield "spoken_en/spoken_zh", "one language has it and the other has not"
    elif step.spoken_en:
        yield from (
            ("spoken_en/spoken_zh", text) for text in _words(step.spoken_en, step.spoken_zh)
        )


def _words(en: str, zh: str) -> Iterator[str]:
    """Yield what is wrong with a sentence of two languages."""
    if not en.strip() or not zh.strip():
        yield "a language has no words: both must say the step"
        return
    if _HAN.search(en):
        yield f"Chinese in the English: {en!r}"
    if not _HAN.search(zh):
        yield f"no Chinese in the Chinese: {zh!r}"
    foreign = set(_LATIN_WORD.findall(zh)) - _SAME_IN_BOTH
    if foreign:
        yield f"English left in the Chinese: {', '.join(sorted(foreign))}"
    if set(re.findall(r"\d+", en)) != set(re.findall(r"\d+", zh)):
        yield f"the languages name other numbers: {en!r}, {zh!r}"
    if len(en) > LONGEST_EN or len(zh) > LONGEST_ZH:
        yield f"too long to be taken in ({len(en)} of {LONGEST_EN}, {len(zh)} of {LONGEST_ZH})"


def _targets(library: Library, protocol: Protocol, step: Step) -> Iterator[tuple[str, str]]:
    """Yield (field, fault) of targets that do not exist."""
    targets = [("to", step.to), ("skip_to", step.skip_to)]
    targets += [(f"answers.{one.id}.to", one.to) for one in step.answers]
    for field, target in targets:
        if target is None:
            continue
        name, there = protocol.place(target)
        other = library.protocols.get(name)
        if other is None:
            yield field, f"{target!r}: there is no protocol {name!r}"
        elif other.find(there) is None:
            yield field, f"{target!r}: there is no such step in {name!r}"


def _raw_ways(library: Library, place: Place) -> Iterator[Place]:
    """Yield the ways out of a step whatever is switched on, those past a switched-off one too."""
    protocol, step = library.protocols[place[0]], library.step(*place)
    targets = [one.to for one in step.answers]
    targets += [one for one in (step.to, step.way_past) if one is not None]
    yield from (protocol.place(one) for one in targets)


def _unreached(library: Library) -> Iterator[Fault]:
    """Yield steps that nobody comes to from the start of any protocol."""
    to_see = [(one.id, one.start) for one in library.protocols.values()]
    seen: set[Place] = set()
    while to_see:
        place = to_see.pop()
        if place not in seen:
            seen.add(place)
            to_see += _raw_ways(library, place)
    for protocol, step in _places(library):
        if (protocol, step) not in seen:
            yield Fault(
                library.files[protocol], step, "id", "no way leads to it: lead one or take it away"
            )


def _circles(library: Library) -> Iterator[Fault]:
    """Yield steps from which a caller can go round for ever without anything that stands."""
    safe: set[Place] = {one for one in _places(library) if library.step(*one).stands}
    left = [one for one in _places(library) if one not in safe]
    while True:
        ended = [one for one in left if all(way in safe for way in _raw_ways(library, one))]
        if not ended:
            break
        safe.update(ended)
        left = [one for one in left if one not in safe]
    for protocol, step in left:
        yield Fault(
            library.files[protocol], step, "to",
            "a way from here never comes to an instruction that stands: put a hand_over into it",
        )  # fmt: skip
