"""The board: worst first, in words and shape, clinical words only for those who may open sessions."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.web.care.board_day import before_dose, booked, entry, put
from tests.web.care.conftest import START, SURNAME, Served

from euthymia.web.care.access import restrict
from euthymia.web.care.rules import CoreRules

NAME = f"Anna {SURNAME}"


@pytest.fixture
def ruled(serve: Callable[..., Served]) -> Served:
    return serve(decide=CoreRules())


def _board(served: Served, role: str = "nurse") -> dict:
    return served.client(role).get("/api/board").json()["data"]


def test_a_booked_session_stands_on_the_board_with_its_time(ruled: Served):
    put(ruled.care.store, booked(START), name=NAME)
    (row,) = _board(ruled)["sessions"]
    assert (row["stage"], row["chair"], row["name"], row["starts"]) == ("BOOKED", "chair 1", NAME, "10:00")
    assert row["next_due_s"] is None
    assert not row["is_overdue"]


def test_the_check_is_counted_by_the_servers_clock_and_becomes_overdue(ruled: Served):
    desk = before_dose(START)
    desk.three_devices()
    put(ruled.care.store, desk)
    ruled.client("nurse")
    ruled.clock.at = desk.session.doses[0].at
    ruled.clock.go(minutes=38)
    (row,) = _board(ruled)["sessions"]
    assert (row["next_due_s"], row["says"], row["is_overdue"]) == (120, "observed", False)
    ruled.clock.go(minutes=5)
    (row,) = _board(ruled)["sessions"]
    assert (row["next_due_s"], row["is_overdue"]) == (-180, True)
    page = ruled.client("nurse").get("/board").text
    assert "check overdue by" in page
    assert "⚠" in page


def test_an_open_alert_shows_its_owner_and_only_to_who_may_open_sessions(ruled: Served):
    desk = before_dose(START)
    desk.three_devices()
    desk.wait(10)
    desk.read(systolic_mmHg="186", diastolic_mmHg="112")
    put(ruled.care.store, desk)
    ruled.clock.at = desk.at
    (row,) = _board(ruled)["sessions"]
    assert {one["owner"] for one in row["alerts"]} == {"paula"}
    (other,) = _board(ruled, "front_desk")["sessions"]
    assert other["alerts"] == []
    assert other["alert_count"] == row["alert_count"] > 0


def test_each_patient_on_the_board_is_in_the_trail(ruled: Served):
    put(ruled.care.store, booked(START), name=NAME)
    ruled.client("nurse").get("/board")
    with ruled.care.store.reading() as connection:
        query = "SELECT about FROM audit WHERE action = 'read' AND detail LIKE '%board_page%'"
        assert connection.exec_driver_sql(query).scalars().all() == ["p1"]


def test_a_restricted_patient_is_left_out(ruled: Served):
    put(ruled.care.store, booked(START), name=NAME)
    restrict(ruled.care.store, "p1", ["theo"], actor="owner", role="owner")
    assert _board(ruled)["sessions"] == []


def test_a_person_comes_and_goes_and_the_gate_knows(ruled: Served):
    nurse = ruled.client("nurse")
    seen = nurse.get("/api/here").json()["data"]
    assert not seen["people"]
    assert not seen["is_set"]
    for kind, facts in (
        ("site_set", {"time_zone": "Europe/Berlin"}),
        ("staff_on_site", {"account": "nurse", "staff_role": "nurse", "is_emergency_trained": True}),
    ):
        seen = nurse.get("/api/here").json()["data"]
        given = entry(START, kind, subjects={"clinic": seen["clinic"]}, **facts)
        expected = seen["versions"]
        assert nurse.post("/api/entries", json={"entries": [given], "expected": expected}).is_success
    (person,) = nurse.get("/api/here").json()["data"]["people"]
    assert (person["account"], person["is_emergency_trained"], person["is_me"]) == ("nurse", True, True)
