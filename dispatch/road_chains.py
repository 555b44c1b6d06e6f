"""Chains: stretches of road between two junctions, on which a search has nothing to decide. Pure.

Most nodes of a map are bends. A search over junctions alone, each chain one link, finds the same
times in a fraction of the steps; what lies within a chain is added from its running sums.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dispatch.road_graph import Floats, Numbers, RoadGraph
from dispatch.road_snapping import Snap

INFINITE = float("inf")
Pairs = npt.NDArray[np.int64]
"""Pieces of road without their direction: two nodes each, the lower first, shape (pieces, 2)."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A place on a chain.

    Attributes:
        snap: The place on its road.
        chain: Number of the chain.
        at: Where in ``Chains.nodes`` the piece of road begins on which it lies.
        first: Junction at the chain's beginning.
        last: Junction at its end.
        from_first_s: Seconds from ``first`` to the place along the chain; infinite where closed.
        to_last_s: Seconds on from the place to ``last``.
        from_last_s: Seconds from ``last`` back to the place.
        to_first_s: Seconds from the place back to ``first``.
        from_first_m: Metres between ``first`` and the place.
        to_last_m: Metres between the place and ``last``.
    """

    snap: Snap
    chain: int
    at: int
    first: int
    last: int
    from_first_s: float
    to_last_s: float
    from_last_s: float
    to_first_s: float
    from_first_m: float
    to_last_m: float


@dataclass(frozen=True, eq=False)
class Chains:
    """The chains of a graph, and the links between junctions that they make.

    Attributes:
        junctions: Node of each junction.
        nodes: Nodes of all chains, one chain after the other, both ends included.
        begins: Where each chain begins in ``nodes``, and where the last one ends.
        forth_s: Seconds from a chain's first node to each; infinite in a chain closed that way.
        back_s: Seconds from each node back to the chain's first one.
        metres: Metres from the chain's first node to each.
        start: Junction at which each link begins; a link is a chain in one direction.
        end: Junction at which it ends.
        seconds: How long it takes.
        chain: The chain of each link; negative numbers are its complement, driven back.
    """

    junctions: Numbers
    nodes: Numbers
    begins: Numbers
    forth_s: Floats
    back_s: Floats
    metres: Floats
    start: Numbers
    end: Numbers
    seconds: Floats
    chain: Numbers
    _piece: npt.NDArray[np.int64]
    _piece_at: Numbers
    _junction_of: Numbers
    _link: npt.NDArray[np.int64]

    @classmethod
    def of(cls, graph: RoadGraph) -> Chains:
        """Find the chains; takes some 4 s for a million nodes."""
        pairs = pairs_of(graph.start, graph.end)
        is_junction = _are_junctions(graph, pairs)
        whole = is_junction[pairs].all(axis=1)  # chains already, and in a dense town most
        walked = walk_chains(pairs[~whole], np.flatnonzero(is_junction).tolist())
        nodes = np.concatenate(
            (pairs[whole].ravel(), np.fromiter((n for one in walked for n in one), np.int64))
        )
        lengths = np.array([2] * int(whole.sum()) + [len(one) for one in walked], np.int64)
        begins = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        inner = np.ones(max(0, len(nodes) - 1), bool)
        inner[begins[1:-1] - 1] = False  # from one chain's end to the next one's beginning
        at = np.flatnonzero(inner)
        forth, back = _link(graph, nodes[at], nodes[at + 1]), _link(graph, nodes[at + 1], nodes[at])
        of_chain = np.repeat(np.arange(len(lengths)), lengths)
        forth_s = _running(graph.seconds, forth, at, of_chain, begins)
        back_s = _running(graph.seconds, back, at, of_chain, begins)
        metres = _running(graph.metres, np.where(forth >= 0, forth, back), at, of_chain, begins)
        piece = _key(graph, np.minimum(nodes[at], nodes[at + 1]),
                     np.maximum(nodes[at], nodes[at + 1]))  # fmt: skip
        order = np.argsort(piece)
        firsts, lasts = nodes[begins[:-1]], nodes[begins[1:] - 1]
        junctions = np.unique(np.concatenate((firsts, lasts)))
        junction_of = np.full(graph.nodes, -1, np.int32)
        junction_of[junctions] = np.arange(len(junctions))
        number = np.arange(len(lengths))
        links = _links(
            junction_of[np.concatenate((firsts, lasts))],
            junction_of[np.concatenate((lasts, firsts))],
            np.concatenate((forth_s[begins[1:] - 1], back_s[begins[1:] - 1])),
            np.concatenate((number, ~number)),
        )
        return cls(
            junctions.astype(np.int32), nodes.astype(np.int32), begins.astype(np.int32),
            forth_s, back_s, metres, *links, piece[order], at[order].astype(np.int32), junction_of,
            links[0].astype(np.int64) * len(junctions) + links[1],
        )  # fmt: skip

    def spot(self, snap: Snap, nodes: int) -> Spot:
        """Return where a place lies on its chain; ``nodes`` is how many the graph has."""
        low, high = sorted((snap.one, snap.other))
        at = int(self._piece_at[np.searchsorted(self._piece, low * nodes + high)])
        share = snap.share if int(self.nodes[at]) == snap.one else 1 - snap.share
        chain = int(np.searchsorted(self.begins, at, side="right")) - 1
        begin, end = int(self.begins[chain]), int(self.begins[chain + 1]) - 1
        is_first, is_last = at == begin and share == 0, at + 1 == end and share == 1
        forth_s = _between(self.forth_s, at, share)
        back_s = _between(self.back_s, at, share)
        forth_m = _between(self.metres, at, share)
        return Spot(
            snap=snap,
            chain=chain,
            at=at,
            first=int(self._junction_of[self.nodes[begin]]),
            last=int(self._junction_of[self.nodes[end]]),
            # At a junction it is no matter whether the chain is closed.
            from_first_s=0.0 if is_first else forth_s,
            to_first_s=0.0 if is_first else back_s,
            to_last_s=0.0 if is_last else _rest(self.forth_s, end, forth_s),
            from_last_s=0.0 if is_last else _rest(self.back_s, end, back_s),
            from_first_m=forth_m,
            to_last_m=float(self.metres[end]) - forth_m,
        )

    def link(self, start: int, end: int) -> tuple[list[int], float]:
        """Return the nodes from one junction to the next along their link, and its metres."""
        wanted = start * len(self.junctions) + end
        chain = int(self.chain[np.searchsorted(self._link, wanted)])
        number = chain if chain >= 0 else ~chain
        begin, after = int(self.begins[number]), int(self.begins[number + 1])
        nodes = self.nodes[begin:after].tolist()
        return (nodes if chain >= 0 else nodes[::-1]), float(self.metres[after - 1])

    def to_end(self, spot: Spot, *, last: bool) -> tuple[list[int], float]:
        """Return the nodes from a place to its chain's last or first node, and the metres."""
        begin, after = int(self.begins[spot.chain]), int(self.begins[spot.chain + 1])
        if last:
            return self.nodes[spot.at + 1 : after].tolist(), spot.to_last_m
        return self.nodes[begin : spot.at + 1].tolist()[::-1], spot.from_first_m

    def between(self, one: Spot, other: Spot) -> list[int]:
        """Return the nodes between two places of one chain."""
        if one.at <= other.at:
            return list(self.nodes[one.at + 1 : other.at + 1].tolist())
        return list(self.nodes[other.at + 1 : one.at + 1].tolist()[::-1])


def pairs_of(start: Numbers, end: Numbers) -> Pairs:
    """Return each piece of road once, whether it is driven one way or both."""
    pairs = np.column_stack((start, end)).astype(np.int64)
    return np.unique(np.sort(pairs, axis=1), axis=0)


def walk_chains(pairs: Pairs, junctions: Iterable[int]) -> list[list[int]]:
    """Return chains of nodes in which each piece of road is once; rings begin anywhere."""
    beside: dict[int, set[int]] = defaultdict(set)
    for one, other in pairs.tolist():
        beside[one].add(other)
        beside[other].add(one)
    ends = frozenset(junctions)
    chains: list[list[int]] = []
    for node in (*ends, *beside):  # what the junctions leave are rings
        while beside[node]:
            chains.append(_walk(node, beside, ends))
    return chains


def _walk(node: int, beside: dict[int, set[int]], ends: frozenset[int]) -> list[int]:
    chain = [node]
    while beside[node]:
        following = beside[node].pop()
        beside[following].discard(node)
        chain.append(following)
        node = following
        if node in ends:
            break
    return chain


def _are_junctions(graph: RoadGraph, pairs: Pairs) -> npt.NDArray[np.bool_]:
    """Say of each node whether a drive can go on from it in several ways, or in none."""
    degree = np.bincount(pairs.ravel(), minlength=graph.nodes)
    out = np.bincount(graph.start, minlength=graph.nodes)
    into = np.bincount(graph.end, minlength=graph.nodes)
    through = (degree == 2) & (out == into)  # both ways on both sides, or one way through
    return np.asarray((degree > 0) & ~through)


def _key(graph: RoadGraph, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]) -> Pairs:
    return start * graph.nodes + end


def _link(
    graph: RoadGraph, start: npt.NDArray[np.int64], end: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Return the number of each link, -1 where there is none."""
    if not graph.links:
        return np.zeros(0, np.int64)
    known = _key(graph, graph.start.astype(np.int64), graph.end.astype(np.int64))
    wanted = _key(graph, start, end)
    at = np.minimum(np.searchsorted(known, wanted), graph.links - 1)
    return np.where(known[at] == wanted, at, -1)


def _running(
    values: Floats,
    links: npt.NDArray[np.int64],
    at: npt.NDArray[np.int64],
    of_chain: npt.NDArray[np.int64],
    begins: npt.NDArray[np.int64],
) -> Floats:
    """Return sums from each chain's first node on; infinite in all of a chain with no link."""
    steps = np.zeros(len(of_chain))
    steps[at + 1] = np.where(links >= 0, values[links] if len(values) else 0.0, 0.0)
    # Differences of one long sum lose digits, which the longer format has to spare.
    upto = np.cumsum(steps, dtype=np.longdouble)
    sums = (upto - upto[begins[:-1]][of_chain]).astype(np.float64)
    closed = np.zeros(len(begins) - 1, bool)
    closed[of_chain[at[links < 0]]] = True
    return np.where(closed[of_chain], INFINITE, sums)


def _links(
    start: Numbers, end: Numbers, seconds: Floats, chain: npt.NDArray[np.int64]
) -> tuple[Numbers, Numbers, Floats, Numbers]:
    """Return the links between junctions, the quickest of each pair, sorted."""
    order = np.lexsort((seconds, end, start))
    order = order[np.isfinite(seconds[order]) & (start[order] != end[order])]
    key = start[order].astype(np.int64) * (int(end.max(initial=0)) + 1) + end[order]
    order = order[np.diff(key, prepend=-1) != 0]
    return start[order], end[order], seconds[order], chain[order].astype(np.int32)


def _between(sums: Floats, at: int, share: float) -> float:
    one, other = float(sums[at]), float(sums[at + 1])
    return INFINITE if other == INFINITE else one + share * (other - one)


def _rest(sums: Floats, end: int, upto: float) -> float:
    return INFINITE if upto == INFINITE else float(sums[end]) - upto
