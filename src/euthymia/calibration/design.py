"""Where virtual trials are run: points of the prior first, then points where the evidence leaves them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from euthymia.population.posterior import Calibrated

Array = NDArray[np.float64]
WIDER = 1.4
"""How much wider than the posterior of the first wave the second is spread, in SDs."""


def bounds(calibrated: tuple[Calibrated, ...]) -> Array:
    """Return the bounds in SDs of the priors, (K, 2)."""
    return np.array([[float(one.to_normal(one.low)), float(one.to_normal(one.high))] for one in calibrated])


def prior_points(calibrated: tuple[Calibrated, ...], count: int, *, seed: int) -> Array:
    """Return points that fill the prior evenly, (count, K), in its SDs; the first is its middle.

    A scrambled Sobol sequence through the inverse of the normal distribution, cut at the bounds.
    """
    from scipy.stats import norm, qmc

    low, high = norm.cdf(bounds(calibrated)).T
    sampler = qmc.Sobol(len(calibrated), scramble=True, rng=np.random.default_rng(seed))
    whole = sampler.random_base2(int(np.ceil(np.log2(max(count, 2)))))[:count]
    points = norm.ppf(low + (high - low) * whole)
    points[0] = 0.0
    return points


def posterior_points(calibrated: tuple[Calibrated, ...], draws: Array, count: int, *, seed: int) -> Array:
    """Return points around draws of a posterior, (count, K), in SDs of the prior; the first is its mean.

    They are spread ``WIDER`` than the draws, so that the next posterior lies inside of them, and kept within
    the bounds.

    Parameters
    ----------
    draws : array (D, K)
    """
    from scipy.stats import norm, qmc

    center = draws.mean(axis=0)
    factor = np.linalg.cholesky(np.cov(draws.T) + 1e-9 * np.eye(draws.shape[1]))
    sampler = qmc.Sobol(draws.shape[1], scramble=True, rng=np.random.default_rng(seed))
    whole = sampler.random_base2(int(np.ceil(np.log2(max(count, 2)))))[:count]
    points = center + WIDER * norm.ppf(np.clip(whole, 1e-6, 1.0 - 1e-6)) @ factor.T
    points[0] = center
    low, high = bounds(calibrated).T
    return np.clip(points, low, high)
