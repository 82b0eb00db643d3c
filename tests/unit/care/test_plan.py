"""A plan starts from a label or a protocol; a change is a new version, told in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from euthymia.care.expected import UNCALIBRATED, expected_course
from euthymia.care.plan import (
    LABELS,
    AtHome,
    CarePlan,
    Phase,
    compare,
    ended,
    from_schedule,
    plan_findings,
    revised,
)
from euthymia.care.rules import RECALLED, find_rule
from euthymia.care.schedules import caveats, find_schedule, monitoring, schedules
from euthymia.dosing.drug import find_drug
from euthymia.dosing.notation import parse_regimen
from euthymia.dosing.order import Order, Route
from euthymia.errors import InvalidInputError
from euthymia.population.patient import Patient
from euthymia.tables import read_table

AT = datetime(2026, 5, 4, 10, 0, tzinfo=UTC)
REVIEW = date(2026, 7, 27)
ROWS = {row["id"]: row for row in read_table("evidence/safety/session_protocols.csv")}
FACTS: dict[str, Any] = {
    "jurisdiction": "EU",
    "is_inpatient": False,
    "is_setting_certified": True,
    "is_patient_enrolled": True,
    "has_full_plan": True,
}


def plan(schedule: str = "spravato-trd", **changed: Any) -> CarePlan:
    given: dict[str, Any] = {
        "patient_id": "P-1",
        "author": "Dr A",
        "author_role": "prescriber",
        "created_utc": AT,
        "step_down_review": REVIEW,
        "facts": FACTS,
    }
    return from_schedule(schedule, **{**given, **changed})


def change(old: CarePlan, **changed: Any) -> CarePlan:
    given: dict[str, Any] = {
        "author": "Dr B",
        "author_role": "prescriber",
        "created_utc": old.created_utc + timedelta(days=28),
        "reason": "Review at the end of induction.",
    }
    return revised(old, **{**given, **changed})


@pytest.mark.parametrize("name", schedules())
def test_every_schedule_makes_a_plan_of_its_drug_and_route(name: str):
    found, kind = plan(name), find_schedule(name)
    orders = [one for _, one in parse_regimen(found.regimen).items if isinstance(one, Order)]
    assert {(one.drug, one.route) for one in orders} == {(kind.drug, kind.route)}
    assert find_drug(kind.drug).is_ketamine
    assert found.standing == ()
    assert found.at_home.status == "not offered"
    assert found.version == 1


@pytest.mark.parametrize("name", schedules())
def test_every_schedule_stands_on_rows_that_were_read(name: str):
    kind = find_schedule(name)
    for row in {*kind.rows, *(row for phase in kind.phases for row in phase.rows)}:
        assert ROWS[row]["confidence"] != RECALLED, row
    assert kind.go_on
    assert kind.stop


def amounts(name: str, dose: float | None = None) -> list[float]:
    items = parse_regimen(plan(name, dose=dose).regimen).items
    return [one.amount for _, one in items if isinstance(one, Order) and one.amount is not None]


def test_the_label_gives_eight_sessions_then_four_then_every_two_weeks():
    starts = [start_h / 24.0 for start_h, _ in parse_regimen(plan().regimen).items]
    assert starts[:8] == [0, 3, 7, 10, 14, 17, 21, 24]
    assert starts[8:12] == [28, 35, 42, 49]
    assert np.diff(starts[12:]).tolist() == [14.0] * 5
    assert int(ROWS["SP-SPRAVATO-16"]["value"]) == len([one for one in starts if one < 28])


def test_doses_are_those_of_the_rows():
    first, upkeep = float(ROWS["SP-SPRAVATO-13"]["value"]), ROWS["SP-SPRAVATO-15"]
    assert amounts("spravato-trd", 84.0)[0] == first
    assert set(amounts("spravato-trd", 84.0)) == {float(upkeep["value_low"]), float(upkeep["value_high"])}
    assert amounts("spravato-trd-65-eu")[0] == float(ROWS["SP-SPRAVATO-14"]["value"])
    assert amounts("spravato-mdsi") == [float(ROWS["SP-SPRAVATO_MDSI-01"]["value"])] * 8
    assert amounts("iv-twice-weekly") == [float(ROWS["SP-IV_KETAMINE-01"]["value"])] * 8
    assert amounts("sc-twice-weekly") == [float(ROWS["SP-SC_KETAMINE-03"]["value"])] * 8
    step = float(ROWS["SP-IM_KETAMINE-02"]["value_low"])
    assert amounts("im-titration") == pytest.approx([step, 2 * step, 3 * step, 4 * step, 5 * step])
    assert amounts("oral-twice-weekly") == [float(ROWS["SP-ORAL_KETAMINE-01"]["value_low"])] * 8
    assert amounts("er-tablets")[:5] == [float(ROWS["SP-ORAL_ER-01"]["value"])] * 5


def test_a_dose_that_the_schedule_does_not_have_is_refused():
    with pytest.raises(InvalidInputError, match=r"'dose' must be 56, 84 mg in 'spravato-trd'\. Got 112"):
        plan(dose=112.0)


@pytest.mark.parametrize("route", list(Route))
def test_every_route_is_watched_for_two_hours_at_least(route: Route):
    watched = monitoring(route)
    assert "OWN-FLOOR-01" in {one.id for one in watched}
    for one in watched:
        assert one.severity_for("ketamine", route) or one.severity_for("esketamine", route), one.id


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"status": "signed", "author_role": "nurse"}, "'signed' by a prescriber only"),
        ({"author": " "}, "written by somebody"),
        ({"phases": ()}, "'phases' must be one or more"),
        ({"phases": (Phase(name="a", regimen="ketamine 50 mg in once"),)}, "of esketamine, intranasal"),
        ({"phases": (Phase(name="a", regimen="CBT 50 min at day 1"),)}, "gives a ketamine"),
        ({"phases": (Phase(name="a", regimen="esketamine 56 mg in once"),) * 2}, "each of its own name"),
        ({"therapy": ("sing 50 min",)}, "sing"),
        ({"therapy": "integration 60 min at 1 d after each dose"}, "'therapy' must be a list"),
        ({"dose_rule": ""}, "'dose_rule' must be given"),
        ({"stop_rules": ()}, "'stop_rules' must be given"),
        ({"monitoring": ("SP-NONE",)}, "Unknown rule"),
        ({"step_down_review": date(2026, 5, 4)}, "within 3 months"),
        ({"step_down_review": date(2026, 8, 6)}, "within 3 months"),
        ({"colour": "blue"}, "Unknown field of a plan 'colour'"),
        ({"created_utc": datetime(2026, 5, 4)}, "zone|UTC"),
    ],
)
def test_a_plan_that_does_not_hold_is_refused(changed: dict[str, Any], message: str):
    with pytest.raises(InvalidInputError, match=message):
        plan(**changed)


def test_the_review_may_be_on_the_last_day_of_three_months():
    assert plan(step_down_review=AT.date() + timedelta(days=93)).step_down_review == date(2026, 8, 5)


def test_what_is_unknown_stands_in_a_plan():
    found = plan(facts={})
    assert {one.rule_id for one in found.standing} == {"SR-SETTIN-01", "SR-SETTIN-01.enrolment"}
    assert {one.status for one in found.standing} == {"unknown"}


def test_a_patient_who_is_not_enrolled_stands_where_the_programme_applies():
    for jurisdiction, stands in (("US", True), ("EU", False)):
        found = plan(facts={**FACTS, "jurisdiction": jurisdiction, "is_patient_enrolled": False})
        assert ("SR-SETTIN-01.enrolment" in {one.rule_id for one in found.standing}) == stands


HOME: dict[str, Any] = {
    "status": "offered",
    "reasons": ("Two hours from the clinic, stable for a year.",),
    "assessed_by": "Dr A",
    "countersigned_by": "Dr B",
    "assessed_on": date(2026, 5, 4),
}
SAFE_AT_HOME = {
    **dict.fromkeys(
        ("active_psychosis", "past_psychosis", "current_mania", "past_mania", "suicidal_intent_or_plan"),
        False,
    ),
    **dict.fromkeys(
        ("recent_suicidal_behaviour", "active_substance_use_disorder", "past_opioid_use_disorder"), False
    ),
    **dict.fromkeys(("is_adult_present", "is_home_use_enabled", "are_substance_scales_done"), True),
    "phq9_points": 18.0,
    "gad7_points": 12.0,
}


def test_use_at_home_takes_two_people_reasons_and_rules_that_do_not_block():
    with pytest.raises(InvalidInputError, match="SR-SETTIN-08"):
        plan("oral-twice-weekly", at_home=AtHome(**HOME))
    facts = {**FACTS, **SAFE_AT_HOME}
    found = plan("oral-twice-weekly", at_home=AtHome(**HOME), facts=facts)
    assert [one.rule_id for one in found.standing] == ["OWN-HOME-01"]
    for missing in (
        {"countersigned_by": ""},
        {"countersigned_by": "dr a"},
        {"reasons": ()},
        {"assessed_on": None},
    ):
        with pytest.raises(InvalidInputError, match="two people's names"):
            plan("oral-twice-weekly", at_home=AtHome(**{**HOME, **missing}), facts=facts)
    with pytest.raises(InvalidInputError, match="the rules were not looked at"):
        plan("oral-twice-weekly", at_home=AtHome(**HOME), facts=facts, findings=())


@pytest.mark.parametrize("field", [name for name, value in SAFE_AT_HOME.items() if value is False])
def test_what_blocks_use_at_home_blocks_it_known_or_unknown(field: str):
    for value in (True, None):
        facts = {**FACTS, **SAFE_AT_HOME, field: value}
        with pytest.raises(InvalidInputError, match="no rule of home use stands"):
            plan("oral-twice-weekly", at_home=AtHome(**HOME), facts=facts)


def test_at_home_is_no_unless_it_is_offered():
    for home in (None, AtHome(), AtHome(status="not suitable")):
        found = plan_findings({}, drug="ketamine", route="oral", at_home=home)
        assert not [one for one in found if one.is_stopping]


def test_a_change_is_the_next_version_and_a_draft():
    first = plan(status="signed")
    second = change(first, daily_practice="A walk.")
    assert (second.version, second.status, second.author) == (2, "draft", "Dr B")
    assert (first.version, first.daily_practice) == (1, "")
    assert compare(first, second) == ("Status: signed -> draft.", "Daily practice: nothing -> A walk.")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"reason": " "}, "'reason' must be given"),
        ({"created_utc": AT}, "later than 2026-05-04 10:00 UTC"),
        ({"patient_id": "P-2"}, "'patient_id' must be left"),
        ({"version": 9}, "'version' must be left"),
    ],
)
def test_a_change_that_does_not_hold_is_refused(changed: dict[str, Any], message: str):
    with pytest.raises(InvalidInputError, match=message):
        change(plan(), **changed)


def test_two_versions_are_compared_in_words():
    first = plan(goals=("Work again.", "Sleep."), dose=84.0)
    phases = (
        first.phases[0],
        replace(first.phases[2], regimen="esketamine 56 mg intranasal, every two weeks x 6"),
        Phase(name="tail", regimen="esketamine 28 mg intranasal, every 4 weeks x 2"),
    )
    second = change(
        first, goals=("Sleep.", "See friends."), phases=phases, step_down_review=date(2026, 8, 20)
    )
    assert compare(first, second) == (
        "Phase consolidation removed: esketamine 84 mg intranasal, weekly x 4.",
        "Phase maintenance: esketamine 84 mg intranasal, every two weeks x 6 -> "
        "esketamine 56 mg intranasal, every two weeks x 6.",
        "Phase tail added: esketamine 28 mg intranasal, every 4 weeks x 2.",
        "Goals, removed: Work again.",
        "Goals, added: See friends.",
        "Review of a step down: 2026-07-27 -> 2026-08-20.",
    )


def test_another_order_and_another_verdict_are_told():
    first = plan(goals=("a", "b"))
    assert compare(first, change(first, goals=("b", "a"))) == ("Goals: in another order.",)
    judged = plan_findings(
        {**FACTS, "jurisdiction": "US", "is_patient_enrolled": False}, drug="esketamine", route="intranasal"
    )
    assert compare(first, change(first, findings=judged)) == ("Rule SR-SETTIN-01.enrolment: meets -> fails.",)


def test_a_plan_says_the_same_as_itself_and_nothing_of_another_person():
    first = plan()
    assert compare(first, first) == ()
    with pytest.raises(InvalidInputError, match="'plans' must be of one person"):
        compare(first, plan(patient_id="P-2"))


def test_every_field_is_compared_or_names_who_and_when():
    names = set(CarePlan.__dataclass_fields__)
    who_and_when = {"patient_id", "version", "author", "author_role", "created_utc", "reason", "findings"}
    assert names == set(LABELS) | who_and_when


def test_a_plan_ends_with_a_reason():
    last = ended(
        plan(),
        author="Dr A",
        author_role="prescriber",
        created_utc=AT + timedelta(days=1),
        reason="Moved away.",
    )
    assert (last.status, last.version, last.reason) == ("ended", 2, "Moved away.")


def test_the_rules_of_planning_leave_single_doses_to_the_day():
    fields = {field for one in plan().findings for field in find_rule(one.rule_id).fields}
    assert not fields & {"dose_mg", "session_number"}


@pytest.mark.slow
def test_the_expected_course_is_of_a_group_repeatable_and_carries_its_caveats():
    found = expected_course(
        plan("iv-twice-weekly"), patient=Patient.create(weight_kg=80), patients=20, seed=3
    )
    assert found == expected_course(
        plan("iv-twice-weekly"), patient=Patient.create(weight_kg=80), patients=20, seed=3
    )
    assert set(caveats()) | set(UNCALIBRATED) <= set(found.caveats)
    assert found.days == (0.0, 7.0, 14.0, 21.0, 28.0)
    band = np.array([found.low_points, found.middle_points, found.high_points])
    assert (np.diff(band, axis=0) >= 0).all()
    assert ((band >= 0) & (band <= 60)).all()
    assert found.middle_points[-1] < found.middle_points[0]
    assert found.responding_share[0] == 0.0


@pytest.mark.parametrize("patients", [0, 19, 5001])
def test_the_size_of_the_group_is_limited(patients: int):
    with pytest.raises(InvalidInputError, match="'patients' must be 20 to 5000"):
        expected_course(plan(), patients=patients)
