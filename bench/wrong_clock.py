"""Runs ``forerun`` with a wall clock that is wrong by what a file says, and follows the file.

    python -m bench.wrong_clock FILE ARGUMENTS...

``FILE`` holds the error in seconds. What Python reads as the wall clock (``time.time``,
``time.time_ns``) is wrong, in a process that runs the product as it is; the monotonic clock and
the checks of certificates by OpenSSL are not. A jump of the system's clock cannot be had for one
process alone (time namespaces have no wall clock).
"""

from __future__ import annotations

import runpy
import sys
import time
from collections.abc import Callable
from pathlib import Path

LOOK_S = 0.05
"""How long an error that was read is used."""


class WrongClock:
    """Adds the error in a file to the true clock."""

    def __init__(self, file: Path) -> None:
        """Begin with what the file says now."""
        self._file = file
        self._time_ns: Callable[[], int] = time.time_ns
        self._looked_s = float("-inf")
        self._error_ns = 0

    def time_ns(self) -> int:
        """The wrong wall clock, ns."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            self._error_ns = round(float(self._file.read_text(encoding="ascii")) * 1e9)
        return self._time_ns() + self._error_ns

    def time(self) -> float:
        """The wrong wall clock, s."""
        return self.time_ns() / 1e9


def set_error(file: Path, error_s: float) -> None:
    """Let the clocks that follow a file be wrong by so much from now on."""
    new = file.with_suffix(".new")
    new.write_text(str(error_s), encoding="ascii")
    new.replace(file)


def main(arguments: list[str]) -> None:
    """Become ``forerun`` with the rest of the arguments."""
    clock = WrongClock(Path(arguments[0]))
    time.time, time.time_ns = clock.time, clock.time_ns
    sys.argv = ["forerun", *arguments[1:]]
    runpy.run_module("streams.cli", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
