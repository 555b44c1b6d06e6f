"""A hub or a vehicle that was set back to an older copy of its disk: nothing in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.delivery_world import OnWire, World, copy_of


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, asyncio.new_event_loop())
    yield made
    made.close()
    made.loop.close()


def drive(world: World, facts: int) -> None:
    for _ in range(facts):
        world.make("facts", 0, 2)
    for _ in range(4):
        world.exchange()
    assert not world.waiting()


def test_hub_with_an_empty_journal_goes_on_behind_what_is_gone(world: World) -> None:
    drive(world, 5)
    world.restart_hub(world.folder / "no copy")
    drive(world, 1)
    world.heal()
    assert [(one.first, one.last) for one in world.journal.lost] == [(1, 5)]
    assert len(world.journaled()) == 1


def test_fact_that_was_given_up_and_comes_late_is_stored_and_no_longer_gone(world: World) -> None:
    for _ in range(3):
        world.make("facts", 0, 2)
    world.exchange()
    world.send()
    kept = [OnWire(one.topic, one.data, lambda _: None) for one in world.up]
    assert len(kept) == 3
    for _ in range(3):
        world.exchange()
    world.restart_hub(world.folder / "no copy")
    world.heal()
    assert [(one.first, one.last) for one in world.journal.lost] == [(1, 3)]
    world.deliver([kept[1], kept[1]])
    assert [(one.first, one.last) for one in world.journal.lost] == [(1, 1), (3, 3)]
    assert len(world.journaled()) == 1


def test_vehicle_set_back_to_an_older_outbox_loses_nothing_that_it_makes_then(
    world: World,
) -> None:
    drive(world, 3)
    copy_of(world.folder / "outbox.sqlite", world.folder / "copy.sqlite")
    drive(world, 4)
    world.restart_vehicle(world.folder / "copy.sqlite")
    drive(world, 2)
    world.heal()
    assert len(world.journaled()) == 9
