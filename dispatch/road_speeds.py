"""Which roads are driven, how fast, and in which direction: OpenStreetMap's words. Pure.

Words and defaults after the OpenStreetMap wiki, keys ``highway``, ``maxspeed``, ``oneway``,
``access``, ``junction``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dispatch.road_graph import ROAD_CLASSES

AS_DRIVEN: Final = 0.8
"""Of the allowed speed, over crossings and bends: an ordinary drive's mean on an open road."""

_USUAL_KMH: Final = {
    "motorway": 90.0, "trunk": 65.0, "primary": 45.0, "secondary": 42.0, "tertiary": 38.0,
    "unclassified": 30.0, "residential": 24.0, "living_street": 10.0, "service": 15.0,
}  # fmt: skip
"""Mean speed of an ordinary drive where no limit is stated."""

_LINK_SHARE: Final = 0.7
"""A ramp is slower than the road to which it leads."""

_LIMIT_WORDS: Final = {
    "none": 130.0, "walk": 7.0,
    "cn:urban": 50.0, "cn:rural": 70.0, "cn:trunk": 100.0, "cn:motorway": 120.0,
    "de:urban": 50.0, "de:rural": 100.0, "fr:urban": 50.0, "fr:rural": 80.0,
    "gb:nsl_single": 96.6, "gb:nsl_dual": 112.7, "gb:motorway": 112.7,
}  # fmt: skip
_LIMIT = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(mph|km/?h|kmh|kph)?\s*$", re.IGNORECASE)
_KMH_PER_MPH: Final = 1.609344
_SLOWEST_KMH, _FASTEST_KMH = 5.0, 150.0

_CLOSED: Final = frozenset({"no", "private", "agricultural", "forestry"})
_ACCESS_KEYS: Final = ("motor_vehicle", "vehicle", "access")
"""The most particular first; ``emergency=yes`` is above all of them."""


@dataclass(frozen=True, slots=True)
class Driven:
    """How a road is driven.

    Attributes:
        road_class: Place in ``ROAD_CLASSES``.
        speed_mps: Mean speed of an ordinary drive.
        forth: Whether it may be driven in the direction in which it is drawn.
        back: Whether against it.
    """

    road_class: int
    speed_mps: float
    forth: bool
    back: bool


def driven(tags: Mapping[str, str]) -> Driven | None:
    """Return how a road with these tags is driven; None where it is not."""
    highway = tags.get("highway", "")
    name = highway.removesuffix("_link")
    if name == "road":
        name, highway = "unclassified", "unclassified"
    if name not in ROAD_CLASSES or tags.get("area") == "yes" or not _is_open(tags):
        return None
    directions = _directions(tags, highway)
    if directions is None:
        return None
    usual_kmh = _USUAL_KMH[name] * (_LINK_SHARE if highway.endswith("_link") else 1.0)
    limit_kmh = limit_of(tags.get("maxspeed", ""))
    speed_kmh = usual_kmh if limit_kmh is None else limit_kmh * AS_DRIVEN
    return Driven(ROAD_CLASSES.index(name), speed_kmh / 3.6, *directions)


def limit_of(text: str) -> float | None:
    """Return a speed limit in km/h, the lowest of several; None where it says nothing."""
    found = [limit for part in text.split(";") if (limit := _one_limit(part)) is not None]
    return min(found, default=None)


def _one_limit(text: str) -> float | None:
    word = text.strip().lower()
    if word in _LIMIT_WORDS:
        return _LIMIT_WORDS[word]
    match = _LIMIT.match(text)
    if match is None:
        return None
    limit_kmh = float(match[1]) * (_KMH_PER_MPH if (match[2] or "").lower() == "mph" else 1.0)
    return limit_kmh if _SLOWEST_KMH <= limit_kmh <= _FASTEST_KMH else None


def _is_open(tags: Mapping[str, str]) -> bool:
    if tags.get("emergency") == "yes":
        return True
    for key in _ACCESS_KEYS:
        if key in tags:
            return tags[key] not in _CLOSED
    return True


def _directions(tags: Mapping[str, str], highway: str) -> tuple[bool, bool] | None:
    """Return (forth, back); None where the direction changes with the hour."""
    oneway = tags.get("oneway", "")
    if oneway in ("reversible", "alternating"):
        return None
    if oneway in ("yes", "true", "1"):
        return True, False
    if oneway in ("-1", "reverse"):
        return False, True
    implied = highway == "motorway" or tags.get("junction") in ("roundabout", "circular")
    return (True, False) if implied and oneway not in ("no", "false", "0") else (True, True)
