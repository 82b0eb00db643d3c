"""Option --posterior: what it changes, what results say of it, and what is refused."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.cli.commands import Command, check_schema, check_stands_alone
from tests.cli.test_cli_trial import SMALL
from tests.unit.population.posteriors import spread, write

from euthymia.population import posterior as module
from euthymia.trials.replicate import UNCALIBRATED

INFUSION = "ketamine 0.5 mg/kg iv over 40 min"
SIMULATE = ("simulate", INFUSION, "--patients", 8, "--times", "0,24", "--variables", "madrs_points")
REPLICATE = ("evidence", "replicate", "--replicates", 20, "--trial", "berman-2000", "--quiet")
LABEL = f"hand-made {spread().digest[:12]}"


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return write(spread(), tmp_path / "two.json")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path


def test_a_simulation_has_the_draws_and_names_them(command: Command, two: Path):
    done = command(*SIMULATE, "--posterior", two, "--json")
    assert done.code == 0
    check_schema(done.json, "simulation-1")
    assert done.json["provenance"]["posterior"] == LABEL
    plain, prior = (command(*SIMULATE, *more, "--json").json for more in ((), ("--posterior", "prior")))
    assert plain["variables"] == prior["variables"] != done.json["variables"]
    assert "posterior" not in prior["provenance"]


def test_a_table_and_a_page_say_what_numbers_rest_on(command: Command, two: Path, tmp_path: Path):
    page = tmp_path / "page.html"
    with_it = command(*SIMULATE, "--posterior", two, "--report", page).out
    assert f"posterior {LABEL}" in with_it
    assert "not calibrated yet" not in with_it
    text = page.read_text(encoding="utf-8")
    check_stands_alone(text)
    assert LABEL in text
    assert "not calibrated yet" not in text
    assert "not calibrated yet" in command(*SIMULATE).out


def test_a_check_by_the_reference_solves_the_same_patients(command: Command, two: Path):
    done = command(*SIMULATE, "--posterior", two, "--check", 2)
    assert done.code == 0
    found = re.search(r"severity (\S+)\. ", done.err)
    assert found
    assert float(found[1]) < 1e-4


def test_the_mean_is_of_the_default(command: Command, two: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EUTHYMIA_POSTERIOR", str(two))
    by_default, mean, prior = (
        command(*SIMULATE, "--json", *more).json
        for more in ((), ("--posterior", "mean"), ("--posterior", "prior"))
    )
    assert by_default["provenance"]["posterior"] == LABEL
    assert mean["provenance"]["posterior"].startswith("hand-made mean ")
    assert "posterior" not in prior["provenance"]
    assert by_default["variables"] != mean["variables"] != prior["variables"]


def test_a_trial_has_the_draws_and_goes_on_in_its_folder_only(
    command: Command, two: Path, small: Path, tmp_path: Path
):
    words = ("trial", "run", small, "--replicates", 3, "--quiet", "--out", tmp_path / "run")
    done = command(*words, "--posterior", two, "--json")
    assert done.code == 0
    check_schema(done.json, "trial-1")
    assert done.json["provenance"]["posterior"] == "hand-made"
    assert done.json["provenance"]["posterior_digest"] == spread().digest
    assert UNCALIBRATED not in done.json["warnings"]
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text(encoding="utf-8"))
    check_schema(manifest, "trial-run-1")
    assert manifest["posterior"] == f"hand-made {spread().digest}"
    again = command(*words, "--posterior", two, "--json")
    assert again.json["estimates"] == done.json["estimates"]
    for other in ("prior", write(spread(0.6), tmp_path / "other.json")):
        refused = command(*words, "--posterior", other)
        assert refused.code == 2
        assert "posterior is" in refused.err
    prior = command("trial", "run", small, "--replicates", 3, "--json")
    assert UNCALIBRATED in prior.json["warnings"]
    assert prior.json["estimates"] != done.json["estimates"]


def test_pages_of_trials_name_the_posterior(command: Command, two: Path, small: Path, tmp_path: Path):
    page = tmp_path / "page.html"
    assert command("trial", "run", small, "--quiet", "--posterior", two, "--report", page).code == 0
    text = page.read_text(encoding="utf-8")
    assert f"posterior {LABEL}" in text
    assert UNCALIBRATED not in text


def test_power_is_that_over_the_draws(command: Command, two: Path, small: Path):
    words = ("trial", "power", small, "--n", "8", "--replicates", 4, "--json")
    done = command(*words, "--posterior", two)
    assert done.code == 0
    check_schema(done.json, "power-1")
    assert done.json["provenance"]["posterior_digest"] == spread().digest
    assert "Not calibrated" not in done.err
    prior = command(*words)
    check_schema(prior.json, "power-1")
    assert "posterior" not in prior.json["provenance"]
    assert "Not calibrated" in prior.err


def test_published_trials_have_the_draws_and_go_on_in_their_folder_only(
    command: Command, two: Path, tmp_path: Path
):
    folder = tmp_path / "kept"
    done = command(*REPLICATE, "--posterior", two, "--out", folder, "--json")
    assert done.code == 0
    check_schema(done.json, "replication-1")
    assert done.json["posterior_digest"] == spread().digest
    refused = command(*REPLICATE, "--out", folder)
    assert refused.code == 2
    assert "posterior, posterior_digest differ" in refused.err
    prior = command(*REPLICATE, "--json")
    assert "posterior" not in prior.json
    assert prior.json["rows"] != done.json["rows"]


@pytest.mark.parametrize(
    "words",
    [
        ("simulate", INFUSION),
        ("trial", "run", "berman-2000"),
        ("trial", "power", "berman-2000", "--n", "6"),
        ("evidence", "replicate", "--trial", "berman-2000"),
    ],
    ids=["simulate", "run", "power", "replicate"],
)
def test_bad_posteriors_end_with_2(
    command: Command, words: tuple[object, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "default_names", tuple)
    damaged = tmp_path / "damaged.json"
    damaged.write_text(write(spread(), damaged).read_text().replace("hand-made", "hand-mode"))
    for asked, said in (
        ("priors", "Did you mean 'prior'"),
        (tmp_path / "none.json", "cannot be read"),
        (damaged, "changed by hand"),
        ("mean", "no posterior of the set 'composed' is frozen"),
    ):
        done = command(*words, "--quiet", "--posterior", asked)
        assert done.code == 2
        assert said in done.err
        assert done.err.count("\n") == 1


def test_concentrations_have_no_posterior(command: Command, two: Path):
    done = command("simulate", INFUSION, "--concentrations", "--posterior", two)
    assert done.code == 2
    assert "'--posterior' cannot be given" in done.err


def test_relapse_is_followed_with_the_draws(command: Command, two: Path):
    words = ("simulate", f"{INFUSION}, twice weekly x 2", "--outcome", "relapse", "--patients", 20, "--json")
    done, prior = command(*words, "--posterior", two), command(*words)
    assert done.code == prior.code == 0
    check_schema(done.json, "relapse-1")
    assert done.json["arms"] != prior.json["arms"]
