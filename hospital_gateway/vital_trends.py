"""Vital signs over time: the newest value of each and its recent course. Pure.

Whatever order the facts come in and however often, the same set of them gives the same trends:
what is kept is decided by the time of a value, never by its arrival.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass

from streams.messages import Numeric, Origin, Validity, Vitals

KEPT_NS = 30 * 60 * 1_000_000_000
"""How far a trend reaches back from its newest value."""

KEPT_POINTS = 720
"""Points of one vital sign at the most: half an hour at 2.5 s."""

CODES: tuple[str, ...] = tuple(name for name in Vitals.__struct_fields__ if name != "device")
"""The vital signs of ``streams.messages.Vitals``, in its order."""


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """One measured value.

    Attributes:
        at_ns: When it was measured, by the hub's clock.
        case_sequence: The place of its fact in the case's journal; settles equal times.
        value: The number; None when it is ``unavailable``.
        validity: As the device said.
        reason: The device's word for anything but ``valid``.
        origin: live, replay or synthetic.
        device: Which device measured it.
    """

    at_ns: int
    case_sequence: int
    value: float | None
    validity: Validity
    reason: str | None
    origin: Origin
    device: str

    @property
    def key(self) -> tuple[int, int]:
        """What orders the points of one vital sign, and tells two of them apart."""
        return self.at_ns, self.case_sequence

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
        place = bisect.bisect_left(self._points, point.key, key=lambda known: known.key)
        if place < len(self._points) and self._points[place].key == point.key:
            return False
        self._points.insert(place, point)
        oldest_ns = self._points[-1].at_ns - KEPT_NS
        first = bisect.bisect_left(self._points, oldest_ns, key=lambda known: known.at_ns)
        first = max(first, len(self._points) - KEPT_POINTS)
        del self._points[:first]
        return place >= first


def points_of(
    vitals: Vitals, *, case_sequence: int, source_ns: int, corrected_ns: int, origin: Origin
) -> dict[str, Point]:
    """Return the points of one vitals fact by vital sign, in the hub's clock.

    The device's times stand in the vehicle's wall clock; what corrects the fact corrects them.
    None can be later than the fact that tells it: a device whose clock runs ahead would push
    everything that is true out of the trend.

    Args:
        vitals: The body.
        case_sequence: The fact's place in the case.
        source_ns: The vehicle's wall clock when the fact was made.
        corrected_ns: The same moment by the hub's clock.
        origin: Of the fact.
    """
    shift_ns = corrected_ns - source_ns
    points: dict[str, Point] = {}
    for code in CODES:
        numeric: Numeric | None = getattr(vitals, code)
        if numeric is not None:
            points[code] = Point(
                at_ns=max(0, min(numeric.measured_ns + shift_ns, corrected_ns)),
                case_sequence=case_sequence,
                value=numeric.value,
                validity=numeric.validity,
                reason=numeric.reason,
                origin=origin,
                device=vitals.device,
            )
    return points
