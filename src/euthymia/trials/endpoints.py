"""What each patient contributes to an endpoint: values by visit, yes or no, or a time to relapse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from euthymia.model.scales import find_scale
from euthymia.population.outcomes import relapse_rules, relapse_visit
from euthymia.trials.analysis.imputation import Imputation, for_estimand, impute
from euthymia.trials.design import Endpoint
from euthymia.trials.records import Cohort

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]
DAY_H = 24.0
SAME_TIME_H = 1e-6


@dataclass(frozen=True, kw_only=True, slots=True)
class Stretch:
    """A cohort from one baseline on: the whole trial, or one period of a crossover.

    Attributes
    ----------
    treatment : array (P,)
        Place in ``protocol.arms`` of what each patient is given then.
    start_h : float
        Of the period; times of endpoints count from it.
    from_h, end_h : float
        Within which its visits lie.
    """

    cohort: Cohort
    treatment: Codes
    start_h: float
    from_h: float
    end_h: float

    def visits(self, scale: str) -> NDArray[np.int64]:
        """Return the places of the visits of this stretch that rate a scale."""
        rates = np.array([scale in visit.scales for visit in self.cohort.protocol.visits])
        return self.visits_of_protocol[rates]

    @property
    def visits_of_protocol(self) -> NDArray[np.int64]:
        """Places of the visits of this stretch, one for each of the protocol's."""
        times = self.cohort.visits_h
        return np.flatnonzero((times >= self.from_h - SAME_TIME_H) & (times < self.end_h - SAME_TIME_H))

    def baseline(self, scale: str) -> Array:
        """Return totals at the start, (P,)."""
        return self.cohort.scores[scale][:, self.cohort.visit(self.start_h)]


def stretches(cohort: Cohort) -> Iterator[Stretch]:
    """Yield the parts of a trial that have a baseline of their own."""
    crossover = cohort.protocol.crossover
    if crossover is None:
        yield Stretch(cohort=cohort, treatment=cohort.arm, start_h=0.0, from_h=-np.inf, end_h=np.inf)
        return
    arms = list(cohort.protocol.arms)
    places = np.array([[arms.index(name) for name in sequence] for sequence in crossover.sequences])
    for period in range(places.shape[1]):
        start_h = period * crossover.period
        yield Stretch(
            cohort=cohort,
            treatment=places[cohort.arm, period],
            start_h=start_h,
            from_h=start_h,
            end_h=start_h + crossover.period,
        )


def values(stretch: Stretch, endpoint: Endpoint) -> tuple[Array, Array, Array]:
    """Return totals after baseline up to the endpoint's visit as the endpoint completes them.

    Returns
    -------
    visits_h : array (V,)
        From the start of the stretch; the last is the endpoint's.
    totals : array (P, V)
    baseline : array (P,)
    """
    cohort, scale = stretch.cohort, endpoint.scale
    places = stretch.visits(scale)
    since = cohort.visits_h[places] - stretch.start_h
    until = np.inf if endpoint.at is None else endpoint.at
    kept = (since > SAME_TIME_H) & (since <= until + SAME_TIME_H)
    after = places[kept]
    if endpoint.at is not None and abs(endpoint.at) < SAME_TIME_H:
        after, kept = places[:1], np.arange(len(places)) == 0
    before = stretch.baseline(scale)
    return since[kept], completed(cohort, endpoint, after, before), before


def completed(cohort: Cohort, endpoint: Endpoint, places: NDArray[np.int64], before: Array) -> Array:
    """Return the totals of an endpoint's scale at some visits as its estimand and imputation have them.

    ``failure`` is for shares, where what is missing counts as no; here it leaves values missing.
    """
    known = np.nan_to_num(before)
    totals = for_estimand(
        cohort.scores[endpoint.scale][:, places],
        cohort.left_h[:, None] <= cohort.visits_h[places],
        cohort.unmasked[endpoint.scale][:, places],
        endpoint.estimand,
        baseline=known,
    )
    totals = impute(totals, known, IMPUTATIONS[endpoint.imputation])
    return np.where(np.isnan(before)[:, None], np.nan, totals)


IMPUTATIONS = {
    "observed": Imputation.OBSERVED,
    "locf": Imputation.LAST,
    "bocf": Imputation.BASELINE,
    "worst": Imputation.WORST,
    "failure": Imputation.NON_RESPONDER,
}
"""Imputations by what protocols call them."""


def has_outcome(stretch: Stretch, endpoint: Endpoint) -> tuple[Flags, Flags]:
    """Return who has responded, remitted or had an event, and of whom that is known; (P,) each."""
    if endpoint.kind == "event":
        return _had_event(stretch, endpoint)
    _, totals, before = values(stretch, endpoint)
    last = totals[:, -1]
    is_known = ~np.isnan(last) & ~np.isnan(before)
    if endpoint.kind == "remission":
        has_it = last <= (endpoint.at_most if endpoint.at_most is not None else -np.inf)
    else:
        least = find_scale(endpoint.scale).minimum_points
        start = before - least
        has_it = (start > 0) & (start - (last - least) >= endpoint.fraction * start)
    if endpoint.imputation == "failure":
        return np.asarray(has_it & is_known), np.ones(len(last), dtype=bool)
    if endpoint.estimand == "composite":
        has_it = has_it & ~stretch.cohort.has_left
    return np.asarray(has_it & is_known), is_known


def _had_event(stretch: Stretch, endpoint: Endpoint) -> tuple[Flags, Flags]:
    sessions = stretch.cohort.sessions
    inside = (sessions.start_h >= stretch.from_h - SAME_TIME_H) & (sessions.start_h < stretch.end_h)
    flags = sessions.events[endpoint.event or ""] & inside
    return flags.any(axis=1), np.ones(len(flags), dtype=bool)


def is_well(stretch: Stretch, endpoint: Endpoint) -> Flags:
    """Return of whom relapse is counted: all, or those who are rated well at the endpoint's start, (P,)."""
    if endpoint.among == "all":
        return np.ones(len(stretch.cohort.arm), dtype=bool)
    then = endpoint.model_copy(
        update={"kind": endpoint.among, "at": endpoint.start, "estimand": "hypothetical"}
    )
    return has_outcome(stretch, then)[0]


def relapse(stretch: Stretch, endpoint: Endpoint) -> tuple[Array, Flags]:
    """Return days from the endpoint's start to relapse or to the last rating, and whether it was relapse.

    Those who leave are censored at their last rating, but under ``composite`` leaving is relapse.
    """
    cohort = stretch.cohort
    rule = relapse_rules()[endpoint.rule or ""]
    places = stretch.visits(rule.scale if rule.scale in cohort.scores else endpoint.scale)
    start = endpoint.start or 0.0
    places = places[cohort.visits_h[places] - stretch.start_h >= start - SAME_TIME_H]
    days = (cohort.visits_h[places] - stretch.start_h - start) / DAY_H
    totals = cohort.scores[endpoint.scale][:, places]
    before = stretch.baseline(endpoint.scale)
    # what was not rated is neither relapse nor recovery: as last seen
    visit = relapse_visit(rule, before, impute(totals, np.nan_to_num(before), Imputation.LAST))
    last = np.array([np.flatnonzero(seen)[-1] if seen.any() else 0 for seen in ~np.isnan(totals)])
    has_relapsed = (visit >= 0) & (visit <= last)
    if endpoint.estimand == "composite":
        leaves = cohort.has_left & ~has_relapsed
        return days[np.where(has_relapsed, visit, last)], has_relapsed | leaves
    return days[np.where(has_relapsed, visit, last)], has_relapsed
