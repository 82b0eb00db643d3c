"""What virtual trials come to, learnt from points: a quadratic in all parameters, with its error.

A quadratic has as many terms as a few hundred points can bear, is smooth where trials scatter, and its error
at points that it was not shown has a closed form. Products of two parameters and squares are shrunk by an
amount that this error chooses, for each target by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SHRINKAGES = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0)
"""Tried for curved terms, in units of a point's weight; straight terms are hardly shrunk."""
STRAIGHT_SHRINKAGE = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class Emulator:
    """Quadratics of all targets.

    Attributes
    ----------
    coefficients : array (F, M)
        Of ``features``.
    error_sd : array (M,)
        Of predictions at points left out, on the scale of the comparison; the scatter of the points is in it.
    explained : array (M,)
        Share of the variance over points that predictions of left-out points explain.
    """

    coefficients: Array
    error_sd: Array
    explained: Array

    def __call__(self, z: Array) -> Array:
        """Return every target at points ``z`` (W, K), (W, M)."""
        return features(z) @ self.coefficients


def features(z: Array) -> Array:
    """Return 1, the parameters, their squares and products at points (W, K), (W, F).

    Examples
    --------
    >>> features(np.array([[2.0, 3.0]]))
    array([[1., 2., 3., 4., 6., 9.]])
    """
    first, second = np.triu_indices(z.shape[1])
    return np.concatenate([np.ones((len(z), 1)), z, z[:, first] * z[:, second]], axis=1)


def fit_emulator(
    z: Array, values: Array, *, weights: Array | None = None, is_difference: bool = False
) -> Emulator:
    """Return the quadratics that points suggest.

    Parameters
    ----------
    z : array (N, K)
    values : array (N, M)
        NaN where a point has no value.
    weights : array (N,), optional
        Of points, 1 by default: smaller far from where the emulator is wanted.
    is_difference : bool
        Whether it is learnt how values differ from known ones: straight terms are shrunk too, so that few
        points suffice where the difference is much the same everywhere.
    """
    straight = 1 if is_difference else 1 + z.shape[1]
    one = np.ones(len(z)) if weights is None else weights
    terms, count = features(z[:1]).shape[1], values.shape[1]
    coefficients, errors, explained = np.zeros((terms, count)), np.full(count, np.inf), np.zeros(count)
    known = np.isfinite(values)
    for pattern in np.unique(known, axis=1).T:  # targets that the same points have go together
        places = np.flatnonzero((known == pattern[:, None]).all(axis=0))
        if pattern.any():
            found = _fitted(features(z[pattern]), values[pattern][:, places], one[pattern], straight)
            coefficients[:, places], errors[places], explained[places] = found
    return Emulator(coefficients=coefficients, error_sd=errors, explained=explained)


def _fitted(design: Array, y: Array, weights: Array, straight: int) -> tuple[Array, Array, Array]:
    """Return coefficients (F, M), errors at left-out points and what is explained there, (M,) each."""
    tried = [_ridge(design, y, weights, _penalty(design.shape[1], straight, size)) for size in SHRINKAGES]
    losses = np.array([(weights[:, None] * missed**2).sum(axis=0) for _, missed in tried])
    chosen = losses.argmin(axis=0)
    coefficients = np.stack([tried[one][0][:, place] for place, one in enumerate(chosen)], axis=1)
    error = losses.min(axis=0) / weights.sum()
    centred = y - np.average(y, axis=0, weights=weights)
    spread = np.maximum((weights[:, None] * centred**2).sum(axis=0) / weights.sum(), 1e-300)
    return coefficients, np.sqrt(error), 1.0 - error / spread


def _penalty(terms: int, straight: int, size: float) -> Array:
    found = np.full(terms, size)
    found[:straight] = STRAIGHT_SHRINKAGE
    found[0] = 0.0
    return found


def _ridge(design: Array, y: Array, weights: Array, penalty: Array) -> tuple[Array, Array]:
    """Return ridge coefficients, and what each point misses when it is left out (closed form)."""
    root = np.sqrt(weights)[:, None]
    scaled = design * root
    inverse = np.linalg.inv(scaled.T @ scaled + np.diag(penalty + 1e-10))
    coefficients = inverse @ (scaled.T @ (y * root))
    leverage = np.einsum("nf,nf->n", scaled @ inverse, scaled)
    return coefficients, (y - design @ coefficients) / np.maximum(1.0 - leverage, 1e-6)[:, None]


def slopes(outcomes: Array, followed: Array) -> Array:
    """Return how outcomes follow another number over points, by least squares, (M,).

    Parameters
    ----------
    outcomes, followed : array (N, M)
        NaN where unknown; a column that is all NaN has slope 0.
    """
    found = np.zeros(outcomes.shape[1])
    for place, (y, x) in enumerate(zip(outcomes.T, followed.T, strict=True)):
        known = np.isfinite(y) & np.isfinite(x)
        if known.sum() > 2:
            centred = x[known] - x[known].mean()
            found[place] = (centred * y[known]).sum() / max((centred**2).sum(), 1e-12)
    return found


def columns(values: Sequence[dict[str, list[float]]], names: Sequence[str]) -> Array:
    """Return single numbers of points as columns, (N, M), NaN where there is none."""
    return np.array([[one.get(name, [np.nan])[0] for name in names] for one in values], float)
