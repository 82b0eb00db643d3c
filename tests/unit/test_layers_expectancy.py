"""Expectancy alone: hope, what people conclude from what they feel, and what they remember of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.registry import CHAIN, layer_course, typical
from tests.strategies import fractions, layer_parameters

from euthymia.engine.maths import NUMPY
from euthymia.mechanism.symptoms import expectancy
from euthymia.population.settings import find_setting, settings

TYPICAL = typical("expectancy")
FRESH = expectancy.initial(TYPICAL)


def state(**changes: Any) -> expectancy.State:
    return FRESH._replace(**changes)


def blind(prior: float = 0.5, **changes: Any) -> expectancy.Parameters:
    return typical("expectancy", prior_belief_fraction=prior, **changes)


def judged(p: expectancy.Parameters, before: expectancy.State) -> expectancy.State:
    return expectancy.after_visit(NUMPY, before, p)


def felt(p: expectancy.Parameters, dissociation: Any = 0.0, drowsiness: Any = 0.0) -> Any:
    """Return the belief after what was felt in a session."""
    one = state(felt_dissociation_points=dissociation, felt_drowsiness_fraction=drowsiness)
    return expectancy.posterior(NUMPY, one, p)


@st.composite
def hopes(draw: st.DrawFn) -> expectancy.State:
    """Any hope or gloom, belief and memory."""
    signed = st.sampled_from([-1.0, 0.0, 1.0]) | st.floats(-1.0, 1.0, allow_subnormal=False)
    return expectancy.State(
        fast_fraction=draw(signed),
        slow_fraction=draw(signed),
        belief_fraction=draw(fractions()),
        felt_dissociation_points=draw(st.floats(0.0, 92.0, allow_subnormal=False)),
        felt_drowsiness_fraction=draw(fractions()),
    )


# --- hope of a visit -------------------------------------------------------------------------------


def test_arriving_at_a_visit_takes_a_share_of_the_hope_that_is_left():
    before = state(fast_fraction=0.2, slow_fraction=0.6, belief_fraction=0.5)
    found = expectancy.at_visit(NUMPY, before, TYPICAL)
    assert found.fast_fraction == pytest.approx(0.2 + TYPICAL.fast_gain_fraction * 0.5 * 0.8, rel=1e-14)
    assert found.slow_fraction == pytest.approx(0.6 + TYPICAL.slow_gain_fraction * 0.5 * 0.4, rel=1e-14)
    assert found.belief_fraction == 0.5


@pytest.mark.parametrize("count", [1, 2, 8])
def test_visits_in_a_row_approach_full_hope_geometrically(count: int):
    now = FRESH
    for _ in range(count):
        now = expectancy.at_visit(NUMPY, now, TYPICAL)
    assert now.fast_fraction == pytest.approx(1.0 - (1.0 - TYPICAL.fast_gain_fraction) ** count, rel=1e-13)
    assert now.slow_fraction == pytest.approx(1.0 - (1.0 - TYPICAL.slow_gain_fraction) ** count, rel=1e-13)


def test_preparation_raises_hope_by_its_share_of_what_a_visit_gives():
    plain, prepared = (expectancy.at_visit(NUMPY, FRESH, TYPICAL, preparation) for preparation in (0.0, 0.5))
    ratio = 1.0 + 0.5 * TYPICAL.preparation_on_hope_relative
    assert ratio > 1.0
    assert prepared.fast_fraction == pytest.approx(ratio * plain.fast_fraction, rel=1e-13)
    assert prepared.slow_fraction == pytest.approx(ratio * plain.slow_fraction, rel=1e-13)


def test_without_any_belief_to_be_on_the_drug_a_visit_raises_nothing():
    before = state(fast_fraction=0.2, slow_fraction=-0.3, belief_fraction=0.0)
    after = expectancy.at_visit(NUMPY, before, TYPICAL, 1.0)
    assert (after.fast_fraction, after.slow_fraction) == (0.2, -0.3)


def test_a_new_visit_sets_aside_what_was_felt_at_the_last_one():
    after = expectancy.at_visit(
        NUMPY, state(felt_dissociation_points=12.0, felt_drowsiness_fraction=0.6), TYPICAL
    )
    assert (after.felt_dissociation_points, after.felt_drowsiness_fraction) == (0.0, 0.0)


def test_hope_fades_by_one_exponential_a_part_and_the_belief_stays():
    hours = np.linspace(0.0, 80.0, 21)
    before = state(fast_fraction=0.5, slow_fraction=-0.3, belief_fraction=0.7)
    found = layer_course("expectancy", before, TYPICAL, hours, expectancy.Inputs(0.0, 0.0))
    fast, slow = (np.exp(-hours / time) for time in (TYPICAL.fast_time_h, TYPICAL.slow_time_h))
    np.testing.assert_allclose(found.fast_fraction, 0.5 * fast, rtol=1e-6, atol=0)
    np.testing.assert_allclose(found.slow_fraction, -0.3 * slow, rtol=1e-9, atol=0)
    assert np.all(found.belief_fraction == 0.7)


def test_contact_about_a_new_antidepressant_raises_slow_hope_alone():
    before = state(fast_fraction=0.2, slow_fraction=0.5)
    after = expectancy.at_antidepressant(before, TYPICAL)
    gain = TYPICAL.slow_gain_fraction * TYPICAL.antidepressant_hope_fraction
    assert 0.0 < gain < TYPICAL.slow_gain_fraction
    assert after == before._replace(slow_fraction=pytest.approx(0.5 + gain * 0.5, rel=1e-14))


@given(parameters=layer_parameters("expectancy"), before=hopes(), preparation=fractions())
def test_hope_stays_in_minus_1_to_1_at_visits_and_verdicts(
    parameters: expectancy.Parameters, before: expectancy.State, preparation: float
):
    for after in (expectancy.at_visit(NUMPY, before, parameters, preparation), judged(parameters, before)):
        assert -1.0 - 1e-15 <= after.fast_fraction <= 1.0 + 1e-15
        assert -1.0 - 1e-15 <= after.slow_fraction <= 1.0 + 1e-15
        assert 0.0 <= after.belief_fraction <= 1.0


# --- what is concluded from what is felt -----------------------------------------------------------

ON_DRUG = (TYPICAL.dissociation_on_drug_fraction, TYPICAL.drowsiness_on_drug_fraction)
ON_CONTROL = (TYPICAL.dissociation_on_control_fraction, TYPICAL.drowsiness_on_control_fraction)


def bayes(prior: float, on_drug: float, on_control: float) -> float:
    """Return the belief after a clue that comes with these probabilities."""
    return prior * on_drug / (prior * on_drug + (1.0 - prior) * on_control)


@pytest.mark.parametrize("prior", [0.1, 0.5, 0.9])
def test_without_any_sensation_the_belief_is_that_of_two_absent_clues(prior: float):
    expected = prior
    for a, c in zip(ON_DRUG, ON_CONTROL, strict=True):
        expected = bayes(expected, 1.0 - a, 1.0 - c)
    assert felt(blind(prior)) == pytest.approx(expected, rel=1e-12)
    assert expected < prior


@pytest.mark.parametrize("prior", [0.1, 0.5, 0.9])
def test_full_sensations_make_the_belief_that_of_two_clues(prior: float):
    expected = prior
    for a, c in zip(ON_DRUG, ON_CONTROL, strict=True):
        expected = bayes(expected, a, c)
    assert felt(blind(prior), 1e9, 1e9) == pytest.approx(expected, rel=1e-9)
    assert expected > prior


@pytest.mark.parametrize("prior", [0.1, 0.5, 0.9])
def test_a_sensation_that_half_take_note_of_counts_by_the_mean_of_both_logarithms(prior: float):
    p = blind(prior)
    found = felt(p, p.dissociation_noticed_points, p.drowsiness_noticed_fraction)
    odds = prior / (1.0 - prior)
    for a, c in zip(ON_DRUG, ON_CONTROL, strict=True):
        odds *= np.sqrt((a / c) * ((1.0 - a) / (1.0 - c)))
    assert found == pytest.approx(odds / (1.0 + odds), rel=1e-12)


@given(
    certainty=st.sampled_from([0.0, 1.0]),
    parameters=layer_parameters("expectancy"),
    dissociation=st.floats(0.0, 92.0),
    drowsiness=fractions(),
)
def test_who_is_certain_stays_certain(
    certainty: float, parameters: expectancy.Parameters, dissociation: float, drowsiness: float
):
    p = parameters._replace(prior_belief_fraction=certainty)
    assert felt(p, dissociation, drowsiness) == certainty


@given(prior=fractions(), dissociation=st.floats(0.0, 92.0), drowsiness=fractions())
def test_clues_without_weight_leave_the_belief_as_it_was(
    prior: float, dissociation: float, drowsiness: float
):
    p = blind(prior, clue_weight_fraction=0.0)
    assert felt(p, dissociation, drowsiness) == pytest.approx(prior, rel=1e-14)


@given(
    parameters=layer_parameters("expectancy"),
    low=st.floats(0.0, 92.0),
    high=st.floats(0.0, 92.0),
    other=fractions(),
)
def test_a_stronger_sensation_never_lowers_the_belief_where_the_drug_brings_it_more_often(
    parameters: expectancy.Parameters, low: float, high: float, other: float
):
    p = parameters
    low, high = sorted((low, high))
    if p.dissociation_on_drug_fraction > p.dissociation_on_control_fraction:
        assert felt(p, low, other) <= felt(p, high, other) + 1e-12
    if p.drowsiness_on_drug_fraction > p.drowsiness_on_control_fraction:
        assert felt(p, other, low / 92.0) <= felt(p, other, high / 92.0) + 1e-12


@given(parameters=layer_parameters("expectancy"), low=st.floats(0.0, 92.0), high=st.floats(0.0, 92.0))
def test_a_sensation_that_the_control_brings_as_often_tells_nothing(
    parameters: expectancy.Parameters, low: float, high: float
):
    p = parameters._replace(dissociation_on_control_fraction=parameters.dissociation_on_drug_fraction)
    assert felt(p, low, 0.3) == pytest.approx(felt(p, high, 0.3), rel=1e-12, abs=1e-15)


# --- what the verdict does to hope -------------------------------------------------------------------

CALM = {"felt_dissociation_points": 0.0, "felt_drowsiness_fraction": 0.0}
HIGH = {"felt_dissociation_points": 30.0, "felt_drowsiness_fraction": 0.8}


def test_hope_rises_with_a_belief_that_rises_by_a_share_of_what_is_missing():
    p = blind()
    before = state(fast_fraction=0.2, slow_fraction=0.4, belief_fraction=0.5, **HIGH)
    after = judged(p, before)
    risen = after.belief_fraction - 0.5
    assert risen > 0.2
    assert after.fast_fraction == pytest.approx(0.2 + p.fast_gain_fraction * risen * 0.8, rel=1e-13)
    assert after.slow_fraction == pytest.approx(0.4 + p.slow_gain_fraction * risen * 0.6, rel=1e-13)


def test_hope_falls_with_a_belief_that_falls_by_the_nocebo_share():
    p = blind()
    before = state(fast_fraction=0.2, slow_fraction=0.4, belief_fraction=0.5, **CALM)
    after = judged(p, before)
    fallen = p.nocebo_gain_relative * (0.5 - after.belief_fraction)
    assert fallen > 0.1
    assert after.fast_fraction == pytest.approx(0.2 - p.fast_gain_fraction * fallen * 1.2, rel=1e-13)
    assert after.slow_fraction == pytest.approx(0.4 - p.slow_gain_fraction * fallen * 1.4, rel=1e-13)


def test_disappointment_can_turn_hope_into_gloom():
    p = blind(nocebo_gain_relative=2.0)
    after = judged(p, state(belief_fraction=0.5, **CALM))
    assert after.fast_fraction < 0.0
    assert after.slow_fraction < 0.0


@given(parameters=layer_parameters("expectancy"), before=hopes())
def test_hope_moves_the_way_of_the_belief_or_not_at_all(
    parameters: expectancy.Parameters, before: expectancy.State
):
    after = judged(parameters, before)
    change = after.belief_fraction - before.belief_fraction
    assume(abs(change) > 1e-9)
    for old, new in ((before[0], after[0]), (before[1], after[1])):
        assert (new - old) * np.sign(change) >= -1e-15


def test_a_verdict_without_news_leaves_hope_as_it_was():
    p = blind(clue_weight_fraction=0.0)
    before = state(fast_fraction=0.3, slow_fraction=-0.2, belief_fraction=0.5, **HIGH)
    np.testing.assert_allclose(judged(p, before), before, rtol=1e-14, atol=1e-15)


def test_the_same_feelings_twice_lead_to_the_same_belief_not_to_certainty():
    p = blind()
    once = judged(p, state(belief_fraction=0.5, **HIGH))
    assert judged(p, once).belief_fraction == once.belief_fraction


# --- the memory of a sensation -----------------------------------------------------------------------


def remembered(
    cadss_points: float, drowsiness: float, hours: list[float], before: expectancy.State = FRESH
) -> expectancy.State:
    inputs = expectancy.Inputs(cadss_points, drowsiness)
    return layer_course("expectancy", before, TYPICAL, hours, inputs)


def test_within_twenty_minutes_the_memory_has_reached_what_is_felt():
    found = remembered(20.0, 0.6, [0.0, 1.0 / 3.0])
    assert found.felt_dissociation_points[-1] == pytest.approx(20.0, rel=0.03)
    assert found.felt_drowsiness_fraction[-1] == pytest.approx(0.6, rel=0.03)
    assert found.felt_dissociation_points[-1] < 20.0


def test_the_memory_stays_when_the_sensation_goes():
    before = state(felt_dissociation_points=20.0, felt_drowsiness_fraction=0.6)
    for cadss_points, drowsiness in ((0.0, 0.0), (10.0, 0.3), (20.0, 0.6)):
        found = remembered(cadss_points, drowsiness, [0.0, 100.0], before)
        assert found.felt_dissociation_points[-1] == 20.0
        assert found.felt_drowsiness_fraction[-1] == 0.6


def test_the_memory_follows_the_law_by_hand():
    p, gap = TYPICAL, 12.0 - 5.0
    before = state(felt_dissociation_points=5.0, felt_drowsiness_fraction=0.5)
    found = expectancy.rates(NUMPY, before, expectancy.Inputs(12.0, 0.2), p)
    expected = p.memory_rate_per_h * gap * gap / (gap + expectancy.SMOOTHING_POINTS)
    assert found.felt_dissociation_points == pytest.approx(expected, rel=1e-13)
    assert found.felt_drowsiness_fraction == 0.0


def test_without_drug_nothing_of_expectancy_moves():
    none = expectancy.rates(NUMPY, FRESH, expectancy.Inputs(0.0, 0.0), TYPICAL)
    assert none == expectancy.State(0.0, 0.0, 0.0, 0.0, 0.0)


# --- settings ----------------------------------------------------------------------------------------


def in_setting(name: str) -> expectancy.Parameters:
    given_now = {key.split(".")[1]: value for key, value in find_setting(name).values().items()}
    return typical("expectancy", **given_now)


@pytest.mark.parametrize("name", settings())
def test_every_setting_gives_parameters_within_their_range(name: str):
    for key, value in find_setting(name).values().items():
        assert CHAIN[key].low <= value <= CHAIN[key].high


@pytest.mark.parametrize("name", settings())
def test_what_is_felt_tells_something_exactly_where_the_setting_says_so(name: str):
    p = in_setting(name)
    calm, high = felt(p), felt(p, 30.0, 0.8)
    if find_setting(name).clue_weight_fraction > 0.0:
        assert calm < p.prior_belief_fraction < high
    else:
        assert calm == high == pytest.approx(p.prior_belief_fraction, rel=1e-14)


def test_drowsiness_alone_speaks_for_ketamine_against_saline_but_not_against_midazolam():
    saline, midazolam = (in_setting(name) for name in ("saline", "midazolam"))
    assert felt(saline, 0.0, 0.5) > felt(saline) + 0.2
    assert felt(midazolam, 0.0, 0.5) == pytest.approx(felt(midazolam), rel=1e-12)
