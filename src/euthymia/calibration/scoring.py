"""How well forecasts of published numbers did: coverage, errors, skill, evenness. Arrays in, records out.

Nothing here reads evidence. What was observed is handed over, and only by what may open it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from euthymia.errors import invalid

Array = NDArray[np.float64]
NAN = float("nan")
INTERVAL = (0.05, 0.95)
"""Ends of the prediction interval of 90 %."""
SD_TOLERANCE = 0.2
"""An SD counts as met within a fifth of the observed one."""
KINDS = ("MADRS contrast", "contrast", "rate", "SD", "other")
"""What numbers are scored as; ``contrast`` is any other comparison of arms."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Forecast:
    """What was expected of one number, and how much of the forecast lies below what was observed.

    Attributes
    ----------
    expected, low, high : float
        Median over replicates with the interval of 90 %; NaN where there are none.
    replicates : int
        With a value.
    pit : float
        0 to 1; NaN where nothing was observed, or where replicates themselves are not at hand.
    """

    expected: float = NAN
    low: float = NAN
    high: float = NAN
    replicates: int = 0
    pit: float = NAN

    def holds(self, observed: float) -> bool:
        """Tell whether a number lies in the interval, ends included."""
        return bool(self.low <= observed <= self.high)


@dataclass(frozen=True, kw_only=True, slots=True)
class Scored:
    """A published number beside its forecast, as it is scored.

    Attributes
    ----------
    trial : str
        Whose primary contrast counts once.
    kind : str
        One of ``KINDS``.
    is_primary : bool
        Whether it is the one contrast of its trial that counts for the coverage.
    is_first_day : bool
        Whether it was read 24 h after the first dose.
    observed : float
        In points, or as a share from 0 to 1.
    """

    trial: str
    kind: str
    is_primary: bool
    is_first_day: bool
    observed: float
    forecast: Forecast

    @property
    def is_contrast(self) -> bool:
        """Whether arms are compared."""
        return self.kind in ("MADRS contrast", "contrast")

    @property
    def is_inside(self) -> bool:
        """Whether the observed number lies in the interval of 90 %."""
        return self.forecast.holds(self.observed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """How many lie inside, with the exact 95 % interval of the share; NaN of none."""

    inside: int
    total: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Skill:
    """Errors of forecasts beside those of a baseline that knows nothing of the trial.

    Attributes
    ----------
    error, baseline_error : float
        Mean absolute, in points.
    skill : float
        1 less their ratio: above 0 the forecast is better; NaN where the baseline is without error.
    """

    baseline: str
    value: float
    total: int
    error: float
    baseline_error: float
    skill: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """All scores of some numbers; a mean of none is NaN.

    Attributes
    ----------
    contrasts, primary, numbers : Coverage
        Of all contrasts, of one primary contrast a trial, of everything that was scored.
    points_error : float
        Mean absolute error of MADRS contrasts (points), over ``points_total`` of them.
    rates_error : float
        Mean absolute error of shares (percentage points), over ``rates_total``.
    sds_close, sds_total : int
        SDs within a fifth of the observed one.
    skills : tuple of Skill
    pits : tuple of float
        Of all numbers that have one.
    evenness : float
        Largest distance of their distribution from an even one, 0 to 1.
    """

    contrasts: Coverage
    primary: Coverage
    numbers: Coverage
    points_error: float
    points_total: int
    rates_error: float
    rates_total: int
    sds_close: int
    sds_total: int
    skills: tuple[Skill, ...]
    pits: tuple[float, ...]
    evenness: float


def forecast_of(values: ArrayLike, observed: float = NAN, *, fewest: int = 20) -> Forecast:
    """Return the forecast that replicates are.

    Parameters
    ----------
    values : array (R,)
        NaN where a replicate has none; may be infinite.
    observed : float
        NaN where it is closed.
    fewest : int
        Values below which there is no forecast.
    """
    drawn = np.asarray(values, float)
    known = drawn[~np.isnan(drawn)]
    if len(known) < fewest:
        return Forecast(replicates=len(known))
    method = "linear" if np.isfinite(known).all() else "closest_observation"
    low, middle, high = np.quantile(known, [INTERVAL[0], 0.5, INTERVAL[1]], method=method)
    return Forecast(
        expected=float(middle),
        low=float(low),
        high=float(high),
        replicates=len(known),
        pit=pit_of(known, observed),
    )


def pit_of(values: ArrayLike, observed: float) -> float:
    """Return the share of a forecast that lies below what was observed; of what is equal a half counts.

    (#below + #equal / 2 + 1/2) / (R + 1)

    Examples
    --------
    >>> pit_of([1.0, 2.0, 3.0], 2.5)
    0.625
    """
    known = np.asarray(values, float)
    known = known[~np.isnan(known)]
    if np.isnan(observed) or not len(known):
        return NAN
    below = (known < observed).sum() + 0.5 * (known == observed).sum()
    return float((below + 0.5) / (len(known) + 1))


def coverage_of(is_inside: Sequence[bool] | NDArray[np.bool_], *, level: float = 0.95) -> Coverage:
    """Return the share that is inside with its exact interval (Clopper and Pearson).

    Raises
    ------
    InvalidInputError
    """
    flags = np.asarray(is_inside, bool)
    inside, total = int(flags.sum()), len(flags)
    low, high = binomial_interval(inside, total, level=level)
    return Coverage(inside=inside, total=total, share=inside / total if total else NAN, low=low, high=high)


def binomial_interval(inside: int, total: int, *, level: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a share; NaN of none.

    P(X >= inside | low) = P(X <= inside | high) = (1 - level) / 2

    Raises
    ------
    InvalidInputError
        Where counts are negative or more are inside than there are.

    References
    ----------
    Clopper, Pearson (1934) Biometrika 26:404, doi:10.1093/biomet/26.4.404.

    Examples
    --------
    >>> [round(one, 3) for one in binomial_interval(9, 10)]
    [0.555, 0.997]
    """
    if not 0 <= inside <= total:
        raise invalid("inside", must=f"0 to {total}, of how many", got=inside)
    if not total:
        return NAN, NAN
    from scipy.special import betaincinv

    tail = 0.5 * (1.0 - level)
    low = 0.0 if inside == 0 else float(betaincinv(inside, total - inside + 1, tail))
    high = 1.0 if inside == total else float(betaincinv(inside + 1, total - inside, 1.0 - tail))
    return low, high


def mean_absolute_error(observed: ArrayLike, expected: ArrayLike) -> float:
    """Return the mean distance between numbers (N,) and what was expected of them; NaN of none."""
    away = np.abs(np.asarray(observed, float) - np.asarray(expected, float))
    return float(away.mean()) if away.size else NAN


def skill_of(observed: ArrayLike, expected: ArrayLike, *, baseline: str, value: float) -> Skill:
    """Return how much smaller the errors (N,) are than those of one number that is always said.

    skill = 1 - mean |observed - expected| / mean |observed - value|
    """
    error = mean_absolute_error(observed, expected)
    least = mean_absolute_error(observed, np.full(np.shape(observed), value))
    return Skill(
        baseline=baseline,
        value=value,
        total=int(np.size(observed)),
        error=error,
        baseline_error=least,
        skill=1.0 - error / least if least > 0.0 else NAN,
    )


def is_sd_close(observed: float, expected: float) -> bool:
    """Tell whether an SD lies within a fifth of the observed one."""
    return bool(abs(expected - observed) <= SD_TOLERANCE * observed)


def unevenness(pits: ArrayLike) -> float:
    """Return the largest distance of a distribution on 0 to 1 from the even one (Kolmogorov); NaN of none.

    Examples
    --------
    >>> unevenness([0.25, 0.75])
    0.25
    """
    ordered = np.sort(np.asarray(pits, float))
    count = len(ordered)
    if not count:
        return NAN
    steps = np.arange(count + 1) / count
    return float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))


def score_of(
    rows: Sequence[Scored], *, baselines: Sequence[tuple[str, float]] = (), is_first_day_only: bool = False
) -> Score:
    """Return the scores of numbers that were observed and have a forecast.

    Parameters
    ----------
    rows : sequence of Scored
    baselines : sequence of (name, points)
        One number that is said of every MADRS contrast.
    is_first_day_only : bool
        Whether skills are those of contrasts 24 h after the first dose.
    """
    points = [one for one in rows if one.kind == "MADRS contrast"]
    rates = [one for one in rows if one.kind == "rate"]
    sds = [one for one in rows if one.kind == "SD"]
    compared = [one for one in points if one.is_first_day or not is_first_day_only]
    pits = tuple(one.forecast.pit for one in rows if not np.isnan(one.forecast.pit))
    return Score(
        contrasts=coverage_of([one.is_inside for one in rows if one.is_contrast]),
        primary=coverage_of([one.is_inside for one in rows if one.is_primary]),
        numbers=coverage_of([one.is_inside for one in rows]),
        points_error=mean_absolute_error(*_pairs(points)),
        points_total=len(points),
        rates_error=100.0 * mean_absolute_error(*_pairs(rates)),
        rates_total=len(rates),
        sds_close=sum(is_sd_close(one.observed, one.forecast.expected) for one in sds),
        sds_total=len(sds),
        skills=tuple(skill_of(*_pairs(compared), baseline=name, value=value) for name, value in baselines),
        pits=pits,
        evenness=unevenness(pits),
    )


def _pairs(rows: Sequence[Scored]) -> tuple[Array, Array]:
    return (
        np.array([one.observed for one in rows], float),
        np.array([one.forecast.expected for one in rows], float),
    )
