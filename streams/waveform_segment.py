"""Append-only file of a case's coded waveform blocks, stored as they came.

A stream of MessagePack arrays ``[kind, content, CRC-32 of content]``; kind 0 is the mark of the
file, 1 an `EcgSetup` in MessagePack, 2 a frame of `streams.ecg_block` of the setup before it. An
append is one write, so a killed process loses nothing; `WaveformSegment.sync` makes it survive a
power cut. What a power cut tore at the end is cut off when the file is opened again.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from types import TracebackType

import msgpack
import msgspec

from streams.ecg_block import EcgBlockError, EcgSetup, frame_span
from streams.errors import StorageError

MARK = b"forerun-waveform-1"
LARGEST_RECORD = 32 * 1024 * 1024
_MARK, _SETUP, _FRAME = range(3)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a record stands in its file, in bytes."""

    offset: int
    length: int


@dataclass
class SegmentIndex:
    """What a segment holds, without the frames themselves.

    Attributes:
        setups: The descriptions in the order in which they came.
        frames: By setup id, (first sample, place) of every frame as written; with repeats.
        good_bytes: Length of what is whole; anything behind it is a torn tail.
    """

    setups: list[EcgSetup] = field(default_factory=list)
    frames: dict[str, list[tuple[int, Place]]] = field(default_factory=dict)
    good_bytes: int = 0


class WaveformSegment:
    """A segment open for writing; a context manager.

    Attributes:
        torn_bytes: What was cut off its end when it was opened.
    """

    def __init__(self, path: Path) -> None:
        """Open a segment, or make it, and cut a torn tail off.

        Raises:
            StorageError: It cannot be opened, or is another kind of file.
        """
        self._path = path
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
        except OSError as error:
            raise StorageError(f"segment {path}: {error}") from error
        try:
            index = index_segment(path)
            self._setup = index.setups[-1] if index.setups else None
            self._end = index.good_bytes
            self.torn_bytes = os.fstat(self._file).st_size - self._end
            if self.torn_bytes:
                os.ftruncate(self._file, self._end)
            if not self._end:
                self._write(_MARK, MARK)
        except OSError as error:
            os.close(self._file)
            raise StorageError(f"segment {path}: {error}") from error
        except StorageError:
            os.close(self._file)
            raise

    def append(self, setup: EcgSetup, frame: bytes) -> Place:
        """Write a frame, and its setup before it where that is another than the last one's.

        Raises:
            StorageError: The disk is full or fails.
        """
        if setup != self._setup:
            self._write(_SETUP, msgspec.msgpack.encode(setup))
            self._setup = setup
        return self._write(_FRAME, frame)

    def _write(self, kind: int, content: bytes) -> Place:
        record = _record(kind, content)
        try:
            written = os.write(self._file, record)
            if written < len(record):
                # A full disk takes a part: without this, the next record would follow a torn one.
                os.ftruncate(self._file, self._end)
                raise StorageError(f"segment {self._path}: only {written} of {len(record)} bytes")
        except OSError as error:
            raise StorageError(f"segment {self._path}: {error}") from error
        place = Place(self._end, len(record))
        self._end += len(record)
        return place

    def sync(self) -> None:
        """Put on the disk what was written; may take milliseconds.

        Raises:
            StorageError: The disk fails.
        """
        try:
            os.fdatasync(self._file)
        except OSError as error:
            raise StorageError(f"segment {self._path}: {error}") from error

    def close(self) -> None:
        """Sync and close."""
        try:
            self.sync()
        finally:
            os.close(self._file)

    def __enter__(self) -> WaveformSegment:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()


def index_segment(path: Path) -> SegmentIndex:
    """Return what a segment holds up to the first record that is not whole.

    Raises:
        StorageError: It cannot be read, or is another kind of file.
    """
    index = SegmentIndex()
    try:
        with path.open("rb") as file:
            for place, kind, content in _records(file):
                _enter(index, place, kind, content)
    except (_TornError, EcgBlockError):
        pass  # what follows cannot be told apart from a torn tail
    except OSError as error:
        raise StorageError(f"segment {path}: {error}") from error
    if not index.good_bytes and not _is_torn_mark(path):
        raise StorageError(f"segment {path}: this is no waveform segment")
    return index


def _is_torn_mark(path: Path) -> bool:
    """Whether a file holds nothing but the beginning of what every segment begins with."""
    with path.open("rb") as file:
        start = file.read(len(MARK) * 2)
    return _record(_MARK, MARK).startswith(start)


def _record(kind: int, content: bytes) -> bytes:
    record: bytes = msgpack.packb([kind, content, zlib.crc32(content)])
    return record


class _TornError(Exception):
    """A record is not whole."""


def _records(file: BufferedReader) -> Iterator[tuple[Place, int, bytes]]:
    unpacker = msgpack.Unpacker(file, max_buffer_size=LARGEST_RECORD)
    offset = 0
    while True:
        try:
            kind, content, checksum = unpacker.unpack()
        except msgpack.OutOfData:
            return
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise _TornError from error
        if not isinstance(content, bytes) or zlib.crc32(content) != checksum:
            raise _TornError
        place = Place(offset, unpacker.tell() - offset)
        yield place, kind, content
        offset += place.length


def _enter(index: SegmentIndex, place: Place, kind: object, content: bytes) -> None:
    if (kind == _MARK) != (place.offset == 0) or (kind == _MARK and content != MARK):
        raise _TornError
    if kind == _SETUP:
        try:
            setup = msgspec.msgpack.decode(content, type=EcgSetup)
        except msgspec.MsgspecError as error:
            raise _TornError from error
        index.setups.append(setup)
        index.frames.setdefault(setup.setup_id, [])
    elif kind == _FRAME:
        if not index.setups:
            raise _TornError
        index.frames[index.setups[-1].setup_id].append((frame_span(content)[0], place))
    index.good_bytes = place.offset + place.length


def read_segment(path: Path) -> Iterator[tuple[EcgSetup, bytes]]:
    """Yield the frames of a segment, setup by setup in the order of their first samples.

    Frames that were written out of order are put in order, and of frames that were written twice
    the first counts. A torn tail is passed over.

    Raises:
        StorageError: It cannot be read, or is another kind of file.
    """
    index = index_segment(path)
    setups = {setup.setup_id: setup for setup in index.setups}
    try:
        with path.open("rb") as file:
            for setup_id, setup in setups.items():
                seen = -1
                for first_sample, place in sorted(index.frames[setup_id]):
                    if first_sample > seen:
                        seen = first_sample
                        file.seek(place.offset)
                        yield setup, msgpack.unpackb(file.read(place.length))[1]
    except OSError as error:
        raise StorageError(f"segment {path}: {error}") from error
