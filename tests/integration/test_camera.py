"""Cameras on real files, on a drawn picture and on an RTSP server that drops the line."""

from __future__ import annotations

import asyncio
import itertools
import re
import struct
from contextlib import AsyncExitStack
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from aiortc.codecs import vpx
from aiortc.mediastreams import MediaStreamError

from onboard.camera import Camera, CameraSettings, fit_picture, stamp_picture
from onboard.camera_sources import CameraError, find_source
from onboard.whip import PublishSettings, publish
from streams.timecode import read_time_code
from streams.webrtc import PeerSettings

LOOPBACK = PeerSettings(addresses=("127.0.0.1",))


def luma_of(frame: av.VideoFrame) -> Any:
    """The luma plane of a YUV 4:2:0 picture."""
    return frame.to_ndarray(format="yuv420p")[: frame.height]


async def fetch(track: Any, count: int, timeout_s: float = 10.0) -> list[Any]:
    """The next frames of a track."""
    async with asyncio.timeout(timeout_s):
        return [await track.recv() for _ in range(count)]


async def test_camera_on_a_file_plays_at_its_own_rate_and_again(
    shared_data: Path, wait_for: Any
) -> None:
    settings = CameraSettings(source=str(shared_data / "video" / "bikes.mp4"))
    async with Camera(settings) as camera:
        picture = camera.open_tracks()[0]
        frames = await fetch(picture, 51)
        assert {(f.width, f.height, f.format.name) for f in frames} == {(640, 480, "yuv420p")}
        seconds = (frames[-1].pts - frames[0].pts) / 90_000
        assert 1.5 < seconds < 6.0  # 50 pictures at 25 a second, on a busy machine
        assert all(b.pts > a.pts for a, b in pairwise(frames))
        luma = luma_of(frames[-1])
        assert luma[:100].max() <= 20  # 640x272 keeps its shape: black above and below
        assert luma[240].std() > 5
        await wait_for(lambda: camera.state.openings >= 2, "it plays again", timeout_s=20.0)
        assert await fetch(picture, 5)
        assert camera.state.error == ""


async def test_camera_on_a_cinepak_file_gives_its_few_pictures(shared_data: Path) -> None:
    settings = CameraSettings(
        source=f"file:{shared_data / 'video' / 'tree.avi'}", width=320, height=240
    )
    async with Camera(settings) as camera:
        frames = await fetch(camera.open_tracks()[0], 3)
        assert luma_of(frames[-1]).std() > 10


async def test_camera_that_draws_is_marked_synthetic_and_moves() -> None:
    async with Camera(CameraSettings(source="synthetic", width=320, height=240)) as camera:
        tracks = camera.open_tracks()
        assert [track.kind for track in tracks] == ["video"]
        first, *_, last = await fetch(tracks[0], 15)
        assert camera.state.synthetic
        assert np.abs(luma_of(first).astype(int) - luma_of(last)).max() > 100


async def test_camera_with_time_code_stamps_each_picture_by_the_clock_it_was_given() -> None:
    settings = CameraSettings(source="synthetic", width=320, height=240, time_code=True)
    ticks = itertools.count(1_795_000_000_000, 40)
    async with Camera(settings, lambda: next(ticks) * 1_000_000) as camera:
        frames = await fetch(camera.open_tracks()[0], 10)
        codes = [read_time_code(luma_of(frame), 1_795_000_000_000) for frame in frames]
        assert codes == [1_795_000_000_000 + 40 * number for number in range(10)]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("/nowhere/film.mp4", "there is no file /nowhere/film.mp4"),
        ("file:/nowhere/film.mp4", "there is no file"),
        ("http://user:secret@camera/stream", "scheme 'http' is not known"),
        ("ftp:camera", "scheme 'ftp' is not known"),
        ("/", "is not a file"),
    ],
)
def test_camera_source_that_cannot_be_is_refused_at_once(source: str, words: str) -> None:
    with pytest.raises(CameraError, match=words) as caught:
        Camera(CameraSettings(source=source))
    assert caught.value.lasting
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("size", [(64, 48), (4000, 480), (641, 480)])
def test_camera_of_an_impossible_size_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(CameraError, match="size"):
        CameraSettings(source="synthetic", width=size[0], height=size[1])


async def test_camera_on_a_damaged_file_says_so_and_tries_again(
    tmp_path: Path, wait_for: Any
) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(b"this is no film" * 1000)
    async with Camera(CameraSettings(source=str(path))) as camera:
        await wait_for(lambda: camera.state.openings >= 2, "it tries again")
        assert not camera.state.running
        assert "broken.mp4" in camera.state.error


async def test_camera_device_that_is_not_plugged_in_says_so(wait_for: Any) -> None:
    async with Camera(CameraSettings(source="/dev/video99")) as camera:
        await wait_for(lambda: "/dev/video99" in camera.state.error, "the error names it")
        assert not camera.state.running


async def test_track_that_nobody_fetches_keeps_only_the_newest_picture(wait_for: Any) -> None:
    async with Camera(CameraSettings(source="synthetic", width=320, height=240)) as camera:
        (track,) = camera.open_tracks()
        await wait_for(lambda: camera.state.skipped > 5, "pictures are replaced")
        before = camera.state.pictures
        await fetch(track, 1)
        await fetch(track, 1)
        assert camera.state.pictures > before  # the second one was new, not kept


async def test_track_of_a_camera_that_stops_ends() -> None:
    async with AsyncExitStack() as stack:
        camera = await stack.enter_async_context(
            Camera(CameraSettings(source="synthetic", width=320, height=240))
        )
        (track,) = camera.open_tracks()
        await fetch(track, 1)
        waiting = asyncio.ensure_future(fetch(track, 1000))
        await stack.aclose()
        with pytest.raises(MediaStreamError):
            await waiting


def write_film_with_sound(path: Path) -> None:
    """A film of 2 s: grey pictures and a tone."""
    with av.open(str(path), "w", format="matroska") as film:
        video = film.add_stream("libvpx", rate=25, width=320, height=240, pix_fmt="yuv420p")
        sound = film.add_stream("libopus", rate=48_000, layout="mono")
        for index in range(50):
            image = np.full((360, 320), 128, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="yuv420p")
            frame.pts = index
            film.mux(video.encode(frame))
            position = np.arange(1920) + 1920 * index
            wave = (9000 * np.sin(2 * np.pi * 440 * position / 48_000)).astype(np.int16)
            tone = av.AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
            tone.sample_rate, tone.pts = 48_000, 1920 * index
            film.mux(sound.encode(tone))
        film.mux(video.encode(None))
        film.mux(sound.encode(None))


async def test_camera_on_a_film_with_sound_publishes_both(
    tmp_path: Path, serve_relay: Any, view: Any
) -> None:
    path = tmp_path / "cabin.mkv"
    write_film_with_sound(path)
    settings = CameraSettings(source=str(path), width=320, height=240)
    async with (
        serve_relay() as site,
        Camera(settings) as camera,
        publish(camera, site.whip(), PublishSettings(peer=LOOPBACK)),
    ):
        viewer = await view(site.whep(), "video", "audio")
        assert len(await viewer.frames(20)) == 20
        sound = await viewer.frames(20, "audio")
        assert max(int(np.abs(frame.to_ndarray()).max()) for frame in sound) > 2000


async def test_publication_whose_path_goes_silent_is_built_anew(
    serve_relay: Any, view: Any, wait_for: Any
) -> None:
    settings = CameraSettings(source="synthetic", width=320, height=240)
    async with (
        serve_relay() as site,
        Camera(settings) as camera,
        publish(camera, site.whip(), PublishSettings(peer=LOOPBACK, silence_s=1.0)) as video,
    ):
        viewer = await view(site.whep())
        await viewer.frames(5)
        (source,) = (s for s in site.relay._sessions.values() if s.role == "publish")
        # The link dies without a word: nothing that either side sends arrives any more.
        ice = source.peer.getTransceivers()[0].receiver.transport.transport._connection
        for protocol in ice._protocols:
            protocol.transport.abort()
        await wait_for(lambda: video.state.connections == 2, "a new path is built")
        assert len(await viewer.frames(25)) == 25
        assert site.resource().replaced + len(site.relay.snapshot().ended) >= 1
    assert site.relay.snapshot().resources == {}


async def test_publication_without_a_relay_says_why_and_connects_when_it_comes(
    serve_relay: Any, wait_for: Any
) -> None:
    settings = CameraSettings(source="synthetic", width=320, height=240)
    async with serve_relay() as site, Camera(settings) as camera:
        refused = site.whip(token="wrong")
        async with publish(camera, refused, PublishSettings(peer=LOOPBACK)) as video:
            await wait_for(lambda: "no usable bearer token" in video.state.error, "it says why")
            assert not video.state.connected
        async with publish(camera, site.whip(), PublishSettings(peer=LOOPBACK)) as video:
            await wait_for(lambda: video.state.connected, "it connects")
        await wait_for(
            lambda: site.relay.snapshot().ended.get("ended by its peer") == 1, "its end is told"
        )


class RtspServer:
    """An RTSP server (RFC 2326) of one VP8 picture, interleaved on TCP; it can drop its clients."""

    def __init__(self) -> None:
        self.clients: list[asyncio.StreamWriter] = []
        self.plays = 0
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> RtspServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"rtsp://crew:secret@127.0.0.1:{port}/cabin"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.drop()
        self._server.close()
        await self._server.wait_closed()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    def drop(self) -> None:
        for writer in self.clients:
            writer.close()
        self.clients.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.clients.append(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                method = request.split()[0].decode()
                answer, body = self._answer(method)
                number = re.search(rb"CSeq: *(\d+)", request)
                assert number is not None
                head = f"RTSP/1.0 200 OK\r\nCSeq: {number.group(1).decode()}\r\n{answer}"
                writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
                if method == "PLAY":
                    self.plays += 1
                    await self._play(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._tasks.discard(task)
            writer.close()

    @staticmethod
    def _answer(method: str) -> tuple[str, str]:
        if method == "OPTIONS":
            return "Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n", ""
        if method == "DESCRIBE":
            sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=cabin\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
            control = "a=rtpmap:96 VP8/90000\r\na=control:video\r\n"
            return "Content-Type: application/sdp\r\n", sdp + control
        transport = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        return "Session: 1\r\n" + (transport if method == "SETUP" else ""), ""

    async def _play(self, writer: asyncio.StreamWriter) -> None:
        encoder, sequence = vpx.Vp8Encoder(), 0
        for index in itertools.count():
            if writer.is_closing():
                return
            image = np.full((360, 320), 128, dtype=np.uint8)
            image[:240, index * 8 % 300 :][:, :16] = 230
            frame = av.VideoFrame.from_ndarray(image, format="yuv420p")
            frame.pts, frame.time_base = index * 3600, Fraction(1, 90_000)
            payloads, timestamp = encoder.encode(frame, force_keyframe=index == 0)
            for place, payload in enumerate(payloads):
                marker = 0x80 if place == len(payloads) - 1 else 0
                packet = struct.pack("!BBHII", 0x80, marker | 96, sequence, timestamp, 7) + payload
                writer.write(struct.pack("!BBH", 0x24, 0, len(packet)) + packet)
                sequence = sequence + 1 & 0xFFFF
            await writer.drain()
            await asyncio.sleep(0.04)


async def test_camera_on_rtsp_comes_back_after_the_line_dropped(wait_for: Any) -> None:
    async with RtspServer() as server:
        settings = CameraSettings(source=server.url, width=320, height=240)
        async with Camera(settings) as camera:
            (track, *_) = camera.open_tracks()
            frames = await fetch(track, 10)
            assert luma_of(frames[-1]).max() > 200
            server.drop()
            await wait_for(lambda: not camera.state.running, "it notices")
            assert "127.0.0.1" in camera.state.error
            assert "secret" not in camera.state.error
            assert len(await fetch(track, 10)) == 10
            assert camera.state.running
            assert server.plays == 2


@pytest.mark.parametrize("size", [(640, 272), (320, 240), (240, 320), (1921, 1081), (128, 16)])
def test_picture_of_any_shape_is_fitted_without_distortion(size: tuple[int, int]) -> None:
    width, height = size
    frame = av.VideoFrame.from_ndarray(
        np.full((height, width, 3), 200, dtype=np.uint8), format="rgb24"
    )
    fitted = fit_picture(frame, 640, 480)
    assert (fitted.width, fitted.height) == (640, 480)
    bright = luma_of(fitted) > 100
    lines, columns = bright.any(axis=1).sum(), bright.any(axis=0).sum()
    assert columns / lines == pytest.approx(width / height, rel=0.05)


def test_stamped_picture_leaves_the_original_as_it_was() -> None:
    frame = av.VideoFrame.from_ndarray(np.full((360, 320), 90, dtype=np.uint8), format="yuv420p")
    stamped = stamp_picture(frame, 1_795_000_000_123)
    assert read_time_code(luma_of(stamped), 1_795_000_000_000) == 1_795_000_000_123
    assert set(np.unique(luma_of(frame))) == {90}


def test_source_is_recognised() -> None:
    assert find_source("rtsp://crew:secret@10.0.0.7/cabin").shown == "rtsp://10.0.0.7/cabin"
    assert find_source("synthetic").kind == "synthetic"
    assert find_source("/dev/video0").kind == "device"
