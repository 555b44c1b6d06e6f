"""A hospital's gateway with a small hub: the seat at its desk, and the town around it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from hospital_gateway.gateway import serve
from hospital_gateway.settings import Settings
from streams.authority import client_context
from streams.identity import new_id
from streams.messages import (
    CaseOpened,
    HospitalChosen,
    HospitalStoodDown,
    Numeric,
    UnitAssigned,
    Vitals,
)
from tests.hub_stand_in import HubStandIn, hospital_settings
from tests.waiting import until

HERE, THERE = "first-hospital", "second-hospital"
BOUND_S = 20.0
NOBODYS = "01HZZZZZZZZZZZZZZZZZZZZZZZ"


class Desk:
    """A seat at one hospital: its API and WebSocket."""

    def __init__(self, url: str, token: str, ca: Path) -> None:
        self.url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._tls = client_context(ca)

    async def __aenter__(self) -> Desk:
        self.client = aiohttp.ClientSession(
            self.url, headers=self._headers, connector=aiohttp.TCPConnector(ssl=self._tls)
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.close()

    async def get(self, path: str, status: int = 200) -> Any:
        async with self.client.get(path) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def board(self) -> dict[str, Any]:
        return {one["card"]["case"]: one["card"] for one in (await self.get("/api/board"))["cases"]}

    async def act(self, status: int = 200, **action: Any) -> Any:
        async with self.client.post("/api/action", json=action) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()


class Town:
    """The hub and the gateways that a test starts."""

    def __init__(self, hub: HubStandIn) -> None:
        self.hub = hub

    @contextlib.asynccontextmanager
    async def gateway(self, hospital: str = HERE, **changed: Any) -> AsyncIterator[Desk]:
        """Run a gateway in this process."""
        settings = msgspec.convert(hospital_settings(self.hub, hospital, **changed), Settings)
        task = asyncio.create_task(serve(settings), name=f"test.{hospital}")
        try:
            url = await self.ready(Path(settings.state), lambda: task.done() and task.result())
            async with Desk(url, self.hub.seats[hospital].token, self.hub.ca) as desk:
                yield desk
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def ready(self, state: Path, check: Callable[[], object]) -> str:
        """Wait until a gateway serves; return its address."""
        await until(lambda: check() or (state / "ready.json").exists(), "ready.json", BOUND_S)
        return str(json.loads((state / "ready.json").read_text())["url"])

    async def case(self, hospital: str | None = HERE, unit: str = "unit-1") -> str:
        """Open a case with a unit, bound for a hospital."""
        case, hub = new_id(), self.hub
        await hub.fact(
            case, CaseOpened(address="12 Long Street", complaint="chest pain", alias="Blue Heron"),
            "case_opened",
        )  # fmt: skip
        await hub.fact(case, UnitAssigned(unit=unit), "unit_assigned")
        if hospital is not None:
            await self.choose(case, hospital)
        return case

    async def choose(self, case: str, hospital: str) -> None:
        await self.hub.fact(
            case, HospitalChosen(hospital=hospital, name=hospital.title()), "hospital_chosen"
        )

    async def stand_down(self, case: str, hospital: str) -> None:
        body = HospitalStoodDown(hospital=hospital, reason="CT is down")
        await self.hub.fact(case, body, "hospital_stood_down")

    async def vitals(self, case: str, rate: float, unit: str = "unit-1") -> None:
        numeric = Numeric(value=rate, measured_ns=self.hub.now_ns())
        body = Vitals(device="monitor", heart_rate_per_min=numeric)
        await self.hub.fact(case, body, "vitals", unit, patient="1")

    async def delivered(self, hospital: str = HERE) -> None:
        await until(lambda: self.hub.waiting(hospital) == 0, f"receipts of {hospital}", BOUND_S)
