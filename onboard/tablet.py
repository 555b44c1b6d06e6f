"""The server of the crew's tablet: page, WebSocket, actions, health.

    GET  /            the page
    GET  /ws          one WebSocket per page: {"type": "snapshot", …all parts}, then
                      {"type": "patch", …the parts that changed}, and ECG frames
    GET  /api/state   all parts, for scripts
    POST /api/action  {"action": "start_run" | "end_run" | "milestone" | "pre_alert" | "note" |
                      "camera", …}: see ``actions.py``; the page sends the same with
                      {"type": "action", "request": …} around it
    /api/bay          the hand-over at the bay: see ``bay_page.py``
    /whep/{case}/caller    what the caller shows: see ``caller_video.py``
    GET  /healthz, /metrics

A frame of the ECG has the layout of the arrival board's: u8 version, u8 flags, 26 bytes case
(spaces while unassigned), f64 time of the newest sample in ms, u8 length of the setup's id, the
id, the coded frame; little-endian.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import structlog
from aiohttp import web

from onboard.actions import Action
from onboard.agent import Agent
from onboard.bay_handover import BayHandoverDesk
from onboard.bay_page import BayPage
from onboard.caller_video import CallerVideoProxy
from onboard.ecg_path import OpenRecording
from onboard.tablet_view import MS, TabletView
from streams.errors import ForerunError, StorageError
from streams.health import DROPPED, LATENCY, REFUSED, add_routes
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
from streams.webrtc import Signalling

PAUSE_S = 0.1
"""Least time between two patches."""

RETRY_NS = 1_000_000_000
"""How long after a failure the audit log is tried again."""

UNWRITABLE = "the audit log cannot be written: nothing is shown"

FRAME_VERSION = 1
_HEAD = struct.Struct("<BB26sdB")
_MOST_REPORTED = 256

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Viewer:
    """Who looks at an open page.

    Attributes:
        who: Whose seat it is.
        whole: Whether the page has been told everything; else it gets all parts next.
    """

    who: str
    whole: bool = False


class Tablet:
    """The open pages of one vehicle, and the handlers."""

    def __init__(
        self,
        agent: Agent,
        trust: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        hub_video: Callable[[str], Signalling] | None = None,
    ) -> None:
        """Serve this agent; it tells this server from now on what changes.

        Args:
            agent: The vehicle's.
            trust: Gives the check of a hospital's certificate, for the hand-over at its bay.
            hub_video: Gives the hub's endpoint of a caller's video; None where there is no hub.
        """
        self._agent = agent
        self.bay = BayHandoverDesk(
            agent.settings, logbook=agent.logbook, outbox=agent.outbox, outgoing=agent.outgoing,
            situation=agent.situation, clock=agent.clock, trust=trust,
        )  # fmt: skip
        self._view = TabletView(agent, self.bay)
        self._video = hub_video and CallerVideoProxy(
            hub_video, is_ours=self._is_ours, note=self._note_watching
        )
        self._pages: dict[PageSocket, Viewer] = {}
        self._retry_ns = 0
        self._noted: set[tuple[str, str]] = set()
        self._sent: dict[str, Any] = {}
        self._changed = asyncio.Event()
        self.bay.changed = self._changed.set
        agent.changed = lambda _part: self._changed.set()
        agent.intake.framed = self._framed

    def app(self, verify: Verify) -> web.Application:
        """Return the application; ``verify`` turns a token into its holder."""
        app = web.Application(
            middlewares=[secure_headers, answer_errors, guard(verify, ["seat", "unit"])],
            client_max_size=64 * 1024,
        )
        add_pages(app, "onboard", {"/": "index.html"})
        add_routes(app, self._agent.checks)
        app.router.add_get("/ws", self._socket)
        app.router.add_get("/api/state", self._get_state)
        app.router.add_post("/api/action", self._post_action)
        BayPage(self._agent, self.bay).add_routes(app)
        if self._video is not None:
            self._video.add_routes(app)
        return app

    def _is_ours(self, case: str) -> bool:
        now = self._agent.situation.case
        return now is not None and now.id == case and now.ours

    def _note_watching(self, who: str, case: str) -> None:
        self._agent.logbook.note_read(who, case, self._agent.link.hub_ns(), "caller's video")

    async def run(self) -> None:
        """Tell the pages what changes, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._pages:
                self._tell()
            await asyncio.sleep(PAUSE_S)

    def _tell(self) -> None:
        parts = self._view.parts()
        changed = {name: part for name, part in parts.items() if self._sent.get(name) != part}
        self._sent = parts
        patch = _encode({"type": "patch", "now_ms": self._now_ms(), **changed})
        for page, viewer in self._pages.items():
            if not self._may_show(viewer.who):
                self._withhold(page, viewer)
            elif not viewer.whole:
                self._show_all(page, viewer, parts)
            elif changed:
                page.send_state(patch)

    def _show_all(self, page: PageSocket, viewer: Viewer, parts: dict[str, Any]) -> None:
        snapshot = {"type": "snapshot", "now_ms": self._now_ms(), "seat": viewer.who, **parts}
        page.send_state(_encode(snapshot))
        viewer.whole = True

    def _withhold(self, page: PageSocket, viewer: Viewer) -> None:
        """Show a page nothing more, and say so once."""
        if viewer.whole:
            page.send_state(
                _encode({"type": "error", "error": UNWRITABLE, "reason": "storage", "retry": True})
            )
        viewer.whole = False

    def _may_show(self, who: str) -> bool:
        """Note that somebody is shown the case; if that cannot be written, show nothing."""
        case = self._view.case
        if case is None or (who, case) in self._noted:
            return True
        now_ns = self._agent.clock.monotonic_ns()
        if now_ns < self._retry_ns:
            return False
        try:
            self._agent.logbook.note_read(who, case, self._agent.link.hub_ns())
        except StorageError as error:
            log.exception("page not told", who=who, error=str(error))
            self._retry_ns = now_ns + RETRY_NS
            return False
        self._noted.add((who, case))
        return True

    def _join(self, page: PageSocket, who: str) -> None:
        parts = self._view.parts()
        if not self._pages:
            self._sent = parts
        viewer = self._pages[page] = Viewer(who, whole=True)
        if self._may_show(who):
            self._show_all(page, viewer, parts)
        else:
            self._withhold(page, viewer)

    def _leave(self, page: PageSocket) -> None:
        self._pages.pop(page, None)

    def _now_ms(self) -> float:
        return self._agent.link.hub_ns() / MS

    def _framed(self, recording: OpenRecording, frame: bytes, newest_ns: int) -> None:
        if not self._pages:
            return
        name = recording.setup.setup_id.encode()
        if len(name) > 255:
            DROPPED.labels("tablet").inc()
            return
        cases = {self._view.case, recording.binding.case} - {None}
        case = (recording.binding.case or "").ljust(26).encode()
        newest_ms = (newest_ns + self._agent.link.offset_ns) / MS
        data = _HEAD.pack(FRAME_VERSION, 0, case, newest_ms, len(name)) + name + frame
        for page, viewer in self._pages.items():
            if viewer.whole and all((viewer.who, one) in self._noted for one in cases):
                page.send_frame(data)

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        who = request[HOLDER].name

        async def said(page: PageSocket, message: dict[str, Any]) -> None:
            await self._hear(page, who, message)

        return await serve_page(
            request, lambda page: self._join(page, who), self._leave, said,
            self._agent.link.hub_ns,
        )  # fmt: skip

    async def _hear(self, page: PageSocket, who: str, message: dict[str, Any]) -> None:
        match message.pop("type", None):
            case "action":
                answer = await self._answer(message.pop("request", None), message, who)
                page.send_state(_encode(answer))
            case "drawn":
                _count(message)
            case other:
                raise RequestError(f"a page says action or drawn, not {other!r}")

    async def _answer(self, request: object, message: dict[str, Any], who: str) -> dict[str, Any]:
        """Do an action of a page; what cannot be done is answered, so that its tap is told."""
        head = {"type": "answer", "request": request}
        try:
            return head | {"ok": True} | await self._act(message, who)
        except ForerunError as error:
            REFUSED.labels("tablet", error.reason).inc()
            return head | {
                "ok": False,
                "error": str(error),
                "reason": error.reason,
                "retry": error.retry,
            }

    async def _act(self, message: dict[str, Any], who: str) -> dict[str, Any]:
        """Write into the audit log who asks for an action, and have it done."""
        try:
            action: Action = msgspec.convert(message, Action)
        except msgspec.ValidationError as error:
            raise RequestError(f"action: {error}") from error
        what = f"action {action.__struct_config__.tag}"
        self._agent.logbook.note_read(who, self._view.case or "", self._agent.link.hub_ns(), what)
        return await self._agent.perform(action)

    async def _post_action(self, request: web.Request) -> web.Response:
        message = read_object(await request.read())
        message.pop("type", None)
        return web.json_response(await self._act(message, request[HOLDER].name))

    async def _get_state(self, request: web.Request) -> web.Response:
        if not self._may_show(request[HOLDER].name):
            raise StorageError(UNWRITABLE)
        body = {"now_ms": self._now_ms(), **self._view.parts()}
        return web.Response(body=msgspec.json.encode(body), content_type="application/json")


def _encode(message: dict[str, Any]) -> str:
    return msgspec.json.encode(message).decode()


def _count(message: dict[str, Any]) -> None:
    kind, latencies = message.get("kind"), message.get("latencies_ms")
    if kind not in ("ecg", "fact") or not isinstance(latencies, list):
        raise RequestError("drawn: wants kind (ecg or fact) and latencies_ms, a list")
    histogram = LATENCY.labels(str(kind), "tablet")
    for latency in latencies[:_MOST_REPORTED]:
        if not isinstance(latency, int | float):
            raise RequestError("drawn: latencies_ms wants numbers")
        histogram.observe(latency / 1000)
