"""Stock: a lot adds up or nothing is written, waste needs a second person, counts differ aloud."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.web.care.conftest import PIN, Served
from tests.web.care.test_intake import JSON, ruled

__all__ = ["ruled"]
LOT = {
    "lot": "L-1",
    "drug": "esketamine",
    "count": "10",
    "unit": "device",
    "amount_mg_each": "28",
    "expiry": "2027-01-31",
    "entry": "ab" * 16,
}


@pytest.fixture
def nurse(ruled: Served) -> httpx.Client:
    """A nurse with ten devices on record, and a witness."""
    client = ruled.client("nurse")
    ruled.account("wim", "stock_witness")
    assert client.post("/stock", data=LOT, headers=JSON).status_code == 200
    return client


def _lot(client: httpx.Client, lot: str = "L-1") -> dict[str, Any]:
    return client.get(f"/api/stock/{lot}").json()["data"]


def _move(client: httpx.Client, what: str, count: str, **fields: str) -> httpx.Response:
    seen = _lot(client)
    given = {"entry": seen["entry"], "version": str(seen["version"]), "what": what, "count": count}
    witness = {} if what == "returned" else {"witness": "wim", "witness_pin": PIN}
    why = {"reason": "dropped"} if what == "wasted" else {}
    return client.post("/stock/L-1", data={**given, **witness, **why, **fields}, headers=JSON)


def test_received_is_given_wasted_returned_and_on_hand(nurse: httpx.Client):
    assert _move(nurse, "wasted", "2").status_code == 200
    assert _move(nurse, "returned", "3").status_code == 200
    found = _lot(nurse)
    assert [found[name] for name in ("received", "given", "wasted", "returned", "on_hand")] == [
        10,
        0,
        2,
        3,
        5,
    ]
    assert found["is_balanced"]
    assert "10 received = 0 given + 2 wasted + 3 returned" in nurse.get("/stock/L-1").text


@pytest.mark.parametrize("what", ["wasted", "returned"])
def test_more_than_is_on_hand_is_refused_and_nothing_is_kept(nurse: httpx.Client, what: str):
    answer = _move(nurse, what, "11")
    assert answer.status_code == 409
    assert "On hand: 10" in answer.text
    assert _lot(nurse)["on_hand"] == 10


def test_waste_needs_another_person_with_their_pin(nurse: httpx.Client):
    assert _move(nurse, "wasted", "1", witness="nurse").status_code in (403, 409)
    assert _move(nurse, "wasted", "1", witness_pin="000000").status_code == 403
    assert _move(nurse, "wasted", "1", witness="").status_code == 422
    assert _move(nurse, "wasted", "1", reason="").status_code == 422
    assert _lot(nurse)["wasted"] == 0


def test_a_count_that_differs_is_said_and_changes_nothing(nurse: httpx.Client, ruled: Served):
    assert _move(nurse, "counted", "9").status_code == 200
    found = _lot(nurse)
    assert (found["variance"], found["on_hand"]) == (-1, 10)
    assert "count differs by -1" in nurse.get("/stock/L-1").text
    with ruled.care.store.reading() as connection:
        query = "SELECT count(*) FROM events WHERE kind = 'alert_raised'"
        assert connection.exec_driver_sql(query).scalar() == 1


def test_a_correction_keeps_the_old_number_and_has_to_add_up(nurse: httpx.Client):
    _move(nurse, "returned", "6")
    first = _lot(nurse)["moves"][0]["event_id"]

    def correct(count: str) -> httpx.Response:
        seen = _lot(nurse)
        given = {"entry": seen["entry"], "version": str(seen["version"]), "of": first, "reason": "one box"}
        return nurse.post("/stock/L-1/correct", data={**given, "count": count}, headers=JSON)

    answer = correct("5")
    assert answer.status_code == 409
    assert "not add up" in answer.text
    assert correct("8").status_code == 200
    found = _lot(nurse)
    assert (found["received"], found["on_hand"]) == (8, 2)
    assert [one["count"] for one in found["moves"]] == [10, 6, 8]


def test_a_lot_is_not_two_things(nurse: httpx.Client):
    other = {**LOT, "entry": "cd" * 16, "amount_mg_each": "14"}
    answer = nurse.post("/stock", data=other, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "amount_mg_each"
    assert nurse.post("/stock", data={**LOT, "entry": "cd" * 16}, headers=JSON).status_code == 200
    assert _lot(nurse)["received"] == 20


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("count", "0"),
        ("count", "ten"),
        ("expiry", "soon"),
        ("amount_mg_each", "-1"),
        ("lot", "a b"),
        ("drug", "x"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(nurse: httpx.Client, field: str, value: str):
    answer = nurse.post("/stock", data={**LOT, "entry": "cd" * 16, field: value}, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


def test_a_stale_movement_gets_409(nurse: httpx.Client):
    seen = _lot(nurse)
    _move(nurse, "returned", "1")
    given = {"entry": "ef" * 16, "version": str(seen["version"]), "what": "returned", "count": "1"}
    answer = nurse.post("/stock/L-1", data=given, headers=JSON)
    assert answer.status_code == 409
    assert answer.json()["differences"]


def test_rights_of_stock(nurse: httpx.Client, ruled: Served):
    assert ruled.client("front_desk").get("/stock").status_code == 403
    witness = ruled.client("stock_witness", account="wim")
    assert witness.get("/stock/L-1").status_code == 200
    assert witness.post("/stock/L-1", data={"what": "returned"}).status_code == 403
    assert nurse.get("/stock/nothing").status_code == 404
