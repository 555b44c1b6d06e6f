"""Leads of a waveform: names, scales, steps, and what two limb leads predict of the others.

In a 12-lead ECG only I, II and the precordial leads are measured: Einthoven's law and
Goldberger's definition give III, aVR, aVL and aVF (Malmivuo and Plonsey, Bioelectromagnetism,
1995, sections 15.2 and 15.4). A recording stores all twelve, each rounded on its own, so the four
are predicted and only what the prediction misses is sent.

Many files do not hold the integers of the device's converter but these integers rescaled to
another unit: a converter of 4.88 uV a step written in microvolts holds only every fifth integer.
Where that *step* is known (`streams.ecg_steps` finds it), the number of steps is coded instead,
and the very same integers come back.
"""

from __future__ import annotations

import functools
import hashlib
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int32]
Whole = npt.NDArray[np.int32] | npt.NDArray[np.int64]

MAX_LEADS = 16
SMALLEST_STEP = 1.01
MIN_I32, MAX_I32 = -(2**31), 2**31 - 1

LIMB_LEADS: dict[str, tuple[float, float]] = {
    "iii": (-1.0, 1.0),
    "avr": (-0.5, -0.5),
    "avl": (1.0, -0.5),
    "avf": (-0.5, 1.0),
}
"""Each derivable limb lead as its shares of lead I and of lead II."""


class Lead(msgspec.Struct, frozen=True, cache_hash=True):
    """One channel: its name, its scale, and what a WFDB header says of it.

    Attributes:
        name: Name as the source wrote it, in any case: "aVR", "avr", "PLETH".
        gain: ADC units per physical unit.
        baseline: ADC integer that stands for 0 of the physical unit.
        physical_unit: Unit as the source wrote it: "mV", "mv", "NU", "mmHg".
        adc_resolution_bits: Bits of the converter; 0 where not known.
        adc_zero: ADC integer at the middle of the converter's range.
        invalid: The integer that marks an invalid sample, None where the source has none.
        block_size: Block size of the source's file in bytes, 0 for ordinary files.
        storage_format: WFDB format of the source, such as "16" or "212".
        step: Distance between the values that occur, in ADC units; 0 where every integer may
            occur or nothing is known. At least `SMALLEST_STEP` otherwise.
        step_toward_zero: Whether steps were rounded toward zero, not to the nearest integer.
    """

    name: str
    gain: float
    baseline: int = 0
    physical_unit: str = "mV"
    adc_resolution_bits: int = 0
    adc_zero: int = 0
    invalid: int | None = None
    block_size: int = 0
    storage_format: str = "16"
    step: float = 0.0
    step_toward_zero: bool = False

    def __post_init__(self) -> None:
        """Refuse a scale that cannot be.

        Raises:
            ValueError: A number is out of its range; the message names the lead.
        """
        integers = (self.baseline, self.adc_zero, self.invalid or 0)
        if not all(MIN_I32 <= number <= MAX_I32 for number in integers):
            raise ValueError(f"lead {self.name!r}: an ADC integer is beyond 32 bits")
        if not math.isfinite(self.gain) or self.gain == 0:
            raise ValueError(f"lead {self.name!r}: gain {self.gain!r} is no scale")
        if self.step != 0 and not SMALLEST_STEP <= self.step <= MAX_I32:
            raise ValueError(f"lead {self.name!r}: step {self.step!r} is not above 1 ADC unit")


class EcgSetup(msgspec.Struct, frozen=True, cache_hash=True):
    """The description that a frame needs to be decoded: the leads in their order, and the rate.

    Attributes:
        setup_id: Name of this description; frames of another one are refused by their checksum.
        sampling_frequency_hz: Samples a second of each lead; may be fractional.
        leads: One to `MAX_LEADS` leads, in the order of the sample columns.
    """

    setup_id: str
    sampling_frequency_hz: float
    leads: tuple[Lead, ...]

    def __post_init__(self) -> None:
        """Refuse a description that no frame can have.

        Raises:
            ValueError: The number of leads or the rate is out of range.
        """
        if not 1 <= len(self.leads) <= MAX_LEADS:
            raise ValueError(f"{len(self.leads)} leads: a block holds 1 to {MAX_LEADS}")
        if not (math.isfinite(self.sampling_frequency_hz) and self.sampling_frequency_hz > 0):
            raise ValueError(f"sampling frequency {self.sampling_frequency_hz!r} Hz is none")


def describe(sampling_frequency_hz: float, leads: tuple[Lead, ...]) -> EcgSetup:
    """Return the setup of these leads, with an id that follows from its content."""
    content = msgspec.msgpack.encode((sampling_frequency_hz, leads))
    digest = hashlib.blake2b(content, digest_size=8).hexdigest()
    return EcgSetup(setup_id=digest, sampling_frequency_hz=sampling_frequency_hz, leads=leads)


class StepScale:
    """Steps of several leads, and the two ways over between them and ADC units.

    Args:
        steps: ADC units a step, by lead.
        toward_zero: By lead, whether units were cut toward zero, not rounded to the nearest.
    """

    def __init__(self, steps: Sequence[float], toward_zero: Sequence[bool]) -> None:
        self._steps = np.array(steps, np.float64)[:, None]
        self._per_unit = 1 / self._steps
        self._cut = np.array(toward_zero, np.bool_)[:, None]
        # An integer that was cut lies up to 1 below its step: the middle is half a unit up.
        self._middle = np.where(self._cut, 0.5, 0.0)
        self._some_cut, self._all_cut = any(toward_zero), all(toward_zero)

    def to_units(self, counts: Whole) -> Samples:
        """Return the ADC integers (above the baseline) of (leads, n) whole numbers of steps."""
        return wrap(self._whole_units(counts))

    def to_steps(self, units: Whole) -> tuple[Samples, npt.NDArray[np.bool_]]:
        """Count (leads, n) ADC integers in steps.

        Returns:
            The number of steps nearest to each, and where `to_units` gives it back unchanged.
        """
        middle = units + np.copysign(self._middle, units) if self._some_cut else units
        steps = middle * self._per_unit
        np.rint(steps, out=steps)
        return wrap(steps), self._whole_units(steps) == units

    def _whole_units(self, counts: Whole | npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        exact: npt.NDArray[np.float64] = counts * self._steps
        if self._all_cut:
            return np.trunc(exact, out=exact)
        nearest = np.floor(exact + 0.5)
        return np.where(self._cut, np.trunc(exact), nearest) if self._some_cut else nearest


@dataclass(frozen=True, eq=False)
class LeadPlan:
    """What the codec needs of a setup, as columns of arrays with one row a lead.

    Attributes:
        baselines: (leads, 1) ADC integers that stand for 0.
        invalid: (leads,) marks of invalid samples; `NO_INVALID` where a lead has none.
        may_step: Bit n set where lead n has a step.
        sources: Columns of leads I and II.
        derivable: Columns of the limb leads that I and II predict.
        may_derive: The same as a set.
        fingerprint: Checksum of what decoding depends on.
    """

    baselines: Samples
    invalid: npt.NDArray[np.integer]
    may_step: int
    sources: tuple[int, int]
    derivable: tuple[int, ...]
    may_derive: frozenset[int]
    fingerprint: int
    _has_baseline: bool
    _shares: dict[int, tuple[float, float]]
    _steps: tuple[float, ...]
    _scale: StepScale

    def predict(
        self, lead_i: Samples, lead_ii: Samples, columns: Sequence[int], stepped: int
    ) -> npt.NDArray[np.float64]:
        """Return (len(columns), n) what I and II predict of limb leads, before rounding.

        Args:
            lead_i: (n,) values of lead I, in steps where `stepped` says so.
            lead_ii: (n,) values of lead II, in the same way.
            columns: Columns of the leads to predict, some of `derivable`.
            stepped: Bit n set where lead n counts in steps.
        """
        of_i, of_ii = _shares_in_steps(self, tuple(columns), stepped)
        exact: npt.NDArray[np.float64] = of_i * lead_i + of_ii * lead_ii
        return exact

    def shares_in_steps(self, column: int, stepped: int) -> tuple[float, float]:
        """Return the shares of I and II in one derivable lead, each lead in its own count."""

        # The browser repeats this arithmetic (static/ecg_block.js): same operations, same order.
        def unit(lead: int) -> float:
            return self._steps[lead] if stepped >> lead & 1 else 1.0

        of_i, of_ii = self._shares[column]
        lead_i, lead_ii = self.sources
        return of_i * unit(lead_i) / unit(column), of_ii * unit(lead_ii) / unit(column)

    def to_units(self, rows: Samples) -> Samples:
        """Return (leads, n) ADC integers above each lead's baseline."""
        return rows - self.baselines if self._has_baseline else rows

    def from_units(self, units: Samples) -> Samples:
        """Return the ADC integers as the source has them; the inverse of `to_units`."""
        return units + self.baselines if self._has_baseline else units

    def count_steps(self, units: Samples) -> tuple[Samples, int]:
        """Count in steps the leads whose values all are whole steps.

        Args:
            units: (leads, n) ADC integers above the baseline.

        Returns:
            The values, in steps or as they were, and a mask: bit n set where lead n was counted.
        """
        if not self.may_step:
            return units, 0
        steps, same = self._scale.to_steps(units)
        if same.all():
            return steps, self.may_step
        comes_back = np.logical_and.reduce(same, axis=1)
        mask = int.from_bytes(np.packbits(comes_back, bitorder="little").tobytes(), "little")
        return np.where(comes_back[:, None], steps, units), mask & self.may_step

    def restore_units(self, counts: Samples, stepped: int) -> Samples:
        """Return ADC integers above the baseline; the inverse of `count_steps`."""
        if not stepped:
            return counts
        units = self._scale.to_units(counts)
        if stepped == self.may_step:
            return units
        rows = [[bool(stepped >> lead & 1)] for lead in range(len(counts))]
        return np.where(rows, units, counts)


@functools.lru_cache(maxsize=64)
def _shares_in_steps(
    plan: LeadPlan, columns: tuple[int, ...], stepped: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    table = np.array([plan.shares_in_steps(column, stepped) for column in columns])
    return table[:, :1].copy(), table[:, 1:].copy()


LARGEST_SHARE = 1e6
"""Beyond it one unit of lead I is more than a lead's range: such a prediction says nothing."""

NO_INVALID = 2**40
"""In `LeadPlan.invalid`, for leads without such a mark: a number that no sample can be."""


@functools.lru_cache(maxsize=64)
def plan_of(setup: EcgSetup) -> LeadPlan:
    """Return the codec's plan of a setup; kept for the setups in use."""
    leads = setup.leads
    marks = [NO_INVALID if lead.invalid is None else lead.invalid for lead in leads]
    sources, shares = _limb_shares(leads)
    # A lead without a step has a step of 1 here: it counts itself, whichever way it is rounded.
    steps = tuple(lead.step or 1.0 for lead in leads)
    return LeadPlan(
        baselines=np.array([[lead.baseline] for lead in leads], np.int32),
        invalid=np.array(marks, np.int64 if NO_INVALID in marks else np.int32),
        may_step=sum(1 << column for column, lead in enumerate(leads) if lead.step),
        sources=sources,
        derivable=tuple(shares),
        may_derive=frozenset(shares),
        fingerprint=_fingerprint(setup),
        _has_baseline=any(lead.baseline for lead in leads),
        _shares=shares,
        _steps=steps,
        _scale=StepScale(steps, [lead.step_toward_zero for lead in leads]),
    )


def _fingerprint(setup: EcgSetup) -> int:
    """Return a checksum of what decoding depends on.

    Only these fields, in this order, in all releases: a field that is added to `Lead` later must
    not turn the frames of older recordings into damaged ones.
    """
    checksum = zlib.crc32(setup.setup_id.encode())
    for lead in setup.leads:
        scale = struct.pack("<didB", lead.gain, lead.baseline, lead.step, lead.step_toward_zero)
        checksum = zlib.crc32(scale + lead.name.encode(), checksum)
    return checksum


def _limb_shares(
    leads: tuple[Lead, ...],
) -> tuple[tuple[int, int], dict[int, tuple[float, float]]]:
    """Return the columns of I and II, and by column the shares of the leads they predict.

    A share is in ADC units of the predicted lead per ADC unit of I or II. Leads of another
    physical unit, or so scaled that nothing could be predicted, are left out.
    """
    columns: dict[str, int] = {}
    for column, lead in enumerate(leads):
        # The first of two leads of one name counts; the other is coded plainly.
        columns.setdefault(lead.name.strip().lower(), column)
    if not {"i", "ii"} <= columns.keys():
        return (0, 0), {}
    sources = columns["i"], columns["ii"]
    lead_i, lead_ii = leads[sources[0]], leads[sources[1]]
    shares = {}
    for name, (of_i, of_ii) in LIMB_LEADS.items():
        lead = leads[columns.get(name, 0)]
        units = {of.physical_unit.lower() for of in (lead, lead_i, lead_ii)}
        pair = (of_i * (lead.gain / lead_i.gain), of_ii * (lead.gain / lead_ii.gain))
        if name in columns and len(units) == 1 and max(map(abs, pair)) <= LARGEST_SHARE:
            shares[columns[name]] = pair
    return sources, dict(sorted(shares.items()))


def wrap(numbers: npt.NDArray[np.float64]) -> Samples:
    """Return whole numbers below 2**63 modulo 2**32, as a browser's `| 0` does."""
    return numbers.astype(np.int64).astype(np.int32)
