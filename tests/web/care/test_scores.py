"""Scores on the screen: numbers of items only, no total of a part, and answers about suicide are acted on."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.web.care.conftest import Served
from tests.web.care.test_intake import JSON, register, ruled

__all__ = ["ruled"]


def _post(client: httpx.Client, patient: str, what: str = "scores", **fields: str) -> httpx.Response:
    seen = client.get(f"/api/patients/{patient}/scores").json()["data"]
    given = {"entry": seen["entry"], "version": str(seen["version"]), **fields}
    return client.post(f"/patients/{patient}/{what}", data=given, headers=JSON)


def _items(count: int, value: int = 1, **changes: str) -> dict[str, str]:
    return {f"i.{place}": str(value) for place in range(1, count + 1)} | {
        f"i.{name[1:]}": one for name, one in changes.items()
    }


def _data(client: httpx.Client, patient: str) -> dict[str, Any]:
    return client.get(f"/api/patients/{patient}/scores").json()["data"]


def test_a_whole_scale_gives_its_total(served: Served):
    client = served.client("nurse")
    patient = register(client)
    assert _post(client, patient, scale="MADRS", **_items(10, 3)).status_code == 200
    row = next(one for one in _data(client, patient)["standing"] if one["scale"] == "MADRS")
    assert row["baseline"] == 30
    assert row["has_responded"] is None


def test_a_scale_with_an_item_missing_has_no_total_anywhere(served: Served):
    client = served.client("nurse")
    patient = register(client)
    assert _post(client, patient, scale="GAD-7", **_items(7, 2, i3="")).status_code == 200
    data = _data(client, patient)
    assert data["recorded"][0]["says"] == "total unknown, items missing: 3"
    assert next(one for one in data["standing"] if one["scale"] == "GAD-7")["baseline"] is None
    with served.care.store.reading() as connection:
        body = connection.exec_driver_sql("SELECT body FROM events WHERE kind = 'score_recorded'").scalar()
    assert '"points":"unknown"' in str(body)


@pytest.mark.parametrize("value", ["7", "-1", "x", "1.5"])
def test_an_item_out_of_its_range_is_refused(served: Served, value: str):
    client = served.client("nurse")
    patient = register(client)
    answer = _post(client, patient, scale="MADRS", **_items(10, 1, i1=value))
    assert answer.status_code == 422
    assert "whole number" in answer.text


def test_an_empty_form_is_no_score(served: Served):
    client = served.client("nurse")
    patient = register(client)
    assert _post(client, patient, scale="MADRS").status_code == 422
    assert _post(client, patient, "risk").status_code == 422


def test_item_nine_above_zero_raises_an_alert_with_an_owner(ruled: Served):
    client = ruled.client("nurse")
    patient = register(client)
    assert _post(client, patient, scale="PHQ-9", **_items(9, 0, i9="1")).status_code == 200
    (alert,) = _data(client, patient)["alerts"]
    assert alert["owner"]
    assert "before they leave" in alert["says"]


@pytest.mark.parametrize(
    ("answers", "level"),
    [
        ({1: "no", 2: "no", 3: "skipped", 4: "skipped", 5: "skipped", 6: "no"}, "none"),
        ({1: "yes", 2: "no", 3: "skipped", 4: "skipped", 5: "skipped", 6: "no"}, "passive"),
        ({1: "yes", 2: "yes", 3: "yes", 4: "no", 5: "no", 6: "no"}, "active"),
        ({1: "yes", 2: "yes", 3: "yes", 4: "yes", 5: "no", 6: "no"}, "intent"),
        ({1: "no", 2: "no", 3: "skipped", 4: "skipped", 5: "skipped", 6: "yes"}, "behaviour"),
    ],
)
def test_answers_about_suicide_get_their_level(served: Served, answers: dict[int, str], level: str):
    client = served.client("nurse")
    patient = register(client)
    given = {f"r.{place}": one for place, one in answers.items()}
    assert _post(client, patient, "risk", **given).status_code == 200
    assert _data(client, patient)["recorded"][0]["says"].startswith(f"{level};")


def test_an_answer_that_is_missing_is_never_recorded_as_none(served: Served):
    client = served.client("nurse")
    patient = register(client)
    answer = _post(client, patient, "risk", **{"r.1": "no", "r.2": "no"})
    assert answer.status_code == 422
    assert "unknown is no pass" in answer.text
    assert _data(client, patient)["recorded"] == []


def test_intent_asks_for_a_clinician_now(ruled: Served):
    client = ruled.client("nurse")
    patient = register(client)
    given = {"r.1": "yes", "r.2": "yes", "r.3": "yes", "r.4": "yes"}
    assert _post(client, patient, "risk", **given).status_code == 200
    (alert,) = _data(client, patient)["alerts"]
    assert alert["tier"] == "stop"
    assert "not left alone" in client.get(f"/patients/{patient}/scores").text


def test_rights_and_stale_scores(served: Served):
    nurse = served.client("nurse")
    patient = register(nurse)
    assert served.client("front_desk").get(f"/patients/{patient}/scores").status_code == 403
    assert served.client("owner").post(f"/patients/{patient}/scores", data={}).status_code == 403
    seen = _data(nurse, patient)
    _post(nurse, patient, scale="MADRS", **_items(10, 1))
    late = {"entry": "ef" * 16, "version": str(seen["version"]), "scale": "MADRS", **_items(10, 2)}
    answer = served.client("therapist").post(f"/patients/{patient}/scores", data=late, headers=JSON)
    assert answer.status_code == 409
    assert {one["field"] for one in answer.json()["differences"]} >= {"facts.points"}
