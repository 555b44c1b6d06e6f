"""Static files of pages go packed (gzip) to who takes that; a slow phone waits a third as long."""

from __future__ import annotations

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from aiohttp import hdrs, web

from streams.page_bundle import Piece

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

KINDS = {
    ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml",
    ".json": "application/json", ".html": "text/html",
}  # fmt: skip
LEAST_BYTES = 600
"""A file that fits one packet anyway gains nothing."""

KEPT = 200
"""Packed files in memory, of some kilobytes each."""

FOR_EVER = "public, max-age=31536000, immutable"


def packed_files(folders: Mapping[str, Path]) -> Any:
    """Return a middleware that answers for static files with packed ones.

    Args:
        folders: What is served under which address, such as ``/static/shared/``; everything else,
            and who takes no gzip, goes on to its handler.
    """
    kept: OrderedDict[tuple[Path, int], bytes] = OrderedDict()

    def packed(path: Path) -> tuple[bytes, str] | None:
        try:
            state = path.stat()
        except OSError:
            return None
        if not path.is_file() or state.st_size < LEAST_BYTES:
            return None
        key = path, state.st_mtime_ns
        data = kept.get(key) or gzip.compress(path.read_bytes(), 9)
        kept[key] = data
        while len(kept) > KEPT:
            kept.popitem(last=False)
        return data, f'"{state.st_mtime_ns:x}-{state.st_size:x}-gzip"'

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        path = _path_of(request, folders)
        found = await asyncio.to_thread(packed, path) if path is not None else None
        if path is None or found is None:
            return await handler(request)
        data, tag = found
        headers: dict[str, str] = {hdrs.ETAG: tag, hdrs.VARY: "Accept-Encoding"}
        if request.headers.get(hdrs.IF_NONE_MATCH) == tag:
            return web.Response(status=304, headers=headers)
        return _packed(data, KINDS[path.suffix], headers)

    return answer


def answer_with(request: web.Request, piece: Piece, *, keep: bool = False) -> web.Response:
    """Answer with a piece of a page, packed for who takes that.

    Args:
        request: What is answered.
        piece: With what.
        keep: Whether its address changes with its content, so that browsers never ask again.
    """
    headers: dict[str, str] = {hdrs.VARY: "Accept-Encoding"}
    if keep:
        headers[hdrs.CACHE_CONTROL] = FOR_EVER
    if takes_gzip(request):
        return _packed(piece.packed, piece.kind, headers)
    return web.Response(body=piece.text, content_type=piece.kind, charset="utf-8", headers=headers)


def takes_gzip(request: web.Request) -> bool:
    """Whether who asks takes gzip."""
    return "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower()


def _packed(data: bytes, kind: str, headers: dict[str, str]) -> web.Response:
    headers = {**headers, hdrs.CONTENT_ENCODING: "gzip"}
    return web.Response(body=data, content_type=kind, charset="utf-8", headers=headers)


def _path_of(request: web.Request, folders: Mapping[str, Path]) -> Path | None:
    if request.method != "GET" or hdrs.RANGE in request.headers or not takes_gzip(request):
        return None
    for begin, folder in folders.items():
        if request.path.startswith(begin):
            path = (folder / request.path.removeprefix(begin)).resolve()
            inside = folder.resolve() in path.parents
            return path if inside and path.suffix in KINDS else None
    return None
