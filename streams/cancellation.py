"""Cancellation that a library has swallowed.

``asyncio.wait_for`` of Python 3.11 returns its result, and forgets that the task was cancelled,
when both come in the same turn of the loop (python/cpython#86296, mended in 3.12). nats-py waits
with it. A loop that never ends asks here once a round, or a service would never stop.
"""

from __future__ import annotations

import asyncio


def heed_cancellation() -> None:
    """Raise ``CancelledError`` if the current task was cancelled and nobody has said so."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
