"""Makes the synthetic patient's beats in a process of its own.

neurokit2 brings half of scientific Python with it: seconds of import and 200 MiB that the
agent beside a patient should neither wait for nor carry. The process writes the beats as a NumPy
file to its standard output and ends. They are kept in the user's cache folder, since they are
the same the next time.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.metadata
import importlib.util
import io
import os
import signal
import sys
from pathlib import Path

import numpy as np

from onboard.sensors.synthetic_ecg import Beats, model_beats
from streams.child_process import tied
from streams.errors import StorageError
from streams.private_files import write_private

LIMIT_S = 180.0
"""Seconds on an idle machine, half a minute on a busy one; after this something is wrong."""


async def make_beats(rate_hz: int, seed: int) -> Beats:
    """Return the model's beats.

    Args:
        rate_hz: Samples a second.
        seed: Seed of the model.

    Raises:
        ValueError: neurokit2 is not installed or fails; the text says which.
        TimeoutError: It did not end within `LIMIT_S`.
    """
    if importlib.util.find_spec("neurokit2") is None:
        raise ValueError("neurokit2 is not installed: pip install 'forerun[demo]'")
    kept = _kept_beats(rate_hz, seed)
    with contextlib.suppress(OSError, ValueError):
        return Beats(rate_hz, np.load(kept, allow_pickle=False))
    data = await _run_model(rate_hz, seed)
    _keep(kept, data)
    return Beats(rate_hz, np.load(io.BytesIO(data), allow_pickle=False))


def _kept_beats(rate_hz: int, seed: int) -> Path:
    """Return the file for these beats in the user's cache (XDG Base Directory Specification)."""
    folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    version = importlib.metadata.version("neurokit2")
    return Path(folder) / "forerun" / f"beats-{version}-{rate_hz}-{seed}.npy"


def _keep(path: Path, data: bytes) -> None:
    """Write whole or not at all; without a cache folder the model runs again the next time."""
    with contextlib.suppress(OSError, StorageError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, data)


async def _run_model(rate_hz: int, seed: int) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *tied([sys.executable, "-m", __name__, str(rate_hz), str(seed)], signal.SIGKILL),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LIMIT_S):
            data, complaints = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode:
        last = complaints.decode(errors="replace").strip().rpartition("\n")[2]
        raise ValueError(f"neurokit2 fails: {last[:500]}")
    return data


def main() -> None:
    """Write the beats of ``rate_hz seed`` to standard output."""
    rate_hz, seed = (int(text) for text in sys.argv[1:3])
    beats = model_beats(importlib.import_module("neurokit2"), rate_hz, seed)
    np.save(sys.stdout.buffer, beats.shapes, allow_pickle=False)


if __name__ == "__main__":
    main()
