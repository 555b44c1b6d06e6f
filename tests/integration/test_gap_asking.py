"""Facts that are lost on the way although later ones came: asked for by name, told, and there."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from streams.codec import decode, encode
from streams.messages import Numeric, Vitals
from streams.outbox import Draft
from tests.conftest import WaitFor
from tests.hospital_town import Town as HospitalSide
from tests.hub_stand_in import HubStandIn
from tests.hub_town import Town, Vehicle, a_town


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with a_town(tmp_path) as found:
        yield found


class Losing:
    """A transport that loses facts with these numbers, a number of times each."""

    def __init__(self, transport: Any, lost: dict[int, int]) -> None:
        self._transport, self.lost = transport, lost
        self.sent: list[int] = []

    async def publish(self, topic: str, data: bytes) -> None:
        number = decode(data).sequence
        self.sent.append(number)
        if self.lost.get(number, 0) > 0:
            self.lost[number] -= 1
            return
        await self._transport.publish(topic, data)


@contextlib.asynccontextmanager
async def console(town: Town) -> AsyncIterator[Any]:
    """Open a console's socket; gives what waits for a word of missing facts."""
    headers = {"Authorization": f"Bearer {town.seat.token}"}
    async with (
        aiohttp.ClientSession(town.hub.url) as http,
        http.ws_connect("/ws", headers=headers, ssl=town.trust) as socket,
    ):

        async def told_missing(*, some: bool) -> Any:
            async with asyncio.timeout(20):
                while True:
                    message = await socket.receive_json()
                    if message["type"] == "missing" and bool(message["missing"]) == some:
                        return message["missing"]

        yield told_missing


def rate(case: str, value: float) -> Draft:
    measured = Numeric(value=value, measured_ns=1)
    return Draft("vitals", Vitals(device="m", heart_rate_per_min=measured), case=case)


async def test_hub_asks_a_unit_for_what_is_missing_and_gets_it(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    unit = Vehicle("unit-1", tmp_path)
    async with town.open_hub() as hub, town.join(unit):
        case = await town.open_case()
        await town.act("assign_unit", case=case, unit="unit-1")
        unit.transport = Losing(unit.transport, {3: 1, 4: 1})
        for number in range(8):
            unit.make(rate(case, float(number)))
        await wait_for(lambda: any(one.asked for one in unit.receipts), "the hub asks")
        (asked,) = [one.asked for one in unit.receipts if one.asked][:1]
        assert asked == {"vitals": [(3, 4)]}
        await wait_for(lambda: unit.waiting() == 0, "all is stored")
        numbers = [
            fact.envelope.sequence
            for fact in await hub._parts.journal.facts(case=case)
            if fact.envelope.kind == "vitals"
        ]
        assert sorted(numbers) == list(range(1, 9))


async def test_hub_tells_what_stays_missing_and_whose_it_is(
    town: Town, tmp_path: Path, wait_for: WaitFor
) -> None:
    unit = Vehicle("unit-1", tmp_path)
    async with town.open_hub(), town.join(unit):
        case = await town.open_case()
        await town.act("assign_unit", case=case, unit="unit-1")
        unit.transport = losing = Losing(unit.transport, {3: 1000})
        async with console(town) as told_missing:
            for number in range(8):
                unit.make(rate(case, float(number)))
            (missing,) = await told_missing(some=True)
            assert (missing["source"], missing["facts"]) == ("unit-1", 1)
            text = (await town.get("/healthz"))["parts"]["gaps"]["text"]
            assert text.startswith("1 facts of unit-1 are missing, asked again")
            losing.lost.clear()
            await wait_for(lambda: unit.waiting() == 0, "it came at last")
            assert await told_missing(some=False) == []


async def test_hospital_asks_the_hub_for_what_is_missing_and_tells_its_pages(
    tmp_path: Path, wait_for: WaitFor
) -> None:
    async with HubStandIn(tmp_path) as hub:
        side = HospitalSide(hub)
        async with side.gateway() as desk:
            case = await side.case()
            await side.delivered()
            first = hub.senders["first-hospital"]
            lost: list[bytes] = []
            publish = first._publish

            async def losing(kind: str, data: bytes) -> None:
                if decode(data).lane == "vitals" and not lost:
                    lost.append(data)
                else:
                    await publish(kind, data)

            first._publish = losing
            for value in (80.0, 81.0, 82.0):
                await side.vitals(case, value)
            await wait_for(lambda: any(one.asked for one in hub.receipts), "the gateway asks")
            asked = next(one.asked for one in hub.receipts if one.asked)
            assert asked == {"vitals": [(1, 1)]}
            await side.delivered()
            assert encode(decode(lost[0])) == lost[0]
            curve = (await desk.get(f"/api/cases/{case}"))["curves"]["1"]["heart_rate_per_min"]
            assert [value for _, value in curve] == [80.0, 81.0, 82.0]
