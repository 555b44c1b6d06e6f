"""HTTP-Enabled Location Delivery: what is asked and what comes back. Pure.

RFC 5985 (request, response, errors), RFC 6155 (asking about a device by its telephone number),
RFC 6753 (asking a place that a message refers to). The adapter sends and fetches.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal
from xml.sax.saxutils import escape

from dispatch.location.errors import LocationError, NoLocationError
from dispatch.location.pidf_lo import joined, read_presence
from dispatch.location.reading import Reading, Reference, Via
from dispatch.location.values import quoted, read_instant
from dispatch.location.xml_tree import Element, read_xml

MEDIA_TYPE = "application/held+xml"
LocationType = Literal["any", "geodetic", "civic", "locationURI"]

_NUMBER = re.compile(r"\+?[0-9]{2,20}")
_REFERENCE = re.compile(r"(?:https?|sips?|pres):[!#-;=?-~]{3,1990}", re.IGNORECASE)
_UNKNOWN_PLACE = {"locationUnknown", "notLocatable", "timeout"}
_HELD = "urn:ietf:params:xml:ns:geopriv:held"


def location_request(
    number: str | None = None,
    types: Sequence[LocationType] = ("geodetic", "civic"),
    response_ms: int | Literal["emergencyRouting", "emergencyDispatch"] = "emergencyDispatch",
) -> bytes:
    """Return the document that asks for a place.

    Args:
        number: Whose, ``+`` and digits; None asks a reference that was given (RFC 6753).
        types: What is wanted, the best first. They are no condition (``exact="false"``).
        response_ms: How long the server may take, or for what the answer is needed
            (RFC 5985, section 6.1): for dispatch it may wait for a better fix.

    Raises:
        LocationError: The number is none.
    """
    device = ""
    if number is not None:
        if not _NUMBER.fullmatch(number):
            raise LocationError("number", f"{quoted(number)} is not + and digits")
        device = f'<device xmlns="{_HELD}:id"><uri>tel:{escape(number)}</uri></device>'
    wanted = f'<locationType exact="false">{" ".join(types)}</locationType>'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<locationRequest xmlns="{_HELD}" responseTime="{response_ms}">'
        f"{wanted}{device}</locationRequest>"
    ).encode()


def read_held(document: bytes | str, received_ns: int, via: Via = "held") -> Reading:
    """Read what a location server answered, or the document that a reference gave.

    Args:
        document: ``locationResponse``, ``error``, or ``presence`` alone.
        received_ns: When it came.
        via: What the reading is to say it came by.

    Returns:
        A reading with positions, addresses or references.

    Raises:
        NoLocationError: The server knows no place, or not in time.
        LocationError: Anything else; the field names the element or the server's own code.
    """
    root, warnings = read_xml(document)
    if root.name == "error":
        raise _refusal(root, via)
    reading = Reading(via=via, warnings=warnings)
    if root.name == "presence":
        return joined(reading, read_presence(root, received_ns, via))
    if root.name != "locationResponse":
        raise LocationError("locationResponse", f"missing; the document is {quoted(root.name)}")
    for uris in root.within("locationUriSet"):
        reading = replace(reading, references=reading.references + _references(uris))
    for presence in root.within("presence"):
        reading = joined(reading, read_presence(presence, received_ns, via))
    if not (reading.positions or reading.addresses or reading.references):
        raise LocationError("presence", "missing in locationResponse")
    return reading


def read_reference(field: str, uri: str, expires_ns: int | None = None) -> Reference:
    """Return an address that a place can be asked of.

    Raises:
        LocationError: It is none of https, http, sip, sips and pres.
    """
    if not _REFERENCE.fullmatch(uri):
        raise LocationError(field, f"{quoted(uri)} is no address of a place to ask")
    return Reference(uri, expires_ns)


def _references(uris: Element) -> tuple[Reference, ...]:
    expires = uris.attributes.get("expires")
    expires_ns = read_instant("expires", expires) if expires else None
    found = uris.all("locationURI")[:20]
    return tuple(read_reference("locationURI", child.text, expires_ns) for child in found)


def _refusal(error: Element, via: Via) -> LocationError:
    """Return what an ``error`` document says (RFC 5985, section 6.3)."""
    code = error.attributes.get("code", "").strip()[:60] or "without a code"
    said = next((child.text for child in error.within("message") if child.text), "")
    said = said or error.attributes.get("message", "")
    text = f"{code}: {quoted(said)}" if said else code
    if code in _UNKNOWN_PLACE:
        return NoLocationError("error", text, Reading(via=via))
    return LocationError("error", text)
