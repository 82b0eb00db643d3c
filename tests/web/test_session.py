"""The page on a session: people and minutes as asked, doses within studied ones, evidence with its grade."""

from __future__ import annotations

import json

import numpy as np
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from euthymia.evidence import select
from euthymia.evidence.stated import stated_rows
from euthymia.tables import read_table
from euthymia.web.given import PROTOCOLS, ways
from euthymia.web.pages import session
from euthymia.web.pages.session import PHASES, STAGES, usual_in


def _curve(client: TestClient, chart: str, query: str = "") -> list[float]:
    found = client.get(f"/api/session{query}").json()["charts"]
    return next(one for one in found if one["id"] == chart)["curves"][0]["values"]


@pytest.mark.parametrize("name", list(ways()))
def test_every_way_gives_each_minute_of_four_hours_in_a_band(client: TestClient, name: str):
    told = client.get(f"/api/session?route={name}").json()
    assert told["charts"][0]["id"] == "session-dissociation"
    for chart in told["charts"]:
        assert np.allclose(chart["x"], np.arange(241.0), atol=1e-9)
        for curve in chart["curves"]:
            low, middle, high = (np.array(curve[key]) for key in ("low", "values", "high"))
            assert (low <= middle + 1e-12).all()
            assert (middle <= high + 1e-12).all()
    assert told["numbers"]["level_peak"]["p50"] > 1.0


def test_more_is_felt_at_a_higher_dose_and_pressure_rises_more_with_a_history(client: TestClient):
    peaks = [max(_curve(client, "session-dissociation", f"?dose={dose}")) for dose in (0.2, 0.5, 1.0)]
    assert peaks == sorted(peaks)
    assert peaks[2] > 2 * peaks[0]
    rises = [max(_curve(client, "session-pressure", f"?hypertension={is_}")) for is_ in ("false", "true")]
    assert rises[1] > rises[0]
    ages = [max(_curve(client, "session-pressure", f"?age={age}")) for age in (20, 80)]
    assert ages[0] != ages[1]


def test_the_command_line_gives_the_same_people(client: TestClient):
    from euthymia.cli.main import app

    told = client.get("/api/session?route=subcutaneous&dose=0.75&age=60&hypertension=true").json()
    words = told["command"].removeprefix("euthymia ")
    regimen = words.split('"')[1]
    options = words.split('"')[2].split()
    times = "0,0.25,0.5,1,2,4"
    ran = CliRunner().invoke(
        app, ["simulate", regimen, *options, "--times", times, "--engine", "c", "--json"]
    )
    line = json.loads(ran.stdout)["variables"]["cadss_points"]
    shown = next(one for one in told["charts"] if one["id"] == "session-dissociation")["curves"][0]
    for key, own in (("p05", "low"), ("p50", "values"), ("p95", "high")):
        mine = [shown[own][minute] for minute in (0, 15, 30, 60, 120, 240)]
        # both within a ten-thousandth of the scale of 92 points
        assert np.allclose(line[key], mine, rtol=0.0, atol=2e-4 * 92)


@pytest.mark.parametrize("name", list(ways()))
def test_a_dose_beyond_the_studied_ones_names_them(client: TestClient, name: str):
    way = ways()[name]
    answer = client.get(f"/api/session?route={name}&dose={2 * way.high}")
    assert answer.status_code == 400
    error = answer.json()["errors"][0]
    assert error["field"] == "dose"
    assert f"{way.high:g} {way.unit}" in error["message"]
    assert way.basis[0] in error["message"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("age=12", "age"),
        ("age=x", "age"),
        ("route=home", "route"),
        ("dose=nan", "dose"),
        ("hypertension=7", "hypertension"),
    ],
)
def test_what_is_outside_its_limits_is_refused_by_name(client: TestClient, query: str, field: str):
    answer = client.get(f"/api/session?{query}")
    assert answer.status_code in (400, 422)
    assert answer.json()["errors"][0]["field"] == field


def test_another_route_brings_its_usual_dose_and_the_address_follows(client: TestClient):
    answer = client.get("/session/live?route=nasal&dose=0.5&was_route=infusion")
    assert answer.headers["HX-Push-Url"] == "/session?route=nasal&dose=56"
    assert 'hx-swap-oob="true"' in answer.text
    assert "hx-swap-oob" not in client.get("/session/live?route=nasal&dose=84&was_route=nasal").text


def test_what_is_usual_are_the_rows_of_this_drug_and_route_alone():
    shown = {one.row_id for _, rows in usual_in(ways()["nasal"]) for one in rows}
    rows = {row.row_id: row for row in stated_rows("safety")}
    assert len(shown) > 40
    assert {(rows[one].fields["drug"], rows[one].fields["route"]) for one in shown} == {("esketamine", "IN")}
    assert usual_in(ways()["intramuscular"]) == []
    assert usual_in(ways()["sublingual"]) == []


def test_a_route_without_rows_says_so(client: TestClient):
    assert "Not in our evidence" in client.get("/session?route=sublingual").text


def test_nothing_observed_of_a_closed_row_is_on_the_page(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(select, "frozen_posterior", lambda: "")
    session._acute.cache_clear()
    closed = [one for _, rows in usual_in(ways()["nasal"]) for one in rows if one.note]
    session._acute.cache_clear()
    assert closed
    assert not any(one.found for one in closed)


def test_no_dosing_phase_is_shown_and_every_way_names_what_exists():
    assert not {"dosing", "induction", "maintenance", "pre_dose", "at_home"} & set(PHASES)
    assert set(STAGES) == set(PHASES)
    keys = {row["protocol_key"] for row in read_table(PROTOCOLS)}
    for way in ways().values():
        assert set(way.protocols) <= keys
        assert way.low <= way.default <= way.high


def test_the_page_is_no_monitor_and_its_numbers_stand_in_tables(client: TestClient):
    text = client.get("/session").text
    assert "it is no monitor" in text
    assert text.count("<table") == 5
    assert "human trial" in text
