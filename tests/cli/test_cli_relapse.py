"""Time to relapse: what is refused, how maintenance is written, what table, JSON and report hold."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.commands import INFUSION, Command, Outcome, check_schema, check_stands_alone

from euthymia.population.outcomes import relapse_rules

TREATED = f"{INFUSION}, weekly x 2"
RELAPSE = ("--outcome", "relapse", "--patients", 12, "--days", 36, "--quiet")


def followed(command: Command, *options: object, regimen: str = TREATED) -> Outcome:
    return command("simulate", regimen, *RELAPSE, *options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--outcome", "relaps"), "Did you mean 'relapse'"),
        (("--maintenance", "weekly x 4"), "'--maintenance' must be given with '--outcome relapse'"),
        ((*RELAPSE, "--csv"), "Leave '--csv' and '--out' out"),
        ((*RELAPSE, "--out", "never.json"), "Leave '--csv' and '--out' out"),
        ((*RELAPSE, "--engine", "reference"), "'--engine' must be numpy"),
        ((*RELAPSE, "--concentrations"), "this run ends at concentrations"),
        ((*RELAPSE, "--maintenance", "now and then"), "now"),
    ],
)
def test_what_cannot_be_followed_is_refused(command: Command, options: tuple[object, ...], said: str):
    done = command("simulate", TREATED, *options)
    assert done.code == 2
    assert said in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("regimen", "found"),
    [("escitalopram 10 mg, daily x 14", 0), (f"{INFUSION}; esketamine 84 mg intranasal at 7 d", 2)],
)
def test_maintenance_needs_one_clause_that_gives_a_ketamine(command: Command, regimen: str, found: int):
    done = followed(command, "--maintenance", "weekly x 4", regimen=regimen)
    assert done.code == 2
    assert "gives a ketamine" in done.err or "one that gives a ketamine" in done.err
    if found:
        assert f"Got {found} of them" in done.err


def test_end_of_treatment_needs_a_ketamine(command: Command):
    done = followed(command, regimen="escitalopram 10 mg, daily x 14")
    assert done.code == 2
    assert "must be one that gives a ketamine" in done.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("maintenance", "regimen", "sessions"),
    [
        ("weekly x 3", "weekly x 2 then weekly x 3", 3),
        ("weekly x 2 then every 2 weeks x 1", "weekly x 2 then weekly x 2 then every 2 weeks x 1", 3),
        ("every 10 days x 2", "weekly x 2 then every 10 days x 2", 2),
    ],
)
def test_maintenance_follows_the_regimen(command: Command, maintenance: str, regimen: str, sessions: int):
    stopped, going_on = followed(command, "--maintenance", maintenance, "--json").json["arms"]
    assert stopped["label"] == "stopped"
    assert stopped["sessions_per_year"] == 0
    assert going_on["label"] == maintenance
    assert going_on["regimen"].endswith(regimen)
    assert going_on["sessions_per_year"] == pytest.approx(sessions / (36 - 8) * 365, rel=1e-12)


@pytest.mark.slow
def test_doses_on_demand_are_fewer_than_the_visits_at_which_they_may_be_given(command: Command):
    document = followed(command, "--maintenance", "on demand weekly x 3", "--json").json
    on_demand = document["arms"][1]
    assert on_demand["label"] == "on demand weekly x 3"
    assert 0 < on_demand["sessions_per_year"] < 3 / (36 - 8) * 365


@pytest.mark.slow
def test_compared_regimen_is_an_arm_seen_from_the_same_day(command: Command):
    other = f"{INFUSION}, weekly x 3"
    document = followed(command, "--compare", other, "--json").json
    assert [arm["label"] for arm in document["arms"]] == ["stopped", other]
    assert document["from_day"] == 8


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--maintenance", "on demand weekly x 3", "--life-events")])
def test_json_obeys_its_schema_and_holds_every_definition(command: Command, options: tuple[object, ...]):
    document = followed(command, "--json", *options).json
    check_schema(document, "relapse-1")
    for arm in document["arms"]:
        assert [one["definition"] for one in arm["definitions"]] == list(relapse_rules())
        for one in arm["definitions"]:
            shares = one["share_well"]
            assert len(one["days"]) == len(shares) == len(one["share_well_low"])
            assert shares == sorted(shares, reverse=True)
            assert one["relapsed"] <= one["entered"] <= document["patients"]


def test_schema_refuses_a_share_above_one(command: Command):
    import jsonschema

    document = followed(command, "--json").json
    document["arms"][0]["definitions"][0]["share_well"] = [1.5]
    with pytest.raises(jsonschema.ValidationError):
        check_schema(document, "relapse-1")


def test_nobody_who_responds_leaves_null_and_not_a_number(command: Command):
    done = followed(
        command, "--json", "--setting", "none", "--seed", 3, regimen="ketamine 0.01 mg/kg iv over 40 min"
    )
    document = done.json
    check_schema(document, "relapse-1")
    empty = [one for one in document["arms"][0]["definitions"] if one["entered"] == 0]
    assert empty
    assert all(one["hazard_per_day_first_8_weeks"] is None and one["days"] == [] for one in empty)


@pytest.mark.slow
def test_table_names_definitions_and_says_what_it_rests_on(command: Command):
    done = followed(command, "--maintenance", "weekly x 3")
    assert done.code == 0
    for name in relapse_rules():
        assert done.out.count(f" {name} ") >= 2
    assert "without events of life" in done.out
    assert "Give '--life-events'" in done.out
    assert "Relapse is not calibrated" in done.out
    assert "Research software" in done.out


def test_life_events_and_entry_are_said(command: Command):
    done = followed(command, "--life-events", "--entry-madrs", 28)
    assert "MADRS of 28 or more at the start" in done.out
    assert ", with events of life" in done.out
    assert "Give '--life-events'" not in done.out


@pytest.mark.slow
def test_same_seed_gives_the_same_document(command: Command):
    first, second = (followed(command, "--json", "--life-events").out for _ in range(2))
    assert first == second


@pytest.mark.slow
def test_report_has_a_figure_and_a_table_for_each_definition(command: Command, tmp_path: Path):
    path = tmp_path / "relapse.html"
    done = followed(command, "--maintenance", "weekly x 3", "--report", path)
    assert done.code == 0
    html = path.read_text(encoding="utf-8")
    check_stands_alone(html)
    assert "Still well" in html
    assert "Kaplan-Meier" in html
    assert "Relapse is not calibrated" in html
    for name in relapse_rules():
        assert name in html
