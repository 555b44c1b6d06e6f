"""Advanced Mobile Location over HTTPS: a form of many optional fields. Pure.

ETSI TS 103 625 and Android ELS, http-spec. The endpoint answers 2XX whatever comes of this, for
phones take anything else as a failed delivery. The same rules as in `aml` decide what yields a
position. ``location_source`` is a word here and not a letter of a table: an unknown one is a
warning. Fields beyond these are many (medical data of Android) and no reason to warn.
"""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl

from dispatch.location.aml import Gathering
from dispatch.location.errors import LocationError, NoLocationError
from dispatch.location.reading import Reading
from dispatch.location.values import (
    MILLISECOND_NS,
    in_time,
    is_null_island,
    position_at,
    quoted,
    read_latitude,
    read_longitude,
    read_number,
    read_radius,
    read_whole,
)

LARGEST_BODY = 65_536
"""Bytes; some hundred times what phones send without medical data."""
MOST_FIELDS = 300

_SEAL = "&hmac="
_METHODS = {
    "gps": "aml/gnss",
    "gnss": "aml/gnss",
    "wifi": "aml/wifi",
    "wlan": "aml/wifi",
    "cell": "aml/cell",
    "fused": "aml/fused",
    "unknown": "aml",
}
_CALLER = {
    "device_number": "number",
    "device_imsi": "imsi",
    "device_imei": "imei",
    "cell_network_mcc": "mcc",
    "cell_network_mnc": "mnc",
    "cell_home_mcc": "home_mcc",
    "cell_home_mnc": "home_mnc",
    "emergency_number": "emergency_number",
    "device_languages": "language",
}
_PLACE = (
    "location_latitude",
    "location_longitude",
    "location_time",
    "location_accuracy",
    "location_source",
    "location_certainty",
    "location_confidence",
    "location_altitude",
    "location_bearing",
    "location_speed",
)


def read_form(body: bytes | str, received_ns: int, key: bytes | None = None) -> Reading:
    """Read the body of a phone's POST.

    Args:
        body: ``application/x-www-form-urlencoded``.
        received_ns: When it came; stands in where the message tells no time.
        key: The secret shared with the sender. With it only sealed messages are read.

    Returns:
        A reading with one position.

    Raises:
        LocationError: There is no position in it; the field says why.
    """
    text = _open(body)
    gathered = Gathering()
    _check_seal(text, key, gathered)
    said = _fields(text)
    for name, ours in _CALLER.items():
        gathered.take(ours, name, said.get(name, ""))
    gathered.called_ns = _optional_time(said, "time", gathered)
    return _located(said, gathered, received_ns)


def _open(body: bytes | str) -> str:
    if len(body) > LARGEST_BODY:
        raise LocationError("body", f"longer than {LARGEST_BODY} bytes")
    if isinstance(body, str):
        return body.strip()
    try:
        return body.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise LocationError("body", "not UTF-8") from None


def _check_seal(text: str, key: bytes | None, gathered: Gathering) -> None:
    """Check HMAC-SHA1 over the text before ``&hmac=`` (TS 103 625, HTTPS)."""
    sealed, found, rest = text.partition(_SEAL)
    seal = rest.split("&")[0]
    if key is None:
        if found:
            gathered.warnings.append("hmac: not checked, for no key is set")
        return
    if not found:
        raise LocationError("hmac", "missing, and a key is set")
    if "&" in rest:
        raise LocationError("hmac", "not the last field: what follows is not sealed")
    right = hmac.new(key, sealed.encode("utf-8", "surrogatepass"), "sha1").hexdigest()
    if not hmac.compare_digest(
        right.encode(), seal.strip().lower().encode("utf-8", "surrogatepass")
    ):
        raise LocationError("hmac", "does not fit the message")


def _fields(text: str) -> dict[str, str]:
    """Return the fields that are not empty, by name."""
    try:
        pairs = parse_qsl(text, errors="strict", max_num_fields=MOST_FIELDS)
    except ValueError:  # UnicodeDecodeError is one
        raise LocationError("body", f"not a form of at most {MOST_FIELDS} fields") from None
    said: dict[str, str] = {}
    for name, value in pairs:
        if name in ("device_number", "emergency_number"):
            value = value.replace(" ", "+", 1)  # noqa: PLW2901  # a plus that was not encoded
        value = value.strip()  # noqa: PLW2901  # nothing else is done with what came
        if name in _PLACE and said.get(name, value) != value:
            raise LocationError(name, "given twice, differently")
        if value:
            said.setdefault(name, value)
    if not said:
        raise LocationError("body", "no field in it")
    return said


def _located(said: dict[str, str], gathered: Gathering, received_ns: int) -> Reading:
    if "location_latitude" not in said and "location_longitude" not in said:
        raise NoLocationError("location_latitude", "missing", gathered.reading())
    for name in ("location_latitude", "location_longitude"):
        if name not in said:
            raise LocationError(name, "missing")
    latitude = read_latitude("location_latitude", said["location_latitude"])
    longitude = read_longitude("location_longitude", said["location_longitude"])
    confidence = _read_confidence(said)
    if is_null_island(latitude, longitude):
        raise NoLocationError("location_latitude", "0, and the longitude too", gathered.reading())
    if confidence == 0:
        raise NoLocationError("location_certainty", "0: no location", gathered.reading())
    radius_m = None
    if "location_accuracy" in said:
        radius_m = read_radius("location_accuracy", said["location_accuracy"])
    if radius_m is None:
        gathered.warnings.append("location_accuracy: not stated")
    measured_ns = received_ns
    if "location_time" in said:
        measured_ns = _read_milliseconds("location_time", said["location_time"])
    else:
        gathered.warnings.append("location_time: missing; taken as measured on arrival")
    position = position_at(
        latitude,
        longitude,
        source=_read_method(said.get("location_source"), gathered),
        measured_ns=measured_ns,
        radius_m=radius_m,
        confidence=confidence,
        altitude_m=_optional_number(said, "location_altitude", -1000, 50_000, gathered),
        speed_mps=_optional_number(said, "location_speed", 0, 1000, gathered),
        heading_deg=_optional_number(said, "location_bearing", 0, 360, gathered),
    )
    return gathered.reading(position)


def _read_confidence(said: dict[str, str]) -> float | None:
    """Return a share of 1: of percent in ``certainty``, of 1 in the newer ``confidence``."""
    if "location_certainty" in said:
        return read_number("location_certainty", said["location_certainty"], 0, 100) / 100
    if "location_confidence" in said:
        return read_number("location_confidence", said["location_confidence"], 0, 1)
    return None


def _read_method(word: str | None, gathered: Gathering) -> str:
    if word is None:
        return "aml"
    if word.lower() not in _METHODS:
        gathered.warnings.append(f"location_source: {quoted(word)} is not known")
    return _METHODS.get(word.lower(), "aml")


def _read_milliseconds(name: str, text: str) -> int:
    return in_time(name, read_whole(name, text, 0, 10**13) * MILLISECOND_NS)


def _optional_time(said: dict[str, str], name: str, gathered: Gathering) -> int | None:
    try:
        return _read_milliseconds(name, said[name]) if name in said else None
    except LocationError as error:
        gathered.warnings.append(str(error))
        return None


def _optional_number(
    said: dict[str, str], name: str, low: float, high: float, gathered: Gathering
) -> float | None:
    """Return what is not worth losing a place over; a bad value is left out with a warning."""
    try:
        return read_number(name, said[name], low, high) if name in said else None
    except LocationError as error:
        gathered.warnings.append(str(error))
        return None
