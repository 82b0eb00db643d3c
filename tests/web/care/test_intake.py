"""Intake: unknown stays unknown, what is unlikely is asked again, nobody overrides a block."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from tests.web.care.conftest import PIN, SURNAME, Served

from euthymia.care.intake import intake_fields
from euthymia.web.care.rules import CoreRules

PERSON = {
    "name": f"Anna {SURNAME}",
    "birth_date": "1971-03-04",
    "drug": "ketamine",
    "route": "iv_infusion",
    "jurisdiction": "US",
    "is_urgent": "no",
}
JSON = {"Accept": "application/json"}


@pytest.fixture
def ruled(serve: Callable[..., Served]) -> Served:
    """A record with the core's rules at its door."""
    return serve(decide=CoreRules())


def register(client: httpx.Client, **changes: str) -> str:
    """Register a person and return the identifier."""
    answer = client.post("/register", data={**PERSON, "entry": "ab" * 16, **changes}, headers=JSON)
    assert answer.status_code == 200, answer.text
    return answer.json()["go"].split("/")[2]


def save(client: httpx.Client, patient: str, **fields: Any) -> httpx.Response:
    """Save an intake at the version that the page shows."""
    seen = client.get(f"/api/patients/{patient}/intake").json()["data"]
    given = {"entry": seen["entry"], "version": str(seen["version"])}
    return client.post(f"/patients/{patient}/intake", data={**given, **fields}, headers=JSON)


def _answers(client: httpx.Client, patient: str) -> dict[str, str]:
    data = client.get(f"/api/patients/{patient}/intake").json()["data"]
    return {one["name"]: one["entered"] for section in data["sections"] for one in section["fields"]}


def test_who_it_is_stands_in_no_event_and_no_address(served: Served):
    client = served.client("front_desk")
    patient = register(client)
    with served.care.store.reading() as connection:
        bodies = connection.exec_driver_sql("SELECT body FROM events").scalars().all()
    assert bodies
    assert not [one for one in bodies if SURNAME in one or "1971" in one]
    assert SURNAME not in patient
    assert SURNAME in client.get(f"/patients/{patient}/intake").text


def test_a_form_sent_twice_registers_once(served: Served):
    client = served.client("nurse")
    given = {**PERSON, "entry": "ab" * 16, "patient": "1f" * 8}
    answers = [client.post("/register", data=given, headers=JSON) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 200]
    with served.care.store.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM events").scalar() == 1
        assert connection.exec_driver_sql("SELECT count(*) FROM people").scalar() == 1


def test_the_same_name_and_birth_date_is_asked_back(served: Served):
    client = served.client("nurse")
    register(client)
    again = {**PERSON, "entry": "cd" * 16}
    answer = client.post("/register", data=again, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "is_other"
    assert client.post("/register", data={**again, "is_other": "yes"}, headers=JSON).status_code == 200


def test_every_question_is_unknown_until_it_is_answered(served: Served):
    client = served.client("nurse")
    patient = register(client)
    asked = _answers(client, patient)
    assert set(asked) == {one.name for one in intake_fields() if one.kind != "list"}
    assert not any(asked.values())
    page = client.get(f"/patients/{patient}/intake").text
    ticks = [one for one in intake_fields() if one.kind in ("yes_no", "choice")]
    assert len(re.findall(r'name="f\.\w+" value="" checked', page)) == len(ticks)


def test_what_was_not_answered_stays_unknown_in_the_findings(served: Served):
    client = served.client("nurse")
    patient = register(client)
    assert save(client, patient, **{"f.is_pregnant": "no"}).status_code == 200
    assert {name for name, one in _answers(client, patient).items() if one} == {"is_pregnant"}
    found = client.get(f"/api/patients/{patient}/screening").json()["data"]
    assert not [one for one in found["findings"] if one["status"] == "meets" and one["asks"]]
    unknown = [one for one in found["findings"] if one["status"] == "unknown" and one["is_stopping"]]
    assert len(unknown) > 5
    assert {one["rule_id"] for one in unknown} <= set(found["standing"])
    assert all(one["source"] for one in found["findings"])


def test_an_unlikely_value_is_asked_again_and_not_changed(served: Served):
    client = served.client("nurse")
    patient = register(client)
    assert save(client, patient, **{"f.weight_kg": "1540", "confirmed": "weight_kg"}).status_code == 200
    data = client.get(f"/api/patients/{patient}/intake").json()["data"]
    assert [one["holds_back"] for one in data["questions"]] == [["weight_kg"]], "not confirmed before asked"
    assert _answers(client, patient)["weight_kg"] == "1540"
    save(client, patient, **{"f.weight_kg": "1541", "confirmed": "weight_kg"})
    assert client.get(f"/api/patients/{patient}/intake").json()["data"]["questions"], "of another value"
    save(client, patient, **{"f.weight_kg": "1541", "confirmed": "weight_kg"})
    assert not client.get(f"/api/patients/{patient}/intake").json()["data"]["questions"]


def test_units_are_kept_as_they_were_typed(served: Served):
    client = served.client("nurse")
    patient = register(client)
    assert save(client, patient, **{"f.weight_kg": "154", "u.weight_kg": "lb"}).status_code == 200
    events = [one for one in _events(served) if one["kind"] in ("intake_recorded", "measured")]
    for one in events:
        assert one["values"]["weight_kg"]["entered"] == "154"
        assert one["values"]["weight_kg"]["unit"] == "lb"
        assert one["values"]["weight_kg"]["canonical"] == pytest.approx(69.85, abs=0.01)
    assert [one["kind"] for one in events] == ["intake_recorded", "measured"]


def _events(served: Served) -> list[dict[str, Any]]:
    import json

    with served.care.store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT body FROM events ORDER BY seq").scalars().all()
    return [json.loads(one) for one in rows]


def test_drugs_taken_and_earlier_trials_are_kept_as_they_were_listed(served: Served):
    client = served.client("nurse")
    patient = register(client)
    trial = {"trial.0.drug": "sertraline", "trial.0.weeks": "8", "trial.0.is_adequate": "yes"}
    drugs = {"taken": "listed", "comedications": "sertraline 100 mg\nHomebrew: opioid"}
    assert save(client, patient, **drugs, **trial).status_code == 200
    data = client.get(f"/api/patients/{patient}/intake").json()["data"]
    assert data["taken"] == {"state": "listed", "lines": ["sertraline 100 mg", "Homebrew: opioid"]}
    assert data["trials"][0] == {"drug": "sertraline", "weeks": 8, "is_adequate": True}
    assert save(client, patient, taken="none").status_code == 200
    assert client.get(f"/api/patients/{patient}/intake").json()["data"]["taken"]["state"] == "none"
    assert save(client, patient, taken="unknown").status_code == 200
    assert client.get(f"/api/patients/{patient}/intake").json()["data"]["taken"]["state"] == "unknown"
    assert save(client, patient, taken="none", comedications="lithium").status_code == 422
    assert save(client, patient, taken="listed", comedications="x: no such class").status_code == 422


def test_every_field_that_cannot_be_read_is_named_at_once(served: Served):
    client = served.client("nurse")
    patient = register(client)
    answer = save(client, patient, **{"f.weight_kg": "heavy", "f.is_pregnant": "perhaps"})
    assert answer.status_code == 422
    assert {one["field"] for one in answer.json()["errors"]} == {"f.weight_kg", "f.is_pregnant"}
    assert "kg" in answer.text
    assert not [one for one in _events(served) if one["kind"] == "intake_recorded"]


def test_a_stale_intake_gets_409_with_what_came_between(served: Served):
    nurse, other = served.client("nurse"), served.client("prescriber")
    patient = register(nurse)
    seen = nurse.get(f"/api/patients/{patient}/intake").json()["data"]
    assert save(other, patient, **{"f.is_pregnant": "no"}).status_code == 200
    given = {"entry": seen["entry"], "version": str(seen["version"]), "f.is_pregnant": "yes"}
    answer = nurse.post(f"/patients/{patient}/intake", data=given, headers=JSON)
    assert answer.status_code == 409
    assert answer.json()["differences"][0]["author"] == "prescriber"
    assert _answers(nurse, patient)["is_pregnant"] == "no"


def test_rights_of_intake_and_screening(served: Served):
    patient = register(served.client("front_desk"))
    assert served.client("therapist").get(f"/patients/{patient}/intake").status_code == 403
    assert served.client("front_desk").get(f"/patients/{patient}/screening").status_code == 403
    assert served.client("owner").post("/register", data=PERSON).status_code == 403
    assert served.client("nurse").post(f"/patients/{patient}/override", data={}).status_code == 403
    assert served.client("nurse").get("/patients/nobody/intake").status_code == 404


def _sign(client: httpx.Client, patient: str, what: str, **fields: str) -> httpx.Response:
    seen = client.get(f"/api/patients/{patient}/screening").json()["data"]
    given = {"entry": seen["entry"], "version": str(seen["version"]), "pin": PIN, **fields}
    return client.post(f"/patients/{patient}/{what}", data=given, headers=JSON)


def _first(client: httpx.Client, patient: str, severity: str) -> dict[str, Any]:
    found = client.get(f"/api/patients/{patient}/screening").json()["data"]["findings"]
    return next(one for one in found if one["severity"] == severity and one["is_stopping"])


def test_where_no_override_exists_none_is_taken(ruled: Served):
    client = ruled.client("prescriber")
    patient = register(client, drug="esketamine", route="intranasal")
    save(client, patient, **{"f.aneurysmal_disease": "yes"})
    blocked = _first(client, patient, "block")
    reason = "A good reason, one would think."
    answer = _sign(client, patient, "override", rule_id=blocked["rule_id"], reason=reason)
    assert answer.status_code == 409
    assert "No override exists" in answer.text
    assert blocked["rule_id"] in client.get(f"/api/patients/{patient}/screening").json()["data"]["standing"]


def test_an_override_needs_a_reason_and_where_asked_a_second_person(ruled: Served):
    client = ruled.client("prescriber")
    ruled.account("nora", "nurse")
    patient = register(client)
    rule = _first(client, patient, "countersign")["rule_id"]
    reason = "Seen by a neurologist, who agrees in writing."
    given = {"rule_id": rule, "reason": reason}
    assert _sign(client, patient, "override", **{**given, "reason": "ok"}).status_code == 422
    assert _sign(client, patient, "override", **given).json()["errors"][0]["field"] == "second"
    wrong = _sign(client, patient, "override", **given, second="nora", second_pin="000000")
    assert wrong.status_code == 403
    assert _sign(client, patient, "override", **given, second="nora", second_pin=PIN).status_code == 200
    row = next(
        one
        for one in client.get(f"/api/patients/{patient}/screening").json()["data"]["findings"]
        if one["rule_id"] == rule
    )
    assert row["override"]["by"] == "prescriber"
    assert row["override"]["countersigned_by"] == "nora"
    assert row["override"]["reason"] == reason


def test_going_on_is_refused_while_anything_stands_and_more_work_up_is_recorded(ruled: Served):
    client = ruled.client("prescriber")
    patient = register(client)
    answer = _sign(client, patient, "decision", choice="go on", reason="It seems fine.")
    assert answer.status_code == 409
    assert answer.json()["findings"]
    assert _sign(client, patient, "decision", choice="more work-up", reason="An ECG.").status_code == 200
    data = client.get(f"/api/patients/{patient}/screening").json()["data"]
    assert data["state"] == "REFERRED"
    assert [one["by"] for one in data["decisions"]] == ["prescriber"]
    assert _sign(client, patient, "decision", choice="decline", reason="Not now.").status_code == 200


def test_a_nurse_does_not_decide_to_go_on_or_decline(ruled: Served):
    client = ruled.client("nurse")
    patient = register(client)
    assert _sign(client, patient, "decision", choice="decline", reason="Not now.").status_code == 403


def test_the_data_of_a_demonstration_are_invented(serve: Callable[..., Served]):
    client = serve(is_demo=True).client("nurse")
    answer = client.post("/register", data={**PERSON, "entry": "ab" * 16}, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "name"
