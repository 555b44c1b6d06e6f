"""Which kept video goes, in which order, and whether more may be written. Pure.

Facts come before ECG's files and these before video: of what fills the disk, video of ended cases
goes first, oldest first, then the oldest of the case that runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Reason = Literal["room", "size", "age"]


@dataclass(frozen=True, slots=True)
class VideoSegment:
    """A file of kept video.

    Attributes:
        path: The file.
        case: The case.
        start_ns: Wall clock of the vehicle at its first picture.
        size_bytes: Of the file.
    """

    path: Path
    case: str
    start_ns: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Limits:
    """How much video is kept.

    Attributes:
        keep_free_bytes: Room that the disk must have for facts.
        margin_bytes: When there was too little, so much more is made, so that a segment fits.
        most_bytes: Of all video.
        keep_ns: Older segments go.
    """

    keep_free_bytes: int
    margin_bytes: int
    most_bytes: int
    keep_ns: int


def surplus(
    segments: Iterable[VideoSegment],
    running: str | None,
    free_bytes: int,
    now_ns: int,
    limits: Limits,
) -> list[tuple[VideoSegment, Reason]]:
    """Return the segments that must go, in the order of their going, and why.

    Args:
        segments: All that are finished.
        running: The case of the run.
        free_bytes: Room on the disk; negative where the system does not say.
        now_ns: Wall clock.
        limits: How much is kept.
    """
    ordered = sorted(segments, key=lambda one: (one.case == running, one.start_ns, one.path))
    gone: list[tuple[VideoSegment, Reason]] = []
    kept: list[VideoSegment] = []
    for one in ordered:
        if now_ns - one.start_ns > limits.keep_ns:
            gone.append((one, "age"))
        else:
            kept.append(one)
    size = sum(one.size_bytes for one in kept)
    free = free_bytes + sum(one.size_bytes for one, _ in gone)
    short = free_bytes >= 0 and free < limits.keep_free_bytes
    wanted = limits.keep_free_bytes + limits.margin_bytes
    for one in kept:
        reason: Reason | None = None
        if short and free < wanted:
            reason = "room"
        elif size > limits.most_bytes:
            reason = "size"
        if reason is None:
            break
        gone.append((one, reason))
        size -= one.size_bytes
        free += one.size_bytes
    return gone


def may_write(free_bytes: int, limits: Limits, *, writing: bool) -> bool:
    """Whether there is room for more video; who has stopped begins again with a margin only."""
    margin = 0 if writing else limits.margin_bytes
    return free_bytes >= limits.keep_free_bytes + margin


def of_one_case(
    gone: Sequence[tuple[VideoSegment, Reason]],
) -> dict[tuple[str, Reason], list[VideoSegment]]:
    """Return what went by case and reason: one receipt each."""
    found: dict[tuple[str, Reason], list[VideoSegment]] = {}
    for one, reason in gone:
        found.setdefault((one.case, reason), []).append(one)
    return found
