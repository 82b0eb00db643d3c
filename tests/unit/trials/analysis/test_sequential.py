"""Interim looks: published boundaries, the multivariate normal distribution, Monte Carlo, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import ndtri
from scipy.stats import multivariate_normal
from tests.unit.trials.analysis.draws import bounds, normal

from euthymia.errors import InvalidInputError
from euthymia.trials.analysis.sequential import Spending, boundaries, crossing, spend

FIVE = [0.2, 0.4, 0.6, 0.8, 1.0]
UNEQUAL = [0.3, 0.45, 0.9]


@pytest.mark.parametrize(
    ("spending", "published"),
    [
        # Lan & DeMets boundaries of five equal looks, 5 % two-sided, as design software prints them
        ("obrien-fleming", [4.877, 3.357, 2.680, 2.290, 2.031]),
        ("pocock", [2.438, 2.427, 2.410, 2.397, 2.386]),
    ],
)
def test_five_looks_are_as_published(spending: str, published: list[float]):
    assert_allclose(boundaries(FIVE, spending=spending).z, published, atol=5.1e-4)


@pytest.mark.parametrize(
    ("looks", "pocock", "obrien_fleming"),
    # Jennison & Turnbull (2000), tables 2.1 and 2.3, 5 % two-sided
    [(2, 2.178, 1.977), (3, 2.289, 2.004), (5, 2.413, 2.040), (10, 2.555, 2.087)],
)
def test_classical_boundaries_spend_five_percent(looks: int, pocock: float, obrien_fleming: float):
    times = np.arange(1, looks + 1) / looks
    # the constants are printed to 3 digits, which moves the error by up to 1.3e-4
    assert crossing(times, np.full(looks, pocock)).power == pytest.approx(0.05, abs=1.3e-4)
    assert crossing(times, obrien_fleming / np.sqrt(times)).power == pytest.approx(0.05, abs=1.3e-4)


@pytest.mark.parametrize("spending", Spending)
@pytest.mark.parametrize(
    "fractions", [[1.0], [0.5, 1.0], UNEQUAL, [0.1, 0.11, 0.98, 1.0], list(np.arange(1, 21) / 20)]
)
def test_what_is_crossed_is_what_was_to_be_spent(fractions: list[float], spending: Spending):
    found = boundaries(fractions, spending=spending, alpha=0.04)
    crossed = crossing(fractions, found.z)
    assert_allclose(np.cumsum(crossed.upper + crossed.lower), found.spent, rtol=1e-9, atol=1e-14)
    assert_allclose(crossed.upper, crossed.lower, rtol=1e-9, atol=1e-15)
    assert_allclose(found.spent, spend(fractions, spending=spending, alpha=0.04))


@pytest.mark.parametrize("spending", Spending)
def test_one_look_is_no_interim_look(spending: Spending):
    found = boundaries([1.0], spending=spending)
    assert_allclose(found.z, -ndtri(0.025), rtol=1e-12)
    assert_allclose(found.p, 0.05, rtol=1e-10)


@pytest.mark.parametrize("drift", [0.0, 2.8])
def test_going_on_is_a_multivariate_normal_probability(drift: float):
    limits = np.array([2.6, 2.3, 2.1])
    times = np.array(UNEQUAL)
    mean = drift * np.sqrt(times)
    covariance = np.sqrt(np.minimum.outer(times, times) / np.maximum.outer(times, times))
    crossed = crossing(UNEQUAL, limits, drift=drift)
    within = 1.0 - np.cumsum(crossed.upper + crossed.lower)
    for looks in (2, 3):
        # Genz's integration, good to about 1e-6 here
        right = multivariate_normal(
            mean[:looks], covariance[:looks, :looks], abseps=1e-8, maxpts=200_000
        ).cdf(limits[:looks], lower_limit=-limits[:looks])
        assert within[looks - 1] == pytest.approx(float(right), abs=2e-6)


@pytest.mark.parametrize("drift", [0.0, 2.8])
def test_trials_stop_where_they_are_expected_to(drift: float):
    trials = 40_000
    times = np.array(FIVE)
    steps = np.diff(times, prepend=0.0)
    score = np.cumsum(drift * steps + np.sqrt(steps) * normal("walk", trials, 5), axis=1)
    limits = boundaries(FIVE).z
    is_beyond = np.abs(score / np.sqrt(times)) >= limits
    look = np.where(is_beyond.any(axis=1), is_beyond.argmax(axis=1), 5)
    found = crossing(FIVE, limits, drift=drift)
    for place in range(5):
        low, high = bounds(found.upper[place] + found.lower[place], trials)
        assert low <= (look == place).mean() <= high
    ends = times[np.minimum(look, 4)]
    assert found.expected_fraction == pytest.approx(
        ends.mean(), abs=4.0 * ends.std() / np.sqrt(trials) + 1e-12
    )


def test_a_look_too_early_to_spend_anything_has_no_boundary():
    found = boundaries([0.01, 1.0])
    assert np.isinf(found.z[0])
    assert_allclose(found.z[1], -ndtri(0.025), rtol=1e-9)


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ([0.5, 0.4, 1.0], "'fractions' must be ascending shares .* Got 0.5, 0.4, 1"),
        ([0.0, 1.0], "'fractions' must be ascending"),
        ([0.5, 1.2], "'fractions' must be ascending"),
        ([], "'fractions' must be .* Got none"),
    ],
)
def test_bad_fractions_are_named(fractions: list[float], message: str):
    with pytest.raises(InvalidInputError, match=message):
        boundaries(fractions)


def test_bad_boundaries_and_rules_are_named():
    with pytest.raises(InvalidInputError, match=r"'z' must be 2 numbers above 0\. Got 2"):
        crossing([0.5, 1.0], [2.0])
    with pytest.raises(
        InvalidInputError, match=r"'spending' must be obrien-fleming or pocock\. Got 'haybittle'"
    ):
        boundaries(FIVE, spending="haybittle")
    with pytest.raises(InvalidInputError, match=r"'alpha' must be above 0 and below 1\. Got 5"):
        boundaries(FIVE, alpha=5)
