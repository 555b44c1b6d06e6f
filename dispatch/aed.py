"""The nearest AED (defibrillator) of an operator's list. Pure.

The list is a table, lines with tabs, commas or semicolons between, whose first line names the
columns in any order::

    name	latitude	longitude	datum	hours	note
    地铁人民广场站	31.2329	121.4755	gcj02	06:00-23:00	2 号口服务台

``datum`` (``wgs84``, ``gcj02``, ``bd09``; empty is WGS-84), ``hours`` and ``note`` may be left out.
Lines that are empty or begin with ``#`` are passed over. A GeoJSON FeatureCollection of points
with the same names as properties will do as well; there coordinates are longitude, latitude.

Hours are local: ``24/7``, ``08:00-20:00``, ``22:00-06:00``, with days before it (``Mo-Fr
08:00-18:00; Sa,Su 10:00-16:00``). Empty means that nobody knows, which is told and not guessed.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, get_args

from streams.errors import ConfigError
from streams.geodesy import LocalPlane, SourceDatum, to_wgs84

COLUMNS: Final = ("name", "latitude", "longitude")
OPTIONAL: Final = ("datum", "hours", "note")
FARTHEST_M: Final = 3000.0
"""Nobody fetches one from farther than this and is back in time to be of use."""

_DAYS: Final = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_SPAN: Final = re.compile(r"([01]?\d|2[0-4]):([0-5]\d)\s*-\s*([01]?\d|2[0-4]):([0-5]\d)")
_DAY_MINUTES: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class OpenSpan:
    """A time of a week's days.

    Attributes:
        days: 0 for Monday to 6.
        from_minute: Of the day.
        to_minute: Of the day; not after ``from_minute`` where it goes over midnight.
    """

    days: frozenset[int]
    from_minute: int
    to_minute: int

    def holds(self, day: int, minute: int) -> bool:
        """Whether a minute of a day is in it."""
        if self.from_minute < self.to_minute:
            return day in self.days and self.from_minute <= minute < self.to_minute
        late = day in self.days and minute >= self.from_minute
        return late or ((day - 1) % 7 in self.days and minute < self.to_minute)


@dataclass(frozen=True, slots=True)
class Aed:
    """An AED of the list, in WGS-84.

    Attributes:
        spans: When one can get at it; None where nobody knows.
        hours: The same as it was written.
        note: How to find it: floor, cabinet, whom to ask.
    """

    name: str
    latitude_deg: float
    longitude_deg: float
    spans: tuple[OpenSpan, ...] | None = None
    hours: str = ""
    note: str = ""

    def is_open(self, local: datetime) -> bool | None:
        """Return whether one can get at it at a local time; None where nobody knows."""
        if self.spans is None:
            return None
        minute = local.hour * 60 + local.minute
        return any(one.holds(local.weekday(), minute) for one in self.spans)


@dataclass(frozen=True, slots=True)
class NearAed:
    """An AED near a place.

    Attributes:
        distance_m: In a straight line.
        is_open: Whether one can get at it now; None where nobody knows.
    """

    aed: Aed
    distance_m: float
    is_open: bool | None


@dataclass(frozen=True, slots=True)
class AedList:
    """All AEDs that an operator has listed."""

    aeds: tuple[Aed, ...] = ()

    @classmethod
    def read(cls, text: str, file: str) -> AedList:
        """Read a list.

        Args:
            text: The file.
            file: Its name, for errors; one that ends in ``json`` is GeoJSON.

        Raises:
            ConfigError: A column is missing or unknown, a value cannot be; names file and line.
        """
        text = text.removeprefix("\ufeff")
        rows = _features(text, file) if file.lower().endswith("json") else _lines(text, file)
        return cls(tuple(_aed(row, where) for where, row in rows))

    def nearest(
        self,
        latitude: float,
        longitude: float,
        local: datetime,
        *,
        most: int = 3,
        farthest_m: float = FARTHEST_M,
    ) -> tuple[NearAed, ...]:
        """Return the nearest AEDs, those that are closed now after all others.

        Args:
            latitude: Of the patient, degrees, WGS-84.
            longitude: Of the patient.
            local: The time at the place.
            most: How many.
            farthest_m: None beyond that.
        """
        plane = LocalPlane(latitude, longitude)
        found = []
        for aed in self.aeds:
            away_m = math.hypot(*plane.to_metres(aed.latitude_deg, aed.longitude_deg))
            if away_m <= farthest_m:
                found.append(NearAed(aed, away_m, aed.is_open(local)))
        found.sort(key=lambda one: (one.is_open is False, one.distance_m, one.aed.name))
        return tuple(found[:most])


def read_hours(text: str) -> tuple[OpenSpan, ...] | None:
    """Return opening hours; None where the text is empty.

    Raises:
        ValueError: It is written in another way.
    """
    text = text.strip()
    if not text:
        return None
    if text.lower() in ("24/7", "24h", "全天"):
        return (OpenSpan(frozenset(range(7)), 0, 0),)
    return tuple(_span(part.strip()) for part in re.split(r"[;；]", text) if part.strip())


def _span(part: str) -> OpenSpan:
    days, _, hours = part.rpartition(" ") if part[0].isalpha() else ("", "", part)
    match = _SPAN.fullmatch(hours.strip())
    if match is None:
        raise ValueError(part)
    begin, end = int(match[1]) * 60 + int(match[2]), int(match[3]) * 60 + int(match[4])
    if begin >= _DAY_MINUTES or end > _DAY_MINUTES:
        raise ValueError(part)
    return OpenSpan(_days(days) if days else frozenset(range(7)), begin, end % _DAY_MINUTES)


def _days(text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = (one.strip() for one in part.partition("-"))
        begin = _DAYS.index(first)  # another word is a ValueError, as is wanted
        end = _DAYS.index(last) if dash else begin
        found.update((begin + step) % 7 for step in range((end - begin) % 7 + 1))
    return frozenset(found)


def _lines(text: str, file: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield (where, values by column) of a table."""
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    if not lines:
        return
    number, header = lines[0]
    between = next((one for one in ("\t", ";", ",") if one in header), "\t")
    names = [name.strip() for name in _split(header, between, f"{file}, line {number}")]
    _check_columns(names, f"{file}, line {number}")
    for number, line in lines[1:]:
        values = _split(line, between, f"{file}, line {number}")
        if len(values) > len(names):
            raise ConfigError(
                f"{file}, line {number}: {len(values)} values for {len(names)} columns: "
                "quote a value that has the separator in it"
            )
        yield f"{file}, line {number}", dict(zip(names, values, strict=False))


def _split(line: str, between: str, where: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=between))
    except csv.Error as error:
        raise ConfigError(f"{where}: {error}") from error


def _check_columns(names: list[str], where: str) -> None:
    missing = [name for name in COLUMNS if name not in names]
    unknown = [name for name in names if name not in COLUMNS + OPTIONAL]
    if missing:
        raise ConfigError(f"{where}: column {missing[0]!r} is missing")
    if unknown:
        known = ", ".join(COLUMNS + OPTIONAL)
        raise ConfigError(f"{where}: column {unknown[0]!r} is unknown; known are {known}")
    if len(set(names)) < len(names):
        raise ConfigError(f"{where}: a column is there twice")


def _features(text: str, file: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield (where, values by column) of the points of a FeatureCollection."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: not valid JSON: {error}") from error
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise ConfigError(f"{file}: not a GeoJSON FeatureCollection: `features` is missing")
    for number, feature in enumerate(features, 1):
        where = f"{file}, feature {number}"
        match feature:
            case {
                "geometry": {"type": "Point", "coordinates": [longitude, latitude, *_]},
                "properties": dict(properties),
            }:
                row = {name: str(properties.get(name) or "") for name in ("name", *OPTIONAL)}
                yield where, row | {"latitude": str(latitude), "longitude": str(longitude)}
            case _:
                raise ConfigError(f"{where}: not a Point with properties")


def _aed(row: Mapping[str, str], where: str) -> Aed:
    values = {name: (row.get(name) or "").strip() for name in COLUMNS + OPTIONAL}
    if not values["name"]:
        raise ConfigError(f"{where}, name: is empty: say what people call the place")
    datum: SourceDatum
    match values["datum"].lower():
        case "" | "wgs84":
            datum = "wgs84"
        case "gcj02":
            datum = "gcj02"
        case "bd09":
            datum = "bd09"
        case other:
            known = ", ".join(get_args(SourceDatum))
            raise ConfigError(f"{where}, datum: {other!r} is unknown; known are {known}")
    latitude = _degrees(values["latitude"], 90, f"{where}, latitude")
    longitude = _degrees(values["longitude"], 180, f"{where}, longitude")
    latitude, longitude = to_wgs84(datum, latitude, longitude)
    try:
        spans = read_hours(values["hours"])
    except ValueError:
        raise ConfigError(
            f"{where}, hours: {values['hours']!r} is not understood: write 24/7, 08:00-20:00 or "
            "Mo-Fr 08:00-18:00; Sa 10:00-16:00, or leave it empty"
        ) from None
    return Aed(values["name"], latitude, longitude, spans, values["hours"], values["note"])


def _degrees(text: str, most: float, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise ConfigError(f"{where}: {text!r} is no number of degrees") from None
    if not abs(value) <= most:
        raise ConfigError(f"{where}: {text} is not between -{most} and {most} degrees")
    return value
