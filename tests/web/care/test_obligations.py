"""Obligations on the screen: overdue first, each with an owner, closed once and by a person."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import httpx
import pytest
from tests.web.care.conftest import START, Served, event, named
from tests.web.care.test_intake import JSON

from euthymia.care.record import to_text


@pytest.fixture
def owed(served: Served) -> Served:
    """Three obligations: late, soon, next week; the first has an identifier as the core makes them."""
    served.care.store.put_person(named("p1"), actor="desk", role="front_desk")
    for name, hours in (("e1-x/rems_form", -5), ("o-soon", 2), ("o-week", 168)):
        one = event(
            "obligation_opened",
            event_id=uuid.uuid4().hex,
            subjects={"obligation": name, "patient": "p1"},
            facts={
                "type": "rems_form",
                "due_at": to_text(START + timedelta(hours=hours)),
                "owner": "on duty",
                "says": f"Do {name}",
            },
        )
        served.care.store.record([one], expected={f"obligation:{name}": 0})
    return served


def _rows(client: httpx.Client, show: str = "all") -> list[dict[str, Any]]:
    return client.get("/api/obligations", params={"show": show}).json()["data"]["rows"]


def _act(client: httpx.Client, name: str, what: str, **fields: str) -> httpx.Response:
    seen = client.get("/api/obligations").json()["data"]
    version = next(str(one["version"]) for one in seen["rows"] if one["obligation"] == name)
    given = {"obligation": name, "what": what, "entry": seen["entry"], "version": version}
    return client.post("/obligations", data={**given, **fields}, headers=JSON)


def test_the_longest_overdue_stands_first(owed: Served):
    rows = _rows(owed.client("front_desk"))
    assert [one["obligation"] for one in rows] == ["e1-x/rems_form", "o-soon", "o-week"]
    assert [one["is_overdue"] for one in rows] == [True, False, False]
    assert rows[0]["how"] == "5 h late"
    owed.clock.go(hours=3)
    assert [one["is_overdue"] for one in _rows(owed.client("nurse"))] == [True, True, False]


def test_claim_hand_over_and_close(owed: Served):
    nurse = owed.client("nurse")
    owed.account("nora", "nurse")
    assert _act(nurse, "e1-x/rems_form", "claim").status_code == 200
    assert [one["owner"] for one in _rows(nurse, "mine")] == ["nurse"]
    assert _act(nurse, "e1-x/rems_form", "hand over", owner="nora").status_code == 200
    assert _rows(nurse)[0]["owner"] == "nora"
    assert _act(nurse, "e1-x/rems_form", "done").status_code == 422, "an outcome is said"
    assert _act(nurse, "e1-x/rems_form", "done", outcome="sent").status_code == 200
    assert [one["obligation"] for one in _rows(nurse)] == ["o-soon", "o-week"]


def test_cancelling_needs_a_reason_and_an_owner_has_to_exist(owed: Served):
    nurse = owed.client("nurse")
    assert _act(nurse, "o-soon", "cancel").status_code == 422
    assert _act(nurse, "o-soon", "hand over", owner="ghost").status_code == 422
    assert _act(nurse, "o-soon", "cancel", reason="Opened twice.").status_code == 200
    assert len(_rows(nurse)) == 2


def test_two_who_close_it_at_once_get_409_and_it_is_closed_once(owed: Served):
    nurse, other = owed.client("nurse"), owed.client("prescriber")
    given = {"obligation": "o-soon", "what": "done", "version": "1"}
    first = {**given, "entry": "ab" * 16, "outcome": "called"}
    assert nurse.post("/obligations", data=first, headers=JSON).status_code == 200
    assert nurse.post("/obligations", data=first, headers=JSON).status_code == 200, "sent again"
    second = other.post("/obligations", data={**given, "entry": "cd" * 16, "outcome": "x"}, headers=JSON)
    assert second.status_code == 409
    with owed.care.store.reading() as connection:
        query = "SELECT count(*) FROM events WHERE kind = 'obligation_done'"
        assert connection.exec_driver_sql(query).scalar() == 1


def test_nothing_is_lost_on_the_way_through_the_pages(owed: Served):
    for number in range(120):
        one = event(
            "obligation_opened",
            subjects={"obligation": f"many-{number}"},
            facts={
                "type": "x",
                "due_at": to_text(START + timedelta(days=30)),
                "owner": "on duty",
                "says": "x",
            },
        )
        owed.care.store.record([one], expected={f"obligation:many-{number}": 0})
    client = owed.client("nurse")
    pages = [client.get("/api/obligations", params={"page": one}).json()["data"] for one in (1, 2)]
    listed = [one["obligation"] for page in pages for one in page["rows"]]
    assert len(listed) == len(set(listed)) == 123 == pages[0]["count"]
    assert pages[0]["next"] == 2
    assert pages[1]["next"] is None


def test_rights_of_obligations(owed: Served):
    assert owed.client("stock_witness").get("/obligations").status_code == 403
    assert owed.client("owner").post("/obligations", data={"obligation": "o-soon"}).status_code == 403
    missing = {"obligation": "none", "what": "claim", "version": "0"}
    assert owed.client("nurse").post("/obligations", data=missing, headers=JSON).status_code == 404


def test_restricted_patients_are_counted_and_not_shown(owed: Served):
    owner = owed.client("owner")
    from tests.web.care.conftest import PIN

    answer = owner.post("/patients/p1/team", data={"team": ["somebody"], "pin": PIN})
    assert answer.status_code == 303, answer.text
    data = owed.client("nurse").get("/api/obligations").json()["data"]
    assert (data["rows"], data["restricted"], data["count"]) == ([], 3, 3)
