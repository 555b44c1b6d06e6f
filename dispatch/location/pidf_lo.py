"""Location documents: presence with ``location-info`` in it. Pure.

PIDF-LO after RFC 4119, its shapes and rules after RFC 5491, civic addresses after RFC 5139 and
6848, confidence after RFC 7459 (95 % where nothing is said), movement after RFC 5962. Elements
are known by their local name, in any order: real documents have wrong and missing namespaces,
and Asterisk writes an ellipsoid's orientation first.

Several locations (RFC 5491, section 3.4): those of devices come before those of tuples, those of
persons come last; within one, document order, for the first is what the source prefers.
"""

from __future__ import annotations

import re
from dataclasses import replace

from dispatch.location.civic import civic_line
from dispatch.location.errors import LocationError
from dispatch.location.reading import Reading, Via
from dispatch.location.shapes import is_shape, read_shape
from dispatch.location.values import position_at, quoted, read_instant, read_number
from dispatch.location.xml_tree import Element, read_xml

DEFAULT_CONFIDENCE = 0.95
"""RFC 7459, section 4: what a document means that does not say."""
MOST_LOCATIONS = 50

_ORDER = ("device", "tuple", "person")
_METHODS = {
    "gps": "gnss", "gnss": "gnss", "a-gps": "gnss", "agps": "gnss", "galileo": "gnss",
    "glonass": "gnss", "beidou": "gnss", "802.11": "wifi", "wifi": "wifi", "wlan": "wifi",
    "cell": "cell", "otdoa": "cell", "aflt": "cell", "edge": "cell", "tdoa": "cell",
    "triangulation": "cell", "hybrid_a-gps": "gnss", "manual": "manual", "dhcp": "dhcp",
    "wiremap": "wiremap", "derived": "derived", "device-based_a-gps": "gnss",
}  # fmt: skip
_ENTITY_NUMBER = re.compile(r"(?:tel:|sips?:|pres:)(\+[0-9]{2,20})(?:[@;].*)?", re.DOTALL)
_NOT_A_PLACE = {"confidence", "Dynamic"}
_CIVIC = {"civicAddress", "civicLoc"}


def read_pidf_lo(document: bytes | str, received_ns: int, via: Via = "pidf") -> Reading:
    """Read a document.

    Args:
        document: XML; bytes in the encoding that they state, UTF-8 without.
        received_ns: When it came; stands in where the document tells no time.
        via: What the reading is to say it came by.

    Returns:
        A reading with positions or civic addresses, or both.

    Raises:
        LocationError: There is neither; the field names the element to blame.
    """
    root, warnings = read_xml(document)
    presence = root if root.name == "presence" else next(root.within("presence"), None)
    if presence is None:
        raise LocationError("presence", f"missing; the document is {quoted(root.name)}")
    return read_presence(presence, received_ns, via, warnings)


def read_presence(
    presence: Element, received_ns: int, via: Via, warnings: tuple[str, ...] = ()
) -> Reading:
    """Read a ``presence`` element; see `read_pidf_lo`."""
    holders = [child for name in _ORDER for child in presence.all(name)]
    found = [(holder, geopriv) for holder in holders for geopriv in holder.within("geopriv")]
    if not found:
        raise LocationError("geopriv", "missing in every device, tuple and person")
    reading = Reading(via=via, warnings=warnings)
    errors: list[LocationError] = []
    for holder, geopriv in found[:MOST_LOCATIONS]:
        try:
            one = _read_geopriv(holder, geopriv, received_ns, via)
        except LocationError as error:
            errors.append(error)
        else:
            reading = joined(reading, one)
    if not reading.positions and not reading.addresses:
        raise errors[0]
    told = tuple(str(error) for error in errors)
    entity = presence.attributes.get("entity", "").strip()[:200] or None
    number = _ENTITY_NUMBER.fullmatch(entity or "")
    return replace(
        reading,
        entity=entity,
        number=number[1] if number else None,
        warnings=(*reading.warnings, *told),
    )


def joined(one: Reading, other: Reading) -> Reading:
    """Return both readings as one, the first one's answers first."""
    return replace(
        one,
        positions=one.positions + other.positions,
        addresses=one.addresses + other.addresses,
        references=one.references + other.references,
        entity=one.entity or other.entity,
        number=one.number or other.number,
        warnings=one.warnings + tuple(w for w in other.warnings if w not in one.warnings),
    )


def _read_geopriv(holder: Element, geopriv: Element, received_ns: int, via: Via) -> Reading:
    """Read all locations of one ``geopriv``; they describe one place (RFC 5491, rule 1)."""
    infos = list(geopriv.within("location-info"))
    children = [child for info in infos for child in info.children]
    if not any(child.name not in _NOT_A_PLACE for child in children):
        raise LocationError("location-info", "missing or without a location")
    circles = [read_shape(child) for child in children if is_shape(child)][:MOST_LOCATIONS]
    addresses = [civic_line(child) for child in children if child.name in _CIVIC]
    addresses = [line for line in addresses if line][:MOST_LOCATIONS]
    for child in children:
        if not is_shape(child) and child.name not in _CIVIC | _NOT_A_PLACE:
            raise LocationError(child.name, "not a shape that is known")
    if not circles and not addresses:
        raise LocationError("civicAddress", "empty")
    confidence = _read_confidence(children)
    measured_ns, warnings = _read_time(holder, received_ns)
    method = geopriv.only("method") or holder.only("method")
    speed_mps, heading_deg = _read_movement(children, warnings)
    positions = tuple(
        position_at(
            circle.latitude,
            circle.longitude,
            source=_source(method.text if method else "", via),
            measured_ns=measured_ns,
            radius_m=circle.radius_m,
            confidence=confidence,
            altitude_m=circle.altitude_m,
            speed_mps=speed_mps,
            heading_deg=heading_deg,
        )
        for circle in circles
    )
    return Reading(
        via=via, positions=positions, addresses=tuple(addresses), warnings=tuple(warnings)
    )


def _read_time(holder: Element, received_ns: int) -> tuple[int, list[str]]:
    stamp = holder.only("timestamp") or next(holder.within("timestamp"), None)
    if stamp is None or not stamp.text:
        return received_ns, ["timestamp: missing; taken as measured on arrival"]
    return read_instant("timestamp", stamp.text), []


def _read_confidence(children: list[Element]) -> float | None:
    """Return a share of 1; None where the source says that it does not know (RFC 7459, 4)."""
    for child in children:
        if child.name == "confidence":
            if child.text.lower() == "unknown":
                return None
            return read_number("confidence", child.text, 0.001, 100) / 100
    return DEFAULT_CONFIDENCE


def _source(method: str, via: Via) -> str:
    """Return where a position comes from: ``pidf/gnss``."""
    word = "_".join(method.lower().split())
    known = _METHODS.get(word)
    if known is None and re.fullmatch(r"[a-z0-9._-]{1,30}", word):
        known = word
    return f"{via}/{known}" if known else via


def _read_movement(
    children: list[Element], warnings: list[str]
) -> tuple[float | None, float | None]:
    """Return speed and heading of RFC 5962; bad ones are left out with a warning."""
    said: dict[str, float | None] = {"speed": None, "heading": None}
    for child in children:
        if child.name != "Dynamic":
            continue
        for name, high in (("speed", 1000.0), ("heading", 360.0)):
            try:
                found = child.only(name)
                if found is not None:
                    said[name] = read_number(name, found.text, 0, high)
            except LocationError as error:
                warnings.append(str(error))
    return said["speed"], said["heading"]
