"""From the circuit's gain to synapses, layer by layer: surge, signalling, stress, synapses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.integrate import quad
from tests.registry import layer_course, typical
from tests.strategies import concentrations, fractions, layer_parameters, loads

from euthymia.engine.maths import NUMPY
from euthymia.mechanism.circuit import surge
from euthymia.mechanism.plasticity import events, signalling, stress, synapses
from euthymia.model.wiring import REGIONS

# --- surge -----------------------------------------------------------------------------------------

TIMES_H = np.linspace(0.0, 10.0, 101)
GAIN = 1.5


def surge_of(state: surge.State, parameters: surge.Parameters) -> np.ndarray:
    return surge.outputs(NUMPY, state, surge.Inputs(1.0), parameters).surge_relative


def rounded(rise: float) -> float:
    """Return the rise that adaptation follows: the corner at 0 is rounded."""
    return rise * rise / (rise + surge.ROUNDING)


@pytest.mark.parametrize("strength", [0.0, 0.5, 0.8, 1.0])
def test_a_step_of_gain_gives_an_exponential_and_its_filtered_memory(strength: float):
    p = typical("surge", adaptation_relative=strength)
    fast, slow = p.glutamate_time_h, p.adaptation_time_h
    found = layer_course("surge", surge.initial(), p, TIMES_H, surge.Inputs(GAIN))
    risen = (GAIN - 1.0) * (1.0 - np.exp(-TIMES_H / fast))

    def remembered(until_h: float, since_h: float) -> float:
        rise = (GAIN - 1.0) * -np.expm1(-since_h / fast)
        return strength * rounded(rise) * np.exp(-(until_h - since_h) / slow) / slow

    adapted = np.array(
        [
            quad(lambda s, t=t: remembered(t, s), 0.0, t, epsabs=1e-13, epsrel=1e-11, limit=200)[0]
            for t in TIMES_H
        ]
    )
    np.testing.assert_allclose(found.glutamate_relative, 1.0 + risen, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.adaptation_relative, adapted, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(surge_of(found, p), np.maximum(risen - adapted, 0.0), rtol=1e-8, atol=1e-9)
    mixed = (slow * np.exp(-TIMES_H / slow) - fast * np.exp(-TIMES_H / fast)) / (slow - fast)
    unrounded = strength * (GAIN - 1.0) * (1.0 - mixed)
    assert np.all(unrounded - found.adaptation_relative >= -1e-10)
    assert np.all(unrounded - found.adaptation_relative <= strength * surge.ROUNDING + 1e-10)


@given(parameters=layer_parameters("surge"))
def test_without_drug_there_is_no_surge_and_nothing_moves(parameters: surge.Parameters):
    rest = surge.initial()
    assert surge.rates(NUMPY, rest, surge.Inputs(1.0), parameters) == surge.State(0.0, 0.0)
    assert surge_of(rest, parameters) == 0.0


def test_without_adaptation_the_surge_lasts_as_long_as_the_gain():
    p = typical("surge", adaptation_relative=0.0)
    found = layer_course("surge", surge.initial(), p, [0.0, 10.0, 100.0], surge.Inputs(GAIN))
    np.testing.assert_allclose(surge_of(found, p), [0.0, 0.5, 0.5], rtol=1e-9, atol=1e-12)
    assert np.all(found.adaptation_relative == 0.0)


def test_full_adaptation_ends_the_surge_while_the_gain_lasts():
    p = typical("surge", adaptation_relative=1.0)
    found = layer_course("surge", surge.initial(), p, [0.0, 0.5, 40.0], surge.Inputs(GAIN))
    level = surge_of(found, p)
    assert level[1] > 0.2
    assert level[2] == pytest.approx(GAIN - 1.0 - rounded(GAIN - 1.0), rel=1e-6)
    assert level[2] < surge.ROUNDING
    assert found.glutamate_relative[2] == pytest.approx(GAIN, rel=1e-9)


def test_partial_adaptation_leaves_its_complement_of_the_gain():
    p = typical("surge", adaptation_relative=0.8)
    found = layer_course("surge", surge.initial(), p, [0.0, 100.0], surge.Inputs(GAIN))
    rise = GAIN - 1.0
    assert surge_of(found, p)[-1] == pytest.approx(rise - 0.8 * rounded(rise), rel=1e-9)
    assert surge_of(found, p)[-1] == pytest.approx(0.2 * rise, abs=surge.ROUNDING)


def test_gain_below_rest_gives_no_surge_at_any_time():
    found = layer_course("surge", surge.initial(), typical("surge"), TIMES_H, surge.Inputs(0.7))
    unclipped = found.glutamate_relative - 1.0 - found.adaptation_relative
    assert unclipped[1:].max() < 0.0
    assert np.all(surge_of(found, typical("surge")) == 0.0)


def test_the_end_of_a_quiet_spell_is_no_surge():
    quiet = layer_course("surge", surge.initial(), typical("surge"), TIMES_H, surge.Inputs(0.7))
    assert np.all(quiet.adaptation_relative == 0.0)
    rested = surge.State(float(quiet.glutamate_relative[-1]), 0.0)
    after = layer_course("surge", rested, typical("surge"), TIMES_H, surge.Inputs(1.0))
    assert np.all(surge_of(after, typical("surge")) < 1e-9)


def test_release_falls_below_its_adaptation_after_the_gain_ends():
    p = typical("surge")
    raised = surge.State(1.0 + 0.5, 0.8 * 0.5)
    found = layer_course("surge", raised, p, TIMES_H, surge.Inputs(1.0))
    level = surge_of(found, p)
    assert level[0] == pytest.approx(0.1, rel=1e-12)
    assert np.all(level[TIMES_H > 1.0] == 0.0)


# --- signalling ------------------------------------------------------------------------------------

QUIET = signalling.Inputs(
    surge_relative=0.0,
    pyramidal_block_fraction=0.0,
    trapped_block_fraction=0.0,
    s_ketamine_site_umol_per_L=0.0,
    r_ketamine_site_umol_per_L=0.0,
    r_hydroxynorketamine_site_umol_per_L=0.0,
    stress_relative=1.0,
    inflammation_relative=0.0,
    ssri_adaptation_fraction=0.0,
)
ROUTES = tuple(name for name in signalling.Parameters._fields if name.endswith("_weight_fraction"))
NO_DRUG = {
    name: 0.0
    for name in signalling.Inputs._fields
    if name.endswith(("_site_umol_per_L", "_block_fraction")) or name == "surge_relative"
}
"""Every way in which ketamine reaches signalling."""
UNTREATED = signalling.State(0.0, 0.0, 0.0, 0.0)


@st.composite
def signals(draw: st.DrawFn, **fixed: float) -> signalling.Inputs:
    """What reaches signalling: any surge, block, concentration, load and antidepressant."""
    return signalling.Inputs(
        surge_relative=draw(concentrations()),
        pyramidal_block_fraction=draw(fractions()),
        trapped_block_fraction=draw(fractions()),
        s_ketamine_site_umol_per_L=draw(concentrations()),
        r_ketamine_site_umol_per_L=draw(concentrations()),
        r_hydroxynorketamine_site_umol_per_L=draw(concentrations()),
        stress_relative=draw(loads()),
        inflammation_relative=draw(loads()),
        ssri_adaptation_fraction=draw(fractions()),
    )._replace(**fixed)


def signals_out(inputs: signalling.Inputs, p: signalling.Parameters, rise: float = 0.0) -> signalling.Outputs:
    return signalling.outputs(NUMPY, signalling.State(0.0, rise, 0.0, 0.0), inputs, p)


@given(inputs=signals(), parameters=layer_parameters("signalling"), rise=st.floats(0.0, 50.0))
def test_drive_stays_in_0_to_1_and_gates_in_0_to_2(
    inputs: signalling.Inputs, parameters: signalling.Parameters, rise: float
):
    out = signals_out(inputs, parameters, rise)
    binding = parameters.trkb_binding_weight_fraction * parameters.trkb_binding_gain_relative
    assert 0.0 <= out.drive_fraction <= 1.0
    assert 0.0 < out.tone_relative <= 1.0
    assert 0.0 <= out.resting_gate_relative <= 2.0
    assert out.resting_gate_relative <= out.gate_relative <= 2.0 * (1.0 + 2.0 * binding)
    assert out.bdnf_relative >= 1.0


@given(inputs=signals(), more=concentrations(), parameters=layer_parameters("signalling"))
def test_a_larger_surge_drives_no_less(
    inputs: signalling.Inputs, more: float, parameters: signalling.Parameters
):
    low, high = sorted((inputs.surge_relative, more))
    less = signals_out(inputs._replace(surge_relative=low), parameters).drive_fraction
    assert less <= signals_out(inputs._replace(surge_relative=high), parameters).drive_fraction + 1e-14


DRUGGED = QUIET._replace(
    surge_relative=0.3,
    pyramidal_block_fraction=0.2,
    trapped_block_fraction=0.4,
    s_ketamine_site_umol_per_L=0.2,
    r_ketamine_site_umol_per_L=0.3,
    r_hydroxynorketamine_site_umol_per_L=0.1,
)
ALONE = {
    "disinhibition_weight_fraction": 0.09 / (0.09 + 0.04),
    "direct_weight_fraction": 0.04 / (0.04 + 0.0225),
    "trapping_weight_fraction": 0.4,
    "trkb_binding_weight_fraction": 0.5,
    "metabolite_weight_fraction": 0.5,
    "r_route_weight_fraction": 0.6,
}
"""What each route gives at full weight under ``DRUGGED``, by hand from the shipped half values."""


@pytest.mark.parametrize("route", ROUTES)
def test_each_route_into_the_drive_is_its_own_law(route: str):
    alone = typical("signalling", **(dict.fromkeys(ROUTES, 0.0) | {route: 0.7}))
    found = signals_out(DRUGGED, alone)
    assert found.drive_fraction == pytest.approx(0.7 * ALONE[route], rel=1e-12)
    none = typical("signalling", **dict.fromkeys(ROUTES, 0.0))
    assert signals_out(DRUGGED, none).drive_fraction == 0.0


def test_routes_into_the_drive_add_as_independent_chances():
    found = signals_out(DRUGGED, typical("signalling", **dict.fromkeys(ROUTES, 0.7))).drive_fraction
    missed = np.prod([1.0 - 0.7 * one for one in ALONE.values()])
    assert set(ALONE) == set(ROUTES)
    assert found == pytest.approx(1.0 - missed, rel=1e-12)


@pytest.mark.parametrize(("share", "block", "left"), [(1.0, 1.0, 0.0), (0.6, 0.5, 0.7), (0.0, 1.0, 1.0)])
def test_a_block_of_opioid_receptors_takes_the_share_that_needs_them(share: float, block: float, left: float):
    p = typical("signalling", opioid_share_fraction=share, opioid_block_fraction=block)
    whole = signals_out(DRUGGED, typical("signalling")).drive_fraction
    assert signals_out(DRUGGED, p).drive_fraction == pytest.approx(left * whole, rel=1e-14)


def test_only_where_trkb_is_bound_do_ketamine_and_antidepressants_open_its_gate_further():
    inputs = DRUGGED._replace(ssri_adaptation_fraction=0.8)
    plain = signals_out(inputs, typical("signalling"))
    bound = signals_out(
        inputs, typical("signalling", trkb_binding_weight_fraction=0.5, trkb_binding_gain_relative=2.0)
    )
    # half bound by ketamine (0.5 at a half value of 0.5), and 0.8 by the antidepressant
    assert bound.gate_relative == pytest.approx(plain.gate_relative * (1.0 + 0.5 * 2.0 * 1.3), rel=1e-12)
    assert bound.resting_gate_relative == plain.resting_gate_relative


def test_a_bypass_of_mtorc1_carries_what_rapamycin_would_stop():
    def speed(**changes: float) -> float:
        p = typical("signalling", **changes)
        state = signalling.State(0.0, 1.0, 0.0, 0.0)
        return float(signalling.rates(NUMPY, state, STRONG, p).mtorc1_relative)

    assert speed(mtorc1_scale_relative=0.0) == 0.0
    half = speed(mtorc1_scale_relative=0.0, mtorc1_bypass_fraction=0.5)
    assert half == pytest.approx(0.5 * speed(), rel=1e-14)
    assert speed(mtorc1_scale_relative=0.0, mtorc1_bypass_fraction=1.0) == pytest.approx(speed(), rel=1e-14)


def test_half_of_the_drive_comes_at_the_half_drive_surge():
    p = typical("signalling")
    at_half = QUIET._replace(surge_relative=p.surge_half_drive_relative)
    assert signals_out(at_half, p).drive_fraction == pytest.approx(0.5, rel=1e-14)


@given(
    inputs=signals(**NO_DRUG, ssri_adaptation_fraction=0.0),
    parameters=layer_parameters("signalling"),
)
def test_without_drive_nothing_moves(inputs: signalling.Inputs, parameters: signalling.Parameters):
    assert signals_out(inputs, parameters).drive_fraction == 0.0
    rest = signalling.initial(0.0, parameters)
    assert rest == UNTREATED
    assert signalling.rates(NUMPY, rest, inputs, parameters) == UNTREATED
    assert signals_out(inputs, parameters).bdnf_relative == 1.0


@given(inputs=signals(**NO_DRUG), parameters=layer_parameters("signalling"))
def test_bdnf_rests_with_an_antidepressant_that_has_been_taken_for_long(
    inputs: signalling.Inputs, parameters: signalling.Parameters
):
    rest = signalling.initial(inputs.ssri_adaptation_fraction, parameters)
    changes = signalling.rates(NUMPY, rest, inputs, parameters)
    np.testing.assert_allclose(changes, 0.0, rtol=0, atol=1e-16)


def test_the_gate_is_shut_without_bdnf_half_open_twice_over_at_rest_and_shut_by_a_block():
    tones = np.array([0.0, 1.0, np.sqrt(3.0), 1e9])
    np.testing.assert_allclose(signalling.gate(tones, 0.0), [0.0, 1.0, 1.5, 2.0], rtol=1e-14, atol=0)
    np.testing.assert_allclose(signalling.gate(tones, 0.25), [0.0, 0.75, 1.125, 1.5], rtol=1e-14, atol=0)
    assert np.all(signalling.gate(tones, 1.0) == 0.0)


STRONG = QUIET._replace(surge_relative=0.5)
HOURS = np.linspace(0.0, 600.0, 121)


def test_a_shut_trkb_gate_leaves_no_protein_whatever_the_drive():
    p = typical("signalling", trkb_block_fraction=1.0)
    found = layer_course("signalling", UNTREATED, p, HOURS, STRONG)
    assert np.all(found.mtorc1_relative == 0.0)
    assert np.all(found.protein_relative == 0.0)
    assert found.ampa_fraction[-1] > 0.9, "AMPA potentiation needs no protein"
    assert found.bdnf_rise_relative[-1] > 1.0


def test_bdnf_without_drive_makes_no_protein():
    p = typical("signalling")
    found = layer_course("signalling", signalling.State(0.0, 2.0, 0.0, 0.0), p, HOURS, QUIET)
    assert np.all(found.mtorc1_relative == 0.0)
    assert np.all(found.protein_relative == 0.0)


def test_drive_with_an_open_gate_makes_protein():
    found = layer_course("signalling", UNTREATED, typical("signalling"), HOURS, STRONG)
    assert found.protein_relative[-1] > 1.0


def test_steady_states_under_a_constant_drive_are_the_closed_forms():
    p = typical("signalling")
    inputs = STRONG._replace(ssri_adaptation_fraction=0.6, inflammation_relative=2.0)
    found = layer_course("signalling", UNTREATED, p, [0.0, 3000.0], inputs)
    drive = 0.25 / (0.25 + p.surge_half_drive_relative**2)
    tone = 1.0 / (1.0 + p.stress_on_bdnf_relative + 2.0 * p.inflammation_on_bdnf_relative)
    grown = p.ampa_rate_per_h * drive * p.ampa_time_h
    bdnf = p.bdnf_time_h * (p.bdnf_rate_per_h * tone * drive + 0.6 * p.bdnf_ssri_rate_per_h)
    square = (tone + bdnf) ** 2
    mtorc1 = p.mtorc1_scale_relative * drive * 2.0 * square / (1.0 + square)
    expected = (grown / (1.0 + grown), bdnf, mtorc1, p.protein_rate_per_h * p.protein_time_h * mtorc1)
    np.testing.assert_allclose([one[-1] for one in found], expected, rtol=1e-8, atol=0)


def test_ampa_potentiation_rises_and_fades_by_closed_forms():
    p = typical("signalling")
    drive = signals_out(STRONG, p).drive_fraction
    rate = p.ampa_rate_per_h * drive + 1.0 / p.ampa_time_h
    risen = layer_course("signalling", UNTREATED, p, TIMES_H, STRONG).ampa_fraction
    np.testing.assert_allclose(
        risen, p.ampa_rate_per_h * drive / rate * (1.0 - np.exp(-rate * TIMES_H)), rtol=1e-8, atol=1e-10
    )
    faded = layer_course("signalling", signalling.State(0.8, 0.0, 0.0, 0.0), p, HOURS, QUIET).ampa_fraction
    np.testing.assert_allclose(faded, 0.8 * np.exp(-HOURS / p.ampa_time_h), rtol=1e-7, atol=1e-11)


@given(inputs=signals(), parameters=layer_parameters("signalling"))
def test_no_state_of_signalling_can_fall_below_0_nor_ampa_rise_above_1(
    inputs: signalling.Inputs, parameters: signalling.Parameters
):
    at_zero = signalling.rates(NUMPY, UNTREATED, inputs, parameters)
    assert all(rate >= 0.0 for rate in at_zero)
    full = signalling.State(1.0, 0.5, 0.5, 0.5)
    assert signalling.rates(NUMPY, full, inputs, parameters).ampa_fraction <= 0.0


@given(low=loads(), high=loads(), other=loads())
def test_stress_and_inflammation_lower_the_tone_and_the_resting_gate(low: float, high: float, other: float):
    low, high = sorted((low, high))
    p = typical("signalling")
    for first in (True, False):
        less, more = (
            signals_out(
                QUIET._replace(
                    stress_relative=one if first else other, inflammation_relative=other if first else one
                ),
                p,
            )
            for one in (low, high)
        )
        assert more.tone_relative <= less.tone_relative
        assert more.resting_gate_relative <= less.resting_gate_relative


# --- stress ----------------------------------------------------------------------------------------


def test_loads_follow_life_and_beliefs_by_one_exponential_each():
    p = typical(
        "stress",
        usual_stress_relative=0.5,
        usual_inflammation_relative=0.2,
        generated_stress_relative=1.5,
        inflammation_time_h=30.0,
    )
    brought = stress.Inputs(extra_stress_relative=1.4, extra_inflammation_relative=1.0, belief_fraction=0.4)
    assert stress.target(brought, p).stress_relative == pytest.approx(2.5, rel=1e-14)
    assert stress.target(brought, p).inflammation_relative == pytest.approx(1.2, rel=1e-14)
    found = layer_course("stress", stress.State(1.0, 0.0), p, HOURS, brought)
    np.testing.assert_allclose(
        found.stress_relative, 2.5 - 1.5 * np.exp(-HOURS / p.stress_time_h), rtol=1e-9, atol=0
    )
    np.testing.assert_allclose(
        found.inflammation_relative, 1.2 * (1.0 - np.exp(-HOURS / 30.0)), rtol=1e-9, atol=1e-11
    )


@st.composite
def loaded_lives(draw: st.DrawFn) -> stress.Inputs:
    """Any load from outside, and any beliefs."""
    return stress.Inputs(
        extra_stress_relative=draw(loads()),
        extra_inflammation_relative=draw(loads()),
        belief_fraction=draw(fractions()),
    )


@given(brought=loaded_lives(), parameters=layer_parameters("stress"))
def test_loads_rest_where_life_and_beliefs_bring_them(brought: stress.Inputs, parameters: stress.Parameters):
    rest = stress.target(brought, parameters)
    assert stress.rates(NUMPY, rest, brought, parameters) == stress.State(0.0, 0.0)


@given(brought=loaded_lives(), parameters=layer_parameters("stress"))
def test_loads_cannot_fall_below_0(brought: stress.Inputs, parameters: stress.Parameters):
    changes = stress.rates(NUMPY, stress.State(0.0, 0.0), brought, parameters)
    assert all(rate >= 0.0 for rate in changes)


def test_full_negative_beliefs_alone_keep_up_the_load_of_an_episode():
    alone = stress.Inputs(extra_stress_relative=0.0, extra_inflammation_relative=0.0, belief_fraction=1.0)
    assert stress.target(alone, typical("stress")) == stress.State(1.0, 0.0)


# --- events of life --------------------------------------------------------------------------------

EVENTS = events.Parameters(
    event_rate_per_year=events.DAYS_PER_YEAR, event_stress_relative=2.0, event_time_h=48.0
)
"""A rate of one event a day in the mean: the chance of one on a day is 1 - 1 / e."""


def test_the_load_of_events_is_the_recursion_by_hand():
    arrival = np.array([[0.99, 0.1, 0.63, 0.99, 0.64]])  # the chance is 0.632
    size = np.full((1, 5), np.exp(-1.5))
    kept = np.exp(-0.5)
    expected = [0.0, 3.0, 3.0 * kept + 3.0, (3.0 * kept + 3.0) * kept, (3.0 * kept + 3.0) * kept**2]
    found = events.daily(EVENTS, arrival, size)
    np.testing.assert_allclose(found, [expected], rtol=1e-14, atol=0)


def test_without_a_rate_nothing_ever_happens():
    draws = np.random.default_rng(8).uniform(size=(2, 50, 365))
    assert np.all(events.daily(EVENTS._replace(event_rate_per_year=0.0), *draws) == 0.0)


def test_each_person_meets_events_by_a_rate_of_their_own():
    draws = np.random.default_rng(9).uniform(size=(2, 2, 200))
    rates = np.array([0.0, 50.0])
    together = events.daily(EVENTS._replace(event_rate_per_year=rates), *draws)
    assert np.all(together[0] == 0.0)
    alone = events.daily(EVENTS._replace(event_rate_per_year=50.0), draws[0, 1:], draws[1, 1:])
    assert np.array_equal(together[1:], alone)
    assert alone.max() > 0.0


def test_events_arrive_at_their_rate_and_bring_their_mean_load():
    people, days = 2000, 365
    p = typical("life")
    arrival, size = np.random.default_rng(10).uniform(size=(2, people, days))
    loads = events.daily(p, arrival, size)
    fresh = loads - np.exp(-24.0 / p.event_time_h) * np.pad(loads, ((0, 0), (1, 0)))[:, :-1]
    met = fresh[fresh > 1e-12]
    chance = 1.0 - np.exp(-p.event_rate_per_year / events.DAYS_PER_YEAR)
    spread = np.sqrt(people * days * chance * (1.0 - chance))
    assert abs(len(met) - people * days * chance) < 5 * spread
    assert met.mean() == pytest.approx(p.event_stress_relative, abs=5 * met.std() / np.sqrt(len(met)))


# --- synapses --------------------------------------------------------------------------------------

REGION = pytest.mark.parametrize("region", REGIONS)
EPISODE = synapses.Inputs(0.0, 1.0, 0.0, 0.0, 0.0)


@st.composite
def surroundings(draw: st.DrawFn) -> synapses.Inputs:
    """What reaches synapses: any protein, load, antidepressant and therapy."""
    return synapses.Inputs(
        protein_relative=draw(st.floats(0.0, 50.0)),
        stress_relative=draw(loads()),
        inflammation_relative=draw(loads()),
        ssri_adaptation_fraction=draw(fractions()),
        learning_relative=draw(fractions()),
    )


def change(state: synapses.State, inputs: synapses.Inputs, p: synapses.Parameters) -> synapses.State:
    return synapses.rates(NUMPY, state, inputs, p)


@REGION
@given(load=loads(), inflammation=loads())
def test_the_start_is_in_balance_without_drug(region: str, load: float, inflammation: float):
    inputs = EPISODE._replace(stress_relative=load, inflammation_relative=inflammation)
    rest = synapses.initial(inputs, typical(region))
    assert change(rest, inputs, typical(region)) == synapses.State(0.0, 0.0)


@given(
    adaptation=fractions(),
    load=loads(),
    inflammation=loads(),
    parameters=layer_parameters("prefrontal", homeostasis_rate_per_h=0.0),
)
def test_the_state_adapted_to_an_antidepressant_is_at_rest(
    adaptation: float, load: float, inflammation: float, parameters: synapses.Parameters
):
    inputs = EPISODE._replace(
        stress_relative=load, inflammation_relative=inflammation, ssri_adaptation_fraction=adaptation
    )
    rest = synapses.adapted(NUMPY, inputs, parameters)
    np.testing.assert_allclose(change(rest, inputs, parameters), 0.0, rtol=0, atol=1e-10)
    untreated = synapses.initial(inputs, parameters)
    if adaptation == 0.0:
        np.testing.assert_allclose(rest, untreated, rtol=1e-14, atol=0)
    else:
        assert rest.new_fraction >= 0.0
        assert rest.stable_fraction >= untreated.stable_fraction * (1.0 - 1e-14)


@REGION
def test_an_antidepressant_holds_more_synapses_and_more_of_them_the_more_it_occupies(region: str):
    adaptation = np.linspace(0.0, 1.0, 21)
    inputs = synapses.Inputs(0.0, np.ones(21), 0.0, adaptation, 0.0)
    rest = synapses.adapted(NUMPY, inputs, typical(region))
    density = rest.new_fraction + rest.stable_fraction
    assert np.all(np.diff(density) > 0.0)
    assert np.abs(np.array(change(rest, inputs, typical(region)))).max() < 1e-10


@REGION
def test_one_unit_of_stress_takes_the_deficit_away(region: str):
    p = typical(region)
    assert synapses.stable_target(EPISODE, p) == pytest.approx(1.0 - p.deficit_fraction, rel=1e-15)
    assert synapses.stable_target(EPISODE._replace(stress_relative=0.0), p) == 1.0
    rest = synapses.initial(EPISODE, p)
    assert synapses.outputs(NUMPY, rest, EPISODE, p).deficit_relative == pytest.approx(1.0, rel=1e-14)
    well = synapses.State(0.0, 1.0)
    assert synapses.outputs(NUMPY, well, EPISODE, p) == synapses.Outputs(1.0, 0.0)


def test_the_target_under_any_load_is_the_stated_formula():
    p = typical("prefrontal", deficit_fraction=0.2, inflammation_on_synapses_relative=0.4)
    found = synapses.stable_target(synapses.Inputs(0.0, 3.0, 2.0, 0.0, 0.0), p)
    assert found == pytest.approx(1.0 / (1.0 + 0.25 * (3.0 + 0.8)), rel=1e-15)


@given(
    inputs=surroundings(),
    parameters=layer_parameters("prefrontal"),
    new=st.floats(0.0, 0.3),
    stable=fractions(),
)
def test_what_matures_leaves_the_new_and_enters_the_stable(
    inputs: synapses.Inputs, parameters: synapses.Parameters, new: float, stable: float
):
    state = synapses.State(new, stable)
    ripening = change(state, inputs, parameters)
    held = change(state, inputs, parameters._replace(stabilisation_rate_per_h=0.0))
    matured = parameters.stabilisation_rate_per_h * new
    matured *= 1.0 + parameters.stabilisation_by_therapy_relative * inputs.learning_relative
    assert held.new_fraction - ripening.new_fraction == pytest.approx(matured, rel=1e-9, abs=1e-14)
    assert ripening.stable_fraction - held.stable_fraction == pytest.approx(matured, rel=1e-9, abs=1e-14)


@REGION
def test_new_synapses_without_protein_fade_by_death_and_maturation(region: str):
    p = typical(region)
    found = layer_course(region, synapses.State(0.05, 0.75), p, HOURS, EPISODE)
    rate = 1.0 / p.new_time_h + p.stabilisation_rate_per_h
    np.testing.assert_allclose(found.new_fraction, 0.05 * np.exp(-rate * HOURS), rtol=1e-8, atol=1e-12)


@REGION
def test_density_under_lasting_protein_stays_below_its_ceiling(region: str):
    p = typical(region)
    for load in (0.0, 1.0, 5.0):
        inputs = synapses.Inputs(50.0, load, load, 1.0, 1.0)
        found = layer_course(region, synapses.initial(inputs, p), p, np.linspace(0.0, 5000.0, 101), inputs)
        density = found.new_fraction + found.stable_fraction
        assert density.max() < p.largest_density_relative
        assert density[-1] > 0.95 * p.largest_density_relative, "and comes near it"


def test_stable_synapses_recover_and_are_lost_by_time_constants_of_their_own():
    """The law joins both within 0.01 of density, so far from it a gap moves as stated less that at most."""
    p = typical("prefrontal")
    up, down = 1.0 / p.recovery_time_h, 1.0 / p.loss_time_h
    target = synapses.stable_target(EPISODE, p)
    for gap in (-0.4, -0.2, 0.2, 0.4):
        found = change(synapses.State(0.0, target - gap), EPISODE, p).stable_fraction
        stated = (up if gap > 0 else down) * gap
        assert abs(found - stated) <= 0.5 * abs(up - down) * synapses.SMOOTHING * (1.0 + 1e-9)
        assert np.sign(found) == np.sign(gap)


@given(parameters=layer_parameters("prefrontal"), gap=st.floats(-0.9, 0.9))
def test_stable_synapses_move_towards_their_target_from_either_side(
    parameters: synapses.Parameters, gap: float
):
    assume(abs(gap) > 1e-9)
    target = synapses.stable_target(EPISODE, parameters)
    state = synapses.State(0.0, target - gap)
    assert np.sign(change(state, EPISODE, parameters).stable_fraction) == np.sign(
        target - state.stable_fraction
    )


def test_relaxation_is_smooth_where_recovery_turns_into_loss():
    p = typical("prefrontal")
    target, step = synapses.stable_target(EPISODE, p), 1e-6

    def speed(gap: float) -> float:
        return float(change(synapses.State(0.0, target - gap), EPISODE, p).stable_fraction)

    left, right = (speed(0.0) - speed(-step)) / step, (speed(step) - speed(0.0)) / step
    middle = 0.5 * (1.0 / p.recovery_time_h + 1.0 / p.loss_time_h)
    assert speed(0.0) == 0.0
    # the curvature is (up - down) / (2 SMOOTHING): one-sided slopes are off by 1e-6 / 0.04 of (up - down)
    assert left == pytest.approx(middle, rel=1e-4)
    assert right == pytest.approx(middle, rel=1e-4)


@given(
    inputs=surroundings(),
    parameters=layer_parameters("prefrontal", homeostasis_rate_per_h=0.0),
    stable=fractions(),
)
def test_new_synapses_cannot_fall_below_0(
    inputs: synapses.Inputs, parameters: synapses.Parameters, stable: float
):
    assert change(synapses.State(0.0, stable), inputs, parameters).new_fraction >= 0.0


@given(inputs=surroundings(), parameters=layer_parameters("prefrontal"), new=st.floats(0.0, 0.3))
def test_stable_synapses_cannot_fall_below_0(
    inputs: synapses.Inputs, parameters: synapses.Parameters, new: float
):
    assert change(synapses.State(new, 0.0), inputs, parameters).stable_fraction > 0.0


@given(parameters=layer_parameters("prefrontal"), load=loads(), inflammation=loads())
def test_some_stable_synapses_are_left_under_any_load(
    parameters: synapses.Parameters, load: float, inflammation: float
):
    inputs = EPISODE._replace(stress_relative=load, inflammation_relative=inflammation)
    assert 0.0 < synapses.stable_target(inputs, parameters) <= 1.0


def test_homeostasis_prunes_only_density_above_health():
    with_it, without = (typical("prefrontal", homeostasis_rate_per_h=rate) for rate in (1.0, 0.0))
    below, above = synapses.State(0.04, 0.95), synapses.State(0.04, 1.0)
    assert change(below, EPISODE, with_it) == change(below, EPISODE, without)
    pruned = change(above, EPISODE, without).new_fraction - change(above, EPISODE, with_it).new_fraction
    assert 0.0 < pruned <= 0.04**2 * (1.0 + 1e-9)


@pytest.mark.parametrize("strength", [0.2, 1.0])
def test_homeostasis_leaves_no_negative_synapses(strength: float):
    """What is pruned must be there to be pruned, also where stable synapses alone pass 1."""
    p = typical("prefrontal", homeostasis_rate_per_h=strength)
    unloaded = EPISODE._replace(stress_relative=0.0)
    left = layer_course("prefrontal", synapses.State(0.02, 1.1), p, np.linspace(0.0, 4000.0, 201), unloaded)
    assert left.new_fraction.min() >= 0.0
    assert left.stable_fraction.min() >= 0.99  # new ones die too, and leave room below 1 for a while
    assert left.new_fraction[-1] + left.stable_fraction[-1] < 1.01


def test_therapy_and_antidepressant_act_where_they_are_stated_to():
    state = synapses.State(0.04, 0.75)
    p = typical("prefrontal", stabilisation_by_therapy_relative=2.0)
    taught = change(state, EPISODE._replace(learning_relative=1.0), p)
    assert taught.stable_fraction - change(state, EPISODE, p).stable_fraction == pytest.approx(
        2.0 * p.stabilisation_rate_per_h * 0.04, rel=1e-9
    )
    adapted = change(state, EPISODE._replace(ssri_adaptation_fraction=0.7), p)
    formed = p.formation_rate_per_h * p.formation_by_ssri_relative * 0.7 * (p.largest_density_relative - 0.79)
    assert adapted.new_fraction - change(state, EPISODE, p).new_fraction == pytest.approx(formed, rel=1e-9)
    assert adapted.stable_fraction == change(state, EPISODE, p).stable_fraction
