"""Travel times on the roads: from anywhere to a place, from a place to anywhere, and the way. Pure.

One Dijkstra search gives the times of all nodes (scipy.sparse.csgraph); a place joins in where
its road passes, the part of the link driven and the way off the road counted. Searches and
snapped places are remembered, for a scene and a hospital are asked about again and again.

What cannot be: a place far off any road, or between two parts of the network that no road joins
in the direction of driving, has no way (None). Turn restrictions are not known.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Generic, TypeVar

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from dispatch.road_graph import Floats, Numbers, RoadGraph
from dispatch.road_snapping import Place, RoadIndex, Snap

_SNAPS_KEPT = 4096
_SEARCHES_KEPT = 64
_BYTES_KEPT = 64 * 1024 * 1024
"""Of searches: on a large graph fewer than ``_SEARCHES_KEPT`` are remembered."""
_BYTES_PER_NODE = 12

INFINITE: Final = float("inf")


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
        self, roads: Roads, at: Snap | None, place: Place, seconds: Floats, before: Numbers,
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
        return self._found(place, heading_deg)[0]

    def way(self, place: Place, heading_deg: float | None = None) -> Way | None:
        """Return the drive between the two places, None where there is no way."""
        seconds, node, snap = self._found(place, heading_deg)
        if seconds is None or snap is None or self._at is None:
            return None
        nodes = self._nodes_from(node)
        ends = (snap, self._at)
        lengths = [self._roads.link_m(*(link if self.toward else link[::-1]))
                   for link in pairwise(nodes)]  # fmt: skip
        metres = sum(lengths) + sum(end.off_road_m for end in ends)
        if nodes:
            metres += sum(_rest_m(end, at) for end, at in zip(ends, (nodes[0], nodes[-1])))  # noqa: B905 - both two
        else:
            metres += abs(snap.share - self._at.share) * snap.length_m
        places = (place, snap.on_road, *map(self._roads.place, nodes), self._at.on_road, self.place)
        return Way(seconds, metres, places if self.toward else places[::-1])

    def _found(
        self, place: Place, heading_deg: float | None
    ) -> tuple[float | None, int, Snap | None]:
        """Return the time, the node by which it goes (-1: along one link), and the place's snap."""
        snap = self._roads.snap(place, heading_deg)
        if snap is None or self._at is None:
            return None, -1, None
        # Toward: from the place one leaves its link at an end; else one enters it there.
        to_other, to_one = (1 - snap.share) * snap.there_s, snap.share * snap.back_s
        if not self.toward:
            to_other, to_one = (1 - snap.share) * snap.back_s, snap.share * snap.there_s
        ways = [
            (_sum(to_other, snap.share == 1, self._seconds[snap.other]), snap.other),
            (_sum(to_one, snap.share == 0, self._seconds[snap.one]), snap.one),
            (self._along(snap), -1),
        ]
        seconds, node = min(ways)
        if seconds == INFINITE:
            return None, -1, snap
        off_road_s = self._roads.off_road_s(snap) + self._roads.off_road_s(self._at)
        return seconds / self._roads.rules.emergency_factor + off_road_s, node, snap

    def _along(self, snap: Snap) -> float:
        """Return the seconds along a link on which both places lie."""
        if self._at is None or (snap.one, snap.other) != (self._at.one, self._at.other):
            return INFINITE
        share = self._at.share - snap.share if self.toward else snap.share - self._at.share
        if share == 0:
            return 0.0
        return share * snap.there_s if share > 0 else -share * snap.back_s

    def _nodes_from(self, node: int) -> list[int]:
        """Return the nodes between ``node`` and the one place, ``node`` first."""
        nodes: list[int] = []
        last = len(self._before) - 1  # the place itself
        while node not in (-1, last):
            nodes.append(node)
            node = int(self._before[node])
        return nodes


class Roads:
    """The roads of a district, ready to be asked."""

    def __init__(self, graph: RoadGraph, rules: RoadRules | None = None) -> None:
        """Index ``graph``."""
        self.graph = graph
        self.rules = rules or RoadRules()
        self._index = RoadIndex(graph)
        shape = (graph.nodes, graph.nodes)
        forth = csr_array((graph.seconds, (graph.start, graph.end)), shape=shape)
        self._forth, self._reversed = forth, forth.T.tocsr()
        self._key = graph.start.astype(np.int64) * graph.nodes + graph.end
        kept = _BYTES_KEPT // (_BYTES_PER_NODE * max(1, graph.nodes))
        self._searches = _Remembered[TravelTimes](max(4, min(_SEARCHES_KEPT, kept)))
        self._snaps = _Remembered["Snap | None"](_SNAPS_KEPT)

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
        reach_m = self.rules.reach_m
        return self._snaps.get(
            (place, heading_deg), lambda: self._index.snap(place, reach_m, heading_deg)
        )

    def forget(self) -> None:
        """Drop what is remembered, as a benchmark wants before it measures."""
        self._searches.clear()
        self._snaps.clear()

    def off_road_s(self, snap: Snap) -> float:
        """Return the seconds between a place and its road."""
        return snap.off_road_m / self.rules.off_road_mps

    def link_m(self, start: int, end: int) -> float:
        """Return the metres of the link between two nodes that are joined."""
        return float(self.graph.metres[np.searchsorted(self._key, start * self.graph.nodes + end)])

    def place(self, node: int) -> Place:
        """Return where a node is."""
        return float(self.graph.latitude_deg[node]), float(self.graph.longitude_deg[node])

    def _search(self, place: Place, *, toward: bool) -> TravelTimes:
        at = self.snap(place)
        if at is None:
            nowhere = np.full(self.graph.nodes + 1, INFINITE)
            return TravelTimes(self, None, place, nowhere, np.zeros(0, np.int32), toward=toward)
        # The place is one more node, from which its link's two ends are reached.
        to_one, to_other = at.share * at.back_s, (1 - at.share) * at.there_s
        if toward:
            to_one, to_other = at.share * at.there_s, (1 - at.share) * at.back_s
        whole = self._joined(
            self._reversed if toward else self._forth,
            [(at.one, 0.0 if at.share == 0 else to_one),
             (at.other, 0.0 if at.share == 1 else to_other)],
        )  # fmt: skip
        seconds, before = dijkstra(whole, indices=self.graph.nodes, return_predecessors=True)
        return TravelTimes(self, at, place, seconds, before, toward=toward)

    def _joined(self, links: csr_array, ends: list[tuple[int, float]]) -> csr_array:
        """Return the links with one node more, which leads to ``ends``."""
        open_ends = [(node, max(seconds, 1e-9)) for node, seconds in ends if seconds < INFINITE]
        nodes = self.graph.nodes + 1
        data = np.concatenate((links.data, [seconds for _, seconds in open_ends]))
        indices = np.concatenate((links.indices, np.array([n for n, _ in open_ends], np.int32)))
        begins = np.concatenate((links.indptr, np.array([len(data)], links.indptr.dtype)))
        return csr_array((data, indices, begins), shape=(nodes, nodes))


def _sum(part_s: float, at_end: bool, rest_s: float) -> float:
    """Add the part of a link and what follows; at the link's very end a closed link is no bar."""
    return float(rest_s) if at_end else float(part_s + rest_s)


def _rest_m(snap: Snap, node: int) -> float:
    return snap.length_m * (snap.share if node == snap.one else 1 - snap.share)


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
