"""The lab: the command line's numbers, mistakes in their place, limits, files, scripts, and the queue."""

from __future__ import annotations

import json
import runpy
import shlex
import time
from io import BytesIO
from pathlib import Path
from threading import Event

import numpy as np
import polars
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from euthymia.model.mechanisms import mechanisms
from euthymia.population.settings import settings
from euthymia.web import lab
from euthymia.web.jobs import Jobs
from euthymia.web.lab import Asked, Scenario, result_of
from euthymia.web.pages.lab import LAYERS, MechanismName, SettingName
from euthymia.web.problems import BusyError

ONCE = "ketamine 0.5 mg/kg iv over 40 min"
NASAL = "esketamine 56 mg intranasal"
SMALL = {"regimen": ONCE, "patients": 8, "days": 3, "seed": 7}
LONG = {"regimen": f"{ONCE}, weekly x 20", "patients": 400, "days": 150, "variable": "madrs_points"}


def _ran(line: str, *more: str) -> dict:
    from euthymia.cli.main import app

    words = shlex.split(line)[1:]
    out = words.index("--out")
    found = CliRunner().invoke(app, [*words[:out], *words[out + 2 :], *more, "--engine", "c", "--json"])
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"patients": "", "mechanism": "opioid"},
        {"setting": "none", "age_years": 70, "hypertension": True, "weight_kg": 92, "posterior": "prior"},
    ],
    ids=["patients", "typical", "everything"],
)
def test_numbers_are_the_command_lines_to_the_last_bit(client: TestClient, more: dict):
    told = client.get("/api/lab", params=SMALL | more).json()
    line = _ran(told["scenarios"][0]["command"])
    for chart in told["charts"]:
        name = chart["id"].removeprefix("lab-").replace("-", "_")
        right = line["variables"][name]
        curve = chart["curves"][0]
        assert curve["values"] == right["p50"]
        if told["patients"]:
            assert (curve["low"], curve["high"]) == (right["p05"], right["p95"])
    days = told["charts"][0]["x_unit"] == "d"
    assert np.allclose(
        np.array(told["charts"][0]["x"]) * (24.0 if days else 1.0), line["times_h"], rtol=1e-12
    )


def test_the_python_script_gives_the_same_numbers(client: TestClient, tmp_path: Path, monkeypatch):
    monkeypatch.setenv("EUTHYMIA_ENGINE", "c")
    script = tmp_path / "euthymia-lab.py"
    query = SMALL | {"regimen_2": NASAL, "mechanism": "hnk"}
    script.write_text(client.get("/api/lab/script.py", params=query).text)
    courses = runpy.run_path(str(script))["courses"]
    told = client.get("/api/lab", params=query).json()
    for place, letter in enumerate("AB"):
        own = courses[letter].quantiles("madrs_points")[1]
        shown = told["charts"][0]["curves"][place]["values"]
        at = np.array(told["charts"][0]["x"]) * 24.0
        assert np.array_equal(np.interp(at, courses[letter].times_h, own), shown)


def test_the_shell_script_holds_a_line_for_each_scenario_and_the_seed(client: TestClient):
    text = client.get("/api/lab/script.sh", params=SMALL | {"regimen_2": NASAL}).text
    lines = [one for one in text.splitlines() if one.startswith("euthymia simulate")]
    assert len(lines) == 2
    assert all("--seed 7" in one for one in lines)
    assert shlex.split(lines[1])[2] == "esketamine 56 mg intranasal"


def test_files_hold_the_numbers_of_the_page(client: TestClient):
    query = SMALL | {"regimen_2": NASAL, "variable": ["madrs_points", "s_ketamine_arterial"]}
    chart = client.get("/api/lab", params=query).json()["charts"][0]
    table = polars.read_csv(BytesIO(client.get("/api/lab/result.csv", params=query).content))
    people = polars.read_parquet(BytesIO(client.get("/api/lab/result.parquet", params=query).content))
    whole = client.get("/api/lab/result.json", params=query).json()
    assert whole["scenarios"][0]["schema"] == "euthymia.simulation/1"
    own = table.filter((polars.col("scenario") == "A") & (polars.col("variable") == "madrs_points"))
    assert whole["scenarios"][0]["variables"]["madrs_points"]["p50"] == own["p50"].to_list()
    at = np.array(chart["x"]) * 24.0
    assert np.allclose(np.interp(at, own["time_h"], own["p50"]), chart["curves"][0]["values"], atol=1e-12)
    assert people.filter(polars.col("scenario") == "B")["patient"].n_unique() == 8
    assert set(people["unit"]) == {"points", "ng/mL"}
    sent = client.get("/api/lab/result.csv", params=query).headers["content-disposition"]
    assert sent == 'attachment; filename="euthymia-lab.csv"'


def test_another_seed_is_other_people_and_the_same_seed_the_same(client: TestClient):
    def end(seed: int) -> float:
        charts = client.get("/api/lab", params=SMALL | {"seed": seed}).json()["charts"]
        return charts[0]["curves"][0]["values"][-1]

    assert end(7) == end(7) != end(8)


def test_a_mistake_in_the_grammar_shows_where_it_is(client: TestClient):
    wrong = "ketamine 0.5 mg/kg iv ovr 40 min"
    error = client.get("/api/lab", params={"regimen": ONCE, "regimen_3": wrong}).json()["errors"][0]
    assert error["field"] == "regimen_3"
    line, caret = error["message"].splitlines()[-2:]
    assert line[caret.index("^") :].startswith("iv")
    page = client.get("/lab", params={"regimen": wrong})
    assert page.status_code == 400
    assert "iv over 40 min" in page.text
    assert 'aria-invalid="true" aria-describedby="problem"' in page.text
    assert wrong in page.text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"patients": 401}, "patients"),
        ({"patients": 0}, "patients"),
        ({"patients": "many"}, "patients"),
        ({"days": 401}, "days"),
        ({"days": "nan"}, "days"),
        ({"seed": -1}, "seed"),
        ({"setting": "home"}, "setting"),
        ({"mechanism": "magic"}, "mechanism"),
        ({"posterior": "/etc/passwd"}, "posterior"),
        ({"weight_kg": 5}, "weight_kg"),
        ({"age_years": 7}, "age_years"),
        ({"hypertension": "maybe"}, "hypertension"),
        ({"regimen": "k" * 601}, "regimen"),
        ({"regimen_2": ONCE}, "regimen"),
        ({"variable": ["madrs_points"] * 9}, "variable"),
        ({"regimen": f"{ONCE}, daily x 28", "days": 3}, "days"),
        ({"regimen": f"{ONCE}, daily x 1000"}, "days"),
    ],
    ids=str,
)
def test_every_field_has_limits_that_are_named(client: TestClient, query: dict, field: str):
    answer = client.get("/api/lab", params=query)
    assert answer.status_code in (400, 422)
    assert answer.json()["errors"][0]["field"] == field
    assert len(answer.json()["errors"][0]["message"]) > 15


def test_a_variable_that_does_not_exist_is_named(client: TestClient):
    answer = client.get("/api/lab", params={"variable": "madrs"})
    assert answer.status_code == 400
    assert "'madrs'" in answer.json()["errors"][0]["message"]


def test_choices_are_those_of_the_library():
    assert set(MechanismName.__args__) == set(mechanisms())
    assert set(SettingName.__args__) <= set(settings())
    assert set(lab.offered()) == set(LAYERS)


def test_a_link_gives_the_same_answer_back(client: TestClient):
    query = SMALL | {"regimen_2": NASAL, "mechanism_2": "hnk", "age_years": 33, "hypertension": True}
    first = client.get("/api/lab", params=query).json()
    again = client.get(f"/api/lab{first['query']}").json()
    assert again == first
    pushed = client.get("/lab/live", params=query).headers["HX-Push-Url"]
    assert pushed == f"/lab{first['query']}"


def test_the_page_holds_certificate_sources_and_downloads(client: TestClient):
    text = client.get("/lab", params=SMALL).text
    for words in ("RODAS4", "Sources", "result.parquet", "script.py", "--seed 7", "Link to this result"):
        assert words in text
    assert "ideation" not in client.get("/lab/live", params=SMALL).text
    spoken = client.get("/lab/live", params=SMALL | {"variable": "ssi_points"}).text
    assert 'class="crisis"' in spoken


def test_what_is_drawn_of_many_times_keeps_every_peak():
    asked = Asked.create(scenarios=[Scenario(regimen=f"{ONCE}, weekly x 12")], patients=None, days=90.0)
    found = result_of(asked)
    whole, drawn = (lab.charts_of(found, is_drawn=is_drawn)[1] for is_drawn in (False, True))
    assert len(whole.x) > 900
    assert len(drawn.x) <= 400

    def peaks(chart) -> list[float]:
        weeks = [(chart.x >= 7 * week) & (chart.x < 7 * week + 7) for week in range(12)]
        return [float(chart.lines[0].values[one].max()) for one in weeks]

    assert peaks(drawn) == peaks(whole)
    assert (drawn.x[0], drawn.x[-1]) == (whole.x[0], whole.x[-1])


# --- long runs ---------------------------------------------------------------------------------------


def test_what_takes_long_names_the_limit_and_the_queue(client: TestClient):
    error = client.get("/api/lab", params=LONG).json()["errors"][0]
    assert error["field"] == "patients"
    assert f"{lab.MOST_AT_ONCE:,}" in error["message"]
    assert "/api/lab/runs" in error["message"]
    assert "Run it in the queue" in client.get("/lab/live", params=LONG).text


def test_what_is_too_large_for_the_queue_is_refused(client: TestClient):
    large = {"regimen": f"{ONCE}, daily x 300", "patients": 400, "variable": ["madrs_points", "cadss_points"]}
    answer = client.post("/api/lab/runs", params=large)
    assert answer.status_code == 400
    assert f"{lab.MOST_VALUES:,}" in answer.json()["errors"][0]["message"]


@pytest.mark.slow
def test_a_long_run_is_queued_and_its_result_stands_on_the_page(client: TestClient, monkeypatch):
    monkeypatch.setattr(lab, "MOST_AT_ONCE", 100)
    query = {"regimen": ONCE, "patients": 20, "days": 2, "seed": 99}
    assert client.get("/api/lab", params=query).status_code == 400
    started = client.post("/api/lab/runs", params=query)
    assert started.status_code == 202
    name = started.json()["name"]
    until = time.monotonic() + 60
    while (told := client.get(f"/api/lab/runs/{name}").json())["status"] != "done":
        assert told["status"] in ("waiting", "running"), told
        assert time.monotonic() < until
    assert told["share"] == 1.0
    assert client.get(f"/api/lab{told['query']}").json()["patients"] == 20


def test_a_run_that_nobody_started_is_not_there(client: TestClient):
    assert client.get("/api/lab/runs/AAAAAAAAAAAAAAAA").status_code == 404
    assert client.delete("/api/lab/runs/AAAAAAAAAAAAAAAA").status_code == 404
    assert client.get("/api/lab/runs/short").status_code == 422


def _until(jobs: Jobs, name: str, status: str) -> None:
    end = time.monotonic() + 20
    while jobs.find(name).status != status:
        assert time.monotonic() < end, jobs.find(name)


@pytest.mark.parametrize("path", ["/lab/runs", "/api/lab/runs"])
def test_another_site_cannot_start_a_run(client: TestClient, path: str):
    answer = client.post(path, params=SMALL, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 400
    assert "same-origin" in answer.text


def test_the_queue_is_bounded_and_waiting_and_running_jobs_can_be_cancelled():
    jobs, is_begun, go_on = Jobs(most_waiting=1), Event(), Event()

    def work(progress) -> None:
        progress(0.25)
        is_begun.set()
        go_on.wait(20)
        progress(0.5)

    first = jobs.start("?a", work)
    assert is_begun.wait(20)
    second = jobs.start("?b", work)
    with pytest.raises(BusyError):
        jobs.start("?c", work)
    jobs.cancel(second)
    assert second.status == "cancelled"
    assert (first.status, first.share) == ("running", 0.25)
    jobs.cancel(first)
    go_on.set()
    _until(jobs, first.name, "cancelled")
    assert first.share == 0.25
    third = jobs.start("?d", lambda progress: progress(0.9))
    _until(jobs, third.name, "done")
    assert third.share == 1.0


def test_a_failed_job_says_why():
    jobs = Jobs()

    def work(progress) -> None:
        Asked.create(scenarios=[Scenario(regimen="nothing")])

    job = jobs.start("", work)
    _until(jobs, job.name, "failed")
    assert "regimen" in job.message


def test_a_cancelled_run_of_the_model_ends_and_is_not_remembered():
    from euthymia.web.jobs import CancelledRunError

    asked = Asked.create(scenarios=[Scenario(regimen=ONCE)], patients=20, seed=123, days=2.0)

    def stop(share: float) -> None:
        if share > 0:
            raise CancelledRunError

    with pytest.raises(CancelledRunError):
        result_of(asked, on_done=stop)
    assert not lab.is_known(asked)
    assert len(result_of(asked).courses) == 1
    assert lab.is_known(asked)
