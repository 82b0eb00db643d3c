"""Claim: the registry holds everything that the package offers, and each of its members works."""

from __future__ import annotations

import numpy as np
import pytest
from tests import registry
from tests.registry import COMBINATIONS, SETS, SOLVERS, curves, every, model_of

from euthymia import simulate_concentrations
from euthymia.dosing.regimen import single
from euthymia.errors import InvalidInputError
from euthymia.model.parameters import load_parameters
from euthymia.model.pk import STRUCTURES, way_of
from euthymia.model.variables import variables
from euthymia.tables import read_table


def test_every_set_and_route_and_drug_is_covered_by_something():
    assert {one.set for one in COMBINATIONS} == set(SETS)
    assert {one.route for one in COMBINATIONS} == set(registry.ROUTES)
    assert {one.drug for one in COMBINATIONS} == set(registry.DRUGS)


def test_every_structure_is_used():
    assert {load_parameters(name).structure for name in SETS} == set(STRUCTURES)


def test_the_engine_has_three_independent_ways():
    assert set(SOLVERS) == {"respond", "respond_by_exponential", "respond_by_ode"}


@pytest.mark.parametrize("name", SETS)
def test_every_way_that_a_set_names_is_used_by_a_route(name: str):
    used = {way_of(one.drug, one.route) for one in COMBINATIONS if one.set == name}
    assert used == set(load_parameters(name).ways)


@pytest.mark.parametrize("combination", COMBINATIONS, ids=str)
def test_something_enters_and_every_concentration_rises(combination: registry.Combination):
    model = model_of(combination, combination.doses())
    assert model.inputs, "a covered dose must enter somewhere"
    for name, values in curves(model, np.linspace(0.0, 24.0, 60)).items():
        assert name in variables()
        assert values.max() > 0, name


@every(is_run=True)
def test_the_public_function_answers_without_a_warning_inside_the_range(combination: registry.Combination):
    course = simulate_concentrations(
        single(combination.order), parameters=combination.set, patient=combination.patient
    )
    assert set(course.warnings) <= {row["caution"] for row in read_table("routes.csv")}
    assert all(np.all(np.isfinite(values)) for values in course.values.values())
    assert np.all(course.bioavailable_fraction > 0)
    assert np.all(course.bioavailable_fraction <= 1 + 1e-12)


@pytest.mark.parametrize("name", SETS)
def test_what_a_set_does_not_cover_is_refused(name: str):
    covered = {(one.drug, one.route) for one in COMBINATIONS if one.set == name}
    for drug in registry.DRUGS:
        for route in registry.ROUTES:
            if (drug, route) in covered:
                continue
            combination = registry.Combination(name, drug, route)
            with pytest.raises(InvalidInputError, match=f"The set '{name}' covers"):
                simulate_concentrations(
                    single(combination.order), parameters=name, patient=combination.patient
                )
