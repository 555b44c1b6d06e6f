"""The ladder over real connections: probes and their echo, rungs that real video obeys."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aioice.ice import StunProtocol
from aiortc.codecs import h264, vpx

from bench.network_conditions import Conditions, Counters
from bench.network_queue import LinkQueue
from dispatch.path_echo import PathEcho
from dispatch.rtp import starts_key_frame
from onboard.camera import Camera, CameraSettings
from onboard.ecg_keeping import RECORD_BYTES
from onboard.ladder import RUNGS, Rung, rungs_for
from onboard.media import CabinCamera, LiveEcg
from onboard.quality import QualityControl
from onboard.record_pace import BLOCK_TAKES_S, WINDOW, RecordLimit
from onboard.settings import CameraTable
from onboard.situation import Binding
from onboard.whip import Publication, PublishSettings, publish
from streams.messages import QualityStep
from streams.webrtc import PeerSettings

LOOPBACK = PeerSettings(addresses=("127.0.0.1",))


@pytest.fixture(autouse=True)
def encoder_limits() -> Any:
    """The limits of this process's encoders, put back afterwards."""
    names = ("MIN_BITRATE", "MAX_BITRATE", "DEFAULT_BITRATE")
    kept = [(module, name, getattr(module, name)) for module in (vpx, h264) for name in names]
    yield
    for module, name, value in kept:
        setattr(module, name, value)


class Run:
    """What a quality control was told to do, and made."""

    def __init__(self, path: LiveEcg, rungs: tuple[Rung, ...]) -> None:
        self.steps: list[QualityStep] = []
        self.obeyed: list[tuple[Rung, float]] = []
        self.control = QualityControl(
            rungs, path, obey=lambda *told: self.obeyed.append(told),
            limit_record=lambda _limit: None, size=lambda: (640, 480), oldest_s=lambda: 0.0,
            ecg_load=lambda: 1.0,
            make=self.steps.append, wall_ns=time.time_ns,
        )  # fmt: skip


@contextlib.asynccontextmanager
async def running(site: Any, rungs: tuple[Rung, ...]) -> AsyncIterator[Run]:
    path = LiveEcg(site.whip("unit-7/live"), LOOPBACK)
    run = Run(path, rungs)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(path.run()), group.create_task(run.control.run())]
        try:
            yield run
        finally:
            for task in tasks:
                task.cancel()


async def test_quality_on_a_wide_path_is_measured_and_full_at_once(
    serve_relay: Any, wait_for: Any
) -> None:
    async with serve_relay() as site:
        echo = PathEcho(site.relay)
        async with running(site, rungs_for(600_000, 25, sound=True)) as run:
            await wait_for(lambda: run.steps, "the first choice", timeout_s=20.0)
            step = run.steps[0]
            assert (step.change, step.rung, step.picture, step.sound) == ("start", 0, "video", True)
            assert step.capacity_bps is not None
            assert step.round_trip_ms is not None
            assert step.capacity_bps > 700_000
            assert 0 < step.round_trip_ms < 1000
            rung, pace_bps = run.obeyed[-1]
            assert rung.video_bps == 600_000
            assert pace_bps >= 600_000
            assert run.obeyed[0][1] == 0.0  # nothing leaves before anything is known
        assert echo.echoed > 10
        assert echo.unanswered == 0


async def test_quality_without_an_echo_lets_single_pictures_go_until_there_is_one(
    serve_relay: Any, wait_for: Any
) -> None:
    async with serve_relay() as site, running(site, RUNGS) as run:
        await wait_for(lambda: run.obeyed and run.obeyed[-1][1] > 0, "pictures go", timeout_s=20.0)
        rung = run.obeyed[-1][0]
        assert (rung.picture, rung.video_bps, rung.sound) == ("stills", 20_000, False)
        assert all(pace == 0 for one, pace in run.obeyed if one.picture == "video")
        assert [(step.change, step.reason) for step in run.steps] == [("start", "silence")]
        PathEcho(site.relay)
        await wait_for(lambda: run.steps[-1].rung == 0, "all of it", timeout_s=30.0)


async def test_quality_that_lost_its_path_lets_single_pictures_go_after_a_while(
    serve_relay: Any, wait_for: Any
) -> None:
    async with contextlib.AsyncExitStack() as hub:
        site = await hub.enter_async_context(serve_relay())
        PathEcho(site.relay)
        async with running(site, RUNGS) as run:
            await wait_for(lambda: run.steps and run.steps[-1].rung == 0, "all of it", 30.0)
            await hub.aclose()
            await wait_for(lambda: run.obeyed[-1][1] == 0, "video is held", 10.0)
            lost = len(run.obeyed)
            await wait_for(lambda: run.steps[-1].picture == "stills", "pictures", 30.0)
            assert (run.steps[-1].change, run.steps[-1].reason) == ("down", "silence")
            assert all(pace == 0 for one, pace in run.obeyed[lost:] if one.picture == "video")


async def test_echo_answers_only_probes_and_only_their_sender(
    serve_relay: Any, wait_for: Any
) -> None:
    async with serve_relay() as site:
        echo = PathEcho(site.relay)
        path = LiveEcg(site.whip("unit-7/live"), LOOPBACK)
        other = LiveEcg(site.whip("unit-8/live"), LOOPBACK)
        back: list[bytes] = []
        path.echoed = back.append
        other.echoed = lambda _: pytest.fail("another vehicle's echo")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one.run()) for one in (path, other)]
            await wait_for(lambda: path.connected and other.connected, "both paths")
            await wait_for(lambda: path.send_probe([b"0123456789abcdef and filling"]), "a probe")
            await wait_for(lambda: back, "its echo")
            assert path.send_probe([b"too short"])
            await wait_for(lambda: echo.unanswered == 1, "it is counted")
            for task in tasks:
                task.cancel()
        assert [(one[:16], len(one)) for one in back] == [(b"0123456789abcdef", 24)]
        assert site.messages == []


def sent_bits(publication: Publication) -> int:
    sender = publication._video
    return 8 * int(getattr(sender, "_RTCRtpSender__octet_count", 0))


async def rate_over(publication: Publication, seconds: float) -> float:
    """Bits a second of video over a while."""
    before, began = sent_bits(publication), time.monotonic()
    await asyncio.sleep(seconds)
    return (sent_bits(publication) - before) / (time.monotonic() - began)


async def test_camera_and_video_obey_each_rung_from_the_next_picture_on(
    serve_relay: Any, view: Any, wait_for: Any, shared_data: Path
) -> None:
    settings = CameraSettings(source=str(shared_data / "video" / "bikes.mp4"), sound=False)
    async with (
        serve_relay() as site,
        Camera(settings) as camera,
        publish(camera, site.whip(), PublishSettings(peer=LOOPBACK)) as video,
    ):
        video.steer(1_000_000, 2_000_000)
        viewer = await view(site.whep())
        frames = await viewer.frames(5)
        assert {(f.width, f.height) for f in frames} == {(640, 480)}
        small = RUNGS[5]
        camera.reshape(small.scale, small.fps)
        video.steer(small.video_bps, 1.3 * small.video_bps, small.scale)
        async with asyncio.timeout(15):
            while (await viewer.frames(1))[0].width != 320:
                pass
        rate_bps = await rate_over(video, 4.0)
        assert rate_bps < 1.3 * small.video_bps * 1.1
        before = camera.state.pictures
        camera.reshape(2, 0.0)
        await asyncio.sleep(0.5)
        before = camera.state.pictures
        assert await rate_over(video, 1.0) == 0
        assert camera.state.pictures == before
        assert camera.state.error == ""  # it is not sent; it has not failed
        camera.reshape(1, 25)
        video.steer(1_000_000, 2_000_000)
        async with asyncio.timeout(15):
            while (await viewer.frames(1))[0].width != 640:
                pass


async def test_stills_are_whole_pictures_of_their_own(shared_data: Path) -> None:
    settings = CameraSettings(source=str(shared_data / "video" / "bikes.mp4"), sound=False)
    async with Camera(settings) as camera:
        (track,) = camera.open_tracks()
        camera.reshape(2, 4.0, stills=True)
        encoder = vpx.Vp8Encoder()
        async with asyncio.timeout(20):
            pictures: list[Any] = [await track.recv() for _ in range(4)]
        encoded = [encoder.encode(picture)[0] for picture in pictures]
        sizes = {(encoder.codec.width, encoder.codec.height)} if encoder.codec else set()
        # The first picture may have been taken before; the encoder starts anew at a new size.
        assert all(starts_key_frame("VP8", packets[0], 0) for packets in encoded[1:])
        assert sizes == {(320, 240)}


async def test_video_that_is_held_sends_nothing_and_goes_on_when_let(
    serve_relay: Any, wait_for: Any
) -> None:
    settings = CameraSettings(source="synthetic", width=320, height=240)
    async with (
        serve_relay() as site,
        Camera(settings) as camera,
        publish(camera, site.whip(), PublishSettings(peer=LOOPBACK)) as video,
    ):
        video.steer(300_000, 300_000)
        await wait_for(lambda: sent_bits(video) > 0, "video flows")
        video.steer(300_000, 0.0)
        await asyncio.sleep(0.3)
        assert await rate_over(video, 1.0) == 0
        assert video.state.connected  # reports still come
        video.steer(300_000, 300_000)
        stopped = sent_bits(video)
        await wait_for(lambda: sent_bits(video) > stopped, "it goes on")


class ThinUplink:
    """Carries what vehicles (the controlling side of ICE) send over one modelled queue."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, conditions: Conditions) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue = LinkQueue(conditions, 1, time.monotonic())
        self._sent: dict[bytes, tuple[Any, bytes, Any]] = {}
        send_at_once = StunProtocol.send_data

        async def send(protocol: StunProtocol, data: bytes, addr: tuple[str, int]) -> None:
            if not protocol.receiver.ice_controlling:
                await send_at_once(protocol, data, addr)
                return
            name = len(self._sent).to_bytes(8, "big")
            self._sent[name] = (protocol, data, addr)
            self._queue.offer(name.ljust(len(data) + 28, b"\0"), time.monotonic())
            self._arrive()

        monkeypatch.setattr(StunProtocol, "send_data", send)

    @property
    def counters(self) -> Counters:
        return self._queue.counted()

    def widen(self, conditions: Conditions) -> None:
        self._queue.change(conditions, time.monotonic())
        self._arrive()

    def _arrive(self) -> None:
        for packet in self._queue.due(time.monotonic()):
            protocol, data, addr = self._sent[packet[:8]]
            if not protocol.transport.is_closing():
                protocol.transport.sendto(data, addr)
        if self._queue.next_s < float("inf"):
            self._loop.call_later(max(0.0, self._queue.next_s - time.monotonic()), self._arrive)


async def test_quality_on_a_thin_link_keeps_video_going_and_the_queue_short_and_comes_back(
    serve_relay: Any, wait_for: Any, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = ThinUplink(monkeypatch, Conditions(delay_ms=25, rate_kbps=300))
    table = CameraTable(source=str(shared_data / "video" / "bikes.mp4"), sound=False)
    async with serve_relay() as site:
        PathEcho(site.relay)
        path = LiveEcg(site.whip("unit-7/live"), LOOPBACK)
        camera = CabinCamera(
            table, site.whip(), LOOPBACK, make=lambda _draft: None, wall_ns=time.time_ns
        )
        steps: list[QualityStep] = []
        limits: list[RecordLimit] = []
        control = QualityControl(
            rungs_for(table.most_bps, table.fps, sound=table.sound), path, obey=camera.obey,
            limit_record=limits.append, size=lambda: camera.size,
            oldest_s=lambda: 0.0,
            ecg_load=lambda: 1.0,
            make=steps.append, wall_ns=time.time_ns,
        )  # fmt: skip
        async with asyncio.TaskGroup() as group:
            work = (path.run(), control.run(), camera.run(Binding()))
            tasks = [group.create_task(one) for one in work]
            try:
                await wait_for(lambda: steps, "the first choice", timeout_s=20.0)
                assert 3 <= steps[0].rung <= 5
                assert (steps[0].picture, steps[0].width) == ("video", camera.size[0])
                at_300_kbps = BLOCK_TAKES_S * 300_000 / 8
                assert limits[-1].block_bytes == pytest.approx(at_300_kbps, rel=0.3)
                queues = []
                for _ in range(60):
                    await asyncio.sleep(0.1)
                    state = control.view.state
                    queues.append(state.queue_s if state is not None else 9.9)
                # Stock aiortc fills any queue: here 1 s of room, and packets dropped.
                assert sorted(queues)[len(queues) // 2] < 0.2
                assert link.counters.dropped_queue == 0
                forwarded = site.resource().tracks[0].received
                assert forwarded > 20
                link.widen(Conditions(delay_ms=25, rate_kbps=20_000))
                await wait_for(lambda: steps[-1].rung == 0, "all of it again", timeout_s=30.0)
                assert limits[-1] == RecordLimit(WINDOW, RECORD_BYTES)
            finally:
                for task in tasks:
                    task.cancel()
