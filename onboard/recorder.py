"""The onboard recording: every ECG frame goes to a segment file here before anything is sent.

One file per recording, append-only. A record is written by one system call, so a process that
is killed loses nothing of it; ``sync`` makes it survive a power cut and is called at least
every ``SYNC_S``. A tail that a power cut tore is cut off when the file is opened again.

    file    = magic, record*                     <id>.part while it runs, <id>.ecg when ended
    record  = u32 length | u32 CRC-32 | u8 type | u64 first sample | u32 samples | content
    type    1: description (MessagePack of Header), 2: frame of ecg_block, 3: end

Little-endian; the length is that of the content; the CRC covers all that follows it.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from streams.errors import StorageError
from streams.identity import new_id
from streams.messages import EcgStarted, Origin

SYNC_S = 1.0
"""How often the agent syncs; with a slow disk still below the 2 s that are promised."""

MAGIC = b"forerun-ecg-1\n"
_HEAD = struct.Struct("<IIBQI")
_COVERED_FROM = 8
_LARGEST = 16 * 1024 * 1024
_DESCRIPTION, _FRAME, _END = 1, 2, 3
_CLOSED = -1
_FORGOTTEN = (".ecg", ".torn", ".damaged")

log = structlog.get_logger(__name__)


class UnreadableError(StorageError):
    """A file of which not even the description is whole; trying again does not help."""

    retry = False


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """First record of a segment: what is recorded, of whom.

    Attributes:
        started: As in the fact ``ecg_started``.
        origin: live, replay or synthetic.
        case: The case, or None while unassigned.
        patient: The patient, or None while unassigned.
    """

    started: EcgStarted
    origin: Origin
    case: str | None = None
    patient: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedFrame:
    """A frame as it stands in a segment.

    Attributes:
        first_sample: Number of its first sample.
        samples: Samples per lead.
        frame: The encoded frame.
    """

    first_sample: int
    samples: int
    frame: bytes


@dataclass(frozen=True, slots=True)
class Found:
    """What a segment file holds.

    Attributes:
        header: Its description.
        frames: Its frames in order, without a gap.
        ended: Whether its end was written.
        good_bytes: Length of what is whole; anything behind it is a torn tail.
    """

    header: Header
    frames: list[RecordedFrame]
    ended: bool
    good_bytes: int

    @property
    def samples(self) -> int:
        """Samples per lead that are recorded."""
        return self.frames[-1].first_sample + self.frames[-1].samples if self.frames else 0


class Segment:
    """One recording that runs."""

    def __init__(self, path: Path, file: int, samples: int = 0, *, ended: bool = False) -> None:
        self.path = path
        self.samples = samples
        self._file = file
        self._dirty = True
        self._ended = ended

    @property
    def recording_id(self) -> str:
        """Its name."""
        return self.path.stem

    def append(self, first_sample: int, samples: int, frame: bytes) -> None:
        """Write a frame; it must follow the one before without a gap.

        Raises:
            StorageError: The disk is full or fails, or a sample is missing before it.
        """
        if first_sample != self.samples:
            raise StorageError(
                f"recording {self.path}: sample {first_sample} came, {self.samples} is next"
            )
        self._write(_record(_FRAME, first_sample, samples, frame))
        self.samples += samples

    def sync(self) -> None:
        """Put on the disk what was written since the last time; may take milliseconds.

        Safe to call in another thread than ``append``.

        Raises:
            StorageError: The disk fails.
        """
        if not self._dirty:
            return
        self._dirty = False  # before the call: what is written meanwhile waits for the next one
        try:
            os.fdatasync(self._file)
        except OSError as error:
            self._dirty = True
            raise StorageError(f"recording {self.path}: {error}") from error

    def end(self) -> None:
        """Write the end, sync, and give the file its final name; may be called until it works.

        Raises:
            StorageError: The disk is full or fails.
        """
        if not self._ended:
            self._write(_record(_END, self.samples, 0, b""))
            self._ended = True
        self.sync()
        try:
            self.path.rename(self.path.with_suffix(".ecg"))
        except OSError as error:
            raise StorageError(f"recording {self.path}: {error}") from error
        self.close()

    def close(self) -> None:
        """Close the file as it is; closing it again does nothing."""
        # The system gives the number to the next file that is opened: it must not stay here.
        file, self._file = self._file, _CLOSED
        if file != _CLOSED:
            os.close(file)

    def discard(self) -> None:
        """Remove a recording that could not begin: nothing of a patient is in it."""
        self.close()
        with contextlib.suppress(OSError):
            self.path.unlink()

    def _write(self, record: bytes) -> None:
        if self._file == _CLOSED:
            raise StorageError(f"recording {self.path}: it is closed")
        before = os.lseek(self._file, 0, os.SEEK_CUR)
        try:
            written = os.write(self._file, record)
            if written != len(record):
                raise OSError(28, "no space left on device")
        except OSError as error:
            # Half a record would hide all that follow it.
            os.ftruncate(self._file, before)
            os.lseek(self._file, before, os.SEEK_SET)
            raise StorageError(f"recording {self.path}: {error}; free space") from error
        self._dirty = True


class Recorder:
    """The folder of the recordings."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; it is made.

        Raises:
            StorageError: It cannot be made.
        """
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"recordings {folder}: {error}") from error

    def begin(self, header: Header) -> Segment:
        """Begin a recording.

        Raises:
            StorageError: The disk is full or fails.
        """
        path = self.folder / f"{new_id()}.part"
        try:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StorageError(f"recording {path}: {error}") from error
        segment = Segment(path, file)
        try:
            segment._write(MAGIC + _record(_DESCRIPTION, 0, 0, msgspec.msgpack.encode(header)))
            _sync_folder(self.folder)
        except StorageError:
            segment.discard()
            raise
        except OSError as error:
            segment.discard()
            raise StorageError(f"recording {path}: {error}") from error
        return segment

    def unfinished(self) -> list[Path]:
        """Return the recordings that a crash left open, oldest first."""
        return sorted(self.folder.glob("*.part"))

    def reopen(self, path: Path) -> tuple[Segment, Found]:
        """Open what a crash left, cut off a torn tail, and return what is whole.

        What is cut off is kept beside it as ``<id>.torn``, for whoever looks into it.

        Raises:
            UnreadableError: Not even its description is whole.
            StorageError: The disk is full or fails; it is as it was.
        """
        found = read(path)
        try:
            torn = path.read_bytes()[found.good_bytes :]
            if torn:
                path.with_suffix(".torn").write_bytes(torn)
            file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
            os.ftruncate(file, found.good_bytes)
            os.lseek(file, found.good_bytes, os.SEEK_SET)
        except OSError as error:
            raise StorageError(f"recording {path}: {error}") from error
        return Segment(path, file, found.samples, ended=found.ended), found

    def forget(self, before_s: float) -> int:
        """Delete what was last written before a time; return how many files.

        Ended recordings, and what a crash tore off or left unreadable: all are of patients. One
        that cannot be deleted is logged and tried again the next time.

        Args:
            before_s: Seconds since 1970.
        """
        forgotten = 0
        for path in self.folder.iterdir():
            if path.suffix not in _FORGOTTEN:
                continue
            try:
                if path.stat().st_mtime < before_s:
                    path.unlink()
                    forgotten += 1
            except OSError:
                log.exception("recording not deleted", recording=path.name)
        return forgotten


def read(path: Path) -> Found:
    """Read a segment file; what is torn or damaged at its end is left out.

    Raises:
        UnreadableError: It is no recording.
        StorageError: It cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StorageError(f"recording {path}: {error}") from error
    header: Header | None = None
    frames: list[RecordedFrame] = []
    ended, good_bytes = False, 0
    for end, kind, first_sample, samples, content in _records(data):
        if kind == _DESCRIPTION and header is None:
            header = _header(content)
        elif kind == _FRAME and header is not None and first_sample == _next(frames):
            frames.append(RecordedFrame(first_sample, samples, content))
        elif kind == _END and header is not None:
            ended = True
        else:
            break
        good_bytes = end
    if header is None:
        raise UnreadableError(f"recording {path}: not even its description is whole")
    return Found(header, frames, ended, good_bytes)


def _records(data: bytes) -> Iterator[tuple[int, int, int, int, bytes]]:
    if not data.startswith(MAGIC):
        return
    at = len(MAGIC)
    while at + _HEAD.size <= len(data):
        length, crc, kind, first_sample, samples = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length
        if length > _LARGEST or end > len(data):
            return
        if zlib.crc32(data[at + _COVERED_FROM : end]) != crc:
            return
        yield end, kind, first_sample, samples, data[at + _HEAD.size : end]
        at = end


def _next(frames: list[RecordedFrame]) -> int:
    return frames[-1].first_sample + frames[-1].samples if frames else 0


def _header(content: bytes) -> Header | None:
    try:
        return msgspec.msgpack.decode(content, type=Header)
    except msgspec.MsgspecError:
        return None


def _record(kind: int, first_sample: int, samples: int, content: bytes) -> bytes:
    covered = _HEAD.pack(len(content), 0, kind, first_sample, samples)[_COVERED_FROM:] + content
    return struct.pack("<II", len(content), zlib.crc32(covered)) + covered


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
