"""Analysis of covariance: the difference between arms at one visit, adjusted for what was known before."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike, NDArray

from euthymia.errors import invalid
from euthymia.trials.analysis.estimate import (
    LEVEL,
    Array,
    Codes,
    Estimate,
    arm_codes,
    complete,
    estimate,
    failed,
)

SMALLEST_SINGULAR = 1e-10
"""Singular values below this share of the largest count as 0; columns are scaled to one length before."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ancova:
    """Adjusted means and their differences; a leading axis R where replicates were given.

    Attributes
    ----------
    codes : array (A,) of int
        Of the arms, ascending.
    others : array (A - 1,) of int
        Codes of the arms that are held against the control.
    count : array (..., A) of int
        Patients with an outcome.
    mean : Estimate (..., A)
        Of each arm at the mean of the covariates, in the unit of the outcome.
    contrast : Estimate (..., A - 1)
        Each other arm less the control.
    effect_size : array (..., A - 1)
        Contrast over the pooled SD of the outcome within arms, not adjusted (Cohen's d).
    residual_sd : array (...,)
        After adjustment.
    """

    codes: Codes
    others: Codes
    count: Codes
    mean: Estimate
    contrast: Estimate
    effect_size: Array
    residual_sd: Array


def ancova(
    outcome: ArrayLike,
    arm: ArrayLike,
    *,
    control: int = 0,
    covariates: ArrayLike | None = None,
    level: float = LEVEL,
) -> Ancova:
    """Return adjusted means and contrasts of patients whose outcome is known.

    y_i = mu_arm(i) + (x_i - mean x) beta + e_i,  e_i independent, normal, of one variance

    Parameters
    ----------
    outcome : array (N,)
        NaN where missing; those patients are left out.
    arm : array (N,) of int
    control : int
        Code of the arm that the others are held against.
    covariates : array (N, C), optional
        Baseline, dummies of strata; known for everybody. One that does not vary is of no effect.
    level : float
        Of the intervals.

    Raises
    ------
    InvalidInputError
        Where shapes or codes do not fit.
    RunFailedError
        Where an arm has no outcome, the covariates tell arms apart, or no degree of freedom is left.

    Notes
    -----
    Ordinary least squares; the covariates are centred at their mean over the patients analysed, so that the
    coefficient of an arm is its adjusted mean.

    References
    ----------
    Fisher R A (1932), Statistical Methods for Research Workers, 4th ed., section 49.1.
    Searle, Speed, Milliken (1980) Am Stat 34:216, doi:10.1080/00031305.1980.10483031: adjusted means.

    Examples
    --------
    >>> found = ancova([10.0, 12.0, 8.0, 5.0, 7.0, 6.0], [0, 0, 0, 1, 1, 1])
    >>> found.contrast.value, found.contrast.p.round(4)
    (array([-4.]), array([0.0363]))
    """
    outcome = np.asarray(outcome, float)
    if outcome.ndim != 1:
        raise invalid("outcome", must="one number for each patient", got=f"an array of shape {outcome.shape}")
    found = ancova_replicates(outcome[None], arm, control=control, covariates=covariates, level=level)
    if (found.count == 0).any():
        empty = found.codes[found.count[0] == 0]
        raise failed("The analysis of covariance", f"arm {empty[0]} has no patient with an outcome")
    if not np.isfinite(found.contrast.value).all() or not (found.contrast.df > 0).all():
        reason = "covariates tell the arms apart, or too few patients are left"
        raise failed("The analysis of covariance", reason, "Leave covariates out.")
    return _first(found)


def ancova_replicates(
    outcome: ArrayLike,
    arm: ArrayLike,
    *,
    control: int = 0,
    covariates: ArrayLike | None = None,
    level: float = LEVEL,
) -> Ancova:
    """Return the analysis of each of many replicates of a trial at once, as `ancova` does one by one.

    Parameters
    ----------
    outcome : array (R, N)
        NaN where missing.
    arm : array (N,) or (R, N) of int
    control : int
    covariates : array (N, C) or (R, N, C), optional
    level : float

    Returns
    -------
    found : Ancova
        With a leading axis R. NaN where `ancova` would refuse a replicate.

    Raises
    ------
    InvalidInputError
        Where shapes or codes do not fit.
    """
    outcome = np.asarray(outcome, float)
    if outcome.ndim != 2:
        raise invalid("outcome", must="replicates of patients, (R, N)", got=f"shape {outcome.shape}")
    arm, codes = arm_codes(arm, control)
    covariates = _checked_covariates(covariates, outcome)
    if arm.shape not in (outcome.shape, outcome.shape[1:]):
        raise invalid(
            "arm", must=f"one code for each of {outcome.shape[1]} patients", got=f"shape {arm.shape}"
        )
    is_seen = ~np.isnan(outcome)
    is_in_arm = (np.atleast_2d(arm)[..., None] == codes) & _rows(is_seen)[..., None]
    fit = _Fit(np.where(is_seen, outcome, 0.0), _design(is_in_arm, covariates, _rows(is_seen)))
    contrast = np.eye(len(codes))[codes != control] - np.eye(len(codes))[codes == control]
    differences = fit.estimate(contrast, level)
    count = np.broadcast_to(is_in_arm.sum(axis=-2), (len(outcome), len(codes)))
    with np.errstate(invalid="ignore", divide="ignore"):  # where nothing varies
        effect_size = differences.value / _pooled_sd(outcome, is_in_arm)[:, None]
    return Ancova(
        codes=codes,
        others=codes[codes != control],
        count=count,
        mean=fit.estimate(np.eye(len(codes)), level),
        contrast=differences,
        effect_size=effect_size,
        residual_sd=np.sqrt(fit.variance),
    )


def _rows(is_seen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return one row for all replicates where nobody is missing, so that one design serves them all."""
    return np.ones((1, is_seen.shape[1]), bool) if is_seen.all() else is_seen


def _checked_covariates(covariates: ArrayLike | None, outcome: Array) -> Array:
    count = outcome.shape[1]
    if covariates is None:
        return np.zeros((1, count, 0))
    given = np.asarray(covariates, float)
    if (
        given.ndim not in (2, 3)
        or given.shape[-2] != count
        or (given.ndim == 3 and len(given) != len(outcome))
    ):
        must = f"(N, C) or (R, N, C) with N = {count}, R = {len(outcome)}"
        raise invalid("covariates", must=must, got=f"shape {given.shape}")
    return complete("covariates", given if given.ndim == 3 else given[None])


def _design(is_in_arm: NDArray[np.bool_], covariates: Array, is_seen: NDArray[np.bool_]) -> Array:
    """Return the design (R or 1, N, A + C): arms, then centred covariates; rows of the missing are 0."""
    seen = is_seen[..., None]
    with np.errstate(invalid="ignore"):
        centre = (covariates * seen).sum(axis=1, keepdims=True) / seen.sum(axis=1, keepdims=True)
    centred = np.where(seen, covariates - centre, 0.0)
    # what rounding leaves of a covariate that does not vary
    largest = np.abs(covariates).max(axis=1, keepdims=True, initial=0.0)
    centred = np.where(np.abs(centred) <= 1e-13 * largest, 0.0, centred)
    shape = np.broadcast_shapes(is_in_arm.shape[:2], centred.shape[:2])
    arms = np.broadcast_to(is_in_arm.astype(float), (*shape, is_in_arm.shape[-1]))
    return np.concatenate([arms, np.broadcast_to(centred, (*shape, centred.shape[-1]))], axis=-1)


class _Fit:
    """Least squares of each replicate by singular values, with what cannot be told left as NaN."""

    def __init__(self, outcome: Array, design: Array) -> None:
        length = np.sqrt((design**2).sum(axis=-2))
        self._length = np.where(length > 0.0, length, 1.0)
        left, singular, self._right = np.linalg.svd(design / self._length[:, None, :], full_matrices=False)
        is_kept = singular > SMALLEST_SINGULAR * singular.max(axis=-1, keepdims=True, initial=0.0)
        self._inverse = np.where(is_kept, 1.0 / np.where(is_kept, singular, 1.0), 0.0)
        self._is_kept = is_kept
        score = (np.swapaxes(left, -1, -2) @ outcome[..., None])[..., 0] * is_kept
        residual = outcome - (left @ score[..., None])[..., 0]
        is_used = (design != 0.0).any(axis=-1)
        self._score = score
        self._df = np.where(
            is_used.sum(axis=-1) > is_kept.sum(axis=-1), is_used.sum(-1) - is_kept.sum(-1), np.nan
        )
        self.variance = (np.where(is_used, residual, 0.0) ** 2).sum(axis=-1) / self._df

    def estimate(self, contrasts: Array, level: float) -> Estimate:
        """Return contrasts of the coefficients of the arms, (R, M); NaN where the data do not tell them."""
        padded = np.zeros((len(contrasts), self._length.shape[-1]))
        padded[:, : contrasts.shape[-1]] = contrasts
        scaled = padded / self._length[:, None, :]
        turned = scaled @ np.swapaxes(self._right, -1, -2)
        lost = (np.where(self._is_kept[:, None, :], 0.0, turned) ** 2).sum(axis=-1)
        is_told = lost <= SMALLEST_SINGULAR * (scaled**2).sum(axis=-1)
        weights = turned * self._inverse[:, None, :]
        value = (weights * self._score[:, None, :]).sum(axis=-1)
        error = np.sqrt((weights**2).sum(axis=-1) * self.variance[:, None])
        told = np.where(is_told, 1.0, np.nan)
        df = np.broadcast_to(self._df, self.variance.shape)
        return estimate(value * told, error * told, df=df[:, None], level=level)


def _pooled_sd(outcome: Array, is_in_arm: NDArray[np.bool_]) -> Array:
    weights = is_in_arm.astype(float)
    count = weights.sum(axis=-2)
    values = np.where(np.isnan(outcome), 0.0, outcome)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (values[..., None] * weights).sum(axis=-2) / count
        gap = np.where(is_in_arm, values[..., None] - mean[..., None, :], 0.0)
        return np.sqrt((gap**2).sum(axis=(-2, -1)) / (count.sum(axis=-1) - (count > 0).sum(axis=-1)))


def _first(found: Ancova) -> Ancova:
    """Return the only replicate, without the leading axis."""

    def only(one: Estimate) -> Estimate:
        return Estimate(**{field.name: getattr(one, field.name)[0] for field in fields(one)})

    return Ancova(
        codes=found.codes,
        others=found.others,
        count=found.count[0],
        mean=only(found.mean),
        contrast=only(found.contrast),
        effect_size=found.effect_size[0],
        residual_sd=found.residual_sd[0],
    )
