"""A tied child process ends with the one that started it, and is else like any other."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from streams import child_process
from streams.child_process import CANNOT_RUN, tied
from tests.conftest import WaitFor, has_ended

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")

BOUND_S = 30.0

PARENT = textwrap.dedent(
    """
    import signal, subprocess, sys, time
    from streams.child_process import tied
    number, program, *rest = sys.argv[1:]
    command = tied([sys.executable, "-c", program, *rest], signal.Signals(int(number)))
    subprocess.Popen(command)
    time.sleep(600)
    """
)

CHILD = textwrap.dedent(
    """
    import os, signal, sys, time

    def close(*_):
        open(sys.argv[1], "w").close()
        os._exit(0)

    signal.signal(signal.SIGTERM, close)
    print(os.getpid(), flush=True)
    time.sleep(600)
    """
)


def start_parent(at_our_end: signal.Signals, mark: Path) -> subprocess.Popen[str]:
    line = [sys.executable, "-c", PARENT, str(at_our_end.value), CHILD, str(mark)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("at_our_end", "closed"), [(signal.SIGTERM, True), (signal.SIGKILL, False)]
)
async def test_tied_process_whose_parent_is_killed_gets_the_signal(
    at_our_end: signal.Signals, closed: bool, tmp_path: Path, wait_for: WaitFor
) -> None:
    mark = tmp_path / "closed"
    with start_parent(at_our_end, mark) as parent:
        try:
            assert parent.stdout is not None
            child = psutil.Process(int(parent.stdout.readline()))
            assert child.ppid() == parent.pid
        finally:
            parent.kill()
    await wait_for(lambda: has_ended(child), "the child ends", BOUND_S)
    assert mark.exists() is closed


def test_tied_process_whose_parent_was_gone_first_does_not_run(tmp_path: Path) -> None:
    mark, somebody_else = tmp_path / "ran", "1"
    line = [sys.executable, child_process.__file__, "15", somebody_else, "touch", str(mark)]
    assert subprocess.run(line, check=False, timeout=BOUND_S).returncode == 128 + 15
    assert not mark.exists()


def test_tied_process_is_as_without_in_id_arguments_signals_and_exit_status() -> None:
    program = 'echo $$ "$1"; grep Sig /proc/self/status; exit 7'
    command = ["sh", "-c", program, "-", "two  words"]

    def told(line: list[str | Path]) -> list[str]:
        with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            first, *rest = process.stdout.read().splitlines()
            assert first == f"{process.pid} two  words"
            assert process.wait(BOUND_S) == 7
        return [line for line in rest if line.startswith(("SigIgn", "SigBlk"))]

    assert told(tied(command)) == told(list(command))


def test_tied_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    nothing = tmp_path / "no-such-program"
    ended = subprocess.run(
        tied([nothing]), capture_output=True, text=True, check=False, timeout=BOUND_S
    )
    assert ended.returncode == CANNOT_RUN
    assert ended.stderr == f"{nothing}: No such file or directory\n"
