"""Draws: those of a posterior that is known in closed form, the same again, doubted where they should be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest
from tests.unit.calibration.problems import answer, problem, whole_covariance

from euthymia.calibration.likelihood import Likelihood, rules
from euthymia.calibration.sampling import ENSEMBLES, Drawn, _thinned, r_hats, sample, starts

SLOPES = np.array([[0.5, 0.4, 0.0, -0.2], [0.1, -0.3, 0.6, 0.2]])
OBSERVED = np.array([1.2, 0.2, -1.0, 0.4])
SCATTER = 0.04 * np.eye(4)
SCATTER[0, 1] = SCATTER[1, 0] = 0.02


@pytest.fixture(scope="module")
def known() -> Likelihood:
    return problem(SLOPES, OBSERVED, SCATTER)


@pytest.fixture(scope="module")
def drawn(known: Likelihood) -> Drawn:
    return sample(known, steps=3000, kept=2000, seed=3)


@pytest.mark.slow
def test_draws_have_the_mean_and_covariance_of_the_closed_form(known: Likelihood, drawn: Drawn):
    mean, covariance = answer(SLOPES, OBSERVED, whole_covariance(known, SCATTER))
    assert np.abs(mean).max() > 2.0 * np.sqrt(covariance.diagonal()).min()
    flat, ess = drawn.draws.reshape(-1, known.size)[:, :2], drawn.ess[:2].min()
    assert ess > 1000
    error = np.sqrt(covariance.diagonal() / min(ess, len(flat)))
    np.testing.assert_array_less(np.abs(flat.mean(axis=0) - mean), 4.0 * error)
    # of a normal sample a covariance scatters by sqrt((1 + r^2) / n) of the SDs, at most sqrt(2 / n)
    sds = np.sqrt(covariance.diagonal())
    found = np.cov(flat.T) / np.outer(sds, sds)
    np.testing.assert_allclose(found, covariance / np.outer(sds, sds), atol=4.0 * np.sqrt(2.0 / ess))


@pytest.mark.slow
def test_sds_between_studies_that_nothing_informs_keep_their_prior(drawn: Drawn):
    for place, name in enumerate(("control_points", "contrast_points")):
        scaled = np.exp(drawn.draws[:, ::20, 2 + place]).ravel() / rules()["study"][name]
        assert kstest(scaled, "halfnorm").pvalue > 1e-3
        assert scaled.mean() == pytest.approx(np.sqrt(2.0 / np.pi), rel=0.1)


@pytest.mark.slow
def test_ensembles_agree_and_moves_are_taken(drawn: Drawn):
    assert drawn.draws.shape == (ENSEMBLES, 2000, 4)
    assert drawn.r_hat.max() < 1.01
    assert 0.1 < drawn.acceptance < 0.9


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(known: Likelihood):
    first, again, other = (sample(known, steps=150, seed=seed) for seed in (1, 1, 2))
    assert first.draws.tobytes() == again.draws.tobytes()
    assert first.r_hat.tobytes() == again.r_hat.tobytes()
    assert not np.array_equal(first.draws, other.draws)
    assert not np.array_equal(first.draws[0], first.draws[1])


def test_progress_ends_at_the_end(known: Likelihood):
    said: list[tuple[int, int]] = []
    sample(known, steps=200, ensembles=2, on_done=lambda *one: said.append(one))
    assert said == [(100, 400), (200, 400), (300, 400), (400, 400)]


def test_starts_lie_within_the_bounds_and_differ(known: Likelihood):
    found = starts(known, 20, 5)
    assert np.isfinite(known.log_posterior(found)).all()
    assert len(np.unique(found[:, 0])) == 20


def test_r_hat_is_near_one_where_ensembles_agree_and_large_where_they_do_not():
    draws = np.random.default_rng(1).normal(size=(4, 1000, 3))
    draws[0, :, 1] += 3.0  # elsewhere
    draws[1, :, 2] *= 8.0  # wider
    found = r_hats(draws)
    assert found[0] < 1.01
    assert found[1] > 1.3
    assert found[2] > 1.1


def test_r_hat_sees_an_ensemble_that_still_moves():
    draws = np.random.default_rng(1).normal(size=(4, 1000, 1)) + np.linspace(0.0, 4.0, 1000)[None, :, None]
    assert r_hats(draws)[0] > 1.3


def test_one_ensemble_alone_has_no_r_hat():
    assert np.isnan(r_hats(np.zeros((1, 50, 2)))).all()


def test_thinning_keeps_every_walker():
    """Steps that are a multiple of the walkers once left the same walker each time."""
    walkers, steps = 104, 4000
    chain = np.broadcast_to(np.arange(walkers, dtype=float)[None, :, None], (steps, walkers, 1))
    found = _thinned([chain, chain], 1)
    assert len(np.unique(found[0])) == walkers
    assert 4000 <= found.shape[1] <= 4200
