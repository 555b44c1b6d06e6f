"""Fixtures for all tests: recorded data, free ports, waiting for a condition."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import psutil
import pytest
from hypothesis import settings

from tests.waiting import until

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("forerun", deadline=None)
settings.load_profile("forerun")

REPOSITORY = Path(__file__).resolve().parent.parent
IN_CI = os.environ.get("CI", "").lower() == "true"


class WaitFor(Protocol):
    """Waits until a condition holds; see `wait_for`."""

    async def __call__(
        self, condition: Callable[[], object], what: str, timeout_s: float = 10.0
    ) -> None: ...


def has_ended(process: psutil.Process) -> bool:
    """Whether a process ran to its end, also where nobody buries an orphan."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder of pyproject.toml."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The recordings that lie beside the repository in `shared/data`; skips where they do not."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the recordings in shared/data do not lie beside this repository")
    return folder


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A function that gives a TCP port of 127.0.0.1 that was free a moment ago."""
    given: set[int] = set()

    def ask() -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port: int = probe.getsockname()[1]
            if port not in given:
                given.add(port)
                return port

    return ask


@pytest.fixture
def wait_for() -> WaitFor:
    """A coroutine function that waits until a condition holds, and says what did not happen."""
    return until


@pytest.fixture(scope="session")
def need_program() -> Callable[[str, str], str]:
    """A function that finds a system program; without it skips, or fails where CI runs."""

    def find(name: str, why: str) -> str:
        found = shutil.which(name)
        if found is not None:
            return found
        message = f"{name} is not installed: {why}"
        if IN_CI:
            pytest.fail(message)
        pytest.skip(message)

    return find
