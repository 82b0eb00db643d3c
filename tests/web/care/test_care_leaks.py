"""A name that was entered stands in the record and nowhere else; random requests find no crash, no name."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from tests.web.care.conftest import SURNAME, Served, event, named, plain, pressure

import euthymia.web.care
from euthymia.web.care.app import routes_of
from euthymia.web.care.pages import PROBLEMS, guard_of
from euthymia.web.care.roles import ROLES

HERE = Path(euthymia.web.care.__file__).parent
SECRET_WORDS = (SURNAME, SURNAME.lower(), "1971-03-04", "Zungenbrecher")


def _work(served: Served) -> list[str]:
    """Enter a name in every place that takes text, cause every error; return the addresses asked."""
    nurse, owner = served.client("nurse"), served.client("owner")
    asked: list[str] = []
    for client in (nurse, owner):
        client.event_hooks["request"].append(lambda request: asked.append(str(request.url)))
    person = {"name": f"Anna {SURNAME}", "birth_date": "1971-03-04", "contact": {"note": "Zungenbrecher"}}
    patient = nurse.post("/api/people", json=person).json()["person"]["patient"]
    nurse.post("/api/people", json={**person, "patient": patient, "version": 1})
    nurse.post("/api/people", json={**person, "birth_date": SURNAME})
    nurse.post("/api/people/search", json={"words": SURNAME})
    nurse.get(f"/api/people/{patient}")
    subjects = {"patient": patient, "course": "c1", "session": "s1"}
    good = plain(event(values=pressure(120), subjects=subjects, facts={"note": SURNAME}))
    for one in (good, {**good, "facts": {SURNAME: 1}}, {**good, "kind": SURNAME}, {**good, "reason": 5}):
        nurse.post("/api/events", json={"events": [one], "expected": {"session:s1": 0}})
    nurse.post("/api/events", content=f'{{"broken": "{SURNAME}"')
    nurse.post("/api/events", json={"events": [{**good, "event_id": "x2"}], "expected": {"session:s1": 0}})
    nurse.post(f"/patients/{patient}/glass", data={"reason": f"{SURNAME} fell"})
    owner.post(f"/patients/{patient}/erase", data={"reason": f"{SURNAME} asked"})
    for path in ("/", "/audit", "/backups", "/accounts", "/nowhere"):
        owner.get(path)
    return asked


def test_no_name_in_logs_or_addresses(
    served: Served, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
):
    with caplog.at_level(logging.DEBUG):
        asked = _work(served)
    seen = capfd.readouterr()
    said = "\n".join([caplog.text, *asked, seen.out, seen.err])
    assert "/api/people" in said
    assert not [word for word in SECRET_WORDS if word in said]


def test_no_name_in_an_error_nobody_expected(
    served: Served,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    def broken(*_: Any, **__: Any) -> Any:
        message = f"{SURNAME} was typed"
        raise ValueError(message)

    client = served.client("nurse")
    monkeypatch.setattr(served.care.store, "_put", broken)
    body = {"events": [plain(event(values=pressure(120)))], "expected": {"session:s1": 0}}
    with caplog.at_level(logging.DEBUG):
        answer = client.post("/api/events", json=body)
    assert answer.status_code == 500
    assert answer.json()["errors"][0]["message"] == "Something went wrong here. Nothing more is known."
    seen = capfd.readouterr()
    assert "ValueError" in caplog.text
    assert SURNAME not in caplog.text + answer.text + seen.out + seen.err


def test_a_refusal_does_not_repeat_what_was_given(served: Served):
    answer = served.client("nurse").post("/api/people", json={"name": "A", "birth_date": SURNAME})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "birth_date"
    assert SURNAME not in answer.text


def test_the_trail_names_patients_by_identifier_only(served: Served):
    _work(served)
    with served.care.store.reading() as connection:
        rows = connection.exec_driver_sql("SELECT about || detail FROM audit").scalars().all()
    assert rows
    assert not [one for one in rows for word in SECRET_WORDS if word in one]


def test_no_address_takes_more_than_identifiers_and_short_words(served: Served):
    for route in routes_of(served.app):
        names = set(re.findall(r"{(\w+)}", route.path))
        assert names <= {"patient", "course", "session", "account", "obligation", "alert", "lot", "name"}, (
            route.path
        )
        assert not names & {"birth_date", "words"}


def test_nothing_of_ours_keeps_anything_in_the_browser():
    kept = re.compile(r"localStorage|sessionStorage|indexedDB|caches\.|serviceWorker|document\.cookie")
    inline = re.compile(r"<script(?![^>]*\bsrc=)|\bon\w+=\"|\bstyle=\"|<style|javascript:")
    scripts = [*HERE.rglob("*.js")]
    pages = [*HERE.rglob("*.html")]
    assert scripts
    assert pages
    assert not [path.name for path in scripts if kept.search(path.read_text(encoding="utf-8"))]
    assert not [path.name for path in pages if inline.search(path.read_text(encoding="utf-8"))]
    outside = re.compile(r"(src|href|action)=\"(https?:)?//")
    assert not [path.name for path in pages if outside.search(path.read_text(encoding="utf-8"))]


def test_every_form_carries_its_token():
    for path in HERE.rglob("*.html"):
        forms = re.findall(
            r"<form method=\"post\".*?</form>", path.read_text(encoding="utf-8"), flags=re.DOTALL
        )
        assert all('name="_csrf"' in form for form in forms), path.name


@pytest.mark.slow
@pytest.mark.parametrize("roles", [(), tuple(ROLES)], ids=["nobody", "every role"])
def test_random_requests_break_nothing(served: Served, roles: tuple[str, ...]):
    """What the interface describes: no 5xx, no status that is not described, nothing without signing in."""
    served.care.store.put_person(named("p-s1"), actor="desk", role="front_desk")
    schema = schemathesis.openapi.from_dict(_described(served))
    client = served.client(*roles, account="all") if roles else served.bare()
    names = {"_csrf": "x"}
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path not in ("/live", "/logout", "/lock", "/backups", "/audit/verify"):
            is_open = bool(roles) or operation.path in _public(served)
            _ask_at_random(client, operation, names, is_open=is_open)


def _ask_at_random(client: httpx.Client, operation: Any, names: dict[str, str], *, is_open: bool) -> None:
    """Ask one operation a few times; who may not is given nothing."""

    @how(max_examples=3, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        answer = client.request(
            case.method, case.formatted_path, params=case.query or None, **_body(case, names)
        )
        assert answer.status_code < 500, (case.method, operation.path, answer.text)
        assert answer.status_code in {200, 303, *PROBLEMS, 405}, answer.status_code
        if not is_open:
            assert answer.status_code != 200
            assert SURNAME not in answer.text

    check()


def _public(served: Served) -> set[str]:
    return {one.path for one in routes_of(served.app) if getattr(guard_of(one), "is_public", False)}


def _described(served: Served) -> dict[str, Any]:
    served.app.openapi_schema = None
    return served.app.openapi()


def _body(case: Any, names: dict[str, str]) -> dict[str, Any]:
    if case.method == "GET" or not isinstance(case.body, dict | list | str | int | float | bool | type(None)):
        return {}
    if case.media_type == "application/x-www-form-urlencoded":
        return {"data": {**names, **case.body} if isinstance(case.body, dict) else {}}
    return {"json": case.body}


def test_the_description_of_the_interface_is_not_served(served: Served):
    for path in ("/openapi.json", "/docs", "/redoc"):
        assert served.bare().get(path).status_code == 404
