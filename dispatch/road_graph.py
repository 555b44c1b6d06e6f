"""The roads of a district as a directed graph of straight links: arrays, nothing else. Pure.

A bend is a node like a crossing, so every link is straight and a place can be found on it. Of
two links from the same node to the same node only the quicker one is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int32]
Classes = npt.NDArray[np.int8]

ROAD_CLASSES: Final = (
    "motorway", "trunk", "primary", "secondary", "tertiary", "unclassified", "residential",
    "living_street", "service",
)  # fmt: skip
"""OpenStreetMap's classes of ``highway``, most important first; ``*_link`` counts as its road."""

WITHOUT_FRONTAGE: Final = 2
"""Classes before this one (motorway, trunk) have no houses: only who stands on them is there."""

SMALLEST_PART: Final = 100
"""Nodes of a part of the network on which a place may be found, unless the largest is smaller."""

_SEMI_MAJOR_M, _FLATTENING = 6_378_137.0, 1 / 298.257223563  # WGS-84
_Scalar = TypeVar("_Scalar", bound=np.generic)
_LEAST_S = 1e-3
"""A link takes at least so long: scipy takes a link of zero seconds for none."""


def metres_per_degree(latitude_deg: Floats | float) -> tuple[Floats, Floats]:
    """Return metres per degree of latitude and of longitude on WGS-84 at a latitude.

    From the radii of curvature of the meridian and the prime vertical (Snyder, USGS Professional
    Paper 1395, equations 4-18 to 4-20). Good to 1 in 10^6 for links of up to some kilometres.
    """
    angle = np.radians(latitude_deg)
    squared = _FLATTENING * (2 - _FLATTENING)
    root = 1 - squared * np.sin(angle) ** 2
    meridian_m = _SEMI_MAJOR_M * (1 - squared) / root**1.5
    vertical_m = _SEMI_MAJOR_M / np.sqrt(root)
    return np.radians(meridian_m), np.radians(vertical_m * np.cos(angle))


@dataclass(frozen=True, eq=False)
class RoadGraph:
    """Nodes and directed links; made by ``build``, never changed after.

    Attributes:
        latitude_deg: Of each node, WGS-84, shape (nodes,).
        longitude_deg: Of each node, shape (nodes,).
        start: Node at which each link begins, shape (links,); sorted.
        end: Node at which it ends; sorted among the links of one start.
        seconds: How long an ordinary drive takes along it; at least a millisecond.
        metres: Its length.
        road_class: Place of its class in ``ROAD_CLASSES``.
    """

    latitude_deg: Floats
    longitude_deg: Floats
    start: Numbers
    end: Numbers
    seconds: Floats
    metres: Floats
    road_class: Classes

    @classmethod
    def build(
        cls,
        *,
        latitude_deg: npt.ArrayLike,
        longitude_deg: npt.ArrayLike,
        start: npt.ArrayLike,
        end: npt.ArrayLike,
        seconds: npt.ArrayLike,
        metres: npt.ArrayLike,
        road_class: npt.ArrayLike,
    ) -> RoadGraph:
        """Sort the links, drop loops and slower twins, and lock the arrays.

        Raises:
            ValueError: Lengths differ, a link names no node, or a figure is not finite.
        """
        latitude, longitude = _floats(latitude_deg), _floats(longitude_deg)
        first, last = np.asarray(start, np.int64), np.asarray(end, np.int64)
        time_s, length_m = _floats(seconds), _floats(metres)
        kind = np.asarray(road_class, np.int8)
        if len({len(array) for array in (first, last, time_s, length_m, kind)}) != 1:
            raise ValueError("the arrays of the links differ in length")
        nodes = len(latitude)
        if len(first) and not (0 <= min(first.min(), last.min()) <= max(first.max(), last.max())
                               < nodes):  # fmt: skip
            raise ValueError(f"a link names a node that is not among the {nodes}")
        for array in (latitude, longitude, time_s, length_m):
            if not np.isfinite(array).all():
                raise ValueError("a coordinate, a time or a length is not finite")
        time_s = np.maximum(time_s, _LEAST_S)
        order = np.lexsort((time_s, last, first))
        order = order[first[order] != last[order]]
        key = first[order] * nodes + last[order]
        order = order[np.diff(key, prepend=-1) != 0]
        return cls(
            latitude_deg=_locked(latitude),
            longitude_deg=_locked(longitude),
            start=_locked(first[order].astype(np.int32)),
            end=_locked(last[order].astype(np.int32)),
            seconds=_locked(time_s[order]),
            metres=_locked(length_m[order]),
            road_class=_locked(kind[order]),
        )

    @property
    def nodes(self) -> int:
        """How many nodes there are."""
        return len(self.latitude_deg)

    @property
    def links(self) -> int:
        """How many directed links there are."""
        return len(self.start)

    @cached_property
    def parts(self) -> tuple[Numbers, Numbers]:
        """Part of each node, and the size of each part: in it every node reaches every other."""
        shape = (self.nodes, self.nodes)
        links = csr_array((np.ones(self.links, np.int8), (self.start, self.end)), shape=shape)
        count, part = connected_components(links, directed=True, connection="strong")
        return part.astype(np.int32), np.bincount(part, minlength=count).astype(np.int32)

    @cached_property
    def usable(self) -> npt.NDArray[np.bool_]:
        """Whether a place may be found on each link, shape (links,).

        Not on a link that leaves the map and cannot be come back from, nor on an island of some
        few streets that an incomplete file leaves: a place beside it would be out of reach.
        """
        part, sizes = self.parts
        enough = min(SMALLEST_PART, int(sizes.max(initial=0)))
        same = part[self.start] == part[self.end]
        return np.asarray(same & (sizes[part[self.start]] >= enough))


def _floats(values: npt.ArrayLike) -> Floats:
    return np.asarray(values, np.float64)


def _locked(array: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
    own = np.array(array, order="C")
    own.setflags(write=False)
    return own
