"""The hub's HTTP API: cases, units and hospitals as JSON, for scripts, tests and integrators.

    GET  /api/cases                     open and recently closed cases
    GET  /api/cases/{case}              one case with its vital signs
    GET  /api/cases/{case}/timeline     what happened, in the order in which it did
    GET  /api/cases/{case}/ledger       how late what came, what is missing (``streams.ledger``)
    GET  /api/cases/{case}/suggestions  units, hospitals, the same event: the best, and why
    GET  /api/units, /api/hospitals
    POST /api/action                    see ``dispatch.case_actions``

Every read of a case goes to the audit log before it is answered.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from dispatch import case_pages
from dispatch.actions import ActionDesk
from dispatch.advice import Advice
from dispatch.caller_place import Places
from dispatch.case_pages import Reached
from dispatch.case_record import CaseRecord
from dispatch.cases import Case
from dispatch.errors import UnknownError
from dispatch.timeline import Entry, entry_of
from streams.clock import Clock
from streams.journal import Journal
from streams.ledger import ledger_of
from streams.web import HOLDER

PAGE = 1000


class Api:
    """The handlers."""

    def __init__(
        self,
        record: CaseRecord,
        journal: Journal,
        desk: ActionDesk,
        *,
        clock: Clock,
        advice: Advice,
        places: Places,
        reached: Reached,
    ) -> None:
        """Prepare; ``add_routes`` puts them into an application."""
        self._record = record
        self._journal = journal
        self._desk = desk
        self._clock = clock
        self._advice = advice
        self._places = places
        self._reached = reached

    def add_routes(self, app: web.Application) -> None:
        """Add the API to an application whose guard lets in seats only."""
        app.router.add_get("/api/cases", self.cases)
        app.router.add_get("/api/cases/{case}", self.case)
        app.router.add_get("/api/cases/{case}/timeline", self.timeline)
        app.router.add_get("/api/cases/{case}/ledger", self.ledger)
        app.router.add_get("/api/cases/{case}/suggestions", self.suggestions)
        app.router.add_get("/api/units", self.units)
        app.router.add_get("/api/hospitals", self.hospitals)
        app.router.add_post("/api/action", self.action)

    async def cases(self, request: web.Request) -> web.Response:
        """Answer with the summary of each case."""
        await self._note_read(request, None)
        cases = self._record.book.recent()
        return _json([self._summary(case) for case in cases])

    async def case(self, request: web.Request) -> web.Response:
        """Answer with one case, its vital signs included."""
        case = await self._find(request)
        whole = case_pages.detail(case, self._reached) | self._advice.incident_detail(case)
        return _json(self._summary(case) | whole)

    async def timeline(self, request: web.Request) -> web.Response:
        """Answer with a case's timeline, read from the journal, closed long ago or not."""
        case = await self._find(request)
        entries: list[Entry] = []
        after = 0
        while facts := await self._journal.facts(case=case.id, after=after, limit=PAGE):
            after = facts[-1].position
            placed = map(self._record.clocks.place, facts)
            entries += [entry for entry in map(entry_of, placed) if entry is not None]
        return _json(case_pages.entries(entries, case, self._reached))

    async def ledger(self, request: web.Request) -> web.Response:
        """Answer with how late each kind of fact came, what is missing, what the link did."""
        case = await self._find(request)
        facts = await self._journal.facts(case=case.id, limit=None)
        missing = self._journal.inbox.all_missing()
        found = await asyncio.to_thread(ledger_of, case.id, facts, missing=missing)
        return web.json_response(found)

    async def suggestions(self, request: web.Request) -> web.Response:
        """Answer with the best units and hospitals for a case, and what may be the same event."""
        case = await self._find(request)
        return _json(self._advice.of(case))

    async def units(self, _: web.Request) -> web.Response:
        """Answer with each unit, where it is and what it does."""
        now_ns, record = self._clock.wall_ns(), self._record
        units = record.fleet.units.values()
        return _json([case_pages.unit(unit, record.fleet, record.book, now_ns) for unit in units])

    async def hospitals(self, _: web.Request) -> web.Response:
        """Answer with each hospital and the room it last stated."""
        fleet, book = self._record.fleet, self._record.book
        hospitals = fleet.hospitals.values()
        return _json([case_pages.hospital(hospital, fleet, book) for hospital in hospitals])

    async def action(self, request: web.Request) -> web.Response:
        """Do an action and answer with what happened."""
        answer = await self._desk.act(await request.read(), request[HOLDER].name)
        return _json(answer)

    def _summary(self, case: Case) -> dict[str, Any]:
        more = {"place": self._places.of(case), "maybe": self._advice.likely(case)}
        return case_pages.summary(case, self._reached) | more | self._advice.incident(case)

    async def _find(self, request: web.Request) -> Case:
        name = request.match_info["case"]
        case = await self._record.case(name)
        if case is None:
            raise UnknownError("case", name)
        await self._note_read(request, case.id)
        return case

    async def _note_read(self, request: web.Request, case: str | None) -> None:
        who, now_ns = f"seat/{request[HOLDER].name}", self._clock.wall_ns()
        await self._journal.note_read(who, f"GET {request.path}"[:200], case, now_ns)


def _json(body: object) -> web.Response:
    # Not by the standard library, which writes NaN where JSON has no such word.
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")
