"""The pages on trials: every shipped trial, the stored numbers, and nothing observed of a closed row."""

from __future__ import annotations

import json
import math
from hashlib import sha256
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from euthymia.evidence import select
from euthymia.evidence.studies import load_outcome_rows
from euthymia.files.trial_json import number_in
from euthymia.tables import read_text
from euthymia.trials.protocols import protocol_names
from euthymia.web import replicated
from euthymia.web.replicated import COPY, OPENED, Compared, compared_rows, forests, made_of, trials

STORED = Path(__file__).parents[2] / "docs" / "reference" / "replication.json"
NAN = math.nan


def _row(**fields: object) -> Compared:
    usual = {
        "row_id": "T1",
        "role": "calibrate",
        "label": "a - b",
        "measure": "difference",
        "unit": "points",
        "is_primary": False,
        "simulated": -6.0,
        "low": -10.0,
        "high": -2.0,
        "observed": -4.0,
        "observed_low": NAN,
        "observed_high": NAN,
        "verdict": "inside",
        "reason": "",
        "published": "",
        "pool": "",
        "url": "",
        "citation": "",
    }
    return Compared(**usual | fields)


def test_the_copy_is_of_the_stored_result():
    held = json.loads(read_text(COPY))
    assert held["copied_sha256"] == sha256(STORED.read_bytes()).hexdigest(), (
        "docs/reference/replication.json has changed: python tools/replication_copy.py"
    )
    stored = json.loads(STORED.read_bytes())
    assert made_of().replicates == stored["replicates"]
    assert made_of().digest == stored.get("posterior_digest", "")
    for (trial, row), whole in zip(compared_rows(), stored["rows"], strict=True):
        assert (trial, row.row_id, row.label) == (whole["trial"], whole["row_id"], whole["label"])
        for name in ("simulated", "low", "high"):
            mine, right = getattr(row, name), number_in(whole[name])
            assert mine == pytest.approx(right, rel=1e-5, nan_ok=True)


@pytest.mark.slow
def test_every_shipped_trial_is_listed_and_has_a_page(client: TestClient):
    text = client.get("/trials").text
    for name in protocol_names():
        assert f'href="/trials/{name}"' in text
        answer = client.get(f"/trials/{name}")
        assert answer.status_code == 200, name
        assert trials()[name].title.split(",")[0] in answer.text.replace("&#39;", "'")
    assert len(trials()) == 33


def test_every_stored_row_stands_on_a_page_or_among_the_reasons(client: TestClient):
    shown = {row.row_id for one in trials().values() for row in one.rows}
    left = {row.row_id for trial, row in compared_rows() if not trial}
    assert shown | left == {row.row_id for row in load_outcome_rows()}
    pooled = [row for row in trials()["transform-1"].rows if row.pool]
    assert pooled
    assert {row.label for row in pooled} <= {row.label for row in trials()["transform-2"].rows}


def test_nothing_observed_of_a_closed_row_is_shown(monkeypatch: pytest.MonkeyPatch, client: TestClient):
    monkeypatch.setattr(select, "frozen_posterior", lambda: "")
    monkeypatch.setattr(replicated, "frozen_posterior", lambda: "")
    rows = client.get("/api/trials/kads").json()["rows"]
    assert {one["role"] for one in rows} == {"validate"}
    assert {one["verdict"] for one in rows} <= {"closed", "not comparable"}
    assert not any(one["observed"] or one["published"] for one in rows)
    assert any(one["simulated"] is not None for one in rows)


def test_a_row_that_has_opened_since_shows_what_was_published(client: TestClient):
    rows = client.get("/api/trials/kads").json()["rows"]
    since = [one for one in rows if one["verdict"] == OPENED]
    judged = [one for one in rows if one["observed"] is not None]
    assert since or judged
    assert all(one["published"] for one in since)


def test_the_page_says_what_the_result_is_of(client: TestClient):
    stored = client.get("/api/trials").json()["stored"]
    text = client.get("/trials").text
    assert f"{stored['replicates']} replicates" in text
    assert (stored["posterior"] or "not calibrated") in text
    assert ("not of the posterior that is frozen now" in text) != made_of().is_of_frozen


@pytest.mark.parametrize(
    ("query", "name", "other"),
    [
        ("role=validate", "kads", "fava-2018"),
        ("route=SC", "kads", "fava-2018"),
        ("population=older-adult", "transform-3", "transform-1"),
        ("population=acute-suicidality&route=IN", "aspire-1", "grunebaum-2018"),
    ],
)
def test_a_filter_takes_what_it_names(client: TestClient, query: str, name: str, other: str):
    names = {one["name"] for one in client.get(f"/api/trials?{query}").json()["trials"]}
    assert name in names
    assert other not in names
    live = client.get(f"/trials/live?{query}")
    assert f"/trials/{name}" in live.text
    assert live.headers["HX-Push-Url"].startswith("/trials?")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/trials?role=best", 422),
        ("/api/trials?route=XX", 422),
        ("/api/trials?population=all", 422),
        ("/api/trials/kad", 404),
        ("/api/trials/KADS", 422),
        ("/trials/kad", 404),
    ],
)
def test_what_is_not_there_is_refused_with_words(client: TestClient, path: str, status: int):
    answer = client.get(path, headers={"accept": "application/json"})
    assert answer.status_code == status
    assert answer.json()["errors"][0]["message"]


def test_a_forest_puts_every_mark_on_one_axis():
    one = forests([_row(), _row(low=-20.0, high=0.0, observed=NAN)])[0]
    first, second = one.marks
    assert first.low < first.observed < first.low + first.width
    assert first.middle == pytest.approx(first.low + first.width / 2, abs=0.02)
    assert second.width == pytest.approx(20 / 8 * first.width, abs=0.05)
    assert second.observed is None
    assert one.zero == pytest.approx(second.low + second.width, abs=0.02)
    assert [label for _, label in one.ticks] == ["-20", "-15", "-10", "-5", "0"]


def test_measures_do_not_share_an_axis_and_what_was_not_compared_is_not_drawn():
    found = forests([_row(), _row(measure="share", simulated=0.5, low=0.3, high=0.7, observed=0.4)])
    assert [one.title for one in found] == ["Difference between arms, points", "Share of patients"]
    assert forests([_row(verdict="not comparable")]) == ()
    endless = forests([_row(measure="median days", simulated=40.0, low=20.0, high=math.inf, observed=30.0)])
    assert endless[0].marks[0].low + endless[0].marks[0].width == pytest.approx(100.0)
    assert endless[0].marks[0].row.high == math.inf


def test_a_trial_of_suicidal_people_stands_beside_the_crisis_lines(client: TestClient):
    assert client.get("/trials/aspire-1").text.count('class="crisis"') == 2
    assert client.get("/trials/kads").text.count('class="crisis"') == 1
