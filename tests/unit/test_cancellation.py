"""A cancellation that was swallowed still ends the task."""

from __future__ import annotations

import asyncio

import pytest

from streams.cancellation import heed_cancellation


async def test_swallowed_cancellation_is_raised_at_the_next_look() -> None:
    waiting = asyncio.Event()

    async def swallow() -> None:
        try:
            waiting.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass  # as a library does
        while True:
            heed_cancellation()
            await asyncio.sleep(0)

    task = asyncio.create_task(swallow())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 5)


async def test_look_of_a_task_that_runs_on_is_nothing() -> None:
    heed_cancellation()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(1)
    heed_cancellation()
