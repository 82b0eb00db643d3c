"""The day sheet: what a day needs on paper, and nobody else's."""

from __future__ import annotations

from tests.web.care.conftest import START, Served, event
from tests.web.care.test_intake import ruled
from tests.web.care.test_schedule import DAY, _book, planned, write

__all__ = ["ruled"]


def test_the_sheet_has_who_order_and_the_checks_of_the_route(ruled: Served):
    ruled.account("nora", "nurse")
    ruled.account("paula", "prescriber")
    nurse = ruled.client("nurse")
    patient, course = planned(ruled)
    order = {
        "order_id": "o1",
        "drug": "esketamine",
        "route": "intranasal",
        "amount_mg": 28.0,
        "max_amount_mg": 84.0,
        "signed_by": "paula",
    }
    subjects = {"patient": patient, "course": course}
    assert _book(nurse, patient).status_code == 200
    sheet = nurse.get("/api/daysheet", params={"day": DAY}).json()["data"]["sheets"][0]
    assert sheet["order"] is None
    assert "? none is signed" in nurse.get("/daysheet", params={"day": DAY}).text
    write(ruled, event("order_signed", subjects=subjects, facts=order, role="prescriber", at=START))
    sheet = nurse.get("/api/daysheet", params={"day": DAY}).json()["data"]["sheets"][0]
    assert sheet["order"]["max_amount_mg"] == 84
    assert (sheet["name"], sheet["birth_date"]) == ("Zwie One", "1971-03-04")
    assert sheet["checks"] == [40, 150, 180]
    page = nurse.get("/daysheet", params={"day": DAY}).text
    assert "☐ two identifiers" in page
    assert "40 min" in page


def test_a_cancelled_visit_is_not_on_paper_and_the_front_desk_prints_none(ruled: Served):
    desk = ruled.client("front_desk")
    assert desk.get("/daysheet").status_code == 403
    assert ruled.client("nurse").get("/daysheet", params={"day": "x"}).status_code == 422


def test_what_was_printed_is_in_the_trail(ruled: Served):
    ruled.account("nora", "nurse")
    ruled.account("paula", "prescriber")
    nurse = ruled.client("nurse")
    patient, _ = planned(ruled)
    _book(nurse, patient)
    nurse.get("/daysheet", params={"day": DAY})
    with ruled.care.store.reading() as connection:
        query = "SELECT count(*) FROM audit WHERE about = ? AND detail LIKE '%daysheet_page%'"
        assert connection.exec_driver_sql(query, (patient,)).scalar() == 1
