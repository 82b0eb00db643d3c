"""Runs written by hand instead of simulated, where what is read off them must be known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from euthymia.model.trajectory import Certificate, Provenance, Trajectory


def run_of(
    name: str, values: ArrayLike, *, every_days: float = 1.0, sessions_h: Sequence[float] = (0.0,)
) -> Trajectory:
    """Return a run in which an observable has these values, (P, T), day 0 first, then at equal intervals."""
    course = np.asarray(values, float)
    times_h = 24.0 * every_days * np.arange(course.shape[1])
    return Trajectory(
        times_h=times_h,
        values={name: course},
        metrics={},
        bioavailable_fraction=np.full(len(course), np.nan),
        patients=tuple(str(number) for number in range(1, len(course) + 1)),
        session_starts_h=tuple(sessions_h),
        provenance=Provenance(
            version="0",
            seed=1,
            regimen="by hand",
            parameters="composed",
            overrides={},
            engine="by hand",
            sources=(),
            weight_kg=(70.0, 70.0),
            horizon_h=float(times_h[-1]),
        ),
        certificate=Certificate(
            method="by hand",
            tolerance_relative=0.0,
            patients_by_matrix_exponential=0,
            patients_by_reference_solver=0,
        ),
        warnings=(),
    )
