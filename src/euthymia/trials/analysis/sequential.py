"""Interim looks: boundaries that spend the error by plan, and how often a trial crosses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from euthymia.errors import invalid
from euthymia.trials.analysis.estimate import Array, quantile

TWO_SIDED_ALPHA = 0.05
NODES, PANELS = 320, 20
"""Of the Gauss-Legendre rule between two boundaries; more move no boundary by 1e-10."""
FARTHEST_Z = 12.0
"""A boundary farther out is not searched for: the chance to cross it is below 1e-32."""


class Spending(StrEnum):
    """How much of the error may be spent by a share of the information (Lan & DeMets 1983)."""

    OBRIEN_FLEMING = "obrien-fleming"
    """4 (1 - Phi(z / sqrt t)), z the 1 - alpha / 4 quantile: hardly any of it early."""
    POCOCK = "pocock"
    """alpha log(1 + (e - 1) t): about evenly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Boundaries:
    """When to stop for effect: at a look whose z is beyond +/- the boundary.

    Attributes
    ----------
    fractions : array (K,)
        Of the information at each look, the last 1 where the plan is followed to its end.
    z : array (K,)
        Boundary of the statistic; infinite where the error to spend is too small for one.
    p : array (K,)
        Two-sided, of a statistic on the boundary.
    spent : array (K,)
        Error spent by each look and those before.
    """

    fractions: Array
    z: Array
    p: Array
    spent: Array


def boundaries(
    fractions: Sequence[float],
    *,
    spending: Spending | str = Spending.OBRIEN_FLEMING,
    alpha: float = TWO_SIDED_ALPHA,
) -> Boundaries:
    """Return the symmetric two-sided boundaries of looks at given shares of the information.

    P(|Z_k| >= c_k, |Z_j| < c_j for j < k) = f(t_k) - f(t_{k-1}),  corr(Z_j, Z_k) = sqrt(t_j / t_k)

    Parameters
    ----------
    fractions : sequence of float (K,)
        Ascending, above 0, at most 1.
    spending : Spending
    alpha : float
        Two-sided error of the trial.

    Raises
    ------
    InvalidInputError

    Notes
    -----
    The density of the score S = Z sqrt t of those who went on is carried from look to look by numerical
    integration, and each boundary is the root (Brent) of what is left to spend.

    References
    ----------
    Lan & DeMets (1983) Biometrika 70:659, doi:10.1093/biomet/70.3.659.
    Armitage, McPherson, Rowe (1969) J R Stat Soc A 132:235, doi:10.2307/2343787: the recursion.
    Jennison & Turnbull (2000), Group Sequential Methods with Applications to Clinical Trials, chapters 7, 19.

    Examples
    --------
    >>> boundaries([0.2, 0.4, 0.6, 0.8, 1.0]).z.round(3)
    array([4.877, 3.357, 2.68 , 2.29 , 2.031])
    """
    from scipy.special import ndtr

    times = _checked_fractions(fractions)
    spent = spend(times, spending=spending, alpha=alpha)
    walk, found = _Walk(0.0), []
    for time, share in zip(times, np.diff(spent, prepend=0.0), strict=True):
        found.append(_boundary(walk, time, share))
        walk.go_on(time, found[-1])
    z = np.array(found)
    return Boundaries(fractions=times, z=z, p=2.0 * ndtr(-z), spent=spent)


def spend(fractions: ArrayLike, *, spending: Spending | str, alpha: float = TWO_SIDED_ALPHA) -> Array:
    """Return the two-sided error that may be spent by shares of the information, of their shape.

    Raises
    ------
    InvalidInputError
        Where the rule is not known or alpha is not above 0 and below 1.
    """
    from scipy.special import ndtr

    try:
        spending = Spending(spending)
    except ValueError:
        raise invalid("spending", must=" or ".join(Spending), got=repr(str(spending))) from None
    if not 0.0 < alpha < 1.0:
        raise invalid("alpha", must="above 0 and below 1", got=alpha, cure="5 % is 0.05.")
    times = np.asarray(fractions, float)
    if spending is Spending.POCOCK:
        return alpha * np.log1p((np.e - 1.0) * times)
    return 4.0 * ndtr(-quantile(1.0 - alpha / 4.0, np.inf) / np.sqrt(times))


@dataclass(frozen=True, kw_only=True, slots=True)
class Crossing:
    """How often a trial stops at each look.

    Attributes
    ----------
    upper, lower : array (K,)
        Probability to stop at a look beyond the upper, or the lower, boundary, having gone on before.
    expected_fraction : float
        Mean share of the information at the end, which is the last look at the latest.
    """

    upper: Array
    lower: Array
    expected_fraction: float

    @property
    def power(self) -> float:
        """Return the probability to cross either boundary at any look."""
        return float(self.upper.sum() + self.lower.sum())


def crossing(fractions: Sequence[float], z: Sequence[float], *, drift: float = 0.0) -> Crossing:
    """Return how often a trial crosses boundaries at each look.

    Parameters
    ----------
    fractions : sequence of float (K,)
        Of the information, ascending.
    z : sequence of float (K,)
        Boundaries of the statistic, above 0.
    drift : float
        Mean of the statistic at full information: effect over its standard error then. For a power of 1 -
        beta without looks it is z_{1 - alpha / 2} + z_{1 - beta}.

    Raises
    ------
    InvalidInputError

    Examples
    --------
    >>> round(crossing([0.2, 0.4, 0.6, 0.8, 1.0], [2.413] * 5).power, 3)
    0.05
    """
    times = _checked_fractions(fractions)
    limits = np.asarray(z, float)
    if limits.shape != times.shape or not (limits > 0.0).all():
        raise invalid(
            "z", must=f"{len(times)} numbers above 0", got=", ".join(f"{one:g}" for one in limits.flat)
        )
    walk = _Walk(drift)
    both = []
    for time, limit in zip(times, limits, strict=True):
        both.append(walk.beyond(time, limit))
        walk.go_on(time, limit)
    upper, lower = np.array(both).T
    stopped = upper + lower
    mean = float(stopped @ times + (1.0 - stopped.sum()) * times[-1])
    return Crossing(upper=upper, lower=lower, expected_fraction=mean)


class _Walk:
    """The density of the score of those who went on so far, on the nodes of a quadrature."""

    def __init__(self, drift: float) -> None:
        self._drift, self._time = drift, 0.0
        self._nodes, self._mass = np.zeros(1), np.ones(1)

    def beyond(self, time: float, z: float) -> tuple[float, float]:
        """Return the probability of a score above the upper and below the lower boundary at a time."""
        from scipy.special import ndtr

        limit, step, mean = self._next(time, z)
        upper = float(self._mass @ ndtr((mean - limit) / step))
        lower = float(self._mass @ ndtr((-limit - mean) / step))
        return upper, lower

    def go_on(self, time: float, z: float) -> None:
        """Move to a time with those between the boundaries."""
        limit, step, mean = self._next(time, min(z, abs(self._drift) + FARTHEST_Z))
        points, weights = _rule()
        nodes = limit * points
        gap = (nodes[:, None] - mean[None, :]) / step
        density = np.exp(-0.5 * gap**2) @ self._mass / (step * np.sqrt(2.0 * np.pi))
        self._nodes, self._mass, self._time = nodes, limit * weights * density, time

    def _next(self, time: float, z: float) -> tuple[float, float, Array]:
        gone = time - self._time
        return z * np.sqrt(time), np.sqrt(gone), self._nodes + self._drift * gone


@cache
def _rule() -> tuple[Array, Array]:
    """Return nodes and weights between -1 and 1, in panels so that a short step between looks is resolved."""
    points, weights = np.polynomial.legendre.leggauss(NODES // PANELS)
    edges = np.linspace(-1.0, 1.0, PANELS + 1)
    half = 1.0 / PANELS
    centres = (edges[:-1] + edges[1:]) / 2.0
    return (centres[:, None] + half * points).ravel(), np.tile(half * weights, PANELS)


def _boundary(walk: _Walk, time: float, share: float) -> float:
    """Return the z beyond which a share of all trials is at a look; infinite where it is too small."""
    from scipy.optimize import brentq

    def excess(z: float) -> float:
        return sum(walk.beyond(time, z)) - share

    if excess(FARTHEST_Z) >= 0.0:
        return float("inf")
    root: Any = brentq(excess, 0.0, FARTHEST_Z, xtol=1e-13)
    return float(root)


def _checked_fractions(fractions: Sequence[float]) -> Array:
    times = np.asarray(fractions, float)
    is_fine = times.ndim == 1 and len(times) and times[0] > 0.0 and times[-1] <= 1.0
    if not is_fine or not (np.diff(times) > 0.0).all():
        got = ", ".join(f"{one:g}" for one in times.flat) or "none"
        raise invalid("fractions", must="ascending shares of the information, above 0 and up to 1", got=got)
    return times
