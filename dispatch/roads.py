"""Travel times on the roads: from anywhere to a place, from a place to anywhere, and the way. Pure.

One Dijkstra search over the junctions gives the times of all places (scipy.sparse.csgraph): a
place joins in where its road passes, with the part of the road driven and the way off the road
counted. Searches and places are remembered, for a scene and a hospital are asked about again.

What cannot be: a place far off any road, or between two parts of the network that no road joins
in the direction of driving, has no way (None). Turn restrictions are not known.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from dispatch.road_chains import Chains, Spot
from dispatch.road_graph import Floats, Numbers, RoadGraph
from dispatch.road_snapping import Place, RoadIndex, Snap

_SPOTS_KEPT = 4096
_SEARCHES_KEPT = 64
_BYTES_KEPT = 64 * 1024 * 1024
"""Of searches: on a large graph fewer than ``_SEARCHES_KEPT`` are remembered."""
_BYTES_PER_NODE = 12

INFINITE: Final = float("inf")
_BY_LAST, _BY_FIRST, _ALONG = 0, 1, 2


@dataclass(frozen=True, slots=True)
class RoadRules:
    """What of a drive the file of the roads does not say.

    Attributes:
        emergency_factor: How much quicker than an ordinary drive, with lights and siren.
        off_road_mps: How quick one is between a place and its nearest road.
        reach_m: A place farther than this from any road is on none.
    """

    emergency_factor: float = 1.0
    off_road_mps: float = 4.0
    reach_m: float = 1500.0


@dataclass(frozen=True, slots=True)
class Way:
    """A drive from one place to another.

    Attributes:
        seconds: How long it takes.
        metres: How long it is, the parts off the road included.
        places: From the first place to the last, each bend between.
    """

    seconds: float
    metres: float
    places: tuple[Place, ...]


class TravelTimes:
    """What one search found: the times between one place and any other, in one direction.

    Attributes:
        place: The one place.
        toward: Whether the times are to that place, or from it.
    """

    def __init__(
        self, roads: Roads, at: Spot | None, place: Place, seconds: Floats, before: Numbers,
        *, toward: bool,
    ) -> None:  # fmt: skip
        """Take a search's result; ``Roads.times_to`` and ``times_from`` make it."""
        self.place = place
        self.toward = toward
        self._roads = roads
        self._at = at
        self._seconds = seconds
        self._before = before

    def seconds(self, place: Place, heading_deg: float | None = None) -> float | None:
        """Return the driving time between the two places, None where there is no way.

        Args:
            place: The other place.
            heading_deg: Where a vehicle that is there is heading, if it is under way.
        """
        spot = self._roads.spot(place, heading_deg)
        if spot is None or self._at is None:
            return None
        return self._whole(min(self._ways(spot, self._at))[0], spot, self._at)

    def way(self, place: Place, heading_deg: float | None = None) -> Way | None:
        """Return the drive between the two places, None where there is no way."""
        spot, at = self._roads.spot(place, heading_deg), self._at
        if spot is None or at is None:
            return None
        road_s, by = min(self._ways(spot, at))
        seconds = self._whole(road_s, spot, at)
        if seconds is None:
            return None
        nodes, metres = self._between(spot, at, by)
        metres += spot.snap.off_road_m + at.snap.off_road_m
        bends = map(self._roads.place, nodes)
        places = (place, spot.snap.on_road, *bends, at.snap.on_road, self.place)
        return Way(seconds, metres, places if self.toward else places[::-1])

    def _whole(self, road_s: float, spot: Spot, at: Spot) -> float | None:
        """Add what is off the road; None for a road that does not end."""
        if road_s == INFINITE:
            return None
        off_road_m = spot.snap.off_road_m + at.snap.off_road_m
        rules = self._roads.rules
        return road_s / rules.emergency_factor + off_road_m / rules.off_road_mps

    def _ways(self, spot: Spot, at: Spot) -> list[tuple[float, int]]:
        """Return the seconds on the road by the last and first end of the chain, and along it."""
        # Toward: from the place one leaves its chain at an end; else one enters it there.
        by_last, by_first = spot.to_last_s, spot.to_first_s
        if not self.toward:
            by_last, by_first = spot.from_last_s, spot.from_first_s
        return [
            (float(by_last + self._seconds[spot.last]), _BY_LAST),
            (float(by_first + self._seconds[spot.first]), _BY_FIRST),
            (self._along(spot, at), _ALONG),
        ]

    def _along(self, spot: Spot, at: Spot) -> float:
        """Return the seconds along the chain on which both places lie."""
        if spot.chain != at.chain:
            return INFINITE
        begin, end = (spot, at) if self.toward else (at, spot)
        ahead_m = end.from_first_m - begin.from_first_m
        if ahead_m == 0:
            return 0.0
        if ahead_m > 0:
            return _difference(end.from_first_s, begin.from_first_s)
        return _difference(begin.to_first_s, end.to_first_s)

    def _between(self, spot: Spot, at: Spot, by: int) -> tuple[list[int], float]:
        """Return the nodes from a place to the one place, and the metres."""
        chains = self._roads.chains
        if by == _ALONG:
            return chains.between(spot, at), abs(spot.from_first_m - at.from_first_m)
        nodes, metres = chains.to_end(spot, last=by == _BY_LAST)
        junction, last = spot.last if by == _BY_LAST else spot.first, len(self._before) - 1
        while (following := int(self._before[junction])) != last:
            pair = (junction, following) if self.toward else (following, junction)
            inner, length_m = chains.link(*pair)
            nodes += (inner if self.toward else inner[::-1])[1:]
            metres += length_m
            junction = following
        costs = (at.from_last_s, at.from_first_s)
        if not self.toward:
            costs = (at.to_last_s, at.to_first_s)
        by_last = junction == at.last and (at.first != at.last or costs[0] <= costs[1])
        rest, rest_m = chains.to_end(at, last=by_last)
        return nodes + rest[::-1][1:], metres + rest_m


class Roads:
    """The roads of a district, ready to be asked."""

    def __init__(self, graph: RoadGraph, rules: RoadRules | None = None) -> None:
        """Index ``graph``."""
        self.graph = graph
        self.rules = rules or RoadRules()
        self._index = RoadIndex(graph)
        self.chains = Chains.of(graph)
        self._junctions = len(self.chains.junctions)
        shape = (self._junctions, self._junctions)
        ends = (self.chains.start, self.chains.end)
        self._forth = csr_array((self.chains.seconds, ends), shape=shape)
        self._reversed = self._forth.T.tocsr()
        kept = _BYTES_KEPT // (_BYTES_PER_NODE * max(1, self._junctions))
        self._searches = _Remembered[TravelTimes](max(4, min(_SEARCHES_KEPT, kept)))
        self._spots = _Remembered["Spot | None"](_SPOTS_KEPT)

    def times_to(self, place: Place) -> TravelTimes:
        """Return the times from anywhere to a place: one search against the links."""
        return self._searches.get((True, place), lambda: self._search(place, toward=True))

    def times_from(self, place: Place) -> TravelTimes:
        """Return the times from a place to anywhere: one search along the links."""
        return self._searches.get((False, place), lambda: self._search(place, toward=False))

    def way(self, one: Place, other: Place, heading_deg: float | None = None) -> Way | None:
        """Return the drive between two places, None where there is none.

        Searches from the second, which for a unit under way stays where it is.
        """
        return self.times_to(other).way(one, heading_deg)

    def snap(self, place: Place, heading_deg: float | None = None) -> Snap | None:
        """Return the place on its nearest road, None where none is in reach."""
        spot = self.spot(place, heading_deg)
        return None if spot is None else spot.snap

    def spot(self, place: Place, heading_deg: float | None = None) -> Spot | None:
        """Return the place on its nearest road with what is to either end of the chain."""

        def find() -> Spot | None:
            snap = self._index.snap(place, self.rules.reach_m, heading_deg)
            return None if snap is None else self.chains.spot(snap, self.graph.nodes)

        return self._spots.get((place, heading_deg), find)

    def forget(self) -> None:
        """Drop what is remembered, as a benchmark wants before it measures."""
        self._searches.clear()
        self._spots.clear()

    def place(self, node: int) -> Place:
        """Return where a node is."""
        return float(self.graph.latitude_deg[node]), float(self.graph.longitude_deg[node])

    def _search(self, place: Place, *, toward: bool) -> TravelTimes:
        at = self.spot(place)
        if at is None:
            nowhere = np.full(self._junctions + 1, INFINITE)
            return TravelTimes(self, None, place, nowhere, np.zeros(0, np.int32), toward=toward)
        # The place is one junction more, from which its chain's two ends are reached.
        ends = [(at.first, at.to_first_s), (at.last, at.to_last_s)]
        if toward:
            ends = [(at.first, at.from_first_s), (at.last, at.from_last_s)]
        whole = self._joined(self._reversed if toward else self._forth, ends)
        seconds, before = dijkstra(whole, indices=self._junctions, return_predecessors=True)
        return TravelTimes(self, at, place, seconds, before, toward=toward)

    def _joined(self, links: csr_array, ends: list[tuple[int, float]]) -> csr_array:
        """Return the links with one junction more, which leads to ``ends``."""
        least: dict[int, float] = {}
        for junction, seconds in ends:
            if seconds < least.get(junction, INFINITE):
                least[junction] = seconds
        data = np.concatenate((links.data, [max(each, 1e-9) for each in least.values()]))
        indices = np.concatenate((links.indices, np.array(list(least), np.int32)))
        begins = np.concatenate((links.indptr, np.array([len(data)], links.indptr.dtype)))
        size = self._junctions + 1
        return csr_array((data, indices, begins), shape=(size, size))


def _difference(more: float, less: float) -> float:
    return INFINITE if INFINITE in (more, less) else more - less


_T = TypeVar("_T")


class _Remembered(Generic[_T]):
    """The last answers, so many of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[Hashable, _T] = {}

    def get(self, key: Hashable, find: Callable[[], _T]) -> _T:
        """Return the answer, found anew where it is not known."""
        if key in self._known:
            found = self._known.pop(key)
        else:
            found = find()
            while len(self._known) >= self._most:
                del self._known[next(iter(self._known))]
        self._known[key] = found  # the last asked for stands last
        return found

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
