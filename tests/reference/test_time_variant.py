"""Claim: a metabolite whose clearance rises with time, and its area, have the digits promised."""

from __future__ import annotations

import numpy as np
import pytest
from tests.registry import Combination, curves, model_of

from euthymia import simulate_concentrations
from euthymia.dosing.order import Route
from euthymia.population.individual import individual_values
from euthymia.population.patient import Patient

CHILD = {"patient": Patient(weight_kg=20.0), "parameters": "flint-2017"}
BOLUS = "esketamine 1.1 mg/kg iv bolus"


def right(times: np.ndarray) -> np.ndarray:
    """Return norketamine by an integrating factor and quadrature, in no way by an ODE solver.

    dA/dt = f(t) - k (1 + s t) A;  A = exp(-K(t)) int_0^t f(u) exp(K(u)) du,  K = k (t + s t^2 / 2)
    """
    one = Combination("flint-2017", "esketamine", Route.IV_BOLUS)
    drawn = individual_values(one.parameters, [Patient(weight_kg=20.0)], numbers=None, seed=1)
    p = {name: float(np.ravel(value)[0]) for name, value in drawn.items()}
    amount = float(one.order.doses(0.0, 20.0)[0].amount_umol) * 1.1  # the registry gives 1 mg/kg
    k10, k12 = (p[name] / p["central_volume_L"] for name in ("clearance_L_per_h", "fast_flow_L_per_h"))
    k21 = p["fast_flow_L_per_h"] / p["fast_volume_L"]
    total = k10 + k12 + k21
    root = np.sqrt(total**2 - 4 * k10 * k21)
    alpha, beta = (total + root) / 2, (total - root) / 2
    k, s = (
        p["norketamine_clearance_L_per_h"] / p["norketamine_central_volume_L"],
        p["norketamine_clearance_increase_per_h"],
    )
    nodes, weights = np.polynomial.legendre.leggauss(400)
    values = []
    for time in times:
        # what entered more than 60 / k ago has gone; substitute to resolve the fast start
        first = max(0.0, time - 60.0 / k)
        u = first + (time - first) * (nodes + 1) / 2
        parent = ((alpha - k21) * np.exp(-alpha * u) + (k21 - beta) * np.exp(-beta * u)) / (alpha - beta)
        gone = k * ((time - u) + s * (time**2 - u**2) / 2)
        formed = amount * p["formed_ratio"] * k10 * parent * np.exp(-gone)
        values.append((time - first) / 2 * (weights @ formed))
    return np.array(values) / p["norketamine_central_volume_L"]


def test_curve_agrees_with_an_integrating_factor():
    times = np.array([0.01, 0.05, 0.2, 1.0, 3.0, 10.0, 30.0, 47.0])
    found = simulate_concentrations(BOLUS, times_h=times, with_metrics=False, **CHILD).values[
        "s_norketamine"
    ][0]
    wanted = right(times)
    assert np.abs(found - wanted).max() <= 1e-8 * right(np.geomspace(1e-3, 1.0, 50)).max()


def test_a_rise_of_nothing_is_the_exact_solution():
    one = Combination("flint-2017", "esketamine", Route.IV_BOLUS)
    times = np.array([0.01, 0.2, 1.0, 10.0, 30.0])
    constant = one.parameters.with_overrides({"norketamine_clearance_increase_per_h": 0.0})
    found = simulate_concentrations(
        BOLUS, times_h=times, patient=one.patient, parameters=constant, with_metrics=False
    )
    exact = curves(model_of(one, one.doses(factor=1.1)), times)["s_norketamine"]
    assert found.certificate.patients_by_reference_solver == 1
    np.testing.assert_allclose(found.values["s_norketamine"], exact, rtol=0, atol=1e-8 * exact.max())


@pytest.mark.parametrize(
    "times", [[0.1 + 0.2], list(np.arange(0.0, 48.0, 0.1))], ids=["0.1 + 0.2", "every 6 min"]
)
def test_any_times_may_be_asked_for(times: list[float]):
    simulate_concentrations(BOLUS, times_h=times, **CHILD)


def test_area_is_that_of_the_curve():
    course = simulate_concentrations(BOLUS, **CHILD)
    points = np.concatenate([[0.0], np.geomspace(1e-5, 48.0, 4000)])
    fine = simulate_concentrations(BOLUS, times_h=points, with_metrics=False, **CHILD).values[
        "s_norketamine"
    ][0]
    # the rule over 4000 points spaced by a constant ratio is good to some 1e-5
    assert course.metrics["s_norketamine"].auc_horizon[0] == pytest.approx(
        np.trapezoid(fine, points), rel=1e-4
    )


def test_area_does_not_depend_on_the_times_asked_for():
    few = simulate_concentrations(BOLUS, **CHILD).metrics["s_norketamine"].auc_horizon[0]
    many = (
        simulate_concentrations(BOLUS, times_h=np.geomspace(1e-4, 40.0, 300), **CHILD)
        .metrics["s_norketamine"]
        .auc_horizon[0]
    )
    assert many == pytest.approx(few, rel=1e-6)
