"""Advanced Mobile Location: what a phone sends when somebody calls for help. Pure.

ETSI TS 103 625 (text message, data message, HTTPS form) with the additions of Android's
Emergency Location Service, whose *ELS Beta* is version 2 of the text message. There ``lt`` and
``lg`` mean something else: seconds between call and fix, and the language.

What yields a position and what does not:

* A field that makes the position (place, radius, confidence, method, time) and has a value
  outside of the standard: no position. A message that is wrong in one may be wrong in the next.
* A field about phone and caller with such a value: a warning, the field is left out.
* An attribute that nobody knows: a warning; newer phones say more. (The upstream test of
  ``aml_sms.tsv`` refuses it, as it does all others that are refused here.)
* A wrong ``ml``: a warning; public examples have it wrong.
* A field that is absent: the position stands without it (``top``: the time of arrival).
* ``rd=N``, ``lc=0``, ``pm=N``, no ``lo``, latitude and longitude 0: the phone says that it knows
  no place (`NoLocationError`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from dispatch.location.errors import LocationError, NoLocationError
from dispatch.location.reading import Reading
from dispatch.location.septets import unpack
from dispatch.location.values import (
    SECOND_NS,
    in_time,
    is_null_island,
    position_at,
    quoted,
    read_compact_time,
    read_latitude,
    read_longitude,
    read_number,
    read_radius,
    read_whole,
)
from streams.messages import Position

LARGEST_TEXT = 1600
"""Ten messages joined; longer than any standard has."""

_MOST_UNKNOWN = 10
_HEADER = re.compile(r'A"ML=([0-9]{1,3})')
_ATTRIBUTE = re.compile(r"([A-Za-z]{1,12})=([^;]*)")
_KNOWN = {
    1: {"lt", "lg", "rd", "top", "lc", "pm", "si", "ei", "mcc", "mnc", "ml"},
    2: {"en", "et", "lo", "lt", "lc", "lz", "ls", "si", "ei", "nc", "hc", "lg", "ml"},
}
_METHODS = {"G": "aml/gnss", "W": "aml/wifi", "C": "aml/cell", "F": "aml/fused", "U": "aml"}
SHAPES = {
    "number": re.compile(r"\+?[0-9]{2,20}"),
    "imsi": re.compile(r"[0-9]{5,16}"),
    "imei": re.compile(r"[0-9]{14,17}"),
    "mcc": re.compile(r"[0-9]{3}"),
    "mnc": re.compile(r"[0-9]{2,3}"),
    "emergency_number": re.compile(r"\+?[0-9*#]{2,20}"),
    "language": re.compile(r"[A-Za-z]{2,8}(?:[-_,;][A-Za-z0-9]{1,8}){0,12}"),
}
"""What phone and caller's fields look like; what does not is left out with a warning."""
SHAPES["home_mcc"], SHAPES["home_mnc"] = SHAPES["mcc"], SHAPES["mnc"]


@dataclass(slots=True)
class Gathering:
    """Collects what a message says about phone and caller, and what is odd about it."""

    said: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    called_ns: int | None = None

    def take(self, name: str, key: str, text: str) -> None:
        """Keep a field of phone or caller, or warn."""
        if text and SHAPES[name].fullmatch(text):
            self.said[name] = text
        elif text:
            self.warnings.append(f"{key}: {quoted(text)} is left out")

    def reading(self, *positions: Position) -> Reading:
        """Return what was gathered."""
        return Reading(
            via="aml",
            positions=positions,
            called_ns=self.called_ns,
            warnings=tuple(self.warnings),
            **self.said,  # type: ignore[arg-type]  # the keys are those of SHAPES
        )


def read_sms(text: str, received_ns: int) -> Reading:
    """Read a text message of version 1 or 2.

    Args:
        text: The message's text.
        received_ns: When it came; stands in where the message tells no time.

    Returns:
        A reading with one position.

    Raises:
        LocationError: There is no position in it; the field says why.
    """
    text = text.strip("\r\n\t \0")
    if len(text) > LARGEST_TEXT:
        raise LocationError("message", f"longer than {LARGEST_TEXT} characters")
    header, *rest = text.split(";")
    found = _HEADER.fullmatch(header)
    if found is None:
        raise LocationError('A"ML', "the message does not begin with it")
    version = int(found[1])
    if version not in _KNOWN:
        raise LocationError('A"ML', f"version {version} is not 1 or 2")
    gathered = Gathering()
    said = _attributes(rest, _KNOWN[version], gathered)
    _check_length(said.get("ml"), len(text), gathered)
    gathered.take("imsi", "si", said.get("si", ""))
    gathered.take("imei", "ei", said.get("ei", ""))
    if version == 1:
        return _read_first(said, gathered, received_ns)
    return _read_second(said, gathered, received_ns)


def read_data_sms(data: bytes | str, received_ns: int) -> Reading:
    """Read a data message: septets packed into octets, as bytes or in hexadecimal digits.

    Raises:
        LocationError: There is no position in it; the field says why.
    """
    if isinstance(data, str):
        digits = data.strip()
        if len(digits) % 2 or not re.fullmatch(r"[0-9A-Fa-f]*", digits):
            raise LocationError("data", "not pairs of hexadecimal digits")
        data = bytes.fromhex(digits)
    if len(data) > LARGEST_TEXT:
        raise LocationError("data", f"longer than {LARGEST_TEXT} octets")
    return read_sms(unpack(data), received_ns)


def _attributes(parts: list[str], known: set[str], gathered: Gathering) -> dict[str, str]:
    """Return the attributes by name; a semicolon at the end is no empty attribute."""
    if parts and not parts[-1].strip():
        parts = parts[:-1]
    said: dict[str, str] = {}
    for place, part in enumerate(parts, start=1):
        match = _ATTRIBUTE.fullmatch(part.strip())
        if match is None:
            raise LocationError(f"attribute {place}", f"{quoted(part)} is not name=value")
        name, value = match[1], match[2].strip()
        if said.get(name, value) != value:
            raise LocationError(name, "given twice, differently")
        if name not in known and len(gathered.warnings) < _MOST_UNKNOWN:
            gathered.warnings.append(f"{name}: unknown attribute {quoted(value)}")
        said[name] = value
    return said


def _check_length(stated: str | None, length: int, gathered: Gathering) -> None:
    if stated is not None and stated != str(length):
        gathered.warnings.append(f"ml: {quoted(stated)}, but the message has {length} characters")


def _read_first(said: dict[str, str], gathered: Gathering, received_ns: int) -> Reading:
    for name in ("mcc", "mnc"):
        gathered.take(name, name, said.get(name, ""))
    none = gathered.reading()
    for name, null in (("rd", "N"), ("pm", "N"), ("lc", "0")):
        if said.get(name) == null:
            raise NoLocationError(name, f"{null} says that there is no location", none)
    for name in ("lt", "lg"):
        if name not in said:
            raise LocationError(name, "missing")
    latitude, longitude = read_latitude("lt", said["lt"]), read_longitude("lg", said["lg"])
    radius_m = read_radius("rd", said["rd"]) if "rd" in said else None
    confidence = _read_percent("lc", said["lc"]) if "lc" in said else None
    source = _read_method("pm", said["pm"], "GWC") if "pm" in said else "aml"
    if "top" in said:
        measured_ns = read_compact_time("top", said["top"])
    else:
        measured_ns = received_ns
        gathered.warnings.append("top: missing; taken as measured on arrival")
    return _located(
        gathered,
        "lt",
        position_at(
            latitude,
            longitude,
            source=source,
            measured_ns=measured_ns,
            radius_m=radius_m,
            confidence=confidence,
        ),
    )


def _read_second(said: dict[str, str], gathered: Gathering, received_ns: int) -> Reading:
    gathered.take("emergency_number", "en", said.get("en", ""))
    gathered.take("language", "lg", said.get("lg", ""))
    for key, prefix in (("nc", ""), ("hc", "home_")):
        gathered.take(f"{prefix}mcc", key, said.get(key, "")[:3])
        gathered.take(f"{prefix}mnc", key, said.get(key, "")[3:])
    if "et" in said:
        seconds = read_whole("et", said["et"], 0, 9_000_000_000)
        gathered.called_ns = in_time("et", seconds * SECOND_NS)
    none = gathered.reading()
    if not said.get("lo"):
        raise NoLocationError("lo", "missing: the phone has no location", none)
    if said.get("lc") == "0":
        raise NoLocationError("lc", "0 says that there is no location", none)
    parts = said["lo"].split(",")
    if len(parts) not in (2, 3):
        raise LocationError("lo", f"{quoted(said['lo'])} is not latitude,longitude,radius")
    measured_ns = received_ns
    if gathered.called_ns is not None:
        # Android's page: whole seconds, ignored without et.
        since_s = read_whole("lt", said.get("lt") or "0", -10_000_000, 10_000_000)
        measured_ns = in_time("lt", gathered.called_ns + since_s * SECOND_NS)
    else:
        gathered.warnings.append("et: missing; taken as measured on arrival")
    return _located(
        gathered,
        "lo",
        position_at(
            read_latitude("lo", parts[0]),
            read_longitude("lo", parts[1]),
            source=_read_method("ls", said["ls"], "WCGFU") if said.get("ls") else "aml",
            measured_ns=measured_ns,
            radius_m=read_radius("lo", parts[2]) if len(parts) == 3 else None,
            confidence=_read_percent("lc", said["lc"]) if "lc" in said else None,
            altitude_m=_read_altitude(said.get("lz"), gathered),
        ),
    )


def _read_altitude(text: str | None, gathered: Gathering) -> float | None:
    """Return the first of ``altitude,accuracy``; it is not worth losing a place over it."""
    if not text:
        return None
    try:
        return read_number("lz", text.split(",")[0], -1000, 50_000)
    except LocationError as error:
        gathered.warnings.append(str(error))
        return None


def _read_percent(name: str, text: str) -> float:
    """Return a share of 1 from whole percent."""
    return read_whole(name, text, 1, 100) / 100


def _read_method(name: str, text: str, letters: str) -> str:
    if len(text) != 1 or text not in letters:
        raise LocationError(name, f"{quoted(text)} is not one of {', '.join(letters)}")
    return _METHODS[text]


def _located(gathered: Gathering, name: str, position: Position) -> Reading:
    reading = gathered.reading()
    if is_null_island(position.latitude_deg, position.longitude_deg):
        raise NoLocationError(name, "latitude and longitude are 0: no location", reading)
    if position.radius_m is None:
        reading = replace(reading, warnings=(*reading.warnings, "radius: not stated"))
    return replace(reading, positions=(position,))
