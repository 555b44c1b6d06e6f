"""A gateway that lost its copy while a case was elsewhere, or just before its end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.messages import (
    Body,
    CaseClosed,
    CaseNote,
    CaseOpened,
    HospitalChosen,
    HospitalStoodDown,
)
from streams.outbox import Draft
from tests.delivery_world import CASES, SECOND_NS, OnWire
from tests.forwarding_world import ELSEWHERE, HERE, KINDS, World

CASE, OTHER = CASES[:2]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, asyncio.new_event_loop())
    for case in (CASE, OTHER):
        opened = CaseOpened(address="", complaint="", alias="Blue Heron")
        say(made, "case_opened", opened, case)
        say(made, "hospital_chosen", HospitalChosen(hospital=HERE, name=HERE), case)
    exchange(made, 4)
    yield made
    made.close()
    made.loop.close()


def say(world: World, kind: str, body: Body, case: str = CASE) -> None:
    world.make(Draft(kind, body, case=case), source="hub")


def exchange(world: World, turns: int) -> None:
    for _ in range(turns):
        world.exchange()
        world.clock.monotonic += SECOND_NS


def test_case_that_returns_to_a_hospital_that_lost_its_copy_meanwhile_is_whole_there(
    world: World,
) -> None:
    say(world, "hospital_stood_down", HospitalStoodDown(hospital=HERE))
    say(world, "hospital_chosen", HospitalChosen(hospital=ELSEWHERE, name=ELSEWHERE))
    exchange(world, 4)
    world.restart_gateway(world.folder / "no copy")
    world.make(Draft("case_note", CaseNote(text="n", at_ns=1), case=OTHER))
    exchange(world, 12)
    assert not world.waiting()
    assert world.run(world.hub_journal.facts(kinds=["copy_lost"])), "the loss is known"
    assert {case for case, _ in world.stored()} == {OTHER}
    world.restart_hub()  # what it sent before follows from the journal alone
    say(world, "hospital_stood_down", HospitalStoodDown(hospital=ELSEWHERE))
    say(world, "hospital_chosen", HospitalChosen(hospital=HERE, name=HERE))
    world.heal()
    assert sorted(number for case, number in world.stored() if case == CASE) == [1, 2, 3, 4, 5, 6]


def test_case_that_returns_to_a_hospital_that_has_its_copy_is_not_sent_twice(
    world: World,
) -> None:
    say(world, "hospital_stood_down", HospitalStoodDown(hospital=HERE))
    exchange(world, 4)
    say(world, "hospital_chosen", HospitalChosen(hospital=HERE, name=HERE))
    world.heal()
    assert all(len(carried) == 1 for carried in world.carriers().values())


def test_loss_is_known_as_soon_as_anything_comes_also_in_a_lane_that_is_new(world: World) -> None:
    world.restart_gateway(world.folder / "no copy")
    world.make(Draft("case_note", CaseNote(text="n", at_ns=1), case=OTHER))
    exchange(world, 6)  # on the same path, so the hub says what it holds for the receipt alone
    lost = world.run(world.hub_journal.facts(kinds=["copy_lost"]))
    assert [fact.envelope.source for fact in lost] == [HERE]
    world.heal()


def test_case_that_ends_after_the_word_of_the_lost_copy_came_is_sent_again(world: World) -> None:
    world.restart_gateway(world.folder / "no copy")
    world.forwarder.path_is_new()
    for _ in range(4):
        world.send()
        world.run(world.sender.step())
        for kind in KINDS:
            if kind != "copy_lost" and world.wires[kind]:
                world.deliver(kind, list(world.wires[kind]))
    (word,) = world.wires["copy_lost"]
    world.deliver("copy_lost", [word])
    say(world, "case_closed", CaseClosed(outcome="handed_over"))
    world.heal()
    assert sorted(number for case, number in world.stored() if case == CASE) == [1, 2, 3]


def test_fact_at_the_address_of_another_hospital_frees_none_of_this_one(world: World) -> None:
    world.make(Draft("case_note", CaseNote(text="n", at_ns=1), case=CASE))
    world.forward()
    world.send()
    (one,) = world.wires["case_fact"]
    world.wires["case_fact"].clear()
    world.take([OnWire(one.topic.replace(HERE, ELSEWHERE), one.data, lambda _: None)])
    world.answer_again()
    world.deliver("receipt_up", list(world.wires["receipt_up"]))
    assert len(world.waiting()) == 1
    world.heal()
