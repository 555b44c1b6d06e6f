"""The files of kept video: H.264 in Matroska, one of some seconds after the other, per case.

    <folder>/<case>/20261122T221348123Z.mkv     finished; .part while it is written

Any player reads them, each alone. A file gets its final name when it is whole and on the disk; one
that a crash tore is made whole as far as it goes (``mend``), at most a second is missing.
Blocking code for a thread.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
import structlog
from av.video.frame import PictureType

from onboard.video_retention import VideoSegment
from streams.errors import StorageError

_CLUSTER_MS = 1000
"""What a crash may cost: the muxer writes whole clusters."""

_TIME_BASE = Fraction(1, 1000)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = "%Y%m%dT%H%M%S"
_OPTIONS = {"preset": "ultrafast", "tune": "zerolatency"}
_FAILURES = (OSError, av.FFmpegError)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class VideoShape:
    """What is kept.

    Attributes:
        width: Pixels, even.
        height: Pixels, even.
        fps: The most pictures a second.
        bps: Bits a second.
    """

    width: int
    height: int
    fps: float
    bps: int


def name_of(start_ns: int) -> str:
    """Return the name of a segment without its ending, from the wall clock at its start."""
    start = _EPOCH + timedelta(milliseconds=start_ns // 1_000_000)
    return f"{start:{_NAME}}{start.microsecond // 1000:03d}Z"


def start_of(name: str) -> int:
    """Return the start that a name tells, ns.

    Raises:
        ValueError: It is no such name.
    """
    if len(name) != 19 or name[-1] != "Z":
        raise ValueError(f"{name!r} is no name of a segment")
    start = datetime.strptime(name[:15], _NAME).replace(tzinfo=UTC)
    return int((start - _EPOCH).total_seconds()) * 1_000_000_000 + int(name[15:18]) * 1_000_000


def segments(folder: Path) -> list[VideoSegment]:
    """Return all finished segments, by case and time; what cannot be read is left out."""
    return sorted(_found(folder, ".mkv"), key=lambda one: (one.case, one.start_ns))


def torn(folder: Path) -> list[Path]:
    """Return what a crash or a full disk left unfinished."""
    with contextlib.suppress(OSError):
        return sorted(path for path in folder.glob("*/*.part"))
    return []


def _found(folder: Path, ending: str) -> Iterator[VideoSegment]:
    with contextlib.suppress(OSError):
        for path in folder.glob(f"*/*{ending}"):
            with contextlib.suppress(OSError, ValueError):
                start_ns = start_of(path.stem)
                yield VideoSegment(path, path.parent.name, start_ns, path.stat().st_size)


class SegmentWriter:
    """One segment while it is written.

    Attributes:
        case: Whose.
        start_ns: Wall clock at its first picture.
        path: The file while it is written.
    """

    def __init__(self, folder: Path, case: str, start_ns: int, shape: VideoShape) -> None:
        """Begin a segment.

        Args:
            folder: Of all kept video.
            case: Whose.
            start_ns: Wall clock at its first picture.
            shape: Of the pictures.

        Raises:
            StorageError: The disk is full or fails.
        """
        self.case, self.start_ns = case, start_ns
        self.path = folder / case / f"{name_of(start_ns)}.part"
        self._last_ms = -1
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = _create(self.path)
        except OSError as error:
            raise StorageError(f"video {self.path}: {error}") from error
        self._out = av.open(
            self._file, "w", format="matroska",
            options={"cluster_time_limit": str(_CLUSTER_MS)},
        )  # fmt: skip
        self._stream: Any = self._out.add_stream(
            "libx264", rate=max(1, round(shape.fps)), options=_OPTIONS
        )
        self._stream.width, self._stream.height = shape.width, shape.height
        self._stream.pix_fmt = "yuv420p"
        self._stream.bit_rate = shape.bps
        # One thread: two of them cost more than they bring at ten pictures a second.
        self._stream.codec_context.thread_count = 1
        self._stream.codec_context.time_base = _TIME_BASE

    def add(self, picture: av.VideoFrame, at_ms: int) -> None:
        """Write a picture.

        Args:
            picture: YUV 4:2:0, of the segment's size; its time is changed.
            at_ms: Since the segment's start.

        Raises:
            StorageError: The disk is full or fails: ``abandon`` the segment.
        """
        self._last_ms = max(self._last_ms + 1, at_ms)
        picture.pts, picture.time_base = self._last_ms, _TIME_BASE
        picture.pict_type = PictureType.NONE
        try:
            self._out.mux(self._stream.encode(picture))
        except _FAILURES as error:
            raise StorageError(f"video {self.path}: {error}") from error

    def close(self) -> VideoSegment:
        """Finish the segment: when this returns it is whole and on the disk.

        Raises:
            StorageError: The disk is full or fails; what it took is in the ``.part``.
        """
        try:
            self._out.mux(self._stream.encode(None))
            self._out.close()
            return _finish(self.path, self._file)
        except _FAILURES as error:
            raise StorageError(f"video {self.path}: {error}") from error
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Let go of the file as it is."""
        with contextlib.suppress(*_FAILURES):
            self._out.close()
        with contextlib.suppress(OSError):
            self._file.close()


def mend(part: Path) -> VideoSegment | None:
    """Make a whole segment of what a crash or a full disk left; None where nothing is readable.

    Then the file is gone: it holds no picture.

    Raises:
        StorageError: There is no room for it, or the disk fails; the file is as it was.
    """
    copy = part.with_suffix(".mend")
    try:
        with contextlib.suppress(OSError):
            copy.unlink()
        with _create(copy) as file:
            pictures = _copy_packets(part, file)
            if pictures:
                segment = _finish(copy, file)
        part.unlink()
        if not pictures:
            copy.unlink()
            return None
    except _FAILURES as error:
        with contextlib.suppress(OSError):
            copy.unlink()
        raise StorageError(f"video {part}: {error}") from error
    log.warning("torn video mended", segment=str(segment.path), pictures=pictures)
    return segment


def _copy_packets(part: Path, file: IO[bytes]) -> int:
    """Copy what is readable; return the number of pictures."""
    pictures = 0
    with contextlib.ExitStack() as stack:
        try:
            torn_one = stack.enter_context(av.open(str(part)))
            source = torn_one.streams.video[0]
        except (av.InvalidDataError, av.EOFError, IndexError):
            return 0
        whole = stack.enter_context(av.open(file, "w", format="matroska"))
        target = whole.add_stream_from_template(source)
        packets = torn_one.demux(source)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.InvalidDataError, av.EOFError):
                return pictures
            if packet.dts is None or not packet.size:
                continue
            packet.stream = target
            whole.mux(packet)
            pictures += 1


def _create(path: Path) -> IO[bytes]:
    number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    return os.fdopen(number, "w+b", buffering=0)


def _finish(path: Path, file: IO[bytes]) -> VideoSegment:
    os.fsync(file.fileno())
    size = os.fstat(file.fileno()).st_size
    final = path.with_suffix(".mkv")
    path.rename(final)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return VideoSegment(final, path.parent.name, start_of(path.stem), size)
