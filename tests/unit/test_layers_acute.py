"""Acute effects, layer by layer: dissociation, pressure and heart rate, sedation, discomfort."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.registry import layer_course, typical
from tests.strategies import concentrations, fractions, layer_parameters

from euthymia.engine.maths import NUMPY
from euthymia.mechanism.acute import cardiovascular, discomfort, dissociation, sedation
from euthymia.model.parameters import load_parameters
from euthymia.population.individual import RISES, chain_values
from euthymia.population.patient import Patient

HOURS = np.linspace(0.0, 6.0, 61)


# --- dissociation ----------------------------------------------------------------------------------

FELT = typical("dissociation")
DOMAINS = ("depersonalisation", "derealisation", "time", "perception", "relaxation")


def awake(site: Any, anaesthesia: Any = 0.0) -> dissociation.Inputs:
    return dissociation.Inputs(site, anaesthesia)


def felt(
    site: Any, p: dissociation.Parameters = FELT, tolerance: Any = 0.0, anaesthesia: Any = 0.0
) -> dissociation.Outputs:
    return dissociation.outputs(NUMPY, dissociation.State(tolerance), awake(site, anaesthesia), p)


@given(
    site=concentrations(),
    parameters=layer_parameters("dissociation"),
    tolerance=st.floats(0.0, 20.0),
    anaesthesia=fractions(),
)
def test_intensities_lie_between_0_and_1_and_cadss_below_its_ceiling(
    site: float, parameters: dissociation.Parameters, tolerance: float, anaesthesia: float
):
    out = felt(site, parameters, tolerance, anaesthesia)
    assert all(0.0 <= one <= 1.0 for name, one in out._asdict().items() if name.endswith("_fraction"))
    assert out.cadss_points == parameters.cadss_ceiling_points * out.intensity_fraction


def test_intensity_is_a_sigmoid_with_its_half_at_the_half_effect_concentration():
    site = np.array([0.0, 0.1, FELT.half_effect_umol_per_L, 1.0, 10.0])
    power, half = (one**FELT.steepness_exponent for one in (site, FELT.half_effect_umol_per_L))
    np.testing.assert_allclose(felt(site).intensity_fraction, power / (power + half), rtol=1e-12, atol=0)
    assert felt(site).intensity_fraction[2] == pytest.approx(0.5, rel=1e-14)


@pytest.mark.parametrize("domain", DOMAINS)
def test_each_domain_is_half_at_its_own_multiple_of_the_half_effect(domain: str):
    for ratio in (0.4, 1.0, 2.5):
        p = typical("dissociation", **{f"{domain}_half_effect_relative": ratio})
        site = ratio * p.half_effect_umol_per_L
        assert getattr(felt(site, p), f"{domain}_fraction") == pytest.approx(0.5, rel=1e-14)
        others = {name for name in DOMAINS if name != domain}
        assert all(
            getattr(felt(site, p), f"{name}_fraction") == getattr(felt(site), f"{name}_fraction")
            for name in others
        )


def test_more_drug_is_felt_more_in_every_domain():
    out = felt(np.geomspace(1e-4, 1e2, 200))
    for one in out:
        assert np.all(np.diff(one) > 0)


@pytest.mark.parametrize("tolerance", [0.5, 1.0, 3.0])
def test_tolerance_divides_everything_that_is_felt(tolerance: float):
    naive, used = felt(0.4), felt(0.4, tolerance=tolerance)
    np.testing.assert_allclose(used, np.array(naive) / (1.0 + tolerance), rtol=1e-14, atol=0)


def test_tolerance_fades_by_one_exponential_without_drug():
    weeks_h = np.linspace(0.0, 2000.0, 21)
    found = layer_course("dissociation", dissociation.State(0.8), FELT, weeks_h, awake(0.0))
    expected = 0.8 * np.exp(-weeks_h / FELT.tolerance_time_h)
    np.testing.assert_allclose(found.tolerance_relative, expected, rtol=1e-9, atol=0)


def test_tolerance_under_a_lasting_concentration_settles_at_the_root_of_its_balance():
    p = typical("dissociation", tolerance_time_h=20.0)
    power, half = (one**p.steepness_exponent for one in (0.4, p.half_effect_umol_per_L))
    steep = power / (power + half)
    root = 0.5 * (np.sqrt(1.0 + 4.0 * p.tolerance_rate_per_h * p.tolerance_time_h * steep) - 1.0)
    found = layer_course("dissociation", dissociation.initial(), p, [0.0, 600.0], awake(0.4))
    assert found.tolerance_relative[-1] == pytest.approx(root, rel=1e-9)


def test_the_same_session_is_felt_less_the_second_time():
    state, peaks = dissociation.initial(), []
    for _ in range(2):
        peaks.append(float(felt(0.4, tolerance=state.tolerance_relative).intensity_fraction))
        for hours, site in ((1.0, 0.4), (71.0, 0.0)):
            end = layer_course("dissociation", state, FELT, [0.0, hours], awake(site))
            state = dissociation.State(float(end.tolerance_relative[-1]))
    assert peaks[1] < 0.95 * peaks[0]


@given(site=concentrations(), parameters=layer_parameters("dissociation"))
def test_tolerance_cannot_fall_below_0(site: float, parameters: dissociation.Parameters):
    change = dissociation.rates(NUMPY, dissociation.initial(), awake(site), parameters)
    assert change.tolerance_relative >= 0.0


@pytest.mark.parametrize("depth", [0.25, 1.0])
def test_under_anaesthesia_only_what_is_left_of_wakefulness_is_felt(depth: float):
    asleep, open_eyed = felt(0.7, anaesthesia=depth), felt(0.7)
    np.testing.assert_allclose(asleep, (1.0 - depth) * np.array(open_eyed), rtol=1e-14, atol=0)


def test_full_anaesthesia_leaves_no_dissociation_and_builds_no_tolerance():
    assert set(felt(5.0, anaesthesia=1.0)) == {0.0}
    change = dissociation.rates(NUMPY, dissociation.initial(), awake(5.0, 1.0), FELT)
    assert change == dissociation.State(0.0)


# --- pressure and heart rate -----------------------------------------------------------------------

BODY = typical("cardiovascular")


def test_the_sympathetic_effect_follows_the_site_by_one_exponential():
    found = layer_course("cardiovascular", cardiovascular.initial(), BODY, HOURS, cardiovascular.Inputs(0.7))
    aim = 0.7 / (0.7 + BODY.half_effect_umol_per_L)
    expected = aim * (1.0 - np.exp(-BODY.follow_rate_per_h * HOURS))
    np.testing.assert_allclose(found.effect_fraction, expected, rtol=1e-8, atol=1e-12)


def test_a_session_raises_pressure_as_much_the_tenth_time_as_the_first():
    state, peaks = cardiovascular.initial(), []
    for _ in range(10):
        for hours, site in ((1.0, 0.7), (71.0, 0.0)):
            end = layer_course("cardiovascular", state, BODY, [0.0, hours], cardiovascular.Inputs(site))
            state = cardiovascular.State(float(end.effect_fraction[-1]))
            peaks += [state.effect_fraction] if site else []
    assert peaks[0] > 0.5
    np.testing.assert_allclose(peaks, peaks[0], rtol=1e-9, atol=0)


def test_each_rise_is_its_ceiling_times_the_effect():
    found = cardiovascular.outputs(NUMPY, cardiovascular.State(0.4), BODY)
    ceilings = (
        BODY.largest_systolic_rise_mmHg,
        BODY.largest_diastolic_rise_mmHg,
        BODY.largest_heart_rate_rise_per_min,
    )
    np.testing.assert_allclose(found, 0.4 * np.array(ceilings), rtol=1e-14, atol=0)


COVARIATES = cardiovascular.Covariates(
    age_slope_per_year=0.01, age_reference_years=45.0, hypertension_ratio=1.3
)


@pytest.mark.parametrize(
    ("age_years", "is_hypertensive", "ratio"),
    [
        (45.0, False, 1.0),
        (75.0, False, 1.3),
        (20.0, False, 0.75),
        (45.0, True, 1.3),
        (75.0, True, 1.69),
        (np.nan, False, 1.0),
        (np.nan, True, 1.3),
    ],
)
def test_age_and_hypertension_change_a_rise_by_hand(age_years: float, is_hypertensive: bool, ratio: float):
    found = cardiovascular.for_person(
        30.0, COVARIATES, age_years=np.array([age_years]), is_hypertensive=np.array([is_hypertensive])
    )
    np.testing.assert_allclose(found, 30.0 * ratio, rtol=1e-14, atol=0)


def test_no_age_turns_a_rise_into_a_fall():
    steep = COVARIATES._replace(age_slope_per_year=0.05)
    found = cardiovascular.for_person(
        30.0, steep, age_years=np.array([0.0, 20.0, 29.0]), is_hypertensive=np.array([False] * 3)
    )
    np.testing.assert_allclose(found, [0.0, 0.0, 6.0], rtol=1e-12, atol=0)


def test_age_and_history_reach_the_pressure_of_a_patient_and_nothing_else():
    people = [Patient(), Patient(age_years=75.0), Patient(age_years=75.0, is_hypertensive=True)]
    found = chain_values(load_parameters(), people, numbers=None, seed=1)
    plain = chain_values(load_parameters(), people[:1], numbers=None, seed=1)
    for name, value in found.items():
        ratio = np.array([1.0, 1.3, 1.3 * 1.3]) if name in RISES else 1.0
        np.testing.assert_allclose(value, plain[name] * ratio, rtol=1e-14, atol=0, err_msg=name)
    assert set(RISES) <= set(found)


# --- sedation --------------------------------------------------------------------------------------

CALM = typical("sedation")


def given_now(site: Any = 0.0, midazolam: Any = 0.0, anaesthesia: Any = 0.0) -> sedation.Inputs:
    return sedation.Inputs(site, midazolam, anaesthesia)


def aim(inputs: sedation.Inputs, p: sedation.Parameters = CALM) -> float:
    """Return the depth at which sedation rests."""
    return float(sedation.rates(NUMPY, sedation.State(0.0), inputs, p).depth_fraction / p.follow_rate_per_h)


def sigmoid(site: float, half: float, exponent: float) -> float:
    return site**exponent / (site**exponent + half**exponent)


def test_depth_follows_the_site_by_one_exponential_to_its_sigmoid():
    for site in (0.2, CALM.half_effect_umol_per_L, 4.0):
        found = layer_course("sedation", sedation.initial(), CALM, HOURS, given_now(site))
        rest = sigmoid(site, CALM.half_effect_umol_per_L, CALM.steepness_exponent)
        expected = rest * (1.0 - np.exp(-CALM.follow_rate_per_h * HOURS))
        np.testing.assert_allclose(found.depth_fraction, expected, rtol=1e-8, atol=1e-12)


def test_midazolam_alone_sedates_by_a_sigmoid_of_its_own():
    p = typical("sedation", midazolam_steepness_exponent=2.5)
    for midazolam in (0.05, 1.6, 20.0):
        expected = sigmoid(midazolam, p.midazolam_half_effect_umol_per_L, 2.5)
        assert aim(given_now(midazolam=midazolam), p) == pytest.approx(expected, rel=1e-12)


@given(
    site=concentrations(),
    midazolam=concentrations(),
    anaesthesia=fractions(),
    parameters=layer_parameters("sedation"),
)
def test_causes_of_sedation_join_as_independent_chances(
    site: float, midazolam: float, anaesthesia: float, parameters: sedation.Parameters
):
    together = aim(given_now(site, midazolam, anaesthesia), parameters)
    awake_share = (1.0 - aim(given_now(site), parameters)) * (
        1.0 - aim(given_now(midazolam=midazolam), parameters)
    )
    assert together == pytest.approx(1.0 - awake_share * (1.0 - anaesthesia), rel=1e-12, abs=1e-12)


def test_general_anaesthesia_takes_the_observers_score_to_0():
    found = layer_course("sedation", sedation.initial(), CALM, HOURS, given_now(0.3, anaesthesia=1.0))
    asleep = sedation.outputs(NUMPY, found, given_now(0.3, anaesthesia=1.0), CALM)
    expected = 5.0 * np.exp(-CALM.follow_rate_per_h * HOURS)
    # 5 (1 - depth) loses digits where depth comes near 1
    np.testing.assert_allclose(asleep.moaas_points, expected, rtol=1e-7, atol=1e-8)
    assert asleep.moaas_points[-1] < 1e-6


def test_the_observers_score_falls_from_5_awake_to_0():
    depth = np.array([0.0, 0.2, 1.0])
    found = sedation.outputs(NUMPY, sedation.State(depth), given_now(), CALM).moaas_points
    np.testing.assert_allclose(found, [5.0, 4.0, 0.0], rtol=1e-15, atol=0)


@given(depth=fractions(), midazolam=concentrations(), parameters=layer_parameters("sedation"))
def test_drowsiness_lies_above_depth_and_below_1(
    depth: float, midazolam: float, parameters: sedation.Parameters
):
    found = sedation.outputs(NUMPY, sedation.State(depth), given_now(midazolam=midazolam), parameters)
    assert depth - 1e-15 <= found.drowsiness_fraction <= 1.0


def test_without_midazolam_one_feels_as_drowsy_as_one_is_deep_and_with_it_by_its_hyperbola_more():
    depth = sedation.State(0.2)
    assert sedation.outputs(NUMPY, depth, given_now(0.7), CALM).drowsiness_fraction == pytest.approx(
        0.2, rel=1e-14
    )
    at_half = given_now(midazolam=CALM.midazolam_half_drowsiness_umol_per_L)
    assert sedation.outputs(NUMPY, depth, at_half, CALM).drowsiness_fraction == pytest.approx(0.6, rel=1e-14)


@given(data=st.data(), site=concentrations(), midazolam=concentrations(), anaesthesia=fractions())
def test_effects_that_follow_the_site_cannot_leave_0_to_1(
    data: st.DataObject, site: float, midazolam: float, anaesthesia: float
):
    for layer, module, inputs in (
        ("sedation", sedation, given_now(site, midazolam, anaesthesia)),
        ("cardiovascular", cardiovascular, cardiovascular.Inputs(site)),
    ):
        parameters = data.draw(layer_parameters(layer))
        assert module.rates(NUMPY, module.State(0.0), inputs, parameters)[0] >= 0.0
        assert module.rates(NUMPY, module.State(1.0), inputs, parameters)[0] <= 0.0


# --- discomfort ------------------------------------------------------------------------------------

ROUGH = typical("discomfort")


def unprepared(site: Any = 0.0) -> discomfort.Inputs:
    return discomfort.Inputs(site, 0.0)


def chances(exposure_h: Any, p: discomfort.Parameters = ROUGH, preparation: Any = 0.0) -> discomfort.Outputs:
    return discomfort.outputs(NUMPY, discomfort.State(exposure_h), discomfort.Inputs(0.0, preparation), p)


@given(
    parameters=layer_parameters("discomfort"),
    exposures=st.lists(st.floats(0.0, 100.0), min_size=2),
    preparation=fractions(),
)
def test_a_probability_stays_in_0_to_1_and_grows_with_exposure(
    parameters: discomfort.Parameters, exposures: list[float], preparation: float
):
    out = chances(np.sort(np.array(exposures)), parameters, preparation)
    for one in out:
        assert np.all((one >= 0.0) & (one <= 1.0))
        assert np.all(np.diff(one) >= 0.0)
    assert tuple(chances(discomfort.initial().exposure_h, parameters)) == (0.0, 0.0, 0.0, 0.0)


def test_a_larger_hazard_makes_a_symptom_likelier_by_the_exponential_law():
    for hazard in (0.0, 0.2, 2.0):
        p = typical("discomfort", nausea_hazard_per_h=hazard)
        found = chances(0.9, p).nausea_probability
        assert found == pytest.approx(1.0 - np.exp(-0.9 * hazard), rel=1e-14, abs=0)


def test_exposure_counts_hours_at_full_effect():
    found = layer_course("discomfort", discomfort.initial(), ROUGH, HOURS, unprepared(0.35))
    effect = 0.35 / (0.35 + ROUGH.half_effect_umol_per_L)
    np.testing.assert_allclose(found.exposure_h, effect * HOURS, rtol=1e-10, atol=1e-13)


@given(site=concentrations(), share=fractions())
def test_exposure_never_falls_within_a_session(site: float, share: float):
    change = discomfort.rates(NUMPY, discomfort.State(share), unprepared(site), ROUGH)
    assert 0.0 <= change.exposure_h <= 1.0
    assert (change.exposure_h > 0.0) == (site > 0.0)


def test_a_new_session_starts_from_no_exposure():
    assert discomfort.at_session(discomfort.State(2.5)) == discomfort.initial()


def test_preparation_takes_its_share_off_the_hazard_of_anxiety_and_of_nothing_else():
    p = typical("discomfort", preparation_on_anxiety_fraction=0.6, anxiety_hazard_per_h=0.3)
    plain, prepared = chances(1.0, p), chances(1.0, p, 0.5)
    assert prepared[:3] == plain[:3]
    assert plain.anxiety_probability == pytest.approx(1.0 - np.exp(-0.3), rel=1e-12)
    assert prepared.anxiety_probability == pytest.approx(1.0 - np.exp(-0.3 * (1.0 - 0.6 * 0.5)), rel=1e-12)
    assert chances(1.0, preparation=1.0).anxiety_probability < chances(1.0).anxiety_probability
