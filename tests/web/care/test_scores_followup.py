"""Follow-up: risk is dealt with before a course goes on, checks are owed, exports leave a trace."""

from __future__ import annotations

import httpx
import pytest
from tests.web.care.conftest import PIN, Served
from tests.web.care.test_intake import JSON, register, ruled, save
from tests.web.care.test_plan import post, seen

__all__ = ["ruled"]


def _do(client: httpx.Client, patient: str, what: str, **fields: str) -> httpx.Response:
    return post(client, patient, "follow-up", what=what, **fields)


def test_urgent_risk_is_dealt_with_before_screening(ruled: Served):
    from tests.unit.care.test_screening import answers

    client = ruled.client("prescriber")
    patient = register(client, drug="esketamine", route="intranasal", is_urgent="yes")
    words = {True: "yes", False: "no"}
    fields = {
        f"f.{name}": words[one] if isinstance(one, bool) else str(one) for name, one in answers().items()
    }
    assert save(client, patient, **fields, taken="none").status_code == 200

    def go_on() -> httpx.Response:
        return post(client, patient, "decision", choice="go on", reason="All is known.", pin=PIN)

    assert go_on().status_code == 409
    assert _do(client, patient, "disposition", disposition="Seen, stays here").status_code == 422
    told = {"disposition": "Seen at once; at home with his sister", "is_safe_to_leave": "yes"}
    assert _do(client, patient, "disposition", **told).status_code == 200
    assert go_on().status_code == 200


@pytest.mark.parametrize(
    ("what", "fields", "field"),
    [
        ("contact", {"contact": "letter", "outcome": "x"}, "contact"),
        ("check", {"check": "bladder", "result": "well"}, "is_concern"),
        ("early", {"days_early": "0"}, "days_early"),
        ("safety plan", {}, "note"),
        ("else", {}, "what"),
    ],
)
def test_what_is_not_said_is_refused_with_its_field(
    served: Served, what: str, fields: dict[str, str], field: str
):
    client = served.client("nurse")
    patient = register(client)
    answer = _do(client, patient, what, **fields)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_a_long_term_check_with_a_concern_raises_an_alert(ruled: Served):
    client = ruled.client("nurse")
    patient = register(client)
    before = seen(client, patient, "follow-up")
    assert {one["due_on"] for one in before["checks"]} == {None}, "no interval is made up"
    given = {"check": "bladder", "result": "urgency", "is_concern": "yes"}
    assert _do(client, patient, "check", **given).status_code == 200
    data = seen(client, patient, "follow-up")
    assert data["alerts"][0]["says"] == "Long-term check of bladder: a concern was recorded."
    assert next(one for one in data["checks"] if one["check"] == "bladder")["last_on"] == "2026-11-22"


def test_an_export_leaves_a_trace_and_says_what_is_missing(ruled: Served):
    client = ruled.client("nurse")
    patient = register(client)
    answer = client.post(f"/patients/{patient}/prior-authorisation")
    assert answer.json()["missing"] == ["diagnosis", "prior_trials", "scores", "sessions"]
    with ruled.care.store.reading() as connection:
        query = "SELECT count(*) FROM audit WHERE action = 'exported for prior authorisation' AND about = ?"
        assert connection.exec_driver_sql(query, (patient,)).scalar() == 1


def test_rights_of_follow_up(served: Served):
    patient = register(served.client("nurse"))
    assert served.client("front_desk").get(f"/patients/{patient}/follow-up").status_code == 403
    assert served.client("owner").post(f"/patients/{patient}/follow-up", data={}).status_code == 403
    therapist = served.client("therapist")
    looked = {"programme": "x", "result": "x", "is_concern": "no"}
    assert _do(therapist, patient, "monitoring", **looked).status_code == 403
    stale = {"what": "safety plan", "note": "x", "entry": "ab" * 16, "version": "0"}
    assert therapist.post(f"/patients/{patient}/follow-up", data=stale, headers=JSON).status_code == 409
