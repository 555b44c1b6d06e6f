"""Video that is kept on board: whether, for which case, and how it makes room again.

The setting permits it, the case decides: it is kept from the crew's tap in a run until the next
tap or the run's end, and each is a fact of the case. It yields to everything else on the disk, and
what is deleted leaves a receipt: a fact, a line in the log, a counter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog
from prometheus_client import Counter, Gauge

from onboard.disk_watch import MIB
from onboard.errors import RefusedActionError
from onboard.settings import CameraTable, Storage
from onboard.situation import Situation
from onboard.video_recorder import SEGMENT_S, VideoRecorder
from onboard.video_retention import (
    Limits,
    Reason,
    VideoSegment,
    may_write,
    of_one_case,
    surplus,
)
from onboard.video_segments import VideoShape, mend, segments, start_of, torn
from streams.errors import StorageError
from streams.health import Check
from streams.messages import Origin
from streams.outbox import Draft
from streams.video_messages import VideoDeleted, VideoRecording

LOOK_EVERY_S = 1.0
HOUR_NS = 3600 * 1_000_000_000

DELETED = Counter("forerun_video_segments_deleted_total", "Segments of kept video deleted", ["why"])
KEPT_BYTES = Gauge("forerun_video_kept_bytes", "Kept video on the disk")

Why = Literal["", "camera off", "disk", "failed"]
Said = Literal["started", "stopped", "paused", "resumed", "ended"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class KeepingView:
    """The keeping of video as the crew sees it.

    Attributes:
        allowed: Whether this vehicle's settings permit it.
        wanted: Whether the crew wants it for this case.
        on: Whether it is kept now.
        why: What stands in its way, where it is wanted and not on.
    """

    allowed: bool
    wanted: bool = False
    on: bool = False
    why: Why = ""


@dataclass(frozen=True, slots=True)
class _Found:
    """What a look at the folder found and did."""

    kept: list[VideoSegment]
    gone: list[tuple[VideoSegment, Reason]]
    damaged: list[VideoSegment]
    free_bytes: int


class VideoKeeping:
    """Keeps the video of one camera, and the folder of all that was kept.

    Attributes:
        recorder: Takes the camera's pictures.
        changed: Called when what the crew sees of it changed.
    """

    def __init__(
        self,
        folder: Path,
        table: CameraTable | None,
        storage: Storage,
        *,
        situation: Situation,
        camera_wanted: Callable[[], bool],
        free_bytes: Callable[[], int],
        make: Callable[[Draft], None],
        wall_ns: Callable[[], int],
    ) -> None:
        """Prepare.

        Args:
            folder: Of all kept video.
            table: The camera's settings; None without a camera.
            storage: How much room there is for it.
            situation: Knows the run and what the crew said.
            camera_wanted: Whether the crew lets the camera run.
            free_bytes: Tells the room on the disk.
            make: Makes a fact now, or as soon as the disk takes it.
            wall_ns: This vehicle's wall clock.
        """
        self.changed: Callable[[], None] = lambda: None
        self._folder, self._table = folder, table
        self._situation, self._camera_wanted = situation, camera_wanted
        self._free_bytes, self._make, self._wall_ns = free_bytes, make, wall_ns
        shape = VideoShape(640, 480, 10, 400_000)
        if table is not None:
            shape = VideoShape(table.width, table.height, table.record_fps, table.record_bps)
        self.recorder = VideoRecorder(folder, shape, wall_ns)
        self._limits = Limits(
            keep_free_bytes=storage.keep_free_mib * MIB,
            margin_bytes=round(3 * SEGMENT_S * shape.bps / 8),
            most_bytes=storage.video_most_mib * MIB,
            keep_ns=storage.video_keep_hours * HOUR_NS,
        )
        self._torn = torn(folder)
        self._room = True
        self._kept: list[VideoSegment] = []
        self._told: tuple[str, Said] | None = None
        self.view = KeepingView(self.allowed)

    @property
    def allowed(self) -> bool:
        """Whether the settings permit it."""
        return self._table is not None and self._table.record

    @property
    def origin(self) -> Origin:
        """Of the pictures."""
        table = self._table
        if table is None:
            return "live"
        return "synthetic" if table.source == "synthetic" else table.origin

    def check_allowed(self) -> None:
        """Do nothing.

        Raises:
            RefusedActionError: The settings do not permit it.
        """
        if not self.allowed:
            raise RefusedActionError(
                "no video is kept in this vehicle: its settings do not permit it (camera.record)"
            )

    async def run(self) -> None:
        """Look after it until cancelled; what a crash tore is mended first, or deleted."""
        try:
            while True:
                self.follow()
                found = await asyncio.to_thread(self._look_after, self._running)
                self._take(found)
                self.follow()
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            self.recorder.close()

    def follow(self) -> None:
        """Let the recorder do what crew, run and disk want now, and say what changed."""
        case = self._running
        wanted = case is not None and self.allowed and self._wanted(case)
        why: Why = ""
        if wanted and not self._camera_wanted():
            why = "camera off"
        elif wanted and not self._room:
            why = "disk"
        elif wanted and self.recorder.error:
            why = "failed"
        on = wanted and why in ("", "failed")
        self.recorder.aim(case if on else None)
        view = KeepingView(self.allowed, wanted, wanted and not why, why)
        if view != self.view:
            self.view = view
            self.changed()
        self._tell(case if wanted else None, why)

    def check(self) -> Check:
        """Return how it is, for ``/healthz``."""
        size_mib = sum(one.size_bytes for one in self._kept) // MIB
        words = f"{len(self._kept)} segments, {size_mib} MiB in {self._folder}"
        if self.view.wanted:
            words += "; recording" if self.view.on else f"; not recording: {self.view.why}"
        return Check(ok=self.view.why != "failed", text=words)

    @property
    def _running(self) -> str | None:
        return self._situation.binding.case

    def _wanted(self, case: str) -> bool:
        known = self._situation.find(case)
        said = [entry.body for entry in known.bodies(VideoRecording)] if known else []
        words = [
            body.state for body in said
            if isinstance(body, VideoRecording) and body.state in ("started", "stopped", "ended")
        ]  # fmt: skip
        return words[-1:] == ["started"]

    def _tell(self, case: str | None, why: Why) -> None:
        """Make facts of what the vehicle does by itself; the crew's own word is one already."""
        if case is None:
            if self._told is not None and self._wanted(self._told[0]):
                self._say(self._told[0], "ended", "the run has ended")
            self._told = None
        elif self._told is None or self._told[0] != case:
            self._told = (case, "started")
            if why:
                self._say(case, "paused", why)
        elif (self._told[1] == "paused") != bool(why):
            self._say(case, "paused" if why else "resumed", why)

    def _say(self, case: str, said: Said, reason: str) -> None:
        self._told = (case, said)
        log.info("video recording", case=case, state=said, reason=reason)
        body = VideoRecording(state=said, reason=reason)
        self._make(Draft("video_recording", body, self.origin, case))

    def _look_after(self, running: str | None) -> _Found:
        """Mend what is torn, delete what must go; blocking, in a thread."""
        damaged = self._mend()
        found = segments(self._folder)
        free = self._free_bytes()
        gone = []
        for one, reason in surplus(found, running, free, self._wall_ns(), self._limits):
            try:
                one.path.unlink(missing_ok=True)
            except OSError:
                log.exception("video not deleted", segment=str(one.path))
                continue
            log.warning("video deleted", segment=str(one.path), why=reason, bytes=one.size_bytes)
            gone.append((one, reason))
        if gone:
            _remove_empty({one.path.parent for one, _ in gone})
        left = {one.path for one, _ in gone}
        kept = [one for one in found if one.path not in left]
        return _Found(kept, gone, damaged, self._free_bytes())

    def _mend(self) -> list[VideoSegment]:
        """Make whole what a crash left, and what the recorder could not finish meanwhile."""
        damaged = []
        while self.recorder.unfinished:
            self._torn.append(self.recorder.unfinished.popleft())
        for path in list(self._torn):
            try:
                size, start_ns = path.stat().st_size, start_of(path.stem)
                if mend(path) is None:
                    log.warning("torn video holds no picture: deleted", segment=str(path))
                    damaged.append(VideoSegment(path, path.parent.name, start_ns, size))
                self._torn.remove(path)
            except (FileNotFoundError, ValueError):
                self._torn.remove(path)  # not ours, or gone
            except (StorageError, OSError) as error:
                log.debug("torn video not mended yet", segment=str(path), error=str(error))
        return damaged

    def _take(self, found: _Found) -> None:
        self._kept = found.kept
        KEPT_BYTES.set(sum(one.size_bytes for one in found.kept))
        if found.free_bytes >= 0:
            self._room = may_write(found.free_bytes, self._limits, writing=self._room)
        for (case, reason), some in of_one_case(found.gone).items():
            self._receipt(case, reason, some)
        for one in found.damaged:
            self._receipt(one.case, "damaged", [one])

    def _receipt(
        self,
        case: str,
        why: Literal["room", "size", "age", "damaged"],
        some: Sequence[VideoSegment],
    ) -> None:
        DELETED.labels(why).inc(len(some))
        body = VideoDeleted(
            reason=why,
            segments=len(some),
            size_bytes=sum(one.size_bytes for one in some),
            from_ns=min(one.start_ns for one in some),
            until_ns=max(one.start_ns for one in some),
        )
        self._make(Draft("video_deleted", body, self.origin, case))


def _remove_empty(folders: set[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            continue  # something is in it still
