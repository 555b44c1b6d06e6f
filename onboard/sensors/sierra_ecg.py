"""Stored 12-leads of Philips devices: SierraECG XML 1.03 to 1.04.02 with XLI compression.

The samples stand in ``parsedwaveforms`` as Base64: per lead an 8-byte header (size as i32, two
bytes of unknown use, first delta as i16, little-endian) and an LZW stream of 10-bit codes. That
expands to the high bytes and then the low bytes of 16-bit second differences. The augmented
limb leads and III are what is left after I and II have predicted them. The layout was worked
out by the sierra-ecg-tools project (MIT); its reader follows sizes backwards and expands without
bound, so that a damaged file never ends there, hence an own one.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np
import numpy.typing as npt

from onboard.sensors import safe_xml
from onboard.sensors.readings import Samples
from streams.ecg_block import MAX_LEADS, Lead

LARGEST_FILE_BYTES = 4 * 1024 * 1024
"""Real files have 70 to 250 KiB."""

LONGEST_LEAD = 100_000
"""Samples of a lead that are taken; real files have 5,500."""

INVALID = -32768
"""What stands for a sample during which the device found the lead off or out of range."""

_LIMBS = ("I", "II", "III", "aVR", "aVL", "aVF")
_STANDARD = (*_LIMBS, "V1", "V2", "V3", "V4", "V5", "V6")
_CODE_BITS = 10
_LAST_CODE = (1 << _CODE_BITS) - 2

Row = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class TwelveLead:
    """A stored 12-lead.

    Attributes:
        leads: The leads in the file's order.
        rate_hz: Samples a second.
        samples: (n, leads) ADC integers; ``INVALID`` where the device found the lead off.
        device: The device's name in the file.
        acquired: Its date and time of the recording, local, as ``2011-12-13T14:26:04``.
        statements: The device's own words about the trace.
        inoperative: Leads of which some part is invalid.
    """

    leads: tuple[Lead, ...]
    rate_hz: float
    samples: Samples
    device: str
    acquired: str
    statements: tuple[str, ...]
    inoperative: tuple[str, ...]


def read_twelve_lead(data: bytes) -> TwelveLead:
    """Read a SierraECG document.

    Raises:
        ValueError: It is none, is damaged, or of a kind that is not known.
    """
    if len(data) > LARGEST_FILE_BYTES:
        raise ValueError(f"{len(data)} bytes are over {LARGEST_FILE_BYTES}")
    root = safe_xml.parse(data)
    if safe_xml.local_name(root) != "restingecgdata":
        raise ValueError(f"root element is {safe_xml.local_name(root)!r}, not 'restingecgdata'")
    waveforms = next(safe_xml.descendants(root, "parsedwaveforms"), None)
    if waveforms is None:
        raise ValueError("no element 'parsedwaveforms'")
    names = _lead_names(waveforms)
    rows = _decode(waveforms, len(names))
    if tuple(names[:6]) == _LIMBS:
        _restore_limb_leads(rows)
    if min(row.min() for row in rows) < -32767 or max(row.max() for row in rows) > 32767:
        raise ValueError("a sample is beyond 16 bits")
    rate_hz = _positive(waveforms.get("samplespersecond") or _text(root, "samplingrate") or "500")
    unit_uv = _positive(waveforms.get("resolution") or _text(root, "signalresolution") or "5")
    samples = np.stack(rows, axis=1).astype(np.int32)
    inoperative = _mark_invalid(root, names, samples, rate_hz)
    leads = tuple(
        Lead(name, gain=1000 / unit_uv, adc_resolution_bits=16, invalid=INVALID) for name in names
    )
    acquisition = next(safe_xml.descendants(root, "dataacquisition"), root)
    return TwelveLead(
        leads=leads,
        rate_hz=rate_hz,
        samples=samples,
        device=_text(root, "machine") or "Philips SierraECG",
        acquired=f"{acquisition.get('date', '')}T{acquisition.get('time', '')}",
        statements=tuple(_statements(root)),
        inoperative=inoperative,
    )


def _lead_names(waveforms: Element) -> list[str]:
    names = (waveforms.get("leadlabels") or "").split() or list(_STANDARD)
    count = int(_positive(waveforms.get("numberofleads") or str(len(names))))
    if not 1 <= count <= min(len(names), MAX_LEADS):
        raise ValueError(f"{count} leads with {len(names)} names: 1 to {MAX_LEADS} can be")
    return names[:count]


def _decode(waveforms: Element, leads: int) -> list[Row]:
    """Return a row of stored values per lead, all of the same length."""
    if waveforms.get("dataencoding") != "Base64":
        raise ValueError(f"encoding {waveforms.get('dataencoding')!r} is not known")
    try:
        packed = base64.b64decode("".join((waveforms.text or "").split()), validate=True)
    except binascii.Error as error:
        raise ValueError(f"the waveform is not Base64: {error}") from error
    compression = waveforms.get("compressmethod") or waveforms.get("compression") or "Uncompressed"
    if compression == "XLI":
        rows = [_expand_xli(chunk, start) for chunk, start in _xli_chunks(packed)][:leads]
    elif compression == "Uncompressed":
        values = np.frombuffer(packed[: len(packed) // 2 * 2], "<i2").astype(np.int64)
        length = len(values) // leads
        rows = [values[n * length : (n + 1) * length] for n in range(leads)]
    else:
        raise ValueError(f"compression {compression!r} is not known")
    if len(rows) != leads:
        raise ValueError(f"{len(rows)} of {leads} leads are there")
    lengths = {len(row) for row in rows}
    if len(lengths) != 1 or not 2 <= lengths.pop() <= LONGEST_LEAD:
        raise ValueError(f"leads of {sorted(len(row) for row in rows)} samples")
    return rows


def _xli_chunks(packed: bytes) -> Iterator[tuple[bytes, int]]:
    offset = 0
    while offset < len(packed):
        size = int.from_bytes(packed[offset : offset + 4], "little", signed=True)
        start = int.from_bytes(packed[offset + 6 : offset + 8], "little", signed=True)
        offset += 8
        if size <= 0 or offset + size > len(packed):
            raise ValueError(f"a lead of {size} bytes at {offset} of {len(packed)}")
        yield packed[offset : offset + size], start
        offset += size


def _expand_xli(chunk: bytes, start: int) -> Row:
    """Return the values of a lead from its compressed second differences."""
    expanded = _expand_lzw(chunk)
    expanded += b"\0" * (len(expanded) % 2)
    half = len(expanded) // 2
    if half < 2:
        raise ValueError("a lead of fewer than 2 samples")
    high = np.frombuffer(expanded[:half], np.int8).astype(np.int64)
    low = np.frombuffer(expanded[half:], np.uint8).astype(np.int64)
    stored = high * 256 + low
    # value[n] = 2 value[n-1] - value[n-2] - difference[n]; the first difference is in the header.
    second = np.empty(half - 2, np.int64)
    second[:1] = start
    second[1:] = stored[2:-1] - 64
    slope = np.concatenate(([stored[1] - stored[0]], -second)).cumsum()
    return np.concatenate(([stored[0]], slope)).cumsum()


def _expand_lzw(data: bytes) -> bytes:
    """Expand an LZW stream (Welch 1984) of 10-bit codes, the first bit the highest."""
    table = [bytes([value]) for value in range(256)]
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    usable = len(bits) // _CODE_BITS * _CODE_BITS
    codes = bits[:usable].reshape(-1, _CODE_BITS) @ (1 << np.arange(_CODE_BITS)[::-1])
    expanded = bytearray()
    before = b""
    for code in codes.tolist():
        if code > _LAST_CODE:
            break
        if code < len(table):
            entry = table[code]
        elif code == len(table) and before:
            entry = before + before[:1]
        else:
            raise ValueError(f"LZW code {code} is not in the table of {len(table)}")
        expanded += entry
        if len(expanded) > 2 * LONGEST_LEAD:
            raise ValueError(f"a lead of more than {LONGEST_LEAD} samples")
        if before and len(table) <= _LAST_CODE:
            table.append(before + entry[:1])
        before = entry
    return bytes(expanded)


def _restore_limb_leads(rows: list[Row]) -> None:
    """Put III and the augmented leads together from what I and II predict; in place."""
    lead_i, lead_ii = rows[0], rows[1]
    rows[2] = lead_ii - lead_i - rows[2]
    rows[3] = -((lead_i + lead_ii) // 2) - rows[3]
    rows[4] = (lead_i - rows[2]) // 2 - rows[4]
    rows[5] = (lead_ii + rows[2]) // 2 - rows[5]


def _mark_invalid(
    root: Element, names: list[str], samples: Samples, rate_hz: float
) -> tuple[str, ...]:
    """Mark the samples of the device's ``inop`` stretches; return the leads that have some."""
    inoperative: list[str] = []
    for measurement in safe_xml.descendants(root, "leadmeasurement"):
        name = measurement.get("leadname", "")
        for stretch in safe_xml.descendants(measurement, "inop"):
            start, length = (stretch.get(key, "") for key in ("starttime", "duration"))
            if name not in names or not (start.isdecimal() and length.isdecimal()):
                continue
            first = int(int(start[:9]) * rate_hz / 1000)
            end = int((int(start[:9]) + int(length[:9])) * rate_hz / 1000)
            samples[first:end, names.index(name)] = INVALID
            if name not in inoperative and end > first:
                inoperative.append(name)
    return tuple(inoperative)


def _statements(root: Element) -> Iterator[str]:
    for element in root.iter():
        if safe_xml.local_name(element) in {"severity", "leftstatement"}:
            text = re.sub(r"\s+", " ", "".join(element.itertext())).strip()
            if text:
                yield text


def _text(root: Element, name: str) -> str:
    element = next(safe_xml.descendants(root, name), None)
    return "" if element is None else (element.text or "").strip()


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number <= 1e6:
        raise ValueError(f"{text!r} is no positive number")
    return number
