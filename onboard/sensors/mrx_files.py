"""Files of a HeartStart MRx case export: events, trends and waves. Pure but for reading a folder.

Known from real exports: INDEX.XML, EVENTS.XML (``evt`` with ``msecs``, ``type``, ``caption`` and
``param``), RWAVES.XML (R-wave marks, which are not passed on: the waves themselves are),
TREND/*.XML, WAVELIST.XML and ADDWAVES.XML, waves in ``.WV`` files (big-endian i16, 250 Hz,
0.0005 mV a unit), 12LEADS/*.XML (see ``sierra_ecg``). The export at hand when this was written
has empty trends and no waves, so these are read tolerantly: a trend value wherever an attribute
or a ``param`` names one, a wave wherever an element names a ``.WV`` file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from onboard.sensors import safe_xml
from onboard.sensors.readings import Samples
from onboard.sensors.vitals_columns import Column, find_columns, judge, missing
from streams.messages import Numeric

LARGEST_FILE_BYTES = 32 * 1024 * 1024
MOST_FILES = 2000
LONGEST_CASE_MS = 48 * 3600 * 1000

WAVE_RATE_HZ = 250.0
WAVE_UNIT_MV = 0.0005

_VALID_WORDS = frozenset({"", "valid", "ok", "normal", "true", "1", "good"})
_STATE_KEYS = ("state", "status", "validity", "valid", "quality")


class CaseFolder:
    """The files of an export by their names without case: the lists and the disk differ in it.

    Args:
        folder: The folder with INDEX.XML.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no folder, or holds more files than an export has.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ValueError("no such folder")
        self._files: dict[str, Path] = {}
        for path in folder.rglob("*"):
            if len(self._files) >= MOST_FILES:
                raise ValueError(f"more than {MOST_FILES} files: not a case export")
            if path.is_file():
                self._files[path.relative_to(folder).as_posix().lower()] = path

    def names(self, pattern: str) -> list[str]:
        """Return the names (lower case) that match a regular expression, sorted."""
        return sorted(name for name in self._files if re.fullmatch(pattern, name))

    def find(self, name: str) -> str | None:
        """Return the file's name here for a name from a list, or None; never leaves the folder."""
        plain = name.replace("\\", "/").lower().removeprefix("./").lstrip("/")
        return plain if plain in self._files else None

    def read(self, name: str) -> bytes:
        """Return a file's bytes.

        Raises:
            ValueError: It is not there, cannot be read, or is too large.
        """
        path = self._files.get(name.lower())
        if path is None:
            raise ValueError("the file is missing")
        try:
            size = path.stat().st_size
            if size > LARGEST_FILE_BYTES:
                raise ValueError(f"{size} bytes are over {LARGEST_FILE_BYTES}")
            return path.read_bytes()
        except OSError as error:
            raise ValueError(f"cannot be read ({error.strerror})") from error


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """An entry of EVENTS.XML.

    Attributes:
        at_ms: Milliseconds since the device was switched on.
        parameters: By type; the value with its unit, empty where it is only a mark.
    """

    at_ms: int
    type: str
    caption: str
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class TrendRow:
    """The trend values of one moment, by field of ``Vitals``; ``measured_ns`` is still 0."""

    at_ms: int
    values: dict[str, Numeric]


@dataclass(frozen=True, slots=True)
class WaveFile:
    """A wave that a list names.

    Attributes:
        name: The file's name in the folder.
        label: What the channel shows, such as ``II``.
        start_ms: When it starts.
        rate_hz: Samples a second.
        unit_mv: Millivolts of one unit.
    """

    name: str
    label: str
    start_ms: int
    rate_hz: float = WAVE_RATE_HZ
    unit_mv: float = WAVE_UNIT_MV


def read_events(data: bytes) -> list[CaseEvent]:
    """Read EVENTS.XML, in the order of time; entries without a time are left out.

    Raises:
        ValueError: It is not well-formed XML.
    """
    events: list[CaseEvent] = []
    for element in safe_xml.descendants(safe_xml.parse(data), "evt"):
        at_ms = _milliseconds(element)
        if at_ms is None:
            continue
        parameters = {
            parameter.get("type", "")[:200]: _value_with_unit(parameter)
            for parameter in safe_xml.descendants(element, "param")
        }
        events.append(
            CaseEvent(
                at_ms,
                element.get("type", "unknown")[:200],
                element.get("caption", "").strip()[:4000],
                parameters,
            )
        )
    return sorted(events, key=lambda event: event.at_ms)


def read_trend(data: bytes) -> list[TrendRow]:
    """Read a TREND file, in the order of time.

    Raises:
        ValueError: It is not well-formed XML.
    """
    rows: dict[int, dict[str, Numeric]] = {}
    for element in safe_xml.parse(data).iter():
        at_ms = _milliseconds(element)
        if at_ms is None:
            continue
        for holder in element.iter():
            for field, numeric in _trend_values(holder):
                rows.setdefault(at_ms, {})[field] = numeric
    return [TrendRow(at_ms, values) for at_ms, values in sorted(rows.items())]


def _trend_values(element: Element) -> Iterator[tuple[str, Numeric]]:
    """Give the values of one element: ``type`` and ``value``, or attributes that name them."""
    state = next((element.get(key, "") for key in _STATE_KEYS if element.get(key)), "")
    unit = element.get("units") or element.get("unit") or ""
    named = element.get("type") or element.get("label") or element.get("name") or ""
    if "value" in element.attrib or (state and find_columns([named])):
        pairs = [(named, element.get("value", ""))]
    else:
        pairs = [(key, text) for key, text in element.attrib.items() if key not in _STATE_KEYS]
    for name, text in pairs:
        for column in find_columns([name], [unit]):
            yield column.field, _judge_trend(column, text, state)


def _judge_trend(column: Column, text: str, state: str) -> Numeric:
    try:
        value = float(text)
    except ValueError:
        return missing(0, f"device: {(state or text or 'no value')[:150]}")
    numeric = judge(column.field, column.convert(value) if value > 0 else value, 0)
    if state.strip().lower() in _VALID_WORDS or numeric.validity != "valid":
        return numeric
    return Numeric(
        value=numeric.value, measured_ns=0, validity="invalid", reason=f"device: {state[:150]}"
    )


def read_wave_list(data: bytes, folder: CaseFolder) -> list[WaveFile]:
    """Read WAVELIST.XML or ADDWAVES.XML; what a list leaves out has the device's known values.

    Raises:
        ValueError: It is not well-formed XML, or names a wave file that is not there.
    """
    waves: list[WaveFile] = []

    def walk(element: Element, above: dict[str, str]) -> None:
        leaves = {
            safe_xml.local_name(child): (child.text or "").strip()
            for child in element
            if not len(child)
        }
        here = {key.lower(): text for key, text in {**leaves, **element.attrib}.items()}
        here = {**above, **here}
        texts = [*element.attrib.values(), (element.text or "").strip()]
        waves.extend(_wave_file(t, here, folder) for t in texts if t.lower().endswith(".wv"))
        for child in element:
            walk(child, here)

    for channel in safe_xml.parse(data):
        walk(channel, {})
    return waves


def unlisted_wave(name: str) -> WaveFile:
    """Return a wave that no list names: from the start, under its file's name."""
    return WaveFile(name, name.rpartition("/")[2][:50], 0)


def _wave_file(text: str, attributes: dict[str, str], folder: CaseFolder) -> WaveFile:
    name = folder.find(text)
    if name is None:
        raise ValueError(f"wave file {text[:200]!r} is missing")
    label = _attribute(attributes, ("label", "lead", "name")) or f"channel {attributes.get('id')}"
    return WaveFile(
        name,
        label[:50],
        int(_scale(attributes, ("msec", "start"), 0, LONGEST_CASE_MS)),
        _scale(attributes, ("rate", "freq"), WAVE_RATE_HZ, 5000),
        _scale(attributes, ("resol", "lsb", "unitmv"), WAVE_UNIT_MV, 1),
    )


def _attribute(attributes: dict[str, str], words: tuple[str, ...]) -> str:
    """Return the first attribute with one of these words in its key that is no file's name."""
    for word in words:
        for key, text in attributes.items():
            if word in key and text and not text.lower().endswith(".wv"):
                return text
    return ""


def _scale(
    attributes: dict[str, str], words: tuple[str, ...], default: float, largest: float
) -> float:
    try:
        number = float(_attribute(attributes, words))
    except ValueError:
        return default
    return number if math.isfinite(number) and 0 < number <= largest else default


def read_wave(data: bytes) -> Samples:
    """Return the samples of a ``.WV`` file, (n, 1).

    Raises:
        ValueError: It is empty or ends within a sample.
    """
    if not data or len(data) % 2:
        raise ValueError(f"{len(data)} bytes are no whole samples of 16 bits")
    return np.frombuffer(data, ">i2").astype(np.int32)[:, None]


def _milliseconds(element: Element) -> int | None:
    text = element.get("msecs", "").strip()
    if not text.isdecimal() or len(text) > 12 or int(text) > LONGEST_CASE_MS:
        return None
    return int(text)


def _value_with_unit(parameter: Element) -> str:
    value, unit = parameter.get("value", ""), parameter.get("units", "")
    return f"{value} {unit}".strip()[:200]
