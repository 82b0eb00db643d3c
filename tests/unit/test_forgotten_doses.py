"""A dose counts as gone a fortnight after it began: what is left of it then is nothing that matters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.registry import COMBINATIONS, Combination

from euthymia.dosing.notation import parse_regimen
from euthymia.engine.linear import respond
from euthymia.model import chain
from euthymia.model.chain import FORGOTTEN_AFTER_H, Course
from euthymia.model.parameters import DEFAULT_SET, load_parameters
from euthymia.model.pk import Given
from euthymia.population.individual import chain_values, individual_values
from euthymia.population.patient import Patient
from euthymia.population.surroundings import midazolam_of

SET = load_parameters()
COUNT = 200
TIMES_H = np.unique(np.concatenate([np.linspace(0.0, 24.0, 97), [FORGOTTEN_AFTER_H]]))
EACH = [one for one in COMBINATIONS if one.set == DEFAULT_SET]


def values_of(count: int) -> tuple[Any, Any]:
    """Return parameters of virtual patients, or of the typical one."""
    people = [Patient()] * count
    numbers = None if count == 1 else np.arange(1, count + 1)
    return (
        individual_values(SET, people, numbers=numbers, seed=1),
        chain_values(SET, people, numbers=numbers, seed=1),
    )


def left(count: int, combination: Combination) -> np.ndarray:
    """Return what is left of each reading at the site after a fortnight, relative to its peak."""
    pk_values, values = values_of(count)
    given = tuple(Given(dose) for dose in combination.doses())
    system, inputs, readings = chain._site_model(SET, pk_values, values, Course(given=given), count)
    shown = {name: weights for name, weights in readings.items() if not name.endswith(".slope")}
    found = respond(system, inputs, TIMES_H, shown).values
    return np.concatenate([one[:, -1] / one.max(axis=1) for one in found.values() if one.any()])


@pytest.mark.parametrize("combination", EACH, ids=str)
def test_less_than_1e_5_of_the_peak_is_left_of_any_dose_in_the_typical_patient(combination: Combination):
    assert left(1, combination).max() < 1e-5


def test_less_than_1e_5_of_the_peak_is_left_of_midazolam():
    doses = midazolam_of(parse_regimen("midazolam 5 mg iv over 40 min"), np.array([70.0]))
    system, inputs, readings = chain._midazolam_model(values_of(1)[1], doses, 1)
    found = respond(system, inputs, TIMES_H, readings).values["midazolam_site_umol_per_L"]
    assert found[0, -1] < 1e-5 * found.max()


@pytest.mark.parametrize("combination", EACH, ids=str)
def test_hardly_anything_is_left_in_people_who_eliminate_slowly(combination: Combination):
    """1e-3 of a peak is 1e-3 of an effect that saturates: below the error of the grid in mood."""
    found = left(COUNT, combination)
    assert found.max() < 1e-3
    assert np.median(found) < 1e-5


def test_nothing_else_is_forgotten_and_nothing_sooner():
    plan = parse_regimen("ketamine 0.5 mg/kg iv over 40 min, weekly x 4")
    pk_values, values = values_of(1)
    given = tuple(Given(dose) for dose in plan.doses(70.0))
    system, inputs, readings = chain._site_model(SET, pk_values, values, Course(given=given), 1)
    times = np.linspace(0.0, 900.0, 451)
    whole = respond(system, inputs, times, readings).values
    kept = chain._remembered(system, inputs, times, readings)
    for name, right in whole.items():
        atol = 1e-5 * np.abs(right).max()
        np.testing.assert_allclose(kept[name], right, rtol=0, atol=atol, err_msg=name)
        young = times < FORGOTTEN_AFTER_H
        assert kept[name][:, young].tobytes() == np.ascontiguousarray(right[:, young]).tobytes()
    assert np.all(kept["s_equivalents_site_umol_per_L"][:, times >= 504.0 + FORGOTTEN_AFTER_H] == 0.0)
