"""A vehicle's disk that is full: another program takes whatever the vehicle frees."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from bench.frame import BenchError
from bench.private_disk import PrivateDisk

KEEP_FREE_MIB = 6
"""What the vehicle is told to keep free of its small disk."""

SEGMENTS = 2
"""Files of kept video that are there before the disk fills: two take 20 s."""

_SEGMENTS_S = 60.0
_ROOM_S = 10.0
_LOOK_S = 0.2


async def keep_full(disk: PrivateDisk, lasts_s: float) -> float:
    """Keep a disk full for so long; return the monotonic time at which it has room again."""
    filling = asyncio.create_task(_fill_again(disk), name="full_disk.filling")
    try:
        await asyncio.sleep(lasts_s)
    finally:
        filling.cancel()
        await asyncio.wait({filling})
    over_s = time.monotonic()
    disk.relieve()
    return over_s


async def _fill_again(disk: PrivateDisk) -> None:
    while True:
        disk.fill(0)
        await asyncio.sleep(_LOOK_S)


async def let_video_make_room(disk: PrivateDisk) -> int:
    """Leave less free than is to be kept, once there is video; return how many files went.

    Raises:
        BenchError: No video is kept, or the oldest does not go.
    """
    before = await _until(disk, lambda kept: len(kept) >= SEGMENTS, "no video is kept", _SEGMENTS_S)
    disk.fill(KEEP_FREE_MIB * 1024 * 1024 // 2)
    after = await _until(disk, lambda kept: before[0] not in kept, "video stays", _ROOM_S)
    return len(set(before) - set(after))


async def _until(
    disk: PrivateDisk, holds: Callable[[list[Path]], bool], problem: str, within_s: float
) -> list[Path]:
    deadline = time.monotonic() + within_s
    while not holds(kept := sorted((disk.outside / "video").glob("*/*.mkv"))):
        if time.monotonic() > deadline:
            raise BenchError(f"{problem} in {within_s:g} s: {[one.name for one in kept]}")
        await asyncio.sleep(_LOOK_S)
    return kept
