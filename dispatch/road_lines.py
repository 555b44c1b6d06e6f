"""From drawn roads to the graph: lines of points with what is known of each. Pure.

Both readers of files end here. Points are named by number, and roads that share one are joined.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dispatch.road_graph import RoadGraph, metres_per_degree
from dispatch.road_speeds import Driven


@dataclass(slots=True)
class RoadLines:
    """Roads as they are read, packed: a town has millions of points.

    Attributes:
        point: Name of each point of each road, one road after the other.
        begins: Where each road begins in ``point``.
        roads: How each road is driven.
        left_out: Roads that were not taken, for they are closed or change their direction.
    """

    point: array[int] = field(default_factory=lambda: array("q"))
    begins: array[int] = field(default_factory=lambda: array("q"))
    roads: list[Driven] = field(default_factory=list)
    left_out: int = 0

    def add(self, points: Iterable[int], road: Driven) -> None:
        """Add a road."""
        self.begins.append(len(self.point))
        self.point.extend(points)
        self.roads.append(road)

    def graph(
        self,
        names: npt.NDArray[np.int64],
        latitude_deg: npt.ArrayLike,
        longitude_deg: npt.ArrayLike,
    ) -> RoadGraph:
        """Build the graph; a road is cut where a point of it is not known.

        Args:
            names: Names of the known points, any order, shape (points,).
            latitude_deg: Of each known point.
            longitude_deg: Of each known point.
        """
        order = np.argsort(names, kind="stable")
        known = names[order]
        latitude = np.asarray(latitude_deg, np.float64)[order]
        longitude = np.asarray(longitude_deg, np.float64)[order]
        point = np.frombuffer(self.point, np.int64) if len(self.point) else np.zeros(0, np.int64)
        at = np.minimum(np.searchsorted(known, point), max(0, len(known) - 1))
        is_known = known[at] == point if len(known) else np.zeros(len(point), bool)
        ends = np.array([*self.begins[1:], len(point)], np.int64)
        begins = np.array(self.begins, np.int64)
        road = np.repeat(np.arange(len(self.roads)), ends[: len(begins)] - begins)
        joined = (road[:-1] == road[1:]) & is_known[:-1] & is_known[1:]
        first, last, of = at[:-1][joined], at[1:][joined], road[:-1][joined]
        metres = _lengths(latitude, longitude, first, last)
        used = np.unique(np.concatenate((first, last)))
        first, last = np.searchsorted(used, first), np.searchsorted(used, last)
        speed = np.array([each.speed_mps for each in self.roads])[of]
        kind = np.array([each.road_class for each in self.roads], np.int8)[of]
        forth = np.array([each.forth for each in self.roads], bool)[of]
        back = np.array([each.back for each in self.roads], bool)[of]
        return RoadGraph.build(
            latitude_deg=latitude[used],
            longitude_deg=longitude[used],
            start=np.concatenate((first[forth], last[back])),
            end=np.concatenate((last[forth], first[back])),
            seconds=np.concatenate(((metres / speed)[forth], (metres / speed)[back])),
            metres=np.concatenate((metres[forth], metres[back])),
            road_class=np.concatenate((kind[forth], kind[back])),
        )


def _lengths(
    latitude: npt.NDArray[np.float64],
    longitude: npt.NDArray[np.float64],
    first: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Return the metres between points that are near each other."""
    north, east = metres_per_degree((latitude[first] + latitude[last]) / 2)
    across = (longitude[last] - longitude[first] + 180) % 360 - 180
    return np.hypot((latitude[last] - latitude[first]) * north, across * east)
