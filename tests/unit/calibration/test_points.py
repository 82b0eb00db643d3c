"""Where virtual trials are run: inside the bounds, evenly by the prior, the same points for the same seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import kstest, norm, truncnorm
from tests.unit.calibration.problems import parameters

from euthymia.calibration.design import WIDER, bounds, posterior_points, prior_points
from euthymia.population.posterior import calibrated_parameters

EVERY = calibrated_parameters()


def test_points_lie_within_the_bounds_and_the_first_is_the_middle():
    points = prior_points(EVERY, 64, seed=1)
    low, high = bounds(EVERY).T
    assert points.shape == (64, len(EVERY))
    assert ((points >= low) & (points <= high)).all()
    np.testing.assert_array_equal(points[0], 0.0)


def test_bounds_are_those_of_the_table_in_sds_of_the_prior():
    for one, (low, high) in zip(EVERY, bounds(EVERY), strict=True):
        assert one.from_normal(low) == pytest.approx(one.low, rel=1e-12)
        assert one.from_normal(high) == pytest.approx(one.high, rel=1e-12)
        assert low < 0.0 < high


def test_the_same_seed_gives_the_same_bytes_and_another_does_not():
    first, again = (prior_points(EVERY, 32, seed=7) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert not np.array_equal(first[1:], prior_points(EVERY, 32, seed=8)[1:])


@pytest.mark.parametrize("fewer", [2, 20, 33])
def test_more_points_begin_with_fewer(fewer: int):
    np.testing.assert_array_equal(
        prior_points(EVERY, 100, seed=1)[:fewer], prior_points(EVERY, fewer, seed=1)
    )


def test_margins_are_the_priors_cut_at_their_bounds():
    points = prior_points(EVERY, 512, seed=3)[1:]
    for column, (low, high) in zip(points.T, bounds(EVERY), strict=True):
        # evenly placed, so far closer than chance would be: 1.36 / sqrt(511) = 0.06
        assert kstest(column, truncnorm(low, high).cdf).statistic < 0.02


def test_points_of_the_second_wave_spread_wider_than_the_draws_around_their_mean():
    few = tuple(replace(one, low=1e-9, high=1.0 - 1e-9) for one in parameters(2))
    shape = np.array([[0.04, 0.03], [0.03, 0.09]])
    draws = np.random.default_rng(1).multivariate_normal([0.3, -0.2], shape, 4000)
    points = posterior_points(_unbounded(few), draws, 512, seed=2)
    np.testing.assert_allclose(points[0], draws.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(np.cov(points[1:].T), WIDER**2 * np.cov(draws.T), rtol=0.06)


def _unbounded(calibrated):
    return tuple(replace(one, low=1e-9, high=1e9) for one in calibrated)


def test_points_of_the_second_wave_stay_within_the_bounds_and_come_again():
    draws = np.random.default_rng(1).normal(size=(500, len(EVERY)))
    points = posterior_points(EVERY, draws, 60, seed=2)
    low, high = bounds(EVERY).T
    assert ((points >= low) & (points <= high)).all()
    assert points.tobytes() == posterior_points(EVERY, draws, 60, seed=2).tobytes()


def test_a_single_parameter_has_points_too():
    one = parameters(1)
    points = prior_points(one, 9, seed=1)
    assert points.shape == (9, 1)
    draws = norm.ppf(np.linspace(0.1, 0.9, 50))[:, None] * 0.1
    assert posterior_points(one, draws, 8, seed=1).shape == (8, 1)
