"""Hubs of neighbouring districts over real brokers: facts once, states fresh, cuts healed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from streams.chain import Stored
from streams.clock import SystemClock
from streams.errors import StorageError
from tests.district_hub import DistrictHub, a_hub, text_of
from tests.neighbourhood import BOUND_S, Neighbourhood, neighbours
from tests.waiting import until

NORTH_SOUTH = ("north", "south")
MESH = (NORTH_SOUTH, ("north", "west"), ("south", "west"))
RETURN_S = 30.0
"""Bound of a wait for the return after a cut; what it takes is measured, see the decision."""


@contextlib.asynccontextmanager
async def hubs(town: Neighbourhood) -> AsyncIterator[dict[str, DistrictHub]]:
    """A hub in each district, each with all others as neighbours; they see each other."""
    async with contextlib.AsyncExitStack() as stack:
        found = {}
        for region in town.districts:
            others = [one for one in town.districts if one != region]
            found[region] = await stack.enter_async_context(a_hub(town[region], others))
        await until(lambda: all_connected(found), "all see each other", BOUND_S)
        yield found


def all_connected(found: dict[str, DistrictHub]) -> bool:
    return all(n.connected for hub in found.values() for n in hub.districts.neighbours.all())


def all_delivered(found: dict[str, DistrictHub]) -> bool:
    return not any(hub.waiting_for(to) for hub in found.values() for to in hub.told) and all(
        len(found[to].heard_from(hub.region)) >= len(texts)
        for hub in found.values()
        for to, texts in hub.told.items()
    )


async def check_once(found: dict[str, DistrictHub]) -> None:
    """All that was told was stored once and given to the follower once, in its order."""
    for hub in found.values():
        for to, texts in hub.told.items():
            assert await found[to].stored_from(hub.region) == texts
            assert found[to].heard_from(hub.region) == texts
            assert not found[to].journal.inbox.torn()


async def test_three_hubs_of_one_name_tell_each_other_facts_once_each(tmp_path: Path) -> None:
    async with neighbours(tmp_path, *MESH) as town, hubs(town) as found:
        for number in range(30):
            for hub in found.values():
                for to in hub.districts.neighbours.regions():
                    hub.tell(to, f"{hub.region} to {to} {number}")

        await until(lambda: all_delivered(found), "all is told", BOUND_S)
        await check_once(found)
        sources = {line.source for line in found["north"].journal.inbox._lines}
        assert sources == {"south/hub", "west/hub"}


async def test_units_and_hospitals_of_a_neighbour_are_seen_and_stay_fresh(tmp_path: Path) -> None:
    async with neighbours(tmp_path, NORTH_SOUTH) as town, hubs(town) as found:
        north, seen = found["north"], found["south"].neighbour("north")
        for latitude in (31.5, 31.6):
            north.move_unit(latitude)

            def is_there(latitude: float = latitude) -> bool:
                unit = seen.units[0] if seen.units else None
                return unit is not None and unit.position is not None and (
                    unit.position.latitude_deg == latitude
                )  # fmt: skip

            await until(is_there, "the unit's position is seen", BOUND_S)
        now_ns = SystemClock().wall_ns()
        (unit,), (hospital,) = seen.units, seen.hospitals
        assert (unit.name, unit.label, unit.status) == ("unit-north", "Ambulance north", "free")
        assert unit.abilities == ("neonatal",)
        assert unit.position is not None
        assert 0 <= now_ns - unit.position.measured_ns < BOUND_S * 1e9
        assert (hospital.name, hospital.label) == ("hospital-north", "Hospital north")
        assert not seen.is_stale(now_ns)


async def keep_telling(hub: DistrictHub, to: str, stop: asyncio.Event) -> None:
    """Tell a neighbour something every few hundredths of a second."""
    number = 0
    while not stop.is_set():
        hub.tell(to, f"{number}")
        number += 1
        await asyncio.sleep(0.03)


@pytest.mark.parametrize("cut_s", [2.5, 9.0])
async def test_cut_without_a_word_loses_and_doubles_nothing_and_ends_in_a_fresh_picture(
    tmp_path: Path, cut_s: float, record_property: Callable[[str, object], None]
) -> None:
    """2.5 s: the connection outlives it; 9 s: both brokers gave it up and dial again."""
    async with neighbours(tmp_path, NORTH_SOUTH) as town, hubs(town) as found:
        link, stop = town.links[NORTH_SOUTH], asyncio.Event()
        north, south = found["north"], found["south"]
        async with asyncio.TaskGroup() as group:
            for hub, to in ((north, "south"), (south, "north")):
                group.create_task(keep_telling(hub, to, stop), name=f"{hub.region}.telling")
            await until(lambda: len(north.taken) > 10 and len(south.taken) > 10, "facts flow")

            link.stall()
            began_s = time.monotonic()
            if cut_s > 4:
                await until(
                    lambda: not (north.neighbour("south").connected
                                 or south.neighbour("north").connected),
                    "both notice that the other is silent",
                )  # fmt: skip
            await asyncio.sleep(max(0.0, began_s + cut_s - time.monotonic()))
            for hub in (north, south):
                hub.move_unit(31.0)
            before = {
                hub.region: len(hub.told[to]) for hub, to in ((north, "south"), (south, "north"))
            }
            link.flow()
            returned_s, returned_ns = time.monotonic(), SystemClock().wall_ns()

            def is_whole() -> bool:
                return all_connected(found) and all(
                    there.neighbour(here).state_ns > returned_ns
                    and len(there.heard_from(here)) >= before[here]
                    for here, there in (("north", south), ("south", north))
                )

            await until(is_whole, "the picture is whole again", RETURN_S)
            record_property("whole_after_s", round(time.monotonic() - returned_s, 2))
            print(f"cut {cut_s:g} s: whole after {time.monotonic() - returned_s:.2f} s")  # noqa: T201
            stop.set()
        await until(lambda: all_delivered(found), "all is told", RETURN_S)
        await check_once(found)


async def test_hub_works_alone_while_its_neighbour_s_broker_is_down(tmp_path: Path) -> None:
    async with neighbours(tmp_path, NORTH_SOUTH) as town, hubs(town) as found:
        north, south = found["north"], found["south"]
        await town["south"].broker.stop()
        await until(lambda: not north.neighbour("south").connected, "south is away", BOUND_S)
        for number in range(20):
            north.tell("south", f"while away {number}")
        assert north.waiting_for("south") == 20
        assert "south away" in north.districts.check()["text"]

        await town["south"].broker.start()
        await until(lambda: all_delivered(found), "all is told", RETURN_S)
        await check_once(found)
        assert south.neighbour("north").connected


async def test_hub_that_starts_again_is_told_what_it_missed_and_nothing_twice(
    tmp_path: Path,
) -> None:
    async with (
        neighbours(tmp_path, NORTH_SOUTH) as town,
        a_hub(town["north"], ["south"]) as north,
    ):
        async with a_hub(town["south"], ["north"]) as south:
            await until(lambda: north.neighbour("south").connected, "south is seen", BOUND_S)
            north.tell("south", "first")
            await until(lambda: south.taken == [("north", "first")], "it is told", BOUND_S)
            await until(lambda: not north.waiting_for("south"), "it is answered", BOUND_S)
        north.tell("south", "second")
        async with a_hub(town["south"], ["north"]) as again:
            await until(lambda: again.taken, "the other is told", BOUND_S)
            await until(lambda: not north.waiting_for("south"), "it is answered", BOUND_S)
            assert again.taken == [("north", "second")]
            assert await again.stored_from("north") == ["first", "second"]


async def test_fact_that_no_follower_was_given_is_given_in_the_next_life(tmp_path: Path) -> None:
    async with (
        neighbours(tmp_path, NORTH_SOUTH) as town,
        a_hub(town["north"], ["south"]) as north,
    ):
        async with a_hub(town["south"], ["north"], follows=False):
            for text in ("one", "two"):
                north.tell("south", text)
            await until(lambda: not north.waiting_for("south"), "they are stored", BOUND_S)
        async with a_hub(town["south"], ["north"]) as again:
            await until(lambda: len(again.taken) == 2, "they are given", BOUND_S)
            assert again.heard_from("north") == ["one", "two"]


async def test_follower_that_fails_is_given_the_next_and_one_without_disk_the_same_again(
    tmp_path: Path,
) -> None:
    async with (
        neighbours(tmp_path, NORTH_SOUTH) as town,
        a_hub(town["north"], ["south"]) as north,
        a_hub(town["south"], ["north"], follows=False) as south,
    ):
        given: list[str] = []

        async def fail(_region: str, fact: Stored) -> None:
            text = text_of(fact)
            given.append(text)
            if text == "wrong":
                raise RuntimeError("a fault of the follower")
            if text == "full" and given.count("full") == 1:
                raise StorageError("the disk is full")

        south.districts.follow(fail)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(south.districts.inbox._hand_on())
            for text in ("wrong", "full", "last"):
                north.tell("south", text)
            await until(lambda: "last" in given, "all are given", BOUND_S)
            task.cancel()
        assert given == ["wrong", "full", "full", "last"]


async def test_neighbour_that_lost_its_journal_goes_on_and_says_what_is_gone(
    tmp_path: Path,
) -> None:
    async with (
        neighbours(tmp_path, NORTH_SOUTH) as town,
        a_hub(town["north"], ["south"]) as north,
    ):
        async with a_hub(town["south"], ["north"]) as south:
            for number in range(3):
                north.tell("south", f"{number}")
            await until(lambda: len(south.taken) == 3, "they are told", BOUND_S)
            await until(lambda: not north.waiting_for("south"), "and answered", BOUND_S)
        async with a_hub(town["south"], ["north"], state=tmp_path / "new") as new:
            north.tell("south", "after")
            await until(lambda: new.taken, "what is new is told", RETURN_S)
            await until(lambda: not north.waiting_for("south"), "and answered", RETURN_S)
            await until(lambda: new.journal.lost, "what is gone is written down", RETURN_S)
            (lost,) = new.journal.lost
            assert (lost.line.source, lost.first, lost.last) == ("north/hub", 1, 3)
