"""Writes what a camera sees into segments, in a thread of its own, whatever the link does.

The camera's thread offers each picture it takes from its source, before the ladder makes less of
it; this takes as many as are wanted and never waits. An encoder of its own costs little (decision
in ``streams/DECISIONS.md``) and does not depend on what is sent.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import structlog
from prometheus_client import Counter

from onboard.camera import fit_picture
from onboard.video_segments import SegmentWriter, VideoShape
from streams.errors import StorageError
from streams.health import DROPPED

SEGMENT_S = 10.0

_WAITING = 20
"""Pictures that may wait for a slow disk: two seconds."""

_LOOK_EVERY_S = 0.25
_AGAIN_S = 2.0
"""After a failure so long before the next segment is begun."""

WRITTEN = Counter("forerun_video_segments_written_total", "Segments of kept video written")
WRITTEN_BYTES = Counter("forerun_video_written_bytes_total", "Of kept video, in whole segments")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Picture:
    frame: av.VideoFrame
    at_s: float


class VideoRecorder:
    """The thread that writes; ``aim`` says for which case, ``offer`` gives pictures.

    Attributes:
        error: Why the last segment was not finished; empty once one is.
        unfinished: Files of segments that were not finished, to be mended.
    """

    def __init__(self, folder: Path, shape: VideoShape, wall_ns: Callable[[], int]) -> None:
        """Prepare; nothing runs until the first ``aim``.

        Args:
            folder: Of all kept video.
            shape: What is kept.
            wall_ns: This machine's wall clock.
        """
        self.error = ""
        self.unfinished: deque[Path] = deque()
        self._folder, self._shape, self._wall_ns = folder, shape, wall_ns
        self._case: str | None = None
        self._next_due = 0.0
        self._pictures: queue.Queue[_Picture] = queue.Queue(_WAITING)
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._writer: SegmentWriter | None = None
        self._began_s = 0.0
        self._not_before_s = 0.0

    def aim(self, case: str | None) -> None:
        """Write for this case from now on; None for none."""
        self._case = case
        if case is not None and self._thread is None:
            self._thread = threading.Thread(target=self._work, name="video recorder", daemon=True)
            self._thread.start()

    def offer(self, frame: av.VideoFrame) -> None:
        """Take a picture if one is due; never waits.

        Called in the camera's thread, and scaled there: a frame must not be scaled in two threads
        at once (it holds its scaler), nor may two encoders set its times.
        """
        now, shape = time.monotonic(), self._shape
        period = 1 / shape.fps
        if self._case is None or now < self._next_due - period / 4:
            return
        self._next_due = max(self._next_due + period, now)
        fitted = fit_picture(frame, shape.width, shape.height)
        if fitted is frame:
            fitted = av.VideoFrame.from_ndarray(frame.to_ndarray(), format="yuv420p")
        try:
            self._pictures.put_nowait(_Picture(fitted, now))
        except queue.Full:
            DROPPED.labels("video_record").inc()

    def close(self) -> None:
        """Finish the open segment and end the thread; waits up to 5 s."""
        self._case = None
        self._ending.set()
        if self._thread is not None:
            self._thread.join(5)

    def _work(self) -> None:
        while not self._ending.is_set():
            picture: _Picture | None = None
            with contextlib.suppress(queue.Empty):
                picture = self._pictures.get(timeout=_LOOK_EVERY_S)
            try:
                self._step(picture, self._case, time.monotonic())
            except StorageError as error:
                self._fail(str(error))
            except Exception as error:
                # An encoder's surprise must not end the keeping of video for good.
                log.exception("video not written")
                self._fail(f"{type(error).__name__}: {error}")
        with contextlib.suppress(StorageError):
            self._close()

    def _step(self, picture: _Picture | None, case: str | None, now: float) -> None:
        writer = self._writer
        if writer is not None and (writer.case != case or now - self._began_s >= SEGMENT_S):
            self._close()
        if picture is None or case is None or now < self._not_before_s:
            return
        if self._writer is None:
            self._begin(case, picture.at_s, now)
        assert self._writer is not None
        self._writer.add(picture.frame, round((picture.at_s - self._began_s) * 1000))

    def _begin(self, case: str, at_s: float, now: float) -> None:
        start_ns = self._wall_ns() - round((now - at_s) * 1e9)
        self._writer = SegmentWriter(self._folder, case, start_ns, self._shape)
        self._began_s = at_s

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            segment = writer.close()
        except StorageError:
            self._let_go(writer)
            raise
        self.error = ""
        WRITTEN.inc()
        WRITTEN_BYTES.inc(segment.size_bytes)

    def _fail(self, why: str) -> None:
        if why != self.error:
            log.error("video not written", error=why)
        self.error = why
        self._not_before_s = time.monotonic() + _AGAIN_S
        writer, self._writer = self._writer, None
        if writer is not None:
            self._let_go(writer)

    def _let_go(self, writer: SegmentWriter) -> None:
        writer.abandon()
        self.unfinished.append(writer.path)
