"""The fixed-grid engine equals SciPy's adaptive solvers on plain evaluation of the same equations."""

from __future__ import annotations

import numpy as np
import pytest
from tests.equivalence.engine_systems import EVERYTHING, START, Doses, everything_parameters

from euthymia.engine import reference_ode
from euthymia.engine.equations import Equations
from euthymia.engine.grid import make_grid
from euthymia.engine.integrate import integrate
from euthymia.engine.reference_ode import integrate_by_scipy
from euthymia.errors import InvalidInputError, RunFailedError

COUNT = 4
TIMES = np.array([0.0, 0.01, 0.5, 3.0, 5.0, 5.2, 9.0, 24.0])
JUMPS = [(8.0, lambda m, state, parameter: {"e": 0.5 * state["e"] + 0.1 * parameter["K"]})]


def both(fineness):
    """Times are grid points: what is tested is the steps. Some kinks of the equations lie between them."""
    parameters, drive = everything_parameters(COUNT), Doses(COUNT)
    found = integrate(
        EVERYTHING,
        parameters,
        START,
        drive,
        grid_h=make_grid(0, 24, [5.0, 8.0, *TIMES], fineness=fineness),
        times_h=TIMES,
        outputs=None,
        jumps=JUMPS,
        patient_count=COUNT,
    )
    expected = [
        integrate_by_scipy(
            EVERYTHING, parameters, START, drive, TIMES, segments_h=[0, 5, 24], jumps=JUMPS, patient=patient
        )
        for patient in range(COUNT)
    ]
    return found.values, expected


@pytest.mark.slow
def test_states_and_outputs_equal_scipy():
    found, expected = both(16)
    assert list(found) == ["a", "b", "c", "e", "total", "seen", "flat"]
    for name, values in found.items():
        for patient in range(COUNT):
            np.testing.assert_allclose(
                values[patient], expected[patient][name], rtol=0, atol=1e-7, err_msg=name
            )


STEEP = Equations(
    states=("x",),
    drives=(),
    parameters=(),
    rates=lambda m, s, d, p: {"x": m.where(s["x"] > 0, s["x"] ** 2, np.nan)},
    outputs=lambda m, s, d, p: {},
)


def no_drive(times_h, *, is_left):
    return {}, {}


@pytest.mark.parametrize("seed", [1.0, -1.0])
def test_a_solution_that_escapes_is_reported_with_patient_and_time(seed, monkeypatch):
    monkeypatch.setattr(reference_ode, "_MOST_EVALUATIONS", 5000)
    with pytest.raises(RunFailedError, match=r"patient 3 between 0 and 2 h.*LSODA.*Radau"):
        integrate_by_scipy(STEEP, {}, {"x": seed}, no_drive, np.array([1.0]), segments_h=[0, 2], patient=3)


def test_times_outside_the_segments_are_refused():
    with pytest.raises(InvalidInputError, match="segments_h"):
        integrate_by_scipy(STEEP, {}, {"x": 0.1}, no_drive, np.array([3.0]), segments_h=[0, 2], patient=0)
