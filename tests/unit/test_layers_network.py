"""Couplings of the default mode network: read-outs of deficit, belief, AMPA and the drug."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.registry import LAYERS, STATELESS, typical
from tests.strategies import concentrations, fractions, layer_parameters

from euthymia import simulate
from euthymia.engine.maths import NUMPY
from euthymia.mechanism.network import coupling

TYPICAL = typical("network")
HEALTH = coupling.Inputs(0.0, 0.0, 0.0, 0.0)
EPISODE = HEALTH._replace(deficit_relative=1.0, belief_fraction=1.0)


def coupled(inputs: coupling.Inputs, p: coupling.Parameters = TYPICAL) -> coupling.Outputs:
    return coupling.outputs(NUMPY, inputs, p)


@st.composite
def brains(draw: st.DrawFn) -> coupling.Inputs:
    """Any deficit, belief, AMPA and concentration."""
    return coupling.Inputs(
        deficit_relative=draw(st.floats(-0.5, 4.0)),
        belief_fraction=draw(fractions()),
        ampa_fraction=draw(fractions()),
        s_ketamine_site_umol_per_L=draw(concentrations()),
    )


@given(parameters=layer_parameters("network"))
def test_in_health_without_drug_nothing_is_changed(parameters: coupling.Parameters):
    assert tuple(coupled(HEALTH, parameters)) == (0.0, 0.0)


@given(inputs=brains(), parameters=layer_parameters("network"))
def test_no_change_passes_its_ceiling(inputs: coupling.Inputs, parameters: coupling.Parameters):
    within, between = coupled(inputs, parameters)
    assert abs(within) <= parameters.within_ceiling_fraction
    assert abs(between) <= parameters.between_ceiling_fraction


@given(inputs=brains(), parameters=layer_parameters("network"))
def test_the_disputed_sign_turns_what_depression_changes(
    inputs: coupling.Inputs, parameters: coupling.Parameters
):
    undrugged = inputs._replace(s_ketamine_site_umol_per_L=0.0)
    one, other = (
        coupled(undrugged, parameters._replace(sign_relative=sign * parameters.sign_relative))
        for sign in (1.0, -1.0)
    )
    np.testing.assert_allclose(one, -np.array(other), rtol=1e-13, atol=0)


def test_in_the_episode_coupling_within_is_raised_and_between_lowered_where_the_sign_is_plus():
    within, between = coupled(EPISODE)
    p = TYPICAL
    assert within == pytest.approx(
        p.within_ceiling_fraction * np.tanh(p.within_by_synapses_relative + p.within_by_belief_relative),
        rel=1e-13,
    )
    assert between == pytest.approx(
        -p.between_ceiling_fraction * np.tanh(p.between_by_synapses_relative), rel=1e-13
    )
    hypoconnected = coupled(EPISODE, p._replace(sign_relative=-1.0))
    assert hypoconnected.within_default_coupling_change_fraction < 0.0 < within


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_during_a_session_coupling_within_falls_and_between_rises_whatever_the_sign(sign: float):
    p = TYPICAL._replace(sign_relative=sign)
    site = np.geomspace(0.01, 10.0, 50)
    within, between = coupled(EPISODE._replace(s_ketamine_site_umol_per_L=site), p)
    assert np.all(np.diff(within) < 0.0)
    assert np.all(np.diff(between) > 0.0)


def test_half_of_the_acute_change_comes_at_the_half_effect_concentration():
    at_half = coupled(HEALTH._replace(s_ketamine_site_umol_per_L=TYPICAL.half_effect_umol_per_L))
    assert at_half.within_default_coupling_change_fraction == pytest.approx(
        -TYPICAL.within_ceiling_fraction * np.tanh(0.5 * TYPICAL.within_by_drug_relative), rel=1e-13
    )


def test_ampa_takes_back_what_depression_changes():
    ampa = np.linspace(0.0, 1.0, 20)
    within, between = (np.abs(one) for one in coupled(EPISODE._replace(ampa_fraction=ampa)))
    assert np.all(np.diff(within) < 0.0)
    assert np.all(np.diff(between) <= 0.0)


def test_layers_without_a_state_are_those_tested_here_and_with_the_comparators():
    assert set(STATELESS) == {"network", "gaba"}
    assert not set(STATELESS) & set(LAYERS)
    assert not any(hasattr(layer, "rates") for layer in STATELESS.values())


def test_couplings_can_be_asked_of_a_run():
    course = simulate(
        "ketamine 0.5 mg/kg iv over 40 min",
        days=1,
        times_h=[0.0, 0.6, 24.0],
        variables=list(coupling.Outputs._fields),
    )
    within = course["within_default_coupling_change_fraction"][0]
    between = course["default_to_others_coupling_change_fraction"][0]
    assert within[0] > within[2] > within[1]
    assert between[0] < between[2] < between[1]
