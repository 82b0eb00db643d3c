"""Slow swings of mood that no treatment causes: an Ornstein-Uhlenbeck process seen once a day."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Parameters(NamedTuple):
    """Stationary spread and memory."""

    mood_noise_sd_logit: Any
    mood_noise_time_h: Any


def daily(parameters: Parameters, before: Array, after: Array) -> tuple[Array, Array]:
    """Return the swings on days, exactly distributed, from standard normals.

    v_(k+1) = r v_k + sqrt(1 - r^2) sd z_k,   r = exp(-24 h / tau)

    The process looks alike in both directions of time, so days before day 0 are drawn backwards from it.

    Parameters
    ----------
    before : array (P, B)
        Standard normals of days -1, -2, ...
    after : array (P, A)
        Standard normals of days 0, 1, ...

    Returns
    -------
    earlier : array (P, B)
        Swings on days -1, -2, ..., on the logit of severity.
    later : array (P, A)
        Swings on days 0, 1, ...
    """
    p = parameters
    memory = np.broadcast_to(np.exp(-24.0 / np.asarray(p.mood_noise_time_h, float)), after.shape[:1])
    sd = np.broadcast_to(np.asarray(p.mood_noise_sd_logit, float), after.shape[:1])
    fresh = np.sqrt(1.0 - memory * memory) * sd
    later, earlier = np.empty_like(after), np.empty_like(before)
    value = sd * after[:, 0]
    later[:, 0] = value
    for day in range(1, after.shape[1]):
        value = memory * value + fresh * after[:, day]
        later[:, day] = value
    value = later[:, 0]
    for day in range(before.shape[1]):
        value = memory * value + fresh * before[:, day]
        earlier[:, day] = value
    return earlier, later
