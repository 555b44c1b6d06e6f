"""Child processes of a simulated city: started, waited for, measured, ended by their own id.

They also end when this process is killed: see ``streams.child_process``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from streams.child_process import tied
from streams.errors import ForerunError

END_S = 15.0
"""How long a child may take to close what it has open before it is killed."""


class ProcessError(ForerunError):
    """A child process did not start, or ended by itself."""

    reason = "process"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process cost.

    Attributes:
        name: Its name in the city.
        cpu_percent: Mean share of one core over its life, with its own children.
        rss_mib: Its resident memory at the last look, with its own children, MiB.
    """

    name: str
    cpu_percent: float
    rss_mib: float


@dataclass(slots=True)
class Child:
    """One process of the city.

    Attributes:
        name: Its name in the city.
        process: The process.
        log: Where its output goes.
        started: Monotonic time of its start, s.
        cpu_s: CPU time at the last look, with its own children.
        rss_mib: Resident memory at the last look, with its own children.
        seen: Monotonic time of the last look, s.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    started: float
    cpu_s: float = 0.0
    rss_mib: float = 0.0
    seen: float = 0.0

    @property
    def cost(self) -> Cost:
        """What it cost until the last look."""
        lived = max(self.seen - self.started, 1e-9)
        return Cost(self.name, round(100 * self.cpu_s / lived, 1), round(self.rss_mib, 1))


@dataclass(slots=True)
class Processes:
    """All children of one city; leaving the block ends them, last started first."""

    folder: Path
    children: list[Child] = field(default_factory=list)

    async def __aenter__(self) -> Processes:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        for child in reversed(self.children):
            await self.end(child)

    def forerun(
        self,
        name: str,
        arguments: Sequence[str],
        *,
        prefix: Sequence[str] = (),
        before: Sequence[str] = (),
    ) -> Child:
        """Start ``forerun`` with these arguments as a process of its own.

        Args:
            name: Its name in the city.
            arguments: Its arguments.
            prefix: A program that becomes it elsewhere, such as ``nsenter``.
            before: A module that runs it, with the module's arguments; empty: Python alone.
        """
        module = ["-m", *(before or ("streams.cli",))]
        return self.start(name, [*prefix, sys.executable, *module, *arguments])

    def start(self, name: str, command: Sequence[str]) -> Child:
        """Start a program; its output goes to ``<folder>/<name>.log``.

        A child gets its own process group, so that Ctrl-C at the terminal reaches only the
        city, which then ends the children in order. A city that is killed cannot: then the
        kernel sends each of them SIGTERM. Call this in the thread of the event loop.
        """
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                tied(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True,
            )  # fmt: skip
        child = Child(name, process, log, time.monotonic())
        self.children.append(child)
        return child

    async def ready(
        self, child: Child, path: Path, *, same_process: bool = True, timeout_s: float = 60.0
    ) -> dict[str, Any]:
        """Wait until the child has written its ready file; return what it says.

        Args:
            child: Whose it is.
            path: The ready file.
            same_process: Whether the ``pid`` in it must be the child's own: an old file is not
                taken for a new one.
            timeout_s: How long it may take.

        Raises:
            ProcessError: It ended instead, or took too long; the text names its log.
        """
        until = time.monotonic() + timeout_s
        while True:
            with contextlib.suppress(OSError, ValueError):
                found: dict[str, Any] = json.loads(path.read_bytes())  # noqa: ASYNC240 -- tiny
                if not same_process or found.get("pid") == child.process.pid:
                    return found
            self.check(child)
            if time.monotonic() > until:
                raise ProcessError(f"{child.name}: not ready in {timeout_s:g} s; see {child.log}")
            await asyncio.sleep(0.02)

    def check(self, child: Child) -> None:
        """Raise if the child has ended.

        Raises:
            ProcessError: It has; the text names its log.
        """
        status = child.process.poll()
        if status is not None:
            raise ProcessError(f"{child.name} ended with status {status}; see {child.log}")

    def look(self) -> None:
        """Read what each living child has cost so far."""
        for child in self.children:
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(child.process.pid)
                family = [process, *process.children(recursive=True)]
                cpu_s = rss = 0.0
                for one in family:
                    with contextlib.suppress(psutil.Error), one.oneshot():
                        times = one.cpu_times()
                        cpu_s += times.user + times.system
                        rss += one.memory_info().rss
                child.cpu_s, child.rss_mib = max(cpu_s, child.cpu_s), rss / 2**20
                child.seen = time.monotonic()

    async def end(self, child: Child) -> int:
        """End a child: SIGTERM, time to close, then SIGKILL; return its exit status."""
        if child.process.poll() is None:
            child.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return await asyncio.to_thread(child.process.wait, END_S)
            child.process.kill()
        return child.process.wait()
