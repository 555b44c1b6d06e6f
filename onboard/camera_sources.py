"""Where a camera's pictures come from: a file, a V4L2 device, an RTSP stream, or drawn.

Blocking code for one thread. A source is an iterator of frames that come at their real time;
what goes wrong is a ``CameraError`` that says what and where, without the URL's password.
"""

from __future__ import annotations

import re
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
from av.container import InputContainer

from onboard.drawn_picture import DrawnPicture
from onboard.errors import OnboardError

Kind = Literal["file", "device", "rtsp", "synthetic"]

_OPEN_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 3.0
_FAR_BEHIND_S = 1.0
_PASSWORD = re.compile(r"(?<=://)[^/@]*@")


class CameraError(OnboardError):
    """A camera's source cannot be opened or failed.

    Attributes:
        lasting: Whether trying again cannot help (a missing file, an unknown scheme).
    """

    reason = "camera"

    def __init__(self, text: str, *, lasting: bool = False) -> None:
        super().__init__(text)
        self.lasting = lasting


@dataclass(frozen=True, slots=True)
class CameraSource:
    """A checked source.

    Attributes:
        kind: What it is.
        location: Path or URL; empty for ``synthetic``.
    """

    kind: Kind
    location: str

    @property
    def shown(self) -> str:
        """Its location without a password."""
        return _PASSWORD.sub("", self.location) or "synthetic"


def find_source(text: str) -> CameraSource:
    """Recognise a source.

    Args:
        text: A path of a file or device (``file:`` before it is allowed), ``rtsp://...`` or
            ``rtsps://...``, or ``synthetic``.

    Raises:
        CameraError: A lasting one: the scheme is unknown, or there is no such file.
    """
    if text == "synthetic":
        return CameraSource("synthetic", "")
    scheme, separator, rest = text.partition(":")
    if separator and scheme in ("rtsp", "rtsps"):
        return CameraSource("rtsp", text)
    if separator and scheme == "file":
        path = Path(rest.removeprefix("//"))
    elif separator and re.fullmatch(r"[a-z][a-z0-9+.-]+", scheme):
        raise CameraError(
            f"camera {_PASSWORD.sub('', text)}: scheme {scheme!r} is not known; "
            "use a file, a device, rtsp:// or 'synthetic'",
            lasting=True,
        )
    else:
        path = Path(text)
    if path.is_relative_to("/dev"):
        # A camera that is unplugged now may be plugged in again: found out when it is opened.
        return CameraSource("device", str(path))
    if not path.exists():
        raise CameraError(f"camera: there is no file {path}", lasting=True)
    if not stat.S_ISREG(path.stat().st_mode):
        raise CameraError(f"camera: {path} is not a file", lasting=True)
    return CameraSource("file", str(path))


def read_source(
    source: CameraSource, *, width: int, height: int, fps: float, stop: threading.Event
) -> Iterator[av.VideoFrame | av.AudioFrame]:
    """Yield a source's frames as their time comes, until it ends or ``stop`` is set.

    Files come at their own rate and end at their end; devices and streams come as they come.

    Args:
        source: From ``find_source``.
        width: Wanted of a device, in pixels; drawn pictures have it.
        height: As ``width``.
        fps: Wanted of a device; drawn pictures have it.
        stop: Ends the iteration at the next frame.

    Raises:
        CameraError: It cannot be opened, has no picture, or fails while it is read.
    """
    if source.kind == "synthetic":
        yield from _draw(width, height, fps, stop)
        return
    try:
        with _open(source, width, height, fps) as container:
            if not container.streams.video:
                raise CameraError(f"camera {source.shown}: no video in it", lasting=True)
            frames = _decode(container)
            if source.kind == "file":
                yield from _pace(frames, stop)
            else:
                yield from _until(frames, stop)
                if not stop.is_set():
                    raise CameraError(f"camera {source.shown}: the stream ended")
    except (av.FFmpegError, OSError) as error:
        raise CameraError(f"camera {source.shown}: {_PASSWORD.sub('', str(error))}") from error


def _open(source: CameraSource, width: int, height: int, fps: float) -> InputContainer:
    if source.kind == "device":
        wanted = {"video_size": f"{width}x{height}", "framerate": f"{fps:g}"}
        try:
            return av.open(source.location, format="video4linux2", options=wanted)
        except (av.FFmpegError, ValueError):
            # Not all devices have the wanted size; their own will be scaled.
            return av.open(source.location, format="video4linux2")
    if source.kind == "rtsp":
        # Not "nobuffer": it would throw away the key frame that opening has read.
        options = {"rtsp_transport": "tcp", "analyzeduration": "1000000"}
        return av.open(source.location, options=options, timeout=(_OPEN_TIMEOUT_S, _READ_TIMEOUT_S))
    return av.open(source.location)


def _decode(container: InputContainer) -> Iterator[av.VideoFrame | av.AudioFrame]:
    streams = [container.streams.video[0], *container.streams.audio[:1]]
    for packet in container.demux(streams):
        try:
            for frame in packet.decode():
                if isinstance(frame, (av.VideoFrame, av.AudioFrame)):
                    yield frame
        except av.error.InvalidDataError:
            continue  # a damaged packet; the next key frame mends it


def _until(
    frames: Iterator[av.VideoFrame | av.AudioFrame], stop: threading.Event
) -> Iterator[av.VideoFrame | av.AudioFrame]:
    for frame in frames:
        if stop.is_set():
            return
        yield frame


def _pace(
    frames: Iterator[av.VideoFrame | av.AudioFrame], stop: threading.Event
) -> Iterator[av.VideoFrame | av.AudioFrame]:
    start: float | None = None
    for frame in frames:
        now = time.monotonic()
        position = frame.time or 0.0
        if start is None or now - (start + position) > _FAR_BEHIND_S:
            start = now - position
        if stop.wait(max(0.0, start + position - now)):
            return
        yield frame


def _draw(width: int, height: int, fps: float, stop: threading.Event) -> Iterator[av.VideoFrame]:
    picture = DrawnPicture(width, height)
    due = time.monotonic()
    while not stop.wait(max(0.0, due - time.monotonic())):
        yield av.VideoFrame.from_ndarray(picture.draw(time.time()), format="rgb24")
        due = max(due + 1 / fps, time.monotonic() - _FAR_BEHIND_S)
