"""An estimate with its uncertainty, as every analysis gives it, and the checks of what they are given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from euthymia.errors import RunFailedError, invalid

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
LEVEL = 0.95
"""Level of an interval where none is asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A quantity with its uncertainty; all fields have one shape.

    Attributes
    ----------
    value, standard_error : array (...,)
    df : array (...,)
        Degrees of freedom of Student's t; infinite where the normal distribution is meant.
    low, high : array (...,)
        Ends of the interval.
    p : array (...,)
        Of no effect (0), two-sided.
    """

    value: Array
    standard_error: Array
    df: Array
    low: Array
    high: Array
    p: Array


@dataclass(frozen=True, kw_only=True, slots=True)
class Ratio:
    """A ratio (of odds, risks or hazards) with the uncertainty of its logarithm; all fields have one shape.

    Attributes
    ----------
    value : array (...,)
    log_standard_error : array (...,)
    low, high : array (...,)
        Ends of the interval of the ratio.
    p : array (...,)
        Of a ratio of 1, two-sided.
    """

    value: Array
    log_standard_error: Array
    low: Array
    high: Array
    p: Array


def estimate(
    value: ArrayLike, standard_error: ArrayLike, *, df: ArrayLike = np.inf, level: float = LEVEL
) -> Estimate:
    """Return an estimate with its interval and p by Student's t, or by the normal distribution.

    low, high = value -/+ t_df(1/2 + level/2) standard_error,  p = 2 T_df(-|value| / standard_error)

    Parameters
    ----------
    value, standard_error, df : array (...,)
        Of shapes that broadcast; without ``df`` the normal distribution is taken.
    level : float
        Of the interval, above 0 and below 1.

    Raises
    ------
    InvalidInputError
    """
    from scipy.special import stdtr

    checked_level(level)
    given = (np.asarray(one, float) for one in (value, standard_error, df))
    value, error, df = (one + 0.0 for one in np.broadcast_arrays(*given))
    reach = quantile(0.5 + level / 2.0, df) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2.0 * stdtr(df, -np.abs(value / error))
    return Estimate(value=value, standard_error=error, df=df, low=value - reach, high=value + reach, p=p)


def ratio(log_value: ArrayLike, standard_error: ArrayLike, *, level: float = LEVEL) -> Ratio:
    """Return a ratio with its interval and p from the logarithm of it, by the normal distribution.

    Parameters
    ----------
    log_value, standard_error : array (...,)
        Of shapes that broadcast; natural logarithm.
    level : float
        Of the interval, above 0 and below 1.

    Raises
    ------
    InvalidInputError
    """
    found = estimate(log_value, standard_error, level=level)
    return Ratio(
        value=np.exp(found.value),
        log_standard_error=found.standard_error,
        low=np.exp(found.low),
        high=np.exp(found.high),
        p=found.p,
    )


def quantile(probability: float, df: ArrayLike) -> Array:
    """Return a quantile of Student's t for each df, of the normal distribution where that is infinite."""
    from scipy.special import ndtri, stdtrit

    df = np.asarray(df, float)
    return np.where(np.isinf(df), ndtri(probability), stdtrit(np.where(np.isinf(df), 1.0, df), probability))


def checked_level(level: float) -> float:
    """Return the level of an interval, above 0 and below 1; InvalidInputError if it is not."""
    if not 0.0 < level < 1.0:
        raise invalid("level", must="above 0 and below 1", got=level, cure="95 % is 0.95.")
    return level


def column(field: str, values: ArrayLike, *, length: int | None = None) -> Array:
    """Return one number for each patient as floats, (N,); InvalidInputError if the shape is another."""
    found = np.asarray(values, float)
    if found.ndim != 1 or (length is not None and len(found) != length):
        must = "one number for each patient" + ("" if length is None else f", {length} of them")
        raise invalid(field, must=must, got=f"an array of shape {found.shape}")
    return found


def complete(field: str, values: Array) -> Array:
    """Return values none of which is missing; InvalidInputError if one is not a finite number."""
    if not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise invalid(field, must="known and finite for everybody", got=f"{count} that are not")
    return values


def arm_codes(arm: ArrayLike, control: int, *, field: str = "arm") -> tuple[Codes, Codes]:
    """Return the arms as whole numbers and their distinct codes, ascending.

    Raises
    ------
    InvalidInputError
        Where a code is not whole, the control is not among them, or there is no other arm.
    """
    given = np.asarray(arm)
    if given.dtype.kind not in "iub":
        raise invalid(field, must="whole numbers, one code for each arm", got=f"{given.dtype} values")
    codes = np.unique(given).astype(np.int64)
    if control not in codes or len(codes) < 2:
        must = f"codes of two or more arms, one of them the control ({control})"
        raise invalid(field, must=must, got=", ".join(map(str, codes)) or "none")
    return given.astype(np.int64), codes


def failed(analysis: str, reason: str, cure: str = "") -> RunFailedError:
    """Return the error of an analysis that these data do not allow."""
    return RunFailedError(" ".join(part for part in (f"{analysis} has no result: {reason}.", cure) if part))
