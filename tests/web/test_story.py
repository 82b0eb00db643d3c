"""The story answers: every chapter, from the dose on, with the numbers of the command line."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from starlette.testclient import TestClient
from tests.cli.commands import Command, command  # noqa: F401 - a fixture

from euthymia.evidence.stated import WHY_CLOSED, stated_rows
from euthymia.web.crisis import countries
from euthymia.web.pages.story import ChapterName
from euthymia.web.story.pictures import PICTURES
from euthymia.web.story.proof import GRADES, VERDICTS, chapters, proof_of, proofs
from euthymia.web.story.state import State

NAMES = tuple(PICTURES)
AFTER_THE_DOSE = NAMES[NAMES.index("surge") :]
CERTIFIED = 2e-4
"""Grids differ, and both lie within a ten-thousandth of each observable's scale."""


def _chapter(client: TestClient, name: str, **query: object) -> dict:
    answer = client.get(f"/api/story/chapters/{name}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_there_are_twelve_chapters_in_the_order_of_the_mission():
    missions = ", ".join(one.mission for one in chapters().values()).split(", ")
    assert missions == [f"M{number}" for number in range(1, 14)]
    assert tuple(chapters()) == NAMES == get_args(ChapterName)
    assert len(NAMES) == 12


@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_has_a_picture_a_sentence_and_a_table(client: TestClient, name: str):
    found = _chapter(client, name)
    assert found["charts"]
    assert all(one["summary"] for one in found["charts"])
    assert found["sentences"]
    part = client.get(f"/story/chapter/{name}").text
    assert part.count("data-chart=") == part.count("The numbers as a table") == len(found["charts"])


@pytest.mark.parametrize("name", AFTER_THE_DOSE)
def test_another_dose_changes_the_numbers_of_every_later_chapter(client: TestClient, name: str):
    before, after = (_chapter(client, name, dose=dose) for dose in (0.5, 0.35))
    assert before["numbers"].keys() == after["numbers"].keys()
    assert before["numbers"] != after["numbers"]
    assert before["sentences"] != after["sentences"]
    assert before["charts"] != after["charts"]


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("brain", {"strain": 1}),
        ("brain", {"weeks": 20}),
        ("repair", {"sessions": 8}),
        ("network", {"account": "hypo"}),
        ("pace", {"setting": "midazolam"}),
        ("pace", {"ssri": "started"}),
        ("pace", {"ssri": "taken"}),
        ("routes", {"route": "nasal"}),
        ("routes", {"weight_kg": 100, "route": "oral"}),
        ("session", {"hypertension": True}),
        ("therapy", {"therapy": "mindfulness"}),
        ("therapy", {"therapy_day": 14}),
        ("ideation", {"among": "ideation"}),
        ("relapse", {"upkeep": "weekly"}),
        ("relapse", {"stress": 0.5}),
        ("safety", {"months": 24}),
    ],
)
def test_the_control_of_a_chapter_changes_its_numbers(client: TestClient, name: str, query: dict):
    plain = {key: value for key, value in query.items() if key == "route"}
    assert (
        _chapter(client, name, **query)["numbers"]
        != _chapter(client, name, **plain | _other(plain))["numbers"]
    )


def _other(plain: dict) -> dict:
    """Return a route to compare with where the route itself is what changes."""
    return {"route": "infusion"} if plain == {"route": "nasal"} else {}


def test_sentences_are_those_of_the_command_line(client: TestClient, command: Command):  # noqa: F811
    plan = State(dose=0.6, sessions=6, therapy="CBT").plan
    told = {one["text"] for one in command("story", plan, "--setting", "midazolam", "--json").json["links"]}
    query = {"dose": 0.6, "sessions": 6, "therapy": "CBT", "setting": "midazolam"}
    for name, one in chapters().items():
        said = [each["text"] for each in _chapter(client, name, **query)["sentences"]]
        assert set(said[: len(one.links)]) <= told, name


def test_curves_are_those_of_the_command_line(client: TestClient, command: Command):  # noqa: F811
    query = {"dose": 0.8, "sessions": 2, "ssri": "taken", "weight_kg": 90}
    found = _chapter(client, "pace", **query)
    chart = found["charts"][0]
    days = chart["x"][::20]
    words = found["command"].split('"')
    times = ",".join(f"{day * 24:.6f}" for day in days)
    rest = ("--weight-kg", 90, "--already-on", "escitalopram 10 mg", "--times", times, "--json")
    wanted = command("simulate", words[1], *rest, "--variables", "madrs_points").json
    assert chart["lines"][0]["values"][::20] == pytest.approx(
        wanted["variables"]["madrs_points"]["p50"], rel=2e-3, abs=0.02
    )


def test_numbers_of_people_are_those_of_the_command_line(client: TestClient, command: Command):  # noqa: F811
    found = _chapter(client, "ideation")
    chart = found["charts"][0]
    days, places = (0, 1, 7, 28), (0, 1, 7, 28)
    wanted = command(
        "simulate", State().plan, "--patients", 64, "--days", 53, "--variables", "ssi_points", "--json",
        "--times", ",".join(str(24 * day) for day in days),
    ).json["variables"]["ssi_points"]  # fmt: skip
    drawn = [chart["lines"][0]["values"][place] for place in places]
    assert [chart["x"][place] for place in places] == list(days)
    assert drawn == pytest.approx(wanted["mean"], rel=CERTIFIED, abs=CERTIFIED)


def test_the_command_line_that_a_page_names_runs(command: Command, client: TestClient):  # noqa: F811
    query = {"route": "nasal", "hypertension": True, "setting": "none", "therapy": "CBT"}
    words = client.get("/api/story", params=query).json()["command"]
    regimen, rest = words.removeprefix('euthymia simulate "').split('" ')
    done = command("simulate", regimen, *rest.split(), "--json")
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ({"dose": 3}, 400, "dose"),
        ({"dose": "nan"}, 422, "dose"),
        ({"dose": "much"}, 422, "dose"),
        ({"route": "nasal", "dose": 0.5}, 400, "dose"),
        ({"route": "rectal"}, 422, "route"),
        ({"sessions": 3}, 422, "sessions"),
        ({"weight_kg": 20}, 422, "weight_kg"),
        ({"weight_kg": "inf"}, 422, "weight_kg"),
        ({"therapy_day": 0}, 422, "therapy_day"),
        ({"therapy": "hypnosis"}, 422, "therapy"),
        ({"stress": -1}, 422, "stress"),
        ({"months": 100}, 422, "months"),
        ({"weeks": 1e9}, 422, "weeks"),
        ({"hypertension": "maybe"}, 422, "hypertension"),
    ],
)
def test_a_value_outside_its_limits_is_refused_by_name(
    client: TestClient, query: dict, status: int, field: str
):
    answer = client.get("/api/story/chapters/pace", params=query)
    assert answer.status_code == status
    assert answer.json()["ok"] is False
    assert answer.json()["errors"][0]["field"] == field
    shown = client.get("/", params=query)
    assert shown.status_code == status
    assert "<h1>" in shown.text
    assert "Traceback" not in shown.text


def test_a_chapter_that_is_not_there_is_refused(client: TestClient):
    assert client.get("/api/story/chapters/alchemy").status_code == 422
    assert client.get("/story/chapter/alchemy").status_code == 422


def test_a_deep_link_sets_every_control(client: TestClient):
    text = client.get("/?dose=0.8&sessions=2&therapy=mindfulness&therapy_day=9&account=hypo&stress=0.5").text
    for name, value in (("dose", "0.8"), ("therapy_day", "9"), ("stress", "0.5")):
        assert re.search(rf'type="range" id="{name}"[^>]*value="{value}"', text), name
    for name, value in (("sessions", "2"), ("therapy", "mindfulness"), ("account", "hypo")):
        assert f'name="{name}" value="{value}" checked' in text


def test_the_address_follows_the_controls_and_holds_only_what_was_changed(client: TestClient):
    everything = State().plain | {"dose": 0.7, "was_route": "infusion"}
    answer = client.get("/story/patient", params=everything)
    assert answer.headers["HX-Push-Url"] == "/?dose=0.7"
    assert '"query": "?dose=0.7"' in answer.headers["HX-Trigger"]


def test_a_new_route_brings_its_own_dose_control(client: TestClient):
    everything = State().plain | {"route": "nasal", "was_route": "infusion"}
    answer = client.get("/story/patient", params=everything)
    assert answer.headers["HX-Push-Url"] == "/?route=nasal"
    assert 'id="dial-dose" hx-swap-oob="true"' in answer.text
    assert 'max="84.0"' in answer.text


def test_every_claim_has_a_verdict_and_rows_that_exist():
    known = {row.row_id for table in ("mechanism", "safety", "efficacy", "pk") for row in stated_rows(table)}
    claims = [one for chapter in chapters().values() for one in chapter.claims]
    assert {one.verdict for one in claims} <= set(VERDICTS)
    assert {row for one in claims for row in one.rows} <= known
    disputed = {one.says for one in claims if one.verdict == "disputed"}
    assert any("default mode network" in one for one in disputed)
    assert any("suicidal" in one for one in disputed)


def test_every_row_is_graded_and_has_a_source():
    for chapter in chapters().values():
        assert chapter.against
        assert chapter.unknown
        for one in chapter.proofs:
            assert one.grade in GRADES
            assert one.source, one.row_id


@pytest.mark.parametrize("is_frozen", [False, True])
def test_a_row_kept_to_validate_shows_its_number_only_once_a_posterior_is_frozen(
    monkeypatch: pytest.MonkeyPatch, is_frozen: bool
):
    monkeypatch.setattr("euthymia.evidence.select.frozen_posterior", lambda: "digest" if is_frozen else "")
    row = next(one for one in stated_rows("efficacy") if one.row_id == "T0118")
    shown = proof_of(row)
    assert bool(shown.found) == is_frozen
    assert (shown.note == WHY_CLOSED) == (not is_frozen)


def test_animals_are_not_graded_as_people():
    assert [one.grade for one in proofs(["Q014", "Q019", "Q079", "Q004", "Q085"])] == [
        "animal",
        "human biomarker",
        "human trial",
        "in vitro",
        "derived",
    ]


def test_crisis_lines_and_the_notice_stand_where_suicidality_is_named(client: TestClient):
    text = client.get("/").text
    chapter = text[text.index('id="ideation"') : text.index('id="relapse"')]
    assert countries()["international"].lines[0].reach in chapter
    assert "has not been shown to prevent suicide" in chapter


FORBIDDEN = re.compile(
    r"\b(you should take|your dose|we recommend|recommended dose|at home|guarantee[ds]?|cures?)\b",
    re.IGNORECASE,
)


def test_no_personal_dosing_words_no_home_and_no_promise(client: TestClient):
    text = re.sub(r"<[^>]+>", " ", client.get("/?all=true").text)
    assert not FORBIDDEN.findall(text)


def test_chapters_not_yet_known_are_fetched_and_all_of_them_on_request(client: TestClient):
    cold = client.get("/?dose=0.9&weight_kg=61").text
    assert "The model is running" in cold
    assert "The model is running" not in client.get("/?dose=0.9&weight_kg=61&all=true").text


def test_the_brain_is_a_mesh_with_the_network_of_each_point(client: TestClient):
    found = client.get("/api/story/brain").json()
    for points, triangles, networks in zip(
        found["points_mm"], found["triangles"], found["point_networks"], strict=True
    ):
        assert len(points) == 3 * len(networks)
        assert max(triangles) < len(networks)
        assert "Default" in networks
    assert "Human Connectome Project" in found["notice"]
