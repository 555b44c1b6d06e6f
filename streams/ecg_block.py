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
from streams.ecg_residuals import (
    EcgBlockError,
    pack_modes,
    pack_residuals,
    unpack_modes,
    unpack_residuals,
)

__all__ = [
    "MAX_LEADS",
    "MAX_SAMPLES",
    "EcgBlockError",
    "EcgSetup",
    "Frame",
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


def encode_frame(setup: EcgSetup, first_sample: int, samples: npt.NDArray[np.integer]) -> bytes:
    """Encode one frame; frames of 100 to 500 ms are what the format is made for.

    Args:
        setup: The description of the leads.
        first_sample: Number of the first sample since the start of the recording, from 0.
        samples: (n, leads) ADC integers within 32 bits, n from 1 to `MAX_SAMPLES`.

    Raises:
        ValueError: The samples do not fit the setup or the format.
    """
    plan = plan_of(setup)
    if not 0 <= first_sample < 2**63:
        raise ValueError(f"first sample {first_sample} is not a 64-bit count")
    counts, stepped = plan.count_steps(plan.to_units(_as_rows(samples, plan)))
    modes, second, plain, derived = _choose(plan, counts, stepped)
    first = counts[:, 0].tolist()
    first = [first[column] for column in _order_of(modes).plain]
    wide = min(first) < -0x8000 or max(first) > 0x7FFF
    flags, payload = pack_residuals(plain, derived)
    flags |= (
        _WIDE * wide | _STEPPED * bool(stepped) | _SECOND * second | _EXACT * (not len(derived))
    )
    head = _HEADER.pack(VERSION, flags, counts.shape[1], first_sample, len(counts), 0)
    mask = stepped.to_bytes(2, "little") if stepped else b""
    values = struct.pack(f"<{len(first)}{'i' if wide else 'h'}", *first)
    body = b"".join((mask, pack_modes(modes), values, payload))
    checksum = zlib.crc32(body, zlib.crc32(head[:_CHECKSUM_AT], plan.fingerprint))
    return head[:_CHECKSUM_AT] + checksum.to_bytes(4, "little") + body


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
    modes = unpack_modes(body.take((leads + 3) // 4), leads)
    order = _order_of(modes)
    if stepped & ~plan.may_step or not plan.may_derive.issuperset(order.derived):
        raise EcgBlockError("a lead is coded in a way that the setup does not allow")
    dtype, width = ("<i4", 4) if flags & _WIDE else ("<i2", 2)
    first = np.frombuffer(body.take(len(order.plain) * width), dtype)
    missing = 0 if flags & _EXACT else len(order.derived)
    plain, derived = unpack_residuals(
        flags, body.rest(), (len(order.plain), length - 1), (missing, length)
    )
    counts = _restore_plain(modes, first, plain, second=bool(flags & _SECOND))
    if order.derived:
        limb = _restore_derived(plan, counts, modes, stepped)
        counts = np.concatenate((counts, limb + derived if missing else limb)).take(order.back, 0)
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


@dataclass(frozen=True, slots=True)
class _Order:
    """The columns of the plain leads, of the derived leads, and back to all in their order."""

    plain: list[int]
    derived: list[int]
    plain_rows: npt.NDArray[np.intp]
    back: npt.NDArray[np.intp]


@functools.lru_cache(maxsize=256)
def _order_of(modes: tuple[int, ...]) -> _Order:
    plain = [column for column, mode in enumerate(modes) if mode < _NEAREST]
    derived = [column for column, mode in enumerate(modes) if mode >= _NEAREST]
    return _Order(plain, derived, np.array(plain, np.intp), np.argsort([*plain, *derived]))


def _magnitude(residuals: Samples) -> npt.NDArray[np.int64]:
    """Return the sum of magnitudes along time: a cheap stand-in for the bits they will cost."""
    total: npt.NDArray[np.int64] = np.add.reduce(np.absolute(residuals), axis=-1)
    return total


def _choose(
    plan: LeadPlan, counts: Samples, stepped: int
) -> tuple[tuple[int, ...], bool, Samples, Samples]:
    """Return the mode of each lead, the order of differences, and both kinds of residuals.

    No derived residuals are returned where all are 0.
    """
    leads, length = counts.shape
    differences = np.empty((2, leads, length - 1), np.int32)
    first, second = differences
    np.subtract(counts[:, 1:], counts[:, :-1], out=first)
    second[:, :1] = first[:, :1]
    np.subtract(first[:, 1:], first[:, :-1], out=second[:, 1:])
    costs = _magnitude(differences)
    by_order = costs.tolist()
    modes, derived = _choose_derived(plan, counts, stepped, list(map(min, *by_order)))
    columns = _order_of(tuple(modes))
    totals = [sum(map(of_order.__getitem__, columns.plain)) for of_order in by_order]
    order = int(totals[1] < totals[0])
    plain = differences[order].take(columns.plain_rows, axis=0)
    less_before = plain[1:] - plain[:-1]
    for number, cost in enumerate(_magnitude(less_before).tolist()):
        column = columns.plain[number + 1]
        if cost < by_order[order][column]:
            plain[number + 1] = less_before[number]
            modes[column] = _LESS_BEFORE
    return tuple(modes), bool(order), plain, derived


_ROUNDINGS = np.array([[[0.5]], [[0.0]]])
"""What is added before rounding down: to the nearest (halves up), and down."""


def _choose_derived(
    plan: LeadPlan, counts: Samples, stepped: int, plain_costs: list[int]
) -> tuple[list[int], Samples]:
    modes = [_PLAIN] * len(counts)
    columns = plan.derivable
    if not columns:
        return modes, counts[:0]
    lead_i, lead_ii = (counts[source] for source in plan.sources)
    guesses = np.floor(plan.predict(lead_i, lead_ii, columns, stepped) + _ROUNDINGS)
    misses = counts.take(columns, axis=0) - wrap(guesses)
    sent = []
    for number, of_roundings in enumerate(_magnitude(misses).T.tolist()):
        rounding = int(of_roundings[1] < of_roundings[0])
        if of_roundings[rounding] < plain_costs[columns[number]]:
            modes[columns[number]] = _NEAREST + rounding
            sent.append(misses[rounding, number])
    derived = np.array(sent) if sent else counts[:0]
    return modes, derived if derived.any() else counts[:0]


def _restore_plain(
    modes: tuple[int, ...], first: npt.NDArray[np.integer], residuals: Samples, *, second: bool
) -> Samples:
    """Return the rows of the plain leads, first values included."""
    before = -1
    for number, column in enumerate(_order_of(modes).plain):
        if modes[column] == _LESS_BEFORE:
            if before < 0:
                raise EcgBlockError("the first plain lead has none before it")
            residuals[number] += residuals[before]
        before = number
    rows = np.empty((len(residuals), residuals.shape[1] + 1), np.int32)
    rows[:, 0] = first
    if second:
        np.add.accumulate(residuals, axis=1, out=residuals)
    rows[:, 1:] = residuals
    return np.add.accumulate(rows, axis=1, out=rows)


def _restore_derived(
    plan: LeadPlan, plain: Samples, modes: tuple[int, ...], stepped: int
) -> Samples:
    """Return what I and II, among the plain leads, predict of the derived leads."""
    order = _order_of(modes)
    lead_i, lead_ii = (plain[order.plain.index(source)] for source in plan.sources)
    bias = np.array([[0.5 if modes[column] == _NEAREST else 0.0] for column in order.derived])
    return wrap(np.floor(plan.predict(lead_i, lead_ii, order.derived, stepped) + bias))


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
