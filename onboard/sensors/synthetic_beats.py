"""Makes the synthetic patient's beats in a process of its own.

neurokit2 brings half of scientific Python with it: seconds of import and 200 MiB that the
agent beside a patient should neither wait for nor carry. The process writes the beats as a NumPy
file to its standard output and ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import importlib.util
import io
import sys

import numpy as np

from onboard.sensors.synthetic_ecg import Beats, model_beats

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
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", __name__, str(rate_hz), str(seed)),
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
    return Beats(rate_hz, np.load(io.BytesIO(data), allow_pickle=False))


def main() -> None:
    """Write the beats of ``rate_hz seed`` to standard output."""
    rate_hz, seed = (int(text) for text in sys.argv[1:3])
    beats = model_beats(importlib.import_module("neurokit2"), rate_hz, seed)
    np.save(sys.stdout.buffer, beats.shapes, allow_pickle=False)


if __name__ == "__main__":
    main()
