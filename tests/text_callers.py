"""A caller's page and a seat's page for tests, as sockets: what they are told is kept in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from streams.identity import new_id
from tests.hub_town import BOUND_S, Town


class Talker:
    """One open socket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.heard: list[dict[str, Any]] = []

    async def say(self, kind: str, **fields: Any) -> None:
        await self.socket.send_json({"type": kind, **fields})

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Return the next message of a kind that has these fields."""
        async with asyncio.timeout(BOUND_S):
            while True:
                message = await self.socket.receive_json()
                self.heard.append(message)
                if message["type"] == kind and all(message[k] == v for k, v in fields.items()):
                    return dict(message)


class Phone(Talker):
    """A caller's page: it counts what it writes, as `writing.js` does."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, session: str) -> None:
        super().__init__(socket)
        self.session = session
        self.count = 0

    async def hello(self, language: str = "zh-CN") -> dict[str, Any]:
        await self.say("hello", session=self.session, language=language)
        welcome = await self.until("welcome")
        self.count = welcome["taken"]
        return welcome

    async def write(self, text: str, *, start: int | None = None) -> None:
        start = self.count if start is None else start
        await self.say("text", start=start, text=text)
        self.count = (await self.until("taken"))["count"]


@contextlib.asynccontextmanager
async def a_phone(town: Town, case: str, session: str | None = None) -> AsyncIterator[Phone]:
    """Open the caller's page of a case and say hello."""
    link = town.hub.link_for(case)
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"{link}/text", ssl=town.trust) as socket,
    ):
        phone = Phone(socket, session or new_id())
        await phone.hello()
        yield phone


@contextlib.asynccontextmanager
async def a_console(town: Town, case: str) -> AsyncIterator[Talker]:
    """Open the console's socket and watch a case."""
    headers = {"Authorization": f"Bearer {town.seat.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.ws_connect(f"{town.hub.url}/ws", ssl=town.trust) as socket,
    ):
        page = Talker(socket)
        await page.say("watch", case=case)
        await page.until("detail", case=case)
        yield page
