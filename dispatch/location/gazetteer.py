"""Searching what a caller says among the places an operator has listed. Pure, offline.

The list is a file of lines with tabs between::

    name	alternatives	latitude	longitude	radius_m
    人民广场	People's Square|人民公园	31.2304	121.4737	250

The first line names the columns, in any order; ``alternatives`` are separated by ``|`` and, like
``radius_m``, may be empty; a column ``datum`` (``wgs84``, ``gcj02``, ``bd09``) says what the
coordinates are in. Lines that are empty or begin with ``#`` are left out.

Words are compared by pairs of letters (Dice's coefficient), which bears typing and hearing errors
and needs no word boundaries, so Chinese works as English does. The best are compared once more
letter by letter. The standard library suffices: an index from pairs to names makes 10,000 names a
matter of tens of milliseconds. Numbers are not fuzzy: house 12 is not house 21.
"""

from __future__ import annotations

import csv
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from dispatch.location.errors import LocationError
from dispatch.location.values import read_latitude, read_longitude, read_radius
from streams.errors import ConfigError
from streams.geodesy import Degrees, LocalPlane, SourceDatum, to_wgs84

DEFAULT_RADIUS_M = 100.0
LEAST_QUALITY = 0.35
"""Below this a match is a chance one."""

_COLUMNS = ("name", "latitude", "longitude")
_NUMBERS = re.compile(r"[0-9]+")
_SHORT_WORDS = {
    "street": "st", "road": "rd", "avenue": "ave", "square": "sq", "boulevard": "blvd",
    "saint": "st", "the": "", "strasse": "str",
}  # fmt: skip
_LONGEST_QUERY = 200
_COMPARED = 40
_WRONG_NUMBER = 0.5


@dataclass(frozen=True, slots=True)
class Found:
    """A place that fits what was said.

    Attributes:
        radius_m: How far the caller may be from the point when at that place.
        quality: How well it fits, 0 to 1; 1 is the same words.
        matched: The name that fitted, where it is an alternative one.
        source: ``gazetteer``, or the geocoder's name.
    """

    name: str
    latitude_deg: float
    longitude_deg: float
    radius_m: float
    quality: float
    matched: str
    source: str = "gazetteer"


@dataclass(frozen=True, slots=True)
class ListedPlace:
    """A line of the list, in WGS-84."""

    name: str
    alternatives: tuple[str, ...]
    latitude_deg: float
    longitude_deg: float
    radius_m: float


def plain(text: str) -> str:
    """Return text as it is compared: no case, accents, punctuation, widths or long forms."""
    text = unicodedata.normalize("NFKD", text).casefold()
    text = "".join(letter for letter in text if not unicodedata.combining(letter))
    words = re.sub(r"[^\w]+|_", " ", text.replace("'", "").replace("’", "")).split()
    return " ".join(w for w in (_SHORT_WORDS.get(word, word) for word in words) if w)


def _pairs(text: str) -> Counter[str]:
    """Return the pairs of neighbouring letters, with the beginning of each word."""
    found: Counter[str] = Counter()
    for word in text.split():
        padded = f"^{word}"
        found.update(padded[at : at + 2] for at in range(len(padded) - 1))
    return found


def similarity(query: str, name: str) -> float:
    """Return how well a name fits what was said, 0 to 1.

    A name that is said within a longer sentence fits well, and so does the beginning of a name
    that is still being typed.
    """
    said, known = plain(query), plain(name)
    if not said or not known:
        return 0.0
    if said == known:
        return 1.0
    matcher = SequenceMatcher(None, said, known, autojunk=False)
    shorter = min(len(said), len(known))
    common = sum(block.size for block in matcher.get_matching_blocks() if block.size > 1)
    score = max(matcher.ratio(), 0.75 * common / shorter if shorter > 3 else 0.0)
    if known.startswith(said) or (said in known and len(said) > 1):
        score = max(score, 0.85 + 0.1 * len(said) / len(known))
    elif known in said and len(known) > 1:
        score = max(score, 0.8 + 0.1 * len(known) / len(said))
    numbers, known_numbers = set(_NUMBERS.findall(said)), set(_NUMBERS.findall(known))
    if known_numbers and numbers != known_numbers and not said.isdigit():
        score *= _WRONG_NUMBER if numbers else 0.9
    return min(score, 0.99)


class Gazetteer:
    """The places of an operator, searchable by name."""

    def __init__(self, places: Sequence[ListedPlace] = ()) -> None:
        self.places = tuple(places)
        self._names: list[tuple[str, int]] = []
        self._with_pair: dict[str, list[int]] = {}
        self._sizes: list[int] = []
        for number, place in enumerate(self.places):
            for name in (place.name, *place.alternatives):
                pairs = _pairs(plain(name))
                for pair in pairs:
                    self._with_pair.setdefault(pair, []).append(len(self._names))
                self._names.append((name, number))
                self._sizes.append(len(pairs))

    @classmethod
    def read(cls, text: str, where: str = "the gazetteer") -> Gazetteer:
        """Read a list; see the module.

        Raises:
            ConfigError: A line is wrong; the text names line and column.
        """
        lines = [line for line in text.splitlines() if line.strip() and line[0] != "#"]
        rows = csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        try:
            names = [name.strip("\ufeff ") for name in rows.fieldnames or ()]
            rows.fieldnames = names
            for column in _COLUMNS:
                if column not in names:
                    raise ConfigError(f"{where}: the first line names no column {column!r}")
            return cls([_listed(row, where) for row in rows])
        except csv.Error as error:
            raise ConfigError(f"{where}: {error}") from None

    def search(
        self, query: str, *, limit: int = 8, near: Degrees | None = None
    ) -> tuple[Found, ...]:
        """Return the places that fit best, each once, the best first.

        Args:
            query: What was said or is being typed.
            limit: The most that are returned.
            near: Of equally good ones the nearer to this place comes first.
        """
        query = query[:_LONGEST_QUERY]
        best: dict[int, Found] = {}
        for number in self._candidates(query):
            name, owner = self._names[number]
            quality = similarity(query, name)
            if quality >= LEAST_QUALITY and (owner not in best or quality > best[owner].quality):
                place = self.places[owner]
                best[owner] = Found(
                    place.name,
                    place.latitude_deg,
                    place.longitude_deg,
                    place.radius_m,
                    quality,
                    name,
                )
        return ranked(best.values(), near)[:limit]

    def _candidates(self, query: str) -> list[int]:
        """Return the names that share the most pairs of letters, as shares of their own."""
        shared: Counter[int] = Counter()
        pairs = _pairs(plain(query))
        for pair in pairs:
            for number in self._with_pair.get(pair, ()):
                shared[number] += 1
        size = len(pairs)

        def fit(number: int) -> tuple[float, int]:
            count = shared[number]
            within = count / max(1, min(size, self._sizes[number]))
            return -(within + 2 * count / (size + self._sizes[number])), number

        return sorted(shared, key=fit)[:_COMPARED]


def ranked(found: Iterable[Found], near: Degrees | None = None) -> tuple[Found, ...]:
    """Return places by quality, then by distance, then by name."""

    def key(one: Found) -> tuple[float, float, str]:
        away = 0.0
        if near is not None:
            away = math.hypot(*LocalPlane(*near).to_metres(one.latitude_deg, one.longitude_deg))
        return -round(one.quality, 2), away, one.name

    return tuple(sorted(found, key=key))


def _listed(row: dict[str | None, str | list[str] | None], where: str) -> ListedPlace:
    said = {key: value.strip() for key, value in row.items() if key and isinstance(value, str)}
    name = said.get("name", "")
    if not name:
        raise ConfigError(f"{where}: a line without a name")
    datum = said.get("datum") or "wgs84"
    try:
        place = to_wgs84(
            _read_datum(datum),
            read_latitude("latitude", said.get("latitude", "")),
            read_longitude("longitude", said.get("longitude", "")),
        )
        radius_m = read_radius("radius_m", said.get("radius_m") or "0") or DEFAULT_RADIUS_M
    except LocationError as error:
        raise ConfigError(f"{where}: {name!r}: {error}") from None
    others = tuple(part.strip() for part in said.get("alternatives", "").split("|") if part.strip())
    return ListedPlace(name, others, place[0], place[1], radius_m)


def _read_datum(text: str) -> SourceDatum:
    if text == "wgs84":
        return "wgs84"
    if text == "gcj02":
        return "gcj02"
    if text == "bd09":
        return "bd09"
    raise LocationError("datum", f"{text!r} is none of wgs84, gcj02, bd09")
