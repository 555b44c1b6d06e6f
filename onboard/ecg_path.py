"""The way of the ECG: chunk, frame, onboard recording, live message, facts. In this order.

Each chunk is encoded once. The frame goes to the recorder before it is sent anywhere, then with
others of about 2 s into one ``ecg_record`` fact (``ecg_keeping``), and out live. While the disk is
full the record waits in memory and only the live frames go on; once there is room everything
follows in order. What a crash left only in the recording becomes facts at the next start.

A recording belongs to one binding. When a run begins or ends, what a sensor gives goes on as a
new recording with a new setup.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import structlog
from prometheus_client import Counter

from onboard.ecg_keeping import RECORD_BYTES, KeptRecording, recover
from onboard.live_frames import LiveFrames, LiveShape
from onboard.outgoing import Outgoing
from onboard.recorder import Header, RecordedFrame, Recorder, UnreadableError
from onboard.sensors import EcgBegan, EcgChunk
from onboard.situation import Binding
from streams.ecg_block import EcgSetup, FrameEncoder
from streams.errors import StorageError
from streams.identity import new_id
from streams.messages import EcgLive, EcgStarted, Origin
from streams.outbox import Draft

HELD_BYTES = 64 * 1024 * 1024
"""Coded frames that may wait in memory for a disk that is full: about six hours of one ECG."""

GIVEN_UP = Counter(
    "forerun_ecg_samples_lost_total", "Samples per lead given up: the disk took none for too long"
)

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
        kept: Its way to the disk and into facts.
        encoder: Makes its frames.
        live: Makes its live frames.
        torn: Whether samples of it were given up: it goes on as a new one when there is room.
    """

    sensor: str
    began: EcgBegan
    origin: Origin
    binding: Binding
    base: int
    kept: KeptRecording
    encoder: FrameEncoder
    live: LiveFrames
    torn: bool = False

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
            record_bytes: Size at which a fact of the record is closed early.
        """
        self.live_shape = LiveShape()
        self.record_bytes = RECORD_BYTES
        self._recorder = recorder
        self._outgoing = outgoing
        self._binding = binding
        self._send_live = send_live
        self._open: dict[tuple[str, str], OpenRecording] = {}
        self._closing: list[KeptRecording] = []
        self._left: list[Path] = []
        self._told_left = False

    @property
    def error(self) -> str:
        """What the disk said to what waits for it; empty while nothing waits."""
        return next((kept.error for kept in self._kept() if kept.error), "")

    @property
    def held_bytes(self) -> int:
        """Coded frames that are in no fact yet."""
        return sum(kept.held_bytes for kept in self._kept())

    @property
    def unwritten_samples(self) -> int:
        """Samples per lead that are in memory only."""
        return sum(kept.unwritten_samples for kept in self._kept())

    @property
    def unwritten_s(self) -> float:
        """Length of signal that is in memory only."""
        return sum(
            kept.unwritten_samples / kept.header.started.setup.sampling_frequency_hz
            for kept in self._kept()
        )

    @property
    def running(self) -> list[OpenRecording]:
        """The recordings that run, oldest first."""
        return list(self._open.values())

    def recover(self) -> int:
        """Finish what a crash left: missing facts are made; return the number of recordings.

        What a full disk stops is tried again by ``flush``.
        """
        self._left = self._recorder.unfinished()
        return self._recover_left()

    def _recover_left(self) -> int:
        recovered = 0
        left, self._left = self._left, []
        for path in left:
            try:
                self._finish(path)
                recovered += 1
            except UnreadableError:
                log.exception("recording is lost")
                path.rename(path.with_suffix(".damaged"))
            except StorageError as error:
                if not self._told_left:
                    log.error("recording waits for room", recording=path.stem, error=str(error))  # noqa: TRY400 - no bug
                self._left.append(path)
        self._told_left = bool(self._left)
        return recovered

    def _finish(self, path: Path) -> None:
        segment, found = self._recorder.reopen(path)
        try:
            recover(self._outgoing, segment, found)
            segment.end()
        finally:
            segment.close()
        log.warning("recording recovered", recording=path.stem, samples=found.samples)

    def began(self, sensor: str, origin: Origin, began: EcgBegan) -> None:
        """Begin a recording.

        Raises:
            OversizedError: Its description is too large.
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
            StorageError: A sample before it is missing.
        """
        recording = self._recording(sensor, chunk)
        first, count = chunk.first_sample - recording.base, len(chunk.samples)
        if first != recording.kept.samples and not recording.torn:
            raise StorageError(
                f"sensor {sensor}: sample {first} came, {recording.kept.samples} is next"
            )
        frame = recording.encoder.encode(first, chunk.samples)
        self._keep(recording, RecordedFrame(first, count, frame), now_ns)
        if live:
            body = recording.live.take(
                first, chunk.samples, frame, chunk.newest_ns, self.live_shape
            )
            if body is not None:
                self._send_live(self._outgoing.frame(_draft(recording, "ecg_live", body)))
        return recording, frame

    def finished(self, sensor: str, setup_id: str) -> None:
        """End a recording that its sensor ended."""
        recording = self._open.pop((sensor, setup_id), None)
        if recording is not None:
            self._end(recording)

    def stop(self, sensor: str) -> None:
        """End whatever a sensor has open."""
        for key in [key for key in self._open if key[0] == sensor]:
            self._end(self._open.pop(key))

    @property
    def load(self) -> float:
        """How much is recorded now, in 12-lead ECGs at 500 Hz."""
        setups = [recording.setup for recording in self._open.values()]
        return sum(len(one.leads) * one.sampling_frequency_hz for one in setups) / 6000

    def flush(self, now_ns: int) -> None:
        """Write what a full disk did not take, and make facts of what waits for more samples.

        To be called every second or so.
        """
        if self._left:
            self._recover_left()
        for kept in self._kept():
            kept.advance(now_ns)
        self._closing = [kept for kept in self._closing if not kept.done]

    def close(self) -> None:
        """Close the files of an agent that ends; what is not in them is lost, and is told."""
        lost = self.unwritten_samples
        if lost:
            log.error("ECG is lost: the disk did not take it", samples=lost, error=self.error)
        for kept in self._kept():
            kept.close()

    def _kept(self) -> list[KeptRecording]:
        return [*self._closing, *(recording.kept for recording in self._open.values())]

    def _recording(self, sensor: str, chunk: EcgChunk) -> OpenRecording:
        key = (sensor, chunk.setup.setup_id)
        recording = self._open.get(key)
        if recording is None:
            raise StorageError(f"sensor {sensor}: a chunk of {key[1]!r}, which did not begin")
        mended = recording.torn and not recording.kept.unwritten_samples
        if mended or recording.binding != self._binding():
            del self._open[key]  # where the next cannot begin, this one must not end twice
            recording = self._open[key] = self._go_on(recording, chunk)
        return recording

    def _keep(self, recording: OpenRecording, frame: RecordedFrame, now_ns: int) -> None:
        if recording.torn or self.held_bytes > HELD_BYTES:
            if not recording.torn:
                log.error("ECG is lost: too much waits for the disk", sensor=recording.sensor)
            recording.torn = True
            GIVEN_UP.inc(frame.samples)
        else:
            recording.kept.record_bytes = self.record_bytes
            recording.kept.take(frame, now_ns)
        recording.kept.advance(now_ns)

    def _begin(self, sensor: str, origin: Origin, began: EcgBegan, base: int) -> OpenRecording:
        binding = self._binding()
        started = EcgStarted(
            setup=began.setup, start_ns=began.start_ns, device=began.device, purpose=began.purpose
        )
        header = Header(started=started, origin=origin, case=binding.case, patient=binding.patient)
        recording = OpenRecording(
            sensor, began, origin, binding, base,
            KeptRecording(self._recorder, self._outgoing, header),
            FrameEncoder(began.setup), LiveFrames(began.setup),
        )  # fmt: skip
        recording.kept.advance(0)
        return recording

    def _go_on(self, recording: OpenRecording, chunk: EcgChunk) -> OpenRecording:
        self._end(recording)
        setup = msgspec.structs.replace(recording.setup, setup_id=new_id())
        span_ns = round((len(chunk.samples) - 1) / setup.sampling_frequency_hz * 1e9)
        start_ns = max(0, chunk.newest_ns - span_ns)
        began = replace(recording.began, setup=setup, start_ns=start_ns)
        return self._begin(recording.sensor, recording.origin, began, chunk.first_sample)

    def _end(self, recording: OpenRecording) -> None:
        kept = recording.kept
        kept.end()
        kept.advance(0)
        if not kept.done:
            self._closing.append(kept)


def _draft(recording: OpenRecording, kind: str, body: EcgLive) -> Draft:
    binding = recording.binding
    return Draft(kind, body, recording.origin, binding.case, binding.patient)
