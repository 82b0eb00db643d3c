"""An intake keeps what was said; what cannot be is questioned, never changed, and not used."""

from __future__ import annotations

import re
from typing import Any

import pytest

from euthymia.care.comedications import (
    class_names,
    exposure_findings,
    known_drugs,
    read_comedications,
)
from euthymia.care.conditions import OTHERS
from euthymia.care.intake import Intake, check_complete, fields, intake_fields
from euthymia.care.rules import rules
from euthymia.dosing.order import Route
from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.tables import read_table


def intake(**given: Any) -> Intake:
    named = ("prior_trials", "comedications", "confirmed")
    options = {key: given.pop(key) for key in named if key in given}
    return Intake.create(patient_id="P-1", answers=given, **options)


ISSUE = {
    "history": ["diagnosis", "episode_weeks", "has_history"],
    "adequate prior trials": ["failed_adequate_trials"],
    "psychosis": ["active_psychosis", "past_psychosis", "family_psychosis", "has_psychotic_features"],
    "mania and bipolar disorder": ["bipolar_disorder", "current_mania", "past_mania"],
    "substance use": ["active_substance_use_disorder", "months_since_substance_use_disorder"],
    "cardiovascular": ["cardiovascular_event", "severe_heart_disease", "uncontrolled_hypertension"],
    "stroke": ["stroke", "tia", "intracerebral_haemorrhage"],
    "aneurysm": ["aneurysmal_disease", "arteriovenous_malformation"],
    "raised pressure": ["raised_intracranial_pressure", "raised_intraocular_pressure"],
    "seizure": ["seizure_disorder"],
    "thyroid and phaeochromocytoma": ["untreated_hyperthyroidism", "phaeochromocytoma"],
    "sleep apnoea and respiratory": ["sleep_apnoea", "significant_lung_disease"],
    "hepatic": ["child_pugh"],
    "bladder": ["urinary_symptoms", "interstitial_cystitis"],
    "pregnancy": ["is_pregnant", "is_breastfeeding", "uses_contraception"],
    "age": ["age_years"],
    "dementia and capacity": ["dementia", "has_capacity"],
    "anaesthesia": ["anaesthetic_complications"],
    "allergies": ["ketamine_hypersensitivity", "other_allergies"],
    "comedication": ["comedications"],
    "suicidality": ["cssrs_level", "suicidal_intent_or_plan", "recent_suicidal_behaviour"],
}


@pytest.mark.parametrize("topic", ISSUE)
def test_every_topic_is_asked_and_looked_at_by_a_rule(topic: str):
    asked = {one.name for one in intake_fields()}
    used = {field for rule in rules().values() for field in rule.fields}
    assert set(ISSUE[topic]) <= asked
    assert used & set(ISSUE[topic])


def test_an_empty_intake_knows_nothing_and_asks_everything():
    empty = intake()
    assert (empty.facts(), empty.questions()) == ({}, ())
    assert check_complete(empty.facts()) == tuple(one.name for one in intake_fields())


@pytest.mark.parametrize("given", [None, "", "?", "unknown", "Not known"])
def test_unknown_is_said_in_several_ways(given: object):
    assert intake(stroke=given, age_years=given, child_pugh=given).facts() == {}


@pytest.mark.parametrize("given", [True, "yes", "Yes", "true"])
def test_yes_is_yes(given: object):
    assert intake(stroke=given).facts() == {"stroke": True}


def test_no_is_not_unknown():
    assert intake(stroke="no", tia=False).facts() == {"stroke": False, "tia": False}


@pytest.mark.parametrize(
    ("entered", "unit", "canonical"),
    [
        ("154 lb", "lb", 69.85322498),
        ("82,5 kg", "kg", 82.5),
        ("82,5", "kg", 82.5),
        (82.5, "kg", 82.5),
        ("11 st", "st", 69.85322498),
        ("70000 g", "g", 70.0),
    ],
)
def test_a_value_keeps_what_was_entered_beside_its_canonical_number(
    entered: object, unit: str, canonical: float
):
    answer = intake(weight_kg=entered).answers["weight_kg"]
    assert answer.quantity is not None
    assert answer.entered == str(entered)
    assert (answer.quantity.entered, answer.quantity.unit) == (str(entered).split(" ")[0], unit)
    assert answer.quantity.canonical == pytest.approx(canonical, rel=1e-9)
    assert answer.quantity.canonical_unit == "kg"


@pytest.mark.parametrize(
    ("field", "given", "message"),
    [
        ("weight_kg", "heavy", r"'weight_kg' must be a number in kg\. Got 'heavy'"),
        ("weight_kg", "80 stone", "Unknown unit of 'weight_kg' 'stone'"),
        ("weight_kg", True, "'weight_kg' must be a number"),
        ("weight_kg", float("nan"), "a finite number"),
        ("weight_kg", "1,234.5 kg", "'weight_kg' must be a number"),
        ("failed_adequate_trials", 2.5, "a whole number"),
        ("stroke", "maybe", "'stroke' must be yes, no or unknown. Got 'maybe'"),
        ("stroke", 1, "yes, no or unknown"),
        ("child_pugh", "D", "none, A, B, C or unknown"),
        ("child_pugh", False, "none, A, B, C or unknown"),
        ("other_allergies", False, "a text"),
        ("comedication_classes", "maoi", "a list of its own"),
        ("strok", True, "Did you mean 'stroke'"),
    ],
)
def test_what_cannot_be_read_is_refused(field: str, given: object, message: str):
    with pytest.raises(InvalidInputError, match=message):
        intake(**{field: given})


LIMITED = [one for one in fields().values() if one.low is not None and not one.derived.startswith("weight")]


@pytest.mark.parametrize("field", LIMITED, ids=lambda one: one.name)
def test_a_value_outside_its_limits_is_kept_questioned_and_not_used(field: Any):
    step = 1 if field.kind == "count" else 0.01
    for value, is_held in ((field.low, False), (field.high, False), (field.high + step, True)):
        found = intake(**{field.name: value})
        assert found.answers[field.name].value == value
        kinds = [one.kind for one in found.questions() if field.name in one.fields]
        assert ("implausible" in kinds) == is_held
        assert (field.name in found.facts()) != is_held
    checked = intake(**{field.name: field.high + step}, confirmed=[field.name])
    assert checked.facts()[field.name] == field.high + step
    assert checked.questions() == ()


@pytest.mark.parametrize(
    ("field", "given", "hint"),
    [
        ("height_cm", 1.7, "In m[?] 1.7 m is 170 cm"),
        ("height_cm", 67, "In in[?] 67 in is 170.2 cm"),
        ("weight_kg", 198, "In lb[?] 198 lb is 89.81 kg"),
        ("systolic_mmHg", 18.7, "In kPa[?] 18.7 kPa is 140.3 mmHg"),
    ],
)
def test_a_number_of_another_unit_is_asked_about_and_left_alone(field: str, given: float, hint: str):
    found = intake(**{field: given})
    (question,) = found.questions()
    assert re.search(hint, question.says), question.says
    assert found.answers[field].value == given


def test_an_unusual_value_is_used_and_a_stated_unit_gives_no_hint():
    assert intake(weight_kg=198).facts()["weight_kg"] == 198.0
    (question,) = intake(weight_kg="198 kg").questions()
    assert question.kind == "unusual"


def test_pressures_the_wrong_way_round_are_not_used_until_both_are_confirmed():
    swapped = {"systolic_mmHg": 80, "diastolic_mmHg": 120}
    for confirmed in ([], ["systolic_mmHg"]):
        found = intake(**swapped, confirmed=confirmed)
        assert "conflict" in {one.kind for one in found.questions()}
        assert found.facts() == {}
    assert set(intake(**swapped, confirmed=list(swapped)).facts()) == set(swapped)


def test_kilograms_and_pounds_swapped_show_in_the_body_mass_index():
    (question,) = intake(weight_kg=40, height_cm=190).questions()
    assert question.fields == ("weight_kg", "height_cm")
    assert intake(weight_kg=70, height_cm=175).questions() == ()


def test_body_mass_index_is_weight_over_height_squared():
    assert intake(weight_kg=70, height_cm=200).facts()["bmi_kg_per_m2"] == pytest.approx(17.5, rel=1e-12)


def test_an_infarction_without_an_event_is_asked_about():
    (question,) = intake(past_myocardial_infarction=True, cardiovascular_event=False).questions()
    assert question.kind == "conflict"
    assert question.holds_back == ()


def trial(**given: Any) -> dict[str, Any]:
    return {"drug": "sertraline", "is_adequate": True, "improvement_percent": 10, **given}


@pytest.mark.parametrize(
    ("trials", "count"),
    [
        ([trial(), trial()], 2.0),
        ([trial(), trial(improvement_percent=25)], 2.0),
        ([trial(), trial(improvement_percent=26)], 1.0),
        ([trial(), trial(is_adequate=False)], 1.0),
        ([trial(), trial(is_adequate=None)], None),
        ([trial(), trial(is_adequate=None, improvement_percent=60)], 1.0),
        ([trial(), trial(improvement_percent=None)], None),
        ([], None),
    ],
)
def test_failed_trials_are_counted_only_where_each_is_fully_known(trials: list[Any], count: float | None):
    assert intake(prior_trials=trials).facts().get("failed_adequate_trials") == count


def test_a_stated_number_of_trials_stands_over_the_list():
    assert intake(prior_trials=[trial()], failed_adequate_trials=3).facts()["failed_adequate_trials"] == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [({"weeks": 8}, "a mapping with drug"), (trial(wekes=3), "weeks"), (trial(weeks=-1), "0 to 4000")],
)
def test_a_prior_trial_that_cannot_be_read_is_refused(given: dict[str, Any], message: str):
    with pytest.raises(InvalidInputError, match=message):
        intake(prior_trials=[given])


def test_drugs_are_found_with_their_amounts_and_other_names():
    found = read_comedications(
        ["Sertraline 100 mg daily", "lithium carbonate 800 mg", "rifampin", "grapefruit juice"]
    )
    assert [one.name for one in found] == ["sertraline", "lithium", "rifampicin", "grapefruit juice"]
    assert all(one.is_classified for one in found)


def test_a_drug_that_is_not_known_may_be_any():
    facts = intake(comedications=["lithium", "brandname 5 mg"]).facts()
    assert facts["comedications"] == ("lithium", "brandname 5 mg", OTHERS)
    assert set(facts["comedication_classes"] or ()) == {"mood_stabiliser", OTHERS, "unclassified"}  # pyright: ignore
    (question,) = intake(comedications=["brandname 5 mg"]).questions()
    assert question.kind == "unclassified"


def test_a_class_that_a_person_states_is_taken():
    facts = intake(comedications=[{"name": "brandname", "classes": ["maoi"]}]).facts()
    assert facts["comedication_classes"] == ("maoi",)
    with pytest.raises(UnknownNameError, match="maoi"):
        intake(comedications=[{"name": "brandname", "classes": ["maio"]}])


def test_none_taken_is_not_the_same_as_not_asked():
    assert intake(comedications=[]).facts()["comedications"] == ()
    assert "comedications" not in intake().facts()


def test_a_name_within_another_word_is_not_taken_for_it():
    (one,) = read_comedications(["lithiumlike 5 mg"])
    assert not one.is_classified


def test_every_class_of_a_rule_exists():
    asked = {
        str(one.value)
        for rule in rules().values()
        if rule.fails_if
        for one in rule.fails_if.atoms()
        if one.field == "comedication_classes"
    }
    assert asked - {"unclassified"} <= set(class_names())
    named = {
        str(one.value)
        for rule in rules().values()
        if rule.fails_if
        for one in rule.fails_if.atoms()
        if one.field == "comedications"
    }
    assert named <= set(known_drugs())


@pytest.mark.parametrize("row", read_table("comedications.csv"), ids=lambda row: row["name"])
def test_measured_changes_of_exposure_are_told_by_route(row: dict[str, str]):
    taken = read_comedications([row["name"]])
    for route, column in ((Route.ORAL, "oral_auc_ratio"), (Route.IV_INFUSION, "systemic_auc_ratio")):
        (found,) = exposure_findings(taken, route)
        assert (found.observed, found.severity) == (float(row[column]), "inform")
        assert (found.status == "meets") == (float(row[column]) == 1.0)
