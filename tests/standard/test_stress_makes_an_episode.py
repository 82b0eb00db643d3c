"""Claim: weeks of strong stress make an episode that outlasts the stress; a little stress makes none."""

from __future__ import annotations

import numpy as np
import pytest
from tests.standard.assembled import INFUSION, STATES, assemble, with_

from euthymia import simulate
from euthymia.model.course import Pulse
from euthymia.model.trajectory import Trajectory
from euthymia.population.run import Life

pytestmark = pytest.mark.slow

WEEK_H = 168.0
MODERATE_POINTS = 20.0
"""MADRS from which severity is moderate (data/scales/madrs.toml)."""
FOLLOWED = ("madrs_points", "negative_belief_fraction", "stress_relative", "prefrontal_synapses_fraction")


def after_stress(
    height: float, weeks: float, *, days: float = 365.0, overrides: dict[str, float] | None = None
) -> Trajectory:
    """Return the year of a well person, typical, who carries a load for some weeks."""
    return simulate(
        None,
        days=days,
        times_h=np.arange(0.0, days + 0.5) * 24.0,
        variables=FOLLOWED,
        parameters=with_(overrides or {}),
        life=Life(stress=(Pulse(0.0, weeks * WEEK_H, height),), is_well=True),
    )


@pytest.fixture(scope="module")
def episode() -> Trajectory:
    """Eight weeks at three times the load of an episode."""
    return after_stress(3.0, 8.0)


def test_eight_weeks_of_strong_stress_make_an_episode_that_outlasts_it(episode: Trajectory):
    madrs = episode["madrs_points"][0]
    end = 8 * 7
    assert madrs[0] < 7.0
    assert (madrs[end:] >= MODERATE_POINTS).all()
    assert madrs[-1] > 25.0


def test_the_episode_stands_on_beliefs_and_lost_synapses_when_the_stress_is_over(episode: Trajectory):
    assert episode["negative_belief_fraction"][0, 0] < 0.05
    assert episode["negative_belief_fraction"][0, -1] > 0.9
    assert episode["prefrontal_synapses_fraction"][0, 0] > 0.98
    assert episode["prefrontal_synapses_fraction"][0, -1] < 0.85
    during, afterwards = episode["stress_relative"][0, 8 * 7], episode["stress_relative"][0, -1]
    assert during > 3.0
    assert 0.8 < afterwards < 1.1


@pytest.mark.parametrize(("height", "weeks"), [(3.0, 2.0), (1.0, 8.0)])
def test_little_or_short_stress_makes_no_episode(height: float, weeks: float):
    course = after_stress(height, weeks, days=150.0)
    madrs = course["madrs_points"][0]
    assert madrs.max() < 10.0
    assert madrs.max() > madrs[0] + 1.0
    assert madrs[-1] < madrs[0] + 3.0
    assert course["negative_belief_fraction"][0, -1] < course["negative_belief_fraction"][0].max()


def test_without_hardening_beliefs_the_same_stress_makes_no_episode():
    course = after_stress(3.0, 8.0, days=120.0, overrides={"belief.hardening_rate_per_h": 0.0})
    assert course["madrs_points"][0].max() < 10.0
    assert course["madrs_points"][0, -1] < course["madrs_points"][0, 0] + 1.0


def test_without_the_load_that_beliefs_keep_up_synapses_grow_back(episode: Trajectory):
    """In the episode as it is they stay lost, though nothing from outside stresses any more."""
    alone = after_stress(3.0, 8.0, days=200.0, overrides={"stress.generated_stress_relative": 0.0})
    assert alone["stress_relative"][0, -1] < 0.01
    assert alone["prefrontal_synapses_fraction"][0, -1] > 0.98
    assert episode["prefrontal_synapses_fraction"][0, -1] < 0.85


def test_wellness_and_illness_both_last_under_the_same_load():
    """Nothing but the past tells them apart: same person, same life from now on."""
    same = {"stress.usual_stress_relative": 0.3}
    ill, well = (
        simulate(
            None,
            days=90,
            times_h=np.linspace(0.0, 90 * 24.0, 10),
            variables=["madrs_points"],
            parameters=with_(same),
            life=Life(is_well=is_well),
        )["madrs_points"][0]
        for is_well in (False, True)
    )
    np.testing.assert_allclose(ill, 33.0, rtol=0, atol=1e-6)
    np.testing.assert_allclose(well, well[0], rtol=0, atol=1e-6)
    assert well[0] < 10.0


def test_harder_stress_leaves_fewer_synapses_and_harder_beliefs():
    at_end = [
        assemble(
            None,
            days=28.0,
            life=Life(stress=(Pulse(0.0, 28 * 24.0, height),), is_well=True),
            times_h=np.array([28 * 24.0]),
            outputs=STATES,
        ).values
        for height in (0.0, 0.5, 1.0, 2.0, 5.0)
    ]
    for state, sign in (
        ("prefrontal.stable_fraction", -1.0),
        ("hippocampus.stable_fraction", -1.0),
        ("belief.belief_fraction", 1.0),
        ("severity.severity_fraction", 1.0),
    ):
        values = np.array([float(one[state][0, 0]) for one in at_end])
        assert (sign * np.diff(values) > 1e-4).all(), state


def test_inflammation_alone_lowers_mood_and_passes():
    course = simulate(
        None,
        days=120,
        times_h=np.arange(0.0, 121.0) * 24.0,
        variables=["madrs_points", "inflammation_relative"],
        life=Life(inflammation=(Pulse(0.0, 4 * WEEK_H, 5.0),), is_well=True),
    )
    madrs = course["madrs_points"][0]
    assert madrs[28] > madrs[0] + 1.0
    assert madrs[-1] < madrs[0] + 0.5


def test_stress_during_treatment_takes_from_what_it_gives():
    changes = []
    for height in (0.0, 2.0, 5.0):
        course = simulate(
            INFUSION,
            days=14,
            setting="none",
            times_h=np.array([0.0, 24.0, 168.0, 336.0]),
            variables=["madrs_points"],
            life=Life(stress=(Pulse(24.0, 336.0, height),)),
        )
        changes.append(course["madrs_points"][0, 2:] - course["madrs_points"][0, 0])
    assert (np.diff(changes, axis=0) > 0.02).all()
