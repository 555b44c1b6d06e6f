"""Video requests of the board go to the hub, with the gateway's credential, for its cases only."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from hospital_gateway.board import Board
from hospital_gateway.media_proxy import MAX_SDP_BYTES, MediaProxy
from streams.authority import Authority, client_context, server_context
from streams.credentials import Credential
from streams.service import listening
from streams.web import HOLDER
from tests.case_writer import CaseWriter

HERE = "first-hospital"
SESSION = "session-0123456789"


class Seat:
    name = "er-desk"
    role = "seat"


class FakeHub:
    """Answers WHEP as a hub does, and remembers who asked for what."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self.offers: list[bytes] = []
        self.answer = [b"answer"]
        """The pieces in which an offer is answered, with a pause between them."""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/whep/{rest:.*}", self._answer)
        return app

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path, request.headers["Authorization"]))
        self.offers.append(await request.read())
        if request.method != "POST":
            return web.Response(status=200 if request.method == "DELETE" else 204)
        headers = {"Location": f"{request.path}/-/{SESSION}", "ETag": '"1"'}
        answer = web.StreamResponse(status=201, headers=headers)
        answer.content_type = "application/sdp"
        await answer.prepare(request)
        for piece in self.answer:
            await answer.write(piece)
            await asyncio.sleep(0.05)
        await answer.write_eof()
        return answer


@contextlib.asynccontextmanager
async def gateway(hub_url: str, board: Board, ca: Path) -> AsyncIterator[tuple[MediaProxy, str]]:
    credential = Credential(name=HERE, role="hospital", region="demo", secret="s" * 43)
    reads: list[tuple[str, str, str]] = []

    async def note(who: str, what: str, case: str) -> None:
        reads.append((who, what, case))

    @web.middleware
    async def seat(request: web.Request, handler: Any) -> web.StreamResponse:
        request[HOLDER] = Seat()
        response: web.StreamResponse = await handler(request)
        return response

    tls = client_context(ca)
    proxy = MediaProxy(board=board, hub=hub_url, credential=credential, tls=tls, note=note)
    app = web.Application(middlewares=[seat])
    proxy.add_routes(app)
    async with proxy, listening(app, "127.0.0.1", 0, None) as port:
        yield proxy, f"http://127.0.0.1:{port}"


@pytest.fixture
def writer() -> CaseWriter:
    writer = CaseWriter()
    writer.open()
    writer.assign("unit-7")
    writer.choose(HERE)
    return writer


def board_of(writer: CaseWriter) -> Board:
    board = Board(HERE)
    for fact in writer.facts:
        board.take(fact)
    return board


async def test_video_goes_to_the_hub_by_unit_and_its_session_back_by_case(
    tmp_path: Path, writer: CaseWriter
) -> None:
    authority, hub = Authority(tmp_path), FakeHub()
    authority.ensure()
    tls = server_context(authority.server_certificate("hub", []))
    board, case = board_of(writer), writer.case
    async with (
        listening(hub.app(), "127.0.0.1", 0, tls) as port,
        gateway(f"https://127.0.0.1:{port}", board, authority.ca_path) as (proxy, url),
        aiohttp.ClientSession(url) as page,
    ):
        async with page.post(f"/whep/{case}/cabin", data="offer") as answer:
            assert (answer.status, await answer.text()) == (201, "answer")
            location = answer.headers["Location"]
            assert location == f"/whep/{case}/cabin/-/{SESSION}"
        async with page.patch(location, data="candidate", headers={"If-Match": '"1"'}) as answer:
            assert answer.status == 204
        ending = asyncio.create_task(proxy.run())
        board.take(writer.stand_down(HERE))
        proxy.end_case(case)
        async with asyncio.timeout(10):
            while len(hub.asked) < 3:  # noqa: ASYNC110 - a server fills it
                await asyncio.sleep(0.01)
        ending.cancel()
        async with page.delete(location) as answer:
            assert answer.status == 404
    token = f"Bearer {HERE}.{'s' * 43}"
    session = f"/whep/unit-7/cabin/-/{SESSION}"
    assert hub.asked == [
        ("POST", "/whep/unit-7/cabin", token), ("PATCH", session, token),
        ("DELETE", session, token),
    ]  # fmt: skip


async def test_video_of_a_case_that_does_not_come_here_is_refused_in_words(
    tmp_path: Path, writer: CaseWriter
) -> None:
    authority, hub = Authority(tmp_path), FakeHub()
    ca = authority.ensure()
    writer.stand_down(HERE)
    board = board_of(writer)
    async with (
        gateway("https://127.0.0.1:1", board, ca) as (_, url),
        aiohttp.ClientSession(url) as page,
    ):
        for case, words in ((writer.case, "stood down"), (CaseWriter().case, "not known")):
            async with page.post(f"/whep/{case}/cabin", data="offer") as answer:
                assert answer.status == 403
                assert words in await answer.text()
    assert hub.asked == []


async def test_video_without_a_hub_says_so(tmp_path: Path, writer: CaseWriter) -> None:
    ca = Authority(tmp_path).ensure()
    async with (
        gateway("https://127.0.0.1:1", board_of(writer), ca) as (_, url),
        aiohttp.ClientSession(url) as page,
        page.post(f"/whep/{writer.case}/cabin", data="offer") as answer,
    ):
        assert answer.status == 502
        assert "hub cannot be reached" in await answer.text()


async def test_offer_and_answer_that_come_in_pieces_pass_whole_and_too_long_ones_not(
    tmp_path: Path, writer: CaseWriter
) -> None:
    authority, hub = Authority(tmp_path), FakeHub()
    authority.ensure()
    tls = server_context(authority.server_certificate("hub", []))
    most = MAX_SDP_BYTES

    async def offer(size: int) -> AsyncIterator[bytes]:
        for start in range(0, size, 1400):
            yield b"o" * min(1400, size - start)
            await asyncio.sleep(0.001)

    async with (
        listening(hub.app(), "127.0.0.1", 0, tls) as port,
        gateway(f"https://127.0.0.1:{port}", board_of(writer), authority.ca_path) as (_, url),
        aiohttp.ClientSession(url) as page,
    ):
        path = f"/whep/{writer.case}/cabin"
        hub.answer = [b"a" * 3000, b"b" * 3000]
        async with page.post(path, data=offer(6000)) as answer:
            assert (answer.status, await answer.read()) == (201, b"a" * 3000 + b"b" * 3000)
        assert hub.offers == [b"o" * 6000]
        async with page.post(path, data=offer(most + 1)) as answer:
            assert answer.status == 413
        session = f"{path}/-/{SESSION}"
        async with page.patch(session, data=b"c" * (most + 1)) as answer:
            assert answer.status == 413
        assert len(hub.offers) == 1
        hub.answer = [b"a" * most, b"b"]
        async with page.post(path, data=b"offer") as answer:
            assert answer.status == 502


async def test_callers_video_is_asked_for_by_case_and_needs_no_vehicle(tmp_path: Path) -> None:
    authority, hub, writer = Authority(tmp_path), FakeHub(), CaseWriter()
    authority.ensure()
    writer.open()
    writer.choose(HERE)
    tls = server_context(authority.server_certificate("hub", []))
    case = writer.case
    async with (
        listening(hub.app(), "127.0.0.1", 0, tls) as port,
        gateway(f"https://127.0.0.1:{port}", board_of(writer), authority.ca_path) as (_, url),
        aiohttp.ClientSession(url) as page,
    ):
        async with page.post(f"/whep/{case}/cabin", data="offer") as answer:
            assert answer.status == 404, "no vehicle is assigned"
        async with page.post(f"/whep/{case}/caller", data="offer") as answer:
            assert answer.status == 201
    assert [(method, path) for method, path, _ in hub.asked] == [
        ("POST", f"/whep/caller-{case}/camera")
    ]
