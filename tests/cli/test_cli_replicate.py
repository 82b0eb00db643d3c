"""Published trials simulated: every row is there, closed ones stay closed, and a run goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.commands import Command, check_schema, check_stands_alone

from euthymia.evidence.select import is_open
from euthymia.evidence.studies import load_outcome_rows

FEW = ("evidence", "replicate", "--replicates", 20, "--trial", "berman-2000", "--quiet")
ROOT = Path(__file__).parents[2]


def test_rows_of_a_trial_are_printed_and_written(command: Command, tmp_path: Path):
    page, folder = tmp_path / "page.html", tmp_path / "kept"
    done = command(*FEW, "--report", page, "--out", folder)
    assert done.code == 0
    assert "T0003" in done.out
    check_stands_alone(page.read_text(encoding="utf-8"))
    kept = (folder / "replication.json").read_text(encoding="utf-8")
    document = json.loads(kept)
    check_schema(document, "replication-1")
    assert {row["row_id"] for row in document["rows"]} >= {"T0001", "T0002", "T0003"}
    values = list((folder / "values").glob("*.json"))
    values[0].unlink()
    assert command(*FEW, "--out", folder).code == 0
    again = json.loads((folder / "replication.json").read_text(encoding="utf-8"))
    assert again["rows"] == document["rows"]


def test_a_folder_of_a_shorter_run_goes_on_to_what_a_whole_one_gives(command: Command, tmp_path: Path):
    words = ("evidence", "replicate", "--trial", "murrough-2013", "--quiet", "--out")
    for folder, lengths in (("longer", (20, 30)), ("whole", (30,))):
        for replicates in lengths:
            assert command(*words, tmp_path / folder, "--replicates", replicates).code == 0
    longer, whole = (
        json.loads((tmp_path / folder / "replication.json").read_text(encoding="utf-8"))["rows"]
        for folder in ("longer", "whole")
    )
    assert longer == whole
    assert {row["replicates"] for row in whole} == {0, 30}


def test_a_damaged_folder_is_noticed(command: Command, tmp_path: Path):
    folder = tmp_path / "kept"
    assert command(*FEW, "--out", folder).code == 0
    rows = (folder / "replication.json").read_text(encoding="utf-8")
    next((folder / "values").glob("*.json")).write_text('{"T0003a": [1.0]}', encoding="utf-8")
    assert command(*FEW, "--out", folder).code == 0
    assert json.loads((folder / "replication.json").read_text())["rows"] == json.loads(rows)["rows"]
    (folder / "manifest.json").write_text("{", encoding="utf-8")
    done = command(*FEW, "--out", folder)
    assert done.code == 2
    assert "manifest.json" in done.err


def test_a_folder_of_another_seed_is_refused(command: Command, tmp_path: Path):
    assert command(*FEW, "--out", tmp_path / "kept").code == 0
    other = command(*FEW, "--out", tmp_path / "kept", "--seed", 2)
    assert other.code == 2
    assert "seed" in other.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--trial", "berman"), "Did you mean 'berman-2000'"),
        (("--replicates", 0), "'replicates' must be 1 or more"),
    ],
)
def test_bad_input(command: Command, options: tuple[object, ...], said: str):
    done = command("evidence", "replicate", "--quiet", *options)
    assert done.code == 2
    assert said in done.err


def test_the_kept_result_has_every_row_and_no_closed_number():
    text = (ROOT / "docs" / "reference" / "replication.json").read_text(encoding="utf-8")
    document = json.loads(text)
    check_schema(document, "replication-1")
    rows = {row.row_id: row for row in load_outcome_rows()}
    assert {row["row_id"] for row in document["rows"]} == set(rows)
    for row in document["rows"]:
        if not is_open(rows[row["row_id"]]):
            assert row["observed"] is None
            assert row["verdict"] in ("closed", "not comparable")


@pytest.mark.slow
def test_the_kept_result_is_what_the_model_gives_today(command: Command):
    text = (ROOT / "docs" / "reference" / "replication.json").read_text(encoding="utf-8")
    document = json.loads(text)
    words = ("evidence", "replicate", "--trial", "murrough-2013", "--quiet", "--json")
    asked = ("--replicates", document["replicates"], "--posterior", document["posterior"])
    today = json.loads(command(*words, *asked).out)
    kept = {(row["row_id"], row["label"], row["measure"]): row for row in document["rows"]}
    for row in today["rows"]:
        assert kept[row["row_id"], row["label"], row["measure"]] == row
