"""``euthymia sensitivity``: tables, files and a page of the same numbers."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from tests.cli.commands import INFUSION, Command, check_schema, check_stands_alone
from tests.unit.plots.drawn import figures

FEW = "dose,synapse_weight,slow_time,severity.episode_severity_fraction,oral_fraction"
SMALL = ("sensitivity", INFUSION, "--only", FEW, "--samples", "64", "--quiet")


def test_document_holds_to_its_schema_and_comes_again_byte_for_byte(command: Command, tmp_path: Path):
    done = command(*SMALL, "--json", "--seed", 5)
    assert (done.code, done.err) == (0, "")
    check_schema(done.json, "sensitivity-1")
    assert command(*SMALL, "--json", "--seed", 5) == done
    kept = tmp_path / "s.json"
    command(*SMALL, "--seed", 5, "--out", kept)
    assert {**done.json, "command": []} == {**_read(kept), "command": []}
    inputs = {one["name"]: one for one in done.json["inputs"]}
    assert inputs["pk.oral_fraction"]["is_held"]
    assert inputs["dose"]["typical"] == pytest.approx(1.0, rel=1e-12)
    outputs = {one["name"]: one for one in done.json["outputs"]}
    assert "pk.oral_fraction" not in outputs["madrs_day_1_points"]["by_input"]["indices"]
    assert set(outputs["madrs_day_1_points"]["by_group"]["indices"]) == {
        "chosen",
        "between_people",
        "not_known",
    }


def _read(path: Path) -> dict[str, object]:
    return json.loads(path.read_text(encoding="utf-8"))


def test_table_has_a_row_for_each_output_and_input_then_group(command: Command, tmp_path: Path):
    page = tmp_path / "s.csv"
    done = command(*SMALL, "--csv", "--out", page)
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert page.read_text(encoding="utf-8") == done.out
    assert len(rows) == 6 * (5 + 3)
    document = command(*SMALL, "--json").json
    first = next(one for one in document["outputs"] if one["name"] == "peak_cadss_points")
    row = next(one for one in rows if one["output"] == "peak_cadss_points" and one["input"] == "dose")
    assert float(row["slope_per_sd"]) == first["local"]["dose"]["slope_per_sd"]
    assert float(row["total"]) == first["by_input"]["indices"]["dose"]["total"]
    held = next(one for one in rows if one["input"] == "pk.oral_fraction")
    assert (held["first"], held["total"]) == ("", "")
    groups = {one["group"] for one in rows if one["kind"] == "group"}
    assert groups == {"chosen", "between_people", "not_known"}


def test_terminal_names_groups_what_is_held_and_what_it_rests_on(command: Command):
    out = " ".join(command(*SMALL).out.split())
    for text in (
        "5 inputs moved alone, 4 together; 64 samples",
        "total index (first order)",
        "differs between people",
        "Without effect on any output here: pk.oral_fraction.",
        "widths of the priors are assumed",
        "no cause in a patient",
        "not calibrated yet",
        "which does not mean that they are known",
        "seed 1",
    ):
        assert text in out
    assert "-0.00" not in out


def test_page_shows_a_tornado_and_indices_for_each_output(command: Command, tmp_path: Path):
    page = tmp_path / "s.html"
    document = command(*SMALL, "--json", "--report", page).json
    html = page.read_text(encoding="utf-8")
    check_stands_alone(html)
    drawn = figures(html)
    assert len(drawn) == 1 + 6
    traces, layout = drawn[1]
    assert layout["xaxis"]["title"]["text"] == "MADRS on day 1 (points)"
    first = next(one for one in document["outputs"] if one["name"] == "madrs_day_1_points")
    low, high, alone, total = traces
    ranked = sorted(first["by_input"]["indices"], key=lambda one: -first["by_input"]["indices"][one]["total"])
    assert total["customdata"][0][0].startswith(ranked[0].removesuffix("_fraction"))
    for trace, end in ((low, "at_low"), (high, "at_high")):
        # bars go from the typical value to the end
        ends = [trace["base"] + length for length in trace["x"]]
        assert ends[0] == pytest.approx(first["local"][ranked[0]][end], rel=1e-9)
    assert alone["x"][0] == first["by_input"]["indices"][ranked[0]]["first"]
    assert total["error_x"]["array"][0] == first["by_input"]["indices"][ranked[0]]["total_half_width"]
    again = tmp_path / "again.html"
    command(*SMALL, "--report", again)
    assert again.read_bytes() == page.read_bytes()


def test_other_options_reach_the_analysis(command: Command):
    more = ("--weight-kg", 90, "--setting", "saline", "--set", "severity.ampa_weight_logit=0.5", "--top", 2)
    document = command(*SMALL, *more, "--dose-range", "0.8,1.25", "--json").json
    check_schema(document, "sensitivity-1")
    assert document["weight_kg"] == 90.0
    assert document["overrides"] == {"severity.ampa_weight_logit": 0.5}
    assert "setting saline" in document["covariates"]
    assert sum(not one["is_held"] for one in document["inputs"]) == 2
    dose = next(one for one in document["inputs"] if one["name"] == "dose")
    assert 0.8 < dose["low"] < 1.0 < dose["high"] < 1.25


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--samples", "1000"), "'samples' must be a power of two from 64 to 65536. Got 1000"),
        (("--dose-range", "2,3"), "'dose range' must be two numbers around 1"),
        (("--dose-range", "1"), "'--dose-range' must be two numbers, such as 0.5,1.5"),
        (("--only", "synaps_weight"), "Unknown input 'synaps_weight'"),
        (("--posterior", "nowhere.json"), "cannot be read"),
        (("--json", "--csv"), "both want standard output"),
        (("--out", "s.parquet"), "'--out' must be a file that ends in .json or .csv"),
        (("--engine", "reference"), "'engine' must be c or numpy"),
    ],
)
def test_bad_input_is_named(command: Command, more: tuple[str, ...], message: str):
    done = command(*SMALL, *more)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
