"""A vehicle's camera: pictures and sound of one source, as tracks to publish.

    async with Camera(CameraSettings(source="rtsp://10.0.0.7/cabin")) as camera:
        tracks = camera.open_tracks()      # new tracks for each connection

One thread decodes; the newest picture wins. A source that fails or ends is opened again, with
growing pauses; what is wrong stands in ``camera.state`` meanwhile, and no picture is made up.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from types import TracebackType
from typing import Self

import av
import numpy as np
import structlog
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av.audio.resampler import AudioResampler
from av.video.frame import PictureType

from onboard.camera_sources import CameraError, find_source, read_source
from streams.timecode import write_time_code

VIDEO_CLOCK_HZ = 90_000
SOUND_RATE_HZ = 48_000
SOUND_SAMPLES = 960
"""Samples of one sound frame: 20 ms, as Opus takes them."""

_SOUND_FRAMES_KEPT = 10
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 8.0
_JOIN_TIMEOUT_S = 10.0
_EARLY = 0.5  # of a frame's time: what comes sooner is one picture too many
_MOST_EARLY_S = 0.02
_LEAST_SCALED = (160, 90)  # pixels: below, a picture shows nothing
_BLACK_LUMA, _NEUTRAL_CHROMA = 16, 128

log = structlog.get_logger("onboard.camera")


@dataclass(frozen=True, slots=True)
class CameraSettings:
    """What a camera shows.

    Attributes:
        source: Path of a file (played again and again), of a device (``/dev/video0``),
            ``rtsp://...``, or ``synthetic`` for a drawn picture.
        width: Of the picture that is published, even, 128 to 1920; a source of another shape
            gets black borders.
        height: As ``width``, 72 to 1080.
        fps: The most pictures a second, 1 to 60.
        sound: Whether to publish the source's sound where it has any.
        time_code: Whether to draw the time into the picture, to measure the delay.
    """

    source: str
    width: int = 640
    height: int = 480
    fps: float = 25.0
    sound: bool = True
    time_code: bool = False

    def __post_init__(self) -> None:
        """Refuse an impossible size or rate."""
        if not (128 <= self.width <= 1920 and 72 <= self.height <= 1080):
            raise CameraError(f"camera: impossible size {self.width}x{self.height}", lasting=True)
        if self.width % 2 or self.height % 2:
            raise CameraError(f"camera: odd size {self.width}x{self.height}", lasting=True)
        if not 1 <= self.fps <= 60:
            raise CameraError(f"camera: impossible rate of {self.fps} a second", lasting=True)


@dataclass(frozen=True, slots=True)
class Shape:
    """What is made of the source's pictures and sound now; the settings are the most.

    Attributes:
        width: Pixels, even.
        height: Pixels, even.
        fps: The most pictures a second; 0 gives none.
        stills: Whether each picture is to be a key frame: whole without those before it.
        sound: Whether sound is handed out.
    """

    width: int
    height: int
    fps: float
    stills: bool = False
    sound: bool = True


@dataclass(frozen=True, slots=True)
class CameraState:
    """How a camera is.

    Attributes:
        running: Whether a picture came from the present opening of the source.
        synthetic: Whether the pictures are drawn.
        error: Why there is no picture, or empty.
        pictures: Pictures taken since the start.
        skipped: Pictures left out: over the rate, or replaced before they were fetched.
        openings: How often the source was opened.
    """

    running: bool
    synthetic: bool
    error: str
    pictures: int
    skipped: int
    openings: int


class Camera:
    """One source, decoded in one thread; use it as an async context."""

    def __init__(self, settings: CameraSettings, wall_ns: Callable[[], int] = time.time_ns) -> None:
        """Check the settings.

        Args:
            settings: What is shown and how.
            wall_ns: The wall clock that the time code shows.

        Attributes:
            tap: Called with each picture as the source gave it, in the thread that decodes.

        Raises:
            CameraError: The source is of an unknown scheme, or there is no such file.
        """
        self.settings = settings
        self.tap: Callable[[av.VideoFrame], None] | None = None
        self._wall_ns = wall_ns
        self._source = find_source(settings.source)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pictures: list[PictureTrack] = []
        self._sounds: list[SoundTrack] = []
        self._resampler: AudioResampler | None = None
        self._running = False
        self._has_sound = False
        self._error = "not started"
        self._seen = self._taken = self._skipped = self._openings = 0
        self._next_due = 0.0
        self._shape = Shape(settings.width, settings.height, settings.fps)

    async def __aenter__(self) -> Self:
        """Start decoding."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(
            target=self._work, name=f"camera[{self._source.shown}]", daemon=True
        )
        self._thread.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop decoding and end all tracks."""
        self._stop.set()
        for track in [*self._pictures, *self._sounds]:
            track.stop()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _JOIN_TIMEOUT_S)

    @property
    def state(self) -> CameraState:
        """How it is, now."""
        return CameraState(
            running=self._running,
            synthetic=self._source.kind == "synthetic",
            error="" if self._running else self._error,
            pictures=self._taken,
            skipped=self._skipped,
            openings=self._openings,
        )

    @property
    def shape(self) -> Shape:
        """What is made of the source now."""
        return self._shape

    def reshape(self, scale: int, fps: float, *, stills: bool = False, sound: bool = True) -> None:
        """Make less, or again all, of the source from the next picture on.

        Args:
            scale: Divisor of width and height, as far as a picture of it is worth looking at.
            fps: The most pictures a second, if the settings do not say less; 0 for none.
            stills: Whether each picture is to be whole without those before it.
            sound: Whether sound is handed out.
        """
        settings = self.settings
        size = (settings.width, settings.height)
        while scale > 1 and any(
            n // scale < n_least for n, n_least in zip(size, _LEAST_SCALED, strict=True)
        ):
            scale -= 1
        width, height = (2 * round(n / scale / 2) for n in size)
        shape = Shape(width, height, min(fps, settings.fps), stills, sound)
        if shape != self._shape:
            self._shape, self._next_due = shape, 0.0

    def open_tracks(self) -> list[MediaStreamTrack]:
        """Return new tracks to publish: the picture, and the sound if the source has any.

        A connection ends its tracks with itself, so each connection gets new ones. Whether
        there is sound is known once the first frames came; before that it is offered if the
        settings want it and the source may have it.
        """
        picture = PictureTrack(self._wall_ns if self.settings.time_code else None)
        self._pictures = [t for t in self._pictures if t.readyState == "live"] + [picture]
        tracks: list[MediaStreamTrack] = [picture]
        may_have = not self._running or self._has_sound
        if self.settings.sound and may_have and self._source.kind != "synthetic":
            sound = SoundTrack()
            self._sounds = [t for t in self._sounds if t.readyState == "live"] + [sound]
            tracks.append(sound)
        return tracks

    def _work(self) -> None:
        """Open the source again and again; runs in the thread."""
        pause_s = _FIRST_PAUSE_S
        while not self._stop.is_set():
            before = self._seen
            try:
                self._openings += 1
                self._read_once()
                self._error = f"camera {self._source.shown}: no picture in it"
            except CameraError as error:
                self._error = str(error)
            if self._stop.is_set():
                return
            if self._seen > before:
                pause_s = _FIRST_PAUSE_S
                if self._source.kind == "file":
                    continue  # from its beginning, without a pause
            self._running = False
            log.warning("camera failed", error=self._error, again_in_s=pause_s)
            self._stop.wait(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _read_once(self) -> None:
        settings = self.settings
        self._resampler = None
        frames = read_source(
            self._source,
            width=settings.width,
            height=settings.height,
            fps=settings.fps,
            stop=self._stop,
        )
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                self._take_picture(frame)
            elif settings.sound:
                self._take_sound(frame)

    def _take_picture(self, frame: av.VideoFrame) -> None:
        now, shape = time.monotonic(), self._shape
        self._seen += 1
        self._running = True
        if self.tap is not None:
            self.tap(frame)
        period = 1 / shape.fps if shape.fps else math.inf
        if not shape.fps or now < self._next_due - min(_EARLY * period, _MOST_EARLY_S):
            self._skipped += 1
            return
        self._next_due = max(self._next_due + period, now + _EARLY * period)
        picture = fit_picture(frame, shape.width, shape.height)
        if shape.stills:
            picture.pict_type = PictureType.I
        self._taken += 1
        self._call(self._hand_out_picture, picture)

    def _take_sound(self, frame: av.AudioFrame) -> None:
        if self._resampler is None:
            self._resampler = AudioResampler("s16", "stereo", SOUND_RATE_HZ, SOUND_SAMPLES)
        self._has_sound = True
        if not self._shape.sound:
            return
        for part in self._resampler.resample(frame):
            if part.samples == SOUND_SAMPLES:
                self._call(self._hand_out_sound, part)

    def _call(self, function: object, frame: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, frame)  # type: ignore[union-attr,arg-type]
        except RuntimeError:
            self._stop.set()  # the loop is closed: nobody looks any more

    def _hand_out_picture(self, picture: av.VideoFrame) -> None:
        for track in self._pictures:
            if not track.offer(picture):
                self._skipped += 1

    def _hand_out_sound(self, sound: av.AudioFrame) -> None:
        for track in self._sounds:
            track.offer(sound)


class PictureTrack(MediaStreamTrack):
    """The newest picture of a camera; one that nobody fetched is replaced."""

    kind = "video"

    def __init__(self, wall_ns: Callable[[], int] | None) -> None:
        """Make a live track; with a clock its time stands in each picture."""
        super().__init__()
        self._wall_ns = wall_ns
        self._newest: av.VideoFrame | None = None
        self._arrived = asyncio.Event()
        self._started = time.monotonic()
        self._last_pts = -1

    def offer(self, picture: av.VideoFrame) -> bool:
        """Take a picture; False when it replaced one that was not fetched."""
        replaced = self._newest is not None
        self._newest = picture
        self._arrived.set()
        return not replaced

    async def recv(self) -> av.VideoFrame:
        """Return the next picture, stamped with the time of its fetching.

        Raises:
            MediaStreamError: The track has ended.
        """
        await self._arrived.wait()
        self._arrived.clear()
        picture, self._newest = self._newest, None
        if picture is None or self.readyState != "live":
            raise MediaStreamError
        if self._wall_ns is not None:
            picture = stamp_picture(picture, self._wall_ns() // 1_000_000)
        elapsed = int((time.monotonic() - self._started) * VIDEO_CLOCK_HZ)
        picture.pts = self._last_pts = max(elapsed, self._last_pts + 1)
        picture.time_base = Fraction(1, VIDEO_CLOCK_HZ)
        return picture

    def stop(self) -> None:
        """End the track and wake whoever waits for a picture."""
        super().stop()
        self._newest = None
        self._arrived.set()


class SoundTrack(MediaStreamTrack):
    """A camera's sound in frames of 20 ms; at most 200 ms wait, the oldest are dropped.

    Attributes:
        dropped: Frames dropped because nobody fetched them in time.
    """

    kind = "audio"

    def __init__(self) -> None:
        """Make a live track."""
        super().__init__()
        self.dropped = 0
        self._kept: deque[av.AudioFrame] = deque(maxlen=_SOUND_FRAMES_KEPT)
        self._arrived = asyncio.Event()
        self._started = time.monotonic()
        self._next_pts = 0

    def offer(self, sound: av.AudioFrame) -> None:
        """Take 20 ms of sound."""
        self.dropped += len(self._kept) == _SOUND_FRAMES_KEPT
        self._kept.append(sound)
        self._arrived.set()

    async def recv(self) -> av.AudioFrame:
        """Return the next 20 ms.

        Raises:
            MediaStreamError: The track has ended.
        """
        while not self._kept and self.readyState == "live":
            self._arrived.clear()
            await self._arrived.wait()
        if self.readyState != "live":
            raise MediaStreamError
        sound = self._kept.popleft()
        elapsed = int((time.monotonic() - self._started) * SOUND_RATE_HZ)
        if elapsed - self._next_pts > _SOUND_FRAMES_KEPT * SOUND_SAMPLES:
            self._next_pts = elapsed  # after a pause of the source
        sound.pts = self._next_pts
        sound.time_base = Fraction(1, SOUND_RATE_HZ)
        self._next_pts += SOUND_SAMPLES
        return sound

    def stop(self) -> None:
        """End the track and wake whoever waits for sound."""
        super().stop()
        self._arrived.set()


def fit_picture(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """Scale a picture into a size without changing its shape; the rest is black.

    Returns:
        A new frame, YUV 4:2:0, ``width`` x ``height``.
    """
    scale = min(width / frame.width, height / frame.height)
    inner_width = min(width, round(frame.width * scale / 2) * 2)
    inner_height = min(height, round(frame.height * scale / 2) * 2)
    inner = frame.reformat(width=inner_width, height=inner_height, format="yuv420p")
    if (inner_width, inner_height) == (width, height):
        return inner
    image = inner.to_ndarray()
    canvas = np.full((height * 3 // 2, width), _NEUTRAL_CHROMA, dtype=np.uint8)
    canvas[:height] = _BLACK_LUMA
    left, top = (width - inner_width) // 4 * 2, (height - inner_height) // 4 * 2
    canvas[top : top + inner_height, left : left + inner_width] = image[:inner_height]
    targets = canvas[height:].reshape(2, height // 2, width // 2)
    parts = image[inner_height:].reshape(2, inner_height // 2, inner_width // 2)
    lines = slice(top // 2, (top + inner_height) // 2)
    targets[:, lines, left // 2 : (left + inner_width) // 2] = parts
    return av.VideoFrame.from_ndarray(canvas, format="yuv420p")


def stamp_picture(frame: av.VideoFrame, unix_ms: int) -> av.VideoFrame:
    """Return a copy of a YUV 4:2:0 picture with a time code in it."""
    image = np.ascontiguousarray(frame.to_ndarray(format="yuv420p")).astype(np.uint8)
    height, width = frame.height, frame.width
    chroma = image[height:].reshape(2, height // 2, width // 2)
    write_time_code(image[:height], (chroma[0], chroma[1]), unix_ms)
    return av.VideoFrame.from_ndarray(image, format="yuv420p")
