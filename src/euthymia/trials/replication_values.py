"""What of a simulated cohort a published row is held against, by the row's own definition and imputation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from euthymia.errors import InvalidInputError, RunFailedError
from euthymia.evidence.check import require_sound
from euthymia.model.scales import find_scale
from euthymia.population.outcomes import relapse_rules, relapse_visit
from euthymia.trials.analysis.ancova import ancova
from euthymia.trials.analysis.imputation import Imputation, impute
from euthymia.trials.analysis.mmrm import mmrm
from euthymia.trials.analysis.survival import cox, kaplan_meier
from euthymia.trials.endpoints import DAY_H, IMPUTATIONS, SAME_TIME_H, Stretch, stretches
from euthymia.trials.records import Cohort
from euthymia.trials.replication_runs import (
    COMPARE,
    NAN,
    OUTCOME_EVENTS,
    TABLE,
    Condition,
    ReplicationRun,
    protocol_problems,
)

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
REFERENCE, OURS, OTHERS = 0, 1, 2
"""Codes of arms: the one compared with, the one that the row is about, and from where on all others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Table:
    """Everyone whom a run is about, of all protocols and periods under each other.

    Attributes
    ----------
    code : array (N,)
        REFERENCE, OURS, or another arm.
    before, start : array (N,)
        Totals at baseline and at ``since``.
    days : array (V,)
        Since ``since``, of the visits up to the last time.
    totals : array (N, V)
        As rated, NaN where not.
    """

    run: ReplicationRun
    code: NDArray[np.int64]
    before: Array
    start: Array
    days: Array
    totals: Array

    @property
    def ours(self) -> Flags:
        """Who is in the arm of the row."""
        return self.code == OURS

    def only(self, rows: Flags) -> _Table:
        """Return some of the people."""
        return replace(
            self,
            code=self.code[rows],
            before=self.before[rows],
            start=self.start[rows],
            totals=self.totals[rows],
        )


def quantity_of(cohort: Cohort | Sequence[Cohort], run: ReplicationRun) -> float:
    """Return the number of a cohort that a published row is held against.

    Parameters
    ----------
    cohort : Cohort or sequence of Cohort
        One replicate of the run's protocol; of several protocols, one of each, whose patients are pooled.
    run : ReplicationRun
        A comparable one.

    Returns
    -------
    value : float
        In points, days, or from 0 to 1; NaN where it cannot be computed: an arm without anybody, a likelihood
        without maximum, nobody well at the start of a follow-up.

    Raises
    ------
    InvalidInputError
        If the run is not comparable, or asks for arms or visits that the protocol does not have.
    """
    cohorts = [cohort] if isinstance(cohort, Cohort) else list(cohort)
    if not run.is_comparable:
        message = f"Row {run.row_id}{run.part} is not comparable: {run.reason}."
        raise InvalidInputError(message)
    require_sound(TABLE, protocol_problems(run, [one.protocol for one in cohorts]))
    if run.quantity == "dose_share":
        return _dose_share(cohorts, run)
    return _COMPUTE[run.quantity](_table(cohorts, run))


def _table(cohorts: Sequence[Cohort], run: ReplicationRun) -> _Table:
    parts = [_part(stretch, run) for cohort in cohorts for stretch in stretches(cohort)]
    first = parts[0].days
    if any(one.days.shape != first.shape or not np.allclose(one.days, first) for one in parts):
        message = f"Row {run.row_id}{run.part} pools protocols whose visits differ."
        raise InvalidInputError(message)
    return _Table(
        run=run,
        code=np.concatenate([one.code for one in parts]),
        before=np.concatenate([one.before for one in parts]),
        start=np.concatenate([one.start for one in parts]),
        days=first,
        totals=np.concatenate([one.totals for one in parts]),
    )


def _part(stretch: Stretch, run: ReplicationRun) -> _Table:
    """Return those of a stretch who count, with their ratings."""
    places = stretch.visits(run.scale)
    since = stretch.cohort.visits_h[places] - stretch.start_h
    kept = (since > run.since_h + SAME_TIME_H) & (since <= run.last_h + SAME_TIME_H)
    table = _Table(
        run=run,
        code=_codes(stretch, run),
        before=_total(stretch, run.scale, 0.0),
        start=_total(stretch, run.scale, run.since_h),
        days=(since[kept] - run.since_h) / DAY_H,
        totals=stretch.cohort.scores[run.scale][:, places[kept]],
    )
    return table.only(_who(stretch, run))


def _codes(stretch: Stretch, run: ReplicationRun) -> NDArray[np.int64]:
    arms = list(stretch.cohort.protocol.arms)
    codes = [
        OURS if name in run.arms else REFERENCE if name in run.reference else OTHERS + place
        for place, name in enumerate(arms)
    ]
    return np.array(codes, dtype=np.int64)[stretch.treatment]


def _total(stretch: Stretch, scale: str, time_h: float) -> Array:
    """Return the totals of a scale at a time of the stretch, (P,)."""
    places = stretch.visits(scale)
    gaps = np.abs(stretch.cohort.visits_h[places] - stretch.start_h - time_h)
    return stretch.cohort.scores[scale][:, places[int(np.argmin(gaps))]]


def _who(stretch: Stretch, run: ReplicationRun) -> Flags:
    """Return who counts; of whom a state is not known does not."""
    found = np.ones(len(stretch.cohort.arm), dtype=bool)
    for one in run.among:
        found &= _meets(stretch, run, one)
    return found


def _meets(stretch: Stretch, run: ReplicationRun, condition: Condition) -> Flags:
    cohort = stretch.cohort
    if condition.kind == "analysed":
        return cohort.is_analysed
    if condition.kind == "covariate":
        values = [getattr(one, condition.field) for one in cohort.people]
        compare = COMPARE[condition.comparison]
        return np.array([one is not None and bool(compare(one, condition.threshold)) for one in values])
    scale = condition.field or run.scale
    rated = np.stack([_total(stretch, scale, time_h) for time_h in condition.times_h], axis=1)
    is_known = ~np.isnan(rated)
    if condition.kind == "response":
        before = _total(stretch, scale, 0.0)
        holds, is_known = _responds(run, before, rated), is_known & ~np.isnan(before)[:, None]
    else:
        holds = COMPARE[condition.comparison](rated, condition.threshold)
    if condition.is_met:
        return np.asarray((holds & is_known).all(axis=1))
    return np.asarray((~holds & is_known).any(axis=1))


def _responds(run: ReplicationRun, before: Array, rated: Array) -> Flags:
    """Return at which ratings the fall from baseline is a response, (P, V); not where it is unknown."""
    scale = find_scale(run.scale)
    fraction = scale.response_fraction if run.fraction is None else run.fraction
    start = before[:, None] - scale.minimum_points
    return (start > 0) & (start - (rated - scale.minimum_points) >= fraction * start)


def _last(table: _Table) -> Array:
    """Return totals at the last time, completed by the run's imputation, (N,)."""
    if not len(table.days):
        return table.start
    method = IMPUTATIONS[table.run.imputation]
    if method is Imputation.NON_RESPONDER:
        return table.totals[:, -1]
    completed = impute(table.totals, np.nan_to_num(table.start), method)[:, -1]
    return np.where(np.isnan(table.start), NAN, completed)


def _mean(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else NAN


def _sd(values: Array) -> float:
    known = values[~np.isnan(values)]
    return float(known.std(ddof=1)) if len(known) > 1 else NAN


def _change(table: _Table) -> Array:
    return _last(table) - table.start


def _mean_change(table: _Table) -> float:
    if table.run.analysis == "raw":
        return _mean(_change(table)[table.ours])
    return _adjusted(table, is_contrast=False)


def _sd_change(table: _Table) -> float:
    return _sd(_change(table)[table.ours])


def _mean_score(table: _Table) -> float:
    return _mean(_last(table)[table.ours])


def _sd_score(table: _Table) -> float:
    return _sd(_last(table)[table.ours])


def _contrast_change(table: _Table) -> float:
    if table.run.analysis == "raw":
        change = _change(table)
        return _mean(change[table.ours]) - _mean(change[table.code == REFERENCE])
    return _adjusted(table, is_contrast=True)


def _adjusted(table: _Table, *, is_contrast: bool) -> float:
    """Return the adjusted mean change of the arm, or its contrast; all arms are in the model."""
    known = table.only(~np.isnan(table.start))
    control = REFERENCE if is_contrast else OURS
    try:
        if table.run.analysis == "mmrm":
            outcome = known.totals - known.start[:, None]
            found: Any = mmrm(outcome, known.code, baseline=known.start, control=control)
        else:
            found = ancova(_change(known), known.code, covariates=known.start[:, None], control=control)
    except (RunFailedError, InvalidInputError):
        return NAN
    codes = found.others if is_contrast else found.codes
    values = found.contrast.value if is_contrast else found.mean.value
    chosen = values[list(codes).index(OURS)]
    return float(np.ravel(chosen)[-1])


def _standardised_difference(table: _Table) -> float:
    change = _change(table)
    ours, theirs = change[table.ours], change[table.code == REFERENCE]
    ours, theirs = ours[~np.isnan(ours)], theirs[~np.isnan(theirs)]
    if min(len(ours), len(theirs)) < 2:
        return NAN
    squares = (len(ours) - 1) * ours.var(ddof=1) + (len(theirs) - 1) * theirs.var(ddof=1)
    pooled = float(np.sqrt(squares / (len(ours) + len(theirs) - 2)))
    return float(theirs.mean() - ours.mean()) / pooled if pooled > 0.0 else NAN


def _has_outcome(table: _Table) -> tuple[Flags, Flags]:
    """Return who has the outcome at as many times as asked for, and of whom that is known; (N,) each."""
    run = table.run
    rated = _at_times(table)
    is_seen = ~np.isnan(rated)
    holds = is_seen.copy()
    if run.fraction is not None:
        holds &= _responds(run, table.before, rated)
        is_seen &= ~np.isnan(table.before)[:, None]
    if run.at_most is not None:
        holds &= rated <= run.at_most
    holds &= is_seen
    if run.count == 0:
        return np.asarray(~holds.any(axis=1)), np.asarray(is_seen.all(axis=1))
    least = len(run.times_h) if run.count is None else run.count
    has_it = np.asarray(holds.sum(axis=1) >= least)
    if run.imputation == "failure":
        return has_it, np.ones(len(has_it), dtype=bool)
    return has_it, np.asarray(has_it | is_seen.all(axis=1))


def _at_times(table: _Table) -> Array:
    """Return totals at each of the times, the last completed by the imputation, (N, times)."""
    if len(table.run.times_h) == 1:
        return _last(table)[:, None]
    days = (np.array(table.run.times_h) - table.run.since_h) / DAY_H
    places = [int(np.argmin(np.abs(table.days - day))) for day in days]
    return table.totals[:, places]


def _share_of(table: _Table, rows: Flags) -> float:
    has_it, is_known = _has_outcome(table)
    chosen = rows & is_known
    return float(has_it[chosen].mean()) if chosen.any() else NAN


def _share(table: _Table) -> float:
    return _share_of(table, table.ours)


def _contrast_share(table: _Table) -> float:
    return _share_of(table, table.ours) - _share_of(table, table.code == REFERENCE)


def _followed(table: _Table) -> tuple[Array, Flags]:
    """Return days from the start to the event or the last rating, and whether it was the event."""
    run = table.run
    before, start = np.nan_to_num(table.before), table.start
    totals = np.concatenate([start[:, None], table.totals], axis=1)
    days = np.append(0.0, table.days)
    is_seen = ~np.isnan(totals)
    last = np.where(is_seen.any(axis=1), totals.shape[1] - 1 - is_seen[:, ::-1].argmax(axis=1), 0)
    if run.rule in OUTCOME_EVENTS:
        good = _responds(run, table.before, totals) if run.rule == "response" else totals <= _cut_off(run)
        good &= is_seen & (days > 0.0)
        visit = np.where(good.any(axis=1), good.argmax(axis=1), -1)
    else:
        # a rating that is missing is neither relapse nor recovery: as last seen
        carried = impute(totals, before, Imputation.LAST)
        visit = relapse_visit(replace(relapse_rules()[run.rule], scale=run.scale), before, carried)
    has_event = (visit >= 0) & (visit <= last)
    return days[np.where(has_event, visit, last)], has_event


def _cut_off(run: ReplicationRun) -> float:
    return -np.inf if run.at_most is None else run.at_most


def _well_share(table: _Table) -> float:
    ours = table.only(table.ours)
    if not len(ours.code):
        return NAN
    curve = kaplan_meier(*_followed(ours))
    end = (ours.run.last_h - ours.run.since_h) / DAY_H
    return float(np.append(1.0, curve.share)[np.searchsorted(curve.times, end + SAME_TIME_H)])


def _relapse_share(table: _Table) -> float:
    return 1.0 - _well_share(table)


def _median_days(table: _Table) -> float:
    ours = table.only(table.ours)
    if not len(ours.code):
        return NAN
    median = kaplan_meier(*_followed(ours)).median()[0]
    return float("inf") if np.isnan(median) else float(median)


def _hazard_ratio(table: _Table) -> float:
    """Return the ratio of hazards; 0 or infinite where only one of the arms had an event."""
    both = table.only((table.code == OURS) | (table.code == REFERENCE))
    if not len(both.code):
        return NAN
    days, has_event = _followed(both)
    had = {code: bool(has_event[both.code == code].any()) for code in (OURS, REFERENCE)}
    if not all(had.values()):
        return 0.0 if had[REFERENCE] else float("inf") if had[OURS] else NAN
    try:
        return float(np.ravel(cox(days, has_event, both.code, control=REFERENCE).hazard_ratio.value)[0])
    except (RunFailedError, InvalidInputError):
        return NAN


def _dose_share(cohorts: Sequence[Cohort], run: ReplicationRun) -> float:
    """Return the share of those treated at the last session by a time whose dose was large enough."""
    found: list[Array] = []
    for cohort in cohorts:
        arms = list(cohort.protocol.arms)
        ours = np.isin(cohort.arm, [arms.index(name) for name in run.arms if name in arms])
        given = np.where(cohort.sessions.start_h <= run.last_h + SAME_TIME_H, cohort.sessions.given_mg, NAN)
        stays = ours & (cohort.left_h > run.last_h) & (np.nan_to_num(given) > 0.0).any(axis=1)
        found += [row[row > 0.0][-1:] for row in given[stays]]
    doses = np.concatenate(found) if found else np.zeros(0)
    least = run.at_least or 0.0
    return float((doses >= least * (1.0 - 1e-6)).mean()) if len(doses) else NAN


_COMPUTE: Mapping[str, Callable[[_Table], float]] = {
    "mean_change": _mean_change,
    "sd_change": _sd_change,
    "mean_score": _mean_score,
    "sd_score": _sd_score,
    "contrast_change": _contrast_change,
    "standardised_difference": _standardised_difference,
    "response_share": _share,
    "remission_share": _share,
    "conditional_share": _share,
    "contrast_share": _contrast_share,
    "relapse_share": _relapse_share,
    "well_share": _well_share,
    "median_days": _median_days,
    "hazard_ratio": _hazard_ratio,
}
