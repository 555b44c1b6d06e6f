"""A demonstration that is killed leaves no process behind."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.conftest import WaitFor, has_ended

PARTS = (" broker --config", "nats-server", " dispatch ", " hospital ", " onboard ")
VIEWERS = ("--type=renderer", "bench.board_viewer")
"""Chromium's process with the page, or the stand-in where there is no Chromium."""


def start_demo(state: Path, output: Path) -> subprocess.Popen[bytes]:
    line = [
        sys.executable, "-m", "streams.cli", "demo", "--headless", "--seconds", "600",
        "--units", "1", "--hospitals", "1", "--state", str(state),
    ]  # fmt: skip
    with output.open("wb") as said:
        return subprocess.Popen(line, stdout=said, stderr=said)


def family_of(parent: subprocess.Popen[bytes]) -> dict[psutil.Process, str]:
    """Return all living descendants and their command lines."""
    family = {}
    for process in psutil.Process(parent.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            family[process] = " ".join(process.cmdline())
    return family


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
async def test_demo_that_is_killed_leaves_no_process(tmp_path: Path, wait_for: WaitFor) -> None:
    output = tmp_path / "output"
    with start_demo(tmp_path / "demo", output) as demo:
        try:

            def all_run() -> bool:
                assert demo.poll() is None, output.read_text()
                lines = family_of(demo).values()
                return all(any(part in one for one in lines) for part in PARTS) and any(
                    viewer in one for one in lines for viewer in VIEWERS
                )

            await wait_for(all_run, "the services and the viewer run", 120)
            family = family_of(demo)
        finally:
            demo.kill()
    try:

        def left() -> list[str]:
            return [words for process, words in family.items() if not has_ended(process)]

        await wait_for(lambda: not left(), "all of them end", 60)
    finally:
        for process in family:
            if not has_ended(process):
                process.kill()


async def test_demo_told_to_end_while_it_starts_ends_its_services_and_itself(
    tmp_path: Path, wait_for: WaitFor
) -> None:
    output = tmp_path / "output"
    with start_demo(tmp_path / "demo", output) as demo:
        try:
            await wait_for(lambda: any(family_of(demo)), "the first service is started", 60)
            family = family_of(demo)
            demo.send_signal(signal.SIGINT)
            await wait_for(lambda: demo.poll() is not None, "it ends", 60)
        finally:
            demo.kill()
    assert demo.returncode == 130
    assert "Everything serves" not in output.read_text()
    assert all(has_ended(process) for process in family)
