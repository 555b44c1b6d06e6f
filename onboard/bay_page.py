"""What the tablet's page asks for to hand a case over at the bay.

    POST   /api/bay        {"address": "https://…", "code": "12345678"}: begin, over the network
    DELETE /api/bay        stop it
    GET    /api/bay/code   the case as QR codes, their texts in the order in which to show them

How far it is stands in the part ``bay`` of the page's state. That the ER has read the QR codes
is an action, ``bay_handover``.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from onboard.agent import Agent
from onboard.bay_facts import WITHOUT_WAVEFORM, code_of, facts_of
from onboard.bay_handover import BayHandoverDesk
from onboard.errors import BayError
from streams.web import HOLDER, RequestError


class _Begin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to, and the code that stands on the ER's board; spaces in it are for people."""

    address: Annotated[str, msgspec.Meta(pattern=r"^(https://)?[^\s/]{1,200}/?$")]
    code: Annotated[str, msgspec.Meta(pattern=r"^\d{8}$")]


class BayPage:
    """The routes of one vehicle."""

    def __init__(self, agent: Agent, desk: BayHandoverDesk) -> None:
        """Serve this agent's case by this desk."""
        self._agent, self._desk = agent, desk

    def add_routes(self, app: web.Application) -> None:
        """Add the routes; the application's guard has let the seat in."""
        app.router.add_post("/api/bay", self._begin)
        app.router.add_delete("/api/bay", self._stop)
        app.router.add_get("/api/bay/code", self._code)

    async def _begin(self, request: web.Request) -> web.Response:
        try:
            wanted = msgspec.json.decode(await request.read(), type=_Begin)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise RequestError(f"hand-over: {error}") from error
        self._note(request, "bay network")
        address = wanted.address.rstrip("/")
        if not address.startswith("https://"):
            address = f"https://{address}"
        self._desk.start(address, wanted.code)
        return web.json_response({"ok": True})

    async def _stop(self, request: web.Request) -> web.Response:
        self._note(request, "bay stop")
        self._desk.stop()
        return web.json_response({"ok": True})

    async def _code(self, request: web.Request) -> web.Response:
        agent = self._agent
        case = agent.situation.current
        if case is None:
            raise BayError("there is no case to hand over")
        self._note(request, "bay code")
        facts = facts_of(agent.logbook, agent.outbox, case, WITHOUT_WAVEFORM)
        if not facts:
            raise BayError("nothing of this case is on board any more: the hub has it")
        try:
            content, frames = code_of(
                facts, unit=agent.settings.name, label=agent.settings.title,
                region=agent.settings.region, drill=agent.outgoing.drill,
                wall_ns=agent.clock.wall_ns(),
            )  # fmt: skip
        except ValueError as error:
            raise BayError(str(error)) from error
        shown = {"frames": frames, "facts": len(content.carried), "all_facts": content.all_facts}
        return web.json_response({**shown, "case": case})

    def _note(self, request: web.Request, what: str) -> None:
        agent = self._agent
        case = agent.situation.current or ""
        agent.logbook.note_read(request[HOLDER].name, case, agent.link.hub_ns(), what)
