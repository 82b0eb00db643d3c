"""Trials on the command line: protocols listed, shown, written, run, gone on with, and their power."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars
import pytest
from tests.cli.commands import Command, check_schema, check_stands_alone

SMALL = """
schema: euthymia.protocol/1
id: small
title: A small trial
population: {entry: [{scale: MADRS, at_least: 20}]}
arms:
  active: {n: 8, dose: 0.5 mg/kg, regimen: "ketamine {dose} iv over 40 min", setting: saline}
  saline: {n: 8, regimen: "saline iv over 40 min", setting: saline, is_control: true}
visits: [{at: day 0}, {at: day 1}]
endpoints:
  fall: {kind: change, at: day 1, is_primary: true}
  better: {kind: response, at: day 1, imputation: failure}
conduct: {dropout: {share: 0.3, by: day 1}}
"""


def checked(schema: str, text: str) -> dict[str, Any]:
    """Return a JSON document after holding it against a shipped schema."""
    document = json.loads(text)
    check_schema(document, schema)
    return document


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL, encoding="utf-8")
    return path


def test_every_protocol_that_ships_is_listed(command: Command):
    from euthymia.trials.protocols import protocol_names

    document = checked("trials-1", command("trial", "list", "--json").out)
    assert [one["id"] for one in document["trials"]] == list(protocol_names())
    assert len(document["trials"]) >= 25
    shown = command("trial", "list").out
    assert all(name in shown for name in protocol_names())


def test_a_protocol_is_shown_with_arms_visits_endpoints_and_what_is_assumed(command: Command):
    shown = command("trial", "show", "murrough-2013").out
    for text in ("midazolam 0.045 mg/kg", "day 1", "MADRS change, day 1", "assumed: ", "entry: MADRS"):
        assert text in shown
    document = json.loads(command("trial", "show", "murrough-2013", "--json").out)
    assert document["schema"] == "euthymia.protocol/1"
    changed = command("trial", "show", "murrough-2013", "--set", "alpha=0.01", "--json").out
    assert json.loads(changed)["alpha"] == 0.01


def test_a_template_is_written_once_and_can_be_run(command: Command, tmp_path: Path):
    path = tmp_path / "my-trial.yaml"
    assert command("trial", "init", path).code == 0
    assert "can be run" in command("trial", "check", path).out
    again = command("trial", "init", path)
    assert again.code == 2
    assert "--force" in again.err
    assert command("trial", "init", path, "--from", "fava-2018", "--force").code == 0
    assert "fava-2018" in command("trial", "check", path).out


def test_the_schema_of_protocols_is_the_one_that_ships(command: Command):
    from euthymia.tables import read_text

    assert json.loads(command("trial", "schema").out) == json.loads(
        read_text("schemas/protocol-1.schema.json")
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "fava-2081"), "Did you mean 'fava-2018'"),
        (("run", "nowhere.yaml"), "Cannot read the protocol"),
        (("run", "SMALL", "--replicates", 0), "'--replicates' must be 1 or more"),
        (("run", "SMALL", "--set", "arms.active.n=0"), "arms.active.n"),
        (("run", "SMALL", "--set", "arms.activ.n=3"), "Did you mean 'active'"),
        (("run", "SMALL", "--set", "endpoints.fall.at=day 3"), "no visit rates MADRS at day 3"),
        (("run", "SMALL", "--set", "severity.episode=0.5"), "Unknown parameter"),
        (("run", "SMALL", "--set", "arm.active.n=3"), "Did you mean arms?"),
        (("run", "SMALL", "--json", "--csv"), "'--json' and '--csv'"),
        (("run", "SMALL", "--parameters", "nothing"), "Unknown parameter set"),
        (("run", "SMALL", "--out", "result.txt"), "'--out'"),
        (("power", "SMALL", "--n", "3"), "'--n' must be N, LOW:HIGH"),
        (("power", "SMALL", "--n", "30:20"), "'--n' must be N, LOW:HIGH"),
        (("power", "SMALL", "--endpoint", "fal"), "Did you mean 'fall'"),
        (("power", "bio-k"), "control"),
        (("check", "SMALL", "--set", "design=cross"), "design"),
        (("init", "mine.txt"), "'FILE' must be a name that ends in .yaml"),
        (("init", "mine.yaml", "--from", "fava"), "Unknown protocol"),
    ],
)
def test_bad_input_names_the_field_and_what_is_allowed(
    command: Command, small: Path, words: tuple[Any, ...], said: str
):
    done = command("trial", *(small if word == "SMALL" else word for word in words))
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err
    assert not done.out


def test_a_run_is_json_csv_and_a_page(command: Command, small: Path, tmp_path: Path):
    page = tmp_path / "trial.html"
    done = command("trial", "run", small, "--replicates", 3, "--json", "--report", page, "--quiet")
    document = checked("trial-1", done.out)
    assert document["protocol"]["id"] == "small"
    html = page.read_text(encoding="utf-8")
    check_stands_alone(html)
    for text in ("Flow of patients", "Arms over time", "assumed", "not a medical device", "calibrated"):
        assert text.lower() in html.lower()
    table = polars.read_csv(
        command("trial", "run", small, "--replicates", 3, "--csv", "--quiet").out.encode()
    )
    assert set(table["endpoint"]) == {"fall", "better"}


def test_same_bytes_with_one_process_and_two(command: Command, small: Path):
    run = ("trial", "run", small, "--replicates", 4, "--seed", 5, "--json", "--quiet")
    assert command(*run, "--workers", 1).out == command(*run, "--workers", 2).out
    assert command(*run).out != command("trial", "run", small, "--replicates", 4, "--json", "--quiet").out


def test_what_set_changes_changes_what_comes_out(command: Command, small: Path):
    run = ("trial", "run", small, "--replicates", 6, "--json", "--quiet")
    usual, larger = (
        checked("trial-1", command(*run, *more).out) for more in ((), ("--set", "arms.active.dose=1.0 mg/kg"))
    )
    assert usual["protocol"]["digest"] != larger["protocol"]["digest"]
    assert mean_fall(larger) < mean_fall(usual)


def mean_fall(document: dict[str, Any]) -> float:
    (found,) = (
        one["mean"]
        for one in document["estimates"]
        if (one["endpoint"], one["arm"], one["measure"]) == ("fall", "active", "mean")
    )
    return found


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_bytes(command: Command, tmp_path: Path):
    run = ["trial", "run", "lapidus-2014", "--replicates", "200", "--workers", "2", "--quiet"]
    folder, whole = tmp_path / "killed", tmp_path / "whole"
    words = [sys.executable, "-c", "from euthymia.cli.main import run; run()", *run, "--out", str(folder)]
    child = subprocess.Popen(words, env=os.environ, stdout=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 120.0
    while not list((folder / "replicates").glob("batch-*.json")) and time.monotonic() < deadline:
        assert child.poll() is None, "ended before it was killed"
        time.sleep(0.02)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    kept = len(list((folder / "replicates").glob("batch-*.json")))
    assert command(*run, "--out", folder).code == 0
    assert command(*run, "--out", whole).code == 0
    assert 0 < kept < len(list((whole / "replicates").glob("batch-*.json")))
    for path in whole.rglob("*.json"):
        assert (folder / path.relative_to(whole)).read_bytes() == path.read_bytes()
    other = command(*run, "--out", folder, "--seed", 2)
    assert other.code == 2
    assert "seed" in other.err


def test_power_grows_with_size_and_is_json_and_a_page(command: Command, small: Path, tmp_path: Path):
    page = tmp_path / "power.html"
    words = ("trial", "power", small, "--n", "4:16:6", "--replicates", 40, "--quiet")
    document = checked("power-1", command(*words, "--json", "--report", page).out)
    (curve,) = document["curves"]
    assert curve["sizes"] == [4, 10, 16]
    assert curve["power"][0] < curve["power"][-1]
    assert all(
        low <= power <= high
        for low, power, high in zip(curve["low"], curve["power"], curve["high"], strict=True)
    )
    check_stands_alone(page.read_text(encoding="utf-8"))
    assert "n per arm" in command(*words).out


LOOKS = ("--set", "looks.fractions=[0.5, 1]")


def test_each_look_has_a_row_of_its_own_and_a_boundary(command: Command, small: Path):
    shown = command("trial", "run", small, *LOOKS, "--quiet").out
    lines = [line.split() for line in shown.splitlines() if " % of patients" in line and "boundary" in line]
    assert ["50", "100"] == [line[line.index("at") + 1] for line in lines]
    assert lines[0][-1] == "±2.96"  # Lan & DeMets 1983, two looks by O'Brien and Fleming's spending
    assert lines[1][-1] == "±1.97"
    document = checked("trial-1", command("trial", "run", small, *LOOKS, "--quiet", "--json").out)
    one = [each["p50"] for each in document["estimates"] if each["measure"].startswith("z at ")]
    assert len(one) == 2
    assert one[0] != one[1]


def test_a_ratio_over_replicates_is_its_median(command: Command, small: Path):
    run = ("trial", "run", small, "--replicates", 7, "--quiet")
    document = checked("trial-1", command(*run, "--json").out)
    (ratio,) = (one for one in document["estimates"] if one["measure"] == "odds ratio")
    (line,) = (line for line in command(*run).out.splitlines() if "odds ratio" in line)
    assert f" {ratio['p50']:.2f} " in line
    assert ratio["p50"] != ratio["mean"]


def test_a_protocol_is_shown_with_all_that_tables_do_not_say(command: Command, small: Path):
    changes = {
        "randomisation": "{strata: [MADRS >= 30], blocks: [4]}",
        "conduct.missed_session": "0.04",
        "conduct.hold": "{systolic_mmHg: 160}",
        "conduct.dropout.per_10_points": "1.5",
        "looks.fractions": "[0.5, 1]",
        "visits": "[{at: day 0}, {at: day 1, window: 2 h}, {at: day 7, window: 1 d}]",
    }
    words = [word for path, value in changes.items() for word in ("--set", f"{path}={value}")]
    shown = command("trial", "show", small, *words).out
    for text in (
        "randomisation: strata MADRS >= 30; blocks of 4",
        "leaving: 30 % by day 1 of those who stay as ill; times 1.5 for every 10 points more",
        "missed: 4 % of sessions",
        "held: a session with systolic 160 mmHg or more before it",
        "looks: at 50 %, 100 % of patients, spending obrien-fleming",
        "± 1 d",
        "± 2 h",
    ):
        assert text in shown
    for name, text in {
        "zarate-2006": "a period starts every 8 d",
        "sustain-1": "compared is who has stable remission (12 or less) there",
        "transform-2": "doses of flexible: 1, 1.5 times what the regimen says, from day 3 to day 14",
    }.items():
        assert text in command("trial", "show", name).out


def test_power_says_of_what_it_is(command: Command, small: Path):
    words = ("power", "--n", "4:8:4", "--replicates", 5)
    crossover = command("trial", words[0], "zarate-2006", *words[1:])
    assert "n in all" in crossover.out
    uneven = command("trial", words[0], small, *words[1:], *LOOKS, "--set", "arms.saline.n=4")
    assert "Formula: from the mean effect" in uneven.out
    assert "interim looks are not in it" in uneven.err
    assert "not 2:1 as in the file" in uneven.err


SEVERAL = "ketamine {dose} iv over 40 min, twice weekly x 6"


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        (("looks", "missed_session"), ()),
        (("flexible", "rescue", "switch"), (f"arms.high.regimen={SEVERAL}",)),
        (
            ("crossover",),
            (
                "design=crossover",
                "arms.high.n=null",
                "arms.control.n=null",
                "endpoints.madrs-day-1.analysis=paired",
            ),
        ),
    ],
)
def test_what_is_commented_out_in_the_template_can_be_used(
    command: Command, tmp_path: Path, fields: tuple[str, ...], changes: tuple[str, ...]
):
    path = tmp_path / "mine.yaml"
    command("trial", "init", path)
    text = path.read_text(encoding="utf-8")
    for field in fields:
        assert f"# {field}: " in text
        text = text.replace(f"# {field}: ", f"{field}: ")
    path.write_text(text, encoding="utf-8")
    words = [word for one in changes for word in ("--set", one)]
    done = command("trial", "check", path, *words)
    assert "can be run" in done.out, done.err
