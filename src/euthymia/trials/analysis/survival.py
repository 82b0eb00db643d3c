"""Time to an event: who is still without it, what tells arms apart, and by what ratio of hazards."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from euthymia.errors import invalid
from euthymia.trials.analysis.estimate import (
    LEVEL,
    Array,
    Codes,
    Ratio,
    arm_codes,
    checked_level,
    column,
    complete,
    failed,
    ratio,
)

Flags = NDArray[np.bool_]
HALF_TOLERANCE = 1e-12
"""How far above a half the estimate may lie by rounding where it is a half."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KaplanMeier:
    """Share without the event over time, a step function that is 1 before the first step.

    Attributes
    ----------
    times : array (K,)
        At which somebody had the event or left, ascending, in the unit given.
    share, low, high : array (K,)
        From each time on, with the ends of the log-log interval; NaN where that has none (nobody is left).
    at_risk : array (K,) of int
        Still followed just before each time.
    events : array (K,) of int
    end : float
        Of the longest follow-up.
    """

    times: Array
    share: Array
    low: Array
    high: Array
    at_risk: Codes
    events: Codes
    end: float

    def at(self, times: ArrayLike) -> tuple[Array, Array, Array]:
        """Return share, low and high at some times, each of their shape; NaN after the end of follow-up."""
        wanted = np.asarray(times, float)
        place = np.searchsorted(self.times, wanted, side="right")
        found = (np.append(1.0, part)[place] for part in (self.share, self.low, self.high))
        share, low, high = (np.where(wanted > self.end, np.nan, part) for part in found)
        return share, low, high

    def count_at_risk(self, times: ArrayLike) -> Codes:
        """Return how many are still followed just before some times, without the event, of their shape."""
        place = np.searchsorted(self.times, np.asarray(times, float), side="left")
        return np.append(self.at_risk, 0)[place]

    def median(self) -> tuple[float, float, float]:
        """Return the median time and its interval, NaN where a curve does not fall to a half.

        The first time at which the share is a half or less; low and high are the same of the ends of its
        interval (Brookmeyer & Crowley 1982, by the log-log interval).
        """
        middle, first, last = (self._first_at_half(one) for one in (self.share, self.low, self.high))
        return middle, first, last

    def _first_at_half(self, curve: Array) -> float:
        below = self.times[np.nan_to_num(curve, nan=np.inf) <= 0.5 + HALF_TOLERANCE]
        return float(below[0]) if len(below) else float("nan")


def kaplan_meier(times: ArrayLike, has_event: ArrayLike, *, level: float = LEVEL) -> KaplanMeier:
    """Return the share without the event over time, with its log-log interval.

    S(t) = prod_{t_k <= t} (1 - d_k / n_k);  log(-log S) -/+ z sqrt(sum d_k / (n_k (n_k - d_k))) / |log S|

    Parameters
    ----------
    times : array (N,)
        To the event, or to the end of follow-up where there was none; 0 or more.
    has_event : array (N,) of bool
    level : float
        Of the interval, at each time by itself.

    Raises
    ------
    InvalidInputError

    Notes
    -----
    Who leaves at the time of an event is counted as at risk of it. A curve that stays at exactly a half gets
    the first such time as its median, where R's ``survfit`` takes the middle of the step.

    References
    ----------
    Kaplan & Meier (1958) J Am Stat Assoc 53:457, doi:10.1080/01621459.1958.10501452; SciPy's ``ecdf``.
    Kalbfleisch & Prentice (2002), The Statistical Analysis of Failure Time Data, section 1.4: the interval.

    Examples
    --------
    >>> kaplan_meier([7.0, 14.0, 14.0, 21.0, 28.0], [True, True, False, True, False]).share.round(3)
    array([0.8, 0.6, 0.3, 0.3])
    """
    from scipy.stats import CensoredData, ecdf

    checked_level(level)
    times, has_event = _checked(times, has_event)
    found = ecdf(CensoredData(uncensored=times[has_event], right=times[~has_event])).sf
    steps = np.asarray(found.quantiles, float)
    share = np.asarray(found.probabilities, float)
    low, high = (
        _interval(found, share, level) if has_event.any() else (np.ones_like(share), np.ones_like(share))
    )
    return KaplanMeier(
        times=steps,
        share=share,
        low=low,
        high=high,
        at_risk=(times[:, None] >= steps).sum(axis=0),
        events=(times[has_event][:, None] == steps).sum(axis=0),
        end=float(times.max()),
    )


def _interval(found: Any, share: Array, level: float) -> tuple[Array, Array]:
    with warnings.catch_warnings():
        # at 1 and at 0 the formula has no value; at 1 nothing is uncertain yet
        warnings.simplefilter("ignore", RuntimeWarning)
        band = found.confidence_interval(confidence_level=level, method="log-log")
    low, high = (np.asarray(one.probabilities, float) for one in (band.low, band.high))
    missing = np.where(share == 1.0, 1.0, np.nan)
    is_inside = (share > 0.0) & (share < 1.0)
    return np.where(is_inside, low, missing), np.where(is_inside, high, missing)


@dataclass(frozen=True, kw_only=True, slots=True)
class LogRank:
    """Test of equal hazards.

    Attributes
    ----------
    statistic : float
        Chi-square.
    df : int
        Arms less one.
    p : float
    """

    statistic: float
    df: int
    p: float


def log_rank(
    times: ArrayLike, has_event: ArrayLike, arm: ArrayLike, *, strata: ArrayLike | None = None
) -> LogRank:
    """Return the log-rank test of two or more arms, within strata where they are given.

    Parameters
    ----------
    times : array (N,)
    has_event : array (N,) of bool
    arm : array (N,) of int
    strata : array (N,) of int, optional
        A code for each stratum.

    Raises
    ------
    InvalidInputError
    RunFailedError
        Where nobody had the event while both arms were followed.

    References
    ----------
    Mantel (1966) Cancer Chemother Rep 50:163. Peto & Peto (1972) J R Stat Soc A 135:185; statsmodels
    ``survdiff``.
    """
    from statsmodels.duration.survfunc import survdiff

    times, has_event = _checked(times, has_event)
    arm, codes = _checked_arm(arm, len(times))
    groups = None if strata is None else _checked_strata(strata, len(times))
    with np.errstate(invalid="ignore", divide="ignore"):
        try:
            statistic, p = survdiff(times, has_event.astype(int), arm, strata=groups)
        except (np.linalg.LinAlgError, ValueError, IndexError):
            statistic, p = np.nan, np.nan
    if not np.isfinite(statistic):
        raise failed("The log-rank test", "no event tells the arms apart")
    return LogRank(statistic=float(statistic), df=len(codes) - 1, p=float(p))


@dataclass(frozen=True, kw_only=True, slots=True)
class Cox:
    """Hazard ratios of a proportional-hazards model.

    Attributes
    ----------
    others : array (A - 1,) of int
        Codes of the arms that are held against the control.
    hazard_ratio : Ratio (A - 1,)
        Of each of them over the control.
    covariate_ratio : Ratio (C,)
        For one more unit of each covariate.
    log_likelihood : float
        Partial.
    """

    others: Codes
    hazard_ratio: Ratio
    covariate_ratio: Ratio
    log_likelihood: float


def cox(
    times: ArrayLike,
    has_event: ArrayLike,
    arm: ArrayLike,
    *,
    control: int = 0,
    covariates: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    level: float = LEVEL,
) -> Cox:
    """Return the hazard ratio of each arm over the control, ties after Efron.

    h_i(t) = h_0(t) exp(b_arm(i) + x_i g); the baseline hazard h_0 is one for each stratum.

    Parameters
    ----------
    times : array (N,)
    has_event : array (N,) of bool
    arm : array (N,) of int
    control : int
    covariates : array (N, C), optional
    strata : array (N,) of int, optional
    level : float
        Of the intervals, by the normal distribution.

    Raises
    ------
    InvalidInputError
    RunFailedError
        Where an arm has no event, so that its ratio is 0 or infinite, or the likelihood has no maximum.

    References
    ----------
    Cox (1972) J R Stat Soc B 34:187. Efron (1977) J Am Stat Assoc 72:557, doi:10.1080/01621459.1977.10480613;
    statsmodels ``PHReg``.
    """
    checked_level(level)
    times, has_event = _checked(times, has_event)
    arm, codes = _checked_arm(arm, len(times), control)
    for code in codes:
        if not has_event[arm == code].any():
            raise failed("The hazard ratio", f"arm {code} has no event", "Use the log-rank test.")
    others = codes[codes != control]
    design = np.column_stack([arm[:, None] == others, _checked_covariates(covariates, len(times))]).astype(
        float
    )
    log_value, error, log_likelihood = _partial_fit(times, has_event, design, strata)
    split = len(others)
    return Cox(
        others=others,
        hazard_ratio=ratio(log_value[:split], error[:split], level=level),
        covariate_ratio=ratio(log_value[split:], error[split:], level=level),
        log_likelihood=log_likelihood,
    )


LARGEST_LOG_RATIO = 15.0
"""Of a hazard ratio for one SD, and of its standard error: above it the partial likelihood has no maximum."""


def _partial_fit(
    times: Array, has_event: Flags, design: Array, strata: ArrayLike | None
) -> tuple[Array, Array, float]:
    """Return log ratios, standard errors and the partial likelihood; columns are scaled while it runs."""
    from statsmodels.duration.hazard_regression import PHReg

    scale = design.std(axis=0)
    if not (scale > 0.0).all():
        raise failed("The hazard ratio", "a covariate does not vary", "Leave it out.")
    groups = None if strata is None else _checked_strata(strata, len(times))
    scaled = (design - design.mean(axis=0)) / scale
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model = PHReg(times, scaled, status=has_event.astype(int), strata=groups, ties="efron")
            found: Any = model.fit(disp=0)
            slope, error = np.asarray(found.params, float), np.asarray(found.bse, float)
        except (np.linalg.LinAlgError, ValueError):
            raise failed("The hazard ratio", "covariates tell arms apart, or no event is left") from None
    if not ((error < LARGEST_LOG_RATIO) & (np.abs(slope) < LARGEST_LOG_RATIO)).all():
        raise failed("The hazard ratio", "its likelihood has no maximum")
    return slope / scale, error / scale, float(found.llf)


def _checked(times: ArrayLike, has_event: ArrayLike) -> tuple[Array, Flags]:
    times = complete("times", column("times", times))
    flags = np.asarray(has_event)
    if flags.shape != times.shape or not np.isin(flags, (0, 1)).all():
        must = f"yes or no for each of {len(times)} patients"
        raise invalid("has_event", must=must, got=f"{flags.dtype} values of shape {flags.shape}")
    if not len(times) or times.min() < 0.0:
        raise invalid(
            "times", must="0 or more, for one patient or more", got="none" if not len(times) else times.min()
        )
    return times, flags.astype(bool)


def _checked_arm(arm: ArrayLike, count: int, control: int | None = None) -> tuple[Codes, Codes]:
    given = np.asarray(arm)
    arm, codes = arm_codes(given, int(given.min()) if control is None and given.size else control or 0)
    if arm.shape != (count,):
        raise invalid("arm", must=f"one code for each of {count} patients", got=f"shape {arm.shape}")
    return arm, codes


def _checked_strata(strata: ArrayLike, count: int) -> Codes:
    given = np.asarray(strata)
    if given.shape != (count,) or given.dtype.kind not in "iub":
        raise invalid(
            "strata", must=f"a whole number for each of {count} patients", got=f"shape {given.shape}"
        )
    return given.astype(np.int64)


def _checked_covariates(covariates: ArrayLike | None, count: int) -> Array:
    if covariates is None:
        return np.zeros((count, 0))
    given = np.asarray(covariates, float)
    if given.ndim != 2 or len(given) != count:
        raise invalid("covariates", must=f"(N, C) with N = {count}", got=f"shape {given.shape}")
    return complete("covariates", given)
