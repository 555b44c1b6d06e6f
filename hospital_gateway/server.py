"""The gateway's HTTP side: pages, WebSocket, API, video, health.

    GET  /                     the arrival board; a patient's page is ``/#/case/ID``
    GET  /ws                   one WebSocket per page
    GET  /api/board            everything on the board
    GET  /api/cases/{case}     one case with its curves and its timeline
    POST /api/action           what a page can do, for scripts: see ``actions.py``, ``room.py``
    GET  /api/latency          how late the pages and the journal are
    POST /whep/{case}/{stream} video, see ``media_proxy.py``
    /bay/…, /api/bay           the hand-over at the bay, see ``bay_server.py``
    GET  /healthz, /metrics

Every read of patient data is in the audit log before it is answered, every action before it is
done.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from hospital_gateway.actions import Actions, read_action
from hospital_gateway.bay_server import OPEN_PATH, BayServer
from hospital_gateway.board import Board
from hospital_gateway.latency import Latencies, read_report
from hospital_gateway.media_proxy import MediaProxy
from hospital_gateway.pages import Pages
from hospital_gateway.room import Room, StateRoom
from streams.errors import ForerunError
from streams.health import LATENCY, REFUSED, Checks, add_routes
from streams.web import (
    HOLDER,
    PageSocket,
    RequestError,
    Verify,
    add_pages,
    answer_errors,
    guard,
    read_object,
    secure_headers,
    serve_page,
)

MOST_BODY_BYTES = 64 * 1024


class Server:
    """The handlers of one gateway."""

    def __init__(
        self,
        *,
        hospital: dict[str, str],
        board: Board,
        pages: Pages,
        actions: Actions,
        latencies: Latencies,
        hub_now_ns: Callable[[], int],
        bay: BayServer,
        room: Room,
    ) -> None:
        """Prepare.

        Args:
            hospital: Name and label.
            board: What is shown.
            pages: The open pages.
            actions: Does what is asked for.
            latencies: Takes what pages report.
            hub_now_ns: The hub's clock, as far as it is known here.
            bay: Takes hand-overs at the bay.
            room: Takes what is stated of this hospital's room.
        """
        self._hospital, self._bay, self._room = hospital, bay, room
        self._board, self._pages, self._actions = board, pages, actions
        self._latencies, self._hub_now_ns = latencies, hub_now_ns

    def app(self, verify: Verify, checks: Checks, media: MediaProxy) -> web.Application:
        """Return the application.

        Args:
            verify: Turns a token into its holder.
            checks: The state of each part, for ``/healthz``.
            media: Serves the video.
        """
        app = web.Application(
            middlewares=[secure_headers, answer_errors, guard(verify, ["seat"], [OPEN_PATH])],
            client_max_size=MOST_BODY_BYTES,
        )
        add_pages(app, "hospital_gateway", {"/": "index.html"})
        add_routes(app, checks)
        media.add_routes(app)
        self._bay.add_routes(app)
        app.router.add_get("/ws", self._socket)
        app.router.add_get("/api/board", self._get_board)
        app.router.add_get("/api/cases/{case}", self._get_case)
        app.router.add_get("/api/latency", self._get_latency)
        app.router.add_post("/api/action", self._post_action)
        return app

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        who = request[HOLDER].name
        noted = await self._pages.note_board(who)

        async def said(page: PageSocket, message: dict[str, Any]) -> None:
            await self._hear(page, who, message)

        return await serve_page(
            request,
            lambda page: self._pages.join(page, who, noted),
            self._pages.leave,
            said,
            self._hub_now_ns,
        )

    async def _hear(self, page: PageSocket, who: str, message: dict[str, Any]) -> None:
        match message.get("type"):
            case "look":
                await self._pages.look(page, message.get("cases"))
            case "drawn":
                self._count(message)
            case "action":
                page.send_state(msgspec.json.encode(await self._answer(message, who)).decode())
            case other:
                raise RequestError(f"a page says look, drawn or action, not {other!r}")

    async def _answer(self, message: dict[str, Any], who: str) -> dict[str, Any]:
        """Do an action of a page; what cannot be done is answered, so that its click is told."""
        head = {"type": "answer", "request": message.get("request"), "who": who}
        try:
            return await self._act(message, who) | head
        except ForerunError as error:
            REFUSED.labels("page", error.reason).inc()
            return head | {"ok": False, "error": str(error), "retry": error.retry}

    async def _act(self, message: dict[str, Any], who: str) -> dict[str, Any]:
        """Write into the audit log who asks for an action, and have it done."""
        action = read_action(message)
        case = None if isinstance(action, StateRoom) else action.case
        await self._pages.note(who, f"action {action.__struct_config__.tag}", case)
        if isinstance(action, StateRoom):
            return await self._room.state(action, who)
        return self._actions.perform(action)

    def _count(self, message: dict[str, Any]) -> None:
        kind, samples = read_report(message)
        histogram = LATENCY.labels(kind, "page")
        for sample in self._latencies.add(kind, samples):
            histogram.observe(sample / 1000)

    async def _get_board(self, request: web.Request) -> web.Response:
        cases = self._board.cases()
        for case in cases:
            await self._pages.note(request[HOLDER].name, "board by API", case)
        body = {
            "hospital": self._hospital,
            "now_ms": self._hub_now_ns() // 1000 / 1000,
            "room": self._room.shown(),
            "cases": [self._board.whole(case) for case in cases],
        }
        return _json(body)

    async def _get_case(self, request: web.Request) -> web.Response:
        case = request.match_info["case"]
        self._board.known(case)
        await self._pages.note(request[HOLDER].name, "case", case)
        body = {
            "now_ms": self._hub_now_ns() // 1000 / 1000,
            **self._board.whole(case),
            "lines": self._board.lines(case),
        }
        return _json(body)

    async def _get_latency(self, _: web.Request) -> web.Response:
        return _json(self._latencies.report())

    async def _post_action(self, request: web.Request) -> web.Response:
        message = read_object(await request.read())
        return _json(await self._act(message, request[HOLDER].name))


def _json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")
