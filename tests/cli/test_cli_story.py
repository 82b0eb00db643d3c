"""``euthymia story`` and ``episode``: every link with its numbers, and what stress makes of a well person."""

from __future__ import annotations

import json
import re
from contextlib import redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from tests.cli.commands import INFUSION, Command, check_schema

from euthymia import simulate
from euthymia.cli.main import call
from euthymia.dosing.notation import parse_regimen
from euthymia.evidence.facts import load_acute_facts, load_mechanism_facts
from euthymia.population.parts import take_apart
from euthymia.population.story import Link
from euthymia.population.surroundings import occupancy_of

WITH_THERAPY = f"{INFUSION}; CBT 60 min at 1, 2, 4 d"
LINKS = (
    "blood",
    "block",
    "surge",
    "ampa",
    "bdnf",
    "synapses",
    "window",
    "therapy",
    "mood",
    "hope",
    "slow",
    "dissociation",
    "body",
    "after",
)
SETTINGS: dict[str, tuple[str, ...]] = {
    "open": (),
    **{name: ("--setting", name) for name in ("none", "saline", "anaesthesia")},
}
TOLD = 0.051
"""How far a number with one decimal may be from what was simulated."""


@cache
def told(regimen: str, *options: str) -> dict[str, Any]:
    """Return a story as JSON; each takes a dozen runs, so that tests share it."""
    with redirect_stdout(StringIO()) as out:
        assert call(["story", regimen, "--json", *options]) == 0
    return json.loads(out.getvalue())


def texts(regimen: str = INFUSION, *options: str) -> dict[str, str]:
    """Return the sentences of a story by link."""
    return {link["id"]: link["text"] for link in told(regimen, *options)["links"]}


def numbers_in(text: str) -> list[float]:
    """Return every number of a sentence."""
    return [float(one) for one in re.findall(r"[+-]?\d+(?:\.\d+)?(?!\w)", text.replace("-week", " week"))]


# --- story -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_story_obeys_its_schema_and_cites_rows_that_exist():
    document = told(INFUSION)
    check_schema(document, "story-1")
    known = {fact.row_id for fact in (*load_mechanism_facts(), *load_acute_facts())}
    cited = {one for link in document["links"] for one in link["evidence"]}
    assert {one for one in cited if one.startswith(("Q0", "AE-"))} <= known


def test_links_stand_in_the_order_of_cause_and_effect():
    assert tuple(texts()) == LINKS


@pytest.mark.parametrize(
    "setting", ["open", *(pytest.param(one, marks=pytest.mark.slow) for one in ("none", "anaesthesia"))]
)
def test_no_number_is_missing_or_minus_zero(setting: str):
    whole = " ".join(texts(INFUSION, *SETTINGS[setting]).values())
    assert re.findall(r"[{}]|\bnan\b|\binf\b|-0\.0\b", whole) == []


def test_terminal_numbers_the_links_and_names_grade_and_objection(
    command: Command, monkeypatch: pytest.MonkeyPatch
):
    links = tuple(Link(**{**link, "evidence": tuple(link["evidence"])}) for link in told(INFUSION)["links"])
    monkeypatch.setattr("euthymia.population.story.tell", lambda *_, **__: links)
    done = command("story", INFUSION)
    assert (done.code, done.err) == (0, "")
    assert [f"{number}. " in done.out for number in range(1, len(LINKS) + 1)] == [True] * len(LINKS)
    assert done.out.count("Evidence: ") == done.out.count("But: ") == len(LINKS)
    assert "one typical patient of 70 kg, setting open" in done.out
    assert "not a medical device" in done.out


@pytest.mark.slow
def test_story_follows_the_dose():
    small = texts("ketamine 0.1 mg/kg iv over 40 min")
    assert small.keys() == texts().keys()
    assert [link for link in LINKS if link != "slow" and small[link] == texts()[link]] == []
    assert small["slow"] == texts()["slow"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regimen", "said"),
    [
        ("escitalopram 10 mg po, daily x 28; ketamine 0.5 mg/kg iv over 40 min", "CADSS of 5"),
        ("arketamine 0.5 mg/kg iv over 40 min", "hardly anything is felt"),
        ("ketamine 0.5 mg/kg iv over 40 min, twice weekly x 4", "with the doses since then by"),
    ],
)
def test_story_fits_the_regimen(regimen: str, said: str):
    whole = " ".join(texts(regimen).values())
    assert said in whole
    assert "nan" not in whole


@pytest.mark.slow
def test_mechanism_changes_the_story():
    assert texts(INFUSION, "--mechanism", "direct") != texts()


# --- therapy, hope, a slow antidepressant, what is left ----------------------------------------------


def test_therapy_in_the_window_takes_more_off_than_later_or_alone():
    within, late, alone = numbers_in(texts()["therapy"].replace("days 1, 2 and 4", "days"))
    assert within > late > 0.0
    assert within > alone > 0.0


def test_hope_and_drug_are_those_that_the_change_is_made_of():
    plan = parse_regimen(INFUSION)
    common: dict[str, Any] = {"days": 2, "is_dense": True, "times_h": [0.0, 2.0, 24.0]}
    parts = take_apart(plan, simulate(plan, **common), setting="open", **common)
    text = texts()["hope"]
    assert "In the setting 'open' people believe with 100% to be on the drug" in text
    early, day = parts.change(2.0), parts.change(24.0)
    right = [early["expectancy"], day["expectancy"], early["drug"], day["drug"]]
    assert numbers_in(text)[2:] == pytest.approx(right, abs=TOLD)


@pytest.mark.slow
def test_hope_behind_a_blind_begins_at_even_odds_and_rises_with_what_is_felt():
    before, after = numbers_in(texts(INFUSION, *SETTINGS["saline"])["hope"])[:2]
    assert before == 50
    assert after > 60


@pytest.mark.slow
def test_without_hope_there_is_none_to_tell_of():
    text = texts(INFUSION, *SETTINGS["none"])["hope"]
    assert numbers_in(text)[:4] == [0.0, 0.0, 0.0, 0.0]


def test_a_tablet_works_in_weeks_by_what_it_occupies():
    text = texts()["slow"]
    occupied = occupancy_of(parse_regimen("escitalopram 10 mg daily x 42"))[0].height
    assert f"occupies {occupied:.0%} of the serotonin transporters" in text
    day, week, six = numbers_in(text)[2:]
    assert six < week - 1.0
    assert week < day <= 0.0
    course = simulate("escitalopram 10 mg daily x 42", setting="none", times_h=[0.0, 24.0, 168.0, 1008.0])
    madrs = course["madrs_points"][0]
    assert [day, week, six] == pytest.approx(list(madrs[1:] - madrs[0]), abs=TOLD)


def test_what_is_left_after_a_fortnight_and_what_stress_would_cost():
    text = texts()["after"]
    fortnight = simulate(INFUSION, days=43)
    place = int(abs(fortnight.times_h - 336.0).argmin())
    assert numbers_in(text)[0] == round(float(fortnight["madrs_points"][0, place]))
    assert re.search(r"Half of the gain is (lost \d+ days|still there 42 days) after it", text)
    cost = re.search(r"would leave MADRS ([+-][\d.]+) points higher", text)
    assert cost
    assert float(cost[1]) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "regimen",
    [WITH_THERAPY, f"{INFUSION}; CBT 60 min at 1 d after each dose", f"CBT 60 min at 1 d; {INFUSION}"],
)
def test_therapy_of_the_plan_itself_is_not_counted_twice(regimen: str):
    assert texts(regimen)["therapy"] == texts()["therapy"]


@pytest.mark.slow
def test_a_plan_with_therapy_ends_lower_by_what_the_therapy_link_says():
    last_h = 42 * 24.0
    ends = [
        float(simulate(text, days=43, times_h=[0.0, last_h])["madrs_points"][0, 1])
        for text in (INFUSION, WITH_THERAPY)
    ]
    within = numbers_in(texts()["therapy"].replace("days 1, 2 and 4", "days"))[0]
    assert ends[0] - ends[1] == pytest.approx(within, abs=TOLD)


def test_story_without_ketamine_is_refused(command: Command):
    done = command("story", "midazolam 2 mg im")
    assert (done.code, done.out) == (2, "")


# --- episode ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_weeks_of_stress_make_an_episode_and_a_little_does_not(command: Command):
    def last_points(*options: object) -> float:
        out = command("episode", "--days", 200, *options).out
        row = next(line for line in out.splitlines() if line.startswith(" MADRS"))
        return float(row.split()[-1])

    assert last_points("--stress", 3, "--weeks", 8) >= 20
    assert last_points("--stress", 3, "--weeks", 2) < 7
    assert last_points("--stress", 1, "--weeks", 8) < 7


@pytest.mark.parametrize("option", [("--stress", 6), ("--weeks", -1), ("--inflammation", "nan")])
def test_load_out_of_range_is_refused(command: Command, option: tuple[str, object]):
    done = command("episode", *option)
    assert (done.code, done.out) == (2, "")
    assert "must be 0–5" in done.err


@pytest.mark.slow
def test_an_episode_that_dips_and_comes_back_outlasts_its_cause(command: Command):
    assert "outlasts its cause" in command("episode", "--weeks", 7.3).out
    assert (
        "cannot be told before 12 weeks after it; give '--days 140'" in command("episode", "--days", 56).out
    )


def test_episode_report_is_written(command: Command, tmp_path: Path):
    done = command("episode", "--days", 120, "--report", tmp_path / "episode.html", "--quiet")
    assert (done.code, done.err) == (0, "")
    assert "medical device" in (tmp_path / "episode.html").read_text(encoding="utf-8")
