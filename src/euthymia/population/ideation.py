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
    mean_points : array (T,)
        Expected SSI.
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
    points = expected(course["suicidal_ideation_fraction"][has_any], find_scale("SSI").map)
    nothing = np.zeros(len(kept))
    return Ideators(
        regimen=course.provenance.regimen,
        count=int(has_any.sum()),
        times_h=course.times_h,
        mean_points=points.mean(axis=0) if has_any.any() else np.zeros(len(course.times_h)),
        start_points=float(rated[has_any, 0].mean()) if has_any.any() else 0.0,
        days=kept,
        changes=(rated[has_any, 1:] - rated[has_any, :1]).mean(axis=0) if has_any.any() else nothing,
        last_dose_h=max(course.session_starts_h, default=None),
    )


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
