"""Files of pages go packed to who takes that; a slow phone waits a third as long."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import brotli
from aiohttp import hdrs, web

from streams.page_bundle import Piece

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

KINDS = {
    ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml",
    ".json": "application/json", ".html": "text/html",
}  # fmt: skip
LEAST_BYTES = 600
"""A file that fits one packet anyway gains nothing."""

KEPT = 400
"""Packed texts in memory, of some kilobytes each."""

FOR_EVER = "public, max-age=31536000, immutable"


BEST, QUICK = 11, 5
"""Brotli's quality: an eighth less than gzip at 0.2 s for 80 kB, or a little less at 4 ms."""


@lru_cache(maxsize=KEPT)
def packed(data: bytes, encoding: str, quality: int = BEST) -> bytes:
    """Return a text packed; it is done once for each.

    Args:
        data: The text.
        encoding: ``br`` (RFC 7932) or ``gzip``, as in ``Content-Encoding``.
        quality: Of ``br``: 0 to 11.
    """
    small: bytes
    if encoding == "br":
        small = brotli.compress(data, quality=quality)
    else:
        small = gzip.compress(data, 9, mtime=0)
    return small


def packed_files(folders: Mapping[str, Path]) -> Any:
    """Return a middleware that answers for static files with packed ones.

    Args:
        folders: What is served under which address, such as ``/static/shared/``; everything else,
            and who takes neither encoding, goes on to its handler.
    """

    def read(path: Path, encoding: str) -> tuple[bytes, str] | None:
        try:
            state = path.stat()
            if not path.is_file() or state.st_size < LEAST_BYTES:
                return None
            data = packed(path.read_bytes(), encoding, QUICK)
        except OSError:
            return None
        return data, f'"{state.st_mtime_ns:x}-{state.st_size:x}-{encoding}"'

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        path, encoding = _path_of(request, folders), encoding_for(request)
        if path is None or encoding is None:
            return await handler(request)
        found = await asyncio.to_thread(read, path, encoding)
        if found is None:
            return await handler(request)
        data, tag = found
        headers: dict[str, str] = {hdrs.ETAG: tag, hdrs.VARY: "Accept-Encoding"}
        if request.headers.get(hdrs.IF_NONE_MATCH) == tag:
            return web.Response(status=304, headers=headers)
        headers[hdrs.CONTENT_ENCODING] = encoding
        return _text(data, KINDS[path.suffix], headers)

    return answer


async def answer_with(request: web.Request, piece: Piece, *, keep: bool = False) -> web.Response:
    """Answer with a piece of a page, packed for who takes that.

    Args:
        request: What is answered.
        piece: With what.
        keep: Whether its address changes with its content, so that browsers never ask again.
    """
    headers: dict[str, str] = {hdrs.VARY: "Accept-Encoding"}
    if keep:
        headers[hdrs.CACHE_CONTROL] = FOR_EVER
    encoding = encoding_for(request)
    if encoding is None:
        return _text(piece.text, piece.kind, headers)
    headers[hdrs.CONTENT_ENCODING] = encoding
    return _text(await asyncio.to_thread(packed, piece.text, encoding), piece.kind, headers)


def encoding_for(request: web.Request) -> str | None:
    """Return the best encoding that who asks takes; None: he takes none of ours."""
    taken = {
        name.strip()
        for name, _, weight in (
            one.partition(";") for one in request.headers.get(hdrs.ACCEPT_ENCODING, "").split(",")
        )
        if weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    }
    return next((one for one in ("br", "gzip") if one in taken), None)


def _text(data: bytes, kind: str, headers: dict[str, str]) -> web.Response:
    return web.Response(body=data, content_type=kind, charset="utf-8", headers=headers)


def _path_of(request: web.Request, folders: Mapping[str, Path]) -> Path | None:
    if request.method != "GET" or hdrs.RANGE in request.headers:
        return None
    for begin, folder in folders.items():
        if request.path.startswith(begin):
            path = (folder / request.path.removeprefix(begin)).resolve()
            inside = folder.resolve() in path.parents
            return path if inside and path.suffix in KINDS else None
    return None
