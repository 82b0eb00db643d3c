"""Follows the well of a simulated course as a study does: visits, who enters, who relapses by a rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from euthymia.model.scales import Scale, find_scale
from euthymia.population.outcomes import relapse_rules, relapse_visit, remission, response
from euthymia.population.relapse import STABLE_POINTS, STABLE_VISITS, WEEK_DAYS, FollowUp
from euthymia.population.surroundings import DAY_H

Array = NDArray[np.float64]
STABLE_AT_LEAST = 3
"""Of the last weekly visits, how many must be in remission for a stable one (Daly2019, row C0027)."""
SHORT_DAYS, SHORT_STEP_DAYS = 21.0, 3.0
"""A window shorter than this has a visit every third day instead of weekly."""


def scale_of(rule: str) -> Scale:
    """Return the scale that a definition of relapse rates."""
    return find_scale(relapse_rules()[rule].scale)


def visit_times_h(from_h: float, to_h: float) -> tuple[float, ...]:
    """Return the visits of a window, its start and its end included.

    Examples
    --------
    >>> visit_times_h(0.0, 240.0)
    (0.0, 72.0, 144.0, 216.0, 240.0)
    """
    step_h = (WEEK_DAYS if to_h - from_h >= SHORT_DAYS * DAY_H else SHORT_STEP_DAYS) * DAY_H
    count = int(np.ceil((to_h - from_h) / step_h - 1e-9))
    return (*(from_h + step_h * visit for visit in range(count)), to_h)


def entry_times_h(from_h: float, well_by: str) -> tuple[float, ...]:
    """Return the visits that decide who enters: the start of the window, and weeks before it if stable."""
    count = STABLE_VISITS if well_by == "stable_remission" else 1
    return tuple(from_h - WEEK_DAYS * DAY_H * week for week in range(count))


def follow(
    rule: str, well_by: str, *, baseline: Array, at_entry: Array, rated: Array, times_h: tuple[float, ...]
) -> FollowUp:
    """Return how long those who enter stay well.

    Parameters
    ----------
    rule : str
        Definition of relapse (``data/relapse.toml``); everything is rated on its scale.
    well_by : str
        ``response``, ``remission`` (first cut-off of the scale) or ``stable_remission`` (MADRS of 12 or less
        at three of the last four weekly visits).
    baseline : array (P,)
        Before treatment.
    at_entry : array (P, E)
        At the visits of ``entry_times_h``.
    rated : array (P, V)
        At `times_h`, the start of the window first.
    times_h : tuple of float, (V,)
    """
    is_well = _are_well(scale_of(rule), well_by, baseline, at_entry)
    visit = relapse_visit(rule, baseline[is_well], rated[is_well])
    days = (np.asarray(times_h) - times_h[0]) / DAY_H
    return FollowUp(rule=rule, days=days[visit], has_relapsed=visit >= 0, is_well=is_well)


def _are_well(scale: Scale, well_by: str, baseline: Array, at_entry: Array) -> NDArray[np.bool_]:
    if well_by == "response":
        return response(baseline, at_entry, scale)[:, 0]
    if well_by == "remission":
        return remission(at_entry[:, 0], scale.remissions[0].at_most_points)
    return remission(at_entry, STABLE_POINTS).sum(axis=1) >= STABLE_AT_LEAST
