"""Virtual trials at points of the parameter space: what every target comes to there, and how it scatters.

People, visits and chance are the same at every point (common random numbers), so that points differ by their
parameters alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol as Interface

import numpy as np
from numpy.typing import NDArray

from euthymia.calibration.targets import NAN, Target
from euthymia.compute.serial import SerialExecutor
from euthymia.errors import InvalidInputError, ResultWarning, RunFailedError
from euthymia.model.parameters import ParameterSet
from euthymia.population.posterior import Calibrated, with_calibrated
from euthymia.trials.conduct import run_replicates
from euthymia.trials.design import Protocol
from euthymia.trials.enrol import intake
from euthymia.trials.protocols import load_protocol
from euthymia.trials.records import Cohort
from euthymia.trials.replication_all import bundles
from euthymia.trials.replication_values import quantity_of

Array = NDArray[np.float64]
Values = dict[str, float]
PATIENTS = 400
"""Patients of each trial at a point, about: whole replicates of its own size until there are as many."""
MEAN_OF = "mean of "
"""Prefix of the mean change that a share follows, kept beside it."""
POINT = "point"
"""Key of the point itself beside its values."""


class PointStore(Interface):
    """Keeps what points gave, so that a fit which was stopped goes on where it was."""

    def load(self, name: str) -> dict[str, list[float]] | None:
        """Return what is kept under a name, None where there is nothing."""
        ...

    def save(self, name: str, values: Mapping[str, Sequence[float]]) -> None:
        """Keep values, whole."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """Trials at one point of the parameter space.

    Attributes
    ----------
    name : str
    z : tuple of float (K)
        The point, in SDs of the priors.
    replicates : tuple of int
        Which are run, of every trial; empty: as many as give ``patients``.
    is_pooled : bool
        Whether the replicates of a trial are read as one large trial, or each by itself.
    """

    name: str
    z: tuple[float, ...]
    calibrated: tuple[Calibrated, ...]
    targets: tuple[Target, ...]
    parameters: ParameterSet
    seed: int
    replicates: tuple[int, ...] = ()
    patients: int = PATIENTS
    is_pooled: bool = True


def numbers_at(calibrated: Sequence[Calibrated], z: Sequence[float] | Array) -> Array:
    """Return the calibrated numbers at a point, (K,), kept within their bounds."""
    found = [float(one.from_normal(x)) for one, x in zip(calibrated, z, strict=True)]
    return np.clip(found, [one.low for one in calibrated], [one.high for one in calibrated])


def run_point(task: Task, *, engine: str | None = None) -> dict[str, list[float]]:
    """Return every target of a task: one number where it is pooled, else one for each replicate.

    The mean change that a share follows stands beside it under ``MEAN_OF`` and the name of the target, the
    point itself under ``POINT``.
    """
    numbers = numbers_at(task.calibrated, task.z)
    at = with_calibrated(task.parameters, task.calibrated, numbers, label=task.name)
    found: dict[str, list[float]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        for trials in bundles([one.run for one in task.targets]):
            own = [one for one in task.targets if set(one.trials) <= set(trials)]
            try:
                cohorts = {name: _cohorts(task, name, at, engine) for name in trials}
            except (
                InvalidInputError,
                RunFailedError,
            ):  # nobody has such a baseline; no such course is solved
                found |= {one.name: [NAN] * (1 if task.is_pooled else len(task.replicates)) for one in own}
                continue
            found |= _read(own, cohorts, is_pooled=task.is_pooled)
    return (
        {POINT: list(task.z)}
        | {one.name: found[one.name] for one in task.targets}
        | {name: values for name, values in found.items() if name.startswith(MEAN_OF)}
    )


def _cohorts(task: Task, name: str, parameters: ParameterSet, engine: str | None) -> tuple[Cohort, ...]:
    given = intake(load_protocol(name), parameters, seed=task.seed)
    whole = task.replicates or range(repeats(given.protocol, task.patients))
    return run_replicates(given, whole, engine=engine, executor=SerialExecutor())[0]


def repeats(protocol: Protocol, patients: int) -> int:
    """Return how many replicates of a trial have about so many patients."""
    return max(1, round(patients / protocol.size))


def _read(
    targets: Sequence[Target], cohorts: Mapping[str, tuple[Cohort, ...]], *, is_pooled: bool
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for one in targets:
        groups = _groups([cohorts[name] for name in one.trials], is_pooled=is_pooled)
        found[one.name] = [one.value_of(group) for group in groups]
        if one.mean_run is not None:
            found[MEAN_OF + one.name] = [quantity_of(group, one.mean_run) for group in groups]
    return found


def _groups(of_trials: Sequence[tuple[Cohort, ...]], *, is_pooled: bool) -> list[list[Cohort]]:
    """Return the cohorts that are read together: all, or those of each replicate."""
    if is_pooled:
        return [[cohort for cohorts in of_trials for cohort in cohorts]]
    return [list(group) for group in zip(*of_trials, strict=True)]
