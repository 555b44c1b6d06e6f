"""Finds the step of a lead whose integers were rescaled from a coarser converter.

A converter of 4.88 uV a step, written in microvolts, gives 0, 5, 10, 15, 20, 24 ...: four of five
integers never occur, and an integer code pays for all of them. The step is found by assigning
each value that occurs its number of steps and intersecting the intervals that rounding leaves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from streams.ecg_leads import Lead, Samples, StepScale

MOST_SAMPLES = 100_000
"""Samples of a lead that are looked at; the codec checks every frame again anyway."""

FEWEST_VALUES = 24
"""Different values that a lead must take before a step is believed."""

SMALLEST_FOUND = 1.9
"""A smaller step gains less than a bit, and is more often a coincidence."""

MULTIPLES = (1.0, 2.0, 0.5)
"""Steps of one record relate so: augmented leads may keep the half that (I + II) / 2 gives."""


@dataclass(frozen=True)
class _Interval:
    """The steps that explain all values: least, most, and how they were rounded."""

    least: float
    most: float
    toward_zero: bool

    def shared_with(self, other: _Interval, multiple: float) -> _Interval | None:
        """Return the steps that explain both, the other lead's being `multiple` times this."""
        least = max(self.least, other.least / multiple)
        most = min(self.most, other.most / multiple)
        if self.toward_zero != other.toward_zero or least >= most:
            return None
        return _Interval(least, most, self.toward_zero)

    def simplest(self) -> float:
        """Return the number of fewest decimals in the interval: most likely the true step."""
        middle = (self.least + self.most) / 2
        rounded = (round(middle, digits) for digits in range(13))
        return next((number for number in rounded if self.least < number < self.most), middle)


def find_steps(leads: Sequence[Lead], samples: Samples) -> tuple[Lead, ...]:
    """Return the leads with their steps, where the samples show that there are any.

    Args:
        leads: The leads, whose own steps are ignored.
        samples: (n, leads) ADC integers of the recording, or its first minutes.
    """
    columns = [_values(lead, samples[:MOST_SAMPLES, n]) for n, lead in enumerate(leads)]
    intervals = [_explain(np.unique(np.abs(values))) for values in columns]
    families: list[_Interval] = []
    for interval in filter(None, intervals):
        _join(families, interval)
    candidates = [
        (family.simplest() * multiple, family.toward_zero)
        for family in families
        for multiple in MULTIPLES
    ]
    return tuple(
        _with_step(lead, values, candidates) for lead, values in zip(leads, columns, strict=True)
    )


def _values(lead: Lead, column: Samples) -> npt.NDArray[np.int64]:
    """Return the values of a lead above its baseline, without invalid samples."""
    different = np.unique(column)
    if lead.invalid is not None:
        different = different[different != lead.invalid]
    return different.astype(np.int64) - lead.baseline


def _join(families: list[_Interval], interval: _Interval) -> None:
    for number, family in enumerate(families):
        for multiple in MULTIPLES:
            shared = family.shared_with(interval, multiple)
            if shared:
                families[number] = shared
                return
    families.append(interval)


def _explain(magnitudes: npt.NDArray[np.int64]) -> _Interval | None:
    """Return the steps that explain ascending magnitudes, or None where none does."""
    if len(magnitudes) < FEWEST_VALUES:
        return None
    distances = np.diff(magnitudes)
    usual = float(np.median(distances))
    if usual < SMALLEST_FOUND:
        return None
    # Rounding spreads one step over two neighbouring distances: 2.44 gives 2 and 3.
    step = float(distances[distances <= 1.5 * usual + 0.5].mean())
    for _ in range(3):
        numbers = np.rint(magnitudes[0] / step) + np.append(0, np.cumsum(np.rint(distances / step)))
        if numbers[-1] == numbers[0]:
            return None
        step = float(np.polyfit(numbers, magnitudes, 1)[0])
        if step < SMALLEST_FOUND:
            return None
    away = magnitudes[magnitudes > step / 2].astype(np.float64)
    return _bounds(away, 0.5, 0.5, step) or _bounds(away, 0.0, 1.0, step)


def _bounds(
    away: npt.NDArray[np.float64], below: float, above: float, step: float
) -> _Interval | None:
    """Intersect what each magnitude allows, its exact value lying `below` or `above` it."""
    numbers = np.rint((away + (above - below) / 2) / step)
    if not numbers.all():
        return None
    least, most = ((away - below) / numbers).max(), ((away + above) / numbers).min()
    if least >= most:
        return None
    return _Interval(float(least), float(most), toward_zero=below == 0)


def _with_step(
    lead: Lead, values: npt.NDArray[np.int64], candidates: Sequence[tuple[float, bool]]
) -> Lead:
    """Return the lead with the largest candidate that all of its values are whole steps of."""
    found, found_toward_zero = 0.0, False
    if len(values) >= FEWEST_VALUES:
        for step, toward_zero in candidates:
            if step < max(SMALLEST_FOUND, found):
                continue
            _, comes_back = StepScale([step], [toward_zero]).to_steps(values[None])
            if comes_back.all():
                found, found_toward_zero = step, toward_zero
    return msgspec.structs.replace(lead, step=found, step_toward_zero=found_toward_zero)
