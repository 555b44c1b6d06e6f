"""WHEP for the crew's page: what the caller shows, on the way to him.

The browser speaks to the vehicle only; the offer goes to the hub with the vehicle's credential,
over the uplink in use. Picture and sound then flow from the hub to the tablet itself, through
whatever router of the vehicle it is behind: the agent never has them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import structlog
from aiohttp import hdrs, web

from streams.errors import CredentialError, TransportError
from streams.health import REFUSED
from streams.web import HOLDER
from streams.webrtc import SDP_TYPE, Signalling

REACH_S = 6.0
"""Longest wait for the hub: the page gives its own request up after 8 s."""

MAX_SDP_BYTES = 64 * 1024
MOST_SESSIONS = 16
"""Sessions remembered; beyond, the oldest is ended at the hub."""

_CASE = r"[0-9A-Z]{26}"
_SESSION = r"[A-Za-z0-9_-]{16,64}"

log = structlog.get_logger(__name__)


class CallerVideoProxy:
    """Passes the page's WHEP requests on to the hub."""

    def __init__(
        self,
        endpoint: Callable[[str], Signalling],
        *,
        is_ours: Callable[[str], bool],
        note: Callable[[str, str], None],
    ) -> None:
        """Prepare.

        Args:
            endpoint: Gives the hub's endpoint of a case's caller.
            is_ours: Whether a case is the one that this crew has now; the hub decides as well.
            note: Writes into the audit log that somebody watches: who, which case.
        """
        self._endpoint = endpoint
        self._is_ours = is_ours
        self._note = note
        self._sessions: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def add_routes(self, app: web.Application) -> None:
        """Serve ``/whep/{case}/caller`` and its sessions."""
        base = f"/whep/{{case:{_CASE}}}/caller"
        app.router.add_post(base, self._post)
        app.router.add_delete(f"{base}/-/{{session:{_SESSION}}}", self._delete)

    async def _post(self, request: web.Request) -> web.Response:
        case = request.match_info["case"]
        if not self._is_ours(case):
            REFUSED.labels("media", "not_yours").inc()
            return web.Response(status=403, text="this is not the crew's case\n")
        offer = (await _read(request)).decode(errors="replace")
        self._note(request[HOLDER].name, case)
        endpoint = self._endpoint(case)
        try:
            answer, session_url = await endpoint.post(offer, await endpoint.reach(REACH_S))
        except CredentialError as error:
            return web.Response(status=403, text=f"{error}\n")
        except TransportError as error:
            log.warning("caller's video not reached", error=str(error))
            return web.Response(status=502, text=f"{error}\n")
        session = session_url.rsplit("/", 1)[-1]
        self._sessions[session] = (case, session_url)
        while len(self._sessions) > MOST_SESSIONS:
            _, (old_case, old_url) = self._sessions.popitem(last=False)
            await self._endpoint(old_case).delete(old_url)
        headers = {hdrs.LOCATION: f"{request.path}/-/{session}"}
        return web.Response(status=201, text=answer, content_type=SDP_TYPE, headers=headers)

    async def _delete(self, request: web.Request) -> web.Response:
        case, session_url = self._sessions.pop(request.match_info["session"], ("", ""))
        if case != request.match_info["case"]:
            return web.Response(status=404, text="no such session: it has ended\n")
        await self._endpoint(case).delete(session_url)
        return web.Response()


async def _read(request: web.Request) -> bytes:
    """Return all of an offer.

    Raises:
        HTTPRequestEntityTooLarge: It has more than ``MAX_SDP_BYTES``.
    """
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > MAX_SDP_BYTES:
            raise web.HTTPRequestEntityTooLarge(MAX_SDP_BYTES, len(body))
    return bytes(body)
