"""The roads as the maps draw them where there are no tiles.

GET /api/roads            all lines, main roads first: [["primary", [[lat, lon], …]], …]
GET /here/{token}/roads   those around the caller, for the caller's page
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from aiohttp import web

from dispatch.arrival import Place
from dispatch.caller_api import CallerApi
from dispatch.cases import position_of
from dispatch.road_graph import RoadGraph
from dispatch.road_map import RoadLine, road_lines

AROUND_DEG = 0.02
"""Some 2 km: what a caller's small map shows and a bit."""

KEPT_S = 3600
"""A page may keep the lines so long: roads change when the hub is started with another file."""


class RoadApi:
    """The handlers; the lines are worked out once, when they are first wanted."""

    def __init__(self, graph: RoadGraph | None, callers: CallerApi) -> None:
        """Prepare; ``add_routes`` puts them into an application.

        Args:
            graph: The roads; None where none are configured.
            callers: Knows whose place a link is of.
        """
        self._graph = graph
        self._callers = callers
        self._lines: list[RoadLine] | None = None
        self._lock = asyncio.Lock()

    def add_routes(self, app: web.Application) -> None:
        """Add the doors to an application."""
        app.router.add_get("/api/roads", self.all)
        app.router.add_get("/here/{token}/roads", self.around)

    async def all(self, _: web.Request) -> web.Response:
        """Answer with all lines."""
        return _answer(await self._worked_out())

    async def around(self, request: web.Request) -> web.Response:
        """Answer with the lines around the caller of a link; none before there is a place."""
        place = position_of(await self._callers.case_of(request))
        lines = await self._worked_out() if place is not None else []
        return _answer([line for line in lines if place is not None and _is_near(line, place)])

    async def _worked_out(self) -> Sequence[RoadLine]:
        async with self._lock:
            if self._lines is None:
                graph = self._graph
                self._lines = await asyncio.to_thread(road_lines, graph) if graph else []
        return self._lines


def _is_near(line: RoadLine, place: Place) -> bool:
    """Whether the box around a line comes near a place: a straight road has points at its ends."""
    return all(
        min(along) - AROUND_DEG < here < max(along) + AROUND_DEG
        for along, here in zip(zip(*line.points, strict=True), place, strict=True)
    )


def _answer(lines: Sequence[RoadLine]) -> web.Response:
    body = msgspec.json.encode([(line.road_class, line.points) for line in lines])
    headers = {"Cache-Control": f"private, max-age={KEPT_S}"}
    response = web.Response(body=body, content_type="application/json", headers=headers)
    response.enable_compression()
    return response
