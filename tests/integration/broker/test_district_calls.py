"""Calls that overflow to neighbouring districts: three real brokers and whole hubs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from dispatch.case_sharing import STAYS_HOME
from dispatch.settings import Calls
from streams.clock import SystemClock
from streams.codec import decode
from tests.district_town import Office, all_connected, an_office, offices
from tests.neighbourhood import BOUND_S, neighbours
from tests.waiting import until

NORTH_SOUTH = ("north", "south")
MESH = (NORTH_SOUTH, ("north", "west"), ("south", "west"))
CALLS = int(os.environ.get("FORERUN_DISTRICT_RACE", "50"))
CUT_S = float(os.environ.get("FORERUN_DISTRICT_CUT_S", "8"))
RETURN_S = 30.0
RACE_S = 60.0
WHOLE_S = 5.0


async def equal_facts(home: Office, there: Office, case: str) -> bool:
    """Whether the neighbour's journal has each fact of a shared case once, as its home has it."""
    here = [one for one in await home.facts(case) if decode(one).kind not in STAYS_HOME]
    told = await there.foreign_facts(case)
    return [fact for _, fact in told] == here and len({n for n, _ in told}) == len(told)


async def test_call_nobody_answers_rings_at_neighbours_and_is_answered_by_one_of_them(
    tmp_path: Path,
) -> None:
    async with neighbours(tmp_path, *MESH) as town, offices(town) as found:
        north, south, west = found["north"], found["south"], found["west"]
        case = await north.ring("pbx-1")
        assert not south.shows(case), "not before its time"
        await until(lambda: south.shows(case) and west.shows(case), "it rings there", BOUND_S)
        assert north.hub.record.book.get(case) is not None
        assert south.hub.record.book.get(case) is None, "never among our own"

        told = await south.done("answer_call", case=case, home="north")
        assert told["ok"], told
        call = north.hub.record.book.get(case).call  # type: ignore[union-attr]
        assert call is not None
        assert call.seat == "south/seat-1"
        await until(lambda: not west.shows(case), "it leaves the other's queue", BOUND_S)
        left = west.hub.desk.foreign.get(case)
        assert left is not None
        assert left.left is not None
        assert (left.left.why, left.left.seat) == ("answered", "south/seat-1")
        refused = await west.done("answer_call", case=case, home="north")
        assert refused["conflict"] == {"kind": "taken", "seat": "south/seat-1"}

        for action, fields in (
            ("amend_case", {"address": "No. 9 River Road", "severity": "red"}),
            ("note", {"text": "caller is calm"}),
            ("hold_call", {}),
            ("answer_call", {}),
            ("end_call", {}),
        ):
            told = await south.done(action, case=case, home="north", **fields)
            assert told["ok"], (action, told)
        known = north.hub.record.book.get(case)
        assert known is not None
        assert (known.address, known.severity) == ("No. 9 River Road", "red")
        shown = south.hub.desk.foreign.get(case)
        assert shown is not None
        await until(lambda: shown.case.facts == known.facts, "all is told", BOUND_S)
        assert await equal_facts(north, south, case)
        assert shown.case.address == known.address
        assert not shown.asked, "nothing is open"

        own = await south.act("assign_unit", case=case, unit="unit-south-1")
        assert not own["ok"], "a neighbour's case takes no unit of ours"
        over = await south.act("close_case", case=case, home="north", outcome="cancelled")
        assert not over["ok"], "the end of a case is its home's"
        await north.act("close_case", case=case, outcome="cancelled")
        await until(lambda: not south.shows(case), "it is over there too", BOUND_S)


async def test_call_answered_at_home_leaves_the_neighbours_queue(tmp_path: Path) -> None:
    async with neighbours(tmp_path, NORTH_SOUTH) as town, offices(town) as found:
        north, south = found["north"], found["south"]
        case = await north.ring("pbx-1")
        await until(lambda: south.shows(case), "it rings there", BOUND_S)
        assert (await north.act("answer_call", case=case))["ok"]
        await until(lambda: not south.shows(case), "it leaves the queue", BOUND_S)
        refused = await south.act("answer_call", case=case, home="north")
        assert refused["conflict"] == {"kind": "taken", "seat": "seat-1"}


async def test_race_of_seats_of_all_districts_has_one_winner_each_and_tells_each_loser(
    tmp_path: Path,
) -> None:
    async with neighbours(tmp_path, *MESH) as town, offices(town) as found:
        north = found["north"]
        cases = [await north.ring(f"pbx-{n}", "text", f"+86138{n:08}") for n in range(CALLS)]
        rivals = (found["south"], found["west"])
        await until(lambda: all(o.shows(c) for o in rivals for c in cases), "all ring", RACE_S)
        won: dict[str, list[str]] = {case: [] for case in cases}
        lost: dict[str, int] = dict.fromkeys(cases, 0)

        async def take(office: Office, case: str) -> None:
            home = {} if office is north else {"home": "north"}
            if office is north:  # which is no way off: now it is first, now the others are
                await asyncio.sleep(1.5 * (cases.index(case) % 4))
            answer = office.act if office is north else office.done
            told = await answer("answer_call", case=case, **home)
            who = "seat-1" if office is north else f"{office.region}/seat-1"
            if told["ok"]:
                won[case].append(who)
            else:
                assert told["conflict"]["kind"] == "taken", told
                lost[case] += 1

        async with asyncio.TaskGroup() as group:
            for number, case in enumerate(cases):
                order = [north, *rivals]
                for office in order[number % 3 :] + order[: number % 3]:
                    group.create_task(take(office, case), name=f"{office.region}.{case}")
        for case in cases:
            call = north.hub.record.book.get(case).call  # type: ignore[union-attr]
            assert call is not None
            assert won[case] == [call.seat] == call.seats
            assert lost[case] == 2, "each loser was told"
        winners = {who for one in won.values() for who in one}
        print(f"{CALLS} calls, winners {sorted(winners)}")  # noqa: T201
        assert len(winners) > 1, "nobody else ever won: this was no race"


async def test_cut_in_mid_call_loses_and_doubles_nothing_and_both_journals_are_equal(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """``FORERUN_DISTRICT_CUT_S=60`` cuts for a minute; by default it is shorter."""
    async with neighbours(tmp_path, *MESH) as town, offices(town) as found:
        north, south, west = found["north"], found["south"], found["west"]
        case = await north.ring("pbx-1")
        await until(lambda: south.shows(case), "it rings there", BOUND_S)
        assert (await south.done("answer_call", case=case, home="north"))["ok"]
        links = [link for pair, link in town.links.items() if "south" in pair]
        for link in links:
            link.stall()
        began_s = time.monotonic()
        # In mid-call: what is typed at both ends while neither hears of the other.
        waiting = [
            (await south.act("note", case=case, home="north", text=f"said {n}"))["id"]
            for n in range(20)
        ]
        waiting.append((await south.act("hold_call", case=case, home="north"))["id"])
        for n in range(20):
            assert (await north.act("note", case=case, text=f"at home {n}"))["ok"]
        await until(lambda: not south.neighbour("north").connected, "it is noticed", BOUND_S)
        refused = await south.act("answer_call", case=case, home="north")
        assert refused["conflict"]["kind"] == "cut_off"
        foreign = south.hub.desk.foreign.get(case)
        assert foreign is not None
        assert [one.request for one in foreign.waiting] == waiting

        # Each goes on with what is its own; the other two still share.
        assert not (await north.act("answer_call", case=case))["ok"], "the seat there has it"
        own = await south.ring("pbx-south", number="+8613800000002")
        assert (await south.act("answer_call", seat="seat-2", case=own))["ok"]
        other = await north.ring("pbx-2", number="+8613800000003")
        await until(lambda: west.shows(other), "west is there", BOUND_S)
        assert not south.shows(other)
        await asyncio.sleep(max(0.0, began_s + CUT_S - time.monotonic()))

        for link in links:
            link.flow()
        returned_s, returned_ns = time.monotonic(), SystemClock().wall_ns()

        def is_whole() -> bool:
            here = north.hub.record.book.get(case)
            assert here is not None
            return (
                all_connected(found)
                and south.neighbour("north").state_ns > returned_ns
                and all(request in south.told for request in waiting)
                and foreign.case.facts == here.facts
                and south.shows(other)
            )

        await until(is_whole, "the picture is whole again", RETURN_S)
        whole_s = time.monotonic() - returned_s
        record_property("whole_after_s", round(whole_s, 2))
        print(f"cut {CUT_S:g} s: whole after {whole_s:.2f} s")  # noqa: T201
        assert all(south.told[request]["ok"] for request in waiting)
        here = north.hub.record.book.get(case)
        assert here is not None
        notes = [one.data["text"] for one in here.entries if one.kind == "case_note"]
        assert sorted(notes) == sorted(
            [f"said {n}" for n in range(20)] + [f"at home {n}" for n in range(20)]
        )
        assert here.call is not None
        assert here.call.phase == "held"
        assert await equal_facts(north, south, case)
        if CUT_S >= 60:
            assert whole_s <= WHOLE_S


async def test_hub_that_starts_again_in_the_middle_shares_on_and_answers_once(
    tmp_path: Path,
) -> None:
    async with neighbours(tmp_path, NORTH_SOUTH) as town:
        async with an_office(town["south"], ["north"]) as south:
            async with an_office(town["north"], ["south"]) as north:
                await until(lambda: south.neighbour("north").connected, "there", BOUND_S)
                await until(lambda: north.neighbour("south").connected, "there", BOUND_S)
                case = await north.ring("pbx-1")
                await until(lambda: south.shows(case), "it rings there", BOUND_S)
                assert (await south.done("answer_call", case=case, home="north"))["ok"]
            sent = await south.act("note", case=case, home="north", text="while it is away")
            assert sent["ok"]
            assert (await south.act("note", case=case, home="north", id=sent["id"], text="x"))["ok"]
        async with (
            an_office(town["north"], ["south"]) as north,
            an_office(town["south"], ["north"]) as south,
        ):
            assert south.shows(case), "rebuilt from its journal"
            await until(lambda: sent["id"] in south.told, "it is answered", RETURN_S)
            assert south.told[sent["id"]]["ok"]
            assert (await south.done("end_call", case=case, home="north"))["ok"]
            here, there = north.hub.record.book.get(case), south.hub.desk.foreign.get(case)
            assert here is not None
            assert there is not None
            await until(lambda: there.case.facts == here.facts, "all is told", BOUND_S)
            notes = [one.data["text"] for one in here.entries if one.kind == "case_note"]
            assert notes == ["while it is away"]
            assert await equal_facts(north, south, case)


async def test_unit_of_a_neighbour_is_asked_for_accepted_refused_and_taken_back(
    tmp_path: Path,
) -> None:
    async with neighbours(tmp_path, NORTH_SOUTH) as town, offices(town) as found:
        north, south = found["north"], found["south"]
        south.put_unit("unit-south-1", 31.30)
        await until(lambda: bool(north.neighbour("south").units), "its units are told", BOUND_S)
        opened = await north.act("open_case", address="No. 1 Long Street", severity="red")
        case = str(opened["case"])

        async def ask(unit: str) -> str:
            told = await north.act("ask_unit", case=case, neighbour="south", unit=unit)
            assert told["ok"], told
            await until(lambda: bool(south.hub.desk.cards.waiting()), "the card is there", BOUND_S)
            (card,) = south.hub.desk.cards.waiting()
            assert (card.request.address, card.request.unit) == ("No. 1 Long Street", unit)
            return card.request.request

        def state(request: str) -> str:
            wanted = north.hub.desk.own.get(request)
            return wanted.state if wanted else ""

        refused = await ask("unit-south-2")
        assert not (await south.act("refuse_unit", request=refused, reason=" "))["ok"]
        assert (await south.act("refuse_unit", request=refused, reason="needed here"))["ok"]
        await until(lambda: state(refused) == "refused", "it is told", BOUND_S)

        ended = await ask("unit-south-2")
        assert (await north.act("take_back_unit", case=case, request=ended))["ok"]
        await until(lambda: not south.hub.desk.cards.waiting(), "the card is gone", BOUND_S)
        assert not (await south.act("grant_unit", request=ended))["ok"]

        granted = await ask("unit-south-1")
        assert (await south.act("grant_unit", request=granted))["ok"]
        again = await south.act("grant_unit", request=granted)
        assert again["conflict"]["kind"] == "answered"
        await until(lambda: state(granted) == "accepted", "it is told", BOUND_S)
        there = south.hub.record.book.of_unit("unit-south-1")
        assert there is not None
        assert there.id != case
        assert (there.address, there.severity) == ("No. 1 Long Street", "red")
        await until(
            lambda: any(unit.status == "assigned" for unit in north.neighbour("south").units),
            "its status comes back", BOUND_S,
        )  # fmt: skip
        here = north.hub.record.book.get(case)
        assert here is not None
        assert here.unit is None, "a neighbour's unit is not ours"
        lines = [one.kind for one in here.entries]
        assert lines.count("unit_asked") == 3
        assert lines.count("unit_answered") == 2
        assert "unit_lent" in [one.kind for one in there.entries]


async def test_call_of_a_neighbour_s_seat_that_is_gone_rings_again_everywhere(
    tmp_path: Path,
) -> None:
    calls = Calls(overflow_s=0.5, seat_grace_s=1.0)
    async with neighbours(tmp_path, NORTH_SOUTH) as town, offices(town, calls=calls) as found:
        north, south = found["north"], found["south"]
        case = await north.ring("pbx-1")
        await until(lambda: south.shows(case), "it rings there", BOUND_S)
        assert (await south.done("answer_call", case=case, home="north"))["ok"]
        call = north.hub.record.book.get(case).call  # type: ignore[union-attr]
        assert call is not None
        # No page of that seat is open: its own hub says so, and not the one of the call.
        await until(lambda: call.phase == "unattended", "its hub says so", BOUND_S)
        await until(lambda: south.shows(case), "it rings there again", BOUND_S)
        assert (await north.act("answer_call", case=case))["ok"]
        await until(lambda: not south.shows(case), "it is answered at home", BOUND_S)


async def test_call_of_a_neighbour_that_is_cut_off_can_be_had_ring_again_and_its_notes_come(
    tmp_path: Path,
) -> None:
    async with neighbours(tmp_path, NORTH_SOUTH) as town, offices(town) as found:
        north, south = found["north"], found["south"]
        case = await north.ring("pbx-1")
        await until(lambda: south.shows(case), "it rings there", BOUND_S)
        assert (await south.done("answer_call", case=case, home="north"))["ok"]
        early = await north.act("take_over_call", case=case)
        assert early["conflict"]["kind"] == "not_cut_off"
        link = town.links[NORTH_SOUTH]
        link.stall()
        noted = (await south.act("note", case=case, home="north", text="third floor"))["id"]
        ended = (await south.act("end_call", case=case, home="north"))["id"]
        await until(lambda: not north.neighbour("south").connected, "it is noticed", BOUND_S)
        assert (await north.act("take_over_call", case=case))["ok"]
        assert (await north.act("answer_call", case=case))["ok"]
        link.flow()
        await until(lambda: {noted, ended} <= south.told.keys(), "both are answered", RETURN_S)
        assert south.told[noted]["ok"]
        assert south.told[ended]["conflict"] == {"kind": "taken", "seat": "seat-1"}
        here = north.hub.record.book.get(case)
        assert here is not None
        assert here.call is not None
        assert (here.call.phase, here.call.seat) == ("talking", "seat-1")
        assert [e.data["text"] for e in here.entries if e.kind == "case_note"] == ["third floor"]
        await until(lambda: not south.shows(case), "it leaves the queue there", BOUND_S)
