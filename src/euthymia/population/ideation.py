"""Suicidal ideation of a group over a run: who has any, how it changes, and when it comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from euthymia.mechanism.symptoms.scales import expected
from euthymia.model.parameters import ParameterSet
from euthymia.model.scales import find_scale
from euthymia.model.trajectory import Trajectory
from euthymia.population.summary import days_within, totals

Array = NDArray[np.float64]
ENTRY_POINTS = 4.0
"""SSI from which trials of ideation enrol (data/scales/ssi.toml)."""
LOST = 0.5
"""Share of what was gained whose loss ends the window of return."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ideators:
    """The patients of a run who have suicidal ideation at the start.

    Attributes
    ----------
    count : int
        Where it is 0, every mean is NaN.
    mean_points : array (T,)
        Expected SSI.
    start_points : float
        Mean SSI as rated.
    changes : array (D,)
        Mean change of the SSI as rated, on ``days``.
    last_dose_h : float or None
    """

    regimen: str
    count: int
    times_h: Array
    mean_points: Array
    start_points: float
    days: tuple[float, ...]
    changes: Array
    last_dose_h: float | None


def among_ideators(course: Trajectory, *, parameters: ParameterSet, days: Sequence[float]) -> Ideators:
    """Return how ideation goes in those with an SSI of 4 or more at the start, as rated."""
    kept = days_within(course, days)
    rated = totals(course, "SSI", kept, parameters=parameters)
    has_any = rated[:, 0] >= ENTRY_POINTS
    rated = rated[has_any]
    points = expected(course["suicidal_ideation_fraction"][has_any], find_scale("SSI").map)
    return Ideators(
        regimen=course.provenance.regimen,
        count=len(rated),
        times_h=course.times_h,
        mean_points=_mean(points),
        start_points=float(_mean(rated[:, 0])),
        days=kept,
        changes=_mean(rated[:, 1:] - rated[:, :1]),
        last_dose_h=max(course.session_starts_h, default=None),
    )


def _mean(values: Array) -> Array:
    """Return the mean over patients, the first axis; NaN where there is none."""
    return values.mean(axis=0) if len(values) else np.full(values.shape[1:], np.nan)


def window_of_return(one: Ideators) -> tuple[float, float] | None:
    """Return the days from the lowest ideation after the last dose until half of the gain is lost, if any."""
    if one.last_dose_h is None:
        return None
    after = one.times_h >= one.last_dose_h
    times, points = one.times_h[after], one.mean_points[after]
    lowest = int(points.argmin())
    gained = one.mean_points[0] - points[lowest]
    back = np.flatnonzero(points[lowest:] >= points[lowest] + LOST * gained)
    if gained <= 0.0 or not len(back):
        return None
    return float(times[lowest]) / 24.0, float(times[lowest + back[0]]) / 24.0
