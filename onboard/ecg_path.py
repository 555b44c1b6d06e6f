"""The way of the ECG: chunk, frame, onboard recording, live message, facts. In this order.

Each chunk is encoded once. The frame goes to the recorder before it is sent anywhere, then out
live, then with others of about 2 s into one ``ecg_record`` fact. A mark in the outbox, written in
the same transaction as the facts, says up to which sample they are made; what a crash left only
in the recording becomes facts at the next start, so the record has no hole.

A recording belongs to one binding. When a run begins or ends, what a sensor gives goes on as a
new recording with a new setup.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import msgspec
import structlog

from onboard.live_frames import LiveFrames, LiveShape
from onboard.outgoing import Outgoing
from onboard.recorder import Found, Header, RecordedFrame, Recorder, Segment
from onboard.sensors import EcgBegan, EcgChunk
from onboard.situation import Binding
from streams.ecg_block import EcgSetup, FrameEncoder
from streams.errors import ForerunError, StorageError
from streams.identity import new_id
from streams.messages import EcgEnded, EcgLive, EcgRecord, EcgStarted, Origin
from streams.outbox import Draft

RECORD_S = 2.0
"""Length of signal in one ``ecg_record`` fact."""

STALLED_NS = 2_000_000_000
"""Frames wait no longer than this for the rest of their fact."""

FRAMES_IN_FACT = 200
"""The most that the message takes."""

_SENT_START, _SENT_END = 1, -1
"""Marks: 0 nothing is sent; n > 0 the start and n - 1 samples are; -1 everything is."""

log = structlog.get_logger(__name__)

SendLive = Callable[[bytes], None]


@dataclass(slots=True)
class OpenRecording:
    """A recording that runs.

    Attributes:
        sensor: Who gives it.
        began: Its description and start.
        origin: live, replay or synthetic.
        binding: To whom it belongs.
        base: Number of its first sample in the sensor's count.
        segment: Its file.
        encoder: Makes its frames.
        live: Makes its live frames.
        pending: Frames that are recorded and not yet in a fact.
        pending_samples: Samples per lead in them.
        pending_since_ns: Monotonic time of the oldest of them.
    """

    sensor: str
    began: EcgBegan
    origin: Origin
    binding: Binding
    base: int
    segment: Segment
    encoder: FrameEncoder
    live: LiveFrames
    pending: list[bytes] = field(default_factory=list)
    pending_samples: int = 0
    pending_since_ns: int = 0

    @property
    def setup(self) -> EcgSetup:
        """Its leads and rate."""
        return self.began.setup


class EcgPath:
    """Takes what the sensors give of the ECG; knows the recordings that run."""

    def __init__(
        self,
        recorder: Recorder,
        outgoing: Outgoing,
        binding: Callable[[], Binding],
        send_live: SendLive,
    ) -> None:
        """Prepare the way.

        Args:
            recorder: Writes the recordings.
            outgoing: Makes the facts.
            binding: Tells to whom the sensors belong now.
            send_live: Sends a live message, or drops and counts it; never waits.

        Attributes:
            live_shape: How live frames go out; the record is the same whatever it is.
        """
        self.live_shape = LiveShape()
        self._recorder = recorder
        self._outgoing = outgoing
        self._binding = binding
        self._send_live = send_live
        self._open: dict[tuple[str, str], OpenRecording] = {}

    @property
    def running(self) -> list[OpenRecording]:
        """The recordings that run, oldest first."""
        return list(self._open.values())

    def recover(self) -> int:
        """Finish what a crash left: missing facts are made; return the number of recordings.

        Raises:
            StorageError: The disk fails.
        """
        recovered = 0
        for path in self._recorder.unfinished():
            try:
                segment, found = self._recorder.reopen(path)
            except StorageError:
                log.exception("recording is lost")
                path.rename(path.with_suffix(".damaged"))
                continue
            self._complete(segment, found)
            if found.ended:
                segment.close()
                path.rename(path.with_suffix(".ecg"))
            else:
                segment.end()
            recovered += 1
            log.warning("recording recovered", recording=path.stem, samples=found.samples)
        return recovered

    def began(self, sensor: str, origin: Origin, began: EcgBegan) -> None:
        """Begin a recording.

        Raises:
            StorageError: The disk is full or fails.
        """
        key = (sensor, began.setup.setup_id)
        if key in self._open:
            self._end(self._open.pop(key))
        self._open[key] = self._begin(sensor, origin, began, 0)

    def chunk(
        self, sensor: str, chunk: EcgChunk, now_ns: int, *, live: bool = True
    ) -> tuple[OpenRecording, bytes]:
        """Record a chunk, send it live, and make a fact when enough is together.

        Returns the recording, which is a new one when the binding has changed, and the frame.

        Args:
            sensor: Who gives it.
            chunk: The samples.
            now_ns: Monotonic time.
            live: Whether it is of this moment; a recording that is read in as fast as it goes
                only fills the record.

        Raises:
            StorageError: The disk is full or fails, or a sample before it is missing.
        """
        key = (sensor, chunk.setup.setup_id)
        recording = self._open.get(key)
        if recording is None:
            raise StorageError(f"sensor {sensor}: a chunk of {key[1]!r}, which did not begin")
        if recording.binding != self._binding():
            del self._open[key]  # where the next cannot begin, this one must not end twice
            recording = self._open[key] = self._go_on(recording, chunk)
        first, count = chunk.first_sample - recording.base, len(chunk.samples)
        frame = recording.encoder.encode(first, chunk.samples)
        recording.segment.append(first, count, frame)
        if live:
            body = recording.live.take(
                first, chunk.samples, frame, chunk.newest_ns, self.live_shape
            )
            if body is not None:
                self._send_live(self._outgoing.frame(_draft(recording, "ecg_live", body)))
        if not recording.pending:
            recording.pending_since_ns = now_ns
        recording.pending.append(frame)
        recording.pending_samples += count
        enough = recording.setup.sampling_frequency_hz * RECORD_S
        if recording.pending_samples >= enough or len(recording.pending) >= FRAMES_IN_FACT:
            self._make_record(recording)
        return recording, frame

    def finished(self, sensor: str, setup_id: str) -> None:
        """End a recording that its sensor ended.

        Raises:
            StorageError: The disk is full or fails.
        """
        recording = self._open.pop((sensor, setup_id), None)
        if recording is not None:
            self._end(recording)

    def stop(self, sensor: str) -> None:
        """End whatever a sensor has open; what fails stays for the next start."""
        for key in [key for key in self._open if key[0] == sensor]:
            recording = self._open.pop(key)
            try:
                self._end(recording)
            except StorageError:
                log.exception("recording left open", sensor=sensor)

    def flush(self, now_ns: int) -> None:
        """Make facts of what waits for more samples that do not come.

        Raises:
            StorageError: The disk is full or fails.
        """
        for recording in self.running:
            if recording.pending and now_ns - recording.pending_since_ns >= STALLED_NS:
                self._make_record(recording)

    def _begin(self, sensor: str, origin: Origin, began: EcgBegan, base: int) -> OpenRecording:
        binding = self._binding()
        started = EcgStarted(
            setup=began.setup, start_ns=began.start_ns, device=began.device, purpose=began.purpose
        )
        segment = self._recorder.begin(
            Header(started=started, origin=origin, case=binding.case, patient=binding.patient)
        )
        recording = OpenRecording(
            sensor, began, origin, binding, base, segment,
            FrameEncoder(began.setup), LiveFrames(began.setup),
        )  # fmt: skip
        draft = _draft(recording, "ecg_started", started)
        try:
            self._outgoing.make([draft], (_mark(segment), _SENT_START))
        except ForerunError:
            segment.discard()
            raise
        return recording

    def _go_on(self, recording: OpenRecording, chunk: EcgChunk) -> OpenRecording:
        self._end(recording)
        setup = msgspec.structs.replace(recording.setup, setup_id=new_id())
        span_ns = round((len(chunk.samples) - 1) / setup.sampling_frequency_hz * 1e9)
        start_ns = max(0, chunk.newest_ns - span_ns)
        began = replace(recording.began, setup=setup, start_ns=start_ns)
        return self._begin(recording.sensor, recording.origin, began, chunk.first_sample)

    def _make_record(self, recording: OpenRecording) -> None:
        if not recording.pending:
            return
        body = EcgRecord(setup_id=recording.setup.setup_id, frames=list(recording.pending))
        reached = recording.segment.samples + _SENT_START
        draft = _draft(recording, "ecg_record", body)
        self._outgoing.make([draft], (_mark(recording.segment), reached))
        recording.pending.clear()
        recording.pending_samples = 0

    def _end(self, recording: OpenRecording) -> None:
        try:
            self._make_record(recording)
            body = EcgEnded(setup_id=recording.setup.setup_id, samples=recording.segment.samples)
            draft = _draft(recording, "ecg_ended", body)
            self._outgoing.make([draft], (_mark(recording.segment), _SENT_END))
        except StorageError:
            recording.segment.close()
            raise
        recording.segment.end()

    def _complete(self, segment: Segment, found: Found) -> None:
        """Make the facts that a recording has and the outbox does not."""
        mark = self._outgoing.mark(_mark(segment))
        if mark == _SENT_END:
            return
        header = found.header
        setup = header.started.setup

        def draft(kind: str, body: EcgStarted | EcgRecord | EcgEnded) -> Draft:
            return Draft(kind, body, header.origin, header.case, header.patient)

        if mark == 0:
            self._outgoing.make([draft("ecg_started", header.started)], (_mark(segment), 1))
        unsent = [frame for frame in found.frames if frame.first_sample >= mark - _SENT_START]
        for group in _groups(unsent, setup.sampling_frequency_hz * RECORD_S):
            body = EcgRecord(setup_id=setup.setup_id, frames=[one.frame for one in group])
            reached = group[-1].first_sample + group[-1].samples + _SENT_START
            self._outgoing.make([draft("ecg_record", body)], (_mark(segment), reached))
        ended = EcgEnded(setup_id=setup.setup_id, samples=found.samples)
        self._outgoing.make([draft("ecg_ended", ended)], (_mark(segment), _SENT_END))


def _draft(
    recording: OpenRecording, kind: str, body: EcgStarted | EcgRecord | EcgEnded | EcgLive
) -> Draft:
    binding = recording.binding
    return Draft(kind, body, recording.origin, binding.case, binding.patient)


def _mark(segment: Segment) -> str:
    return f"ecg:{segment.recording_id}"


def _groups(frames: list[RecordedFrame], enough: float) -> list[list[RecordedFrame]]:
    groups: list[list[RecordedFrame]] = []
    together = 0
    for frame in frames:
        if not groups or together >= enough or len(groups[-1]) >= FRAMES_IN_FACT:
            groups.append([])
            together = 0
        groups[-1].append(frame)
        together += frame.samples
    return groups
