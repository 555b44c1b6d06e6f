"""A cancellation that was swallowed still ends the task."""

from __future__ import annotations

import asyncio

import pytest

from streams.cancellation import heed_cancellation, heeding


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


async def test_work_that_swallows_cancellations_ends_with_who_waits_for_it() -> None:
    begun, swallowed = asyncio.Event(), 0

    async def stubborn() -> None:
        nonlocal swallowed
        begun.set()
        while swallowed < 3:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed += 1

    task = asyncio.create_task(heeding(stubborn()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert swallowed == 3


async def test_work_that_is_not_cancelled_gives_its_result_or_its_error() -> None:
    async def give(value: int) -> int:
        if value < 0:
            raise ValueError("below zero")
        return value

    assert await heeding(give(7)) == 7
    with pytest.raises(ValueError, match="below zero"):
        await heeding(give(-1))
