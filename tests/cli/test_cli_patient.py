"""One virtual patient on the command line: the same alone as in a run, as a table and as JSON."""

from __future__ import annotations

import numpy as np
import pytest
from tests.cli.commands import Command, check_schema

from euthymia.model.parameters import load_parameters
from euthymia.population.covariates import sample_patients
from euthymia.population.individual import chain_values, individual_values
from euthymia.population.marginals import populations
from euthymia.population.patient import numbers_of
from euthymia.population.screening import ratings_before


@pytest.mark.parametrize("population", populations())
def test_patient_17_is_the_17th_of_a_cohort_in_every_number(command: Command, population: str):
    shown = command("patient", 17, "--seed", 3, "--population", population, "--json").json
    check_schema(shown, "patient-1")
    cohort = sample_patients(30, population=population, seed=3)
    for one in shown["covariates"]:
        own = getattr(cohort[16], one["field"])
        own = list(own) if isinstance(own, tuple) else own
        assert one["value"] == (pytest.approx(own, abs=0.05) if isinstance(own, float) else own)
    assert shown["population"]["name"] == population


def test_parameters_shown_are_those_of_a_run_and_all_that_are_not_typical(command: Command):
    shown = {one["name"]: one for one in command("patient", 17, "--seed", 3, "--json").json["individual"]}
    parameters, numbers = load_parameters(), np.arange(1, 31)
    people = sample_patients(30, seed=3)
    for rows, draw in ((parameters.rows, individual_values), (parameters.chain, chain_values)):
        values = draw(parameters, people, numbers=numbers, seed=3)
        for name, row in rows.items():
            value = np.broadcast_to(values[name], (30,))[16]
            assert (row.name in shown) == (value != row.value), name
            if row.name in shown:
                assert shown[row.name]["value"] == value
                assert (shown[row.name]["typical"], shown[row.name]["unit"]) == (row.value, row.unit)


def test_a_rank_is_the_share_of_virtual_patients_below(command: Command):
    name = "severity.synapse_weight_logit"
    ranks, values = [], []
    for number in range(1, 13):
        shown = command("patient", number, "--json").json["individual"]
        (one,) = [row for row in shown if row["name"] == name]
        ranks.append(one["rank_fraction"])
        values.append(one["value"])
    own = chain_values(load_parameters(), sample_patients(4000, seed=1), numbers=np.arange(1, 4001), seed=1)[
        name
    ]
    for rank, value in zip(ranks, values, strict=True):
        assert rank == pytest.approx((own < value).mean(), abs=4 * 0.5 / np.sqrt(4000))
    assert len(set(ranks)) == len(ranks)


def test_first_ratings_are_those_that_a_trial_would_screen_by(command: Command):
    shown = command("patient", 17, "--seed", 3, "--json").json["ratings"]
    assert [one["scale"] for one in shown] == ["MADRS", "HAM-D17", "QIDS-SR16"]
    for one in shown:
        total = ratings_before(load_parameters(), [one["scale"]], [0.0], numbers=np.array([17]), seed=3)
        assert one["total_points"] == total[0][0]


def test_the_table_holds_person_ratings_and_every_layer(command: Command):
    done = command("patient", 17, "--seed", 3)
    assert done.code == 0
    assert done.out.startswith(
        "Virtual patient 17, seed 3, parameters composed\nAdults with treatment-resist"
    )
    for text in ("person", "Weight", "rated at the start", "MADRS", "pk", "s_clearance_L_per_h", "severity"):
        assert text in done.out
    assert "recorded only" in next(line for line in done.out.splitlines() if "Failed trials" in line)
    assert "recorded only" not in next(line for line in done.out.splitlines() if " Weight " in line)
    assert done.out.endswith("Simulated. Research software, not a medical device; no dosing advice.\n")


def test_a_patient_of_a_later_replicate_says_so(command: Command):
    number = int(numbers_of(3, [5])[0])
    assert f"Virtual patient {number} (patient 5 of replicate 3), seed 1" in command("patient", number).out
    shown = command("patient", number, "--json").json
    assert (shown["replicate"], shown["patient"]) == (3, 5)


def test_an_override_moves_what_it_names(command: Command):
    field = "severity.episode_severity_fraction"
    before, after = (
        {one["name"]: one for one in command("patient", 17, *more, "--json").json["individual"]}
        for more in ((), ("--set", f"{field}=0.4"))
    )
    assert after[field]["typical"] == 0.4
    assert after[field]["rank_fraction"] == before[field]["rank_fraction"]
    assert {name for name in before if before[name] != after[name]} == {field}


def test_a_set_that_ends_at_concentrations_has_no_ratings(command: Command):
    shown = command("patient", 17, "--parameters", "kamp-2020", "--json").json
    check_schema(shown, "patient-1")
    assert shown["ratings"] == []
    assert "ends at concentrations" in command("patient", 17, "--parameters", "kamp-2020").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("0",), "'NUMBER' must be from 1 to 2**63 - 1. Got 0. Patients count from 1."),
        ((str(2**63),), "'NUMBER' must be from 1"),
        (("1", "--seed", "-1"), "'--seed' must be 0 or more"),
        (("1", "--population", "adults"), "Unknown population 'adults'. Did you mean 'trd-adult'"),
        (("1", "--parameters", "compsed"), "Unknown parameter set 'compsed'"),
    ],
)
def test_bad_input_is_said_and_ends_with_2(command: Command, arguments: tuple[str, ...], message: str):
    done = command("patient", *arguments)
    assert done.code == 2
    assert message in done.err
    assert not done.out
