"""What is written down in a session: pressure and pulse with their scatter, and scores in whole points."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Parameters(NamedTuple):
    """Resting values of a person, and how far a reading scatters around what is expected."""

    resting_systolic_mmHg: Any
    resting_diastolic_mmHg: Any
    resting_heart_rate_per_min: Any
    systolic_noise_sd_mmHg: Any
    diastolic_noise_sd_mmHg: Any
    heart_rate_noise_sd_per_min: Any
    cadss_noise_relative: Any
    moaas_noise_points: Any


def vital_sign(rise: Array, resting: Any, noise_sd: Any, draw: Array) -> Array:
    """Return whole readings of pressure or pulse: resting value + rise + noise, (...), not below 0.

    Parameters
    ----------
    rise, draw : array (...)
        Above the value before the dose; standard normals of the reading.
    """
    return np.maximum(np.rint(resting + rise + noise_sd * draw), 0.0)


def cadss(expected_points: Array, parameters: Parameters, draw: Array, *, maximum_points: float) -> Array:
    """Return totals as rated, whole points: expected x exp(c z - c^2 / 2), so that the mean stays.

    The noise is in proportion: without drug the total is 0, and a small one rounds to 0, which leaves many
    zeros beside a long tail (AE-DISSO-021).
    """
    spread = parameters.cadss_noise_relative
    total = expected_points * np.exp(spread * draw - 0.5 * spread**2)
    return np.clip(np.rint(total), 0.0, maximum_points)


def moaas(expected_points: Array, parameters: Parameters, draw: Array, *, maximum_points: float) -> Array:
    """Return levels as rated, whole points: noise s sqrt(Z (1 - Z)), none when awake or without response.

    Z = 1 - expected / maximum is the depth of sedation.
    """
    depth = np.clip(1.0 - expected_points / maximum_points, 0.0, 1.0)
    noise = parameters.moaas_noise_points * np.sqrt(depth * (1.0 - depth)) * draw
    return np.clip(np.rint(expected_points + noise), 0.0, maximum_points)
