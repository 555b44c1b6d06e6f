"""One recording of the ECG on its way to the disk and into facts; what the disk refuses waits.

    file ─▶ ecg_started ─▶ frames into the file ─▶ ecg_record … ─▶ ecg_ended ─▶ file ended

In this order, each step once. A step that fails on a full disk is tried again by the next
``advance``, with all that came meanwhile behind it. A mark in the outbox, written in the same
transaction as the facts, says up to which sample they are made; what a crash left only in the
file becomes facts at the next start (``recover``).
"""

from __future__ import annotations

import itertools
from collections import deque

from onboard.outgoing import Outgoing
from onboard.recorder import Found, Header, RecordedFrame, Recorder, Segment
from streams.errors import ForerunError, StorageError
from streams.messages import EcgEnded, EcgRecord, EcgStarted
from streams.outbox import Draft, Stamp

RECORD_S, RECORD_BYTES, LEAST_RECORD_BYTES = 2.0, 24_000, 5_000
"""Signal in one ``ecg_record`` fact, and its size where frames are large: 12 leads at 500 Hz make
4 kB in two seconds, 15 at 1000 Hz make 20. On a narrow link the size is cut, down to the last
(``onboard.quality``); always so small, four times as many facts made the live ECG of three vehicles
100 ms later at the board."""

STALLED_NS = 2_000_000_000
"""Frames wait no longer than this for the rest of their fact."""

FRAMES_IN_FACT = 200
"""The most that the message takes."""

_SENT_START, _SENT_END = 1, -1
"""Marks: 0 nothing is sent; n > 0 the start and n - 1 samples are; -1 everything is."""


class KeptRecording:
    """A recording that is written as far as the disk takes it.

    Attributes:
        header: What is recorded, of whom.
        samples: Samples per lead that were taken, on the disk or not.
        held_bytes: Of frames that are not in a fact yet.
        record_bytes: Size at which a fact is closed before ``RECORD_S`` is together.
        error: What the disk said last; empty while it takes everything.
        done: Whether it ended, and all of it is on the disk.
    """

    def __init__(self, recorder: Recorder, outgoing: Outgoing, header: Header) -> None:
        """Prepare; the first ``advance`` begins the file."""
        self.header = header
        self.samples = 0
        self.held_bytes = 0
        self.record_bytes = RECORD_BYTES
        self.error = ""
        self.done = False
        self._recorder = recorder
        self._outgoing = outgoing
        self._segment: Segment | None = None
        self._began = outgoing.stamp()
        self._started = False
        self._ended: Stamp | None = None
        self._end_made = False
        self._unwritten: deque[RecordedFrame] = deque()
        self._pending: deque[RecordedFrame] = deque()
        self._pending_samples = self._pending_bytes = 0
        self._pending_since_ns = 0

    @property
    def segment(self) -> Segment | None:
        """Its file; None while the disk did not take its beginning."""
        return self._segment

    @property
    def unwritten_samples(self) -> int:
        """Samples per lead that are in memory only."""
        return sum(frame.samples for frame in self._unwritten)

    def take(self, frame: RecordedFrame, now_ns: int) -> None:
        """Take the next frame; ``advance`` writes it.

        Args:
            frame: It follows the one before without a gap.
            now_ns: Monotonic time.
        """
        if not self._pending and not self._unwritten:
            self._pending_since_ns = now_ns
        self._unwritten.append(frame)
        self.samples += frame.samples
        self.held_bytes += len(frame.frame)

    def end(self) -> None:
        """Take no more; ``advance`` writes the rest and the end."""
        self._ended = self._ended or self._outgoing.stamp()

    def advance(self, now_ns: int) -> bool:
        """Write as far as the disk takes it; return whether nothing is left to be written.

        Raises:
            OversizedError: The description is too large; there is no recording.
        """
        try:
            self._advance(now_ns)
        except StorageError as error:
            self.error = str(error)
            return False
        self.error = ""
        return True

    def close(self) -> None:
        """Close the file as it is: the next start finishes it."""
        if self._segment is not None:
            self._segment.close()

    def _advance(self, now_ns: int) -> None:
        segment = self._begin()
        while self._unwritten:
            frame = self._unwritten[0]
            segment.append(frame.first_sample, frame.samples, frame.frame)
            self._pending.append(self._unwritten.popleft())
            self._pending_samples += frame.samples
            self._pending_bytes += len(frame.frame)
        stalled = now_ns - self._pending_since_ns >= STALLED_NS
        while self._pending and (self._ended or stalled or self._enough()):
            self._make_record(segment, now_ns)
        if self._ended is not None and not self.done:
            self._finish(segment, self._ended)

    def _begin(self) -> Segment:
        if self._segment is None:
            self._segment = self._recorder.begin(self.header)
        if not self._started:
            draft = _draft(self.header, "ecg_started", self.header.started, self._began)
            try:
                self._outgoing.make([draft], (_mark(self._segment), _SENT_START))
            except StorageError:
                raise
            except ForerunError:
                self._segment.discard()
                raise
            self._started = True
        return self._segment

    def _enough(self) -> bool:
        rate_hz = self.header.started.setup.sampling_frequency_hz
        return (
            self._pending_samples >= rate_hz * RECORD_S
            or self._pending_bytes >= self.record_bytes
            or len(self._pending) >= FRAMES_IN_FACT
        )

    def _make_record(self, segment: Segment, now_ns: int) -> None:
        setup = self.header.started.setup
        first = list(itertools.islice(self._pending, FRAMES_IN_FACT))
        group = groups(first, setup.sampling_frequency_hz * RECORD_S, self.record_bytes)[0]
        _make_record(self._outgoing, self.header, segment, group)
        for frame in group:
            self._pending.popleft()
            self._pending_samples -= frame.samples
            self._pending_bytes -= len(frame.frame)
            self.held_bytes -= len(frame.frame)
        self._pending_since_ns = now_ns

    def _finish(self, segment: Segment, at: Stamp) -> None:
        if not self._end_made:
            _make_end(self._outgoing, self.header, segment, self.samples, at)
            self._end_made = True
        segment.end()
        self.done = True


def recover(outgoing: Outgoing, segment: Segment, found: Found) -> None:
    """Make the facts that a recording has and the outbox does not.

    Raises:
        StorageError: The disk is full or fails; a later call goes on from there.
    """
    mark = outgoing.mark(_mark(segment))
    if mark == _SENT_END:
        return
    header = found.header
    if mark == 0:
        draft = _draft(header, "ecg_started", header.started)
        outgoing.make([draft], (_mark(segment), _SENT_START))
    unsent = [frame for frame in found.frames if frame.first_sample >= mark - _SENT_START]
    enough = header.started.setup.sampling_frequency_hz * RECORD_S
    for group in groups(unsent, enough, RECORD_BYTES):
        _make_record(outgoing, header, segment, group)
    _make_end(outgoing, header, segment, found.samples)


def groups(
    frames: list[RecordedFrame], enough: float, enough_bytes: int
) -> list[list[RecordedFrame]]:
    """Return frames in the groups that become one fact each.

    Args:
        frames: In order.
        enough: Samples per lead from which a group is closed.
        enough_bytes: Bytes from which it is closed.
    """
    found: list[list[RecordedFrame]] = []
    together = size = 0
    for frame in frames:
        full = together >= enough or size >= enough_bytes
        if not found or full or len(found[-1]) >= FRAMES_IN_FACT:
            found.append([])
            together = size = 0
        found[-1].append(frame)
        together += frame.samples
        size += len(frame.frame)
    return found


def _make_record(
    outgoing: Outgoing, header: Header, segment: Segment, group: list[RecordedFrame]
) -> None:
    setup_id = header.started.setup.setup_id
    body = EcgRecord(setup_id=setup_id, frames=[frame.frame for frame in group])
    reached = group[-1].first_sample + group[-1].samples + _SENT_START
    outgoing.make([_draft(header, "ecg_record", body)], (_mark(segment), reached))


def _make_end(
    outgoing: Outgoing, header: Header, segment: Segment, samples: int, at: Stamp | None = None
) -> None:
    body = EcgEnded(setup_id=header.started.setup.setup_id, samples=samples)
    outgoing.make([_draft(header, "ecg_ended", body, at)], (_mark(segment), _SENT_END))


def _draft(
    header: Header, kind: str, body: EcgStarted | EcgRecord | EcgEnded, at: Stamp | None = None
) -> Draft:
    return Draft(kind, body, header.origin, header.case, header.patient, made=at)


def _mark(segment: Segment) -> str:
    return f"ecg:{segment.recording_id}"
