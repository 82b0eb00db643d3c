"""A patient is checked when made; what is absent changes nothing."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest

from euthymia import simulate_concentrations
from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.population.patient import ANCESTRIES, Patient, ranges
from euthymia.tables import read_table

MODERATE = "AUC ratio 2.03 is recalled, not verified"


def area(patient: Patient, regimen: str = "esketamine 20 mg iv over 40 min", **options: object) -> float:
    course = simulate_concentrations(regimen, patient=patient, times_h=[1.0], **options)  # pyright: ignore
    stem = next(name for name in course.metrics if name.startswith("s_ketamine"))
    return float(course.metrics[stem].auc_infinity[0])


def test_patient_of_whom_nothing_is_known_weighs_70_kg():
    assert Patient.create() == Patient(
        weight_kg=70.0, age_years=None, ancestry=None, hepatic_class=None, comedications=()
    )


def test_patient_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        Patient.create().weight_kg = 80.0  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("weight_kg", [3, 3.0, 300, 70])
def test_limits_of_weight_are_allowed(weight_kg: float):
    assert Patient.create(weight_kg=weight_kg).weight_kg == weight_kg


@pytest.mark.parametrize(
    ("weight_kg", "message"),
    [
        (2.99, r"'weight_kg' must be 3–300 \(rules/dosing.toml\). Got 2.99. In kilograms."),
        (154.5 / 0.45359237, "Pounds[?] .* lb is 15[45] kg."),
        (float("nan"), "'weight_kg' must be a finite number. Got nan."),
        (float("inf"), "Got inf"),
        (0.0, "Got 0"),
    ],
)
def test_weight_that_cannot_be_is_refused(weight_kg: float, message: str):
    with pytest.raises(InvalidInputError, match=message):
        Patient.create(weight_kg=weight_kg)


@pytest.mark.parametrize("age_years", [0, 0.02, 120])
def test_limits_of_age_are_allowed(age_years: float):
    assert Patient.create(age_years=age_years).age_years == age_years


@pytest.mark.parametrize("age_years", [-0.1, 120.5, float("nan"), float("inf")])
def test_age_that_cannot_be_is_refused(age_years: float):
    with pytest.raises(InvalidInputError, match=r"'age_years' must be 0–120 years. Got"):
        Patient.create(age_years=age_years)


def test_ancestry_none_stated_is_absent():
    assert Patient.create(ancestry="none stated").ancestry is None
    assert Patient.create(ancestry="japanese").ancestry == "japanese"


def test_unknown_ancestry_is_refused_with_those_known():
    with pytest.raises(UnknownNameError, match=r", ".join(sorted(ANCESTRIES))):
        Patient.create(ancestry="welsh")


@pytest.mark.parametrize("row", read_table("hepatic.csv"), ids=lambda row: row["class"])
def test_hepatic_class_is_allowed_where_a_number_is_known(row: dict[str, str]):
    if row["systemic_auc_ratio"]:
        assert Patient.create(hepatic_class=row["class"]).hepatic_class == row["class"]
    else:
        with pytest.raises(InvalidInputError, match=r"must be normal or moderate \(hepatic.csv\)"):
            Patient.create(hepatic_class=row["class"])


def test_unknown_hepatic_class_is_offered_the_nearest():
    with pytest.raises(UnknownNameError, match=r"Unknown hepatic class 'sever'. Did you mean 'severe'"):
        Patient.create(hepatic_class="sever")


@pytest.mark.parametrize("name", [row["name"] for row in read_table("comedications.csv")])
def test_comedication_with_measured_ratios_is_allowed(name: str):
    assert Patient.create(comedications=[name]).comedications == (name,)


def test_comedication_may_be_one_name():
    assert Patient.create(comedications="rifampicin").comedications == ("rifampicin",)


def test_comedication_named_twice_counts_once():
    assert Patient.create(comedications=["rifampicin", "rifampicin"]).comedications == ("rifampicin",)


def test_unknown_comedication_is_offered_the_nearest():
    with pytest.raises(
        UnknownNameError,
        match=r"Unknown comedication 'ticlopidin'. Did you mean 'ticlopidine'.* Only these have",
    ):
        Patient.create(comedications=["ticlopidin"])


KNOWN: dict[str, Any] = {
    "sex": "female",
    "height_cm": 165.0,
    "episode_weeks": 52.0,
    "failed_trials": 3,
    "ssi_points": 6.0,
    "diagnosis": "recurrent major depressive disorder",
    "cyp2b6_genotype": "*1/*6",
}


def test_what_is_only_recorded_is_kept_and_absent_where_unknown():
    patient = Patient.create(**KNOWN)
    assert {field: getattr(patient, field) for field in KNOWN} == KNOWN
    assert all(getattr(Patient.create(), field) is None for field in KNOWN)
    assert patient.bmi_kg_per_m2 == pytest.approx(70 / 1.65**2)
    assert Patient.create().bmi_kg_per_m2 is None


@pytest.mark.parametrize("field", ["height_cm", "episode_weeks", "failed_trials", "ssi_points"])
def test_ends_of_ranges_are_allowed_and_what_lies_beyond_is_refused_with_its_cure(field: str):
    rule = ranges()[field]
    for end, beyond in ((rule["low"], rule["low"] - 1), (rule["high"], rule["high"] + 1)):
        assert getattr(Patient.create(**{field: end}), field) == end
        with pytest.raises(InvalidInputError) as refused:
            Patient.create(**{field: beyond})
        assert f"'{field}' must be {rule['low']}–{rule['high']} {rule['unit']}" in str(refused.value)
        assert f"Got {beyond}. {rule['cure']}" in str(refused.value)


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ({"height_cm": 1.65}, "Got 1.65. In centimetres: 1.7 m is 170"),
        ({"height_cm": float("nan")}, "'height_cm' must be a finite number"),
        ({"failed_trials": 2.5}, "'failed_trials' must be a whole number. Got 2.5"),
        ({"failed_trials": True}, "'failed_trials' must be a whole number. Got True"),
        ({"sex": "f"}, "Unknown sex 'f'. Known: female, male. Leave it out where it is not known"),
        ({"diagnosis": "  "}, "'diagnosis' must be 1 to 200 characters. Got 0"),
        ({"diagnosis": "x" * 201}, "Got 201"),
        ({"cyp2b6_genotype": "*6"}, "'cyp2b6_genotype' must be two star alleles, such as '[*]1/[*]6'. Got"),
    ],
)
def test_what_cannot_be_of_a_patient_is_refused(known: dict[str, Any], message: str):
    with pytest.raises(InvalidInputError, match=message):
        Patient.create(**known)


# --- what a patient changes --------------------------------------------------------------------


def test_normal_liver_changes_nothing():
    assert area(Patient.create(hepatic_class="normal")) == area(Patient.create())


def test_moderate_liver_changes_the_area_by_its_ratio_and_is_said_to_be_unverified():
    with pytest.warns(match=MODERATE):
        impaired = area(Patient.create(hepatic_class="moderate"))
    assert impaired == pytest.approx(2.03 * area(Patient.create()), rel=1e-9)


def test_ratios_of_liver_and_comedication_multiply():
    with pytest.warns(match=MODERATE):
        both = area(Patient.create(hepatic_class="moderate", comedications=["rifampicin"]))
    assert both == pytest.approx(2.03 * 0.86 * area(Patient.create()), rel=1e-9)


def test_ancestry_and_age_change_the_set_that_found_it():
    options = {"parameters": "perez-ruixo-2021"}
    nasal = "esketamine 84 mg intranasal"
    plain = area(Patient.create(), nasal, **options)
    assert area(Patient.create(ancestry="asian"), nasal, **options) > plain
    assert area(Patient.create(ancestry="japanese"), nasal, **options) > plain
    assert area(Patient.create(age_years=75), nasal, **options) > plain
    assert area(Patient.create(age_years=30), nasal, **options) == plain


def test_dose_by_weight_follows_weight_and_clearance_its_exponent():
    areas = np.array(
        [
            area(Patient.create(weight_kg=weight_kg), "esketamine 0.5 mg/kg iv over 40 min")
            for weight_kg in (50.0, 100.0)
        ]
    )
    assert areas[1] / areas[0] == pytest.approx(2.0**0.25, rel=1e-9)
