"""The workload of the engine's benchmark: its size, its rest, and the same equations for every engine."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import equations_text
import rival_scipy
import workload
from euthymia.engine.grid import make_grid
from euthymia.engine.integrate import integrate
from euthymia.engine.maths import NUMPY

PATIENTS = workload.make_cohort(3, days=1)


TYPICAL = {name: value for name, (value, _) in workload.RANDOM.items()} | workload.FIXED
KNOWN_RATES = {
    "s_central_mg": 8.3944444,
    "r_central_mg": -20.209596,
    "s_norketamine_central_mg": -4.9954545,
    "hydroxynorketamine_mg": 7.6066667,
    "glutamate_relative": 1.9806478,
    "bdnf_relative": 0.061510093,
    "mtorc1_relative": 0.021926272,
    "synapses_relative": -0.00095100837,
    "default_mode_relative": -0.029497949,
    "effect_site_fraction": 3.8126971,
    "arterial_pressure_mmHg": 89.002661,
    "heart_rate_per_min": 43.530953,
    "cognition_relative": -0.0038288288,
}
"""Of the typical patient in the state of the test below, from the prototype that the workload comes from."""


def own(patient):
    return {name: value[patient] for name, value in PATIENTS.parameters.items()}


def solved(patient, times):
    """Return the outputs of one patient by SciPy, from the equations as they are written."""

    def rates(_, y, infusion):
        state = dict(zip(workload.STATES, y, strict=True))
        found = workload.all_rates(NUMPY, state, own(patient), infusion)
        return [found[name] for name in workload.STATES]

    y = np.array([workload.INITIAL.get(name, 0.0) for name in workload.STATES])
    found = np.empty((len(times), len(y)))
    for start, end in pairwise(workload.edges_h(1)):
        rate = workload.DOSE_MG / workload.INFUSION_H if workload.is_infusing(start, 1) else 0.0
        solution = solve_ivp(
            rates,
            (start, end),
            y,
            method="LSODA",
            args=(rate,),
            dense_output=True,
            rtol=1e-8,
            atol=1e-11,
        )
        inside = (times >= start) & (times <= end)
        found[inside], y = solution.sol(times[inside]).T, solution.y[:, -1]
    cohort = PATIENTS.take(slice(patient, patient + 1))
    return workload.observe_states(found[None], cohort.parameters)


def test_the_workload_has_the_size_that_is_claimed_for_it():
    assert (len(workload.LINEAR_STATES), len(workload.NONLINEAR_STATES)) == (13, 17)
    assert (len(workload.RANDOM), len(workload.OUTPUTS)) == (30, 10)
    assert [len(workload.doses_h(days)) for days in (28, 365)] == [8, 34]
    assert [len(workload.times_h(days)) for days in (28, 365)] == [217, 1048]


def test_the_workload_is_still_the_one_whose_figures_are_known():
    parameter = TYPICAL | {workload.AT_REST: workload.excitation(NUMPY, TYPICAL, 0.0, 0.8)}
    state = dict(zip(workload.LINEAR_STATES, np.arange(1.0, 14.0), strict=True))
    state |= {name: 1.1 * value + 0.05 for name, value in workload.INITIAL.items()}
    rates = workload.all_rates(NUMPY, state, parameter, 26.25)
    assert {name: rates[name] for name in KNOWN_RATES} == pytest.approx(KNOWN_RATES, rel=1e-7)


def test_no_name_is_given_twice_so_that_text_can_use_them_all():
    names = (*workload.STATES, *workload.PARAMETERS, *equations_text.FAST_STATES, equations_text.INFUSION)
    assert len(set(names)) == len(names) == 30 + 61 + 2 + 1


def test_without_drug_nothing_moves():
    start = {name: np.full(3, workload.INITIAL.get(name, 0.0)) for name in workload.STATES}
    rates = workload.all_rates(NUMPY, start, PATIENTS.parameters, 0.0)
    # the 1e-9 that keeps a logarithm finite is all the drug there is
    assert max(np.abs(rate).max() for rate in rates.values()) < 1e-8


def test_the_first_patients_are_the_same_whatever_the_count():
    more = workload.make_cohort(5, days=1)
    for name, values in PATIENTS.parameters.items():
        np.testing.assert_array_equal(more.parameters[name][:3], values)


def test_the_engine_agrees_with_scipy_over_one_dose():
    times = workload.times_h(1)
    found = integrate(
        workload.EQUATIONS,
        PATIENTS.parameters,
        workload.INITIAL,
        workload.Drug(PATIENTS),
        grid_h=make_grid(0.0, 24.0, workload.edges_h(1), fineness=2.0),
        times_h=times,
        outputs=workload.OUTPUTS,
        patient_count=3,
    )
    ours = np.stack([found.values[name] for name in workload.OUTPUTS], axis=-1)
    assert workload.errors(ours[1:2], solved(1, times)).max() < 1e-4


def test_slopes_of_the_drug_are_those_of_its_values_on_either_side_of_an_edge():
    drug, step = workload.Drug(PATIENTS), 1e-5
    edge = workload.INFUSION_H
    for is_left, times in ((True, [edge - step, edge]), (False, [edge, edge + step])):
        values, slopes = drug(np.array(times), is_left=np.array([is_left, is_left]))
        for name in workload.DRIVES:
            risen = np.diff(values[name])[:, 0] / step
            np.testing.assert_allclose(risen, slopes[name].mean(axis=1), rtol=1e-5)


def test_the_recorded_rates_are_those_of_the_equations():
    draws = np.random.default_rng(3)
    y = np.concatenate([5.0 * draws.random(13), 0.3 + draws.random(17)])
    state = dict(zip(workload.STATES, y, strict=True))
    expected = workload.all_rates(NUMPY, state, own(0), 3.0)
    scope = {"exp": np.exp, "log": np.log, "empty": np.empty}
    exec(equations_text.python_rates(), scope)
    parameters = np.array([own(0)[name] for name in workload.PARAMETERS])
    found = scope["rates"](0.0, y, parameters, 3.0)
    np.testing.assert_allclose(found, [expected[name] for name in workload.STATES], rtol=1e-12)


def test_text_for_other_engines_holds_every_state_output_and_dose():
    antimony, mrgsolve = equations_text.antimony(28).splitlines(), equations_text.mrgsolve()
    for name in (*workload.STATES, *equations_text.FAST_STATES):
        assert sum(line.startswith(f"{name}' = ") for line in antimony) == 1
    for name in workload.OUTPUTS:
        assert sum(line.startswith(f"seen_{name} := ") for line in antimony) == 1
        assert f"double seen_{name} = " in mrgsolve
    for name in workload.STATES:
        assert f"dxdt_{name} = " in mrgsolve
    assert sum(line.startswith("at time > ") for line in antimony) == 15


def test_the_error_of_a_patient_is_relative_but_not_to_less_than_a_hundredth_of_the_peak():
    right = np.array([[[100.0], [50.0], [0.0]]])
    for off, error in (([0.0, 1.0, 0.0], 0.02), ([0.0, 0.0, 0.1], 0.1)):
        assert workload.errors(right + np.reshape(off, (1, 3, 1)), right) == pytest.approx([error])


def test_scipy_as_a_rival_gives_the_same_outputs(monkeypatch):
    monkeypatch.setattr(equations_text, "has_numba", lambda: False)  # compiling takes longer than solving
    times = workload.times_h(1)
    found, _ = rival_scipy.run(PATIENTS.take(slice(1, 2)), times, tolerance=1e-7)
    assert workload.errors(found, solved(1, times)).max() < 1e-4
