"""The neighbouring districts as this hub sees them: who is there, and what they last said. Pure.

The freshest state wins. Its times are by the neighbour's clock; here they are moved to ours by
the least difference that was seen lately, which is the two clocks' difference and the shortest
way: a state that stood in a queue does not make an old position look young.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from dispatch.location.districts import Border, check_border
from streams.delivery import MOST_SOURCE
from streams.district_messages import DistrictHospital, DistrictState, DistrictUnit
from streams.errors import ConfigError
from streams.messages import Envelope, Name, ShortText
from streams.topics import TOPICS

SILENCE_NS = 3_000_000_000
"""A neighbour that says nothing for so long is cut off; it speaks every second."""

COMPARED = 64
"""Last states of which the least difference of the clocks is taken."""


class NeighbourSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A neighbouring district as the configuration names it.

    Attributes:
        region: The district.
        label: For people.
        border: Where it begins: a caller there, or on the border, is said to be.
    """

    region: Name
    label: ShortText = ""
    border: Border = ()


def check_neighbours(settings: Iterable[NeighbourSettings], region: str, hub: str) -> None:
    """Check that the neighbours are other districts with an inside, and can keep our name.

    Args:
        settings: The neighbours.
        region: Our own.
        hub: Our hub's name.

    Raises:
        ConfigError: They are not, or they cannot.
    """
    settings = tuple(settings)
    for one in settings:
        check_border(one.border, f"[[neighbours]] {one.region!r}")
    regions = [region, *(one.region for one in settings)]
    if twice := sorted({one for one in regions if regions.count(one) > 1}):
        raise ConfigError(f"neighbours must be other districts: {', '.join(twice)} is there twice")
    if len(regions) > 1 and len(f"{region}/{hub}") > MOST_SOURCE:
        raise ConfigError(
            f"region {region!r} and name {hub!r} are too long for neighbours: "
            f"{MOST_SOURCE - 1} characters together at the most"
        )


@dataclass(slots=True)
class Neighbour:
    """A neighbouring district. Times are by this hub's clock, ns since 1970.

    Attributes:
        region: The district.
        label: For people.
        connected: Whether it was heard lately.
        since_ns: Since when it is so; 0 before the first look.
        heard_ns: When it was heard last; 0 for never.
        state_ns: When what it last said of its units and hospitals was so; 0 for never.
        units: Its units, their times moved to this hub's clock.
        hospitals: Its hospitals, likewise.
        left_out: Units and hospitals of which it could not tell.
        waiting: Facts for it that it has not said to have stored.
    """

    region: str
    label: str
    connected: bool = False
    since_ns: int = 0
    heard_ns: int = 0
    state_ns: int = 0
    units: tuple[DistrictUnit, ...] = ()
    hospitals: tuple[DistrictHospital, ...] = ()
    left_out: int = 0
    waiting: int = 0
    _heard_monotonic_ns: int | None = None
    _newest: tuple[str, int] = ("", 0)
    _behind_ns: deque[int] = field(default_factory=lambda: deque(maxlen=COMPARED))

    def silent_for_ns(self, monotonic_ns: int) -> int:
        """Return how long nothing was heard of one that was heard before."""
        heard_ns = self._heard_monotonic_ns
        return 0 if heard_ns is None else monotonic_ns - heard_ns

    def is_stale(self, now_ns: int) -> bool:
        """Whether what it said of units and hospitals is too old to be shown as current."""
        limit_s = TOPICS["district_state"].stale_after_s or 0.0
        return now_ns - self.state_ns > limit_s * 1e9


class Neighbours:
    """All neighbours of the configuration."""

    def __init__(self, settings: Iterable[NeighbourSettings]) -> None:
        """Take what the configuration names."""
        self._all = {one.region: Neighbour(one.region, one.label or one.region) for one in settings}

    def get(self, region: str) -> Neighbour | None:
        """Return a neighbour, or None where the configuration has none of that name."""
        return self._all.get(region)

    def all(self) -> list[Neighbour]:
        """Return all of them, in the order of the configuration."""
        return list(self._all.values())

    def regions(self) -> list[str]:
        """Return their regions, in the order of the configuration."""
        return list(self._all)

    def hear(self, region: str, now_ns: int, monotonic_ns: int) -> bool:
        """Note that a neighbour said anything; return whether it is back after a silence."""
        neighbour = self._all[region]
        neighbour.heard_ns, neighbour._heard_monotonic_ns = now_ns, monotonic_ns
        if neighbour.connected:
            return False
        neighbour.connected, neighbour.since_ns = True, now_ns
        return True

    def look(self, now_ns: int, monotonic_ns: int) -> list[str]:
        """Note who has fallen silent; return whose connection is another than before."""
        lost = []
        for neighbour in self._all.values():
            if not neighbour.since_ns:
                neighbour.since_ns = now_ns
            if neighbour.connected and neighbour.silent_for_ns(monotonic_ns) > SILENCE_NS:
                neighbour.connected, neighbour.since_ns = False, now_ns
                lost.append(neighbour.region)
        return lost

    def take(self, region: str, envelope: Envelope, state: DistrictState, now_ns: int) -> bool:
        """Take what a neighbour says of its units and hospitals; False if there is newer.

        Args:
            region: Who says it.
            envelope: Says which of two messages of one machine is the newer.
            state: What it says.
            now_ns: When it came, by this hub's clock.
        """
        neighbour = self._all[region]
        boot, made_ns = envelope.boot, envelope.monotonic_ns
        if boot == neighbour._newest[0] and made_ns <= neighbour._newest[1]:
            return False
        if boot != neighbour._newest[0]:
            neighbour._behind_ns.clear()  # another machine, another clock
        neighbour._newest = boot, made_ns
        neighbour._behind_ns.append(now_ns - state.at_ns)
        behind_ns = min(neighbour._behind_ns)
        neighbour.state_ns = state.at_ns + behind_ns
        neighbour.units = tuple(_moved_unit(unit, behind_ns) for unit in state.units)
        neighbour.hospitals = tuple(_moved_hospital(one, behind_ns) for one in state.hospitals)
        neighbour.left_out = state.left_out
        return True


def _moved_unit(unit: DistrictUnit, by_ns: int) -> DistrictUnit:
    position = unit.position
    if position is not None:
        measured_ns = max(0, position.measured_ns + by_ns)
        position = msgspec.structs.replace(position, measured_ns=measured_ns)
    heard_ns = max(0, unit.heard_ns + by_ns) if unit.heard_ns else 0
    return msgspec.structs.replace(unit, position=position, heard_ns=heard_ns)


def _moved_hospital(hospital: DistrictHospital, by_ns: int) -> DistrictHospital:
    stated_ns = max(0, hospital.stated_ns + by_ns) if hospital.stated_ns else 0
    return msgspec.structs.replace(hospital, stated_ns=stated_ns)
