"""How the vehicle's disk is, for crew, log and metrics: room enough, little room, or full.

Full is what refuses a write, not what a number says: while anything waits in memory for the disk
it counts as full. Each change of state is logged once, with what waits.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog
from prometheus_client import Gauge

from onboard.ecg_path import EcgPath
from onboard.held_facts import HeldFacts
from streams.clock import Clock
from streams.health import Check

MIB = 1024 * 1024

FREE = Gauge("forerun_disk_free_bytes", "Room on the disk of the state directory")

State = Literal["ok", "low", "full"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class DiskState:
    """The disk at one moment.

    Attributes:
        state: ``low``: less free than is to be kept. ``full``: something was refused and waits.
        since_ns: Wall clock since when.
        free_bytes: Room for this service; -1 where the system does not say.
        held_facts: Facts in memory only.
        held_ecg_s: Length of ECG in memory only.
        lost_facts: Facts given up since the start, because too many waited.
        error: What the disk said; empty when not full.
    """

    state: State
    since_ns: int
    free_bytes: int
    held_facts: int = 0
    held_ecg_s: float = 0.0
    lost_facts: int = 0
    error: str = ""


def free_bytes(folder: Path) -> int:
    """Return the room for this service on a folder's disk; -1 where the system does not say."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return -1
    return found.f_bavail * found.f_frsize


class DiskWatch:
    """Looks at the disk of one folder and at what waits for it."""

    def __init__(
        self, folder: Path, keep_free_mib: int, held: HeldFacts, ecg: EcgPath, clock: Clock
    ) -> None:
        """Prepare.

        Args:
            folder: On the disk in question.
            keep_free_mib: With less than this free it is low.
            held: Facts that wait.
            ecg: Knows what of the ECG waits.
            clock: This machine's.

        Attributes:
            changed: Called when what is shown of it changed.
            keep_free_bytes: With less than this free it is low.
        """
        self.changed: Callable[[], None] = lambda: None
        self.keep_free_bytes = keep_free_mib * MIB
        self._folder = folder
        self._held, self._ecg = held, ecg
        self._clock = clock
        self.state = DiskState("ok", clock.wall_ns(), self.free_bytes())

    def free_bytes(self) -> int:
        """Return the room for this service now; -1 where the system does not say."""
        return free_bytes(self._folder)

    def look(self) -> DiskState:
        """Look how it is now; to be called every second or so."""
        before, free = self.state, self.free_bytes()
        error = self._held.error or self._ecg.error
        state: State = "ok"
        if error:
            state = "full"
        elif 0 <= free < self.keep_free_bytes:
            state = "low"
        since_ns = before.since_ns if state == before.state else self._clock.wall_ns()
        self.state = DiskState(
            state, since_ns, free, len(self._held), round(self._ecg.unwritten_s, 1),
            self._held.lost, error,
        )  # fmt: skip
        FREE.set(free)
        if state != before.state:
            self._tell(before)
        if self.state != before:
            self.changed()
        return self.state

    def check(self) -> Check:
        """Return how it is, for ``/healthz``."""
        now = self.state
        if now.state == "full":
            words = f"full: {now.held_facts} facts, {now.held_ecg_s:g} s of ECG wait: {now.error}"
        else:
            words = f"{now.free_bytes // MIB} MiB free"
            if now.state == "low":
                words += f", less than the {self.keep_free_bytes // MIB} MiB to be kept free"
        return Check(ok=now.state != "full", text=words)

    def _tell(self, before: DiskState) -> None:
        now = self.state
        words = {
            "full": "disk full: facts and ECG wait in memory; free space on it",
            "low": "disk low: less free than is to be kept for facts",
            "ok": "disk has room again",
        }[now.state]
        tell = log.info if now.state == "ok" else log.error if now.state == "full" else log.warning
        tell(
            words, folder=str(self._folder), free_mib=now.free_bytes // MIB, was=before.state,
            facts_waiting=now.held_facts, ecg_waiting_s=now.held_ecg_s, error=now.error,
        )  # fmt: skip
