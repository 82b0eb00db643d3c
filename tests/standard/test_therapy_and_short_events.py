"""Claim: therapy alone does as much as is claimed for it, and nothing short is stepped over."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from tests.standard.assembled import INFUSION, REGIMENS, STATES, assemble, madrs_change, with_

from euthymia import simulate
from euthymia.mechanism.plasticity.signalling import gate
from euthymia.model.course import Pulse
from euthymia.model.parameters import load_parameters
from euthymia.population.run import Life
from euthymia.population.surroundings import DAY_H

pytestmark = pytest.mark.slow

TRAINING = "automated self-association training 20 min, twice daily x 8 from day 1"


def value(name: str) -> float:
    return load_parameters().chain[name].value


# --- therapy alone ---------------------------------------------------------------------------------


def test_eight_sessions_of_training_alone_are_worth_less_than_3_points():
    days = [float(day) for day in range(1, 31)]
    alone = madrs_change(TRAINING, days)
    assert alone.min() > -3.0
    assert alone.min() < -0.5


def test_a_course_of_12_to_16_weekly_sessions_of_cbt_alone_is_worth_4_to_8_points():
    after_12, after_16 = madrs_change("CBT 50 min, weekly x 16", [7.0 * 12, 7.0 * 16])
    assert -8.0 <= after_16 < after_12 <= -4.0


def test_therapy_after_a_dose_lasts_longer_than_either_and_changes_no_acute_effect():
    days = [2.0 / 24.0, 1.0, 7.0, 14.0, 30.0]
    dose, training = madrs_change(INFUSION, days), madrs_change(TRAINING, days)
    both = madrs_change(f"{INFUSION}; {TRAINING}", days)
    assert both[:2] == pytest.approx(dose[:2], abs=2e-3)
    assert (both[2:] < np.minimum(dose, training)[2:] - 0.2).all()
    assert both[-1] < dose[-1] + training[-1] - 0.2


def test_a_session_in_the_window_teaches_more_than_one_without_drug():
    alone = madrs_change("CBT 50 min at 24 h", [30.0])[0]
    inside = madrs_change(f"{INFUSION}; CBT 50 min at 24 h", [30.0])[0] - madrs_change(INFUSION, [30.0])[0]
    assert inside < 2.0 * alone < 0.0


# --- nothing is stepped over -----------------------------------------------------------------------


def learnt(minutes: float, times_h: np.ndarray, *, day: float = 20.0, days: float = 22.0) -> np.ndarray:
    """Return the belief of a person at rest who has one session of CBT in weeks, at some times."""
    found = assemble(
        f"CBT {minutes:g} min at {day:g} d", days=days, times_h=times_h, outputs=["belief.belief_fraction"]
    )
    return found.values["belief.belief_fraction"][0]


@pytest.mark.parametrize("minutes", [1.0, 5.0, 20.0, 50.0, 240.0])
def test_a_session_in_a_long_gap_teaches_the_closed_form_of_its_length(minutes: float):
    """ln b falls by k p_0 gate T_s (1 - exp(-t / T_s)) during a session from rest."""
    length_h, start_h = minutes / 60.0, 20.0 * DAY_H
    before, after = learnt(minutes, np.array([start_h, start_h + length_h]))
    found = assemble(None, days=1.0, outputs=["stress.stress_relative", "stress.inflammation_relative"])
    loads = {name: float(values[0, 0]) for name, values in found.values.items()}
    tone = 1.0 / (
        1.0
        + value("signalling.stress_on_bdnf_relative") * loads["stress.stress_relative"]
        + value("signalling.inflammation_on_bdnf_relative") * loads["stress.inflammation_relative"]
    )
    saturation_h = value("belief.session_saturation_h")
    expected = (
        value("belief.learning_rate_per_h")
        * value("belief.resting_plasticity_fraction")
        * gate(tone, 0.0)
        * saturation_h
        * (1.0 - np.exp(-length_h / saturation_h))
    )
    assert np.log(before / after) == pytest.approx(expected, rel=2e-3)


def test_sparse_times_see_the_same_session_as_dense_ones():
    dense = np.union1d(np.linspace(0.0, 22.0 * DAY_H, 900), [500.0])
    assert learnt(5.0, np.array([0.0, 500.0]))[1] == learnt(5.0, dense)[np.searchsorted(dense, 500.0)]


@pytest.fixture(scope="module")
def rest() -> Mapping[str, np.ndarray]:
    """Every state without drug."""
    return {name: values[0, 0] for name, values in assemble(None, days=1.0, outputs=STATES).values.items()}


@pytest.mark.parametrize(
    "regimen", ["ketamine 0.5 mg/kg iv bolus", "ketamine 0.5 mg/kg iv over 2 min", *REGIMENS.values()]
)
def test_a_dose_after_20_days_does_what_it_does_at_once(regimen: str, rest: Mapping[str, np.ndarray]):
    hours = np.array([0.05, 0.25, 0.5, 1.0, 2.0, 6.0, 12.0, 24.0, 72.0])
    late_h = 20.0 * DAY_H
    now = assemble(regimen, days=4.0, times_h=hours, outputs=STATES)
    late = assemble(f"{regimen} at 20 d", days=24.0, times_h=late_h + hours, outputs=STATES)
    moved = 0
    for state in STATES:
        if state.startswith("expectancy"):
            continue
        scale = np.abs(now.values[state] - rest[state]).max()
        moved += scale > 1e-3
        np.testing.assert_allclose(
            late.values[state], now.values[state], rtol=0, atol=1e-4 * scale + 1e-9, err_msg=state
        )
    assert moved > 12


def test_an_hour_of_stress_in_a_quiet_month_is_felt():
    """Loads follow by one exponential: an hour at height x lifts the load by x (1 - exp(-1 / tau))."""
    start_h = 50.0 * DAY_H
    life = Life(stress=(Pulse(start_h, start_h + 1.0, 4.0),))
    found = assemble(
        None,
        days=52.0,
        life=life,
        times_h=np.array([start_h, start_h + 1.0]),
        outputs=["stress.stress_relative"],
    )
    before, after = found.values["stress.stress_relative"][0]
    expected = 4.0 * (1.0 - np.exp(-1.0 / value("stress.stress_time_h")))
    assert after - before == pytest.approx(expected, rel=1e-4)


def test_every_one_of_many_sessions_counts():
    days = np.append(-0.5, np.arange(0.5, 50.0, 7.0))
    name = "negative_belief_fraction"
    course = simulate("CBT 20 min, weekly x 8", days=50, times_h=DAY_H * days, variables=[name])
    assert (np.diff(np.log(course[name][0])) < -1e-3).all()


def test_more_than_one_hour_a_day_teaches_little_more():
    one, four = (1.0 - learnt(minutes, np.array([500.0]))[0] for minutes in (60.0, 240.0))
    saturation_h = value("belief.session_saturation_h")
    rest_of_it = 1.0 - learnt(1.0, np.array([10.0]))[0]
    ratio = (1.0 - np.exp(-4.0 / saturation_h)) / (1.0 - np.exp(-1.0 / saturation_h))
    assert (four - rest_of_it) / (one - rest_of_it) == pytest.approx(ratio, rel=0.05)


def test_a_set_without_learning_learns_nothing():
    still = with_({"belief.learning_rate_per_h": 0.0})
    found = assemble(TRAINING, days=10.0, parameters=still, outputs=["belief.belief_fraction"])
    assert np.ptp(found.values["belief.belief_fraction"]) <= 1e-9
