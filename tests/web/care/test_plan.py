"""Course and plan: hard stops hold at each step, versions differ in words, home is never offered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from tests.web.care.conftest import PIN, START, Served, event
from tests.web.care.test_intake import JSON, register, ruled

from euthymia.care.course import Course
from euthymia.care.plan import from_schedule
from euthymia.care.schedules import schedules
from euthymia.web.care.plan_record import plan_from_dict, plan_to_dict, signed_plans

__all__ = ["ruled"]


def seen(client: httpx.Client, patient: str, page: str = "course") -> dict[str, Any]:
    """Return what a page of a patient shows."""
    return client.get(f"/api/patients/{patient}/{page}").json()["data"]


def post(client: httpx.Client, patient: str, path: str, **fields: Any) -> httpx.Response:
    """Send a form of a patient at the version that stands."""
    data = seen(client, patient)
    given = {"entry": data["entry"], "version": str(data["version"]), "pin": PIN, **fields}
    return client.post(f"/patients/{patient}/{path}", data=given, headers=JSON)


def screened(served: Served, patient: str) -> None:
    """Write what a screening without findings leaves behind."""
    course = _course_id(served, patient)
    subjects = {"patient": patient, "course": course}
    for version, to in ((1, "SCREENING"), (2, "BASELINE")):
        facts: dict[str, Any] = {"to": to, "findings": []}
        one = event("course_moved", subjects=subjects, facts=facts, role="prescriber", at=served.clock())
        served.care.store.record([one], expected={f"course:{course}": version})


def _course_id(served: Served, patient: str) -> str:
    from euthymia.web.care.store import read_row

    with served.care.store.reading() as connection:
        row = read_row(connection, "patients", patient)
    assert row
    return next(iter(row["courses"]))


def baseline(client: httpx.Client, patient: str) -> None:
    """Record everything that the state after the baseline asks for."""
    values = {"weight_kg": "70", "systolic_mmHg": "124", "diastolic_mmHg": "76"}
    more = {"heart_rate_per_min": "70", "spo2_percent": "98"}
    assert post(client, patient, "baseline", **values, **more).status_code == 200
    for scale, count in (("MADRS", 10), ("PHQ-9", 9), ("GAD-7", 7)):
        items = {f"i.{place}": "3" for place in range(1, count + 1)} | (
            {"i.9": "0"} if scale == "PHQ-9" else {}
        )
        assert post(client, patient, "scores", scale=scale, **items).status_code == 200
    left = {"r.3": "skipped", "r.4": "skipped", "r.5": "skipped"}
    assert post(client, patient, "risk", **{"r.1": "no", "r.2": "no", "r.6": "no"}, **left).status_code == 200
    assert post(client, patient, "consent", text_version="3", is_label="no").status_code == 200


def form_of(client: httpx.Client, patient: str, schedule: str) -> dict[str, Any]:
    """Return the fields of a draft as a browser would send them."""
    answer = client.post(f"/patients/{patient}/plan/draft", data={"schedule": schedule})
    assert answer.status_code == 200, answer.text
    page = answer.text.partition(f'action="/patients/{patient}/plan"')[2]
    texts = re.findall(r'<textarea name="(\w+)"[^>]*>(.*?)</textarea>', page, flags=re.DOTALL)
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page)
    found: dict[str, Any] = {}
    for name, value in (*hidden, *texts):
        found.setdefault(name, []).append(value.replace("&#39;", "'").replace("&amp;", "&"))
    review = re.search(r'name="step_down_review"[^>]*value="([^"]+)"', page)
    assert review
    return {**found, "step_down_review": review[1], "at_home": "not offered", "pin": PIN}


@pytest.fixture
def course(ruled: Served) -> tuple[Served, httpx.Client, str]:
    """A course for the spray in the state of the baseline, and a prescriber."""
    client = ruled.client("prescriber")
    patient = register(client, drug="esketamine", route="intranasal", setting="outpatient")
    screened(ruled, patient)
    return ruled, client, patient


def test_no_step_is_taken_while_something_stands_against_it(course: tuple[Served, httpx.Client, str]):
    _, client, patient = course
    answer = post(client, patient, "course", to="CONSENTED")
    assert answer.status_code == 409
    assert "baseline is complete" in answer.text
    step = next(one for one in seen(client, patient)["steps"] if one["to"] == "CONSENTED")
    assert {one["rule_id"] for one in step["waits"]} == {"baseline_complete", "consent"}
    assert seen(client, patient)["state"] == "BASELINE"


def test_from_the_baseline_to_the_first_order(course: tuple[Served, httpx.Client, str]):
    _, client, patient = course
    baseline(client, patient)
    assert post(client, patient, "course", to="CONSENTED").status_code == 200
    assert post(client, patient, "course", to="PLANNED").status_code == 409
    form = form_of(client, patient, "spravato-trd")
    assert client.post(f"/patients/{patient}/plan", data=form, headers=JSON).status_code == 200
    assert post(client, patient, "course", to="PLANNED").status_code == 200
    assert post(client, patient, "course", to="INDUCTION").status_code == 409, "order and enrolment"
    order = {"amount_mg": "28", "max_amount_mg": "56", "min_interval_h": "48"}
    assert post(client, patient, "order", **order).status_code == 200
    assert post(client, patient, "enrolment", programme="REMS", number="1").status_code == 200
    assert post(client, patient, "course", to="INDUCTION").status_code == 200
    assert seen(client, patient)["state"] == "INDUCTION"


def test_a_plan_has_versions_that_differ_in_words_and_a_reason(course: tuple[Served, httpx.Client, str]):
    _, client, patient = course
    form = form_of(client, patient, "spravato-trd")
    assert client.post(f"/patients/{patient}/plan", data=form, headers=JSON).status_code == 200
    first = seen(client, patient, "plan")
    assert first["plan"]["home"] == "not offered"
    assert first["plan"]["status"] == "signed"
    change = {**form_of(client, patient, ""), "goals": "Back at work"}
    answer = client.post(f"/patients/{patient}/plan", data=change, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "reason"
    change["reason"] = "The person said what matters."
    course[0].clock.go(minutes=1)
    for _ in range(2):  # sent again, it is written once
        assert client.post(f"/patients/{patient}/plan", data=change, headers=JSON).status_code == 200
    versions = seen(client, patient, "plan")["versions"]
    assert [one["version"] for one in versions] == [2, 1]
    assert "Goals, added: Back at work." in versions[0]["differences"]
    stale = client.post(f"/patients/{patient}/plan", data={**change, "entry": "ab" * 16}, headers=JSON)
    assert stale.status_code == 409


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("at_home", "offered", 422),
        ("phase_regimen", ["ketamine 0.5 mg/kg iv over 40 min"] * 3, 422),
        ("phase_regimen", ["every now and then"] * 3, 422),
        ("step_down_review", "2030-01-01", 422),
        ("stop_rules", "", 422),
        ("schedule", "nothing", 422),
    ],
)
def test_a_plan_that_does_not_hold_is_refused(
    course: tuple[Served, httpx.Client, str], field: str, value: Any, status: int
):
    _, client, patient = course
    form = {**form_of(client, patient, "spravato-trd"), field: value}
    answer = client.post(f"/patients/{patient}/plan", data=form, headers=JSON)
    assert answer.status_code == status, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert seen(client, patient, "plan")["plan"] is None


@pytest.mark.parametrize("name", sorted(schedules()))
def test_a_plan_comes_back_from_the_record_as_it_was(name: str):
    plan = from_schedule(
        name,
        patient_id="p",
        author="paula",
        author_role="prescriber",
        created_utc=START,
        step_down_review=(START + timedelta(days=30)).date(),
        goals=("a", "b"),
    )
    assert plan_from_dict(plan_to_dict(plan)) == plan


def test_a_plan_written_elsewhere_is_no_version_here():
    events: Sequence[Any] = [
        event(
            "plan_signed",
            subjects={"patient": "p", "course": "c"},
            facts={"plan": "words", "plan_version": 1, "signed_by": "x"},
            role="prescriber",
        )
    ]
    assert signed_plans(Course.of(events)) == []


def test_only_a_prescriber_plans(course: tuple[Served, httpx.Client, str]):
    served, _, patient = course
    nurse = served.client("nurse")
    assert nurse.get(f"/patients/{patient}/plan").status_code == 200
    for path in ("plan", "plan/draft", "order", "course", "intervals", "review"):
        assert nurse.post(f"/patients/{patient}/{path}", data={}).status_code == 403, path
    assert served.client("front_desk").get(f"/patients/{patient}/course").status_code == 403


def test_a_value_that_cannot_be_read_is_refused_with_its_field(course: tuple[Served, httpx.Client, str]):
    _, client, patient = course
    answer = post(client, patient, "baseline", weight_kg="heavy")
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "weight_kg"
    assert post(client, patient, "baseline").status_code == 422
    assert post(client, patient, "order", amount_mg="0", min_interval_h="1").status_code == 422


@pytest.mark.slow
def test_what_the_model_expects_carries_its_caveats(course: tuple[Served, httpx.Client, str]):
    _, client, patient = course
    form = form_of(client, patient, "spravato-trd")
    client.post(f"/patients/{patient}/plan", data=form, headers=JSON)
    page = client.post(f"/patients/{patient}/plan/expected").text
    assert "nobody's own forecast" in page
    assert len(re.findall(r"<tr><td>", page)) > 4
