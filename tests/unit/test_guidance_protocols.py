"""Our protocols are complete: an exhaustive walk over every step, every answer and every skip."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import cache
from itertools import chain, combinations
from pathlib import Path

import pytest

from dispatch.guidance.completeness import faults, figures
from dispatch.guidance.loading import load
from dispatch.guidance.protocol import Library, Step
from dispatch.guidance.requests import AnswerGuide, GoOn, SkipStep
from dispatch.guidance.run import Place
from tests.guidance_seat import CASE, Seat

WANTED = {
    "entry", "cardiac_arrest_adult", "cardiac_arrest_child", "cardiac_arrest_infant", "choking",
    "choking_infant", "severe_bleeding", "unconscious_breathing", "chest_pain", "stroke", "seizure",
    "burns", "childbirth", "anaphylaxis", "poisoning", "drowning", "electric_shock", "trauma",
    "heat_stroke",
}  # fmt: skip
SPRITE = Path(__file__).parents[2] / "dispatch" / "static" / "caller" / "pictograms.svg"
SYMBOL = "{http://www.w3.org/2000/svg}symbol"
SWITCHES = ("aspirin", "naloxone")
EVERY_SWITCHING = [
    frozenset(some) for some in chain(*(combinations(SWITCHES, n) for n in range(3)))
]


@cache
def library(switches: frozenset[str] = frozenset()) -> Library:
    return load(switches=switches)


def steps() -> Iterator[tuple[str, Step]]:
    for protocol in library().protocols.values():
        for step in protocol.step:
            yield f"{protocol.id}:{step.id}", step


@cache
def walked(switches: frozenset[str] = frozenset()) -> dict[Place, dict[str, Place]]:
    """Returns every way out of every step that a caller can come to, by the engine itself."""
    lib = library(switches)
    seen: dict[Place, dict[str, Place]] = {}
    to_see = [_after(lib, None, name) for name in sorted(lib.protocols)]
    while to_see:
        place = to_see.pop()
        if place in seen:
            continue
        step = lib.step(*place)
        ways = {f"answer:{one.id}": _after(lib, place, f"answer:{one.id}") for one in step.answers}
        if step.to is not None:
            ways["done"] = _after(lib, place, "done")
        if step.way_past is not None:
            ways["skip"] = _after(lib, place, "skip")
        seen[place] = ways
        to_see += ways.values()
    return seen


def _after(lib: Library, place: Place | None, way: str) -> Place:
    """Returns where the engine is after a way out of a step; without a step, after a start."""
    seat = Seat(lib)
    seat.start(way if place is None else "entry")
    if place is not None:
        seat.go_to(*place)
        here = {"case": CASE, "run": seat.run.id, "protocol": place[0], "step": place[1]}
        kind, _, answer = way.partition(":")
        if kind == "answer":
            made = seat.ask(AnswerGuide(**here, answer=answer))
        elif kind == "done":
            made = seat.ask(GoOn(**here))
        else:
            made = seat.ask(SkipStep(**here, reason="not now"))
        assert len(made) == 1
    assert seat.run.place is not None
    return seat.run.place


def goes_round_for_ever(ways: dict[Place, dict[str, Place]], lib: Library) -> list[Place]:
    """Returns the steps from which some row of answers never comes to what stands."""
    colours: dict[Place, str] = {}
    found: list[Place] = []

    def look(place: Place) -> None:
        if lib.step(*place).stands:
            return
        colours[place] = "on the way"
        for target in set(ways[place].values()):
            if colours.get(target) == "on the way":
                found.append(place)
            elif target not in colours:
                look(target)
        colours[place] = "looked at"

    for place in ways:
        if place not in colours:
            look(place)
    return found


def test_library_has_every_protocol_that_the_guide_promises() -> None:
    assert set(library().protocols) == WANTED
    assert faults(library()) == ()


@pytest.mark.parametrize("switches", EVERY_SWITCHING, ids=lambda one: "+".join(sorted(one)) or "-")
def test_walk_reaches_every_step_that_is_switched_on(switches: frozenset[str]) -> None:
    lib = library(switches)
    every = {
        (protocol.id, step.id)
        for protocol in lib.protocols.values()
        for step in protocol.step
        if step.switch is None or step.switch in switches
    }
    assert set(walked(switches)) == every


@pytest.mark.parametrize("switches", EVERY_SWITCHING, ids=lambda one: "+".join(sorted(one)) or "-")
def test_walk_comes_to_what_stands_whatever_is_answered_or_skipped(
    switches: frozenset[str],
) -> None:
    ways = walked(switches)
    lib = library(switches)
    dead_ends = [place for place, out in ways.items() if not out and not lib.step(*place).stands]
    assert not dead_ends
    assert not goes_round_for_ever(ways, lib)


def test_walk_counts_what_it_saw() -> None:
    found = figures(library())
    ways = walked()
    assert found.protocols == len(WANTED)
    assert found.steps == found.questions + found.instructions + found.hand_overs
    assert sum(map(len, ways.values())) <= found.ways
    # From the first word to something that can stand: no caller is led about for long.
    assert found.longest <= 25


def test_circle_without_a_standing_instruction_would_be_found() -> None:
    lib = library()
    ways = {place: dict(out) for place, out in walked().items()}
    ways["cardiac_arrest_adult", "hands"]["done"] = ("cardiac_arrest_adult", "flat")
    assert goes_round_for_ever(ways, lib)


def test_hands_are_on_the_chest_within_few_steps() -> None:
    seat = Seat(library())
    seat.start()
    seat.answer("no", "no", "adult")
    seat.done(2)
    assert seat.at == "cardiac_arrest_adult:push"
    assert seat.step.metronome == 110


@pytest.mark.parametrize(
    "question",
    [
        "entry:breathing", "entry:answers", "drowning:breathing", "unconscious_breathing:check",
        "seizure:breathing", "heat_stroke:asleep", "cardiac_arrest_adult:check",
        "cardiac_arrest_child:check", "cardiac_arrest_infant:check", "childbirth:after_puffs",
    ],
)  # fmt: skip
def test_who_is_not_sure_of_the_breathing_is_led_to_compressions(question: str) -> None:
    lib = library()
    place = tuple(question.split(":"))
    for _ in range(12):
        step = lib.step(*place)
        if step.stands:
            break
        unsure = next((one.to for one in step.answers if one.unsure), None)
        place = lib.arrive(place[0], unsure or step.to or "")
    assert lib.step(*place).metronome is not None, place


def test_compressions_have_the_rate_of_the_guidelines_and_a_change_of_rescuer() -> None:
    # 100 to 120 a minute, another rescuer every 2 minutes: AHA 2025 Part 7, ERC 2025.
    pushing = {name: step for name, step in steps() if step.metronome is not None}
    assert {name.split(":")[0] for name in pushing} == {
        "cardiac_arrest_adult", "cardiac_arrest_child", "cardiac_arrest_infant",
    }  # fmt: skip
    for name, step in pushing.items():
        assert 100 <= (step.metronome or 0) <= 120, name
        assert step.rescuer_change_s == 120, name
    silent = [
        name
        for name, step in steps()
        if step.stands and name.startswith("cardiac_arrest") and step.metronome is None
    ]
    assert not silent


@pytest.mark.parametrize("protocol", ["adult", "child", "infant"])
def test_resuscitation_marks_its_moments(protocol: str) -> None:
    timers = {step.timer for step in library().protocol(f"cardiac_arrest_{protocol}").step}
    assert {"recognition", "hands_on_chest", "first_shock", "rescuer_change"} <= timers


def test_stroke_gives_nothing_by_mouth_on_any_way_to_rest() -> None:
    lib, ways = library(), walked()
    to_see = [("stroke", "face")]
    seen = set()
    while to_see:
        place = to_see.pop()
        if place not in seen and place != ("stroke", "nothing") and place[0] == "stroke":
            seen.add(place)
            to_see += ways[place].values()
    assert not [place for place in seen if lib.step(*place).stands]


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("poisoning:no_vomit", "not make them vomit"),
        ("seizure:protect", "nothing in the mouth"),
        ("childbirth:out", "Do not pull"),
        ("childbirth:warm", "Do not cut or pull the cord"),
        ("severe_bleeding:press", "leave it and press beside it"),
        ("electric_shock:power", "Do not touch them"),
        ("drowning:reach", "Do not go in"),
        ("choking_infant:thrusts", "Never the belly"),
        ("burns:cool", "No ice"),
        ("anaphylaxis:lie", "must not stand or walk"),
    ],
)
def test_step_that_keeps_from_harm_says_so(place: str, words: str) -> None:
    assert words in library().step(*place.split(":")).en


def test_drugs_are_spoken_of_only_where_the_operator_switched_them_on() -> None:
    assert ("chest_pain", "aspirin") not in walked()
    assert ("poisoning", "naloxone") not in walked()
    assert ("chest_pain", "aspirin") in walked(frozenset({"aspirin"}))
    seat = Seat(library(frozenset({"aspirin"})))
    seat.start("chest_pain")
    seat.done()
    seat.answer("yes")
    seat.done()
    assert seat.at == "chest_pain:aspirin_adult"
    for answer in ("yes", "unsure"):  # not sure of a contraindication: no aspirin
        seat.answer(answer)
    assert seat.at == "chest_pain:rest"


def test_both_languages_say_every_step_and_every_answer() -> None:
    def words() -> Iterator[tuple[str, str, str]]:
        for name, step in steps():
            yield name, step.en, step.zh
            yield name, step.spoken.en, step.spoken.zh
            yield from ((f"{name}:{one.id}", one.en, one.zh) for one in step.answers)
        for protocol in library().protocols.values():
            yield protocol.id, protocol.title.en, protocol.title.zh
            yield protocol.id, protocol.review.en, protocol.review.zh

    for name, en, zh in words():
        assert en.strip() and not re.search(r"[\u3400-\u9fff]", en), name
        assert re.search(r"[\u3400-\u9fff]", zh), name
        assert not set(re.findall(r"[A-Za-z]{2,}", zh)) - {"AED"}, (name, zh)
        assert set(re.findall(r"\d+", en)) == set(re.findall(r"\d+", zh)), (name, en, zh)


def test_every_step_names_a_source_that_exists() -> None:
    sources = library().sources
    for name, step in steps():
        assert step.source in sources, name
        assert step.section.strip(), name
    meanings = [one.means for one in library().protocols.values()]
    meanings += [step.means for _, step in steps()]
    used = {step.source for _, step in steps()} | {one.source for one in meanings if one}
    assert used == set(sources), "a source that no step rests on"


def test_every_protocol_says_whether_a_medical_director_reviewed_it() -> None:
    for protocol in library().protocols.values():
        assert protocol.review.en == "Not reviewed by a medical director."
        assert protocol.version and protocol.date.year >= 2026


def test_every_pictogram_is_in_the_sprite() -> None:
    known = {symbol.get("id") for symbol in ET.parse(SPRITE).iter(SYMBOL)}
    missing = {name for name, step in steps() if step.pictogram not in known}
    assert not missing
    used = {step.pictogram for _, step in steps()}
    others = {one for one in known - used if one and not re.match(r"what_|where_|count_", one)}
    assert others == {"open_door", "yes", "no", "unsure"}


def test_pictograms_are_small_without_words_and_of_one_colour() -> None:
    for symbol in ET.parse(SPRITE).iter(SYMBOL):
        name = symbol.get("id")
        assert len(ET.tostring(symbol)) < 1200, name
        assert symbol.get("viewBox") == "0 0 96 96", name
        assert symbol.get("stroke") == "currentColor", name
        for part in symbol.iter():
            assert part.tag.rpartition("}")[2] in {"symbol", "path", "circle", "g"}, name
            assert part.get("fill", "none") in {"none", "currentColor"}, name
