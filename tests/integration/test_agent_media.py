"""The vehicle's live ECG and camera through the hub's own media relay."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from dispatch.offers import Role
from dispatch.path_echo import PathEcho
from dispatch.relay import Relay, RelaySettings
from dispatch.whip_whep import add_relay_routes
from onboard.settings import CameraTable, Media
from streams.codec import decode, open_body
from streams.credentials import Roster
from streams.ecg_block import decode_frame
from streams.messages import EcgLive, EcgStarted, MediaState, QualityStep
from streams.service import listening
from streams.webrtc import PeerSettings
from tests.vehicle_town import BOUND_S, Town, begin_run, replay, running, town, write_record


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Town]:
    async with town(tmp_path) as found:
        yield found


@contextlib.asynccontextmanager
async def relay(site: Town) -> AsyncIterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """Run the hub's media relay; gives its address and the messages that came."""
    messages: list[tuple[str, str, bytes]] = []
    roster = Roster(Path(site.settings.roster))

    async def authorise(request: web.Request, resource: str, role: Role) -> str:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        holder = roster.verify(token)
        assert (holder.name, role) == (resource.split("/", maxsplit=1)[0], "publish")
        return holder.name

    app = web.Application()
    settings = RelaySettings(peer=PeerSettings(addresses=("127.0.0.1",)))
    taken = Relay(settings, on_message=lambda *message: messages.append(message))
    PathEcho(taken)
    async with taken:
        add_relay_routes(app, taken, authorise)
        async with listening(app, "127.0.0.1", 0, None) as port:
            yield f"http://127.0.0.1:{port}", messages


async def test_agent_live_ecg_and_camera_go_out_with_the_run(
    site: Town, tmp_path: Path, wait_for: Any
) -> None:
    record = write_record(tmp_path, samples=60_000)
    async with relay(site) as (hub_url, messages):
        changes = {
            "hub": hub_url, "sensor": (replay(record),), "media": Media(addresses=("127.0.0.1",)),
            "camera": CameraTable(source="synthetic", width=160, height=120, fps=5),
        }  # fmt: skip
        async with running(site, **changes) as started:
            hub, vehicle = started.hub, started.vehicle
            case = await begin_run(started, wait_for)
            await wait_for(lambda: len(messages) >= 3, "live frames at the relay", BOUND_S)
            resource, label, data = messages[0]
            assert (resource, label) == ("unit-1/live", "ecg")
            live = decode(data)
            body = open_body(live, EcgLive)
            setup = open_body(hub.of("ecg_started")[0], EcgStarted).setup
            assert (live.case, live.patient, body.setup_id) == (case, "1", setup.setup_id)
            # (150, 2) until the link is measured.
            assert decode_frame(setup, body.frame).samples.shape in {(50, 2), (150, 2)}

            def states() -> list[str]:
                return [open_body(fact, MediaState).state for fact in hub.of("media_state")]

            await wait_for(lambda: hub.of("quality_step"), "the choice of the ladder", 20)
            step = open_body(hub.of("quality_step")[0], QualityStep)
            assert (step.change, step.rung) == ("start", 0)
            assert (step.picture, step.width, step.height) == ("video", 160, 120)
            assert await vehicle.shows(quality__said__rung=0, quality__said__picture="video")
            await wait_for(lambda: states() == ["on"], "the camera on", 20)
            assert hub.of("media_state")[0].origin == "synthetic"
            await vehicle.act("camera", on=False)
            await wait_for(lambda: states() == ["on", "off"], "the camera off")
            off = open_body(hub.of("media_state")[1], MediaState)
            assert "crew" in (off.reason or "")
            assert await vehicle.shows(camera__on=False, camera__wanted=False)
