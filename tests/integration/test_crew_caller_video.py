"""The crew's way to what the caller shows: a real vehicle, and a hub that answers WHEP as told."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from streams.caller_video_messages import CallerVideo, VideoStep
from streams.identity import new_id
from streams.service import listening
from tests.conftest import WaitFor
from tests.vehicle_town import Started, Town, running, town

SESSION = "session-0123456789abcdef"


@dataclass
class MediaHub:
    """Answers WHEP.

    Attributes:
        status: What a view is answered with.
        asked: Method, path, token and body of each request.
    """

    url: str = ""
    status: int = 201
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)

    async def serve(self, request: web.Request) -> web.Response:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.asked.append((request.method, request.path, token, await request.text()))
        if request.method == "DELETE" or self.status != 201:
            return web.Response(status=200 if request.method == "DELETE" else self.status)
        headers = {"Location": f"{request.path}/-/{SESSION}"}
        return web.Response(
            status=201, text="v=0 answer", content_type="application/sdp", headers=headers
        )


@contextlib.asynccontextmanager
async def a_media_hub() -> AsyncIterator[MediaHub]:
    hub = MediaHub()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hub.serve)
    async with listening(app, "127.0.0.1", 0, None) as port:
        hub.url = f"http://127.0.0.1:{port}"
        yield hub


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Town]:
    async with town(tmp_path) as found:
        yield found


def say(started: Started, case: str, step: VideoStep) -> None:
    body = CallerVideo(step=step, by="caller")
    started.hub.tell(case, "caller_video", body)


async def view(started: Started, case: str) -> tuple[int, str, str]:
    """Ask for a view as the page does; return status, answer and session."""
    url = f"{started.vehicle.url}/whep/{case}/caller"
    async with started.vehicle.http.post(url, data="v=0 offer") as answer:
        return answer.status, await answer.text(), answer.headers.get("Location", "")


async def test_crew_views_with_the_vehicles_credential_and_ends_it(
    site: Town, wait_for: WaitFor
) -> None:
    async with a_media_hub() as hub, running(site, hub=hub.url) as started:
        case = started.hub.call()
        say(started, case, "consented")
        await wait_for(lambda: started.vehicle.shows(case__caller_video="on"), "the consent")
        status, answer, location = await view(started, case)
        assert (status, answer) == (201, "v=0 answer")
        assert location == f"/whep/{case}/caller/-/{SESSION}"
        async with started.vehicle.http.delete(f"{started.vehicle.url}{location}") as ended:
            assert ended.status == 200
        async with started.vehicle.http.delete(f"{started.vehicle.url}{location}") as ended:
            assert ended.status == 404
        path = f"/whep/caller-{case}/camera"
        assert hub.asked == [
            ("POST", path, site.unit.token, "v=0 offer"),
            ("DELETE", f"{path}/-/{SESSION}", site.unit.token, ""),
        ]
        say(started, case, "withdrawn")
        await wait_for(lambda: started.vehicle.shows(case__caller_video="withdrawn"), "the end")
        lines = (await started.vehicle.state())["case"]["timeline"]
        steps = [line["body"]["step"] for line in lines if line["kind"] == "caller_video"]
        assert steps == ["consented", "withdrawn"]


async def test_crew_asks_for_no_other_case_and_is_told_what_the_hub_answers(
    site: Town, wait_for: WaitFor
) -> None:
    async with a_media_hub() as hub, running(site, hub=hub.url) as started:
        case = started.hub.call()
        await wait_for(lambda: started.vehicle.shows(run__state="assigned"), "the assignment")
        assert (await view(started, new_id()))[0] == 403
        assert hub.asked == [], "it is not even asked"
        hub.status = 403
        assert (await view(started, case))[0] == 403
        hub.status = 503
        assert (await view(started, case))[0] == 502
    async with running(site, hub=hub.url) as started:
        await wait_for(lambda: started.vehicle.shows(run__state="assigned"), "the assignment")
        assert (await view(started, case))[0] == 502, "the hub is not there"


async def test_vehicle_without_a_hub_for_media_shows_the_steps_and_no_picture(
    site: Town, wait_for: WaitFor
) -> None:
    async with running(site) as started:
        case = started.hub.call()
        steps: tuple[VideoStep, ...] = ("asked", "consented", "stopped", "asked")
        for step in steps:
            say(started, case, step)
        await wait_for(lambda: started.vehicle.shows(case__caller_video="asked"), "the last step")
        assert (await view(started, case))[0] == 404
