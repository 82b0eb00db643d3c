"""Functional connectivity of a scan, and how it changes during it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import invalid

Array = NDArray[np.float64]


def connectivity(signal: Array) -> Array:
    """Return the correlations (..., N, N) of a signal (T, ..., N) over time."""
    centred = np.moveaxis(signal - signal.mean(axis=0), 0, -2)
    covariance = np.swapaxes(centred, -1, -2) @ centred
    size = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    return covariance / (size[..., :, None] * size[..., None, :])


def windows(signal: Array, *, length: int, step: int) -> Array:
    """Return the correlations of pairs (W, N (N - 1) / 2) in sliding windows of a signal (T, N).

    Raises
    ------
    InvalidInputError
        Where there are fewer than two windows.
    """
    starts = range(0, len(signal) - length + 1, step)
    if len(starts) < 2:
        must = f"two windows of {length} samples or longer"
        raise invalid("signal", must=must, got=f"{len(signal)} samples")
    pairs = np.tril_indices(signal.shape[-1], -1)
    return np.array([connectivity(signal[first : first + length])[pairs] for first in starts])


def connectivity_dynamics(signal: Array, *, length: int, step: int) -> Array:
    """Return how alike the connectivity of any two windows is: correlations (W, W).

    Parameters
    ----------
    signal : array (T, N)
    length, step : int
        Of the windows, in samples.
    """
    return connectivity(windows(signal, length=length, step=step).T)
