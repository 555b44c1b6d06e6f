"""Which open cases may be the same event as a new one: by place, time, words and number. Pure.

Many people call for one accident. A proposal decides nothing: a dispatcher links, or does not,
and may part what was linked.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from dispatch.arrival import distance_m
from dispatch.cases import Case

MOST = 3
"""Proposals for one case."""

WITHIN_S = 7200.0
"""Cases opened further apart are two events, unless the same number calls again."""

NEAR_M = 150.0
"""What people mean by one place, beside the radius of each position."""

FAR_DEG = 0.05
"""Beyond this in latitude or longitude nothing is measured: it is farther than ``FAR_M``."""

FAR_M = 2000.0
"""Beyond this alike words are another street of that name."""

ALIKE = 0.34
"""Share of common words from which two descriptions are alike; one in three."""

Why = Literal["same_number", "same_place", "alike_words"]
STRONGEST: tuple[Why, ...] = ("same_number", "same_place", "alike_words")

_WORDS = re.compile(r"[a-z0-9]{2,}|[\u3400-\u9fff]+")


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a case is, as far as it is known: degrees and metres."""

    latitude_deg: float
    longitude_deg: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class Proposal:
    """A case that may be the same event.

    Attributes:
        case: Its id.
        why: What speaks for it, the strongest first.
        apart_m: How far the two are from each other; None where one has no place.
        apart_s: How much earlier or later it was opened.
    """

    case: str
    why: tuple[Why, ...]
    apart_m: float | None
    apart_s: float


def propose(
    case: Case, spot: Spot | None, others: Iterable[tuple[Case, Spot | None]]
) -> list[Proposal]:
    """Return the cases that may be the same event, the likeliest first, at most ``MOST``.

    Args:
        case: The case.
        spot: Where it is.
        others: All that it may be linked to, with where they are.
    """
    if case.linked_to is not None:
        return []
    words = words_of(case)
    found = []
    for other, there in others:
        if other.id == case.id or other.linked_to is not None or not other.is_open:
            continue
        one = _compare(case, spot, words, other, there)
        if one is not None:
            found.append(one)
    found.sort(key=_likeliest)
    return found[:MOST]


def words_of(case: Case) -> frozenset[str]:
    """Return the words of a case's address and complaint; of Chinese, pairs of characters."""
    words: set[str] = set()
    for run in _WORDS.findall(f"{case.address} {case.complaint}".lower()):
        if run[0] < "\u3400" or len(run) == 1:
            words.add(run)
        else:
            words.update(run[at : at + 2] for at in range(len(run) - 1))
    return frozenset(words)


def _compare(
    case: Case, spot: Spot | None, words: frozenset[str], other: Case, there: Spot | None
) -> Proposal | None:
    apart_s = abs(case.opened_ns - other.opened_ns) / 1e9
    apart_m, reach_m = None, 0.0
    if spot is not None and there is not None and _are_far(spot, there):
        apart_m = math.inf
    elif spot is not None and there is not None:
        reach_m = NEAR_M + min(spot.radius_m + there.radius_m, FAR_M / 2)
        apart_m = distance_m(
            (spot.latitude_deg, spot.longitude_deg), (there.latitude_deg, there.longitude_deg)
        )
    why: list[Why] = []
    if case.caller and case.caller == other.caller:
        why.append("same_number")
    if apart_s <= WITHIN_S:
        if apart_m is not None and apart_m <= reach_m:
            why.append("same_place")
        if (apart_m is None or apart_m <= FAR_M) and _are_alike(words, words_of(other)):
            why.append("alike_words")
    if apart_m == math.inf:
        apart_m = None
    return Proposal(other.id, tuple(why), apart_m, apart_s) if why else None


def _are_far(one: Spot, other: Spot) -> bool:
    """Whether two spots are farther from each other than anything here asks for; cheap."""
    return (
        abs(one.latitude_deg - other.latitude_deg) > FAR_DEG
        or abs(one.longitude_deg - other.longitude_deg) > 2 * FAR_DEG
    )


def _likeliest(one: Proposal) -> tuple[int, int, float, float]:
    return -len(one.why), STRONGEST.index(one.why[0]), one.apart_m or 0.0, one.apart_s


def _are_alike(one: frozenset[str], other: frozenset[str]) -> bool:
    """Whether two descriptions have enough in common (Jaccard index)."""
    return bool(one) and bool(other) and len(one & other) / len(one | other) >= ALIKE
