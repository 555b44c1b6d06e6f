"""Publishes a camera to a WHIP endpoint (RFC 9725), and does so again whenever the path dies.

    async with publish(camera, Signalling("https://hub:8443/whip/unit-7/cabin", token)) as video:
        ...
        video.state.connected

aiortc has no ICE restart and notices a dead peer only after about 30 s: here a path on which
nothing arrives for 2 s (the relay reports twice a second) is given up and a new one is built.
What the video may take of the link is steered from outside (``onboard.quality``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog
from aiortc import RTCRtpSender
from aiortc.codecs import opus

from onboard.camera import Camera
from onboard.pacing import VideoValve
from onboard.video_encoder import LEAST_BITRATE_BPS, BitrateBounds, give_encoder
from streams.errors import CredentialError, TransportError
from streams.webrtc import (
    PeerConnection,
    PeerSettings,
    Progress,
    Signalling,
    close_peer,
    connect_peer,
    count_received_bytes,
)

VOICE_BPS = 32_000
"""Of the sound, stereo; aiortc's own 96 kbit/s is more than a narrow link's whole video."""

VIEWERS_HEARD_AFTER_S = 40.0
"""The relay's estimate grows by 8 % a second: sooner after a move it says what was, not what is."""

_WATCH_EVERY_S = 0.1
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 1.0
_STEADY_S = 10.0

log = structlog.get_logger("onboard.whip")


@dataclass(frozen=True, slots=True)
class PublishSettings:
    """How a camera is published.

    Attributes:
        peer: Interfaces and ICE servers.
        codec: ``VP8``, or ``H264`` at 2.5 times the CPU.
        silence_s: A path on which nothing arrives for so long is given up.
        connect_timeout_s: For a new path to stand.
        repairs_per_s: The most packets sent again in a second, on the viewers' request: on a
            full link repairs would else be what keeps it full.
        most_bps: The most that video may take, bit/s, while nobody steers it.
    """

    peer: PeerSettings = field(default_factory=PeerSettings)
    codec: Literal["VP8", "H264"] = "VP8"
    silence_s: float = 2.0
    connect_timeout_s: float = 10.0
    repairs_per_s: float = 50.0
    most_bps: int = 1_500_000


@dataclass(frozen=True, slots=True)
class PublicationState:
    """How a publication is.

    Attributes:
        connected: Whether media flows to the endpoint.
        connections: Paths built since the start.
        error: Why there is no path, or empty.
        repairs_denied: Packets not sent again because of ``repairs_per_s`` or the pace.
        key_frames_denied: Requests for a key frame that came too soon after the last.
    """

    connected: bool
    connections: int
    error: str
    repairs_denied: int
    key_frames_denied: int = 0


class Publication:
    """A camera on its way to an endpoint; made by ``publish``."""

    def __init__(
        self, camera: Camera, signalling: Signalling, settings: PublishSettings | None = None
    ) -> None:
        """Prepare to publish."""
        self._camera = camera
        self._signalling = signalling
        self._settings = settings or PublishSettings()
        self._connected = False
        self._connections = 0
        self._valve = VideoValve(self._settings.repairs_per_s)
        self._bounds = BitrateBounds(LEAST_BITRATE_BPS, self._settings.most_bps)
        self._video: RTCRtpSender | None = None
        self._steered_bps: int | None = None
        self._steered_at = 0.0
        self._error = "not started"
        self._session_url = ""

    @property
    def state(self) -> PublicationState:
        """How it is, now."""
        return PublicationState(
            self._connected,
            self._connections,
            "" if self._connected else self._error,
            self._valve.repairs_denied,
            self._valve.key_frames_denied,
        )

    def steer(self, video_bps: int, pace_bps: float, scale: int = 1) -> None:
        """Let another bit rate and pace hold from now on; the endpoint's estimate counts less.

        A new bit rate holds at once and alone; what the endpoint estimates for its viewers can
        lower it again ``VIEWERS_HEARD_AFTER_S`` later.

        Args:
            video_bps: Of the encoder; 0 while the camera gives no picture.
            pace_bps: At which packets may leave; 0 holds them.
            scale: Divisor of the picture's width and height.
        """
        self._valve.steer(video_bps, pace_bps, scale)
        if video_bps and video_bps != self._steered_bps:
            self._steered_bps, self._steered_at = video_bps, time.monotonic()
            self._bounds.least_bps = self._bounds.most_bps = video_bps

    def _hear_viewers(self, now: float) -> None:
        if self._steered_bps and now - self._steered_at > VIEWERS_HEARD_AFTER_S:
            self._bounds.least_bps = LEAST_BITRATE_BPS

    async def run(self) -> None:
        """Publish until cancelled; then tell the endpoint the end."""
        pause_s = _FIRST_PAUSE_S
        while True:
            started = time.monotonic()
            try:
                await self._hold_one_path()
            except (CredentialError, TransportError) as error:
                self._error = str(error)
                log.warning("video not published", error=self._error, again_in_s=pause_s)
            except Exception as error:
                # A library's surprise must not end a vehicle's video for good.
                self._error = f"{type(error).__name__}: {error}"
                log.exception("video not published", again_in_s=pause_s)
            if time.monotonic() - started > _STEADY_S:
                pause_s = _FIRST_PAUSE_S
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _hold_one_path(self) -> None:
        peer = PeerConnection(self._settings.peer)
        try:
            for track in self._camera.open_tracks():
                transceiver = peer.addTransceiver(track, direction="sendonly")
                if track.kind == "video":
                    _prefer(transceiver, self._settings.codec)
                    self._video = transceiver.sender
                    give_encoder(self._video, self._settings.codec, self._bounds)
                else:
                    _speak_thriftily(transceiver.sender)
            self._session_url = await connect_peer(peer, self._signalling)
            assert self._video is not None  # a camera has a picture
            self._valve.fit(self._video)
            await self._wait_connected(peer)
            self._connected = True
            self._connections += 1
            log.info("video published", url=self._signalling.url, connections=self._connections)
            await self._until_dead(peer)
        except (CredentialError, TransportError):
            self._session_url = ""  # lost: the next path replaces it; only an end in order is told
            raise
        finally:
            self._connected = False
            if self._session_url:
                await self._signalling.delete(self._session_url)
            await close_peer(peer)

    async def _wait_connected(self, peer: PeerConnection) -> None:
        try:
            async with asyncio.timeout(max(self._settings.connect_timeout_s, peer.set_up_s)):
                while peer.connectionState != "connected":
                    if peer.connectionState in ("failed", "closed"):
                        raise TransportError(f"{self._signalling.url}: no path for media")
                    await asyncio.sleep(0.01)
        except TimeoutError as error:
            raise TransportError(f"{self._signalling.url}: no path for media in time") from error

    async def _until_dead(self, peer: PeerConnection) -> None:
        progress = Progress(self._settings.silence_s)
        while peer.connectionState == "connected":
            peer.check_address(time.monotonic())
            if progress.is_dead(count_received_bytes(peer), time.monotonic()):
                raise TransportError(
                    f"{self._signalling.url}: nothing arrived for {self._settings.silence_s:g} s"
                )
            self._hear_viewers(time.monotonic())
            await asyncio.sleep(_WATCH_EVERY_S)
        raise TransportError(f"{self._signalling.url}: the path is {peer.connectionState}")


@asynccontextmanager
async def publish(
    camera: Camera, signalling: Signalling, settings: PublishSettings | None = None
) -> AsyncIterator[Publication]:
    """Publish an entered camera while the context is open.

    Entering returns at once: a vehicle starts without a link. Errors stand in ``state``.

    Args:
        camera: Gives the tracks.
        signalling: The WHIP endpoint, its token and the TLS context.
        settings: How to publish.
    """
    publication = Publication(camera, signalling, settings)
    task = asyncio.create_task(publication.run(), name=f"onboard.whip[{signalling.url}]")
    try:
        yield publication
    finally:
        task.cancel()
        await asyncio.wait({task})


def _prefer(transceiver: Any, codec: str) -> None:
    """Offer one codec and no retransmission stream: the relay repairs in place."""
    known = RTCRtpSender.getCapabilities("video").codecs
    transceiver.setCodecPreferences([c for c in known if c.name == codec])


def _speak_thriftily(sender: RTCRtpSender) -> None:
    """Give a sound sender its encoder before it takes one itself, with another bit rate."""
    encoder = opus.OpusEncoder()
    encoder.codec.bit_rate = VOICE_BPS
    sender._RTCRtpSender__encoder = encoder  # type: ignore[attr-defined]
