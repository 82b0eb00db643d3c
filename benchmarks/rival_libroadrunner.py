"""libRoadRunner (CVODE) on all 30 states of one patient after the other, on one core.

As nested assignment rules the three Newton steps of the circuit are more than it can load, so the circuit is
two fast states instead. It then settles where its sigmoids cross, which moves glutamate by up to 1e-3 and
BDNF by up to 2e-4: a difference between models, no error of the solver. A vector of absolute tolerances is
needed: with one number it stalls on states that start at zero.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

import workload
from equations_text import FAST_STATES, INFUSION, RATE_MG_PER_H, antimony
from workload import Cohort

Array = NDArray[np.float64]

NEEDS = {"roadrunner": "libroadrunner", "antimony": "antimony"}
CORES = 1
OTHER_MODEL = ("glutamate_relative", "bdnf_relative")
"""Outputs whose error is one of the model."""
ABSOLUTE_OF_RELATIVE = 1e-3
MOST_STEPS = 200_000


def run(cohort: Cohort, times_h: Array, *, tolerance: float = 1e-5) -> tuple[Array, float]:
    """Return outputs (P, T, 10), and the seconds of solving."""
    model = _model(cohort.days)
    model.integrator.relative_tolerance = tolerance
    absolute = [tolerance * ABSOLUTE_OF_RELATIVE] * (len(workload.STATES) + len(FAST_STATES))
    model.integrator.setValue("absolute_tolerance", absolute)
    model.integrator.maximum_num_steps = MOST_STEPS
    asked = times_h.tolist()
    started = time.perf_counter()
    found = [_patient(model, cohort, patient, asked) for patient in range(cohort.count)]
    return np.stack(found), time.perf_counter() - started


def forget() -> None:
    """Drop the loaded model, so that the next run loads it anew."""
    _model.cache_clear()


@cache
def _model(days: int) -> Any:
    """Return the loaded model; loading compiles it."""
    import antimony as language
    import roadrunner

    language.clearPreviousLoads()
    if language.loadAntimonyString(antimony(days)) < 0:
        raise RuntimeError(language.getLastError())
    model = roadrunner.RoadRunner(language.getSBMLString("workload"))
    model.timeCourseSelections = ["time", *(f"seen_{name}" for name in workload.OUTPUTS)]
    return model


def _patient(model: Any, cohort: Cohort, patient: int, times_h: list[float]) -> Array:
    """Return the outputs of one patient, (T, 10); infusions are events of the model."""
    model.reset()
    for name, value in cohort.parameters.items():
        model[name] = float(value[patient])
    model[FAST_STATES[0]] = float(cohort.parameters[workload.AT_REST][patient])
    model[INFUSION] = RATE_MG_PER_H
    return np.array(model.simulate(times=times_h))[:, 1:]
