"""Power and size of a two-arm trial in closed form, against which simulated power curves are held."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np

from euthymia.errors import invalid
from euthymia.trials.analysis.estimate import quantile

TWO_SIDED_ALPHA = 0.05
MOST_PATIENTS = 10_000_000
"""An arm larger than this is not searched for."""


def power_of_means(
    count: int,
    *,
    difference: float,
    sd: float,
    count_control: int | None = None,
    correlation: float = 0.0,
    alpha: float = TWO_SIDED_ALPHA,
) -> float:
    """Return the power of the two-sample t test for a difference of means.

    Noncentral t with n_1 + n_0 - 2 degrees of freedom at difference / (s sqrt(1 - rho^2) sqrt(1/n_1 + 1/n_0))

    Parameters
    ----------
    count : int
        Patients in the arm with an outcome, two or more.
    difference, sd : float
        Between arms, and within them; in one unit.
    count_control : int, optional
        Patients of the control; as many as in the arm if not given.
    correlation : float
        Of the outcome with a covariate that is adjusted for: variance falls by rho^2. The degree of freedom
        that the covariate takes is not counted: exact without one, close with one.
    alpha : float
        Two-sided.

    Raises
    ------
    InvalidInputError

    References
    ----------
    Cohen (1988), Statistical Power Analysis for the Behavioral Sciences, chapter 2; statsmodels
    ``TTestIndPower``.
    Borm, Fransen, Lemmens (2007) J Clin Epidemiol 60:1234, doi:10.1016/j.jclinepi.2007.02.006: 1 - rho^2.

    Examples
    --------
    >>> round(power_of_means(64, difference=5.0, sd=10.0), 3)
    0.801
    """
    from statsmodels.stats.power import TTestIndPower

    other = count if count_control is None else count_control
    if min(count, other) < 2:
        raise invalid("count", must="two or more in each arm", got=min(count, other))
    effect = _effect(difference, sd, correlation)
    test: Any = TTestIndPower()
    return float(test.power(abs(effect), count, _share("alpha", alpha), ratio=other / count))


def count_for_means(
    power: float, *, difference: float, sd: float, correlation: float = 0.0, alpha: float = TWO_SIDED_ALPHA
) -> int:
    """Return how many patients each of two equal arms needs for a power, by `power_of_means`.

    Raises
    ------
    InvalidInputError
        Where there is no difference to find, or the arms would be larger than ten million.

    Examples
    --------
    >>> count_for_means(0.8, difference=5.0, sd=10.0)
    64
    """
    if _share("power", power) <= _share("alpha", alpha):
        raise invalid("power", must=f"above alpha ({alpha:g})", got=power)
    if difference == 0.0:
        raise invalid("difference", must="other than 0", got=0.0)

    def reached(count: int) -> bool:
        found = power_of_means(count, difference=difference, sd=sd, correlation=correlation, alpha=alpha)
        return found >= power

    return _smallest(reached, least=2)


def _smallest(reached: Callable[[int], bool], *, least: int) -> int:
    """Return the smallest whole number for which something holds that holds for all above it."""
    high = least
    while not reached(high):
        high *= 2
        if high > MOST_PATIENTS:
            raise invalid("difference", must="large enough for fewer than ten million patients", got="less")
    low = least - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def power_of_shares(
    count: int,
    *,
    share: float,
    share_control: float,
    count_control: int | None = None,
    alpha: float = TWO_SIDED_ALPHA,
) -> float:
    """Return the power of the z test for a difference of shares, by the normal distribution.

    Phi((|p_1 - p_0| - z_{1-a/2} sqrt(P Q (1/n_1 + 1/n_0))) / sqrt(p_1 q_1 / n_1 + p_0 q_0 / n_0)), P pooled

    Parameters
    ----------
    count : int
        Patients in the arm.
    share, share_control : float
        Above 0 and below 1.
    count_control : int, optional
    alpha : float
        Two-sided.

    Raises
    ------
    InvalidInputError

    References
    ----------
    Fleiss, Levin, Paik (2003), Statistical Methods for Rates and Proportions, 3rd ed., section 4.1.

    Examples
    --------
    >>> round(power_of_shares(93, share=0.5, share_control=0.3), 3)
    0.8
    """
    from scipy.special import ndtr

    other = count if count_control is None else count_control
    if min(count, other) < 1:
        raise invalid("count", must="one or more in each arm", got=min(count, other))
    one, none = _share("share", share), _share("share_control", share_control)
    pooled = (count * one + other * none) / (count + other)
    null = np.sqrt(pooled * (1.0 - pooled) * (1.0 / count + 1.0 / other))
    spread = np.sqrt(one * (1.0 - one) / count + none * (1.0 - none) / other)
    reach = float(quantile(1.0 - _share("alpha", alpha) / 2.0, np.inf)) * null
    gap = abs(one - none)
    return float(ndtr((gap - reach) / spread) + ndtr((-gap - reach) / spread))


def events_for_hazard_ratio(
    hazard_ratio: float, *, power: float = 0.8, share_treated: float = 0.5, alpha: float = TWO_SIDED_ALPHA
) -> int:
    """Return how many events the log-rank test needs for a power.

    d = (z_{1 - alpha/2} + z_power)^2 / (pi (1 - pi) log^2 HR)

    Parameters
    ----------
    hazard_ratio : float
        Above 0, other than 1.
    power : float
    share_treated : float
        Of patients, pi.
    alpha : float
        Two-sided.

    Raises
    ------
    InvalidInputError

    References
    ----------
    Schoenfeld (1981) Biometrika 68:316, doi:10.1093/biomet/68.1.316; (1983) Biometrics 39:499.

    Examples
    --------
    >>> events_for_hazard_ratio(0.5, power=0.8)
    66
    """
    if not hazard_ratio > 0.0 or hazard_ratio == 1.0:
        raise invalid("hazard_ratio", must="above 0 and other than 1", got=hazard_ratio)
    pi = _share("share_treated", share_treated)
    reach = quantile(1.0 - _share("alpha", alpha) / 2.0, np.inf) + quantile(_share("power", power), np.inf)
    return ceil(float(reach) ** 2 / (pi * (1.0 - pi) * np.log(hazard_ratio) ** 2))


def _effect(difference: float, sd: float, correlation: float) -> float:
    if not sd > 0.0:
        raise invalid("sd", must="above 0", got=sd)
    if not -1.0 < correlation < 1.0:
        raise invalid("correlation", must="above -1 and below 1", got=correlation)
    return difference / (sd * np.sqrt(1.0 - correlation**2))


def _share(field: str, value: float) -> float:
    if not 0.0 < value < 1.0:
        raise invalid(field, must="above 0 and below 1", got=value)
    return value
