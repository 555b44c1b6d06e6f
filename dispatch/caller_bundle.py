"""The caller's page in one piece, so that it is there soon also over a slow link."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import structlog
from aiohttp import web

from streams.errors import ConfigError
from streams.packed_files import answer_with
from streams.page_bundle import PageBundle, bundle
from streams.web import POLICY

AT = "/static/bundle/"
MESSAGES = ("/static/shared/messages/", "/static/page/caller/messages/")

EARLY = (
    'globalThis.forerunSocket=new WebSocket(location.origin.replace("http","ws")'
    '+location.pathname.replace(/\\/$/,"")+"/text")'
)
"""Opens the page's socket while its script is under way: three round trips less to wait for."""

log = structlog.get_logger(__name__)


def static_folders() -> dict[str, Path]:
    """Return what is served under which address."""
    return {
        "/static/shared/": Path(str(resources.files("streams"))) / "static",
        "/static/page/": Path(str(resources.files("dispatch"))) / "static",
    }


class CallerBundle:
    """Serves the page; where it cannot be joined, as the files it is made of."""

    def __init__(self) -> None:
        """Join the page."""
        folders = static_folders()
        self._document = folders["/static/page/"] / "caller" / "index.html"
        self._bundle: PageBundle | None = None
        try:
            self._bundle = bundle(self._document, folders, AT, MESSAGES, EARLY)
        except ConfigError as error:
            log.exception("the caller's page goes out in many pieces", error=str(error))

    def add_routes(self, app: web.Application) -> None:
        """Add the scripts to an application."""
        app.router.add_get(AT + "{name}", self.script)

    async def page(self, request: web.Request) -> web.StreamResponse:
        """Answer with the page."""
        if self._bundle is None:
            return web.FileResponse(self._document)
        answer = await answer_with(request, self._bundle.page)
        allowed = f"{POLICY}; script-src {self._bundle.script_source}"
        answer.headers["Content-Security-Policy"] = allowed
        return answer

    async def script(self, request: web.Request) -> web.StreamResponse:
        """Answer with one of its scripts."""
        piece = self._bundle.scripts.get(request.path) if self._bundle is not None else None
        if piece is None:
            raise web.HTTPNotFound
        return await answer_with(request, piece, keep=True)
