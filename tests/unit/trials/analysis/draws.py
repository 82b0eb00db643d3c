"""Seeded draws for Monte Carlo checks, and the bounds within which a share of them must lie."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from euthymia.streams import normals, uniforms

SEED = 6


def normal(field: str, *shape: int) -> NDArray[np.float64]:
    """Return standard normal draws."""
    patients = np.arange(1, int(np.prod(shape)) + 1)
    return normals(seed=SEED, purpose="test", field=field, patients=patients).reshape(shape)


def uniform(field: str, *shape: int) -> NDArray[np.float64]:
    """Return draws between 0 and 1."""
    patients = np.arange(1, int(np.prod(shape)) + 1)
    return uniforms(seed=SEED, purpose="test", field=field, patients=patients).reshape(shape)


def bounds(share: float, count: int) -> tuple[float, float]:
    """Return the shares between which 99.9 % of samples of a share lie (exact binomial)."""
    low, high = binom.interval(0.999, count, share)
    return float(low) / count, float(high) / count
