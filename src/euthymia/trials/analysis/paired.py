"""Two treatments, or two times, in the same people: change, and the crossover of two periods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from euthymia.errors import invalid
from euthymia.trials.analysis.estimate import LEVEL, Array, Estimate, arm_codes, column, estimate, failed


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Mean of one number a patient.

    Attributes
    ----------
    mean : Estimate ()
        By Student's t with n - 1 degrees of freedom.
    sd : float
        Between patients.
    effect_size : float
        Mean over SD.
    count : int
        Patients with a number.
    """

    mean: Estimate
    sd: float
    effect_size: float
    count: int


def change(differences: ArrayLike, *, level: float = LEVEL) -> Change:
    """Return the mean change of patients, or the mean of any one number a patient.

    Parameters
    ----------
    differences : array (N,)
        After less before; NaN where either is missing.
    level : float
        Of the interval.

    Raises
    ------
    InvalidInputError
    RunFailedError
        Where fewer than two patients have one.

    Examples
    --------
    >>> found = change([-12.0, -8.0, -4.0, -8.0])
    >>> float(found.mean.value), float(found.mean.p.round(4))
    (-8.0, 0.0163)
    """
    known = _known(column("differences", differences))
    if len(known) < 2:
        raise failed("The mean change", f"{len(known)} patients have one, where two are needed")
    sd = float(known.std(ddof=1))
    mean = estimate(known.mean(), sd / np.sqrt(len(known)), df=len(known) - 1, level=level)
    return Change(mean=mean, sd=sd, effect_size=float(known.mean()) / sd if sd else np.nan, count=len(known))


def _known(values: Array) -> Array:
    return values[~np.isnan(values)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Crossover:
    """Effects of a crossover of two treatments and two periods.

    Attributes
    ----------
    treatment : Estimate ()
        Treatment less control, within patients, freed of the period's effect.
    period : Estimate ()
        Second period less first, freed of the treatment's.
    carry_over : Estimate ()
        Difference between sequences in the sum of both periods (treatment first less control first): what the
        treatment leaves for the second period, as far as chance shows it. It is a contrast between patients,
        of little power; to choose the analysis by it misleads.
    count : int
        Patients with both periods.
    """

    treatment: Estimate
    period: Estimate
    carry_over: Estimate
    count: int


def crossover(values: ArrayLike, sequence: ArrayLike, *, level: float = LEVEL) -> Crossover:
    """Return the effects of treatment and period in a 2 x 2 crossover, from patients with both periods.

    d_i = first - second period.  treatment = (mean d of sequence 1 - mean d of sequence 0) / 2,
    period = -(mean d of sequence 1 + mean d of sequence 0) / 2, both with the standard error
    s / 2 sqrt(1 / n_0 + 1 / n_1), s the pooled SD of d, n_0 + n_1 - 2 degrees of freedom.

    Parameters
    ----------
    values : array (N, 2)
        First and second period, changes within the period or values; NaN where missing.
    sequence : array (N,) of int
        1 treatment first, 0 control first.
    level : float
        Of the intervals.

    Raises
    ------
    InvalidInputError
        Where shapes or codes do not fit.
    RunFailedError
        Where a sequence has fewer than two patients with both periods.

    References
    ----------
    Hills & Armitage (1979) Br J Clin Pharmacol 8:7, doi:10.1111/j.1365-2125.1979.tb05903.x: the design.
    Freeman (1989) Stat Med 8:1421, doi:10.1002/sim.4780081202: why not to test for carry-over first.
    """
    values = np.asarray(values, float)
    if values.ndim != 2 or values.shape[1] != 2:
        raise invalid("values", must="two periods for each patient, (N, 2)", got=f"shape {values.shape}")
    sequence, codes = arm_codes(sequence, 0, field="sequence")
    if list(codes) != [0, 1] or sequence.shape != (len(values),):
        must = f"0 or 1 for each of {len(values)} patients"
        raise invalid(
            "sequence", must=must, got=f"codes {', '.join(map(str, codes))}, shape {sequence.shape}"
        )
    has_both = ~np.isnan(values).any(axis=1)
    parts = [values[has_both & (sequence == code)] for code in (0, 1)]
    fewest = min(len(part) for part in parts)
    if fewest < 2:
        raise failed(
            "The crossover", f"a sequence has {fewest} patients with both periods, where two are needed"
        )
    falls = [part[:, 0] - part[:, 1] for part in parts]
    sums = [part.sum(axis=1) for part in parts]
    return Crossover(
        treatment=_combined(falls, (-0.5, 0.5), level),
        period=_combined(falls, (-0.5, -0.5), level),
        carry_over=_combined(sums, (-1.0, 1.0), level),
        count=int(has_both.sum()),
    )


def _combined(groups: list[Array], weights: tuple[float, float], level: float) -> Estimate:
    """Return a weighted sum of the means of two groups of one variance."""
    df = sum(len(group) for group in groups) - 2
    variance = sum(((group - group.mean()) ** 2).sum() for group in groups) / df
    value = sum(weight * group.mean() for weight, group in zip(weights, groups, strict=True))
    share = sum(weight**2 / len(group) for weight, group in zip(weights, groups, strict=True))
    return estimate(value, np.sqrt(variance * share), df=df, level=level)
