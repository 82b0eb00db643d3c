"""The qualification report: nothing left out, closed rows closed, stored runs reused, bad files refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cli.commands import Command, check_schema, check_stands_alone

from euthymia.calibration import verification
from euthymia.calibration.validation import judge, judge_gaps
from euthymia.calibration.verification import Check
from euthymia.cli import qualify_runs
from euthymia.cli.qualify_card import model_card
from euthymia.cli.qualify_found import Qualification, document_of
from euthymia.cli.qualify_report import qualification_report
from euthymia.cli.qualify_runs import joined
from euthymia.evidence import fact_compare, select
from euthymia.evidence.studies import load_outcome_rows
from euthymia.population.posterior import Posterior, calibrated_parameters, posterior_json
from euthymia.trials.replication_runs import load_replication

ROOT = Path(__file__).parents[2]
STORED = ROOT / "docs" / "reference" / "replication.json"
FEW = ("qualify", "--replicates", 20, "--trial", "murrough-2013", "--quiet", "--workers", 1)
CHAPTERS = (
    "Question of interest",
    "Context of use",
    "Model risk",
    "Verification: code",
    "Verification: calculation",
    "Validation: the model",
    "Validation: the comparator",
    "Validation: assessment",
    "Applicability",
    "Adequacy assessment",
)


@pytest.fixture(autouse=True)
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compare three facts of each table, and leave the checks that solve the chain to their own test."""
    real = fact_compare.compare_facts

    def few(table: Any, rows: Any = None, **more: Any) -> Any:
        return real(table, fact_compare.facts_of(table)[:3], **more)

    monkeypatch.setattr(fact_compare, "compare_facts", few)
    for name in ("_no_drug", "_chain", "_analyses"):
        monkeypatch.setattr(verification, name, lambda *given: iter(()))


def posterior() -> Posterior:
    parameters = calibrated_parameters()[:3]
    middle = np.array([one.middle for one in parameters])
    sds = {
        name: {"mean": sd, "draws": [sd] * 20}
        for name, sd in (("control_points", 3.0), ("contrast_points", 2.0))
    }
    names = [one.name for one in parameters]
    return Posterior(
        name="made-up",
        version="0.1.0",
        set="composed",
        parameters=parameters,
        draws=np.tile(middle, (2, 10, 1)),
        diagnostics={
            "r_hat": dict.fromkeys(names, 1.002),
            "ess": dict.fromkeys(names, 900),
            "recovery": {"data_sets": 10, "smallest_p": 0.2, "coverage_90": dict.fromkeys(names, 0.9)},
            "shifts": [{"name": name, "shift_in_prior_sds": 0.3} for name in names],
            "study_sd_points": sds,
        },
        evidence={"rows": 3, "protocols": {}},
    )


@pytest.fixture
def posterior_file(tmp_path: Path) -> Path:
    path = tmp_path / "made-up.json"
    path.write_text(json.dumps(posterior_json(posterior())), encoding="utf-8")
    return path


def qualification(frozen: str = "") -> Qualification:
    """Return a result on made-up numbers, with every row there is."""
    rng = np.random.default_rng(2)
    runs = load_replication()
    values = {f"{run.row_id}{run.part}": list(rng.uniform(0.2, 0.8, 40)) for run in runs}
    invented = {
        row.row_id: replace(
            row,
            value_text="1 2 3 4",
            estimate=replace(row.estimate, value=0.5, sd=0.5),
            contrast=replace(row.contrast, value=0.5),
            effect=replace(row.effect, value=0.5),
            response_percent=50.0,
            remission_percent=50.0,
        )
        for row in load_outcome_rows()
    }
    rows = judge(runs, values, posterior=posterior(), rows=invented)
    made = {
        "version": "0.1.0",
        "seed": 1,
        "parameters": "composed",
        "overrides": {},
        "mechanisms": [],
        "engine": "c",
        "posterior": "made-up",
        "posterior_digest": "f" * 64,
    }
    return Qualification(
        made=made,
        replicates=40,
        fitted_replicates=30,
        is_stored=False,
        frozen=frozen,
        posterior=posterior(),
        checks=(Check(of="code", claim="one is one", against="itself", value=0.0, tolerance=0.0, unit="1"),),
        facts={},
        rows=rows,
        gaps=judge_gaps(runs, values, rows, posterior=posterior()),
        cautions=(),
        sources=(),
    )


def test_report_card_and_json_are_written(command: Command, tmp_path: Path):
    page, card, folder = tmp_path / "q.html", tmp_path / "card.md", tmp_path / "kept"
    done = command(*FEW, "--json", "--report", page, "--card", card, "--out", folder)
    assert done.code == 0
    check_schema(done.json, "qualification-1")
    html = page.read_text(encoding="utf-8")
    check_stands_alone(html)
    assert [html.index(f">{one}<") for one in CHAPTERS] == sorted(html.index(f">{one}<") for one in CHAPTERS)
    text = card.read_text(encoding="utf-8")
    for chapter in (
        "Scope",
        "Users",
        "Not for",
        "Evidence",
        "Calibration data",
        "Performance",
        "Known failures",
    ):
        assert f"\n## {chapter}\n" in text
    assert {row["trial"] for row in done.json["rows"]} == {"murrough-2013"}


def test_a_folder_of_replicated_trials_is_reused(command: Command, tmp_path: Path):
    folder = tmp_path / "kept"
    words = ("evidence", "replicate", "--replicates", 20, "--trial", "murrough-2013", "--quiet")
    assert command(*words, "--out", folder).code == 0
    kept = {path: path.stat().st_mtime_ns for path in (folder / "values").glob("*.json")}
    ran = command(*FEW, "--json", "--out", folder).json
    assert {path: path.stat().st_mtime_ns for path in (folder / "values").glob("*.json")} == kept
    read = command("qualify", "--from", folder, "--trial", "murrough-2013", "--quiet", "--json").json
    assert read["rows"] == ran["rows"]
    assert (read["is_stored"], ran["is_stored"]) == (True, False)
    assert any(row["forecast"]["pit"] is not None for row in read["rows"])
    replication = json.loads((folder / "replication.json").read_text(encoding="utf-8"))
    for old, new in zip(replication["rows"], read["rows"], strict=True):
        assert (old["row_id"], old["verdict"]) == (new["row"][:-1], new["verdict"])


def test_a_stored_result_alone_is_judged_by_its_intervals(command: Command):
    done = command("qualify", "--from", STORED, "--quiet", "--json")
    assert done.code == 0
    document = done.json
    check_schema(document, "qualification-1")
    assert len(document["rows"]) == len(load_replication())
    assert "without its replicates" in done.err
    stored = json.loads(STORED.read_text(encoding="utf-8"))["rows"]
    open_rows = [
        (old["verdict"], new["verdict"])
        for old, new in zip(stored, document["rows"], strict=True)
        if new["role"] != "validate"
    ]
    assert all(old == new for old, new in open_rows)


def test_closed_numbers_are_nowhere(command: Command, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(select, "frozen_posterior", lambda: "")
    document = document_of(qualification())
    kept = [row for row in document["rows"] if row["role"] == "validate"]
    assert kept
    for row in kept:
        assert row["state"] != "open"
        assert row["observed"] is None
        assert row["forecast"]["pit"] is None
    assert all(one["pits"] == [] for one in document["scores"] if one["of"].startswith("validate"))
    assert {one["verdict"] for one in document["adequacy"]} == {"unknown"}
    gaps = {one["label"]: one for case in document["hard_cases"] for one in case["differences"]}
    shut = gaps["ketamine less saline, mean MADRS, day 1"]
    assert (shut["verdict"], shut["observed"], shut["forecast"]["pit"]) == ("closed", None, None)
    weekly = gaps["three less two infusions a week, contrast to saline, day 14"]
    assert (weekly["verdict"], weekly["observed"]) == ("inside", 0.0)


def test_everything_opens_with_the_frozen_posterior(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(select, "frozen_posterior", lambda: "f" * 64)
    found = qualification(frozen="f" * 64)
    document = {"schema": "euthymia.qualification/1", "command": ["qualify"], **document_of(found)}
    check_schema(document, "qualification-1")
    assert document["is_of_frozen_posterior"]
    kept = [row for row in document["rows"] if row["role"] == "validate"]
    assert {row["state"] for row in kept} == {"open", "not comparable"}
    scores = {(one["of"], one["with_study_effects"]): one for one in document["scores"]}
    assert scores["validate", True]["contrasts"]["total"] > 0
    assert scores["validate", True]["primary"]["total"] == 8
    assert len(scores["validate", False]["pits"]) > 20
    for group in ("route", "population", "comparator", "setting", "therapy"):
        assert (f"validate: {group}", True) in scores
    html = qualification_report(found, command=["qualify"])
    check_stands_alone(html)
    assert "closed until" not in html
    assert "made-up" in model_card(found)


def test_study_effects_widen_intervals(command: Command, posterior_file: Path):
    rows = command(*FEW, "--json", "--posterior", posterior_file).json["rows"]
    contrast = next(row for row in rows if row["row"] == "T0103a")
    alone, wide = contrast["forecast"], contrast["forecast_with_study_effects"]
    assert wide["high"] - wide["low"] > alone["high"] - alone["low"]
    sd = next(row for row in rows if row["row"] == "T0008a")
    assert sd["forecast"] == sd["forecast_with_study_effects"]


def test_a_failed_check_ends_with_one_and_is_named(command: Command, monkeypatch: pytest.MonkeyPatch):
    broken = Check(of="code", claim="two is one", against="itself", value=1.0, tolerance=0.0, unit="1")
    monkeypatch.setattr(verification, "_textbook", lambda: iter((broken,)))
    done = command("qualify", "--from", STORED, "--quiet")
    assert done.code == 1
    assert "FAILS: two is one" in done.out


def changed(tmp_path: Path, **change: Any) -> Path:
    path = tmp_path / "changed.json"
    document = json.loads(STORED.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, **change}), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "euthymia.trial/1"}, "'schema': 'euthymia.replication/1'"),
        ({"version": "0.0.1"}, "must be a run of this version"),
        ({"mechanisms": ["opioid"]}, "a run with the mechanisms asked for"),
        ({"posterior_digest": "a" * 64}, "that of the run, the posterior aaaaaaaaaaaa"),
        ({"overrides": {"pk.x": 1.0}}, "'--set' must be as in"),
    ],
)
def test_files_of_another_run_are_refused(
    command: Command, tmp_path: Path, change: dict[str, Any], said: str
):
    done = command("qualify", "--quiet", "--from", changed(tmp_path, **change))
    assert done.code == 2
    assert said in done.err


def test_a_posterior_is_not_put_on_a_run_of_the_prior(command: Command, tmp_path: Path, posterior_file: Path):
    bare = changed(tmp_path, posterior="", posterior_digest="")
    done = command("qualify", "--quiet", "--from", bare, "--posterior", posterior_file)
    assert done.code == 2
    assert "'--posterior' must be that of the run, the prior" in done.err


def test_a_posterior_of_another_version_is_refused(command: Command, posterior_file: Path):
    from euthymia.population.posterior import digest_of

    content = json.loads(posterior_file.read_text(encoding="utf-8"))
    content["parameters"][0] = "gone"
    content["version"] = "0.0.1"
    posterior_file.write_text(json.dumps({**content, "digest": digest_of(content)}), encoding="utf-8")
    done = command(*FEW, "--posterior", posterior_file)
    assert done.code == 2
    assert "was made by version 0.0.1, which calibrates gone" in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "nowhere.json"), "cannot be read"),
        (("--replicates", 0), "'replicates' must be 1 or more"),
        (("--trial", "murrough"), "Did you mean"),
        (("--posterior", "nowhere"), "posterior"),
        (("--from", STORED, "--out", "kept"), "'--out' must be left out with '--from'"),
    ],
)
def test_bad_input(command: Command, words: tuple[object, ...], said: str):
    done = command("qualify", "--quiet", *words)
    assert done.code == 2
    assert said in done.err


def test_batches_are_joined_in_order_of_their_replicates():
    batches = {
        "a-00010": {"x": [3.0]},
        "a-00002": {"x": [2.0]},
        "b-00000": {"y": [5.0]},
        "a-00000": {"x": [1.0]},
    }
    assert joined(batches) == {"y": [5.0], "x": [1.0, 2.0, 3.0]}


def test_what_is_not_of_the_frozen_posterior_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(select, "frozen_posterior", lambda: "f" * 64)
    said = qualify_runs._cautions(posterior(), {"posterior_digest": "a"}, "f" * 64)
    assert "chosen after they were opened" in said[0]
