"""``euthymia simulate`` on the whole chain, and rivals of its mechanism."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import polars
import pytest
from tests.cli.commands import INFUSION, Command, check_schema, check_stands_alone, names_in

from euthymia import simulate
from euthymia.model.chain import EQUATIONS
from euthymia.model.variables import variables

TIMES = ("--times", "0,1,24,72")
NASAL = "esketamine 84 mg intranasal"
NOT_CALIBRATED = "not calibrated yet"


def number_in(text: str, pattern: str) -> float:
    """Return the first number that a pattern with one group finds."""
    found = re.search(pattern, text)
    assert found, f"{pattern} in {text}"
    return float(found[1])


# --- the terminal ------------------------------------------------------------------------------


def test_table_tells_mood_its_parts_and_the_session(command: Command):
    done = command("simulate", INFUSION)
    assert (done.code, done.err) == (0, "")
    parts = (
        "MADRS, change",
        "drug   expectancy   natural course",
        "CADSS",
        "systolic (mmHg)",
        NOT_CALIBRATED,
    )
    assert all(part in done.out for part in parts)
    assert "not a medical device" in done.out


def test_parts_of_the_change_add_up_to_it(command: Command):
    out = command("simulate", INFUSION, "--days", 2).out
    whole = number_in(out, r"40 min +33 +\S+ +\S+ +(-[\d.]+)")
    parts = re.search(r"40 min +day 1 +(\S+) +(\S+) +(\S+)", out)
    assert parts
    assert sum(map(float, parts.groups())) == pytest.approx(whole, abs=0.15)


def test_setting_none_has_no_expectancy(command: Command):
    out = command("simulate", INFUSION, "--setting", "none", "--days", 2).out
    assert "expectancy" not in out
    assert re.search(r"made of +drug +natural course", out)
    assert re.search(r"40 min +day 1 +-[1-9]\S* +0\.0", out)


def test_many_patients_are_rated(command: Command):
    out = command("simulate", INFUSION, "--patients", 30, "--scales", "madrs,phq9", "--days", 8).out
    assert "30 virtual patients" in out
    assert "response (MADRS fall of 50% or more)" in out
    assert "remission (MADRS 10 or less)" in out
    assert "PHQ-9, change" in out


@pytest.mark.slow
def test_times_do_not_change_what_the_tables_say(command: Command):
    assert command("simulate", INFUSION, *TIMES).out == command("simulate", INFUSION).out


@pytest.mark.slow
def test_compared_regimens_stand_in_the_same_tables(command: Command):
    out = command("simulate", INFUSION, "--compare", NASAL, "--compare", "ketamine 0.5 mg/kg sc").out
    assert len(re.findall(r"^ esketamine 84 mg intranasal +33 ", out, flags=re.MULTILINE)) == 1
    assert len(re.findall(r"subcutaneous", out)) == 4  # mood, two days of its parts, session


def test_more_than_five_comparisons_are_refused(command: Command):
    done = command("simulate", INFUSION, *(["--compare", NASAL] * 6))
    assert (done.code, done.out) == (2, "")
    assert "'--compare' may be given 5 times at most. Got 6." in done.err


def test_bad_compared_regimen_is_refused_before_anything_runs(command: Command, tmp_path: Path):
    done = command("simulate", INFUSION, "--compare", "ketamin 35 mg im", "--out", tmp_path / "a.csv")
    assert (done.code, done.out) == (2, "")
    assert "Unknown treatment 'ketamin'" in done.err
    assert names_in(tmp_path) == []


@pytest.mark.slow
def test_reference_engine_says_the_same(command: Command):
    options = ("--days", 1, "--times", "0,1,6,24", "--json")
    grid, slow = (
        command("simulate", INFUSION, *options, "--engine", one).json for one in ("numpy", "reference")
    )
    assert slow["provenance"]["engine"] == "reference (LSODA)"
    for name, scale in {"severity_fraction": 1.0, "bdnf_relative": 1.0, "cadss_points": 84.0}.items():
        values = (one["variables"][name]["p50"] for one in (grid, slow))
        np.testing.assert_allclose(*values, rtol=0, atol=1e-4 * scale)


@pytest.mark.slow
def test_check_prints_how_far_the_grid_is_from_the_reference(command: Command):
    done = command("simulate", INFUSION, "--days", 2, "--patients", 4, "--check", 2, "--quiet")
    assert "(LSODA), 2 of 4 patients" in done.err
    assert 0 < number_in(done.err, r"largest difference (\S+) of its scale") < 1e-4


def test_control_arm_is_read_off_close_to_its_visit(command: Command):
    """A curve without ketamine still has times close to a visit, so that 2 h is no guess."""
    points = simulate("saline iv over 40 min", times_h=[0.0, 2.0, 4.0])["madrs_points"][0]
    out = command("simulate", "saline iv over 40 min").out
    shown = re.search(r"40 min +33 +(\S+) +(\S+)", out)
    assert shown
    assert [float(one) for one in shown.groups()] == pytest.approx(list(points[1:] - points[0]), abs=0.06)


def test_compared_run_may_lack_what_only_a_drug_has(command: Command):
    asked = ("--variables", "madrs_points,ketamine_arterial", "--times", "0,400", "--json")
    document = command("simulate", INFUSION, "--compare", "saline iv over 40 min", *asked).json
    assert list(document["compared"][0]["variables"]) == ["madrs_points"]
    assert document["times_h"] == [0, 400]


def test_options_of_the_chain_are_refused_where_it_does_not_run(command: Command):
    done = command("simulate", INFUSION, "--concentrations", "--scales", "phq9", "--check", 1)
    assert (done.code, done.out) == (2, "")
    assert "'--scales', '--check' cannot be given without the whole chain" in done.err


# --- machines ----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [(), ("--patients", 6), ("--patients", 3, "--individuals"), ("--compare", NASAL)]
)
def test_json_obeys_its_schema(command: Command, options: tuple[object, ...]):
    done = command("simulate", INFUSION, "--json", *TIMES, *options)
    assert (done.code, bool(done.err)) == (0, "--compare" in options)  # nasal spray comes with a warning
    check_schema(done.json, "simulation-1")


def test_json_holds_every_observable_of_the_chain(command: Command):
    names = command("simulate", INFUSION, "--json", "--variables", "all", *TIMES).json["variables"]
    stems = {name.removesuffix("_ng_per_mL") for name in names}
    of_other_sites = {"ketamine_plasma", "s_ketamine_plasma", "r_ketamine_plasma"}
    only_where_asked_for = {stem for stem, one in variables().items() if one.layer == "connectivity"}
    assert stems == set(variables()) - of_other_sites - only_where_asked_for


def test_json_of_many_patients_holds_outcomes(command: Command):
    document = command("simulate", INFUSION, "--json", "--patients", 12, "--days", 8, *TIMES).json
    assert {one["day"] for one in document["outcomes"]} == {1, 7, 8}
    assert {one["scale"] for one in document["outcomes"]} == {"MADRS"}
    assert all(one["share"] * 12 == pytest.approx(round(one["share"] * 12)) for one in document["outcomes"])


def test_variables_named_are_those_written(command: Command):
    asked = "bdnf_relative,norketamine"
    document = command("simulate", INFUSION, "--json", "--variables", asked, *TIMES).json
    assert list(document["variables"]) == ["bdnf_relative", "norketamine_ng_per_mL"]
    assert document["times_h"] == [0, 1, 24, 72]


def test_csv_of_two_regimens_names_them(command: Command):
    out = command("simulate", INFUSION, "--compare", NASAL, "--csv", *TIMES).out
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["regimen"] for row in rows} == {"ketamine 0.5 mg/kg intravenous over 40 min", NASAL}


def test_same_seed_same_bytes_and_patient_2_is_the_same_among_3_and_9(command: Command):
    options = ("--json", "--individuals", "--variables", "madrs_points,mood_noise_logit", *TIMES, "--seed", 5)
    few, again, many = (
        command("simulate", INFUSION, *options, "--patients", count).out for count in (3, 3, 9)
    )
    assert few == again
    mine = [json.loads(text)["individuals"]["madrs_points"] for text in (few, many)]
    assert mine[0]["2"] == mine[1]["2"]
    assert mine[0]["2"] != mine[0]["3"]


# --- files -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_folder_of_two_regimens_holds_both(command: Command, tmp_path: Path):
    done = command(
        "simulate", INFUSION, "--compare", NASAL, "--out", tmp_path / "run", "--patients", 2, *TIMES
    )
    assert done.code == 0
    files = ("individuals.parquet", "quantiles.csv", "result.json")
    assert names_in(tmp_path) == [f"run/{number}/{name}" for number in (1, 2) for name in files]
    second = json.loads((tmp_path / "run" / "2" / "result.json").read_text(encoding="utf-8"))
    assert second["regimen"] == NASAL
    check_schema(second, "simulation-1")


@pytest.mark.slow
def test_one_file_holds_both_regimens(command: Command, tmp_path: Path):
    common = ("simulate", INFUSION, "--compare", NASAL, *TIMES, "--out")
    command(*common, tmp_path / "a.parquet")
    command(*common, tmp_path / "a.json")
    assert polars.read_parquet(tmp_path / "a.parquet")["regimen"].n_unique() == 2
    document = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert [one["regimen"] for one in document["compared"]] == [NASAL]


@pytest.mark.slow
def test_report_holds_chain_session_parts_and_assumptions(command: Command, tmp_path: Path):
    file = tmp_path / "report.html"
    done = command("simulate", INFUSION, "--patients", 5, "--days", 8, "--report", file)
    assert (done.code, done.err.splitlines()[-1]) == (0, f"Wrote {file}")
    html = file.read_text(encoding="utf-8")
    for part in (
        "The chain, link by link",
        "The hours of a session",
        "What the change is made of",
        "Mood in numbers",
        "Outcomes as rated",
        "Exposure",
        "What is assumed",
        NOT_CALIBRATED,
        "medical device",
        "EuthymiaHandSet",
    ):
        assert part in html
    check_stands_alone(html)


# --- parameters and rivals ---------------------------------------------------------------------


def test_set_moves_a_parameter_of_the_chain(command: Command):
    asked = ("--json", "--variables", "synaptic_protein_relative", *TIMES)
    blocked = command("simulate", INFUSION, *asked, "--set", "signalling.trkb_block_fraction=1").json
    free = command("simulate", INFUSION, *asked).json
    assert blocked["provenance"]["overrides"] == {"signalling.trkb_block_fraction": 1}
    assert max(free["variables"]["synaptic_protein_relative"]["p50"]) > 0.1
    assert max(blocked["variables"]["synaptic_protein_relative"]["p50"]) < 1e-9
    assert "signalling.trkb_block_fraction" in EQUATIONS.structural


def test_rivals_without_a_regimen_lists_every_mechanism(command: Command):
    document = command("rivals", "--json").json
    check_schema(document, "rivals-1")
    out = command("rivals").out
    assert all(one["name"] in out and "Against: " in out for one in document["mechanisms"])


@pytest.mark.slow
def test_rivals_predict_and_report(command: Command, tmp_path: Path):
    options = ("--mechanism", "direct", "--mechanism", "expectancy_only")
    done = command("rivals", INFUSION, *options, "--json", "--report", tmp_path / "rivals.html")
    check_schema(done.json, "rivals-1")
    assert [one["name"] for one in done.json["mechanisms"]] == ["direct", "expectancy_only"]
    html = (tmp_path / "rivals.html").read_text(encoding="utf-8")
    check_stands_alone(html)
    assert "Which mechanism is true is not settled" in html


def test_mechanism_is_echoed(command: Command):
    asked = ("simulate", INFUSION, "--mechanism", "direct", "--json", "--variables", "madrs_points", *TIMES)
    document = command(*asked).json
    assert "mechanism direct" in document["provenance"]["covariates"]


def test_contradictory_mechanisms_are_refused(command: Command):
    done = command("simulate", INFUSION, "--mechanism", "direct", "--mechanism", "expectancy_only")
    assert (done.code, done.out) == (2, "")
    assert "contradict each other" in done.err
