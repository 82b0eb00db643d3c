"""``euthymia brain``: the same numbers as a simulation, in every format; scenarios, connectomes, report."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from tests.cli.commands import INFUSION, Command, check_schema, check_stands_alone

from euthymia import simulate
from euthymia.evidence import fact_scenarios
from euthymia.evidence.fact_compare import compare_facts
from euthymia.evidence.fact_records import FactRow
from euthymia.evidence.fact_scenarios import compare_scenarios, network_rows
from euthymia.model.connectivity import change_names
from euthymia.model.connectome import load_connectome, read_off

WITHIN = "within_default_connectivity"
SOME = ("Q062", "Q066", "Q067", "Q068", "Q072", "Q074")


@pytest.fixture
def some_rows(monkeypatch: pytest.MonkeyPatch) -> tuple[FactRow, ...]:
    """Compare few facts, for speed; that all are found has a test of its own."""
    rows = tuple(row for row in network_rows() if row.row_id in SOME)
    monkeypatch.setattr(fact_scenarios, "network_rows", lambda: rows)
    return rows


def test_numbers_are_those_of_a_simulation(command: Command):
    done = command("brain", INFUSION, "--json", "--quiet")
    assert done.code == 0
    check_schema(done.json, "brain-1")
    moments = done.json["moments"]
    assert [one["name"] for one in moments] == ["before", "during", "1 d after", "7 d after"]
    assert [moments[place]["time_h"] for place in (0, 2, 3)] == [0.0, 24.0, 168.0]
    assert 40 <= moments[1]["time_h"] * 60 <= 46
    course = simulate(INFUSION, times_h=[0.0, 24.0, 168.0], variables=change_names())
    for name, health in done.json["health_r"].items():
        found = [moments[place]["r"][name] - health for place in (0, 2, 3)]
        np.testing.assert_allclose(found, course[f"{name}_change_r"][0], rtol=0, atol=2e-5, err_msg=name)


def test_another_dose_gives_other_numbers(command: Command):
    found = [
        command("brain", f"ketamine {dose} mg/kg iv over 40 min", "--json", "--quiet").json["moments"][1][
            "r"
        ][WITHIN]
        for dose in (0.1, 0.5, 1)
    ]
    assert found[0] > found[1] + 0.01 > found[2] + 0.011


def test_scenarios_differ_as_they_say(command: Command):
    before = {}
    for name in ("hyper", "hypo", "limbic"):
        document = command("brain", INFUSION, "--scenario", name, "--json", "--quiet").json
        before[name] = document["moments"][0]["r"]
        assert document["scenario"]["doubt"].startswith(("Disputed", "One reading"))
    health = read_off(load_connectome().correlation, load_connectome())
    assert before["hypo"][WITHIN] < health[WITHIN] - 0.02 < health[WITHIN] + 0.02 < before["hyper"][WITHIN]
    assert before["limbic"][WITHIN] == pytest.approx(float(health[WITHIN]), abs=0.01)
    subgenual = "default_to_subgenual_connectivity"
    assert before["limbic"][subgenual] > health[subgenual] + 0.005


def test_a_well_person_is_unchanged_before_the_drug(command: Command):
    document = command("brain", INFUSION, "--healthy", "--json", "--quiet").json
    for name, health in document["health_r"].items():
        assert document["moments"][0]["r"][name] == pytest.approx(health, abs=2e-3)


def test_csv_and_table_hold_the_same_numbers(command: Command, tmp_path: Path):
    rows = list(csv.DictReader(io.StringIO(command("brain", INFUSION, "--csv", "--quiet").out)))
    assert len(rows) == 4 * len(change_names())
    one = next(row for row in rows if row["observable"] == WITHIN and row["moment"] == "during")
    assert float(one["r_against_before"]) < -0.01
    shown = command("brain", INFUSION)
    assert f"{float(one['r']):.3f}" in shown.out
    assert "disputed" in shown.out
    assert "no attempt may be made to identify anybody" in shown.out
    file = tmp_path / "brain.csv"
    assert command("brain", INFUSION, "--out", file, "--quiet").code == 0
    assert list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8")))) == rows


def test_matrices_are_written_whole(command: Command, tmp_path: Path):
    file = tmp_path / "brain.npz"
    assert command("brain", INFUSION, "--out", file, "--quiet").code == 0
    with np.load(file) as held:
        assert held["moments"].tolist() == ["health", "before", "during", "1 d after", "7 d after"]
        assert held["correlation"].shape == (5, 100, 100)
        np.testing.assert_array_equal(held["correlation"][0], load_connectome().correlation)
        np.testing.assert_allclose(np.diagonal(held["correlation"], axis1=1, axis2=2), 1, atol=1e-10)
        levels = read_off(held["correlation"][2], load_connectome())
    document = command("brain", INFUSION, "--json", "--quiet").json
    for name, value in document["moments"][1]["r"].items():
        assert levels[name] == pytest.approx(value, abs=2e-7)


def test_ones_own_connectome(command: Command, tmp_path: Path):
    people, some = load_connectome(), np.arange(0, 100, 5)
    path = tmp_path / "own.npz"
    np.savez(path, fc=people.correlation[np.ix_(some, some)], networks=np.array(people.networks)[some])
    done = command("brain", INFUSION, "--connectome", path, "--json", "--quiet")
    check_schema(done.json, "brain-1")
    assert done.json["connectome"]["nodes"] == 20
    assert "default_to_subgenual_connectivity" not in done.json["health_r"]
    during, before = (done.json["moments"][place]["r"][WITHIN] for place in (1, 0))
    assert during < before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--scenario", "hyber"), "Unknown scenario 'hyber'. Did you mean 'hyper'"),
        (("--connectome", "schaefer-200"), "Unknown connectome 'schaefer-200'. Did you mean 'schaefer-100'"),
        (
            ("--set", "network.sign_relative=-1"),
            "'network.sign_relative' must be left to the scenario. Got -1",
        ),
        (("--out", "brain.mat"), "Unknown format of '--out' '.mat'"),
        (("--json", "--csv"), "both want standard output"),
    ],
)
def test_mistakes_are_named(command: Command, options: tuple[str, ...], message: str):
    done = command("brain", INFUSION, *options)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


@pytest.mark.slow
def test_scenarios_are_compared_with_facts_and_the_default_as_everywhere(some_rows: tuple[FactRow, ...]):
    found = compare_scenarios(["hyper", "limbic"])
    assert list(found["hyper"]) == list(compare_facts("mechanism", some_rows))
    by_row = {f"{one.row_id}{one.part}": one for one in found["limbic"]}
    assert by_row["Q072a"].verdict == "reproduced"
    assert by_row["Q072a"].simulated != next(o for o in found["hyper"] if o.row_id == "Q072").simulated
    assert [one.row_id for one in found["limbic"]] == [row.row_id for row in some_rows for _ in row.runs]


def test_every_row_about_networks_is_compared():
    assert {row.row_id for row in network_rows()} == {f"Q{number:03d}" for number in range(59, 78)}


@pytest.mark.slow
@pytest.mark.usefixtures("some_rows")
def test_the_report_stands_alone_and_shows_the_dispute(command: Command, tmp_path: Path):
    page = tmp_path / "brain.html"
    assert command("brain", INFUSION, "--report", page, "--quiet").code == 0
    html = page.read_text(encoding="utf-8")
    check_stands_alone(html)
    for text in ("Q066", "Q067", "Q068", "Q074", "disputed", "hypo", "limbic"):
        assert text in html
    assert html.count("plotly-graph-div") >= 4
