"""What is fitted: numbers of published trials that may be, each with the statistic of the same virtual trial.

Every row of ``evidence/efficacy/replication.csv`` that has a number passes ``evidence.select.fitting_rows``,
the one door; what is not fitted says why. Shares are compared on the arcsine scale, SDs and hazard ratios as
logarithms, so that their scatter hardly depends on their size. A median time to relapse is compared as the
share that is still well at the visit nearest to it, which has a value in every virtual trial.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import asin, log, sqrt

import numpy as np
from numpy.typing import NDArray

from euthymia.evidence.records import OutcomeRow
from euthymia.evidence.select import fitting_rows, require_fittable
from euthymia.evidence.studies import load_outcome_rows
from euthymia.trials.protocols import load_protocol
from euthymia.trials.records import Cohort
from euthymia.trials.replication import ReplicationRun, load_replication, observed_interval, observed_of
from euthymia.trials.replication_values import quantity_of

Array = NDArray[np.float64]
NAN = float("nan")
LEFT_OUT = {
    "anderson-2017": "electroconvulsive therapy: its parameters are set by hand to this very trial",
}
"""Protocols whose rows may be fitted and are not, with the reason."""
LIKE_SHARES = ("response_share", "remission_share", "conditional_share")
SPREADS = ("sd_change", "sd_score")


def _arcsine(value: float) -> float:
    return asin(sqrt(min(max(value, 0.0), 1.0)))


def _logarithm(value: float) -> float:
    return log(value) if 0.0 < value < float("inf") else NAN


def _as_is(value: float) -> float:
    return value


TRANSFORMS: Mapping[str, Callable[[float], float]] = {
    **dict.fromkeys((*LIKE_SHARES, "relapse_share", "well_share", "dose_share"), _arcsine),
    **dict.fromkeys((*SPREADS, "hazard_ratio"), _logarithm),
}
"""How quantities are compared; others as they are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One published number, and how to read its like off a virtual trial.

    Attributes
    ----------
    name : str
        Row and part, ``T0009a``.
    trials : tuple of str
        Protocols whose patients are pooled.
    run : ReplicationRun
        As read off cohorts: for a median time, the share that is well at a visit near it.
    observed : float
        On the scale of the comparison.
    printed_sd : float
        From the printed interval, NaN where none is used: only hazard ratios, which a virtual trial may lack.
    """

    name: str
    trials: tuple[str, ...]
    run: ReplicationRun
    role: str
    observed: float
    printed_sd: float = NAN

    @property
    def unit(self) -> str:
        """On which scale it is compared."""
        how = TRANSFORMS.get(self.run.quantity, _as_is)
        if how is _as_is:
            return "as printed"
        return "logarithm" if how is _logarithm else "arcsine of a share"

    @property
    def mean_run(self) -> ReplicationRun | None:
        """What reads the mean change of the same arm, which a share follows; None where it follows none."""
        run = self.run
        if run.quantity not in (*LIKE_SHARES, "contrast_share"):
            return None
        return replace(
            run,
            quantity="mean_change",
            times_h=(run.last_h,),
            reference=(),
            among=(),
            fraction=None,
            at_most=None,
            count=None,
            imputation="observed",
            analysis="raw",
        )

    def value_of(self, cohorts: Sequence[Cohort]) -> float:
        """Return the number of pooled virtual trials on the scale of the comparison, NaN without one."""
        return self.transformed(quantity_of(cohorts, self.run))

    def transformed(self, value: float) -> float:
        """Return a number on the scale of the comparison."""
        return TRANSFORMS.get(self.run.quantity, _as_is)(value) if np.isfinite(value) else NAN


@dataclass(frozen=True, kw_only=True, slots=True)
class Left:
    """A row that may be fitted and is not."""

    name: str
    reason: str


@cache
def load_targets() -> tuple[Target, ...]:
    """Return everything that is fitted, in the order of the table."""
    return tuple(one for one in _chosen() if isinstance(one, Target))


@cache
def left_out() -> tuple[Left, ...]:
    """Return every part of every row that may be fitted and is not, with the reason."""
    return tuple(one for one in _chosen() if isinstance(one, Left))


@cache
def _chosen() -> tuple[Target | Left, ...]:
    allowed = {row.row_id: row for row in fitting_rows(load_outcome_rows())}
    return tuple(_target(run, allowed[run.row_id]) for run in load_replication() if run.row_id in allowed)


def _target(run: ReplicationRun, outcome: OutcomeRow) -> Target | Left:
    name = f"{run.row_id}{run.part}"
    if not run.is_comparable:
        return Left(name=name, reason=run.reason)
    for trial in run.protocols:
        if trial in LEFT_OUT:
            return Left(name=name, reason=LEFT_OUT[trial])
    if run.is_direction:
        return Left(name=name, reason="says only which way; checked after the fit")
    require_fittable(outcome)
    observed, read = observed_of(run, outcome), run
    if not np.isfinite(observed):
        return Left(name=name, reason="no number was printed")
    if run.quantity == "median_days":
        read, observed = _well_at_median(run, observed)
    sd = NAN
    if run.quantity == "hazard_ratio":
        low, high = observed_interval(run, outcome)
        sd = log(high / low) / (2.0 * 1.959963984540054)
    found = Target(
        name=name,
        trials=run.protocols,
        run=read,
        role=outcome.role.value,
        observed=observed,
        printed_sd=sd,
    )
    return replace(found, observed=found.transformed(observed))


def _well_at_median(run: ReplicationRun, median_days: float) -> tuple[ReplicationRun, float]:
    """Return what reads the share that is well at the visit nearest to a median, and its number there.

    Between the start and the median the hazard is taken as constant.
    """
    protocol = load_protocol(run.protocols[0])
    visits_h = [one.at for one in protocol.visits if run.scale in one.scales and one.at > run.since_h]
    nearest_h = min(visits_h, key=lambda at: abs(at - run.since_h - 24.0 * median_days))
    share = 0.5 ** ((nearest_h - run.since_h) / 24.0 / median_days)
    return replace(run, quantity="well_share", times_h=(nearest_h,)), share
