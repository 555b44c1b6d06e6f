"""WHEP for the board's own pages: the offer goes to the hub with the gateway's credential.

The browser speaks to its own server only; picture and sound then flow from the hub. A page
names the case, never the vehicle: which vehicle that is, and whether this hospital may see it
now, is decided here, and by the hub again.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import aiohttp
import structlog
from aiohttp import hdrs, web

from hospital_gateway.board import Board
from streams.caller_video import CAMERA, resource_of
from streams.credentials import Credential
from streams.errors import ForerunError
from streams.health import REFUSED
from streams.web import HOLDER

TIMEOUT_S = 10.0
"""Longest wait for the hub."""

MAX_SDP_BYTES = 64 * 1024

MOST_SESSIONS = 200
"""Sessions remembered; beyond, the oldest is ended at the hub."""

CALLER = "caller"
"""The stream that is no vehicle's: what the case's caller shows. The hub says from when on."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_CASE = r"[0-9A-Z]{26}"
_SESSION = r"[A-Za-z0-9_-]{16,64}"
_PASSED_ON = (hdrs.CONTENT_TYPE, hdrs.ETAG, hdrs.RETRY_AFTER, "Accept-Patch")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Session:
    case: str
    url: str


class MediaProxy:
    """Passes WHEP requests on to the hub; use it with ``async with``."""

    def __init__(
        self,
        *,
        board: Board,
        hub: str,
        credential: Credential,
        tls: ssl.SSLContext,
        note: Callable[[str, str, str], Awaitable[None]],
    ) -> None:
        """Prepare.

        Args:
            board: Knows which cases are coming here, and with which vehicle.
            hub: The hub's address, ``https://…``.
            credential: This gateway's own.
            tls: Trusts the hub.
            note: Writes a reading into the audit log: who, what, case.
        """
        self._board, self._hub, self._note = board, hub.rstrip("/"), note
        self._headers = {hdrs.AUTHORIZATION: f"Bearer {credential.token}"}
        self._tls = tls
        self._sessions: dict[str, _Session] = {}
        self._ended: asyncio.Queue[str] = asyncio.Queue(1000)
        self._client: aiohttp.ClientSession

    async def __aenter__(self) -> MediaProxy:
        self._client = aiohttp.ClientSession(
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
            connector=aiohttp.TCPConnector(ssl=self._tls),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    def add_routes(self, app: web.Application) -> None:
        """Serve ``/whep/{case}/{stream}`` and its sessions."""
        base = f"/whep/{{case:{_CASE}}}/{{stream:{_NAME}}}"
        one = f"{base}/-/{{session:{_SESSION}}}"
        app.router.add_post(base, self._post)
        app.router.add_patch(one, self._pass_on)
        app.router.add_delete(one, self._pass_on)

    def end_case(self, case: str) -> None:
        """End what is still watched of a case that is no longer coming here, soon."""
        if not self._ended.full():
            self._ended.put_nowait(case)

    async def run(self) -> None:
        """End sessions of cases that left, until cancelled."""
        while True:
            case = await self._ended.get()
            for id_ in [id_ for id_, one in self._sessions.items() if one.case == case]:
                await self._end(id_)

    async def _post(self, request: web.Request) -> web.Response:
        case, stream = request.match_info["case"], request.match_info["stream"]
        try:
            units = self._board.current(case).units
        except ForerunError as error:
            REFUSED.labels("media", error.reason).inc()
            return web.Response(status=403, text=f"{error}\n")
        if stream != CALLER and not units:
            return web.Response(status=404, text="no vehicle is assigned to this case\n")
        offer = await _read(request.content)
        await self._note(request[HOLDER].name, f"video {stream}", case)
        resource = resource_of(case, CAMERA) if stream == CALLER else f"{units[0]}/{stream}"
        url = f"{self._hub}/whep/{resource}"
        headers: dict[str, str] = {hdrs.CONTENT_TYPE: request.headers.get(hdrs.CONTENT_TYPE, "")}
        answer, location = await self._ask("POST", url, offer, headers)
        if answer.status == 201 and location:
            id_ = location.rsplit("/", 1)[-1]
            self._sessions[id_] = _Session(case, f"{self._hub}{location}")
            answer.headers[hdrs.LOCATION] = f"{request.path}/-/{id_}"
            if len(self._sessions) > MOST_SESSIONS:
                await self._end(next(iter(self._sessions)))
        return answer

    async def _pass_on(self, request: web.Request) -> web.Response:
        id_ = request.match_info["session"]
        session = self._sessions.get(id_)
        if session is None or session.case != request.match_info["case"]:
            return web.Response(status=404, text="no such session: it has ended\n")
        body = await _read(request.content)
        names = (hdrs.CONTENT_TYPE, hdrs.IF_MATCH)
        headers: dict[str, str] = {
            name: request.headers[name] for name in names if name in request.headers
        }
        if request.method == hdrs.METH_DELETE:
            self._sessions.pop(id_)
        answer, _ = await self._ask(request.method, session.url, body, headers)
        return answer

    async def _ask(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[web.Response, str | None]:
        try:
            async with self._client.request(
                method, url, data=body or None, headers=headers, allow_redirects=False
            ) as answer:
                text = (await _read(answer.content)).decode(errors="replace")
                response = web.Response(status=answer.status, text=text)
                for name in _PASSED_ON:
                    if name in answer.headers:
                        response.headers[name] = answer.headers[name]
                for link in answer.headers.getall(hdrs.LINK, ()):
                    response.headers.add(hdrs.LINK, link)
                location = answer.headers.get(hdrs.LOCATION)
        except web.HTTPRequestEntityTooLarge:
            text = f"the hub answered with more than {MAX_SDP_BYTES} bytes\n"
            return web.Response(status=502, text=text), None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.warning("hub's media not reached", url=url, error=str(error))
            text = f"the hub cannot be reached for video ({type(error).__name__})\n"
            return web.Response(status=502, text=text), None
        if location and "://" in location:
            location = "/" + location.split("/", 3)[-1]
        return response, location

    async def _end(self, id_: str) -> None:
        session = self._sessions.pop(id_, None)
        if session is None:
            return
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self._client.delete(session.url):
                log.info("video ended", case=session.case)


async def _read(content: aiohttp.StreamReader) -> bytes:
    """Return all of a body: ``content.read(n)`` would give what has come so far.

    Raises:
        HTTPRequestEntityTooLarge: It has more than ``MAX_SDP_BYTES``.
    """
    body = bytearray()
    async for piece in content.iter_any():
        body += piece
        if len(body) > MAX_SDP_BYTES:
            raise web.HTTPRequestEntityTooLarge(MAX_SDP_BYTES, len(body))
    return bytes(body)
