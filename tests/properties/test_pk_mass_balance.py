"""Claim: moles are conserved; what has been given is somewhere, at any time, by every route."""

from __future__ import annotations

import numpy as np
import pytest
from tests.registry import COMBINATIONS, Combination, every, model_of

from euthymia.engine.linear import Input, LinearSystem, respond

TIMES = np.concatenate([[0.0], np.geomspace(1e-3, 30.0, 40), np.linspace(31.0, 100.0, 5)])
STRICT = 1e-12  # of what has been given in all


def holding_nodes(system: LinearSystem, inputs: list[Input]) -> list[str]:
    """Return the nodes that drug flows into; those fed by observing flows only are left out."""
    reached = {item.node for item in inputs}
    while True:
        more = {
            t for s, t, _, depletes in system.flows if depletes and t is not None and s in reached
        } - reached
        if not more:
            return [name for name in system.nodes if name in reached]
        reached |= more


def given_so_far(inputs: list[Input], count: int) -> np.ndarray:
    """Return what has entered by each time, (P, T), from the inputs alone."""
    total = np.zeros((count, len(TIMES)))
    for item in inputs:
        start = np.broadcast_to(item.start_h + np.asarray(item.lag_h, float), (count,))[:, None]
        duration = np.broadcast_to(np.asarray(item.duration_h, float), (count,))[:, None]
        length = np.where(duration > 0, duration, 1.0)
        share = np.where(duration > 0, np.clip((TIMES - start) / length, 0.0, 1.0), TIMES >= start)
        total += item.amount[:, None] * share
    return total


def imbalance(combination: Combination, numbers: list[int] | None) -> tuple[np.ndarray, np.ndarray]:
    """Return |inside - given| over all that is given, (P, T), and which patients took the fallback."""
    doses = [*combination.doses(0.0), *combination.doses(7.5, factor=0.4)]
    model = model_of(combination, doses, numbers=numbers)
    inputs, system = list(model.inputs), model.system
    response = respond(system, inputs, TIMES, {name: {name: 1.0} for name in holding_nodes(system, inputs)})
    inside = sum(response.values.values())
    given = given_so_far(inputs, system.patient_count)
    return np.abs(inside - given) / given[:, -1:], response.by_exponential


@every()
def test_moles_are_conserved_at_any_time(combination: Combination):
    off, _ = imbalance(combination, None)
    assert off.max() <= STRICT


@every()
def test_moles_are_conserved_in_virtual_patients(combination: Combination):
    # Where rates nearly meet the engine allows itself 1e-12 in each node, of which there are some ten.
    off, _ = imbalance(combination, list(range(1, 13)))
    assert off.max() <= 5e-12
    assert np.median(off.max(axis=1)) <= STRICT


@pytest.mark.parametrize("combination", [one for one in COMBINATIONS if one.set == "composed"], ids=str)
def test_the_whole_dose_is_accounted_for(combination: Combination):
    """What is not absorbed is counted too, in the node 'elsewhere'."""
    model = model_of(combination, combination.doses())
    entered = sum(item.amount for item in model.inputs)
    np.testing.assert_allclose(entered, model.given_umol, rtol=1e-14)


def test_only_the_vein_observes_in_the_composed_set():
    combination = next(one for one in COMBINATIONS if one.set == "composed" and one.drug == "ketamine")
    model = model_of(combination, combination.doses())
    holding = holding_nodes(model.system, list(model.inputs))
    assert set(model.system.nodes) - set(holding) == {"S.ketamine.vein", "R.ketamine.vein"}


def test_an_observer_takes_nothing_from_what_it_reads():
    combination = next(one for one in COMBINATIONS if one.set == "composed" and one.drug == "ketamine")
    model = model_of(combination, combination.doses())
    system = model.system
    from euthymia.engine.linear import assemble

    rest = [(s, t, rate, d) for s, t, rate, d in system.flows if "vein" not in f"{s}{t}"]
    weights = {"c": model.observed["s_ketamine_arterial"]}
    with_vein = respond(system, model.inputs, TIMES, weights).values["c"]
    without = respond(assemble(rest, 1), model.inputs, TIMES, weights).values["c"]
    np.testing.assert_allclose(with_vein, without, rtol=0, atol=1e-14 * with_vein.max())
