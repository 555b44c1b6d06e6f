"""The best position of a caller out of all that was said of it, and what to warn of. Pure.

The rule, in the order in which it is applied:

1. *Nothing is dropped.* The track holds every fix, the impossible ones too, by time.
2. *Time.* A fix is as old as it says; one measured after it came (a phone's clock is ahead) is as
   old as its arrival. Ahead by more than ``future_s`` its time means nothing: impossible.
3. *Radius.* Each radius is brought to 95 % (`uncertainty`), then it widens by walking pace, or
   by the speed that the fix states, for as long as the fix is old; fixed lines do not move. A fix
   that the same source has since left behind reaches at least to where that one is now.
   RFC 7459 leaves what time does to uncertainty to the receiver (section 2.2: the estimate is
   of one moment).
4. *Impossible* are also: more than ``area_margin_m`` outside of every district, and the ends of a
   jump within one source that no vehicle makes. Of a jump's ends goes the one with more
   impossible neighbours, then the one that fewer other fixes bear out, then the older one: the
   first fix of a phone is often where it was last time.
5. *Best* is the possible fix with the smallest radius now, or one whose clock is ahead and whose
   place a possible fix bears out: a phone that tells local time for UTC is not lost. Without a
   possible fix it is the best of the impossible ones, and the note says so.
6. *Notes* warn and change nothing: see `NoteKind`.

The result depends on what was said and on the clock, never on the order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from dispatch.arrival import distance_m
from dispatch.location.districts import District, touched
from dispatch.location.plausibility import (
    DEFAULT_RULES,
    Fix,
    Judged,
    Rules,
    apart_m,
    borne_out,
    judge,
    leave_behind,
    order,
    preference,
    rule_out,
)
from streams.messages import Position

__all__ = ["Best", "Fix", "Note", "NoteKind", "Rules", "SpokenPlace", "best_position"]

_MOST_NAMED = 5

NoteKind = Literal[
    "none", "disagree", "far_from_address", "stale", "impossible", "on_border", "outside",
    "elsewhere", "no_radius",
]  # fmt: skip
"""What a note says:

* ``none``: no fix has come.
* ``disagree``: the best fix and another, not much older, cannot both be right.
* ``far_from_address``: the spoken address and the best position cannot both be right.
* ``stale``: the best position is older than ``stale_s``.
* ``impossible``: a fix that cannot be right; it is best only where there is no other.
* ``on_border``: the circle touches several districts, named with the centre's first.
* ``outside``: the circle touches no district.
* ``elsewhere``: the circle touches one district, and it is not our own.
* ``no_radius``: the best position comes without a radius.
"""


@dataclass(frozen=True, slots=True)
class SpokenPlace:
    """Where the address lies that the caller says.

    Attributes:
        radius_m: How far the caller may be from it when at that address.
    """

    name: str
    latitude_deg: float
    longitude_deg: float
    radius_m: float


@dataclass(frozen=True, slots=True)
class Note:
    """A warning.

    Attributes:
        names: Whom it concerns: sources, districts, the address.
        metres: How far apart, where that is the point.
    """

    kind: NoteKind
    text: str
    names: tuple[str, ...] = ()
    metres: float | None = None


@dataclass(frozen=True, slots=True)
class Best:
    """What is known of a caller's place now.

    Attributes:
        fix: The best one; None without any.
        radius_m: At 95 %, now; None where the fix states none.
        measured_radius_m: At 95 %, when it was measured.
        age_s: Since it was measured (or came, where its clock is wrong).
        districts: That the circle touches, the centre's first.
        track: All fixes, the oldest first.
        impossible: Those of the track that cannot be right.
        notes: Warnings, in the order of `NoteKind`.
    """

    fix: Fix | None
    radius_m: float | None
    measured_radius_m: float | None
    age_s: float | None
    districts: tuple[str, ...]
    track: tuple[Fix, ...]
    impossible: tuple[Fix, ...]
    notes: tuple[Note, ...]

    @property
    def position(self) -> Position | None:
        """The best position."""
        return self.fix.position if self.fix else None

    @property
    def source(self) -> str | None:
        """Where the best position comes from."""
        return self.fix.position.source if self.fix else None


def best_position(
    fixes: Iterable[Fix],
    now_ns: int,
    *,
    address: SpokenPlace | None = None,
    districts: Sequence[District] = (),
    rules: Rules = DEFAULT_RULES,
) -> Best:
    """Return the best of all fixes of one call, with its radius, age and warnings.

    Args:
        fixes: All that came, in any order.
        now_ns: By the hub's clock.
        address: Where the spoken address lies, if it was found.
        districts: The borders that are known, our own district's first; without them nothing is
            said of them.
        rules: The figures.
    """
    judged = sorted((judge(fix, now_ns, rules) for fix in fixes), key=order)
    track = tuple(one.fix for one in judged)
    if not judged:
        note = Note("none", "no position has come yet")
        return Best(None, None, None, None, (), (), (), (note,))
    rule_out(judged, districts, rules)
    possible = [one for one in judged if not one.why_impossible]
    leave_behind(possible)
    candidates = possible + borne_out(judged, possible)
    best = min(candidates or judged, key=preference)
    around = touched(districts, *best.place, best.now_m)
    notes = [
        *_disagreements(best, possible, rules),
        *_address_notes(best, address, rules),
        *_age_notes(best, rules),
        *_impossible_notes(judged),
        *_district_notes(around, districts),
        *_radius_notes(best),
    ]
    return Best(
        fix=best.fix,
        radius_m=None if best.stated_m is None else best.now_m,
        measured_radius_m=best.stated_m,
        age_s=best.age_s,
        districts=around,
        track=track,
        impossible=tuple(one.fix for one in judged if one.why_impossible),
        notes=tuple(notes),
    )


def _disagreements(best: Judged, possible: list[Judged], rules: Rules) -> list[Note]:
    """Return a note per source that cannot be right if the best is, by its most precise fix."""
    closest: dict[str, Judged] = {}
    for one in possible:
        if one is best or one.age_s > best.age_s + rules.stale_s:
            continue
        if apart_m(one, best) > one.now_m + best.now_m:
            held = closest.get(one.fix.position.source)
            if held is None or preference(one) < preference(held):
                closest[one.fix.position.source] = one
    notes: list[Note] = []
    for name, one in sorted(closest.items())[:_MOST_NAMED]:
        metres = distance_m(best.place, one.place)
        ours = best.fix.position.source
        text = f"{ours} and {name} are {metres:.0f} m apart; one of them is wrong"
        notes.append(Note("disagree", text, (ours, name), metres))
    return notes


def _address_notes(best: Judged, address: SpokenPlace | None, rules: Rules) -> list[Note]:
    if address is None:
        return []
    metres = distance_m(best.place, (address.latitude_deg, address.longitude_deg))
    if metres <= best.now_m + address.radius_m + rules.address_margin_m:
        return []
    text = f"the position is {metres:.0f} m from {address.name}"
    return [Note("far_from_address", text, (address.name,), metres)]


def _age_notes(best: Judged, rules: Rules) -> list[Note]:
    if best.age_s <= rules.stale_s:
        return []
    source = best.fix.position.source
    return [Note("stale", f"the position is {best.age_s:.0f} s old", (source,))]


def _impossible_notes(judged: list[Judged]) -> list[Note]:
    """Return a note per source and reason."""
    reasons: dict[tuple[str, str], int] = {}
    for one in judged:
        if one.why_impossible:
            key = (one.fix.position.source, one.why_impossible)
            reasons[key] = reasons.get(key, 0) + 1
    return [
        Note(
            "impossible", f"{source}: {why}" + (f" ({count} times)" if count > 1 else ""), (source,)
        )
        for (source, why), count in sorted(reasons.items())[:_MOST_NAMED]
    ]


def _district_notes(around: tuple[str, ...], districts: Sequence[District]) -> list[Note]:
    if not districts:
        return []
    if not around:
        return [Note("outside", "the position is in no district")]
    if len(around) > 1:
        return [Note("on_border", f"on the border of {' and '.join(around)}", around)]
    if around != (districts[0].name,):
        return [Note("elsewhere", f"in {around[0]}", around)]
    return []


def _radius_notes(best: Judged) -> list[Note]:
    if best.stated_m is not None:
        return []
    return [Note("no_radius", "the position comes without a radius", (best.fix.position.source,))]
