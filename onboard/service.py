"""A vehicle's agent as a service: files, certificates, the uplink, the tablet's address."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path

from aiohttp import web

from onboard.agent import Agent
from onboard.media import LIVE_RESOURCE, CabinCamera, LiveEcg
from onboard.settings import CameraTable, Settings
from onboard.tablet import Tablet
from onboard.uplinks import Member, Uplinks
from streams.authority import client_context, server_context
from streams.caller_video import CAMERA, resource_of
from streams.clock import Clock, SteadyClock, SystemClock
from streams.credentials import Credential, Verified, read_own_credential
from streams.errors import CredentialError
from streams.outbox import Draft
from streams.page_server import admission, own_state, page_certificate, said_ready
from streams.service import listening
from streams.transport.mqtt import MqttTransport
from streams.transport.source import ANY_SOURCE, Source
from streams.web import Verify
from streams.webrtc import PeerSettings, Signalling


async def serve(settings: Settings) -> None:
    """Run the agent of one vehicle until it is cancelled.

    Raises:
        ConfigError: A file that the settings name is missing or wrong, the port is taken, or
            another agent runs in the same state directory.
        StorageError: Outbox, logbook or recordings cannot be opened.
    """
    credential = read_own_credential(
        Path(settings.credential), "unit", settings.name, settings.region
    )
    trust = client_context(Path(settings.authority))
    tls = server_context(page_certificate(settings))
    clock = SteadyClock(SystemClock())
    uplinks = _uplinks(settings, credential, trust)
    peer = PeerSettings(addresses=settings.media.addresses, choose=uplinks.media_addresses)

    def at_hub(hub: str, path: str) -> Signalling:
        url = f"{hub.rstrip('/')}/{path}"
        return Signalling(url, credential.token, trust, source=uplinks.source)

    def endpoint(hub: str, stream: str) -> Signalling:
        return at_hub(hub, f"whip/{settings.name}/{stream}")

    live, camera = LiveEcg(None, peer), None
    if settings.hub is not None:
        live = LiveEcg(endpoint(settings.hub, LIVE_RESOURCE), peer)
        if settings.camera is not None:
            signalling = endpoint(settings.hub, settings.camera.name)
            camera = _camera_maker(settings.camera, signalling, peer, clock)
    with own_state(settings, "agent"):
        async with uplinks:
            agent = Agent(
                settings, uplinks, clock, drill=credential.drill, live_ecg=live, camera=camera
            )
            try:
                agent.recover()
                hub = settings.hub
                video = None if hub is None else partial(_caller_video, partial(at_hub, hub))
                await _run(agent, settings, tls, video)
            finally:
                agent.close()


def _uplinks(settings: Settings, credential: Credential, trust: ssl.SSLContext) -> Uplinks:
    """Return the uplinks of the settings, or the one that the system's routing gives."""

    def member(name: str, source: Source, *, copies: bool) -> Member:
        broker = settings.broker
        transport = MqttTransport(
            broker.host, broker.port, credential, trust, websocket=broker.websocket,
            source=source, name=f"mqtt-{name}" if name else "mqtt",
        )  # fmt: skip
        return Member(name, transport, source, copies)

    if not settings.uplink:
        return Uplinks([member("", ANY_SOURCE, copies=False)])
    return Uplinks(
        [
            member(one.name, Source(one.interface, one.address), copies=one.facts == "both")
            for one in settings.uplink
        ]
    )


def _caller_video(at_hub: Callable[[str], Signalling], case: str) -> Signalling:
    return at_hub(f"whep/{resource_of(case, CAMERA)}")


async def _run(
    agent: Agent,
    settings: Settings,
    tls: ssl.SSLContext,
    video: Callable[[str], Signalling] | None,
) -> None:
    """Run agent and tablet, and say in ``ready.json`` that they serve."""
    tablet = Tablet(agent, lambda: client_context(Path(settings.authority)), video)
    name = f"onboard[{settings.name}]"
    async with asyncio.TaskGroup() as group:
        group.create_task(agent.run(), name=f"{name}.agent")
        group.create_task(tablet.run(), name=f"{name}.pages")
        group.create_task(tablet.bay.run(), name=f"{name}.bay")
        app: web.Application = tablet.app(_verifier(settings))
        listen = settings.listen
        async with listening(app, listen.host, listen.port, tls) as port:
            with said_ready(settings, port):
                try:
                    await asyncio.get_running_loop().create_future()  # until cancelled
                finally:
                    await agent.leave()


def _camera_maker(
    table: CameraTable, signalling: Signalling, peer: PeerSettings, clock: Clock
) -> Callable[[Callable[[Draft], None]], CabinCamera]:
    def make_camera(make: Callable[[Draft], None]) -> CabinCamera:
        return CabinCamera(table, signalling, peer, make=make, wall_ns=clock.wall_ns)

    return make_camera


def _verifier(settings: Settings) -> Verify:
    """Return what lets in the seats of this vehicle, and the vehicle's own scripts."""
    admit = admission(settings)

    def verify(token: str) -> Verified:
        holder = admit(token)
        if holder.role == "unit" and holder.name != settings.name:
            raise CredentialError(f"{holder.name} is another vehicle")
        return holder

    return verify
