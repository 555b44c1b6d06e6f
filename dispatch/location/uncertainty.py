"""Radius and confidence: from what a source says to the radius at 95 %. Pure.

The horizontal error is taken as circular normal, whose distance from the centre is Rayleigh
distributed: P(r) = 1 - exp(-r^2 / 2 sigma^2) (RFC 7459, section 5.2.2, in two dimensions). So
r95 = r68 * sqrt(ln 0.05 / ln 0.32) = 1.6215 * r68. The factor 1.96 is that of one dimension.
"""

from __future__ import annotations

import math

from streams.messages import Position

LEVEL = 0.95
SILENT_CONFIDENCE = 0.68
"""Of a radius whose source says no confidence: what phones mean by accuracy."""

_LEAST_CONFIDENCE = 0.01


def radius_at_95(radius_m: float, confidence: float | None) -> float:
    """Return the radius that holds the true place with 95 %.

    A radius at a higher confidence is kept as it is: what is sure stays wide.
    """
    if confidence is None:
        confidence = SILENT_CONFIDENCE
    if confidence >= LEVEL:
        return radius_m
    confidence = max(confidence, _LEAST_CONFIDENCE)
    return radius_m * math.sqrt(math.log(1 - LEVEL) / math.log(1 - confidence))


def stated_radius(position: Position) -> float | None:
    """Return a position's radius at 95 %; None where it says none."""
    if position.radius_m is None:
        return None
    return radius_at_95(position.radius_m, position.confidence)
