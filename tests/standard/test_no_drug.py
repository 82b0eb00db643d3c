"""Claim: without drug nothing happens: the untreated episode lasts, wellness lasts, a dose of 0 is none."""

from __future__ import annotations

import numpy as np
import pytest
from tests.standard.assembled import INFUSION, MECHANISMS, STATES, assemble, typical, with_

from euthymia import simulate
from euthymia.model.trajectory import Trajectory
from euthymia.population.run import Life

pytestmark = pytest.mark.slow

YEAR_DAYS = 365.0
STILL = 1e-6
LOADS = {
    "usual": {},
    "stressed": {"stress.usual_stress_relative": 1.0},
    "inflamed": {"stress.usual_inflammation_relative": 1.0},
    "hardest": {"stress.usual_stress_relative": 5.0, "stress.usual_inflammation_relative": 5.0},
}


def largest_move(course: Trajectory) -> dict[str, float]:
    """Return the largest change from time 0 of every observable that moves, relative to its size."""
    moves = {
        name: float(np.abs(values - values[:, :1]).max() / max(1.0, np.abs(values).max()))
        for name, values in course.values.items()
    }
    return {name: move for name, move in moves.items() if not move <= STILL}


@pytest.mark.parametrize("is_well", [False, True], ids=["ill", "well"])
def test_everything_of_every_virtual_patient_is_flat_for_a_year(is_well: bool):
    course = simulate(
        None,
        patients=120,
        days=YEAR_DAYS,
        times_h=np.linspace(0.0, YEAR_DAYS * 24.0, 27),
        has_mood_noise=False,
        life=Life(is_well=is_well),
    )
    assert len(course.values) > 40
    assert largest_move(course) == {}


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("is_well", [False, True], ids=["ill", "well"])
def test_any_usual_life_leaves_virtual_patients_where_they_are(load: str, is_well: bool):
    course = simulate(
        None,
        patients=40,
        days=30,
        times_h=np.linspace(0.0, 30 * 24.0, 7),
        has_mood_noise=False,
        parameters=with_(LOADS[load]),
        life=Life(is_well=is_well),
    )
    assert largest_move(course) == {}


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_no_mechanism_moves_anything_without_drug(mechanism: str):
    found = assemble(None, days=12.0, parameters=with_(MECHANISMS[mechanism]), outputs=STATES)
    for state in STATES:
        np.testing.assert_allclose(
            found.values[state], found.values[state][:, :1] * np.ones(200), rtol=0, atol=STILL, err_msg=state
        )


def test_an_ill_and_a_well_person_differ_under_the_same_life():
    ill, well = (
        simulate(None, days=1, life=Life(is_well=is_well))["madrs_points"][0, 0] for is_well in (False, True)
    )
    assert ill == pytest.approx(33.0, abs=1e-9)
    assert well < 7.0


# --- a dose of 0 -----------------------------------------------------------------------------------


@pytest.mark.parametrize("regimen", [INFUSION, "esketamine 84 mg in, twice weekly x 2", "ketamine 180 mg er"])
def test_doses_that_are_held_are_no_drug(regimen: str):
    times = np.linspace(0.0, 240.0, 41)
    none = simulate(None, times_h=times, days=10, setting="none")
    slots = {INFUSION: 1, "ketamine 180 mg er": 1}.get(regimen, 6)
    held = simulate(regimen, times_h=times, days=10, setting="none", factors=np.zeros((1, slots)))
    for name, values in none.values.items():
        np.testing.assert_allclose(held.values[name], values, rtol=0, atol=1e-9, err_msg=name)


def test_what_is_held_leaves_the_visit():
    held = simulate(INFUSION, times_h=[0.0, 24.0], factors=np.zeros((1, 1)))
    saline = simulate("saline iv over 40 min", times_h=[0.0, 24.0])
    assert held["madrs_points"][0, 1] == pytest.approx(saline["madrs_points"][0, 1], abs=1e-4)
    assert held["madrs_points"][0, 1] < held["madrs_points"][0, 0] - 0.1


def test_a_dose_that_is_held_leaves_what_the_others_do():
    regimen = "ketamine 0.5 mg/kg iv over 40 min, weekly x 2"
    times = np.linspace(0.0, 24.0 * 14, 60)
    both = simulate(regimen, times_h=times, setting="none", days=14)
    first = simulate(regimen, times_h=times, setting="none", days=14, factors=np.array([[1.0, 0.0]]))
    alone = simulate(INFUSION, times_h=times, setting="none", days=14)
    np.testing.assert_allclose(first["madrs_points"], alone["madrs_points"], rtol=0, atol=2e-3)
    assert np.abs(both["madrs_points"] - alone["madrs_points"]).max() > 3.0


def test_factors_scale_doses():
    times = np.linspace(0.0, 48.0, 25)
    doubled = simulate("ketamine 0.25 mg/kg iv over 40 min", times_h=times, factors=np.array([[2.0]]), days=2)
    once = simulate(INFUSION, times_h=times, days=2)
    for name, values in once.values.items():
        np.testing.assert_allclose(
            doubled.values[name], values, rtol=1e-9, atol=1e-12 * np.abs(values).max(), err_msg=name
        )


# --- in expectation, with swings of mood -----------------------------------------------------------


@pytest.fixture(scope="module")
def untreated() -> Trajectory:
    """A cohort with swings of mood that nobody treats."""
    return simulate(
        None,
        patients=300,
        days=YEAR_DAYS,
        times_h=np.array([0.0, 1.0, 28.0, 84.0, 182.0, 365.0]) * 24.0,
        variables=["madrs_points"],
    )


def test_swings_of_mood_leave_the_mean_of_a_month_where_it_was(untreated: Trajectory):
    mean = untreated["madrs_points"].mean(axis=0)
    assert abs(mean[2] - mean[1]) < 0.5


def test_in_a_year_swings_carry_a_few_over_the_threshold_into_wellness(untreated: Trajectory):
    """Beliefs that turn stay turned: 1.7 % of 1000 were below 10 points after a year, the mean 1.4 lower."""
    last = untreated["madrs_points"][:, -1]
    assert (last < 10.0).mean() < 0.05
    assert -3.0 < last.mean() - untreated["madrs_points"][:, 0].mean() < 0.5


def test_people_drift_apart_from_their_own_baseline(untreated: Trajectory):
    change = untreated["madrs_points"] - untreated["madrs_points"][:, :1]
    assert 6.0 < change[:, 2].std() < 11.0


def test_a_score_at_time_0_already_holds_the_swing_of_that_day():
    course = simulate(None, patients=300, times_h=[0.0, 3.0], days=1, variables=["madrs_points"])
    start, later = course["madrs_points"].T
    assert (later - start).std() < 1.0


def test_typical_patients_have_no_swings():
    course = simulate(None, days=30, times_h=[0.0, 240.0, 720.0])
    assert (course["mood_noise_logit"] == 0.0).all()


def test_swings_are_the_same_in_every_arm():
    arms = [
        simulate(regimen, patients=20, days=7, times_h=np.linspace(0.0, 168.0, 15))
        for regimen in (None, INFUSION, "saline iv over 40 min")
    ]
    assert len(np.unique(arms[0]["mood_noise_logit"])) > 100
    for arm in arms[1:]:
        assert arm["mood_noise_logit"].tobytes() == arms[0]["mood_noise_logit"].tobytes()


def test_drawn_patients_are_those_of_the_states():
    """The states of this folder are those behind ``simulate``: same bytes."""
    times = np.linspace(0.0, 72.0, 40)
    regimen = f"{INFUSION}; CBT 50 min at 26 h; escitalopram 10 mg po, daily x 3"
    course = simulate(regimen, patients=3, times_h=times, days=3)
    found = assemble(
        regimen, days=3.0, people=typical(3), is_drawn=True, is_noisy=True, setting="open", times_h=times
    )
    compared = [name for name in course.values if name in found.values]
    assert len(compared) > 35
    assert [n for n in compared if course.values[n].tobytes() != found.values[n].tobytes()] == []
