"""How much room a hospital has, as it stated, and what that weighs beside the way there. Pure.

All is counted in seconds of driving: a hospital on diversion is as if it were half an hour
farther. A statement loses half its weight in ``HALF_LIFE_S``; one that was never made has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from streams.chain import Stored
from streams.codec import any_body
from streams.hospital_messages import HospitalState

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
        reason: Why it is on diversion.
        role: What the person is who said so.
        made: Epoch and number of the hospital's outbox, which say what it said last.
    """

    beds: int | None
    resus_bays: int | None
    diversion: bool
    stated_ns: int
    reason: str = ""
    role: str = ""
    made: tuple[str, int] = ("", 0)

    def age_s(self, now_ns: int) -> float:
        """Return how old the statement is."""
        return max(0.0, (now_ns - self.stated_ns) / 1e9)

    def weight(self, now_ns: int) -> float:
        """Return what the statement still weighs, 0 to 1."""
        return float(0.5 ** (self.age_s(now_ns) / HALF_LIFE_S))


def newest(before: Capacity | None, fact: Stored) -> Capacity | None:
    """Return what counts of a hospital once a fact of its room has come.

    The hospital's own numbers say which of two statements is the later one, for its clock may
    have been set between them. A hospital with a new disk counts anew: there what came last
    counts. What is said in an exercise changes nothing here.
    """
    body = any_body(fact.envelope)
    if not isinstance(body, HospitalState) or fact.envelope.drill:
        return before
    epoch, number = fact.envelope.epoch, fact.envelope.sequence
    if before is not None and before.made[0] == epoch and number < before.made[1]:
        return before
    return Capacity(
        beds=body.beds,
        resus_bays=body.resus_bays,
        diversion=body.diversion,
        stated_ns=min(fact.corrected_ns, fact.received_ns),
        reason=body.reason,
        role=body.role,
        made=(epoch, number),
    )


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
