"""Claim: what others are given, or what is asked for beside, changes nothing for a person."""

from __future__ import annotations

import numpy as np
import pytest

from euthymia import Patient, load_parameters, simulate_concentrations
from euthymia.dosing.notation import parse_regimen
from euthymia.errors import InvalidInputError, ResultWarning
from euthymia.model.concentrations import Epoch
from euthymia.model.pk import Given
from euthymia.population.concentrations import Subject, simulate_subjects


def subject(number: int, text: str) -> Subject:
    doses = parse_regimen(text).doses(70.0)
    epoch = Epoch(0.0, tuple(Given(dose) for dose in doses))
    return Subject(label=str(number), patient=Patient(), number=number, epochs=(epoch,))


@pytest.mark.parametrize("apart_h", [0.4, 1 / 3, 0.37])
def test_equal_doses_give_equal_peaks_whenever_others_are_dosed(apart_h: float):
    people = [subject(place + 1, f"ketamine 50 mg im at {place * apart_h:.6f} h") for place in range(8)]
    found = simulate_subjects(people, is_random=False).metrics["ketamine_arterial"]
    np.testing.assert_allclose(found.cmax, found.cmax[0], rtol=1e-9)
    np.testing.assert_allclose(found.tmax_h, found.tmax_h[0], atol=1e-9)


def test_hundreds_of_schedules_keep_their_peaks():
    people = [subject(place + 1, f"ketamine 35 mg iv bolus at {place * 0.51:.2f} h") for place in range(205)]
    found = simulate_subjects(people, is_random=False, variables=["ketamine_arterial"]).metrics
    np.testing.assert_allclose(found["ketamine_arterial"].cmax, found["ketamine_arterial"].cmax[0], rtol=1e-9)


def test_exposure_does_not_depend_on_the_times_asked_for():
    plain = simulate_concentrations("ketamine 0.5 mg/kg im")
    asked = simulate_concentrations("ketamine 0.5 mg/kg im", times_h=np.linspace(0.0, 2.0, 777))
    for name, metrics in plain.metrics.items():
        assert metrics.cmax == asked.metrics[name].cmax
        assert metrics.tmax_h == asked.metrics[name].tmax_h


def test_days_of_infusion_are_followed_to_two_days_after_the_last_began():
    course = simulate_concentrations("ketamine 10 mg iv over 24 h, daily x 5")
    assert course.provenance.horizon_h == 96 + 48
    area = course.metrics["s_ketamine_arterial"].auc_horizon[0]
    assert area == pytest.approx(course.metrics["s_ketamine_arterial"].auc_infinity[0], rel=1e-3)


def test_orders_that_follow_each_other_closely_are_followed_as_long_as_others():
    course = simulate_concentrations("ketamine 10 mg iv over 60 min, every 1 h x 4")
    assert course.provenance.horizon_h == 3 + 48


def test_a_drug_without_pharmacokinetics_does_not_lengthen_the_course():
    with pytest.warns(ResultWarning, match="escitalopram has no pharmacokinetics"):
        course = simulate_concentrations("ketamine 35 mg im; escitalopram 10 mg po, daily x 30")
    assert course.provenance.horizon_h == 48


def test_a_time_an_ulp_from_the_end_of_an_infusion_changes_nothing_numerically_solved():
    child = Patient.create(weight_kg=10.0)
    keep = {"parameters": "flint-2017", "patient": child, "with_metrics": False}
    near = simulate_concentrations(
        "esketamine 1 mg/kg iv over 5 min", times_h=[0.0833333333333333, 5.0], **keep
    )
    plain = simulate_concentrations("esketamine 1 mg/kg iv over 5 min", times_h=[5.0], **keep)
    assert near.values["s_norketamine"][0, 1] == pytest.approx(plain.values["s_norketamine"][0, 0], rel=1e-8)


@pytest.mark.parametrize("field", ["hepatic_class", "comedications"])
def test_a_set_without_a_place_for_a_covariate_refuses_it(field: str):
    value = {"hepatic_class": "moderate", "comedications": ("rifampicin",)}[field]
    patient = Patient.create(**{field: value})
    with pytest.raises(InvalidInputError, match="no effect of liver or comedication"):
        simulate_concentrations("esketamine 84 mg po", parameters="perez-ruixo-2021", patient=patient)


def test_overrides_that_make_a_rate_negative_are_refused():
    broken = load_parameters("perez-ruixo-2021").with_overrides({"liver_flow_L_per_h": 20.0})
    with pytest.raises(InvalidInputError, match="must be 0 or more per hour"):
        simulate_concentrations(
            "esketamine 84 mg po", parameters=broken, patient=Patient.create(age_years=85.0)
        )


@pytest.mark.parametrize("patients", [[], 0, 2.5, True])
def test_a_number_of_patients_that_is_none_is_refused(patients: object):
    with pytest.raises(InvalidInputError, match="'patients' must be"):
        simulate_concentrations("ketamine 0.5 mg/kg im", patients=patients)  # type: ignore[arg-type]


def test_steady_state_of_a_time_variant_set_is_refused():
    doses = parse_regimen("esketamine 1 mg/kg iv bolus").doses(10.0)
    epoch = Epoch(0.0, tuple(Given(dose, 12.0, 0.0) for dose in doses))
    person = Subject(label="1", patient=Patient(weight_kg=10.0), number=1, epochs=(epoch,))
    with pytest.raises(InvalidInputError, match="'SS' must be 0 or absent"):
        simulate_subjects([person], is_random=False, parameters="flint-2017")


def test_a_number_rests_on_every_paper_behind_it():
    sources = simulate_concentrations("ketamine 0.5 mg/kg im").provenance.sources
    assert {"Hirlinger1984", "Wang2019", "Persson2002", "Hasan2021"} <= set(sources)
    assert "Glue2020" not in sources
