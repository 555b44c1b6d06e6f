"""A file of nothing that keeps room on the disk for a start of the agent when it is full.

SQLite needs some room only to open a database. Where there is none, the reserve is given up for
it; once there is room again it is laid up anew. While the agent runs it is not touched: what the
disk refuses then waits in memory.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import structlog

from streams.errors import StorageError
from streams.private_files import write_private

SIZE_BYTES = 2 * 1024 * 1024

log = structlog.get_logger(__name__)


class Reserve:
    """The reserve in one folder."""

    def __init__(self, folder: Path) -> None:
        """Name the folder; nothing is written yet."""
        self._file = folder / "reserve"

    def give_up_if_full(self, free_bytes: int) -> bool:
        """Make room for a start if there is none; return whether that was so.

        Args:
            free_bytes: Room on the disk; negative where it is not known.
        """
        if not 0 <= free_bytes < SIZE_BYTES // 2:
            return False
        with contextlib.suppress(OSError):
            self._file.unlink()
            log.error("disk full at the start: the reserve is given up", free_bytes=free_bytes)
            return True
        return False

    def lay_up(self, free_bytes: int, keep_free_bytes: int) -> None:
        """Lay up the reserve if it is not there and there is more room than is to be kept.

        Args:
            free_bytes: Room on the disk.
            keep_free_bytes: What is to be kept.
        """
        if free_bytes < keep_free_bytes + SIZE_BYTES or self._file.exists():
            return
        # Bytes that cannot be packed: on some file systems zeros take no room.
        with contextlib.suppress(StorageError):
            write_private(self._file, os.urandom(SIZE_BYTES))
