"""Which patient of an incident goes to which hospital, without breaking any capacity. Pure.

One assignment for all patients that wait (Hungarian method, Kuhn 1955, doi:10.1002/nav.3800020109,
through scipy): sending each to the nearest hospital would fill that one with the minor cases that
are ready first. An immediate patient takes a resuscitation bay, every other one a bed.

What counts, each before all that follows together:

1. as many patients as there is room for are placed, and those left over are the least urgent;
2. burns go to a burn centre and children to who takes children, as far as there is room;
3. the time on the road, weighted by urgency: a minute of an immediate patient counts four times
   that of a minor one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from dispatch.capabilities import Capability
from streams.incident_messages import Need, Tag

WEIGHT: Final[Mapping[Tag, float]] = {
    "immediate": 4.0,
    "delayed": 2.0,
    "minor": 1.0,
    "expectant": 0.5,
}
"""What a second on the road counts."""

FIRST: Final = 0.2
"""The first in the order counts by so much more than the last: among equals it goes nearer."""

WANTED: Final[Mapping[Need, Capability]] = {"burns": "burn_centre", "child": "children"}


@dataclass(frozen=True, slots=True)
class Load:
    """A patient who waits."""

    code: str
    tag: Tag
    needs: frozenset[Need] = frozenset()


@dataclass(frozen=True, slots=True)
class Target:
    """A hospital as it stands for the incident.

    Attributes:
        name: Its name.
        resus_bays: Resuscitation bays that are free; none on diversion.
        beds: Beds that are free; none on diversion.
        capabilities: What it has; one that states none is not known to lack any.
        seconds: From the scene, on the road; 0 where that cannot be said.
    """

    name: str
    resus_bays: int
    beds: int
    capabilities: frozenset[Capability] = frozenset()
    seconds: float = 0.0

    def lacks(self, needs: Iterable[Need]) -> list[Capability]:
        """Return what of a patient's needs it does not have."""
        if not self.capabilities:
            return []
        return sorted({WANTED[need] for need in needs} - self.capabilities)

    def room_for(self, tag: Tag) -> int:
        """Return how many more of a tag it can take."""
        return max(0, self.resus_bays if takes_resus_bay(tag) else self.beds)


@dataclass(frozen=True, slots=True)
class Share:
    """Where everybody goes.

    Attributes:
        hospitals: By code; nobody is in it for whom there is no room.
        unplaced: Codes for which no hospital has room, in their order.
    """

    hospitals: dict[str, str]
    unplaced: list[str]


def takes_resus_bay(tag: Tag) -> bool:
    """Whether a patient of a tag takes a resuscitation bay; else it is a bed."""
    return tag == "immediate"


def share(loads: Sequence[Load], targets: Sequence[Target]) -> Share:
    """Place patients in hospitals.

    Args:
        loads: Who waits, the first to go first.
        targets: The hospitals.
    """
    found: dict[str, str] = {}
    for resus in (True, False):
        pool = [one for one in loads if takes_resus_bay(one.tag) == resus]
        found |= _placed(pool, targets)
    return Share(found, [one.code for one in loads if one.code not in found])


def _placed(loads: Sequence[Load], targets: Sequence[Target]) -> dict[str, str]:
    """Place patients that take the same kind of room."""
    count = len(loads)
    if not count:
        return {}
    slots = [one for one in targets for _ in range(min(count, one.room_for(loads[0].tag)))]
    costs = _costs(loads, slots)
    rows, columns = linear_sum_assignment(costs)
    return {
        loads[row].code: slots[column].name
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if column < len(slots)
    }


def _costs(loads: Sequence[Load], slots: Sequence[Target]) -> NDArray[np.float64]:
    """Return what each patient costs in each slot; behind them a place outside for everybody."""
    count = len(loads)
    weights = np.array(
        [WEIGHT[one.tag] * (1 + FIRST * (count - rank) / count) for rank, one in enumerate(loads)]
    )
    seconds = np.array([slot.seconds for slot in slots], dtype=np.float64)
    lacks = np.array([[len(slot.lacks(one.needs)) for slot in slots] for one in loads])
    # Each step outweighs everything below it, for all patients together.
    lacking = 1 + count * float(weights.max()) * (float(seconds.max()) if slots else 0.0)
    outside = 1 + (len(WANTED) + 1) * count * lacking
    inside = np.outer(weights, seconds) + lacking * lacks.reshape(count, len(slots))
    return np.hstack([inside, np.repeat(outside * weights[:, None], count, axis=1)])
