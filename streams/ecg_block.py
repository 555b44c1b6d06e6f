"""The ECG block: a lossless frame of 1 to 16 leads, decodable alone given its `EcgSetup`.

What travels are the ADC integers of the source. Each lead of a frame is coded in whichever of
these ways leaves least:

* *derived*: a limb lead as the residual to what leads I and II predict, rounded to the nearest
  integer or down, as fits the source (`streams.ecg_leads`);
* *plain*: first or second differences in time (one choice for the frame), or what these differ
  from the differences of the plain lead before (neighbouring precordial leads move together).

The residuals are folded to unsigned integers, laid out in byte planes, and packed by the standard
library's zlib (`streams.ecg_residuals`).

Layout, little-endian; all sums and differences are modulo 2**32, so any 32-bit integer survives:

    0   u8   version, 1
    1   u8   flags: bits 0-1 byte planes of the plain leads - 1, bits 2-3 of the derived leads - 1,
             bit 4 first values are 32 bits wide, bit 5 a mask of stepped leads follows,
             bit 6 second differences, bit 7 the derived leads leave no residual
    2   u16  samples of each lead, 1 to 65535
    4   i64  number of the first sample since the start of the recording
    12  u8   leads
    13  u32  CRC-32 of all other bytes, continued from the fingerprint of the setup
    17  u16  only with flag bit 5: bit n set where lead n counts in its `Lead.step`
        u2   per lead, four to a byte from the lowest bits: 0 plain, 1 plain less the lead before,
             2 derived to the nearest, 3 derived and rounded down
        i16 or i32 per plain lead: its first value
        ...  raw deflate of the residuals
"""

from __future__ import annotations

import functools
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streams.ecg_leads import (
    MAX_I32,
    MAX_LEADS,
    MIN_I32,
    EcgSetup,
    Lead,
    LeadPlan,
    Samples,
    describe,
    plan_of,
    wrap,
)
from streams.ecg_residuals import EcgBlockError, pack_residuals, unpack_residuals

__all__ = [
    "MAX_LEADS",
    "MAX_SAMPLES",
    "EcgBlockError",
    "EcgSetup",
    "Frame",
    "FrameEncoder",
    "Lead",
    "decode_frame",
    "describe",
    "encode_frame",
    "frame_span",
]

VERSION = 1
MAX_SAMPLES = 0xFFFF
"""Most samples of a lead in one frame; bounds what a decoder ever allocates (some 50 MiB)."""

_HEADER = struct.Struct("<BBHqBI")
_CHECKSUM_AT = _HEADER.size - 4
_WIDE, _STEPPED, _SECOND, _EXACT = 0x10, 0x20, 0x40, 0x80
_PLAIN, _LESS_BEFORE, _NEAREST, _DOWN = range(4)


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded frame.

    Attributes:
        first_sample: Number of its first sample since the start of the recording.
        samples: (n, leads) ADC integers, exactly as encoded.
        valid: (n, leads) false where the sample is the lead's mark of an invalid one.
    """

    first_sample: int
    samples: Samples
    valid: npt.NDArray[np.bool_]


CHOICE_FRAMES = 10
"""The modes of the leads are chosen anew after so many frames of a recording."""


class FrameEncoder:
    """Encodes the frames of one recording.

    Which mode of a lead leaves least follows from where it is and from the converter, and changes
    slowly: it is looked for in every `CHOICE_FRAMES`th frame only. (First or second differences
    are chosen for each frame: that follows the heartbeat.) Each frame still says how it is coded
    and is decodable alone.

    Args:
        setup: The description of the leads.
    """

    def __init__(self, setup: EcgSetup) -> None:
        self._plan = plan_of(setup)
        self._coding = _Coding(())
        self._stepped = 0
        self._frames_until_choice = 0

    def encode(self, first_sample: int, samples: npt.NDArray[np.integer]) -> bytes:
        """Encode the next frame; frames of 100 to 500 ms are what the format is made for.

        Args:
            first_sample: Number of the first sample since the start of the recording, from 0.
            samples: (n, leads) ADC integers within 32 bits, n from 1 to `MAX_SAMPLES`.

        Raises:
            ValueError: The samples do not fit the setup or the format.
        """
        plan = self._plan
        if not 0 <= first_sample < 2**63:
            raise ValueError(f"first sample {first_sample} is not a 64-bit count")
        counts, stepped = plan.count_steps(plan.to_units(_as_rows(samples, plan)))
        if not self._frames_until_choice or stepped != self._stepped:
            self._coding, self._stepped = _choose(plan, counts, stepped), stepped
            self._frames_until_choice = CHOICE_FRAMES
        self._frames_until_choice -= 1
        return _pack(plan, first_sample, counts, stepped, self._coding)


def encode_frame(setup: EcgSetup, first_sample: int, samples: npt.NDArray[np.integer]) -> bytes:
    """Encode one frame by itself; see `FrameEncoder.encode`."""
    return FrameEncoder(setup).encode(first_sample, samples)


def decode_frame(setup: EcgSetup, data: bytes | bytearray | memoryview) -> Frame:
    """Decode one frame; the inverse of `encode_frame`.

    Raises:
        EcgBlockError: The bytes are damaged, truncated, of another version or another setup.
    """
    plan = plan_of(setup)
    data = bytes(data)
    flags, length, first_sample = _check(plan, data)
    body = _Reader(data, _HEADER.size)
    stepped = int.from_bytes(body.take(2), "little") if flags & _STEPPED else 0
    leads = len(setup.leads)
    coding = _coding_of(body.take((leads + 3) // 4), leads)
    if stepped & ~plan.may_step or not plan.may_derive.issuperset(coding.derived):
        raise EcgBlockError("a lead is coded in a way that the setup does not allow")
    dtype, width = ("<i4", 4) if flags & _WIDE else ("<i2", 2)
    first = np.frombuffer(body.take(len(coding.plain) * width), dtype)
    missing = 0 if flags & _EXACT else len(coding.derived)
    plain, derived = unpack_residuals(
        flags, body.rest(), (len(coding.plain), length - 1), (missing, length)
    )
    counts = _restore_plain(coding, first, plain, second=bool(flags & _SECOND))
    if coding.derived:
        lead_i, lead_ii = (counts[coding.plain.index(source)] for source in plan.sources)
        limb = coding.predict(plan, lead_i, lead_ii, stepped)
        counts = np.concatenate((counts, limb + derived if missing else limb)).take(coding.back, 0)
    samples = np.ascontiguousarray(plan.from_units(plan.restore_units(counts, stepped)).T)
    return Frame(first_sample, samples, samples != plan.invalid)


def frame_span(data: bytes) -> tuple[int, int]:
    """Return the first sample and the samples of each lead that a frame says it has.

    Only the header is read: whether the frame is whole shows when it is decoded.

    Raises:
        EcgBlockError: It is shorter than a header, or of another version.
    """
    if len(data) < _HEADER.size:
        raise EcgBlockError(f"{len(data)} bytes: shorter than a header")
    version, _, length, first_sample, _, _ = _HEADER.unpack_from(data)
    if version != VERSION:
        raise EcgBlockError(f"version {version} is not {VERSION}")
    return first_sample, length


def _as_rows(samples: npt.NDArray[np.integer], plan: LeadPlan) -> Samples:
    leads = len(plan.baselines)
    if samples.ndim != 2 or samples.shape[1] != leads or not 1 <= len(samples) <= MAX_SAMPLES:
        raise ValueError(
            f"samples of shape {samples.shape} are not (1..{MAX_SAMPLES}, {leads} leads)"
        )
    if samples.dtype != np.int32 and (samples.min() < MIN_I32 or samples.max() > MAX_I32):
        raise ValueError("a sample is beyond 32 bits")
    return np.ascontiguousarray(samples.T, dtype=np.int32)


class _Coding:
    """How the leads of a frame are coded, and what follows from it.

    Attributes:
        packed: The modes as they travel.
        plain: Columns of the plain leads.
        derived: Columns of the derived leads.
        back: From plain and derived leads to all in their order.
        less_before: Numbers, among the plain leads, of those less the one before; the last first.
    """

    def __init__(self, modes: tuple[int, ...]) -> None:
        number = sum(mode << 2 * lead for lead, mode in enumerate(modes))
        self.packed = number.to_bytes((len(modes) + 3) // 4, "little")
        self.plain = [column for column, mode in enumerate(modes) if mode < _NEAREST]
        self.derived = [column for column, mode in enumerate(modes) if mode >= _NEAREST]
        self.plain_rows = np.array(self.plain, np.intp)
        self.derived_rows = np.array(self.derived, np.intp)
        self.back = np.argsort([*self.plain, *self.derived])
        numbers = reversed(range(len(self.plain)))
        self.less_before = [n for n in numbers if modes[self.plain[n]] == _LESS_BEFORE]
        self._bias = np.array([[_BIAS[modes[column]]] for column in self.derived])

    def predict(self, plan: LeadPlan, lead_i: Samples, lead_ii: Samples, stepped: int) -> Samples:
        """Return the (derived leads, n) integers that (n,) leads I and II predict."""
        exact = plan.predict(lead_i, lead_ii, self.derived, stepped)
        exact += self._bias
        return wrap(np.floor(exact, out=exact))


_BIAS = {_NEAREST: 0.5, _DOWN: 0.0}
"""What is added before rounding down: to the nearest (halves up), and down."""


@functools.lru_cache(maxsize=256)
def _coding_of(packed: bytes, leads: int) -> _Coding:
    number = int.from_bytes(packed, "little")
    return _Coding(tuple(number >> 2 * lead & 3 for lead in range(leads)))


def _magnitude(residuals: Samples) -> npt.NDArray[np.int64]:
    """Return the sum of magnitudes along time: a cheap stand-in for the bits they will cost."""
    total: npt.NDArray[np.int64] = np.add.reduce(np.absolute(residuals), axis=-1)
    return total


def _differences(counts: Samples) -> tuple[Samples, Samples]:
    """Return (leads, n - 1) first and second differences in time, these beginning with a first."""
    first: Samples = counts[:, 1:] - counts[:, :-1]
    second = first.copy()
    second[:, 1:] -= first[:, :-1]
    return first, second


def _choose(plan: LeadPlan, counts: Samples, stepped: int) -> _Coding:
    """Return the coding that leaves the smallest residuals of these (leads, n) values."""
    differences = _differences(counts)
    costs = [_magnitude(found).tolist() for found in differences]
    modes = [_PLAIN] * len(counts)
    _choose_derived(plan, counts, stepped, list(map(min, *costs)), modes)
    plain = [column for column, mode in enumerate(modes) if mode == _PLAIN]
    totals = [sum(map(of_order.__getitem__, plain)) for of_order in costs]
    order = totals[1] < totals[0]
    rows = differences[order].take(plain, axis=0)
    for column, cost in zip(plain[1:], _magnitude(rows[1:] - rows[:-1]).tolist(), strict=True):
        if cost < costs[order][column]:
            modes[column] = _LESS_BEFORE
    return _Coding(tuple(modes))


def _choose_derived(
    plan: LeadPlan, counts: Samples, stepped: int, plain_costs: list[int], modes: list[int]
) -> None:
    """Note in `modes` the leads that cost less when derived."""
    columns = plan.derivable
    if not columns:
        return
    lead_i, lead_ii = (counts[source] for source in plan.sources)
    exact = plan.predict(lead_i, lead_ii, columns, stepped)
    rows = counts.take(columns, axis=0)
    for mode, bias in _BIAS.items():
        misses = _magnitude(rows - wrap(np.floor(exact + bias))).tolist()
        for column, cost in zip(columns, misses, strict=True):
            if cost < plain_costs[column]:
                plain_costs[column], modes[column] = cost, mode


def _pack(
    plan: LeadPlan, first_sample: int, counts: Samples, stepped: int, coding: _Coding
) -> bytes:
    """Return the frame of these (leads, n) values in this coding."""
    rows = counts.take(coding.plain_rows, axis=0)
    differences = _differences(rows)
    totals = [np.add.reduce(np.absolute(found), axis=None) for found in differences]
    second = bool(totals[1] < totals[0])
    plain = differences[second]
    for number in coding.less_before:
        plain[number] -= plain[number - 1]
    derived = counts[:0]
    if coding.derived:
        lead_i, lead_ii = (counts[source] for source in plan.sources)
        misses = counts.take(coding.derived_rows, axis=0)
        misses -= coding.predict(plan, lead_i, lead_ii, stepped)
        derived = misses if misses.any() else derived
    first = rows[:, 0]
    narrow = first.astype("<i2")
    wide = not np.array_equal(narrow, first)
    flags, payload = pack_residuals(plain, derived)
    flags |= _WIDE * wide | _STEPPED * bool(stepped) | _SECOND * second
    flags |= _EXACT * (not len(derived))
    head = _HEADER.pack(VERSION, flags, counts.shape[1], first_sample, len(counts), 0)
    mask = stepped.to_bytes(2, "little") if stepped else b""
    values = (first.astype("<i4") if wide else narrow).tobytes()
    body = b"".join((mask, coding.packed, values, payload))
    checksum = zlib.crc32(body, zlib.crc32(head[:_CHECKSUM_AT], plan.fingerprint))
    return head[:_CHECKSUM_AT] + checksum.to_bytes(4, "little") + body


def _restore_plain(
    coding: _Coding, first: npt.NDArray[np.integer], residuals: Samples, *, second: bool
) -> Samples:
    """Return the rows of the plain leads, first values included."""
    for number in reversed(coding.less_before):
        if not number:
            raise EcgBlockError("the first plain lead has none before it")
        residuals[number] += residuals[number - 1]
    rows = np.empty((len(residuals), residuals.shape[1] + 1), np.int32)
    rows[:, 0] = first
    if second:
        np.add.accumulate(residuals, axis=1, out=residuals)
    rows[:, 1:] = residuals
    return np.add.accumulate(rows, axis=1, out=rows)


def _check(plan: LeadPlan, data: bytes) -> tuple[int, int, int]:
    """Return flags, samples of each lead and first sample of a frame that is whole."""
    first_sample, length = frame_span(data)
    _, flags, _, _, leads, checksum = _HEADER.unpack_from(data)
    if leads != len(plan.baselines):
        raise EcgBlockError(f"{leads} leads: the setup has {len(plan.baselines)}")
    seed = zlib.crc32(data[:_CHECKSUM_AT], plan.fingerprint)
    if zlib.crc32(data[_HEADER.size :], seed) != checksum:
        raise EcgBlockError("checksum differs: damaged, or a frame of another setup")
    if not length or first_sample < 0:
        raise EcgBlockError("header out of range")
    return flags, length, first_sample


class _Reader:
    """Takes the parts of a body in order; refuses to read past its end."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data = data
        self._at = start

    def take(self, size: int) -> bytes:
        part = self._data[self._at : self._at + size]
        if len(part) < size:
            raise EcgBlockError(f"body ends {size - len(part)} bytes early")
        self._at += size
        return part

    def rest(self) -> bytes:
        return self._data[self._at :]
