"""What linear prediction over eight leads can reach at best: the bound of `forerun bench ecg`.

Each of I, II, V1 to V6 is predicted, sample after sample, from the last `ORDER` samples of all
eight leads and from the present sample of the leads before it, by recursive least squares with
forgetting (Haykin, Adaptive Filter Theory, chapter 10) that runs over the whole record. An ideal
entropy coder is assumed for the rounded residuals: per lead the less of

* the code length of a two-sided geometric distribution whose scale follows the residuals with the
  best of three memories, and
* the zero-order entropy of the lead's residuals over the record, its table not charged.

Nothing is charged for frames, headers or first values, nor for the four leads that are left out
(basis: bits over samples of all 12 leads). So it is lower than any coder of this kind that must
decode each frame alone can come.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

ORDER = 8
FORGETTING = 0.9995
MEMORIES = (0.9, 0.95, 0.98)
_FIRST_COVARIANCE = 1e-2
_LARGEST_COVARIANCE = 1e6

Residuals = npt.NDArray[np.float64]


def prediction_bound(eight: npt.NDArray[np.integer]) -> float:
    """Return the least bits of a record's eight leads per sample of its twelve.

    Args:
        eight: (n, 8) integers of I, II, V1 to V6.
    """
    residuals = np.column_stack([_predict(eight.astype(np.float64), lead) for lead in range(8)])
    adaptive = np.minimum.reduce([_geometric_bits(residuals, memory) for memory in MEMORIES])
    static = np.array([_entropy_bits(column) for column in residuals.T])
    return float(np.minimum(adaptive, static).sum()) / (12 * len(eight))


def _predict(leads: Residuals, lead: int) -> Residuals:
    """Return the residuals of one lead after recursive least squares, rounded to integers."""
    length, count = leads.shape
    inputs = np.zeros((length, count * ORDER + lead))
    for lag in range(1, ORDER + 1):
        inputs[lag:, (lag - 1) * count : lag * count] = leads[:-lag]
    inputs[:, count * ORDER :] = leads[:, :lead]
    size = inputs.shape[1]
    weights = np.zeros(size)
    weights[lead] = 1.0
    covariance = np.eye(size) * _FIRST_COVARIANCE
    residuals = np.empty(length)
    for now, given in enumerate(inputs):
        guess = weights @ given
        value = leads[now, lead]
        residuals[now] = value - np.floor(guess + 0.5)
        spread = covariance @ given
        gain = spread / (FORGETTING + given @ spread)
        weights += gain * (value - guess)
        covariance -= np.outer(gain, spread)
        covariance /= FORGETTING
        if now % 64 == 0:
            covariance = (covariance + covariance.T) / 2
            if covariance.diagonal().max() > _LARGEST_COVARIANCE:
                # A flat lead gives nothing to learn from; forgetting alone would overflow.
                covariance = np.eye(size) * _FIRST_COVARIANCE
    return residuals


def _geometric_bits(residuals: Residuals, memory: float) -> Residuals:
    """Return bits per lead under a two-sided geometric distribution of adaptive scale."""
    sizes = np.abs(residuals)
    mean = np.empty_like(sizes)
    scale = np.full(sizes.shape[1], 4.0)
    for now, size in enumerate(sizes):
        mean[now] = scale
        scale = memory * scale + (1 - memory) * size
    mean = np.maximum(mean, 0.05)
    # E|e| = 2 t / (1 - t^2) for P(e) = (1 - t) / (1 + t) * t^|e|
    ratio = mean / (1 + np.sqrt(1 + mean * mean))
    bits: Residuals = -(np.log2((1 - ratio) / (1 + ratio)) + sizes * np.log2(ratio)).sum(axis=0)
    return bits


def _entropy_bits(residuals: Residuals) -> float:
    _, counts = np.unique(residuals, return_counts=True)
    return float(-(counts * np.log2(counts / len(residuals))).sum())
