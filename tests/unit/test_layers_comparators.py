"""Comparators alone: adaptation to an antidepressant, midazolam, GABA-A receptors, ECT."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from scipy.integrate import solve_ivp
from tests.registry import layer_course, typical
from tests.strategies import concentrations, fractions, layer_parameters

from euthymia.engine.linear import Input, assemble, respond
from euthymia.engine.maths import NUMPY
from euthymia.mechanism.circuit import steady
from euthymia.mechanism.comparators import ect, gaba, midazolam, ssri
from euthymia.model.chain import node, node_constants
from euthymia.model.parameters import load_parameters

# --- antidepressants -------------------------------------------------------------------------------

TYPICAL = typical("ssri")
TIMES_H = np.linspace(0.0, 42 * 24.0, 43)


def test_adaptation_follows_occupancy_by_one_exponential():
    found = layer_course("ssri", ssri.initial(), TYPICAL, TIMES_H, ssri.Inputs(0.8))
    expected = 0.8 * (1.0 - np.exp(-TIMES_H / TYPICAL.adaptation_time_h))
    np.testing.assert_allclose(found.adaptation_fraction, expected, rtol=1e-9, atol=1e-12)


def test_the_time_constant_is_when_63_percent_is_reached():
    times_h = [0.0, TYPICAL.adaptation_time_h]
    found = layer_course("ssri", ssri.initial(), TYPICAL, times_h, ssri.Inputs(1.0))
    assert found.adaptation_fraction[-1] == pytest.approx(1.0 - np.exp(-1.0), rel=1e-9, abs=0)


def test_four_sevenths_of_the_plateau_are_reached_on_day_3():
    """LePoul1995 (mechanism rows Q086, Q087): 40 % of autoreceptors at day 3, plateau 70 %."""
    found = layer_course("ssri", ssri.initial(), TYPICAL, [0.0, 72.0], ssri.Inputs(1.0))
    assert found.adaptation_fraction[-1] == pytest.approx(40 / 70, abs=0.01)  # whole percents printed


def test_adaptation_fades_when_the_drug_is_stopped():
    found = layer_course("ssri", ssri.State(0.8), TYPICAL, TIMES_H, ssri.Inputs(0.0))
    np.testing.assert_allclose(
        found.adaptation_fraction, 0.8 * np.exp(-TIMES_H / TYPICAL.adaptation_time_h), rtol=1e-8, atol=1e-12
    )


@given(occupancy=fractions(), parameters=layer_parameters("ssri"))
def test_adaptation_cannot_leave_0_to_1(occupancy: float, parameters: ssri.Parameters):
    given_now = ssri.Inputs(occupancy)
    assert ssri.rates(NUMPY, ssri.State(0.0), given_now, parameters).adaptation_fraction >= 0.0
    assert ssri.rates(NUMPY, ssri.State(1.0), given_now, parameters).adaptation_fraction <= 0.0


def test_without_an_antidepressant_nothing_moves():
    assert ssri.rates(NUMPY, ssri.initial(), ssri.Inputs(0.0), TYPICAL) == ssri.State(0.0)


# --- midazolam -------------------------------------------------------------------------------------

BODY = typical("midazolam")
INFUSION_H = 40.0 / 60.0
AMOUNT_UMOL = np.array([9.7])
"""About 0.045 mg/kg in 70 kg."""


def by_hand(times_h: np.ndarray, p: midazolam.Parameters = BODY) -> np.ndarray:
    """Return amounts (central, fast, slow) and the site under an infusion, (4, T), by SciPy."""

    def flow(time_h: float, y: np.ndarray, given_per_h: float) -> list[float]:
        del time_h
        plasma, fast, slow = y[0] / p.central_volume_L, y[1] / p.fast_volume_L, y[2] / p.slow_volume_L
        to_fast, to_slow = p.fast_flow_L_per_h * (plasma - fast), p.slow_flow_L_per_h * (plasma - slow)
        into_plasma = given_per_h - to_fast - to_slow - p.clearance_L_per_h * plasma
        return [into_plasma, to_fast, to_slow, p.equilibration_rate_per_h * (plasma - y[3])]

    rate = float(AMOUNT_UMOL[0]) / INFUSION_H
    found = np.zeros((4, len(times_h)))
    start = np.zeros(4)
    for span, given_per_h in (((0.0, INFUSION_H), rate), ((INFUSION_H, float(times_h[-1])), 0.0)):
        asked = (times_h >= span[0]) & (times_h <= span[1])
        part = solve_ivp(
            flow, span, start, "DOP853", dense_output=True, args=(given_per_h,), rtol=1e-11, atol=1e-13
        )
        found[:, asked] = part.sol(times_h[asked])
        start = part.y[:, -1]
    return found


def modelled(times_h: np.ndarray, outputs: Any, *, integrated: bool = False) -> dict[str, np.ndarray]:
    given = Input(midazolam.CENTRAL, AMOUNT_UMOL, 0.0, INFUSION_H)
    system = assemble(midazolam.flows(BODY), 1)
    return respond(system, [given], times_h, outputs, integrated=integrated).values


HOURS = np.unique(np.concatenate([np.linspace(0.0, 2.0, 25), np.linspace(2.0, 24.0, 23)]))
NODES = {name: {f"midazolam.{name}": 1.0} for name in ("central", "fast", "slow")}


def test_an_infusion_of_midazolam_is_what_its_compartments_give_by_scipy():
    right = by_hand(HOURS)
    found = modelled(HOURS, NODES | midazolam.readings(BODY))
    for name, expected in zip((*NODES, "midazolam_site_umol_per_L"), right, strict=True):
        np.testing.assert_allclose(found[name][0], expected, rtol=1e-6, atol=1e-6 * expected.max())
    slope = BODY.equilibration_rate_per_h * (right[0] / BODY.central_volume_L - right[3])
    np.testing.assert_allclose(
        found["midazolam_site_umol_per_L.slope"][0], slope, rtol=1e-6, atol=1e-6 * np.abs(slope).max()
    )


def test_no_midazolam_is_lost_or_made():
    held = sum(values[0] for values in modelled(HOURS, NODES).values())
    plasma = {"plasma": {midazolam.CENTRAL: 1.0 / BODY.central_volume_L}}
    eliminated = BODY.clearance_L_per_h * modelled(HOURS, plasma, integrated=True)["plasma"][0]
    given_so_far = AMOUNT_UMOL * np.minimum(HOURS / INFUSION_H, 1.0)
    np.testing.assert_allclose(held + eliminated, given_so_far, rtol=1e-10, atol=1e-10)
    late = BODY.clearance_L_per_h * modelled(np.array([500.0]), plasma, integrated=True)["plasma"][0, 0]
    assert late == pytest.approx(float(AMOUNT_UMOL[0]), rel=1e-9), "area to the end is dose over clearance"


def test_the_site_watches_plasma_without_draining_it_and_comes_to_its_concentration():
    long_h = np.array([400.0])
    steady_input = Input(midazolam.CENTRAL, np.array([400.0 * BODY.clearance_L_per_h]), 0.0, 400.0)
    system = assemble(midazolam.flows(BODY), 1)
    readings = midazolam.readings(BODY) | {"plasma": {midazolam.CENTRAL: 1.0 / BODY.central_volume_L}}
    found = respond(system, [steady_input], long_h, readings).values
    assert found["plasma"][0, 0] == pytest.approx(1.0, rel=1e-9), "rate of input over clearance"
    assert found["midazolam_site_umol_per_L"][0, 0] == pytest.approx(1.0, rel=1e-9)


# --- GABA-A receptors ------------------------------------------------------------------------------

TONE = typical("gaba")
NODE = node(node_constants(load_parameters()))


def tone(
    midazolam_site: Any = 0.0, anaesthesia: Any = 0.0, block: Any = 0.0, p: gaba.Parameters = TONE
) -> gaba.Outputs:
    return gaba.outputs(NUMPY, gaba.Inputs(midazolam_site, anaesthesia, block), p)


@given(block=fractions())
def test_without_a_drug_the_circuit_is_left_as_it_is(block: float):
    found = tone(block=block)
    assert tuple(found) == (1.0, 1.0)


def test_the_gain_adds_midazolam_comedication_and_anaesthesia():
    p = typical("gaba", comedication_gain_relative=0.1, anaesthetic_gain_relative=0.4)
    half = p.midazolam_half_gain_umol_per_L
    assert tone(half, 0.0, 0.3, p).inhibition_gain_relative == pytest.approx(
        1.1 + 0.5 * p.largest_gain_relative, rel=1e-14
    )
    assert tone(0.0, 0.5, 0.3, p).inhibition_gain_relative == pytest.approx(1.3, rel=1e-14)
    assert tone(1e9, 1.0, 0.3, p).inhibition_gain_relative == pytest.approx(
        1.5 + p.largest_gain_relative, rel=1e-6
    )


@given(
    low=concentrations(),
    high=concentrations(),
    anaesthesia=fractions(),
    block=fractions(),
    parameters=layer_parameters("gaba"),
)
def test_more_inhibition_leaves_less_of_the_circuits_rate(
    low: float, high: float, anaesthesia: float, block: float, parameters: gaba.Parameters
):
    low, high = sorted((low, high))
    less, more = (tone(one, anaesthesia, block, parameters) for one in (low, high))
    assert 1.0 <= less.inhibition_gain_relative <= more.inhibition_gain_relative
    assert 0.0 < more.circuit_factor_relative <= less.circuit_factor_relative + 1e-15 <= 1.0 + 1e-15


def test_the_power_law_stands_in_for_the_solved_node():
    """The exponents were fitted to 1.1 % over this square; 4 % is what the circuit may be off at most."""
    gain, block = np.meshgrid(np.linspace(1.0, 1.2, 21), np.linspace(0.0, 0.6, 25), indexing="ij")
    solved, at_rest = (steady.gain(0.2 * block, block, NODE, inhibition_gain=one) for one in (gain, 1.0))
    p = typical("gaba", anaesthetic_gain_relative=1.0)
    found = tone(0.0, gain - 1.0, block, p)
    np.testing.assert_allclose(found.inhibition_gain_relative, gain, rtol=1e-14, atol=0)
    np.testing.assert_allclose(found.circuit_factor_relative, solved / at_rest, rtol=0.02, atol=0)


# --- ECT -------------------------------------------------------------------------------------------

SEIZURES = typical("ect")


@pytest.mark.parametrize("count", [1, 2, 8])
def test_treatments_without_fading_add_up_geometrically(count: int):
    state = ect.initial()
    for _ in range(count):
        state = ect.after_treatment(state, SEIZURES)
    expected = 1.0 - (1.0 - SEIZURES.gain_fraction) ** count
    assert state.effect_fraction == pytest.approx(expected, rel=1e-13)


def test_the_effect_of_treatments_fades_by_one_exponential():
    weeks_h = np.linspace(0.0, 4000.0, 21)
    found = layer_course("ect", ect.State(0.6), SEIZURES, weeks_h)
    expected = 0.6 * np.exp(-weeks_h / SEIZURES.effect_time_h)
    np.testing.assert_allclose(found.effect_fraction, expected, rtol=1e-9, atol=0)


@given(parameters=layer_parameters("ect"), effect=fractions())
def test_no_treatment_lowers_the_effect_or_takes_it_beyond_1(parameters: ect.Parameters, effect: float):
    after = ect.after_treatment(ect.State(effect), parameters).effect_fraction
    assert effect - 1e-15 <= after <= 1.0 + 1e-15
    assert ect.rates(NUMPY, ect.State(effect), parameters).effect_fraction <= 0.0
    assert ect.rates(NUMPY, ect.initial(), parameters) == ect.State(0.0)
