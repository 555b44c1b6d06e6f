"""A child process that ends with the process that started it, even when that one is killed.

``tied`` puts this very file before the child's command line: a small Python that asks the
kernel for a signal at its parent's end (Linux, PR_SET_PDEATHSIG, prctl(2)) and then becomes the
child, with the same process id. This is not done in the ``preexec_fn`` of ``subprocess``: it
runs Python between fork and exec, which may hang for ever where the parent has threads.

Elsewhere than on Linux nothing is put before it, and an orphan is left to the operator. The file
imports nothing of Forerun, so that it starts in about 20 ms.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""Of linux/prctl.h."""

CANNOT_RUN = 127
"""The exit status of a program that cannot be started, as a shell's."""


def tied(
    command: Sequence[str | Path], at_our_end: signal.Signals = signal.SIGTERM
) -> list[str | Path]:
    """Return a command line whose process gets a signal when the thread that starts it ends.

    Start it in a thread that lives as long as the child shall, such as the event loop's: for the
    kernel the parent is a thread, not a process.

    Args:
        command: Program and arguments. A program that is not there is told on standard error,
            with the exit status ``CANNOT_RUN``.
        at_our_end: SIGTERM for who has something to close, such as children of its own; SIGKILL
            for who has not.
    """
    if sys.platform != "linux":
        return list(command)
    # Isolated and without site-packages: it starts fast and no folder of ours hides a module.
    here = [sys.executable, "-I", "-S", __file__]
    return [*here, str(at_our_end.value), str(os.getpid()), *command]


def become(at_parents_end: int, parent: int, command: list[str]) -> int:
    """Become the program; return the exit status where that fails or the parent is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, at_parents_end)
    if os.getppid() != parent:  # it ended before the kernel was asked
        return 128 + at_parents_end
    for name in ("SIGPIPE", "SIGXFSZ"):  # Python ignores them, and exec would hand that on
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - without a shell is what is wanted
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return CANNOT_RUN


if __name__ == "__main__":
    sys.exit(become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
