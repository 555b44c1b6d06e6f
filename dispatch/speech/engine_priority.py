"""How an engine's process stands back behind everything else, vital signs first."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

AUTOGROUP = Path("/proc/self/autogroup")
"""Linux shares the processor between sessions first (sched(7), autogrouping): within a session of
its own a niceness alone would change nothing."""


def stand_back(niceness: int) -> None:
    """Give way to all other processes, 0 to 19; where the system refuses, go on as before."""
    with contextlib.suppress(OSError):
        os.nice(niceness)
    with contextlib.suppress(OSError):
        AUTOGROUP.write_text(str(niceness), encoding="ascii")
