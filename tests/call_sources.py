"""Exchanges and phones for the hub's tests: whoever tells it of calls and of where callers are."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from aiohttp import web

from streams.service import listening
from tests.hub_town import Town

NUMBER = "+8613800000001"


def aml(latitude_deg: float = 31.2304, longitude_deg: float = 121.4737) -> str:
    """Return a phone's message, measured now; its ``ml`` is wrong, as in many phones."""
    measured = time.strftime("%Y%m%d%H%M%S", time.gmtime())
    return (
        f'A"ML=1;lt={latitude_deg:+.5f};lg={longitude_deg:+.5f};rd=20;top={measured};lc=68;pm=G;'
        "si=460001234567890;ei=358239059042542;mcc=460;mnc=00;ml=128"
    )


class Outside:
    """A telephone exchange, a message gateway and phones."""

    def __init__(self, town: Town, name: str = "pbx") -> None:
        """Get a credential of an exchange at the hub."""
        self.town = town
        self.key = town.issue(name, "exchange", at="hub").token

    async def post(self, path: str, data: bytes | str, *, status: int = 200, key: str = "") -> Any:
        """Post to the hub; the status must be as stated."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        async with (
            aiohttp.ClientSession(self.town.hub.url, headers=headers) as http,
            http.post(path, data=data, ssl=self.town.trust) as answer,
        ):
            told = await answer.json()
            assert answer.status == status, told
            return told

    async def say(self, path: str, body: Any, status: int = 200) -> Any:
        """Post as the exchange: JSON, or bytes as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body)
        return await self.post(path, data, status=status, key=self.key)

    async def ring(self, number: str = NUMBER, call: str = "pbx-1", **fields: Any) -> str:
        """Let a call ring; return its case."""
        told = await self.say("/exchange/calls", {"call": call, "number": number, **fields})
        return str(told["case"])

    async def step(self, call: str, step: str, status: int = 200) -> Any:
        """Say what happened on the line."""
        return await self.say(f"/exchange/calls/{call}/steps", {"step": step}, status)

    async def locate(
        self, latitude_deg: float, longitude_deg: float, *, radius_m: float, number: str = NUMBER
    ) -> str | None:
        """Say where the operator's network has the number; return the case."""
        said = {"number": number, "lat": latitude_deg, "lon": longitude_deg, "radius": radius_m}
        told = await self.say("/exchange/positions", said)
        case: str | None = told["case"]
        return case

    async def seen(self, case: str) -> dict[str, Any]:
        """Return a case as the API has it."""
        found: dict[str, Any] = await self.town.get(f"/api/cases/{case}")
        return found


@contextlib.asynccontextmanager
async def message_gateway(status: int = 200) -> AsyncIterator[tuple[str, asyncio.Queue[Any]]]:
    """Run a message gateway; gives its address and the messages that it was given."""
    messages: asyncio.Queue[Any] = asyncio.Queue()

    async def send(request: web.Request) -> web.Response:
        messages.put_nowait((request.headers.get("Authorization"), await request.json()))
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/sms", send)
    async with listening(app, "127.0.0.1", 0, None) as port:
        yield f"http://127.0.0.1:{port}/sms", messages
