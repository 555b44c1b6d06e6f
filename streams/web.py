"""What the pages' servers share: who may come in, static files, and one socket per page.

A seat comes in with its key in the address (``?key=NAME.SECRET``) once; the key moves into a
cookie that scripts cannot read, and out of the address. Machines send the same token as
``Authorization: Bearer``.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import msgspec
import structlog
from aiohttp import WSCloseCode, web

from streams.errors import CredentialError, ForerunError
from streams.health import DROPPED, REFUSED
from streams.no_entry import no_entry, wants_page
from streams.service import SOCKETS

COOKIE = "forerun_seat"
STATES = 256
"""State messages that may wait for a slow page before it is disconnected."""
FRAMES = 64
"""Waveform frames that may wait; beyond, the oldest is skipped and counted."""
TICK_S = 2.0
"""How often an idle page is told the time; a page that hears nothing for 6 s says so."""
FINISH_S = 5.0
"""How long what a page asked for may go on after the page's link broke."""

POLICY = (
    "default-src 'self'; connect-src 'self' https: wss:; img-src 'self' data: https:; "
    "media-src 'self' blob:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'"
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = structlog.get_logger(__name__)


class Holder(Protocol):
    """Who holds a credential: the part of ``streams.credentials.Credential`` used here."""

    @property
    def name(self) -> str:
        """The seat, unit, gateway or hub."""

    @property
    def role(self) -> str:
        """``seat``, ``unit``, ``hospital`` or ``hub``."""


Verify = Callable[[str], Holder]
"""Turns a token into its holder, or raises ``CredentialError``."""

HOLDER = web.RequestKey("holder", Holder)


def guard(verify: Verify, roles: Iterable[str], open_paths: Iterable[str] = ()) -> Any:
    """Return a middleware that lets in holders of a credential in ``roles`` and nobody else.

    A browser that opens a page without a valid key gets a page in words, a program JSON.
    The holder is at ``request[HOLDER]``. ``/healthz``, ``/metrics`` and ``/static/`` are open,
    and what starts with one of ``open_paths`` (its handlers check for themselves).
    """
    allowed = frozenset(roles)
    unguarded = ("/healthz", "/metrics", "/static/", *open_paths)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path.startswith(unguarded):
            return await handler(request)
        try:
            holder = verify(token_of(request))
            if holder.role not in allowed:
                raise CredentialError(f"{holder.name} is not for this page: {holder.role}")
        except CredentialError as error:
            REFUSED.labels("web", error.reason).inc()
            if wants_page(request):
                return no_entry(str(error))
            return web.json_response({"error": str(error)}, status=401)
        if "key" in request.query:
            return _into_cookie(request)
        request[HOLDER] = holder
        return await handler(request)

    return check


def token_of(request: web.Request) -> str:
    """Return the token of a request: from the bearer header, the address, or the cookie.

    Raises:
        CredentialError: There is none.
    """
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer:
        return bearer.strip()
    token = request.query.get("key") or request.cookies.get(_cookie(request))
    if not token:
        raise CredentialError("no credential: open the page with the address that has your key")
    return token


def _cookie(request: web.Request) -> str:
    """Return the cookie's name: browsers share cookies between the ports of a machine."""
    return f"{COOKIE}_{request.url.port}"


def _into_cookie(request: web.Request) -> web.Response:
    clean = str(request.rel_url.without_query_params("key"))
    response = web.Response(status=303, headers={"Location": clean})
    response.set_cookie(
        _cookie(request),
        request.query["key"],
        httponly=True,
        secure=request.secure,
        samesite="Strict",
    )
    return response


@web.middleware
async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: our errors become JSON ``{"error": …}`` with status 400, counted by reason."""
    try:
        return await handler(request)
    except CredentialError as error:
        REFUSED.labels("web", error.reason).inc()
        return web.json_response({"error": str(error)}, status=403)
    except ForerunError as error:
        REFUSED.labels("web", error.reason).inc()
        status = 503 if error.retry else 400
        return web.json_response({"error": str(error), "retry": error.retry}, status=status)


@web.middleware
async def secure_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Middleware: a content policy, no sniffing, no referrer, revalidated files."""
    response = await handler(request)
    if not response.prepared:
        response.headers.setdefault("Content-Security-Policy", POLICY)
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        response.headers.setdefault("Cache-Control", "no-cache")
    return response


def add_pages(app: web.Application, package: str, pages: dict[str, str]) -> None:
    """Serve a package's pages and static files, and those that all pages share.

    ``/static/shared/`` is ``streams/static`` (with the vendor folder), ``/static/page/`` is the
    package's own. ``pages`` maps a path such as ``/`` to a file of the package's folder.
    """
    own = Path(str(resources.files(package).joinpath("static")))
    app.router.add_static("/static/shared/", Path(str(resources.files("streams"))) / "static")
    app.router.add_static("/static/page/", own)
    for path, name in pages.items():
        app.router.add_get(path, _file_handler(own / name))


def _file_handler(path: Path) -> Handler:
    async def serve(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(path)

    return serve


class RequestError(ForerunError):
    """A request of a page or an API client is wrong; the text names the field."""

    reason = "request"


class PageSocket:
    """One page's WebSocket: JSON for state, binary for waveforms, one bounded queue each.

    State is never skipped: a page too slow for it is disconnected with a reason and starts
    again from a snapshot. Waveform frames are skipped, oldest first, and counted.
    """

    def __init__(
        self, socket: web.WebSocketResponse, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._socket = socket
        self._now_ns = now_ns
        self._states: deque[str] = deque()
        self._frames: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self._too_slow = False
        self.skipped = 0

    def send_state(self, text: str) -> None:
        """Queue a state message, encoded once by the caller for all pages."""
        if len(self._states) >= STATES:
            self._too_slow = True
        else:
            self._states.append(text)
        self._wake.set()

    def send_frame(self, frame: bytes) -> None:
        """Queue a waveform frame; the oldest is skipped when the page is slow."""
        if len(self._frames) >= FRAMES:
            self._frames.popleft()
            self.skipped += 1
            DROPPED.labels("page").inc()
        self._frames.append(frame)
        self._wake.set()

    async def tick(self) -> None:
        """Say the time every ``TICK_S``: the page takes its clock from it, and notes silence."""
        while not self._socket.closed:
            if not self._states:
                self.send_state(f'{{"type":"tick","now_ms":{self._now_ns() // 1_000_000}}}')
            await asyncio.sleep(TICK_S)

    async def pump(self) -> None:
        """Send what is queued until the socket closes."""
        while not self._socket.closed:
            await self._wake.wait()
            self._wake.clear()
            if self._too_slow:
                await self._socket.close(
                    code=WSCloseCode.TRY_AGAIN_LATER, message=b"page too slow, start again"
                )
                return
            while self._states or self._frames:
                if self._states:
                    await self._socket.send_str(self._states.popleft())
                else:
                    await self._socket.send_bytes(self._frames.popleft())


Said = Callable[[PageSocket, dict[str, Any]], Coroutine[Any, Any, None]]
"""Does what a page's message asks for."""


async def serve_page(
    request: web.Request,
    joined: Callable[[PageSocket], None],
    left: Callable[[PageSocket], None],
    said: Said,
    now_ns: Callable[[], int] = time.time_ns,
    *,
    heard: Callable[[PageSocket, bytes], None] | None = None,
) -> web.WebSocketResponse:
    """Serve one page's WebSocket until it closes.

    Args:
        request: The upgrade request, already let in by ``guard``.
        joined: Called with the page's socket; queues the snapshot.
        left: Called when it is gone.
        said: Called for each JSON object that the page sends; our errors go back to the page
            as ``{"type": "error", "error": …}``. It is not cut off when the page's link breaks:
            a page that said "send" and lost its link did say it.
        now_ns: The hub's clock, where this machine's own is not it: the pages show this time.
        heard: Called for each binary message, such as sound; without it they are left out.
    """
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != request.host:
        raise CredentialError(f"a page from {origin} may not open this socket")
    socket = web.WebSocketResponse(heartbeat=5, max_msg_size=256 * 1024, compress=False)
    await socket.prepare(request)
    page = PageSocket(socket, now_ns)
    joined(page)
    others = request.app.get(SOCKETS, set())
    others.add(socket)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(page.pump(), name="page.pump"),
                group.create_task(page.tick(), name="page.tick"),
            ]
            async for message in socket:
                if message.type is web.WSMsgType.TEXT:
                    await _hear(page, message.data, said)
                elif message.type is web.WSMsgType.BINARY and heard is not None:
                    heard(page, message.data)
            for task in tasks:
                task.cancel()
    except* ConnectionError as errors:
        log.info("page left", error=str(errors.exceptions[0]))
    finally:
        others.discard(socket)
        left(page)
    return socket


async def _hear(page: PageSocket, text: str, said: Said) -> None:
    try:
        await _finish(said(page, read_object(text)))
    except ForerunError as error:
        REFUSED.labels("page", error.reason).inc()
        answer = {"type": "error", "error": str(error), "retry": error.retry}
        page.send_state(msgspec.json.encode(answer).decode())


async def _finish(asked: Coroutine[Any, Any, None]) -> None:
    """Do what a page asked for to its end, for a while also after who waits is cancelled."""
    task = asyncio.create_task(asked, name="page.asked")
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=FINISH_S)
        if task.done() and not task.cancelled() and task.exception() is not None:
            log.warning("failed for a page that left", error=str(task.exception()))
        raise
    finally:
        task.cancel()


def read_object(text: str | bytes) -> dict[str, Any]:
    """Decode a JSON object.

    Raises:
        RequestError: It is something else.
    """
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RequestError(f"not a JSON object: {error}") from error
