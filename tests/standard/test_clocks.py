"""Claim: each part of the chain keeps its own clock: what is quick ends, what lasts lasts."""

from __future__ import annotations

import numpy as np
import pytest
from tests.registry import REPRESENTATIVES, Combination
from tests.standard.assembled import INFUSION, madrs_change, with_

from euthymia import simulate
from euthymia.dosing.regimen import single
from euthymia.model.chain import TOLERANCE as GRID_TOLERANCE
from euthymia.model.trajectory import Trajectory
from euthymia.population.summary import peak_of_session

pytestmark = pytest.mark.slow

ROUTES = tuple(one for one in REPRESENTATIVES if one.parameters.chain)


@pytest.fixture(scope="module")
def cohort() -> Trajectory:
    """One infusion in 200 virtual patients without hope and swings of mood."""
    return simulate(
        INFUSION,
        patients=200,
        days=30,
        setting="none",
        has_mood_noise=False,
        times_h=np.array([0.0, 1.0, 7.0, 10.0, 30.0]) * 24.0,
    )


@pytest.mark.parametrize("combination", ROUTES, ids=str)
def test_ampa_potentiation_is_gone_after_10_days_by_any_route(combination: Combination):
    course = simulate(
        single(combination.order),
        days=10,
        times_h=[0.0, 24.0, 240.0],
        parameters=combination.parameters,
        variables=["ampa_potentiation_fraction"],
    )
    _, day, late = course["ampa_potentiation_fraction"][0]
    assert late < 0.05
    assert day > 0.02


def test_ampa_potentiation_of_the_median_patient_is_gone_after_10_days(cohort: Trajectory):
    assert np.median(cohort["ampa_potentiation_fraction"][:, 3]) < 0.05


def test_the_median_patient_is_back_within_2_points_30_days_after_one_dose(cohort: Trajectory):
    change = cohort["madrs_points"] - cohort["madrs_points"][:, :1]
    assert np.median(change[:, 1]) < -5.0
    assert -2.0 < np.median(change[:, 4]) < 0.0


def test_the_typical_patient_is_back_within_2_points_30_days_after_one_dose():
    day, month = madrs_change(INFUSION, [1.0, 30.0])
    assert day < -5.0
    assert -2.0 < month < 0.0


def test_what_is_left_after_a_week_is_about_half_of_what_there_was_after_a_day():
    day, week = madrs_change(INFUSION, [1.0, 7.0])
    assert 0.47 <= week / day <= 0.66


# --- without the protein path ----------------------------------------------------------------------

PROTEIN_PATH = (
    "mtorc1_relative",
    "synaptic_protein_relative",
    "prefrontal_new_synapses_fraction",
    "hippocampal_new_synapses_fraction",
    "window_of_plasticity_fraction",
)


def test_a_blocked_trkb_shuts_the_protein_path_and_leaves_what_is_before_it():
    asked = (*PROTEIN_PATH, "ampa_potentiation_fraction", "plasticity_drive_fraction", "madrs_points")
    times = np.linspace(0.0, 72.0, 73)
    open_, shut = (
        simulate(
            INFUSION,
            days=3,
            times_h=times,
            setting="none",
            variables=asked,
            parameters=with_({"signalling.trkb_block_fraction": share}),
        )
        for share in (0.0, 1.0)
    )
    for name in PROTEIN_PATH:
        assert open_[name].max() > 0.01, name
        assert np.abs(shut[name]).max() <= 1e-12, name
    for name in ("ampa_potentiation_fraction", "plasticity_drive_fraction"):
        atol = GRID_TOLERANCE * open_[name].max()
        np.testing.assert_allclose(shut[name], open_[name], rtol=0, atol=atol, err_msg=name)
    whole, rest = (one["madrs_points"][0, 24] - one["madrs_points"][0, 0] for one in (open_, shut))
    assert 0.8 * whole < rest < 0.1 * whole


# --- slow antidepressants --------------------------------------------------------------------------


def _hours_to_half(course: Trajectory) -> float:
    """Return hours from time 0 to half of the largest fall of MADRS."""
    fall = course["madrs_points"][0, 0] - course["madrs_points"][0]
    return float(course.times_h[np.flatnonzero(fall >= 0.5 * fall.max())[0]])


def test_an_ssri_takes_ten_times_longer_to_half_of_its_own_effect_than_ketamine():
    weeks = 12
    quick = simulate(
        INFUSION, days=3, setting="none", times_h=np.arange(0.0, 72.1, 0.25), variables=["madrs_points"]
    )
    slow = simulate(
        f"escitalopram 10 mg po, daily for {weeks} weeks",
        days=weeks * 7,
        times_h=np.arange(0.0, weeks * 168.0 + 1, 6.0),
        variables=["madrs_points"],
    )
    assert _hours_to_half(slow) > 10.0 * _hours_to_half(quick)
    assert _hours_to_half(quick) < 24.0
    assert slow["madrs_points"][0, -1] < slow["madrs_points"][0, 0] - 1.0


# --- tolerance -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def eight_sessions() -> Trajectory:
    return simulate(f"{INFUSION}, twice weekly x 8", days=26, setting="none")


@pytest.mark.parametrize(
    "name", ["systolic_rise_mmHg", "diastolic_rise_mmHg", "heart_rate_rise_per_min", "sedation_fraction"]
)
def test_pressure_and_sedation_are_the_same_at_every_session(eight_sessions: Trajectory, name: str):
    peaks = [float(peak_of_session(eight_sessions, name, session=at).value[0]) for at in range(8)]
    assert peaks == pytest.approx([peaks[0]] * 8, rel=1e-3)
    assert peaks[0] > 0.005


def test_dissociation_falls_from_session_to_session(eight_sessions: Trajectory):
    for name in ("dissociation_fraction", "cadss_points"):
        peaks = [float(peak_of_session(eight_sessions, name, session=at).value[0]) for at in range(8)]
        assert (np.diff(peaks) < 0).all()
        assert 0.5 * peaks[0] < peaks[-1] < 0.9 * peaks[0]


def test_tolerance_fades_in_half_a_year_without_sessions():
    regimen = f"{INFUSION}, daily x 4 then {INFUSION} at 200 d"
    course = simulate(regimen, days=201, setting="none", variables=["dissociation_fraction"])
    peaks = [float(peak_of_session(course, "dissociation_fraction", session=at).value[0]) for at in range(5)]
    assert peaks[3] < 0.95 * peaks[0]
    assert peaks[4] == pytest.approx(peaks[0], rel=1e-3)
