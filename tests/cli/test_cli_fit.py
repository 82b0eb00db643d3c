"""``euthymia fit``: a small one from end to end, its page and documents, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.commands import Command, Outcome, check_schema, names_in

from euthymia.cli.main import call
from euthymia.evidence.studies import load_outcome_rows
from euthymia.population.posterior import load_posterior
from euthymia.trials.replication import load_replication

SMALL = (
    *("fit", "--free", "synapse_weight", "--free", "expectancy_weight", "--trial", "murrough-2013"),
    *("--points", 8, "--second-points", 4, "--replicates", 8, "--patients", 72, "--steps", 100),
    *("--truths", 0, "--workers", 1, "--quiet"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small fit, and its page beside it."""
    folder = tmp_path_factory.mktemp("fits") / "small"
    words = (*SMALL, "--out", folder, "--report", folder.parent / "page.html", "--name", "small")
    assert call([str(one) for one in words]) == 0
    return folder


def _read(path: Path) -> dict[str, object]:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.slow
def test_a_fit_leaves_a_posterior_that_other_commands_take(made: Path, command: Command):
    found = load_posterior(str(made / "posterior.json"))
    assert [one.name for one in found.parameters] == ["synapse_weight", "expectancy_weight"]
    assert found.name == "small"
    words = (
        "simulate",
        "ketamine 0.5 mg/kg iv over 40 min",
        "--posterior",
        made / "posterior.json",
        "--json",
    )
    done = command(*words, "--days", 2)
    assert done.code == 0
    assert found.digest[:12] in json.dumps(done.json)


@pytest.mark.slow
def test_documents_hold_to_their_schema_and_agree(made: Path):
    document, posterior = _read(made / "fit.json"), _read(made / "posterior.json")
    check_schema(document, "fit-1")
    assert document["digest"] == posterior["digest"]
    roles = {row.row_id: row.role.value for row in load_outcome_rows()}
    rows = document["rows"]
    assert isinstance(rows, list)
    assert {row["trial"] for row in rows} == {"murrough-2013"}
    assert all(roles[row["row"][:-1]] == row["role"] for row in rows)
    (contrast,) = (row for row in rows if row["row"] == "T0103a")
    assert contrast["observed"] == -7.7
    assert contrast["is_primary"]


@pytest.mark.slow
def test_a_fit_again_in_its_folder_runs_nothing_and_says_the_same(made: Path, command: Command):
    points = {name: (made / name).stat().st_mtime_ns for name in names_in(made) if "points" in name}
    before = (made / "posterior.json").read_bytes()
    done = command(*SMALL, "--out", made, "--name", "small", "--json")
    assert done.code == 0
    assert (made / "posterior.json").read_bytes() == before
    assert {name: (made / name).stat().st_mtime_ns for name in points} == points
    check_schema(done.json, "fit-1")
    kept = _read(made / "fit.json")
    assert done.json == kept


@pytest.mark.slow
def test_the_terminal_has_every_parameter_and_what_can_be_trusted(made: Path, command: Command):
    out = " ".join(command(*SMALL, "--out", made, "--name", "small").out.split())
    assert "severity.synapse_weight_logit" in out
    assert "severity.expectancy_weight_logit" in out
    assert "fitted numbers lie inside the 90 % interval" in out
    assert "do not call this a posterior" in out  # no truths were fitted again
    assert "not a medical device" in out


@pytest.mark.slow
def test_the_page_names_what_was_fitted_how_well_and_what_it_cannot_say(made: Path):
    html = (made.parent / "page.html").read_text(encoding="utf-8")
    digest = str(_read(made / "posterior.json")["digest"])
    for text in (
        "Posterior small",
        digest[:12],
        "2 parameters fitted to 8 published numbers",
        "Parameters, before and after",
        "What the data can tell apart",
        "Published numbers beside the fit",
        "Can the draws be trusted?",
        "What may be fitted and was not",
        "What this cannot say",
        "T0103a",
        "set by hand",
        "synapse_weight",
    ):
        assert text in html, text
    assert "<link" not in html
    assert "<summary></summary>" not in html  # folded tables say what is in them


@pytest.mark.slow
def test_known_truths_are_on_the_page(made: Path, command: Command):
    page = made.parent / "truths.html"
    words = [*SMALL, "--out", made, "--report", page]
    words[words.index("--truths") + 1] = 2
    assert command(*words).code == 0
    html = page.read_text(encoding="utf-8")
    assert "Known truths found again in 2 simulated data sets" in html
    assert "p that ranks are even" in html


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "named"),
    [(("--seed", 2), "seed"), (("--patients", 144), "patients"), (("--free", "slow_time"), "free")],
)
def test_the_folder_of_another_fit_is_refused(
    made: Path, command: Command, more: tuple[object, ...], named: str
):
    done = command(*SMALL, "--out", made, *more)
    _refused(done, f"'--out' {made} holds another fit", named)


def _refused(done: Outcome, *texts: str) -> None:
    assert done.code == 2
    assert done.out == ""
    line = " ".join(done.err.split())
    assert "Traceback" not in line
    for text in texts:
        assert text in line, line


@pytest.mark.parametrize(
    ("more", "texts"),
    [
        (("--free", "synapse_wieght"), ("calibrated parameter", "synapse_wieght", "synapse_weight")),
        (("--trial", "murrough-2031"), ("trial to fit", "murrough-2031", "murrough-2013")),
        (("--points", 1), ("points", "8 or more", "Got 1")),
        (("--replicates", 2), ("replicates", "8 or more")),
        (("--patients", 0), ("patients", "1 or more")),
        (("--steps", 10), ("steps", "100 or more")),
        (("--truths", -1), ("recoveries", "0 or more")),
        (("--set", "severity.synapse_weight_logit=1"), ("--set", "synapse_weight", "--free")),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(
    command: Command, tmp_path: Path, more: tuple[object, ...], texts: tuple[str, ...]
):
    folder = tmp_path / "new"
    _refused(command(*SMALL, "--out", folder, *more), *texts)
    assert not folder.exists()


def test_a_trial_that_was_kept_to_validate_is_refused_and_says_why(command: Command, tmp_path: Path):
    roles = {row.row_id: row.role.value for row in load_outcome_rows()}
    seen: dict[str, set[str]] = {}
    for run in load_replication():
        for name in run.protocols:
            seen.setdefault(name, set()).add(roles[run.row_id])
    kept = sorted(name for name, found in seen.items() if found == {"validate"})
    assert kept
    for name in kept[:3]:
        done = command("fit", "--out", tmp_path / "new", "--trial", name)
        _refused(done, name, "Rows kept for validation are never fitted")
    assert not (tmp_path / "new").exists()


def test_a_file_is_no_folder(command: Command, tmp_path: Path):
    place = tmp_path / "file"
    place.write_text("mine")
    _refused(command(*SMALL, "--out", place), "'--out' must be a new or empty folder", str(place))
    assert place.read_text() == "mine"


def test_a_folder_of_something_else_is_refused(command: Command, tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    _refused(command(*SMALL, "--out", tmp_path), "'--out' must be a new or empty folder")
    assert names_in(tmp_path) == ["notes.txt"]


def test_out_must_be_given(command: Command):
    done = command("fit")
    assert done.code == 2
    assert "--out" in done.err


def test_points_that_are_not_there_leave_no_folder_behind(command: Command, tmp_path: Path):
    done = command("fit", "--out", tmp_path / "new", "--from", "nope")
    assert done.code == 2
    assert "'--from' must be a folder of 'euthymia fit', or its points. Got nope." in done.err
    assert "euthymia-1" in done.err
    assert not (tmp_path / "new").exists()
