"""The web base over a real socket: who comes in, what errors look like, slow pages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from streams import health, service
from streams.credentials import Roster, credential_path, issue, read_credential, revoke
from streams.errors import ConfigError, StorageError
from streams.no_entry import no_entry
from streams.web import (
    FRAMES,
    STATES,
    PageSocket,
    RequestError,
    answer_errors,
    guard,
    secure_headers,
    serve_page,
)

WaitFor = Callable[..., Any]


@dataclass
class Site:
    """A small service as the real ones are built."""

    url: str
    credentials: Path
    pages: list[PageSocket]
    heard: asyncio.Queue[dict[str, Any]]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    issue(tmp_path, "seat-1", "seat", "north", place="here")
    issue(tmp_path, "unit-7", "unit", "north")
    pages: list[PageSocket] = []
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def said(page: PageSocket, message: dict[str, Any]) -> None:
        if message.get("type") == "bad":
            raise RequestError("field 'x' is missing")
        heard.put_nowait(message)
        page.send_state(json.dumps({"type": "echo", "of": message}))

    async def socket(request: web.Request) -> web.StreamResponse:
        return await serve_page(request, pages.append, pages.remove, said)

    async def show(_: web.Request) -> web.Response:
        return web.Response(text="patient data")

    async def fail(request: web.Request) -> web.Response:
        raise StorageError("disk full") if "retry" in request.query else ConfigError("no such key")

    verify = Roster(tmp_path).verify
    app = web.Application(middlewares=[secure_headers, answer_errors, guard(verify, ["seat"])])
    app.router.add_get("/", show)
    app.router.add_get("/fail", fail)
    app.router.add_get("/ws", socket)
    checks = {"broker": health.Check(ok=False, text="not connected since 21:47")}
    health.add_routes(app, lambda: checks)
    async with service.listening(app, "127.0.0.1", 0, None) as port:
        yield Site(f"http://127.0.0.1:{port}", tmp_path, pages, heard)


def token(site: Site, name: str) -> str:
    return read_credential(credential_path(site.credentials, name)).token


async def test_page_without_a_key_is_refused_with_words(site: Site) -> None:
    async with aiohttp.ClientSession() as client, client.get(f"{site.url}/") as answer:
        assert answer.status == 401
        assert "key" in (await answer.json())["error"]


@pytest.mark.parametrize("path", ["/", "/?key=nobody.secret"])
async def test_browser_without_a_valid_key_gets_a_page_in_words_and_a_program_json(
    site: Site, path: str
) -> None:
    page = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    async with aiohttp.ClientSession() as client:
        async with client.get(f"{site.url}{path}", headers=page) as answer:
            text = await answer.text()
            assert (answer.status, answer.content_type) == (401, "text/html")
            assert "What to do" in text
            assert "怎么办" in text
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        for accept in ("*/*", "application/json"):
            async with client.get(f"{site.url}{path}", headers={"Accept": accept}) as answer:
                assert (answer.status, answer.content_type) == (401, "application/json")
        async with client.post(f"{site.url}{path}", headers=page) as answer:
            assert answer.content_type == "application/json"


def test_words_of_a_refused_key_are_text_and_no_markup() -> None:
    answer = no_entry("<b>nobody</b> & co")
    assert answer.text is not None
    assert "&lt;b&gt;nobody&lt;/b&gt; &amp; co" in answer.text


async def test_page_key_moves_from_the_address_into_a_cookie(site: Site) -> None:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as client:
        async with client.get(f"{site.url}/?a=1&key={token(site, 'seat-1')}") as answer:
            assert answer.status == 200
            assert str(answer.url).endswith("/?a=1")
            assert "httponly" in answer.history[0].headers["Set-Cookie"].lower()
        async with client.get(f"{site.url}/") as answer:
            assert await answer.text() == "patient data"
            assert "default-src 'self'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("bad", ["nonsense", "seat-1.wrong", "nobody.secret", ".", "é.é"])
async def test_page_with_a_wrong_key_is_refused(site: Site, bad: str) -> None:
    async with (
        aiohttp.ClientSession() as client,
        client.get(f"{site.url}/", params={"key": bad}) as answer,
    ):
        assert answer.status == 401


async def test_page_for_another_role_or_revoked_is_refused(site: Site) -> None:
    async with aiohttp.ClientSession() as client:
        header = {"Authorization": f"Bearer {token(site, 'unit-7')}"}
        async with client.get(f"{site.url}/", headers=header) as answer:
            assert answer.status == 401
            assert "not for this page" in (await answer.json())["error"]
        header = {"Authorization": f"Bearer {token(site, 'seat-1')}"}
        async with client.get(f"{site.url}/", headers=header) as answer:
            assert answer.status == 200
        revoke(site.credentials, "seat-1")
        async with client.get(f"{site.url}/", headers=header) as answer:
            assert answer.status == 401


async def test_errors_of_ours_are_json_and_say_whether_to_try_again(site: Site) -> None:
    header = {"Authorization": f"Bearer {token(site, 'seat-1')}"}
    async with aiohttp.ClientSession(headers=header) as client:
        async with client.get(f"{site.url}/fail") as answer:
            assert (answer.status, await answer.json()) == (
                400, {"error": "no such key", "retry": False},
            )  # fmt: skip
        async with client.get(f"{site.url}/fail?retry") as answer:
            assert (answer.status, (await answer.json())["retry"]) == (503, True)


async def test_health_is_open_and_names_what_is_wrong(site: Site) -> None:
    async with aiohttp.ClientSession() as client:
        async with client.get(f"{site.url}/healthz") as answer:
            assert answer.status == 503
            assert (await answer.json())["parts"]["broker"]["text"] == "not connected since 21:47"
        async with client.get(f"{site.url}/metrics") as answer:
            assert "forerun_refused_total" in await answer.text()


async def test_socket_answers_and_tells_errors_to_the_page(site: Site) -> None:
    header = {"Authorization": f"Bearer {token(site, 'seat-1')}"}
    async with (
        aiohttp.ClientSession(headers=header) as client,
        client.ws_connect(f"{site.url}/ws") as socket,
        asyncio.timeout(5),
    ):
        for text in ("no json", "[1]", '{"type":"bad"}', '{"type":"good"}'):
            await socket.send_str(text)
        answers: list[dict[str, Any]] = []
        while len(answers) < 4:
            answer = await socket.receive_json()
            if answer["type"] != "tick":
                answers.append(answer)
        assert [answer["type"] for answer in answers] == ["error", "error", "error", "echo"]
        assert answers[2]["error"] == "field 'x' is missing"
    assert site.heard.qsize() == 1


async def test_socket_opened_by_a_foreign_page_is_refused(site: Site) -> None:
    header = {
        "Authorization": f"Bearer {token(site, 'seat-1')}",
        "Origin": "https://evil.example",
    }
    async with aiohttp.ClientSession(headers=header) as client:
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await client.ws_connect(f"{site.url}/ws")
    assert caught.value.status == 403


async def test_slow_page_skips_frames_and_is_sent_away_before_it_misses_state(site: Site) -> None:
    header = {"Authorization": f"Bearer {token(site, 'seat-1')}"}
    async with (
        aiohttp.ClientSession(headers=header) as client,
        client.ws_connect(f"{site.url}/ws") as socket,
        asyncio.timeout(5),
    ):
        await socket.send_str('{"type":"hello"}')
        await site.heard.get()
        page = site.pages[0]
        for number in range(FRAMES + 3):
            page.send_frame(bytes([number]))
        assert page.skipped == 3
        for _ in range(STATES + 1):
            page.send_state("{}")
        messages = [message async for message in socket]
        assert all(message.type is not aiohttp.WSMsgType.ERROR for message in messages)
        assert socket.close_code == aiohttp.WSCloseCode.TRY_AGAIN_LATER


async def test_port_that_is_taken_gives_a_clear_error(site: Site) -> None:
    port = int(site.url.rpartition(":")[2])
    with pytest.raises(ConfigError, match="choose another"):
        async with service.listening(web.Application(), "127.0.0.1", port, None):
            pass


async def test_page_whose_link_breaks_has_its_action_done_to_the_end(wait_for: WaitFor) -> None:
    began, go, outcome = asyncio.Event(), asyncio.Event(), list[str]()

    async def said(page: PageSocket, _: dict[str, Any]) -> None:
        began.set()
        try:
            await go.wait()
            outcome.append("done")
        except asyncio.CancelledError:
            outcome.append("cut off")
            raise

    async with a_socket(said) as (client, joined, left):
        async with client.ws_connect("/ws") as socket:
            await socket.send_json({"type": "action"})
            await began.wait()
            assert socket._response.connection is not None
            socket._response.connection.transport.abort()  # type: ignore[union-attr]
        (page,) = joined
        await wait_for(lambda: page._socket._req.transport is None, "the server sees it")  # type: ignore[union-attr]
        page.send_state("{}")  # the pump finds the link broken, and with it ends the page
        await wait_for(lambda: not page._states, "the pump")
        await asyncio.sleep(0)
        go.set()
        await wait_for(lambda: left, "the page is gone")
    assert outcome == ["done"]


async def test_page_handler_with_a_fault_is_an_error_in_the_log_and_no_page_that_left(
    wait_for: WaitFor, caplog: pytest.LogCaptureFixture
) -> None:
    async def said(_: PageSocket, __: dict[str, Any]) -> None:
        raise RuntimeError("a fault of ours")

    async with a_socket(said) as (client, _, left), client.ws_connect("/ws") as socket:
        await socket.send_json({"type": "action"})
        await wait_for(lambda: left, "the page is ended")
    assert any(record.levelname == "ERROR" for record in caplog.records)


@asynccontextmanager
async def a_socket(
    said: Callable[[PageSocket, dict[str, Any]], Coroutine[Any, Any, None]],
) -> AsyncIterator[tuple[aiohttp.ClientSession, list[PageSocket], list[PageSocket]]]:
    """A service with one socket; a client for it, the pages that joined, those that left."""
    joined, left = list[PageSocket](), list[PageSocket]()

    async def socket(request: web.Request) -> web.StreamResponse:
        return await serve_page(request, joined.append, left.append, said)

    app = web.Application()
    app.router.add_get("/ws", socket)
    async with (
        service.listening(app, "127.0.0.1", 0, None) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        yield client, joined, left


async def last_of(page: aiohttp.ClientWebSocketResponse) -> aiohttp.WSMessage:
    """Return what comes after all that is text."""
    while (message := await page.receive()).type is aiohttp.WSMsgType.TEXT:
        pass
    return message


async def test_service_that_ends_says_goodbye_to_its_pages_and_waits_for_no_silent_one(
    wait_for: WaitFor,
) -> None:
    pages: list[PageSocket] = []

    async def said(_page: PageSocket, _message: dict[str, Any]) -> None: ...

    async def socket(request: web.Request) -> web.StreamResponse:
        return await serve_page(request, pages.append, pages.remove, said)

    app = web.Application()
    app.router.add_get("/ws", socket)
    async with aiohttp.ClientSession() as client:
        async with service.listening(app, "127.0.0.1", 0, None) as port:
            url = f"http://127.0.0.1:{port}/ws"
            page, silent = await client.ws_connect(url), await client.ws_connect(url)
            last = asyncio.create_task(last_of(page))
            await wait_for(lambda: len(pages) == 2, "both pages are open")
        message = await last
        assert message.type is aiohttp.WSMsgType.CLOSE
        assert message.data == aiohttp.WSCloseCode.GOING_AWAY
        assert pages == []
        await silent.close()
