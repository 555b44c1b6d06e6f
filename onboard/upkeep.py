"""What is to be done again and again while an agent runs: every second, and every hour."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from onboard.disk_watch import DiskWatch
from onboard.ecg_path import EcgPath
from onboard.logbook import Logbook
from onboard.outgoing import HUB, Outgoing
from onboard.recorder import SYNC_S, Recorder, Segment
from onboard.reserve import Reserve
from streams.clock import Clock
from streams.errors import StorageError
from streams.health import WAITING
from streams.topics import LANES

TEND_S = 1.0
CLEAN_S = 3600.0

log = structlog.get_logger(__name__)


class Upkeep:
    """Syncs recordings, writes what a full disk did not take, removes what is old."""

    def __init__(
        self,
        *,
        ecg: EcgPath,
        outgoing: Outgoing,
        disk: DiskWatch,
        reserve: Reserve,
        clock: Clock,
        looked: Callable[[], None],
    ) -> None:
        """Prepare.

        Args:
            ecg: Its recordings are synced and go on here.
            outgoing: What it holds is written here.
            disk: It looks here.
            reserve: Is laid up here when there is room.
            clock: This machine's.
            looked: Called each second.
        """
        self._ecg, self._outgoing, self._disk, self._clock = ecg, outgoing, disk, clock
        self._reserve, self._looked = reserve, looked

    async def tend(self) -> None:
        """Do what is due every second, until cancelled."""
        while True:
            for recording in self._ecg.running:
                if (segment := recording.kept.segment) is not None:
                    await asyncio.to_thread(_sync, segment)
            with contextlib.suppress(StorageError):  # told by the disk's state
                self._outgoing.held.release()
            self._ecg.flush(self._clock.monotonic_ns())
            waiting = self._outgoing.backlog().waiting
            for lane in LANES:
                WAITING.labels(HUB, lane).set(waiting.get(lane, 0))
            if self._disk.look().state == "ok":
                room = self._disk.state.free_bytes, self._disk.keep_free_bytes
                await asyncio.to_thread(self._reserve.lay_up, *room)
            self._looked()
            await asyncio.sleep(min(TEND_S, SYNC_S))

    async def clean(
        self, logbook: Logbook, recorder: Recorder, due: Callable[[], tuple[int, list[str]]]
    ) -> None:
        """Remove every hour what is old enough, until cancelled.

        Args:
            logbook: Its old cases go.
            recorder: Its old recordings go.
            due: Returns the hub's time before which things are old, ns, and the cases that stay.
        """
        while True:
            before_ns, kept = due()
            with contextlib.suppress(StorageError):  # a full disk is told by what it stops
                logbook.forget(before_ns, kept)
            await asyncio.to_thread(recorder.forget, before_ns / 1e9)
            await asyncio.sleep(CLEAN_S)


def _sync(segment: Segment) -> None:
    try:
        segment.sync()
    except StorageError:
        # It ended meanwhile, which synced it; a disk that fails is told by the next frame.
        log.debug("not synced", recording=segment.recording_id)
