"""SciPy on all 30 states of one patient after the other: LSODA as a rival, and at 1e-10 as what is right.

Rates are compiled by Numba where it is installed. LSODA starts anew at each edge of an infusion. DOP853, a
method of another kind at the same tolerance, says how far what is right may be trusted.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

import workload
from equations_text import RATE_MG_PER_H, scalar_rates
from workload import Cohort

Array = NDArray[np.float64]
Segment = Callable[[Array, Array, Array, float, float], Array]
"""(states (30,), times (T,) from its start on, parameters, infusion, tolerance) -> states (T, 30)."""

NEEDS = {"scipy": "scipy"}
CORES = 1
ABSOLUTE_OF_RELATIVE = 1e-3
RIGHT_TOLERANCE = 1e-10
MOST_STEPS = 100_000


def run(cohort: Cohort, times_h: Array, *, tolerance: float = 1e-5) -> tuple[Array, float]:
    """Return outputs (P, T, 10) by LSODA, and the seconds of solving."""
    return _by(_lsoda, cohort, times_h, tolerance)


def forget() -> None:
    """Drop the compiled rates, so that the next run compiles them anew."""
    scalar_rates.cache_clear()


def right(cohort: Cohort, times_h: Array) -> Array:
    """Return outputs (P, T, 10) by LSODA at 1e-10, against which every engine is held."""
    return _by(_lsoda, cohort, times_h, RIGHT_TOLERANCE)[0]


def right_otherwise(cohort: Cohort, times_h: Array) -> Array:
    """Return the same by DOP853 at 1e-10."""
    return _by(_dop853, cohort, times_h, RIGHT_TOLERANCE)[0]


def _by(segment: Segment, cohort: Cohort, times_h: Array, tolerance: float) -> tuple[Array, float]:
    parameters = np.stack([cohort.parameters[name] for name in workload.PARAMETERS], axis=1)
    scalar_rates()
    started = time.perf_counter()
    states = [_patient(segment, own, cohort.days, times_h, tolerance) for own in parameters]
    found = workload.observe_states(np.stack(states), cohort.parameters)
    return found, time.perf_counter() - started


def _patient(segment: Segment, parameters: Array, days: int, times_h: Array, tolerance: float) -> Array:
    """Return the states of one patient, (T, 30)."""
    y = np.array([workload.INITIAL.get(name, 0.0) for name in workload.STATES])
    found = np.empty((len(times_h), len(y)))
    for start, end in pairwise(workload.edges_h(days)):
        rate = RATE_MG_PER_H if workload.is_infusing(start, days) else 0.0
        inside = (times_h >= start) & (times_h < end)
        asked = np.unique(np.concatenate([[start], times_h[inside], [end]]))
        states = segment(y, asked, parameters, rate, tolerance)
        found[inside] = states[np.searchsorted(asked, times_h[inside])]
        y = states[-1]
    found[times_h >= 24.0 * days] = y
    return found


def _lsoda(y: Array, times: Array, parameters: Array, rate: float, tolerance: float) -> Array:
    from scipy.integrate import odeint

    states, said = odeint(
        scalar_rates(),
        y,
        times,
        args=(parameters, rate),
        tfirst=True,
        rtol=tolerance,
        atol=tolerance * ABSOLUTE_OF_RELATIVE,
        mxstep=MOST_STEPS,
        full_output=True,
    )
    if said["message"] != "Integration successful.":
        raise RuntimeError(said["message"])
    return states


def _dop853(y: Array, times: Array, parameters: Array, rate: float, tolerance: float) -> Array:
    from scipy.integrate import solve_ivp

    solution = solve_ivp(
        scalar_rates(),
        (times[0], times[-1]),
        y,
        method="DOP853",
        t_eval=times,
        args=(parameters, rate),
        rtol=tolerance,
        atol=tolerance * ABSOLUTE_OF_RELATIVE,
    )
    if not solution.success:
        raise RuntimeError(solution.message)
    return np.ascontiguousarray(solution.y.T)
