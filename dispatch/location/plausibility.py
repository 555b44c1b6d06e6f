"""Which fixes of a caller can be right, and how wide they are by now. Pure.

Steps 2 to 4 of the rule in `best`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import msgspec

from dispatch.location.districts import District
from dispatch.location.uncertainty import stated_radius
from streams.messages import Position

SECOND_NS = 1_000_000_000
_EARTH_M = 6_371_008.8
_STANDING = ("wiremap", "dhcp", "manual")
_LOOK_BACK = 30  # jumps are looked for among so many newest fixes of a source


@dataclass(frozen=True, slots=True)
class Rules:
    """The figures of the rule.

    Attributes:
        walking_mps: How fast a caller is taken to move of whom nothing is known.
        fastest_mps: What no vehicle exceeds; 100 m/s is 360 km/h.
        future_s: How far a phone's clock may be ahead.
        stale_s: The age from which a position is called stale.
        assumed_radius_m: At 95 %, of a fix that states none, for comparisons only.
        least_radius_m: At 95 %, of any fix; no phone knows better, whatever it says.
        address_margin_m: How far address and position may be apart beyond their radii.
        area_margin_m: How far outside of every district a caller may be.
    """

    walking_mps: float = 1.5
    fastest_mps: float = 100.0
    future_s: float = 60.0
    stale_s: float = 180.0
    assumed_radius_m: float = 500.0
    least_radius_m: float = 1.0
    address_margin_m: float = 200.0
    area_margin_m: float = 50_000.0


DEFAULT_RULES = Rules()


@dataclass(frozen=True, slots=True)
class Fix:
    """A position and when it came.

    Attributes:
        received_ns: By the hub's clock.
        id: Of the fact that brought it; tells fixes apart.
    """

    position: Position
    received_ns: int
    id: str = ""


@dataclass(slots=True)
class Judged:
    """A fix with what was found out about it.

    Attributes:
        time_ns: When it was measured, or came if that was before.
        stated_m: Its radius at 95 % as stated; None without one.
        now_m: That radius now, wider by what the caller may have moved.
        base_m: The stated radius, or the assumed one.
        is_ahead: Whether its clock is, so that its time says nothing.
        why_impossible: Empty where it can be right.
        others: How many other fixes bear it out; counted for the ends of jumps.
    """

    fix: Fix
    time_ns: int
    age_s: float
    stated_m: float | None
    now_m: float
    base_m: float
    is_ahead: bool = False
    why_impossible: str = ""
    others: int = 0

    @property
    def place(self) -> tuple[float, float]:
        """(latitude, longitude)."""
        return self.fix.position.latitude_deg, self.fix.position.longitude_deg


def judge(fix: Fix, now_ns: int, rules: Rules) -> Judged:
    """Return a fix with its age and its radius now."""
    position = fix.position
    ahead_s = (position.measured_ns - fix.received_ns) / SECOND_NS
    time_ns = min(position.measured_ns, fix.received_ns)
    age_s = max(0.0, (now_ns - time_ns) / SECOND_NS)
    stated_m = stated_radius(position)
    if stated_m is not None:
        stated_m = max(stated_m, rules.least_radius_m)
    pace = max(rules.walking_mps, position.speed_mps or 0.0)
    if position.source.rpartition("/")[2] in _STANDING:
        pace = 0.0
    base_m = rules.assumed_radius_m if stated_m is None else stated_m
    judged = Judged(fix, time_ns, age_s, stated_m, base_m + pace * age_s, base_m)
    if ahead_s > rules.future_s:
        judged.is_ahead = True
        judged.why_impossible = f"measured {ahead_s:.0f} s after it came"
    return judged


def order(one: Judged) -> tuple[int, int, str, str, bytes]:
    """By time; all else only makes the order the same whatever came first."""
    said = msgspec.msgpack.encode(one.fix.position)
    return one.time_ns, one.fix.received_ns, one.fix.position.source, one.fix.id, said


def preference(one: Judged) -> tuple[float, int, tuple[int, int, str, str, bytes]]:
    """The smallest radius now; of equal ones the newest."""
    return one.now_m, -one.time_ns, order(one)


def apart_m(one: Judged, other: Judged) -> float:
    """Return the distance on a sphere, within 0.6 %; fast, for comparisons."""
    lat, lon = map(math.radians, one.place)
    other_lat, other_lon = map(math.radians, other.place)
    chord = math.sin((other_lat - lat) / 2) ** 2
    chord += math.cos(lat) * math.cos(other_lat) * math.sin((other_lon - lon) / 2) ** 2
    return 2 * _EARTH_M * math.asin(math.sqrt(min(1.0, chord)))


def rule_out(judged: list[Judged], districts: Sequence[District], rules: Rules) -> None:
    """Mark what cannot be right."""
    sources: dict[str, list[Judged]] = {}
    for one in judged:
        if districts and not any(d.is_near(*one.place, rules.area_margin_m) for d in districts):
            one.why_impossible = one.why_impossible or "far outside of the service area"
        if not one.why_impossible:
            sources.setdefault(one.fix.position.source, []).append(one)
    possible = [one for one in judged if not one.why_impossible]
    for fixes in sources.values():
        _rule_out_jumps(fixes[-_LOOK_BACK:], possible, rules)


def _rule_out_jumps(fixes: list[Judged], possible: list[Judged], rules: Rules) -> None:
    """Mark the ends of jumps, the worst first, until none is left."""
    while True:
        jumps = [pair for pair in pairwise(fixes) if _is_jump(*pair, rules)]
        if not jumps:
            return
        ends = [end for pair in jumps for end in pair]
        for end in ends:
            end.others = sum(
                1
                for one in possible[-_LOOK_BACK:]
                if one is not end
                and not one.why_impossible
                and apart_m(one, end) <= one.now_m + end.now_m
            )
        worst = min(ends, key=lambda end: (-_count(ends, end), end.others, order(end)))
        worst.why_impossible = "a jump faster than any vehicle"
        fixes = [one for one in fixes if one is not worst]


def _count(ends: list[Judged], end: Judged) -> int:
    return sum(1 for other in ends if other is end)


def _is_jump(one: Judged, other: Judged, rules: Rules) -> bool:
    """Whether even the nearest points of both circles are too far apart for the time."""
    gap_m = apart_m(one, other) - one.base_m - other.base_m
    # Times of fixes are told in whole seconds, by some: one more on either side.
    seconds = abs(other.time_ns - one.time_ns) / SECOND_NS + 2
    return gap_m > rules.fastest_mps * seconds


def leave_behind(possible: list[Judged]) -> None:
    """Widen what the same source has left behind to where its newest fix is now."""
    newest: dict[str, Judged] = {}
    for one in possible:
        newest[one.fix.position.source] = one
    for one in possible:
        last = newest[one.fix.position.source]
        if last is one or last.time_ns == one.time_ns:
            continue
        apart = apart_m(one, last)
        if apart > one.base_m + last.base_m:
            one.now_m = max(one.now_m, apart + last.now_m)


def borne_out(judged: list[Judged], possible: list[Judged]) -> list[Judged]:
    """Return the fixes whose clock is ahead and whose place fits a possible one."""
    return [
        one
        for one in judged
        if one.is_ahead
        and any(apart_m(one, other) <= one.now_m + other.now_m for other in possible)
    ]
