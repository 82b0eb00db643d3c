"""Summaries of many patients: what is refused, and what table, JSON, CSV, files and report hold."""

from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import polars
import pytest
from tests.cli.commands import INFUSION, Command, Outcome, check_schema, check_stands_alone, names_in

HEADS = ["time_h", "variable", "unit", "p05", "p50", "p95", "mean", "sd", "smallest", "largest"]
FEW = ("--patients", 12, "--days", 2, "--engine", "numpy", "--quiet")


def summarised(command: Command, *options: object, regimen: str = INFUSION) -> Outcome:
    return command("summarise", regimen, *FEW, *options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--patients", 0), "'patients' must be a whole number from 1. Got 0"),
        (("--engine", "reference"), "Unknown engine of summaries 'reference'"),
        (("--memory-mb", 0.01), "'memory_mb' must be at least"),
        (("--memory-mb", "nan"), "'memory_mb' must be at least"),
        (("--variables", "all"), "'--variables' must be names separated by commas"),
        (("--variables", "madrs_point"), "Did you mean 'madrs_points'"),
        (("--variables", ","), "'--variables' must be names"),
        (("--scales", "madr"), "Did you mean 'MADRS'"),
        (("--scales", ","), "'--scales' must be names"),
        (("--times", "24,0"), "'times_h' must be strictly ascending"),
        (("--times", "now"), "'--times' must be numbers"),
        (("--times", "0,99"), "'times_h' must be within 2 days"),
        (("--times", "0,24", "--days", "nan"), "'days' must be"),
        (("--days", "nan"), "'days' must be"),
        (("--out", "never.parquet"), "'--out' must be a file that ends in .json or .csv"),
        (("--out", "folder"), "'--out' must be a file"),
        (("--json", "--csv"), "'--json' and '--csv' both want standard output"),
        (("--unit", "mg/L"), "Unknown unit of concentration 'mg/L'"),
        (("--parameters", "kamp-2020"), "'--parameters' must be a set with the whole chain"),
        (("--setting", "opn"), "Did you mean 'open'"),
        (("--seed", -1), "'seed' must be 0 or more"),
    ],
)
def test_bad_input_is_named_with_what_is_allowed(command: Command, options: tuple[object, ...], said: str):
    done = summarised(command, *options)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert "Traceback" not in done.err


def test_number_of_patients_must_be_given_and_whole(command: Command):
    for options in ((), ("--patients", "many"), ("--patients", 1.5)):
        done = command("summarise", INFUSION, *options)
        assert (done.code, done.out) == (2, "")
        assert "--patients" in done.err


def test_event_table_is_sent_to_the_command_that_reads_it(command: Command):
    done = summarised(command, regimen="doses.csv")
    assert done.code == 2
    assert "'euthymia simulate' reads event tables" in done.err


def test_json_obeys_its_schema_and_comes_again_to_the_byte(command: Command):
    options = (
        "--json",
        "--times",
        "2,24",
        "--scales",
        "madrs,phq9",
        "--variables",
        "ketamine_venous_ng_per_mL",
    )
    done = summarised(command, *options)
    assert done.code == 0
    document = done.json
    check_schema(document, "summary-1")
    assert document["times_h"] == [2.0, 24.0]
    assert document["levels"] == [0.05, 0.5, 0.95]
    assert list(document["variables"]) == ["madrs_points", "phq9_points", "ketamine_venous_ng_per_mL"]
    assert set(document["shares"]) == {f"{one} {end}" for one in ("MADRS", "PHQ-9") for end in ENDPOINTS}
    for curve in document["variables"].values():
        assert [len(row) for row in curve["quantiles"]] == [2, 2, 2]
        for smallest, *quantiles, largest in zip(
            curve["smallest"], *curve["quantiles"], curve["largest"], strict=True
        ):
            assert sorted(quantiles) == quantiles
            assert smallest <= quantiles[0] <= quantiles[-1] <= largest
    assert document["patients"] == document["provenance"]["patients"] == 12
    assert summarised(command, *options).out == done.out


ENDPOINTS = ("response", "remission")


def test_schema_refuses_a_share_above_one(command: Command):
    document = summarised(command, "--json", "--times", "24").json
    document["shares"]["MADRS response"] = [1.5]
    with pytest.raises(jsonschema.ValidationError):
        check_schema(document, "summary-1")


def test_response_counts_from_the_start_whatever_times_are_written(command: Command):
    late = summarised(command, "--json", "--times", "24").json
    early = summarised(command, "--json", "--times", "0,24").json
    assert late["shares"]["MADRS response"] == early["shares"]["MADRS response"][1:]
    assert late["shares"]["MADRS response"][0] > 0


def test_concentrations_follow_the_unit(command: Command):
    options = ("--json", "--times", "2", "--variables", "ketamine_venous")
    mass = summarised(command, *options).json["variables"]["ketamine_venous_ng_per_mL"]
    molar = summarised(command, *options, "--unit", "umol/L").json["variables"]["ketamine_venous_umol_per_L"]
    assert (mass["unit"], molar["unit"]) == ("ng/mL", "umol/L")
    for field in ("mean", "sd", "largest"):
        assert mass[field][0] == pytest.approx(237.73 * molar[field][0], rel=1e-4)
    assert mass["resolution"] == pytest.approx(237.73 * molar["resolution"], rel=1e-4)


def test_csv_is_long_with_shares_as_means(command: Command):
    done = summarised(command, "--csv", "--times", "0,24")
    frame = polars.read_csv(done.out.encode())
    assert frame.columns == HEADS
    assert frame["variable"].to_list() == [
        name for name in ("madrs_points", "MADRS response", "MADRS remission") for _ in range(2)
    ]
    shares = frame.filter(polars.col("variable") == "MADRS response")
    assert shares["mean"].to_list()[0] == 0.0
    assert shares["p50"].null_count() == 2


def test_table_shows_days_endpoints_and_how_it_was_solved(command: Command):
    done = summarised(command, "--scales", "madrs,phq9", "--variables", "ketamine_venous")
    assert done.code == 0
    assert not done.err
    rows = [line.split()[0] for line in done.out.splitlines() if re.match(r" (start|day|end,) ", line)]
    assert rows == ["start", "day", "end,"] * 3
    assert done.out.count("p05    p50    p95") >= 2
    assert done.out.count("response   remission") == 2
    assert "12 virtual patients, 70 kg, setting open" in done.out
    assert re.search(r"RODAS4, \d+ steps.*; tolerance .*; quantiles within 0\.\d+ \(madrs_points\)", done.out)
    assert "outside the histogram" not in done.out
    assert "shares of patients by the expected total" in done.out
    assert "Research software, not a medical device" in done.out


def test_quantile_is_not_shown_finer_than_it_is_known():
    from euthymia.cli.summarise import _within

    assert _within(0.000240, 0.13) == "0.0"
    assert _within(0.5612, 0.13) == "0.6"
    assert _within(15.51, 0.034) == "15.5"
    assert _within(3.2e-12, 0.034) == "0.00"
    assert _within(0.0, 0.034) == "0"
    assert _within(1234.5, 20.0) == "1234"


def test_memory_is_that_of_the_library_unless_asked_for():
    from euthymia.cli.summarise import MEMORY_MB
    from euthymia.population import summarising

    assert summarising.MEMORY_MB == MEMORY_MB


def test_who_lies_outside_the_histogram_is_said(command: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("euthymia.population.summarising.WIDENED", -0.3)
    done = summarised(command, "--times", "24")
    assert re.search(r"at most \d.* % \(madrs_points\) of patients outside the histogram", done.out)


def test_ideation_comes_with_its_notices(command: Command):
    said = "never the probability that a person will act"
    assert said in summarised(command, "--scales", "ssi", "--times", "24").out
    done = summarised(command, "--scales", "ssi", "--times", "24", "--json")
    assert said in done.err
    assert any(said in warning for warning in done.json["warnings"])


def test_patients_and_what_surrounds_them_are_recorded(command: Command):
    options = ("--weight-kg", 90, "--setting", "midazolam", "--entry-madrs", 20, "--life-events")
    more = ("--already-on", "escitalopram 10 mg", "--mechanism", "direct")
    document = summarised(command, *options, *more, "--json", "--times", "24").json
    made = document["provenance"]
    assert made["weight_kg"] == [90.0, 90.0]
    assert made["engine"] == "numpy (RODAS4)"
    said = " ".join(made["covariates"])
    for part in (
        "setting midazolam",
        "20 or more",
        "events of life",
        "escitalopram 10 mg",
        "mechanism direct",
    ):
        assert part in said


@pytest.mark.parametrize("suffix", ["json", "csv"])
def test_file_holds_what_standard_output_does(command: Command, tmp_path: Path, suffix: str):
    path = tmp_path / f"a.{suffix}"
    done = summarised(command, "--times", "24", f"--{suffix}", "--out", path)
    assert done.code == 0
    assert path.read_text(encoding="utf-8") == done.out
    assert names_in(tmp_path) == [path.name]


def test_report_has_a_figure_and_a_table_for_each_variable(command: Command, tmp_path: Path):
    path = tmp_path / "summary.html"
    done = summarised(command, "--scales", "madrs,phq9", "--times", "24", "--report", path)
    assert done.code == 0
    html = path.read_text(encoding="utf-8")
    check_stands_alone(html)
    assert html.count("median and 5–95 % band of 12 virtual patients") == 2
    assert html.count('class="plotly-graph-div"') == 2
    assert "How it was solved" in html
    assert "not a medical device" in html


@pytest.mark.slow
def test_compiled_engine_is_the_default_and_checks_every_patient(command: Command):
    done = command("summarise", INFUSION, "--patients", 600, "--days", 2, "--json", "--quiet")
    document = done.json
    check_schema(document, "summary-1")
    assert document["provenance"]["engine"] == "c (RODAS4)"
    assert document["certificate"]["largest_error_relative"] <= document["certificate"]["tolerance_relative"]
    assert document["times_h"][0] == 0.0
    assert document["times_h"][-1] == 48.0
