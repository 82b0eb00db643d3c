"""How a scale sees latent severity or ideation: a fixed map, noise that scales partly share, whole points."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Parameters(NamedTuple):
    """Share of the variance of rating noise that all scales of one visit have in common."""

    common_noise_fraction: Any


class Map(NamedTuple):
    """Knots of the map from what is latent (0-1) to the expected total, its noise and range, in points."""

    latent_fraction: Array
    points: Array
    noise_sd_points: float
    minimum_points: float
    maximum_points: float


def expected(latent_fraction: Array, scale: Map) -> Array:
    """Return the total that a scale is expected to show, (...), in points; piecewise linear."""
    return np.interp(latent_fraction, scale.latent_fraction, scale.points)


def observed(
    latent_fraction: Array, scale: Map, parameters: Parameters, *, common: Array, own: Array
) -> Array:
    """Return totals as rated: expected + noise, rounded to whole points within the range.

    noise = sd (sqrt(c) common + sqrt(1 - c) own)

    Parameters
    ----------
    latent_fraction : array (...)
    common, own : array (...)
        Standard normals of the visit, and of this scale at it.
    """
    share = parameters.common_noise_fraction
    noise = np.sqrt(share) * common + np.sqrt(1.0 - share) * own
    total = expected(latent_fraction, scale) + scale.noise_sd_points * noise
    return np.clip(np.rint(total), scale.minimum_points, scale.maximum_points)
