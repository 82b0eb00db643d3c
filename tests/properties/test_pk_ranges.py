"""Claim: a result outside the range of its set says so, and one inside does not."""

from __future__ import annotations

import warnings

import pytest
from tests.registry import SETS

from euthymia import simulate_concentrations
from euthymia.dosing.notation import parse_regimen
from euthymia.errors import ResultWarning
from euthymia.model.concentrations import Epoch
from euthymia.model.parameters import load_parameters
from euthymia.model.pk import Given
from euthymia.population.concentrations import Subject, simulate_subjects
from euthymia.population.patient import Patient


def text_for(name: str, mg_per_kg: float) -> str:
    return f"{load_parameters(name).drugs[0]} {mg_per_kg!r} mg/kg iv bolus"


def inside(name: str) -> tuple[float, float]:
    """Return a weight and a dose per kg in the middle of the range."""
    valid = load_parameters(name).valid
    return sum(valid.weight_kg) / 2, max(valid.dose_mg_per_kg[0], min(0.5, valid.dose_mg_per_kg[1]))


@pytest.mark.parametrize("name", SETS)
def test_inside_the_range_there_is_no_warning(name: str):
    weight_kg, dose = inside(name)
    assert not simulate_concentrations(
        text_for(name, dose), parameters=name, patient=Patient(weight_kg=weight_kg)
    ).warnings


@pytest.mark.parametrize("name", SETS)
def test_a_weight_outside_is_an_extrapolation(name: str):
    _, dose = inside(name)
    heavy = Patient(weight_kg=load_parameters(name).valid.weight_kg[1] * 1.5)
    with pytest.warns(ResultWarning, match=r"'weight_kg' .* lies outside .* an extrapolation"):
        simulate_concentrations(text_for(name, dose), parameters=name, patient=heavy)


@pytest.mark.parametrize("name", SETS)
def test_a_dose_below_the_range_is_an_extrapolation(name: str):
    weight_kg, _ = inside(name)
    little = load_parameters(name).valid.dose_mg_per_kg[0] / 3
    with pytest.warns(ResultWarning, match=r"'dose' .* lies outside .* an extrapolation"):
        simulate_concentrations(text_for(name, little), parameters=name, patient=Patient(weight_kg=weight_kg))


@pytest.mark.parametrize("age", [0.5, 119.0])
def test_an_age_outside_is_an_extrapolation(age: float):
    with pytest.warns(ResultWarning, match="'age_years'"):
        simulate_concentrations("ketamine 0.5 mg/kg iv bolus", patient=Patient(age_years=age))


BY_70 = "_session_mg_per_kg divides by 70 kg, whatever the patient weighs"


def test_a_fixed_dose_counts_by_the_weight_of_the_patient():
    """84 mg in 39 kg are 2.15 mg/kg; the set covers 1.8 at most."""
    with pytest.warns(ResultWarning, match="'dose'"):
        simulate_concentrations(
            "esketamine 84 mg intranasal", parameters="perez-ruixo-2021", patient=Patient(weight_kg=39.0)
        )


def test_doses_of_an_event_table_count_by_the_weight_of_the_subject():
    """1.1 mg/kg in a child of 20 kg lies inside 1 to 300 mg/kg."""
    doses = parse_regimen("esketamine 1.1 mg/kg iv bolus").doses(20.0)
    child = Subject(
        label="a",
        patient=Patient(weight_kg=20.0),
        number=1,
        epochs=(Epoch(0.0, tuple(Given(dose) for dose in doses)),),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResultWarning)
        simulate_subjects([child], is_random=False, parameters="flint-2017")
