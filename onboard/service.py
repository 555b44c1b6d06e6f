"""A vehicle's agent as a service: files, certificates, the uplink, the tablet's address."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import structlog
from aiohttp import web

from onboard.agent import Agent
from onboard.media import LIVE_RESOURCE, CabinCamera, LiveEcg
from onboard.settings import CameraTable, Settings
from onboard.tablet import Tablet
from onboard.uplinks import Member, Uplinks
from streams.authority import Authority, Pair, client_context, server_context
from streams.clock import Clock, SystemClock
from streams.credentials import Credential, Roster, Verified, read_own_credential
from streams.errors import ConfigError, CredentialError
from streams.outbox import Draft
from streams.private_files import make_private_directory, write_private
from streams.service import listening
from streams.transport.mqtt import MqttTransport
from streams.transport.source import ANY_SOURCE, Source
from streams.web import Verify
from streams.webrtc import PeerSettings, Signalling

log = structlog.get_logger(__name__)


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
    make_private_directory(settings.folder)
    trust = client_context(Path(settings.authority))
    clock = SystemClock()
    uplinks = _uplinks(settings, credential, trust)
    peer = PeerSettings(addresses=settings.media.addresses, choose=uplinks.media_addresses)

    def endpoint(hub: str, stream: str) -> Signalling:
        url = f"{hub.rstrip('/')}/whip/{settings.name}/{stream}"
        return Signalling(url, credential.token, trust, source=uplinks.source)

    live, camera = LiveEcg(None, peer), None
    if settings.hub is not None:
        live = LiveEcg(endpoint(settings.hub, LIVE_RESOURCE), peer)
        if settings.camera is not None:
            signalling = endpoint(settings.hub, settings.camera.name)
            camera = _camera_maker(settings.camera, signalling, peer, clock)
    with _held_alone(settings.folder):
        async with uplinks:
            agent = Agent(
                settings, uplinks, clock, drill=credential.drill, live_ecg=live, camera=camera
            )
            try:
                agent.recover()
                await _run(agent, settings, _verifier(settings))
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


async def _run(agent: Agent, settings: Settings, verify: Verify) -> None:
    """Run agent and tablet, and say in ``ready.json`` that they serve."""
    ready_file = settings.folder / "ready.json"
    ready_file.unlink(missing_ok=True)
    tablet = Tablet(agent)
    tls = server_context(_certificate(settings))
    name = f"onboard[{settings.name}]"
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(agent.run(), name=f"{name}.agent")
            group.create_task(tablet.run(), name=f"{name}.pages")
            app: web.Application = tablet.app(verify)
            listen = settings.listen
            async with listening(app, listen.host, listen.port, tls) as port:
                _say_ready(ready_file, listen.host, port)
                try:
                    await asyncio.get_running_loop().create_future()  # until cancelled
                finally:
                    await agent.leave()
    finally:
        ready_file.unlink(missing_ok=True)


def _camera_maker(
    table: CameraTable, signalling: Signalling, peer: PeerSettings, clock: Clock
) -> Callable[[Callable[[Draft], None]], CabinCamera]:
    def make_camera(make: Callable[[Draft], None]) -> CabinCamera:
        return CabinCamera(table, signalling, peer, make=make, wall_ns=clock.wall_ns)

    return make_camera


def _verifier(settings: Settings) -> Verify:
    """Return what lets in the seats of this vehicle, and the vehicle's own scripts."""
    roster = Roster(Path(settings.roster))

    def verify(token: str) -> Verified:
        holder = roster.verify(token)
        if holder.region != settings.region:
            raise CredentialError(f"{holder.name} belongs to region {holder.region}")
        if holder.role == "unit" and holder.name != settings.name:
            raise CredentialError(f"{holder.name} is another vehicle")
        welcome = settings.seats is None or holder.name in settings.seats
        if holder.role == "seat" and not welcome:
            raise CredentialError(f"{holder.name} has no seat in {settings.title}")
        return holder

    return verify


def _certificate(settings: Settings) -> Pair:
    if settings.tls is not None:
        return Pair(Path(settings.tls.certificate), Path(settings.tls.key))
    authority = Authority(Path(settings.authority).parent)
    return authority.server_certificate(f"onboard-{settings.name}", [settings.listen.host])


def _say_ready(file: Path, host: str, port: int) -> None:
    shown = f"[{host}]" if ":" in host else host
    body = {"port": port, "url": f"https://{shown}:{port}", "pid": os.getpid()}
    write_private(file, msgspec.json.encode(body))
    log.info("serving", **body)


@contextlib.contextmanager
def _held_alone(state: Path) -> Iterator[None]:
    """Hold the state directory: two agents in one would cut each other's recordings."""
    descriptor = os.open(state / "running.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ConfigError(f"{state}: another agent runs here; give this one its own") from error
    try:
        yield
    finally:
        os.close(descriptor)
