"""The gallery of the shared page language, served as the real pages are served."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from streams.web import secure_headers

REPOSITORY = Path(__file__).resolve().parents[1]
STATIC = REPOSITORY / "streams" / "static"
GALLERY = REPOSITORY / "tests" / "browser" / "gallery"


@dataclass
class GalleryServer:
    """Serves the gallery as the real pages are served, with a socket that can misbehave."""

    url: str = ""
    ticking: bool = True
    refusing: bool = False
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    heard: list[Any] = field(default_factory=list)

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """A page's WebSocket: ticks while `ticking`."""
        if self.refusing:
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        ticks = asyncio.create_task(self._tick(socket), name="gallery.tick")
        try:
            async for message in socket:
                self.heard.append(json.loads(message.data))
        finally:
            ticks.cancel()
        return socket

    async def _tick(self, socket: web.WebSocketResponse) -> None:
        while not socket.closed:
            if self.ticking:
                await socket.send_json({"type": "tick", "now_ms": time.time() * 1000})
            await asyncio.sleep(0.2)

    async def cut(self) -> None:
        """Ends all sockets, and lets no new one in."""
        self.refusing = True
        for socket in self.sockets:
            await socket.close()
        self.sockets.clear()


@asynccontextmanager
async def serve_gallery() -> AsyncIterator[GalleryServer]:
    """The gallery on a free port of 127.0.0.1."""
    server = GalleryServer()
    app = web.Application(middlewares=[secure_headers])
    app.router.add_static("/static/shared/", STATIC)
    app.router.add_static("/static/page/", GALLERY)

    async def index(_: web.Request) -> web.FileResponse:
        return web.FileResponse(GALLERY / "index.html")

    app.router.add_get("/", index)
    app.router.add_get("/ws", server.socket)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
        yield server
    finally:
        await server.cut()
        await runner.cleanup()
