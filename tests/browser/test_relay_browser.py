"""Headless Chromium sees a vehicle's camera through the relay, and says when it does not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from dispatch.offers import Role
from dispatch.relay import Relay, RelaySettings
from dispatch.whip_whep import add_relay_routes
from onboard.camera import Camera, CameraSettings
from onboard.whip import PublishSettings, publish
from streams.authority import Authority, client_context, server_context
from streams.errors import CredentialError
from streams.webrtc import PeerSettings, Signalling

LOOPBACK = PeerSettings(addresses=("127.0.0.1",))
STATIC = Path(__file__).resolve().parents[2] / "streams" / "static"

PAGE = """<!doctype html><title>view</title><link rel="icon" href="data:,">
<video id="video" width="640"></video>
<script type="module">
import { subscribe } from "/static/whep.js";
import { TimeCodeReader } from "/static/timecode.js";
const video = document.getElementById("video");
const phases = [];
const token = new URLSearchParams(location.search).get("token");
const view = subscribe("/whep/unit-7/cabin", token, video, {
  onchange: (state) => phases.push(state.phase),
});
const reader = new TimeCodeReader(video);
const delays = [];
const look = () => {
  const code = reader.read();
  if (code !== null) delays.push(Date.now() - code);
  video.requestVideoFrameCallback(look);
};
video.requestVideoFrameCallback(look);
globalThis.test = { view, video, phases, delays };
</script>"""


@dataclass
class Site:
    """A relay with a page to view it."""

    relay: Relay
    url: str
    signalling: Signalling

    def page(self, token: str = "board") -> str:
        return f"{self.url}/view?token={token}"


async def authorise(request: web.Request, _resource: str, role: Role) -> str:
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if (token, role) not in (("vehicle", "publish"), ("board", "view")):
        raise CredentialError("no right to it")
    return token


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A relay over TLS with a viewing page, on a free port."""
    authority = Authority(tmp_path / "authority")
    authority.ensure()
    authority.ensure()
    pair = authority.server_certificate("hub", ["127.0.0.1"])

    async def show(_request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async with Relay(RelaySettings(peer=LOOPBACK)) as relay:
        app = web.Application()
        app.router.add_get("/view", show)
        app.router.add_static("/static", STATIC)
        add_relay_routes(app, relay, authorise)
        runner = web.AppRunner(app)
        await runner.setup()
        server = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(pair))
        await server.start()
        port = runner.addresses[0][1]
        url = f"https://127.0.0.1:{port}"
        trusting = client_context(authority.ca_path)
        try:
            yield Site(relay, url, Signalling(f"{url}/whip/unit-7/cabin", "vehicle", trusting))
        finally:
            await runner.cleanup()


@asynccontextmanager
async def published(site: Site, source: str) -> AsyncIterator[Camera]:
    """A camera published to the site."""
    settings = CameraSettings(source=source, time_code=True)
    async with (
        Camera(settings) as camera,
        publish(camera, site.signalling, PublishSettings(peer=LOOPBACK)),
    ):
        yield camera


async def until(page: Any, condition: str, timeout_s: float = 15.0) -> None:
    """Wait until a condition in the page holds."""
    await page.wait_for_function(condition, timeout=1000 * timeout_s, polling=50)


async def test_video_in_the_browser_plays_and_its_time_code_is_read(
    site: Site, open_page: Any, shared_data: Path, screenshot: Any, record_property: Any
) -> None:
    async with published(site, str(shared_data / "video" / "bikes.mp4")):
        page = await open_page(site.page())
        await until(page, "globalThis.test?.view.state.live")
        before = await page.evaluate("test.video.currentTime")
        await until(page, f"test.video.currentTime > {before} + 1")
        await until(page, "test.delays.length >= 100")
        delays = sorted(await page.evaluate("test.delays"))
        record_property("glass_to_glass_p50_ms", delays[len(delays) // 2])
        assert all(0 <= delay < 5000 for delay in delays)
        await screenshot(page, "relay-browser")
        stats = await page.evaluate("test.view.stats()")
        assert (stats["width"], stats["height"]) == (640, 480)
        assert stats["live"]
        assert stats["framesDecoded"] > 20
        assert (await page.evaluate("test.phases"))[-1] == "live"


async def test_picture_that_stops_is_not_live_and_comes_back_by_itself(
    site: Site, open_page: Any
) -> None:
    page = await open_page(site.page())
    await until(page, "globalThis.test?.view.state.phase === 'waiting'")
    async with published(site, "synthetic"):
        await until(page, "test.view.state.live")
    await until(page, "test.view.state.phase === 'stalled'")
    assert not await page.evaluate("test.view.state.live")
    assert await page.evaluate("test.view.state.reason") == "the picture has stopped"
    async with published(site, "synthetic"):
        await until(page, "test.view.state.live")
    assert await page.evaluate("test.view.connections") == 1


async def test_session_ended_by_the_relay_is_built_anew(site: Site, open_page: Any) -> None:
    async with published(site, "synthetic"):
        page = await open_page(site.page())
        await until(page, "globalThis.test?.view.state.live")
        (session,) = (s for s in site.relay._sessions.values() if s.role == "view")
        site.relay.end(session, "a test")
        await until(page, "test.view.connections === 2 && test.view.state.live")
        (anew,) = (s for s in site.relay._sessions.values() if s.role == "view")
        assert anew.id != session.id


async def test_page_without_a_right_says_refused(site: Site, open_page: Any) -> None:
    page = await open_page(site.page(token="nobody"), may_log=("401",))
    await until(page, "globalThis.test?.view.state.phase === 'refused'")
    assert "no right to it" in await page.evaluate("test.view.state.reason")


async def test_view_that_is_closed_ends_its_session(site: Site, open_page: Any) -> None:
    async with published(site, "synthetic"):
        page = await open_page(site.page())
        await until(page, "globalThis.test?.view.state.live")
        await page.evaluate("test.view.close()")
        assert await page.evaluate("test.video.srcObject === null")
        await page.wait_for_timeout(0)
        for _ in range(100):
            if not site.relay.snapshot().resources["unit-7/cabin"].viewers:
                break
            await page.wait_for_timeout(50)
        assert site.relay.snapshot().resources["unit-7/cabin"].viewers == ()
