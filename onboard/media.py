"""Live media of a run: the ECG's data channel and the cabin camera. The freshest wins.

Both run while a run is on and only then. Going on and off are facts, with the reason, and the
crew sees the same words: who is filmed must know it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import structlog
from av import VideoFrame

from onboard.camera import Camera, CameraSettings
from onboard.camera_sources import CameraError
from onboard.ladder import Rung
from onboard.path_probe import LABEL as PATH_LABEL
from onboard.settings import CameraTable
from onboard.situation import Binding
from onboard.whip import Publication, PublishSettings, publish
from streams.errors import OversizedError
from streams.health import DROPPED
from streams.messages import MediaState, Origin
from streams.outbox import Draft
from streams.transport.webrtc import DataUplink
from streams.webrtc import PeerSettings, Signalling

ECG_LABEL = "ecg"
LIVE_RESOURCE = "live"
KEPT_FRAMES = 3
"""Live frames that may wait for a narrow channel: 0.3 s; beyond, the oldest is dropped."""

LOOK_EVERY_S = 0.2
PATIENCE_S = 5.0
"""A camera that has not come on after this is said to be off, and why."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CameraView:
    """The camera as the crew sees it.

    Attributes:
        stream: Its name; empty for a vehicle without.
        wanted: Whether the crew lets it run.
        on: Whether pictures are going out now.
        reason: Why not.
        since_ns: Wall clock since when.
        origin: Of the pictures.
    """

    stream: str
    wanted: bool
    on: bool
    reason: str | None
    since_ns: int
    origin: Origin


class LiveEcg:
    """The live ECG's data channel; without a path frames are dropped and counted.

    Attributes:
        echoed: Takes what the hub sends back of the probes of this path.
    """

    def __init__(self, signalling: Signalling | None, peer: PeerSettings) -> None:
        """Prepare; without an endpoint every frame is dropped."""
        self._signalling = signalling
        self._peer = peer
        self._uplink: DataUplink | None = None
        self.echoed: Callable[[bytes], None] = lambda _echo: None

    @property
    def connected(self) -> bool:
        """Whether frames are going out."""
        return self._uplink is not None and self._uplink.connected

    @property
    def paths(self) -> int:
        """How many paths were built in this run; a change means that the path is another one."""
        return self._uplink.connections if self._uplink is not None else 0

    def send_probe(self, burst: Sequence[bytes]) -> bool:
        """Send probes beside the frames, now or not at all; return whether they went."""
        return self._uplink is not None and self._uplink.send_beside(PATH_LABEL, burst)

    def send(self, message: bytes) -> None:
        """Send an encoded ``ecg_live``, or drop it; never waits."""
        uplink = self._uplink
        if uplink is None or not uplink.connected:
            DROPPED.labels("ecg_live").inc()
            return
        before = uplink.counts.dropped
        try:
            uplink.send(message)
        except OversizedError:
            DROPPED.labels("ecg_live").inc()
        DROPPED.labels("ecg_live").inc(uplink.counts.dropped - before)

    def _take_echo(self, echo: bytes) -> None:
        self.echoed(echo)  # who takes them may come later than the channel

    async def run(self) -> None:
        """Hold the channel until cancelled."""
        if self._signalling is None:
            return
        uplink = DataUplink(
            self._signalling, label=ECG_LABEL, peer=self._peer, kept=KEPT_FRAMES,
            beside={PATH_LABEL: self._take_echo},
        )  # fmt: skip
        async with uplink:
            self._uplink = uplink
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self._uplink = None


class CabinCamera:
    """The cabin camera while a run is on."""

    def __init__(
        self,
        table: CameraTable,
        signalling: Signalling,
        peer: PeerSettings,
        *,
        make: Callable[[Draft], None],
        wall_ns: Callable[[], int],
    ) -> None:
        """Prepare.

        Args:
            table: Its settings.
            signalling: The hub's WHIP endpoint.
            peer: WebRTC's addresses.
            make: Makes a fact; does not raise.
            wall_ns: This machine's wall clock.

        Attributes:
            changed: Called when what the crew sees of it changed.
            tap: Called with each picture as the source gave it, in the thread that decodes.
        """
        self.changed: Callable[[], None] = lambda: None
        self.tap: Callable[[VideoFrame], None] | None = None
        self._table = table
        self._signalling = signalling
        self._publish = PublishSettings(peer=peer, codec=table.codec, most_bps=table.most_bps)
        self._make = make
        self._wall_ns = wall_ns
        self._origin: Origin = "synthetic" if table.source == "synthetic" else table.origin
        self._told: bool | None = None
        self._running: tuple[Camera, Publication] | None = None
        self._rung: tuple[Rung, float] | None = None
        self.view = CameraView(table.name, True, False, None, wall_ns(), self._origin)

    async def run(self, binding: Binding) -> None:
        """Publish until cancelled; a camera that cannot work is told once."""
        self._told = None
        loop = asyncio.get_running_loop()
        patient_until = loop.time() + PATIENCE_S
        try:
            table = self._table
            camera = Camera(
                CameraSettings(
                    table.source, table.width, table.height, table.fps, table.sound, table.time_code
                ),
                self._wall_ns,
            )
            camera.tap = self.tap
            async with camera, publish(camera, self._signalling, self._publish) as publication:
                self._running = (camera, publication)
                if self._rung is not None:
                    self.obey(*self._rung)
                while True:
                    reason = _why_not(camera, publication)
                    if reason is None or self._told or loop.time() > patient_until:
                        self._tell(binding, reason)
                    await asyncio.sleep(LOOK_EVERY_S)
        except CameraError as error:
            self._tell(binding, str(error))
        finally:
            self._running = None

    @property
    def table(self) -> CameraTable:
        """Its settings: the best that it gives."""
        return self._table

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of what is published now, in pixels."""
        if self._running is None:
            return (self._table.width, self._table.height)
        shape = self._running[0].shape
        return (shape.width, shape.height)

    def obey(self, rung: Rung, pace_bps: float) -> None:
        """Send no more than a rung of the ladder allows, from the next picture on.

        Args:
            rung: Says what.
            pace_bps: At which video packets may leave; 0 holds them.
        """
        self._rung = (rung, pace_bps)
        if self._running is None:
            return
        camera, publication = self._running
        fps = rung.fps if rung.picture != "off" else 0.0
        camera.reshape(rung.scale, fps, stills=rung.picture == "stills", sound=rung.sound)
        publication.steer(rung.video_bps, pace_bps, rung.scale)

    def let(self, binding: Binding, *, wanted: bool) -> None:
        """Note that the crew lets the camera run, or has switched it off."""
        self.view = replace(self.view, wanted=wanted)
        if not wanted:
            self._tell(binding, "switched off by the crew")
        self.changed()

    def end(self, binding: Binding) -> None:
        """Note that the run is over."""
        self._tell(binding, "the run has ended")
        self.view = replace(self.view, wanted=True)

    def _tell(self, binding: Binding, reason: str | None) -> None:
        on = reason is None
        if self._told is on:
            if reason != self.view.reason:
                self.view = replace(self.view, reason=reason)
                self.changed()
            return
        if self._told is None and not on and reason == "the run has ended":
            return  # it never was on, and that was told or is nobody's news
        self._told = on
        self.view = replace(self.view, on=on, reason=reason, since_ns=self._wall_ns())
        log.info("camera", stream=self._table.name, on=on, reason=reason)
        state = MediaState(stream=self._table.name, state="on" if on else "off", reason=reason)
        self._make(Draft("media_state", state, self._origin, binding.case, binding.patient))
        self.changed()


def _why_not(camera: Camera, publication: Publication) -> str | None:
    if camera.state.error:
        return camera.state.error
    if not publication.state.connected:
        return publication.state.error or "connecting"
    return None


async def cancel(task: asyncio.Task[None] | None) -> None:
    """Cancel a task and wait for its end."""
    if task is not None:
        task.cancel()
        await asyncio.wait({task})
