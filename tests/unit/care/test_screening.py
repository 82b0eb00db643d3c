"""A screening says what stands open and what stops; it never says that somebody is eligible."""

from __future__ import annotations

from dataclasses import fields as record_fields
from datetime import UTC, datetime
from typing import Any

import pytest

from euthymia.care.intake import Intake, intake_fields
from euthymia.care.rules import products
from euthymia.care.screening import (
    Decision,
    Override,
    Screening,
    decide,
    instructions,
    screen,
)
from euthymia.dosing.order import Route
from euthymia.errors import InvalidInputError

AT = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
SPRAY = ("esketamine", Route.INTRANASAL)
DRIP = ("ketamine", Route.IV_INFUSION)
DONE = (
    *("has_history", "has_medication_review", "has_physical_examination", "has_consent", "has_capacity"),
    *("is_ecg_done", "are_laboratory_tests_done", "are_liver_tests_done", "is_urinalysis_done"),
    *("is_drug_screen_done", "is_off_label_stated", "is_setting_certified", "is_patient_enrolled"),
    *("takes_oral_antidepressant", "has_full_plan"),
)
NUMBERS: dict[str, object] = {
    "age_years": 44,
    "weight_kg": 70,
    "height_cm": 175,
    "failed_adequate_trials": 3,
    "systolic_mmHg": 124,
    "diastolic_mmHg": 78,
    "heart_rate_per_min": 70,
    "spo2_percent": 98,
    "madrs_points": 32,
    "cssrs_level": 0,
    "indication": "trd",
    "child_pugh": "none",
    "jurisdiction": "EU",
    "other_allergies": "none",
}


def answers(**changed: object) -> dict[str, object]:
    """A person of whom everything is known and nothing stands against treatment."""
    found: dict[str, object] = {one.name: False for one in intake_fields() if one.kind == "yes_no"}
    found.pop("has_rated_severity")
    return {**found, **dict.fromkeys(DONE, True), **NUMBERS, **changed}


def screened(product: tuple[str, Route] = SPRAY, *, overrides: Any = (), **changed: object) -> Screening:
    taken = changed.pop("comedications", [])
    given: Any = {"answers": answers(**changed), "comedications": taken}
    drug, route = product
    intake = Intake.create(patient_id="P-1", **given)
    return screen(intake, drug=drug, route=route, at_utc=AT, overrides=overrides)


def override(rule_id: str, **changed: Any) -> Override:
    given: dict[str, Any] = {
        "rule_id": rule_id,
        "of": "fails",
        "reason": "Discussed with the cardiologist on 2 May.",
        "by": "Dr A",
        "by_role": "prescriber",
        "signed_utc": AT,
    }
    return Override.create(**{**given, **changed})


@pytest.mark.parametrize("product", products(), ids=str)
def test_where_all_is_known_and_well_nothing_stands(product: tuple[str, Route]):
    found = screened(product)
    assert found.standing == ()
    assert found.open_fields == ()
    assert found.work_up == ()
    assert any("no verdict" in one for one in found.says)


def test_there_is_no_verdict_in_the_record():
    names = {one.name for one in record_fields(Screening)} | set(dir(Screening))
    assert not [name for name in names if "eligible" in name or "passed" in name]


@pytest.mark.parametrize("product", products(), ids=str)
def test_where_nothing_is_known_everything_stands(product: tuple[str, Route]):
    drug, route = product
    found = screen(Intake.create(patient_id="P-1", answers={}), drug=drug, route=route, at_utc=AT)
    assert {one.status for one in found.findings} == {"unknown"}
    assert len(found.standing) > 20
    assert not any("no verdict" in one for one in found.says)


def test_a_contraindication_of_the_product_has_no_override():
    found = screened(aneurysmal_disease=True)
    assert [one.rule_id for one in found.blocking] == ["SR-CARDIO-01"]
    with pytest.raises(InvalidInputError, match=r"SR-CARDIO-01' must be left out: .* allows none here"):
        screened(aneurysmal_disease=True, overrides=[override("SR-CARDIO-01", countersigned_by="Dr B")])


def test_off_the_product_it_stands_until_two_have_signed():
    found = screened(DRIP, aneurysmal_disease=True)
    assert found.blocking == ()
    assert [one.rule_id for one in found.needing_override] == ["SR-CARDIO-01"]
    with pytest.raises(InvalidInputError, match="countersigned by a second person"):
        screened(DRIP, aneurysmal_disease=True, overrides=[override("SR-CARDIO-01")])
    signed = override("SR-CARDIO-01", countersigned_by="Dr B")
    found = screened(DRIP, aneurysmal_disease=True, overrides=[signed])
    assert found.standing == ()
    assert found.overridden[0][1] is signed
    assert any("countersigned by Dr B" in one for one in found.says)


def test_a_caution_needs_one_prescriber_and_a_reason():
    found = screened(past_psychosis=True)
    standing = [one.rule_id for one in found.needing_override]
    assert "SR-PSYCHI-01" in standing
    found = screened(past_psychosis=True, overrides=[override(one) for one in standing])
    assert found.standing == ()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"by_role": "nurse"}, "signed by a prescriber"),
        ({"reason": " ok "}, "given with its reason"),
        ({"by": " "}, "signed with a name"),
        ({"countersigned_by": "dr a"}, "another person"),
        ({"of": "meets"}, "of what fails or is unknown"),
        ({"rule_id": "SR-NONE-01"}, "Unknown rule"),
        ({"signed_utc": datetime(2026, 5, 4)}, "zone|UTC|utc"),
    ],
)
def test_an_override_that_is_no_override_is_refused(changed: dict[str, Any], message: str):
    given = {"rule_id": "SR-PSYCHI-01", **changed}
    with pytest.raises(InvalidInputError, match=message):
        override(**given)


def test_an_override_of_what_was_unknown_does_not_hold_when_it_turns_out_to_fail():
    early = override("SR-CARDIO-05", of="unknown")
    assert screened(systolic_mmHg=None, overrides=[early]).lapsed == ()
    found = screened(systolic_mmHg=150, overrides=[early])
    assert found.lapsed == (early,)
    assert "SR-CARDIO-05" in [one.rule_id for one in found.needing_override]


def test_a_reason_has_ten_letters_at_least():
    assert override("SR-PSYCHI-01", reason="abcdefghij").reason == "abcdefghij"
    with pytest.raises(InvalidInputError, match="given with its reason"):
        override("SR-PSYCHI-01", reason=" abcdefghi ")


def test_a_block_that_is_not_known_has_no_override_either():
    with pytest.raises(InvalidInputError, match="allows none here"):
        screened(aneurysmal_disease=None, overrides=[override("SR-CARDIO-01", of="unknown")])


def test_an_answer_that_cannot_be_had_may_be_signed_for():
    found = screened(DRIP, family_psychosis=None)
    assert [one.rule_id for one in found.standing] == ["SR-PSYCHI-04"]
    signed = override("SR-PSYCHI-04", of="unknown", reason="Adopted; nothing is known of the family.")
    found = screened(DRIP, family_psychosis=None, overrides=[signed])
    assert found.standing == ()
    assert "SR-PSYCHI-04" not in [one.rule_id for one in found.open_findings]
    assert found.overridden[0][0].status == "unknown"


def test_an_override_that_is_no_longer_needed_is_listed():
    found = screened(overrides=[override("SR-CARDIO-05")])
    assert [one.rule_id for one in found.lapsed] == ["SR-CARDIO-05"]
    assert any("without effect" in one for one in found.says)


@pytest.mark.parametrize("field", ["suicidal_intent_or_plan", "recent_suicidal_behaviour"])
def test_intent_plan_or_recent_behaviour_come_first(field: str):
    named: dict[str, Any] = {field: True}
    found = screened(**named)
    assert found.says[0].startswith("Urgent")
    assert "OWN-SUICIDE-01" in [one.rule_id for one in found.standing]


def test_the_pressure_at_which_nobody_starts_is_our_own_rule():
    found = screened(systolic_mmHg=180)
    (blocking,) = found.blocking
    assert (blocking.rule_id, blocking.is_own_rule) == ("SR-CARDIO-10", True)
    assert screened(systolic_mmHg=179.9).blocking == ()


def test_an_implausible_value_stands_open_rather_than_blocks_or_passes():
    found = screened(systolic_mmHg=1800)
    assert "systolic_mmHg" in found.open_fields
    assert "SR-CARDIO-10" in [one.rule_id for one in found.standing]
    assert found.questions[0].kind == "implausible"


def test_an_interaction_is_told():
    found = screened(comedications=["tranylcypromine 20 mg", "diazepam 5 mg", "ticlopidine"])
    told = {one.rule_id for one in found.findings if one.status == "fails"}
    assert {"SR-INTERA-06", "SR-INTERA-01", "SR-INTERA-02", "EXPOSURE-ticlopidine"} - told == {
        "EXPOSURE-ticlopidine"
    }, "systemic exposure does not change with ticlopidine"
    assert [one.rule_id for one in found.needing_override] == ["SR-INTERA-06"]
    assert "lorazepam_equivalent_mg_per_day" in found.open_fields


def test_a_drug_of_unknown_class_leaves_the_interactions_open():
    found = screened(comedications=["brandname"])
    assert "SR-INTERA-06" in [one.rule_id for one in found.open_findings if one.is_stopping]
    assert "OWN-COMEDICATION-01" in [one.rule_id for one in found.remarks]


def test_the_work_up_lists_what_is_not_done_once():
    found = screened(DRIP, is_ecg_done=False, are_liver_tests_done=None, urinary_symptoms=None)
    listed = {one.fields: one for one in found.work_up}
    assert set(listed) == {
        ("is_ecg_done", "are_laboratory_tests_done"),
        ("are_liver_tests_done",),
        ("urinary_symptoms",),
    }
    assert listed["are_liver_tests_done",].rule_ids == ("SR-BASELI-04",)
    assert all(one.is_required for one in found.work_up)


def test_what_is_recalled_is_listed_and_not_required():
    found = screened(is_urinalysis_done=False)
    assert [(one.rule_ids, one.is_required) for one in found.work_up] == [(("SR-BASELI-07",), False)]


def test_a_drug_that_is_no_ketamine_is_refused():
    with pytest.raises(InvalidInputError, match="'drug' must be ketamine, esketamine or arketamine"):
        screened(("midazolam", Route.INTRANASAL))
    with pytest.raises(InvalidInputError, match="Unknown route 'rectal'"):
        screen(Intake.create(patient_id="P", answers={}), drug="ketamine", route="rectal", at_utc=AT)


def decided(found: Screening, **changed: Any) -> Decision:
    given: dict[str, Any] = {"choice": "go on", "reason": "Agreed.", "by": "Dr A", "by_role": "prescriber"}
    return decide(found, at_utc=AT, **{**given, **changed})


def test_a_person_decides_and_cannot_go_on_while_something_stands():
    assert decided(screened()).by == "Dr A"
    with pytest.raises(InvalidInputError, match="'go on' with SR-PSYCHI-01"):
        decided(screened(past_psychosis=True))
    assert decided(screened(past_psychosis=True), choice="decline", by_role="nurse").choice == "decline"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"by_role": "nurse"}, "a prescriber's to go on"),
        ({"reason": ""}, "a name and a reason"),
        ({"choice": "eligible"}, "Unknown decision"),
    ],
)
def test_a_decision_names_who_and_why(changed: dict[str, Any], message: str):
    with pytest.raises(InvalidInputError, match=message):
        decided(screened(), **changed)


def test_instructions_are_those_of_the_product():
    assert any("alone" in one for one in instructions("esketamine", "intranasal"))
    assert not any("alone" in one for one in instructions("ketamine", "iv_infusion"))
