"""What each patient contributes to an endpoint: values by visit, yes or no, or a time to relapse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from euthymia.model.scales import find_scale
from euthymia.population.outcomes import RelapseRule, relapse_rules, relapse_visit
from euthymia.trials.analysis.imputation import Imputation, for_estimand, impute
from euthymia.trials.design import Endpoint
from euthymia.trials.records import Cohort

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int64]
DAY_H = 24.0
SAME_TIME_H = 1e-6
SAME_POINTS = 1e-9
"""What rounding may leave of a fall that is just enough."""


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

    def visits(self, scale: str) -> Codes:
        """Return the places of the visits of this stretch that rate a scale."""
        rates = np.array([scale in visit.scales for visit in self.cohort.protocol.visits])
        return self.visits_of_protocol[rates]

    @property
    def visits_of_protocol(self) -> Codes:
        """Places of the visits of this stretch, one for each of the protocol's."""
        times = self.cohort.visits_h
        return np.flatnonzero((times >= self.from_h - SAME_TIME_H) & (times < self.end_h - SAME_TIME_H))

    def since_start_h(self, places: Codes) -> Array:
        """Return when visits are, from the start of this stretch."""
        return self.cohort.visits_h[places] - self.start_h

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

    Of an endpoint at baseline or before it, that visit alone.

    Returns
    -------
    visits_h : array (V,)
        From the start of the stretch; the last is the endpoint's.
    totals : array (P, V)
        NaN throughout for those without a baseline.
    baseline : array (P,)
    """
    places = stretch.visits(endpoint.scale)
    since, until = stretch.since_start_h(places), np.inf if endpoint.at is None else endpoint.at
    if until <= SAME_TIME_H:
        kept = np.abs(since - until) <= SAME_TIME_H
    else:
        kept = (since > SAME_TIME_H) & (since <= until + SAME_TIME_H)
    before = stretch.baseline(endpoint.scale)
    return since[kept], completed(stretch.cohort, endpoint, places[kept], before), before


def completed(cohort: Cohort, endpoint: Endpoint, places: Codes, before: Array) -> Array:
    """Return the totals of an endpoint's scale at some visits as its estimand and imputation have them.

    ``failure`` is for shares, where what is missing counts as no; here it leaves values missing.
    """
    known = np.nan_to_num(before)
    totals = for_estimand(
        cohort.scores[endpoint.scale][:, places],
        _is_after(cohort, places),
        cohort.unmasked[endpoint.scale][:, places],
        endpoint.estimand,
        baseline=known,
    )
    totals = impute(totals, known, IMPUTATIONS[endpoint.imputation])
    return np.where(np.isnan(before)[:, None], np.nan, totals)


def _is_after(cohort: Cohort, places: Codes) -> Flags:
    """Return which visits lie after a patient left, (P, V)."""
    return cohort.left_h[:, None] <= cohort.visits_h[places]


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
    since, totals, before = values(stretch, endpoint)
    last = totals[:, -1]
    is_known = np.asarray(~np.isnan(last))
    if endpoint.kind == "remission":
        has_it = last <= (-np.inf if endpoint.at_most is None else endpoint.at_most)
    else:
        start = before - find_scale(endpoint.scale).minimum_points
        has_it = (start > 0) & (before - last >= endpoint.fraction * start - SAME_POINTS)
    if endpoint.estimand == "composite":
        has_it = has_it & (stretch.cohort.left_h > since[-1] + stretch.start_h)
    if endpoint.imputation == "failure":
        return np.asarray(has_it & is_known), np.ones(len(last), dtype=bool)
    return np.asarray(has_it & is_known), is_known


def _had_event(stretch: Stretch, endpoint: Endpoint) -> tuple[Flags, Flags]:
    sessions = stretch.cohort.sessions
    first_h, end_h = stretch.from_h - SAME_TIME_H, stretch.end_h - SAME_TIME_H
    is_inside = (sessions.start_h >= first_h) & (sessions.start_h < end_h)
    flags = sessions.events[endpoint.event or ""] & is_inside
    return np.asarray(flags.any(axis=1)), np.ones(len(flags), dtype=bool)


def is_well(stretch: Stretch, endpoint: Endpoint) -> Flags:
    """Return who is followed for relapse, (P,): in the trial at its start, and rated well there if asked."""
    stays = stretch.cohort.left_h > (endpoint.start or 0.0) + stretch.start_h
    if endpoint.among == "all":
        return stays
    then = endpoint.model_copy(
        update={"kind": endpoint.among, "at": endpoint.start, "estimand": "hypothetical"}
    )
    return stays & has_outcome(stretch, then)[0]


def relapse(stretch: Stretch, endpoint: Endpoint) -> tuple[Array, Flags]:
    """Return days from the endpoint's start to relapse or to the last rating, and whether it was relapse.

    What was not rated is neither relapse nor recovery: a rule of two visits in a row means two ratings. Those
    who leave are censored at their last rating; under ``composite`` leaving is relapse, under ``treatment
    policy`` they are rated all the same. Days of those whom `is_well` leaves out mean nothing.
    """
    cohort, start_h = stretch.cohort, endpoint.start or 0.0
    places = stretch.visits(endpoint.scale)
    places = places[stretch.since_start_h(places) >= start_h - SAME_TIME_H]
    days = (stretch.since_start_h(places) - start_h) / DAY_H
    totals = _followed(cohort, endpoint, places)
    visit = _relapse_visit(rule_of(endpoint), stretch.baseline(endpoint.scale), totals)
    last = np.where(np.isnan(totals), 0, np.arange(len(days))).max(axis=1)
    has_relapsed = visit >= 0
    found = days[np.where(has_relapsed, visit, last)]
    if endpoint.estimand != "composite":
        return found, has_relapsed
    leaves = cohort.has_left & ~has_relapsed
    left_days = np.maximum(cohort.left_h - stretch.start_h - start_h, 0.0) / DAY_H
    return np.where(leaves, left_days, found), has_relapsed | leaves


def rule_of(endpoint: Endpoint) -> RelapseRule:
    """Return an endpoint's definition of relapse; loss of response is read on the endpoint's own scale."""
    rule = relapse_rules()[endpoint.rule or ""]
    return replace(rule, scale=endpoint.scale) if rule.is_lost_response else rule


def _followed(cohort: Cohort, endpoint: Endpoint, places: Codes) -> Array:
    """Return ratings by which relapse is found, (P, V); NaN where there is none."""
    is_policy = endpoint.estimand == "treatment policy"
    return for_estimand(
        cohort.scores[endpoint.scale][:, places],
        _is_after(cohort, places),
        cohort.unmasked[endpoint.scale][:, places],
        "treatment policy" if is_policy else "hypothetical",
        baseline=np.zeros(len(cohort.key)),
    )


def _relapse_visit(rule: RelapseRule, before: Array, totals: Array) -> Codes:
    """Return the visit of relapse among those rated, -1 where none; the first is where all are well."""
    seen = ~np.isnan(totals)
    seen[:, 0] = True
    rated_first = np.argsort(~seen, axis=1, kind="stable")
    packed = np.take_along_axis(np.nan_to_num(totals, nan=-np.inf), rated_first, axis=1)
    # of those without a baseline no response can be lost
    visit = relapse_visit(rule, np.nan_to_num(before, nan=np.inf), packed)
    return np.where(visit < 0, -1, np.take_along_axis(rated_first, visit[:, None], axis=1)[:, 0])
