"""The caller's page: no app, no account; a link that lets one phone tell where it is.

GET  /here/{token}           the page
GET  /here/{token}/state     {"open": true}
POST /here/{token}/position  a position of the browser, see ``dispatch.location.network``;
``?by=hand`` when the person set it on the map
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
from aiohttp import web

from dispatch.call_desk import CallDesk
from dispatch.caller_bundle import CallerBundle
from dispatch.caller_link import LinkSeal
from dispatch.case_record import CaseRecord
from dispatch.cases import Case
from dispatch.errors import ConflictError, UnknownError
from dispatch.location.errors import LocationError
from dispatch.location.network import read_browser
from dispatch.location_client import heard_of
from streams.call_messages import LocationRefused
from streams.clock import Clock
from streams.errors import CredentialError
from streams.health import REFUSED

OPEN = ("/here/",)
"""Paths at which the pages' guard lets in everybody: the token is the right."""

LEAST_NS = 500_000_000
"""Positions of one caller that come faster than this are not kept."""


class CallerApi:
    """The handlers."""

    def __init__(self, record: CaseRecord, desk: CallDesk, seal: LinkSeal, clock: Clock) -> None:
        """Prepare; ``add_routes`` puts them into an application."""
        self._record = record
        self._desk = desk
        self._seal = seal
        self._clock = clock
        self._last_ns: dict[str, int] = {}
        self._bundle = CallerBundle()

    def add_routes(self, app: web.Application) -> None:
        """Add page and doors to an application."""
        app.router.add_get("/here/{token}", self._bundle.page)
        self._bundle.add_routes(app)
        app.router.add_get("/here/{token}/state", self.state)
        app.router.add_post("/here/{token}/position", self.position)

    async def state(self, request: web.Request) -> web.Response:
        """Answer whether positions are still wanted."""
        case = await self.case_of(request)
        return web.json_response({"open": case.is_open})

    async def position(self, request: web.Request) -> web.Response:
        """Take a position; 409 once the case is closed, so that the page stops."""
        case = await self.case_of(request)
        if not case.is_open:
            raise ConflictError("the case is closed: the position is not needed any more")
        body, number = await request.read(), case.call.number if case.call else ""
        if self._is_too_soon(case.id):
            return web.json_response({"ok": True, "kept": False})
        try:
            reading = read_browser(body, self._clock.wall_ns())
        except LocationError as error:
            refused = LocationRefused(
                source="browser", field=error.field[:200], text=error.text, number=number,
                message=body[:1000].decode(errors="replace"),
            )  # fmt: skip
            await self._desk.not_located(refused, case=case.id)
            return web.json_response({"ok": False, "field": error.field}, status=422)
        heard = heard_of(reading, number)
        if request.query.get("by") == "hand":
            by_hand = [msgspec.structs.replace(p, source="browser/hand") for p in heard.positions]
            heard = replace(heard, positions=by_hand)
        await self._desk.located(heard, case=case.id)
        return web.json_response({"ok": True})

    def _is_too_soon(self, case: str) -> bool:
        """Whether the last position came right before: no page of ours does that."""
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._last_ns.get(case, -LEAST_NS) < LEAST_NS:
            REFUSED.labels("here", "flood").inc()
            return True
        self._last_ns[case] = now_ns
        return False

    async def case_of(self, request: web.Request) -> Case:
        """Return the case of a token.

        Raises:
            CredentialError: The token is none.
            UnknownError: Its case is not known here.
        """
        try:
            name = self._seal.case(request.match_info["token"])
        except CredentialError as error:
            REFUSED.labels("here", error.reason).inc()
            raise
        case = await self._record.case(name)
        if case is None:
            raise UnknownError("case", name)
        return case
