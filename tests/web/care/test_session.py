"""The session's screen: the gate, entries, corrections, differences, leaving; all judged by the core."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.web.care.board_day import PEOPLE, before_dose, booked, entry, put
from tests.web.care.conftest import PIN, START, Served

from euthymia.care.clinic import Clinic
from euthymia.web.care.rules import CoreRules
from euthymia.web.care.store import read_patient


@pytest.fixture
def ruled(serve: Callable[..., Served]) -> Served:
    served = serve(decide=CoreRules(), idle_lock_min=600)
    for account, roles in PEOPLE.items():
        served.account(account, *roles)
    return served


def _see(client: httpx.Client, path: str = "/sessions/s1") -> dict[str, Any]:
    answer = client.get(f"/api{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def _post(client: httpx.Client, *entries: dict[str, Any], **more: Any) -> httpx.Response:
    expected = more.pop("expected", None) or _see(client)["versions"]
    return client.post("/api/entries", json={"entries": list(entries), "expected": expected, **more})


def _status(data: dict[str, Any], rule_id: str, part: str = "gate") -> str:
    return next(one["status"] for one in data[part] if one["rule_id"] == rule_id)


def _nurse(served: Served) -> httpx.Client:
    return served.client("nurse", account="nora")


def test_the_gate_of_an_empty_session_is_unknown_and_nothing_is_filled_in(ruled: Served):
    put(ruled.care.store, booked(START))
    ruled.clock.at = START
    nurse = _nurse(ruled)
    assert _post(nurse, entry(START, "patient_arrived")).status_code == 200
    data = _see(nurse)
    assert {_status(data, one) for one in ("identity", "escort", "ready_to_treat", "predose_spo2")} == {
        "unknown"
    }
    assert data["gate_open"] > 10
    assert data["gate"][0]["is_met"] is False
    page = nurse.get("/sessions/s1").text
    fields = [one.split(">")[0] for one in page.split("<input ")[1:]]
    typed = [one for one in fields if 'name="v:' in one or 'name="s:' in one]
    assert typed
    assert not any("value=" in one for one in typed)


def test_a_dose_without_its_conditions_is_refused_and_goes_on_record_as_a_deviation(ruled: Served):
    desk = booked(START)
    desk.enter("patient_arrived", who="fay")
    put(ruled.care.store, desk)
    ruled.clock.at = desk.at
    nurse = _nurse(ruled)
    dose = entry(
        START,
        "dose_given",
        form="device",
        drug="esketamine",
        route="intranasal",
        lot="L1",
        values={"amount_mg": 28},
    )
    refused = _post(nurse, dose)
    assert refused.status_code == 409
    assert refused.json()["may_deviate"] is True
    assert {"identity", "ready_to_treat"} <= {one["rule_id"] for one in refused.json()["findings"]}
    assert _see(nurse)["has_dose"] is False
    ruled.clock.go(minutes=6)
    unsigned = _post(nurse, dose, deviation="given in an emergency")
    assert (unsigned.status_code, unsigned.json()["errors"][0]["field"]) == (403, "pin")
    done = _post(nurse, dose, deviation="given in an emergency", pin=PIN)
    assert done.status_code == 200, done.text
    after = _see(nurse)
    assert after["has_dose"]
    assert any(one["is_deviation"] for one in after["timeline"])


def test_the_canonical_number_is_the_cores_and_a_unit_slip_is_asked_about(ruled: Served):
    desk = before_dose(START)
    put(ruled.care.store, desk)
    ruled.clock.at = desk.at
    nurse = _nurse(ruled)
    reading = entry(desk.at, "reading_taken", values={"weight_kg": "154,3"})
    stored = _post(nurse, reading).json()["events"][0]
    assert stored["values"]["weight_kg"] == {
        "entered": "154,3", "unit": "kg", "canonical": 154.3, "canonical_unit": "kg",
    }  # fmt: skip
    (question,) = _see(nurse)["questions"]
    proposal = question["proposals"][0]["values"]["weight_kg"]
    assert proposal == {"entered": "154,3", "unit": "lb"}
    fixed = entry(desk.at, "corrected", corrects=reading["event_id"], reason="it was lb")
    fixed["values"] = {"weight_kg": proposal}
    assert _post(nurse, fixed).status_code == 200
    data = _see(nurse)
    assert data["questions"] == []
    shown = next(one for one in data["timeline"] if one["id"] == reading["event_id"])
    assert shown["values"] == ["weight 154,3 lb"]
    assert shown["before"][0]["was"] == {"weight": "154,3 kg"}


def test_who_wrote_in_between_is_shown_and_nothing_is_overwritten(ruled: Served):
    desk = before_dose(START)
    put(ruled.care.store, desk)
    ruled.clock.at = desk.at
    nurse, other = _nurse(ruled), ruled.client("nurse", account="nils")
    seen = _see(nurse)["versions"]
    theirs = entry(desk.at, "reading_taken", n=1, values={"systolic_mmHg": 131, "diastolic_mmHg": 80})
    assert _post(other, theirs).status_code == 200
    mine = entry(desk.at, "reading_taken", n=2, values={"systolic_mmHg": 128, "diastolic_mmHg": 79})
    refused = _post(nurse, mine, expected=seen)
    assert refused.status_code == 409
    told = {one["field"]: one for one in refused.json()["differences"]}
    assert told["values.systolic_mmHg"]["theirs"] == "131 mmHg"
    assert told["values.systolic_mmHg"]["author"] == "nils"
    now = {**seen, refused.json()["stream"]: refused.json()["current"]}
    assert _post(nurse, mine, expected=now).status_code == 200
    with ruled.care.store.reading() as connection:
        clinic = Clinic.of(one.event for one in read_patient(connection, "p1"))
    assert [one.value for one in clinic.sessions["s1"].seen("systolic_mmHg")][-2:] == [131.0, 128.0]


def test_a_severe_pressure_prompts_and_the_alert_is_acted_on(ruled: Served):
    desk = before_dose(START)
    desk.three_devices()
    put(ruled.care.store, desk)
    ruled.clock.at = desk.at
    nurse = _nurse(ruled)
    reading = entry(desk.at, "reading_taken", values={"systolic_mmHg": 186, "diastolic_mmHg": 112})
    assert _post(nurse, reading).status_code == 200
    alerts = _see(nurse)["alerts"]
    assert {one["tier"] for one in alerts} == {"stop"}
    assert {one["owner"] for one in alerts} == {"paula"}
    subjects = {"patient": "p1", "course": "c1", "session": "s1"}
    for place, one in enumerate(alerts):
        acted = entry(
            desk.at, "alert_acted", n=place, subjects={**subjects, "alert": one["id"]}, action="seen by P"
        )
        assert _post(nurse, acted).status_code == 200
    assert _see(nurse)["alerts"] == []


def test_nobody_is_discharged_before_the_criteria_hold(ruled: Served):
    desk = before_dose(START)
    desk.three_devices()
    put(ruled.care.store, desk)
    ruled.clock.at = desk.at
    ruled.clock.go(minutes=60)
    nurse = _nurse(ruled)
    left = entry(ruled.clock.at, "patient_left", how="discharged", decided_by="nora")
    refused = _post(nurse, left, pin=PIN)
    assert refused.status_code == 409
    assert {"observation", "escort_present", "walks"} <= {
        one["rule_id"] for one in refused.json()["findings"]
    }
    assert _status(_see(nurse), "observation", "ready") == "fails"


def test_an_answer_of_intent_blocks_readiness_until_disposition_and_safety_plan(ruled: Served):
    desk = before_dose(START)
    desk.three_devices().observe_until(120)
    put(ruled.care.store, desk)
    ruled.clock.at = desk.at
    nurse = _nurse(ruled)
    risk = entry(desk.at, "risk_answered", instrument="C-SSRS", level="intent", is_remote=False)
    assert _post(nurse, risk).status_code == 200
    data = _see(nurse)
    (alert,) = data["alerts"]
    assert alert["needs_disposition"]
    assert _status(data, "risk_dealt_with", "ready") == "fails"
    acted = entry(
        desk.at,
        "alert_acted",
        subjects={"patient": "p1", "course": "c1", "session": "s1", "alert": alert["id"]},
        action="spoke",
    )
    assert _post(nurse, acted).status_code == 409
    plan = entry(desk.at, "safety_plan_recorded", clinician="nora")
    assert _post(
        nurse, entry(desk.at, "disposition_recorded", clinician="nora", disposition="stays")
    ).is_success
    assert _post(nurse, plan).is_success
    assert _post(nurse, acted).is_success


def test_signing_for_somebody_else_is_refused(ruled: Served):
    desk = before_dose(START)
    put(ruled.care.store, desk)
    ruled.clock.at = desk.at
    given = entry(
        desk.at,
        "dose_checked",
        first_checker="paula",
        second_checker="nils",
        lot="L1",
        values={"amount_mg": 28},
    )
    second = {"account": "nils", "pin": PIN}
    assert _post(_nurse(ruled), given, second=second).status_code == 422


def test_the_form_is_filled_by_the_record_and_closes_its_obligation(ruled: Served):
    desk = before_dose(START)
    desk.three_devices().observe_until(120).before_leaving()
    desk.leave()
    put(ruled.care.store, desk)
    ruled.clock.at = desk.at
    nurse = _nurse(ruled)
    form = _see(nurse, "/sessions/s1/form")
    known = {one["key"]: one["value"] for one in form["fields"]}
    assert known["lot_number"] == "L1"
    assert known["dose"] == "84 mg"
    assert known["bp_before"] == "124/76"
    done = entry(
        desk.at,
        "obligation_done",
        subjects={"patient": "p1", "obligation": form["obligation"]["id"]},
        outcome="fax",
    )
    assert _post(nurse, done, expected=form["versions"]).status_code == 200
    assert _see(nurse, "/sessions/s1/form")["obligation"] is None


def test_a_therapist_does_not_open_sessions(ruled: Served):
    put(ruled.care.store, booked(START))
    assert ruled.client("therapist").get("/sessions/s1").status_code == 403


@pytest.mark.slow
def test_the_expected_curve_says_that_it_is_a_population(ruled: Served):
    desk = before_dose(START)
    desk.three_devices()
    put(ruled.care.store, desk)
    ruled.clock.at = desk.at
    answer = _nurse(ruled).get("/api/sessions/s1/expected").json()
    assert "Population forecast" in answer["data"]["says"]
    assert "84 mg" in answer["data"]["says"]
    rise = answer["data"]["systolic_mmHg"]
    assert all(low <= high for low, high in zip(rise["low"], rise["high"], strict=True))
    assert answer["before"] == {"systolic_mmHg": 124.0, "diastolic_mmHg": 76.0}
