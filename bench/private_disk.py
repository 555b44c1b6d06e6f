"""A small disk of a vehicle's own, to be filled: a tmpfs in a mount namespace of its own.

A process holds the namespace; programs that are started with ``prefix`` see the disk at the
folder's own path, everybody else sees it at ``outside``. The machine's own mounts are not
touched. What is on the disk is copied to the folder when it is closed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from streams.child_process import tied
from streams.errors import ForerunError

_READY_S = 10.0
_CHUNK = 64 * 1024


class DiskError(ForerunError):
    """There can be no disk of one's own here."""

    reason = "private_disk"


@dataclass(slots=True)
class PrivateDisk:
    """The disk; see ``private_disk``.

    Attributes:
        folder: Where programs inside see it.
        outside: Where it is seen from outside while it lives, then the folder.
        prefix: What to put before a command line.
    """

    folder: Path
    outside: Path
    prefix: tuple[str, ...]
    _holder: subprocess.Popen[bytes]

    @property
    def is_closed(self) -> bool:
        """Whether it is gone, and what it held is in the folder."""
        return self.outside == self.folder

    def free_bytes(self) -> int:
        """How much has room."""
        found = os.statvfs(self.outside)
        return found.f_bavail * found.f_frsize

    def run(self, program: str, *arguments: str) -> str:
        """Run a short Python program that sees the disk at the folder's own path.

        Needed for SQLite, which follows the link behind ``outside`` to the wrong file.

        Raises:
            DiskError: It fails.
        """
        command = [*self.prefix, sys.executable, "-I", "-c", program, *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_READY_S
        )
        if done.returncode:
            raise DiskError(f"{self.folder}: {done.stderr.strip()[-200:]}")
        return done.stdout

    def fill(self, leave_bytes: int) -> None:
        """Fill it up to so many bytes."""
        with (self.outside / "filling").open("wb") as file:
            while (room := self.free_bytes() - leave_bytes) > 0:
                file.write(bytes(min(room, _CHUNK)))
                file.flush()

    def relieve(self) -> None:
        """Remove what filled it."""
        (self.outside / "filling").unlink()

    def close(self) -> None:
        """Copy what is on it to the folder, and let it go."""
        if self._holder.poll() is not None:
            return
        shutil.copytree(self.outside, self.folder, dirs_exist_ok=True)
        self.outside = self.folder
        self._holder.kill()
        self._holder.wait()


def private_disk(folder: Path, size_bytes: int) -> PrivateDisk:
    """Make a disk of a size that is seen at ``folder``, which is made.

    Raises:
        DiskError: The kernel refuses mount namespaces or mounts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    script = 'mount -t tmpfs -o "size=$2" tmpfs "$1" && echo ready && exec sleep infinity'
    command = [
        "unshare", "--mount", "--propagation", "private", "--",
        "sh", "-c", script, "sh", str(folder), str(size_bytes),
    ]  # fmt: skip
    # Not under a thread of the pool: for the kernel a parent is a thread (`tied`).
    holder = subprocess.Popen(
        tied(command, signal.SIGKILL), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stderr is not None
    with holder.stdout, holder.stderr:
        if holder.stdout.readline().strip() != b"ready":
            holder.kill()
            said = holder.stderr.read().decode(errors="replace").strip()
            holder.wait()
            raise DiskError(f"A disk of its own is refused here: {said or 'no reason given'}")
    prefix = ("nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "--")
    return PrivateDisk(folder, Path(f"/proc/{holder.pid}/root{folder}"), prefix, holder)
