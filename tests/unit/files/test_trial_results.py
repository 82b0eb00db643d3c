"""Results of a trial over replicates: percentiles, power, schema, files by suffix, folders."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import polars as pl
import pytest
from tests.cli.commands import check_schema
from tests.unit.trials.cohorts import CROSSOVER, make_protocol, make_result

from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.files.results import dump_json
from euthymia.files.trial_json import protocol_digest
from euthymia.files.trial_results import (
    check_trial_out,
    estimates_csv,
    estimates_table,
    replicates_table,
    spread,
    trial_json,
    write_trial,
)
from euthymia.trials.records import TrialResult


def with_estimates(**numbers: list[float]) -> TrialResult:
    """Return a result whose contrast has given numbers in each replicate."""
    result = make_result(replicates=len(next(iter(numbers.values()))))
    changed = []
    for place, replicate in enumerate(result.replicates):
        own, contrast = replicate.estimates
        given = {name: values[place] for name, values in numbers.items()}
        changed.append(replace(replicate, estimates=(own, replace(contrast, **given))))
    return replace(result, replicates=tuple(changed))


def contrast_of(result: TrialResult) -> dict:
    return next(one for one in trial_json(result)["estimates"] if one["reference"])


@pytest.mark.parametrize("design", [None, CROSSOVER])
def test_document_obeys_its_schema(design: dict | None):
    result = make_result(make_protocol(design), replicates=4)
    document = json.loads(dump_json(trial_json(result, command=["trial", "run", "made-up"])))
    check_schema(document, "trial-1")
    assert document["seed"] == 3
    assert document["protocol"]["digest"] == protocol_digest(result.protocol)
    assert document["replicates"] == 4


def test_schema_refuses_a_power_above_one():
    document = json.loads(dump_json(trial_json(make_result())))
    document["estimates"][0]["share_significant"] = 1.5
    with pytest.raises(jsonschema.ValidationError):
        check_schema(document, "trial-1")


def test_curves_are_percentiles_over_replicates_at_each_visit():
    result = make_result(replicates=7)
    found = trial_json(result)["arms"]["saline"]["scales"]["MADRS"]
    ones = [one for replicate in result.replicates for one in replicate.arms]
    means = np.array([one.mean for one in ones if (one.arm, one.scale) == ("saline", "MADRS")])
    for level, share in (("p05", 0.05), ("p50", 0.5), ("p95", 0.95)):
        assert found["mean"][level] == np.quantile(means, share, axis=0).tolist()
    assert found["mean_change"]["p50"][1] is None, "nobody is rated at the second visit"
    assert len(found["n"]["p50"]) == 3


def test_groups_count_people_and_those_with_an_event():
    result = make_result(replicates=5)
    document = trial_json(result)
    assert document["screened"] == spread([one.screened for one in result.replicates])
    nausea = [one.events["ketamine"]["nausea"] for one in result.replicates]
    assert document["groups"]["ketamine"]["events"]["nausea"]["mean"] == np.mean(nausea)
    assert document["groups"]["ketamine"]["enrolled"]["p50"] == 6.0


def test_power_is_the_share_of_p_below_alpha():
    assert contrast_of(with_estimates(p=[0.01, 0.049, 0.05, 0.8]))["share_significant"] == 0.5
    assert contrast_of(with_estimates(p=[0.01, np.nan, np.nan, 0.8]))["share_significant"] == 0.25
    assert contrast_of(with_estimates(p=[np.nan, np.nan]))["share_significant"] is None
    strict = with_estimates(p=[0.01, 0.0499, 0.004, 0.8])
    strict = replace(strict, protocol=make_protocol(alpha=0.005))
    assert contrast_of(strict)["share_significant"] == 0.25


def test_distribution_of_an_estimate_leaves_out_what_is_not_defined():
    values = [-4.0, np.inf, -8.0, np.nan, -6.0]
    found = contrast_of(with_estimates(value=values))
    assert (found["p50"], found["mean"], found["sd"]) == (-6.0, -6.0, 2.0)
    assert (found["replicates"], found["undefined"]) == (5, 2)
    none = contrast_of(with_estimates(value=[np.nan, np.nan]))
    assert {none[name] for name in ("p05", "p50", "p95", "mean", "sd")} == {None}


def test_table_of_estimates_holds_the_numbers_of_the_document():
    result = with_estimates(value=[np.nan, np.nan], p=[np.nan, np.nan])
    frame = estimates_table(result)
    assert frame.to_dicts() == trial_json(result)["estimates"]
    assert frame.schema["mean"] == pl.Float64


def test_long_table_holds_every_replicate():
    result = make_result(replicates=3)
    frame = replicates_table(result)
    assert frame["replicate"].to_list() == [0, 0, 1, 1, 2, 2]
    contrast = frame.filter(pl.col("reference") != "")
    assert contrast["value"].to_list() == result.values("day-14", "ketamine", "difference").tolist()
    assert frame.filter(pl.col("reference") == "")["p"].null_count() == 3


def test_provenance_becomes_plain_json():
    given = {
        "a": np.float64(np.nan),
        "b": (np.int64(2), True),
        "c": Path("x"),
        "d": {"e": None},
        "f": {"z", "y"},
    }
    document = trial_json(replace(make_result(), provenance=given))
    assert document["provenance"] == {"a": None, "b": [2, True], "c": "x", "d": {"e": None}, "f": ["y", "z"]}
    assert document["provenance"]["b"][1] is True


def test_suffix_makes_a_file(tmp_path: Path):
    result = make_result()
    assert write_trial(result, tmp_path / "a.json") == [tmp_path / "a.json"]
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == trial_json(result)
    write_trial(result, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == estimates_csv(result)
    assert pl.read_csv(tmp_path / "a.csv")["mean"].to_list() == estimates_table(result)["mean"].to_list()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.csv", "a.json"]


def test_folder_holds_everything_and_the_same_bytes_each_time(tmp_path: Path):
    written = write_trial(make_result(), tmp_path / "a")
    again = write_trial(make_result(), tmp_path / "b")
    assert written[-1] == tmp_path / "a" / "result.json"
    names = {str(path.relative_to(tmp_path / "a")) for path in written}
    assert {
        "estimates.csv",
        "replicates.csv",
        "first/dm.xpt",
        "first/qs.parquet",
        "first/events.csv",
    } <= names
    for one, other in zip(written, again, strict=True):
        assert one.read_bytes() == other.read_bytes(), one.name


def test_formats_of_tables_may_be_chosen(tmp_path: Path):
    write_trial(make_result(), tmp_path / "a", tables=("csv",))
    assert {path.suffix for path in (tmp_path / "a" / "first").iterdir()} == {".csv", ".json"}


def test_other_suffix_is_refused(tmp_path: Path):
    with pytest.raises(InvalidInputError, match=r"must end in \.json or \.csv"):
        write_trial(make_result(), tmp_path / "a.xlsx")


@pytest.mark.parametrize("name", ["a.json", "a.csv", "folder"])
def test_path_below_a_file_is_a_failed_run_before_and_after(tmp_path: Path, name: str):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunFailedError, match="Cannot write"):
        check_trial_out(tmp_path / "file" / name)
    with pytest.raises(RunFailedError, match="Cannot write"):
        write_trial(make_result(), tmp_path / "file" / name)
