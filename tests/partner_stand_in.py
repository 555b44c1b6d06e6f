"""A police or fire control room for tests: a real HTTP server that takes messages and answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from dispatch.location.xml_tree import Element, read_xml
from dispatch.partner_settings import PartnerSettings
from streams.service import listening
from tests.call_sources import Outside
from tests.hub_town import Town

SENT = "2026-01-01T08:00:00+08:00"


@dataclass
class ControlRoom:
    """One partner.

    Attributes:
        key: Its bearer token at the hub.
        port: Where it listens.
        statuses: What it answers to the next messages; 200 once they are used up.
        taken: The messages that it answered with 200, in order, as they came.
        tried: All that came.
        tokens: The bearer tokens with which they came.
        hangs: Whether it takes messages and leaves them without an answer.
    """

    town: Town
    name: str
    key: str
    port: int = 0
    statuses: list[int] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    hangs: bool = False

    def settings(self, **fields: Any) -> PartnerSettings:
        """How the hub's settings name it."""
        fields = {"kind": "police", "label": self.name.title(), "token": "sesame"} | fields
        return PartnerSettings(name=self.name, url=f"http://127.0.0.1:{self.port}/in", **fields)

    @contextlib.asynccontextmanager
    async def open(self, port: int = 0) -> AsyncIterator[None]:
        """Listen while the block runs."""
        app = web.Application()
        app.router.add_post("/in", self._take)
        async with listening(app, "127.0.0.1", port, None) as self.port:
            yield

    async def answer(self, body: str | dict[str, Any], status: int = 200, key: str = "") -> Any:
        """Answer at the hub's door; its status must be as stated."""
        data = body if isinstance(body, str) else json.dumps(body)
        headers = {"Authorization": f"Bearer {key or self.key}"}
        async with (
            aiohttp.ClientSession(self.town.hub.url, headers=headers) as http,
            http.post("/partner/answers", data=data, ssl=self.town.trust) as answer,
        ):
            told = await answer.json()
            assert answer.status == status, told
            return told

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.text()
        self.tried.append(body)
        if self.hangs:
            await asyncio.sleep(3600)
        self.tokens.append(request.headers.get("Authorization", ""))
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            self.taken.append(body)
        return web.Response(status=status, headers={"Location": "http://127.0.0.1:1/"})


def control_room(town: Town, name: str = "police") -> ControlRoom:
    """Return a partner with a credential at the hub; ``open`` lets it listen."""
    return ControlRoom(town, name, town.issue(name, "partner").token)


def cap_answer(
    references: str, kind: str = "Ack", *, code: str = "", note: str = "", number: str = "a-1",
    use: str = "Actual",
) -> str:  # fmt: skip
    """Return an answer as a partner's CAP software writes it."""
    more = (f"<code>{code}</code>" if code else "") + (f"<note>{note}</note>" if note else "")
    return (
        '<?xml version="1.0"?><cap:alert xmlns:cap="urn:oasis:names:tc:emergency:cap:1.2">'
        f"<cap:identifier>{number}</cap:identifier><cap:sender>police@example</cap:sender>"
        f"<cap:sent>{SENT}</cap:sent><cap:status>{use}</cap:status><cap:msgType>{kind}"
        f"</cap:msgType><cap:scope>Private</cap:scope>{more}"
        f"<cap:references>{references}</cap:references></cap:alert>"
    )


def alert_of(document: str) -> Element:
    """Read what the hub sent."""
    root, warnings = read_xml(document)
    assert not warnings
    return root


def text_of(root: Element, name: str) -> str:
    """Return an element's text; empty where it is absent."""
    found = root.only(name)
    return found.text if found is not None else ""


async def a_case(town: Town, **fields: Any) -> str:
    """Open a case by a call, with all that a patient's case has; return it."""
    case = await Outside(town).ring()
    await town.act(
        "amend_case", case=case, address="No. 8 Garden Road", complaint="stab wound, unconscious",
        severity="red", age_years=47, sex="female",
        position={"latitude_deg": 31.2304, "longitude_deg": 121.4737, "radius_m": 20}, **fields,
    )  # fmt: skip
    return case
