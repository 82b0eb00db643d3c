"""What must hold around the drug, uncalibrated: controls, antidepressants, therapy, relapse, schedules."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from euthymia.errors import ResultWarning
from euthymia.model.chain import TOLERANCE
from euthymia.model.course import Pulse
from euthymia.model.mechanisms import with_mechanisms
from euthymia.model.parameters import load_parameters
from euthymia.model.trajectory import Trajectory
from euthymia.population.relapse import hazard_steps
from euthymia.population.run import Life
from euthymia.population.screening import Entry
from euthymia.population.settings import settings
from euthymia.population.simulate import simulate
from euthymia.population.summary import change, totals
from euthymia.population.surroundings import PARTS, Taken

Array = NDArray[np.float64]
KETAMINE = "ketamine 0.5 mg/kg iv over 40 min"
SALINE, MIDAZOLAM = "saline iv over 40 min", "midazolam 0.045 mg/kg iv over 40 min"
SPRAY = "esketamine 84 mg intranasal"
SSRI = "escitalopram 10 mg daily x 42"


def madrs(regimen: str | None, days: Sequence[float], **more: Any) -> Array:
    """Return the mean change of MADRS from time 0 to some days, (days,)."""
    return change(run(regimen, days, **more), "madrs_points", days).mean(axis=0)


def run(regimen: str | None, days: Sequence[float], **more: Any) -> Trajectory:
    times = np.union1d([0.0], 24.0 * np.asarray(days, float))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        return simulate(
            regimen,
            times_h=times,
            **{"variables": ["madrs_points", "severity_fraction"]} | more,
        )


# --- controls ----------------------------------------------------------------------------------------


def test_midazolam_lifts_mood_more_than_saline_does_each_in_its_own_trial():
    midazolam = madrs(MIDAZOLAM, [1.0, 7.0], setting="midazolam")
    saline = madrs(SALINE, [1.0, 7.0], setting="saline")
    assert (midazolam < saline - 0.5).all()


def test_midazolam_makes_no_plasticity():
    course = simulate(
        MIDAZOLAM, setting="none", variables=["plasticity_drive_fraction", "prefrontal_new_synapses_fraction"]
    )
    for name in course.values:  # what is 0 at grid points is so between them to rounding
        np.testing.assert_allclose(course[name], 0.0, rtol=0, atol=1e-14)


@pytest.mark.slow
def test_ketamine_is_told_from_saline_better_than_from_midazolam():
    def gap(control: str, setting: str) -> float:
        beliefs = [
            simulate(one, setting=setting, times_h=[0.0, 24.0], variables=["belief_to_be_on_drug_fraction"])
            for one in (KETAMINE, control)
        ]
        drug, other = (one["belief_to_be_on_drug_fraction"][0, 1] for one in beliefs)
        return float(drug - other)

    assert gap(SALINE, "saline") > gap(MIDAZOLAM, "midazolam") + 0.1 > 0.1


def test_who_finds_out_to_be_on_the_control_is_disappointed():
    hoped = madrs(SALINE, [1.0], setting="anaesthesia")  # as much hope at first, nothing is found out
    assert madrs(SALINE, [1.0], setting="saline")[0] > hoped[0] + 1.0


@pytest.mark.slow
def test_admission_helps_whatever_is_given():
    for one in (KETAMINE, SALINE):
        alone, admitted = (madrs(one, [3.0], setting=name)[0] for name in ("saline", "saline+admission"))
        assert admitted < alone - 1.0


# --- perfect blinding --------------------------------------------------------------------------------


HOPE_ALONE: dict[str, Any] = {
    "setting": "anaesthesia",
    "parameters": with_mechanisms(load_parameters(), ["expectancy_only"]),
}


def test_without_a_drug_term_perfect_blinding_leaves_no_contrast():
    both = [run(one, [2 / 24, 1.0, 7.0], **HOPE_ALONE) for one in (KETAMINE, SALINE)]
    # doses leave marks, so that the steps differ: what is left is their error
    drug, saline = (one["severity_fraction"] for one in both)
    np.testing.assert_allclose(drug, saline, rtol=0, atol=TOLERANCE * saline.max())
    assert change(both[0], "madrs_points", [1.0])[0, 0] < -1.0  # and hope itself is there


@pytest.mark.slow
def test_without_a_drug_term_perfect_blinding_leaves_no_contrast_but_that_of_the_steps():
    asked: dict[str, Any] = {"times_h": [0.0, 2.0, 24.0], "days": 1, "variables": ["severity_fraction"]}
    drug, saline = (simulate(one, engine="reference", **asked, **HOPE_ALONE) for one in (KETAMINE, SALINE))
    np.testing.assert_allclose(drug["severity_fraction"], saline["severity_fraction"], rtol=0, atol=1e-9)


def test_without_a_drug_term_a_trial_of_people_awake_still_shows_a_contrast():
    hope_alone = with_mechanisms(load_parameters(), ["expectancy_only"])
    drug, saline = (
        madrs(one, [1.0], setting="saline", parameters=hope_alone)[0] for one in (KETAMINE, SALINE)
    )
    assert drug < saline - 1.0


def test_with_the_drug_term_the_model_predicts_a_contrast_under_anaesthesia_against_the_trial():
    drug, saline = (madrs(one, [1.0], setting="anaesthesia")[0] for one in (KETAMINE, SALINE))
    assert drug < saline - 4.0


@pytest.mark.slow
def test_anaesthetics_that_quieten_the_circuit_take_most_of_that_contrast_away():
    quiet = with_mechanisms(load_parameters(), ["anaesthetic_gain"])

    def contrast(**more: Any) -> float:
        drug, saline = (madrs(one, [1.0], **more)[0] for one in (KETAMINE, SALINE))
        return float(drug - saline)

    assert abs(contrast(setting="anaesthesia", parameters=quiet)) < 0.4 * abs(contrast(setting="anaesthesia"))
    assert contrast(setting="open", parameters=quiet) == pytest.approx(contrast(setting="open"), abs=1e-9)


# --- slow antidepressants ----------------------------------------------------------------------------


def hours_to_half(regimen: str, until_h: float) -> float:
    """Return hours until half of the largest fall of severity."""
    times = np.linspace(0.0, until_h, 600)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResultWarning)
        course = simulate(regimen, setting="none", times_h=times, variables=["severity_fraction"])
    fall = course["severity_fraction"][0, 0] - course["severity_fraction"][0]
    return float(times[np.flatnonzero(fall >= 0.5 * fall.max())[0]])


def test_an_ssri_is_slower_than_ketamine_by_an_order_of_magnitude():
    assert hours_to_half(SSRI, 1000.0) > 10.0 * hours_to_half(KETAMINE, 48.0)


def test_about_a_third_of_the_six_week_effect_of_an_ssri_is_there_by_week_one():
    week, six = madrs(SSRI, [7.0, 42.0], setting="none")
    assert 0.2 < week / six < 0.45


@pytest.mark.slow
@pytest.mark.parametrize(
    "daily", ["sertraline 50 mg", "fluoxetine 20 mg", "venlafaxine 75 mg", "duloxetine 60 mg"]
)
def test_usual_doses_of_other_antidepressants_do_as_much_as_escitalopram(daily: str):
    other, first = (
        madrs(f"{one} daily x 42", [42.0], setting="none")[0] for one in (daily, "escitalopram 10 mg")
    )
    assert other == pytest.approx(first, abs=0.3)


@pytest.mark.slow
def test_a_new_antidepressant_adds_to_ketamine():
    both = madrs(f"{KETAMINE}; {SSRI}", [28.0], setting="none")[0]
    assert both < madrs(KETAMINE, [28.0], setting="none")[0] - 1.0


@pytest.mark.slow
def test_who_is_on_an_antidepressant_already_stays_where_they_are_and_worsens_slowly_without_it():
    on = Life(taken=(Taken.create("escitalopram 10 mg"),))
    off = Life(taken=(Taken.create("escitalopram 10 mg until day 7"),))
    days = [7.0, 14.0, 90.0]
    np.testing.assert_allclose(madrs(None, days, life=on), 0.0, atol=1e-4)
    kept, week, quarter = madrs(None, days, life=off)
    assert abs(kept) < 1e-4 < week < 2.0 < quarter


# --- therapy -----------------------------------------------------------------------------------------


def therapy_gain(regimen: str, at_days: str, days: float, **more: Any) -> float:
    """Return what three sessions add to a regimen by a day, points of MADRS."""
    with_it = madrs(f"{regimen}; CBT 60 min at {at_days}", [days], **more)[0]
    return float(madrs(regimen, [days], **more)[0] - with_it)


@pytest.mark.slow
def test_therapy_in_the_window_holds_longer_than_the_same_outside_it():
    inside = therapy_gain(KETAMINE, "1, 2, 4 d", 60.0, setting="none")
    outside = therapy_gain(KETAMINE, "21, 22, 24 d", 60.0, setting="none")
    assert inside > 2.0 * outside > 0.0


@pytest.mark.slow
def test_therapy_alone_stays_small():
    trained = madrs("automated self-association training 20 min, every 12 h x 8", [7.0, 30.0], setting="none")
    assert (trained > -3.0).all()
    assert (trained < 0.0).all()


def test_therapy_does_not_change_the_acute_peak():
    with_it = madrs(f"{KETAMINE}; CBT 60 min at 1, 2, 4 d", [2 / 24, 1.0], setting="none")
    np.testing.assert_allclose(with_it, madrs(KETAMINE, [2 / 24, 1.0], setting="none"), atol=1e-3)


@pytest.mark.slow
def test_strong_stress_in_the_window_hardens_more_than_without_a_window():
    hard = Life(stress=(Pulse(24.0, 96.0, 4.0),), is_well=True)
    seen: dict[str, Any] = {"times_h": [0.0, 720.0], "variables": ["negative_belief_fraction"]}
    courses = [simulate(one, life=hard, setting="none", days=30, **seen) for one in (KETAMINE, None)]
    beliefs = [one["negative_belief_fraction"][0, 1] for one in courses]
    assert beliefs[0] > 1.2 * beliefs[1]


# --- schedules, responders ---------------------------------------------------------------------------


@pytest.mark.slow
def test_twice_a_week_is_about_as_good_as_three_times():
    twice, thrice = (
        madrs(f"{KETAMINE}, {how}", [15.0], setting="saline")[0]
        for how in ("twice weekly for 2 weeks", "three times weekly for 2 weeks")
    )
    assert thrice < twice < 0.8 * thrice


@cache
def induction() -> tuple[Array, Array]:
    """Return rated MADRS of 200 enrolled patients at the start, and on days 1 and 28 of sprays."""
    parameters = load_parameters()
    course = run(
        f"{SPRAY}, twice weekly x 8",
        [1.0, 28.0],
        patients=200,
        setting="nasal_placebo",
        entry=Entry(at_least_points=28.0),
    )
    rated = totals(course, "MADRS", [1.0, 28.0], parameters=parameters)
    return rated[:, 0], rated[:, 1:]


@pytest.mark.slow
def test_slow_responders_exist():
    start, later = induction()
    responds = later <= 0.5 * start[:, None]
    is_slow = ~responds[:, 0] & responds[:, 1]
    assert is_slow.sum() >= 20


# --- relapse -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_relapse_after_sixteen_weeks_of_stable_remission_is_far_rarer_than_after_two():
    steps = hazard_steps(load_parameters(), rule="response lost", patients=100)
    hazards = [one.hazard_per_day(56.0, added_relapses=0.5) for one in steps.values()]
    assert list(steps)[1:] == ["antidepressant", "selection", "consolidation"]
    assert hazards[0] > 5.0 * hazards[-1]
    shares = -np.diff(np.log(hazards)) / np.log(hazards[0] / hazards[-1])
    assert shares.sum() == pytest.approx(1.0)
    assert (shares > 0.0).all()
    assert shares[-1] > 0.5  # most of the fall is consolidation here: an assumption of the belief law


# --- nothing -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("setting", sorted(set(settings()) - {"admission"}))  # care acts by itself
def test_zero_of_everything_stays_flat_in_every_setting(setting: str):
    days = [1.0, 30.0, 365.0]
    np.testing.assert_allclose(madrs(None, days, setting=setting), 0.0, atol=1e-6)


def test_a_regimen_with_every_part_left_out_stays_flat():
    everything = f"{KETAMINE}; {MIDAZOLAM}; {SSRI}; CBT 60 min at 1 d; ECT at 3 d; preparation 60 min at 0 d"
    np.testing.assert_allclose(
        madrs(everything, [1.0, 7.0, 42.0], setting="saline+admission", omit=PARTS), 0.0, atol=1e-6
    )
