"""Civic addresses as one line of text, in the order of their country. Pure.

RFC 4119, 5139 and 6848 name the elements. What a civic address says is shown and searched for,
never turned into coordinates by itself.
"""

from __future__ import annotations

import re

from dispatch.location.xml_tree import Element

LONGEST = 500
"""Characters of the line; longer addresses are cut."""

_LARGE_FIRST = {"CN", "HK", "JP", "KP", "KR", "MO", "TW", "MN", "HU"}
_NUMBER_FIRST = {
    "AU", "CA", "FR", "GB", "IE", "IN", "LU", "MY", "NZ", "PH", "SG", "TH", "US", "ZA",
}  # fmt: skip
_CODE_LAST = {"AU", "CA", "GB", "IE", "IN", "NZ", "SG", "TH", "US"}
_WIDE = re.compile(r"[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff]")
_LABELS = {"FLR": "floor {}", "ROOM": "room {}", "UNIT": "unit {}", "SEAT": "seat {}"}
_WIDE_LABELS = {"FLR": "{}层", "ROOM": "{}室", "UNIT": "{}单元", "SEAT": "{}座"}


def civic_line(element: Element) -> str:
    """Return the address on one line; empty where it says nothing.

    Large to small without separators where the country writes so (``北京市海淀区…``), else
    street, building, place, region, country with commas.
    """
    said = {child.name: " ".join(child.text.split()) for child in element.children if child.text}
    country = said.get("country", "").upper()
    line = _large_first(said) if country in _LARGE_FIRST else _small_first(said, country)
    return line[:LONGEST]


def _joined(said: dict[str, str], names: str, between: str = " ") -> str:
    return between.join(said[name] for name in names.split() if said.get(name))


def _inside(said: dict[str, str], labels: dict[str, str]) -> list[str]:
    """Return building, stairs, floor and room, with words where there is only a number."""
    found = [said[name] for name in ("BLD",) if said.get(name)]
    for name in ("UNIT", "FLR", "ROOM", "SEAT"):
        if value := said.get(name):
            plain = value.isalnum() and len(value) <= 4
            found.append(labels[name].format(value) if plain else value)
    return found


def _areas(said: dict[str, str]) -> list[str]:
    """Return the areas from large to small, each once."""
    found: list[str] = []
    for name in ("A1", "A2", "A3", "A4", "A5", "A6"):
        if (value := said.get(name)) and value not in found:
            found.append(value)
    return found


def _large_first(said: dict[str, str]) -> str:
    wide = _WIDE.search(" ".join(said.values())) is not None
    road = _joined(said, "PRD PRM STP RD STS POM POD RDSEC RDBR RDSUBBR", "" if wide else " ")
    number = _joined(said, "HNP HNO HNS", "")
    parts = [*_areas(said), road, number, said.get("LMK", ""), said.get("NAM", "")]
    parts += _inside(said, _WIDE_LABELS if wide else _LABELS)
    parts += [said.get("LOC", ""), said.get("PLC", "") if not wide else ""]
    return ("" if wide else " ").join(part for part in parts if part)


def _small_first(said: dict[str, str], country: str) -> str:
    road = _joined(said, "PRD PRM STP RD STS POM POD RDSEC RDBR RDSUBBR")
    number = _joined(said, "HNP HNO HNS", "")
    order = (number, road) if country in _NUMBER_FIRST else (road, number)
    street = " ".join(part for part in order if part)
    areas = _areas(said)
    region = areas.pop(0) if said.get("A1") and len(areas) > 1 else ""
    place = said.get("PCN") or ", ".join(reversed(areas))
    code = said.get("PC", "")
    if country in _CODE_LAST:
        town = ", ".join(part for part in (place, f"{region} {code}".strip()) if part)
    else:
        town = ", ".join(part for part in (f"{code} {place}".strip(), region) if part)
    parts = [said.get("NAM", ""), street, *_inside(said, _LABELS), said.get("LOC", "")]
    parts += [said.get("LMK", ""), said.get("MP", ""), said.get("POBOX", ""), town, country]
    return ", ".join(part for part in parts if part)
