"""Vital signs over time: the newest value of each and its recent course. Pure.

Whatever order the facts come in and however often, the same set of them gives the same trends:
what is kept is decided by the time of a value, never by its arrival.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

from streams.chain import Stored
from streams.lateness import came_late_ns
from streams.messages import Numeric, Origin, Validity, Vitals
from streams.source_clocks import Order, order_of

KEPT_NS = 30 * 60 * 1_000_000_000
"""How far a trend reaches back from its newest value."""

KEPT_POINTS = 720
"""Points of one vital sign at the most: half an hour at 2.5 s."""

CODES: tuple[str, ...] = tuple(name for name in Vitals.__struct_fields__ if name != "device")
"""The vital signs of ``streams.messages.Vitals``, in its order."""


@dataclass(frozen=True, slots=True)
class Point:
    """One measured value.

    Attributes:
        at_ns: When it was measured, by the hub's clock.
        order: What sorts it among the others, and tells two of them apart.
        value: The number; None when it is ``unavailable``.
        validity: As the device said.
        reason: The device's word for anything but ``valid``.
        origin: live, replay or synthetic.
        device: Which device measured it.
        late_ns: How late its fact came to the hub; 0 when in time.
        late_here_ns: How late it came here, if this hospital was to get it then.
    """

    at_ns: int
    order: Order
    value: float | None
    validity: Validity
    reason: str | None
    origin: Origin
    device: str
    late_ns: int = 0
    late_here_ns: int = 0

    @property
    def drawn(self) -> float | None:
        """The value that a curve may show: None, a gap, for what is not to be trusted."""
        return self.value if self.validity in {"valid", "questionable"} else None


class Trend:
    """The recent course of one vital sign, oldest first."""

    def __init__(self) -> None:
        self._points: list[Point] = []

    def __len__(self) -> int:
        return len(self._points)

    @property
    def points(self) -> tuple[Point, ...]:
        """What is kept, oldest first."""
        return tuple(self._points)

    @property
    def newest(self) -> Point | None:
        """The value measured last."""
        return self._points[-1] if self._points else None

    def add(self, point: Point) -> bool:
        """Take a point; return whether it is new and within what is kept."""
        place = bisect.bisect_left(self._points, point.order, key=lambda known: known.order)
        if place < len(self._points) and self._points[place].order == point.order:
            return False
        self._points.insert(place, point)
        oldest_ns = self._points[-1].at_ns - KEPT_NS
        first = bisect.bisect_left(self._points, oldest_ns, key=lambda known: known.at_ns)
        first = max(first, len(self._points) - KEPT_POINTS)
        del self._points[:first]
        return place >= first


def points_of(vitals: Vitals, fact: Stored) -> dict[str, Point]:
    """Return the points of one vitals fact by vital sign, in the hub's clock.

    The device's times stand in the vehicle's wall clock; what corrects the fact corrects them.
    None can be later than the fact that tells it: a device whose clock runs ahead would push
    everything that is true out of the trend.

    Args:
        vitals: The body.
        fact: Its fact, the time placed (``streams.source_clocks``).
    """
    shift_ns = fact.corrected_ns - fact.envelope.source_ns
    late_ns, late_here_ns = came_late_ns(fact), came_late_ns(fact, 0)
    points: dict[str, Point] = {}
    for code in CODES:
        numeric: Numeric | None = getattr(vitals, code)
        if numeric is not None:
            at_ns = max(0, min(numeric.measured_ns + shift_ns, fact.corrected_ns))
            points[code] = Point(
                at_ns=at_ns,
                order=order_of(fact, at_ns),
                value=numeric.value,
                validity=numeric.validity,
                reason=numeric.reason,
                origin=fact.envelope.origin,
                device=vitals.device,
                late_ns=late_ns,
                late_here_ns=late_here_ns,
            )
    return points
