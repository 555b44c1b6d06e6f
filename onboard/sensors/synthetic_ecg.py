"""A 12-lead ECG that is drawn: beats of a library's model, placed at the rate that is asked for.

The model (McSharry et al. 2003, doi:10.1109/TBME.2003.808805, as neurokit2 has it) gives some
beats of I, II and V1 to V6 once, at the start, with the wave heights of a healthy adult. III and
the augmented leads follow from I and II (Einthoven, Goldberger); in neurokit2's own twelve leads
they do not, and its T waves are higher than its R waves. Beats are then set one after the other:
P and QRS as they are, the repolarisation shorter when the heart is faster (Bazett: with the root
of the interval). That is cheap enough for many vehicles on one machine, and the rate can follow
a scenario.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from onboard.sensors.readings import Samples
from streams.ecg_block import Lead

Signal = npt.NDArray[np.float64]

LEAD_NAMES = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
GAIN_PER_MV = 400.0
"""2.5 uV a unit, as in diagnostic carts."""

WAVES_MV: dict[str, tuple[float, float, float, float, float]] = {
    "I": (0.08, -0.05, 0.75, -0.10, 0.20),
    "II": (0.13, -0.06, 1.05, -0.15, 0.30),
    "V1": (0.06, 0.0, 0.22, -0.95, -0.05),
    "V2": (0.07, 0.0, 0.45, -1.25, 0.40),
    "V3": (0.07, -0.02, 0.75, -0.75, 0.45),
    "V4": (0.08, -0.05, 1.30, -0.40, 0.42),
    "V5": (0.08, -0.06, 1.25, -0.20, 0.33),
    "V6": (0.08, -0.06, 0.95, -0.10, 0.25),
}
"""Heights of P, Q, R, S and T in the measured leads; ordinary ones of a healthy adult."""

_MEASURED = tuple(WAVES_MV)
_MODEL_HEIGHT = 0.3
"""Height of the model's R wave at its own settings, which keeps its solver at ease."""

_SETTLING_S = 5
"""The model's baseline comes to rest with a time constant of 1 s."""

_MODEL_WIDTHS = (0.25, 0.1, 0.1, 0.1, 0.4)
"""Widths of the five waves in the model (``bi``); a wave is ``ai`` times its width squared high."""

_BEFORE_S, _AFTER_S = 0.25, 0.45
_TAPER_S = 0.04
_RATE_OF_MODEL = 72
_NOISE_MV = 0.004
_IRREGULARITY = 0.02


def leads() -> tuple[Lead, ...]:
    """Return the description of the twelve leads."""
    return tuple(Lead(name, GAIN_PER_MV, adc_resolution_bits=16) for name in LEAD_NAMES)


@dataclass(frozen=True, slots=True, eq=False)
class Beats:
    """Beats of the model.

    Attributes:
        rate_hz: Samples a second.
        shapes: (beats, samples, 8) mV of the measured leads, from `_BEFORE_S` before the R peak.
    """

    rate_hz: int
    shapes: Signal


def model_beats(neurokit: Any, rate_hz: int, seed: int) -> Beats:
    """Let neurokit2 make some beats; takes a second or so.

    Args:
        neurokit: The module ``neurokit2``.
        rate_hz: Samples a second.
        seed: Seed of the model.
    """

    def simulate(heights: Sequence[float]) -> Signal:
        strengths = [
            height * _MODEL_HEIGHT / width**2
            for height, width in zip(heights, _MODEL_WIDTHS, strict=True)
        ]
        lead = neurokit.ecg_simulate(
            duration=_SETTLING_S + 6,
            sampling_rate=rate_hz,
            heart_rate=_RATE_OF_MODEL,
            method="ecgsyn",
            noise=0,
            random_state=seed,
            ai=strengths,
        )
        lead = np.array(lead[_SETTLING_S * rate_hz :], np.float64)
        lead -= np.median(lead)
        # The library stretches every lead to 1.6 mV; here it gets its own height back.
        wanted = max(0.0, *heights) - min(0.0, *heights)
        return np.asarray(lead * wanted / np.ptp(lead), np.float64)

    strip = np.stack([simulate(heights) for heights in WAVES_MV.values()], axis=1)
    before, after = round(_BEFORE_S * rate_hz), round(_AFTER_S * rate_hz)
    peaks = [p for p in _r_peaks(strip[:, 1], rate_hz) if before <= p < len(strip) - after]
    return Beats(rate_hz, np.stack([strip[p - before : p + after] for p in peaks]))


def _r_peaks(lead: Signal, rate_hz: int) -> list[int]:
    """Return the peaks of a clean lead that are higher than all within 300 ms of them."""
    reach = round(0.3 * rate_hz)
    high = np.flatnonzero(lead > 0.6 * lead.max())
    return [int(n) for n in high if lead[max(0, n - reach) : n + reach].argmax() == min(n, reach)]


class SyntheticEcg:
    """Sets beats one after the other, without end.

    Args:
        beats: The model's beats.
        seed: The same seed gives the same samples.
        elevation_mv: ST elevation by lead (measured ones), for scenarios that have some.
    """

    def __init__(
        self, beats: Beats, seed: int, elevation_mv: dict[str, float] | None = None
    ) -> None:
        self._beats = beats
        # Apart, so that the samples do not depend on how many are taken at a time.
        self._random, self._noise = np.random.default_rng(seed).spawn(2)
        self._elevation = np.array([(elevation_mv or {}).get(name, 0.0) for name in _MEASURED])
        self._taken = 0
        self._next_peak = round(0.4 * beats.rate_hz)
        self._ahead = np.zeros((0, len(_MEASURED)))

    def take(self, count: int, heart_rate_at: Callable[[float], float]) -> Samples:
        """Return the next samples, (count, 12) ADC integers.

        Args:
            count: How many, at least 1.
            heart_rate_at: The heart rate per minute at a time in seconds since the start.
        """
        rate_hz = self._beats.rate_hz
        while self._next_peak - round(_BEFORE_S * rate_hz) < self._taken + count:
            wanted = heart_rate_at(self._next_peak / rate_hz)
            interval_s = 60 / wanted * (1 + _IRREGULARITY * self._random.standard_normal())
            self._set_beat(self._next_peak, 60 / wanted)
            self._next_peak += max(round(0.2 * rate_hz), round(interval_s * rate_hz))
        self._reach(count)
        signal, self._ahead = self._ahead[:count], self._ahead[count:]
        signal = signal + _NOISE_MV * self._noise.standard_normal(signal.shape)
        self._taken += count
        return _to_twelve(signal)

    def _reach(self, count: int) -> None:
        missing = count - len(self._ahead)
        if missing > 0:
            self._ahead = np.concatenate((self._ahead, np.zeros((missing, len(_MEASURED)))))

    def _set_beat(self, peak: int, interval_s: float) -> None:
        shape = self._beats.shapes[self._random.integers(len(self._beats.shapes))]
        beat = _shorten(shape, self._beats.rate_hz, interval_s)
        beat = beat + self._elevation * _st_segment(len(beat), self._beats.rate_hz, interval_s)
        first = peak - round(_BEFORE_S * self._beats.rate_hz) - self._taken
        beat = beat[max(0, -first) :]
        first = max(0, first)
        self._reach(first + len(beat))
        self._ahead[first : first + len(beat)] += beat


def _shorten(shape: Signal, rate_hz: int, interval_s: float) -> Signal:
    """Return a beat whose part after the QRS lasts as long as the interval wants it."""
    fixed = round((_BEFORE_S + 0.06) * rate_hz)
    factor = math.sqrt(interval_s * _RATE_OF_MODEL / 60)
    length = round((len(shape) - fixed) * factor)
    at = np.arange(fixed + length, dtype=np.float64)
    at[fixed:] = fixed + (at[fixed:] - fixed) / factor
    columns = [np.interp(at, np.arange(len(shape)), column) for column in shape.T]
    beat = np.stack(columns, axis=1)
    taper = round(_TAPER_S * rate_hz)
    edge = 0.5 - 0.5 * np.cos(np.pi * np.arange(taper) / taper)
    beat[:taper] *= edge[:, None]
    beat[-taper:] *= edge[::-1, None]
    return beat


def _st_segment(length: int, rate_hz: int, interval_s: float) -> Signal:
    """Return (length, 1) the form of a raised ST segment: from the J point down over the T."""
    after_peak_s = np.arange(length) / rate_hz - _BEFORE_S
    scale = math.sqrt(interval_s * _RATE_OF_MODEL / 60)
    rise = 1 / (1 + np.exp(-(after_peak_s - 0.05) / 0.008))
    fall = 1 / (1 + np.exp((after_peak_s - 0.26 * scale) / 0.03))
    return np.asarray(rise * fall, np.float64)[:, None]


def _to_twelve(signal_mv: Signal) -> Samples:
    """Return ADC integers of the twelve leads from the eight measured ones."""
    units = np.rint(signal_mv * GAIN_PER_MV).astype(np.int32)
    lead_i, lead_ii = units[:, 0], units[:, 1]
    limbs = (
        lead_i,
        lead_ii,
        lead_ii - lead_i,
        -((lead_i + lead_ii) // 2),
        lead_i - lead_ii // 2,
        lead_ii - lead_i // 2,
    )
    return np.column_stack((*limbs, units[:, 2:])).astype(np.int32)
