"""Shares of patients, and how those of two arms differ, by the counts of a 2 x 2 table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from euthymia.errors import invalid
from euthymia.trials.analysis.estimate import (
    LEVEL,
    Array,
    Estimate,
    Ratio,
    checked_level,
    estimate,
    failed,
    quantile,
    ratio,
)


class Count(NamedTuple):
    """Patients with the outcome, of how many."""

    events: int
    total: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Share:
    """A share with its interval.

    Attributes
    ----------
    value, low, high : float
        0 to 1.
    count : Count
    """

    value: float
    low: float
    high: float
    count: Count


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A number with the ends of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class TwoShares:
    """How the share of an arm differs from that of the control.

    Attributes
    ----------
    arm, control : Share
    difference : Interval
        Arm less control, by Newcombe's interval.
    difference_wald : Estimate ()
        The same with the interval by the normal distribution, and its p.
    odds_ratio, risk_ratio : Ratio ()
        Half a patient is added to every cell where one is empty.
    needed_to_treat : Interval
        1 over the difference. Where the interval of that holds 0 the ends have opposite signs, and what is
        meant is all outside: from ``low`` (harm) through infinity to ``high`` (benefit).
    """

    arm: Share
    control: Share
    difference: Interval
    difference_wald: Estimate
    odds_ratio: Ratio
    risk_ratio: Ratio
    needed_to_treat: Interval


def share(events: int, total: int, *, level: float = LEVEL) -> Share:
    """Return a share with Wilson's interval.

    (p + z^2/2n -/+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)

    Parameters
    ----------
    events, total : int
        Patients with the outcome, of how many (one or more).
    level : float
        Of the interval.

    Raises
    ------
    InvalidInputError

    References
    ----------
    Wilson (1927) J Am Stat Assoc 22:209, doi:10.1080/01621459.1927.10502953; statsmodels.

    Examples
    --------
    >>> found = share(81, 263)
    >>> round(found.low, 4), round(found.high, 4)
    (0.2553, 0.3662)
    """
    checked_level(level)
    count = _checked("events", Count(events, total))
    p, z = events / total, float(quantile(0.5 + level / 2.0, np.inf))
    scale = 1.0 + z * z / total
    centre = (p + z * z / (2.0 * total)) / scale
    half = z * np.sqrt(p * (1.0 - p) / total + z * z / (4.0 * total * total)) / scale
    # rounding may leave the ends a few 1e-17 outside 0 and 1, or inside the share where that is 0 or 1
    low, high = max(0.0, min(p, float(centre - half))), min(1.0, max(p, float(centre + half)))
    return Share(value=p, low=low, high=high, count=count)


def two_shares(arm: Count, control: Count, *, level: float = LEVEL) -> TwoShares:
    """Return how the share of an arm differs from that of the control.

    Newcombe: d -/+ sqrt((p_1 - l_1)^2 + (u_0 - p_0)^2) below and likewise above, l and u Wilson's ends.
    Wald: d -/+ z sqrt(p_1 q_1 / n_1 + p_0 q_0 / n_0).  Odds ratio: log variance the sum of 1 / cell.
    Risk ratio: log variance 1/a_1 - 1/n_1 + 1/a_0 - 1/n_0.

    Parameters
    ----------
    arm, control : Count
    level : float
        Of the intervals.

    Raises
    ------
    InvalidInputError

    References
    ----------
    Newcombe (1998) Stat Med 17:873, method 10; statsmodels ("newcomb", "wald").
    Woolf (1955) Ann Hum Genet 19:251: odds ratio. Katz et al. (1978) Biometrics 34:469: risk ratio.
    Altman (1998) BMJ 317:1309, doi:10.1136/bmj.317.7168.1309: interval of the number needed to treat.
    """
    one, none = share(*arm, level=level), share(*control, level=level)
    difference = one.value - none.value
    low = difference - np.hypot(one.value - one.low, none.high - none.value)
    high = difference + np.hypot(one.high - one.value, none.value - none.low)
    variance = sum(part.value * (1.0 - part.value) / part.count.total for part in (one, none))
    gap = Interval(value=difference, low=float(low), high=float(high))
    return TwoShares(
        arm=one,
        control=none,
        difference=gap,
        difference_wald=estimate(difference, np.sqrt(variance), level=level),
        odds_ratio=_odds_ratio(arm, control, level),
        risk_ratio=_risk_ratio(arm, control, level),
        needed_to_treat=_needed_to_treat(gap),
    )


def _needed_to_treat(gap: Interval) -> Interval:
    def turned(value: float) -> float:
        return 1.0 / value if value else float("inf")

    if gap.low < 0.0 < gap.high:
        return Interval(value=turned(gap.value), low=turned(gap.low), high=turned(gap.high))
    return Interval(value=turned(gap.value), low=turned(gap.high), high=turned(gap.low))


def _cells(arm: Count, control: Count) -> tuple[float, float, float, float]:
    """Return events and the rest of the arm, then of the control, with a half added where one is 0."""
    cells = (arm.events, arm.total - arm.events, control.events, control.total - control.events)
    add = 0.5 if 0 in cells else 0.0
    a, b, c, d = (cell + add for cell in cells)
    return a, b, c, d


def _odds_ratio(arm: Count, control: Count, level: float) -> Ratio:
    a, b, c, d = _cells(arm, control)
    return ratio(np.log(a * d / (b * c)), np.sqrt(1 / a + 1 / b + 1 / c + 1 / d), level=level)


def _risk_ratio(arm: Count, control: Count, level: float) -> Ratio:
    a, b, c, d = _cells(arm, control)
    log_value = np.log(a / (a + b)) - np.log(c / (c + d))
    return ratio(log_value, np.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)), level=level)


def stratified_difference(events: ArrayLike, totals: ArrayLike, *, level: float = LEVEL) -> Estimate:
    """Return the Mantel-Haenszel difference of shares over strata: arm less control.

    d = sum (a_1 n_0 - a_0 n_1) / n / W,  W = sum n_1 n_0 / n,  variance (d P + Q) / W^2 with
    P = sum (n_1^2 a_0 - n_0^2 a_1 + n_1 n_0 (n_0 - n_1) / 2) / n^2 and
    Q = sum (a_1 (n_0 - a_0) + a_0 (n_1 - a_1)) / 2n;  a patients with the outcome of n

    Parameters
    ----------
    events, totals : array (S, 2)
        Of each stratum: control, then arm. A stratum without one of them says nothing and is left out.
    level : float
        Of the interval, by the normal distribution.

    Raises
    ------
    InvalidInputError
    RunFailedError
        Where no stratum has both.

    References
    ----------
    Greenland & Robins (1985) Biometrics 41:55, doi:10.2307/2530643: the estimate.
    Sato (1989) Biometrics 45:1323: a variance that holds for large strata and for many sparse ones.
    """
    events, totals = np.asarray(events, float), np.asarray(totals, float)
    _check_tables(events, totals)
    has_both = (totals > 0).all(axis=1)
    if not has_both.any():
        raise failed("The stratified difference", "no stratum has patients of both arms")
    (a0, a1), (n0, n1) = events[has_both].T, totals[has_both].T
    n = n0 + n1
    weight = (n1 * n0 / n).sum()
    difference = ((a1 * n0 - a0 * n1) / n).sum() / weight
    p = ((n1**2 * a0 - n0**2 * a1 + n1 * n0 * (n0 - n1) / 2.0) / n**2).sum()
    q = ((a1 * (n0 - a0) + a0 * (n1 - a1)) / (2.0 * n)).sum()
    return estimate(difference, np.sqrt(difference * p + q) / weight, level=level)


def _check_tables(events: Array, totals: Array) -> None:
    if events.ndim != 2 or events.shape[1] != 2 or events.shape != totals.shape:
        got = f"shapes {events.shape} and {totals.shape}"
        raise invalid("events", must="strata by control and arm, (S, 2), as the totals are", got=got)
    if not ((events >= 0) & (events <= totals)).all():
        raise invalid("events", must="from 0 to the total of each arm and stratum", got="others")


def stratified_odds_ratio(events: ArrayLike, totals: ArrayLike, *, level: float = LEVEL) -> Ratio:
    """Return the Mantel-Haenszel odds ratio over strata, arm over control.

    Parameters
    ----------
    events, totals : array (S, 2)
        Of each stratum: control, then arm.
    level : float
        Of the interval.

    Raises
    ------
    InvalidInputError
    RunFailedError
        Where one of the sums that make the ratio is 0.

    References
    ----------
    Mantel & Haenszel (1959) J Natl Cancer Inst 22:719: the estimate.
    Robins, Breslow, Greenland (1986) Biometrics 42:311, doi:10.2307/2531052: the variance; statsmodels.
    """
    from statsmodels.stats.contingency_tables import StratifiedTable

    events, totals = np.asarray(events, float), np.asarray(totals, float)
    _check_tables(events, totals)
    rest = totals - events
    n = totals.sum(axis=1)
    kept = n > 0
    if not ((events[:, 1] * rest[:, 0])[kept].any() and (events[:, 0] * rest[:, 1])[kept].any()):
        raise failed("The stratified odds ratio", "it is 0, infinite or not defined")
    tables = [np.array([[e[1], r[1]], [e[0], r[0]]]) for e, r in zip(events[kept], rest[kept], strict=True)]
    found: Any = StratifiedTable(tables)
    return ratio(found.logodds_pooled, found.logodds_pooled_se, level=level)


def _checked(field: str, count: Count) -> Count:
    if not (count.total >= 1 and 0 <= count.events <= count.total):
        must = "0 to the total, and that 1 or more"
        raise invalid(field, must=must, got=f"{count.events} of {count.total}")
    return count
