"""The stationary covariance of linear noise: doubling by NumPy and JAX against SciPy's Schur method."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from scipy.linalg import solve_continuous_lyapunov

from euthymia.engine.lyapunov import lyapunov
from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.mechanism.network import meanfield
from euthymia.mechanism.network.meanfield import Block
from euthymia.model import brain_dynamics
from euthymia.model.connectome import load_connectome

Way = Literal["numpy", "jax"]
WAYS = ("numpy", "jax")


def stable(count: int, *, seed: int, slowest: float) -> np.ndarray:
    matrix = np.random.default_rng(seed).normal(size=(count, count))
    return matrix - (np.linalg.eigvals(matrix).real.max() + slowest) * np.eye(count)


@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize("slowest", [1.0, 1e-2, 1e-4])
def test_any_stable_drift_is_solved_as_by_schur(by: Way, slowest: float):
    drift, root = stable(20, seed=1, slowest=slowest), np.random.default_rng(2).normal(size=(20, 20))
    noise = root @ root.T
    expected = solve_continuous_lyapunov(drift, -noise)
    found = lyapunov(drift, noise, by=by)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize("block", [Block(), Block(0.063, 0.49)])
def test_the_brain_is_solved_as_by_schur(by: Way, block: Block):
    drift = meanfield.settle(brain_dynamics.field_of(load_connectome()), block).drift_per_ms
    noise = 1e-4 * np.eye(len(drift))
    expected = solve_continuous_lyapunov(drift, -noise)
    np.testing.assert_allclose(lyapunov(drift, noise, by=by), expected, rtol=1e-9, atol=1e-14)


def test_one_rate_by_hand_and_several_at_once():
    rates = np.array([0.5, 2.0, 7.0])
    drift, noise = -rates[:, None, None], np.full((3, 1, 1), 3.0)
    np.testing.assert_allclose(lyapunov(drift, noise)[:, 0, 0], 3.0 / (2 * rates), rtol=1e-12)


@pytest.mark.parametrize("by", WAYS)
def test_an_unstable_drift_has_no_stationary_covariance(by: Way):
    with pytest.raises(RunFailedError, match="The drift is not stable"):
        lyapunov(np.diag([-1.0, 0.1]), np.eye(2), by=by)


def test_shapes_must_fit():
    with pytest.raises(InvalidInputError, match=r"'drift' must be square, of the shape of the noise"):
        lyapunov(np.eye(3), np.eye(2))
