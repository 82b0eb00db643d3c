"""What stands for a value that is missing, or that was seen after treatment had ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from euthymia.errors import invalid
from euthymia.trials.analysis.estimate import Array, column, complete

Flags = NDArray[np.bool_]


class Imputation(StrEnum):
    """What stands for a missing value of a scale."""

    OBSERVED = "observed cases"
    """Nothing: it stays missing."""
    LAST = "last observation carried forward"
    """The last value seen before, baseline included."""
    BASELINE = "baseline carried forward"
    WORST = "worst value carried forward"
    """The worst value seen before, baseline included."""
    NON_RESPONDER = "non-responder"
    """Failure: for a yes or no, see ``impute_outcome``; a value stays missing."""


class Estimand(StrEnum):
    """How the question deals with the end of randomised treatment before a visit (ICH E9(R1), section A.3.2).

    Of its five strategies the principal stratum is not here: who would never stop in either arm is not seen.
    """

    TREATMENT_POLICY = "treatment policy"
    """Values count, whatever happened: the unmasked course stands for what was not seen afterwards."""
    HYPOTHETICAL = "hypothetical"
    """As if nobody had stopped: values afterwards are removed, for a model of values missing at random."""
    COMPOSITE = "composite"
    """To stop is to fail: the baseline (a yes or no: no) stands for every value afterwards."""
    WHILE_ON_TREATMENT = "while on treatment"
    """Values until the end of treatment count: the last of them stands for those afterwards."""


def impute(
    values: ArrayLike,
    baseline: ArrayLike,
    method: Imputation | str,
    *,
    is_higher_worse: bool = True,
) -> Array:
    """Return values with what the method puts in place of those missing, (N, V).

    Parameters
    ----------
    values : array (N, V)
        On the scale itself, not changes; visits in order of time, NaN where missing.
    baseline : array (N,)
        Known for everybody.
    method : Imputation
    is_higher_worse : bool
        Of the scale; for the worst value.

    Raises
    ------
    InvalidInputError

    Examples
    --------
    >>> impute([[20.0, np.nan, np.nan]], [30.0], "last observation carried forward")
    array([[20., 20., 20.]])
    >>> impute([[20.0, np.nan, np.nan]], [30.0], "worst value carried forward")
    array([[20., 30., 30.]])
    """
    values, baseline = _checked(values, baseline)
    fill = _FILLS[_named(Imputation, "imputation", method)]
    sign = 1.0 if is_higher_worse else -1.0
    return np.where(np.isnan(values), sign * fill(sign * values, sign * baseline), values)


def _last(values: Array, baseline: Array) -> Array:
    """Return the last value known at each visit, (N, V)."""
    wide = np.column_stack([baseline, values])
    place = np.where(np.isnan(wide), 0, np.arange(wide.shape[1]))
    return np.take_along_axis(wide, np.maximum.accumulate(place, axis=1), axis=1)[:, 1:]


def _worst(values: Array, baseline: Array) -> Array:
    return np.fmax.accumulate(np.column_stack([baseline, values]), axis=1)[:, 1:]


def _baseline(values: Array, baseline: Array) -> Array:
    return np.broadcast_to(baseline[:, None], values.shape)


def _nothing(values: Array, baseline: Array) -> Array:
    return np.full(values.shape, np.nan)


_FILLS: Mapping[Imputation, Callable[[Array, Array], Array]] = {
    Imputation.OBSERVED: _nothing,
    Imputation.LAST: _last,
    Imputation.BASELINE: _baseline,
    Imputation.WORST: _worst,
    Imputation.NON_RESPONDER: _nothing,
}


def impute_outcome(is_met: ArrayLike, is_seen: ArrayLike, method: Imputation | str) -> Array:
    """Return a yes or no (1 or 0) at each visit with what the method puts in place of those not seen, (N, V).

    Parameters
    ----------
    is_met : array (N, V) of bool
        Such as response; anything where not seen.
    is_seen : array (N, V) of bool
    method : Imputation
        At baseline nobody has met it; the worst is not to have met it.

    Returns
    -------
    outcome : array (N, V)
        1, 0, or NaN with observed cases.

    Raises
    ------
    InvalidInputError

    Examples
    --------
    >>> impute_outcome([[True, True]], [[True, False]], "non-responder")
    array([[1., 0.]])
    """
    method = _named(Imputation, "imputation", method)
    met, seen = np.asarray(is_met, bool), np.asarray(is_seen, bool)
    if met.ndim != 2 or met.shape != seen.shape:
        got = f"shapes {met.shape} and {seen.shape}"
        raise invalid("is_met", must="patients by visits, (N, V), as those seen are", got=got)
    values = np.where(seen, met.astype(float), np.nan)
    if method is Imputation.NON_RESPONDER:
        return np.where(seen, values, 0.0)
    return impute(values, np.zeros(len(values)), method, is_higher_worse=False)


def for_estimand(
    observed: ArrayLike,
    is_after: ArrayLike,
    unmasked: ArrayLike,
    estimand: Estimand | str,
    *,
    baseline: ArrayLike,
) -> Array:
    """Return the values that an estimand asks for, (N, V).

    Parameters
    ----------
    observed : array (N, V)
        As the trial recorded them, NaN where missing.
    is_after : array (N, V) of bool
        Whether the visit lies after the end of randomised treatment.
    unmasked : array (N, V)
        The simulated course of everybody at every visit, as a rater would have seen it, treatment having
        ended when it did.
    estimand : Estimand
    baseline : array (N,)

    Returns
    -------
    values : array (N, V)
        NaN where a visit on treatment was missed (not while on treatment: the last value), and after the end
        of treatment where the estimand is hypothetical.

    Raises
    ------
    InvalidInputError

    References
    ----------
    ICH E9(R1) (2019), Addendum on estimands and sensitivity analysis in clinical trials, section A.3.2.
    """
    estimand = _named(Estimand, "estimand", estimand)
    observed, baseline = _checked(observed, baseline)
    after, unmasked = np.asarray(is_after, bool), np.asarray(unmasked, float)
    for field, given in (("is_after", after), ("unmasked", unmasked)):
        if given.shape != observed.shape:
            raise invalid(field, must=f"of shape {observed.shape}, as observed", got=f"shape {given.shape}")
    on_treatment = np.where(after, np.nan, observed)
    if estimand is Estimand.TREATMENT_POLICY:
        return np.where(after & np.isnan(observed), unmasked, observed)
    if estimand is Estimand.COMPOSITE:
        return np.where(after, baseline[:, None], observed)
    if estimand is Estimand.WHILE_ON_TREATMENT:
        return impute(on_treatment, baseline, Imputation.LAST)
    return on_treatment


Named = TypeVar("Named", Imputation, Estimand)


def _named(kind: type[Named], field: str, name: str) -> Named:
    try:
        return kind(name)
    except ValueError:
        raise invalid(field, must=" or ".join(kind), got=repr(str(name))) from None


def _checked(values: ArrayLike, baseline: ArrayLike) -> tuple[Array, Array]:
    values = np.asarray(values, float)
    if values.ndim != 2:
        raise invalid("values", must="patients by visits, (N, V)", got=f"shape {values.shape}")
    return values, complete("baseline", column("baseline", baseline, length=len(values)))
