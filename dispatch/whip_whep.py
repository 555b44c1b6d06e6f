"""WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep-03) as handlers of an aiohttp application.

    POST    /whip/{resource}             offer in, answer out; publishes
    POST    /whep/{resource}             offer in, answer out; views
    PATCH   /whip|whep/{resource}/-/{session}    trickled candidates (204); ICE restart is 422
    DELETE  /whip|whep/{resource}/-/{session}    ends the session
    OPTIONS on each                      what it takes

A resource is one to four names with ``/`` between them, such as ``unit-7/cabin``. Refusals are
plain text that says what to change.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from aiohttp import hdrs, web
from aiortc.sdp import candidate_from_sdp

from dispatch.offers import OfferError, Role
from dispatch.relay import Relay, RelayFullError, Session
from streams.errors import CredentialError, TransportError
from streams.webrtc import SDP_TYPE, IceServer

Authorise = Callable[[web.Request, str, Role], Awaitable[str]]
"""Says who a request is from: ``await authorise(request, resource, role) -> identity``.

``role`` is ``publish`` or ``view``. It raises ``streams.errors.CredentialError`` when the
request has no usable credential (401), or an ``aiohttp.web.HTTPException`` of its own choice,
such as ``HTTPForbidden``. It is asked for every request but OPTIONS.
"""

FRAGMENT_TYPE = "application/trickle-ice-sdpfrag"
MAX_SDP_BYTES = 64 * 1024
RETRY_AFTER_S = 5

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
_RESOURCE = rf"{_NAME}(?:/{_NAME}){{0,3}}"
_SESSION = r"[A-Za-z0-9_-]{16,64}"
_UFRAG = re.compile(r"^a=ice-ufrag:(\S+)", re.MULTILINE)

Protocol = Literal["whip", "whep"]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def add_relay_routes(app: web.Application, relay: Relay, authorise: Authorise) -> None:
    """Add WHIP below ``/whip/`` and WHEP below ``/whep/`` to an application.

    Args:
        app: Where to add them, before it is started.
        relay: Already entered by the time requests come.
        authorise: Says who a request is from, or refuses it.
    """
    whip = _Endpoint(relay, authorise, protocol="whip", role="publish")
    whep = _Endpoint(relay, authorise, protocol="whep", role="view")
    for endpoint in (whip, whep):
        base = f"/{endpoint.protocol}/{{resource:{_RESOURCE}}}"
        one = f"{base}/-/{{session:{_SESSION}}}"
        app.router.add_post(base, endpoint.serve(endpoint.post))
        app.router.add_options(base, endpoint.serve(endpoint.options))
        app.router.add_patch(one, endpoint.serve(endpoint.patch))
        app.router.add_delete(one, endpoint.serve(endpoint.delete))
        app.router.add_options(one, endpoint.serve(endpoint.options))


class _RefusedError(Exception):
    """A request that is not served: its status, its text, and a word for the counter."""

    def __init__(
        self, status: int, text: str, reason: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.headers = dict(headers or {})


class _Endpoint:
    def __init__(
        self,
        relay: Relay,
        authorise: Authorise,
        *,
        protocol: Protocol,
        role: Role,
    ) -> None:
        self.protocol = protocol
        self._relay = relay
        self._authorise = authorise
        self._role: Role = role

    def serve(self, handler: Handler) -> Handler:
        """Wrap a handler: refusals become plain text, and are counted."""

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                response = await handler(request)
            except _RefusedError as refused:
                self._relay.refused[refused.reason] += 1
                response = web.Response(
                    status=refused.status, text=f"{refused}\n", headers=refused.headers
                )
            except web.HTTPException:
                self._relay.refused["authorisation"] += 1
                raise
            return response

        return answer

    async def post(self, request: web.Request) -> web.Response:
        """Take an offer and give the answer (RFC 9725, section 4.2)."""
        resource = request.match_info["resource"]
        identity = await self._identify(request, resource)
        if request.content_type != SDP_TYPE:
            raise _RefusedError(415, f"send the offer as {SDP_TYPE}", "content type")
        if not _accepts_sdp(request):
            raise _RefusedError(406, f"the answer is {SDP_TYPE}: accept it", "accept")
        offer = await _read_body(request)
        opens = self._relay.publish if self._role == "publish" else self._relay.view
        try:
            session = await opens(resource, offer, identity)
        except OfferError as error:
            raise _RefusedError(error.status, str(error), "offer") from error
        except (RelayFullError, TransportError) as error:
            headers = {"Retry-After": str(RETRY_AFTER_S)}
            raise _RefusedError(503, str(error), error.reason, headers) from error
        response = web.Response(status=201, text=session.answer, content_type=SDP_TYPE)
        response.headers[hdrs.LOCATION] = f"{request.path}/-/{session.id}"
        response.headers[hdrs.ETAG] = session.etag
        for server in self._relay.settings.peer.ice_servers:
            response.headers.add(hdrs.LINK, _link(server))
        return response

    async def delete(self, request: web.Request) -> web.Response:
        """End a session."""
        self._relay.end(await self._find(request))
        return web.Response()

    async def patch(self, request: web.Request) -> web.Response:
        """Take trickled candidates (RFC 9725, section 4.3.2); there is no ICE restart."""
        session = await self._find(request)
        if request.content_type != FRAGMENT_TYPE:
            raise _RefusedError(415, f"send candidates as {FRAGMENT_TYPE}", "content type")
        match = request.headers.get(hdrs.IF_MATCH, "").strip()
        if not match:
            raise _RefusedError(428, "send If-Match with the session's ETag", "precondition")
        fragment = await _read_body(request)
        if match == "*" or _is_restart(session, fragment):
            text = "ICE restarts are not supported: end the session and open a new one"
            raise _RefusedError(422, text, "ice restart")
        if match != session.etag:
            raise _RefusedError(412, "the ETag is not this session's", "precondition")
        await _add_candidates(session, fragment)
        return web.Response(status=204)

    async def options(self, _request: web.Request) -> web.Response:
        """Say what is taken."""
        return web.Response(status=204, headers={"Accept-Post": SDP_TYPE})

    async def _find(self, request: web.Request) -> Session:
        resource = request.match_info["resource"]
        identity = await self._identify(request, resource)
        session = self._relay.find(resource, request.match_info["session"])
        if session is None or session.role != self._role:
            raise _RefusedError(404, "no such session: it has ended", "no session")
        if session.identity != identity:
            raise _RefusedError(403, "the session is somebody else's", "not owner")
        return session

    async def _identify(self, request: web.Request, resource: str) -> str:
        try:
            return await self._authorise(request, resource, self._role)
        except CredentialError as error:
            headers = {"WWW-Authenticate": "Bearer"}
            raise _RefusedError(401, str(error), error.reason, headers) from error


def _accepts_sdp(request: web.Request) -> bool:
    """Whether the Accept header admits the answer (RFC 9110, section 12.5.1)."""
    accept = ",".join(request.headers.getall(hdrs.ACCEPT, ()))
    if not accept.strip():
        return True
    for part in accept.split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        refused = any(re.fullmatch(r"q=0(\.0{0,3})?", parameter) for parameter in parameters)
        if kind.lower() in (SDP_TYPE, "application/*", "*/*") and not refused:
            return True
    return False


async def _read_body(request: web.Request) -> str:
    body = bytearray()
    async for chunk in request.content.iter_chunked(16 * 1024):
        body += chunk
        if len(body) > MAX_SDP_BYTES:
            raise _RefusedError(413, f"at most {MAX_SDP_BYTES} bytes are taken", "too large")
    return body.decode("utf-8", errors="replace")


def _is_restart(session: Session, fragment: str) -> bool:
    offered = set(_UFRAG.findall(session.peer.remoteDescription.sdp))
    named = set(_UFRAG.findall(fragment))
    return bool(named) and not named <= offered


async def _add_candidates(session: Session, fragment: str) -> None:
    """Add the candidates of a fragment (RFC 8840).

    All media are in one bundle, so each candidate is for its first section. Names that only
    multicast DNS resolves are skipped, as RFC 9725 allows.
    """
    for line in fragment.splitlines():
        if not line.startswith("a=candidate:") or ".local " in line:
            continue
        try:
            candidate = candidate_from_sdp(line.removeprefix("a=candidate:"))
        except (AssertionError, ValueError, IndexError) as error:
            raise _RefusedError(400, f"malformed candidate: {line[:100]}", "candidates") from error
        candidate.sdpMLineIndex = 0
        await session.peer.addIceCandidate(candidate)


def _link(server: IceServer) -> str:
    link = f'<{server.url}>; rel="ice-server"'
    if server.username:
        credential = f'username="{server.username}"; credential="{server.credential}"'
        link += f'; {credential}; credential-type="password"'
    return link
