"""Runs whose steps are chosen by hand, and how far two runs lie apart."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from euthymia.errors import ResultWarning
from euthymia.model.trajectory import Trajectory
from euthymia.population import solve as module
from euthymia.population.simulate import simulate

SINGLE = 5e-7
"""What single precision may leave of sums of terms of order one, whatever becomes of them."""


@contextmanager
def steps(fineness: float) -> Iterator[None]:
    """Take so many steps per step of the usual grid, in any engine, without calibration and without check."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "FINENESS", fineness)
        patch.setattr(module, "_calibration", lambda run: None)
        yield


def run(regimen: str | None, **more: Any) -> Trajectory:
    """Return a run without what calls are warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        return simulate(regimen, **more)


def apart(found: Trajectory, right: Trajectory) -> dict[str, float]:
    """Return each observable's largest difference, relative to its largest value in the cohort.

    Of a compiled run what single precision may leave is taken off first.
    """
    assert found.values.keys() == right.values.keys()
    assert np.array_equal(found.times_h, right.times_h)
    noise = SINGLE if found.provenance.engine.startswith("c ") else 0.0
    return {
        name: float(
            max(np.abs(found.values[name] - value).max() - noise, 0.0) / max(np.abs(value).max(), 1e-12)
        )
        for name, value in right.values.items()
    }


def over(found: Trajectory, right: Trajectory, tolerance: float) -> dict[str, float]:
    """Return the observables that lie further apart than a tolerance."""
    return {name: error for name, error in apart(found, right).items() if not error <= tolerance}


def differing(found: Trajectory, right: Trajectory, rows: Any = slice(None)) -> list[str]:
    """Return the observables whose bytes differ from those of some rows of another run."""
    assert found.values.keys() == right.values.keys()
    return [
        name for name, value in found.values.items() if value.tobytes() != right.values[name][rows].tobytes()
    ]


def moved(found: Trajectory, right: Trajectory) -> NDArray[np.bool_]:
    """Return whose bytes differ in any observable, (P,)."""
    each = [
        [one.tobytes() != other.tobytes() for one, other in zip(found.values[name], value, strict=True)]
        for name, value in right.values.items()
    ]
    return np.any(each, axis=0)


def errors_of(found: Trajectory, right: Trajectory) -> NDArray[np.float64]:
    """Return each patient's largest difference, relative to the largest value in the cohort, (P,)."""
    assert found.values.keys() == right.values.keys()
    each = [
        np.maximum(np.abs(found.values[name] - value).max(axis=1) - SINGLE, 0.0)
        / max(np.abs(value).max(), 1e-12)
        for name, value in right.values.items()
    ]
    return np.max(each, axis=0)
