"""Radius of uncertainty of a position, from what receivers say about their errors.

All give one radius at 95 %, on the cautious side. A circular error with standard deviation s
per axis (Rayleigh distribution) lies within 2.448 s at 95 %; for an elongated one the larger
axis is taken, which makes the radius up to a quarter too large and never too small.
"""

from __future__ import annotations

import math

CONFIDENCE = 0.95

_RAYLEIGH_95 = math.sqrt(-2 * math.log(1 - CONFIDENCE))
_NORMAL_95 = 1.96
"""gpsd's ``epx`` and ``epy`` are 1.96 standard deviations (``GPSD_CONFIDENCE`` in its source)."""


def radius_of_deviations(north_m: float, east_m: float) -> float | None:
    """Radius at 95 % from standard deviations per axis (NMEA GST), None if they are no such."""
    larger = max(north_m, east_m)
    if not math.isfinite(larger) or min(north_m, east_m) < 0 or larger == 0:
        return None
    return _RAYLEIGH_95 * larger


def radius_of_hdop(hdop: float, uere_m: float) -> float | None:
    """Radius at 95 % from the horizontal dilution of precision, None if that says nothing.

    HDOP times the range error (one sigma) is the root of the summed variances of both axes
    (Kaplan and Hegarty, Understanding GPS, section 7.3). Receivers write 99 or 50 for *none*.
    """
    if not 0 < hdop < 50:
        return None
    return _RAYLEIGH_95 * hdop * uere_m / math.sqrt(2)


def radius_of_gpsd(epy_m: float, epx_m: float) -> float | None:
    """Radius at 95 % from gpsd's 95 % errors north and east, None if they say nothing."""
    return radius_of_deviations(epy_m / _NORMAL_95, epx_m / _NORMAL_95)
