"""Claim: three ways of solving one system agree: exact terms, matrix exponentials, and SciPy's LSODA."""

from __future__ import annotations

import numpy as np
import pytest
from tests.registry import COMBINATIONS, SOLVERS, Combination, curves, every, largest, model_of

from euthymia.engine.exponential import area_by_solve
from euthymia.engine.linear import Input, assemble, integral_to_infinity, output_terms, respond
from euthymia.engine.reference import RELATIVE_TOLERANCE, respond_by_ode
from euthymia.errors import RunFailedError
from euthymia.model.pk import Given, wire_pk
from euthymia.population.individual import individual_values

# What each comparator can promise, relative to the peak. LSODA: 1e-11 a step over some 1e3 steps.
WITHIN = {"respond": 0.0, "respond_by_exponential": 1e-10, "respond_by_ode": 1e-8}
NUMBERS = (3, 17, 4711)
TIMES = np.concatenate([[0.0, 0.004], np.linspace(0.05, 3.0, 12), [5.0, 8.0, 8.3, 12.0, 24.0, 48.0]])


def assert_agree(combination: Combination, solver: str, numbers: tuple[int, ...] | None) -> None:
    doses = [*combination.doses(0.0), *combination.doses(8.0, factor=0.6)]
    model = model_of(combination, doses, numbers=numbers, seed=20)
    found, right = curves(model, TIMES), curves(model, TIMES, solver=solver)
    for name, values in found.items():
        off = (np.abs(values - right[name]) / largest(right[name])).max()
        assert off <= WITHIN[solver], f"{name}: {off:.1e} of the peak"


def test_every_solver_has_a_promise():
    assert set(WITHIN) == set(SOLVERS)


def test_the_reference_is_asked_for_eleven_digits():
    assert RELATIVE_TOLERANCE <= 1e-11


@every()
def test_drawn_patients_agree_with_matrix_exponentials(combination: Combination):
    assert_agree(combination, "respond_by_exponential", NUMBERS)


@pytest.mark.slow
@pytest.mark.parametrize("combination", COMBINATIONS, ids=str)
def test_drawn_patients_agree_with_lsoda(combination: Combination):
    assert_agree(combination, "respond_by_ode", NUMBERS)


FIRST_OF_A_SET = {one.set: one for one in reversed(COMBINATIONS)}


@pytest.mark.parametrize("combination", FIRST_OF_A_SET.values(), ids=FIRST_OF_A_SET)
def test_typical_patient_agrees_with_lsoda(combination: Combination):
    assert_agree(combination, "respond_by_ode", None)


@every()
def test_steady_state_agrees_with_matrix_exponentials(combination: Combination):
    values = individual_values(
        combination.parameters, [combination.patient] * 3, numbers=np.array(NUMBERS), seed=20
    )
    given = [Given(dose, 24.0, 0.0) for dose in combination.doses(1.5)]
    model = wire_pk(combination.parameters, values, given, patient_count=3)
    times = np.linspace(0.0, 23.5, 20)
    found, right = curves(model, times), curves(model, times, solver="respond_by_exponential")
    for name in found:
        assert (np.abs(found[name] - right[name]) / largest(right[name])).max() <= 1e-10, name


@every()
def test_integrals_agree_with_matrix_exponentials(combination: Combination):
    from euthymia.engine.exponential import respond_by_exponential

    model = model_of(combination, combination.doses(), numbers=NUMBERS[:1], seed=20)
    times = np.array([0.3, 4.0, 48.0])
    found = respond(model.system, model.inputs, times, model.observed, integrated=True).values
    right = respond_by_exponential(model.system, model.inputs, times, model.observed, 0, integrated=True)
    for name in found:
        np.testing.assert_allclose(found[name][0], right[name], rtol=0, atol=1e-10 * right[name].max())


@every()
def test_areas_to_infinity_agree_with_a_linear_solve(combination: Combination):
    model = model_of(combination, combination.doses(), numbers=NUMBERS, seed=20)
    for node in {item.node for item in model.inputs} - {"elsewhere"}:
        for name, weights in model.observed.items():
            terms = output_terms(model.system, node, weights)
            area = np.broadcast_to(integral_to_infinity(terms, model.system.poles), (3,))
            for patient in range(3):
                right = area_by_solve(model.system, node, weights, patient)
                assert area[patient] == pytest.approx(right, rel=1e-9, abs=1e-30), (name, node)


def test_lsoda_agrees_on_a_system_written_by_hand():
    """No mechanism involved: a chain with a lagged zero-order input and an observer."""
    flows = [
        ("a", "b", np.array([1.3, 0.4]), True),
        ("b", None, np.array([0.7, 2.0]), True),
        ("b", "eye", np.array([3.0, 3.0]), False),
        ("eye", None, np.array([1.1, 0.2]), True),
    ]
    system = assemble(flows, 2)
    inputs = [Input("a", np.array([5.0, 1.0]), 0.3, np.array([0.9, 1.7]), np.array([0.2, 0.1]))]
    outputs = {"b": {"b": 1.0}, "eye": {"eye": 2.0, "b": 0.5}}
    times = np.linspace(0.0, 20.0, 41)
    found = respond(system, inputs, times, outputs).values
    for patient in range(2):
        for name, row in respond_by_ode(system, inputs, times, outputs, patient).items():
            assert np.abs(found[name][patient] - row).max() <= 1e-8 * row.max()


def test_lsoda_refuses_a_steady_state():
    system = assemble([("c", None, np.array([0.5]), True)], 1)
    steady = [Input("c", np.ones(1), 0.0, 0.0, 0.0, 12.0)]
    with pytest.raises(RunFailedError, match="steady state"):
        respond_by_ode(system, steady, np.array([0.0, 6.0]), {"c": {"c": 1.0}}, 0)
