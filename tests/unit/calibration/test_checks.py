"""Checks that can fail: known truths, profiles of a normal likelihood, directions that data cannot tell."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.calibration.problems import answer, problem, whole_covariance

from euthymia.calibration.checks import Recovery, best, combinations, profiles, recovery, shifts
from euthymia.calibration.likelihood import Likelihood

SLOPES = np.array([[0.5, 0.4, 0.0, -0.2], [0.1, -0.3, 0.6, 0.2]])
OBSERVED = np.array([0.6, 0.1, -0.5, 0.2])
SCATTER = 0.04 * np.eye(4)
COUNT, STEPS = 60, 300


@pytest.fixture(scope="module")
def known() -> Likelihood:
    return problem(SLOPES, OBSERVED, SCATTER)


def _falsified(likelihood: Likelihood, factor: float) -> Likelihood:
    """Return a likelihood whose draws believe SDs too small by a factor; data are simulated as before."""
    return replace(
        likelihood,
        whitening=factor * likelihood.whitening,
        white_coefficients=factor * likelihood.white_coefficients,
    )


@pytest.mark.slow
def test_truths_are_found_again_evenly_under_the_right_likelihood(known: Likelihood):
    found = recovery(known, count=COUNT, steps=STEPS)
    assert found.ranks.shape == (COUNT, 2)
    assert found.smallest_p > 0.01
    # 60 truths in 90 %: 54 expected, SD 2.3
    assert np.abs(COUNT * found.coverage[0.9] - 54).max() <= 3 * 2.3
    assert np.abs(COUNT * found.coverage[0.5] - 30).max() <= 3 * 3.9


@pytest.mark.slow
def test_truths_are_not_found_evenly_where_the_covariance_is_too_small(known: Likelihood):
    found = recovery(_falsified(known, 4.0), count=30, steps=STEPS)
    assert found.smallest_p < 1e-2
    assert found.coverage[0.9].max() < 0.75


@pytest.mark.slow
def test_truths_crowd_in_the_middle_where_the_covariance_is_too_large():
    """Where data are sharp: draws that ignore them altogether are those of the prior, and pass."""
    sharp = problem(10.0 * SLOPES, OBSERVED, SCATTER)
    found = recovery(_falsified(sharp, 0.3), count=45, steps=STEPS)
    assert found.smallest_p < 1e-2
    assert found.coverage[0.5].min() > 0.7


@pytest.mark.slow
def test_known_truths_come_again_with_their_seed(known: Likelihood):
    first, again = (recovery(known, count=2, steps=100, seed=4).ranks for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_without_truths_nothing_is_known(known: Likelihood):
    found = recovery(known, count=0)
    assert found.ranks.shape == (0, 2)
    assert np.isnan(found.p_value).all()
    assert np.isnan(found.coverage[0.9]).all()


def test_the_smallest_p_counts_how_many_there_are():
    ranks = np.zeros((1, 4))
    for p, expected in ((0.02, 0.08), (0.9, 1.0)):
        found = Recovery(ranks=ranks, coverage={}, p_value=np.array([p, 0.95, 0.99, 1.0]))
        assert found.smallest_p == pytest.approx(expected)


def test_the_best_point_is_that_of_the_closed_form(known: Likelihood):
    weight = np.linalg.inv(whole_covariance(known, SCATTER))
    start = np.array([1.0, 1.0, 0.0, 0.0])
    alone = np.linalg.solve(SLOPES @ weight @ SLOPES.T, SLOPES @ weight @ OBSERVED)
    np.testing.assert_allclose(best(known, start)[:2], alone, atol=1e-4)


def test_a_parameter_that_is_fixed_stays_and_the_other_moves_to_its_best(known: Likelihood):
    weight = np.linalg.inv(whole_covariance(known, SCATTER))
    found = best(known, np.array([0.7, 2.0, 0.0, 0.0]), fixed=0)
    a, b = SLOPES
    assert found[0] == 0.7
    assert found[1] == pytest.approx(b @ weight @ (OBSERVED - 0.7 * a) / (b @ weight @ b), abs=1e-4)


def test_the_profile_of_a_normal_likelihood_is_its_parabola(known: Likelihood):
    weight = np.linalg.inv(whole_covariance(known, SCATTER))
    spread = np.linalg.inv(SLOPES @ weight @ SLOPES.T)
    peak = spread @ SLOPES @ weight @ OBSERVED
    for place, one in enumerate(profiles(known, np.zeros(4))):
        sd = np.sqrt(spread[place, place])
        np.testing.assert_allclose(one.fall, -0.5 * ((one.z - peak[place]) / sd) ** 2, atol=2e-4)
        assert one.fall.max() == pytest.approx(0.0, abs=1e-6)
        parabola = np.polyfit(one.z, one.fall, 2)
        ends = np.polyval(parabola, peak[place] + np.array([-1.96, 1.96]) * sd)
        np.testing.assert_allclose(ends, -1.92, atol=2e-3)
        assert one.is_bounded


def test_a_parameter_that_nothing_informs_has_a_flat_profile():
    slopes = np.array([[0.5, 0.4, 0.3], [0.0, 0.0, 0.0]])
    found = profiles(problem(slopes, np.full(3, 0.2), 0.04 * np.eye(3)), np.zeros(4))
    np.testing.assert_allclose(found[1].fall, 0.0, atol=1e-6)
    assert [one.is_bounded for one in found] == [True, False]


def test_progress_of_profiles_counts_parameters(known: Likelihood):
    said: list[tuple[int, int]] = []
    profiles(known, np.zeros(4), on_done=lambda *one: said.append(one))
    assert said == [(1, 2), (2, 2)]


def test_the_direction_that_data_cannot_tell_is_found():
    """Data see the sum of two parameters alone."""
    slopes = np.array([[0.6, 0.5], [0.6, 0.5]])
    made = problem(slopes, np.array([0.3, 0.3]), 0.01 * np.eye(2))
    mean, covariance = answer(slopes, np.full(2, 0.3), whole_covariance(made, 0.01 * np.eye(2)))
    draws = np.random.default_rng(1).multivariate_normal(mean, covariance, 20_000)
    known, flat = combinations(("first", "second"), draws)
    assert known.left_share < 0.1
    assert flat.left_share == pytest.approx(1.0, rel=0.05)
    assert dict(known.parts) == pytest.approx({"first": np.sqrt(0.5), "second": np.sqrt(0.5)}, abs=0.02)
    (_, x), (_, y) = flat.parts
    assert x > 0.0 > y
    assert (x, -y) == pytest.approx((np.sqrt(0.5), np.sqrt(0.5)), abs=0.02)


def test_a_single_parameter_is_a_direction_too():
    draws = np.random.default_rng(1).normal(0.0, 0.5, (4000, 1))
    (one,) = combinations(("alone",), draws)
    assert one.left_share == pytest.approx(0.25, rel=0.1)
    assert one.parts == (("alone", 1.0),)


def test_shifts_are_mean_sd_and_interval_of_each():
    draws = np.linspace(-1.0, 3.0, 2001)[:, None]
    (row,) = shifts(("a",), draws)
    assert row["shift_in_prior_sds"] == pytest.approx(1.0)
    assert row["left_sd"] == pytest.approx(4.0 / np.sqrt(12.0), rel=1e-3)
    assert (row["low"], row["high"]) == pytest.approx((-0.8, 2.8))
