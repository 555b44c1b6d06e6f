"""A service ends when it is told to, even if a library swallows the word once."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap

import pytest

PROGRAM = textwrap.dedent(
    """
    import asyncio, contextlib, sys
    from streams import service

    async def deaf():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    async def serve():
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task({task}())
                print("ready", flush=True)
        finally:
            print("closed", flush=True)

    async def heedful():
        await asyncio.Event().wait()

    service.INSIST_S = 0.2
    sys.exit(service.run(serve))
    """
)


@pytest.mark.parametrize("task", ["heedful", "deaf"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_service_told_to_end_closes_and_ends_with_zero(task: str, number: signal.Signals) -> None:
    program = PROGRAM.format(task=task)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(60) == 0
        assert process.stdout.read() == "closed\n"
