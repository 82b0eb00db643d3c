"""The patient's screen: everything from the record, versions side by side, unknown where nothing stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.web.care.board_day import before_dose, booked, desk_at, put
from tests.web.care.conftest import START, Served

from euthymia.web.care.rules import CoreRules

COURSE = {"patient": "p1", "course": "c1"}


@pytest.fixture
def ruled(serve: Callable[..., Served]) -> Served:
    return serve(decide=CoreRules())


def _see(served: Served, role: str = "prescriber") -> dict[str, Any]:
    return served.client(role).get("/api/patients/p1").json()["data"]


def test_exposure_is_what_was_given_and_nothing_else(ruled: Served):
    desk = before_dose(START)
    desk.three_devices()
    put(ruled.care.store, desk)
    ruled.clock.at = desk.at
    found = _see(ruled)["exposure"]
    assert (found["sessions"], found["total_mg"]) == (1, {"esketamine": 84.0})


def test_what_is_not_on_record_is_not_a_zero(ruled: Served):
    desk = desk_at(START).open_clinic()
    desk.enter(
        "course_opened", who="fay", subjects=COURSE, drug="ketamine", route="iv_infusion", is_urgent=False
    )
    put(ruled.care.store, desk)
    data = _see(ruled)
    assert data["courses"][0]["scores"] == []
    assert data["courses"][0]["next_review"] is None
    assert data["exposure"]["first_on"] is None
    assert "not on record" in ruled.client("prescriber").get("/patients/p1").text


def test_versions_of_a_plan_stand_beside_what_changed(ruled: Served):
    desk = booked(START)
    desk.enter(
        "plan_signed",
        who="paula",
        subjects=COURSE,
        plan={"regimen": "esketamine 56 mg in", "goals": ["sleep"]},
        plan_version=2,
        signed_by="paula",
    )
    put(ruled.care.store, desk)
    new, old = _see(ruled)["courses"][0]["plans"]
    assert (new["version"], old["version"]) == (2, 1)
    assert {"field": "goals", "was": "", "now": "sleep"} in new["changes"]


def test_a_score_stands_against_its_baseline_with_each_definition(ruled: Served):
    desk = before_dose(START)
    desk.three_devices()
    desk.wait(60)
    desk.enter("score_recorded", subjects=COURSE, scale="MADRS", points=11)
    put(ruled.care.store, desk)
    ruled.clock.at = desk.at
    madrs = next(one for one in _see(ruled)["courses"][0]["scores"] if one["scale"] == "MADRS")
    assert (madrs["baseline"], madrs["now"], madrs["has_responded"]) == (32.0, 11.0, True)
    assert set(madrs["remission"].values()) == {True, False}  # 10 or less by one, 12 or less by the other


def test_a_therapist_sees_the_patient_and_a_front_desk_does_not(ruled: Served):
    put(ruled.care.store, booked(START))
    assert ruled.client("therapist").get("/patients/p1").status_code == 200
    assert ruled.client("front_desk").get("/patients/p1").status_code == 403


@pytest.mark.slow
def test_the_expected_course_is_of_a_population_and_says_what_it_does_not_know(ruled: Served):
    desk = booked(START)
    plan = "esketamine 56 mg in twice weekly for 1 weeks"
    desk.enter("plan_signed", who="paula", subjects=COURSE, plan=plan, plan_version=2, signed_by="paula")
    put(ruled.care.store, desk)
    found = ruled.client("prescriber").get("/api/patients/p1/expected").json()["data"]
    assert "Population forecast" in found["says"]
    assert found["minutes"][0] == 0.0
    assert all(low <= high for low, high in zip(found["MADRS"]["low"], found["MADRS"]["high"], strict=True))
