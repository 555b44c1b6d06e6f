"""Bodies in which a party tells of its link, its sending, its clock and its own storage."""

from __future__ import annotations

from typing import Annotated

import msgspec

from streams.messages import Body, Count, Identifier, Lane, Offset, Ranges, ShortText, Time


class LinkOutage(Body, frozen=True, kw_only=True):
    """A vehicle had no link to the broker for a while, or changed to another uplink.

    Attributes:
        from_ns: When the loss was noticed, by the source's wall clock.
        until_ns: When a link stood again.
        before: Name of the uplink before; empty where there is just one.
        uplink: Name of the uplink that stood then.
    """

    from_ns: Time
    until_ns: Time
    before: ShortText = ""
    uplink: ShortText = ""


class RunReport(Body, frozen=True, kw_only=True):
    """What a vehicle counted of its own sending during a run; made at the run's end.

    Attributes:
        from_ns: Begin of the count, by the source's wall clock.
        made: Facts made.
        resent: Facts sent again, for want of a receipt or because they were asked for.
        dropped: Live messages dropped because the newest wins, by their kind.
    """

    from_ns: Time
    made: Count
    resent: Count
    dropped: dict[ShortText, Count] = {}  # noqa: RUF012 - msgspec makes a new one each time


class ClockState(Body, frozen=True, kw_only=True):
    """A vehicle's clock was compared with the hub's and is off, or was set.

    Attributes:
        offset_ns: What to add to it to get the hub's time; None when it was not compared yet.
        uncertainty_ns: Half width of that.
        set_ns: By how much the machine's clock now differs from the steady one that stamps
            facts and does not follow; 0 when it was not set.
    """

    offset_ns: Offset | None = None
    uncertainty_ns: Count | None = None
    set_ns: Offset = 0


class OutboxState(Body, frozen=True, kw_only=True):
    """What a source still holds for a receiver; sent on a new path and when a receipt knows less.

    It is true for ever once it is true: what an outbox has freed never comes back to it.

    Attributes:
        epoch: The outbox.
        held: Per lane that ever had a fact for this receiver the lowest number that may still
            come: everything below was acknowledged and freed.
    """

    epoch: Identifier
    held: dict[Lane, Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)]]


class CopyLost(Body, frozen=True, kw_only=True):
    """A hospital or a vehicle lost what it had stored of the hub's facts, and asks for it again.

    Attributes:
        epoch: The hub's outbox from which they came.
        gone: Per lane the numbers that it once acknowledged and does not know any more.
    """

    epoch: Identifier
    gone: dict[Lane, Ranges]
