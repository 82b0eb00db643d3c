"""Events of life: each adds a load of stress that wears off over weeks; they arrive by chance."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Parameters(NamedTuple):
    """How often events arrive, the mean load that one brings, and how long it lasts."""

    event_rate_per_year: Any
    event_stress_relative: Any
    event_time_h: Any


DAYS_PER_YEAR = 365.25


def daily(parameters: Parameters, arrival: Array, size: Array) -> Array:
    """Return the load that events bring on each day, (P, D), from uniform draws between 0 and 1.

    x_(k+1) = x_k exp(-24 h / tau) + mean (-log u)   on a day with an event, none before the first day

    Parameters
    ----------
    parameters : Parameters
        Each a number, or one for each patient (P,).
    arrival, size : array (P, D)
        Whether an event arrives on a day, and how large it is.
    """
    p = parameters
    rate, mean = (
        np.asarray(one, float)[..., None] for one in (p.event_rate_per_year, p.event_stress_relative)
    )
    kept = np.exp(-24.0 / np.asarray(p.event_time_h, float))
    met = np.where(arrival < 1.0 - np.exp(-rate / DAYS_PER_YEAR), -mean * np.log(size), 0.0)
    loads = np.empty_like(met)
    load = np.zeros(len(met))
    for day in range(met.shape[1]):
        load = load * kept + met[:, day]
        loads[:, day] = load
    return loads
