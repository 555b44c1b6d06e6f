"""The doors by which calls come in: exchanges, location sources.

    POST /exchange/calls                  a call rings: {"call": "pbx-77", "number": "+86…"}
    POST /exchange/calls/{call}/steps     {"step": "hung_up" | "connected" | "unanswered"}

They are open to credentials of the role ``exchange`` alone. A repeat is harmless: a call that
was told before is answered with the same case.
"""

from __future__ import annotations

from typing import TypeVar

import msgspec
from aiohttp import web

from dispatch.call_desk import CallDesk
from dispatch.intake import LineStep, Ring
from dispatch.location_client import LocationClient
from streams.errors import CredentialError
from streams.health import REFUSED
from streams.web import RequestError, Verify, token_of

Told = TypeVar("Told")

OPEN = ("/exchange/", "/aml")
"""Paths at which the pages' guard lets in everybody: these handlers check for themselves."""


class CallApi:
    """The handlers."""

    def __init__(self, desk: CallDesk, verify: Verify, locations: LocationClient) -> None:
        """Prepare; ``add_routes`` puts them into an application."""
        self._locations = locations
        self._desk = desk
        self._verify = verify

    def add_routes(self, app: web.Application) -> None:
        """Add the doors to an application."""
        app.router.add_post("/exchange/calls", self.ring)
        app.router.add_post("/exchange/calls/{call}/steps", self.step)

    async def ring(self, request: web.Request) -> web.Response:
        """Take a call that rings; answer with its case."""
        self.admit(request)
        ring = await told(request, Ring)
        case = await self._desk.ring(ring)
        await self._locations.ask_operator(self._desk.number(ring.number), ring.call)
        return web.json_response({"ok": True, "case": case})

    async def step(self, request: web.Request) -> web.Response:
        """Take what happened on the line of a call."""
        self.admit(request)
        await self._desk.step(request.match_info["call"], await told(request, LineStep))
        return web.json_response({"ok": True})

    def admit(self, request: web.Request) -> str:
        """Return the name of the exchange that asks.

        Raises:
            CredentialError: It is none.
        """
        try:
            holder = self._verify(token_of(request))
            if holder.role != "exchange":
                raise CredentialError(f"{holder.name} is not an exchange but: {holder.role}")
        except CredentialError as error:
            REFUSED.labels("exchange", error.reason).inc()
            raise
        return holder.name


async def told(request: web.Request, kind: type[Told]) -> Told:
    """Return what a request says.

    Raises:
        RequestError: It is not that; names the field.
    """
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(str(error)) from error
