"""A brain network as a Gaussian: how changed couplings change the correlations of a scan.

Stationary linear noise dx = -T x dt / 2 + dW has the covariance T^-1. With T = FC^-1 measured correlations FC
come back exactly. Write T = diag(a) + O: -O are effective couplings, a are leaks. Couplings are scaled,

    within default           O -> (1 + d_w) O
    default with frontoparietal and salience, positive ones (O < 0)     O -> (1 + d_b) O
    default with limbic, positive ones                                  O -> (1 + d_l) O

and the leaks are solved again so that every variance stays 1, the analogue of feedback inhibition. They are
the one minimum of sum(a) - log det(diag(a) + O), which is convex: the network is stable whatever is scaled.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from euthymia.errors import RunFailedError, invalid

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ROUNDING = 1e-12
"""Largest accepted difference of a variance from 1."""
_ROUNDS = 200
_FULL_STEP_BELOW = 0.25
_LEAST_EIGENVALUE = 1e-2
"""Of the start where the leaks given do not do."""


class Coupled(NamedTuple):
    """Leaks (..., N), couplings O (..., N, N) with a zero diagonal."""

    leak: Array
    coupling: Array


class Change(NamedTuple):
    """Shares by which couplings are scaled, each (...): d_w, d_b, d_l; 0 in health."""

    within_default: ArrayLike = 0.0
    default_to_others: ArrayLike = 0.0
    default_to_limbic: ArrayLike = 0.0


class Groups(NamedTuple):
    """Which nodes are default, which are frontoparietal or salience, which limbic: masks (N,)."""

    default: Mask
    others: Mask
    limbic: Mask


class Homeostasis(NamedTuple):
    """Leaks (..., N), correlations (..., N, N), and how many steps were taken."""

    leak: Array
    correlation: Array
    steps: int


def take_apart(correlation: ArrayLike) -> Coupled:
    """Return leaks and couplings of measured correlations, T = FC^-1.

    Parameters
    ----------
    correlation : array (N, N)
        Symmetric, 1 on the diagonal, positive definite.

    Raises
    ------
    InvalidInputError
        Where it is none of these.
    """
    matrix = np.asarray(correlation, float)
    _check(matrix)
    precision = np.linalg.inv(matrix)
    leak = np.diagonal(precision).copy()
    return Coupled(leak, (precision + precision.T) / 2.0 - np.diag(leak))


def rescale(coupling: Array, groups: Groups, change: Change) -> Array:
    """Return couplings (..., N, N) scaled by a change.

    Only positive couplings between networks are scaled: those between two networks have both signs, and
    scaling all of them moves correlations the wrong way.
    """
    within, others, limbic = (np.asarray(one, float)[..., None, None] for one in change)
    is_positive = coupling < 0.0
    factor = 1.0 + within * _block(groups.default, groups.default)
    factor = factor + others * (_block(groups.default, groups.others) & is_positive)
    factor = factor + limbic * (_block(groups.default, groups.limbic) & is_positive)
    return coupling * factor


def homeostatic(coupling: Array, start: Array, *, tolerance: float = ROUNDING) -> Homeostasis:
    """Return the leaks that keep every variance at 1, and the correlations that follow.

    Newton steps on sum(a) - log det(diag(a) + O), with gradient 1 - diag(S), Hessian S * S elementwise and
    S = (diag(a) + O)^-1. The function is self-concordant, so that steps of length 1 / (1 + l), with l the
    Newton decrement, always lower it and never leave the stable region.

    Parameters
    ----------
    coupling : array (..., N, N)
        Symmetric, zero diagonal.
    start : array (..., N)
        Leaks to start from; raised where the network would not be stable with them.
    tolerance : float
        Of the variances.

    Raises
    ------
    RunFailedError
        Where the steps do not settle.
    """
    shape = np.broadcast_shapes(coupling.shape[:-1], np.shape(start))
    leak = _stable_start(coupling, np.broadcast_to(start, shape).astype(float))
    worst = np.inf
    for step in range(_ROUNDS):
        covariance: Array = np.asarray(np.linalg.inv(_matrix(leak, coupling)), float)
        gradient: Array = 1.0 - np.diagonal(covariance, axis1=-2, axis2=-1)
        worst = float(np.abs(gradient).max())
        if worst <= tolerance:
            return Homeostasis(leak, _as_correlation(covariance), step)
        leak = leak + _newton_step(covariance, gradient)
    message = f"The leaks of the network were not found: a variance is off by {worst:.1e}."
    raise RunFailedError(message)


def correlations(base: Coupled, groups: Groups, change: Change) -> Array:
    """Return the correlations (..., N, N) of a network whose couplings are changed."""
    return homeostatic(rescale(base.coupling, groups, change), base.leak).correlation


def without_global_signal(correlation: Array) -> Array:
    """Return the correlations that are left after regression on the mean signal of all nodes.

    C - C 1 1' C / (1' C 1), as correlations: exact for Gaussian signals of variance 1.
    """
    shared = correlation.sum(axis=-1)
    total = shared.sum(axis=-1)[..., None, None]
    left = correlation - shared[..., :, None] * shared[..., None, :] / total
    size = np.sqrt(np.diagonal(left, axis1=-2, axis2=-1))
    return left / (size[..., :, None] * size[..., None, :])


def mean_between(correlation: Array, one: Mask, other: Mask) -> Array:
    """Return the mean correlation (...) of pairs with one node in either group; a node is no pair."""
    weight = (_block(one, other) & ~np.eye(len(one), dtype=bool)).astype(float)
    return (correlation * (weight / weight.sum())).sum(axis=(-2, -1))


def _block(one: Mask, other: Mask) -> Mask:
    return np.outer(one, other) | np.outer(other, one)


def _matrix(leak: Array, coupling: Array) -> Array:
    return coupling + leak[..., :, None] * np.eye(coupling.shape[-1])


def _stable_start(coupling: Array, leak: Array) -> Array:
    least: Array = np.asarray(np.linalg.eigvalsh(_matrix(leak, coupling)), float)[..., :1]
    return leak + np.where(least > 0.0, 0.0, _LEAST_EIGENVALUE - least)


def _newton_step(covariance: Array, gradient: Array) -> Array:
    step: Array = -np.asarray(np.linalg.solve(np.square(covariance), gradient[..., None]), float)[..., 0]
    decrement = np.sqrt(np.maximum(-(gradient * step).sum(axis=-1), 0.0))[..., None]
    return np.where(decrement < _FULL_STEP_BELOW, 1.0, 1.0 / (1.0 + decrement)) * step


def _as_correlation(covariance: Array) -> Array:
    """Return a matrix with variances 1 as exactly symmetric."""
    return (covariance + np.swapaxes(covariance, -1, -2)) / 2.0


def _check(matrix: Array) -> None:
    name = "correlation"
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise invalid(name, must="a square matrix", got=f"shape {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise invalid(name, must="finite", got="values that are not")
    if not np.allclose(matrix, matrix.T, rtol=0.0, atol=1e-8):
        raise invalid(name, must="symmetric", got=f"differences of {np.abs(matrix - matrix.T).max():.2g}")
    if not np.allclose(np.diagonal(matrix), 1.0, rtol=0.0, atol=1e-8):
        raise invalid(name, must="1 on its diagonal", got=f"{np.diagonal(matrix).min():g} there")
    least = float(np.linalg.eigvalsh(matrix)[0])
    if least <= 0.0:
        cure = "Fewer time points than nodes? Average over more scans, or shrink it towards the identity."
        raise invalid(name, must="positive definite", got=f"a smallest eigenvalue of {least:.2g}", cure=cure)
