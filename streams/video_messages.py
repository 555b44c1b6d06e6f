"""Bodies of the facts about video that is kept on board: that it is, and that it is deleted."""

from __future__ import annotations

from typing import Literal

from streams.messages import Body, Count, ShortText, Time


class VideoRecording(Body, frozen=True, kw_only=True):
    """The vehicle keeps, or keeps no longer, what its camera shows of this case.

    Attributes:
        state: ``started`` and ``stopped`` are the crew's word. ``paused`` and ``resumed`` are the
            vehicle's: something stood in the way, or does no more. ``ended`` with the run.
        reason: Why, of what the vehicle did by itself.
    """

    state: Literal["started", "stopped", "paused", "resumed", "ended"]
    reason: ShortText = ""


class VideoDeleted(Body, frozen=True, kw_only=True):
    """The receipt of a deletion: kept video of this case is gone for good.

    Attributes:
        reason: ``room``: the disk was needed for facts. ``size``, ``age``: more, or older, than is
            to be kept. ``damaged``: not readable after a crash.
        segments: Files deleted.
        size_bytes: Of them together.
        from_ns: Begin of the oldest of them, by the vehicle's wall clock.
        until_ns: Begin of the newest of them.
    """

    reason: Literal["room", "size", "age", "damaged"]
    segments: Count
    size_bytes: Count
    from_ns: Time
    until_ns: Time
