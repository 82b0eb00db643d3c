"""The schedule: what may be booked, when chair and nurse are taken, and therapy inside its window."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx
import pytest
from tests.web.care.conftest import START, Served, event
from tests.web.care.test_intake import JSON, register, ruled
from tests.web.care.test_plan import post, seen

from euthymia.care.record import Quantity, to_text
from euthymia.web.care.store import version_of

__all__ = ["ruled"]
DAY = START.date().isoformat()
BOOKING = {
    "day": DAY,
    "time": "13:00",
    "length_min": "180",
    "chair": "1",
    "nurse": "nora",
    "prescriber": "paula",
}


def planned(
    served: Served, *, to: str = "PLANNED", name: str = "Zwie One", **changes: str
) -> tuple[str, str]:
    """Return a patient and course of a state in which sessions may be booked, written past the rules."""
    entry = changes.pop("entry", "ab" * 16)
    client = served.client("nurse")
    patient = register(client, drug="esketamine", route="intranasal", entry=entry, name=name)
    course = f"c{entry[:16]}"
    subjects = {"patient": patient, "course": course}
    write(served, event("enrolled", subjects=subjects, facts={"programme": "REMS", "number": "1"}))
    write(served, event("course_moved", subjects=subjects, facts={"to": to}, role="prescriber"))
    return patient, course


def write(served: Served, *events: Any) -> None:
    """Write events of one stream past the rules, as other tests have them."""
    from euthymia.web.care.projections import stream_of

    stream = stream_of(events[0])
    with served.care.store.reading() as connection:
        version = version_of(connection, stream)
    decide = served.care.store.settings.decide
    object.__setattr__(served.care.store.settings, "decide", lambda past, one, *, deviation: (one,))
    try:
        served.care.store.record(events, expected={stream: version})
    finally:
        object.__setattr__(served.care.store.settings, "decide", decide)


def _book(client: httpx.Client, patient: str, entry: str = "cd" * 16, **changes: str) -> httpx.Response:
    given = {**BOOKING, "patient": patient, "entry": entry, **changes}
    return client.post("/schedule/book", data=given, headers=JSON)


def _day(client: httpx.Client, day: str = DAY) -> dict[str, Any]:
    return client.get("/api/schedule", params={"day": day}).json()["data"]


@pytest.fixture
def desk(ruled: Served) -> httpx.Client:
    """The front desk, with a nurse and a prescriber to name."""
    ruled.account("nora", "nurse")
    ruled.account("paula", "prescriber")
    return ruled.client("front_desk")


def test_a_session_is_booked_and_stands_under_its_chair(desk: httpx.Client, ruled: Served):
    patient, _ = planned(ruled)
    assert [one["patient"] for one in _day(desk)["bookable"]] == [patient]
    answer = _book(desk, patient)
    assert answer.status_code == 200, answer.text
    assert answer.json()["go"] == f"/schedule?day={DAY}"
    assert _book(desk, patient).status_code == 200, "sent again"
    (chair,) = _day(desk)["chairs"]
    (row,) = chair["sessions"]
    assert (chair["chair"], row["starts"], row["ends"], row["number"]) == ("1", "13:00", "16:00", 1)
    assert _day(desk, (START + timedelta(days=1)).date().isoformat())["count"] == 0


def test_a_chair_that_is_taken_is_not_booked_twice(desk: httpx.Client, ruled: Served):
    first, _ = planned(ruled)
    other, _ = planned(ruled, entry="12" * 16, name="Zwie Two")
    assert _book(desk, first).status_code == 200
    answer = _book(desk, other, "ef" * 16, time="15:00")
    assert answer.status_code == 409
    assert "Chair and nurse are free" in answer.text
    assert _book(desk, other, "ef" * 16, time="15:00", chair="2").status_code == 200
    assert [one["chair"] for one in _day(desk)["chairs"]] == ["1", "2"]


def test_a_time_without_room_for_the_observation_is_refused(desk: httpx.Client, ruled: Served):
    patient, _ = planned(ruled)
    assert _book(desk, patient, length_min="60").status_code == 409


def test_a_course_without_a_plan_is_not_bookable(desk: httpx.Client, ruled: Served):
    patient = register(ruled.client("nurse"))
    assert _day(desk)["bookable"] == []
    answer = _book(desk, patient)
    assert answer.status_code == 409
    assert "A plan is signed" in answer.text


@pytest.mark.parametrize(
    ("field", "value"), [("day", "soon"), ("time", "25:00"), ("length_min", "x"), ("chair", "")]
)
def test_what_cannot_be_is_refused_with_its_field(desk: httpx.Client, ruled: Served, field: str, value: str):
    patient, _ = planned(ruled)
    answer = _book(desk, patient, **{field: value})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_times_are_those_of_the_site(desk: httpx.Client, ruled: Served):
    facts = {"time_zone": "Europe/Berlin"}
    write(ruled, event("site_set", subjects={"clinic": "k"}, facts=facts))
    patient, _ = planned(ruled)
    assert _book(desk, patient).status_code == 200
    with ruled.care.store.reading() as connection:
        body = connection.exec_driver_sql("SELECT body FROM events WHERE kind = 'session_booked'").scalar()
    assert "T12:00:00" in str(body)
    assert _day(desk)["chairs"][0]["sessions"][0]["starts"] == "13:00"
    spring = _book(desk, patient, "ef" * 16, day="2027-03-28", time="02:30")
    assert spring.status_code == 422
    assert "summer time" in spring.text


def test_a_visit_is_confirmed_and_cancelled_with_a_reason(desk: httpx.Client, ruled: Served):
    patient, _ = planned(ruled)
    _book(desk, patient, day=(START + timedelta(days=3)).date().isoformat())
    day = (START + timedelta(days=3)).date().isoformat()

    def act(what: str, **fields: str) -> httpx.Response:
        row = _day(desk, day)["chairs"][0]["sessions"][0]
        given = {name: str(row[name]) for name in ("session", "version", "entry")}
        return desk.post("/schedule/visit", data={**given, "what": what, **fields}, headers=JSON)

    assert act("confirm_day").status_code == 200
    open_ = desk.get("/api/obligations").json()["data"]["rows"]
    assert [one["type"] for one in open_] == ["confirm hours"]
    assert act("cancel").status_code == 422
    assert act("cancel", reason="Has a cold.").status_code == 200
    assert _day(desk, day)["chairs"][0]["sessions"][0]["status"] == "cancelled"


def test_two_who_cancel_at_once_get_409(desk: httpx.Client, ruled: Served):
    patient, _ = planned(ruled)
    _book(desk, patient)
    row = _day(desk)["chairs"][0]["sessions"][0]
    given = {"session": row["session"], "version": str(row["version"]), "what": "cancel", "reason": "ill"}
    nurse = ruled.client("nurse")
    assert desk.post("/schedule/visit", data={**given, "entry": "11" * 16}, headers=JSON).status_code == 200
    late = nurse.post("/schedule/visit", data={**given, "entry": "22" * 16}, headers=JSON)
    assert late.status_code == 409


def _dosed(served: Served) -> tuple[str, str]:
    """Return a patient and a session with a dose at START."""
    patient, course = planned(served, to="INDUCTION")
    subjects = {"patient": patient, "course": course, "session": "s1"}
    facts = {
        "starts_at": to_text(START),
        "ends_at": to_text(START + timedelta(hours=3)),
        "chair": "1",
        "nurse": "nora",
        "prescriber": "paula",
        "drug": "esketamine",
        "route": "intranasal",
    }
    amount = Quantity(entered="56", unit="mg", canonical=56.0, canonical_unit="mg")
    dose = {"form": "device", "drug": "esketamine", "route": "intranasal", "lot": "L1"}
    write(
        served,
        event("session_booked", subjects=subjects, facts=facts),
        event("patient_arrived", subjects=subjects),
        event("dose_given", subjects=subjects, facts=dose, values={"amount_mg": amount}),
    )
    return patient, "s1"


def _therapy(client: httpx.Client, what: str, **fields: str) -> httpx.Response:
    data = client.get("/api/sessions/s1/therapy").json()["data"]
    given = {"entry": data["entry"], "version": str(data["version"]), "what": what, **fields}
    return client.post("/sessions/s1/therapy", data=given, headers=JSON)


def _state(client: httpx.Client) -> dict[str, Any]:
    return client.get("/api/sessions/s1/therapy").json()["data"]


NEXT = (START + timedelta(days=1)).date().isoformat()


def test_the_window_is_a_band_with_its_grade_and_what_speaks_against_it(ruled: Served):
    _dosed(ruled)
    client = ruled.client("therapist")
    windows = {one["name"]: one for one in _state(client)["windows"]}
    assert (windows["practice"]["from_h"], windows["practice"]["until_h"]) == (24, 96)
    assert windows["practice"]["grade"] == "practice"
    assert windows["model"]["says"].startswith("Simulated")
    assert all(one["against"] for one in windows.values())
    page = client.get("/sessions/s1/therapy").text
    assert page.count("<rect") == 2
    assert "grade: practice" in page


def test_therapy_is_offered_booked_missed_and_offered_again(ruled: Served):
    ruled.account("theo", "therapist")
    _dosed(ruled)
    client = ruled.client("therapist")
    assert _state(client)["is_owed"]
    when = {"day": NEXT, "time": "10:00", "length_min": "60"}
    assert _therapy(client, "offer", **when).status_code == 200
    assert not _state(client)["is_owed"]
    assert _therapy(client, "book", **when).status_code == 422, "with whom"
    assert _therapy(client, "book", **when, therapist="theo").status_code == 200
    (one,) = _state(client)["appointments"]
    assert one["inside"] == {"practice": True, "model": True}
    assert _therapy(client, "missed", appointment=one["appointment_id"]).status_code == 200
    assert _state(client)["is_owed"]
    offers = client.get("/api/schedule", params={"day": DAY}).json()["data"]["owed"]
    assert [one["session"] for one in offers] == ["s1"], "an obligation to offer it again"
    again = {**when, "day": (START + timedelta(days=9)).date().isoformat(), "therapist": "theo"}
    assert _therapy(client, "book", **again).status_code == 200
    found = _state(client)
    assert not found["is_owed"]
    assert [row["state"] for row in found["appointments"]] == ["missed", "booked"]
    assert found["appointments"][1]["inside"] == {"practice": False, "model": False}
    assert client.get("/api/schedule", params={"day": DAY}).json()["data"]["owed"] == []
    assert _therapy(client, "held", appointment=one["appointment_id"]).status_code == 409


def test_therapy_of_a_day_stands_in_its_schedule(ruled: Served):
    _dosed(ruled)
    client = ruled.client("nurse")
    _therapy(client, "book", day=NEXT, time="10:00", length_min="60", therapist="nurse")
    (row,) = _day(client, NEXT)["therapy"]
    assert (row["starts"], row["session"]) == ("10:00", "s1")
    assert _day(client)["therapy"] == []


def test_therapy_before_the_dose_is_refused(ruled: Served):
    _dosed(ruled)
    before = {"day": DAY, "time": "06:00", "length_min": "60"}
    assert _therapy(ruled.client("nurse"), "offer", **before).status_code == 422


def test_a_preparation_visit_is_booked_and_held(ruled: Served):
    patient, _ = planned(ruled)
    client = ruled.client("therapist")
    assert not seen(client, patient, "preparation")["is_prepared"]
    booked = {"what": "book", "day": NEXT, "time": "09:00", "length_min": "60", "therapist": "therapist"}
    for fields in (booked, {"what": "held", "expectation": "7", "anxiety": "3"}):
        data = seen(client, patient, "preparation")
        given = {"entry": data["entry"], "version": str(data["version"]), **fields}
        assert client.post(f"/patients/{patient}/preparation", data=given, headers=JSON).status_code == 200
    data = seen(client, patient, "preparation")
    assert data["is_prepared"]
    assert (data["held"][0]["expectation"], data["held"][0]["anxiety"]) == (7, 3)
    assert [one["says"] for one in _day(client, NEXT)["therapy"]] == ["preparation"]
    wrong = {"what": "held", "expectation": "11", "anxiety": "3", "entry": "11" * 16, "version": "0"}
    answer = client.post(f"/patients/{patient}/preparation", data=wrong, headers=JSON)
    assert answer.status_code == 422


def test_rights_of_schedule_and_therapy(ruled: Served):
    patient, _ = planned(ruled)
    _dosed_session = "/sessions/s1/therapy"
    assert ruled.client("stock_witness").get("/schedule").status_code == 403
    assert ruled.client("therapist").post("/schedule/book", data={}).status_code == 403
    assert ruled.client("front_desk").get(_dosed_session).status_code == 403
    assert ruled.client("front_desk").get(f"/patients/{patient}/preparation").status_code == 403
    assert ruled.client("therapist").get("/sessions/none/therapy").status_code == 404
    assert post(ruled.client("prescriber"), patient, "preparation", what="held").status_code == 422
