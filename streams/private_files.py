"""Files that only their owner may read, written whole or not at all, by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from streams.errors import ConfigError, StorageError


def write_private(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write ``data`` to ``path`` so that a reader sees the old file or the new one.

    The new file is on disk before it takes the old one's place.

    Raises:
        StorageError: It cannot be written.
    """
    temporary: str | None = None
    try:
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        temporary = None
        _sync_directory(path.parent)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_private_directory(directory: Path) -> None:
    """Make ``directory`` (0700) and what is above it; one that is there stays as it is.

    Raises:
        StorageError: It cannot be made.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{directory}: cannot be made ({error.strerror})") from error


@contextlib.contextmanager
def held_alone(state: Path, what: str) -> Iterator[None]:
    """Hold a service's state folder while the block runs: two would write the same files.

    Args:
        state: The folder; it is there.
        what: The service in a word, for the error.

    Raises:
        ConfigError: Another one runs in it.
        StorageError: The lock file cannot be made.
    """
    try:
        descriptor = os.open(state / "running.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{state}: cannot be locked ({error.strerror})") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise ConfigError(
            f"{state}: another {what} runs here; give this one a state folder of its own"
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)  # releases the lock


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold ``directory`` for this process while the block runs; others wait.

    Raises:
        StorageError: The lock file cannot be made.
    """
    try:
        descriptor = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StorageError(f"{directory}: cannot be locked ({error.strerror})") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # releases the lock
