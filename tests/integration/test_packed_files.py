"""Static files go packed to who takes that, and as they are to who does not."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import brotli
import pytest
from aiohttp import web

from streams.packed_files import packed_files
from streams.service import listening

TEXT = "export const a = 1; // and so on\n" * 100


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    folder = tmp_path / "static"
    folder.mkdir()
    (folder / "a.js").write_text(TEXT, encoding="utf-8")
    (folder / "small.js").write_text("1", encoding="utf-8")
    (tmp_path / "secret.js").write_text(TEXT, encoding="utf-8")
    app = web.Application(middlewares=[packed_files({"/static/": folder})])
    app.router.add_static("/static/", folder)
    async with listening(app, "127.0.0.1", 0, None) as port:
        yield f"http://127.0.0.1:{port}"


async def get(url: str, path: str, **headers: str) -> tuple[int, bytes, dict[str, str]]:
    async with (
        aiohttp.ClientSession(url, auto_decompress=False) as http,
        http.get(path, headers=headers) as answer,
    ):
        return answer.status, await answer.read(), dict(answer.headers)


@pytest.mark.parametrize(
    ("taken", "encoding", "unpacked"),
    [
        ("gzip, deflate, br, zstd", "br", brotli.decompress),
        ("gzip, br;q=0", "gzip", gzip.decompress),
        ("gzip", "gzip", gzip.decompress),
    ],
)
async def test_file_goes_packed_and_only_once_to_who_keeps_it(
    url: str, taken: str, encoding: str, unpacked: Callable[[bytes], bytes]
) -> None:
    status, body, headers = await get(url, "/static/a.js", **{"Accept-Encoding": taken})
    assert (status, headers["Content-Encoding"]) == (200, encoding)
    assert headers["Content-Type"].startswith("text/javascript")
    assert unpacked(body).decode() == TEXT
    known = {"Accept-Encoding": taken, "If-None-Match": headers["Etag"]}
    assert (await get(url, "/static/a.js", **known))[:2] == (304, b"")


@pytest.mark.parametrize(
    "headers", [{"Accept-Encoding": "identity"}, {"Accept-Encoding": "gzip", "Range": "bytes=0-9"}]
)
async def test_file_goes_as_it_is_to_who_does_not_take_it_packed(
    url: str, headers: dict[str, str]
) -> None:
    status, body, found = await get(url, "/static/a.js", **headers)
    assert status in (200, 206)
    assert TEXT.encode().startswith(body)
    assert "Content-Encoding" not in found


async def test_nothing_outside_the_folder_is_read(url: str) -> None:
    packed = {"Accept-Encoding": "gzip"}
    for path in ("/static/../secret.js", "/static/%2e%2e/secret.js", "/static/none.js"):
        assert (await get(url, path, **packed))[0] in (403, 404)
    assert (await get(url, "/static/small.js", **packed))[1] == b"1"
