"""Cancellation that a library has swallowed.

``asyncio.wait_for`` of Python 3.11 returns its result, and forgets that the task was cancelled,
when both come in the same turn of the loop (python/cpython#86296, mended in 3.12). nats-py waits
with it. A loop that never ends asks here once a round, or a service would never stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

AGAIN_S = 0.05
Result = TypeVar("Result")


def heed_cancellation() -> None:
    """Raise ``CancelledError`` if the current task was cancelled and nobody has said so."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def heeding(work: Coroutine[Any, Any, Result]) -> Result:
    """Await what a library does, and end it when this task is cancelled, however often it takes.

    A library that swallows a cancellation goes on to its own timeout, which may be seconds.
    """
    task = asyncio.create_task(work, name="heeding")
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        while not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=AGAIN_S)
        if not task.cancelled():
            task.exception()  # whatever it was: nobody waits for it any more
        raise
