"""The gateway's HTTP side at the bay.

    POST   /bay/open, /bay/facts, /bay/close; GET /bay/state   the vehicle: ``streams.bay_messages``
    POST   /api/bay/code    a seat asks for a code; what a crew must type is answered once
    DELETE /api/bay/code    a seat makes it void
    POST   /api/bay/qr      a seat's camera read QR codes: {"frames": ["FB1:…", …]}
    GET    /api/bay         the last hand-overs

The vehicle has no credential of this region's roster to show here, and shows none: the code lets
it in. What a seat asks for is in the audit log before it is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import structlog
from aiohttp import web

from hospital_gateway.bay_desk import BayDesk
from hospital_gateway.errors import BayRefusedError, PairingError
from hospital_gateway.settings import Settings
from streams.bay_code import MOST_FRAMES, content_of
from streams.bay_messages import PORTION_BYTES, Closing, Opening, Portion
from streams.topics import LARGEST_BYTES
from streams.web import HOLDER, RequestError, token_of

OPEN_PATH = "/bay/"
"""What the seats' guard lets through: the handlers check for themselves."""

MOST_BYTES = PORTION_BYTES + LARGEST_BYTES + 64 * 1024
"""Of a request of a vehicle: a piece, one fact that alone is larger, and what is around them."""

log = structlog.get_logger(__name__)

Body = TypeVar("Body", bound=msgspec.Struct)
Note = Callable[[str, str, str], Awaitable[None]]


class _Read(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    frames: Annotated[
        list[Annotated[str, msgspec.Meta(max_length=1000)]],
        msgspec.Meta(min_length=1, max_length=MOST_FRAMES),
    ]


class BayServer:
    """The routes."""

    def __init__(self, desk: BayDesk, addresses: Callable[[], list[str]], note: Note) -> None:
        """Prepare.

        Args:
            desk: Does what is asked for.
            addresses: Under which a vehicle reaches this gateway, for a person to read out.
            note: Writes (who, what, case) into the audit log.
        """
        self._desk, self._addresses, self._note = desk, addresses, note

    def add_routes(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_post("/bay/open", self._open)
        app.router.add_post("/bay/facts", self._facts)
        app.router.add_post("/bay/close", self._close)
        app.router.add_get("/bay/state", self._state)
        app.router.add_post("/api/bay/code", self._make_code)
        app.router.add_delete("/api/bay/code", self._end_code)
        app.router.add_post("/api/bay/qr", self._read_code)
        app.router.add_get("/api/bay", self._list)

    # --- vehicles ----------------------------------------------------------------------------

    async def _open(self, request: web.Request) -> web.Response:
        opening = await _body(request, Opening)
        try:
            return _packed(self._desk.open(opening))
        except (PairingError, BayRefusedError) as error:
            log.warning("hand-over refused", address=request.remote, unit=opening.unit,
                        error=str(error))  # fmt: skip
            raise

    async def _facts(self, request: web.Request) -> web.Response:
        secret = token_of(request)
        self._desk.progress(secret)  # a stranger's megabytes are not even read
        return _packed(await self._desk.take(secret, await _body(request, Portion)))

    async def _close(self, request: web.Request) -> web.Response:
        secret = token_of(request)
        return _packed(await self._desk.close(secret, await _body(request, Closing)))

    async def _state(self, request: web.Request) -> web.Response:
        return _packed(self._desk.progress(token_of(request)))

    # --- seats -------------------------------------------------------------------------------

    async def _make_code(self, request: web.Request) -> web.Response:
        who = request[HOLDER].name
        await self._note(who, "bay code", "")
        code = self._desk.make_code(who).code
        return _json({"code": code, "valid_s": 300, "addresses": self._addresses()})

    async def _end_code(self, request: web.Request) -> web.Response:
        await self._note(request[HOLDER].name, "bay code ended", "")
        self._desk.pairings.end()
        return _json({"ok": True})

    async def _read_code(self, request: web.Request) -> web.Response:
        try:
            read = msgspec.json.decode(await _bytes(request, 64 * 1024), type=_Read)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RequestError(f"QR codes: {error}") from error
        content = content_of(read.frames)
        who = request[HOLDER].name
        await self._note(who, "bay qr", content.case)
        session = await self._desk.read_code(content, who)
        told: dict[str, Any] = msgspec.to_builtins(session.progress())
        return _json({**told, "case": session.case, "unit": session.unit, "label": session.label})

    async def _list(self, request: web.Request) -> web.Response:
        await self._note(request[HOLDER].name, "bay list", "")
        return _json(self._desk.state())


def bay_addresses(settings: Settings) -> list[str]:
    """Return under which addresses a vehicle reaches this gateway: those of its certificate."""
    ready = Path(settings.state) / "ready.json"
    try:
        port = msgspec.json.decode(ready.read_bytes())["port"]
    except (OSError, msgspec.MsgspecError, KeyError):
        port = settings.listen.port
    names = settings.tls.addresses or [settings.listen.host]
    return [f"[{name}]:{port}" if ":" in name else f"{name}:{port}" for name in names]


async def _bytes(request: web.Request, most: int) -> bytes:
    """Return the body of a request, which may be larger than a page's.

    Raises:
        BayRefusedError: It is too large.
    """
    found = bytearray()
    async for piece in request.content.iter_chunked(64 * 1024):
        found += piece
        if len(found) > most:
            raise BayRefusedError(f"more than {most} bytes in one piece")
    return bytes(found)


async def _body(request: web.Request, kind: type[Body]) -> Body:
    data = await _bytes(request, MOST_BYTES)
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BayRefusedError(f"not a {kind.__name__}: {error}") from error


def _packed(answer: msgspec.Struct) -> web.Response:
    return web.Response(body=msgspec.msgpack.encode(answer), content_type="application/vnd.msgpack")


def _json(body: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), content_type="application/json")
