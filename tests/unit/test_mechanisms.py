"""Rival mechanisms: what their files say, and which may be joined."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from euthymia import simulate
from euthymia.dosing.notation import parse_regimen
from euthymia.errors import InvalidInputError, UnknownNameError
from euthymia.evidence.facts import load_mechanism_facts
from euthymia.model.mechanisms import DEFAULT_MECHANISM, find_mechanism, mechanisms, with_mechanisms
from euthymia.model.parameters import load_parameters
from euthymia.population.rivals import compare_mechanisms, experiments

INFUSION = "ketamine 0.5 mg/kg iv over 40 min"
ROUTES = ("direct", "habenula_trapping", "hnk", "trkb_binding")
"""Mechanisms that put a route of their own in the place of disinhibition."""
CONTRADICTORY = {
    *(frozenset(("disinhibition", one)) for one in (*ROUTES, "expectancy_only")),
    *(frozenset(("expectancy_only", one)) for one in (*ROUTES, "enantiomer")),
    frozenset(("mtor_bypassed", "mtor_required")),
}


def test_the_default_comes_first_and_changes_nothing():
    assert next(iter(mechanisms())) == DEFAULT_MECHANISM
    parameters = load_parameters()
    changed = with_mechanisms(parameters, [DEFAULT_MECHANISM])
    assert {key: row.value for key, row in changed.chain.items()} == {
        key: row.value for key, row in parameters.chain.items()
    }


@pytest.mark.parametrize("name", mechanisms())
def test_rows_that_a_mechanism_names_exist(name: str):
    one = find_mechanism(name)
    known = {fact.row_id for fact in load_mechanism_facts()}
    texts = (*one.evidence_for, *one.evidence_against, *one.separated_by)
    assert {text for text in texts if re.fullmatch(r"Q\d+", text)} <= known


@pytest.mark.parametrize("pair", list(combinations(mechanisms(), 2)), ids="+".join)
def test_two_mechanisms_are_joined_or_refused_with_the_switch(pair: tuple[str, str]):
    if frozenset(pair) in CONTRADICTORY:
        with pytest.raises(InvalidInputError, match=r"contradict each other: the first sets signalling\."):
            with_mechanisms(load_parameters(), pair)
        return
    joined = with_mechanisms(load_parameters(), pair)
    assert joined.mechanisms == pair
    for name in pair:
        for key, value in find_mechanism(name).overrides.items():
            assert joined.chain[key].value == value


def test_without_any_route_into_the_drive_only_expectancy_is_left():
    turned = find_mechanism("expectancy_only").overrides
    weights = {
        name for name in load_parameters().chain if re.fullmatch(r"signalling\..*_weight_fraction", name)
    }
    assert set(turned) == weights
    assert set(turned.values()) == {0.0}


@pytest.mark.slow
@pytest.mark.parametrize("name", mechanisms())
def test_a_mechanism_holds_for_virtual_patients_over_weeks(name: str):
    course = simulate(
        f"{INFUSION}, twice weekly x 2",
        days=28,
        patients=30,
        variables=["severity_fraction", "suicidal_ideation_fraction"],
        parameters=with_mechanisms(load_parameters(), [name]),
    )
    for values in course.values.values():
        assert np.all((values > 0.0) & (values < 1.0))


def test_unknown_mechanism_is_offered_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'direct'"):
        with_mechanisms(load_parameters(), ["dirct"])


def test_a_set_that_ends_at_concentrations_is_refused():
    with pytest.raises(InvalidInputError, match="needs the whole chain; the set 'kamp-2020' ends at"):
        with_mechanisms(load_parameters("kamp-2020"), ["direct"])


def test_a_result_names_the_mechanism_and_not_its_switches_as_overrides():
    parameters = with_mechanisms(load_parameters(), ["direct"]).with_overrides(
        {"pk.s_clearance_L_per_h": 60.0}
    )
    course = simulate(INFUSION, days=1, times_h=[0.0, 24.0], parameters=parameters)
    assert "mechanism direct" in course.provenance.covariates
    assert course.provenance.overrides == {"pk.s_clearance_L_per_h": 60.0}


def test_what_the_user_sets_wins_over_the_mechanism():
    parameters = with_mechanisms(load_parameters(), ["direct"])
    weight = {"signalling.direct_weight_fraction": 0.5}
    assert parameters.with_overrides(weight).chain["signalling.direct_weight_fraction"].value == 0.5


@pytest.fixture(scope="module")
def changes() -> dict[str, dict[str, tuple[float, ...]]]:
    """Return changes of MADRS on READ_DAYS by mechanism and experiment."""
    found = compare_mechanisms(parse_regimen(INFUSION), parameters=load_parameters())
    return {one.mechanism.name: dict(one.change_points) for one in found}


@pytest.mark.slow
def test_every_mechanism_answers_every_experiment(changes: dict[str, dict[str, tuple[float, ...]]]):
    assert list(changes) == list(mechanisms())
    for one in changes.values():
        assert list(one) == [experiment.id for experiment in experiments()]
        assert np.isfinite(list(one.values())).all()


@pytest.mark.slow
def test_expectancy_alone_does_nothing_unless_it_is_known(changes: dict[str, dict[str, tuple[float, ...]]]):
    one = changes["expectancy_only"]
    hopeful = {experiment.id for experiment in experiments() if experiment.setting != "none"}
    silent = [points for key, points_of in one.items() if key not in hopeful for points in points_of]
    assert max(abs(points) for points in silent) < 1e-6
    assert all(one[key][1] < -3.0 for key in hopeful)
    assert "told" in hopeful


@pytest.mark.slow
@pytest.mark.parametrize("name", ["disinhibition", "direct", "habenula_trapping"])
def test_a_closed_gate_takes_what_needs_synapses(name: str, changes: dict[str, dict[str, tuple[float, ...]]]):
    one = changes[name]
    assert one["trkb_blocked"][2] > 0.2 * one["as_given"][2]
    assert one["as_given"][2] < -1.5


@pytest.mark.slow
def test_what_is_trapped_acts_later_than_a_surge(changes: dict[str, dict[str, tuple[float, ...]]]):
    early = {
        name: one["as_given"][0] / one["as_given"][1] for name, one in changes.items() if one["as_given"][1]
    }
    assert early["habenula_trapping"] < 0.5 * early["disinhibition"]


def test_a_regimen_without_ketamine_is_refused():
    with pytest.raises(InvalidInputError, match="must be one with ketamine, esketamine or arketamine"):
        compare_mechanisms(parse_regimen("midazolam 2 mg im"), parameters=load_parameters())
