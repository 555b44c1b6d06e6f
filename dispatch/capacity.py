"""How much room a hospital has, as it stated, and what that weighs beside the way there. Pure.

All is counted in seconds of driving: a hospital on diversion is as if it were half an hour
farther. A statement loses half its weight in ``HALF_LIFE_S``; one that was never made has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

HALF_LIFE_S: Final = 1800.0
"""After so long a statement weighs half; after two hours a sixteenth."""

DIVERSION_S: Final = 1800.0
NO_BED_S: Final = 900.0
NO_RESUS_BAY_S: Final = 900.0
"""Counted for severity red alone."""

LOAD_S: Final = 180.0
"""Per open case on its way there: the hub knows it, so it does not grow old."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a hospital said of itself.

    Attributes:
        beds: Free beds in its emergency department; None where it does not say.
        resus_bays: Free resuscitation bays; None where it does not say.
        diversion: Whether it asks for patients to be taken elsewhere.
        stated_ns: When it said so, by the hub's clock.
    """

    beds: int | None
    resus_bays: int | None
    diversion: bool
    stated_ns: int

    def age_s(self, now_ns: int) -> float:
        """Return how old the statement is."""
        return max(0.0, (now_ns - self.stated_ns) / 1e9)

    def weight(self, now_ns: int) -> float:
        """Return what the statement still weighs, 0 to 1."""
        return float(0.5 ** (self.age_s(now_ns) / HALF_LIFE_S))


def burden_s(capacity: Capacity | None, bound: int, now_ns: int, *, resus: bool) -> float:
    """Return how many seconds farther a hospital counts for how full it is.

    Args:
        capacity: Its last statement, if it made one.
        bound: Open cases on their way to it, without the one in question.
        now_ns: The hub's clock.
        resus: Whether a resuscitation bay is wanted.
    """
    seconds = LOAD_S * bound
    if capacity is None:
        return seconds
    stated_s = DIVERSION_S * capacity.diversion
    if capacity.beds is not None and capacity.beds <= bound:
        stated_s += NO_BED_S
    if resus and capacity.resus_bays == 0:
        stated_s += NO_RESUS_BAY_S
    return seconds + stated_s * capacity.weight(now_ns)
