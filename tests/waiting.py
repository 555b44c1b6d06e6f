"""Waiting for a condition, with a bound: the only way in which a test waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest


async def until(condition: Callable[[], Any], what: str, timeout_s: float = 10.0) -> Any:
    """Wait until a condition, or what it awaits, holds; return that, or fail with what did not."""
    end = time.monotonic() + timeout_s
    while True:
        found = condition()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        if time.monotonic() > end:
            pytest.fail(f"not within {timeout_s:g} s: {what}")
        await asyncio.sleep(0.01)
