"""Whether draws can be trusted, and what they say: truths found again, profiles, what is identifiable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.calibration.likelihood import STUDY_EFFECTS, Likelihood, rules
from euthymia.calibration.sampling import sample

Array = NDArray[np.float64]
INTERVALS = (0.5, 0.9)
PROFILE_POINTS = 13
FAR = 2.5
"""How far profiles go, in SDs of the prior."""
FALL_95 = -1.92
"""Of the log likelihood at the ends of an interval of 95 %: half the quantile of chi-squared, one degree."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recovery:
    """Simulated data whose truth is known, fitted again (simulation-based calibration).

    Attributes
    ----------
    ranks : array (N, K)
        Place of each truth among its draws, from 0 to 1.
    coverage : {interval: array (K,)}
        Share of truths inside the middle 50 and 90 % of their draws.
    p_value : array (K,)
        That ranks are even, Kolmogorov-Smirnov.
    """

    ranks: Array
    coverage: dict[float, Array]
    p_value: Array

    @property
    def smallest_p(self) -> float:
        """The smallest of the p-values, times how many there are (Bonferroni), at most 1."""
        return float(min(1.0, self.p_value.min() * len(self.p_value)))


def recovery(
    likelihood: Likelihood,
    *,
    count: int = 60,
    steps: int = 1500,
    seed: int = 1,
    on_done: Callable[[int, int], None] | None = None,
) -> Recovery:
    """Return how truths drawn from the prior are found again in data simulated by the likelihood.

    With a ``count`` of 0 nothing is known: no ranks, and NaN.

    It asks whether the draws are those of the posterior that likelihood and prior define; whether these are
    right about the world is for the rows that were not fitted.
    """
    from scipy.stats import kstest

    ranks = []
    for number in range(count):
        truth = _from_prior(likelihood, seed=10_000 * seed + number)
        again = replace(likelihood, observed=_simulated(likelihood, truth, seed=20_000 * seed + number))
        drawn = sample(again, steps=steps, kept=200, ensembles=1, seed=30_000 * seed + number)
        ranks.append((drawn.draws.reshape(-1, likelihood.size) < truth).mean(axis=0))
        if on_done is not None:
            on_done(number + 1, count)
    whole = np.array(ranks).reshape(len(ranks), likelihood.size)[:, : len(likelihood.calibrated)]
    if not ranks:
        unknown = np.full(len(likelihood.calibrated), np.nan)
        return Recovery(ranks=whole, coverage=dict.fromkeys(INTERVALS, unknown), p_value=unknown)
    inside = {size: (np.abs(whole - 0.5) <= size / 2.0).mean(axis=0) for size in INTERVALS}
    p_values = np.array([float(kstest(column, "uniform").pvalue) for column in whole.T])
    return Recovery(ranks=whole, coverage=inside, p_value=p_values)


def _from_prior(likelihood: Likelihood, *, seed: int) -> Array:
    """Return a draw of the prior, (K + 2,)."""
    from scipy.stats import norm

    rng = np.random.default_rng(seed)
    low, high = norm.cdf(likelihood.limits).T
    z = norm.ppf(low + (high - low) * rng.uniform(size=len(low)))
    sds = [rules()["study"][name] * abs(rng.standard_normal()) for name in STUDY_EFFECTS]
    return np.append(z, np.log(np.maximum(sds, 0.05)))


def _simulated(likelihood: Likelihood, point: Array, *, seed: int) -> Array:
    """Return published numbers as the likelihood would have them at a point, (M,)."""
    size = len(likelihood.calibrated)
    factor = np.linalg.cholesky(likelihood.covariance(np.exp(point[size:])))
    noise = np.random.default_rng(seed).standard_normal(len(likelihood.targets))
    return likelihood.emulator(point[None, :size])[0] + factor @ noise


def best(likelihood: Likelihood, start: Array, *, fixed: int | None = None) -> Array:
    """Return the point of the highest likelihood near a start, (K + 2,).

    Parameters
    ----------
    start : array (K + 2,)
    fixed : int, optional
        Place of a parameter that stays as it is.
    """
    from scipy.optimize import minimize

    free = np.array([place for place in range(likelihood.size) if place != fixed])
    limits = [*map(tuple, likelihood.limits), *([(-3.0, 3.0)] * len(STUDY_EFFECTS))]

    def whole(some: Array) -> Array:
        points = np.repeat(start[None, :], len(some), axis=0)
        points[:, free] = some
        return points

    def lost(x: Array) -> tuple[float, Array]:
        step = 1e-4
        around = np.concatenate([x[None], x + step * np.eye(len(x)), x - step * np.eye(len(x))])
        points = whole(around)
        values = likelihood.log_likelihood(points)
        slope = (values[1 : len(x) + 1] - values[len(x) + 1 :]) / (2.0 * step)
        return -float(values[0]), -slope

    found = minimize(lost, start[free], jac=True, method="L-BFGS-B", bounds=[limits[place] for place in free])
    return whole(np.asarray(found.x)[None, :])[0]


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """The highest likelihood for each value of one parameter.

    Attributes
    ----------
    z : array (P,)
        In SDs of the prior.
    fall : array (P,)
        How far the log likelihood lies below its highest, from 0 down; `FALL_95` ends the interval of 95 %.
    """

    name: str
    z: Array
    fall: Array

    @property
    def is_bounded(self) -> bool:
        """Whether the data alone close an interval of 95 % on both sides."""
        return bool(self.fall[0] < FALL_95 and self.fall[-1] < FALL_95)


def profiles(
    likelihood: Likelihood, start: Array, *, on_done: Callable[[int, int], None] | None = None
) -> tuple[Profile, ...]:
    """Return the profile likelihood of every parameter, on a grid to which its best value is added."""
    found, peak = [], best(likelihood, start)
    highest = float(likelihood.log_likelihood(peak[None])[0])
    for place, one in enumerate(likelihood.calibrated):
        low, high = np.clip(likelihood.limits[place], -FAR, FAR)
        grid = np.union1d(np.linspace(low, high, PROFILE_POINTS), np.clip(peak[place], low, high))
        middle = int(np.argmin(np.abs(grid - peak[place])))
        values = np.empty(len(grid))
        for order in (range(middle, len(grid)), range(middle, -1, -1)):
            at = peak  # each end starts from its neighbour
            for step in order:
                at = best(likelihood, _with(at, place, grid[step]), fixed=place)
                values[step] = float(likelihood.log_likelihood(at[None])[0])
        found.append(Profile(name=one.name, z=grid, fall=values - max(float(values.max()), highest)))
        if on_done is not None:
            on_done(place + 1, len(likelihood.calibrated))
    return tuple(found)


def _with(point: Array, place: int, value: float) -> Array:
    changed = point.copy()
    changed[place] = value
    return changed


@dataclass(frozen=True, kw_only=True, slots=True)
class Combination:
    """A direction of the parameters (in SDs of their priors), and how much of its prior variance is left."""

    left_share: float
    parts: tuple[tuple[str, float], ...]


def combinations(names: Sequence[str], draws: Array) -> tuple[Combination, ...]:
    """Return the directions that the data have and have not learnt, the best known first.

    Parameters
    ----------
    draws : array (D, K)
        In SDs of the priors.
    """
    variances, vectors = np.linalg.eigh(np.atleast_2d(np.cov(draws.T)))
    found = []
    for variance, vector in zip(variances, vectors.T, strict=True):
        largest = np.argsort(-np.abs(vector))[:4]
        signed = vector * np.sign(vector[largest[0]])
        parts = tuple(
            (str(names[place]), float(signed[place])) for place in largest if abs(vector[place]) > 0.2
        )
        found.append(Combination(left_share=float(variance), parts=parts))
    return tuple(found)


def shifts(names: Sequence[str], draws: Array) -> list[dict[str, Any]]:
    """Return how far each parameter has moved from its prior, and how much narrower it is."""
    return [
        {
            "name": name,
            "shift_in_prior_sds": float(column.mean()),
            "left_sd": float(column.std(ddof=1)),
            "low": float(np.quantile(column, 0.05)),
            "high": float(np.quantile(column, 0.95)),
        }
        for name, column in zip(names, draws.T, strict=True)
    ]
